#include "vcp/server/module_rows.h"

#include <array>

#include "base/pool_task.h"

namespace phase::vcp {
namespace {

constexpr std::array<const char*, 1> kSchema = {
    "CREATE TABLE modules (sha256 BLOB NOT NULL PRIMARY KEY, bytes BLOB NOT NULL)"};

}  // namespace

Result<std::unique_ptr<ModuleRows>> ModuleRows::open(sql::Postgres database) {
  PHASE_TRY_VOID(sql::migrate(database, "modules", kSchema));
  return std::unique_ptr<ModuleRows>(new ModuleRows(std::move(database)));
}

Result<void> ModuleRows::write(const Sha256& sha256, ByteView module) {
  PHASE_TRY(sql::Statement put,
            database_.prepare("INSERT INTO modules (sha256, bytes) VALUES ($1, $2) ON CONFLICT "
                              "(sha256) DO NOTHING"));
  put.bind(ByteView(sha256.value)).bind(module);
  return put.run();
}

Result<Bytes> ModuleRows::read(const Sha256& wanted) {
  PHASE_TRY(sql::Statement query, database_.prepare("SELECT bytes FROM modules WHERE sha256 = $1"));
  query.bind(ByteView(wanted.value));
  PHASE_TRY(const bool there, query.step());
  if (!there) return fail(Code::not_found, "no module with this hash");
  Bytes out = query.blob(0);
  if (sha256(out) != wanted) return fail(Code::io, "a module in the database was changed");
  return out;
}

Task<Result<void>> ModuleRows::keep(Sha256 sha256, std::shared_ptr<const Bytes> module) {
  if (cache_.find(sha256) != nullptr) co_return Result<void>{};
  const std::function<Result<void>()> put = [&] { return write(sha256, *module); };
  const auto written = co_await in_pool(thread_, put);
  if (written) cache_.remember(sha256, std::move(module));
  co_return written;
}

Task<Result<std::shared_ptr<const Bytes>>> ModuleRows::get(Sha256 wanted) {
  if (auto known = cache_.find(wanted)) co_return known;
  const std::function<Result<Bytes>()> look = [&] { return read(wanted); };
  auto found = co_await in_pool(thread_, look);
  if (!found) co_return fail(std::move(found).error());
  auto module = std::make_shared<const Bytes>(*std::move(found));
  cache_.remember(wanted, module);
  co_return module;
}

}  // namespace phase::vcp
