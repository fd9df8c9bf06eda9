#include "mesh/node_document.h"

#include <array>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/event.h"

namespace phase::mesh {
namespace {

/// Waits for the other side's end, so that closing does not overtake what was written.
Task<void> read_out(ByteStream& stream) {
  std::array<std::uint8_t, 64> rest{};
  const auto n = co_await stream.read(rest);
  if (!n || *n > 0) {
    stream.reset();  // nothing may follow `end`
  }
}

Task<Result<Bytes>> exchange(ByteStream& stream) {
  const offer::Frame end = offer::End{};
  const auto written = co_await offer::write_frame(stream, end);
  if (!written) {
    co_return fail(written.error());
  }
  stream.close_write();
  PHASE_CO_TRY(auto frame, co_await offer::read_frame(stream));
  auto* const node = std::get_if<offer::NodeFrame>(&frame);
  if (node == nullptr) {
    co_return fail(Code::protocol, "the peer sent another frame than its node document");
  }
  Bytes envelope = std::move(node->envelope);
  PHASE_CO_TRY(const auto last, co_await offer::read_frame(stream));
  if (!std::holds_alternative<offer::End>(last)) {
    co_return fail(Code::protocol, "the peer went on after its node document");
  }
  co_return envelope;
}

}  // namespace

void NodeDocument::serve(std::unique_ptr<ByteStream> stream) {
  if (streams_ >= kDocumentStreamsMax || !source_) {
    stream->reset();
    return;
  }
  ++streams_;
  asio::co_spawn(world_.executor, answer(shared_from_this(), std::move(stream)), asio::detached);
}

Task<void> NodeDocument::answer(std::shared_ptr<NodeDocument> self,
                                std::unique_ptr<ByteStream> stream) {
  Alarm alarm(self->world_.clock, self->world_.executor);
  alarm.set(self->world_.clock.now() + kDocumentStreamMax, [s = stream.get()] { s->reset(); });
  const auto asked = co_await offer::read_frame(*stream);
  if (asked && std::holds_alternative<offer::End>(*asked) && self->source_) {
    const offer::Frame frame = offer::NodeFrame{self->envelope()};
    const offer::Frame end = offer::End{};
    const auto sent = co_await offer::write_frame(*stream, frame);
    if (sent) {
      const auto ended = co_await offer::write_frame(*stream, end);
      if (ended) {
        stream->close_write();
        co_await read_out(*stream);
      }
    }
  } else {
    stream->reset();
  }
  alarm.stop();
  --self->streams_;
}

Bytes NodeDocument::envelope() {
  const Instant now = world_.clock.now();
  if (sealed_.empty() || now - sealed_at_ >= Duration{kDocumentReuse}) {
    sealed_ = offer::seal(source_(), world_.key);
    sealed_at_ = now;
  }
  return sealed_;
}

Task<Result<offer::Capabilities>> ask_document(Clock& clock, asio::any_io_executor executor,
                                               std::unique_ptr<ByteStream> stream,
                                               identity::PublicKey peer, Deadline deadline) {
  Alarm alarm(clock, executor);
  alarm.set(deadline.at, [s = stream.get()] { s->reset(); });
  const auto envelope = co_await exchange(*stream);
  alarm.stop();
  if (!envelope) {
    if (clock.now() >= deadline.at) {
      co_return fail(Code::timed_out, "the peer did not send its node document in time");
    }
    co_return fail(envelope.error());
  }
  co_return offer::open_capabilities(*envelope, peer, clock.now_utc());
}

}  // namespace phase::mesh
