"""Links in Markdown lead somewhere; so do paths of documents and tests that comments name."""

import posixpath
import re

from tree import Finding, allowed

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"(?<![\w./-])((?:docs|spec|src|tests|tools|cmake|sdk|examples|apps|rust)/"
                   r"[\w./-]+\.(?:md|h|cpp|py|sh|json|txt|php|rs|toml))(?![\w*{<])")
FENCE = re.compile(r"^```")


def slug(title):
    """The anchor a heading gets."""
    kept = re.sub(r"[^\w\- ]", "", title.strip().lower().replace("`", ""))
    return kept.replace(" ", "-")


def anchors(tree, path):
    return {slug(match) for match in re.findall(r"^#+ (.+)$", tree.text(path), re.MULTILINE)}


def check_link(tree, path, number, target):
    if re.match(r"[a-z]+:", target):
        return None
    file, _, anchor = target.partition("#")
    there = posixpath.normpath(posixpath.join(posixpath.dirname(path), file)) if file else path
    if not tree.exists(there):
        return Finding(path, number, "link", f"{target} leads nowhere")
    if anchor and there.endswith(".md") and anchor not in anchors(tree, there):
        return Finding(path, number, "link", f"{there} has no heading #{anchor}")
    return None


def named_exists(tree, path, named):
    """Whether a path named in a file is there, seen from the root or a folder above the file."""
    folder = posixpath.dirname(path)
    while folder and not tree.exists(posixpath.join(folder, named)):
        folder = posixpath.dirname(folder)
    return tree.exists(posixpath.join(folder, named))


def check(tree):
    findings = []
    for path in tree.select("", (".md",)):
        fenced = False
        for number, line in tree.lines(path):
            fenced ^= bool(FENCE.match(line))
            if fenced:
                continue
            for target in LINK.findall(line):
                finding = check_link(tree, path, number, target)
                if finding and not allowed(line, "link"):
                    findings.append(finding)
    for path in tree.select("", (".md", ".h", ".cpp", ".cmake", "CMakeLists.txt", ".rs", ".php")):
        for number, line in tree.lines(path):
            for named in NAMED.findall(line):
                if not named_exists(tree, path, named) and not allowed(line, "link"):
                    findings.append(Finding(path, number, "link", f"{named} is not there"))
    return findings
