// operators.h — the operators of lowered code.
//
// Lowered code is a row of 32-bit words, made by validation (lower.h) from a module's bytes: each
// operator is one word, its number in the low half and a small immediate `a` in the high half,
// followed by its other immediates. Numbers are those of the binary format (WebAssembly 2.0 §5.4);
// those behind the prefix 0xFC are 0x100 and on, our own 0x120 and on. Structure is gone: branches
// say where they go and which operands go along.
#pragma once

#include <stdint.h>

namespace phase::reference {

// clang-format off
enum Operator : uint16_t {
  kUnreachable = 0x00, kBr = 0x0C, kBrIf = 0x0D, kBrTable = 0x0E, kReturn = 0x0F, kCall = 0x10,
  kCallIndirect = 0x11, kDrop = 0x1A, kSelect = 0x1B, kLocalGet = 0x20, kLocalSet = 0x21,
  kLocalTee = 0x22, kGlobalGet = 0x23, kGlobalSet = 0x24, kTableGet = 0x25, kTableSet = 0x26,
  kLoadFirst = 0x28, kLoadLast = 0x35, kStoreFirst = 0x36, kStoreLast = 0x3E,
  kMemorySize = 0x3F, kMemoryGrow = 0x40,
  kI32Const = 0x41, kI64Const = 0x42, kF32Const = 0x43, kF64Const = 0x44,
  kNumericFirst = 0x45, kNumericLast = 0xC4,
  kRefNull = 0xD0, kRefIsNull = 0xD1, kRefFunc = 0xD2,
  kTruncSatFirst = 0x100, kTruncSatLast = 0x107, kMemoryInit = 0x108, kDataDrop = 0x109,
  kMemoryCopy = 0x10A, kMemoryFill = 0x10B, kTableInit = 0x10C, kElemDrop = 0x10D,
  kTableCopy = 0x10E, kTableGrow = 0x10F, kTableSize = 0x110, kTableFill = 0x111,
  // Ours.
  kCharge = 0x120,    ///< word: fuel of the basic block that begins here
  kJump = 0x121,      ///< word: target; no operand moves (the end of `then`)
  kBrUnless = 0x122,  ///< word: target; no operand moves (`if`)
  kOperatorCount = 0x123,
};
// clang-format on

/// `br`, `br_if` and each entry of `br_table` take two words besides: the target (a word's index in
/// the function's code), and how many slots the target's stack stands below the operands that go
/// along; `a` (for br_table: the operator's) says how many those are.
inline constexpr uint32_t kBranchWords = 2;

/// Words of the operator at `at`, with its immediates.
[[nodiscard]] constexpr uint32_t words_of(const uint32_t* at) {
  switch (at[0] & 0xFFFF) {
    case kBr:
    case kBrIf:
      return 1 + kBranchWords;
    case kBrTable:
      return 2 + kBranchWords * (at[1] + 1);
    case kI64Const:
    case kF64Const:
    case kTableInit:
    case kTableCopy:
      return 3;
    case kUnreachable:
    case kReturn:
    case kDrop:
    case kSelect:
    case kMemorySize:
    case kMemoryGrow:
    case kRefNull:
    case kRefIsNull:
    case kMemoryCopy:
    case kMemoryFill:
      return 1;
    default: {
      const uint32_t op = at[0] & 0xFFFF;
      const bool numeric = op >= kNumericFirst && op <= kNumericLast;
      return numeric || (op >= kTruncSatFirst && op <= kTruncSatLast) ? 1 : 2;
    }
  }
}

/// Fuel of an operator (spec/fuel.md §2), without what grows with its operands. `block`, `loop`,
/// `else`, `end` and `nop` are no operators here and cost nothing; `if` is kBrUnless.
[[nodiscard]] constexpr uint32_t cost_of(uint32_t op) {
  switch (op) {
    case kDrop:
    case kReturn:
    case kUnreachable:
    case kCharge:
    case kJump:
      return 0;
    default:
      return 1;
  }
}

/// The next operator that costs something begins with a kCharge.
[[nodiscard]] constexpr bool ends_block(uint32_t op) {
  return op == kUnreachable || (op >= kBr && op <= kCallIndirect) || op == kJump || op == kBrUnless;
}

}  // namespace phase::reference
