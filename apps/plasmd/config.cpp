#include "config.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <numeric>
#include <optional>

#include <boost/json.hpp>

#include "base/bytes.h"

namespace phase::plasmd {
namespace {

namespace json = boost::json;

constexpr std::size_t kListMax = 1'024;       // entries of one list
constexpr std::size_t kTextBytesMax = 4'096;  // of one text
constexpr std::size_t kDepthMax = 8;          // of the file

tl::unexpected<Error> bad(const ConfigKey& key, std::string_view source, std::string what) {
  return fail(Code::invalid_argument,
              std::string(key.name) + " (" + std::string(source) + "): " + std::move(what));
}

Result<std::string> text_of(const ConfigKey& key, const json::value& value,
                            std::string_view source) {
  const auto* const text = value.if_string();
  if (text == nullptr) {
    return bad(key, source, "a text is expected");
  }
  if (text->size() > kTextBytesMax || text->find('\0') != json::string::npos) {
    return bad(key, source, "longer than 4096 bytes or with a NUL");
  }
  return std::string(*text);
}

Result<void> assign(std::string& out, const ConfigKey& key, const json::value& value,
                    std::string_view source) {
  PHASE_TRY(std::string text, text_of(key, value, source));
  if (!key.choices.empty()) {
    const std::string all = "|" + std::string(key.choices) + "|";
    if (text.find('|') != std::string::npos || all.find("|" + text + "|") == std::string::npos) {
      return bad(key, source,
                 "\"" + printable(text, 64) + "\" is not one of " + std::string(key.choices));
    }
  }
  out = std::move(text);
  return {};
}

Result<void> assign(std::vector<std::string>& out, const ConfigKey& key, const json::value& value,
                    std::string_view source) {
  const auto* const list = value.if_array();
  if (list == nullptr) {
    return bad(key, source, "a list of texts is expected");
  }
  if (list->size() > kListMax) {
    return bad(key, source, "more than 1024 entries");
  }
  std::vector<std::string> texts;
  for (const auto& entry : *list) {
    PHASE_TRY(std::string text, text_of(key, entry, source));
    texts.push_back(std::move(text));
  }
  out = std::move(texts);
  return {};
}

Result<void> assign(std::uint64_t& out, const ConfigKey& key, const json::value& value,
                    std::string_view source) {
  std::uint64_t number = 0;
  if (const auto* const u = value.if_uint64()) {
    number = *u;
  } else if (const auto* const i = value.if_int64(); i != nullptr && *i >= 0) {
    number = static_cast<std::uint64_t>(*i);
  } else {
    return bad(key, source, "a whole number is expected");
  }
  if (number < key.min || number > key.max) {
    return bad(key, source,
               std::to_string(number) + " is not within " + std::to_string(key.min) + " … " +
                   std::to_string(key.max));
  }
  out = number;
  return {};
}

Result<void> assign(bool& out, const ConfigKey& key, const json::value& value,
                    std::string_view source) {
  const auto* const flag = value.if_bool();
  if (flag == nullptr) {
    return bad(key, source, "true or false is expected");
  }
  out = *flag;
  return {};
}

/// Edits that make one text the other (Levenshtein), both short.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, replaced});
      diagonal = above;
    }
  }
  return row[b.size()];
}

tl::unexpected<Error> unknown_key(const std::string& name, const std::filesystem::path& path) {
  std::string_view nearest;
  std::size_t least = 0;
  const std::string known = name.substr(0, 64);
  for (const auto& key : config_keys()) {
    // A key written without its object, or in the wrong one, is as near as its last part.
    const std::string_view last = key.name.substr(key.name.rfind('.') + 1);
    const std::string_view mine = std::string_view(known).substr(known.rfind('.') + 1);
    const std::size_t d = std::min(distance(known, key.name), distance(mine, last));
    if (nearest.empty() || d < least) {
      nearest = key.name;
      least = d;
    }
  }
  return fail(Code::invalid_argument,
              "unknown key \"" + printable(name, 64) + "\" in " + path.string(),
              "did you mean \"" + std::string(nearest) + "\"?");
}

const ConfigKey* find_key(std::string_view name) {
  for (const auto& key : config_keys()) {
    if (key.name == name) {
      return &key;
    }
  }
  return nullptr;
}

bool is_object_name(std::string_view name) {
  const std::string prefix = std::string(name) + ".";
  return std::ranges::any_of(config_keys(),
                             [&](const ConfigKey& key) { return key.name.starts_with(prefix); });
}

Result<void> read_object(Config& config, const json::object& object, const std::string& prefix,
                         const std::filesystem::path& path) {
  for (const auto& [name, value] : object) {
    const std::string full = prefix + std::string(name);
    if (const ConfigKey* const key = find_key(full)) {
      PHASE_TRY_VOID(set_key(config, *key, value, path.string()));
    } else if (prefix.empty() && is_object_name(full)) {
      const auto* const inner = value.if_object();
      if (inner == nullptr) {
        return fail(Code::invalid_argument,
                    full + " (" + path.string() + "): an object is expected");
      }
      PHASE_TRY_VOID(read_object(config, *inner, full + ".", path));
    } else {
      return unknown_key(full, path);
    }
  }
  return {};
}

