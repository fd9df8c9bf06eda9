// model_json.h — models as /api/tags, /api/ps and /api/show write them.
#pragma once

#include "api/ollama/requests.h"

namespace phase::ollama {

[[nodiscard]] std::string tags_json(const std::vector<lucid::Model>& models);
[[nodiscard]] std::string ps_json(const std::vector<lucid::RunningModel>& models);
[[nodiscard]] std::string show_json(const lucid::ModelView& view, const ShowRequest& request);

}  // namespace phase::ollama
