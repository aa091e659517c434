# Finds what embedpool needs, for its own build and for projects that use the installed package alike. Nothing here is
# fatal: the caller decides what a missing library means.
#
#   EMBEDPOOL_MISSING     what embedpool::embedpool needs and the system lacks; empty when all is there
#   EMBEDPOOL_IO_MISSING  the same for embedpool::io; a user of pooling alone needs none of it
#
# Targets: Eigen3::Eigen, nlohmann_json::nlohmann_json, ZLIB::ZLIB and embedpool_dependencies::{xsimd,pcre2,utf8proc}.
# A target that the surrounding project has already made is taken as it is.

set(EMBEDPOOL_MISSING "")
set(EMBEDPOOL_IO_MISSING "")

# Not looked for by version: Eigen 5 says that it does not serve who asks for 3.4, and 3.4 knows no range that ends in 5.
set(eigen_version 3.4)
if(NOT TARGET Eigen3::Eigen)
  find_package(Eigen3 QUIET NO_MODULE)
  set(eigen_version "${Eigen3_VERSION}")
endif()
if(NOT TARGET Eigen3::Eigen OR eigen_version VERSION_LESS 3.4)
  list(APPEND EMBEDPOOL_MISSING "Eigen 3.4 or later")
endif()
unset(eigen_version)

# Debian's xsimd 8.1 exports a target that links `xtl`, a library of its own that is not installed with it. The headers
# alone are what we need: from the surrounding project's target, old or new, or from a plain path.
if(NOT TARGET embedpool_dependencies::xsimd)
  if(TARGET xsimd)
    set(xsimd_include "$<TARGET_PROPERTY:xsimd,INTERFACE_INCLUDE_DIRECTORIES>")
  else()
    find_path(EMBEDPOOL_XSIMD_INCLUDE_DIR xsimd/xsimd.hpp)
    mark_as_advanced(EMBEDPOOL_XSIMD_INCLUDE_DIR)
    set(xsimd_include "${EMBEDPOOL_XSIMD_INCLUDE_DIR}")
  endif()
  if(xsimd_include)
    add_library(embedpool_dependencies::xsimd INTERFACE IMPORTED)
    target_include_directories(embedpool_dependencies::xsimd SYSTEM INTERFACE "${xsimd_include}")
  else()
    list(APPEND EMBEDPOOL_MISSING "xsimd")
  endif()
  unset(xsimd_include)
endif()

if(NOT TARGET nlohmann_json::nlohmann_json)
  find_package(nlohmann_json 3.11 QUIET)
endif()
if(NOT TARGET nlohmann_json::nlohmann_json)
  list(APPEND EMBEDPOOL_IO_MISSING "nlohmann-json 3.11")
endif()

if(NOT TARGET ZLIB::ZLIB)
  find_package(ZLIB QUIET)
endif()
if(NOT TARGET ZLIB::ZLIB)
  list(APPEND EMBEDPOOL_IO_MISSING "zlib")
endif()

# Libraries without a CMake package on most systems: one header, one library.
function(embedpool_find_library name header library)
  if(TARGET embedpool_dependencies::${name})
    return()
  endif()
  string(TOUPPER EMBEDPOOL_${name} prefix)
  find_path(${prefix}_INCLUDE_DIR ${header})
  find_library(${prefix}_LIBRARY ${library})
  mark_as_advanced(${prefix}_INCLUDE_DIR ${prefix}_LIBRARY)
  if(${prefix}_INCLUDE_DIR AND ${prefix}_LIBRARY)
    add_library(embedpool_dependencies::${name} UNKNOWN IMPORTED)
    set_target_properties(embedpool_dependencies::${name} PROPERTIES
      IMPORTED_LOCATION "${${prefix}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${${prefix}_INCLUDE_DIR}")
  else()
    set(EMBEDPOOL_IO_MISSING ${EMBEDPOOL_IO_MISSING} ${name} PARENT_SCOPE)
  endif()
endfunction()
embedpool_find_library(pcre2 pcre2.h pcre2-8)
embedpool_find_library(utf8proc utf8proc.h utf8proc)

list(JOIN EMBEDPOOL_MISSING ", " EMBEDPOOL_MISSING)
list(JOIN EMBEDPOOL_IO_MISSING ", " EMBEDPOOL_IO_MISSING)
