// descriptor.h — descriptors as the channel to a worker carries them: those of base/descriptor.h.
#pragma once

#include "base/descriptor.h"

namespace phase::sandbox {

using phase::FileDescriptor;

}  // namespace phase::sandbox
