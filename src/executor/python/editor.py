# SPDX-License-Identifier: Apache-2.0
"""cay_editor: file_editor for cells: view, create, str_replace, insert, undo_edit, as the user of the kernel.

Its words are those that agents were trained on; what the action `edit` says of the same deed (executor/edit.c) is
said here alike.
"""
import errno
import json
import os
import stat
import uuid

import cay_documents as documents

COMMANDS = ("view", "create", "str_replace", "insert", "undo_edit")
DOCUMENTS = (".docx", ".xlsx", ".pptx", ".pdf", ".mp3", ".wav", ".m4a", ".flac")
SIZE_MAX = 10 * 1024 * 1024
OUTPUT_MAX = 16000
CONTEXT = 4
HISTORY_MAX = 10
CLIPPED = "<response clipped><NOTE>Due to the max output limit, only part of this %s has been shown to you. %s</NOTE>"
CLIPPED_FILE = CLIPPED % ("file", "You should retry this tool after you have searched inside the file with `grep -n` in "
                          "order to find the line numbers of what you are looking for.")
CLIPPED_DIRECTORY = CLIPPED % ("directory", "You should use `ls -la` instead to view large directories incrementally.")
CLIPPED_DOCUMENT = CLIPPED % ("file", "Please use Python libraries to view the entire file or search for specific "
                              "content within the file.")

_history = {}


class Refused(Exception):
    """What the editor does not do, and why."""


def _invalid(name, value, hint=None):
    return Refused("Invalid `%s` parameter: %s.%s" % (name, value, " " + hint if hint else ""))


def _required(name, value, command):
    if value is None:
        raise Refused("Parameter `%s` is required for command: %s." % (name, command))


def _stat(path):
    """None if there is nothing; what is not allowed is an error."""
    try:
        return os.stat(path)
    except OSError as why:
        if why.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise


def _clip(text, note):
    return text if len(text) <= OUTPUT_MAX else text[:OUTPUT_MAX] + note


def _number(text, first=1):
    return "\n".join("%6d\t%s" % (i, line) for i, line in enumerate(text.split("\n"), first))


def _show(text, what, first=1):
    return "Here's the result of running `cat -n` on %s:\n%s\n" % (what, _number(_clip(text, CLIPPED_FILE), first))


# ---- files ----

def _encoding(data):
    try:
        from charset_normalizer import from_bytes
        best = from_bytes(data[:1 << 20]).best()
        if best is not None and best.encoding != "ascii" and best.percent_chaos < 10:
            return best.encoding
    except ImportError:
        pass
    return "utf-8"


def _read(path):
    """(text, encoding)"""
    with open(path, "rb") as file:
        data = file.read(SIZE_MAX + 1)
    try:
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n"), "utf-8"
    except UnicodeDecodeError:
        encoding = _encoding(data)
    try:
        return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n"), encoding
    except UnicodeDecodeError as why:
        raise Refused("Ran into %s while trying to read %s" % (why, path))


def _write(path, text, encoding="utf-8"):
    try:
        with open(path, "w", encoding=encoding, newline="") as file:
            file.write(text)
    except OSError as why:
        if why.errno in (errno.EACCES, errno.EPERM):
            raise
        raise Refused("Ran into %s while trying to write to %s" % (why, path))


def _remember(path, text):
    past = _history.setdefault(path, [])
    past.append(text)
    del past[:-HISTORY_MAX]


def _is_binary(path):
    with open(path, "rb") as file:
        head = file.read(1024)
    if not head:
        return False
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    try:
        head.decode("utf-8")
        return False
    except UnicodeDecodeError as why:
        if why.start >= len(head) - 4:  # a character that the end of the piece cut
            return False
    return b"\xff" in head or sum(b < 32 and b not in b"\n\r\t\f\b" for b in head) > 0.3 * len(head)


# ---- what may be asked ----

