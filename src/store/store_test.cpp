#include "store/store.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/temp_folder.h"
#include "sql/database.h"

namespace phase::store {
namespace {

constexpr UtcTime kStart{1'700'000'000'000};
constexpr UtcTime at(std::uint64_t ms) {
  return {kStart.unix_ms + ms};
}

manifest::JobId job_id(std::uint32_t n) {
  manifest::JobId id;
  for (std::size_t i = 0; i < 4; ++i) {
    id.value[i] = static_cast<std::uint8_t>(n >> (8 * i));
  }
  return id;
}

class StoreTest : public testing::Test {
 protected:
  StoreOptions options() const {
    StoreOptions out;
    out.path = folder_ / "state.sqlite";
    out.boot_id = "boot one";
    out.limits = limits_;
    return out;
  }
  std::unique_ptr<Store> open(UtcTime now = kStart) {
    auto store = Store::open(options(), now);
    EXPECT_TRUE(store) << store.error().text();
    return store ? std::move(*store) : nullptr;
  }
  /// Opens the store in a child, runs `work` there, and kills the child without any clean-up.
  template <typename Work>
  void in_a_process_that_crashes(const StoreOptions& with, UtcTime now, Work work) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = Store::open(with, now);
      const bool good = store && work(**store);
      if (!good) {
        ::_exit(3);
      }
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the work in the child failed";
  }

  static manifest::SignedManifest manifest_of(std::uint32_t n) {
    manifest::SignedManifest out;
    out.id = job_id(n);
    out.envelope = to_bytes("manifest " + std::to_string(n));
    return out;
  }
  static receipt::SignedReceipt receipt_of(std::uint32_t n) {
    receipt::SignedReceipt out;
    out.envelope = to_bytes("receipt " + std::to_string(n));
    return out;
  }

  const TempFolder kept_folder_ = TempFolder::make("phase-test").value();
  const std::filesystem::path& folder_ = kept_folder_.path();
  StoreLimits limits_;
};

// ── Replays ──

TEST_F(StoreTest, RefusesAJobIdItAcceptedBefore) {
  auto store = open();
  ASSERT_TRUE(store->admit(job_id(1), at(0), at(1000), at(0)));
  const auto again = store->admit(job_id(1), at(0), at(1000), at(1));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::replayed);
  EXPECT_TRUE(store->admit(job_id(2), at(0), at(1000), at(1)));
}

