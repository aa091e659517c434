# How tests become executables: each its own, or several in one (EMBEDPOOL_GROUP_TESTS).
#
# Tests instantiate the same templates. Compiled as one translation unit they do it once, which takes less than half of the
# time for all of them; a single test then costs what its group does, so that whoever works on one leaves the option off.

# The name model.designs of the source model/designs_test.cpp.
function(embedpool_test_name source result)
  string(REGEX REPLACE "_test\\.cpp$" "" name ${source})
  string(REPLACE "/" "." name ${name})
  set(${result} ${name} PARENT_SCOPE)
endfunction()

function(embedpool_add_test_executable executable source quick)
  add_executable(${executable} ${source})
  target_link_libraries(${executable} PRIVATE test_support)
  if(quick)
    target_compile_options(${executable} PRIVATE -O0)
    target_precompile_headers(${executable} REUSE_FROM test_precompiled_quick)
  else()
    target_precompile_headers(${executable} REUSE_FROM test_precompiled)
  endif()
endfunction()

# One translation unit of several tests: first all that they include, for headers must not be read inside a namespace, then
# every test in a namespace of its own, where its helpers meet no others of the same name.
function(embedpool_write_test_group file)
  set(includes)
  set(tests)
  foreach(source IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    file(STRINGS ${source} lines REGEX "^#include ")
    list(APPEND includes ${lines})
    embedpool_test_name(${source} name)
    string(MAKE_C_IDENTIFIER ${name} name)
    string(APPEND tests "namespace ${name} {\n#include \"${CMAKE_CURRENT_SOURCE_DIR}/${source}\"\n}\n")
  endforeach()
  list(REMOVE_DUPLICATES includes)
  list(JOIN includes "\n" includes)
  file(CONFIGURE OUTPUT ${file} CONTENT "${includes}\n${tests}" @ONLY)  # not written again when it is the same
endfunction()

# embedpool_add_tests(GROUPS name SOURCES <folder>/<name>_test.cpp... [DEPENDS target...] [ENVIRONMENT variable=value...])
# Builds the sources, named from this folder, and makes each a test of CTest. Groups are called name.1, name.2, ...
function(embedpool_add_tests)
  cmake_parse_arguments(PARSE_ARGV 0 argument "" "GROUPS" "SOURCES;DEPENDS;ENVIRONMENT")
  # The larger, the less time for all, if no core waits for the last. These take up to 3.5 GB to compile, those of three
  # times as many 5 GB.
  set(largest_group_OFF 16)
  set(largest_group_ON 32)
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  cmake_host_system_information(RESULT megabytes QUERY TOTAL_PHYSICAL_MEMORY)
  if(cores LESS 4 AND megabytes GREATER 14000)
    set(largest_group_OFF 48)
    set(largest_group_ON 56)
  endif()
  set(groups)
  foreach(source IN LISTS argument_SOURCES)
    embedpool_test_name(${source} group)
    set(quick OFF)
    if(EMBEDPOOL_QUICK_TESTS AND NOT group MATCHES "${computing_tests}")
      set(quick ON)
    endif()
    if(EMBEDPOOL_GROUP_TESTS)  # with those that are compiled alike
      math(EXPR part "0${count_${quick}} / ${largest_group_${quick}} + 1")
      math(EXPR count_${quick} "0${count_${quick}} + 1")
      set(group ${argument_GROUPS}.${part})
      if(NOT quick)
        set(group ${argument_GROUPS}.computing.${part})
      endif()
    endif()
    list(APPEND groups ${group})
    set(quick_${group} ${quick})
    list(APPEND sources_${group} ${source})
  endforeach()
  list(REMOVE_DUPLICATES groups)
  foreach(group IN LISTS groups)
    set(unit ${sources_${group}})
    if(EMBEDPOOL_GROUP_TESTS)
      set(unit ${CMAKE_CURRENT_BINARY_DIR}/groups/${group}.cpp)
      embedpool_write_test_group(${unit} ${sources_${group}})
    endif()
    embedpool_add_test_executable(${group}_test ${unit} ${quick_${group}})
    if(argument_DEPENDS)
      add_dependencies(${group}_test ${argument_DEPENDS})
    endif()
    foreach(source IN LISTS sources_${group})
      embedpool_test_name(${source} name)
      add_test(NAME ${name} COMMAND ${group}_test --source-file=*/${source})
      # A filter that finds nothing must not pass.
      set_tests_properties(${name} PROPERTIES TIMEOUT 300 FAIL_REGULAR_EXPRESSION "test cases: +0 " ENVIRONMENT
                           "${argument_ENVIRONMENT}")
    endforeach()
  endforeach()
endfunction()
