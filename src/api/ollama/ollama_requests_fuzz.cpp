// Whatever a client posts: an error with words, or a request whose ask has a prompt of JSON.
#include <cstdlib>

#include "api/faces/arbitrary_request.h"
#include "api/ollama/requests.h"

namespace {

template <typename T>
void check(const phase::Result<T>& read) {
  if (!read && read.error().message.empty()) {
    std::abort();
  }
}

void check_draft(phase::faces::Draft draft) {
  const auto ask = phase::faces::finish(std::move(draft));
  if (ask && !phase::faces::parse_json(phase::as_text(ask->prompt), 64)) {
    std::abort();
  }
}

void read_all(std::string_view body) {
  using namespace phase::ollama;
  auto generate = read_generate(body);
  check(generate);
  if (generate) {
    check_draft(std::move(generate->draft));
  }
  auto chat = read_chat(body);
  check(chat);
  if (chat) {
    check_draft(std::move(chat->draft));
  }
  check(read_embed(body));
  check(read_embeddings(body));
  check(read_show(body));
  check(read_create(body));
  check(read_transfer(body, "ollama.pull"));
  check(read_copy(body));
  check(read_delete(body));
  check(read_digest(body));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_all({reinterpret_cast<const char*>(data), size});
  read_all(phase::faces::ArbitraryRequest({data, size}).text());
  return 0;
}
