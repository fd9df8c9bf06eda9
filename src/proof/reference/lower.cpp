#include <algorithm>
#include <array>

#include "proof/reference/context_internal.h"
#include "proof/reference/operators.h"
#include "proof/reference/reader_internal.h"

namespace phase::reference {
namespace {

using enum ValueType;
using TypeList = std::vector<ValueType>;

/// What stands where a branch's target is not known yet.
constexpr std::uint32_t kUnknown = 0xFFFFFFFF;
constexpr std::uint32_t kDepthMax = 10'000;     ///< blocks within each other
constexpr std::uint32_t kOperandsMax = 60'000;  ///< on the stack at once
constexpr std::uint32_t kBranchTableMax = 1'000'000;

// Operators that only structure has.
enum Structure : std::uint8_t {
  kNop = 0x01,
  kBlock = 0x02,
  kLoop = 0x03,
  kIf = 0x04,
  kElse = 0x05,
  kEnd = 0x0B,
  kSelectTyped = 0x1C,
  kPrefixed = 0xFC,
  kVector = 0xFD,
};

/// §A.3, ctrl_frame, and where its branches lead.
struct Control {
  std::uint8_t op = kBlock;
  TypeList start, end;
  std::size_t height = 0;
  bool unreachable = false;
  bool dead = false;                   ///< it stands in unreachable code: nothing is emitted
  std::uint32_t target = kUnknown;     ///< of a loop
  std::vector<std::uint32_t> ends;     ///< words that wait for the place of its `end`
  std::uint32_t otherwise = kUnknown;  ///< the word that waits for its `else`

  [[nodiscard]] const TypeList& label() const { return op == kLoop ? start : end; }
};

/// Types of a numeric operator: parameters and the result.
struct Signature {
  ValueType operand;
  std::uint8_t operands;
  ValueType result;
};

/// 0x45 to 0xC4, as §5.4.7 numbers them.
Signature numeric(std::uint32_t op) {
  if (op == 0x45) return {i32, 1, i32};
  if (op <= 0x4F) return {i32, 2, i32};
  if (op == 0x50) return {i64, 1, i32};
  if (op <= 0x5A) return {i64, 2, i32};
  if (op <= 0x60) return {f32, 2, i32};
  if (op <= 0x66) return {f64, 2, i32};
  if (op <= 0x69) return {i32, 1, i32};
  if (op <= 0x78) return {i32, 2, i32};
  if (op <= 0x7B) return {i64, 1, i64};
  if (op <= 0x8A) return {i64, 2, i64};
  if (op <= 0x91) return {f32, 1, f32};
  if (op <= 0x98) return {f32, 2, f32};
  if (op <= 0x9F) return {f64, 1, f64};
  if (op <= 0xA6) return {f64, 2, f64};
  if (op >= 0xC2) return {i64, 1, i64};
  if (op >= 0xC0) return {i32, 1, i32};
  constexpr std::array<Signature, 0xC0 - 0xA7> kConversions = {{
      {i64, 1, i32}, {f32, 1, i32}, {f32, 1, i32}, {f64, 1, i32}, {f64, 1, i32},
      {i32, 1, i64}, {i32, 1, i64}, {f32, 1, i64}, {f32, 1, i64}, {f64, 1, i64},
      {f64, 1, i64}, {i32, 1, f32}, {i32, 1, f32}, {i64, 1, f32}, {i64, 1, f32},
      {f64, 1, f32}, {i32, 1, f64}, {i32, 1, f64}, {i64, 1, f64}, {i64, 1, f64},
      {f32, 1, f64}, {f32, 1, i32}, {f64, 1, i64}, {i32, 1, f32}, {i64, 1, f64},
  }};
  return kConversions.at(op - 0xA7);
}

/// 0x28 to 0x3E: the value's type, and log2 of the bytes.
struct Access {
  ValueType type;
  std::uint8_t align_max;
};
constexpr std::array<Access, kStoreLast - kLoadFirst + 1> kAccessTypes = {{
    {i32, 2}, {i64, 3}, {f32, 2}, {f64, 3}, {i32, 0}, {i32, 0}, {i32, 1}, {i32, 1},
    {i64, 0}, {i64, 0}, {i64, 1}, {i64, 1}, {i64, 2}, {i64, 2}, {i32, 2}, {i64, 3},
    {f32, 2}, {f64, 3}, {i32, 0}, {i32, 1}, {i64, 0}, {i64, 1}, {i64, 2},
}};

class Lowering {
 public:
  Lowering(const Context& context, const FunctionDefinition& function)
      : context_(context),
        module_(*context.module),
        in_(function.code, function.position),
        type_(module_.types[function.type]) {
    locals_ = type_.parameters;
    locals_.insert(locals_.end(), function.locals.begin(), function.locals.end());
    out_.type = function.type;
    out_.locals = static_cast<std::uint32_t>(function.locals.size());
  }

