#pragma once
#include <exception>

#include "command_line_app.hpp"

namespace embedpool::program {

/// Work that a signal stopped in good order: everything that was done is saved, and the user was told.
struct Interrupted : std::exception {};

/// Each adds a subcommand that does its work when it is parsed and called. Errors come out as exceptions.
void add_inspect_command(CLI::App& program);
void add_embed_command(CLI::App& program);
void add_calibrate_command(CLI::App& program);
void add_sts_command(CLI::App& program);
void add_nearest_command(CLI::App& program);
void add_train_command(CLI::App& program);
void add_evaluate_command(CLI::App& program);
void add_compare_command(CLI::App& program);
void add_layers_command(CLI::App& program);
void add_merge_command(CLI::App& program);

}  // namespace embedpool::program
