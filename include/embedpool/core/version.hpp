#pragma once
/// The version, written once: CMake reads these three lines.
#define EMBEDPOOL_VERSION_MAJOR 0
#define EMBEDPOOL_VERSION_MINOR 1
#define EMBEDPOOL_VERSION_PATCH 0