  Result<FunctionCode> run() {
    if (locals_.size() > kLocalsMax) in_.fail_with(Code::too_large, "too many locals");
    push_control(kBlock, {}, type_.results);
    cost(1);  // of entering it
    while (!in_.failed() && !controls_.empty()) {
      if (in_.at_end()) {
        in_.malformed("unexpected end");
        break;
      }
      operation();
    }
    if (!in_.failed() && !in_.at_end()) in_.malformed("END opcode expected: operators after it");
    PHASE_TRY_VOID(in_.done());
    return std::move(out_);
  }

 private:
  // ---- the two stacks of §A.3 ----

  void invalid(const char* what) { in_.fail_with(Code::invalid_argument, what); }

  void push(ValueType type) {
    values_.push_back(type);
    if (values_.size() > kOperandsMax) in_.fail_with(Code::too_large, "too many operands");
    out_.stack_slots = std::max(out_.stack_slots, static_cast<std::uint32_t>(values_.size()));
  }
  void push(const TypeList& types) {
    for (const ValueType type : types) push(type);
  }
  ValueType pop() {
    if (controls_.empty()) return any;
    const Control& top = controls_.back();
    if (values_.size() == top.height) {
      if (!top.unreachable) invalid("type mismatch: nothing on the stack");
      return any;
    }
    const ValueType out = values_.back();
    values_.pop_back();
    return out;
  }
  ValueType pop(ValueType wanted) {
    const ValueType found = pop();
    if (found != wanted && found != any && wanted != any) invalid("type mismatch");
    return found == any ? wanted : found;
  }
  void pop(const TypeList& types) {
    for (auto type = types.rbegin(); type != types.rend(); ++type) pop(*type);
  }
  void push_control(std::uint8_t op, TypeList start, TypeList end) {
    Control control;
    control.op = op;
    control.dead = dead();
    control.height = values_.size();
    control.start = std::move(start);
    control.end = std::move(end);
    if (op == kLoop) control.target = place();
    controls_.push_back(std::move(control));
    if (controls_.size() > kDepthMax) in_.fail_with(Code::too_large, "too many nested blocks");
    push(controls_.back().start);
  }
  void pop_results(const Control& control) {
    pop(control.end);
    if (values_.size() != control.height) invalid("type mismatch: values remain on the stack");
  }
  void set_unreachable() {
    values_.resize(std::min(values_.size(), controls_.back().height));
    controls_.back().unreachable = true;
  }
  /// The control a branch means, or null after an error.
  Control* label(std::uint32_t depth) {
    if (depth >= controls_.size()) {
      invalid("unknown label");
      return nullptr;
    }
    return &controls_[controls_.size() - 1 - depth];
  }

  // ---- code ----

  [[nodiscard]] bool dead() const {
    return !controls_.empty() && (controls_.back().dead || controls_.back().unreachable);
  }
  [[nodiscard]] std::uint32_t place() const {
    return static_cast<std::uint32_t>(out_.words.size());
  }
  void word(std::uint32_t value) {
    if (!dead()) out_.words.push_back(value);
  }
  /// A new basic block begins with the next operator.
  void new_block() { charge_ = kUnknown; }
  /// Adds to what the present basic block costs.
  void cost(std::uint32_t fuel) {
    if (dead()) return;
    if (charge_ == kUnknown) {
      charge_ = place();
      word(kCharge);
      word(0);
    }
    out_.words[charge_ + 1] += fuel;
  }
  void emit(std::uint32_t op, std::uint32_t a = 0) {
    if (cost_of(op) != 0) cost(cost_of(op));
    word(op | a << 16);
  }
  void emit_with(std::uint32_t op, std::uint32_t immediate) {
    emit(op);
    word(immediate);
  }
  /// The two words of a branch; its operands are on the stack.
  void branch_words(Control& to) {
    if (dead()) return;
    if (to.op == kLoop) {
      word(to.target);
    } else {
      to.ends.push_back(place());
      word(kUnknown);
    }
    word(static_cast<std::uint32_t>(values_.size() - to.label().size() - to.height));
  }
  void resolve(std::uint32_t at) { out_.words[at] = place(); }

  // ---- control ----

