"""Rings and arrows: docs/map.md says who may include whom; this holds the sources to it.

docs/map.md, section Rings: a table, one ring a row, from the bottom up; its second column names
units in backticks. Section Arrows: list items "- `from` → `to` `to`: reason". A unit is a folder
under src/ (`src/protocol/job` is `job`), `sdk/cpp`, or `apps`.
"""

import posixpath
import re

import cmake
from tree import CPP, Finding, allowed

MAP = "docs/map.md"
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
ARROW = re.compile(r"^- (`[^`]+`) → ((?:`[^`]+`[, ]*)+): \S")
NAME = re.compile(r"`([^`]+)`")
TEST_FILE = re.compile(r"_(test|fuzz|probe|bench)\.cpp$")
RUST_HEADERS = {
    re.compile(r"^phase_net\.h$"): ("src/peer/",),
    # Tests and benchmarks also compare with the bare engine and write modules as text.
    re.compile(r"^(wasmtime(/.*)?|wasm|wasi)\.(h|hh)$|^wasmtime/"): ("src/worker/wasm/", "tests/"),
}
RUST_LIBRARIES = {"phase::rust_net": ("src/peer/",),
                  "phase::rust_wasm": ("src/worker/wasm/", "tests/")}


class Map:
    """The rings (unit to height, from 0) and arrows (unit to set of units) of docs/map.md."""

    def __init__(self, tree):
        self.rings, self.arrows, self.findings = {}, {}, []
        section, height = "", 0
        for number, line in tree.lines(MAP) if tree.exists(MAP) else []:
            if line.startswith("## "):
                section = line[3:].strip()
            elif section == "Rings" and line.startswith("|") and "`" in line:
                for unit in NAME.findall(line.split("|")[2]):
                    self.rings[unit] = height
                height += 1
            elif section == "Arrows" and line.startswith("- "):
                self._arrow(number, line)
        if not self.rings:
            self.findings.append(Finding(MAP, 0, "map", "no table of rings found"))
        self._check()

    def _arrow(self, number, line):
        match = ARROW.match(line)
        if not match:
            self.findings.append(
                Finding(MAP, number, "map", "an arrow reads: - `from` → `to` `to`: reason"))
            return
        source = NAME.findall(match.group(1))[0]
        for target in NAME.findall(match.group(2)):
            self.arrows.setdefault(source, {})[target] = number

    def _check(self):
        for source, targets in self.arrows.items():
            for target, number in targets.items():
                unknown = [unit for unit in (source, target) if unit not in self.rings]
                if unknown:
                    self.findings.append(
                        Finding(MAP, number, "map", f"`{unknown[0]}` stands in no ring"))
                elif self.rings[target] > self.rings[source]:
                    self.findings.append(Finding(
                        MAP, number, "map", f"`{source}` → `{target}` points to a higher ring"))
                elif source in self.reach(target):
                    self.findings.append(Finding(
                        MAP, number, "map", f"`{source}` → `{target}` closes a circle"))

    def reach(self, unit):
        """Every unit the arrows lead to from this one."""
        seen, todo = set(), [unit]
        while todo:
            for target in self.arrows.get(todo.pop(), {}):
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return seen

    def unit_of(self, path):
        """The unit a file of ours belongs to; None for tests, tools and the like."""
        folder = path.rsplit("/", 1)[0] if "/" in path else ""
        if folder == "apps" or folder.startswith("apps/"):
            return "apps"
        if folder.startswith("sdk/cpp"):
            return "sdk/cpp"
        if not folder.startswith("src/"):
            return None
        unit = folder[len("src/"):]
        return unit[len("protocol/"):] if unit.startswith("protocol/") else unit


def resolve(tree, path, included):
    """The file an #include "..." of ours means, or None."""
    for candidate in (f"src/{included}", included, f"{path.rsplit('/', 1)[0]}/{included}"):
        if tree.exists(candidate):
            return posixpath.normpath(candidate)
    return None


def includes(tree, path):
    """[(line number, line, quoted?, text)] of a file."""
    found = []
    for number, line in tree.lines(path):
        match = INCLUDE.match(line)
        if match:
            found.append((number, line, match.group(1) == '"', match.group(2)))
    return found


def check_include(tree, rings, path, number, included):
    """One quoted include of one file against the map."""
    target_path = resolve(tree, path, included)
    if target_path is None:
        return None
    here, there = path.rsplit("/", 1)[0], target_path.rsplit("/", 1)[0]
    if included.endswith("_internal.h") and here != there:
        return Finding(path, number, "internal", f"{included} belongs to {there}/ alone")
    source, target = rings.unit_of(path), rings.unit_of(target_path)
    if source is None or source == target:
        return None
    if target is None:
        return Finding(path, number, "layer", f"product code includes {target_path}") \
            if not TEST_FILE.search(path) else None
    if source not in rings.rings:
        return Finding(path, number, "layer", f"`{source}` stands in no ring of {MAP}")
    if TEST_FILE.search(path):
        if rings.rings.get(target, 0) > rings.rings[source]:
            return Finding(path, number, "layer",
                           f"a test of `{source}` includes the higher ring of `{target}`")
        return None
    if source == "apps" or target in rings.arrows.get(source, {}):
        return None
    return Finding(path, number, "layer", f"no arrow `{source}` → `{target}` in {MAP}")


def check(tree):
    """Every include under src, apps and sdk/cpp, and the two Rust seams."""
    rings = Map(tree)
    findings = list(rings.findings)
    used = set()
    for prefix in ("src/", "apps/", "sdk/cpp/", "tests/"):
        for path in tree.select(prefix, CPP):
            for number, line, quoted, included in includes(tree, path):
                if allowed(line, "layer"):
                    continue
                for pattern, home in RUST_HEADERS.items():
                    if pattern.search(included) and not path.startswith(home):
                        findings.append(Finding(path, number, "seam",
                                                f"<{included}> may be included in {home[0]} only"))
                used.add((rings.unit_of(path), rings.unit_of(resolve(tree, path, included) or "")))
                finding = check_include(tree, rings, path, number, included) if quoted else None
                if finding:
                    findings.append(finding)
    return findings + check_arrows_used(tree, rings, used) + check_seams(tree)


def check_arrows_used(tree, rings, used):
    """An arrow that no include needs is a claim about code that is not there."""
    built = {rings.unit_of(path) for path in tree.select("", CPP)}
    return [Finding(MAP, number, "map", f"nothing in `{source}` includes `{target}`")
            for source, targets in rings.arrows.items() if source in built
            for target, number in targets.items() if (source, target) not in used]


def check_seams(tree):
    """Each Rust archive is linked by one folder, and no executable reaches both."""
    findings = []
    targets = cmake.targets(tree)
    for target in targets.values():
        for library, home in RUST_LIBRARIES.items():
            if library in target.links and not target.path.startswith(home):
                findings.append(Finding(target.path, target.line, "seam",
                                        f"{library} may be linked in {home[0]} only"))
        if target.kind != "library":
            both = [name for name in RUST_LIBRARIES if name in cmake.closure(targets, target)]
            if len(both) == 2:
                findings.append(Finding(target.path, target.line, "seam",
                                        f"{target.name} links both Rust archives"))
    return findings
