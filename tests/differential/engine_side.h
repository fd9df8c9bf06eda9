// engine_side.h — modules in the engine, without a job around them: instances that are linked,
// calls with parameters and results, fuel of each call.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <wasm.h>
#include <wasmtime.h>

#include "base/bytes.h"
#include "proof/reference/spec_fixture.h"
#include "worker/wasm/engine.h"

namespace phase {

/// What a call came to. Bits of results as the reference interpreter has them; of a function only
/// whether it is null (0) or one (1).
struct Came {
  enum class Kind : std::uint8_t { returned, trapped, out_of_fuel, out_of_stack, refused };
  Kind kind = Kind::refused;
  std::vector<std::uint64_t> results;
  std::uint64_t fuel = 0;
  friend bool operator==(const Came&, const Came&) = default;
};
void PrintTo(const Came& came, std::ostream* out);
[[nodiscard]] Came::Kind kind_of(reference::Stop stop);

class EngineSide {
 public:
  explicit EngineSide(const worker::EngineSettings& settings);
  ~EngineSide();
  EngineSide(const EngineSide&) = delete;
  EngineSide& operator=(const EngineSide&) = delete;

  /// Of every call and instantiation from now on.
  void set_fuel(std::uint64_t fuel) { fuel_ = fuel; }
  /// An instance becomes the last one, and has `name` when that is not empty. Kind::refused when
  /// the engine does not take the module, or it does not link; what came before stays the last.
  [[nodiscard]] Came::Kind instantiate(ByteView module, const std::string& name);
  /// Exports of an instance become importable. Empty: of the last.
  void register_as(const std::string& import_name, const std::string& name);
  [[nodiscard]] bool has(const std::string& name) const;
  [[nodiscard]] Came call(const std::string& name, const std::string& exported,
                          const std::vector<std::uint64_t>& arguments);
  [[nodiscard]] std::optional<std::uint64_t> global(const std::string& name,
                                                    const std::string& exported);
  /// Bytes of the last instance's memory of that name.
  [[nodiscard]] Bytes memory(const std::string& exported);

 private:
  void add_spectest();
  [[nodiscard]] const wasmtime_instance_t* instance(const std::string& name) const;
  [[nodiscard]] std::uint64_t bits(const wasmtime_val_t& value) const;

  void refuel();

  std::uint64_t fuel_ = reference::SpecHost::kFuel;
  wasm_engine_t* engine_;
  wasmtime_store_t* store_;
  wasmtime_context_t* context_;
  wasmtime_linker_t* linker_;
  std::map<std::string, wasmtime_instance_t> named_;
  std::optional<wasmtime_instance_t> last_;
};

}  // namespace phase
