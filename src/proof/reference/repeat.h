// repeat.h — level `re-execute` by the reference interpreter.
#pragma once

#include "base/bytes.h"
#include "protocol/verify/verify.h"

namespace phase::reference {

/// Runs the job whose module and stdin it was given. Nothing but the output's commitment is kept of
/// what the job writes.
class ReferenceRepeater final : public verify::Repeater {
 public:
  ReferenceRepeater(Bytes module, Bytes input)
      : module_(std::move(module)), input_(std::move(input)) {}

  [[nodiscard]] Result<verify::Rerun> repeat(const job::WasmJob& job) override;

 private:
  Bytes module_, input_;
};

}  // namespace phase::reference
