"""What a folder under src must hold: a README of the given headings whose invariants name tests
that exist, and a fuzz file beside each header that reads untrusted bytes."""

import re

from tree import CPP, Finding, allowed

HEADINGS = ["Does", "Does not", "Uses / used by", "Invariants", "Limits", "Wire", "Try it"]
README_LINES_MAX = 90
NEED_README = re.compile(r"^(src/.+|apps/[^/]+|sdk/[^/]+|rust/[^/]+|examples/[^/]+|tests)$")
DECODER = re.compile(r"\b(decode\w*|open\w*|parse\w*|read_\w+)\s*\(\s*"
                     r"(ByteView|std::span<const std::(byte|uint8_t)>)")
TEST = re.compile(r"\b(?:TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\s*\(\s*"
                  r"(\w+)\s*,\s*(\w+)")
NAMED_TEST = re.compile(r"`([A-Z]\w*\.[A-Z]\w*)`")


def code_folders(tree):
    """Folders that hold sources of ours directly."""
    folders = {owner(path.rsplit("/", 1)[0]) for path in tree.files
               if path.endswith(CPP + (".php", ".rs", ".py", ".sh")) and "/" in path}
    return sorted(folder for folder in folders if NEED_README.match(folder))


def owner(folder):
    """apps/x/y answers to apps/x, tests/x to tests; folders under src stand for themselves."""
    if folder.startswith("src/"):
        return folder
    return "/".join(folder.split("/")[:1 if folder.startswith("tests/") else 2])


def check_readme(tree, folder, tests):
    path = f"{folder}/README.md"
    if not tree.exists(path):
        return [Finding(path, 0, "readme", "every folder has one page that says what it is for")]
    if not folder.startswith("src/"):
        return []
    findings = []
    text = tree.text(path)
    titles = re.findall(r"^## (.+?)\s*$", text, re.MULTILINE)
    if titles != HEADINGS:
        findings.append(Finding(path, 0, "readme", "headings must be, in this order: "
                                + ", ".join(HEADINGS) + f" (found: {', '.join(titles)})"))
    if not text.startswith("# "):
        findings.append(Finding(path, 1, "readme", "begins with `# <folder>`"))
    if text.count("\n") > README_LINES_MAX:
        findings.append(Finding(path, 0, "readme", f"one page: {README_LINES_MAX} lines at most"))
    for name in NAMED_TEST.findall(text):
        if name not in tests:
            findings.append(Finding(path, 0, "readme",
                                    f"names the test {name}, which is not there"))
    return findings


def check_fuzz(tree):
    findings = []
    for path in tree.select("src/", (".h",)):
        for number, line in tree.lines(path):
            match = DECODER.search(line)
            if not match or allowed(line, "fuzz") or line.lstrip().startswith(("//", "*")):
                continue
            folder = path.rsplit("/", 1)[0]
            header = path[len("src/"):]
            fuzz = [other for other in tree.select(folder + "/", ("_fuzz.cpp",))
                    if f'"{header}"' in tree.text(other)]
            name = match.group(1)
            if not any(re.search(rf"\b{name}\s*\(", tree.text(other)) for other in fuzz):
                findings.append(Finding(path, number, "fuzz",
                                        f"{name}() reads untrusted bytes: a *_fuzz.cpp beside it"
                                        " must include this header and call it"))
    return findings


def check(tree):
    tests = set()
    for path in tree.select("", (".cpp", ".h")):
        tests |= {f"{suite}.{name}" for suite, name in TEST.findall(tree.text(path))}
    findings = []
    for folder in sorted(set(code_folders(tree))):
        findings += check_readme(tree, folder, tests)
    return findings + check_fuzz(tree)
