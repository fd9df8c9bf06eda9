# Every library from outside, in one place. What each is for: docs/map.md.

find_package(Threads REQUIRED)
# Debian 12 carries Boost 1.81 beside its default 1.74; Ubuntu 24.04 has 1.83.
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS SSL)
find_package(tl-expected REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(seccomp REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(prometheus REQUIRED IMPORTED_TARGET prometheus-cpp-core)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)

if(PHASE_TESTS)
  find_package(GTest REQUIRED)
  find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)
  pkg_check_modules(cbor REQUIRED IMPORTED_TARGET libcbor)
  find_path(RAPIDCHECK_INCLUDE rapidcheck.h REQUIRED)
  find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
endif()

# Asio and Beast, header-only: no exceptions are hidden, no deprecated names, one place for the definitions.
add_library(phase_asio INTERFACE)
target_link_libraries(phase_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(phase_asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_REGEX)
