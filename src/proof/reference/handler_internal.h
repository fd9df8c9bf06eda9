// handler_internal.h — what carries out one operator, and ways to make one out of a rule.
#pragma once

#include "proof/reference/machine.h"
#include "proof/reference/operators.h"

namespace phase::reference {

/// Carries out the operator whose word was just read; `a` is its small immediate. Further words are
/// at `machine.pc`, which it moves over them.
using Handler = void (*)(Machine& machine, uint32_t a);

using u32 = uint32_t;
using u64 = uint64_t;
using s32 = int32_t;
using s64 = int64_t;

/// Of a rule R(A): pops an A, pushes what the rule says.
template <typename A, typename Rule>
consteval Handler unary(Rule /*unused*/) {
  return [](Machine& machine, uint32_t /*a*/) {
    Slot& top = machine.top[-1];
    top = Rule{}(static_cast<A>(top));
  };
}
/// Of a rule R(A, A).
template <typename A, typename Rule>
consteval Handler binary(Rule /*unused*/) {
  return [](Machine& machine, uint32_t /*a*/) {
    const auto second = static_cast<A>(machine.pop());
    Slot& top = machine.top[-1];
    top = Rule{}(static_cast<A>(top), second);
  };
}
/// Of a rule R(Machine&, A, A), which may end the run.
template <typename A, typename Rule>
consteval Handler partial_binary(Rule /*unused*/) {
  return [](Machine& machine, uint32_t /*a*/) {
    const auto second = static_cast<A>(machine.pop());
    Slot& top = machine.top[-1];
    top = Rule{}(machine, static_cast<A>(top), second);
  };
}
/// Of a rule R(Machine&, A), which may end the run.
template <typename A, typename Rule>
consteval Handler partial_unary(Rule /*unused*/) {
  return [](Machine& machine, uint32_t /*a*/) {
    Slot& top = machine.top[-1];
    top = Rule{}(machine, static_cast<A>(top));
  };
}

}  // namespace phase::reference
