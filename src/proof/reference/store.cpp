#include "proof/reference/store.h"

#include <algorithm>

#include <sys/mman.h>

#include "proof/reference/execute.h"

namespace phase::reference {
namespace {

tl::unexpected<Error> incompatible(const Import& import) {
  return fail(Code::invalid_argument, "incompatible import type: " + printable(import.module) +
                                          "." + printable(import.name));
}

/// §3.4.3: `given` may be larger at its beginning and smaller at its end.
bool matches(const Limits& given, const Limits& wanted) {
  if (given.min < wanted.min) return false;
  return !wanted.max || (given.max && *given.max <= *wanted.max);
}

}  // namespace

// ---- Linked
// --------------------------------------------------------------------------------------

const External* Linked::exported(std::string_view name) const {
  const auto found = exports_.find(name);
  return found == exports_.end() ? nullptr : &found->second;
}

Slot Linked::evaluate(const Constant& constant) const {
  switch (constant.kind) {
    case Constant::Kind::global_get:
      return globals_[constant.value]->value;
    case Constant::Kind::ref_func:
      return to_reference(functions_[constant.value]);
    case Constant::Kind::ref_null:
      return 0;
    case Constant::Kind::value:
      return constant.value;
  }
  return 0;
}

Stop Linked::write_segments() {
  for (std::size_t i = 0; i < elements_.size(); ++i) {
    const ElementDefinition& segment = program_->module.elements[i];
    ElementSegment& references = elements_[i];
    if (segment.mode == SegmentMode::active) {
      const Table& table = *tables_[segment.table];
      const auto offset = static_cast<std::uint32_t>(evaluate(segment.offset));
      if (std::uint64_t{offset} + references.length > table.size) return Stop::out_of_bounds_table;
      std::copy_n(references.references, references.length, table.elements + offset);
    }
    if (segment.mode != SegmentMode::passive) references.length = 0;
  }
  for (std::size_t i = 0; i < data_.size(); ++i) {
    const DataDefinition& segment = program_->module.data[i];
    if (segment.mode != SegmentMode::active) continue;
    const auto offset = static_cast<std::uint32_t>(evaluate(segment.offset));
    if (std::uint64_t{offset} + data_[i].length > raw_.memory->length()) {
      return Stop::out_of_bounds_memory;
    }
    std::ranges::copy(segment.bytes, raw_.memory->bytes + offset);
    data_[i].length = 0;
  }
  return Stop::none;
}

// ---- Store
// ---------------------------------------------------------------------------------------

Store::~Store() {
  for (const auto& [address, bytes] : reserved_) ::munmap(address, bytes);
}

/// Address space, zero, and memory only where it is written. Null when there is none.
void* Store::reserve(std::size_t bytes) {
  const std::size_t whole = std::max<std::size_t>(bytes, 1);
  void* out = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (out == MAP_FAILED) return nullptr;
  reserved_.emplace_back(out, whole);
  return out;
}

Function* Store::add_host(const FunctionType& type, HostFunction call, void* context) {
  Function& out = functions_.emplace_back();
  out.type = types_.number(type);
  out.parameters = static_cast<std::uint32_t>(type.parameters.size());
  out.results = static_cast<std::uint32_t>(type.results.size());
  out.host = call;
  out.context = context;
  return &out;
}

Result<External> Store::add_table(const TableType& type, std::uint32_t size_max) {
  const std::uint32_t most = std::min(type.limits.max.value_or(0xFFFFFFFF), size_max);
  if (type.limits.min > most) return fail(Code::too_large, "a table begins too large");
  void* elements = reserve(std::size_t{most} * sizeof(Slot));
  if (elements == nullptr) return fail(Code::busy, "no memory for a table");
  Table& table = tables_.emplace_back();
  table = {static_cast<Slot*>(elements), type.limits.min, most};
  External out;
  out.kind = ExternalKind::table;
  out.table = &table;
  out.table_type = type;
  return out;
}

Result<External> Store::add_memory(const Limits& limits, std::uint32_t pages_max) {
  const std::uint32_t most = std::min({limits.max.value_or(kPagesMax), kPagesMax, pages_max});
  if (limits.min > most) return fail(Code::too_large, "a memory begins too large");
  void* bytes = reserve(std::size_t{most} * kPageBytes);
  if (bytes == nullptr) return fail(Code::busy, "no memory for a memory");
  Memory& memory = memories_.emplace_back();
  memory = {static_cast<std::uint8_t*>(bytes), limits.min, most};
  External out;
  out.kind = ExternalKind::memory;
  out.memory = &memory;
  out.memory_type = limits;
  return out;
}

External Store::add_global(const GlobalType& type, Slot value) {
  External out;
  out.kind = ExternalKind::global;
  out.global = &globals_.emplace_back(Global{value});
  out.global_type = type;
  return out;
}

Result<void> Store::import(const Program& program, const Import& import, const External& given,
                           Linked& to) {
  if (given.kind != import.kind) return incompatible(import);
  switch (import.kind) {
    case ExternalKind::function:
      if (given.function->type != types_.number(program.module.types[import.function_type])) {
        return incompatible(import);
      }
      to.functions_.push_back(given.function);
      break;
    case ExternalKind::table: {
      const Limits now{given.table->size, given.table_type.limits.max};
      if (given.table_type.element != import.table.element || !matches(now, import.table.limits)) {
        return incompatible(import);
      }
      to.tables_.push_back(given.table);
      to.table_types_.push_back(given.table_type);
      break;
    }
    case ExternalKind::memory: {
      const Limits now{given.memory->pages, given.memory_type.max};
      if (!matches(now, import.memory)) return incompatible(import);
      to.memories_.push_back(given.memory);
      to.memory_types_.push_back(given.memory_type);
      break;
    }
    case ExternalKind::global:
      if (given.global_type.type != import.global.type ||
          given.global_type.is_mutable != import.global.is_mutable) {
        return incompatible(import);
      }
      to.globals_.push_back(given.global);
      to.global_types_.push_back(given.global_type);
      break;
  }
  return {};
}

void Store::define_functions(const Program& program, Linked& to) {
  for (const FunctionCode& code : program.functions) {
    const FunctionType& type = program.module.types[code.type];
    Function& function = functions_.emplace_back();
    function.type = types_.number(type);
    function.parameters = static_cast<std::uint32_t>(type.parameters.size());
    function.results = static_cast<std::uint32_t>(type.results.size());
    function.locals = code.locals;
    function.stack_slots = code.stack_slots;
    function.code = code.words.data();
    function.home = &to.raw_;
    to.functions_.push_back(&function);
  }
}

Result<void> Store::define(const Program& program, Linked& to, std::uint32_t pages_max,
                           std::uint32_t table_size_max) {
  const Module& module = program.module;
  for (const TableType& type : module.tables) {
    PHASE_TRY(const External made, add_table(type, table_size_max));
    to.tables_.push_back(made.table);
    to.table_types_.push_back(type);
  }
  for (const Limits& limits : module.memories) {
    PHASE_TRY(const External made, add_memory(limits, pages_max));
    to.memories_.push_back(made.memory);
    to.memory_types_.push_back(limits);
  }
  for (const GlobalDefinition& global : module.globals) {
    to.globals_.push_back(add_global(global.type, to.evaluate(global.initial)).global);
    to.global_types_.push_back(global.type);
  }
  to.references_.reserve(module.elements.size());
  for (const ElementDefinition& segment : module.elements) {
    std::vector<Slot>& references = to.references_.emplace_back();
    for (const Constant& element : segment.elements) references.push_back(to.evaluate(element));
    to.elements_.push_back({references.data(), static_cast<std::uint32_t>(references.size())});
  }
  for (const DataDefinition& segment : module.data) {
    to.data_.push_back({segment.bytes.data(), static_cast<std::uint32_t>(segment.bytes.size())});
  }
  return {};
}

void Store::export_all(const Program& program, Linked& to) {
  for (const Export& exported : program.module.exports) {
    External out;
    out.kind = exported.kind;
    switch (exported.kind) {
      case ExternalKind::function:
        out.function = to.functions_[exported.index];
        break;
      case ExternalKind::table:
        out.table = to.tables_[exported.index];
        out.table_type = to.table_types_[exported.index];
        break;
      case ExternalKind::memory:
        out.memory = to.memories_[exported.index];
        out.memory_type = to.memory_types_[exported.index];
        break;
      case ExternalKind::global:
        out.global = to.globals_[exported.index];
        out.global_type = to.global_types_[exported.index];
        break;
    }
    to.exports_.emplace(exported.name, out);
  }
}

Result<Linked*> Store::link(const Program& program, std::span<const External> imports,
                            std::uint32_t pages_max, std::uint32_t table_size_max) {
  const Module& module = program.module;
  if (imports.size() != module.imports.size()) {
    return fail(Code::invalid_argument, "the module has another number of imports");
  }
  Linked& out = instances_.emplace_back();
  out.program_ = &program;
  for (const FunctionType& type : module.types) out.types_.push_back(types_.number(type));
  for (std::size_t i = 0; i < imports.size(); ++i) {
    PHASE_TRY_VOID(import(program, module.imports[i], imports[i], out));
  }
  define_functions(program, out);
  PHASE_TRY_VOID(define(program, out, pages_max, table_size_max));
  out.raw_ = {out.types_.data(),   out.functions_.data(),
              out.tables_.data(),  out.memories_.empty() ? nullptr : out.memories_[0],
              out.globals_.data(), out.data_.data(),
              out.elements_.data()};
  export_all(program, out);
  if (module.start) out.start_ = out.functions_[*module.start];
  return &out;
}

// ---- Thread
// --------------------------------------------------------------------------------------

Thread::Thread() : frames_(kFramesMax), stack_(new Slot[kStackSlotsMax]) {}

Ran Thread::call(const Function& function, std::span<const Slot> parameters, std::int64_t fuel) {
  Machine machine;
  machine.top = stack_.get();
  machine.stack_end = stack_.get() + kStackSlotsMax;
  machine.frame = frames_.data();
  machine.frames_end = frames_.data() + frames_.size();
  machine.fuel = fuel;
  std::ranges::copy(parameters, stack_.get());
  reference::call(machine, function);
  Ran out{machine.stop, {}, machine.fuel};
  if (is_trap(machine.stop)) out.fuel_left += fuel_unreached(machine);
  if (machine.stop == Stop::returned) {
    out.results.assign(machine.top, machine.top + function.results);
  }
  return out;
}

}  // namespace phase::reference
