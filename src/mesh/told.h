// told.h — admission and receipts, told to the log on their way. Private to this folder.
#pragma once

#include <spdlog/logger.h>

#include "base/clock.h"
#include "protocol/provider/provider.h"

namespace phase::mesh {

/// Lines a second about refusals: strangers must not be able to fill a disk with them.
inline constexpr std::uint64_t kRefusalLinesPerSecondMax = 10;

class ToldPolicy final : public provider::AdmissionPolicy {
 public:
  ToldPolicy(provider::AdmissionPolicy& inner, Clock& clock, spdlog::logger& log)
      : inner_(inner), clock_(clock), log_(log) {}
  [[nodiscard]] std::variant<provider::Admitted, provider::Refused> admit(
      const provider::AdmissionRequest& request) override;

 private:
  void tell(const provider::AdmissionRequest& request, const provider::Refused& no);
  provider::AdmissionPolicy& inner_;
  Clock& clock_;
  spdlog::logger& log_;
  Instant second_;
  std::uint64_t lines_ = 0, unsaid_ = 0;
};

class ToldReceipts final : public provider::ReceiptSink {
 public:
  ToldReceipts(provider::ReceiptSink& inner, spdlog::logger& log) : inner_(inner), log_(log) {}
  [[nodiscard]] Result<void> keep(const manifest::SignedManifest& manifest,
                                  const receipt::SignedReceipt& receipt) override;

 private:
  provider::ReceiptSink& inner_;
  spdlog::logger& log_;
};

}  // namespace phase::mesh
