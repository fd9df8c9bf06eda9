// Entries as lines of JSON: what an export holds and what a check reads.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "vcp/ledger/ledger.h"

namespace phase::vcp {
namespace {

namespace json = boost::json;

Result<const json::value*> field(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  if (found == nullptr) {
    return fail(Code::malformed, "a ledger entry without \"" + std::string(name) + "\"");
  }
  return found;
}

Result<std::uint64_t> number(const json::object& object, std::string_view name) {
  PHASE_TRY(const json::value* found, field(object, name));
  boost::system::error_code error;
  const auto out = found->is_number() ? found->to_number<std::uint64_t>(error) : 0;
  if (!found->is_number() || found->is_double() || error) {
    return fail(Code::malformed, "\"" + std::string(name) + "\" is no whole number");
  }
  return out;
}

Result<std::string> text(const json::object& object, std::string_view name) {
  PHASE_TRY(const json::value* found, field(object, name));
  if (!found->is_string()) {
    return fail(Code::malformed, "\"" + std::string(name) + "\" is no text");
  }
  return std::string(found->get_string());
}

Result<Sha256> hash(const json::object& object, std::string_view name) {
  PHASE_TRY(const std::string hex, text(object, name));
  return Sha256::from_hex_text(hex);
}

}  // namespace

std::string entry_json(const Entry& entry) {
  json::object out;
  out["sequence"] = entry.sequence;
  out["at"] = entry.at.unix_ms;
  out["kind"] = transfer_kind_name(entry.transfer.kind);
  out["from"] = entry.transfer.from;
  out["to"] = entry.transfer.to;
  out["amount"] = entry.transfer.amount;
  out["reference"] = entry.transfer.reference;
  out["previous"] = entry.previous.hex();
  out["hash"] = entry.hash.hex();
  return json::serialize(out);
}

Result<Entry> parse_entry(std::string_view line) {
  if (line.size() > kEntryLineBytesMax) {
    return fail(Code::malformed,
                "a ledger entry of more than " + std::to_string(kEntryLineBytesMax) + " bytes");
  }
  boost::system::error_code error;
  const json::value parsed = json::parse(line, error, {}, json::parse_options{.max_depth = 4});
  if (error || !parsed.is_object()) {
    return fail(Code::malformed, "a ledger entry that is no JSON object");
  }
  const json::object& object = parsed.get_object();
  Entry out;
  PHASE_TRY(out.sequence, number(object, "sequence"));
  PHASE_TRY(out.at.unix_ms, number(object, "at"));
  PHASE_TRY(const std::string kind, text(object, "kind"));
  const auto known = transfer_kind_of(kind);
  if (!known) return fail(Code::malformed, "an unknown kind of ledger entry");
  out.transfer.kind = *known;
  PHASE_TRY(out.transfer.from, text(object, "from"));
  PHASE_TRY(out.transfer.to, text(object, "to"));
  PHASE_TRY(out.transfer.amount, number(object, "amount"));
  PHASE_TRY(out.transfer.reference, text(object, "reference"));
  PHASE_TRY(out.previous, hash(object, "previous"));
  PHASE_TRY(out.hash, hash(object, "hash"));
  return out;
}

}  // namespace phase::vcp
