#include "vcp/accounts/token.h"

#include <algorithm>
#include <cstring>

#include <boost/json.hpp>
#include <sodium.h>

namespace phase::vcp {
namespace {

namespace json = boost::json;

constexpr std::size_t kClaimBytesMax = 128;
constexpr std::uint64_t kTimeMax = 1ULL << 40;
constexpr int kPaddingBytes = 4;

tl::unexpected<Error> refused() {
  return fail(Code::unauthorized, "the access token is not one of ours", "log in again");
}

std::string to_base64url(std::string_view bytes) {
  std::string out = to_base64(as_bytes(bytes));
  std::ranges::replace(out, '+', '-');
  std::ranges::replace(out, '/', '_');
  out.erase(std::min(out.find('='), out.size()));
  return out;
}

/// RFC 7515 §2: no padding, no other characters, one spelling.
Result<std::string> from_base64url(std::string_view text) {
  if (text.find_first_of("+/=") != std::string_view::npos) {
    return refused();
  }
  std::string padded{text};
  std::ranges::replace(padded, '-', '+');
  std::ranges::replace(padded, '_', '/');
  padded.append((kPaddingBytes - padded.size() % kPaddingBytes) % kPaddingBytes, '=');
  const auto raw = from_base64(padded);
  if (!raw || to_base64url(as_text(*raw)) != text) {
    return refused();
  }
  return std::string{as_text(*raw)};
}

std::string header_text(const TokenKey& key) {
  return R"({"alg":"HS256","typ":"JWT","kid":")" + key.id + R"("})";
}

std::string signature(std::string_view signed_part, const TokenKey& key) {
  const Sha256 mac = hmac_sha256(key.key, signed_part);
  return to_base64url(as_text(mac.bytes()));
}

bool text_of(const json::object& from, std::string_view name, std::string& into) {
  const json::value* value = from.if_contains({name.data(), name.size()});
  if (value == nullptr || !value->is_string() || value->as_string().size() > kClaimBytesMax) {
    return false;
  }
  into.assign(value->as_string().data(), value->as_string().size());
  return true;
}

bool time_of(const json::object& from, std::string_view name, std::uint64_t& into) {
  const json::value* value = from.if_contains({name.data(), name.size()});
  if (value == nullptr || !value->is_int64() || value->as_int64() < 0) {
    return false;
  }
  into = static_cast<std::uint64_t>(value->as_int64());
  return into < kTimeMax;
}

std::string claims_text(const Claims& claims) {
  return json::serialize(json::object{{"sub", claims.subject},
                                      {"username", claims.username},
                                      {"role", std::string{role_name(claims.role)}},
                                      {"iat", claims.issued},
                                      {"exp", claims.expires},
                                      {"jti", claims.id},
                                      {"sid", claims.session}});
}

Result<Claims> read_claims(const std::string& text) {
  constexpr std::size_t kClaims = 7;
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 1;
  const json::value value = json::parse(text, error, {}, options);
  if (error || !value.is_object() || value.as_object().size() != kClaims) {
    return refused();
  }
  const json::object& from = value.as_object();
  Claims out;
  std::string role;
  const bool whole = text_of(from, "sub", out.subject) && text_of(from, "username", out.username) &&
                     text_of(from, "role", role) && text_of(from, "jti", out.id) &&
                     text_of(from, "sid", out.session) && time_of(from, "iat", out.issued) &&
                     time_of(from, "exp", out.expires);
  const auto known = role_of(role);
  // We wrote it, so it has our spelling; a name that stood twice would not.
  if (!whole || !known) {
    return refused();
  }
  out.role = *known;
  if (claims_text(out) != text) {
    return refused();
  }
  return out;
}

}  // namespace

TokenKey token_key(std::string_view secret) {
  Sha256Stream hash;
  hash.update(as_bytes("phase/vcp/access-token/1"));
  hash.update_u64(secret.size()).update(as_bytes(secret));
  TokenKey out;
  out.key = hash.finish().value;
  out.id = sha256(out.key).hex().substr(0, 16);
  return out;
}

Sha256 hmac_sha256(const std::array<std::uint8_t, 32>& key, std::string_view text) {
  Sha256 out;
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  crypto_auth_hmacsha256(out.value.data(), data, text.size(), key.data());
  return out;
}

std::string sign_token(const Claims& claims, const TokenKey& key) {
  std::string out = to_base64url(header_text(key));
  out += '.';
  out += to_base64url(claims_text(claims));
  const std::string mac = signature(out, key);
  return out + "." + mac;
}

Result<Claims> read_token(std::string_view token, const TokenKey& key, UtcTime now) {
  const std::size_t first = token.find('.');
  const std::size_t last = token.rfind('.');
  if (token.size() > kTokenBytesMax || first == std::string_view::npos || first == last ||
      token.find('.', first + 1) != last) {
    return refused();
  }
  // The header is compared, not read: no algorithm and no key but ours can be asked for.
  if (token.substr(0, first) != to_base64url(header_text(key))) {
    return refused();
  }
  const std::string expected = signature(token.substr(0, last), key);
  if (!equal_constant_time(as_bytes(expected), as_bytes(token.substr(last + 1)))) {
    return refused();
  }
  PHASE_TRY(const std::string text, from_base64url(token.substr(first + 1, last - first - 1)));
  PHASE_TRY(Claims claims, read_claims(text));
  const std::uint64_t seconds = now.unix_ms / 1000;
  if (claims.issued > seconds + kTokenSkewSeconds) {
    return refused();
  }
  if (claims.expires <= seconds) {
    return fail(Code::expired, "the access token is over", "refresh it, or log in again");
  }
  return claims;
}

}  // namespace phase::vcp
