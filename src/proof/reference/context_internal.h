// context_internal.h — what validation knows of a module: index spaces, imported ones first
// (WebAssembly 2.0 §3.1.1), and the code of one function out of it.
#pragma once

#include <set>

#include "proof/reference/lower.h"

namespace phase::reference {

struct Context {
  const Module* module = nullptr;
  std::vector<std::uint32_t> functions;  ///< their types
  std::vector<TableType> tables;
  std::vector<Limits> memories;
  std::vector<GlobalType> globals;
  std::uint32_t globals_imported = 0;
  std::set<std::uint32_t> referenced;  ///< functions that ref.func may name (C.refs)
};

/// Errors: as `compile`.
[[nodiscard]] Result<FunctionCode> lower(const Context& context,
                                         const FunctionDefinition& function);

}  // namespace phase::reference
