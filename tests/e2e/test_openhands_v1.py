# SPDX-License-Identifier: Apache-2.0
"""OpenHands' version 1: the workspace of its agent server, and sandboxes that run one."""
import contextlib
import io
import json
import os
import socket
import tarfile
import threading
import time
import urllib.parse
import uuid

import pytest
from waiting import PATIENCE, wait_until

PIECE = 1024 * 1024  # of a command's output that comes while it runs


class Workspace:
    """As the SDK's RemoteWorkspace speaks."""

    def __init__(self, server, base="", key=None):
        self.server, self.base, self.key = server, base, key

    def request(self, method, path, body=None, headers=None, query=None, **more):
        headers = {"X-Session-API-Key": self.key or self.server.token, **(headers or {})}
        query = f"?{urllib.parse.urlencode(query)}" if query else ""
        return self.server.request(method, f"{self.base}{path}{query}", body, token=None, headers=headers, **more)

    def get(self, path, /, **query):
        reply = self.request("GET", path, query=query)
        assert reply.status == 200, reply.body
        return reply.json

    def start(self, command, **more):
        reply = self.request("POST", "/api/bash/start_bash_command", {"command": command, **more})
        assert reply.status == 200, reply.body
        return reply.json

    def search(self, **query):
        return self.get("/api/bash/bash_events/search", **query)

    def outputs(self, command, patience=PATIENCE):
        """All events until the one with an exit code, each once, as the SDK gathers them."""
        events, order, end = [], -1, time.monotonic() + patience
        while not events or events[-1]["exit_code"] is None:
            assert time.monotonic() < end
            more = {"order__gt": order} if order >= 0 else {}
            page = self.search(command_id__eq=command["id"], kind__eq="BashOutput", sort_order="TIMESTAMP", limit=100, **more)
            events += page["items"]
            order = max([order, *(e["order"] for e in page["items"])])
        assert len({e["id"] for e in events}) == len(events)
        return events

    def run(self, text, **more):
        events = self.outputs(self.start(text, **more))
        return (events[-1]["exit_code"], "".join(e["stdout"] or "" for e in events), "".join(e["stderr"] or "" for e in events))

    def upload(self, path, data, name="f"):
        body = (f"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n".encode() + data + b"\r\n--B--\r\n")
        return self.request("POST", "/api/file/upload", body, {"Content-Type": "multipart/form-data; boundary=B"}, {"path": path})

    def download(self, path):
        return self.request("GET", "/api/file/download", query={"path": path})


@pytest.fixture(scope="module")
def workspace(server):
    return Workspace(server)


@pytest.fixture
def fresh(server):
    """A sandbox of its own, made otherwise."""
    sandbox = server.create()
    yield Workspace(server, f"/{sandbox.id}")
    sandbox.delete()


# The workspace: commands.

def test_the_bare_paths_are_about_the_sandbox_that_their_first_use_makes(workspace):
    assert workspace.run("whoami; pwd; echo err >&2; exit 3") == (3, "openhands\n/workspace\n", "err\n")
    for path, status in (("/health", "ok"), ("/alive", "ok"), ("/ready", "ready")):
        reply = workspace.server.request("GET", path, token=None)
        assert (reply.status, reply.json) == (200, {"status": status})
    assert workspace.get("/server_info")["uptime"] >= 0


def test_a_command_and_its_output_are_events(fresh):
    command = fresh.start("echo hi", cwd="/tmp", timeout=7)
    assert (command["kind"], command["command"], command["cwd"], command["timeout"]) == ("BashCommand", "echo hi", "/tmp", 7)
    assert uuid.UUID(command["id"]).version == 4 and command["timestamp"].endswith("Z")
    output, = fresh.outputs(command)
    assert output == {"kind": "BashOutput", "id": output["id"], "timestamp": output["timestamp"], "command_id": command["id"],
                      "order": 0, "exit_code": 0, "stdout": "hi\n", "stderr": None}
    assert fresh.get(f"/api/bash/bash_events/{output['id']}") == output
    assert fresh.get(f"/api/bash/bash_events/{uuid.UUID(command['id'])}") == command
    assert fresh.search()["items"] == [command, output]
    assert fresh.search(sort_order="TIMESTAMP_DESC", kind__eq="BashOutput", limit=1)["items"] == [output]
    assert fresh.search(kind__eq="BashCommand") == {"items": [command], "next_page_id": None}
    assert fresh.search(order__gt=0, kind__eq="BashOutput")["items"] == []
    assert fresh.search(timestamp__gte="2999-01-01T00:00:00Z")["items"] == []
    assert fresh.search(timestamp__lt="2999-01-01T00:00:00+02:00")["items"] == [command, output]


