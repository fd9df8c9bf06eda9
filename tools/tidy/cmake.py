"""Reads the calls of phase_library, phase_app, phase_test, … out of CMakeLists.txt files, and
checks that a library's USES is the list of folders its sources include."""

import dataclasses
import re

import layers
from tree import Finding

CALL = re.compile(r"\bphase_(library|app|test|fuzz|bench)\s*\(", re.IGNORECASE)
KEYWORDS = {"SOURCES", "USES", "LINKS", "TESTS", "TEST_USES", "FUZZ", "TIMEOUT", "LABELS"}


@dataclasses.dataclass
class Target:
    kind: str
    name: str
    path: str
    line: int
    words: dict

    @property
    def links(self):
        return self.words.get("USES", []) + self.words.get("LINKS", [])

    @property
    def folder(self):
        return self.path.rsplit("/", 1)[0]


def parse(path, text):
    """The calls in one CMakeLists.txt."""
    text = re.sub(r"#[^\n]*", "", text)
    found = []
    for match in CALL.finditer(text):
        end = text.find(")", match.end())
        words = text[match.end():end].split()
        if not words or re.search(r"(function|macro)\s*\(\s*$", text[:match.start()]):
            continue
        target = Target(match.group(1).lower(), words[0], path,
                        text.count("\n", 0, match.start()) + 1, {})
        keyword = None
        for word in words[1:]:
            if word in KEYWORDS:
                keyword = word
                target.words.setdefault(word, [])
            elif keyword:
                target.words[keyword].append(word)
        found.append(target)
    return found


def targets(tree):
    """Name to target, over the whole tree. Libraries are named `phase::name`."""
    found = {}
    for path in tree.files:
        if path.endswith("CMakeLists.txt"):
            for target in parse(path, tree.text(path)):
                key = f"phase::{target.name}" if target.kind == "library" else target.name
                found[key] = target
    return found


def closure(found, target):
    """Every library name a target reaches through USES and LINKS."""
    seen, todo = set(), list(target.links)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            if name in found:
                todo += found[name].links
    return seen


def stems_of_siblings(found, target):
    """Names of headers that belong to another library of the same folder, which this one uses."""
    stems = set()
    for name in target.words.get("USES", []):
        other = found.get(name)
        if other is not None and other.folder == target.folder:
            stems |= {source.rsplit(".", 1)[0] for source in other.words.get("SOURCES", [])}
    return stems - {source.rsplit(".", 1)[0] for source in target.words.get("SOURCES", [])}


def folders_reached(tree, target):
    """Every folder that the library's includes lead to, through headers of other folders too."""
    todo = [f"{target.folder}/{source}" for source in target.words.get("SOURCES", [])]
    seen = set(todo)
    while todo:
        path = todo.pop()
        for _, _, quoted, included in layers.includes(tree, path) if tree.exists(path) else []:
            there = layers.resolve(tree, path, included) if quoted else None
            if there and there not in seen:
                seen.add(there)
                todo.append(there)
    return {path.rsplit("/", 1)[0] for path in seen}


def folders_included(tree, found, target):
    """Folders of ours, other than its own, that the library's sources and their headers include."""
    siblings = stems_of_siblings(found, target)
    todo = [f"{target.folder}/{source}" for source in target.words.get("SOURCES", [])]
    if not todo:
        todo = [path for path in tree.select(target.folder + "/", (".h",))
                if path.count("/") == target.folder.count("/") + 1]
    seen, folders = set(todo), {}
    while todo:
        path = todo.pop()
        if not tree.exists(path):
            continue
        for _, _, quoted, included in layers.includes(tree, path):
            there = layers.resolve(tree, path, included) if quoted else None
            if there is None or there.startswith("tests/"):
                continue
            folder = there.rsplit("/", 1)[0]
            if folder != target.folder:
                folders.setdefault(folder, f"{path} includes {included}")
            elif there not in seen and there.rsplit("/", 1)[1][:-2] not in siblings:
                seen.add(there)
                todo.append(there)
    return folders


def check(tree):
    """USES against includes, for every library under src and sdk/cpp."""
    findings = []
    found = targets(tree)
    for target in found.values():
        if target.kind != "library" or not target.path.startswith(("src/", "sdk/cpp")):
            continue
        used = {found[name].folder for name in target.words.get("USES", []) if name in found}
        included = folders_included(tree, found, target)
        for folder, why in sorted(included.items()):
            if folder not in used:
                findings.append(Finding(target.path, target.line, "uses",
                                        f"{target.name}: USES lacks {folder} ({why})"))
        reached = set(included) | folders_reached(tree, target) | {target.folder}
        for folder in sorted(used - reached):
            findings.append(Finding(target.path, target.line, "uses",
                                    f"{target.name}: USES names {folder}, which it does not"
                                    " include"))
        for source in target.words.get("SOURCES", []):
            if not tree.exists(f"{target.folder}/{source}") and not source.startswith("$"):
                findings.append(Finding(target.path, target.line, "uses",
                                        f"{target.name}: no such source {source}"))
    return findings
