// machine.h — the state of a running module, and the parts of it that modules share.
//
// WebAssembly 2.0 §4.2 (runtime structure), less vectors. What executes (execute.h, the handlers)
// stands on <stdint.h> alone: the same source runs inside the prover's machine, which has no C++
// library. Whoever instantiates a module (instance.h) owns everything pointed to here; nothing here
// allocates.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace phase::reference {

/// A value on the operand stack or in a local. i32 and f32 stand in the low half, the high half is
/// zero; a reference is the address of what it refers to, null is 0.
using Slot = uint64_t;

inline constexpr uint32_t kPageBytes = 65'536;    ///< §4.2.8
inline constexpr uint32_t kPagesMax = 65'536;     ///< §2.3.4: 4 GiB
inline constexpr uint32_t kRefused = 0xFFFFFFFF;  ///< what a `grow` that failed leaves behind

/// Why a run is at its end.
enum class Stop : uint8_t {
  none = 0,  ///< still running
  returned,
  host,  ///< a host function ended the run; it knows why
  // Traps, §4.4.
  unreachable,
  divide_by_zero,
  integer_overflow,
  invalid_conversion,
  out_of_bounds_memory,
  out_of_bounds_table,
  undefined_element,      ///< call_indirect beyond the table
  uninitialized_element,  ///< call_indirect of null
  indirect_call_type,
  // Limits: what a run came to depends on how much it was given.
  stack,
  fuel,
};
[[nodiscard]] constexpr bool is_trap(Stop stop) {
  return stop >= Stop::unreachable && stop <= Stop::indirect_call_type;
}
[[nodiscard]] constexpr bool is_limit(Stop stop) {
  return stop >= Stop::stack;
}

struct Machine;
struct Instance;

/// A function outside: takes its parameters from `values` and leaves its results there. To end the
/// run it calls `machine.end(Stop::host)` or another.
using HostFunction = void (*)(Machine& machine, void* context, Slot* values);

/// §4.2.6. Lowered code, or a host's.
struct Function {
  uint32_t type = 0;  ///< equal numbers are equal types, in all modules of one Types
  uint32_t parameters = 0;
  uint32_t results = 0;
  uint32_t locals = 0;       ///< declared ones, without parameters; they begin as zero
  uint32_t stack_slots = 0;  ///< of operands at once, the most
  const uint32_t* code = nullptr;
  Instance* home = nullptr;  ///< whose memory, tables and globals the code means
  HostFunction host = nullptr;
  void* context = nullptr;  ///< of `host`
};

/// §4.2.8. `bytes` has room for `pages_max` pages; those from `pages` on are zero.
struct Memory {
  uint8_t* bytes = nullptr;
  uint32_t pages = 0;
  uint32_t pages_max = 0;
  [[nodiscard]] uint64_t length() const { return uint64_t{pages} * kPageBytes; }
};

/// §4.2.7. `elements` has room for `size_max`.
struct Table {
  Slot* elements = nullptr;
  uint32_t size = 0;
  uint32_t size_max = 0;
};

/// §4.2.9.
struct Global {
  Slot value = 0;
};

/// §4.2.10, §4.2.11. Dropped: length 0.
struct DataSegment {
  const uint8_t* bytes = nullptr;
  uint32_t length = 0;
};
struct ElementSegment {
  const Slot* references = nullptr;
  uint32_t length = 0;
};

/// §4.2.5: index → what it means in this module.
struct Instance {
  const uint32_t* types = nullptr;  ///< their numbers (Function::type)
  Function** functions = nullptr;
  Table** tables = nullptr;
  Memory* memory = nullptr;
  Global** globals = nullptr;
  DataSegment* data = nullptr;
  ElementSegment* elements = nullptr;
};

[[nodiscard]] inline Slot to_reference(const Function* function) {
  return reinterpret_cast<uintptr_t>(function);
}
[[nodiscard]] inline const Function* to_function(Slot reference) {
  return reinterpret_cast<const Function*>(static_cast<uintptr_t>(reference));
}

/// §4.2.14: where the caller goes on.
struct Frame {
  const uint32_t* pc;
  Slot* locals;
  Instance* instance;
  const uint32_t* code;  ///< of the one called
};

/// One thread of execution. The operand stack grows upwards; a function's locals are the slots
/// below its operands, its parameters the first of them, where the caller left them.
struct Machine {
  const uint32_t* pc = nullptr;  ///< the word after the one being executed
  Slot* top = nullptr;           ///< the first free slot
  Slot* locals = nullptr;
  Instance* instance = nullptr;

  Slot* stack_end = nullptr;
  Frame* frame = nullptr;  ///< the first free frame
  Frame* frames_end = nullptr;

  /// Fuel left (spec/fuel.md). Below zero: the block being executed is not paid for; what it does
  /// before it traps still counts, the next block, call or return does not happen.
  int64_t fuel = 0;
  Stop stop = Stop::none;

  void end(Stop why) {
    if (stop == Stop::none) stop = why;
  }
  Slot pop() { return *--top; }
  void push(Slot value) { *top++ = value; }
};

}  // namespace phase::reference
