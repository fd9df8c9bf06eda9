#!/usr/bin/env python3
"""Runs examples/remote_test.php on one machine against a provider on another, and reads its lines.

  tests/functional/php_remote.py BIN

As root the two are users and network namespaces of their own. With the provider stopped the example
must fail with a clear message. Status: 0 when all of it holds.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "examples" / "demo"))
from lab import Lab, LabError  # noqa: E402

LINES = r"""Phase Remote Execution Test
=+

Discovering nodes\.\.\.
✓ Node discovered: (?P<node>12D3KooW\w+)
  Architecture: (?:x86_64|aarch64)
  Runtime: wasmtime-\d+

Submitting job: hello\.wasm
✓ Job submitted: [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}

Waiting for execution\.\.\.
✓ Execution complete

Result:
  Output: dlroW ,olleH
  Exit code: 0
  Wall time: \d+ms

Receipt Verification:
✓ Signature valid
✓ Module hash matches
✓ Receipt verified

Test complete!
"""


def require(condition, text):
    if not condition:
        raise LabError(text)


def run_example(requester, lab, name, module):
    """Returns (status, stdout, stderr) of an example run beside the requester, as its user."""
    done = requester.host.run(["php", lab.folder / "examples" / name, module],
                              extra={"PHASE_CONTROL_SOCKET": str(requester.socket)})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(lab, module):
    provider = lab.start("provider", "--open")
    told = [word for address in provider.addresses() for word in ("--bootstrap", address)]
    requester = lab.start("requester", "--requester-only", *told)

    status, out, err = run_example(requester, lab, "remote_test.php", module)
    require(status == 0, f"remote_test.php ended with {status}:\n{out}{err}")
    match = re.fullmatch(LINES, out)
    require(match, f"remote_test.php printed other lines:\n{out}")
    require(match["node"] == provider.peer_id, "it discovered somebody else")

    status, out, err = run_example(requester, lab, "demo_php.php", module)
    require(status == 0, f"demo_php.php ended with {status}:\n{out}{err}")
    expected = f"dlroW ,olleH\nreceipt verified\nprovider {provider.peer_id}\n"
    require(out == expected, f"demo_php.php printed other lines:\n{out}")

    provider.stop()
    status, out, err = run_example(requester, lab, "remote_test.php", module)
    require(status != 0, f"remote_test.php succeeded with no provider there:\n{out}")
    require("Receipt verified" not in out, f"it verified a receipt of nobody:\n{out}")
    require(re.search(r"^✗ No provider .+ \(.+\) \[unavailable\]$", err, re.MULTILINE),
            f"no clear message with no provider there:\n{err}")


def main():
    with Lab(sys.argv[1]) as lab:
        print("users and network namespaces of their own" if lab.namespaces and lab.users
              else "on loopback: root is needed for users and namespaces of their own")
        lab.publish(ROOT / "sdk" / "php", "sdk/php")
        for name in ("remote_test.php", "demo_php.php"):
            lab.publish(ROOT / "examples" / name, f"examples/{name}")
        module = pathlib.Path(sys.argv[1]).parent / "examples" / "hello.wasm"
        try:
            check(lab, lab.publish(module, "examples/hello.wasm"))
        except LabError as error:
            print(f"failed: {error}")
            for name, node in lab.nodes.items():
                print(f"── last lines of {name}\n{node.log()[-1500:]}")
            return 1
    print("php_remote: every step passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
