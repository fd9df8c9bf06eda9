// The three places modules are kept in forget those that nobody uses, and no others.
#include "vcp/server/module_rows.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/loop_fixture.h"
#include "sql/postgres_fixture.h"
#include "vcp/coordinator/module_files.h"

namespace phase::vcp {
namespace {

constexpr Duration kHour = std::chrono::hours(1), kDay = 24 * kHour, kUnused = 30 * kDay;

enum class Place : std::uint8_t { memory, files, rows };

class ModulesTest : public LoopTest, public testing::WithParamInterface<Place> {
 protected:
  void SetUp() override {
    if (GetParam() == Place::rows) {
      const sql::TestServer& server = sql::TestServer::instance(PHASE_SOURCE_DIR);
      if (!server.there()) GTEST_SKIP() << "PostgreSQL is not installed: apt install postgresql";
      url_ = server.fresh("modules_test");
    }
    open();
    sweep();  // the first one begins the times of what was there
  }
  /// Again: what is only in memory is gone, unless that is all there is.
  void open() {
    if (GetParam() == Place::memory && modules_) return;
    modules_.reset();
    if (GetParam() == Place::memory) {
      modules_ = std::make_unique<MemoryModules>();
    } else if (GetParam() == Place::files) {
      modules_ = std::make_unique<ModuleFiles>(folder_);
    } else {
      auto server = sql::Postgres::connect(url_);
      ASSERT_TRUE(server) << server.error().text();
      auto rows = ModuleRows::open(*std::move(server));
      ASSERT_TRUE(rows) << rows.error().text();
      modules_ = *std::move(rows);
    }
  }
  void pass(Duration time) {
    now_.unix_ms += static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
  }
  Sha256 keep(std::string_view text) {
    auto bytes = std::make_shared<const Bytes>(to_bytes(text));
    const Sha256 name = sha256(*bytes);
    const auto kept = run(modules_->keep(name, bytes, now_));
    EXPECT_TRUE(kept) << kept.error().text();
    return name;
  }
  bool use(const Sha256& name) { return run(modules_->get(name, now_)).has_value(); }
  std::size_t sweep(std::set<Sha256> needed = {}) {
    const auto gone = run(modules_->sweep(now_, kUnused, std::move(needed)));
    EXPECT_TRUE(gone) << gone.error().text();
    return gone.value_or(99);
  }

  std::string url_;
  UtcTime now_{1'700'000'000'000};
  std::unique_ptr<ModuleStore> modules_;
};

TEST_P(ModulesTest, WhatNobodyUsesGoes) {
  const Sha256 name = keep("module");
  pass(kUnused - kHour);
  EXPECT_EQ(sweep(), 0U);
  pass(kHour);
  EXPECT_EQ(sweep(), 1U);
  EXPECT_FALSE(use(name)) << "not of memory either";
  open();
  EXPECT_FALSE(use(name));
  EXPECT_EQ(keep("module"), name) << "and may come again";
  open();
  EXPECT_TRUE(use(name));
}

TEST_P(ModulesTest, WhatIsUsedStays) {
  const Sha256 used = keep("used"), sent = keep("sent again"), other = keep("other");
  for (int day = 0; day < 40; ++day) {
    pass(kDay);
    EXPECT_TRUE(use(used));
    keep("sent again");
    if (day % 7 == 0) open();  // by memory, and by what is written down
    EXPECT_EQ(sweep(), day == 29 ? 1U : 0U) << day;
  }
  EXPECT_FALSE(use(other));
  open();
  EXPECT_TRUE(use(used));
  EXPECT_TRUE(use(sent));
}

TEST_P(ModulesTest, WhatATaskNeedsStays) {
  const Sha256 needed = keep("needed"), other = keep("other");
  pass(kUnused + kDay);
  EXPECT_EQ(sweep({needed}), 1U);
  open();
  EXPECT_TRUE(use(needed));
  EXPECT_FALSE(use(other));
}

std::string place_name(const testing::TestParamInfo<Place>& with) {
  constexpr std::array kNames = {"Memory", "Files", "Rows"};
  return kNames.at(static_cast<std::size_t>(with.param));
}
INSTANTIATE_TEST_SUITE_P(Places, ModulesTest,
                         testing::Values(Place::memory, Place::files, Place::rows), place_name);

using ModuleFilesTest = LoopTest;

TEST_F(ModuleFilesTest, WhatWentWhileItWasInMemoryIsWrittenAgain) {
  const auto module = std::make_shared<const Bytes>(to_bytes("module"));
  const Sha256 name = sha256(*module);
  const auto path = folder_ / (name.hex() + ".wasm");
  const UtcTime now = clock_.now_utc();
  ModuleFiles modules(folder_);
  ASSERT_TRUE(run(modules.keep(name, module, now)));
  std::filesystem::remove(path);
  EXPECT_TRUE(run(modules.get(name, {now.unix_ms + 13ULL * 3'600'000})));
  EXPECT_TRUE(std::filesystem::exists(path));
}

/// Times of files that say when they were uploaded, not when they were used.
TEST_F(ModuleFilesTest, WhatAnEarlierProgramKeptBeginsItsTime) {
  const Sha256 name = sha256(as_bytes("old"));
  const auto path = folder_ / (name.hex() + ".wasm");
  ASSERT_TRUE(write_file(path, "old"));
  ASSERT_TRUE(write_file(folder_ / "other.txt", "not ours"));
  const UtcTime later{clock_.now_utc().unix_ms + 400ULL * 24 * 3'600'000};
  ModuleFiles modules(folder_);
  EXPECT_EQ(run(modules.sweep(later, kUnused, {})).value(), 0U);
  EXPECT_TRUE(std::filesystem::exists(path));
  const UtcTime end{later.unix_ms + 30ULL * 24 * 3'600'000};
  EXPECT_EQ(run(modules.sweep(end, kUnused, {})).value(), 1U);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "other.txt"));
}

TEST_F(ModuleFilesTest, RowsOfAnEarlierProgramBeginTheirTime) {
  const sql::TestServer& server = sql::TestServer::instance(PHASE_SOURCE_DIR);
  if (!server.there()) GTEST_SKIP() << "PostgreSQL is not installed: apt install postgresql";
  auto database = sql::Postgres::connect(server.fresh("modules_older"));
  ASSERT_TRUE(database);
  constexpr std::array<const char*, 1> kOlder = {
      "CREATE TABLE modules (sha256 BLOB NOT NULL PRIMARY KEY, bytes BLOB NOT NULL)"};
  ASSERT_TRUE(sql::migrate(*database, "modules", kOlder));
  const Bytes module = to_bytes("old");
  {
    auto put = database->prepare("INSERT INTO modules VALUES ($1, $2)");
    ASSERT_TRUE(put);
    put->bind(ByteView(sha256(module).value)).bind(ByteView(module));
    ASSERT_TRUE(put->run());
  }
  auto rows = ModuleRows::open(*std::move(database));
  ASSERT_TRUE(rows) << rows.error().text();
  const UtcTime now = clock_.now_utc();
  EXPECT_EQ(run((*rows)->sweep(now, kUnused, {})).value(), 0U);
  const UtcTime end{now.unix_ms + 30ULL * 24 * 3'600'000};
  EXPECT_EQ(run((*rows)->sweep(end, kUnused, {})).value(), 1U);
  EXPECT_FALSE(run((*rows)->get(sha256(module), end)));
}

}  // namespace
}  // namespace phase::vcp
