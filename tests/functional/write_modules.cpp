// Writes modules for the functional tests as files: write_modules FOLDER
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string_view>
#include <utility>

#include "tests/hostile/modules.h"

namespace {

using phase::Bytes;

/// Writes its arguments, then its environment, each with a NUL after it; exits with the number of
/// arguments after argv[0].
constexpr std::string_view kArguments = R"((module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $env_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 4)
  (func $put (param $bytes i32)
    (i32.store (i32.const 16) (i32.const 65536))
    (i32.store (i32.const 20) (local.get $bytes))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24))))
  (func (export "_start") (local $count i32)
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (local.set $count (i32.load (i32.const 0)))
    (drop (call $args (i32.const 1024) (i32.const 65536)))
    (call $put (i32.load (i32.const 4)))
    (drop (call $env_sizes (i32.const 0) (i32.const 4)))
    (drop (call $env (i32.const 1024) (i32.const 65536)))
    (call $put (i32.load (i32.const 4)))
    (call $exit (i32.sub (local.get $count) (i32.const 1))))))";

/// Writes "out" and "err" to their streams, then traps.
constexpr std::string_view kTrap = R"((module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\03\00\00\00\13\00\00\00\03\00\00\00outerr")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (drop (call $write (i32.const 2) (i32.const 8) (i32.const 1) (i32.const 32)))
    unreachable)))";

/// Writes "ready", then sleeps for an hour.
constexpr std::string_view kReadyThenSleep = R"((module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 200) "\d0\00\00\00\05\00\00\00ready")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 200) (i32.const 1) (i32.const 220)))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (i32.store (i32.const 16) (i32.const 1))
    (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))))";

bool write(const std::filesystem::path& path, const Bytes& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return file.good();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace phase::hostile;
  if (argc != 2) {
    std::cerr << "write_modules FOLDER\n";
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::pair<const char*, std::string_view> texts[] = {
      {"arguments", kArguments},
      {"trap", kTrap},
      {"ready_then_sleep", kReadyThenSleep},
      {"endless_loop", kEndlessLoop},
      {"memory_bomb", kMemoryBomb},
      {"memory_from_start", kMemoryFromStart},
      {"table_bomb", kTableBomb},
      {"recursion", kRecursion},
      {"output_flood", kOutputFlood},
      {"memory_fill", kMemoryFill},
      {"blocked_stdin", kBlockedStdin},
      {"undefined_import", kUndefinedImport},
  };
  bool good =
      write(folder / "malformed.wasm", phase::to_bytes("\x7f"
                                                       "ELF is not a module")) &&
      write(folder / "compile_bomb.wasm", compile_bomb(80, 200'000));  // 48 MB, just under the cap
  for (const auto& [name, text] : texts) {
    good = good && write(folder / (std::string(name) + ".wasm"), from_wat(text));
  }
  return good ? 0 : 1;
}
