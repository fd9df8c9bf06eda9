#include <algorithm>
#include <array>

#include "api/http/head_internal.h"

namespace phase::http {
namespace {

constexpr std::size_t kEventIdBytesMax = 64;
constexpr std::size_t kAskedHeadersBytesMax = 2_KiB;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

bool token_matches(std::string_view header, const Tokens& tokens) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!header.starts_with(kScheme)) {
    return false;
  }
  // Hashes, so that not even the token's length shows in the time.
  const Sha256 given = sha256(as_bytes(header.substr(kScheme.size())));
  bool found = false;
  for (const Sha256& token : tokens) {
    found = equal_constant_time(given.bytes(), token.bytes()) || found;
  }
  return found;
}

/// Letters, digits, '-', commas and blanks: what a list of header names consists of.
bool is_name_list(std::string_view text) {
  return text.size() <= kAskedHeadersBytesMax && std::ranges::all_of(text, [](char c) {
           return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                  c == '_' || c == ',' || c == ' ';
         });
}

constexpr std::array<std::pair<int, std::string_view>, 21> kReasons{{
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Payload Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Entity"},
    {429, "Too Many Requests"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
}};

std::string_view reason(int status) {
  const auto* found = std::ranges::find(kReasons, status, &std::pair<int, std::string_view>::first);
  return found == kReasons.end() ? "Status" : found->second;
}

/// A line end in a value would end the field and begin another.
void append_field(std::string& text, std::string_view name, std::string_view value) {
  text.append(name).append(": ");
  for (const char c : value) {
    text += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  }
  text += "\r\n";
}

bool has(const Headers& headers, std::string_view name) {
  return std::ranges::any_of(headers, [name](const auto& one) { return same(one.first, name); });
}

void append_default(std::string& text, std::string_view name, std::string_view value,
                    const Headers& first, const Headers& second) {
  if (!has(first, name) && !has(second, name)) {
    append_field(text, name, value);
  }
}

Result<void> pass_on(const Head& head, const Router& router, Request& request) {
  for (const std::string& name : router.passed_on()) {
    if (head.count(name) > 1) {
      return fail(Code::invalid_argument, "the header " + name + " stands twice");
    }
    const auto value = head.only(name);
    if (value && value->size() > kHeaderValueBytesMax) {
      return fail(Code::invalid_argument, "the header " + name + " is too long");
    }
    if (value) {
      request.headers.emplace(name, *value);
    }
  }
  return {};
}

/// A page that is the same for everybody.
bool is_open(const Head& head, const AccessPolicy& policy) {
  const std::string_view path = head.target.substr(0, head.target.find('?'));
  return (head.method == "GET" || head.method == "HEAD") &&
         std::ranges::find(policy.open_paths, path) != policy.open_paths.end();
}

}  // namespace

std::size_t Head::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(fields, [name](const auto& field) { return same(field.first, name); }));
}

std::optional<std::string_view> Head::only(std::string_view name) const {
  std::optional<std::string_view> out;
  for (const auto& [field, value] : fields) {
    if (same(field, name)) {
      if (out) {
        return std::nullopt;
      }
      out = value;
    }
  }
  return out;
}

Result<void> check_access(const Head& head, const AccessPolicy& policy, const Tokens* tokens) {
  const auto host = head.only("host");
  if (!host || !policy.host_allowed(*host)) {
    const bool strict = policy.hosts.empty() && !policy.host_addresses;
    return fail(Code::permission_denied, strict ? "the Host must be localhost, 127.0.0.1 or [::1]"
                                                : "this Host is not one that is served here: " +
                                                      printable(host.value_or("none"), 128));
  }
  if (head.count("origin") != 0) {
    const auto origin = head.only("origin");
    if (!origin || !policy.origin_allowed(*origin, *host)) {
      const bool strict = policy.origins.empty() && !policy.same_origin;
      return fail(Code::permission_denied, "requests from web pages are refused",
                  strict ? "no Origin header is allowed"
                         : "the Origin is not among those that are allowed");
    }
  }
  // A browser asks for leave without credentials.
  if (tokens != nullptr && !preflight(head, policy) && !is_open(head, policy) &&
      !token_matches(head.only("authorization").value_or(""), *tokens)) {
    return fail(Code::unauthorized, "the bearer token is missing or wrong",
                "send Authorization: Bearer <the daemon's control token>");
  }
  return {};
}

Result<const Route*> find_route(const Head& head, const Router& router, Request& request) {
  const std::size_t mark = std::min(head.target.find('?'), head.target.size());
  request.path = std::string{head.target.substr(0, mark)};
  if (!request.path.starts_with('/')) {
    return fail(Code::malformed, "the request's path does not begin with /");
  }
  PHASE_TRY(request.query, parse_query(head.target.substr(std::min(mark + 1, head.target.size()))));
  const auto method = method_of(head.method);
  if (!method) {
    return fail(Code::unsupported, "this method is not known here: " + printable(head.method, 32));
  }
  request.method = *method;
  request.last_event_id = std::string{head.only("last-event-id").value_or("")};
  if (request.last_event_id.size() > kEventIdBytesMax) {
    return fail(Code::invalid_argument, "Last-Event-ID is too long");
  }
  PHASE_TRY_VOID(pass_on(head, router, request));
  PHASE_TRY(auto match, router.match(request.method, request.path));
  request.parameters = std::move(match.parameters);
  return match.route;
}

std::string page_origin(const Head& head) {
  return std::string{head.only("origin").value_or("")};
}

std::optional<Response> preflight(const Head& head, const AccessPolicy& policy) {
  const auto origin = head.only("origin");
  const auto asked = head.only("access-control-request-method");
  if (head.method != "OPTIONS" || !origin || !asked) {
    return std::nullopt;
  }
  Response out;
  out.status = 204;
  out.headers = policy.cors(*origin);
  out.headers.emplace_back("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS");
  const auto names = head.only("access-control-request-headers");
  if (names && is_name_list(*names)) {
    out.headers.emplace_back("Access-Control-Allow-Headers", std::string{*names});
  }
  if (head.only("access-control-request-private-network") == "true") {
    out.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
  }
  out.headers.emplace_back("Access-Control-Max-Age", "600");
  return out;
}

std::string head_text(int status, std::string_view content_type, std::optional<std::size_t> length,
                      bool chunked, bool keep, const Headers& first, const Headers& second) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text += reason(status);
  text += "\r\n";
  append_default(text, "Cache-Control", "no-store", first, second);
  append_default(text, "X-Content-Type-Options", "nosniff", first, second);
  text += keep ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  if (!content_type.empty()) {
    append_field(text, "Content-Type", content_type);
  }
  for (const auto& [name, value] : first) {
    append_field(text, name, value);
  }
  for (const auto& [name, value] : second) {
    if (!has(first, name)) {
      append_field(text, name, value);
    }
  }
  if (length && status != 204) {
    text += "Content-Length: " + std::to_string(*length) + "\r\n";
  }
  if (chunked) {
    text += "Transfer-Encoding: chunked\r\n";
  }
  return text + "\r\n";
}

}  // namespace phase::http
