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

  [[nodiscard]] Task<Result<void>> keep(Sha256 sha256,
                                        std::shared_ptr<const Bytes> module) override;
  [[nodiscard]] Task<Result<std::shared_ptr<const Bytes>>> get(Sha256 sha256) override;

 private:
  explicit ModuleRows(sql::Postgres database) : database_(std::move(database)) {}
  [[nodiscard]] Result<void> write(const Sha256& sha256, ByteView module);
  [[nodiscard]] Result<Bytes> read(const Sha256& sha256);

  sql::Postgres database_;  // the thread's
  asio::thread_pool thread_{1};
  ModuleCache cache_;
};

}  // namespace phase::vcp
