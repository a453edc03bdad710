# SPDX-License-Identifier: Apache-2.0
"""cay's own protocol, as its clients see it."""
import hashlib
import io
import json
import socket
import tarfile

import pytest
from conftest import PROGRAMS
from processes import memory_kib
from waiting import PATIENCE, wait_until


# Who may ask, and what mistakes look like.

def test_health_needs_no_token(server):
    assert server.request("GET", "/v1/health", token=None).json == {"status": "ok"}


@pytest.mark.parametrize("token", [None, "wrong", "Bearer"])
def test_everything_else_needs_the_token(server, token):
    for path in ("/v1/version", "/v1/sandboxes", "/v1/events", "/v1/openapi.json"):
        reply = server.request("GET", path, token=token)
        assert (reply.status, reply.code) == (401, "unauthorized")


def test_the_token_is_in_a_file_for_its_owner_alone_and_never_logged(server):
    assert (server.state / "token").stat().st_mode & 0o777 == 0o600
    assert len(server.token) >= 26
    assert server.token not in server.log_text()


@pytest.mark.parametrize("path", ["", "/stats", "/events", "/files?path=/x"])
def test_a_sandbox_that_there_is_none_of_is_not_found(server, path):
    reply = server.request("GET", f"/v1/sandboxes/nosuchsandbox{path}")
    assert (reply.status, reply.code) == (404, "not_found")
    assert server.request("POST", "/v1/sandboxes/nosuchsandbox/actions/run", {"command": "x"}).status == 404


def test_an_unknown_route_or_action_is_not_found(server, box):
    assert server.request("GET", "/v1/nothing").code == "not_found"
    assert box.request("POST", "/actions/nothing", {}).code == "not_found"


@pytest.mark.parametrize("body, words", [
    ({"nmae": "x"}, "unknown field 'nmae'"),
    ({"name": 1}, "'name' must be a string"),
    ({"name": "-x"}, "is no name"),
    ({"user": "admin"}, "must be one of agent, root"),
    ({"limits": {"memory": 1}}, "unknown field 'memory'"),
    ({"mounts": [{"source": "/tmp"}]}, "'target' is missing"),
    ({"workdir": "relative"}, "workdir"),
    ({"require": ["magic"]}, "magic"),
    ({"env": {"A=B": "c"}}, "holds '='"),
    ({"timeout_ms": -1}, "must be between"),
    ([], "an object is wanted"),
    ("{", "not JSON"),
])
def test_a_wrong_wish_names_what_is_wrong(server, body, words):
    reply = server.request("POST", "/v1/sandboxes", body)
    assert (reply.status, reply.code) == (400, "invalid_argument")
    assert words in reply.json["error"]["message"]


def test_an_image_that_there_is_none_of_is_named(server):
    reply = server.request("POST", "/v1/sandboxes", {"image": "debian"})
    assert reply.code == "not_found" and "debian" in reply.json["error"]["message"]


def test_wrong_parameters_of_an_action_are_named(box):
    for body in ({"comand": "ls"}, {"command": 5}, {"command": "x", "timeout_ms": "soon"}):
        assert box.request("POST", "/actions/run", body).code == "invalid_argument"


# Sandboxes.

def test_a_sandbox_is_made_found_listed_and_deleted(server):
    box = server.create(name="first", labels={"team": "blue"})
    assert box.record["state"] == "ready"
    assert box.record["labels"] == {"team": "blue"}
    assert "seccomp" in box.record["enforced"]["controls"]
    assert box.record["enforced"]["limits"]["memory_bytes"] == 1 << 30
    for key in (box.id, "first", box.id[:6]):
        assert server.request("GET", f"/v1/sandboxes/{key}").json["id"] == box.id
    assert box.id in [s["id"] for s in server.request("GET", "/v1/sandboxes").json["sandboxes"]]
    box.delete()
    assert box.request("GET").code == "not_found"
    assert box.id not in [s["id"] for s in server.request("GET", "/v1/sandboxes").json["sandboxes"]]


def test_two_living_sandboxes_have_no_name_in_common(server):
    box = server.create(name="twin")
    reply = server.request("POST", "/v1/sandboxes", {"name": "twin"})
    assert (reply.status, reply.code) == (409, "already_exists")
    box.delete()
    server.create(name="twin").delete()


def test_what_cannot_be_enforced_fails_the_create(server):
    there = server.request("GET", "/v1/capabilities").json["controls"]
    box = server.create(require=[name for name, control in there.items() if control["available"]])
    box.delete()
    for name in [name for name, control in there.items() if not control["available"]]:
        reply = server.request("POST", "/v1/sandboxes", {"require": [name]})
        assert reply.status >= 400 and name in reply.json["error"]["message"]


