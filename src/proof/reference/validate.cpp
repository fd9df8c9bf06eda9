#include "proof/reference/context_internal.h"
#include "proof/reference/machine.h"

namespace phase::reference {
namespace {

tl::unexpected<Error> invalid(std::string what) {
  return fail(Code::invalid_argument, "module: " + std::move(what));
}

class Validator {
 public:
  explicit Validator(const Module& module) : module_(module) { context_.module = &module; }

  Result<std::vector<FunctionCode>> run() {
    PHASE_TRY_VOID(index_spaces());
    PHASE_TRY_VOID(globals());
    PHASE_TRY_VOID(exports());
    PHASE_TRY_VOID(elements());
    PHASE_TRY_VOID(data());
    if (module_.start) {
      if (*module_.start >= context_.functions.size()) return invalid("unknown function to start");
      const FunctionType& type = module_.types[context_.functions[*module_.start]];
      if (!type.parameters.empty() || !type.results.empty()) {
        return invalid("start function must have no parameters and no results");
      }
    }
    std::vector<FunctionCode> out;
    for (const FunctionDefinition& function : module_.functions) {
      PHASE_TRY(auto code, lower(context_, function));
      out.push_back(std::move(code));
    }
    return out;
  }

 private:
  Result<void> limits(const Limits& limits, std::uint64_t most, const char* what) {
    if (limits.min > most || (limits.max && *limits.max > most)) {
      return invalid(std::string(what) + " size must be at most " + std::to_string(most));
    }
    if (limits.max && *limits.max < limits.min) {
      return invalid("size minimum must not be greater than maximum");
    }
    return {};
  }

  Result<void> index_spaces() {
    for (const Import& import : module_.imports) {
      switch (import.kind) {
        case ExternalKind::function:
          context_.functions.push_back(import.function_type);
          break;
        case ExternalKind::table:
          context_.tables.push_back(import.table);
          break;
        case ExternalKind::memory:
          context_.memories.push_back(import.memory);
          break;
        case ExternalKind::global:
          context_.globals.push_back(import.global);
          break;
      }
    }
    context_.globals_imported = static_cast<std::uint32_t>(context_.globals.size());
    for (const FunctionDefinition& function : module_.functions) {
      context_.functions.push_back(function.type);
    }
    context_.tables.insert(context_.tables.end(), module_.tables.begin(), module_.tables.end());
    context_.memories.insert(context_.memories.end(), module_.memories.begin(),
                             module_.memories.end());
    for (const std::uint32_t type : context_.functions) {
      if (type >= module_.types.size()) return invalid("unknown type");
    }
    for (const TableType& table : context_.tables) {
      PHASE_TRY_VOID(limits(table.limits, 0xFFFFFFFF, "table"));
    }
    for (const Limits& memory : context_.memories) {
      PHASE_TRY_VOID(limits(memory, kPagesMax, "memory"));
    }
    if (context_.memories.size() > 1) return invalid("multiple memories");
    return {};
  }

  /// §3.3.10: only imported globals that never change can be read.
  Result<void> constant(const Constant& constant, ValueType wanted) {
    using Kind = Constant::Kind;
    ValueType type = constant.type;
    if (constant.kind == Kind::global_get) {
      if (constant.value >= context_.globals_imported) return invalid("unknown global");
      const GlobalType& global = context_.globals[constant.value];
      if (global.is_mutable) return invalid("constant expression required");
      type = global.type;
    }
    if (constant.kind == Kind::ref_func) {
      if (constant.value >= context_.functions.size()) return invalid("unknown function");
      context_.referenced.insert(static_cast<std::uint32_t>(constant.value));
    }
    if (type != wanted) return invalid("type mismatch in a constant expression");
    return {};
  }

  Result<void> globals() {
    for (const GlobalDefinition& global : module_.globals) {
      PHASE_TRY_VOID(constant(global.initial, global.type.type));
    }
    for (const GlobalDefinition& global : module_.globals) context_.globals.push_back(global.type);
    return {};
  }

  Result<void> exports() {
    std::set<std::string_view> names;
    for (const Export& exported : module_.exports) {
      if (!names.insert(exported.name).second) return invalid("duplicate export name");
      const std::size_t sizes[] = {context_.functions.size(), context_.tables.size(),
                                   context_.memories.size(), context_.globals.size()};
      if (exported.index >= sizes[static_cast<std::size_t>(exported.kind)]) {
        return invalid("unknown thing to export");
      }
      if (exported.kind == ExternalKind::function) context_.referenced.insert(exported.index);
    }
    return {};
  }

  Result<void> elements() {
    for (const ElementDefinition& segment : module_.elements) {
      if (segment.mode == SegmentMode::active) {
        if (segment.table >= context_.tables.size()) return invalid("unknown table");
        if (context_.tables[segment.table].element != segment.type) return invalid("type mismatch");
        PHASE_TRY_VOID(constant(segment.offset, ValueType::i32));
      }
      for (const Constant& element : segment.elements) {
        PHASE_TRY_VOID(constant(element, segment.type));
      }
    }
    return {};
  }

  Result<void> data() {
    for (const DataDefinition& segment : module_.data) {
      if (segment.mode != SegmentMode::active) continue;
      if (context_.memories.empty()) return invalid("unknown memory");
      PHASE_TRY_VOID(constant(segment.offset, ValueType::i32));
    }
    return {};
  }

  const Module& module_;
  Context context_;
};

}  // namespace

std::uint32_t Types::number(const FunctionType& type) {
  return known_.try_emplace(type, static_cast<std::uint32_t>(known_.size())).first->second;
}

std::uint32_t Program::imported(ExternalKind kind) const {
  std::uint32_t out = 0;
  for (const Import& import : module.imports) out += import.kind == kind ? 1 : 0;
  return out;
}

const FunctionType& Program::type_of(std::uint32_t function) const {
  for (const Import& import : module.imports) {
    if (import.kind != ExternalKind::function) continue;
    if (function == 0) return module.types[import.function_type];
    --function;
  }
  return module.types[module.functions[function].type];
}

Result<Program> compile(ByteView bytes) {
  Program out;
  PHASE_TRY(out.module, decode(bytes));
  PHASE_TRY(out.functions, Validator(out.module).run());
  return out;
}

}  // namespace phase::reference
