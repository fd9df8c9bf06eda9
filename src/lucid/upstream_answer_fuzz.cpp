// What a server that is not ours answers: streams and documents, in pieces.
#include "lucid/upstream.h"
#include "lucid/upstream_answer.h"

namespace {

using namespace phase;
using Shape = lucid::UpstreamRequest::Shape;

/// Exactly one end, and it is the last event.
void check(const lucid::UpstreamAnswer& answer) {
  std::size_t ends = 0;
  for (const auto& event : answer.events) {
    ends += std::holds_alternative<worker::InferenceEnd>(event) ? 1 : 0;
  }
  if (ends != 1 || !std::holds_alternative<worker::InferenceEnd>(answer.events.back())) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const unsigned status = (data[0] & 1) == 0 ? 200 : 400;
  const auto shape = static_cast<Shape>(data[0] / 2 % 3);
  const std::size_t piece = std::size_t{data[1]} + 1;
  const std::string_view text = as_text(ByteView(data + 2, size - 2));
  lucid::UpstreamAnswer answer(shape, status, data[0] / 8);
  for (std::size_t at = 0; at < text.size(); at += piece) answer.take(text.substr(at, piece));
  answer.finish();
  check(answer);
  (void)lucid::read_upstream_models(text, R"({"chat_template":"x"})");
  (void)lucid::read_upstream_models(R"({"data":[{"id":"a"}]})", text);
  (void)lucid::parse_upstream_url(text);
  return 0;
}