def test_its_environment_reaches_every_session(server):
    box = server.create(env={"GREETING": "hello there"})
    assert box.output("echo $GREETING") == "hello there\n"
    assert box.output("echo $GREETING", session="other") == "hello there\n"
    assert "hello there" not in json.dumps(box.events()[:3])
    box.delete()


def test_sessions_start_in_the_working_directory(server):
    box = server.create(workdir="/srv/project")
    assert box.output("pwd") == "/srv/project\n"
    box.delete()


def test_the_wall_deadline_ends_it(server):
    box = server.create(timeout_ms=300)
    data = box.wait_for_state("ended")
    assert data["reason"] == "its time was up after 300 ms"
    assert box.get()["state"] == "ended"
    assert box.request("POST", "/actions/run", {"command": "true"}).code == "gone"
    box.delete()


def test_the_idle_deadline_waits_for_an_action_under_way(server):
    box = server.create(idle_timeout_ms=300)
    assert box.run("read -t 0.6 < <(sleep 5); echo done")["output"] == "done\n"
    assert box.wait_for_state("ended")["reason"] == "no action for 300 ms"
    box.delete()


def test_a_paused_sandbox_stands_still(server, box):
    box.run("(while :; do echo tick; read -t 0.01 < <(sleep 9); done) > /tmp/ticks & true")
    assert box.request("POST", "/pause").json["state"] == "paused"
    assert box.request("POST", "/actions/run", {"command": "true"}).code == "conflict"
    assert box.request("POST", "/resume").json["state"] == "ready"
    assert box.run("true")["exit_code"] == 0


def test_a_stopped_sandbox_keeps_its_record_and_events(server, box):
    box.run("true")
    assert box.request("POST", "/stop").json["state"] == "stopped"
    assert box.get()["reason"] == "stopped"
    assert [e for e in box.events() if e["kind"] == "action"]
    assert box.request("POST", "/actions/run", {"command": "true"}).code == "gone"


def test_its_use_is_told(box):
    box.run("true")
    usage = box.request("GET", "/stats").json
    assert usage["pids"] >= 1 and usage["memory_bytes"] > 0 and usage["oom_kills"] == 0


# Actions.

def test_a_session_keeps_directory_and_variables(box):
    box.run("cd /usr/lib; export COLOUR=blue; function f { echo f of $COLOUR; }")
    assert box.output("pwd; f") == "/usr/lib\nf of blue\n"


def test_a_failing_command_is_a_result_and_no_error(box):
    result = box.run("ls /nonexistent")
    assert result["exit_code"] == 2 and "nonexistent" in result["output"]