  TypeList results_of(std::int64_t block_type, TypeList& start) {
    if (block_type >= 0) {
      if (static_cast<std::uint64_t>(block_type) >= module_.types.size()) {
        invalid("unknown type");
        return {};
      }
      const FunctionType& type = module_.types[static_cast<std::size_t>(block_type)];
      start = type.parameters;
      return type.results;
    }
    constexpr std::int64_t kEmpty = -64;
    if (block_type == kEmpty) return {};
    const auto byte = static_cast<std::uint8_t>(block_type & 0x7F);
    const std::array one = {byte};
    Reader type(one, in_.position());
    const ValueType result = type.value_type();
    if (const auto read = type.done(); !read || block_type < kEmpty) {
      in_.fail_with(read ? Code::malformed : read.error().code, "malformed block type");
    }
    return {result};
  }

  void begin(std::uint8_t op) {
    TypeList start;
    TypeList end = results_of(in_.s33(), start);
    if (op == kIf) pop(i32);
    pop(start);
    std::uint32_t otherwise = kUnknown;
    if (op == kIf) {
      emit(kBrUnless);
      if (!dead()) otherwise = place();
      word(kUnknown);
    }
    if (op != kBlock) new_block();
    push_control(op, std::move(start), std::move(end));
    controls_.back().otherwise = otherwise;
  }

  void otherwise() {
    Control& control = controls_.back();
    if (control.op != kIf) return in_.malformed("else without if");
    pop_results(control);
    if (!dead()) {
      word(kJump);
      control.ends.push_back(place());
      word(kUnknown);
    }
    control.unreachable = false;
    if (!control.dead) resolve(control.otherwise);
    control.otherwise = kUnknown;
    control.op = kElse;
    new_block();
    push(control.start);
  }

  void end() {
    pop_results(controls_.back());
    const Control control = std::move(controls_.back());
    if (control.op == kIf && control.start != control.end) {
      invalid("type mismatch: if without else gives what it takes");
    }
    controls_.pop_back();
    for (const std::uint32_t at : control.ends) resolve(at);
    if (!control.dead && control.otherwise != kUnknown) resolve(control.otherwise);
    push(control.end);
    new_block();
    if (controls_.empty()) word(kReturn | static_cast<std::uint32_t>(control.end.size()) << 16);
  }

  void branch(std::uint32_t op) {
    Control* to = label(in_.u32());
    if (to == nullptr) return;
    if (op == kBrIf) pop(i32);
    pop(to->label());
    push(to->label());
    emit(op, static_cast<std::uint32_t>(to->label().size()));
    branch_words(*to);
    if (op == kBr) {
      pop(to->label());
      set_unreachable();
    }
    new_block();
  }

  void branch_table() {
    const std::uint32_t count = in_.count(kBranchTableMax, "branches of a table");
    std::vector<Control*> targets;
    for (std::uint32_t i = 0; i <= count && !in_.failed(); ++i) {
      Control* to = label(in_.u32());
      if (to != nullptr) targets.push_back(to);
    }
    pop(i32);
    if (in_.failed()) return;
    const std::size_t arity = targets.back()->label().size();
    for (Control* to : targets) {
      if (to->label().size() != arity) return invalid("type mismatch: labels differ in arity");
      // Popped and pushed back as they were, so that unknown types stay unknown.
      TypeList popped;
      for (auto type = to->label().rbegin(); type != to->label().rend(); ++type) {
        const ValueType found = pop();
        if (found != any && found != *type) invalid("type mismatch");
        popped.push_back(found);
      }
      std::ranges::reverse(popped);
      push(popped);
    }
    emit(kBrTable, static_cast<std::uint32_t>(arity));
    word(count);
    for (Control* to : targets) branch_words(*to);
    set_unreachable();
    new_block();
  }

  void leave() {
    pop(type_.results);
    push(type_.results);
    emit(kReturn, static_cast<std::uint32_t>(type_.results.size()));
    set_unreachable();
    new_block();
  }

  void call() {
    const std::uint32_t index = in_.u32();
    if (index >= context_.functions.size()) return invalid("unknown function");
    const FunctionType& type = module_.types[context_.functions[index]];
    emit_with(kCall, index);
    pop(type.parameters);
    push(type.results);
    new_block();
  }

  void call_indirect() {
    const std::uint32_t type_index = in_.u32();
    const std::uint32_t table = in_.u32();
    if (!has_table(table)) return;
    if (context_.tables[table].element != funcref) return invalid("type mismatch");
    if (type_index >= module_.types.size()) return invalid("unknown type");
    const FunctionType& type = module_.types[type_index];
    pop(i32);
    emit(kCallIndirect, table);
    word(type_index);
    pop(type.parameters);
    push(type.results);
    new_block();
  }

