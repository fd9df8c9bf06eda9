// console.h — reading files and writing to the terminal without surprises.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/job/output.h"

namespace phase::cli {

/// All of a file, or of stdin for "-". Errors: Code::not_found, permission_denied, io, too_large
/// above `bytes_max`.
[[nodiscard]] Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t bytes_max);
/// Replaces the file. `private_file`: mode 0600.
[[nodiscard]] Result<void> write_file(const std::filesystem::path& path, ByteView bytes,
                                      bool private_file = false);
/// All of it, or Code::connection_closed when nobody reads any more.
[[nodiscard]] Result<void> write_all(int descriptor, ByteView bytes);
/// One line on stdout.
void print(std::string_view line);
/// One line on stderr, after "phase: ".
void complain(std::string_view line);

/// A line on stderr that is written over, where stderr is a terminal; nothing else.
class Progress {
 public:
  explicit Progress(bool enabled);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(std::string_view text);
  void clear();

 private:
  bool enabled_;
  bool shown_ = false;
};

/// Passes a job's output on as it comes. When the job starts again elsewhere, what was printed
/// before is compared with the new output and not printed twice.
class LivePrinter {
 public:
  /// `silent`: nothing is written, only followed.
  LivePrinter(Progress& progress, bool silent) : progress_(progress), silent_(silent) {}
  /// Errors: Code::connection_closed (nobody reads), Code::verification_failed (the second run's
  /// output differs from what was printed of the first).
  [[nodiscard]] Result<void> output(job::OutputStream stream, ByteView bytes);
  void restart();
  /// Of the attempt that runs now. Errors: Code::verification_failed when it ended before what was
  /// printed.
  [[nodiscard]] Result<job::OutputSummary> finish() const;

 private:
  struct Stream {
    std::uint64_t printed = 0;  ///< bytes written so far, of any attempt
    Sha256Stream printed_hash;  ///< over them
    std::uint64_t seen = 0;     ///< bytes of this attempt
    Sha256Stream seen_hash;     ///< over those, while below `printed`
  };
  [[nodiscard]] Result<void> emit(Stream& stream, int descriptor, ByteView bytes);
  Progress& progress_;
  bool silent_;
  Stream out_, err_;
  job::OutputChain chain_;
};

}  // namespace phase::cli
