# SPDX-License-Identifier: Apache-2.0
"""A server whose sandboxes are those of another one."""
import json
import os

import pytest

from conftest import end_server, gateway, start_server


@pytest.fixture(scope="module", params=["tcp", "unix"])
def near(request, far):
    url = f"http://127.0.0.1:{far.port}" if request.param == "tcp" else f"unix:{far.socket}"
    with gateway(url, CAY_REMOTE_TOKEN=far.token) as started:
        yield started


@pytest.fixture
def box(near):
    made = near.create(env={"GIVEN": "x y"}, limits={"pids": 100}, labels={"a": "b"})
    yield made
    made.delete()


def test_a_sandbox_is_the_other_servers_with_its_controls_and_limits(box, far):
    theirs = far.request("GET", f"/v1/sandboxes/{box.id}")
    if theirs.status == 404:  # a ready one may have been handed out under another id
        theirs = [s for s in far.request("GET", "/v1/sandboxes").json["sandboxes"] if s["state"] == "ready"][-1]
    else:
        theirs = theirs.json
    assert theirs["enforced"]["controls"] == box.record["enforced"]["controls"] != []
    assert box.record["enforced"]["limits"]["pids"] == 100
    assert theirs["labels"] == {"a": "b"}


def test_actions_work_as_they_do_there(box):
    assert box.run("x=42; echo $GIVEN; (exit 3)")["exit_code"] == 3
    assert box.output("echo $x") == "42\n"
    box.action("write", path="a", content="no newline")
    assert box.action("read", path="a")["content"] == "no newline"
    assert box.request("POST", "/actions/read", {"path": "none"}).code == "not_found"
    assert [m["path"] for m in box.action("glob", pattern="*")["matches"]]


def test_streams_go_both_ways(box):
    data = os.urandom(3_000_000)
    assert box.put_file("/workspace/up", data).json["bytes"] == len(data)
    assert box.get_file("/workspace/up").body == data
    socket = box.server.websocket(f"{box.path}/stream")
    socket.send_json({"action": "exec", "params": {"argv": ["cat"], "stdin": True}})
    socket.send(socket.BINARY, b"\0hello")
    socket.send_json({"eof": 0})
    messages = list(socket)
    assert b"".join(m[1:] for m in messages if isinstance(m, bytes)) == b"hello"
    assert messages[-1]["result"]["exit_code"] == 0
    for _ in range(20):  # one after the other on the same call socket
        assert box.action("exec", argv=["echo", "hi"], capture=True)["stdout"] == "hi\n"


def test_a_signal_reaches_the_program(box):
    socket = box.server.websocket(f"{box.path}/stream")
    socket.send_json({"action": "exec", "params": {"argv": ["sh", "-c", "echo up; exec sleep 1000"]}})
    assert next(iter(socket)) == b"\1up\n"
    socket.send_json({"control": {"signal": "TERM"}})
    assert list(socket)[-1]["result"]["signal"] == "TERM"


def test_pause_usage_and_end(near):
    made = near.create()
    assert made.request("POST", "/pause").status == 200
    assert made.request("POST", "/resume").status == 200
    assert made.request("GET", "/stats").json["memory_bytes"] > 0
    made.delete()


def test_a_caller_that_goes_away_leaves_no_call_behind(box, far):
    for _ in range(5):
        connection = box.server.connection()
        connection.request("POST", f"{box.path}/actions/exec", json.dumps({"argv": ["sleep", "1000"]}),
                           box.server.headers("", {"Accept": "text/event-stream"}))
        connection.close()
    assert box.output("echo on") == "on\n"


def test_a_server_that_dies_is_disconnected():
    far = start_server()
    with gateway(f"http://127.0.0.1:{far.port}", CAY_REMOTE_TOKEN=far.token) as near:
        made = near.create()
        assert made.output("echo up") == "up\n"
        end_server(far)
        assert made.request("POST", "/actions/run", {"command": "echo"}).code == "disconnected"
        stream = near.websocket(f"{made.path}/stream")
        stream.send_json({"action": "exec", "params": {"argv": ["true"]}})
        assert list(stream)[-1]["error"]["code"] == "disconnected"