/// The text of an environment variable as the JSON its key expects. Lists are separated by commas.
std::optional<json::value> from_environment(const ConfigKey& key, std::string_view text) {
  if (std::holds_alternative<std::string Config::*>(key.member)) {
    return json::value(json::string_view(text.data(), text.size()));
  }
  if (std::holds_alternative<bool Config::*>(key.member)) {
    if (text == "1" || text == "true" || text == "yes" || text == "on") {
      return json::value(true);
    }
    if (text == "0" || text == "false" || text == "no" || text == "off") {
      return json::value(false);
    }
    return std::nullopt;
  }
  if (std::holds_alternative<std::uint64_t Config::*>(key.member)) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size()
               ? std::optional<json::value>(number)
               : std::nullopt;
  }
  json::array list;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) {
      list.emplace_back(json::string_view(text.substr(0, comma)));
    }
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return json::value(std::move(list));
}

json::value value_of(const Config& config, const ConfigKey& key) {
  return std::visit([&](auto member) { return json::value_from(config.*member); }, key.member);
}

void append_pretty(std::string& out, const json::value& value, std::size_t indent) {
  if (const auto* const object = value.if_object()) {
    out += "{\n";
    std::size_t left = object->size();
    for (const auto& [name, inner] : *object) {
      out += std::string(indent + 2, ' ') + json::serialize(json::value(name)) + ": ";
      append_pretty(out, inner, indent + 2);
      out += --left > 0 ? ",\n" : "\n";
    }
    out += std::string(indent, ' ') + "}";
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

Result<void> set_key(Config& config, const ConfigKey& key, const json::value& value,
                     std::string_view source) {
  return std::visit([&](auto member) { return assign(config.*member, key, value, source); },
                    key.member);
}

Result<void> read_config_text(Config& config, std::string_view text,
                              const std::filesystem::path& path) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::stream_parser parser(json::storage_ptr{}, options);
  boost::system::error_code error;
  const std::size_t read = parser.write_some(text.data(), text.size(), error);
  if (!error && read == text.size()) {
    parser.finish(error);
  } else if (!error) {
    const auto rest = text.substr(read);
    if (rest.find_first_not_of(" \t\r\n") != std::string_view::npos) {
      error = json::error::extra_data;
    }
  }
  if (error) {
    const auto line = 1 + std::ranges::count(text.substr(0, read), '\n');
    return fail(Code::malformed, path.string() + ": not JSON at line " + std::to_string(line) +
                                     ": " + error.message());
  }
  const json::value value = parser.release();
  const auto* const object = value.if_object();
  if (object == nullptr) {
    return fail(Code::malformed, path.string() + ": a JSON object is expected");
  }
  return read_object(config, *object, "", path);
}

Result<void> read_environment(Config& config, Environment environment) {
  for (const auto& key : config_keys()) {
    const std::string_view text = environment(key.environment);
    if (text.empty()) {
      continue;
    }
    const auto value = from_environment(key, text);
    if (!value) {
      return bad(key, key.environment, "\"" + printable(text, 64) + "\" cannot be read");
    }
    PHASE_TRY_VOID(set_key(config, key, *value, key.environment));
  }
  return {};
}

Result<std::filesystem::path> user_config_path(Environment environment, std::string_view program,
                                               std::string_view file) {
  std::filesystem::path folder;
  if (const auto xdg = environment("XDG_CONFIG_HOME"); !xdg.empty()) {
    folder = xdg;
  } else if (const auto home = environment("HOME"); !home.empty()) {
    folder = std::filesystem::path(home) / ".config";
  } else {
    return fail(Code::not_found, "neither XDG_CONFIG_HOME nor HOME is set");
  }
  return folder / program / file;
}

Result<std::filesystem::path> find_config(const std::filesystem::path& given,
                                          Environment environment) {
  std::error_code error;
  if (!given.empty()) {
    if (!std::filesystem::exists(given, error)) {
      return fail(Code::not_found, "no configuration at " + given.string(),
                  "make one with: plasmd init --path " + given.string());
    }
    return given;
  }
  if (const auto user = user_config_path(environment, "plasm", "config.json");
      user && std::filesystem::exists(*user, error)) {
    return *user;
  }
  if (std::filesystem::exists(kSystemConfigPath, error)) {
    return std::filesystem::path(kSystemConfigPath);
  }
  return std::filesystem::path{};
}

Result<std::string> read_config_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail_errno(errno, "cannot read " + path.string());
  }
  std::string text(kConfigBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) {
    return fail(Code::io, "cannot read " + path.string());
  }
  if (text.size() > kConfigBytesMax) {
    return fail(Code::too_large, path.string() + " is larger than 1 MiB");
  }
  return text;
}

std::string default_config_text() {
  const Config config;
  json::object object;
  for (const auto& key : config_keys()) {
    if (!key.in_init) {
      continue;
    }
    if (const auto dot = key.name.find('.'); dot != std::string_view::npos) {
      const std::string outer(key.name.substr(0, dot));
      if (!object.contains(outer)) {
        object[outer] = json::object{};
      }
      object[outer].as_object()[std::string(key.name.substr(dot + 1))] = value_of(config, key);
    } else {
      object[std::string(key.name)] = value_of(config, key);
    }
  }
  std::string out;
  append_pretty(out, object, 0);
  return out + "\n";
}

}  // namespace phase::plasmd
