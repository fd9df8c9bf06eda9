#include "proof/reference/execute.h"

#include "proof/reference/float_internal.h"
#include "proof/reference/handler_internal.h"
#include "proof/reference/integer_internal.h"
#include "proof/reference/memory_internal.h"

namespace phase::reference {
namespace {

// ---- control, WebAssembly 2.0 §4.4.8, §4.4.10
// ----------------------------------------------------

void unreachable(Machine& machine, u32 /*a*/) {
  machine.end(Stop::unreachable);
}

/// The beginning of a basic block: all of it is paid for at once, if what came before was.
void charge(Machine& machine, u32 /*a*/) {
  if (machine.fuel < 0) return machine.end(Stop::fuel);
  machine.fuel -= *machine.pc++;
}

/// The first word of the code that runs.
const u32* code_of(const Machine& machine) {
  return machine.frame[-1].code;
}

/// Goes where `words` say; `arity` operands go along.
void branch(Machine& machine, const u32* words, u32 arity) {
  Slot* const from = machine.top - arity;
  Slot* const to = from - words[1];
  if (to != from) {
    for (u32 i = 0; i < arity; ++i) to[i] = from[i];
  }
  machine.top = to + arity;
  machine.pc = code_of(machine) + words[0];
}

void br(Machine& machine, u32 a) {
  branch(machine, machine.pc, a);
}

void br_if(Machine& machine, u32 a) {
  const u32* words = machine.pc;
  machine.pc += kBranchWords;
  if (static_cast<u32>(machine.pop()) != 0) branch(machine, words, a);
}

void br_table(Machine& machine, u32 a) {
  const auto index = static_cast<u32>(machine.pop());
  const u32 last = *machine.pc++;
  branch(machine, machine.pc + kBranchWords * (index < last ? index : last), a);
}

void jump(Machine& machine, u32 /*a*/) {
  machine.pc = code_of(machine) + *machine.pc;
}

void br_unless(Machine& machine, u32 /*a*/) {
  const u32 target = *machine.pc++;
  if (static_cast<u32>(machine.pop()) == 0) machine.pc = code_of(machine) + target;
}

/// §4.4.10.1. The parameters are the top slots.
void enter(Machine& machine, const Function& function) {
  if (function.host != nullptr) {
    Slot* const values = machine.top - function.parameters;
    if (values + function.results > machine.stack_end) return machine.end(Stop::stack);
    function.host(machine, function.context, values);
    machine.top = values + function.results;
    return;
  }
  const u64 wanted = u64{function.locals} + function.stack_slots;
  if (machine.frame == machine.frames_end ||
      static_cast<u64>(machine.stack_end - machine.top) < wanted) {
    return machine.end(Stop::stack);
  }
  *machine.frame++ = {machine.pc, machine.locals, machine.instance, function.code};
  machine.locals = machine.top - function.parameters;
  for (u32 i = 0; i < function.locals; ++i) machine.push(0);
  machine.instance = function.home;
  machine.pc = function.code;
}

void call_function(Machine& machine, u32 /*a*/) {
  const Function& function = *machine.instance->functions[*machine.pc++];
  if (machine.fuel < 0) return machine.end(Stop::fuel);
  enter(machine, function);
}

void call_indirect(Machine& machine, u32 a) {
  const Table& table = *machine.instance->tables[a];
  const u32 type = machine.instance->types[*machine.pc++];
  const auto index = static_cast<u32>(machine.pop());
  if (index >= table.size) return machine.end(Stop::undefined_element);
  const Slot reference = table.elements[index];
  if (reference == 0) return machine.end(Stop::uninitialized_element);
  const Function& function = *to_function(reference);
  if (function.type != type) return machine.end(Stop::indirect_call_type);
  if (machine.fuel < 0) return machine.end(Stop::fuel);
  enter(machine, function);
}

/// §4.4.10.2. `a` results go to where the parameters began.
void return_from(Machine& machine, u32 a) {
  if (machine.fuel < 0) return machine.end(Stop::fuel);
  const Slot* from = machine.top - a;
  for (u32 i = 0; i < a; ++i) machine.locals[i] = from[i];
  machine.top = machine.locals + a;
  const Frame& frame = *--machine.frame;
  machine.pc = frame.pc;
  machine.locals = frame.locals;
  machine.instance = frame.instance;
  if (machine.pc == nullptr) machine.end(Stop::returned);
}

// ---- parametric and variable, §4.4.4, §4.4.5, and references, §4.4.2
// -----------------------------

void drop(Machine& machine, u32 /*a*/) {
  machine.pop();
}

void select(Machine& machine, u32 /*a*/) {
  const auto condition = static_cast<u32>(machine.pop());
  const Slot second = machine.pop();
  if (condition == 0) machine.top[-1] = second;
}

void local_get(Machine& machine, u32 /*a*/) {
  machine.push(machine.locals[*machine.pc++]);
}
void local_set(Machine& machine, u32 /*a*/) {
  machine.locals[*machine.pc++] = machine.pop();
}
void local_tee(Machine& machine, u32 /*a*/) {
  machine.locals[*machine.pc++] = machine.top[-1];
}
void global_get(Machine& machine, u32 /*a*/) {
  machine.push(machine.instance->globals[*machine.pc++]->value);
}
void global_set(Machine& machine, u32 /*a*/) {
  machine.instance->globals[*machine.pc++]->value = machine.pop();
}

void constant32(Machine& machine, u32 /*a*/) {
  machine.push(*machine.pc++);
}
void constant64(Machine& machine, u32 /*a*/) {
  machine.push(machine.pc[0] | u64{machine.pc[1]} << 32);
  machine.pc += 2;
}

void ref_null(Machine& machine, u32 /*a*/) {
  machine.push(0);
}
void ref_func(Machine& machine, u32 /*a*/) {
  machine.push(to_reference(machine.instance->functions[*machine.pc++]));
}

// ---- the table of all
// ----------------------------------------------------------------------------

struct Handlers {
  Handler of[kOperatorCount] = {};

