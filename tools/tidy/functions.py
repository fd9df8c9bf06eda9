"""How long functions are. A heuristic by braces for C++, Rust and PHP; exact for Python."""

import ast
import re

from tree import Finding, allowed

FUNCTION_LINES_MAX = 70
BRACES = (".h", ".cpp", ".c", ".rs", ".php")
CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|trait|impl|mod|interface|extern)\b")
CPP_FUNCTION = re.compile(r"\)\s*(const|noexcept|override|final|mutable|&&?|->\s*[\w:<>,&*\s]+|\s)*"
                          r"(requires\b.*)?(:\s*.*)?$", re.DOTALL)
KEYWORD_FUNCTION = re.compile(r"\b(fn|function)\s+&?\w+")


def blank(text, rust=False):
    """The text with comments and literals replaced by spaces, line breaks kept."""
    quote = r"'(?:\\.|[^'\\\n])'" if rust else r"(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'"
    pattern = re.compile(
        r'R"(?P<tag>[^()\s]*)\(.*?\)(?P=tag)"|r(?P<hash>#*)".*?"(?P=hash)'
        r'|"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|' + quote, re.DOTALL)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def functions(text, suffix):
    """[(first line, last line, head)] of the functions of a file with braces."""
    keyword = suffix in (".rs", ".php")
    text = blank(text, suffix == ".rs")
    text = re.sub(r"^\s*#[^\n]*(\\\n[^\n]*)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text,
                  flags=re.MULTILINE)
    stack, found, head_start, parens = [], [], 0, 0
    for at, char in enumerate(text):
        if char in "([":
            parens += 1
        elif char in ")]":
            parens -= 1
        elif char == ";" and parens == 0:
            head_start = at + 1
        elif char == "{":
            head = text[head_start:at]
            inside = any(kind == "function" for kind, _, _ in stack)
            if inside or parens > 0:
                kind = "block"
            elif keyword:
                kind = "function" if KEYWORD_FUNCTION.search(head) else "container"
            elif CPP_FUNCTION.search(head) and "=" not in head.split("(")[0]:
                kind = "function"
            else:
                kind = "container" if CONTAINER.search(head) else "block"
            stack.append((kind, head_start + len(head) - len(head.lstrip()), parens))
            parens, head_start = 0, at + 1
        elif char == "}" and stack:
            kind, start, parens = stack.pop()
            head_start = at + 1
            if kind == "function":
                head = " ".join(text[start:text.find("{", start)].split())
                found.append((text.count("\n", 0, start) + 1, text.count("\n", 0, at) + 1, head))
    return found


def python_functions(text):
    tree = ast.parse(text)
    return [(node.lineno, node.end_lineno, node.name) for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def is_python(tree, path):
    return path.endswith(".py") or ("." not in path.rsplit("/", 1)[-1]
                                    and tree.text(path).startswith("#!/usr/bin/env python3"))


def check(tree):
    findings = []
    for path in tree.files:
        suffix = "." + path.rsplit(".", 1)[-1]
        if suffix in BRACES:
            found = functions(tree.text(path), suffix)
        elif path.startswith(("tools/", "tests/", "examples/", "sdk/", ".ci/")) and \
                is_python(tree, path):
            try:
                found = python_functions(tree.text(path))
            except SyntaxError as problem:
                findings.append(Finding(path, problem.lineno or 0, "syntax", str(problem.msg)))
                continue
        else:
            continue
        lines = tree.text(path).splitlines()
        for first, last, head in found:
            length = last - first + 1
            if length > FUNCTION_LINES_MAX and not allowed(lines[first - 1], "function"):
                findings.append(Finding(path, first, "function",
                                        f"{length} lines, at most {FUNCTION_LINES_MAX}:"
                                        f" {head[:60]}"))
    return findings
