# SPDX-License-Identifier: Apache-2.0
"""The functions for agents in a kernel that was opened with them."""
import json
import re
import zipfile

import pytest
from test_cell import PATH, Kernels


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    with Kernels(workdir=str(tmp_path_factory.mktemp("work")), env={"PATH": PATH}) as x:
        x.call("kernel_open", skills=True)
        yield x


@pytest.fixture
def numbers(tmp_path):
    """300 lines, each its own number."""
    path = tmp_path / "numbers.txt"
    path.write_text("".join(f"{i}\n" for i in range(1, 301)))
    return path


def window(path, first, last, count):
    head = "(this is the beginning of the file)" if first == 1 else f"({first - 1} more lines above)"
    tail = "(this is the end of the file)" if last == count else f"({count - last} more lines below)"
    return "\n".join([f"[File: {path} ({count} lines total)]", head] + [f"{i}|{i}" for i in range(first, last + 1)] + [tail, ""])


MORE = "[Use `scroll_down` to view the next 100 lines of the file!]\n"


def test_open_file_shows_the_beginning(box, numbers):
    assert box.text(f"open_file('{numbers}')") == window(numbers, 1, 100, 300) + MORE


def test_open_file_shows_lines_around_one(box, numbers):
    assert box.text(f"open_file('{numbers}', 150, 10)") == window(numbers, 145, 155, 300) + MORE
    assert box.text(f"open_file('{numbers}', 300, 10)") == window(numbers, 291, 300, 300)
    assert box.text(f"open_file('{numbers}', 150, 1)") == window(numbers, 149, 151, 300) + MORE


def test_the_window_moves(box, numbers):
    box.cell(f"open_file('{numbers}')")
    assert box.text("scroll_down()") == window(numbers, 101, 201, 300)
    assert box.text("scroll_down()") == window(numbers, 201, 300, 300)
    assert box.text("scroll_up()") == window(numbers, 101, 201, 300)
    assert box.text("goto_line(50)") == window(numbers, 1, 100, 300)
    assert box.text("goto_line(60)") == window(numbers, 10, 110, 300)


def test_what_cannot_be_shown_is_a_printed_error(box, numbers):
    box.call("kernel_open", kernel="fresh", skills=True)
    no_file = "ERROR: No file open. Use the open_file function first.\n"
    assert [box.text(code, kernel="fresh") for code in ("scroll_down()", "scroll_up()", "goto_line(1)")] == [no_file] * 3
    assert box.text("search_file('x')", kernel="fresh") == \
        "ERROR: No file specified or open. Use the open_file function first.\n"
    assert box.text("open_file('/no/file')") == "ERROR: File /no/file not found.\n"
    assert box.text(f"open_file('{numbers}', 301)") == "ERROR: Line number must be between 1 and 300\n"
    box.cell(f"open_file('{numbers}')")
    assert box.text("goto_line(0)") == "ERROR: Line number must be between 1 and 300.\n"


