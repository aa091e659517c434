#pragma once
#include <CLI/CLI.hpp>

namespace embedpool::program {

/// Each adds a subcommand that does its work when it is parsed and called. Errors come out as exceptions.
void add_inspect_command(CLI::App& program);
void add_embed_command(CLI::App& program);
void add_calibrate_command(CLI::App& program);
void add_sts_command(CLI::App& program);
void add_nearest_command(CLI::App& program);

}  // namespace embedpool::program