def test_pages_follow_each_other_and_one_that_is_unknown_is_the_first(fresh):
    for i in range(5):
        fresh.run(f"echo {i}")
    seen, page = [], {}
    while page is not None:
        answer = fresh.search(limit=3, **page)
        assert len(answer["items"]) <= 3
        seen += answer["items"]
        page = {"page_id": answer["next_page_id"]} if answer["next_page_id"] else None
    assert [e["kind"] for e in seen] == ["BashCommand", "BashOutput"] * 5
    assert [e["stdout"] for e in seen if e["kind"] == "BashOutput"] == [f"{i}\n" for i in range(5)]
    assert fresh.search(limit=3, page_id="x" * 8000)["items"] == seen[:3]
    assert fresh.search(limit=3, page_id="f" * 32)["items"] == seen[:3]


def test_execute_waits_for_the_end_and_tells_all_of_it(fresh):
    reply = fresh.request("POST", "/api/bash/execute_bash_command", {"command": "sleep 0.3; seq 300000; echo e >&2; exit 5"})
    assert reply.status == 200 and reply.json["exit_code"] == 5 and reply.json["stderr"] == "e\n"
    assert reply.json["stdout"] == "".join(f"{i}\n" for i in range(1, 300001)), "more than a piece, in one event"


def test_a_long_output_comes_in_pieces_that_are_the_same_whenever_they_are_asked_for(fresh):
    text = "".join(f"{i} é€😀\n" for i in range(200000))
    assert fresh.upload("/tmp/gen.py", b"import sys\nfor i in range(200000): sys.stdout.write(f'{i} \\u00e9\\u20ac\\U0001f600\\n')\n").status == 200
    command = fresh.start("python3 /tmp/gen.py; read -t 0.2 x; echo end >&2", cwd="/tmp")
    first = fresh.outputs(command)
    assert [e["order"] for e in first] == list(range(len(first))) and len(first) > 2
    assert "".join(e["stdout"] or "" for e in first) == text, "no character is cut"
    assert first[-1]["stderr"] == "end\n" and all(e["exit_code"] is None for e in first[:-1])
    again = fresh.search(command_id__eq=command["id"])["items"]
    assert [e["stdout"] for e in again] == [e["stdout"] for e in first]
    assert fresh.get(f"/api/bash/bash_events/{first[1]['id']}")["stdout"] == first[1]["stdout"]


def test_more_than_is_kept_is_told_to_be_missing(fresh):
    command = fresh.start("head -c 60000000 /dev/zero | tr '\\0' x", timeout=60)
    fresh.outputs(command)
    out = "".join(e["stdout"] or "" for e in fresh.outputs(command))
    assert "bytes of the output are not told]" in out and 8 * PIECE < len(out) < 20 * PIECE


def test_what_is_no_text_is_replaced(fresh):
    assert fresh.run(r"printf 'a\377b\000c'") == (0, "a�b\0c", "")


def test_commands_run_beside_each_other(fresh):
    first = fresh.start("mkfifo /tmp/f; cat /tmp/f")
    assert fresh.run("until [ -p /tmp/f ]; do :; done; echo through >/tmp/f")[0] == 0
    assert [e["stdout"] for e in fresh.outputs(first)] == ["through\n"]


def test_when_the_time_is_over_traps_run_and_then_it_is_killed(fresh):
    began = time.monotonic()
    status, out, err = fresh.run("trap 'echo caught; exit 1' TERM; echo on; while :; do sleep 0.05; done", timeout=1)
    assert (status, out) == (-1, "on\ncaught\n") and "timed out after 1 seconds" in err
    status, out, err = fresh.run("trap '' TERM; echo on; while :; do sleep 0.05; done", timeout=1)
    assert (status, out) == (-1, "on\n") and time.monotonic() - began < 20


