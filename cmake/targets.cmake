# Targets that gather others: what `make build`, `make test-long` and `make bench` ask for.
add_custom_target(programs)
add_custom_target(unit_tests)
add_custom_target(fuzz_targets)
add_custom_target(bench_programs)
add_custom_target(header_check)

# phase_library(name SOURCES ... USES ... [LINKS ...] [TESTS ...] [PROPERTIES_TESTS ...] [FUZZ ...])
#   One folder, one static library `phase_<name>` with alias `phase::<name>`.
#   USES   the whole list of our own libraries it includes (tools/tidy checks the rings).
#   LINKS  libraries from outside.
#   TESTS  GoogleTest files, beside the code. FUZZ  files that define LLVMFuzzerTestOneInput.
function(phase_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES;LINKS;TESTS;TEST_USES;FUZZ" ${ARGN})
  set(target phase_${name})
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    target_link_libraries(${target} PRIVATE phase_flags PUBLIC ${arg_USES} ${arg_LINKS})
    target_include_directories(${target} PUBLIC "${CMAKE_SOURCE_DIR}/src")
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${arg_USES} ${arg_LINKS})
    target_include_directories(${target} INTERFACE "${CMAKE_SOURCE_DIR}/src")
  endif()
  add_library(phase::${name} ALIAS ${target})
  phase_header_check(${name} ${arg_SOURCES})
  if(arg_TESTS)
    phase_test(${name}_test SOURCES ${arg_TESTS} USES phase::${name} ${arg_TEST_USES})
  endif()
  foreach(fuzz IN LISTS arg_FUZZ)
    get_filename_component(stem "${fuzz}" NAME_WE)
    phase_fuzz(${stem} SOURCES ${fuzz} USES phase::${name})
  endforeach()
endfunction()

# Every public header compiles on its own, and twice in one file; target header_check, part of `make test`.
# A header goes with the library that has the source of its name, else with the folder's first library.
function(phase_header_check name)
  if(NOT PHASE_TESTS)
    return()
  endif()
  file(GLOB headers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.h")
  list(FILTER headers EXCLUDE REGEX "_internal\\.h$")
  set(sources)
  get_property(claimed DIRECTORY PROPERTY PHASE_HEADERS_CLAIMED)
  foreach(header IN LISTS headers)
    get_filename_component(stem "${header}" NAME_WE)
    if(NOT "${stem}.cpp" IN_LIST ARGN
       AND ("${stem}" IN_LIST claimed OR EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${stem}.cpp"))
      continue()
    endif()
    set_property(DIRECTORY APPEND PROPERTY PHASE_HEADERS_CLAIMED "${stem}")
    set(source "${CMAKE_CURRENT_BINARY_DIR}/header_check/${stem}.cpp")
    file(CONFIGURE OUTPUT "${source}" CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
    list(APPEND sources "${source}")
  endforeach()
  if(sources)
    add_library(${name}_header_check OBJECT EXCLUDE_FROM_ALL ${sources})
    target_link_libraries(${name}_header_check PRIVATE phase_flags phase::${name})
    target_compile_options(${name}_header_check PRIVATE -O0 -g0 -U_FORTIFY_SOURCE)
    add_dependencies(header_check ${name}_header_check)
  endif()
endfunction()

# phase_test(name SOURCES ... USES ... [TIMEOUT s] [LABELS ...]): a GoogleTest program (RapidCheck
# available), one ctest entry. Label `unit` unless others are given; `long` keeps it out of `make test`.
# A test that cannot run here says why with GTEST_SKIP: tests/unit/test_main.cpp reports it.
function(phase_test name)
  if(NOT PHASE_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;USES;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE phase_flags ${arg_USES} phase_test_main
                        GTest::gtest "${RAPIDCHECK_LIBRARY}")
  target_include_directories(${name} SYSTEM PRIVATE "${RAPIDCHECK_INCLUDE}")
  target_compile_definitions(${name} PRIVATE PHASE_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             PHASE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}" SKIP_RETURN_CODE 77)
  if("unit" IN_LIST arg_LABELS)
    add_dependencies(unit_tests ${name})
  endif()
endfunction()

# phase_script_test(name COMMAND ... [TIMEOUT s] [LABELS ...] [SERIAL]): a test that is a script or a
# program. It finds the build folder in PHASE_BUILD and the sources as its working folder; to skip it
# prints `skip: why` and exits 77.
function(phase_script_test name)
  if(NOT PHASE_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "SERIAL" "TIMEOUT" "COMMAND;LABELS" ${ARGN})
  add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS script)
  endif()
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}" SKIP_RETURN_CODE 77
    ENVIRONMENT "PHASE_BUILD=${CMAKE_BINARY_DIR};PHASE_SOURCE=${CMAKE_SOURCE_DIR}")
  if(arg_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# phase_bench(name SOURCES ... USES ... [LINKS ...]): a program in build/bench that prints rows, run by
# `make bench`. Its rows stand in SPECIFICATION.md by name; it asserts nothing about time.
function(phase_bench name)
  if(NOT PHASE_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE phase_flags ${arg_USES} ${arg_LINKS})
  target_compile_definitions(${name} PRIVATE PHASE_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                             PHASE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench")
  add_dependencies(bench_programs ${name})
endfunction()

# phase_fuzz(name SOURCES ... USES ...): with PHASE_LIBFUZZER a libFuzzer program; otherwise a program that
# replays spec/vectors and mutations of them, and is a normal test.
function(phase_fuzz name)
  if(NOT PHASE_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE phase_flags ${arg_USES})
  target_compile_definitions(${name} PRIVATE PHASE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_dependencies(fuzz_targets ${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  if(PHASE_LIBFUZZER)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE "${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cpp")
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
  endif()
endfunction()

# phase_app(name SOURCES ... USES ... [LINKS ...]): an executable of ours, in build/bin.
function(phase_app name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES;LINKS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE phase_flags ${arg_USES} ${arg_LINKS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  add_dependencies(programs ${name})
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()

# The guests (examples/guest.cmake) belong to `programs` too: `make build` gives what README runs.
function(phase_gather_programs folder)
  get_property(targets DIRECTORY "${folder}" PROPERTY BUILDSYSTEM_TARGETS)
  list(FILTER targets INCLUDE REGEX "^guest_")
  if(targets)
    add_dependencies(programs ${targets})
  endif()
  get_property(below DIRECTORY "${folder}" PROPERTY SUBDIRECTORIES)
  foreach(next IN LISTS below)
    phase_gather_programs("${next}")
  endforeach()
endfunction()
