#include "embedpool/train/run_training.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "embedpool/train/training_log.hpp"
#include "io/temporary_folder.hpp"
#include "train/small_training.hpp"

using namespace embedpool;

namespace {

using School = test::SmallTraining<float>;

std::string bytes_of(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// A run of six steps in a folder, resumed where a checkpoint lies; `observe(step)` comes after each step.
template <class Observe>
RunEnd run_in(const test::TemporaryFolder& folder, Observe&& observe, const std::atomic<bool>& stop) {
  School school({true, true, true});
  Trainer trainer(school.model, InfoNCE{}, School::settings(5));
  const auto path = folder / "checkpoint.safetensors";
  if (std::filesystem::exists(path)) read_checkpoint(trainer, "six steps", path);
  TrainingLog log(folder / "log.jsonl", trainer.steps());
  SerialExecutor serial;
  return run_training(
      trainer, {6, path, "six steps", 2}, [](Index step) { return School::batch(step); },
      [&](const StepReport& report) {
        log.step(report);
        observe(report.step);
      },
      stop, serial);
}

}  // namespace

TEST_CASE("a run that is killed at any step and resumed ends with the bytes of an unbroken one, log and all") {
  const test::TemporaryFolder unbroken;
  std::atomic<bool> never{false};
  CHECK(run_in(unbroken, [](Index) {}, never) == RunEnd::finished);
  const std::string checkpoint = bytes_of(unbroken / "checkpoint.safetensors"), log = bytes_of(unbroken / "log.jsonl");
  CHECK(std::count(log.begin(), log.end(), '\n') == 6);
  for (Index victim = 0; victim < 6; ++victim) {
    CAPTURE(victim);
    const test::TemporaryFolder folder;
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      run_in(folder, [&](Index step) {
        if (step == victim) std::raise(SIGKILL);
      }, never);
      _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(run_in(folder, [](Index) {}, never) == RunEnd::finished);
    CHECK(bytes_of(folder / "checkpoint.safetensors") == checkpoint);
    CHECK(bytes_of(folder / "log.jsonl") == log);
  }
}

TEST_CASE("an interrupt finishes the step, saves, and the run goes on from there") {
  const test::TemporaryFolder unbroken, folder;
  std::atomic<bool> stop{false};
  run_in(unbroken, [](Index) {}, stop);
  std::vector<Index> seen;
  CHECK(run_in(folder, [&](Index step) {
          seen.push_back(step);
          stop = step == 2;
        }, stop) == RunEnd::interrupted);
  stop = false;
  CHECK(run_in(folder, [&](Index step) { seen.push_back(step); }, stop) == RunEnd::finished);
  CHECK(seen == std::vector<Index>{0, 1, 2, 3, 4, 5});
  CHECK(bytes_of(folder / "checkpoint.safetensors") == bytes_of(unbroken / "checkpoint.safetensors"));
}

TEST_CASE("a checkpoint that cannot be written stops the run and leaves the earlier one as it was") {
  const test::TemporaryFolder folder;
  SerialExecutor serial;
  School school;
  Trainer trainer(school.model, InfoNCE{}, School::settings());
  std::atomic<bool> never{false};
  const auto path = folder / "checkpoint.safetensors";
  write_checkpoint(trainer, "before", path);
  const std::string before = bytes_of(path);
  std::filesystem::path missing = folder / "no such folder";
  const auto run_with = [&](const std::filesystem::path& file) {
    run_training(trainer, {2, file, "x", 1}, [](Index step) { return School::batch(step); }, [](const StepReport&) {}, never,
                 serial);
  };
  CHECK_THROWS_AS(run_with(missing / "checkpoint.safetensors"), FileError);
  CHECK(bytes_of(path) == before);
}

TEST_CASE("a log keeps the lines of the steps before, and drops what is cut or comes later") {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("log.jsonl", "{\"step\":0,\"loss\":1.5}\n{\"step\":1,\"loss\":1.25}\n{\"step\":2,\"lo").string();
  { TrainingLog log(path, 2); }
  CHECK(bytes_of(path) == "{\"step\":0,\"loss\":1.5}\n{\"step\":1,\"loss\":1.25}\n");
  {
    TrainingLog log(path, 1);
    log.step({1, 0.1, 2.0, 0.5});
    log.evaluation(1, 0.25);
  }
  CHECK(bytes_of(path) ==
        "{\"step\":0,\"loss\":1.5}\n{\"step\":1,\"loss\":0.1,\"gradient_norm\":2.0,\"rate\":0.5}\n"
        "{\"step\":1,\"held_out_loss\":0.25}\n");
  { TrainingLog log(path, 1); }  // stands behind step 0 and what was found after it
  CHECK(bytes_of(path) == "{\"step\":0,\"loss\":1.5}\n");
  {
    TrainingLog log(path, 1);
    log.evaluation(1, 0.5);
    log.step({1, 0.1, 2.0, 0.5});
  }
  { TrainingLog log(path, 1); }
  CHECK(bytes_of(path) == "{\"step\":0,\"loss\":1.5}\n{\"step\":1,\"held_out_loss\":0.5}\n");
  { TrainingLog log(path, 0); }
  CHECK(bytes_of(path).empty());
}
