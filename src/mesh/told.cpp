#include "mesh/told.h"

#include "base/bytes.h"

namespace phase::mesh {

std::variant<provider::Admitted, provider::Refused> ToldPolicy::admit(
    const provider::AdmissionRequest& request) {
  auto answer = inner_.admit(request);
  if (const auto* const no = std::get_if<provider::Refused>(&answer)) {
    tell(request, *no);
  } else if (log_.should_log(spdlog::level::info)) {
    log_.info("job {} of {} admitted", request.manifest.id.hex(),
              identity::PeerId::from(request.manifest.requester).text());
  }
  return answer;
}

void ToldPolicy::tell(const provider::AdmissionRequest& request, const provider::Refused& no) {
  const Instant now = clock_.now();
  if (lines_ == 0 || now - second_ >= Duration{1s}) {
    if (unsaid_ > 0) {
      log_.warn("{} more refusals in a second were not shown", unsaid_);
    }
    second_ = now;
    lines_ = unsaid_ = 0;
  }
  if (lines_ >= kRefusalLinesPerSecondMax) {
    ++unsaid_;
    return;
  }
  ++lines_;
  log_.warn("job {} of {} refused: {}: {}", request.manifest.id.hex(),
            identity::PeerId::from(request.manifest.requester).text(),
            offer::rejection_name(no.reason), printable(no.detail));
}

Result<void> ToldReceipts::keep(const manifest::SignedManifest& manifest,
                                const receipt::SignedReceipt& receipt) {
  auto kept = inner_.keep(manifest, receipt);
  if (!kept) {
    log_.error("the receipt of job {} could not be kept: {}", manifest.id.hex(),
               printable(kept.error().text()));
    return kept;
  }
  if (log_.should_log(spdlog::level::info)) {
    const auto& done = receipt.receipt.completion;
    log_.info("job {} {}{}{}, {} bytes of output, {} us", manifest.id.hex(),
              receipt::completion_name(done.kind), done.reason.empty() ? "" : " ", done.reason,
              receipt.receipt.output.length, receipt.receipt.claimed.wall_us.value_or(0));
  }
  return kept;
}

}  // namespace phase::mesh
