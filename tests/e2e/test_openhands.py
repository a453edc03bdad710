# SPDX-License-Identifier: Apache-2.0
"""OpenHands' action API as its clients see it: the kept exchanges with real sandboxes, and what no file can keep."""
import contextlib
import io
import json
import re
import threading
import time
import urllib.parse
import zipfile

import pytest
from conftest import ROOT
from kernels import needs_ipython
from waiting import PATIENCE

GOLDEN = ROOT / "tests" / "golden" / "openhands"
HOST_OWN = ("username", "hostname", "py_interpreter_path")


def dumps(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class OpenHands:
    """One sandbox, or (None) the one of the bare paths."""

    def __init__(self, server, name=None):
        self.server, self.prefix = server, f"/openhands/{name}" if name else ""

    def request(self, method, path, body=None, key="", headers=None, **more):
        headers = {"X-Session-API-Key": key or self.server.token, **(headers or {})}
        return self.server.request(method, self.prefix + path, body, token=None, headers=headers, **more)

    def act(self, action, timeout=60.0, **args):
        reply = self.request("POST", "/execute_action", {"action": {"action": action, "args": args, "timeout": timeout}},
                             timeout=timeout + 5)
        assert reply.status == 200, reply.body
        return reply.json

    def run(self, command, timeout=60.0, **args):
        return self.act("run", timeout, command=command, **args)

    def wait_until_idle(self):
        """Looks at the shell from outside, since any action of this protocol would take the report."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            sessions = self.server.request("POST", "/v1/sandboxes/oh/actions/session_list", {}).json["sessions"]
            if next(s["status"] for s in sessions if s["session"] == "main") == "idle":
                return
        raise AssertionError("the shell did not become idle")

    def upload(self, destination, filename, data, recursive=False):
        body = (b"--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + filename.encode() +
                b"\"\r\nContent-Type: application/octet-stream\r\n\r\n" + data + b"\r\n--cut--\r\n")
        query = urllib.parse.urlencode({"destination": destination, "recursive": str(recursive).lower()})
        return self.request("POST", f"/upload_file?{query}", body,
                            headers={"Content-Type": "multipart/form-data; boundary=cut"})


@contextlib.contextmanager
def sandbox(server, name, **wishes):
    made = server.create(name=name, **wishes)
    yield OpenHands(server, name)
    made.delete()


@pytest.fixture
def oh(server):
    """A sandbox whose soft timeout is 2 seconds."""
    with sandbox(server, "oh", labels={"NO_CHANGE_TIMEOUT_SECONDS": "2"}) as made:
        yield made


def mask(response):
    """Without what another host would say otherwise."""
    metadata = response.get("extras", {}).get("metadata") if isinstance(response, dict) else None
    for key in metadata or {}:
        if key in HOST_OWN and metadata[key] is not None:
            metadata[key] = key
    return dumps(response)


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs_ipython if name == "ipython" else ())
                                  for name in sorted(path.stem for path in GOLDEN.glob("*.jsonl"))])
def test_every_kept_exchange_is_answered_byte_for_byte(server, oh, name):
    for number, line in enumerate((GOLDEN / f"{name}.jsonl").read_text().splitlines(), 1):
        kept = json.loads(line)
        asked = kept["request"]
        reply = server.request(asked["method"], asked["path"], asked.get("body"), token=None,
                               headers={"X-Session-API-Key": kept.get("key", server.token)})
        assert reply.status == kept["status"], (number, asked, reply.body)
        assert reply.body.decode() == dumps(reply.json), number
        assert mask(reply.json) == mask(kept["response"]), (number, asked)


# What can be asked for.

def test_a_sandbox_describes_what_acts_on_it_and_the_bare_paths_the_fleet_too(server, oh):
    described = oh.request("GET", "/openapi.json").json
    assert {"/execute_action", "/upload_file", "/alive"} <= set(described["paths"]) and "/start" not in described["paths"]
    action = described["paths"]["/execute_action"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    forms = {form["title"]: form["properties"]["args"] for form in action["properties"]["action"]["oneOf"]}
    assert forms["run"]["required"] == ["command"] and "browse_interactive" in forms
    assert described["paths"]["/alive"]["get"]["security"] == []
    bare = OpenHands(server).request("GET", "/openapi.json").json
    assert {"/execute_action", "/start", "/sessions/{session}"} <= set(bare["paths"])
    assert not [path for path in bare["paths"] if "{sandbox}" in path]


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_there_is_a_page_that_needs_nothing_from_elsewhere(oh, page):
    shown = oh.request("GET", page)
    assert shown.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"/execute_action" in shown.body and b"browser_actions" in shown.body
    assert b"<script" not in shown.body and b"src=" not in shown.body and b"href=http" not in shown.body
    assert oh.request("GET", page, key="x").status == 403


# Who may ask, and for which sandbox.

@pytest.mark.parametrize("header", ["X-Session-API-Key", "X-API-Key"])
def test_a_key_is_taken_from_either_header(server, oh, header):
    path = "/openhands/oh/vscode/connection_token"
    assert server.request("GET", path, token=None, headers={header: server.token}).json == {"token": None}
    assert server.request("GET", path, token=None, headers={header: "x"}).status == 403


def test_a_bearer_token_is_as_good_as_a_key(server, oh):
    assert server.request("GET", "/openhands/oh/vscode/connection_token").status == 200
    reply = server.request("GET", "/openhands/oh/vscode/connection_token", token=None)
    assert (reply.status, reply.json) == (403, {"detail": "Invalid API Key"})


def test_a_sandbox_that_is_not_there_is_not_found(server):
    gone = OpenHands(server, "gone")
    assert gone.request("GET", "/alive").status == 404
    assert gone.request("GET", "/server_info").status == 404
    assert gone.request("POST", "/execute_action", {"action": {"action": "run", "args": {"command": "x"}}}).status == 404


def test_a_paused_sandbox_is_unavailable_and_comes_back(server):
    with sandbox(server, "paused") as oh:
        oh.run("x=1")
        assert server.request("POST", "/v1/sandboxes/paused/pause").status < 300
        reply = oh.request("POST", "/execute_action", {"action": {"action": "run", "args": {"command": "x"}}})
        assert reply.status == 503 and "paused" in reply.json["detail"]
        reply = oh.request("GET", "/alive")
        assert reply.status == 503 and reply.json["detail"].startswith("not initialized: sandbox ")
        assert server.request("POST", "/v1/sandboxes/paused/resume").status < 300
        assert oh.run("echo $x")["content"] == "1"


def test_first_requests_to_the_bare_paths_make_one_sandbox(own_server):
    bare, seen = OpenHands(own_server), []
    assert bare.request("GET", "/alive").json == {"status": "ok"}
    assert own_server.request("GET", "/v1/sandboxes").json["sandboxes"] == []
    threads = [threading.Thread(target=lambda i=i: seen.append(bare.run(f"echo {i} >>all; cat all")["content"]))
               for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(content.split()) for content in seen) == list(range(1, 9))
    made = own_server.request("GET", "/v1/sandboxes").json["sandboxes"]
    assert [one["name"] for one in made] == ["openhands"]
    assert bare.run("git log; echo $GIT_PAGER")["extras"]["metadata"]["working_dir"] == "/workspace"


def test_server_info_has_the_figures_of_this_host(server, oh):
    oh.run("true")
    info = oh.request("GET", "/server_info").json
    assert list(info) == ["uptime", "idle_time", "resources"]
    assert list(info["resources"]) == ["cpu_percent", "memory", "disk", "io"]
    assert 0 <= info["idle_time"] <= info["uptime"] < 60
    assert 1 << 20 < info["resources"]["memory"]["rss"] < info["resources"]["memory"]["vms"]
    assert 0 < info["resources"]["disk"]["used"] <= info["resources"]["disk"]["total"]


# What a shell says.

def test_a_long_output_keeps_both_its_ends(oh):
    seen = oh.run("for i in {1..5000}; do echo \"Line $i\"; done")
    assert len(seen["content"]) == 30047
    assert seen["content"].startswith("Line 1\nLine 2\n") and seen["content"].endswith("\nLine 5000")
    assert "\n[... Observation truncated due to length ...]\n" in seen["content"]
    assert seen["extras"]["metadata"]["prefix"] == ""


def test_an_output_beyond_the_history_keeps_its_last_lines(oh):
    seen = oh.run("for i in {1..50000}; do echo \"Line $i\"; done")
    assert seen["extras"]["metadata"]["exit_code"] == 0
    assert seen["extras"]["metadata"]["prefix"] == \
        "[Previous command outputs are truncated. Showing the last 10013 lines of the output below.]\n"
    assert "Line 40000\n" in seen["content"] and seen["content"].endswith("Line 50000")


def test_a_hidden_output_is_not_cut(oh):
    assert len(oh.run("head -c 100000 /dev/zero | tr '\\0' x", hidden=True)["content"]) == 100000


def test_a_command_that_ended_unasked_keeps_nothing_from_running(oh):
    seen = oh.run("mkfifo go; cat go; echo done", timeout=0.2)
    assert seen["extras"]["metadata"]["exit_code"] == -1
    assert oh.run("echo x >go", is_static=True)["extras"]["metadata"]["exit_code"] == 0
    oh.wait_until_idle()
    assert oh.run("echo new")["content"] == "new"


def test_what_a_command_said_before_it_ended_unasked_is_told(oh):
    oh.run("mkfifo go; cat go; echo done; false", timeout=0.2)
    oh.run("echo x >go", is_static=True)
    seen = oh.run("")
    assert seen["content"] == "x\ndone" and seen["extras"]["metadata"]["exit_code"] == 1


def test_an_action_whose_client_left_before_its_turn_is_not_performed(server, oh):
    """The first one holds the turn until it is let go from outside."""
    oh.run("mkfifo began go")
    first = threading.Thread(target=oh.run, args=["echo >began; cat go"])
    first.start()
    run = "/v1/sandboxes/oh/actions/run"
    assert server.request("POST", run, {"command": "cat began", "fresh": True}).status == 200
    for stays in (False, True):
        connection = server.connection()
        body = json.dumps({"action": {"action": "write", "args": {"path": f"stays-{stays}", "content": ""}}})
        connection.request("POST", "/openhands/oh/execute_action", body, {"X-Session-API-Key": server.token})
        if not stays:
            connection.close()
    assert server.request("POST", run, {"command": "echo >go", "fresh": True}).status == 200
    first.join()
    assert connection.getresponse().status == 200
    connection.close()
    assert oh.run("ls")["content"].split() == ["began", "go", "stays-True"]


def test_a_client_that_leaves_in_the_middle_gives_its_turn_up_and_nothing_is_lost(server, oh):
    oh.run("mkfifo began go")
    connection = server.connection()
    body = json.dumps({"action": {"action": "run", "args": {"command": "echo first; echo >began; cat go; echo last"}}})
    connection.request("POST", "/openhands/oh/execute_action", body, {"X-Session-API-Key": server.token})
    run = "/v1/sandboxes/oh/actions/run"
    assert server.request("POST", run, {"command": "cat began", "fresh": True}).status == 200
    connection.close()
    refused = oh.run("echo other")
    assert "NOT executed. The previous command is still running" in refused["extras"]["metadata"]["suffix"]
    assert refused["content"] == "first", "what it had said is not lost"
    assert server.request("POST", run, {"command": "echo >go", "fresh": True}).status == 200
    seen = oh.run("")
    assert seen["content"] == "last" and seen["extras"]["metadata"]["exit_code"] == 0
    assert oh.run("echo on")["content"] == "on"


def test_two_clients_at_once_are_served_one_after_the_other(oh):
    said = []
    threads = [threading.Thread(target=lambda n=n: said.append(oh.run(f"x={n}; for i in 1 2 3; do echo $x; done")["content"]))
               for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(said) == [f"{n}\n{n}\n{n}" for n in range(8)]


def test_a_workspace_that_vanishes_is_an_error_of_what_needs_it_and_no_more(oh):
    oh.run("mkdir -p /tmp/w && cd /tmp/w && echo x >f && rm -rf /tmp/w")
    assert oh.act("read", path="f")["content"].startswith("File not found: /tmp/w/f. Your current working directory is /tmp/w")
    assert oh.request("POST", "/list_files", {"path": "/tmp/w"}).json == []
    assert "does not exist" in oh.act("edit", command="view", path="/tmp/w/f")["content"]
    assert oh.request("GET", "/download_files?path=/tmp/w").json == {"detail": "404: File not found"}
    assert oh.act("write", path="f", content="again")["observation"] == "write", "which makes its directories"
    assert oh.run("cat /tmp/w/f; cd /; pwd")["content"] == "again\n/"


def test_an_archive_that_swells_fills_its_own_sandbox_and_no_more(server):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(200 << 20))
    with sandbox(server, "small", limits={"disk_bytes": 32 << 20}) as small:
        reply = small.upload("/workspace/in", "bomb.zip", bomb.getvalue(), recursive=True)
        assert reply.status == 500 and "space" in reply.json["detail"].lower()
        assert small.run("rm -rf /workspace/in; echo alive")["content"] == "alive"
        assert small.upload("/workspace/in", "a.txt", b"x").status == 200


def test_a_job_in_the_background_is_announced(oh):
    seen = oh.run("sleep 100 &")
    assert re.fullmatch(r"\[1\] \d+", seen["content"])
    assert seen["extras"]["metadata"]["pid"] == int(seen["content"].split()[1])


def test_a_shell_that_exits_is_followed_by_a_new_one(oh):
    assert oh.run("exit 3")["extras"]["metadata"]["exit_code"] == 3
    assert oh.run("echo back")["content"] == "back"


def test_a_setup_script_may_be_silent_for_longer_than_the_soft_timeout(oh):
    seen = oh.run("sleep 2.5; export FROM_SCRIPT=1", timeout=30.0, blocking=True, hidden=True)
    assert seen["success"] and oh.run("echo $FROM_SCRIPT")["content"] == "1"


def test_find_gets_its_escaped_semicolon(oh):
    oh.run("mkdir -p d && echo needle >d/a && echo hay >d/b")
    assert oh.run("find d -type f -exec grep -l needle {} \\; -print")["content"] == "d/a\nd/a"


def test_a_restarted_server_knows_what_runs(own_server):
    with sandbox(own_server, "kept") as oh:
        oh.run("cd /tmp")
        assert oh.run("cat", timeout=0.2)["extras"]["metadata"]["exit_code"] == -1
        own_server.kill_server()
        assert "is NOT executed" in oh.run("ls")["extras"]["metadata"]["suffix"]
        assert oh.run("C-c", is_input=True)["extras"]["metadata"]["exit_code"] == 130
        assert oh.run("pwd")["content"] == "/tmp"


# Files.

def test_an_insert_keeps_a_file_what_it_was(oh):
    oh.run("echo a >f; chmod 751 f; ln -s f l")
    assert "has been edited" in oh.act("edit", path="/workspace/l", command="insert", insert_line=1, new_str="b")["content"]
    assert oh.run("stat -c %a f; readlink l; cat f")["content"] == "751\nf\na\nb"


def test_a_listing_has_directories_first_whatever_their_case(oh):
    oh.run("mkdir -p b B2 .a; touch z.txt A.md .hidden; ln -s b link; ln -s nowhere dangling; ln -s z.txt also; mkfifo pipe")
    names = [".a/", "b/", "B2/", "link/", ".hidden", "A.md", "also", "z.txt"]
    assert oh.request("POST", "/list_files", {}).json == names
    assert oh.request("POST", "/list_files", {"path": "/workspace"}).json == names
    assert oh.request("POST", "/list_files", {"path": "b"}).json == []
    assert oh.request("POST", "/list_files", {"path": "nowhere"}).json == []
    assert oh.request("POST", "/list_files", {"path": "z.txt"}).json == []
    assert oh.request("POST", "/list_files", "no JSON").status == 500


def test_an_uploaded_file_lies_in_its_directory(oh):
    reply = oh.upload("/workspace/new/dir", "a.bin", bytes(range(256)) * 5000)
    assert reply.json == {"filename": "a.bin", "destination": "/workspace/new/dir", "recursive": False}
    assert oh.run("wc -c <new/dir/a.bin")["content"] == "1280000"
    assert oh.upload("/workspace/new/dir", "a.bin", b"short").status == 200
    assert oh.run("cat new/dir/a.bin")["content"] == "short"


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return out.getvalue()


def test_an_uploaded_archive_is_unpacked(oh):
    assert oh.upload("/workspace", "x.zip", zipped(test_dir__a="1", test_dir__b="2"), recursive=True).status == 200
    assert oh.run("cat test_dir/*; ls")["content"] == "12test_dir"


@pytest.mark.parametrize("destination, filename, recursive, detail", [
    ("relative", "a", False, "400: Destination must be an absolute path"),
    ("/workspace", "a.tar", True, "400: Recursive uploads must be zip files"),
    ("/workspace", "..", False, "400: '..' is no name of a file"),
])
def test_a_wrong_upload_says_why(oh, destination, filename, recursive, detail):
    reply = oh.upload(destination, filename, b"x", recursive)
    assert (reply.status, reply.json) == (500, {"detail": detail})


def test_a_query_that_is_no_boolean_is_refused(oh):
    assert oh.upload("/workspace", "a", b"x", "perhaps").status == 422
    assert oh.upload("/workspace", "a", b"x", "off").json["recursive"] is False


def test_an_upload_that_cannot_be_stored_is_refused_before_its_end(oh):
    assert oh.upload("/proc/nowhere", "a", b"x" * 5_000_000).status == 500
    assert oh.run("echo fine")["content"] == "fine"


def test_a_file_name_cannot_leave_its_directory(oh):
    assert oh.upload("/workspace/in", "../out", b"x").status == 500
    assert oh.run("ls -A")["content"] in ("", "in")


def test_a_download_is_an_archive_of_the_directory(oh):
    oh.run("mkdir -p top/deep && echo 1 >top/a && echo 2 >top/deep/b")
    reply = oh.request("GET", "/download_files?path=/workspace/top")
    assert reply.headers["Content-Type"] == "application/zip" and reply.headers["Content-Disposition"] == 'attachment; filename="top.zip"'
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    assert files == {"a": b"1\n", "deep/b": b"2\n"}


def test_a_download_of_an_empty_directory_is_an_empty_archive(oh):
    oh.run("mkdir empty")
    reply = oh.request("GET", "/download_files?path=/workspace/empty")
    assert reply.status == 200 and zipfile.ZipFile(io.BytesIO(reply.body)).namelist() == []


def test_a_download_of_nothing_says_so(oh):
    reply = oh.request("GET", "/download_files?path=/workspace/none")
    assert (reply.status, reply.json) == (500, {"detail": "404: File not found"})
