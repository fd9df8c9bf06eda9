#include "wasi/wasi.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <set>

#include <gtest/gtest.h>
#include <sodium.h>

namespace phase::wasi {
namespace {

// A world of memory: stdin in given pieces, time that moves only when somebody waits.
class FakeWorld final : public World {
 public:
  std::optional<std::size_t> read_stdin(std::span<std::uint8_t> to) override {
    if (lost) return std::nullopt;
    if (pieces.empty()) return 0;
    std::string& front = pieces.front();
    const std::size_t count = std::min(to.size(), front.size());
    std::memcpy(to.data(), front.data(), count);
    front.erase(0, count);
    if (front.empty()) pieces.pop_front();
    return count;
  }
  std::optional<bool> wait(bool stdin_wanted, std::optional<std::uint64_t> timeout_ns) override {
    if (lost) return std::nullopt;
    waits++;
    if (stdin_wanted && ready) return true;
    now += timeout_ns.value_or(0);
    return false;
  }
  bool write(Stream stream, ByteView bytes) override {
    if (bytes.size() > room) return false;
    room -= bytes.size();
    (stream == Stream::out ? out : err) += as_text(bytes);
    return true;
  }
  std::uint64_t elapsed_ns() override { return now; }
  std::uint64_t cpu_ns() override { return 7; }

  std::deque<std::string> pieces;
  std::string out, err;
  bool lost = false, ready = true;
  std::size_t room = 1_MiB;
  std::uint64_t now = 0;
  int waits = 0;
};

class WasiTest : public testing::Test {
 protected:
  Call call(std::string_view name, std::vector<std::uint64_t> arguments) {
    const auto found = std::ranges::find(functions(), name, &Function::name);
    EXPECT_NE(found, functions().end()) << name;
    EXPECT_EQ(found->parameters.size(), arguments.size()) << name;
    return found->run(*guest, Memory(bytes), arguments.data());
  }
  // The errno a call returned.
  Errno error(std::string_view name, std::vector<std::uint64_t> arguments) {
    const Call made = call(name, std::move(arguments));
    EXPECT_EQ(made.kind, Call::Kind::returned);
    return static_cast<Errno>(made.value);
  }
  template <typename T>
  T load(std::uint32_t at) const {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }
  template <typename T>
  void store(std::uint32_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  }
  void store_vector(std::uint32_t at, std::uint32_t pointer, std::uint32_t length) {
    store(at, pointer);
    store(at + 4, length);
  }
  void reset(Config config) { guest.emplace(std::move(config), world); }
  std::string text(std::uint32_t at, std::size_t length) const {
    return {reinterpret_cast<const char*>(bytes.data()) + at, length};
  }

