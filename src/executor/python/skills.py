# SPDX-License-Identifier: Apache-2.0
"""cay_skills: functions for agents in the cells of a kernel: a window on a file, searches, documents, an editor.

They print what they find; what they cannot do is a printed line that begins with ERROR.
"""
import base64
import json
import mimetypes
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid

import cay_documents as documents
from cay_editor import file_editor

WINDOW = 100     # lines
FILES_MAX = 100  # that a search may find something in

_file = None     # that is open: an absolute path
_line = 1


def _error(text):
    print("ERROR: " + text)
    return False


def _is_file(path):
    return os.path.isfile(path) or _error("File %s not found." % path)


def _is_directory(path):
    return os.path.isdir(path) or _error("Directory %s not found" % path)


def _is_open():
    return (_file is not None and os.path.isfile(_file)) or _error("No file open. Use the open_file function first.")


def _lines(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines() or [""]


# ---- the window ----

def _print_window(size, is_scroll=False):
    """The lines around the current one, or, scrolling, from it on. True if there are more below."""
    global _line
    lines = _lines(_file)
    count = len(lines)
    _line = min(max(_line, 1), count)
    if is_scroll:
        first, last = _line, min(count, _line + size)
    else:
        half = max(1, size // 2)
        first, last = max(1, _line - half), min(count, _line + half)
    if first == 1:
        last = min(count, first + size - 1)
    if last == count:
        first = max(1, last - size + 1)
    print("[File: %s (%d lines total)]" % (_file, count))
    print("(%d more lines above)" % (first - 1) if first > 1 else "(this is the beginning of the file)")
    for number in range(first, last + 1):
        print("%d|%s" % (number, lines[number - 1]))
    print("(%d more lines below)" % (count - last) if last < count else "(this is the end of the file)")
    return last < count


def open_file(path, line_number=1, context_lines=WINDOW):
    """Opens a file and shows context_lines lines around line_number."""
    global _file, _line
    if not _is_file(path):
        return
    count = len(_lines(path))
    if not isinstance(line_number, int) or not 1 <= line_number <= count:
        _error("Line number must be between 1 and %d" % count)
        return
    _file, _line = os.path.abspath(path), line_number
    size = min(max(1, WINDOW if context_lines is None or context_lines < 1 else context_lines), WINDOW)
    if _print_window(size):
        print("[Use `scroll_down` to view the next 100 lines of the file!]")


def goto_line(line_number):
    """Moves the window to a line."""
    global _line
    if not _is_open():
        return
    count = len(_lines(_file))
    if not isinstance(line_number, int) or not 1 <= line_number <= count:
        _error("Line number must be between 1 and %d." % count)
        return
    _line = line_number
    _print_window(WINDOW)


def scroll_down():
    """Moves the window down by 100 lines."""
    global _line
    if _is_open():
        _line += WINDOW
        _print_window(WINDOW, is_scroll=True)


def scroll_up():
    """Moves the window up by 100 lines."""
    global _line
    if _is_open():
        _line -= WINDOW
        _print_window(WINDOW, is_scroll=True)


# ---- searches ----

def _files(directory):
    for root, names, files in os.walk(directory):
        names[:] = sorted(names)
        for name in sorted(files):
            yield root, name


def _matches(path, term):
    """(number, line) of the lines with the term."""
    try:
        with open(path, encoding="utf-8", errors="ignore") as file:
            return [(number, line.strip()) for number, line in enumerate(file, 1) if term in line]
    except OSError:
        return []


def _print_found(hits, term, where):
    print('[Found %d matches for "%s" in %s]' % (len(hits), term, where))
    for hit in hits:
        print(hit)
    print('[End of matches for "%s" in %s]' % (term, where))


def search_dir(search_term, dir_path="./"):
    """Looks for a text in all files below a directory, hidden ones left out."""
    if not _is_directory(dir_path):
        return
    hits, n_files = [], 0
    for root, name in _files(dir_path):
        if name.startswith("."):
            continue
        path = os.path.join(root, name)
        found = _matches(path, search_term) if os.path.isfile(path) else []
        n_files += bool(found)
        hits += ["%s (Line %d): %s" % (path, number, line) for number, line in found]
    if not hits:
        print('No matches found for "%s" in %s' % (search_term, dir_path))
    elif n_files > FILES_MAX:
        print('More than %d files matched for "%s" in %s. Please narrow your search.' % (n_files, search_term, dir_path))
    else:
        _print_found(hits, search_term, dir_path)


def search_file(search_term, file_path=None):
    """Looks for a text in a file, or in the one that is open."""
    file_path = _file if file_path is None else file_path
    if file_path is None:
        _error("No file specified or open. Use the open_file function first.")
        return
    if not _is_file(file_path):
        return
    hits = ["Line %d: %s" % found for found in _matches(file_path, search_term)]
    if hits:
        _print_found(hits, search_term, file_path)
    else:
        print('[No matches found for "%s" in %s]' % (search_term, file_path))


def find_file(file_name, dir_path="./"):
    """Looks for files whose name holds a text."""
    if not _is_directory(dir_path):
        return
    hits = [os.path.join(root, name) for root, name in _files(dir_path) if file_name in name]
    if hits:
        _print_found(hits, file_name, dir_path)
    else:
        print('[No matches found for "%s" in %s]' % (file_name, dir_path))


# ---- documents ----

def _print_parts(path, kind, part, read):
    print("[Reading %s file from %s]" % (kind, path))
    try:
        for number, text in enumerate(read(path), 1):
            print("@@ %s %d @@\n%s\n" % (part, number, text))
    except (OSError, documents.Unreadable) as why:
        _error("reading %s: %s" % (path, why))


def parse_pdf(file_path):
    """Prints the text of a PDF, page by page."""
    _print_parts(file_path, "PDF", "Page", documents.pdf_pages)


def parse_docx(file_path):
    """Prints the text of a Word document, paragraph by paragraph."""
    _print_parts(file_path, "DOCX", "Page", documents.docx_paragraphs)


def parse_pptx(file_path):
    """Prints the text of a presentation, slide by slide."""
    _print_parts(file_path, "PowerPoint", "Slide", documents.pptx_slides)


def parse_latex(file_path):
    """Prints the text of a LaTeX file."""
    print("[Reading LaTex file from %s]" % file_path)
    try:
        print(documents.latex_text(file_path))
    except OSError as why:
        _error("reading %s: %s" % (file_path, why))


# ---- what asks a model ----

def _ask(path, body, content_type):
    request = urllib.request.Request(os.environ["OPENAI_BASE_URL"].rstrip("/") + path, body, {
        "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=300) as reply:
        return json.load(reply)


def _describe(task, data, mime):
    body = {"model": os.environ.get("OPENAI_MODEL", "gpt-4o"), "max_tokens": 1024, "messages": [{
        "role": "user", "content": [
            {"type": "text", "text": task},
            {"type": "image_url", "image_url": {"url": "data:%s;base64,%s" % (mime, base64.b64encode(data).decode())}},
        ]}]}
    return _ask("/chat/completions", json.dumps(body).encode(), "application/json")["choices"][0]["message"]["content"]


def parse_audio(file_path, model="whisper-1"):
    """Prints what is said in an audio file."""
    print("[Transcribing audio file from %s]" % file_path)
    cut = uuid.uuid4().hex
    try:
        with open(file_path, "rb") as file:
            data = file.read()
        head = ('--%s\r\nContent-Disposition: form-data; name="model"\r\n\r\n%s\r\n--%s\r\nContent-Disposition: form-data; '
                'name="file"; filename="%s"\r\n\r\n' % (cut, model, cut, os.path.basename(file_path)))
        body = head.encode() + data + ("\r\n--%s--\r\n" % cut).encode()
        print(_ask("/audio/transcriptions", body, "multipart/form-data; boundary=" + cut)["text"])
    except (OSError, KeyError, ValueError) as why:
        _error("transcribing %s: %s" % (file_path, why))


def parse_image(file_path, task="Describe this image as detail as possible."):
    """Prints a description of an image."""
    print("[Reading image file from %s]" % file_path)
    try:
        with open(file_path, "rb") as file:
            print(_describe(task, file.read(), mimetypes.guess_type(file_path)[0] or "image/png"))
    except (OSError, KeyError, ValueError, IndexError) as why:
        _error("reading %s: %s" % (file_path, why))


def parse_video(file_path, task="Describe this image as detail as possible.", frame_interval=30):
    """Prints a description of every frame_interval-th frame of a video; needs ffmpeg."""
    print("[Processing video file from %s]" % file_path)
    if shutil.which("ffmpeg") is None:
        _error("reading a video needs ffmpeg")
        return
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(["ffmpeg", "-v", "error", "-i", file_path, "-vf", "select=not(mod(n\\,%d))" % frame_interval,
                               "-vsync", "vfr", os.path.join(directory, "%06d.jpg")], capture_output=True, check=False)
        frames = sorted(os.listdir(directory))
        if not frames:
            _error("reading %s: %s" % (file_path, done.stderr.decode("utf-8", "replace").strip()))
        for number, name in enumerate(frames, 1):
            try:
                with open(os.path.join(directory, name), "rb") as file:
                    print("Frame %d:\n%s\n" % (number, _describe(task, file.read(), "image/jpeg")))
            except (OSError, KeyError, ValueError, IndexError) as why:
                _error("describing frame %d: %s" % (number, why))


def names():
    """What becomes global in a kernel."""
    skills = [open_file, goto_line, scroll_down, scroll_up, search_dir, search_file, find_file, file_editor,
              parse_pdf, parse_docx, parse_latex, parse_pptx]
    if os.environ.get("OPENAI_API_KEY") and os.environ.get("OPENAI_BASE_URL"):
        skills += [parse_audio, parse_image, parse_video]
    return {skill.__name__: skill for skill in skills}
