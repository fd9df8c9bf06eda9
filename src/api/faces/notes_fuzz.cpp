// Whatever a provider writes, on either stream and however it is cut: parts of good text, or an
// error with words. The first byte says how.
#include <cstdlib>
#include <deque>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "api/faces/answers.h"

namespace {

using namespace phase;

class Bytewise final : public lucid::Answer {
 public:
  explicit Bytewise(std::deque<lucid::AnswerEvent> events) : events_(std::move(events)) {}
  Task<Result<lucid::AnswerEvent>> next() override {
    if (events_.empty()) {
      co_return fail(Code::internal, "nothing follows the end");
    }
    lucid::AnswerEvent event = std::move(events_.front());
    events_.pop_front();
    co_return event;
  }

 private:
  std::deque<lucid::AnswerEvent> events_;
};

Task<void> read_all(faces::AnswerReader& reader) {
  bool more = true;
  while (more) {
    const Result<faces::Part> part = co_await reader.next();
    if (!part && part.error().message.empty()) {
      std::abort();
    }
    if (part && !(is_utf8(as_bytes(part->content)) && is_utf8(as_bytes(part->thinking)))) {
      std::abort();
    }
    more = part && !part->done;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::uint8_t how = data[0];
  const std::size_t step = 1 + (how & 15);
  std::deque<lucid::AnswerEvent> events;
  for (std::size_t at = 1; at < size; at += step) {
    const Bytes piece(data + at, data + std::min(at + step, size));
    const bool out = (how & 16) != 0 || ((how & 32) != 0 && at % 3 == 0);
    events.emplace_back(
        job::OutputPiece{out ? job::OutputStream::out : job::OutputStream::err, piece});
    if ((how & 64) != 0 && at > size / 2) {
      events.emplace_back(lucid::Restart{});
    }
  }
  events.emplace_back(lucid::Finished{});
  using Mode = faces::AnswerReader::Mode;
  faces::AnswerReader reader(std::make_unique<Bytewise>(std::move(events)),
                             (how & 128) != 0 ? Mode::stream : Mode::whole, (how & 8) != 0);
  asio::io_context context;
  asio::co_spawn(context, read_all(reader), asio::detached);
  context.run();
  return 0;
}
