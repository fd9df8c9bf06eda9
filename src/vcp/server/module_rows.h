// module_rows.h — uploaded modules in the database that several coordinators share.
#pragma once

#include "sql/postgres.h"
#include "vcp/coordinator/module_cache.h"

namespace phase::vcp {

class ModuleRows final : public CachedModules {
 public:
  /// Errors: those of sql::migrate.
  [[nodiscard]] static Result<std::unique_ptr<ModuleRows>> open(sql::Postgres database);
  ~ModuleRows() override { stop(); }

 private:
  explicit ModuleRows(sql::Postgres database) : database_(std::move(database)) {}
  [[nodiscard]] Result<void> write(const Sha256& sha256, ByteView module, UtcTime now) override;
  [[nodiscard]] Result<Bytes> read(const Sha256& sha256, UtcTime now) override;
  [[nodiscard]] Result<std::vector<Sha256>> remove(UtcTime now, Duration unused,
                                                   const std::set<Sha256>& needed) override;
  [[nodiscard]] Result<bool> note(const Sha256& sha256, UtcTime now);

  sql::Postgres database_;  // the thread's
};

}  // namespace phase::vcp