def _check_path(command, path):
    kind = os.path.splitext(path)[1].lower()
    if not os.path.isabs(path):
        hint = "The path should be an absolute path, starting with `/`."
        guess = os.path.join(os.getcwd(), path)
        if os.path.exists(guess):
            hint += " Maybe you meant %s?" % guess
        raise _invalid("path", path, hint)
    found = _stat(path)
    if command == "create":
        if found:
            raise _invalid("path", path, "File already exists at: %s. Cannot overwrite files using command `create`."
                           % path)
        return None
    if not found:
        raise _invalid("path", path, "The path %s does not exist. Please provide a valid path." % path)
    if stat.S_ISDIR(found.st_mode) and command != "view":
        raise _invalid("path", path, "The path %s is a directory and only the `view` command can be used on "
                       "directories." % path)
    if kind in DOCUMENTS and command != "view":
        raise _invalid("path", path, "The path %s points to a binary file (%s) and only the `view` command can be used "
                       "on supported binary files." % (path, kind))
    return found


def _check_file(path, found):
    if not stat.S_ISREG(found.st_mode):
        raise Refused("File validation failed for %s: It is no regular file." % path)
    if found.st_size > SIZE_MAX:
        raise Refused("File validation failed for %s: File is too large (%.1fMB). Maximum allowed size is 10MB."
                      % (path, found.st_size / 1024 / 1024))
    if _is_binary(path):
        raise Refused("File validation failed for %s: File appears to be binary and this file type cannot be read or "
                      "edited by this tool." % path)


# ---- the commands; each gives (output, old text, new text) ----

def _visible(directory):
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except OSError:
        return []


def _view_directory(path, view_range):
    if view_range:
        raise _invalid("view_range", view_range,
                       "The `view_range` parameter is not allowed when `path` points to a directory.")
    hidden = sum(name.startswith(".") for name in os.listdir(path))
    found = [path]
    for name in _visible(path):
        below = os.path.join(path, name)
        found.append(below)
        if os.path.isdir(below):
            found += [os.path.join(below, inner) for inner in _visible(below)]
    lines = sorted(p.rstrip("/") + "/" if os.path.isdir(p) else p for p in found)
    text = "Here's the files and directories up to 2 levels deep in %s, excluding hidden items:\n%s" % (
        path, _clip("\n".join(lines), CLIPPED_DIRECTORY))
    if hidden:
        text += "\n\n%d hidden files/directories in this directory are excluded. You can use 'ls -la %s' to see them." % (
            hidden, path)
    return text, None, None


def _view_document(path):
    try:
        text = documents.markdown(path)
    except documents.Unreadable as why:
        raise Refused("Error in converting file to Markdown: %s. Please use Python code to read %s" % (why, path))
    return "Here's the content of the file %s displayed in Markdown format:\n%s\n" % (
        path, _clip(text, CLIPPED_DOCUMENT)), None, None


def _check_range(view_range, count):
    """(first, last, note)"""
    if not isinstance(view_range, (list, tuple)) or len(view_range) != 2 or \
            not all(type(i) is int for i in view_range):
        raise _invalid("view_range", view_range, "It should be a list of two integers.")
    first, last = view_range
    if first < 1 or first > count:
        raise _invalid("view_range", view_range, "Its first element `%d` should be within the range of lines of the "
                       "file: [1, %d]." % (first, count))
    note = ""
    if last > count:
        note = "NOTE: We only show up to %d since there're only %d lines in this file.\n" % (count, count)
    if last == -1 or last > count:
        last = count
    if last < first:
        raise _invalid("view_range", view_range, "Its second element `%d` should be greater than or equal to the first "
                       "element `%d`." % (last, first))
    return first, last, note


def _count(text):
    return text.count("\n") + (not text.endswith("\n") and text != "")


def _view(path, found, view_range):
    if stat.S_ISDIR(found.st_mode):
        return _view_directory(path, view_range)
    if os.path.splitext(path)[1].lower() in DOCUMENTS:
        return _view_document(path)
    _check_file(path, found)
    text, _ = _read(path)
    if not view_range:
        return _show(text, path), None, None
    first, last, note = _check_range(view_range, _count(text))
    shown = "\n".join(text.split("\n")[first - 1:last])
    return note + _show(shown, path, first), None, None


def _create(path, file_text):
    _required("file_text", file_text, "create")
    _write(path, file_text)
    _remember(path, file_text)
    return "File created successfully at: %s" % path, None, file_text


def _lines_of(text, part):
    """Numbers of the lines where the part begins."""
    at, lines = text.find(part), []
    while at >= 0:
        line = text.count("\n", 0, at) + 1
        if not lines or lines[-1] != line:
            lines.append(line)
        at = text.find(part, at + max(len(part), 1)) if at < len(text) else -1
    return lines


