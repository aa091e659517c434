#pragma once
// What nearly every test includes; built once, shared by all of them.
#include <doctest/doctest.h>

#include <Eigen/Core>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>
#include <xsimd/xsimd.hpp>
