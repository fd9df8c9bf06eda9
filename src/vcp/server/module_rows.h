// module_rows.h — uploaded modules in the database that several coordinators share.
#pragma once

#include <boost/asio/thread_pool.hpp>

#include "sql/postgres.h"
#include "vcp/coordinator/module_files.h"

namespace phase::vcp {

class ModuleRows final : public ModuleStore {
 public:
  /// Errors: those of sql::migrate.
  [[nodiscard]] static Result<std::unique_ptr<ModuleRows>> open(sql::Postgres database);
  ~ModuleRows() override { thread_.join(); }

  [[nodiscard]] Task<Result<void>> keep(Sha256 sha256, std::shared_ptr<const Bytes> module,
                                        UtcTime now) override;
  [[nodiscard]] Task<Result<std::shared_ptr<const Bytes>>> get(Sha256 sha256, UtcTime now) override;
  [[nodiscard]] Task<Result<std::size_t>> sweep(UtcTime now, Duration unused,
                                                std::set<Sha256> needed) override;

 private:
  explicit ModuleRows(sql::Postgres database) : database_(std::move(database)) {}
  // Of the thread:
  [[nodiscard]] Result<void> write(const Sha256& sha256, ByteView module, UtcTime now);
  [[nodiscard]] Result<Bytes> read(const Sha256& sha256, UtcTime now);
  [[nodiscard]] Result<bool> note(const Sha256& sha256, UtcTime now);
  [[nodiscard]] Result<std::vector<Sha256>> remove(UtcTime now, Duration unused,
                                                   const std::set<Sha256>& needed);

  sql::Postgres database_;  // the thread's
  asio::thread_pool thread_{1};
  ModuleCache cache_;
};

}  // namespace phase::vcp