def test_a_command_is_stopped_by_its_id_and_no_other(fresh):
    stays, goes = fresh.start("sleep 1000"), fresh.start("trap '' TERM; echo up; sleep 1000")
    path = "/api/bash/bash_commands/{}/stop"
    assert fresh.request("POST", path.format(goes["id"])).json == {"success": True}
    assert fresh.outputs(goes)[-1]["exit_code"] in (-9, -15)
    assert fresh.request("POST", path.format(goes["id"])).status == 200, "what has ended is stopped"
    assert fresh.search(command_id__eq=stays["id"])["items"] == []
    assert fresh.request("POST", path.format("0" * 32)).status == 404
    fresh.request("POST", path.format(stays["id"]))


def test_a_signal_is_a_negative_exit_code(fresh):
    assert fresh.run("kill -KILL $$")[0] == -9


def test_events_are_cleared_but_what_runs_stays(fresh):
    fresh.run("echo one")
    running = fresh.start("sleep 1000")
    assert fresh.request("DELETE", "/api/bash/bash_events").json == {"cleared_count": 2}
    assert [e["id"] for e in fresh.search()["items"]] == [running["id"]]


def test_more_commands_than_are_kept(fresh):
    last = [fresh.start(f"echo {i}") for i in range(300)]
    for command in last[-20:]:
        fresh.outputs(command)
    gone = fresh.request("GET", "/api/bash/bash_events/search", query={"command_id__eq": last[0]["id"]})
    assert gone.status == 404 and "forgotten" in gone.json["detail"]
    seen = fresh.search(limit=100)
    assert len(seen["items"]) == 100 and seen["next_page_id"]


def test_hundreds_of_long_commands_are_told_by_their_beginnings(fresh):
    for i in range(180):
        fresh.start(f"true {i} " + "x" * 110_000)
    seen = fresh.search(kind__eq="BashCommand", limit=5)
    assert [e["command"][:6] for e in seen["items"]] == [f"true {i}" for i in range(5)] and len(seen["items"][0]["command"]) == 1024
    last = fresh.start("true " + "y" * 110_000)
    assert fresh.get(f"/api/bash/bash_events/{last['id']}") == last, "one by one they are whole"
    fresh.outputs(last)
    assert fresh.request("DELETE", "/api/bash/bash_events").json["cleared_count"] >= 2 * 100


@pytest.mark.parametrize("query", [
    {"limit": 0}, {"limit": 101}, {"limit": "x"}, {"kind__eq": "Other"}, {"sort_order": "UP"}, {"order__gt": "1.5"},
    {"command_id__eq": "no-uuid"}, {"timestamp__gte": "yesterday"}, {"order__gt": "9" * 30},
], ids=str)
def test_a_wrong_query_is_refused_in_words(fresh, query):
    reply = fresh.request("GET", "/api/bash/bash_events/search", query=query)
    assert reply.status == 422 and next(iter(query)) in reply.json["errors"]


def test_a_wrong_command_is_refused(fresh):
    path = "/api/bash/start_bash_command"
    assert fresh.request("POST", path, b"{").status == 422
    assert fresh.request("POST", path, {"cwd": "/"}).status == 422
    assert fresh.request("POST", path, {"command": "a\0b"}).status == 422
    assert fresh.request("POST", path, {"command": "true " + "x" * 200_000}).status == 413
    reply = fresh.request("POST", path, {"command": "true", "cwd": "/none"})
    assert reply.status in (400, 404) and "/none" in reply.json["detail"]
    assert fresh.request("GET", "/api/bash/bash_events/nonsense").status == 404


def test_a_command_goes_on_while_the_server_is_killed(own_server):
    workspace = Workspace(own_server)
    command = workspace.start("mkfifo /tmp/f; echo begun; cat /tmp/f")
    workspace.run("until [ -p /tmp/f ]; do :; done")
    own_server.kill_server()
    own_server.wait_until_up()
    workspace.run("echo after >/tmp/f")
    events = workspace.outputs(command)
    assert "".join(e["stdout"] for e in events) == "begun\nafter\n" and events[-1]["command_id"] == command["id"]


