#include "vcp/gateway/session.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include <boost/json/parse.hpp>

namespace phase::vcp::gateway {
namespace {

namespace json = boost::json;

constexpr std::size_t kDepthMax = 8;
constexpr std::uint64_t kSecondsMax = std::numeric_limits<std::uint64_t>::max() / 1'000;

tl::unexpected<Error> bad(std::string what) {
  return fail(Code::malformed, std::move(what));
}

const json::string* text_in(const json::object& from, std::string_view name, std::size_t max) {
  const json::value* const value = from.if_contains(name);
  const json::string* const text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr || text->empty() || text->size() > max ? nullptr : text;
}

std::string_view view(const json::string& text) {
  return {text.data(), text.size()};
}

Result<json::value> parse_json(std::string_view text) {
  boost::system::error_code error;
  json::value out = json::parse({text.data(), text.size()}, error, {}, {.max_depth = kDepthMax});
  if (error) return bad("is no JSON: " + error.message());
  return out;
}

Result<Egress> parse_egress(const json::object& from) {
  const json::string* const word = text_in(from, "egress_profile", kSessionIdBytesMax);
  const auto egress = word == nullptr ? std::nullopt : egress_of(view(*word));
  if (egress) return *egress;
  return bad("egress_profile is allowlist_domains, protocol_limited or metered_general_egress");
}

/// session_token, session_token_sha256, or both when they agree.
Result<Sha256> parse_token(const json::object& from) {
  std::optional<Sha256> out;
  if (from.contains("session_token")) {
    const json::string* const plain = text_in(from, "session_token", kSessionTokenBytesMax);
    if (plain == nullptr) return bad("session_token is a text of 1 to 256 bytes");
    out = sha256(as_bytes(view(*plain)));
  }
  if (from.contains("session_token_sha256")) {
    const json::string* const hex = text_in(from, "session_token_sha256", 64);
    Result<Sha256> hash = hex == nullptr ? bad("") : Sha256::from_hex_text(view(*hex));
    if (!hash) return bad("session_token_sha256 has 64 hexadecimal digits");
    if (out && *out != *hash) return bad("session_token_sha256 is of another token");
    out = *hash;
  }
  if (!out) return bad("session_token or session_token_sha256 is missing");
  return *out;
}

Result<std::vector<std::string>> parse_rules(const json::object& from) {
  std::vector<std::string> out;
  const json::value* const value = from.if_contains("allowed_destinations");
  if (value == nullptr) return out;
  const json::array* const list = value->if_array();
  if (list == nullptr) return bad("allowed_destinations is no list");
  if (list->size() > kDestinationsMax) return bad("allowed_destinations has more than 256 rules");
  for (const json::value& one : *list) {
    const json::string* const text = one.if_string();
    auto rule = parse_rule(text == nullptr ? std::string_view{} : view(*text));
    if (!rule) return bad("allowed_destinations: " + rule.error().message);
    out.push_back(*std::move(rule));
  }
  return out;
}

Result<std::uint64_t> parse_number(const json::object& from, std::string_view name,
                                   std::uint64_t max) {
  boost::system::error_code error;
  const auto out = from.at(name).to_number<std::uint64_t>(error);
  if (error || out > max || from.at(name).is_double()) {
    return bad(std::string(name) + " is a whole number of at most " + std::to_string(max));
  }
  return out;
}

Result<void> check_names(const json::object& from) {
  constexpr std::string_view kKnown[] = {
      "session_id",           "session_token",           "session_token_sha256",
      "egress_profile",       "destination_policy_id",   "allowed_destinations",
      "bandwidth_limit_mbps", "expires_at_epoch_seconds"};
  for (const auto& member : from) {
    const std::string_view name(member.key().data(), member.key().size());
    if (std::ranges::find(kKnown, name) == std::end(kKnown)) {
      return bad("\"" + printable(name, 64) + "\" is not known here");
    }
  }
  return {};
}

Result<Session> parse_session(const json::value& value) {
  const json::object* const from = value.if_object();
  if (from == nullptr) return bad("is no object");
  PHASE_TRY_VOID(check_names(*from));
  Session out;
  const json::string* const id = text_in(*from, "session_id", kSessionIdBytesMax);
  if (id == nullptr) return bad("session_id is a text of 1 to 128 bytes");
  out.id = view(*id);
  PHASE_TRY(out.token, parse_token(*from));
  PHASE_TRY(out.egress, parse_egress(*from));
  PHASE_TRY(out.allowed, parse_rules(*from));
  if (from->contains("destination_policy_id")) {
    const json::string* const policy = text_in(*from, "destination_policy_id", kSessionIdBytesMax);
    if (policy == nullptr) return bad("destination_policy_id is a text of 1 to 128 bytes");
    out.policy = view(*policy);
  }
  if (!from->contains("expires_at_epoch_seconds")) {
    return bad("expires_at_epoch_seconds is missing");
  }
  PHASE_TRY(const std::uint64_t seconds,
            parse_number(*from, "expires_at_epoch_seconds", kSecondsMax));
  out.expires.unix_ms = seconds * 1'000;
  if (from->contains("bandwidth_limit_mbps")) {
    PHASE_TRY(out.mbps, parse_number(*from, "bandwidth_limit_mbps", kSessionMbpsMax));
    if (out.mbps == 0) return bad("bandwidth_limit_mbps is at least 1; leave it out for no limit");
  }
  return out;
}

}  // namespace

bool Session::allows(const Destination& destination) const {
  if (egress == Egress::metered_general_egress) return true;
  if (egress == Egress::protocol_limited) return !destination.is_address;
  return named_by(allowed, destination);
}

Result<std::vector<Session>> parse_sessions(std::string_view text) {
  if (text.size() > kSessionsBytesMax) {
    return fail(Code::too_large, "sessions: more than 4 MiB");
  }
  auto value = parse_json(text);
  if (!value) return bad("sessions: " + value.error().message);
  const json::array* list = value->if_array();
  if (const json::object* const object = value->if_object(); object != nullptr) {
    const json::value* const member = object->if_contains("sessions");
    if (member != nullptr && object->size() == 1) list = member->if_array();
  }
  if (list == nullptr) return bad(R"(sessions: neither a list nor {"sessions": [...]})");
  if (list->size() > kSessionsMax) {
    return fail(Code::too_large, "sessions: more than " + std::to_string(kSessionsMax));
  }
  std::vector<Session> out;
  std::set<std::string> ids;
  for (const json::value& one : *list) {
    auto session = parse_session(one);
    const std::string where = "sessions: entry " + std::to_string(out.size() + 1);
    if (!session) return bad(where + ": " + session.error().message);
    if (!ids.insert(session->id).second) return bad(where + ": its session_id stands twice");
    out.push_back(*std::move(session));
  }
  return out;
}

Result<Handshake> parse_handshake(std::string_view line) {
  if (line.size() >= kHandshakeBytesMax) return fail(Code::too_large, "the line is too long");
  const auto value = parse_json(line);
  const json::object* const from = value ? value->if_object() : nullptr;
  if (from == nullptr) return bad("the first line is no JSON object");
  const json::string* const id = text_in(*from, "session_id", kSessionIdBytesMax);
  const json::string* const token = text_in(*from, "session_token", kSessionTokenBytesMax);
  const json::string* const where = text_in(*from, "destination", kHandshakeBytesMax);
  if (id == nullptr || token == nullptr || where == nullptr) {
    return bad("session_id, session_token and destination are needed");
  }
  Handshake out;
  out.session_id = view(*id);
  out.token = sha256(as_bytes(view(*token)));
  PHASE_TRY(out.destination, parse_destination(view(*where)));
  return out;
}

}  // namespace phase::vcp::gateway
