#include <doctest/doctest.h>

#include <limits>

#include "embedpool/io/calibration_file.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;

TEST_CASE("a calibration is read as it was written, and refused where it does not fit") {
  const test::TemporaryFolder folder;
  const auto path = folder / "calibration.safetensors";
  Calibration<float> calibration{Matrix<float>::Random(3, 5), Matrix<float>::Random(3, 5).cwiseAbs().array() + 0.1f};
  io::write_calibration(calibration, path);
  const auto read = io::read_calibration<float>(path, 3, 5);
  CHECK(read.mean == calibration.mean);
  CHECK(read.inverse_scale == calibration.inverse_scale);
  CHECK_THROWS_WITH_AS(io::read_calibration<float>(path, 3, 6), doctest::Contains("mean"), FileError);
  CHECK_THROWS_WITH_AS(io::read_calibration<float>(path, 2, 5), doctest::Contains("mean"), FileError);

  calibration.inverse_scale(1, 2) = 0;
  io::write_calibration(calibration, path);
  CHECK_THROWS_WITH_AS(io::read_calibration<float>(path, 3, 5), doctest::Contains("must hold positive values only"), FileError);
  calibration.mean(0, 0) = std::numeric_limits<float>::infinity();
  io::write_calibration(calibration, path);
  CHECK_THROWS_WITH_AS(io::read_calibration<float>(path, 3, 5), doctest::Contains("not finite"), FileError);
}
