// `context`: what a client keeps of a conversation and gives back.
#include <boost/json.hpp>

#include "api/ollama/requests.h"
#include "protocol/job/job.h"

namespace phase::ollama {
namespace {

constexpr std::size_t kBytesInNumber = 6;  // exact in every JSON reader (2^48 < 2^53)
constexpr std::size_t kContextBytesMax = job::kPromptBytesMax;

tl::unexpected<Error> not_ours() {
  return fail(Code::invalid_argument, "context: not one that an answer of this server gave");
}

std::optional<std::uint64_t> number(const json::value& value) {
  boost::system::error_code error;
  const auto out = value.is_number() ? value.to_number<std::uint64_t>(error) : 0;
  return value.is_number() && !error ? std::optional(out) : std::nullopt;
}

bool is_turn(const json::value& value) {
  const json::object* turn = value.if_object();
  if (turn == nullptr || turn->size() != 2) {
    return false;
  }
  const json::value* role = turn->if_contains("role");
  const json::value* content = turn->if_contains("content");
  return role != nullptr && content != nullptr && content->is_string() &&
         (*role == "system" || *role == "user" || *role == "assistant");
}

}  // namespace

std::string context_text(const json::array& turns) {
  const std::string text = json::serialize(turns);
  std::string out = "[" + std::to_string(text.size());
  for (std::size_t at = 0; at < text.size(); at += kBytesInNumber) {
    std::uint64_t packed = 0;
    for (std::size_t i = 0; i < kBytesInNumber; ++i) {
      const auto byte = at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
      packed = packed << 8 | byte;
    }
    out += ',' + std::to_string(packed);
  }
  return out += ']';
}

Result<json::array> read_context(const json::array& numbers) {
  const auto size = numbers.empty() ? std::nullopt : number(numbers.front());
  if (!size || *size > kContextBytesMax ||
      (*size + kBytesInNumber - 1) / kBytesInNumber != numbers.size() - 1) {
    return not_ours();
  }
  std::string text;
  text.reserve(*size + kBytesInNumber);
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    const auto packed = number(numbers[i]);
    if (!packed || *packed >> (8 * kBytesInNumber) != 0) {
      return not_ours();
    }
    for (std::size_t byte = kBytesInNumber; byte-- > 0;) {
      text += static_cast<char>(*packed >> (8 * byte) & 0xff);
    }
  }
  text.resize(*size);
  auto turns = faces::parse_json(text, 8);
  if (!turns || !turns->is_array() || !std::ranges::all_of(turns->as_array(), is_turn)) {
    return not_ours();
  }
  return std::move(turns->as_array());
}

}  // namespace phase::ollama
