# SPDX-License-Identifier: Apache-2.0
"""cay_documents: the text of documents, part by part, with what is in the sandbox: PDF needs a program or a library,
office files need nothing."""
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
import zipfile

PART_MAX = 64 * 1024 * 1024  # bytes of one part of an office file, unpacked


class Unreadable(Exception):
    """A document that cannot be read, and why."""


def pdf_pages(path):
    for name in ("pypdf", "PyPDF2"):
        try:
            module = __import__(name)
        except ImportError:
            continue
        return [page.extract_text() or "" for page in module.PdfReader(path).pages]
    program = shutil.which("pdftotext")
    if program is None:
        raise Unreadable("reading a PDF needs pypdf (%pip install pypdf) or the program pdftotext (poppler-utils)")
    done = subprocess.run([program, "-layout", path, "-"], capture_output=True, check=False)
    if done.returncode != 0:
        raise Unreadable(done.stderr.decode("utf-8", "replace").strip())
    return done.stdout.decode("utf-8", "replace").rstrip("\f").split("\f")


def _part(archive, name):
    if archive.getinfo(name).file_size > PART_MAX:
        raise Unreadable("%s is over %d bytes" % (name, PART_MAX))
    data = archive.read(name)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # no office program writes these; they can be bombs
        raise Unreadable("%s has a document type" % name)
    return ElementTree.fromstring(data)


def _texts(element, *tags):
    """Text of the elements with these local names, in order, joined."""
    return "".join(node.text or "" for node in element.iter() if node.tag.rpartition("}")[2] in tags)


def _all(element, tag):
    return [node for node in element.iter() if node.tag.rpartition("}")[2] == tag]


def _number(name):
    return [int(n) for n in re.findall(r"\d+", name)]


def _open(path):
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as why:
        raise Unreadable(str(why))


def docx_paragraphs(path):
    with _open(path) as archive:
        return [_texts(p, "t") for p in _all(_part(archive, "word/document.xml"), "p")]


def pptx_slides(path):
    with _open(path) as archive:
        names = [n for n in archive.namelist() if re.fullmatch(r"ppt/slides/slide\d+\.xml", n)]
        return ["\n".join(t for t in (_texts(p, "t") for p in _all(_part(archive, name), "p")) if t)
                for name in sorted(names, key=_number)]


def xlsx_sheets(path):
    """(name, rows of texts) of each sheet."""
    with _open(path) as archive:
        shared = []
        if "xl/sharedStrings.xml" in archive.namelist():
            shared = [_texts(item, "t") for item in _all(_part(archive, "xl/sharedStrings.xml"), "si")]
        titles = [s.get("name") for s in _all(_part(archive, "xl/workbook.xml"), "sheet")]
        names = sorted((n for n in archive.namelist() if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", n)), key=_number)
        sheets = []
        for title, name in zip(titles, names):
            rows = []
            for row in _all(_part(archive, name), "row"):
                cells = []
                for c in _all(row, "c"):
                    text = _texts(c, "v", "t")
                    is_shared = c.get("t") == "s" and text.isdigit() and int(text) < len(shared)
                    cells.append(shared[int(text)] if is_shared else text)
                rows.append(cells)
            sheets.append((title, rows))
        return sheets


def latex_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    try:
        from pylatexenc.latex2text import LatexNodes2Text
        return LatexNodes2Text().latex_to_text(text).strip()
    except ImportError:
        pass
    text = re.sub(r"(?<!\\)%.*", "", text)
    text = re.sub(r"\\(begin|end|documentclass|usepackage)(\[[^\]]*\])?\{[^}]*\}", "", text)
    text = re.sub(r"\\[a-zA-Z]+\*?(\[[^\]]*\])?", "", text)
    text = re.sub(r"\\(.)", r"\1", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[{}$]", "", text)).strip()


def _table(rows):
    width = max((len(row) for row in rows), default=0)
    if width == 0:
        return ""
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width] + lines[1:])


def markdown(path):
    """What the editor shows of a document that is no text."""
    kind = os.path.splitext(path)[1].lower()
    try:
        if kind == ".pdf":
            text = "\n\n".join(pdf_pages(path))
        elif kind == ".docx":
            text = "\n\n".join(docx_paragraphs(path))
        elif kind == ".pptx":
            text = "\n\n".join("<!-- Slide number: %d -->\n%s" % (i, s) for i, s in enumerate(pptx_slides(path), 1))
        elif kind == ".xlsx":
            text = "\n\n".join("## %s\n%s" % (name, _table(rows)) for name, rows in xlsx_sheets(path))
        else:
            raise Unreadable("there is no converter for %s files" % kind)
    except (KeyError, ElementTree.ParseError) as why:
        raise Unreadable("it is damaged: %s" % why)
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text)
