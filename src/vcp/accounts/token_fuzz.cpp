// Goal: no bytes pass for a token that was not signed, and none break the reader.
// Method: any bytes as a token, and any bytes as claims under a good signature; a token of ours
// with one bit turned must be refused.
#include <cstdlib>

#include "vcp/accounts/token.h"

namespace {

using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target

constexpr UtcTime kNow{1'767'225'600'000};

void check_turned(std::string token, std::size_t place, const vcp::TokenKey& key) {
  const std::string whole = token;
  token[place % token.size()] ^= static_cast<char>(1 << place % 7);
  if (token != whole && vcp::read_token(token, key, kNow)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const vcp::TokenKey key = vcp::token_key("a secret that is long enough for a test");
  const ByteView bytes(data, size);
  const auto read = vcp::read_token(as_text(bytes), key, kNow);
  if (read && vcp::sign_token(*read, key) != as_text(bytes)) std::abort();
  vcp::Claims claims;
  claims.subject = to_hex(bytes.first(std::min<std::size_t>(size, 18)));
  claims.username = to_hex(bytes.first(std::min<std::size_t>(size, 16)));
  claims.id = claims.session = "x";
  claims.issued = kNow.unix_ms / 1000;
  claims.expires = claims.issued + 900;
  const std::string token = vcp::sign_token(claims, key);
  const auto again = vcp::read_token(token, key, kNow);
  if (!again || !(*again == claims)) std::abort();
  if (size >= 2) check_turned(token, static_cast<std::size_t>(data[0]) * 256 + data[1], key);
  return 0;
}
