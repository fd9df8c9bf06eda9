// lower.h — a module, validated, and its functions as lowered code (operators.h).
//
// Validation follows the algorithm of WebAssembly 2.0 §A.3; lowering happens on the way, since the
// height of the stack, which validation knows, is all that structured control needs to become plain
// branches. Nothing is optimised: an operator of the module is an operator of the code.
#pragma once

#include <map>

#include "proof/reference/module.h"

namespace phase::reference {

/// Numbers for function types, shared by modules that are linked: equal types, equal numbers.
class Types {
 public:
  [[nodiscard]] std::uint32_t number(const FunctionType& type);

 private:
  std::map<FunctionType, std::uint32_t> known_;
};

/// Code of one function, as machine.h's Function wants it.
struct FunctionCode {
  std::uint32_t type = 0;  ///< of the module's types
  std::uint32_t locals = 0;
  std::uint32_t stack_slots = 0;
  std::vector<std::uint32_t> words;
};

/// A valid module. Borrows the bytes it was made from.
struct Program {
  Module module;
  std::vector<FunctionCode> functions;  ///< those defined, in order

  /// Of a function by its index, imported ones first.
  [[nodiscard]] const FunctionType& type_of(std::uint32_t function) const;
  [[nodiscard]] std::uint32_t imported(ExternalKind kind) const;
};

/// Errors: those of `decode`; Code::invalid_argument for a module that is not valid, saying where.
[[nodiscard]] Result<Program> compile(ByteView bytes);

}  // namespace phase::reference
