// wasi.h — WASI preview 1, as the guest of a job sees it: arguments, environment, three streams, a
// clock, randomness.
//
// No file, directory or socket exists: their functions are there, because compilers import them,
// and answer with an error. Everything a guest can sense comes from `Config` (part of the job, so
// repeatable) or from `World` (bytes of stdin, elapsed time). One implementation for every engine:
// the production worker and the reference interpreter both walk `functions()` and know nothing of
// WASI themselves.
//
// Source: WebAssembly/WASI, legacy/preview1/witx/wasi_snapshot_preview1.witx.
// Not thread-safe; a Guest belongs to the thread that runs its module. Never throws (beyond
// bad_alloc).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace phase::wasi {

/// The import module name of every function here.
inline constexpr std::string_view kModuleName = "wasi_snapshot_preview1";

/// Buffers in one scatter/gather call; more is `inval` (POSIX IOV_MAX on Linux).
inline constexpr std::uint32_t kVectorsMax = 1024;
/// Subscriptions in one poll_oneoff; more is `inval`.
inline constexpr std::uint32_t kSubscriptionsMax = 4096;
/// Most parameters of a function here (path_open).
inline constexpr std::size_t kParametersMax = 9;

/// Numbers of the preview 1 `errno` type that this implementation gives.
enum class Errno : std::uint16_t {
  success = 0,
  again = 6,
  badf = 8,
  fault = 21,
  inval = 28,
  notdir = 54,
  notsock = 57,
  notsup = 58,
  overflow = 61,
  spipe = 70,
  notcapable = 76,
};

enum class Stream : std::uint8_t { out = 1, err = 2 };

/// What the guest senses of the outside while it runs. Implemented by whoever runs it.
class World {
 public:
  virtual ~World() = default;
  /// Reads at least one byte of stdin, at most out.size() (> 0), waiting as long as it takes. 0:
  /// stdin ended. Nothing: the run is over, the guest must stop.
  [[nodiscard]] virtual std::optional<std::size_t> read_stdin(std::span<std::uint8_t> out) = 0;
  /// Waits until stdin has bytes or has ended (when `stdin_wanted`), or `timeout_ns` passed (when
  /// given). At least one of the two is asked for. True: stdin can be read without waiting.
  /// Nothing: the run is over.
  [[nodiscard]] virtual std::optional<bool> wait(bool stdin_wanted,
                                                 std::optional<std::uint64_t> timeout_ns) = 0;
  /// Takes output, in order. False: a limit was reached or nobody listens; the guest must stop.
  [[nodiscard]] virtual bool write(Stream stream, ByteView bytes) = 0;
  /// Nanoseconds since the run began; never goes back.
  [[nodiscard]] virtual std::uint64_t elapsed_ns() = 0;
  /// Nanoseconds of processor time the run used; never goes back.
  [[nodiscard]] virtual std::uint64_t cpu_ns() = 0;
};

/// The part of a job that a guest can see.
struct Config {
  std::vector<std::string> args = {};  ///< argv[1…]; argv[0] is "module" (spec/job.md §1)
  std::map<std::string, std::string> env = {};
  std::uint64_t clock_start_ns = 0;  ///< real-time clock when the run begins, ns since 1970
  std::array<std::uint8_t, 32>
      random_seed{};  ///< key of the ChaCha20 stream that random_get hands out
  /// True: fd_read fills its buffers unless stdin ends, so results do not depend on timing (profile
  /// det-1). False: it returns as soon as there is something, which interactive guests need.
  bool fill_reads = false;
};

/// Linear memory of the guest, for the length of one call. Every access is checked.
class Memory {
 public:
  explicit Memory(std::span<std::uint8_t> bytes) noexcept : bytes_(bytes) {}
  /// `length` bytes at `offset`, or nothing when they are not all inside.
  [[nodiscard]] std::optional<std::span<std::uint8_t>> slice(std::uint32_t offset,
                                                             std::uint32_t length) const noexcept;
  [[nodiscard]] std::optional<std::uint32_t> load_u32(std::uint32_t offset) const noexcept;
  [[nodiscard]] bool store_u32(std::uint32_t offset, std::uint32_t value) const noexcept;
  [[nodiscard]] bool store_u64(std::uint32_t offset, std::uint64_t value) const noexcept;

 private:
  std::span<std::uint8_t> bytes_;
};

/// What a call came to.
struct Call {
  enum class Kind : std::uint8_t {
    returned,  ///< `value` is the errno to hand to the guest
    exited,    ///< proc_exit: `value` is the exit code
    stopped,   ///< World said so; the guest must not run on
  };
  Kind kind = Kind::returned;
  std::uint32_t value = 0;
  friend bool operator==(const Call&, const Call&) = default;
};

/// State of one run: open streams, position in the randomness. Borrows the world, which must
/// outlive it.
class Guest {
 public:
  Guest(Config config, World& world);

  [[nodiscard]] const Config& config() const noexcept { return config_; }
  [[nodiscard]] World& world() noexcept { return world_; }
  /// argv with its first element.
  [[nodiscard]] const std::vector<std::string>& args() const noexcept { return args_; }
  /// "NAME=value" in the order of names.
  [[nodiscard]] const std::vector<std::string>& env() const noexcept { return env_; }

  /// One of the guest's descriptors. There are three slots, never more.
  struct Descriptor {
    enum class Kind : std::uint8_t { closed, in, out, err };
    Kind kind = Kind::closed;
    std::uint16_t flags = 0;   ///< fdflags; only `nonblock` has an effect
    std::uint64_t rights = 0;  ///< rights left
  };
  /// The descriptor behind a number, or nullptr (badf).
  [[nodiscard]] Descriptor* descriptor(std::uint32_t fd) noexcept;
  /// Next bytes of the randomness: bytes n… of the ChaCha20 keystream of the seed (64-bit counter,
  /// zero nonce).
  void random(std::span<std::uint8_t> out);

 private:
  Config config_;
  World& world_;
  std::vector<std::string> args_;
  std::vector<std::string> env_;
  std::array<Descriptor, 3> descriptors_;
  std::uint64_t random_offset_ = 0;
};

/// One function of the interface.
struct Function {
  std::string_view name;
  std::string_view parameters;  ///< one letter each: 'i' a 32-bit, 'I' a 64-bit integer
  bool has_result;              ///< an i32 errno; only proc_exit has none
  /// `arguments` holds as many values as `parameters` has letters, 32-bit ones zero-extended.
  Call (*run)(Guest& guest, Memory memory, const std::uint64_t* arguments);
};

/// Every function of preview 1, in the order of the witx file.
[[nodiscard]] std::span<const Function> functions() noexcept;

}  // namespace phase::wasi
