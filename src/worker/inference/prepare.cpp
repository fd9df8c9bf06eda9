#include "sampling.h"
#include "worker/inference/prepared.h"
#include "worker/inference/sampler_settings.h"

namespace phase::worker::inference {

std::vector<llama_token> tokens_of(const Model& model, std::string_view text, bool add_special,
                                   bool special) {
  return common_tokenize(model.vocab, std::string(text), add_special, special);
}

Fit<Prepared> prepare(const Model& model, const Begin& begin, ByteView prompt) {
  Prepared out;
  if (!model.info.completes) return unfit(End::model_unfit, "the model does not complete text");
  out.context_tokens = model.options.context_tokens;
  if (begin.job.context_tokens != 0) {
    out.context_tokens = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(begin.job.context_tokens, out.context_tokens));
  }
  out.stops = begin.job.stop;
  out.sampling = sampling_of(begin.job.sampling, out.context_tokens);
  out.tokens = tokens_of(model, as_text(prompt), true, true);
  if (out.tokens.empty()) return unfit(End::prompt_malformed, "the prompt is empty");
  if (out.tokens.size() >= out.context_tokens) return unfit(End::prompt_too_long, "too long");
  return out;
}

}  // namespace phase::worker::inference
