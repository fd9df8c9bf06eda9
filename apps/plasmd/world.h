// world.h — what `start` and the one-shot node share: clock, randomness, key, worker options,
// folders.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include <spdlog/logger.h>

#include "base/random.h"
#include "base/system_clock.h"
#include "identity/identity.h"
#include "node/local_node.h"
#include "settings.h"

namespace phase::plasmd {

inline constexpr const char* kAgent = "plasmd/" PHASE_VERSION;

/// The node's own things. Lives as long as what uses them.
struct OneNode {
  /// Loads or makes the identity and the key of the module cache. Errors: those of
  /// identity::load_or_create_key.
  [[nodiscard]] static Result<std::unique_ptr<OneNode>> make(
      asio::any_io_executor executor, const std::filesystem::path& identity_path,
      const std::filesystem::path& data_dir);
  explicit OneNode(asio::any_io_executor executor) : clock(std::move(executor)) {}

  SystemClock clock;
  SystemRandom random;
  std::optional<identity::KeyPair> key;
  worker::CacheKey cache_key{};
};

/// Worker, resources, ceilings and budgets of the settings; nobody is allowed yet.
[[nodiscard]] node::LocalOptions local_options(const Settings& settings,
                                               const worker::CacheKey& cache_key,
                                               const std::filesystem::path& data_dir);

}  // namespace phase::plasmd
