// rendezvous.h — where a coordinator is: what its REST API says, and what this node keeps of it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "http_client/http_client.h"
#include "identity/identity.h"

namespace phase::vcp {

inline constexpr std::size_t kMeshAnswerBytesMax = 64_KiB;
inline constexpr auto kMeshSilenceMax = std::chrono::seconds(5);
inline constexpr std::size_t kMeshAddressesMax = 32;
inline constexpr std::size_t kMeshAddressBytesMax = 512;

struct Meeting {
  identity::PublicKey key;             ///< the coordinator's
  std::vector<std::string> addresses;  ///< multiaddrs, each with /p2p/<its peer id>
};

/// Reads `{"peer_id": …, "addresses": […]}`; other keys are ignored. Errors: Code::malformed,
/// too_large.
[[nodiscard]] Result<Meeting> parse_meeting(std::string_view json);

/// Asks GET <url>/api/v1/mesh; `trust` is of https, null: this system's authorities. Errors:
/// Code::unavailable (nobody there, or no coordinator), unauthorized (its certificate is not
/// believed), malformed.
[[nodiscard]] Task<Result<Meeting>> look_up(asio::any_io_executor executor, http_client::Url url,
                                            std::shared_ptr<const http_client::Trust> trust);

/// Where the coordinator's key is kept: the first one met is the only one taken.
class CoordinatorPin {
 public:
  explicit CoordinatorPin(std::filesystem::path path) : path_(std::move(path)) {}
  /// Errors: Code::unauthorized for another key than the kept one, with what to do; io.
  [[nodiscard]] Result<void> check(const identity::PublicKey& key) const;
  /// Keeps it; nothing happens when one is kept. Errors: Code::io.
  [[nodiscard]] Result<void> keep(const identity::PublicKey& key) const;

 private:
  std::filesystem::path path_;
};

}  // namespace phase::vcp
