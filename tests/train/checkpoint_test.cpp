#include "embedpool/train/checkpoint.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <fstream>

#include "embedpool/train/run_training.hpp"
#include "io/temporary_folder.hpp"
#include "train/small_training.hpp"

using namespace embedpool;

namespace {

template <Real S>
using School = test::SmallTraining<S>;

TrainingSettings settings(Index chunk = 0, double dropout = 0.2) { return School<float>::settings(chunk, dropout); }

}  // namespace

TEST_CASE("a run that is resumed at any step ends with the bytes of an unbroken one") {
  const test::TemporaryFolder folder;
  SerialExecutor serial;
  const auto path = folder / "checkpoint.safetensors";
  School<float> unbroken({true, true, true});
  Trainer whole(unbroken.model, InfoNCE{}, settings(5));
  for (Index step = 0; step < 6; ++step) whole.step(School<float>::batch(step), serial);
  for (Index stop = 0; stop <= 6; ++stop) {
    {
      School<float> school({true, true, true});
      Trainer trainer(school.model, InfoNCE{}, settings(5));
      for (Index step = 0; step < stop; ++step) trainer.step(School<float>::batch(step), serial);
      write_checkpoint(trainer, "a run", path);
    }
    School<float> school({true, true, true});
    Trainer trainer(school.model, InfoNCE{}, settings(5));
    read_checkpoint(trainer, "a run", path);
    CHECK(trainer.steps() == stop);
    while (trainer.steps() < 6) trainer.step(School<float>::batch(trainer.steps()), serial);
    CHECK(school.values() == unbroken.values());
    for (std::size_t i = 0; i < whole.update().moments().size(); ++i)
      CHECK(trainer.update().moments()[i].second == whole.update().moments()[i].second);
  }
}

TEST_CASE("a checkpoint of another training, or a damaged one, is refused by name and changes nothing") {
  const test::TemporaryFolder folder;
  SerialExecutor serial;
  School<float> school;
  Trainer trainer(school.model, InfoNCE{}, settings());
  trainer.step(School<float>::batch(0), serial);
  trainer.step(School<float>::batch(1), serial);
  write_checkpoint(trainer, "a run", folder / "c.safetensors");
  const float* const place = trainer.tensors()[0].value->data();
  read_checkpoint(trainer, "a run", folder / "c.safetensors");
  CHECK(trainer.tensors()[0].value->data() == place);  // where others look at it
  School<float> other({true, true, true});
  Trainer larger(other.model, InfoNCE{}, settings());
  const auto before = other.values();
  const auto message = [&](auto& into, const std::string& description, const std::string& name) -> std::string {
    try {
      read_checkpoint(into, description, folder / name);
    } catch (const FileError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message(trainer, "another", "c.safetensors").find("is of another training") != std::string::npos);
  CHECK(message(larger, "a run", "c.safetensors").find("tensors, must be") != std::string::npos);
  CHECK(other.values() == before);

  std::ifstream good(folder / "c.safetensors", std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(good), {}};
  const float no_number = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.data() + bytes.size() - sizeof no_number, &no_number, sizeof no_number);
  folder.write("nan.safetensors", bytes);
  CHECK(message(trainer, "a run", "nan.safetensors").find("not finite") != std::string::npos);
  folder.write("short.safetensors", "abc");
  CHECK(!message(trainer, "a run", "short.safetensors").empty());
  CHECK(!message(trainer, "a run", "missing.safetensors").empty());
}

TEST_CASE("what an update made no number is not written over an earlier checkpoint, and is no end of a training") {
  const test::TemporaryFolder folder;
  const auto path = folder / "c.safetensors";
  SerialExecutor serial;
  std::atomic<bool> never{false};
  const auto one_step = [&](double rate, const std::filesystem::path& checkpoint) {
    School<float> school;
    auto chosen = settings(0, 0.0);
    chosen.schedule = {Schedule::Decay::constant, 0, 1};
    chosen.rate = rate;
    Trainer trainer(school.model, InfoNCE{}, chosen);
    run_training(trainer, {1, checkpoint, "a run", 0}, [](Index step) { return School<float>::batch(step); },
                 [](const StepReport&) {}, never, serial);
  };
  one_step(1e-3, path);
  const auto bytes = std::filesystem::file_size(path);
  const auto written = std::filesystem::last_write_time(path);
  for (const std::filesystem::path& checkpoint : {path, std::filesystem::path()})
    CHECK_THROWS_WITH_AS(one_step(1e39, checkpoint), doctest::Contains("training: after 1 steps: "), TrainingError);
  CHECK(std::filesystem::file_size(path) == bytes);
  CHECK(std::filesystem::last_write_time(path) == written);
}