  void control(std::uint32_t op) {
    switch (op) {
      case kUnreachable:
        emit(op);
        return set_unreachable();
      case kNop:
        return;
      case kBlock:
      case kLoop:
      case kIf:
        return begin(static_cast<std::uint8_t>(op));
      case kElse:
        return otherwise();
      case kEnd:
        return end();
      case kBr:
      case kBrIf:
        return branch(op);
      case kBrTable:
        return branch_table();
      case kReturn:
        return leave();
      case kCall:
        return call();
      case kCallIndirect:
        return call_indirect();
      default:
        return illegal(op);
    }
  }

  void illegal(std::uint32_t op) {
    if (op == kVector) return in_.fail_with(Code::unsupported, "SIMD is not in profile det-1");
    if (op == 0x12 || op == 0x13) {
      return in_.fail_with(Code::unsupported, "tail calls are not in profile det-1");
    }
    if (op == 0xFE) return in_.fail_with(Code::unsupported, "threads are not in profile det-1");
    in_.malformed("illegal opcode " + std::to_string(op));
  }

  // ---- values ----

  void select(bool typed) {
    pop(i32);
    if (typed) {
      if (in_.count(kParametersMax, "types of select") != 1) {
        return invalid("invalid result arity");
      }
      const ValueType type = in_.value_type();
      pop(type);
      pop(type);
      push(type);
    } else {
      const ValueType second = pop();
      const ValueType first = pop();
      if (is_reference(first) || is_reference(second)) return invalid("type mismatch");
      if (first != second && first != any && second != any) return invalid("type mismatch");
      push(first == any ? second : first);
    }
    emit(kSelect);
  }

  void local(std::uint32_t op) {
    const std::uint32_t index = in_.u32();
    if (index >= locals_.size()) return invalid("unknown local");
    const ValueType type = locals_[index];
    if (op != kLocalGet) pop(type);
    if (op != kLocalSet) push(type);
    emit_with(op, index);
  }

  void global(std::uint32_t op) {
    const std::uint32_t index = in_.u32();
    if (index >= context_.globals.size()) return invalid("unknown global");
    const GlobalType& global = context_.globals[index];
    if (op == kGlobalGet) {
      push(global.type);
    } else {
      if (!global.is_mutable) return invalid("global is immutable");
      pop(global.type);
    }
    emit_with(op, index);
  }

  void constant(std::uint32_t op) {
    std::uint64_t value = 0;
    switch (op) {
      case kI32Const:
        value = static_cast<std::uint32_t>(in_.s32());
        push(i32);
        break;
      case kI64Const:
        value = static_cast<std::uint64_t>(in_.s64());
        push(i64);
        break;
      case kF32Const:
        value = in_.fixed(4);
        push(f32);
        break;
      default:
        value = in_.fixed(8);
        push(f64);
        break;
    }
    emit_with(op, static_cast<std::uint32_t>(value));
    if (op == kI64Const || op == kF64Const) word(static_cast<std::uint32_t>(value >> 32));
  }

  void reference(std::uint32_t op) {
    if (op == kRefNull) {
      push(in_.reference_type());
      return emit(op);
    }
    if (op == kRefIsNull) {
      const ValueType found = pop();
      if (found != any && !is_reference(found)) return invalid("type mismatch");
      push(i32);
      return emit(op);
    }
    const std::uint32_t index = in_.u32();
    if (index >= context_.functions.size()) return invalid("unknown function");
    if (!context_.referenced.contains(index)) return invalid("undeclared function reference");
    push(funcref);
    emit_with(op, index);
  }

  // ---- memory and tables ----

  bool has_memory() {
    if (context_.memories.empty()) invalid("unknown memory 0");
    return !context_.memories.empty();
  }
  bool has_table(std::uint32_t index) {
    if (index >= context_.tables.size()) invalid("unknown table");
    return index < context_.tables.size();
  }
  bool has_element(std::uint32_t index) {
    if (index >= module_.elements.size()) invalid("unknown elem segment");
    return index < module_.elements.size();
  }
  bool has_data(std::uint32_t index) {
    if (!module_.data_count) in_.malformed("data count section required");
    if (module_.data_count && index >= *module_.data_count) invalid("unknown data segment");
    return !in_.failed();
  }
  /// The byte where other proposals name a memory.
  void zero() {
    if (in_.byte() != 0) in_.malformed("zero byte expected");
  }

