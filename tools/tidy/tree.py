"""The files a check reads, and what a check reports."""

import dataclasses
import pathlib
import re
import subprocess

ALLOW = re.compile(r"tidy: allow\(([a-z-]+)\)(?:: *(\S.*))?")
CPP = (".h", ".cpp", ".c")


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One broken rule. `line` counts from 1; 0 means the whole file."""
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: [{self.rule}] {self.message}"


class Tree:
    """A folder of sources: every file git knows or would add; without git, every file."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = sorted(path for path in self._list() if (self.root / path).is_file())
        self._texts = {}

    def _list(self):
        command = ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others",
                   "--exclude-standard"]
        if (self.root / ".git").exists():
            out = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            return set(filter(None, out.decode().split("\0")))
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}

    def exists(self, path):
        return (self.root / path).exists()

    def text(self, path):
        """The file as text; undecodable bytes become replacement characters."""
        if path not in self._texts:
            self._texts[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._texts[path]

    def lines(self, path):
        """(number from 1, line) pairs."""
        return enumerate(self.text(path).splitlines(), 1)

    def select(self, prefix="", suffixes=None):
        """Files below `prefix` whose names end in one of `suffixes`."""
        return [path for path in self.files if path.startswith(prefix)
                and (suffixes is None or path.endswith(tuple(suffixes)))]


def allowed(line, rule):
    """True when the line itself allows breaking the rule, with a reason."""
    match = ALLOW.search(line)
    return bool(match and match.group(1) == rule and match.group(2))
