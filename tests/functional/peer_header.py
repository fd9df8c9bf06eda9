#!/usr/bin/env python3
"""include/phase_net.h declares exactly the functions that the archive exports."""

import os
import pathlib
import re
import subprocess
import sys

HEADER = pathlib.Path(os.environ["PHASE_SOURCE"]) / "rust/net/include/phase_net.h"


def main():
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    declared = set(re.findall(r"\b(phase_net_\w+)\(", text))
    nm = ["nm", "--extern-only", "--defined-only", "--format=posix", sys.argv[1]]
    listed = subprocess.run(nm, check=True, capture_output=True, text=True).stdout
    exported = set(re.findall(r"^(phase_net_\w+) T ", listed, flags=re.M))
    assert declared, "no function found in the header"
    assert declared == exported, (
        f"only in the header: {sorted(declared - exported)}; "
        f"only in the archive: {sorted(exported - declared)}")
    print(f"ok {len(declared)} functions")


if __name__ == "__main__":
    main()
