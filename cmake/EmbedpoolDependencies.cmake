# Finds what embedpool needs, for its own build and for projects that use the installed package alike.
# Makes the targets embedpool_dependencies::{xsimd,io} from what the system has.

find_package(Eigen3 3.4 REQUIRED NO_MODULE)

# Debian's xsimd 8.1 exports a target that links `xtl`, a library of its own that is not installed with it: the headers
# alone are what we need, and a plain path serves newer versions as well.
if(NOT TARGET embedpool_dependencies::xsimd)
  find_path(EMBEDPOOL_XSIMD_INCLUDE_DIR xsimd/xsimd.hpp REQUIRED)
  mark_as_advanced(EMBEDPOOL_XSIMD_INCLUDE_DIR)
  add_library(embedpool_dependencies::xsimd INTERFACE IMPORTED)
  set_target_properties(embedpool_dependencies::xsimd PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${EMBEDPOOL_XSIMD_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${EMBEDPOOL_XSIMD_INCLUDE_DIR}")
endif()

# What embedpool::io needs. Sets EMBEDPOOL_IO_FOUND; nothing is required here, a user of pooling alone needs none of it.
set(EMBEDPOOL_IO_FOUND TRUE)
find_package(nlohmann_json 3.11 QUIET)
find_package(ZLIB QUIET)
if(NOT nlohmann_json_FOUND OR NOT ZLIB_FOUND)
  set(EMBEDPOOL_IO_FOUND FALSE)
endif()
foreach(library IN ITEMS "pcre2;pcre2.h;pcre2-8" "utf8proc;utf8proc.h;utf8proc")
  list(GET library 0 name)
  list(GET library 1 header)
  list(GET library 2 file)
  if(NOT TARGET embedpool_dependencies::${name})
    string(TOUPPER ${name} upper)
    find_path(EMBEDPOOL_${upper}_INCLUDE_DIR ${header})
    find_library(EMBEDPOOL_${upper}_LIBRARY ${file})
    mark_as_advanced(EMBEDPOOL_${upper}_INCLUDE_DIR EMBEDPOOL_${upper}_LIBRARY)
    if(EMBEDPOOL_${upper}_INCLUDE_DIR AND EMBEDPOOL_${upper}_LIBRARY)
      add_library(embedpool_dependencies::${name} UNKNOWN IMPORTED)
      set_target_properties(embedpool_dependencies::${name} PROPERTIES
        IMPORTED_LOCATION "${EMBEDPOOL_${upper}_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${EMBEDPOOL_${upper}_INCLUDE_DIR}")
    else()
      set(EMBEDPOOL_IO_FOUND FALSE)
    endif()
  endif()
endforeach()
