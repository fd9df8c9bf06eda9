// execute.h — runs lowered code to its end. Stands on <stdint.h> alone, as machine.h says.
#pragma once

#include "proof/reference/machine.h"

namespace phase::reference {

/// Calls `function` with its parameters in the first slots at `machine.top` and runs to the end,
/// which `machine.stop` names: Stop::returned with the results in the slots where the parameters
/// were, from `machine.top` on. `stack`, `frames` and `fuel` of the machine are set; `stop` is
/// none.
///
/// Deterministic: the same state before gives the same state after, on every machine.
void call(Machine& machine, const Function& function);

/// After a trap: the fuel of what was paid for in advance and then not reached. Adding it to
/// `machine.fuel` gives what is left exactly.
[[nodiscard]] int64_t fuel_unreached(const Machine& machine);

}  // namespace phase::reference
