# SPDX-License-Identifier: Apache-2.0
"""usage: action_server.py PORT WORKSPACE: what cay does with the action execution server of OpenHands at that port."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

import cases
import client

PORT, WORKSPACE = sys.argv[1], sys.argv[2]
TRIES = 3
URL = f"action+http://127.0.0.1:{PORT}"


def cay(*arguments, stdin=b"", status=0):
    done = subprocess.run([client.PROGRAMS / "cay", arguments[0], "--url", URL, *arguments[1:]], input=stdin, capture_output=True,
                          check=False, timeout=120)
    assert done.returncode == status, (arguments, done.returncode, done.stderr)
    return done.stdout.decode() if status == 0 else done.stderr.decode()


class Gateway:
    """`cay serve --backend` before it: its one sandbox's actions."""

    def __init__(self, server):
        self.server = server

    def ask(self, action, timeout=60, **params):
        request = urllib.request.Request(f"{self.server.url}/v1/sandboxes/default/actions/{action}", json.dumps(params).encode(),
                                         {"Authorization": f"Bearer {self.server.token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as why:
            return json.load(why)["error"]


_stack = contextlib.ExitStack()
_gateway = None


def gateway():
    global _gateway
    if _gateway is None:
        _gateway = Gateway(_stack.enter_context(client.serve("--backend", URL)))
    return _gateway


# ---- the command line ----

def test_cli_lists_the_one_sandbox_that_it_is():
    assert [box["name"] for box in json.loads(cay("ls", "--json"))] == ["default"]


def test_cli_exec_gives_output_and_status_of_a_program():
    assert cay("exec", "-e", "A=it's", "-w", "/tmp", "default", "--", "sh", "-c", 'echo "$A"; pwd') == "it's\n/tmp\n"
    cay("exec", "default", "--", "sh", "-c", "exit 3", status=3)
    assert "--timeout" in cay("exec", "--timeout", "1s", "default", "--", "sleep", "20", status=137)


def test_cli_cp_takes_files_there_and_back():
    with tempfile.TemporaryDirectory() as kept:
        here = pathlib.Path(kept)
        data = os.urandom(3_000_000)
        (here / "one").write_bytes(data)
        (here / "one").chmod(0o750)
        cay("cp", here / "one", "default:copied file")
        assert os.stat(f"{WORKSPACE}/copied file").st_mode & 0o777 == 0o750
        cay("cp", "default:copied file", here / "back")
        assert (here / "back").read_bytes() == data
        cay("cp", "-", "default:piped", stdin=b"from a pipe")
        assert cay("cp", "default:piped", "-") == "from a pipe"
        assert "No such file" in cay("cp", "default:nothing", here / "x", status=5)


def test_cli_cp_takes_trees_there_and_back():
    with tempfile.TemporaryDirectory() as kept:
        tree = pathlib.Path(kept, "tree")
        (tree / "a" / "b").mkdir(parents=True)
        (tree / "a" / "b" / "f").write_text("x")
        (tree / "a" / "link").symlink_to("b/f")
        cay("cp", tree, "default:")
        cay("cp", "default:tree", pathlib.Path(kept, "back"))
        assert os.readlink(f"{kept}/back/a/link") == "b/f" and pathlib.Path(kept, "back/a/b/f").read_text() == "x"


def test_cli_py_runs_cells_in_a_kernel_that_stays():
    cay("py", "default", "kept = 6 * 7")
    assert "42" in cay("py", "default", "print(kept)") + cay("py", "default", "pass")  # see said()


def test_cli_says_of_what_is_impossible_that_it_is():
    for command, words in ((["pause", "default"], "cannot be paused"), (["rm", "default"], "ends with who has started it"),
                           (["stop", "default"], "ends with who has started it"), (["events", "default"], "no record"),
                           (["port", "default", "80"], "no way to a port"), (["token", "default"], "no tokens"),
                           (["image", "ls"], "no images"), (["create", "--name", "x"], "is one sandbox"),
                           (["logs", "default"], "no such action"), (["browse", "default", "http://localhost/"], "Browser functionality is not")):
        said = subprocess.run([client.PROGRAMS / "cay", *(command[:1] if command[0] != "image" else command), "--url", URL,
                               *(command[1:] if command[0] != "image" else [])], capture_output=True, text=True, check=False, timeout=60)
        assert said.returncode != 0 and words in said.stderr, (command, said)


# ---- actions ----

def test_run_keeps_its_state():
    first = gateway().ask("run", command="cd /tmp && x=kept && echo $x")
    assert first["output"].strip() == "kept", first
    result = gateway().ask("run", command="echo $x; pwd; false")
    assert (result["output"].strip(), result["exit_code"], result["cwd"]) == ("kept\n/tmp", 1, "/tmp")


def test_run_that_goes_on_is_typed_into_and_interrupted():
    first = gateway().ask("run", command="read -p 'name: ' n && echo hi $n", timeout_ms=2000)
    assert first["status"] == "running", first
    assert "hi Ann" in gateway().ask("run", command="Ann", input=True, timeout_ms=5000)["output"]
    gateway().ask("run", command="sleep 100", timeout_ms=1000)
    assert gateway().ask("run", keys="C-c", timeout_ms=5000)["exit_code"] == 130


def test_files_come_back_as_they_were_written():
    for content in ("", "one", "one\n", "one\ntwo\n", "ü\r\n", "tail\n\n"):
        gateway().ask("write", path="f.txt", content=content)
        assert pathlib.Path(WORKSPACE, "f.txt").read_bytes() == content.encode(), content
        assert gateway().ask("read", path="f.txt", encoding="base64")["bytes"] == len(content.encode())
    gateway().ask("write", path="m.sh", content="x", mode="0755")
    assert os.stat(f"{WORKSPACE}/m.sh").st_mode & 0o777 == 0o755


def test_edits_are_made_and_undone():
    gateway().ask("write", path="e.txt", content="one\ntwo\n")
    assert "error" not in gateway().ask("edit", path=f"{WORKSPACE}/e.txt", command="str_replace", old_str="two", new_str="2")
    assert pathlib.Path(WORKSPACE, "e.txt").read_text() == "one\n2\n"
    gateway().ask("edit", path=f"{WORKSPACE}/e.txt", command="undo")
    assert pathlib.Path(WORKSPACE, "e.txt").read_text() == "one\ntwo\n"
    refused = gateway().ask("edit", path=f"{WORKSPACE}/e.txt", command="str_replace", old_str="no", new_str="x")
    assert not refused["applied"] and "did not appear verbatim" in refused["text"]


def test_names_are_made_told_moved_and_removed():
    ask = gateway().ask
    for name in "it's", "new":  # a try before may have left them
        shutil.rmtree(pathlib.Path(WORKSPACE, name), ignore_errors=True)
    assert ask("mkdir", path="it's/deep")["created"] and not ask("mkdir", path="it's/deep")["created"]
    pathlib.Path(WORKSPACE, "it's/deep/f").write_text("12345")
    pathlib.Path(WORKSPACE, "it's/l").symlink_to("deep/f")
    told = ask("stat", path="it's/l")
    assert (told["type"], told["size"], told["is_symlink"], told["target"]) == ("file", 5, True, "deep/f"), told
    assert ask("stat", path="it's/l", follow=False)["type"] == "symlink"
    assert ask("stat", path="nope")["code"] == "not_found"
    assert ask("move", path="it's/deep/f", to="new/f")["replaced"] is False
    assert ask("move", path="new/f", to="it's/l")["code"] == "already_exists"
    assert ask("remove", path="it's", recursive=True)["removed"] == 3
    assert ask("remove", path="it's")["code"] == "not_found" and ask("remove", path="it's", missing_ok=True)["removed"] == 0
    assert [e["name"] for e in ask("list", path="new")["entries"]] == ["f"]


def said(code):
    """This version of the server tells what a cell printed with the next one, where its ipykernel is newer than it knows."""
    return "".join(gateway().ask("cell", code=text)["text"] for text in (code, "pass"))


def test_cells_have_state_and_are_interrupted_in_time():
    said("x = 20")
    assert "22" in said("print(x + 2)")
    assert gateway().ask("cell", code="import time; time.sleep(60)", timeout_ms=1500)["status"] == "timed_out"
    assert "20" in said("pass") + said("print(x)")


def test_variables_reach_shell_and_programs():
    gateway().ask("configure", env={"CAY_TOLD": "a 'b' $c"})
    assert gateway().ask("run", command="echo \"$CAY_TOLD\"")["output"].strip() == "a 'b' $c"


def test_two_callers_are_both_served():
    """What is printed is not looked at: the server may give one command's output with that of the next."""
    threads = [threading.Thread(target=gateway().ask, args=("run",), kwargs={"command": f"sleep 0.2; echo {i} >>turns"})
               for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(pathlib.Path(WORKSPACE, "turns").read_text().split()) == ["0", "1", "2"]


def test_what_has_no_counterpart_is_refused():
    assert gateway().ask("glob", pattern="*")["code"] == "unsupported"
    assert gateway().ask("exec", argv=["ls"], tty=True)["code"] == "unsupported"


def settle():
    """Whatever a test before has left in the one shell is interrupted; it is where it began."""
    for _ in range(20):
        gateway().ask("run", command="C-c", input=True, timeout_ms=3000)
        if gateway().ask("run", command=f"cd {WORKSPACE}; echo set", timeout_ms=3000).get("output", "").strip() == "set":
            return


def once_more(test):
    """The server takes a prompt that is late for the end of the next command, on a busy machine rather often: it then
    tells what is not so. A test has three tries, and the page says how many it took."""
    for attempt in range(1, TRIES + 1):
        try:
            settle()
            test()
            return "" if attempt == 1 else f"at try {attempt}"
        except Exception:
            if attempt == TRIES:
                raise
    return ""


cases.run_all(globals(), around=once_more)
_stack.close()
