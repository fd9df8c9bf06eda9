#include "artifact/name_book.h"

#include <algorithm>
#include <map>

#include <boost/json.hpp>
#include <fcntl.h>
#include <sys/file.h>

#include "base/files.h"

namespace phase::artifact {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view kRecordsFile = "names.json", kPinsFile = "pins.json",
                           kSharedFile = "shared.json";
constexpr std::size_t kShortDigest = 12;
/// Contents and publishers that a message lists.
constexpr std::size_t kListedMax = 8;

/// Held while a file is read and replaced.
Result<FileDescriptor> locked(const fs::path& folder) {
  PHASE_TRY(FileDescriptor lock, open_file(folder / "names.lock", O_RDWR | O_CREAT));
  if (::flock(lock.get(), LOCK_EX) != 0) return fail_errno(errno, "locking the names failed");
  return lock;
}

/// The list under `key` of a JSON file; empty when there is no file.
Result<json::array> read_list(const fs::path& path, std::string_view key) {
  auto text = read_file(path, kBookBytesMax);
  if (!text && text.error().code == Code::not_found) return json::array{};
  if (!text) return fail(text.error());
  boost::system::error_code error;
  json::value value = json::parse(*text, error);
  json::value* list = !error && value.is_object() ? value.as_object().if_contains(key) : nullptr;
  if (list == nullptr || !list->is_array()) {
    return fail(Code::malformed, path.string() + " is damaged", "remove it, or put it right");
  }
  return std::move(list->as_array());
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return {value->as_string().data(), value->as_string().size()};
}

json::object pin_json(const Pin& pin) {
  json::object out{{"name", pin.name}};
  if (pin.sha256) out["sha256"] = pin.sha256->hex();
  if (pin.id) out["artifact"] = pin.id->hex();
  if (pin.publisher) out["publisher"] = identity::PeerId::from(*pin.publisher).text();
  out["by"] = pin.by_operator ? "operator" : "first use";
  out["since_unix_ms"] = pin.since.unix_ms;
  return out;
}

Result<Pin> read_pin(const json::value& value) {
  if (!value.is_object()) return fail(Code::malformed, "a pin is not an object");
  const json::object& object = value.as_object();
  Pin out;
  out.name = text_of(object, "name");
  out.by_operator = text_of(object, "by") == "operator";
  if (const std::string digest = text_of(object, "sha256"); !digest.empty()) {
    PHASE_TRY(out.sha256, Sha256::from_hex_text(digest));
  }
  if (const std::string id = text_of(object, "artifact"); !id.empty()) {
    PHASE_TRY(out.id, ArtifactId::from_hex_text(id));
  }
  if (const std::string peer = text_of(object, "publisher"); !peer.empty()) {
    PHASE_TRY(const identity::PeerId id, identity::PeerId::parse(peer));
    out.publisher = id.key();
  }
  if (const json::value* since = object.if_contains("since_unix_ms")) {
    boost::system::error_code error;
    out.since.unix_ms = since->to_number<std::uint64_t>(error);
  }
  if (out.name.empty() || (!out.sha256 && !out.publisher)) {
    return fail(Code::malformed, "a pin names nothing");
  }
  return out;
}

using ByContent = std::map<Sha256, std::vector<const SignedRecord*>>;

ByContent by_content(const std::vector<SignedRecord>& records) {
  ByContent out;
  for (const SignedRecord& record : records) {
    out[record.record.content.sha256].push_back(&record);
  }
  return out;
}

/// "sha256:0123456789ab by 12D3KooW…, 12D3KooW…; …"
std::string listed(const ByContent& contents) {
  std::string out;
  std::size_t shown = 0;
  for (const auto& [sha256, records] : contents) {
    if (shown++ == kListedMax) return out + "; and others";
    out += (out.empty() ? "sha256:" : "; sha256:") + sha256.hex().substr(0, kShortDigest) + " by ";
    for (std::size_t i = 0; i < std::min(records.size(), kListedMax); ++i) {
      out += (i == 0 ? "" : ", ") + identity::PeerId::from(records[i]->publisher).text();
    }
  }
  return out;
}

std::string how_to_choose(std::string_view name) {
  return "choose one: pull " + std::string(name) +
         "@sha256:<digits>, or lucidd pin NAME sha256:<64 digits>, or lucidd pin NAME "
         "--publisher PEERID";
}

}  // namespace

