# SPDX-License-Identifier: Apache-2.0
"""The Daytona face without Daytona's SDKs: life cycle, processes, sessions, terminals, files, git, previews, refusals."""
import base64
import json
import re
import socket
import time
import urllib.parse

import pytest

from conftest import PATIENCE, WebSocket
from waiting import wait_until

API, TOOLBOX = "/daytona/api", "/daytona/toolbox"


class Box:
    """A sandbox, as a client of Daytona has it."""

    def __init__(self, server, **wish):
        self.server = server
        reply = server.request("POST", f"{API}/sandbox", {"labels": {"code-toolbox-language": "python"}, **wish})
        assert reply.status == 200, reply.body
        self.record = reply.json
        self.id = self.record["id"]

    def api(self, method, tail="", body=None):
        return self.server.request(method, f"{API}/sandbox/{self.id}{tail}", body)

    def tool(self, method, tail, body=None, headers=None, **query):
        path = f"{TOOLBOX}/{self.id}{tail}" + ("?" + urllib.parse.urlencode(query) if query else "")
        return self.server.request(method, path, body, headers=headers)

    def execute(self, command, **more):
        reply = self.tool("POST", "/process/execute", {"command": command, **more})
        assert reply.status == 200, reply.body
        return reply.json

    def session(self, name, command, **more):
        return self.tool("POST", f"/process/session/{name}/exec", {"command": command, **more})

    def upload(self, files):
        body = b""
        for i, path in enumerate(files):
            body += f'--b\r\nContent-Disposition: form-data; name="files[{i}].path"\r\n\r\n{path}\r\n'.encode()
        for i, data in enumerate(files.values()):
            body += (f'--b\r\nContent-Disposition: form-data; name="files[{i}].file"; filename="f"\r\n\r\n'.encode()
                     + data + b"\r\n")
        return self.tool("POST", "/files/bulk-upload", body + b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"})

    def download(self, path):
        return self.tool("GET", "/files/download", path=path)

    def state(self):
        return self.api("GET").json["state"]

    def delete(self):
        return self.api("DELETE")


@pytest.fixture(scope="module")
def shared(server):
    return Box(server)


def failure(reply, status, code=None):
    """Its message, once it has been checked that it has Daytona's form."""
    assert reply.status == status, reply.body
    assert reply.json["statusCode"] == status and reply.json["message"] and reply.json["timestamp"]
    assert code is None or (reply.json["code"], reply.json["source"]) == (code, "DAYTONA_DAEMON")
    return reply.json["message"]


def test_a_sandbox_is_made_listed_labelled_and_deleted(server):
    box = Box(server, name="my-box", env={"A": "1"}, autoStopInterval=5, ttlMinutes=60)
    record = box.record
    assert (record["state"], record["name"], record["env"], record["autoStopInterval"]) == ("started", "my-box", {"A": "1"}, 5)
    for key in ("cpu", "memory", "disk"):
        assert isinstance(record[key], int) and record[key] >= 1
    assert record["networkBlockAll"] is True and record["toolboxProxyUrl"].endswith("/daytona/toolbox")
    assert box.execute("echo $A $HOME; pwd")["result"] == "1 /home/daytona\n/home/daytona\n"
    assert box.api("PUT", "/labels", {"labels": {"x": "y"}}).json == {"labels": {"x": "y"}}
    wanted = urllib.parse.quote(json.dumps({"x": "y"}))
    assert [s["id"] for s in server.request("GET", f"{API}/sandbox?labels={wanted}").json["items"]] == [box.id]
    assert server.request("GET", f"{API}/sandbox/my-box").json["id"] == box.id
    assert box.delete().json["state"] == "destroyed"
    assert "not found" in failure(box.api("GET"), 404)


def test_a_list_is_given_page_by_page(server):
    boxes = [Box(server, labels={"page": "me"}) for _ in range(3)]
    seen, cursor = [], ""
    while cursor is not None:
        page = server.request("GET", f"{API}/sandbox?limit=2&labels=%7B%22page%22%3A%22me%22%7D&cursor={cursor}").json
        assert len(page["items"]) <= 2
        seen += [s["id"] for s in page["items"]]
        cursor = page["nextCursor"]
    assert sorted(seen) == sorted(b.id for b in boxes)
    for box in boxes:
        box.delete()


def test_a_stopped_sandbox_keeps_its_files_and_loses_its_processes(server):
    box = Box(server)
    box.execute("echo kept > file; setsid sleep 1000 >/dev/null 2>&1 &")
    assert box.api("POST", "/stop").json["state"] == "stopped"
    assert "stopped" in failure(box.tool("POST", "/process/execute", {"command": "true"}), 409)
    failure(box.api("POST", "/stop"), 400)
    assert box.api("POST", "/archive").json["state"] == "archived"
    assert box.api("POST", "/start").json["state"] == "started"
    assert box.execute("cat file; pgrep -c sleep")["result"] == "kept\n0\n"
    assert box.api("POST", "/pause").json["state"] == "paused"
    assert box.api("POST", "/start").json["state"] == "started"
    box.delete()


def test_an_ephemeral_sandbox_goes_when_it_is_stopped(server):
    box = Box(server, autoDeleteInterval=0)
    assert box.api("POST", "/stop").json["state"] == "destroyed"
    assert box.api("GET").status == 404


def test_a_time_to_live_of_the_past_ends_it(server):
    box = Box(server)
    assert box.api("POST", "/ttl/0").json.get("autoDestroyAt") is None
    assert box.api("POST", "/ttl/1").json["autoDestroyAt"]
    assert box.api("POST", "/autodelete/-1").json["autoDeleteInterval"] == -1
    failure(box.api("POST", "/autostop/-5"), 400)
    failure(box.api("POST", "/autostop/soon"), 400)
    box.delete()


@pytest.mark.parametrize("wish", [{"gpu": 1}, {"volumes": [{"volumeId": "v", "mountPath": "/v"}]}, {"user": "nobody"},
                                  {"cpu": "two"}, {"env": {"A": 1}}, {"name": "no/name"}, {"kvm": True},
                                  {"domainAllowList": "http://x y"}, {"ttlMinutes": -1}])
def test_what_is_not_offered_is_refused(server, wish):
    failure(server.request("POST", f"{API}/sandbox", wish), 400)


def test_a_sandbox_is_made_into_a_snapshot_and_forked(server):
    box = Box(server, env={"A": "a"}, labels={"l": "1"}, autoStopInterval=7)
    box.execute("echo first > file; echo home > ~/at-home")
    reply = box.api("POST", "/snapshot", {"name": "kept:1"})
    assert reply.status == 200 and reply.json["id"] == box.record["id"] and reply.json["state"] == "started"
    reply = box.api("POST", "/fork", {"name": "branch"})
    assert reply.status == 200, reply.body
    fork = reply.json
    assert (fork["name"], fork["labels"], fork["env"], fork["autoStopInterval"], fork["state"]) == \
        ("branch", {"l": "1"}, {"A": "a"}, 7, "started") and fork["id"] != box.record["id"]
    box.execute("echo second > file")
    tool = server.request("POST", f"/daytona/toolbox/{fork['id']}/process/execute",
                          {"command": "sh -c 'cat file ~/at-home; echo $A; pwd'"}).json
    assert tool["result"] == "first\nhome\na\n/home/daytona\n"
    child = Box(server, snapshot="kept:1")
    assert child.execute("cat file")["result"] == "first\n"
    failure(box.api("POST", "/fork", {"name": "branch"}), 409)
    failure(box.api("POST", "/snapshot", {"name": "x", "includeMemory": True}), 400)
    failure(box.api("POST", "/snapshot", {}), 400)
    assert server.request("DELETE", f"{API}/sandbox/branch").status == 200
    for made in (box, child):
        made.delete()
    assert server.request("DELETE", f"{API}/snapshots/kept:1").status == 200


def test_an_image_may_be_one_of_the_server_s(server):
    reply = server.request("POST", f"{API}/sandbox", {"buildInfo": {"dockerfileContent": "FROM python:3.11\n"}})
    assert "cay image tag" in failure(reply, 404)
    assert server.request("POST", f"{API}/snapshots", {"name": "tools:1", "imageName": "host"}).json["state"] == "active"
    box = Box(server, buildInfo={"dockerfileContent": "FROM tools:1\n"})
    assert box.record["snapshot"] == "tools:1"
    box.delete()
    assert server.request("GET", f"{API}/snapshots/tools:1").json["name"] == "tools:1"
    assert server.request("DELETE", f"{API}/snapshots/tools:1").status == 200
    failure(server.request("GET", f"{API}/snapshots/tools:1"), 404)


@pytest.mark.parametrize("method, path", [("POST", "/volumes"), ("GET", "/volumes/by-name/x"),
                                          ("GET", "/nothing")])
def test_routes_that_are_not_offered_say_so(server, method, path):
    reply = server.request(method, API + path, {} if method == "POST" else None)
    failure(reply, reply.status)
    assert reply.status in (404, 501)


def test_nobody_comes_in_without_the_key(server):
    failure(server.request("GET", f"{API}/sandbox", token=None), 401)
    failure(server.request("GET", f"{API}/sandbox", token="wrong" * 8), 401)


# ---- processes ----

def test_a_command_gives_its_whole_output_in_order_and_its_exit_code(shared):
    done = shared.execute("for i in 1 2 3; do echo out $i; echo err $i >&2; done; exit 7")
    assert done["exitCode"] == 7
    assert done["result"] == "".join(f"out {i}\nerr {i}\n" for i in (1, 2, 3))
    assert shared.execute("echo $B; pwd", cwd="/tmp", envs={"B": "it's \"b\""})["result"] == "it's \"b\"\n/tmp\n"
    assert shared.execute("kill -9 $$")["exitCode"] == 137
    assert shared.execute("pwd", cwd="/none")["exitCode"] == -1
    assert shared.execute("cat")["result"] == ""


def test_a_command_may_be_longer_than_an_argument(shared):
    assert shared.execute("echo " + "x" * 300000 + " | wc -c")["result"] == "300001\n"


def test_a_command_that_takes_too_long_is_a_timeout(shared):
    failure(shared.tool("POST", "/process/execute", {"command": "sleep 60", "timeout": 0.2}), 408, "PROCESS_EXECUTION_TIMEOUT")


def test_code_is_run_with_arguments_and_variables(shared):
    body = {"code": "import os, sys\nprint(sys.argv[1:], os.environ['C'])\nprint('e', file=sys.stderr)", "language": "python",
            "argv": ["a b", "c"], "envs": {"C": "2"}}
    done = shared.tool("POST", "/process/code-run", body).json
    assert done == {"exitCode": 0, "result": "['a b', 'c'] 2\ne\n", "artifacts": {"charts": []}}
    long = shared.tool("POST", "/process/code-run", {"code": "x = '" + "y" * 200000 + "'\nprint(len(x))", "language": "python"})
    assert long.json["result"] == "200000\n"
    assert shared.tool("POST", "/process/code-run", {"code": "1/0", "language": "python"}).json["exitCode"] == 1
    failure(shared.tool("POST", "/process/code-run", {"code": "1", "language": "cobol"}), 400)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"command":5}', b'{"command":"  "}', b'{"command":"x","timeout":"y"}',
                                  b'{"command":"x","envs":[1]}', b'{"command":"a\\u0000b"}'])