  template <u32 N>
  consteval void put(u32 first, const Handler (&handlers)[N]) {
    for (u32 i = 0; i < N; ++i) of[first + i] = handlers[i];
  }
  consteval void put_control() {
    of[kUnreachable] = unreachable;
    of[kBr] = br;
    of[kBrIf] = br_if;
    of[kBrTable] = br_table;
    of[kReturn] = return_from;
    of[kCall] = call_function;
    of[kCallIndirect] = call_indirect;
    of[kDrop] = drop;
    of[kSelect] = select;
    of[kCharge] = charge;
    of[kJump] = jump;
    of[kBrUnless] = br_unless;
  }
  consteval void put_values() {
    of[kLocalGet] = local_get;
    of[kLocalSet] = local_set;
    of[kLocalTee] = local_tee;
    of[kGlobalGet] = global_get;
    of[kGlobalSet] = global_set;
    of[kI32Const] = of[kF32Const] = constant32;
    of[kI64Const] = of[kF64Const] = constant64;
    of[kRefNull] = ref_null;
    of[kRefIsNull] = unary<u64>([](u64 a) -> u32 { return a == 0; });
    of[kRefFunc] = ref_func;
  }
  consteval void put_memory() {
    put(kLoadFirst, kAccesses);
    of[kMemorySize] = memory_size;
    of[kMemoryGrow] = memory_grow;
    of[kMemoryInit] = memory_init;
    of[kDataDrop] = data_drop;
    of[kMemoryCopy] = memory_copy;
    of[kMemoryFill] = memory_fill;
    of[kTableGet] = table_get;
    of[kTableSet] = table_set;
    of[kTableInit] = table_init;
    of[kElemDrop] = elem_drop;
    of[kTableCopy] = table_copy;
    of[kTableGrow] = table_grow;
    of[kTableSize] = table_size;
    of[kTableFill] = table_fill;
  }
  consteval Handlers() {
    put_control();
    put_values();
    put_memory();
    put(0x45, IntegerRules<u32, s32>::kRelations);
    put(0x50, IntegerRules<u64, s64>::kRelations);
    put(0x5B, FloatRules<Binary32>::kRelations);
    put(0x61, FloatRules<Binary64>::kRelations);
    put(0x67, IntegerRules<u32, s32>::kOperations);
    put(0x79, IntegerRules<u64, s64>::kOperations);
    put(0x8B, FloatRules<Binary32>::kOperations);
    put(0x99, FloatRules<Binary64>::kOperations);
    put(0xA7, kConversions);
    put(0xC0, kSignExtensions);
    put(kTruncSatFirst, kSaturating);
  }
};
constexpr Handlers kHandlers;

}  // namespace

void call(Machine& machine, const Function& function) {
  machine.top += function.parameters;
  machine.pc = nullptr;  // the outermost return ends the run
  enter(machine, function);
  if (function.host != nullptr) machine.end(Stop::returned);
  while (machine.stop == Stop::none) {
    const u32 word = *machine.pc++;
    kHandlers.of[word & 0xFFFF](machine, word >> 16);
  }
  if (machine.stop == Stop::returned) machine.top -= function.results;
}

int64_t fuel_unreached(const Machine& machine) {
  // From behind the operator that trapped to the end of its basic block.
  int64_t out = 0;
  for (const u32* at = machine.pc;; at += words_of(at)) {
    const u32 op = at[0] & 0xFFFF;
    if (op == kCharge) return out;
    out += cost_of(op);
    if (ends_block(op)) return out;
  }
}

}  // namespace phase::reference