def test_a_client_that_leaves_takes_nothing_with_it(fresh):
    with contextlib.closing(fresh.server.connection()) as connection:
        connection.request("POST", f"{fresh.base}/api/bash/execute_bash_command", json.dumps({"command": "mkfifo /tmp/f; cat /tmp/f"}),
                           {"X-Session-API-Key": fresh.server.token})
        assert fresh.run("until [ -p /tmp/f ]; do :; done")[0] == 0
    assert fresh.run("echo x >/tmp/f")[0] == 0, "somebody reads on"


# The workspace: files.

def test_a_file_comes_back_as_it_went(fresh):
    data = os.urandom(3_000_000)
    assert fresh.upload("/workspace/new/dir/f.bin", data).json == {"success": True}
    assert fresh.download("/workspace/new/dir/f.bin").body == data
    assert fresh.upload("/workspace/empty", b"", name="../../x.zip").json == {"success": True}
    assert fresh.download("/workspace/empty").body == b""
    assert fresh.run("ls -A /workspace /workspace/new")[1] == "/workspace:\nempty\nnew\n\n/workspace/new:\ndir\n"


def test_files_that_cannot_be_had_are_refused_in_words(fresh):
    assert (fresh.download("/none").status, fresh.download("/none").json) == (404, {"detail": "File not found"})
    assert fresh.download("/tmp").status == 400
    assert fresh.download("relative").json == {"detail": "Path must be absolute"}
    assert fresh.request("GET", "/api/file/download").status == 422
    assert fresh.upload("relative", b"x").status == 400
    assert fresh.upload("/proc/version", b"x").status >= 400
    reply = fresh.request("POST", "/api/file/upload", b"--B--\r\n", {"Content-Type": "multipart/form-data; boundary=B"}, {"path": "/tmp/x"})
    assert reply.status == 422
    assert fresh.request("POST", "/api/file/upload", b"x", {"Content-Type": "text/plain"}, {"path": "/tmp/x"}).status == 422


def test_directories_are_made_and_listed(fresh):
    for _ in range(2):
        assert fresh.request("POST", "/api/file/create_directory", query={"path": "/tmp/d/B/c"}).json == {"success": True}
    fresh.run("mkdir /tmp/d/a /tmp/d/.h; touch /tmp/d/f; ln -s a /tmp/d/l")
    assert fresh.get("/api/file/search_subdirs", path="/tmp/d") == {
        "items": [{"name": "a", "path": "/tmp/d/a"}, {"name": "B", "path": "/tmp/d/B"}], "next_page_id": None}
    page = fresh.get("/api/file/search_subdirs", path="/tmp/d", limit=1)
    assert [e["name"] for e in page["items"]] == ["a"]
    page = fresh.get("/api/file/search_subdirs", path="/tmp/d", limit=1, page_id=page["next_page_id"])
    assert [e["name"] for e in page["items"]] == ["B"]
    assert len(fresh.get("/api/file/search_subdirs", path="/tmp/d", include_hidden="true")["items"]) == 3
    assert fresh.request("POST", "/api/file/create_directory", query={"path": "/tmp/d/f"}).status == 400
    assert fresh.request("GET", "/api/file/search_subdirs", query={"path": "/none"}).status == 404
    assert fresh.request("GET", "/api/file/search_subdirs", query={"path": "/tmp/d/f"}).status == 400
    home = fresh.get("/api/file/home")
    assert home["home"].startswith("/") and home["locations"] == [{"label": "/", "path": "/"}]


# The workspace: git.

