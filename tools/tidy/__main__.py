"""Tidiness as a test: the rules of this tree that a program can check.

  python3 tools/tidy [--root DIR] [RULE...]     status 0 when nothing is found, 1 otherwise

A line may break a rule that it names, with a reason: `tidy: allow(sleep): the reason`.
"""

import argparse
import pathlib
import sys

import cmake
import folders
import functions
import layers
import links
import text
from tree import Tree

CHECKS = [layers.check, cmake.check, text.check, functions.check, folders.check, links.check]


def main():
    parser = argparse.ArgumentParser(prog="tools/tidy", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("rules", nargs="*", help="only these rules")
    arguments = parser.parse_args()
    tree = Tree(arguments.root)
    findings = sorted({finding for check in CHECKS for finding in check(tree)
                       if not arguments.rules or finding.rule in arguments.rules})
    for finding in findings:
        print(finding)
    print(f"tidy: {len(tree.files)} files read, {len(findings)} findings")
    return 1 if findings or not tree.files else 0


if __name__ == "__main__":
    sys.exit(main())