def _hits(text, part):
    return text.count(part) if part else len(text) + 1


def _replace(path, found, old_str, new_str):
    _required("old_str", old_str, "str_replace")
    _check_file(path, found)
    new_str = new_str or ""
    if new_str == old_str:
        raise _invalid("new_str", new_str, "No replacement was performed. `new_str` and `old_str` must be different.")
    text, encoding = _read(path)
    if _hits(text, old_str) == 0:
        old_str, new_str = old_str.strip(), new_str.strip()
    hits = _hits(text, old_str)
    if hits == 0:
        raise Refused("No replacement was performed, old_str `%s` did not appear verbatim in %s." % (old_str, path))
    if hits > 1:
        raise Refused("No replacement was performed. Multiple occurrences of old_str `%s` in lines %s. Please ensure it "
                      "is unique." % (old_str, _lines_of(text, old_str)))
    at = text.index(old_str)
    line = text.count("\n", 0, at) + 1
    changed = text[:at] + new_str + text[at + len(old_str):]
    _remember(path, text)
    _write(path, changed, encoding)
    first = max(0, line - CONTEXT)
    snippet = "".join(changed.splitlines(True)[first:line + CONTEXT + new_str.count("\n")])
    return ("The file %s has been edited. %sReview the changes and make sure they are as expected. Edit the file again "
            "if necessary." % (path, _show(snippet, "a snippet of %s" % path, first + 1))), text, changed


def _insert(path, found, insert_line, new_str):
    _required("insert_line", insert_line, "insert")
    _required("new_str", new_str, "insert")
    _check_file(path, found)
    text, encoding = _read(path)
    count = _count(text)
    if type(insert_line) is not int or not 0 <= insert_line <= count:
        raise _invalid("insert_line", insert_line, "It should be within the range of allowed values: [0, %d]" % count)
    lines = text.splitlines(True)
    pieces = [piece + "\n" for piece in new_str.split("\n")]
    changed = "".join(lines[:insert_line] + pieces + lines[insert_line:])
    _remember(path, text)
    _write(path, changed, encoding)
    first = max(0, insert_line - CONTEXT)
    snippet = "".join(changed.splitlines(True)[first:insert_line + CONTEXT + len(pieces)])
    shown = _show(snippet, "a snippet of the edited file", max(1, insert_line - CONTEXT + 1))
    return ("The file %s has been edited. %sReview the changes and make sure they are as expected (correct indentation, no "
            "duplicate lines, etc). Edit the file again if necessary." % (path, shown)), text, changed


def _undo(path, found):
    _check_file(path, found)
    past = _history.get(path)
    if not past:
        raise Refused("No edit history found for %s." % path)
    text, encoding = _read(path)
    before = past.pop()
    _write(path, before, encoding)
    return "Last edit to %s undone successfully. %s" % (path, _show(before, path)), text, before


def _perform(command, path, file_text, view_range, old_str, new_str, insert_line):
    if command not in COMMANDS:
        raise Refused("Unrecognized command %s. The allowed commands for the oh_editor tool are: %s"
                      % (command, ", ".join(COMMANDS)))
    found = _check_path(command, path)
    if command == "view":
        return _view(path, found, view_range)
    if command == "create":
        return _create(path, file_text)
    if command == "str_replace":
        return _replace(path, found, old_str, new_str)
    if command == "insert":
        return _insert(path, found, insert_line, new_str)
    return _undo(path, found)


def file_editor(command, path, file_text=None, view_range=None, old_str=None, new_str=None, insert_line=None,
                enable_linting=False):
    """View, create and edit files: view, create, str_replace, insert, undo_edit. Returns the outcome between marks, as
    JSON; PermissionError where this user may not."""
    path = str(path)
    output = error = before = after = None
    try:
        output, before, after = _perform(command, path, file_text, view_range, old_str, new_str, insert_line)
    except Refused as why:
        error = str(why)
    mark = "oh_aci_output_" + uuid.uuid4().hex
    outcome = {
        "output": output, "error": error, "path": path, "prev_exist": error is None and command != "create",
        "old_content": before, "new_content": after,
        "formatted_output_and_error": output if error is None else "ERROR:\n" + error,
    }
    return "<%s>\n%s\n</%s>" % (mark, json.dumps(outcome), mark)
