#include "api/http/message.h"

#include <algorithm>
#include <array>

#include <boost/json.hpp>

namespace phase::http {
namespace {

constexpr std::size_t kQueryNamesMax = 16;
constexpr std::size_t kSegmentsMax = 16;
constexpr std::array<std::pair<Method, std::string_view>, 6> kMethods{
    {{Method::get, "GET"},
     {Method::post, "POST"},
     {Method::head, "HEAD"},
     {Method::put, "PUT"},
     {Method::remove, "DELETE"},
     {Method::options, "OPTIONS"}}};

/// Cuts a path at its slashes. Empty when there are too many.
std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty() && out.size() <= kSegmentsMax) {
    path.remove_prefix(1);
    const std::size_t slash = std::min(path.find('/'), path.size());
    out.push_back(path.substr(0, slash));
    path.remove_prefix(slash);
  }
  return out;
}

/// The parameters of a path that fits the pattern.
std::optional<std::vector<std::string>> fit(std::string_view pattern, std::string_view path) {
  const auto want = segments(pattern);
  const auto have = segments(path);
  const bool open = pattern.ends_with("...}");
  if (open ? want.size() > have.size() : want.size() != have.size()) {
    return std::nullopt;
  }
  std::vector<std::string> parameters;
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (open && i + 1 == want.size()) {
      const auto begin = static_cast<std::size_t>(have[i].data() - path.data());
      parameters.emplace_back(path.substr(begin));
      return parameters.back().empty() ? std::nullopt : std::optional(std::move(parameters));
    }
    if (want[i].starts_with('{')) {
      if (have[i].empty()) {
        return std::nullopt;
      }
      parameters.emplace_back(have[i]);
    } else if (want[i] != have[i]) {
      return std::nullopt;
    }
  }
  return parameters;
}

Result<std::string> percent_decoded(std::string_view text, char plus) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += plus;
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      auto byte = from_hex(text.substr(i + 1, 2));
      if (!byte || byte->size() != 1) {
        return fail(Code::invalid_argument, "the path or query has a bad percent-encoding");
      }
      out += static_cast<char>(byte->front());
      i += 2;
    }
  }
  return out;
}

}  // namespace

std::string_view method_name(Method method) noexcept {
  return kMethods[static_cast<std::size_t>(method)].second;
}

std::optional<Method> method_of(std::string_view name) noexcept {
  for (const auto& [method, text] : kMethods) {
    if (text == name) {
      return method;
    }
  }
  return std::nullopt;
}

Result<std::string> decode_path(std::string_view text) {
  return percent_decoded(text, '+');
}

Response json_response(int status, std::string json) {
  json += '\n';
  return {status, "application/json", std::move(json)};
}

std::string error_json(const Error& error) {
  return boost::json::serialize(boost::json::object{
      {"error", boost::json::object{{"code", std::string{code_name(error.code)}},
                                    {"message", printable(error.message, 2048)},
                                    {"hint", printable(error.hint, 2048)}}}});
}

Response error_response(const Error& error) {
  return json_response(code_http_status(error.code), error_json(error));
}

Response Router::error(const Error& error, std::string_view path) const {
  const std::pair<std::string, ErrorFace>* best = nullptr;
  for (const auto& entry : error_faces_) {
    if (path.starts_with(entry.first) &&
        (best == nullptr || entry.first.size() > best->first.size())) {
      best = &entry;
    }
  }
  return best == nullptr ? error_response(error) : best->second(error, path);
}

void Router::add_error_face(std::string prefix, ErrorFace face) {
  error_faces_.emplace_back(std::move(prefix), std::move(face));
}

std::string Router::allowed(std::string_view path) const {
  std::string out;
  for (const Route& route : routes_) {
    const std::string name{method_name(route.method)};
    if (out.find(name) == std::string::npos && fit(route.pattern, path)) {
      out += (out.empty() ? "" : ", ") + name;
      out += route.method == Method::get ? ", HEAD" : "";
    }
  }
  return out;
}

Result<Router::Match> Router::match(Method method, std::string_view path) const {
  bool known = false;
  for (const Route& route : routes_) {
    auto parameters = fit(route.pattern, path);
    if (!parameters) {
      continue;
    }
    if (route.method == method || (method == Method::head && route.method == Method::get)) {
      return Match{&route, std::move(*parameters)};
    }
    known = true;
  }
  if (known) {
    return fail(Code::unsupported, "this path does not take that method",
                "spec/control-api.md lists the requests");
  }
  return fail(Code::not_found, "no such path: " + printable(path, 128),
              "spec/control-api.md lists the requests");
}

Result<std::map<std::string, std::string, std::less<>>> parse_query(std::string_view text) {
  std::map<std::string, std::string, std::less<>> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    PHASE_TRY(std::string name, percent_decoded(pair.substr(0, equals), ' '));
    PHASE_TRY(std::string value,
              percent_decoded(pair.substr(std::min(equals + 1, pair.size())), ' '));
    if (out.size() == kQueryNamesMax) {
      return fail(Code::invalid_argument, "the query has too many names");
    }
    if (!out.emplace(name, std::move(value)).second) {
      return fail(Code::invalid_argument, "the query names " + printable(name, 64) + " twice");
    }
  }
  return out;
}

bool host_is_loopback(std::string_view host) noexcept {
  for (const std::string_view name : {"localhost", "127.0.0.1", "[::1]"}) {
    if (!host.starts_with(name)) {
      continue;
    }
    std::string_view port = host.substr(name.size());
    if (port.empty()) {
      return true;
    }
    if (port.front() != ':' || port.size() == 1 || port.size() > 6) {
      return false;
    }
    port.remove_prefix(1);
    return std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  }
  return false;
}

}  // namespace phase::http
