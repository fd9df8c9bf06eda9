"""Rules on lines and words: lengths, banned words with their replacement, the form of TODO."""

import re

from functions import is_python
from tree import ALLOW, Finding, allowed

COLUMNS_MAX = {".h": 100, ".cpp": 100, ".c": 100, ".rs": 100, ".php": 100, ".py": 100, ".sh": 100,
               ".cmake": 120, "CMakeLists.txt": 120}
FILE_LINES_MAX = 800
CODE = tuple(COLUMNS_MAX)
TODO = re.compile(r"\bTODO\b")
TODO_FORM = re.compile(r"\bTODO\((perf|security|cleanup|spec)\): \S")
MARKS = re.compile(r"\b(FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
# Lock files and the licence's own text are not ours to word.
NOT_OURS = re.compile(r"(^|/)(Cargo\.lock|composer\.lock|LICENSE[^/]*|THIRD_PARTY[^/]*\.md)$")

HOSTS = "|".join(name.replace(".", r"\.") for name in (
    "crates" + ".io", "static.rust" + "-lang.org", "sh.rust" + "up.rs", "py" + "pi.org",
    "pythonhosted" + ".org", "registry.npm" + "js.org", "packa" + "gist.org", "deb.debian" + ".org",
    "archive.ubuntu" + ".com", "proxy.gol" + "ang.org", "repo.maven.apa" + "che.org"))
PATHS = r"(?<![\w.$}~-])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me/\w+)(?=/|\b(?![\w-]))"

# (rule, where, pattern, what to do instead). Where is a pattern on the path.
BANNED = [
    ("print", r"^src/(?!.*_(test|fuzz|bench|probe)\.cpp$).*\.(h|cpp)$",
     r"std::(cout|cerr|clog)\b|(?<![\w:.])(std::)?(f?printf|puts)\s*\(",
     "libraries do not print: return a Result; programs under apps log"),
    ("capture", r"\.(h|cpp)$", r"\[=[\],]", "name what the lambda captures"),
    ("sleep", r"(_test\.cpp|^tests/.*\.(h|cpp))$",
     r"this_thread::sleep_(for|until)\b|(?<![\w.])u?sleep\s*\(|\bnanosleep\s*\(",
     "wait for the event itself, or move a manual clock"),
    ("sleep", r"^(tests|tools|sdk)/.*", r"\btime\.sleep\s*\(",
     "wait for the event; where only polling is possible, in one helper with a deadline"),
    ("disabled", r"\.(cpp|h|php)$", r"\bDISABLED_\w+|markTest(Skipped|Incomplete)\s*\(\s*\)",
     "a test runs, or skips and says why"),
    ("registry", r".*", HOSTS, "name the registry, not its host: mirrors differ"),
    ("path", r".*", PATHS, "no path of one machine"),
    ("assert", r"^src/.*\.(h|cpp)$", r"(?<![\w_])assert\s*\(",
     "PHASE_CHECK, which is on in production too"),
    ("shared", r"^(src|apps)/.*\.(h|cpp)$", r"\busing namespace std\b", "name what you use"),
]


def columns_max(path):
    for suffix, value in COLUMNS_MAX.items():
        if path.endswith(suffix):
            return value
    return None


def check_lengths(tree, path):
    findings = []
    limit = columns_max(path) or (100 if is_python(tree, path) else None)
    if limit is None:
        return findings
    count = 0
    for count, line in tree.lines(path):
        if len(line) > limit and not allowed(line, "columns"):
            findings.append(Finding(path, count, "columns",
                                    f"{len(line)} columns, at most {limit}"))
    if count > FILE_LINES_MAX:
        findings.append(Finding(path, 0, "file", f"{count} lines, at most {FILE_LINES_MAX}:"
                                                 " split by capability"))
    return findings


def check_words(tree, path):
    findings = []
    rules = [(rule, re.compile(pattern), instead) for rule, where, pattern, instead in BANNED
             if re.search(where, path)]
    for number, line in tree.lines(path):
        for rule, pattern, instead in rules:
            match = pattern.search(line)
            if match and not allowed(line, rule):
                findings.append(Finding(path, number, rule, f"'{match.group(0)}': {instead}"))
        if TODO.search(line) and not TODO_FORM.search(line) and not allowed(line, "todo"):
            findings.append(Finding(path, number, "todo",
                                    "the form is TO" "DO(perf|security|cleanup|spec): what"))
        if MARKS.search(line) and not allowed(line, "todo"):
            findings.append(Finding(path, number, "todo", "use a TO" "DO of the given form"))
        match = ALLOW.search(line)
        if match and not match.group(2):
            findings.append(Finding(path, number, "allow", "say why: tidy: allow(rule): reason"))
    return findings


def is_binary(tree, path):
    return "\0" in tree.text(path)[:4096]


def check(tree):
    findings = []
    for path in tree.files:
        if NOT_OURS.search(path) or is_binary(tree, path):
            continue
        findings += check_lengths(tree, path)
        if not path.startswith("tools/tidy/"):
            findings += check_words(tree, path)
    return findings
