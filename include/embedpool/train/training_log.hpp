#pragma once
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "embedpool/io/atomic_file.hpp"
#include "embedpool/io/json.hpp"
#include "embedpool/train/trainer.hpp"

namespace embedpool {

/// A log of every step as JSON lines: {"step": 0, "loss": ..., "gradient_norm": ..., "rate": ...}, and with evaluate()
/// {"step": 100, "held_out_loss": ...}. Numbers are written so that they are read as the same doubles; there are no times
/// in it, so equal runs have equal logs.
///
/// Errors  FileError with the system's reason
class TrainingLog {
 public:
  /// Opens the log of a run that stands before step `step`: lines of that step and later ones, which a run that was
  /// killed after its checkpoint may have left, are dropped, and everything with step 0. What was found on held-out texts
  /// after the `step` steps that are done stays.
  TrainingLog(std::filesystem::path path, Index step) : path_(std::move(path)) {
    std::string kept;
    if (std::ifstream before(path_); step > 0 && before)
      for (std::string line; std::getline(before, line);) {
        // The last line may be cut in the middle: what is no whole line of an earlier step is of a step to come.
        const io::Json json = io::Json::parse(line, nullptr, false);
        if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) break;
        if (json["step"] >= (json.contains("held_out_loss") ? step + 1 : step)) break;
        kept += line + "\n";
      }
    io::AtomicFile file(path_);
    file.write(kept);
    file.commit();
    out_.open(path_, std::ios::app | std::ios::binary);
    if (!out_) throw FileError(path_.string(), "open", "cannot be written");
  }

  void step(const StepReport& report) {
    write({{"step", report.step}, {"loss", report.loss}, {"gradient_norm", report.gradient_norm}, {"rate", report.rate}});
  }
  /// The loss of held-out texts after `step`.
  void evaluation(Index step, double loss) { write({{"step", step}, {"held_out_loss", loss}}); }

 private:
  void write(const nlohmann::ordered_json& line) {
    out_ << line.dump() << '\n' << std::flush;
    if (!out_) throw FileError(path_.string(), "write", "failed");
  }

  std::filesystem::path path_;
  std::ofstream out_;
};

}  // namespace embedpool
