// echo.h — a model that says what it was told, backwards: for machines without one, and for trying
// clients and meshes.
#pragma once

#include <memory>

#include "worker/inference/inference_worker.h"

namespace phase::lucid {

/// Answers prompts of kinds text and request (spec/inference.md) with the last user message or the
/// prompt, reversed by Unicode scalar value; "(empty input)" for none.
[[nodiscard]] std::unique_ptr<worker::LoadedModel> make_echo(const worker::ModelInfo& info);

/// Reversed by scalar value; bytes that are no UTF-8 one by one.
[[nodiscard]] std::string reverse_text(std::string_view text);

}  // namespace phase::lucid
