// Any bytes as a module: refused with an error or valid; what is valid runs on a little fuel and
// ends, without reading or writing outside of what it has.
#include "proof/reference/module.h"
#include "proof/reference/store.h"

namespace {

constexpr std::int64_t kFuel = 20'000;
constexpr std::uint32_t kPages = 4;
constexpr std::uint32_t kTableSize = 1'000;
constexpr std::size_t kCallsMax = 8;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace phase::reference;
  if (!decode({data, size})) return 0;
  const auto program = compile({data, size});
  if (!program || !program->module.imports.empty()) return 0;
  Store store;
  const auto made = store.link(*program, {}, kPages, kTableSize);
  if (!made) return 0;
  Linked& module = **made;
  if (module.write_segments() != Stop::none) return 0;
  static Thread thread;
  std::int64_t fuel = kFuel;
  if (module.start() != nullptr) fuel = thread.call(*module.start(), {}, fuel).fuel_left;
  std::size_t calls = 0;
  for (const auto& [name, exported] : module.exports()) {
    if (exported.kind != ExternalKind::function || fuel <= 0 || ++calls > kCallsMax) continue;
    const std::vector<Slot> parameters(exported.function->parameters, 1);
    fuel = thread.call(*exported.function, parameters, fuel).fuel_left;
  }
  return 0;
}