def test_changes_diffs_and_commits_of_a_repository(fresh):
    git = "git -c user.name=a -c user.email=a@b"
    assert fresh.get("/api/git/changes", path="/workspace") == [], "no repository"
    assert fresh.get("/api/git/diff", path="/workspace/f") == {"modified": None, "original": None}
    assert fresh.get("/api/git/commits", path="/workspace") == {"commits": [], "has_more": False}
    status, _, err = fresh.run(f"git init -q r && cd r && echo one >f && echo x >gone && git add . && {git} commit -qm first && echo two >>f && "
                               f"{git} commit -qam 'second: é' && echo three >>f && rm gone && echo new >n", cwd="/workspace")
    assert status == 0, err
    assert fresh.get("/api/git/changes", path="/workspace/r", ref="HEAD") == [
        {"status": "UPDATED", "path": "f"}, {"status": "DELETED", "path": "gone"}, {"status": "ADDED", "path": "n"}]
    assert fresh.get("/api/git/diff", path="/workspace/r/f", ref="HEAD") == {"modified": "one\ntwo\nthree", "original": "one\ntwo"}
    page = fresh.get("/api/git/commits", path="/workspace/r", limit=1)
    assert page["has_more"] is True and [c["subject"] for c in page["commits"]] == ["second: é"]
    commits = fresh.get("/api/git/commits", path="/workspace/r")
    assert commits["has_more"] is False and set(commits["commits"][0]) == {"sha", "short_sha", "subject", "author", "timestamp"}
    second, first = commits["commits"]
    assert fresh.get(f"/api/git/commits/{second['sha']}/changes", path="/workspace/r") == [{"status": "UPDATED", "path": "f"}]
    assert [c["path"] for c in fresh.get(f"/api/git/commits/{first['short_sha']}/changes", path="/workspace/r")] == ["f", "gone"]
    assert fresh.get("/api/git/diff", path="/workspace/r/f", commit=second["sha"]) == {"modified": "one\ntwo", "original": "one"}
    refused = fresh.request("GET", "/api/git/changes", query={"path": "/workspace/r", "ref": "--output=/tmp/x"})
    assert refused.status == 400
    assert fresh.request("GET", "/api/git/changes", query={"path": "/workspace/r", "ref": "nosuch"}).status == 400
    assert fresh.request("GET", "/api/git/commits/zz/changes", query={"path": "/workspace/r"}).status == 422
    assert fresh.request("GET", "/api/git/diff", query={"path": "/workspace/r/f", "ref": "HEAD", "commit": first["sha"]}).status == 400


# The workspace: who, and what not.

def test_conversations_are_an_agent_servers(workspace):
    for method, path in (("POST", "/api/conversations"), ("GET", "/api/conversations/search"), ("GET", "/api/settings"),
                         ("GET", "/api/file/archive")):
        reply = workspace.request(method, path, {} if method == "POST" else None)
        assert reply.status == 501 and "agent server" in reply.json["detail"] and path in reply.json["detail"]


def test_a_key_of_another_sandbox_opens_nothing(server):
    mine, theirs = server.create(), server.create()
    key = server.request("POST", f"/v1/sandboxes/{mine.id}/tokens", {}).json["token"]
    assert Workspace(server, f"/{mine.id}", key).run("echo hi")[1] == "hi\n"
    for path in ("/api/bash/bash_events/search", "/api/file/home", "/api/conversations", "/api/nonsense"):
        reply = Workspace(server, f"/{theirs.id}", key).request("GET", path)
        assert reply.status in (401, 403), (path, reply.body)
    assert Workspace(server, f"/{theirs.id}", "wrong").request("GET", "/api/file/home").status in (401, 403)
    mine.delete()
    theirs.delete()


def test_a_slow_reader_of_a_large_file_holds_no_memory(fresh):
    fresh.run("truncate -s 700M /tmp/big")
    connection = fresh.server.connection()
    connection.request("GET", f"{fresh.base}/api/file/download?path=/tmp/big", None, {"X-Session-API-Key": fresh.server.token})
    response = connection.getresponse()
    assert int(response.headers["Content-Length"]) == 700 << 20
    for _ in range(50):
        fresh.run("true")
    with open(f"/proc/{fresh.server.server_pid()}/status", encoding="utf-8") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    connection.close()
    assert resident < 120_000 or "ASAN_OPTIONS" in os.environ


# The Runtime API: sandboxes that run an agent server. Here it is a small one.

PROGRAM = r'''#!/usr/bin/python3
import base64, hashlib, http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, {"status": "ok"})
        elif self.path.startswith("/sockets/"):
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            while line := self.rfile.readline():
                self.wfile.write(line.upper())
            self.close_connection = True
        elif self.headers.get("X-Session-API-Key") not in (os.environ["OH_SESSION_API_KEYS_0"], os.environ.get("OH_SESSION_API_KEYS_1")):
            self.answer(401, {"detail": "Unauthorized"})
        elif self.path == "/die":
            print("last words", flush=True)
            os._exit(7)
        else:
            self.answer(200, {"path": self.path, "argv": sys.argv[1:], "cwd": os.getcwd(), "uid": os.getuid(),
                              "headers": dict(self.headers), "who": os.environ.get("WHO")})

port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
'''
COMMAND = "/usr/local/bin/openhands-agent-server --port 60000"


