#include "worker/inference/metadata.h"

#include <array>
#include <cmath>

#include <boost/json.hpp>

#include "gguf.h"

namespace phase::worker::inference {
namespace {

namespace json = boost::json;

constexpr std::size_t kArrayShown = 64;  ///< longer arrays stand as null
constexpr std::uint32_t kPoolingRank = 4;

// Names of general.file_type as Ollama shows them, by value (enum llama_ftype).
constexpr std::array<std::string_view, 40> kFileTypes = {
    "F32",    "F16",    "Q4_0",  "Q4_1",    "",       "",       "",       "Q8_0",
    "Q5_0",   "Q5_1",   "Q2_K",  "Q3_K_S",  "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M",
    "Q5_K_S", "Q5_K_M", "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS",
    "IQ1_S",  "IQ4_NL", "IQ3_S", "IQ3_M",   "IQ2_S",  "IQ2_M",  "IQ4_XS", "IQ1_M",
    "BF16",   "",       "",      "",        "TQ1_0",  "TQ2_0",  "MXFP4",  "NVFP4"};

template <typename T>
json::value number(const void* data, std::size_t at) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + at * sizeof(T), sizeof(T));
  if constexpr (std::is_floating_point_v<T>) {
    return std::isfinite(value) ? json::value(double{value}) : json::value(nullptr);
  } else {
    return json::value(value);
  }
}

// The element `at` of data of a type that has a size.
json::value scalar(gguf_type type, const void* data, std::size_t at) {
  switch (type) {
    case GGUF_TYPE_UINT8:
      return number<std::uint8_t>(data, at);
    case GGUF_TYPE_INT8:
      return number<std::int8_t>(data, at);
    case GGUF_TYPE_UINT16:
      return number<std::uint16_t>(data, at);
    case GGUF_TYPE_INT16:
      return number<std::int16_t>(data, at);
    case GGUF_TYPE_UINT32:
      return number<std::uint32_t>(data, at);
    case GGUF_TYPE_INT32:
      return number<std::int32_t>(data, at);
    case GGUF_TYPE_FLOAT32:
      return number<float>(data, at);
    case GGUF_TYPE_UINT64:
      return number<std::uint64_t>(data, at);
    case GGUF_TYPE_INT64:
      return number<std::int64_t>(data, at);
    case GGUF_TYPE_FLOAT64:
      return number<double>(data, at);
    case GGUF_TYPE_BOOL:
      return static_cast<const std::int8_t*>(data)[at] != 0;
    default:
      return nullptr;
  }
}

json::value array_of(const gguf_context& file, std::int64_t key) {
  const std::size_t count = gguf_get_arr_n(&file, key);
  if (count > kArrayShown) return nullptr;
  const gguf_type type = gguf_get_arr_type(&file, key);
  json::array out;
  for (std::size_t i = 0; i < count; i++) {
    if (type == GGUF_TYPE_STRING) {
      out.emplace_back(well_formed(gguf_get_arr_str(&file, key, i)));
    } else {
      out.push_back(scalar(type, gguf_get_arr_data(&file, key), i));
    }
  }
  return out;
}

json::value value_of(const gguf_context& file, std::int64_t key) {
  const gguf_type type = gguf_get_kv_type(&file, key);
  if (type == GGUF_TYPE_ARRAY) return array_of(file, key);
  if (type == GGUF_TYPE_STRING) return json::string(well_formed(gguf_get_val_str(&file, key)));
  return scalar(type, gguf_get_val_data(&file, key), 0);
}

// All keys as one JSON object; those that would make it too long are left out.
std::string metadata_of(const gguf_context& file) {
  std::string out = "{";
  for (std::int64_t key = 0; key < gguf_get_n_kv(&file); key++) {
    std::string entry = json::serialize(json::string(well_formed(gguf_get_key(&file, key)))) + ":" +
                        json::serialize(value_of(file, key));
    if (out.size() + entry.size() + 2 > kModelMetadataBytesMax) continue;
    if (out.size() > 1) out += ',';
    out += entry;
  }
  return out + "}";
}

std::string text(const gguf_context& file, const std::string& key) {
  const std::int64_t at = gguf_find_key(&file, key.c_str());
  if (at < 0 || gguf_get_kv_type(&file, at) != GGUF_TYPE_STRING) return {};
  return gguf_get_val_str(&file, at);
}

std::optional<std::uint64_t> natural(const gguf_context& file, const std::string& key) {
  const std::int64_t at = gguf_find_key(&file, key.c_str());
  if (at < 0 || gguf_get_kv_type(&file, at) == GGUF_TYPE_ARRAY) return {};
  const json::value value = value_of(file, at);
  if (const auto* whole = value.if_uint64()) return *whole;
  if (const auto* whole = value.if_int64(); whole != nullptr && *whole >= 0) {
    return static_cast<std::uint64_t>(*whole);
  }
  return {};
}

}  // namespace

ModelInfo info_of(const gguf_context& file, std::uint64_t parameters) {
  ModelInfo info;
  info.architecture = text(file, "general.architecture");
  info.name = text(file, "general.name");
  const std::uint64_t type = natural(file, "general.file_type").value_or(kFileTypes.size());
  info.quantization = type < kFileTypes.size() ? kFileTypes[type] : "";
  if (info.quantization.empty()) info.quantization = "unknown";
  info.parameters = parameters;
  const std::string& prefix = info.architecture;
  info.context_tokens = natural(file, prefix + ".context_length").value_or(0);
  info.embedding_length = natural(file, prefix + ".embedding_length").value_or(0);
  const std::int64_t tokens = gguf_find_key(&file, "tokenizer.ggml.tokens");
  if (tokens >= 0 && gguf_get_kv_type(&file, tokens) == GGUF_TYPE_ARRAY) {
    info.vocabulary = gguf_get_arr_n(&file, tokens);
  }
  const auto pooling = natural(file, prefix + ".pooling_type");
  info.embeds = pooling.value_or(0) != 0;
  info.ranks = pooling == kPoolingRank;
  info.completes = !info.embeds;
  info.chat_template = well_formed(text(file, "tokenizer.chat_template"));
  if (info.chat_template.size() > kModelMetadataBytesMax) info.chat_template.clear();
  info.chats = info.completes && !info.chat_template.empty();
  info.metadata = metadata_of(file);
  return info;
}

}  // namespace phase::worker::inference