def test_a_bad_body_is_refused(shared, body):
    failure(shared.tool("POST", "/process/execute", body), 400)


# ---- sessions ----

def test_a_session_keeps_its_state_and_output_apart_from_error(shared):
    assert shared.tool("POST", "/process/session", {"sessionId": "s1"}).status == 201
    failure(shared.tool("POST", "/process/session", {"sessionId": "s1"}), 409)
    first = shared.session("s1", "cd /tmp; X=5; f() { echo f$1; }; echo out; echo err >&2").json
    assert (first["stdout"], first["stderr"], first["exitCode"]) == ("out\n", "err\n", 0)
    assert shared.session("s1", "pwd; echo $X; f 2\nfalse").json["stdout"] == "/tmp\n5\nf2\n"
    assert shared.session("s1", "cat; echo 'unclosed").json["exitCode"] != 0
    assert shared.session("s1", "printf 'no newline'").json["stdout"] == "no newline"
    assert shared.session("s1", "exec >/dev/null; echo lost").json["stdout"] == ""
    commands = shared.tool("GET", "/process/session/s1").json["commands"]
    assert [c["exitCode"] for c in commands][:2] == [0, 1] and all(c["id"] for c in commands)
    assert shared.tool("DELETE", "/process/session/s1").status == 204
    failure(shared.session("s1", "true"), 404, "PROCESS_NOT_FOUND")


