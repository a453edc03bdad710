# SPDX-License-Identifier: Apache-2.0
"""A server whose sandboxes are those of another one."""
import contextlib
import json
import os
import socket
import threading

import pytest

from conftest import end_server, gateway, start_server
from waiting import PATIENCE, wait_until


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
    assert theirs["labels"] == {"a": "b", "cay.id": box.id}


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


# ---- what was told, and what was not ----

def alive(server, *states):
    listed = server.request("GET", "/v1/sandboxes").json["sandboxes"]
    return {s["id"]: s["state"] for s in listed if s["state"] in (states or ("ready", "running", "paused"))}


def test_one_that_was_paused_or_resumed_there_is_so_here_after_a_restart(far):
    """As if the server had been killed between the other's answer and its own."""
    with gateway(f"unix:{far.socket}", CAY_REMOTE_TOKEN=far.token) as near:
        box, paused = near.create(name="turned"), near.create(name="turned-back")
        assert paused.request("POST", "/pause").status == 200
        for name, what in (("turned", "pause"), ("turned-back", "resume")):
            assert far.request("POST", f"/v1/sandboxes/{name}/{what}").status == 200
        near.kill_server()
        near.wait_until_up()
        assert (box.get()["state"], paused.get()["state"]) == ("paused", "ready")
        assert paused.output("echo on") == "on\n"
        assert box.request("POST", "/resume").status == 200
        assert box.output("echo on") == "on\n"
        box.delete()
        paused.delete()


def test_one_that_was_being_made_when_the_server_was_killed_goes(far):
    before = alive(far)
    with gateway(f"unix:{far.socket}", CAY_REMOTE_TOKEN=far.token) as near:
        kept = near.create()
        for _ in range(8):  # somewhere between the other's first step and our answer
            asking = threading.Thread(target=ask_in_vain, args=(near,))
            asking.start()
            wait_until(lambda: set(alive(far, "creating", "starting", "ready")) - set(before) - {kept.id} or not asking.is_alive())
            near.kill_server()
            asking.join(PATIENCE)
            near.wait_until_up()
            for made in set(alive(near)) - {kept.id}:  # it had been told of
                near.request("DELETE", f"/v1/sandboxes/{made}")
        assert set(alive(near)) == {kept.id}
        wait_until(lambda: len(set(alive(far)) - set(before)) == 1)
        assert kept.output("echo on") == "on\n"
        kept.delete()


def ask_in_vain(near):
    with contextlib.suppress(Exception):
        near.request("POST", "/v1/sandboxes", {})


class Cut:
    """Passes connections on; while `path` is that of a POST, its answer is kept back and the connection cut, or `says` is told."""
    says = b""

    def __init__(self, port):
        self.port, self.path = port, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(near,), daemon=True).start()

    def serve(self, near):
        with contextlib.suppress(OSError), contextlib.closing(near), socket.create_connection(("127.0.0.1", self.port)) as far:
            asked = threading.Event()
            threading.Thread(target=self.pass_up, args=(near, far, asked), daemon=True).start()
            while data := far.recv(65536):
                if asked.is_set():
                    near.sendall(self.says)
                    near.shutdown(socket.SHUT_RDWR)
                    return
                near.sendall(data)

    def pass_up(self, near, far, asked):
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                if self.path and f"POST {self.path} ".encode() in data:
                    asked.set()
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)


def test_what_failed_by_a_lost_answer_leaves_nothing_there(far):
    before = alive(far)
    cut = Cut(far.port)
    with gateway(cut.url, CAY_REMOTE_TOKEN=far.token) as near:
        box = near.create()
        cut.path = "/v1/sandboxes"
        assert near.request("POST", "/v1/sandboxes", {"name": "lost"}).code == "disconnected"
        assert len(set(alive(far)) - set(before)) == 1
        there, = set(alive(far)) - set(before)
        cut.path, cut.says = f"/v1/sandboxes/{there}/pause", b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
        assert box.request("POST", "/pause").code == "internal"
        assert (box.get()["state"], alive(far)[there]) == ("ready", "ready")
        assert box.output("echo on") == "on\n"
        cut.path = None
        assert box.request("POST", "/pause").status == 200
        assert box.get()["state"] == alive(far)[there] == "paused"
        box.delete()
        assert set(alive(far)) == set(before)
    cut.listener.close()
