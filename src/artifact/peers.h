// peers.h — those who may have an artifact, as this folder sees them. In production: mesh; in
// tests: memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"
#include "identity/identity.h"

namespace phase::artifact {

/// Belongs to one executor. Nothing it says is believed: peers are asked.
class Peers {
 public:
  virtual ~Peers() = default;
  [[nodiscard]] virtual std::vector<identity::PublicKey> connected() const = 0;
  /// Those announced under a key of the DHT.
  [[nodiscard]] virtual Task<Result<std::vector<identity::PublicKey>>> announced(
      std::string key, Deadline deadline) = 0;
  /// A stream of kArtifactProtocol. Errors: Code::unavailable, timed_out, unsupported.
  [[nodiscard]] virtual Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey peer,
                                                                       Deadline deadline) = 0;
};

}  // namespace phase::artifact