TEST_F(StoreTest, RemembersJobIdsAfterACrash) {
  in_a_process_that_crashes(options(), kStart, [](Store& store) {
    return store.admit(job_id(7), at(0), at(60'000), at(0)).has_value();
  });
  auto store = open(at(10));
  const auto again = store->admit(job_id(7), at(0), at(60'000), at(10));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::replayed);
  EXPECT_EQ(store->record_start(), kStart) << "a crash in the same uptime loses nothing";
}

TEST_F(StoreTest, RefusesManifestsOlderThanTheRecord) {
  auto store = open(at(0));
  const auto old = store->admit(job_id(1), at(0).unix_ms > 0 ? UtcTime{at(0).unix_ms - 1} : at(0),
                                at(1000), at(0));
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().code, Code::replayed);
}

TEST_F(StoreTest, StartsTheRecordAnewAfterALossOfPower) {
  in_a_process_that_crashes(options(), kStart, [](Store& store) {
    return store.admit(job_id(1), at(0), at(60'000), at(0)).has_value();
  });
  StoreOptions after = options();
  after.boot_id = "boot two";
  auto store = Store::open(after, at(5000));
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->record_start(), at(5000));
  const auto unknown = (*store)->admit(job_id(2), at(4999), at(60'000), at(5001));
  ASSERT_FALSE(unknown) << "it may have been accepted just before the power went";
  EXPECT_EQ(unknown.error().code, Code::replayed);
  EXPECT_TRUE((*store)->admit(job_id(3), at(5000), at(60'000), at(5001)));
}

TEST_F(StoreTest, KeepsTheRecordOverACleanReboot) {
  open().reset();
  StoreOptions after = options();
  after.boot_id = "boot two";
  auto store = Store::open(after, at(5000));
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->record_start(), kStart);
}

TEST_F(StoreTest, AFullRecordRefusesAndNeverForgets) {
  limits_.replays_max = 3;
  auto store = open();
  for (std::uint32_t n = 0; n < 3; ++n) {
    ASSERT_TRUE(store->admit(job_id(n), at(0), at(1000), at(0)));
  }
  const auto fourth = store->admit(job_id(3), at(0), at(1000), at(999));
  ASSERT_FALSE(fourth);
  EXPECT_EQ(fourth.error().code, Code::busy);
  const auto first = store->admit(job_id(0), at(0), at(1000), at(999));
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, Code::replayed);

  ASSERT_TRUE(store->admit(job_id(3), at(999), at(2000), at(1000))) << "expired ids make room";
  EXPECT_EQ(store->replays(), 1U);
}

TEST_F(StoreTest, AForgottenIdStaysRefusedWhenTheClockStepsBack) {
  limits_.replays_max = 1;
  auto store = open();
  ASSERT_TRUE(store->admit(job_id(1), at(0), at(1000), at(0)));
  ASSERT_TRUE(store->admit(job_id(2), at(1000), at(3000), at(1000)));
  store.reset();
  store = open(at(500));
  const auto again = store->admit(job_id(1), at(0), at(1000), at(500));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::replayed);
}

// ── Receipts ──

TEST_F(StoreTest, KeepsReceiptsOverACrash) {
  in_a_process_that_crashes(options(), kStart, [](Store& store) {
    return store.keep(manifest_of(1), receipt_of(1)).has_value();
  });
  auto store = open();
  const auto kept = store->receipt_of(job_id(1));
  ASSERT_TRUE(kept);
  EXPECT_EQ(as_text(kept->receipt), "receipt 1");
  EXPECT_EQ(as_text(kept->manifest), "manifest 1");
}

TEST_F(StoreTest, FindsTheNewestReceiptsOfOthers) {
  auto store = open();
  identity::PublicKey self, other;
  self.value.fill(1);
  other.value.fill(2);
  for (std::uint32_t n = 1; n <= 6; ++n) {
    manifest::SignedManifest manifest = manifest_of(n);
    manifest.requester = n % 2 == 0 ? self : other;
    ASSERT_TRUE(store->keep(manifest, receipt_of(n)));
  }
  const auto found = [&store, &self](std::size_t limit, std::size_t looked_through) {
    std::string out;
    const auto kept = store->receipts_of_others(self, limit, looked_through);
    if (!kept) return kept.error().text();
    for (const KeptReceipt& one : *kept) {
      EXPECT_EQ(as_text(one.manifest).substr(9), as_text(one.receipt).substr(8));
      EXPECT_EQ(store->receipt_of(one.job_id)->receipt, one.receipt);
      out += as_text(one.receipt).substr(8);
    }
    return out;
  };
  EXPECT_EQ(found(10, 100), "531");
  EXPECT_EQ(found(2, 100), "53");
  EXPECT_EQ(found(10, 3), "5") << "of 4, 5 and 6";
}

TEST_F(StoreTest, RefusesASecondReceiptOfOneJob) {
  auto store = open();
  ASSERT_TRUE(store->keep(manifest_of(1), receipt_of(1)));
  const auto second = store->keep(manifest_of(1), receipt_of(2));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::already_exists);
  EXPECT_EQ(as_text(store->receipt_of(job_id(1))->receipt), "receipt 1");
}

TEST_F(StoreTest, DropsTheOldestReceiptsAboveTheLimit) {
  limits_.receipts_kept_max = 2;
  auto store = open();
  for (std::uint32_t n = 1; n <= 3; ++n) {
    ASSERT_TRUE(store->keep(manifest_of(n), receipt_of(n)));
  }
  EXPECT_EQ(store->receipt_of(job_id(1)).error().code, Code::not_found);
  EXPECT_TRUE(store->receipt_of(job_id(2)));
  EXPECT_TRUE(store->receipt_of(job_id(3)));
}

// ── Jobs ──

JobRow row(const std::string& id, std::optional<UtcTime> finished = {}) {
  JobRow out;
  out.id = id;
  out.state = finished ? "done" : "running";
  out.created = kStart;
  out.finished = finished;
  out.document = R"({"id":")" + id + R"("})";
  return out;
}

TEST_F(StoreTest, KeepsJobsAndTranscriptsOverACrash) {
  in_a_process_that_crashes(options(), kStart, [](Store& store) {
    JobRow done = row("a", at(5));
    done.receipt = to_bytes("receipt");
    done.transcript_bytes = 3;
    return store.put_job(row("a")) && store.put_transcript_part("a", 0, as_bytes("abc")) &&
           store.put_job(done) && store.put_job(row("b"));
  });
  auto store = open();
  const auto a = store->job("a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->state, "done");
  EXPECT_EQ(a->finished, at(5));
  EXPECT_EQ(as_text(a->receipt), "receipt");
  EXPECT_EQ(a->transcript_bytes, 3U);
  EXPECT_EQ(as_text(*store->transcript_part("a", 0)), "abc");
  EXPECT_EQ(store->transcript_part("a", 1).error().code, Code::not_found);

  const auto cut_off = store->unfinished_jobs();
  ASSERT_TRUE(cut_off);
  ASSERT_EQ(cut_off->size(), 1U);
  EXPECT_EQ(cut_off->front().id, "b");
  const auto all = store->jobs(10);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ(all->front().id, "b") << "newest first";
}

TEST_F(StoreTest, DropsTheOldestFinishedJobsAboveTheLimit) {
  limits_.jobs_kept_max = 2;
  auto store = open();
  ASSERT_TRUE(store->put_job(row("running")));
  for (const char* id : {"a", "b", "c"}) {
    ASSERT_TRUE(store->put_job(row(id)));
    ASSERT_TRUE(store->put_job(row(id, at(1))));
  }
  EXPECT_EQ(store->job("a").error().code, Code::not_found);
  EXPECT_TRUE(store->job("b"));
  EXPECT_TRUE(store->job("c"));
  EXPECT_TRUE(store->job("running")) << "only finished jobs go";
}

TEST_F(StoreTest, DropsTheOldestTranscriptsAboveTheLimit) {
  limits_.transcript_bytes_max = 8;
  auto store = open();
  for (const char* id : {"a", "b", "c"}) {
    JobRow done = row(id, at(1));
    ASSERT_TRUE(store->put_job(row(id)));
    ASSERT_TRUE(store->put_transcript_part(id, 0, as_bytes("1234")));
    done.transcript_bytes = 4;
    ASSERT_TRUE(store->put_job(done));
  }
  EXPECT_EQ(store->job("a")->transcript_bytes, 0U) << "the job stays, its output is gone";
  EXPECT_FALSE(store->transcript_part("a", 0));
  EXPECT_TRUE(store->transcript_part("b", 0));
  EXPECT_TRUE(store->transcript_part("c", 0));
}

TEST_F(StoreTest, RefusesWhatIsAboveARowsLimit) {
  auto store = open();
  JobRow big = row("big");
  big.document.assign(kBlobPartBytesMax + 1, 'x');
  EXPECT_EQ(store->put_job(big).error().code, Code::too_large);
  ASSERT_TRUE(store->put_job(row("a")));
  EXPECT_EQ(store->put_transcript_part("a", 0, Bytes(kBlobPartBytesMax + 1)).error().code,
            Code::too_large);
  EXPECT_EQ(store->put_transcript_part("nobody", 0, as_bytes("x")).error().code, Code::not_found);
}

// ── The file ──

TEST_F(StoreTest, MakesItsFilesPrivateWhateverTheUmask) {
  const mode_t before = ::umask(0);
  auto store = open();
  ASSERT_TRUE(store->admit(job_id(1), at(0), at(1000), at(0)));
  ::umask(before);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    struct stat facts{};
    ASSERT_EQ(::stat(entry.path().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600U) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 2) << "the file and its log";
}

TEST_F(StoreTest, RefusesAFileThatOthersMayRead) {
  open().reset();
  ASSERT_EQ(::chmod(options().path.c_str(), 0640), 0);
  const auto store = Store::open(options(), kStart);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::permission_denied);
  EXPECT_NE(store.error().hint.find("chmod 600"), std::string::npos);
}

TEST_F(StoreTest, RefusesAFileInUse) {
  auto store = open();
  const auto second = Store::open(options(), kStart);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::busy);
}

TEST_F(StoreTest, RefusesAFileOfANewerProgramAndOneThatIsNoDatabase) {
  open().reset();
  {
    auto database = sql::Database::open(options().path);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->execute("PRAGMA user_version=999"));
  }
  EXPECT_EQ(Store::open(options(), kStart).error().code, Code::version_unknown);

  StoreOptions other = options();
  other.path = folder_ / "letter.txt";
  std::ofstream(other.path) << std::string(8192, 'x');
  ASSERT_EQ(::chmod(other.path.c_str(), 0600), 0);
  EXPECT_EQ(Store::open(other, kStart).error().code, Code::malformed);
}

}  // namespace
}  // namespace phase::store
