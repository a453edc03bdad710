# SPDX-License-Identifier: Apache-2.0
"""What the editor does beyond text: it looks edits over where that is wanted, and shows documents as Markdown."""
import base64
import io
import shutil
import zipfile

import pytest
from test_openhands_remote import Fleet


@pytest.fixture(scope="module")
def linted(server):
    made = Fleet(server).start("linted", environment={"ENABLE_AUTO_LINT": "true"})
    yield made
    made.change("stop")


@pytest.fixture(scope="module")
def plain(server):
    made = Fleet(server).start("plain")
    yield made
    made.change("stop")


def edit(runtime, path, old, new):
    return runtime.act("edit", command="str_replace", path=path, old_str=old, new_str=new)["content"]


def test_an_edit_that_breaks_python_is_told_and_where(linted):
    linted.act("write", path="/workspace/a.py", content="def f():\n    return 1")
    said = edit(linted, "/workspace/a.py", "return 1", "return (1")
    assert "\nLinting issues found in the changes:\n- Line 2, Column " in said
    assert said.endswith("\nReview the changes and make sure they are as expected. Edit the file again if necessary.")
    said = edit(linted, "/workspace/a.py", "return (1", "return 2")
    assert "\n\nNo linting issues found in the changes.\nReview the changes" in said


def test_what_was_wrong_before_is_not_the_edit_s(linted):
    linted.act("write", path="/workspace/b.json", content='{"a": 1,\n"b" 2,\n"c": 3}')
    assert "No linting issues" in edit(linted, "/workspace/b.json", '"c": 3', '"c": 4')
    assert "No linting issues" in linted.act("edit", command="insert", path="/workspace/b.json", insert_line=0,
                                             new_str=" ")["content"], "also where lines moved"
    assert "- Line 2, Column " in edit(linted, "/workspace/b.json", '"a": 1', '"a" 1')


@pytest.mark.parametrize("name, good, bad, program", [
    ("s.sh", "if true; then echo; fi", "echo; fi", "bash"),
    ("j.js", "const a = 1;", "const a = = 1;", "node"),
    ("c.c", "int f(void) { return 1; }", "int f(void) { return 1 }", "gcc"),
    ("t.toml", "a = 1", "a = ", None),
])
def test_other_files_are_looked_over_by_what_is_there(linted, name, good, bad, program):
    if program and not shutil.which(program):
        pytest.skip(f"no {program} on this host")
    linted.act("write", path=f"/workspace/{name}", content=good)
    assert "Linting issues found in the changes:\n- Line 1" in edit(linted, f"/workspace/{name}", good, bad)


def test_a_file_without_a_linter_is_edited_without_a_word(linted):
    linted.act("write", path="/workspace/x.unknown", content="a")
    assert "inting" not in edit(linted, "/workspace/x.unknown", "a", "b")


def test_nothing_is_looked_over_until_the_client_wants_it(plain):
    plain.act("write", path="/workspace/a.py", content="a = 1")
    assert "inting" not in edit(plain, "/workspace/a.py", "a = 1", "a = (")
    # What a client does with `enable_auto_lint`.
    plain.run('export ENABLE_AUTO_LINT="true"')
    plain.run('touch ~/.bashrc; grep -q "^export ENABLE_AUTO_LINT=" ~/.bashrc || '
              'echo "export ENABLE_AUTO_LINT="true"" >> ~/.bashrc; ')
    assert "No linting issues" in edit(plain, "/workspace/a.py", "a = (", "a = 2")


def docx(*paragraphs):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
        archive.writestr("word/document.xml",
                         f'<w:document xmlns:w="http://w"><w:body>{body}</w:body></w:document>')
    return out.getvalue()


def put(runtime, path, data):
    runtime.run(f"echo {base64.b64encode(data).decode()} | base64 -d >{path}")


def test_a_document_is_shown_as_markdown_by_view_and_by_read(plain):
    put(plain, "/workspace/a.docx", docx("First", "Second"))
    shown = "Here's the content of the file /workspace/a.docx displayed in Markdown format:\nFirst\n\nSecond\n"
    assert plain.act("edit", command="view", path="/workspace/a.docx")["content"] == shown
    assert plain.act("edit", command="create", path="/workspace/a.docx", file_text="x")["content"].startswith("ERROR:\n")
    refused = plain.act("edit", command="str_replace", path="/workspace/a.docx", old_str="a", new_str="b")["content"]
    assert "only the `view` command can be used on supported binary files" in refused
    missing = plain.act("edit", command="view", path="/workspace/b.docx")["content"]
    assert "The path /workspace/b.docx does not exist" in missing


def test_a_long_document_is_clipped(plain):
    put(plain, "/workspace/long.docx", docx("é" * 20000))
    shown = plain.act("edit", command="view", path="/workspace/long.docx")["content"]
    assert shown.count("é") == 16000 and "<response clipped><NOTE>Due to the max output limit" in shown


def test_a_document_that_cannot_be_shown_is_refused_in_words(plain):
    put(plain, "/workspace/bad.docx", b"no archive")
    shown = plain.act("edit", command="view", path="/workspace/bad.docx")["content"]
    assert shown.startswith("ERROR:\nError in converting file to Markdown: ")
    assert shown.endswith("Please use Python code to read /workspace/bad.docx")
    put(plain, "/workspace/a.mp3", b"ID3")
    assert "no converter for .mp3" in plain.act("edit", command="view", path="/workspace/a.mp3")["content"]


def test_a_zip_bomb_of_a_document_harms_nobody(plain):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * (200 << 20))
    put(plain, "/workspace/bomb.docx", out.getvalue()) if len(out.getvalue()) < 60000 else \
        plain.run("python3 -c \"import zipfile; zipfile.ZipFile('bomb.docx', 'w', 8).writestr('word/document.xml', bytes(200 << 20))\"")
    shown = plain.act("edit", command="view", path="/workspace/bomb.docx")["content"]
    assert "is over 67108864 bytes" in shown
    assert plain.run("echo alive") == "alive"
