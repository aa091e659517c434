#pragma once
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "embedpool/core/error.hpp"

namespace embedpool::test {

/// The message of the Error that `action` throws; empty when it throws none.
template <class Error = ShapeError, class Action>
std::string refusal(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

/// Checks that `action` throws an Error whose message is one line that names every culprit.
template <class Error = FileError, class Action>
void refused(Action&& action, const std::vector<std::string>& culprits) {
  try {
    action();
    FAIL_CHECK("accepted");
  } catch (const Error& error) {
    const std::string message = error.what();
    CAPTURE(message);
    CHECK(message.find('\n') == std::string::npos);
    for (const std::string& culprit : culprits) {
      CAPTURE(culprit);
      CHECK(message.find(culprit) != std::string::npos);
    }
  }
}

}  // namespace embedpool::test
