#include <chrono>

#include <boost/json.hpp>

#include "run.h"

namespace phase::cli {
namespace {

namespace json = boost::json;

constexpr int kExitCodeMax = 255;

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string()
             ? printable(std::string_view{value->as_string().data(), value->as_string().size()},
                         200)
             : std::string{};
}

json::object object_of(const std::string& text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  return !error && value.is_object() ? std::move(value.as_object()) : json::object{};
}

std::string wall_text(const receipt::Claimed& claimed) {
  if (!claimed.wall_us) {
    return {};
  }
  const std::uint64_t ms = *claimed.wall_us / 1000;
  return ms == 0 ? " · " + std::to_string(*claimed.wall_us) + " us"
                 : " · " + std::to_string(ms) + " ms";
}

json::object verdict_object(const verify::Verdict& verdict) {
  json::object out{{"verified", verdict.ok()},
                   {"level", nullptr},
                   {"failed_check", nullptr},
                   {"detail", verdict.detail}};
  if (verdict.level) {
    out["level"] = std::string{manifest::level_name(*verdict.level)};
  }
  if (verdict.failed) {
    out["failed_check"] = std::string{verify::check_name(*verdict.failed)};
  }
  return out;
}

/// What we sent as stdin, as far as the receipt covers it: whoever checks a receipt for streamed
/// stdin needs it.
std::optional<job::Commitment> input_of(const sdk::JobResult& result,
                                        const sdk::SubmittedJob* asked) {
  const auto receipt = receipt::open(result.receipt);
  if (asked == nullptr || !receipt) {
    return std::nullopt;
  }
  return asked->input ? asked->input : asked->streamed.prefix(receipt->receipt.input.length);
}

std::string transcript_json(const sdk::JobResult& result) {
  json::array pieces;
  for (const job::OutputPiece& piece : result.transcript) {
    pieces.push_back(
        json::object{{"stream", static_cast<int>(piece.stream)}, {"data", to_base64(piece.data)}});
  }
  return json::serialize(pieces) + "\n";
}

}  // namespace

std::string completion_text(const receipt::Completion& completion) {
  if (completion.kind == receipt::CompletionKind::exited) {
    return "exit " + std::to_string(completion.exit_code);
  }
  std::string out{receipt::completion_name(completion.kind)};
  return completion.reason.empty() ? out : out + ": " + printable(completion.reason, 64);
}

std::string result_json(const sdk::JobResult& result) {
  json::object object = object_of(result.json);
  object["verdict"] =
      result.receipt.empty() ? json::value(nullptr) : json::value(verdict_object(result.verdict));
  return json::serialize(object);
}

Result<void> RunView::event(const sdk::JobEvent& event) {
  if (event.name == "output") {
    return printer_.output(event.stream, event.data);
  }
  if (event.name == "restart") {
    printer_.restart();
    progress_.show("started again elsewhere");
  } else if (event.name == "state") {
    show_state(event.json);
  } else if (event.name == "progress") {
    const json::object object = object_of(event.json);
    std::string line = text_at(object, "stage");
    const json::value* total = object.if_contains("total");
    const json::value* done = object.if_contains("done");
    if (done != nullptr && total != nullptr && *total != json::value(0)) {
      line += ": " + json::serialize(*done) + " of " + json::serialize(*total);
    }
    progress_.show(line);
  }
  return {};
}

void RunView::show_state(const std::string& text) {
  const json::object object = object_of(text);
  const std::string state = text_at(object, "state");
  const std::string provider = text_at(object, "provider");
  if (state == "discovering") {
    progress_.show("looking for providers");
  } else if (state == "offering") {
    progress_.show("asking " + provider);
  } else if (state == "running") {
    progress_.show("running on " + provider);
  }
}

int RunView::verified(const sdk::JobResult& result) {
  const receipt::Completion& completion = *result.completion;
  if (completion.kind == receipt::CompletionKind::exited) {
    // A shell sees eight bits; 256 must not look like success.
    return completion.exit_code >= 0 && completion.exit_code <= kExitCodeMax
               ? static_cast<int>(completion.exit_code)
               : kExitCodeMax;
  }
  complain("the job ended without an exit code: " + completion_text(completion));
  return completion.kind == receipt::CompletionKind::cancelled ? kExitCancelled : kExitJobFailed;
}

Result<int> RunView::conclude(const sdk::JobResult& result, const sdk::SubmittedJob* asked) {
  progress_.clear();
  if (command_.save) {
    PHASE_TRY_VOID(save(result, asked));
  }
  if (command_.json) {
    print(result_json(result));
  }
  if (result.receipt.empty()) {
    return fail(*result.error);
  }
  if (!result.verdict.ok()) {
    complain(result.verdict.text() + " (" + printable(result.verdict.detail, 512) + ")");
    return kExitRefused;
  }
  PHASE_TRY(const job::OutputSummary printed, printer_.finish());
  const receipt::Receipt& receipt = result.verdict.verified->get().receipt;
  if (!result.output_kept) {
    complain("the output is not kept any more, so it was not checked");
  }
  const bool comparable = !receipt.is_private && (result.output_kept || printed.length > 0);
  if (comparable && printed != receipt.output) {
    return fail(Code::verification_failed,
                "the output that was printed is not the one of the receipt");
  }
  const int code = verified(result);
  if (!command_.quiet && !command_.json) {
    const std::string line = result.verdict.text() + " · " + completion_text(receipt.completion) +
                             " · " + identity::PeerId::from(*result.provider).text() +
                             wall_text(receipt.claimed) + "\n";
    static_cast<void>(write_all(2, as_bytes(line)));
  }
  return code;
}

Result<void> RunView::save(const sdk::JobResult& result, const sdk::SubmittedJob* asked) const {
  const std::filesystem::path& folder = *command_.save;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return fail(Code::io, "cannot make the folder " + folder.string() + ": " + error.message());
  }
  if (!result.receipt.empty()) {
    PHASE_TRY_VOID(write_file(folder / "receipt.cose", result.receipt));
  }
  if (!result.manifest.empty()) {
    PHASE_TRY_VOID(write_file(folder / "manifest.cose", result.manifest));
  }
  if (result.salt) {
    PHASE_TRY_VOID(write_file(folder / "salt.hex", as_bytes(to_hex(*result.salt) + "\n"), true));
  }
  if (const auto input = input_of(result, asked)) {
    const json::object object{{"sha256", input->sha256.hex()}, {"length", input->length}};
    PHASE_TRY_VOID(write_file(folder / "input.json", as_bytes(json::serialize(object) + "\n")));
  }
  return write_file(folder / "transcript.json", as_bytes(transcript_json(result)));
}

}  // namespace phase::cli
