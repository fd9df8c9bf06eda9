// engine_config.h — how the engine beneath is set up: for `Engine`, and for tests that look beneath
// it at what jobs cannot show.
#pragma once

#include "worker/wasm/engine.h"

// As the engine's own header declares it, which only sources include.
struct wasm_config_t;

namespace phase::worker {

/// Whoever makes an engine of it takes it over.
[[nodiscard]] wasm_config_t* make_engine_config(const EngineSettings& settings);

}  // namespace phase::worker