def image_of(program):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in (("Dockerfile", "FROM host\nCOPY --chmod=755 program /usr/local/bin/openhands-agent-server\n"), ("program", program)):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@contextlib.contextmanager
def upgraded(server, target):
    """A WebSocket's beginning without a key, as a file with a status."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(str(server.socket))
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n".encode())
        f = s.makefile("rwb", buffering=0)
        f.status = int(f.readline().split()[1])
        while f.readline().strip():
            pass
        yield f
        f.close()


class Fleet:
    def __init__(self, server):
        self.server = server
        reply = server.request("POST", "/v1/builds?tags=agent-server:test", image_of(PROGRAM), timeout=60)
        assert reply.status == 201, reply.body

    def request(self, method, path, body=None, key=None):
        headers = {"X-API-Key": key or self.server.token, "Host": "localhost"}
        return self.server.request(method, path, body, token=None, headers=headers)

    def start(self, session, **more):
        """As APIRemoteWorkspace asks for one."""
        return self.request("POST", "/start", {
            "image": "agent-server:test", "command": COMMAND, "working_dir": "/", "environment": {}, "session_id": session,
            "run_as_user": 10001, "fs_group": 10001, "image_pull_policy": "IfNotPresent", "runtime_class": "sysbox-runc", **more})


class Runtime:
    def __init__(self, fleet, session, **more):
        reply = fleet.start(session, **more)
        assert reply.status == 200, reply.body
        self.fleet, self.record, self.id = fleet, reply.json, reply.json["runtime_id"]
        self.path = f"/openhands/{self.id}/server"
        wait_until(lambda: self.session["pod_status"] == "ready")

    def request(self, method, path, key=None, base=None, body=None):
        headers = {"X-Session-API-Key": self.record["session_api_key"] if key is None else key}
        return self.fleet.server.request(method, (self.path if base is None else base) + path, body, token=None, headers=headers)

    @property
    def session(self):
        return self.fleet.request("GET", f"/sessions/{self.record['session_id']}").json

    def change(self, what):
        return self.fleet.request("POST", f"/{what}", {"runtime_id": self.id})


@pytest.fixture(scope="module")
def fleet(server):
    return Fleet(server)


@pytest.fixture
def runtime(fleet, request):
    made = Runtime(fleet, request.node.name)
    yield made
    made.change("stop")


def test_an_agent_server_runs_as_it_was_asked_for_and_is_reached_at_its_url(fleet, runtime):
    assert runtime.record["url"] == "http://localhost", "the SDK takes no path: its key says which sandbox it is"
    assert (runtime.session["status"], runtime.session["pod_status"], runtime.session["restart_count"]) == ("running", "ready", 0)
    for base in (runtime.path, ""):
        seen = runtime.request("GET", "/api/x?y=1", base=base).json
        assert (seen["path"], seen["argv"], seen["cwd"]) == ("/api/x?y=1", ["--port", "60000"], "/")
    assert runtime.request("GET", "/server_info", base="").json["argv"] == ["--port", "60000"]
    for key in ("", runtime.id + ".wrong"):
        assert set(runtime.request("GET", "/server_info", base="", key=key).json) == {"uptime", "idle_time", "resources"}
    if os.geteuid() == 0:
        assert seen["uid"] == 10001
    assert fleet.server.token not in json.dumps(seen)


def test_its_environment_and_its_network_are_as_the_start_says(fleet):
    runtime = Runtime(fleet, "env", environment={"WHO": "me", "CAY_NETWORK": "proxy", "CAY_ALLOW": "example.org, *.example.com"})
    assert runtime.request("GET", "/").json["who"] == "me"
    assert fleet.server.request("GET", f"/v1/sandboxes/{runtime.id}").json["spec"]["network"] == "proxy"
    runtime.change("stop")


def test_who_has_no_key_may_ask_whether_it_is_there_and_open_its_sockets(fleet, runtime):
    other = Runtime(fleet, "other")
    for key in ("", "wrong", other.record["session_api_key"]):
        assert runtime.request("GET", "/health", key=key).status == 200
        for path in ("/api/x", "/", "/health/x", "/sockets/events/x", "/api/../health"):
            assert runtime.request("GET", path, key=key).status in (400, 401, 403), (key, path)
        assert runtime.request("POST", "/health", key=key).status in (401, 403)
    other.change("stop")
    with upgraded(fleet.server, f"{runtime.path}/sockets/events/x") as f:
        f.write(b"hello\n")
        assert f.readline() == b"HELLO\n"
    name = runtime.path.replace(runtime.id, runtime.id[:8])
    assert fleet.server.request("GET", f"{name}/health", token=None).status in (401, 403, 404), "names and beginnings can be guessed"


def test_a_conversation_s_socket_is_found_by_its_id_once_its_client_has_shown_a_key(own_server):
    fleet = Fleet(own_server)
    runtime, other = Runtime(fleet, "talking"), Runtime(fleet, "listening")
    conversation = str(uuid.uuid4())
    target = f"/sockets/events/{conversation}"
    with upgraded(fleet.server, target) as refused:
        assert refused.status in (401, 403, 404), "nobody has been heard of it"
    assert runtime.request("GET", f"/api/conversations/{conversation}/events/search", base="").status == 200
    with upgraded(fleet.server, target) as f:
        assert f.status == 101
        f.write(b"hello\n")
        assert f.readline() == b"HELLO\n"
    own_server.kill_server()
    own_server.wait_until_up()
    assert runtime.request("GET", f"/api/conversations/{conversation.replace('-', '').upper()}", base="").status == 200
    with upgraded(fleet.server, target) as f:
        assert f.status == 101, "it is learned again"
    assert fleet.server.request("GET", target, token=None).status in (401, 403, 404), "no upgrade"
    assert other.request("GET", f"/api/conversations/{conversation}", base="").status == 200
    with upgraded(fleet.server, target) as refused:
        assert refused.status in (401, 403, 404), "whose it is cannot be told, so it is nobody's"
    other.change("stop")
    with upgraded(fleet.server, target) as f:
        assert f.status == 101
    runtime.change("stop")


def test_a_key_that_names_a_sandbox_opens_that_one_alone(fleet, runtime):
    other = Runtime(fleet, "named")
    mine, theirs = runtime.record["session_api_key"], other.record["session_api_key"]
    forged = theirs.split(".")[0] + "." + mine.split(".")[1]
    for key in (forged, theirs.split(".")[0] + ".", theirs[:26], "." + theirs, theirs + "x"):
        for base in ("", other.path):
            assert runtime.request("GET", "/api/x", key=key, base=base).status in (401, 403), key
    assert runtime.request("GET", "/api/x", key=theirs).status in (401, 403)
    assert fleet.request("GET", "/list", key=mine).status == 401
    assert other.request("POST", "/api/bash/execute_bash_command", base="", body={"command": "echo $$ >/tmp/theirs; echo made"}).json["stdout"] == "made\n"
    assert runtime.request("POST", "/api/bash/execute_bash_command", base="", body={"command": "cat /tmp/theirs"}).json["exit_code"] == 1
    other.change("stop")
    assert other.request("GET", "/api/x", base="").status in (401, 403, 404), "it does not lead to the one of the bare paths"


def test_many_conversations_are_forgotten_and_not_those_of_others(fleet, runtime):
    other = Runtime(fleet, "quiet")
    kept = uuid.uuid4().hex
    assert other.request("GET", f"/api/conversations/{kept}", base="").status == 200
    first = uuid.uuid4().hex
    for name in [first] + [uuid.uuid4().hex for _ in range(256)]:
        runtime.request("GET", f"/api/conversations/{name}", base="")
    for name, status in ((kept, 101), (first, 403)):
        with upgraded(fleet.server, f"/sockets/events/{name}") as f:
            assert f.status == status
    other.change("stop")


def test_the_workspace_of_the_same_sandbox_is_served_beside_it(fleet, runtime):
    workspace = Workspace(fleet.server, f"/{runtime.id}", runtime.record["session_api_key"])
    status, out, _ = workspace.run("whoami; pwd; touch f; stat -c %u .")
    assert status == 0 and (out == "openhands\n/workspace\n10001\n" or os.geteuid() != 0)


def test_an_agent_server_that_dies_says_so_and_is_started_once_more(fleet):
    runtime = Runtime(fleet, "mortal")
    workspace = Workspace(fleet.server, f"/{runtime.id}")
    workspace.run("echo kept >/workspace/kept")
    with contextlib.suppress(Exception):
        runtime.request("GET", "/die")
    session = wait_until(lambda: (s := runtime.session)["pod_status"] == "failed" and s)
    assert session["status"] == "error" and "last words" in session["pod_logs"] and "exit code 7" in session["pod_logs"]
    again = Runtime(fleet, "mortal")
    assert again.id == runtime.id and again.session["pod_status"] == "ready"
    assert workspace.run("cat /workspace/kept")[1] == "kept\n"
    runtime.change("stop")
    assert runtime.session["status"] == "stopped"


def test_keys_and_the_agent_server_survive_a_restart_of_the_server(own_server):
    runtime = Runtime(Fleet(own_server), "survivor", environment={"SESSION_API_KEY": "chosen"})
    own_server.kill_server()
    own_server.wait_until_up()
    assert runtime.session["session_api_key"] == runtime.record["session_api_key"]
    for key, base in (("chosen", runtime.path), (None, runtime.path), (None, "")):
        assert runtime.request("GET", "/api/x", key=key, base=base).status == 200


def test_a_pause_holds_it_and_a_resume_lets_it_go_on(runtime):
    assert runtime.change("pause").status == 200
    assert runtime.session["status"] == "paused"
    assert runtime.request("GET", "/health").status == 503
    assert runtime.change("resume").status == 200
    reply = runtime.request("GET", "/health")
    assert reply.status == 200, reply.body
    assert runtime.session["pod_status"] == "ready"


@pytest.mark.parametrize("change, status, words", [
    ({"image": "nosuch/image:1"}, 404, "nosuch/image:1"),
    ({"image": "host"}, 404, "openhands-agent-server"),
    ({"command": COMMAND + "; id"}, 400, "as one text"),
    ({"command": COMMAND + "x"}, 400, "--port"),
    ({"command": 7}, 400, "command"),
    ({"command": "/bin/sh"}, 501, "can be started here"),
    ({"working_dir": "relative"}, 400, "working_dir"),
    ({"run_as_user": -1}, 400, "run_as_user"),
    ({"environment": {"CAY_ALLOW": "x.org"}}, 400, "CAY_ALLOW"),
    ({"environment": {"CAY_NETWORK": "proxy", "CAY_ALLOW": "a b"}}, 400, "CAY_ALLOW"),
    ({"environment": {"CAY_NETWORK": "internet"}}, 400, "CAY_NETWORK"),
], ids=lambda value: str(value)[:40])
def test_what_cannot_be_started_is_refused_in_words_and_leaves_nothing(fleet, change, status, words):
    reply = fleet.start("refused", **change)
    assert (reply.status == status) and words in reply.json["detail"], reply.body
    wait_until(lambda: fleet.request("GET", "/sessions/refused").status == 404)


def test_two_clients_that_start_one_session_at_once_share_it(fleet):
    made = []
    threads = [threading.Thread(target=lambda: made.append(Runtime(fleet, "race"))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(made) == 4 and len({r.id for r in made}) == 1
    made[0].change("stop")


def test_a_program_in_the_sandbox_that_answers_in_its_place_harms_nobody(fleet):
    """Not HTTP at all, a head without end, a body that is shorter than it says."""
    program = ("#!/usr/bin/python3\nimport itertools, socket\ns = socket.create_server(('127.0.0.1', 60000))\n"
               "says = [b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok', b'nonsense\\r\\n\\r\\n', b'HTTP/1.1 200 OK\\r\\n' + b'X: y\\r\\n' * 100000,\n"
               "        b'HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nshort', b'']\n"
               "for said in itertools.cycle(says):\n    c, _ = s.accept()\n    c.recv(4096)\n"
               "    try:\n        c.sendall(said)\n    except OSError:\n        pass\n    c.close()\n")
    reply = fleet.server.request("POST", "/v1/builds?tags=agent-server:liar", image_of(program), timeout=60)
    assert reply.status == 201, reply.body
    runtime = Runtime(fleet, "liar", image="agent-server:liar")
    for _ in range(20):
        with contextlib.suppress(Exception):  # cut short is what it is
            assert runtime.request("GET", "/api/x").status in (200, 502)
    assert runtime.session["pod_status"] == "ready"
    runtime.change("stop")