def test_a_program_started_directly_gives_its_output_with_the_result(box):
    result = box.action("exec", argv=["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result["exit_code"], result["stdout"], result["stderr"]) == (3, "out\n", "err\n")


def test_a_stream_of_output_ends_with_the_result(server, box):
    stream = server.events("POST", f"{box.path}/actions/exec", {"argv": ["sh", "-c", "echo é; printf '\\377' >&2; exit 1"]})
    events = list(stream)
    assert [e[0] for e in events][-1] == "result"
    data = [e[2] for e in events if e[0] == "data"]
    assert "".join(d["text"] for d in data if d["channel"] == 1) == "é\n"
    assert [d["base64"] for d in data if d["channel"] == 2] == ["/w=="]
    assert events[-1][2]["exit_code"] == 1


def test_a_stream_that_is_refused_is_an_ordinary_error(box):
    reply = box.request("POST", "/actions/exec", {"argv": 5}, headers={"Accept": "text/event-stream"})
    assert (reply.status, reply.code) == (400, "invalid_argument")


def test_a_client_that_leaves_does_not_end_its_command(server, box):
    connection = server.connection()
    connection.request("POST", f"{box.path}/actions/run", json.dumps(
        {"command": "mkfifo /tmp/f; cat /tmp/f; echo got it > /tmp/done"}), server.headers("", None))
    wait_until(lambda: [s for s in box.action("session_list")["sessions"] if s["status"] == "running"])
    connection.close()
    assert box.output("until [ -p /tmp/f ]; do :; done; echo x > /tmp/f; until [ -s /tmp/done ]; do :; done; cat /tmp/done",
                      session="second") == "got it\n"


def test_many_sandboxes_work_at_once(server):
    boxes = [server.create() for _ in range(8)]
    connections = [server.connection() for _ in boxes]
    for i, (box, connection) in enumerate(zip(boxes, connections)):
        connection.request("POST", f"{box.path}/actions/run", json.dumps({"command": f"echo {i}"}), server.headers("", None))
    for i, connection in enumerate(connections):
        assert json.loads(connection.getresponse().read())["output"] == f"{i}\n"
        connection.close()
    for box in boxes:
        box.delete()


# Files.

def test_a_file_comes_back_byte_for_byte(box):
    data = bytes(range(256)) * 80000
    assert box.put_file("/workspace/deep/down/blob", data).status == 200
    reply = box.get_file("/workspace/deep/down/blob")
    assert reply.status == 200 and hashlib.sha256(reply.body).digest() == hashlib.sha256(data).digest()
    assert reply.headers["Content-Length"] == str(len(data))
    assert box.output("sha256sum < /workspace/deep/down/blob").split()[0] == hashlib.sha256(data).hexdigest()


def test_a_directory_travels_as_an_archive(box):
    box.run("mkdir -p /tmp/d/e; echo one > /tmp/d/1; echo two > /tmp/d/e/2")
    reply = box.get_file("/tmp/d", format="tar")
    assert reply.headers["Content-Type"] == "application/x-tar"
    names = tarfile.open(fileobj=io.BytesIO(reply.body)).getnames()
    assert any(name.endswith("e/2") for name in names)
    assert box.put_file("/tmp/copy", reply.body, kind="tar").status == 200
    assert "two" in box.output("cat $(find /tmp/copy -name 2)")


def test_a_file_that_there_is_none_of_is_not_found(box):
    assert box.get_file("/nonexistent").code == "not_found"
    assert box.request("GET", "/files").code == "invalid_argument"
    assert box.get_file("/etc/hostname", color="blue").code == "invalid_argument"


def test_an_upload_that_breaks_off_leaves_no_file(server, box):
    connection = server.connection()
    connection.putrequest("PUT", f"{box.path}/files?path=/workspace/half")
    for name, value in server.headers("", {"Content-Length": "1000000"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"x" * 500000)
    connection.close()
    follow = [e for e in wait_for_observation(server, box, "upload")]
    assert "error" in follow[-1]["data"]
    assert box.get_file("/workspace/half").code == "not_found"


def wait_for_observation(server, box, action):
    stream = server.events("GET", f"{box.path}/events?follow=1")
    for kind, _, event in stream:
        yield event
        if kind == "observation" and event["data"]["action"] == action:
            stream.close()
            return


def test_a_slow_reader_costs_no_memory(server, box):
    box.run("truncate -s 300M /tmp/big")
    pid = server.server_pid()
    connection = server.connection()
    connection.request("GET", f"{box.path}/files?path=/tmp/big", headers=server.headers("", None))
    response = connection.getresponse()
    before = memory_kib(pid)
    total = 0
    while chunk := response.read(1 << 20):
        total += len(chunk)
        if total % (50 << 20) == 0:
            box.run("true")  # nobody else waits
    assert total == 300 << 20
    quarantine = 256 * 1024 if b"__asan_init" in (PROGRAMS / "cayd").read_bytes() else 0
    assert memory_kib(pid) - before < 16 * 1024 + quarantine
    connection.close()


# Events.

def test_actions_and_observations_are_events(box):
    box.run("echo hi")
    box.action("read", path="/etc/hostname")
    events = box.events()
    assert [e["index"] for e in events] == list(range(1, len(events) + 1))
    action = next(e for e in events if e["kind"] == "action")
    observation = next(e for e in events if e["kind"] == "observation")
    assert action["data"] == {"action": "run", "params": {"command": "echo hi"}}
    assert observation["cause"] == action["seq"]
    assert observation["data"]["result"]["output"] == "hi\n"
    assert not [e for e in events if e["data"].get("action") == "read"]


def test_events_are_read_in_pages(server, box):
    for _ in range(5):
        box.run("true")
    whole = box.events()
    pages, after = [], 0
    while page := box.request("GET", f"/events?after={after}&limit=3").json:
        assert len(page) <= 3
        pages += page
        after = page[-1]["seq"]
    assert pages == whole


def test_a_follower_sees_what_happens_and_resumes_where_it_was(server, box):
    stream = server.events("GET", f"{box.path}/events?follow=1")
    reader = iter(stream)
    seen = [next(reader)]
    while seen[-1][2]["data"].get("state") != "ready":
        seen.append(next(reader))
    box.run("echo 1")
    kind, last, event = next(reader)
    assert kind == "action" and event["data"]["params"] == {"command": "echo 1"}
    stream.close()
    box.run("echo 2")
    connection = server.connection()
    connection.request("GET", f"{box.path}/events?follow=1", headers=server.headers("", {"Last-Event-ID": last}))
    response = connection.getresponse()
    ids = [response.readline(), *[response.readline() for _ in range(3)]][0]
    assert ids == b"id: %d\n" % (int(last) + 1)
    connection.close()


# The WebSocket.

def test_a_program_is_talked_to_over_a_websocket(server, box):
    ws = server.websocket(f"{box.path}/stream")
    assert ws.status == 101
    ws.send_json({"action": "exec", "params": {"argv": ["cat"], "stdin": True}})
    ws.send(ws.BINARY, b"\0one ")
    assert ws.receive() == (ws.BINARY, b"\1one ")
    ws.send(ws.BINARY, b"\0two")
    ws.send_json({"eof": 0})
    messages = list(ws)
    assert b"".join(m[1:] for m in messages if isinstance(m, bytes)) == b"two"
    assert messages[-1]["result"]["exit_code"] == 0
    ws.close()


def test_a_control_reaches_the_program(server, box):
    ws = server.websocket(f"{box.path}/stream")
    ws.send_json({"action": "exec", "params": {"argv": ["sh", "-c", "echo up; sleep 100"]}})
    assert ws.receive() == (ws.BINARY, b"\1up\n")
    ws.send_json({"control": {"signal": "TERM"}})
    assert list(ws)[-1]["result"]["signal"]
    ws.close()


def test_mistakes_on_a_websocket_are_told_in_it(server, box):
    for first in ({"action": "nothing"}, {"action": "run", "params": {"x": 1}}, {"hello": 1}):
        ws = server.websocket(f"{box.path}/stream")
        ws.send_json(first)
        assert set(list(ws)[-1]["error"]) == {"code", "message"}
        ws.close()
    assert server.websocket("/v1/sandboxes/nosuchsandbox/stream").status == 404


def test_much_data_goes_both_ways_at_once(server, box):
    ws = server.websocket(f"{box.path}/stream")
    ws.send_json({"action": "exec", "params": {"argv": ["cat"], "stdin": True}})
    piece, n, got = b"\0" + b"abcdefgh" * 8000, 0, 0
    while n < 200:
        ws.send(ws.BINARY, piece)
        n += 1
        while n - got / 64000 > 10:
            opcode, data = ws.receive()
            got += len(data) - 1
    ws.send_json({"eof": 0})
    for message in ws:
        if isinstance(message, bytes):
            got += len(message) - 1
    assert got == 200 * 64000
    ws.close()


# What it says of itself.

def test_the_openapi_document_covers_every_route_and_action(server):
    document = server.request("GET", "/v1/openapi.json").json
    assert document["openapi"].startswith("3.1")
    paths = document["paths"]
    assert set(paths["/v1/sandboxes/{id}"]) == {"get", "delete"}
    assert set(paths["/v1/sandboxes/{id}/files"]) == {"get", "put"}
    for action in server.request("GET", "/v1/capabilities").json["actions"]:
        operation = paths[f"/v1/sandboxes/{{id}}/actions/{action}"]["post"]
        assert operation["requestBody"]["content"]["application/json"]["schema"]["type"] == "object"
    run = paths["/v1/sandboxes/{id}/actions/run"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "command" in run["properties"]
    assert paths["/v1/health"]["get"]["security"] == []


def test_the_openapi_document_is_enough_to_write_a_client_from(server):
    paths = server.request("GET", "/v1/openapi.json").json["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) and {"run", "post_sandboxes", "get_images_image"} <= set(names)
    assert all(operation["tags"] for operation in operations)

    def answer(path, method, status="200"):
        return set(paths[path][method]["responses"][status].get("content", ()))

    streamed = {"application/json", "text/event-stream"}
    assert answer("/v1/events", "get") == answer("/v1/sandboxes/{id}/actions/run", "post") == streamed
    assert answer("/v1/sandboxes/{id}/tool-server", "post") == {"text/event-stream"}
    assert answer("/v1/sandboxes/{id}/actions/subscribe", "post") == {"text/event-stream"}
    assert answer("/v1/sandboxes/{id}/tool-server", "delete", "204") == set()
    assert answer("/v1/sandboxes/{id}/files", "get") == {"application/octet-stream"}
    assert paths["/v1/sandboxes/{id}/actions/exec"]["post"]["requestBody"]["required"]
    kind = next(p for p in paths["/v1/sandboxes/{id}/files"]["get"]["parameters"] if p["name"] == "format")
    assert "zip" in kind["schema"]["enum"]


def test_the_server_counts(server, box):
    stats = server.request("GET", "/v1/stats").json
    assert stats["sandboxes"] >= 1 and stats["by_state"]["ready"] >= 1
    assert stats["events"] > 0 and stats["store_bytes"] > 0


def test_it_answers_on_tcp_too(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(f"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode())
        assert sock.makefile("rb").read().endswith(b'{"status":"ok"}')