def test_what_looks_like_the_end_of_a_command_is_output(shared):
    shared.tool("POST", "/process/session", {"sessionId": "marks"})
    said = shared.session("marks", r"printf '\036abc 0\n'; printf '\036'; echo end").json
    assert said["stdout"] == "\x1eabc 0\n\x1eend\n" and said["exitCode"] == 0
    shared.tool("DELETE", "/process/session/marks")


def follow(box, path):
    ws = WebSocket(box.server.socket, f"{TOOLBOX}/{box.id}{path}", box.server.token)
    assert ws.status == 101
    return ws


def test_a_command_is_followed_given_input_and_asked_about(shared):
    shared.tool("POST", "/process/session", {"sessionId": "s2"})
    started = shared.session("s2", "echo name?; read name; echo hello $name; echo bad >&2", runAsync=True)
    assert started.status == 202
    path = f"/process/session/s2/command/{started.json['cmdId']}"
    ws = follow(shared, path + "/logs?follow=true")
    assert ws.receive() == (ws.BINARY, b"\1\1\1name?\n")
    assert "exitCode" not in shared.tool("GET", path).json
    assert shared.tool("POST", path + "/input", {"data": "cay"}).status == 204
    rest = b"".join(ws)
    assert rest.replace(b"\1\1\1", b"").replace(b"\2\2\2", b"") == b"cay\nhello cay\nbad\n" and b"\2\2\2bad\n" in rest
    assert shared.tool("GET", path).json["exitCode"] == 0
    logs = shared.tool("GET", path + "/logs").json
    assert (logs["stdout"], logs["stderr"]) == ("name?\ncay\nhello cay\n", "bad\n")
    failure(shared.tool("POST", path + "/input", {"data": "late"}), 410, "COMMAND_ALREADY_COMPLETED")
    shared.tool("DELETE", "/process/session/s2")


