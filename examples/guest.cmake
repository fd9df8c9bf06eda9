# phase_guest(name SOURCES ... [HEADERS ...] [COPY path]): a WASI module built by clang, lld and wasi-libc, all from
#   the distribution.
#   Lands in build/examples/<name>.wasm; COPY also places it at a path in the source tree that people paste.
#   Target: guest_<name>, part of `all`.
include_guard(GLOBAL)

# The unversioned clang goes with the unversioned lld of the same distribution; versioned ones carry their own.
find_program(PHASE_GUEST_CLANG NAMES clang clang-14 clang-18 clang-19 REQUIRED)
find_path(PHASE_WASI_INCLUDE NAMES wasi/api.h PATHS /usr/include/wasm32-wasi NO_DEFAULT_PATH)
if(NOT PHASE_WASI_INCLUDE)
  message(FATAL_ERROR "wasi-libc is missing: install the packages clang, lld and wasi-libc")
endif()

function(phase_guest name)
  cmake_parse_arguments(arg "" "COPY" "SOURCES;HEADERS;OPTIONS" ${ARGN})
  set(out "${CMAKE_BINARY_DIR}/examples/${name}.wasm")
  list(TRANSFORM arg_SOURCES PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  list(TRANSFORM arg_HEADERS PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  set(copy)
  if(arg_COPY)
    set(copy COMMAND ${CMAKE_COMMAND} -E copy_if_different "${out}" "${arg_COPY}")
  endif()
  # -nodefaultlibs -lc: no compiler-rt for wasm32 is needed, which is a package of its own.
  add_custom_command(
    OUTPUT "${out}"
    BYPRODUCTS ${arg_COPY}
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_BINARY_DIR}/examples"
    COMMAND "${PHASE_GUEST_CLANG}" --target=wasm32-wasi -O2 -Wall -Wextra -Werror -nodefaultlibs
            -Wl,--strip-all ${arg_OPTIONS} -o "${out}" ${arg_SOURCES} -lc
    ${copy}
    DEPENDS ${arg_SOURCES} ${arg_HEADERS}
    VERBATIM)
  add_custom_target(guest_${name} ALL DEPENDS "${out}")
endfunction()
