// prepare.h — a request made ready to be decoded: tokens, sampler settings, how its text is read.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "chat.h"
#include "common.h"
#include "worker/inference/message.h"
#include "worker/inference/model.h"

namespace phase::worker::inference {

struct Prepared {
  std::vector<llama_token> tokens;  ///< never empty
  common_params_sampling sampling;
  std::set<llama_token> preserved;  ///< special tokens whose text is part of the output
  std::vector<std::string> stops;
  std::optional<common_chat_parser_params> parser;  ///< there: content comes in notes
  std::optional<std::uint32_t> logprobs;            ///< alternatives for each token
  std::uint32_t context_tokens = 0;                 ///< this sequence may hold so many
  std::uint32_t keep = 0;                           ///< tokens kept when the context is shifted
  bool shift = true;
};

/// Why a request cannot be run.
struct Unfit {
  End end = End::prompt_malformed;
  std::string message;
};
template <typename T>
using Fit = tl::expected<T, Unfit>;
[[nodiscard]] inline tl::unexpected<Unfit> unfit(End end, std::string message) {
  return tl::unexpected<Unfit>(Unfit{end, std::move(message)});
}

/// A request of prompt kind 0 or 1. Runs the model's or the request's template and reads grammars:
/// what the engine throws becomes an Unfit; what it aborts of costs the process.
[[nodiscard]] Fit<Prepared> prepare(const Model& model, const Begin& begin, ByteView prompt);

/// Token ids of a text. `special`: control tokens written in it are read as such.
[[nodiscard]] std::vector<llama_token> tokens_of(const Model& model, std::string_view text,
                                                 bool add_special, bool special);

}  // namespace phase::worker::inference