def test_commands_of_a_session_wait_for_each_other(shared):
    shared.tool("POST", "/process/session", {"sessionId": "s3"})
    ids = [shared.session("s3", f"echo {i}; read x", runAsync=True).json["cmdId"] for i in range(3)]
    for i, name in enumerate(ids):
        ws = follow(shared, f"/process/session/s3/command/{name}/logs?follow=true")
        assert ws.receive()[1] == f"\1\1\1{i}\n".encode()
        assert shared.tool("POST", f"/process/session/s3/command/{name}/input", {"data": ""}).status == 204
        assert b"".join(ws) == b"\n"  # the input, of the same run
    shared.tool("DELETE", "/process/session/s3")


def test_a_shell_that_ends_tells_the_code_and_takes_no_more(shared):
    shared.tool("POST", "/process/session", {"sessionId": "s4"})
    waiting = shared.session("s4", "exit 9", runAsync=True).json["cmdId"]
    ws = follow(shared, f"/process/session/s4/command/{waiting}/logs?follow=true")
    assert b"".join(ws) == b""
    assert shared.tool("GET", f"/process/session/s4/command/{waiting}").json["exitCode"] == 9
    failure(shared.session("s4", "true"), 410, "SESSION_ENDED")
    assert shared.tool("DELETE", "/process/session/s4").status == 204


def test_of_much_output_the_beginning_and_the_end_are_kept(shared):
    shared.tool("POST", "/process/session", {"sessionId": "s5"})
    said = shared.session("s5", "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last").json
    assert said["stdout"].startswith("first\nxxx") and said["stdout"].endswith("xxx\nlast\n")
    assert "bytes are left out here" in said["stdout"] and len(said["stdout"]) < 2000000
    shared.tool("DELETE", "/process/session/s5")


def test_a_deleted_session_ends_what_runs_in_it(server):
    box = Box(server)
    box.tool("POST", "/process/session", {"sessionId": "s"})
    name = box.session("s", "sleep 1000", runAsync=True).json["cmdId"]
    ws = follow(box, f"/process/session/s/command/{name}/logs?follow=true")
    assert box.tool("DELETE", "/process/session/s").status == 204
    assert list(ws) == []
    assert box.execute("pgrep -c sleep")["result"] == "0\n"
    box.delete()


# ---- terminals, interpreter ----

def test_a_terminal_is_typed_into_resized_and_ends(shared):
    ws = WebSocket(shared.server.socket, f"{TOOLBOX}/{shared.id}/process/pty/create-connect?id=t&cols=100&rows=30", shared.server.token)
    assert ws.status == 101 and json.loads(ws.receive()[1])["status"] == "connected"
    assert shared.tool("POST", "/process/pty/t/resize", {"cols": 90, "rows": 20}).json["cols"] == 90
    ws.send(ws.BINARY, b"PS1=; stty size; exit 3\n")
    said, closed = b"", b""
    while True:
        opcode, data = ws.receive()
        if opcode == ws.CLOSE:
            closed = data
            break
        said += data
    assert b"20 90" in said and json.loads(closed[2:]) == {"exitCode": 3}
    failure(shared.tool("GET", "/process/pty/t"), 404)


