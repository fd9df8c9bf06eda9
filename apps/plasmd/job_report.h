// job_report.h — how a one-shot job is shown: its streams as they are, JSON at the end, or JSON as
// it happens.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "command_line.h"
#include "console.h"

namespace phase::plasmd {

/// `run` ends with this when the module ended otherwise than by itself (trap, limit, not a module),
/// as `phase run` does.
inline constexpr int kExitNotExited = 1;
/// … and with this when it was cancelled.
inline constexpr int kExitCancelled = 130;
/// A receipt that does not verify, as spec/errors.md has it.
inline constexpr int kExitNotVerified = 3;

class JobReport {
 public:
  virtual ~JobReport() = default;
  /// Whether `finished` needs the output too.
  [[nodiscard]] virtual bool wants_transcript() const = 0;
  /// False: nobody reads our output any more.
  [[nodiscard]] virtual Task<bool> accepted(const std::string& id) = 0;
  /// An event of the job before its result; `json` is its object.
  [[nodiscard]] virtual Task<bool> happened(std::string_view name, const std::string& json) = 0;
  /// The result object. Returns the exit status.
  [[nodiscard]] virtual Task<Result<int>> finished(const std::string& json) = 0;
};

/// `console` must outlive the report.
[[nodiscard]] std::unique_ptr<JobReport> make_report(const CommandLine& line, Console& console);

}  // namespace phase::plasmd
