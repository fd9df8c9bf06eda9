// abort() for the worker program, C++ and Rust alike. The C library's raises SIGABRT, which the
// seccomp layer forbids (the same call would reach other processes), and then faults; the parent
// could not tell that from a crash. There is no core dump to lose: worker processes write none.
#include <cstdlib>

#include <unistd.h>

#include "worker/sandbox/control.h"
#include "worker/sandbox/layers.h"

extern "C" void abort() noexcept {  // declared noreturn by the C library
  ::_exit(phase::sandbox::control::kExitAborted);
}

#ifdef PHASE_ADDRESS_SANITIZER
// The search for leaks at the end stops a process by ptrace, which the layers take away.
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0";
}
#endif
