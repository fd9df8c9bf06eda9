#include "commands.h"

namespace phase::ambient_vcp {

Result<int> coordinator_command(const CommandLine&) {
  return fail(Code::unsupported, "the coordinator is not part of this build yet");
}

}  // namespace phase::ambient_vcp
