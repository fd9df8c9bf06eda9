// abort() for the worker program, C++ and Rust alike. The C library's raises SIGABRT, which the
// seccomp layer forbids (the same call would reach other processes), and then faults; the parent
// could not tell that from a crash. There is no core dump to lose: worker processes write none.
#include <cstdlib>

#include <unistd.h>

#include "worker/sandbox/control.h"

extern "C" void abort() noexcept {  // declared noreturn by the C library
  ::_exit(phase::sandbox::control::kExitAborted);
}
