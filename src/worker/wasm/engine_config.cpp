#include "worker/wasm/engine_config.h"

#include <wasm.h>
#include <wasmtime.h>

namespace phase::worker {
namespace {

void set_features(wasm_config_t* config, job::Profile profile) {
  wasmtime_config_wasm_reference_types_set(config,
                                           true);  // several tables and funcref values in them
  wasmtime_config_wasm_bulk_memory_set(config, true);
  wasmtime_config_wasm_multi_value_set(config, true);
  wasmtime_config_wasm_simd_set(config, profile == job::Profile::fast);
  wasmtime_config_wasm_relaxed_simd_set(config, false);
  wasmtime_config_wasm_threads_set(config, false);
  wasmtime_config_shared_memory_set(config, false);
  wasmtime_config_wasm_tail_call_set(config, false);
  wasmtime_config_wasm_function_references_set(config, false);
  wasmtime_config_wasm_gc_set(config, false);
  wasmtime_config_gc_support_set(config, false);
  wasmtime_config_wasm_exceptions_set(config, false);
  wasmtime_config_wasm_multi_memory_set(config, false);
  wasmtime_config_wasm_memory64_set(config, false);
  wasmtime_config_wasm_wide_arithmetic_set(config, false);
  wasmtime_config_wasm_custom_page_sizes_set(config, false);
}

}  // namespace

wasm_config_t* make_engine_config(const EngineSettings& settings) {
  wasm_config_t* config = wasm_config_new();
  set_features(config, settings.profile);
  wasmtime_config_cranelift_nan_canonicalization_set(config,
                                                     settings.profile == job::Profile::det_1);
  wasmtime_config_consume_fuel_set(config, true);
  wasmtime_config_max_wasm_stack_set(config, kWasmStackBytes);
  wasmtime_config_parallel_compilation_set(config, settings.parallel);
  wasmtime_config_cranelift_opt_level_set(
      config, settings.optimise ? WASMTIME_OPT_LEVEL_SPEED : WASMTIME_OPT_LEVEL_NONE);
  // A process runs one instance, so an image to copy from would be made for nothing.
  wasmtime_config_memory_init_cow_set(config, settings.copy_on_write);
  wasmtime_config_native_unwind_info_set(config, false);
  return config;
}

}  // namespace phase::worker
