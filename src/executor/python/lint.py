# SPDX-License-Identifier: Apache-2.0
"""cay_lint: what an edit has broken in a file, found by the linters that are in the sandbox.

A linter gives (line, column, message) triples. Told is only what the edit brought: an issue on a line that was there
before, with the same words, is not the edit's.
"""
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

PATIENCE = 20  # seconds for one linter
ISSUES_MAX = 50
FLAKE8_CODES = "F821,F822,F831,E112,E113,E999,E902"


def _run(argv):
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace")


def _found(text, pattern):
    """Every match of a pattern with the groups line, message and, if it has one, column."""
    issues = []
    for match in re.finditer(pattern, text or "", re.M):
        column = match.groupdict().get("column")
        issues.append((int(match["line"]), int(column) if column else 1, match["message"].strip()))
    return issues


def _has(module):
    return importlib.util.find_spec(module) is not None


def _compiles(path):
    with open(path, "rb") as file:
        source = file.read()
    try:
        compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as why:
        return [(getattr(why, "lineno", None) or 1, getattr(why, "offset", None) or 1,
                 str(getattr(why, "msg", None) or why))]
    return []


def python(path):
    issues = []
    if _has("flake8"):
        issues = _found(_run([sys.executable, "-m", "flake8", "--isolated", "--select=" + FLAKE8_CODES, path]),
                        r"^.*?:(?P<line>\d+):(?P<column>\d+): (?P<message>.*)$")
    elif shutil.which("ruff"):
        issues = _found(_run(["ruff", "check", "--isolated", "--no-cache", "--output-format=concise",
                              "--select=F821,F822,E9", path]), r"^.*?:(?P<line>\d+):(?P<column>\d+): (?P<message>.*)$")
    elif _has("pyflakes"):
        issues = [i for i in _found(_run([sys.executable, "-m", "pyflakes", path]),
                                    r"^.*?:(?P<line>\d+):(?P<column>\d+):? (?P<message>.*)$")
                  if "undefined name" in i[2] or "duplicate argument" in i[2]]
    return issues or _compiles(path)


def as_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            json.load(file)
    except json.JSONDecodeError as why:
        return [(why.lineno, why.colno, why.msg)]
    return []


def as_toml(path):
    import tomllib
    try:
        with open(path, "rb") as file:
            tomllib.load(file)
    except tomllib.TOMLDecodeError as why:
        return _found(str(why), r"(?P<message>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)") or [(1, 1, str(why))]
    return []


def as_yaml(path):
    import yaml
    try:
        with open(path, encoding="utf-8") as file:
            list(yaml.parse(file, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as why:
        mark = why.problem_mark
        return [(mark.line + 1, mark.column + 1, str(why.problem))] if mark else [(1, 1, str(why))]
    return []


def shell(path):
    return _found(_run(["bash", "-n", path]), r"^.*?: line (?P<line>\d+): (?P<message>.*)$")


def javascript(path):
    text = _run(["node", "--check", path]) or ""
    where = re.search(r"^.*?:(\d+)$", text, re.M)
    what = re.search(r"^SyntaxError: (.*)$", text, re.M)
    caret = re.search(r"^( *)\^", text, re.M)
    return [(int(where[1]), len(caret[1]) + 1 if caret else 1, what[0])] if where and what else []


def c(path):
    """Syntax alone: whether every header can be found is not the edit's business."""
    text = _run(["gcc" if path.endswith((".c", ".h")) else "g++", "-fsyntax-only", "-fmax-errors=20", path]) or ""
    if "fatal error:" in text:
        return []
    return _found(text, r"^.*?:(?P<line>\d+):(?P<column>\d+): error: (?P<message>.*)$")


def go(path):
    return _found(_run(["gofmt", "-e", "-l", path]), r"^.*?:(?P<line>\d+):(?P<column>\d+): (?P<message>.*)$")


def ruby(path):
    return _found(_run(["ruby", "-c", path]), r"^.*?:(?P<line>\d+): (?P<message>.*)$")


def php(path):
    return _found(_run(["php", "-l", path]), r"(?P<message>.*) in .* on line (?P<line>\d+)")


# By suffix: what is needed, and the linter.
LINTERS = {
    ".bash": ("bash", shell), ".c": ("gcc", c), ".cc": ("g++", c), ".cjs": ("node", javascript), ".cpp": ("g++", c),
    ".go": ("gofmt", go), ".js": ("node", javascript), ".json": (None, as_json), ".mjs": ("node", javascript),
    ".php": ("php", php), ".py": (None, python), ".pyi": (None, python), ".rb": ("ruby", ruby), ".sh": ("bash", shell),
    ".toml": ("tomllib", as_toml), ".yaml": ("yaml", as_yaml), ".yml": ("yaml", as_yaml),
}


def linter_of(path):
    """None: there is none in this sandbox."""
    needed, linter = LINTERS.get(os.path.splitext(path)[1].lower(), ("", None))
    if linter is None or (needed and not shutil.which(needed) and not _has(needed)):
        return None
    return linter


def undo(lines, diff):
    """The lines as they were, and for each line that stayed {its number now: its number before}. The diff has no context."""
    old, stayed, at = [], {}, 0
    hunk = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")

    def keep(until):
        nonlocal at
        while at < until:
            old.append(lines[at])
            at += 1
            stayed[at] = len(old)

    removed = []
    for line in diff.split("\n"):
        match = hunk.match(line)
        if match:
            old += removed
            removed = []
            first, count = int(match[3]), int(match[4] or 1)
            keep(min(first - 1 if count else first, len(lines)))
            at = min(at + count, len(lines))
        elif line.startswith("-") and not line.startswith("--- "):
            removed.append(line[1:] + "\n")
    old += removed
    keep(len(lines))
    return old, stayed


def introduced(path, diff):
    """(is there a linter, its issues that the edit brought, by line)."""
    linter = linter_of(path)
    if linter is None:
        return False, []
    issues = linter(path)
    if issues:
        with open(path, encoding="utf-8", errors="replace") as file:
            old, stayed = undo(file.read().splitlines(keepends=True), diff)
        with tempfile.TemporaryDirectory() as directory:
            before = os.path.join(directory, os.path.basename(path))
            with open(before, "w", encoding="utf-8", errors="replace") as file:
                file.writelines(old)
            known = set(linter(before))
        issues = [i for i in issues if (stayed.get(i[0]), i[1], i[2]) not in known]
    return True, sorted(set(issues))[:ISSUES_MAX]