std::vector<SignedRecord> newest(std::vector<SignedRecord> records) {
  std::map<std::pair<std::string, identity::PublicKey>, SignedRecord> best;
  for (SignedRecord& record : records) {
    const auto key = std::pair(record.record.name, record.publisher);
    const auto found = best.find(key);
    if (found == best.end()) {
      best.emplace(key, std::move(record));
    } else if (found->second.record.created < record.record.created) {
      found->second = std::move(record);
    }
  }
  std::vector<SignedRecord> out;
  for (auto& [key, record] : best) out.push_back(std::move(record));
  return out;
}

Result<std::vector<SignedRecord>> NameBook::records(const Names& asked, UtcTime now) const {
  PHASE_TRY(std::vector<SignedRecord> all, records(now));
  std::erase_if(all, [&asked](const SignedRecord& one) { return !fits(one.record, asked); });
  return all;
}

Result<std::vector<SignedRecord>> NameBook::records(UtcTime now) const {
  PHASE_TRY(const json::array list, read_list(folder_ / kRecordsFile, "records"));
  std::vector<SignedRecord> out;
  for (const json::value& value : list) {
    if (out.size() >= kRecordsKeptMax || !value.is_string()) break;
    const auto envelope = from_base64(std::string_view(value.as_string()));
    if (!envelope) continue;
    auto record = open_record(*envelope, now);
    if (record) out.push_back(*std::move(record));
  }
  return out;
}

Result<void> NameBook::remember(const std::vector<SignedRecord>& heard, UtcTime now) {
  if (heard.empty()) return {};
  PHASE_TRY(const FileDescriptor lock, locked(folder_));
  std::vector<SignedRecord> all = heard;
  if (auto known = records(now)) {  // a damaged file is written anew
    all.insert(all.end(), known->begin(), known->end());
  }
  all = newest(std::move(all));
  std::ranges::sort(all, std::greater{},
                    [](const SignedRecord& one) { return one.record.expires; });
  if (all.size() > kRecordsKeptMax) all.erase(all.begin() + kRecordsKeptMax, all.end());
  json::array list;
  for (const SignedRecord& one : all) list.emplace_back(to_base64(one.envelope));
  return write_file(folder_ / kRecordsFile, json::serialize(json::object{{"records", list}}));
}

Result<std::vector<Pin>> NameBook::pins() const {
  PHASE_TRY(const json::array list, read_list(folder_ / kPinsFile, "pins"));
  std::vector<Pin> out;
  for (const json::value& value : list) {
    if (out.size() >= kPinsMax) break;
    // A pin that cannot be read must not open what it closed.
    PHASE_TRY(Pin pin, read_pin(value));
    out.push_back(std::move(pin));
  }
  return out;
}

Result<std::optional<Pin>> NameBook::pin_of(std::string_view name) const {
  PHASE_TRY(std::vector<Pin> all, pins());
  for (Pin& pin : all) {
    if (pin.name == name) return std::optional<Pin>(std::move(pin));
  }
  return std::optional<Pin>{};
}

Result<void> NameBook::write_pins(const std::vector<Pin>& pins) const {
  json::array list;
  for (const Pin& pin : pins) list.emplace_back(pin_json(pin));
  return write_file(folder_ / kPinsFile, json::serialize(json::object{{"pins", list}}));
}

Result<void> NameBook::pin(Pin pin) {
  PHASE_TRY(const FileDescriptor lock, locked(folder_));
  PHASE_TRY(std::vector<Pin> all, pins());
  std::erase_if(all, [&pin](const Pin& one) { return one.name == pin.name; });
  if (all.size() >= kPinsMax) {
    return fail(Code::too_large, "at most " + std::to_string(kPinsMax) + " names are pinned",
                "lucidd unpin NAME");
  }
  all.push_back(std::move(pin));
  return write_pins(all);
}

