#include "name_commands.h"

#include <algorithm>
#include <iostream>
#include <set>

#include <boost/json.hpp>

#include "artifact/name_book.h"
#include "base/system_clock.h"
#include "lucid/model_name.h"

namespace phase::lucidd {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using artifact::NameBook;
using artifact::Pin;
using artifact::SignedRecord;

UtcTime now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  return {static_cast<std::uint64_t>(ms)};
}

json::object pin_json(const Pin& pin) {
  json::object out{{"by", pin.by_operator ? "operator" : "first use"}};
  if (pin.sha256) out["sha256"] = pin.sha256->hex();
  if (pin.publisher) out["publisher"] = identity::PeerId::from(*pin.publisher).text();
  return out;
}

json::object record_json(const SignedRecord& one) {
  const artifact::NameRecord& record = one.record;
  return {{"publisher", identity::PeerId::from(one.publisher).text()},
          {"sha256", record.content.sha256.hex()},
          {"artifact", record.content.id.hex()},
          {"length", record.content.length},
          {"created_unix_ms", record.created.unix_ms},
          {"expires_unix_ms", record.expires.unix_ms}};
}

std::string pin_text(const Pin& pin) {
  std::string out = "pinned ";
  if (pin.sha256) out += "to sha256:" + pin.sha256->hex();
  if (pin.publisher) out += "to what " + identity::PeerId::from(*pin.publisher).text() + " says";
  return out + (pin.by_operator ? "" : ", by its first use");
}

/// Everything that is known of one name.
struct Known {
  std::string name;
  std::optional<Pin> pin;
  bool shared = false;
  std::vector<SignedRecord> records;

  void print() const {
    std::cout << name << '\n';
    if (shared) std::cout << "  shared by this node (pushed)\n";
    if (pin) std::cout << "  " << pin_text(*pin) << '\n';
    for (const SignedRecord& one : records) {
      std::cout << "  sha256:" << one.record.content.sha256.hex() << ' '
                << one.record.content.length << " bytes, said by "
                << identity::PeerId::from(one.publisher).text() << '\n';
    }
    std::set<Sha256> contents;
    for (const SignedRecord& one : records) contents.insert(one.record.content.sha256);
    if (contents.size() > 1) std::cout << "  conflict: publishers differ\n";
  }
  [[nodiscard]] json::object to_json() const {
    json::array said;
    for (const SignedRecord& one : records) said.emplace_back(record_json(one));
    json::object out{{"name", name}, {"shared", shared}, {"records", said}};
    out["pin"] = pin ? json::value(pin_json(*pin)) : json::value(nullptr);
    return out;
  }
};

Result<int> list(const NameBook& book, const std::string& only, bool as_json) {
  PHASE_TRY(const auto records, book.records(now()));
  PHASE_TRY(const auto pins, book.pins());
  PHASE_TRY(const auto shared, book.shared());
  std::map<std::string, Known> all;
  const auto at = [&all](const std::string& name) -> Known& {
    Known& known = all[name];
    known.name = name;
    return known;
  };
  for (const SignedRecord& one : records) at(one.record.name).records.push_back(one);
  for (const Pin& pin : pins) at(pin.name).pin = pin;
  for (const std::string& name : shared) at(name).shared = true;
  if (!only.empty()) std::erase_if(all, [&only](const auto& entry) { return entry.first != only; });
  json::array out;
  for (const auto& [name, known] : all) {
    if (as_json) {
      out.emplace_back(known.to_json());
    } else {
      known.print();
    }
  }
  if (as_json) std::cout << json::serialize(json::object{{"names", out}}) << '\n';
  if (!as_json && all.empty()) std::cout << "nothing is known of any such name yet\n";
  return 0;
}

Result<int> pin(NameBook& book, const CommandLine& line, std::string name) {
  Pin made{std::move(name), {}, {}, {}, true, now()};
  if (!line.publisher.empty()) {
    PHASE_TRY(const auto id, identity::PeerId::parse(line.publisher));
    made.publisher = id.key();
  } else {
    std::string_view digits = line.digest;
    if (digits.starts_with("sha256:")) digits.remove_prefix(7);
    const auto hash = Sha256::from_hex_text(digits);
    if (!hash) {
      return fail(Code::invalid_argument, "not a digest: " + printable(line.digest, 80),
                  "lucidd pin NAME sha256:<64 hexadecimal digits>, or --publisher PEERID; "
                  "lucidd names shows what is known");
    }
    made.sha256 = *hash;
    PHASE_TRY(const auto records, book.records({"", made.sha256, {}}, now()));
    if (!records.empty()) made.id = records.front().record.content.id;
  }
  PHASE_TRY_VOID(book.pin(made));
  std::cout << made.name << ' ' << pin_text(made) << '\n';
  return 0;
}

}  // namespace

Result<int> name_command(const CommandLine& line, const fs::path& data_dir) {
  const fs::path folder = data_dir / "models" / "artifacts";
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return fail(Code::not_found, "no lucidd ran with " + data_dir.string() + " yet",
                "start it once, or name its folder: --data DIR");
  }
  NameBook book(folder);
  std::string name;
  if (!line.name.empty()) {
    PHASE_TRY(const auto parsed, lucid::ModelName::parse(line.name));
    name = parsed.text();
  }
  if (line.verb == Verb::names) return list(book, name, line.json);
  if (line.verb == Verb::pin) return pin(book, line, std::move(name));
  PHASE_TRY(const bool was, line.verb == Verb::unpin ? book.unpin(name) : book.unshare(name));
  const std::string_view what = line.verb == Verb::unpin ? "pinned" : "shared";
  std::cout << name << (was ? " is no longer " : " was not ") << what << '\n';
  return was ? 0 : 1;
}

}  // namespace phase::lucidd
