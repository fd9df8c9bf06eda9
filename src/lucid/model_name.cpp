#include "lucid/model_name.h"

#include <algorithm>
#include <vector>

#include "base/bytes.h"

namespace phase::lucid {
namespace {

bool good_part(std::string_view part) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !part.empty() && part.size() <= kModelPartBytesMax && part.front() != '.' &&
         part.front() != '-' && std::ranges::all_of(part, fits);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

}  // namespace

std::string ModelName::text() const {
  return (space.empty() ? std::string{} : space + "/") + name + ":" + tag;
}

Result<ModelName> ModelName::parse(std::string_view text) {
  const auto wrong = [&] {
    return fail(Code::invalid_argument, "invalid model name: " + printable(text, 80),
                "a name is [namespace/]name[:tag] of letters, digits, '.', '_' and '-'");
  };
  if (text.size() > kModelNameBytesMax) return wrong();
  const std::string all = lower(text);
  std::string_view rest = all;
  ModelName out;
  const std::size_t slash = rest.rfind('/');
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    out.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!good_part(out.tag)) return wrong();
  }
  if (slash != std::string_view::npos) {
    std::string_view before = rest.substr(0, slash);
    rest = rest.substr(slash + 1);
    // A host, as in registry names: what stands before the namespace.
    const std::size_t host = before.rfind('/');
    if (host != std::string_view::npos) before = before.substr(host + 1);
    if (!good_part(before)) return wrong();
    if (before != "library") out.space = before;
  }
  if (!good_part(rest)) return wrong();
  out.name = rest;
  return out;
}

}  // namespace phase::lucid
