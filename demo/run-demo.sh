#!/bin/sh
# The demo of Ambient VCP: a coordinator, three nodes as processes, one of which lies. Each step is
# asserted; the first that fails ends it with a status that is not 0. Needs a build (make build).
#   PHASE_BUILD=build demo/run-demo.sh [options of examples/demo/demo_vcp.py]
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=${PHASE_BUILD:-$root/build}
exec python3 "$root/examples/demo/demo_vcp.py" --bin "$build/bin" --examples "$build/examples" "$@"
