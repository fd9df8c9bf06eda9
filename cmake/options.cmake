# Build options and the flags every C++ target of ours gets.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
# -g1 keeps line numbers for stack traces at a fraction of the link time and size of full debug info.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g1")

option(PHASE_TESTS "Build the tests and benchmarks; needs the packages of the set test" ON)
set(PHASE_SANITIZE "" CACHE STRING "Sanitizers for our own code, for example address,undefined")
option(PHASE_LIBFUZZER "Build *_fuzz targets with libFuzzer (clang) instead of the replaying driver" OFF)

find_program(PHASE_CCACHE ccache)
if(PHASE_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${PHASE_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${PHASE_CCACHE}")
endif()

add_library(phase_flags INTERFACE)
target_compile_options(phase_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives of these inside coroutine frames and std::string at -O2.
  target_compile_options(phase_flags INTERFACE
    -Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds
    -Wno-mismatched-new-delete -Wno-dangling-pointer)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # std::stable_sort of libstdc++ 12 calls what C++17 deprecates.
  target_compile_options(phase_flags INTERFACE -Wno-deprecated-declarations)
endif()
target_compile_definitions(phase_flags INTERFACE _FORTIFY_SOURCE=2 PHASE_VERSION="${PROJECT_VERSION}")
if(PHASE_SANITIZE)
  target_compile_options(phase_flags INTERFACE -fsanitize=${PHASE_SANITIZE} -fno-omit-frame-pointer -U_FORTIFY_SOURCE)
  target_link_options(phase_flags INTERFACE -fsanitize=${PHASE_SANITIZE})
endif()
if(PHASE_LIBFUZZER)
  # Coverage of everything the targets reach; without it libFuzzer mutates blindly.
  target_compile_options(phase_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_include_directories(phase_flags INTERFACE "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}")
