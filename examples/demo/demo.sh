#!/bin/sh
# The demo, with the programs of a build folder:
#   PHASE_BUILD=build examples/demo/demo.sh [options of demo.py]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build=${PHASE_BUILD:-$here/../../build}
exec python3 "$here/demo.py" --bin "$build/bin" --module "$build/examples/hello.wasm" "$@"
