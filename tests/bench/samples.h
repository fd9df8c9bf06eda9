// samples.h — durations of one thing done many times, and how benchmarks print them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <time.h>

namespace phase::bench {

class Samples {
 public:
  using Clock = std::chrono::steady_clock;

  void add(Clock::duration duration) {
    microseconds_.push_back(std::chrono::duration<double, std::micro>(duration).count());
  }
  /// The value below which `share` of the samples lie; 0 without samples.
  [[nodiscard]] double percentile(double share) const {
    if (microseconds_.empty()) return 0;
    auto sorted = microseconds_;
    std::ranges::sort(sorted);
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
  }
  [[nodiscard]] double p50() const { return percentile(0.5); }
  /// Microseconds, in the order they were added, as a JSON list.
  [[nodiscard]] std::string json() const {
    std::string out = "[";
    for (const double one : microseconds_) {
      out += (out.size() > 1 ? "," : "") + std::to_string(static_cast<long long>(one));
    }
    return out + "]";
  }
  /// One row: name, p50, p90, p99, count.
  void print(std::string_view name) const {
    std::printf("%-58.*s p50 %10.1f us   p90 %10.1f   p99 %10.1f   n %zu\n",
                static_cast<int>(name.size()), name.data(), p50(), percentile(0.9),
                percentile(0.99), microseconds_.size());
  }

 private:
  std::vector<double> microseconds_;
};

/// Times a block: `{ Timed timed(samples); work(); }`.
class Timed {
 public:
  explicit Timed(Samples& samples) : samples_(samples) {}
  ~Timed() { samples_.add(Samples::Clock::now() - begin_); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  Samples& samples_;
  Samples::Clock::time_point begin_ = Samples::Clock::now();
};

/// The same in processor time of this thread, so that what else runs on the machine counts little.
class CpuTimed {
 public:
  explicit CpuTimed(Samples& samples) : samples_(samples), begin_(now()) {}
  ~CpuTimed() { samples_.add(now() - begin_); }
  CpuTimed(const CpuTimed&) = delete;
  CpuTimed& operator=(const CpuTimed&) = delete;

 private:
  static std::chrono::nanoseconds now() {
    timespec at{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec);
  }
  Samples& samples_;
  std::chrono::nanoseconds begin_;
};

/// `name: a / b = ratio`.
inline void print_ratio(std::string_view name, double a, double b) {
  std::printf("%-58.*s ratio %8.2f\n", static_cast<int>(name.size()), name.data(),
              b > 0 ? a / b : 0);
}

}  // namespace phase::bench
