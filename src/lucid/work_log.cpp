#include "lucid/work_log.h"

#include <algorithm>

#include <boost/json.hpp>

namespace phase::lucid {
namespace {

namespace json = boost::json;

constexpr std::size_t kModelNameMax = 256;
constexpr std::size_t kTextMax = 256;

std::optional<WorkEntry> entry_of(const manifest::SignedManifest& manifest,
                                  const receipt::SignedReceipt& receipt) {
  const auto* job = std::get_if<job::InferenceJob>(&manifest.manifest.job);
  if (job == nullptr) return std::nullopt;
  const receipt::Receipt& says = receipt.receipt;
  WorkEntry out;
  out.job_id = manifest.id.hex();
  out.for_others = true;
  out.peer = identity::PeerId::from(manifest.requester).text();
  out.model = printable(job->model_name, kModelNameMax);
  out.ended = says.claimed.finished_unix_ms ? UtcTime{*says.claimed.finished_unix_ms}
                                            : manifest.manifest.created;
  out.prompt_bytes = says.input.length;
  out.answer_bytes = says.output.length;
  out.wall_us = says.claimed.wall_us;
  out.completion = completion_text(says.completion);
  out.verdict = "signed here";
  out.has_receipt = true;
  return out;
}

std::optional<std::uint64_t> count_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  boost::system::error_code error;
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const auto out = value->to_number<std::uint64_t>(error);
  return error ? std::nullopt : std::optional(out);
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string{};
}

void put_count(json::object& object, std::string_view key, std::optional<std::uint64_t> count) {
  if (count) object[key] = *count;
}

}  // namespace

std::string completion_text(const receipt::Completion& completion) {
  std::string out{receipt::completion_name(completion.kind)};
  if (!completion.reason.empty()) out += ": " + completion.reason;
  return out;
}

std::string work_document(const WorkEntry& entry) {
  json::object out{{"peer", entry.peer},
                   {"model", printable(entry.model, kModelNameMax)},
                   {"completion", printable(entry.completion, kTextMax)},
                   {"verdict", entry.verdict}};
  put_count(out, "prompt_bytes", entry.prompt_bytes);
  put_count(out, "answer_bytes", entry.answer_bytes);
  put_count(out, "prompt_tokens", entry.prompt_tokens);
  put_count(out, "answer_tokens", entry.answer_tokens);
  put_count(out, "wall_us", entry.wall_us);
  return json::serialize(out);
}

Result<WorkEntry> read_work_document(const store::JobRow& row) {
  boost::system::error_code error;
  const json::value value = json::parse(row.document, error);
  if (error || !value.is_object()) return fail(Code::malformed, "job " + row.id + " has no JSON");
  const json::object& object = value.as_object();
  WorkEntry out;
  out.job_id = row.id;
  out.ended = row.finished.value_or(row.created);
  out.peer = text_of(object, "peer");
  out.model = text_of(object, "model");
  out.completion = text_of(object, "completion");
  out.verdict = text_of(object, "verdict");
  out.prompt_bytes = count_of(object, "prompt_bytes").value_or(0);
  out.answer_bytes = count_of(object, "answer_bytes").value_or(0);
  out.prompt_tokens = count_of(object, "prompt_tokens");
  out.answer_tokens = count_of(object, "answer_tokens");
  out.wall_us = count_of(object, "wall_us");
  out.has_receipt = out.verdict != "none";
  return out;
}

void read_token_counts(const std::vector<job::OutputPiece>& output, WorkEntry& into) {
  std::string notes;
  for (const job::OutputPiece& piece : output) {
    if (piece.stream == job::OutputStream::err) notes += as_text(piece.data);
  }
  while (notes.ends_with('\n')) notes.pop_back();
  const std::size_t line = notes.rfind('\n');
  boost::system::error_code error;
  const json::value last =
      json::parse(line == std::string::npos ? notes : notes.substr(line + 1), error);
  if (error || !last.is_object()) return;
  const json::value* done = last.as_object().if_contains("done");
  if (done == nullptr || !done->is_object()) return;
  into.prompt_tokens = count_of(done->as_object(), "prompt_tokens");
  into.answer_tokens = count_of(done->as_object(), "completion_tokens");
}

WorkLog::WorkLog(store::Store& store, const identity::PublicKey& self)
    : store_(store), self_(self) {
  const auto kept = store_.receipts_of_others(self, kWorkToldMax, kReceiptsLookedThroughMax);
  if (!kept) return;  // the list begins empty; the receipts themselves are asked for by job
  for (const store::KeptReceipt& one : *kept) {
    const auto manifest = manifest::open(one.manifest);
    const auto receipt = receipt::open(one.receipt);
    if (!manifest || !receipt) continue;
    if (auto entry = entry_of(*manifest, *receipt)) served_.push_back(*std::move(entry));
  }
}

Result<void> WorkLog::keep(const manifest::SignedManifest& manifest,
                           const receipt::SignedReceipt& receipt) {
  PHASE_TRY_VOID(store_.keep(manifest, receipt));
  if (manifest.requester == self_) return {};
  auto entry = entry_of(manifest, receipt);
  if (!entry) return {};
  served_.push_front(*std::move(entry));
  if (served_.size() > kWorkToldMax) served_.pop_back();
  return {};
}

std::vector<WorkEntry> WorkLog::list() const {
  std::vector<WorkEntry> out(served_.begin(), served_.end());
  if (const auto rows = store_.jobs(kWorkToldMax)) {
    for (const store::JobRow& row : *rows) {
      if (auto entry = read_work_document(row)) out.push_back(*std::move(entry));
    }
  }
  std::ranges::stable_sort(out, std::ranges::greater{},
                           [](const WorkEntry& entry) { return entry.ended.unix_ms; });
  return out;
}

}  // namespace phase::lucid
