#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "command.hpp"
#include "embedpool/core/version.hpp"
#include "help_format.hpp"

#define EMBEDPOOL_TEXT_OF(x) #x
#define EMBEDPOOL_TEXT(x) EMBEDPOOL_TEXT_OF(x)

namespace {

/// One line on standard error, whatever the message holds.
int fail(std::string message) {
  for (char& c : message)
    if (c == '\n' || c == '\r') c = ' ';
  std::fprintf(stderr, "embedpool: error: %s\n", message.c_str());
  return 2;
}

/// Where the flags of the command that was asked for are explained.
std::string see_help(const CLI::App& program) {
  const auto commands = program.get_subcommands();
  return " (see embedpool " + (commands.empty() ? "" : commands.front()->get_name() + " ") + "--help)";
}

}  // namespace

int main(int argc, char** argv) {
  using namespace embedpool::program;
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a failed write, reported as any other
  CLI::App program{"Text embeddings from decoder language models: any mask, any pooling, calibrated if wanted."};
  program.name("embedpool");
  program.formatter(std::make_shared<HelpFormat>());  // subcommands take it over
  program.require_subcommand(0, 1);
  program.set_version_flag("--version", "embedpool " EMBEDPOOL_TEXT(EMBEDPOOL_VERSION_MAJOR) "." EMBEDPOOL_TEXT(
                                            EMBEDPOOL_VERSION_MINOR) "." EMBEDPOOL_TEXT(EMBEDPOOL_VERSION_PATCH));
  program.footer(
      "Exit status: 0, or 2 with one line on standard error: embedpool: error: <file>: <place>: <cause>;\n"
      "130 for work that was stopped by a signal and saved.\n"
      "`embedpool COMMAND --help` has examples.");
  add_inspect_command(program);
  add_embed_command(program);
  add_calibrate_command(program);
  add_sts_command(program);
  add_nearest_command(program);
  add_train_command(program);
  add_evaluate_command(program);
  add_compare_command(program);
  add_layers_command(program);
  add_merge_command(program);
  try {
    program.parse(argc, argv);
    if (program.get_subcommands().empty()) return fail("a command is required" + see_help(program));
    return 0;
  } catch (const CLI::Success& asked) {  // --help, --version
    return program.exit(asked);
  } catch (const CLI::ParseError& error) {
    return fail(error.what() + see_help(program));
  } catch (const embedpool::program::Interrupted&) {
    return 130;  // as shells say of a program that SIGINT ended
  } catch (const std::bad_alloc&) {
    return fail("not enough memory");
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}
