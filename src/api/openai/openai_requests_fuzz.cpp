// Whatever a client posts: an error with words, or a request whose ask has a prompt of JSON.
#include <cstdlib>

#include "api/faces/arbitrary_request.h"
#include "api/openai/requests.h"

namespace {

template <typename T>
void check(phase::Result<T> read) {
  if (!read) {
    if (read.error().message.empty()) {
      std::abort();
    }
    return;
  }
  const auto ask = phase::faces::finish(std::move(read->draft));
  if (ask && !phase::faces::parse_json(phase::as_text(ask->prompt), 64)) {
    std::abort();
  }
}

void read_all(std::string_view body) {
  using namespace phase::openai;
  check(read_chat(body));
  check(read_completion(body));
  check(read_embeddings(body));
  check(read_rerank(body));
  check(read_responses(body));
  check(read_messages(body));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_all({reinterpret_cast<const char*>(data), size});
  read_all(phase::faces::ArbitraryRequest({data, size}).text());
  return 0;
}