def test_searches(box, tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo three\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("  three\n")
    (tmp_path / ".hidden").write_text("three\n")
    d = tmp_path
    assert box.text(f"search_dir('three', '{d}')") == (
        f'[Found 2 matches for "three" in {d}]\n{d}/a.txt (Line 2): two three\n{d}/sub/b.txt (Line 1): three\n'
        f'[End of matches for "three" in {d}]\n')
    assert box.text(f"search_dir('four', '{d}')") == f'No matches found for "four" in {d}\n'
    assert box.text("search_dir('x', '/no/dir')") == "ERROR: Directory /no/dir not found\n"
    assert box.text(f"search_file('three', '{d}/a.txt')") == (
        f'[Found 1 matches for "three" in {d}/a.txt]\nLine 2: two three\n[End of matches for "three" in {d}/a.txt]\n')
    assert box.text(f"search_file('four', '{d}/a.txt')") == f'[No matches found for "four" in {d}/a.txt]\n'
    assert box.text(f"find_file('b.t', '{d}')") == (
        f'[Found 1 matches for "b.t" in {d}]\n{d}/sub/b.txt\n[End of matches for "b.t" in {d}]\n')
    for i in range(101):
        (tmp_path / f"many{i}").write_text("needle\n")
    assert box.text(f"search_dir('needle', '{d}')") == \
        f'More than 101 files matched for "needle" in {d}. Please narrow your search.\n'


def test_documents_are_read_part_by_part(box, tmp_path):
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as z:
        z.writestr("word/document.xml", f'<w:document xmlns:w="{w}"><w:body><w:p><w:r><w:t>Hello</w:t></w:r></w:p>'
                   '<w:p><w:r><w:t>wor</w:t></w:r><w:r><w:t>ld</w:t></w:r></w:p></w:body></w:document>')
    assert box.text(f"parse_docx('{tmp_path}/a.docx')") == \
        f"[Reading DOCX file from {tmp_path}/a.docx]\n@@ Page 1 @@\nHello\n\n@@ Page 2 @@\nworld\n\n"
    (tmp_path / "a.tex").write_text("\\section{Title} % no\n\\begin{document}Text\\end{document}\n")
    assert "Title" in box.text(f"parse_latex('{tmp_path}/a.tex')")
    (tmp_path / "bad.docx").write_text("no zip")
    assert "ERROR: reading" in box.text(f"parse_docx('{tmp_path}/bad.docx')")


def edit(box, **args):
    text = box.text("print(file_editor(**%r))" % args)
    mark, body, end = text.rstrip("\n").split("\n")
    assert re.fullmatch(r"<oh_aci_output_[0-9a-f]{32}>", mark) and end == mark.replace("<", "</")
    return json.loads(body)


def spoken(box, **args):
    """What the action `edit` answers, as a whole text."""
    done = box.call("edit", **{**args, "command": args["command"].removesuffix("_edit")})
    return done["text"] if done["applied"] else "ERROR:\n" + done["text"]


STEPS = [
    {"command": "create", "file_text": "one\ntwo\nthree\n"},
    {"command": "create", "file_text": "again"},
    {"command": "view"},
    {"command": "view", "view_range": [2, 3]},
    {"command": "view", "view_range": [2, 99]},
    {"command": "view", "view_range": [9, 10]},
    {"command": "view", "view_range": [3, 2]},
    {"command": "str_replace", "old_str": "two", "new_str": "2\nzwei"},
    {"command": "str_replace", "old_str": "none", "new_str": "x"},
    {"command": "str_replace", "old_str": "e", "new_str": "x"},
    {"command": "str_replace", "old_str": "one", "new_str": "one"},
    {"command": "insert", "insert_line": 1, "new_str": "between"},
    {"command": "insert", "insert_line": 0, "new_str": "first\nsecond"},
    {"command": "insert", "insert_line": 99, "new_str": "x"},
    {"command": "undo_edit"},
    {"command": "undo_edit"},
    {"command": "undo_edit"},
    {"command": "undo_edit"},
    {"command": "undo_edit"},
    {"command": "view"},
]


def test_the_editor_of_cells_speaks_as_the_action_does(box, tmp_path):
    """The same steps on two files of the same name, whose directory is moved in between."""
    path = str(tmp_path / "here" / "file.txt")
    (tmp_path / "here").mkdir()
    said = [edit(box, path=path, **step)["formatted_output_and_error"] for step in STEPS]
    (tmp_path / "here").rename(tmp_path / "moved")
    (tmp_path / "here").mkdir()
    for step, text in zip(STEPS, said):
        assert spoken(box, path=path, **step) == text, step


def test_the_editor_refuses_what_is_no_text(box, tmp_path):
    (tmp_path / "binary").write_bytes(b"\0\1\2")
    assert "appears to be binary" in edit(box, command="view", path=str(tmp_path / "binary"))["error"]
    assert "It should be a list of two integers" in edit(box, command="view", path="/etc/passwd", view_range=[1])["error"]
    assert "should be an absolute path" in edit(box, command="view", path="relative")["error"]
    assert edit(box, command="move", path="/x")["error"].startswith("Unrecognized command move.")


def test_the_editor_views_directories(box, tmp_path):
    (tmp_path / "d" / "deeper").mkdir(parents=True)
    (tmp_path / "d" / ".hidden").write_text("")
    (tmp_path / "d" / "f").write_text("")
    said = edit(box, command="view", path=str(tmp_path / "d"))["output"]
    assert said == spoken(box, command="view", path=str(tmp_path / "d"))


def test_skills_can_come_later(box):
    box.cell("x = 1", kernel="late")
    assert box.cell("open_file", kernel="late")["status"] == "error"
    box.call("kernel_open", kernel="late", skills=True)
    assert box.text("x\ncallable(open_file)", kernel="late") == "True\n"
    assert box.text("x", kernel="late") == "1\n"
