// ModelInfo between the two processes, and text made fit to travel.
#include "base/cbor.h"
#include "worker/inference/message.h"

namespace phase::worker::inference {
namespace {

constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kFieldsCount = 16;

// Length of the well-formed character at the front (RFC 3629), or 0.
std::size_t character_length(ByteView text) {
  for (std::size_t length = 1; length <= 4 && length <= text.size(); length++) {
    if (is_utf8(text.first(length))) return length;
  }
  return 0;
}

Result<std::string> read_text(CborReader& in, std::size_t bytes_max) {
  PHASE_TRY(const std::string_view text, in.text());
  if (text.size() > bytes_max) {
    return fail(Code::too_large, "what a model says of itself is too long");
  }
  return std::string(text);
}

Result<std::string> read_name(CborReader& in) {
  PHASE_TRY(const std::string text, read_text(in, kNameBytesMax));
  return printable(text);
}

}  // namespace

std::string well_formed(std::string_view text) {
  ByteView rest = as_bytes(text);
  if (is_utf8(rest)) return std::string(text);
  std::string out;
  while (!rest.empty()) {
    const std::size_t length = character_length(rest);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : as_text(rest.first(length));
    rest = rest.subspan(std::max<std::size_t>(length, 1));
  }
  return out;
}

Bytes encode(const ModelInfo& info) {
  CborWriter out;
  out.array(kFieldsCount);
  for (const std::string* name : {&info.architecture, &info.name, &info.quantization}) {
    out.text(printable(well_formed(*name), kNameBytesMax));
  }
  for (const std::uint64_t number :
       {info.parameters, info.context_tokens, info.embedding_length, info.vocabulary}) {
    out.uint(number);
  }
  for (const bool can : {info.completes, info.embeds, info.chats, info.calls_tools, info.thinks,
                         info.infills, info.ranks}) {
    out.boolean(can);
  }
  out.text(well_formed(info.chat_template)).text(info.metadata);
  return out.take();
}

Result<ModelInfo> decode_info(ByteView bytes) {
  if (bytes.size() > kInfoBytesMax) {
    return fail(Code::too_large, "what a model says of itself is too long");
  }
  CborReader in(bytes);
  ModelInfo info;
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count != kFieldsCount) return fail(Code::malformed, "a model's information is malformed");
  for (std::string* name : {&info.architecture, &info.name, &info.quantization}) {
    PHASE_TRY(*name, read_name(in));
  }
  for (std::uint64_t* number :
       {&info.parameters, &info.context_tokens, &info.embedding_length, &info.vocabulary}) {
    PHASE_TRY(*number, in.uint());
  }
  for (bool* can : {&info.completes, &info.embeds, &info.chats, &info.calls_tools, &info.thinks,
                    &info.infills, &info.ranks}) {
    PHASE_TRY(*can, in.boolean());
  }
  PHASE_TRY(info.chat_template, read_text(in, kModelMetadataBytesMax));
  PHASE_TRY(info.metadata, read_text(in, kModelMetadataBytesMax));
  PHASE_TRY_VOID(in.finish());
  return info;
}

}  // namespace phase::worker::inference
