# SPDX-License-Identifier: Apache-2.0
"""The OpenSandbox face without OpenSandbox's SDKs: life cycle, endpoints, commands, sessions, files, interpreter, terminals."""
import contextlib
import datetime
import http.client
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import pytest

from conftest import WebSocket
from processes import memory_kib
from waiting import PATIENCE, wait_until

IMAGE = "opensandbox/code-interpreter:v1.0.2"


def api(server, method, path, body=None, key="", **headers):
    key = server.token if key == "" else key
    return server.request(method, f"/opensandbox/v1{path}", body, token=None,
                          headers={**({"OPEN-SANDBOX-API-KEY": key} if key else {}), **headers})


def at(seconds):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.isoformat()


def failure(reply, status, code=None):
    """Its message, once it has been checked that it has OpenSandbox's form."""
    assert reply.status == status, (reply.status, reply.body)
    assert set(reply.json) == {"code", "message"} and reply.headers["X-Request-ID"]
    assert code in (None, reply.json["code"]), reply.json
    return reply.json["message"]


def form(*files):
    """Pairs of metadata and file, as SDKs send them."""
    body = b""
    for metadata, data in files:
        body += (b'--cut\r\nContent-Disposition: form-data; name="metadata"; filename="metadata"\r\n'
                 b"Content-Type: application/json\r\n\r\n" + json.dumps(metadata).encode() + b"\r\n")
        body += (b'--cut\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
                 b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n")
    return body + b"--cut--\r\n", {"Content-Type": "multipart/form-data; boundary=cut"}


class Box:
    """A sandbox, as a client of OpenSandbox has it."""

    def __init__(self, server, **wish):
        self.server = server
        reply = api(server, "POST", "/sandboxes", {"image": {"uri": IMAGE}, "timeout": 600,
                                                   "entrypoint": ["tail", "-f", "/dev/null"], **wish})
        assert reply.status == 202, reply.body
        self.record = reply.json
        self.id = self.record["id"]
        assert reply.headers["Location"].endswith(self.id)
        self.execd_path, self.execd_headers = self.endpoint(44772)

    def api(self, method, tail="", body=None, **more):
        return api(self.server, method, f"/sandboxes/{self.id}{tail}", body, **more)

    def endpoint(self, port, query="", **more):
        reply = self.api("GET", f"/endpoints/{port}{query}", **more)
        assert reply.status == 200, reply.body
        host, _, path = reply.json["endpoint"].partition("/")
        assert ":" in host or host == "localhost", host
        assert path.endswith(f"/{port}")
        return "/" + path, reply.json.get("headers", {})

    def execd(self, method, target, body=None, headers=None, **query):
        path = self.execd_path + target + ("?" + urllib.parse.urlencode(query, doseq=True) if query else "")
        return self.server.request(method, path, body, token=None, headers={**self.execd_headers, **(headers or {})})

    def events(self, target, **body):
        reply = self.execd("POST", target, body)
        assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/event-stream"), reply.body
        found = [json.loads(line) for line in reply.body.decode().split("\n\n") if line and not line.startswith(":")]
        assert all(abs(event["timestamp"] / 1000 - time.time()) < PATIENCE for event in found)
        return [event for event in found if event["type"] != "ping"]

    def run(self, command, target="/command", **more):
        """stdout and stderr as lines, and the exit status."""
        first, *events = self.events(target, command=command, **more)
        assert first["type"] == "init" and first["text"]
        last = events.pop()
        lines = {kind: [e["text"] for e in events if e["type"] == kind] for kind in ("stdout", "stderr")}
        if last["type"] == "execution_complete":
            assert last["execution_time"] >= 0
            return lines["stdout"], lines["stderr"], 0
        assert last["type"] == "error" and last["error"]["ename"] == "CommandExecError" and last["error"]["traceback"]
        return lines["stdout"], lines["stderr"], int(last["error"]["evalue"])

    def open(self, target, body):
        return Stream(self, target, body)

    def background(self, command, **more):
        init, end = self.events("/command", command=command, background=True, **more)
        assert end["type"] == "execution_complete"
        return init["text"]

    def code(self, code, **context):
        return self.events("/code", code=code, **({"context": context} if context else {}))

    def upload(self, *files):
        body, headers = form(*files)
        return self.execd("POST", "/files/upload", body, headers)

    def read(self, path, **headers):
        return self.execd("GET", "/files/download", path=path, headers=headers)

    def info(self, *paths):
        reply = self.execd("GET", "/files/info", path=paths)
        assert reply.status == 200, reply.body
        return reply.json

    def state(self):
        return self.api("GET").json["status"]["state"]

    def delete(self):
        assert self.api("DELETE").status == 204


class Stream:
    """Events as they come."""

    def __init__(self, box, target, body):
        self.connection = box.server.connection()
        self.connection.request("POST", box.execd_path + target, json.dumps(body), box.execd_headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200

    def next(self):
        while True:
            line = self.response.readline()
            assert line, "the stream is over"
            if line.strip() and not line.startswith(b":") and json.loads(line)["type"] != "ping":
                return json.loads(line)

    def until(self, kind):
        while (event := self.next())["type"] != kind:
            pass
        return event

    def close(self):
        self.connection.close()
        self.response.close()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's server may have no cgroups of its own")


@pytest.fixture(scope="module")
def shared(server):
    return Box(server)


def test_a_sandbox_is_made_told_of_listed_and_ended(server):
    box = Box(server, metadata={"who": "ann", "n": "1"}, env={"A": "b c"})
    other = Box(server, metadata={"who": "bob"}, timeout=None)
    detail = box.api("GET").json
    assert (detail["status"]["state"], detail["metadata"]) == ("Running", {"who": "ann", "n": "1"})
    assert detail["image"] == {"uri": IMAGE} and detail["entrypoint"] == ["tail", "-f", "/dev/null"]
    assert detail["createdAt"] < detail["expiresAt"] and "expiresAt" not in other.api("GET").json
    assert box.run("echo $A") == (["b c"], [], 0)

    def listed(**query):
        reply = api(server, "GET", "/sandboxes?" + urllib.parse.urlencode(query, doseq=True)).json
        return [item["id"] for item in reply["items"]], reply["pagination"]
    assert listed(metadata="who%3Dann")[0] == [] and listed(metadata="who=ann")[0] == [box.id]
    assert listed(metadata="who=ann&n=1", state=["Paused", "Running"])[0] == [box.id]
    assert listed(metadata="who=ann", state="Paused")[0] == []
    first, pages = listed(pageSize=1)
    assert len(first) == 1 and pages["hasNextPage"] and pages["totalItems"] == pages["totalPages"] >= 2
    assert not set(first) & set(listed(pageSize=1, page=2)[0])
    for wrong in ("page=0", "pageSize=201", "&".join(["state=x"] * 17), "&".join(f"metadata={'a%3D1%26' * 65}" for _ in "1")):
        failure(api(server, "GET", f"/sandboxes?{wrong}"), 400, "INVALID_REQUEST")
    for each in (box, other):
        each.delete()
        failure(each.api("GET"), 404, "NOT_FOUND")
        failure(each.api("DELETE"), 404)
        assert each.execd("GET", "/ping").status == 401  # as what has never been there


def test_its_time_can_be_changed_and_ends_it(server):
    box = Box(server)
    reply = box.api("POST", "/renew-expiration", {"expiresAt": at(1200)})
    assert reply.status == 200 and reply.json["expiresAt"] == box.api("GET").json["expiresAt"] > box.record["expiresAt"]
    for wrong in ({}, {"expiresAt": at(-5)}, {"expiresAt": "soon"}, {"expiresAt": "9999-01-01T00:00:00Z"}):
        failure(box.api("POST", "/renew-expiration", wrong), 400)
    assert box.api("POST", "/renew-expiration", {"expiresAt": at(0.2)}).status == 200
    wait_until(lambda: box.api("GET").status == 404)


def test_a_time_that_was_changed_is_kept_by_the_next_server(own_server):
    box = Box(own_server, timeout=None)
    box.api("POST", "/renew-expiration", {"expiresAt": at(600)})
    told = box.api("GET").json
    own_server.kill_server()
    own_server.wait_until_up()
    assert box.api("GET").json == told
    assert box.run("echo on") == (["on"], [], 0)
    box.api("POST", "/renew-expiration", {"expiresAt": at(0.2)})
    wait_until(lambda: box.api("GET").status == 404)


@pytest.fixture
def crowded(server_with_small_disk):
    """A server, and what fills its disk, and makes room again."""
    filler = server_with_small_disk.state / "filler"

    def fill(is_full):
        if not is_full:
            filler.unlink(missing_ok=True)
            return
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
    return server_with_small_disk, fill


@pytest.mark.parametrize("has_room_before", [False, True])
def test_what_a_full_disk_does_not_keep_is_no_success_and_is_kept_when_there_is_room(crowded, has_room_before):
    """A rule that was taken away must not come back with the next server because nobody was told that it might."""
    server, fill = crowded
    box = Box(server, networkPolicy={"egress": [{"action": "allow", "target": "one.org"}, {"action": "allow", "target": "two.org"}]})
    path, headers = box.endpoint(18080)

    def names():
        reply = server.request("GET", path + "/policy", token=None, headers=headers)
        return [rule["target"] for rule in reply.json["policy"]["egress"]]
    fill(True)
    told = failure(server.request("DELETE", path + "/policy", ["two.org"], token=None, headers=headers), 507)
    assert "could not be recorded" in told and names() == ["one.org"]
    failure(box.api("PATCH", "/metadata", {"a": "b"}), 507)
    failure(box.api("POST", "/renew-expiration", {"expiresAt": at(3000)}), 507)
    if has_room_before:  # nobody asks for anything meanwhile
        fill(False)
        wait_until(lambda: "two.org" not in record_of(server, box))
    server.kill_server()
    server.wait_until_up()
    fill(False)
    assert names() == (["one.org"] if has_room_before else ["one.org", "two.org"])
    assert box.run("echo in") == (["in"], [], 0)


def record_of(server, box):
    """What is on the disk of its note."""
    with tempfile.TemporaryDirectory() as copy:
        for name in ("state.db", "state.db-wal"):
            shutil.copy(server.state / name, copy)
        with contextlib.closing(sqlite3.connect(f"{copy}/state.db")) as db:
            return db.execute("SELECT note FROM sandboxes WHERE id = ?", [box.id]).fetchone()[0]


@needs_root
def test_it_pauses_and_goes_on(server):
    box = Box(server)
    failure(box.api("POST", "/resume"), 409, "CONFLICT")
    assert box.api("POST", "/pause").status == 202 and box.state() == "Paused"
    failure(box.api("POST", "/pause"), 409, "CONFLICT")
    failure(box.execd("GET", "/ping"), 503)
    failure(box.execd("POST", "/command", {"command": "true"}), 503)
    assert box.api("POST", "/resume").status == 202 and box.state() == "Running"
    assert box.execd("GET", "/ping").status == 200
    box.delete()


def test_metadata_is_merged(server):
    box = Box(server, metadata={"a": "1", "b": "2"})
    reply = box.api("PATCH", "/metadata", {"b": None, "c": "3", "missing": None})
    assert reply.status == 200 and reply.json["metadata"] == {"a": "1", "c": "3"} == box.api("GET").json["metadata"]
    for wrong in ({"opensandbox.io/x": "1"}, {"a": 1}, {"a": "not a label"}, {"-a": "1"}, {"a": "x" * 64}):
        failure(box.api("PATCH", "/metadata", wrong), 400)
    assert box.api("GET").json["metadata"] == {"a": "1", "c": "3"}
    box.delete()


def test_what_is_too_much_to_be_kept_changes_nothing(server):
    box = Box(server, image={"uri": "opensandbox/code-interpreter:latest"}, metadata={"a": "1"},
              entrypoint=["/opt/code-interpreter/start.sh", "x" * (2 * 1024 * 1024 - 2000)])
    much = {f"p{i}." + "d" * 200 + f"/{i}": "y" * 63 for i in range(20)}
    failure(box.api("PATCH", "/metadata", much), 413)
    told = box.api("GET").json
    assert told["metadata"] == {"a": "1"}
    assert box.api("PATCH", "/metadata", {"a": "2"}).json["metadata"] == {"a": "2"}
    box.delete()


def test_who_comes_in(server, shared):
    for key in (None, "wrong", shared.execd_headers["X-EXECD-ACCESS-TOKEN"]):
        failure(api(server, "GET", "/sandboxes", key=key), 401, "UNAUTHORIZED")
    other = Box(server)
    for headers in ({}, {"X-EXECD-ACCESS-TOKEN": "wrong"}, other.execd_headers, other.endpoint(18080)[1],
                    {"OpenSandbox-Secure-Access": shared.execd_headers["X-EXECD-ACCESS-TOKEN"]}):
        reply = server.request("GET", shared.execd_path + "/ping", token=None, headers=headers)
        failure(reply, 401)
    assert server.request("GET", shared.execd_path + "/ping", token=None,
                          headers={"OPEN-SANDBOX-API-KEY": server.token}).status == 200
    other.delete()
    made = server.create()  # another face's is none of this one's
    failure(api(server, "GET", f"/sandboxes/{made.id}"), 404)
    failure(api(server, "GET", f"/sandboxes/{made.id}/endpoints/44772"), 404)
    made.delete()


def test_a_narrower_token_of_cay_is_for_one_sandbox(server, shared):
    token = server.request("POST", f"/v1/sandboxes/{shared.id}/tokens", {}).json["token"]
    other = Box(server)
    assert shared.api("GET", key=token).status == 200
    assert shared.endpoint(44772, key=token)[1]["X-EXECD-ACCESS-TOKEN"]
    for reply in (other.api("GET", key=token), api(server, "GET", "/sandboxes", key=token), shared.api("DELETE", key=token)):
        failure(reply, 403, "FORBIDDEN")
    other.delete()


def test_a_request_has_an_id(server):
    assert api(server, "GET", "/sandboxes/none", **{"X-Request-ID": "mine-1"}).headers["X-Request-ID"] == "mine-1"
    own = api(server, "GET", "/sandboxes/none", **{"X-Request-ID": "x" * 200}).headers["X-Request-ID"]
    assert own and own != api(server, "GET", "/sandboxes/none").headers["X-Request-ID"]


def test_what_is_not_offered_is_refused(server):
    def refused(status, **wish):
        reply = api(server, "POST", "/sandboxes", {"image": {"uri": IMAGE}, "entrypoint": ["sh"], "timeout": 60, **wish})
        return failure(reply, status)
    refused(404, image={"uri": "no/such:image"})
    refused(400, image=None)
    refused(400, snapshotId="x")
    refused(404, image=None, snapshotId="x")
    refused(400, timeout=59)
    refused(400, timeout="60")
    refused(400, entrypoint=[])
    refused(400, entrypoint="sh")
    refused(400, metadata={"a": "b c"})
    refused(400, resourceLimits={"cpu": "much"})
    refused(501, resourceLimits={"bandwidth": "1"})
    refused(501, platform={"os": "windows", "arch": "amd64"})
    refused(501, credentialProxy={"enabled": True})
    refused(501, extensions={"poolRef": "p"})
    refused(501, credentialProxy={"enabled": "true"})
    refused(400, resourceLimits=["memory", "1Mi"])
    refused(501, volumes=[{"name": "v", "mountPath": "/v", "pvc": {"claimName": "c"}}])
    refused(400, volumes={"name": "v"})
    refused(501, volumes=[{"name": "v", "mountPath": "/v", "host": {"path": "/tmp"}, "pvc": {"claimName": "c"}}])
    for host in ("/tmp", {}, {"path": ""}, {"path": 1}, {"path": "/tmp", "readOnly": True}):
        refused(400, volumes=[{"name": "v", "mountPath": "/v", "host": host}])
    for read_only in ("true", 1, [], {}):
        refused(400, volumes=[{"name": "v", "mountPath": "/v", "host": {"path": "/tmp/x"}, "readOnly": read_only}])
    assert "ports" in refused(400, networkPolicy={"egress": [{"action": "allow", "target": "a.org", "ports": [443]}]})
    refused(400, networkPolicy={"egress": [{"action": "allow", "target": ["a.org"]}]})
    refused(400, networkPolicy={"defaultAction": ["allow"]})
    assert "ingress" in refused(400, networkPolicy={"defaultAction": "deny", "ingress": []})
    refused(413, networkPolicy={"defaultAction": "deny"}, entrypoint=["sh", "x" * 2_500_000])
    refused(400, volumes=[{"name": "v", "mountPath": "/v", "host": {"path": "/tmp"}, "subPath": "../etc"}])
    assert "unheardOf" in refused(400, unheardOf=1)
    assert "entrypoint" in refused(404, entrypoint=["/no/such/program"])
    for body in (b"{", b"[]", b"\xff"):
        failure(api(server, "POST", "/sandboxes", body), 400)
    assert api(server, "GET", "/sandboxes").json["pagination"]["totalItems"] == len(
        [b for b in api(server, "GET", "/sandboxes?pageSize=200").json["items"] if b["status"]["state"] == "Running"])


def test_limits_that_sdks_say_by_themselves_keep_nobody_out(server):
    box = Box(server, resourceLimits={"cpu": "1", "memory": "2Gi"})
    assert box.run("echo in") == (["in"], [], 0)
    if os.geteuid() == 0:
        assert box.execd("GET", "/metrics").json["mem_total_mib"] == 2048
    box.delete()


@needs_root
def test_limits_and_the_entrypoint_are_as_asked_for(server):
    box = Box(server, resourceLimits={"cpu": "500m", "memory": "300Mi"}, entrypoint=["sh", "-c", "echo begun >/tmp/begun; sleep 99"])
    metrics = box.execd("GET", "/metrics").json
    assert (metrics["cpu_count"], metrics["mem_total_mib"]) == (0.5, 300.0)
    assert 0 <= metrics["cpu_used_pct"] <= 100 and 0 <= metrics["mem_used_mib"] <= 300
    assert box.run("until [ -s /tmp/begun ]; do :; done; cat /tmp/begun")[0] == ["begun"]
    box.delete()


@needs_root
def test_metrics_are_of_now(server):
    box = Box(server)
    assert box.execd("GET", "/metrics").json["cpu_used_pct"] < 50
    busy = box.background("while :; do :; done")
    cores = box.execd("GET", "/metrics").json["cpu_count"]
    wait_until(lambda: box.execd("GET", "/metrics").json["cpu_used_pct"] * cores > 25)
    box.execd("DELETE", "/command", id=busy)
    wait_until(lambda: box.execd("GET", "/metrics").json["cpu_used_pct"] * cores < 20)
    for _ in range(20):  # who goes away while it is measured leaves nothing
        connection = server.connection()
        connection.request("GET", box.execd_path + "/metrics", headers=box.execd_headers)
        connection.close()
    assert box.run("echo in") == (["in"], [], 0)
    box.delete()


def test_metrics_are_told_again_and_again(shared):
    connection = shared.server.connection()
    connection.request("GET", shared.execd_path + "/metrics/watch", headers=shared.execd_headers)
    response = connection.getresponse()
    seen = [json.loads(response.readline()) for _ in range(2)]
    assert seen[0]["timestamp"] < seen[1]["timestamp"] and seen[0]["cpu_count"] > 0
    response.close()
    connection.close()


def test_a_command_tells_its_lines_and_its_end(shared):
    assert shared.run("printf 'a\\n\\nb\\r\\nc'; echo oops >&2; exit 3") == (["a", "\n", "b", "c"], ["oops"], 3)
    assert shared.run("pwd; id -u; echo $X$HOME", cwd="/tmp", envs={"X": "x:"})[0] == ["/tmp", "0", "x:/root"]
    assert shared.run("no-such-command")[2] == 127
    assert shared.run("kill -9 $$")[2] == -1
    assert shared.run("sleep 100", timeout=50)[2] == -1
    long = "x" * 600_000
    assert "".join(shared.run(f"head -c {len(long)} /dev/zero | tr '\\0' x")[0]) == long
    assert shared.run("printf '\\377\\n\\303\\244'")[0] == ["\ufffd", "ä"]
    for wrong in ({}, {"command": ""}, {"command": "true", "gid": 1}, {"command": "true", "timeout": -1},
                  {"command": "true", "cwd": "/nowhere"}, {"command": "a\0b"}, {"command": "true", "envs": {"A": 1}}):
        failure(shared.execd("POST", "/command", wrong), 400, "INVALID_REQUEST_BODY")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's sandbox may have one user only")
def test_a_command_runs_as_another_user(shared):
    assert shared.run("id -u; id -g", uid=1000, gid=1000)[0] == ["1000", "1000"]
    assert shared.run("touch /root/x", uid=1000)[2] == 1


def test_a_command_in_the_background_is_asked_about(shared):
    command = shared.background("echo one; echo two >&2; read line; echo $line; until [ -e /tmp/go ]; do sleep 0.01; done; exit 4")
    logs = wait_until(lambda: (r := shared.execd("GET", f"/command/{command}/logs")).body.endswith(b"two\n\n") and r)
    assert logs.body == b"one\ntwo\n\n" and logs.headers["Content-Type"].startswith("text/plain")
    status = shared.execd("GET", f"/command/status/{command}").json
    assert (status["id"], status["running"]) == (command, True) and "exit_code" not in status and "read line" in status["content"]
    shared.run("touch /tmp/go")
    status = wait_until(lambda: not (s := shared.execd("GET", f"/command/status/{command}").json)["running"] and s)
    assert status["exit_code"] == 4 and status["error"] == "exit status 4" and status["started_at"] <= status["finished_at"]
    cursor = logs.headers["EXECD-COMMANDS-TAIL-CURSOR"]
    assert shared.execd("GET", f"/command/{command}/logs", cursor=cursor).body == b""
    assert shared.execd("GET", f"/command/{command}/logs", cursor=4).body == b"two\n\n"
    failure(shared.execd("GET", "/command/status/none"), 404)
    failure(shared.execd("GET", "/command/none/logs"), 404)
    failure(shared.execd("GET", f"/command/{command}/logs", cursor="x"), 400)


def test_a_command_is_interrupted(shared):
    stream = shared.open("/command", {"command": "echo begun; sleep 1000"})
    command = stream.until("init")["text"]
    stream.until("stdout")
    assert shared.execd("DELETE", "/command", id=command).status == 200
    assert stream.until("error")["error"]["evalue"] in ("-1", "143")
    stream.close()
    stubborn = shared.background("trap '' TERM; echo ready; while :; do sleep 0.01; done")
    wait_until(lambda: shared.execd("GET", f"/command/{stubborn}/logs").body)
    assert shared.execd("DELETE", "/command", id=stubborn).status == 200
    wait_until(lambda: not shared.execd("GET", f"/command/status/{stubborn}").json["running"])
    failure(shared.execd("DELETE", "/command", id="none"), 404)
    failure(shared.execd("DELETE", "/command"), 400, "MISSING_QUERY")


def test_a_client_that_goes_away_leaves_its_command(shared):
    stream = shared.open("/command", {"command": "echo begun; until [ -e /tmp/went ]; do sleep 0.01; done; echo done >/tmp/done"})
    stream.until("stdout")
    stream.close()
    shared.run("touch /tmp/went")
    assert shared.run("until [ -s /tmp/done ]; do :; done; cat /tmp/done")[0] == ["done"]


def test_a_client_that_is_slow_is_waited_for(shared):
    """More than the server holds for anybody."""
    stream = shared.open("/command", {"command": "head -c 32000000 /dev/zero | tr '\\0' x | fold -w 1000; echo; echo end"})
    lines = 0
    stream.until("init")
    while (event := stream.next())["type"] == "stdout" and event["text"] != "end":
        lines += 1
    assert event["text"] == "end" and lines == 32_000
    stream.close()


def test_a_session_keeps_what_its_commands_leave(shared):
    session = shared.execd("POST", "/session", {"cwd": "/tmp"}).json["session_id"]
    target = f"/session/{session}/run"
    assert shared.run("pwd", target)[0] == ["/tmp"]
    assert shared.run("export A=1; B='x\ny'; f() { echo f $1; }; cd /var", target) == ([], [], 0)
    assert shared.run("sh -c 'echo $A'; echo \"$B\"; f 2; pwd", target)[0] == ["1", "x", "y", "f 2", "/var"]
    assert shared.run("pwd", target, cwd="/usr")[0] == ["/usr"] == shared.run("pwd", target)[0]
    assert shared.run("exit 7", target)[2] == 7
    assert shared.run("echo $A; echo err >&2; false", target) == (["1"], ["err"], 1)
    assert shared.execd("DELETE", f"/session/{session}").status == 200
    failure(shared.execd("POST", target, {"command": "true"}), 404, "CONTEXT_NOT_FOUND")
    failure(shared.execd("DELETE", f"/session/{session}"), 404)
    failure(shared.execd("POST", "/session/..%2Fx/run", {"command": "true"}), 404)
    failure(shared.execd("POST", "/session", {"cwd": "/nowhere"}), 400)
    assert shared.execd("POST", "/session").status == 200


def test_a_session_has_one_command_at_a_time(shared):
    session = shared.execd("POST", "/session", {}).json["session_id"]
    target = f"/session/{session}/run"
    stream = shared.open(target, {"command": "echo begun; sleep 1000"})
    assert stream.until("init")["text"] == session
    stream.until("stdout")
    failure(shared.execd("POST", target, {"command": "true"}), 409)
    assert shared.execd("DELETE", "/command", id=session).status == 200
    stream.until("error")
    stream.close()
    assert shared.run("echo again", target)[0] == ["again"]


def test_files_are_stored_told_of_and_read(shared):
    text = "Hello!\nåäö\n".encode()
    reply = shared.upload(({"path": "/tmp/f/a.txt", "mode": 644}, text), ({"path": "/tmp/f/b", "mode": 600}, b"\0\xff"))
    assert (reply.status, reply.body) == (200, b"") and reply.headers["Content-Length"] == "0"
    info = shared.info("/tmp/f/a.txt", "/tmp/f")
    assert info["/tmp/f/a.txt"].items() >= {"path": "/tmp/f/a.txt", "type": "file", "size": len(text), "mode": 644,
                                           "owner": "root", "group": "root"}.items()
    assert info["/tmp/f"]["type"] == "directory" and info["/tmp/f/a.txt"]["modified_at"].endswith("Z")
    whole = shared.read("/tmp/f/a.txt")
    assert whole.body == text and "a.txt" in whole.headers["Content-Disposition"]
    for header, status, body, part in (("bytes=0-4", 206, text[:5], f"bytes 0-4/{len(text)}"), ("bytes=6-", 206, text[6:], None),
                                       ("bytes=-3", 206, text[-3:], None), ("bytes=2-999", 206, text[2:], None),
                                       ("lines=1", 200, text, None), ("bytes=9-1", 200, text, None)):
        reply = shared.read("/tmp/f/a.txt", Range=header)
        assert (reply.status, reply.body) == (status, body), header
        assert part is None or reply.headers["Content-Range"] == part
    failure(shared.read("/tmp/f/a.txt", Range="bytes=999-"), 416)
    failure(shared.read("/tmp/f/none"), 404, "FILE_NOT_FOUND")
    failure(shared.execd("GET", "/files/download"), 400, "MISSING_QUERY")
    failure(shared.execd("GET", "/files/info", path="/tmp/f/none"), 404, "FILE_NOT_FOUND")
    assert shared.execd("GET", "/files/info").json == {}


def test_a_large_file_goes_both_ways(shared):
    data = os.urandom(1 << 20) * 24
    assert shared.upload(({"path": "/tmp/large"}, data)).status == 200
    assert shared.read("/tmp/large").body == data
    assert shared.read("/tmp/large", Range=f"bytes={20 << 20}-{(22 << 20) - 1}").body == data[20 << 20:22 << 20]


def test_an_upload_that_is_no_pair_is_refused(shared):
    body, headers = form(({"path": "/tmp/pair"}, b"x"))
    cut = body.index(b"--cut", 1)
    for wrong in (b"--cut--\r\n", body[:cut] + b"--cut--\r\n", body[cut:], body[:-12], form(({}, b"x"))[0],
                  form(({"path": "/tmp/pair", "mode": 999}, b"x"))[0], form(({"path": "x" * 20_000}, b"x"))[0]):
        assert shared.execd("POST", "/files/upload", wrong, headers).status in (400, 413), wrong
    failure(shared.execd("POST", "/files/upload", body, {"Content-Type": "text/plain"}), 400)
    assert shared.run("[ -e /tmp/pair ]")[2] == 1


def test_files_are_changed(shared):
    shared.upload(({"path": "/tmp/c/a"}, b"one two one"), ({"path": "/tmp/c/b"}, b"none"))
    reply = shared.execd("POST", "/files/replace?verbose=true", {"/tmp/c/a": {"old": "one", "new": "1"}, "/tmp/c/b": {"old": "x", "new": "y"}})
    assert reply.json == {"/tmp/c/a": {"replacedCount": 2}, "/tmp/c/b": {"replacedCount": 0}}
    assert shared.read("/tmp/c/a").body == b"1 two 1"
    failure(shared.execd("POST", "/files/replace", {"/tmp/c/a": {"old": "", "new": "y"}}), 400)
    assert shared.execd("POST", "/files/mv", [{"src": "/tmp/c/a", "dest": "/tmp/c/new/a"}]).body == b""
    failure(shared.execd("POST", "/files/mv", [{"src": "/tmp/c/a", "dest": "/tmp/c/x"}]), 404)
    failure(shared.execd("POST", "/files/mv", [{"src": "/tmp/c/b", "dest": "/tmp/c/new/a"}]), 409)
    failure(shared.execd("POST", "/files/mv", [{"src": "/tmp/c/b"}]), 400)
    assert shared.execd("DELETE", "/files", path=["/tmp/c/b", "/tmp/c/none"]).status == 200
    failure(shared.execd("DELETE", "/files", path="/tmp/c/new"), 400)
    assert shared.execd("DELETE", "/directories", path=["/tmp/c", "/tmp/none"]).status == 200
    assert shared.run("[ -e /tmp/c ]")[2] == 1


def test_more_than_a_request_may_name_is_refused(shared):
    """Each would cost the server something for as long as the others take."""
    many = {f"/tmp/{n}": {"mode": 644, "old": "a", "new": "b"} for n in range(1001)}
    for target in ("/files/permissions", "/files/replace", "/directories"):
        failure(shared.execd("POST", target, many), 400)
    failure(shared.execd("POST", "/files/mv", [{"src": "a", "dest": "b"}] * 20_000), 400)
    query = urllib.parse.urlencode([("path", "x")] * 1001)
    for method, target in (("GET", "/files/info"), ("DELETE", "/files"), ("DELETE", "/directories")):
        failure(shared.execd(method, f"{target}?{query}"), 400)


def test_owners_and_permissions_are_set(shared):
    reply = shared.execd("POST", "/directories", {"/tmp/d/one": {"mode": 755}, "/tmp/d/two": {"mode": 700, "owner": "unheard-of"}})
    assert (reply.status, reply.body) == (200, b"")
    assert [i["mode"] for i in shared.info("/tmp/d/one", "/tmp/d/two").values()] == [755, 700]
    shared.upload(({"path": "/tmp/d/one/f"}, b"x"))
    if os.geteuid() == 0:
        wish = {"mode": 640, "owner": "nobody", "group": "nogroup"}
        assert shared.execd("POST", "/files/permissions", {"/tmp/d/one/f": wish}).status == 200
        assert shared.info("/tmp/d/one/f")["/tmp/d/one/f"].items() >= wish.items()
    failure(shared.execd("POST", "/files/permissions", {"/tmp/d/none": {"mode": 644}}), 404, "FILE_NOT_FOUND")
    for wrong in ({"mode": 888}, {"mode": -1}, {"mode": "644"}, {"owner": "-R"}):
        failure(shared.execd("POST", "/files/permissions", {"/tmp/d/one/f": wrong}), 400)


def test_files_are_listed_and_found(shared):
    shared.run("mkdir -p /tmp/l/sub/deep; cd /tmp/l; touch b.txt .a.txt sub/c.txt sub/deep/d.log 'q?x'; ln -s sub link")

    def listed(**query):
        reply = shared.execd("GET", "/directories/list", path="/tmp/l", **query)
        assert reply.status == 200, reply.body
        return [entry["path"].removeprefix("/tmp/l/") for entry in reply.json]
    assert listed() == [".a.txt", "b.txt", "link", "q?x", "sub"] and listed(depth=0) == []
    assert listed(depth=3) == [".a.txt", "b.txt", "link", "q?x", "sub", "sub/c.txt", "sub/deep", "sub/deep/d.log"]

    def found(pattern):
        reply = shared.execd("GET", "/files/search", path="/tmp/l", pattern=pattern)
        return [entry["path"].removeprefix("/tmp/l/") for entry in reply.json]
    assert found("*.txt") == [".a.txt", "b.txt", "sub/c.txt"] and found("[cd].*") == ["sub/c.txt", "sub/deep/d.log"]
    assert found("q\\?x") == ["q?x"] and found("nothing") == []
    assert len(found("**")) == len(shared.execd("GET", "/files/search", path="/tmp/l").json) == 6
    assert "symbolic link" in failure(shared.execd("GET", "/directories/list", path="/tmp/l/link"), 400)
    failure(shared.execd("GET", "/directories/list", path="/tmp/l/b.txt"), 400)
    failure(shared.execd("GET", "/directories/list", path="/tmp/none"), 404)
    failure(shared.execd("GET", "/directories/list", path="/tmp/l", depth=-1), 400)


def test_a_list_of_many_pages_is_whole(shared):
    shared.run("mkdir /tmp/many; cd /tmp/many; seq -f %05g 5000 | xargs touch")
    names = [entry["path"][-5:] for entry in shared.execd("GET", "/directories/list", path="/tmp/many").json]
    assert names == [f"{n:05}" for n in range(1, 5001)]


def test_code_is_run_in_contexts(shared):
    events = shared.code("print('out'); 6 * 7", language="python")
    assert [e["type"] for e in events] == ["init", "stdout", "result", "execution_count", "execution_complete"]
    assert (events[1]["text"], events[2]["results"]) == ("out\n", {"text": "42"})
    context = shared.execd("POST", "/code/context", {"language": "python"}).json
    assert shared.code("x = 1", **context)[0]["text"] == context["id"]
    assert shared.code("x + 1", **context)[1]["results"] == {"text": "2"}
    error = next(e for e in shared.code("x", language="python") if e["type"] == "error")["error"]
    assert error["ename"] == "NameError" and error["traceback"]
    assert context in shared.execd("GET", "/code/contexts", language="python").json
    assert shared.execd("GET", f"/code/contexts/{context['id']}").json == context
    assert shared.execd("DELETE", f"/code/contexts/{context['id']}").status == 200
    for reply in (shared.execd("DELETE", f"/code/contexts/{context['id']}"), shared.execd("GET", "/code/contexts/none"),
                  shared.execd("POST", "/code", {"code": "1", "context": context})):
        failure(reply, 404, "CONTEXT_NOT_FOUND")
    assert shared.execd("DELETE", "/code/contexts", language="python").status == 200
    assert shared.execd("GET", "/code/contexts", language="python").json == []
    failure(shared.execd("POST", "/code", {"code": "1", "context": {"language": "cobol"}}), 400)
    failure(shared.execd("POST", "/code/context", {"language": "java"}), 501, "NOT_SUPPORTED")
    failure(shared.execd("POST", "/code", {"code": ""}), 400)
    assert [e["type"] for e in shared.code("echo a shell")] == ["init", "stdout", "execution_complete"]


def test_code_is_interrupted(shared):
    stream = shared.open("/code", {"code": "print('begun')\nimport time\ntime.sleep(1000)", "context": {"language": "python"}})
    context = stream.until("init")["text"]
    stream.until("stdout")
    assert shared.execd("DELETE", "/code", id=context).status == 200
    assert stream.until("error")["error"]["ename"] == "KeyboardInterrupt"
    stream.close()
    failure(shared.execd("DELETE", "/code", id="none"), 404)


def test_the_interpreters_entrypoint_says_that_there_is_one(server):
    """As SDKs ask: whether something listens where Jupyter would."""
    box = Box(server, entrypoint=["/opt/code-interpreter/code-interpreter.sh"], env={"JUPYTER_PORT": "40001"})
    assert box.run("until bash -c 'exec 3<>/dev/tcp/127.0.0.1/${JUPYTER_PORT:-44771}' 2>/dev/null; do :; done; echo there")[0] == ["there"]
    box.delete()


@needs_root
def test_a_snapshot_is_what_others_are_made_of(server):
    box = Box(server)
    box.run("echo kept >/root/kept")
    reply = box.api("POST", "/snapshots", {"name": "osb-snapshot"})
    assert reply.status == 202 and reply.json["sandboxId"] == box.id and reply.json["status"]["state"] == "Ready"
    snapshot = reply.json["id"]
    assert api(server, "GET", f"/snapshots/{snapshot}").json == reply.json
    found = api(server, "GET", f"/snapshots?sandboxId={box.id}").json
    assert [s["id"] for s in found["items"]] == [snapshot] and found["pagination"]["totalItems"] == 1
    assert api(server, "GET", "/snapshots?state=Failed").json["items"] == []
    box.delete()
    made = api(server, "POST", "/sandboxes", {"snapshotId": snapshot, "timeout": 60})
    assert made.status == 202, made.body
    assert made.json["snapshotId"] == snapshot and made.json["entrypoint"] == ["tail", "-f", "/dev/null"]
    other = Box.__new__(Box)
    other.server, other.id = server, made.json["id"]
    other.execd_path, other.execd_headers = other.endpoint(44772)
    assert other.run("cat /root/kept")[0] == ["kept"]
    failure(api(server, "DELETE", f"/snapshots/{snapshot}"), 409)
    other.delete()
    assert api(server, "DELETE", f"/snapshots/{snapshot}").status == 204
    failure(api(server, "GET", f"/snapshots/{snapshot}"), 404)
    failure(api(server, "DELETE", "/snapshots/host"), 404)


def serve(box, port):
    """A web server inside, that tells what it was asked."""
    box.upload(({"path": "/srv/show.py"}, b"""
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write((self.path + "\\n" + str(self.headers)).encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""))
    box.background(f"python3 /srv/show.py {port}")
    box.run(f"until bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null; do :; done")


def test_a_port_is_reached_by_its_endpoint_alone(server, shared):
    serve(shared, 8123)
    path, headers = shared.endpoint(8123)

    def ask(target, headers):
        return server.request("GET", target, token=None, headers=headers)
    reply = ask(path + "/some/where?x=1", headers)
    assert reply.status == 200 and reply.body.startswith(b"/some/where?x=1\n")
    assert headers["OpenSandbox-Secure-Access"].encode() not in reply.body
    assert ask(path, headers).body.startswith(b"/\n")
    seen = ask(path, {"OPEN-SANDBOX-API-KEY": server.token, "X-Kept": "yes"}).body
    assert b"X-Kept: yes" in seen and server.token.encode() not in seen
    keys = {**shared.execd_headers, "OPENSANDBOX-EGRESS-AUTH": "key-of-the-policy"}
    seen = ask(path, {**headers, **keys}).body
    assert seen.startswith(b"/\n") and not any(key.encode() in seen for key in keys.values()), "shown to the wrong endpoint"
    for wrong in ({}, {"OpenSandbox-Secure-Access": "x"}, shared.execd_headers, shared.endpoint(8124)[1]):
        failure(ask(path + "/", wrong), 401)
    assert ask(shared.endpoint(8124)[0] + "/", shared.endpoint(8124)[1]).status == 502  # nothing listens there
    failure(ask(shared.execd_path + "/nothing/there", shared.execd_headers), 401)
    failure(shared.api("GET", "/endpoints/0"), 400)
    failure(shared.api("GET", "/endpoints/65536"), 400)


def test_a_signed_endpoint_needs_no_header_and_ends(server, shared):
    serve(shared, 8125)
    path, headers = shared.endpoint(8125, f"?expires={int(time.time()) + 600}")
    assert headers == {} and server.request("GET", path + "/x", token=None).body.startswith(b"/x\n")
    other = path.replace("/8125", "/8123")
    failure(server.request("GET", other + "/x", token=None), 401)
    ticket = path.split("/")[5]
    sooner = path.replace(ticket, f"{int(time.time()) - 5}-{ticket.split('-')[1]}")
    failure(server.request("GET", sooner + "/x", token=None), 401)
    for wrong in ("?expires=1", "?expires=x", f"?expires={int(time.time()) + 600}&use_server_proxy=true"):
        failure(shared.api("GET", f"/endpoints/8125{wrong}"), 400)
    failure(shared.api("GET", f"/endpoints/44772?expires={int(time.time()) + 600}"), 400)


def test_a_policy_lets_names_through_and_is_told(server):
    policy = {"defaultAction": "deny", "egress": [{"action": "allow", "target": "pypi.org"}, {"action": "deny", "target": "other.org"}]}
    box = Box(server, networkPolicy=policy)
    assert server.request("GET", f"/v1/sandboxes/{box.id}").json["spec"]["network"] == "proxy"
    path, headers = box.endpoint(18080)

    def ask(method, target, headers=headers):
        return server.request(method, path + target, token=None, headers=headers)
    told = ask("GET", "/policy").json
    assert told["policy"] == policy and told["status"] == "ok"
    failure(ask("GET", "/policy", box.execd_headers), 401)
    failure(ask("POST", "/credential-vault"), 501, "NOT_SUPPORTED")
    box.delete()
    closed = Box(server, networkPolicy={"defaultAction": "deny"})
    assert closed.run("getent hosts pypi.org")[2] == 2
    closed.delete()

    def refused(status, policy):
        reply = api(server, "POST", "/sandboxes", {"image": {"uri": IMAGE}, "entrypoint": ["sh"], "networkPolicy": policy})
        failure(reply, status)
    refused(501, {"defaultAction": "allow", "egress": [{"action": "deny", "target": "bad.org"}]})
    refused(501, {"egress": [{"action": "deny", "target": "a.org"}, {"action": "allow", "target": "a.org"}]})
    refused(501, {"egress": [{"action": "allow", "target": "*.example.org"}, {"action": "deny", "target": "a.example.org"}]})
    refused(400, {"egress": [{"action": "allow", "target": "not a name"}]})
    refused(400, {"egress": [{"action": "maybe", "target": "a.org"}]})
    refused(400, {"defaultAction": "perhaps"})


def test_rules_are_added_and_taken_away_while_it_runs(server):
    """A name that is allowed has an address within; whether the world knows it is another question."""
    box = Box(server, networkPolicy={"egress": [{"action": "allow", "target": "one.example.org"}]})
    path, headers = box.endpoint(18080)

    def change(method, body):
        return server.request(method, path + "/policy", body, token=None, headers=headers)

    def known():
        return [name for name in ("one", "two", "three") if box.run(f"getent hosts {name}.example.org")[2] == 0]
    assert known() == ["one"]
    reply = change("PATCH", [{"action": "allow", "target": "two.example.org"}, {"action": "deny", "target": "two.example.org"},
                             {"action": "deny", "target": "ONE.example.org"}])
    assert reply.status == 200 and reply.json["policy"]["egress"] == [
        {"action": "allow", "target": "two.example.org"}, {"action": "deny", "target": "ONE.example.org"}], reply.body
    assert known() == ["two"]
    assert change("PATCH", [{"action": "allow", "target": "three.example.org"}]).status == 200 and known() == ["two", "three"]
    assert change("DELETE", ["two.example.org", "unheard.of"]).status == 200 and known() == ["three"]
    told = server.request("GET", path + "/policy", token=None, headers=headers).json["policy"]
    assert told == {"defaultAction": "deny", "egress": [{"action": "allow", "target": "three.example.org"},
                                                        {"action": "deny", "target": "ONE.example.org"}]}
    assert any(e["kind"] == "network" and e["data"].get("decision") == "changed" and "three.example.org" in e["data"]["allow"]
               for e in server.request("GET", f"/v1/sandboxes/{box.id}/events").json)
    for wrong in ([], {}, [{"action": "allow", "target": "no name"}], [{"action": "deny", "target": "*.example.org"}], [1]):
        failure(change("PATCH", wrong), 501 if "*.example.org" in str(wrong) else 400)
    assert known() == ["three"]
    box.delete()
    other = Box(server)
    path, headers = other.endpoint(18080)
    failure(change("PATCH", [{"action": "allow", "target": "a.org"}]), 409, "CONFLICT")
    other.delete()


def test_a_directory_of_the_host_is_lent(server):
    with tempfile.TemporaryDirectory(prefix="cay-osb-") as lent:
        os.chmod(lent, 0o777)
        for name in ("in", "sub"):
            os.mkdir(f"{lent}/{name}")
        with open(f"{lent}/sub/marker", "w", encoding="utf-8") as out:
            out.write("lent\n")
        os.chmod(f"{lent}/in", 0o777)
        box = Box(server, volumes=[{"name": "a", "host": {"path": lent}, "pvc": None, "mountPath": "/mnt/a"},
                                   {"name": "b", "host": {"path": lent}, "subPath": "sub", "mountPath": "/mnt/b", "readOnly": True}])
        assert box.run("cat /mnt/b/marker; echo x >/mnt/a/in/x; touch /mnt/b/no")[::2] == (["lent"], 1)
        with open(f"{lent}/in/x", encoding="utf-8") as made:
            assert made.read() == "x\n"
        box.delete()
    reply = api(server, "POST", "/sandboxes", {"image": {"uri": IMAGE}, "entrypoint": ["sh"], "volumes": [
        {"name": "a", "host": {"path": "/etc"}, "mountPath": "/mnt/a"}]})
    assert reply.status >= 400


class Terminal(WebSocket):
    def __init__(self, box, session, query=""):
        super().__init__(box.server.socket, f"{box.execd_path}/pty/{session}/ws{query}", box.server.token)

    def until(self, text, seen=b""):
        """What came until then, whatever channel it came on."""
        while text not in seen:
            opcode, data = self.receive()
            assert opcode == self.BINARY, data
            seen += data[9:] if data[0] == 3 else data[1:]
        return seen

    def type(self, text):
        self.send(self.BINARY, b"\0" + text)

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        super().close()

    def told(self):
        while True:
            opcode, data = self.receive()
            if opcode == self.TEXT:
                return json.loads(data)


def test_a_terminal_is_used_left_and_come_back_to(shared):
    session = shared.execd("POST", "/pty", {"cwd": "/tmp"}).json["session_id"]
    assert shared.execd("GET", f"/pty/{session}").json == {"session_id": session, "running": False, "output_offset": 0}
    first = Terminal(shared, session)
    assert first.told() == {"type": "connected", "session_id": session, "mode": "pty"}
    first.type(b"stty -echo; echo in:$PWD:$((6*7))\n")
    first.until(b"in:/tmp:42")
    first.send_json({"type": "resize", "cols": 101, "rows": 30})
    first.send_json({"type": "stdin", "data": "until [ $(tput cols) = 101 ]; do :; done; echo cols:$(tput cols)\n"})
    first.until(b"cols:101")
    first.send_json({"type": "ping"})
    assert first.told() == {"type": "pong"}
    assert Terminal(shared, session).status == 409
    second = Terminal(shared, session, "?takeover=1")
    opcode, data = first.receive()
    while opcode == first.BINARY:
        opcode, data = first.receive()
    assert (opcode, int.from_bytes(data[:2], "big"), data[2:]) == (first.CLOSE, 4001, b"TAKEN_OVER")
    first.close()
    assert second.told()["type"] == "connected"
    opcode, data = second.receive()
    assert opcode == second.BINARY and data[:9] == b"\3" + bytes(8)  # what was missed, from the beginning
    second.until(b"cols:101", data[9:])
    offset = shared.execd("GET", f"/pty/{session}").json["output_offset"]
    second.close()
    third = wait_until(lambda: (t := Terminal(shared, session, f"?since={offset}")).status == 101 and t)
    assert third.told()["type"] == "connected"
    third.type(b"echo fresh; exit 5\n")
    assert b"cols" not in third.until(b"fresh")
    assert third.told() == {"type": "exit", "exit_code": 5}
    third.close()
    assert shared.execd("DELETE", f"/pty/{session}").status == 200
    failure(shared.execd("GET", f"/pty/{session}"), 404)
    assert Terminal(shared, session).status == 404


def test_a_terminal_of_pipes_keeps_its_outputs_apart(shared):
    session = shared.execd("POST", "/pty", {"command": "read go; echo out; echo err >&2; cat"}).json["session_id"]
    terminal = Terminal(shared, session, "?pty=0")
    terminal.type(b"go\n")  # before there is a shell
    assert terminal.told()["mode"] == "pipe"
    seen = {1: b"", 2: b""}
    while seen != {1: b"out\n", 2: b"err\n"}:
        _, data = terminal.receive()
        seen[data[0]] += data[1:]
    terminal.send_json({"type": "nonsense"})
    assert terminal.told()["code"] == "INVALID_FRAME"
    terminal.send_json({"type": "signal", "signal": "SIGTERM"})
    assert terminal.told()["type"] == "exit"
    terminal.close()
    failure(shared.execd("POST", "/pty", {"cwd": "x" * 5000}), 400)


def test_a_terminal_is_there_whenever_a_socket_has_left(server):
    """The first may go before it has heard that there is a shell."""
    box = Box(server)
    for i in range(12):
        session = box.execd("POST", "/pty", {}).json["session_id"]
        for _ in range(i % 4 + 1):
            Terminal(box, session, "?takeover=1").close()
        terminal = wait_until(lambda: (t := Terminal(box, session, "?takeover=1")).status == 101 and t)
        assert terminal.told()["type"] == "connected"
        terminal.close()
        assert box.execd("DELETE", f"/pty/{session}").status == 200
    box.delete()


def test_lines_without_anything_reach_a_client_that_takes_its_time(shared):
    """Each is an event of some sixty bytes: a frame of them is more than may wait for one who does not read at all."""
    stream = shared.open("/command", {"command": "head -c 1000000 /dev/zero | tr '\\0' '\\n'"})
    stream.until("init")
    time.sleep(0.5)  # it writes meanwhile
    events = stream.response.read()
    assert events.count(b'"type":"stdout","text":"\\n"') == 1000000 and b"execution_complete" in events
    stream.close()


def test_all_of_a_long_log_is_given_whatever_is_in_it(shared):
    command = shared.background("head -c 9000000 /dev/zero; echo end")
    wait_until(lambda: not shared.execd("GET", f"/command/status/{command}").json["running"])
    assert shared.execd("GET", f"/command/{command}/logs").body == bytes(9000000) + b"end\n"


def test_logs_that_nobody_takes_wait_where_they_are(shared):
    command = shared.background("head -c 16000000 /dev/zero")
    wait_until(lambda: not shared.execd("GET", f"/command/status/{command}").json["running"])
    before = memory_kib(shared.server.server_pid())
    with contextlib.ExitStack() as stack:
        for _ in range(16):
            connection = stack.enter_context(contextlib.closing(shared.server.connection()))
            connection.request("GET", f"{shared.execd_path}/command/{command}/logs", headers=shared.execd_headers)
            response = stack.enter_context(connection.getresponse())
            assert response.status == 200 and response.headers["EXECD-COMMANDS-TAIL-CURSOR"] == "16000000"
            assert response.read(1000) == bytes(1000)
        assert memory_kib(shared.server.server_pid()) - before < 64 * 1024, "a fourth of it"
        assert response.read() == bytes(16000000 - 1000)


def test_a_wish_that_fills_all_there_is_for_one_ends_nobody(server):
    """What is decoded may have much memory; what comes after it finds some, too."""
    pid = server.server_pid()
    rules = [{"action": "allow", "target": f"a{i}.org"} for i in range(200)]
    for n in (260_740, 260_800):
        reply = api(server, "POST", "/sandboxes", {"image": {"uri": IMAGE}, "entrypoint": ["sh"], "env": {f"{i:x}": "" for i in range(n)},
                                                   "networkPolicy": {"egress": rules}})
        assert reply.status in (400, 413, 429)
    assert server.server_pid() == pid


def test_patterns_do_not_hold_the_server_up(shared):
    """Of each name a pattern may look at every place; what is asked meanwhile does not wait for a page of that."""
    assert shared.run("mkdir /tmp/names && cd /tmp/names && touch $(seq -f '%0240.0f' 1 3000)")[2] == 0
    worst = "*[" + "0-1" * 80 + "]x"
    failure(shared.execd("GET", "/files/search", path="/tmp", pattern="*" * 256), 400)
    done = []
    thread = threading.Thread(target=lambda: done.append(shared.execd("GET", "/files/search", path="/tmp/names", pattern=worst)))
    thread.start()
    n_answered = 0
    while not done:
        assert shared.execd("GET", "/ping").status == 200
        n_answered += 1
    thread.join()
    assert (done[0].status, done[0].json) == (200, [])
    assert n_answered > 3  # one when it begins, one when it is over, and between its six pages


@contextlib.contextmanager
def flood(program, server, ask):
    with subprocess.Popen([sys.executable, "-c", program, server.socket, ask], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"begun\n"
            yield
        finally:
            process.kill()


def usual_wait(request):
    """The median of some."""
    took = []
    while len(took) < 41:
        before = time.monotonic()
        assert request().status == 200
        took.append(time.monotonic() - before)
    return sorted(took)[20]


PIPELINE = """
import socket, sys, threading
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
threading.Thread(target=lambda: [None for _ in iter(lambda: s.recv(1 << 20), b"")], daemon=True).start()
s.sendall(sys.argv[2].encode())
print("begun", flush=True)
while True:
    s.sendall(sys.argv[2].encode() * 200)
"""


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="it is about time")
def test_requests_one_behind_the_other_do_not_hold_the_others_up(server, shared):
    """Each takes milliseconds, and hundreds are in what is read at once."""
    names = [".".join(["a" * 60] * 3 + [f"b{i}.org"]) for i in range(200)]
    box = Box(server, networkPolicy={"egress": [{"action": "allow", "target": name} for name in names]})
    path, headers = box.endpoint(18080)
    body = '[{"action":"allow","target":"x.org"}]'
    head = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
    ask = f"PATCH {path}/policy HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()) + "\r\n" + body
    one = usual_wait(lambda: server.request("PATCH", f"{path}/policy", body, token=None, headers=headers))
    with flood(PIPELINE, server, ask):
        assert usual_wait(lambda: shared.execd("GET", "/ping")) < 30 * one
    box.delete()


FRAMES = """
import socket, sys, threading
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode())
s.recv(65536)
threading.Thread(target=lambda: [None for _ in iter(lambda: s.recv(1 << 20), b"")], daemon=True).start()
frames = bytes.fromhex("%s") * 5000
print("begun", flush=True)
while True:
    s.sendall(frames)
"""
RESIZE = b'{"type":"resize","cols":80,"rows":24}'
SMALL = {"resizes": bytes([0x81, 0x80 | len(RESIZE)]) + bytes(4) + RESIZE, "pings": bytes([0x89, 0x80]) + bytes(4), "pongs": bytes([0x8a, 0x80]) + bytes(4)}


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="it is about time")
@pytest.mark.parametrize("frame", SMALL.values(), ids=SMALL)
def test_small_messages_without_an_end_do_not_hold_the_others_up(server, shared, frame):
    box = Box(server)
    session = box.execd("POST", "/pty", {"command": "cat"}).json["session_id"]
    first = Terminal(box, session)
    assert first.told()["type"] == "connected"
    head = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "A" * 24, "Sec-WebSocket-Version": "13",
            **box.execd_headers}
    ask = f"GET {box.execd_path}/pty/{session}/ws?takeover=1 HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()) + "\r\n"
    one = usual_wait(lambda: box.execd("GET", f"/pty/{session}"))
    with flood(FRAMES % frame.hex(), server, ask):
        assert usual_wait(lambda: shared.execd("GET", "/ping")) < 200 * one
    first.close()
    box.delete()


def test_what_waits_ends_with_its_sandbox(server):
    box = Box(server)
    session = box.execd("POST", "/pty", {}).json["session_id"]
    terminal = Terminal(box, session)
    terminal.told()
    stream = box.open("/command", {"command": "echo begun; sleep 1000"})
    stream.until("stdout")
    box.delete()
    with pytest.raises((AssertionError, http.client.IncompleteRead, ConnectionError)):
        stream.until("execution_complete")
    for _ in terminal:
        pass
    terminal.close()
    stream.close()


def test_a_body_that_is_cut_off_harms_nobody(server, shared):
    body, headers = form(({"path": "/tmp/cut-off"}, b"x" * 100_000))
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as s:
        head = f"POST {shared.execd_path}/files/upload HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in {**headers, **shared.execd_headers}.items())
        s.sendall(head.encode() + b"\r\n" + body[:50_000])
    assert shared.run("[ -e /tmp/cut-off ]")[2] == 1
    assert shared.execd("GET", "/ping").status == 200
