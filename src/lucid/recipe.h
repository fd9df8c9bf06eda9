// recipe.h — what a model's recipe adds to a request: its system message, template, first turns and
// options, under what the request says itself. Private to this folder.
#pragma once

#include "lucid/answer.h"
#include "lucid/catalog.h"

namespace phase::lucid {

/// Messages a recipe may put before those of a request.
inline constexpr std::size_t kRecipeMessagesMax = 1024;

/// Changes `ask` as `recipe` says. Prompts of kind text and those with `raw` take options only,
/// embeddings and ranks only what the model is loaded with. Options that are not known are left
/// aside: files of others have them. Errors: Code::malformed when prompt or recipe are not what
/// spec/inference.md §2 says, Code::too_large when the prompt becomes so.
[[nodiscard]] Result<void> apply_recipe(const ModelRecipe& recipe, Ask& ask);

/// What a request asks of a model that it cannot do. Errors: Code::invalid_argument, naming `name`
/// and what is missing.
[[nodiscard]] Result<void> check_fitness(const worker::ModelInfo& info, std::string_view name,
                                         const Ask& ask);

}  // namespace phase::lucid