def test_terminals_are_listed_and_deleted(shared):
    assert shared.tool("POST", "/process/pty", {"id": "u", "envs": {"E": "1"}}).json == {"sessionId": "u"}
    failure(shared.tool("POST", "/process/pty", {"id": "u"}), 409)
    failure(shared.tool("POST", "/process/pty", {"id": "v", "cols": 5000}), 400)
    [listed] = shared.tool("GET", "/process/pty").json["sessions"]
    assert (listed["id"], listed["active"], listed["envs"]["E"]) == ("u", True, "1")
    assert shared.tool("DELETE", "/process/pty/u").status == 200
    assert shared.tool("GET", "/process/pty").json == {"sessions": []}


def interpret(box, **request):
    ws = WebSocket(box.server.socket, f"{TOOLBOX}/{box.id}/process/interpreter/execute", box.server.token)
    ws.send_json(request)
    told = []
    while True:
        opcode, data = ws.receive()
        if opcode == ws.CLOSE:
            return told, int.from_bytes(data[:2], "big")
        told.append(json.loads(data))


def test_the_interpreter_keeps_its_variables_but_not_the_environment(shared):
    told, code = interpret(shared, code="import os\nx = 1\nprint(os.environ['Q'])", envs={"Q": "it's"})
    assert told[0] == {"type": "stdout", "text": "it's\n"} and told[-1]["text"] == "completed" and code == 1000
    told, _ = interpret(shared, code="print(x, os.environ.get('Q'))\nnot_there")
    assert told[0]["text"] == "1 None\n" and told[1]["type"] == "error" and told[1]["name"] == "NameError"
    assert interpret(shared, code="while True: pass", timeout=1)[1] == 4008
    assert interpret(shared, code="")[1] == 1008
    assert interpret(shared, code="1", contextId="none")[1] == 1008


def test_contexts_are_apart_from_each_other(shared):
    context = shared.tool("POST", "/process/interpreter/context", {"cwd": "/tmp"}).json
    told, _ = interpret(shared, code="import os\nprint(os.getcwd(), 'x' in dir())", contextId=context["id"])
    assert told[0]["text"] == "/tmp False\n"
    assert [c["id"] for c in shared.tool("GET", "/process/interpreter/context").json["contexts"]] == [context["id"]]
    assert shared.tool("DELETE", f"/process/interpreter/context/{context['id']}").status == 200
    failure(shared.tool("DELETE", "/process/interpreter/context/default"), 400)


# ---- files ----

def test_files_go_in_and_out_whole(shared):
    files = {"up/a b.txt": b"one\n", "/tmp/binary": bytes(range(256)) * 5000, "up/empty": b""}
    told = shared.upload(files).json["files"]
    assert {f["path"]: f["bytes"] for f in told} == {path: len(data) for path, data in files.items()}
    for path, data in files.items():
        assert shared.download(path).body == data
    failure(shared.download("up/none"), 404, "FILE_NOT_FOUND")
    body = shared.tool("POST", "/files/bulk-download", {"paths": ["up/a b.txt", "none", "/tmp/binary", "up"]})
    parts = body.body.split(b"--DAYTONA-FILE-BOUNDARY")
    assert len(parts) == 6 and parts[-1] == b"--\r\n"
    assert parts[1].endswith(b"\r\n\r\none\n\r\n") and b"FILE_NOT_FOUND" in parts[2] and b'name="error"' in parts[2]
    assert parts[3].split(b"\r\n\r\n", 1)[1][:-2] == files["/tmp/binary"] and b'name="error"' in parts[4]


def test_an_upload_that_goes_wrong_says_what(shared):
    reply = shared.upload({"/proc/none": b"x", "good": b"y"})
    assert reply.status == 400 and "/proc/none" in reply.json["errors"][0]
    assert shared.download("good").body == b"y"
    missing = b'--b\r\nContent-Disposition: form-data; name="files[0].file"; filename="f"\r\n\r\nx\r\n--b--\r\n'
    reply = shared.tool("POST", "/files/bulk-upload", missing, {"Content-Type": "multipart/form-data; boundary=b"})
    assert reply.status == 400 and "missing .path" in reply.json["errors"][0]
    reply = shared.tool("POST", "/files/bulk-upload", b"junk", {"Content-Type": "text/plain"})
    assert reply.status == 400 and reply.json["errors"]
    cut = b'--b\r\nContent-Disposition: form-data; name="files[0].path"\r\n\r\ncut\r\n' \
          b'--b\r\nContent-Disposition: form-data; name="files[0].file"; filename="f"\r\n\r\nhalf of'
    reply = shared.tool("POST", "/files/bulk-upload", cut, {"Content-Type": "multipart/form-data; boundary=b"})
    assert reply.status == 400 and shared.download("cut").status == 404