  FakeWorld world;
  Bytes bytes = Bytes(65536);
  std::optional<Guest> guest{
      std::in_place,
      Config{.args = {"one", ""}, .env = {{"A", "1"}, {"B", "x=y"}}, .clock_start_ns = 1000},
      world};
};

TEST_F(WasiTest, HasEveryFunctionOnce) {
  std::set<std::string_view> names;
  for (const Function& function : functions()) {
    EXPECT_TRUE(names.insert(function.name).second) << function.name;
    EXPECT_EQ(function.parameters.find_first_not_of("iI"), std::string_view::npos);
    EXPECT_EQ(function.has_result, function.name != "proc_exit");
  }
  EXPECT_EQ(names.size(), 46U);  // wasi_snapshot_preview1.witx, sock_accept included
}

TEST_F(WasiTest, GivesArgumentsAndEnvironment) {
  ASSERT_EQ(error("args_sizes_get", {0, 4}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(0), 3U);
  EXPECT_EQ(load<std::uint32_t>(4), 7U + 4U + 1U);
  ASSERT_EQ(error("args_get", {16, 64}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(16), 64U);
  EXPECT_EQ(text(64, 12), std::string("module\0one\0\0", 12));
  EXPECT_EQ(load<std::uint32_t>(24), 64U + 11U);
  ASSERT_EQ(error("environ_sizes_get", {0, 4}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(0), 2U);
  ASSERT_EQ(error("environ_get", {16, 64}), Errno::success);
  EXPECT_EQ(text(64, 10), std::string("A=1\0B=x=y\0", 10));
  EXPECT_EQ(error("args_get", {16, 65530}), Errno::fault);
  EXPECT_EQ(error("args_sizes_get", {65533, 0}), Errno::fault);
}

TEST_F(WasiTest, ReadsWhatIsThereOrFillsAsAsked) {
  world.pieces = {"ab", "cdef"};
  world.ready = false;
  store_vector(0, 100, 3);
  store_vector(8, 200, 3);
  ASSERT_EQ(error("fd_read", {0, 0, 2, 16}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(16), 2U);  // the rest is not there yet
  world.ready = true;
  ASSERT_EQ(error("fd_read", {0, 0, 2, 16}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(16), 4U);
  EXPECT_EQ(text(100, 3) + text(200, 1), "cdef");
  ASSERT_EQ(error("fd_read", {0, 0, 2, 16}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(16), 0U);  // the end

  reset({.fill_reads = true});
  world.ready = false;
  world.pieces = {"ab", "cdef", "g"};
  ASSERT_EQ(error("fd_read", {0, 0, 2, 16}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(16), 6U);
  ASSERT_EQ(error("fd_read", {0, 0, 2, 16}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(16), 1U);
}

TEST_F(WasiTest, NonblockingReadSaysAgain) {
  world.ready = false;
  world.pieces = {"x"};
  store_vector(0, 100, 3);
  ASSERT_EQ(error("fd_fdstat_set_flags", {0, 4}), Errno::success);
  EXPECT_EQ(error("fd_read", {0, 0, 1, 16}), Errno::again);
  world.ready = true;
  EXPECT_EQ(error("fd_read", {0, 0, 1, 16}), Errno::success);
  EXPECT_EQ(error("fd_fdstat_set_flags", {0, 1}), Errno::notsup);
}

TEST_F(WasiTest, WritesInOrderAndStopsAtTheLimit) {
  std::memcpy(bytes.data() + 100, "hello", 5);
  store_vector(0, 100, 2);
  store_vector(8, 102, 3);
  ASSERT_EQ(error("fd_write", {1, 0, 2, 16}), Errno::success);
  ASSERT_EQ(error("fd_write", {2, 8, 1, 16}), Errno::success);
  EXPECT_EQ(world.out, "hello");
  EXPECT_EQ(world.err, "llo");
  EXPECT_EQ(error("fd_write", {0, 0, 1, 16}), Errno::badf);
  EXPECT_EQ(error("fd_read", {1, 0, 1, 16}), Errno::badf);
  EXPECT_EQ(error("fd_write", {3, 0, 1, 16}), Errno::badf);
  world.room = 1;
  EXPECT_EQ(call("fd_write", {1, 0, 2, 16}).kind, Call::Kind::stopped);
  world.lost = true;
  EXPECT_EQ(call("fd_read", {0, 0, 1, 16}).kind, Call::Kind::stopped);
}

TEST_F(WasiTest, ChecksVectors) {
  store_vector(0, 65530, 7);
  EXPECT_EQ(error("fd_write", {1, 0, 1, 16}), Errno::fault);
  store_vector(0, 0xffffffff, 0xffffffff);
  EXPECT_EQ(error("fd_write", {1, 0, 1, 16}), Errno::fault);
  EXPECT_EQ(error("fd_write", {1, 65532, 1, 16}), Errno::fault);
  EXPECT_EQ(error("fd_write", {1, 0, kVectorsMax + 1, 16}), Errno::inval);
  store_vector(0, 100, 4);
  EXPECT_EQ(error("fd_write", {1, 0, 1, 65533}), Errno::fault);
  world.pieces = {"abcd"};
  EXPECT_EQ(error("fd_read", {0, 0, 1, 65533}), Errno::fault);
  EXPECT_EQ(world.pieces.front(), "abcd");  // nothing was lost to a bad pointer
  EXPECT_EQ(world.out, "");
}

TEST_F(WasiTest, ClosesRenumbersAndLimitsRights) {
  EXPECT_EQ(error("fd_renumber", {1, 2}), Errno::success);  // stderr is stdout now, 1 is closed
  store_vector(0, 100, 1);
  EXPECT_EQ(error("fd_write", {1, 0, 1, 16}), Errno::badf);
  EXPECT_EQ(error("fd_write", {2, 0, 1, 16}), Errno::success);
  EXPECT_EQ(world.out.size(), 1U);
  EXPECT_EQ(error("fd_close", {2}), Errno::success);
  EXPECT_EQ(error("fd_close", {2}), Errno::badf);
  EXPECT_EQ(error("fd_renumber", {0, 7}), Errno::badf);
  ASSERT_EQ(error("fd_fdstat_get", {0, 32}), Errno::success);
  EXPECT_NE(load<std::uint64_t>(40) & 2, 0U);
  EXPECT_EQ(error("fd_fdstat_set_rights", {0, 0, 0}), Errno::success);
  EXPECT_EQ(error("fd_read", {0, 0, 1, 16}), Errno::notcapable);
  EXPECT_EQ(error("fd_fdstat_set_rights", {0, 2, 0}), Errno::notcapable);
}

TEST_F(WasiTest, ClocksStartWhereTheJobSays) {
  world.now = 5;
  ASSERT_EQ(error("clock_time_get", {0, 1, 8}), Errno::success);
  EXPECT_EQ(load<std::uint64_t>(8), 1005U);
  ASSERT_EQ(error("clock_time_get", {1, 1, 8}), Errno::success);
  EXPECT_EQ(load<std::uint64_t>(8), 5U);
  ASSERT_EQ(error("clock_time_get", {2, 1, 8}), Errno::success);
  EXPECT_EQ(load<std::uint64_t>(8), 7U);
  EXPECT_EQ(error("clock_time_get", {4, 1, 8}), Errno::inval);
  ASSERT_EQ(error("clock_res_get", {0, 8}), Errno::success);
  EXPECT_EQ(load<std::uint64_t>(8), 1U);
}

// Goal: randomness is the ChaCha20 keystream of the seed, however it is asked for.
TEST_F(WasiTest, RandomnessIsTheSeedsKeystream) {
  std::array<std::uint8_t, 32> seed;
  seed.fill(0xa5);
  reset({.random_seed = seed});
  std::array<unsigned char, 1000> expected{};
  const std::array<unsigned char, crypto_stream_chacha20_NONCEBYTES> nonce{};
  crypto_stream_chacha20(expected.data(), expected.size(), nonce.data(), seed.data());
  std::uint32_t at = 0;
  for (const std::uint32_t step : {1U, 0U, 63U, 64U, 65U, 200U, 7U, 600U}) {
    ASSERT_EQ(error("random_get", {at, step}), Errno::success);
    at += step;
  }
  ASSERT_EQ(at, expected.size());
  EXPECT_EQ(std::memcmp(bytes.data(), expected.data(), expected.size()), 0);
  EXPECT_EQ(error("random_get", {65535, 2}), Errno::fault);
}

void put_clock(Bytes& memory, std::size_t at, std::uint64_t userdata, std::uint32_t clock,
               std::uint64_t timeout, std::uint16_t flags) {
  std::memcpy(memory.data() + at, &userdata, 8);
  memory[at + 8] = 0;
  std::memcpy(memory.data() + at + 16, &clock, 4);
  std::memcpy(memory.data() + at + 24, &timeout, 8);
  std::memcpy(memory.data() + at + 40, &flags, 2);
}
void put_fd(Bytes& memory, std::size_t at, std::uint64_t userdata, std::uint8_t tag,
            std::uint32_t fd) {
  std::memcpy(memory.data() + at, &userdata, 8);
  memory[at + 8] = tag;
  std::memcpy(memory.data() + at + 16, &fd, 4);
}

TEST_F(WasiTest, PollWaitsForTheEarliestClock) {
  put_clock(bytes, 0, 11, 1, 500, 0);
  put_clock(bytes, 48, 22, 0, 1000 + 300, 1);  // absolute, real time
  ASSERT_EQ(error("poll_oneoff", {0, 1024, 2, 2048}), Errno::success);
  EXPECT_EQ(world.now, 300U);
  EXPECT_EQ(load<std::uint32_t>(2048), 1U);
  EXPECT_EQ(load<std::uint64_t>(1024), 22U);
  EXPECT_EQ(load<std::uint16_t>(1032), 0U);
}

TEST_F(WasiTest, PollReportsStdinOutputAndErrors) {
  world.ready = true;
  put_fd(bytes, 0, 1, 1, 0);
  put_clock(bytes, 48, 2, 1, 1'000'000, 0);
  ASSERT_EQ(error("poll_oneoff", {0, 1024, 2, 2048}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(2048), 1U);
  EXPECT_EQ(load<std::uint64_t>(1024), 1U);
  EXPECT_EQ(world.now, 0U);

  world.ready = false;  // nothing to read: the clock ends it
  ASSERT_EQ(error("poll_oneoff", {0, 1024, 2, 2048}), Errno::success);
  EXPECT_EQ(load<std::uint64_t>(1024), 2U);
  EXPECT_EQ(world.now, 1'000'000U);

  put_fd(bytes, 0, 5, 2, 1);         // output is always ready
  put_fd(bytes, 48, 6, 1, 9);        // no such descriptor
  put_clock(bytes, 96, 7, 3, 1, 0);  // not a clock to wait for
  ASSERT_EQ(error("poll_oneoff", {0, 1024, 3, 2048}), Errno::success);
  EXPECT_EQ(load<std::uint32_t>(2048), 3U);
  EXPECT_EQ(load<std::uint16_t>(1024 + 32 + 8), static_cast<std::uint16_t>(Errno::badf));
  EXPECT_EQ(load<std::uint16_t>(1024 + 64 + 8), static_cast<std::uint16_t>(Errno::inval));

  EXPECT_EQ(error("poll_oneoff", {0, 1024, 0, 2048}), Errno::inval);
  EXPECT_EQ(error("poll_oneoff", {0, 1024, kSubscriptionsMax + 1, 2048}), Errno::inval);
  EXPECT_EQ(error("poll_oneoff", {65530, 1024, 1, 2048}), Errno::fault);
  bytes[8] = 9;
  EXPECT_EQ(error("poll_oneoff", {0, 1024, 1, 2048}), Errno::inval);
}

TEST_F(WasiTest, NothingElseExists) {
  EXPECT_EQ(error("path_open", {3, 0, 0, 1, 0, 0, 0, 0, 0}), Errno::badf);
  EXPECT_EQ(error("path_open", {0, 0, 0, 1, 0, 0, 0, 0, 0}), Errno::notdir);
  EXPECT_EQ(error("path_symlink", {0, 1, 3, 0, 1}), Errno::badf);
  EXPECT_EQ(error("fd_prestat_get", {3, 0}), Errno::badf);
  EXPECT_EQ(error("fd_seek", {0, 0, 0, 0}), Errno::spipe);
  EXPECT_EQ(error("sock_recv", {0, 0, 0, 0, 0, 0}), Errno::notsock);
  EXPECT_EQ(error("sock_accept", {5, 0, 0}), Errno::badf);
  EXPECT_EQ(error("proc_raise", {6}), Errno::notsup);
  EXPECT_EQ(error("sched_yield", {}), Errno::success);
  EXPECT_EQ(call("proc_exit", {42}), (Call{Call::Kind::exited, 42}));
}

}  // namespace
}  // namespace phase::wasi