  void access(std::uint32_t op) {
    const Access& access = kAccessTypes.at(op - kLoadFirst);
    const std::uint32_t align = in_.u32();
    const std::uint32_t offset = in_.u32();
    if (align >= 32) return in_.malformed("malformed memop flags");
    if (!has_memory()) return;
    if (align > access.align_max) return invalid("alignment must not be larger than natural");
    if (op >= kStoreFirst) pop(access.type);
    pop(i32);
    if (op < kStoreFirst) push(access.type);
    emit_with(op, offset);
  }

  void memory(std::uint32_t op) {
    zero();
    if (!has_memory()) return;
    if (op == kMemoryGrow) pop(i32);
    push(i32);
    emit(op);
  }

  void pop_three(ValueType second) {
    pop(i32);
    pop(second);
    pop(i32);
  }

  void prefixed() {
    const std::uint32_t op = 0x100 + std::min<std::uint32_t>(in_.u32(), 0xFF);
    if (op <= kTruncSatLast) {
      pop((op & 2) == 0 ? f32 : f64);
      push(op < kTruncSatFirst + 4 ? i32 : i64);
      return emit(op);
    }
    if (op <= kMemoryFill) return bulk_memory(op);
    if (op <= kTableFill) return bulk_table(op);
    illegal(kPrefixed);
  }

  void bulk_memory(std::uint32_t op) {
    const std::uint32_t segment = op <= kDataDrop ? in_.u32() : 0;
    if (op != kDataDrop) zero();
    if (op == kMemoryCopy) zero();
    if (op <= kDataDrop && !has_data(segment)) return;
    if (op != kDataDrop) {
      if (!has_memory()) return;
      pop_three(i32);
    }
    emit(op);
    if (op <= kDataDrop) word(segment);
  }

  void bulk_table(std::uint32_t op) {
    const std::uint32_t first = in_.u32();
    if (op == kElemDrop) {
      if (has_element(first)) emit_with(op, first);
      return;
    }
    const bool two = op == kTableInit || op == kTableCopy;
    const std::uint32_t second = two ? in_.u32() : 0;
    const std::uint32_t table = op == kTableInit ? second : first;
    if (!has_table(table) || (op == kTableInit && !has_element(first)) ||
        (op == kTableCopy && !has_table(second))) {
      return;
    }
    const ValueType type = context_.tables[table].element;
    if (op == kTableInit && module_.elements[first].type != type) return invalid("type mismatch");
    if (op == kTableCopy && context_.tables[second].element != type) {
      return invalid("type mismatch");
    }
    if (op == kTableGrow) {
      pop(i32);
      pop(type);
    } else if (op != kTableSize) {
      pop_three(op == kTableFill ? type : i32);
    }
    if (op == kTableGrow || op == kTableSize) push(i32);
    emit_with(op, first);
    if (two) word(second);
  }

  void table(std::uint32_t op) {
    const std::uint32_t index = in_.u32();
    if (!has_table(index)) return;
    const ValueType type = context_.tables[index].element;
    if (op == kTableSet) pop(type);
    pop(i32);
    if (op == kTableGet) push(type);
    emit_with(op, index);
  }

  void operation() {
    const std::uint32_t op = in_.byte();
    if (op <= kCallIndirect) return control(op);
    if (op == kDrop) {
      pop();
      return emit(op);
    }
    if (op == kSelect || op == kSelectTyped) return select(op == kSelectTyped);
    if (op >= kLocalGet && op <= kLocalTee) return local(op);
    if (op == kGlobalGet || op == kGlobalSet) return global(op);
    if (op == kTableGet || op == kTableSet) return table(op);
    if (op >= kLoadFirst && op <= kStoreLast) return access(op);
    if (op == kMemorySize || op == kMemoryGrow) return memory(op);
    if (op >= kI32Const && op <= kF64Const) return constant(op);
    if (op >= kNumericFirst && op <= kNumericLast) {
      const Signature signature = numeric(op);
      for (std::uint8_t i = 0; i < signature.operands; ++i) pop(signature.operand);
      push(signature.result);
      return emit(op);
    }
    if (op >= kRefNull && op <= kRefFunc) return reference(op);
    if (op == kPrefixed) return prefixed();
    illegal(op);
  }

  const Context& context_;
  const Module& module_;
  Reader in_;
  const FunctionType& type_;
  TypeList locals_;
  TypeList values_;
  std::vector<Control> controls_;
  std::uint32_t charge_ = kUnknown;
  FunctionCode out_;
};

}  // namespace

Result<FunctionCode> lower(const Context& context, const FunctionDefinition& function) {
  return Lowering(context, function).run();
}

}  // namespace phase::reference
