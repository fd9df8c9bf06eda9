// module_keeper.h — modules by their artifact id, beyond those that were uploaded lately.
// Implemented by the node; a job book without one knows uploads only.
//
// Called on the job book's executor; nothing here blocks it.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "protocol/requester/requester.h"

namespace phase::control {

struct KeptModule {
  job::ArtifactRef ref;
  Bytes bytes;
};

class ModuleKeeper {
 public:
  virtual ~ModuleKeeper() = default;
  /// Keeps a module of this node's people on the disk, for them and for those whom the policy lets
  /// in. Errors: Code::io, Code::busy, Code::cancelled.
  [[nodiscard]] virtual Task<Result<void>> keep(std::shared_ptr<const Bytes> module,
                                                job::ArtifactRef ref) = 0;
  using Progress = std::function<void(const offer::Progress&)>;
  /// From the disk, else from peers, told through `progress`. `cancel` ends it; it and `progress`
  /// live until this returns. Errors: Code::unavailable when nobody has it (the hint says what
  /// to do), Code::too_large, Code::busy, Code::io, Code::cancelled.
  [[nodiscard]] virtual Task<Result<KeptModule>> get(ArtifactId id, const Progress& progress,
                                                     requester::CancelToken& cancel) = 0;
  /// Who may fetch what is kept: "nobody", "allowlist", "anybody".
  [[nodiscard]] virtual std::string_view shared_with() const = 0;
};

}  // namespace phase::control
