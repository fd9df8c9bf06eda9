// module_stage.h — uploaded modules that wait for submissions. Private to this folder.
#pragma once

#include <map>
#include <memory>

#include "api/control/job_book.h"

namespace phase::control {

class ModuleStage {
 public:
  ModuleStage(Clock& clock, const JobBookLimits& limits)
      : clock_(clock), limits_(limits), bytes_(std::make_shared<std::uint64_t>(0)) {}

  struct Module {
    Module(Bytes data, job::ArtifactRef reference, std::shared_ptr<std::uint64_t> total);
    ~Module();
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;
    const Bytes bytes;
    const job::ArtifactRef ref;

   private:
    std::shared_ptr<std::uint64_t> total_;  // counts modules that jobs still hold, too
  };

  /// Errors: Code::busy when modules in use leave no room.
  [[nodiscard]] Result<void> add(Bytes bytes, const job::ArtifactRef& ref);
  /// The module, its lifetime begun anew. Errors: Code::not_found.
  [[nodiscard]] Result<std::shared_ptr<const Module>> take(const Sha256& sha256);
  /// The hash of a staged module with this artifact id.
  [[nodiscard]] std::optional<Sha256> find(const ArtifactId& id) const;

 private:
  struct Staged {
    std::shared_ptr<const Module> module;
    Instant expires;
    bool used = false;
  };
  void drop_expired();
  /// Drops the staged module that is missed least: used ones first, then the oldest. False: none
  /// can go.
  [[nodiscard]] bool drop_one();
  Clock& clock_;
  const JobBookLimits& limits_;
  std::shared_ptr<std::uint64_t> bytes_;
  std::map<Sha256, Staged> staged_;
};

}  // namespace phase::control
