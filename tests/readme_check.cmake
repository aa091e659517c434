# The code of the README is the code of examples/quick_start.cpp, which is built and run as a test.
file(READ ${SOURCE_DIR}/README.md readme)
file(READ ${SOURCE_DIR}/examples/quick_start.cpp example)
string(REGEX REPLACE ".*// \\[readme\\]\n(.*)// \\[readme\\].*" "\\1" code "${example}")
string(FIND "${readme}" "```cpp\n${code}```" place)
if(place EQUAL -1)
  message(FATAL_ERROR "README.md does not show the code between the marks of examples/quick_start.cpp")
endif()