def test_a_client_that_goes_away_in_an_upload_leaves_no_file(shared):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(str(shared.server.socket))
    body = b'--b\r\nContent-Disposition: form-data; name="files[0].path"\r\n\r\ngone\r\n' \
           b'--b\r\nContent-Disposition: form-data; name="files[0].file"; filename="f"\r\n\r\nhalf'
    sock.sendall((f"POST {TOOLBOX}/{shared.id}/files/bulk-upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                  f"{shared.server.token}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n")
                 .encode() + body)
    sock.close()
    assert shared.execute("ls")["exitCode"] == 0
    assert shared.download("gone").status == 404


def test_files_are_looked_at_changed_and_removed(shared):
    shared.upload({"d/one.txt": b"red\ngreen\n", "d/sub/two.txt": b"green\n"})
    assert shared.tool("POST", "/files/folder", path="d/new", mode="700").status == 201
    listed = {f["name"]: f for f in shared.tool("GET", "/files", path="d").json}
    assert sorted(listed) == ["new", "one.txt", "sub"] and listed["sub"]["isDir"] and listed["one.txt"]["size"] == 10
    info = shared.tool("GET", "/files/info", path="d/new").json
    assert (info["mode"], info["permissions"]) == ("drwx------", "0700")
    found = shared.tool("GET", "/files/find", path="d", pattern="green").json
    assert [(m["file"].rsplit("/", 1)[1], m["line"]) for m in found] == [("one.txt", 2), ("two.txt", 1)]
    assert len(shared.tool("GET", "/files/search", path="d", pattern="*.txt").json["files"]) == 2
    body = {"files": ["d/one.txt", "d/none"], "pattern": "green", "newValue": "blue"}
    replaced = shared.tool("POST", "/files/replace", body).json
    assert [r["success"] for r in replaced] == [True, False] and replaced[1]["error"]
    assert shared.download("d/one.txt").body == b"red\nblue\n"
    assert shared.tool("POST", "/files/permissions", path="d/one.txt", mode="640").status == 200
    assert shared.tool("GET", "/files/info", path="d/one.txt").json["permissions"] == "0640"
    failure(shared.tool("POST", "/files/permissions", path="d/one.txt", mode="9z"), 400)
    failure(shared.tool("POST", "/files/permissions", path="d/one.txt", owner="nobody-at-all"), 400)
    assert shared.tool("POST", "/files/move", source="d/one.txt", destination="d/new/1").status == 200
    failure(shared.tool("POST", "/files/move", source="d/sub/two.txt", destination="d/new/1"), 409)
    failure(shared.tool("DELETE", "/files", path="d"), 400)
    assert shared.tool("DELETE", "/files", path="d", recursive="true").status == 204
    failure(shared.tool("GET", "/files/info", path="d"), 404, "FILE_NOT_FOUND")
    failure(shared.tool("GET", "/files/info"), 400)


# ---- git, ports, the sandbox itself ----

def test_a_repository_from_init_to_clone(shared):
    def git(method, tail, body=None, status=200, **query):
        reply = shared.tool(method, f"/git{tail}", body, **query)
        assert reply.status == status, reply.body
        return reply.json if reply.body else None

    git("POST", "/init", {"path": "r", "initial_branch": "main"}, 201)
    shared.upload({"r/f": b"1\n", "r/g h": b"2\n"})
    git("POST", "/add", {"path": "r", "files": ["f"]})
    status = git("GET", "/status", path="r")
    assert status["currentBranch"] == "main" and [(f["name"], f["staging"], f["worktree"]) for f in status["fileStatus"]] == [
        ("f", "Added", "Unmodified"), ("g h", "Untracked", "Untracked")]
    commit = git("POST", "/commit", {"path": "r", "message": "first\n\nwhy", "author": "A B", "email": "a@b"})
    assert re.fullmatch("[0-9a-f]{40}", commit["hash"])
    [entry] = git("GET", "/history", path="r")
    assert (entry["hash"], entry["author"], entry["email"]) == (commit["hash"], "A B", "a@b") and entry["message"].startswith("first")
    git("POST", "/branches", {"path": "r", "name": "dev"}, 201)
    assert git("GET", "/branches", path="r") == {"branches": ["dev", "main"]}
    failure(shared.tool("POST", "/git/branches", {"path": "r", "name": "dev"}), 409, "GIT_BRANCH_EXISTS")
    git("POST", "/checkout", {"path": "r", "branch": "main"})
    git("DELETE", "/branches", {"path": "r", "name": "dev"}, 204)
    failure(shared.tool("POST", "/git/checkout", {"path": "r", "branch": "none"}), 404, "GIT_BRANCH_NOT_FOUND")
    git("POST", "/clone", {"url": "file:///home/daytona/r", "path": "c"})
    assert git("GET", "/remotes", path="c") == {"remotes": [{"name": "origin", "url": "file:///home/daytona/r"}]}
    assert git("GET", "/status", path="c")["branchPublished"] is True
    git("POST", "/pull", {"path": "c"})
    git("POST", "/config", {"path": "c", "key": "x.y", "value": "z", "scope": "local"})
    assert git("GET", "/config", path="c", key="x.y", scope="local") == {"value": "z"}
    assert git("GET", "/config", path="c", key="x.none", scope="local") == {"value": None}
    failure(shared.tool("GET", "/git/status", path="/tmp"), 404, "GIT_REPO_NOT_FOUND")


SHOWS_HEADERS = b"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(bytes(self.headers))
http.server.HTTPServer(("127.0.0.1", 8125), Handler).serve_forever()
"""


def test_a_preview_is_open_to_who_has_its_token(server):
    box = Box(server)
    box.upload({"www/index.html": b"hello"})
    box.execute("cd www; python3 -m http.server 8000 >/dev/null 2>&1 & "
                "for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/8000) 2>/dev/null && break; sleep 0.05; done")
    assert 8000 in box.tool("GET", "/port").json["ports"]
    assert box.tool("GET", "/port/8000/in-use").json == {"isInUse": True}
    assert box.tool("GET", "/port/8001/in-use").json == {"isInUse": False}
    link = box.api("GET", "/ports/8000/preview-url").json
    path = urllib.parse.urlsplit(link["url"]).path
    failure(server.request("GET", path, token=None), 401)
    assert server.request("GET", path, token=None, headers={"X-Daytona-Preview-Token": link["token"]}).body == b"hello"
    other = path.replace("/8000/", "/8001/")
    failure(server.request("GET", other, token=None, headers={"X-Daytona-Preview-Token": link["token"]}), 401)
    told = box.api("GET", "/ports/8000/signed-preview-url?expiresInSeconds=600").json
    signed = urllib.parse.urlsplit(told["url"])
    first = server.request("GET", f"{signed.path}?{signed.query}", token=None)
    assert first.status == 303 and "cay_ticket" not in first.headers["Location"]
    cookie = first.headers["Set-Cookie"].split(";")[0]
    assert server.request("GET", first.headers["Location"], token=None, headers={"Cookie": cookie}).body == b"hello"
    failure(server.request("GET", signed.path.replace("/8000/", "/8001/") + "?" + signed.query, token=None), 401)
    by_name = {"Host": f"8000-{box.id}.localhost"}
    assert server.request("GET", "/?cay_ticket=" + link["token"], token=None, headers=by_name).status == 303
    assert server.request("GET", "/?cay_ticket=" + told["token"], token=None, headers=by_name).status == 401  # where nobody knows its end
    assert box.api("POST", f"/ports/8000/signed-preview-url/{told['token']}/expire").status == 200
    failure(server.request("GET", first.headers["Location"], token=None, headers={"Cookie": cookie}), 401)
    failure(box.api("POST", f"/ports/8000/signed-preview-url/{told['token']}/expire"), 404)
    assert box.api("POST", "/public/true").json["public"] is True
    assert server.request("GET", path, token=None).body == b"hello"
    box.upload({"show.py": SHOWS_HEADERS})
    box.execute("python3 show.py >/dev/null 2>&1 & "
                "for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/8125) 2>/dev/null && break; sleep 0.05; done")
    link = box.api("GET", "/ports/8125/preview-url").json
    seen = server.request("GET", urllib.parse.urlsplit(link["url"]).path, token=None, headers={
        "X-Daytona-Preview-Token": link["token"], "X-Kept": "yes"}).body.decode()
    assert "X-Kept: yes" in seen and link["token"] not in seen
    box.delete()


def test_a_signed_link_expires_when_it_was_asked_to(shared):
    server = shared.server
    for seconds in "0", "-1", "soon", "86401":
        failure(shared.api("GET", f"/ports/8000/signed-preview-url?expiresInSeconds={seconds}"), 400)
    before = int(time.time())
    told = shared.api("GET", "/ports/8000/signed-preview-url").json
    assert before + 60 <= int(told["token"].split("-")[0]) <= time.time() + 60
    link = urllib.parse.urlsplit(told["url"])
    assert server.request("GET", f"{link.path}?{link.query}", token=None).status == 303
    short = shared.api("GET", "/ports/8000/signed-preview-url?expiresInSeconds=1").json
    link = urllib.parse.urlsplit(short["url"])
    path = f"{link.path}?{link.query}"
    wait_until(lambda: server.request("GET", path, token=None).status == 401, "the link expires")
    assert time.time() >= int(short["token"].split("-")[0])
    longer = short["token"].replace(short["token"].split("-")[0], str(before + 9999))  # the end is a part of what is signed
    failure(server.request("GET", f"{link.path}?cay_ticket={longer}", token=None), 401)


def test_a_link_that_was_ended_stays_so_when_the_server_is_killed(own_server):
    box = Box(own_server)
    told = box.api("GET", "/ports/8000/signed-preview-url?expiresInSeconds=600").json
    link = urllib.parse.urlsplit(told["url"])
    assert own_server.request("GET", f"{link.path}?{link.query}", token=None).status == 303
    assert box.api("POST", f"/ports/8000/signed-preview-url/{told['token']}/expire").status == 200
    own_server.kill_server()
    failure(own_server.request("GET", f"{link.path}?{link.query}", token=None), 401)


def test_directories_variables_and_use(shared):
    assert shared.tool("GET", "/work-dir").json == shared.tool("GET", "/user-home-dir").json == {"dir": "/home/daytona"}
    assert shared.tool("POST", "/env", {"set": {"NEW": "1"}}).status == 204
    assert shared.execute("echo $NEW")["result"] == "1\n"
    assert shared.tool("POST", "/env", {"unset": ["NEW"]}).status == 204
    assert shared.execute("echo [$NEW]")["result"] == "[]\n"
    assert shared.tool("GET", "/system/metrics").json["memTotal"] > 0


def test_older_clients_find_the_toolbox_below_the_api(shared):
    path = f"{API}/toolbox/{shared.id}/toolbox/process/execute"
    assert shared.server.request("POST", path, {"command": "echo hi"}).json["result"] == "hi\n"


def test_a_sandbox_made_elsewhere_is_one_here_too(server):
    made = server.create(name="elsewhere")
    reply = server.request("POST", f"{TOOLBOX}/{made.id}/process/execute", {"command": "pwd"})
    assert reply.json == {"exitCode": 0, "result": "/workspace\n"}
    record = server.request("GET", f"{API}/sandbox/elsewhere").json
    assert record["id"] == made.id and record["autoStopInterval"] == 0
    made.delete()
    assert server.request("GET", f"{API}/sandbox/{made.id}").status == 404


def test_sandboxes_survive_the_server_and_their_shells_do_not(own_server):
    box = Box(own_server, labels={"kept": "yes"}, autoStopInterval=7)
    stopped = Box(own_server)
    stopped.api("POST", "/stop")
    box.tool("POST", "/process/session", {"sessionId": "s"})
    box.session("s", "sleep 1000 & echo kept > file")
    own_server.kill_server()
    own_server.wait_until_up()
    record = box.api("GET").json
    assert (record["state"], record["labels"], record["autoStopInterval"]) == ("started", {"kept": "yes"}, 7)
    assert stopped.state() == "stopped"
    failure(box.tool("GET", "/process/session/s"), 404)
    assert box.execute("cat file")["result"] == "kept\n"
    # What the old shell had started is in its group, and is ended with it.
    waiting = "for i in $(seq 200); do pgrep sleep >/dev/null || break; sleep 0.05; done; pgrep -c sleep; true"
    assert box.execute(waiting)["result"] == "0\n"


def test_the_envs_of_a_terminal_come_as_a_subprotocol(shared):
    envs = base64.urlsafe_b64encode(json.dumps({"FOO": "b?r"}).encode()).rstrip(b"=").decode()
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(str(shared.server.socket))
    sock.sendall((f"GET {TOOLBOX}/{shared.id}/process/pty/create-connect?id=w HTTP/1.1\r\nHost: localhost\r\n"
                  f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {base64.b64encode(b'k' * 16).decode()}\r\n"
                  f"Sec-WebSocket-Version: 13\r\nAuthorization: Bearer {shared.server.token}\r\n"
                  f"Sec-WebSocket-Protocol: X-Daytona-Pty-Exit-Control, X-Daytona-Pty-Envs~{envs}\r\n\r\n").encode())
    head = sock.recv(4096)
    assert b" 101 " in head and b"Sec-WebSocket-Protocol: X-Daytona-Pty-Exit-Control" in head
    assert shared.tool("GET", "/process/pty/w").json["envs"]["FOO"] == "b?r"
    shared.tool("DELETE", "/process/pty/w")
    sock.close()
