// node_document.h — what nodes say of themselves, over /phase/node/2.0.0 (spec/job-stream.md,
// spec/discovery.md §2).
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/stream.h"
#include "identity/identity.h"
#include "protocol/offer/frame.h"

namespace phase::mesh {

/// Streams answered at once; more are reset.
inline constexpr std::size_t kDocumentStreamsMax = 64;
/// From a stream's opening to its end.
inline constexpr Duration kDocumentStreamMax = 5s;
/// A signed document is sent to everybody who asks within this time, so that asking costs no
/// signature.
inline constexpr Duration kDocumentReuse = 500ms;

/// Answers those who ask what this node offers. Belongs to one executor.
class NodeDocument : public std::enable_shared_from_this<NodeDocument> {
 public:
  using Source = std::function<offer::Capabilities()>;
  struct World {
    Clock& clock;
    const identity::KeyPair& key;
    asio::any_io_executor executor;
  };
  /// `source` is called while streams are served; destroy those first (`close`).
  NodeDocument(World world, Source source) : world_(world), source_(std::move(source)) {}

  /// Serves one stream to its end, in the background.
  void serve(std::unique_ptr<ByteStream> stream);
  /// Streams that are still open get nothing any more.
  void close() { source_ = nullptr; }

 private:
  static Task<void> answer(std::shared_ptr<NodeDocument> self, std::unique_ptr<ByteStream> stream);
  [[nodiscard]] Bytes envelope();

  World world_;
  Source source_;
  Bytes sealed_;
  Instant sealed_at_;
  std::size_t streams_ = 0;
};

/// Asks the other end of `stream` for its document. Errors: Code::verification_failed unless signed
/// by `peer`, Code::expired, protocol, connection_closed, timed_out.
[[nodiscard]] Task<Result<offer::Capabilities>> ask_document(Clock& clock,
                                                             asio::any_io_executor executor,
                                                             std::unique_ptr<ByteStream> stream,
                                                             identity::PublicKey peer,
                                                             Deadline deadline);

}  // namespace phase::mesh
