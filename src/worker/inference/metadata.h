// metadata.h — the keys of a GGUF file, read by the engine's parser from mapped bytes.
#pragma once

#include "worker/inference/message.h"

struct gguf_context;

namespace phase::worker::inference {

/// Fills what the file's keys and tensor list say: architecture, name, quantization, sizes,
/// pooling, chat template, metadata. Not what needs the vocabulary.
[[nodiscard]] ModelInfo info_of(const gguf_context& file, std::uint64_t parameters);

}  // namespace phase::worker::inference
