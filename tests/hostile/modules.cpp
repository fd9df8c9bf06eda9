#include "tests/hostile/modules.h"

#include <wasm.h>
#include <wasmtime.h>

#include "base/check.h"

namespace phase::hostile {

const std::string_view kEndlessLoop = R"((module
  (func (export "_start") (loop $again (br $again)))))";

const std::string_view kMemoryBomb = R"((module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\01\00\00\00g")
  (func (export "_start") (local $page i32)
    (block $full
      (loop $again
        (local.set $page (memory.grow (i32.const 1)))
        (br_if $full (i32.eq (local.get $page) (i32.const -1)))
        (i32.store (i32.shl (local.get $page) (i32.const 16)) (i32.const 1))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
        (br $again))))))";

const std::string_view kMemoryFromStart = R"((module
  (memory (export "memory") 4096)
  (func (export "_start"))))";

const std::string_view kTableBomb = R"((module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (table $t 1 funcref)
  (func (export "_start") (local $times i32)
    (block $full
      (loop $again
        (br_if $full (i32.eq (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1)))
        (local.set $times (i32.add (local.get $times) (i32.const 1)))
        (br $again)))
    (call $exit (i32.rem_u (local.get $times) (i32.const 100))))))";

const std::string_view kTableFromStart = R"((module
  (table 10000000 funcref)
  (func (export "_start"))))";

const std::string_view kRecursion = R"((module
  (func $f (param i32) (result i32)
    (i32.add (call $f (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func (export "_start") (drop (call $f (i32.const 0))))))";

const std::string_view kOutputFlood = R"((module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\00\01\00\00\e8\03\00\00")
  (func (export "_start")
    (loop $again
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
      (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
      (br $again)))))";

const std::string_view kMemoryFill = R"((module
  (memory (export "memory") 1024)
  (func (export "_start")
    (loop $again
      (memory.fill (i32.const 0) (i32.const 7) (i32.const 67108864))
      (br $again)))))";

const std::string_view kBlockedStdin = R"((module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\01\00\00\10\00\00\00")
  (func (export "_start")
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16))))))";

const std::string_view kSleeper = R"((module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (i32.store (i32.const 16) (i32.const 1))
    (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))))";

const std::string_view kUndefinedImport = R"((module
  (import "env" "system" (func $system (param i32) (result i32)))
  (func (export "_start") (drop (call $system (i32.const 0))))))";

const std::string_view kWrongImportType = R"((module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i64) (result i64)))
  (func (export "_start") (drop (call $write (i64.const 0))))))";

const std::string_view kEndlessStart = R"((module
  (func $s (loop $again (br $again)))
  (start $s)
  (func (export "_start"))))";

const std::string_view kBadPointers = R"((module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\f0\ff\ff\ff\ff\ff\ff\ff")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
    (drop (call $write (i32.const 1) (i32.const -4) (i32.const 1) (i32.const 16)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 16)))
    (call $exit (call $random (i32.const 65535) (i32.const 2))))))";

const std::string_view kReactor = R"((module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $set (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $set (i32.const 5)))
  (func (export "work") (call $exit (global.get $set)))))";

Bytes from_wat(std::string_view text) {
  wasm_byte_vec_t binary;
  wasmtime_error_t* error = wasmtime_wat2wasm(text.data(), text.size(), &binary);
  PHASE_CHECK(error == nullptr);
  Bytes out(binary.data, binary.data + binary.size);
  wasm_byte_vec_delete(&binary);
  return out;
}

namespace {

void put_u32(Bytes& out, std::size_t value) {
  do {
    const auto low = static_cast<std::uint8_t>(value & 0x7f);
    value >>= 7;
    out.push_back(value == 0 ? low : static_cast<std::uint8_t>(low | 0x80));
  } while (value != 0);
}

void put_section(Bytes& out, std::uint8_t id, const Bytes& body) {
  out.push_back(id);
  put_u32(out, body.size());
  out.insert(out.end(), body.begin(), body.end());
}

}  // namespace

Bytes compile_bomb(std::size_t functions, std::size_t operations) {
  // (func (param i32 i32) (result i32) local.get 0, then: local.get 1; i32.rotl; local.get 0;
  // i32.mul …)
  Bytes body = {0x00, 0x20, 0x00};
  for (std::size_t i = 0; i < operations; i++) {
    body.insert(body.end(), {0x20, static_cast<std::uint8_t>(i % 2),
                             static_cast<std::uint8_t>(i % 3 == 0 ? 0x77 : 0x6c)});
  }
  body.push_back(0x0b);
  Bytes functypes = {0x02, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f, 0x60, 0x00, 0x00};
  Bytes declared, code;
  put_u32(declared, functions + 1);
  put_u32(code, functions + 1);
  for (std::size_t i = 0; i < functions; i++) {
    declared.push_back(0x00);
    put_u32(code, body.size());
    code.insert(code.end(), body.begin(), body.end());
  }
  declared.push_back(0x01);
  code.insert(code.end(), {0x02, 0x00, 0x0b});
  Bytes exported = {0x01, 0x06, '_', 's', 't', 'a', 'r', 't', 0x00};
  put_u32(exported, functions);
  Bytes out = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00};
  put_section(out, 1, functypes);
  put_section(out, 3, declared);
  put_section(out, 7, exported);
  put_section(out, 10, code);
  return out;
}

}  // namespace phase::hostile