Result<bool> NameBook::unpin(std::string_view name) {
  PHASE_TRY(const FileDescriptor lock, locked(folder_));
  PHASE_TRY(std::vector<Pin> all, pins());
  const auto gone = std::erase_if(all, [name](const Pin& one) { return one.name == name; });
  if (gone == 0) return false;
  PHASE_TRY_VOID(write_pins(all));
  return true;
}

Result<std::vector<std::string>> NameBook::shared() const {
  PHASE_TRY(const json::array list, read_list(folder_ / kSharedFile, "shared"));
  std::vector<std::string> out;
  for (const json::value& value : list) {
    if (out.size() >= kSharedMax || !value.is_string()) break;
    out.emplace_back(value.as_string());
  }
  return out;
}

Result<void> NameBook::write_shared(const std::vector<std::string>& names) const {
  json::array list;
  for (const std::string& name : names) list.emplace_back(name);
  return write_file(folder_ / kSharedFile, json::serialize(json::object{{"shared", list}}));
}

Result<void> NameBook::share(std::string_view name) {
  PHASE_TRY(const FileDescriptor lock, locked(folder_));
  PHASE_TRY(std::vector<std::string> all, shared());
  if (std::ranges::find(all, name) != all.end()) return {};
  if (all.size() >= kSharedMax) {
    return fail(Code::too_large, "at most " + std::to_string(kSharedMax) + " names are shared",
                "lucidd unshare NAME");
  }
  all.emplace_back(name);
  return write_shared(all);
}

Result<bool> NameBook::unshare(std::string_view name) {
  PHASE_TRY(const FileDescriptor lock, locked(folder_));
  PHASE_TRY(std::vector<std::string> all, shared());
  if (std::erase(all, name) == 0) return false;
  PHASE_TRY_VOID(write_shared(all));
  return true;
}

Result<job::ArtifactRef> choose(std::string_view name, const std::vector<SignedRecord>& records,
                                const std::optional<Pin>& pin, std::string_view prefix) {
  std::vector<SignedRecord> said = newest(records);
  const ByContent all = by_content(said);
  const bool by_digest = !prefix.empty();
  if (by_digest) {
    std::erase_if(said, [prefix](const SignedRecord& one) {
      return !one.record.content.sha256.hex().starts_with(prefix);
    });
  } else if (pin) {
    std::erase_if(said, [&pin](const SignedRecord& one) {
      return (pin->sha256 && one.record.content.sha256 != *pin->sha256) ||
             (pin->publisher && one.publisher != *pin->publisher);
    });
  }
  const ByContent left = by_content(said);
  if (left.size() == 1) return left.begin()->second.front()->record.content;
  const std::string shown = printable(name, 80);
  if (all.empty()) {
    return fail(Code::not_found, "pull model manifest: nobody here serves " + shown,
                "ask who has it to share it (share_models in its policy, or push), or put its GGUF "
                "file into the model folder");
  }
  if (left.empty() && pin && !by_digest) {
    const std::string to = pin->sha256 ? "sha256:" + pin->sha256->hex().substr(0, kShortDigest)
                                       : identity::PeerId::from(*pin->publisher).text();
    return fail(Code::already_exists,
                "conflict: " + shown + " is pinned to " + to +
                    (pin->by_operator ? "" : " by its first use") +
                    ", and those who share it now say " + listed(all),
                "lucidd unpin " + shown + ", or " + how_to_choose(shown));
  }
  if (left.empty()) {
    return fail(Code::not_found, "nobody shares " + shown + " with that digest: " + listed(all));
  }
  return fail(Code::already_exists,
              "conflict: " + shown + " means different contents: " + listed(left),
              how_to_choose(shown));
}

}  // namespace phase::artifact
