# SPDX-License-Identifier: Apache-2.0
"""kill -9 and a full disk: what the server acknowledged is there, and what ran in the sandboxes goes on."""
import json
import os
import signal

import pytest


def test_sessions_go_on_when_the_server_is_killed(own_server):
    box = own_server.create(name="box", labels={"a": "b"}, env={"KEPT": "yes"})
    box.run("cd /usr/share; x=41")
    before = box.events()
    for _ in range(3):
        own_server.kill_server()
        own_server.wait_until_up()
    record = own_server.request("GET", "/v1/sandboxes/box").json
    assert (record["id"], record["state"], record["labels"]) == (box.id, "ready", {"a": "b"})
    assert record["enforced"] == box.record["enforced"]
    assert box.output("pwd; echo $((x+1)) $KEPT") == "/usr/share\n42 yes\n"
    assert box.events()[:len(before)] == before


def test_a_command_goes_on_when_the_server_is_killed(own_server):
    box = own_server.create()
    connection = own_server.connection()
    connection.request("POST", f"{box.path}/actions/run", json.dumps(
        {"command": "mkfifo /tmp/f; cat /tmp/f"}), own_server.headers("", None))
    box.output("until [ -p /tmp/f ]; do :; done", session="second")
    own_server.kill_server()
    with pytest.raises(OSError):
        connection.getresponse()
    own_server.wait_until_up()
    assert box.action("session_list")["sessions"][0]["status"] == "running"
    box.run("echo still here > /tmp/f", session="second")
    assert "still here" in box.output("")  # an empty command reports on what runs


def test_nothing_acknowledged_is_lost(own_server):
    box = own_server.create()
    n = 0
    for round_ in range(4):
        for _ in range(25):
            box.run(f"echo {n}")
            n += 1
        own_server.kill_server()
        own_server.wait_until_up()
    events = []
    while page := box.request("GET", f"/events?after={events[-1]['seq'] if events else 0}").json:
        events += page
    commands = [e["data"]["params"]["command"] for e in events if e["kind"] == "action"]
    outputs = [e["data"]["result"]["output"] for e in events if e["kind"] == "observation"]
    assert commands == [f"echo {i}" for i in range(n)]
    assert outputs == [f"{i}\n" for i in range(n)]


def test_deadlines_outlive_the_server(own_server):
    box = own_server.create(timeout_ms=1500)
    own_server.kill_server()
    own_server.wait_until_up()
    assert box.wait_for_state("ended")["reason"] == "its time was up after 1500 ms"


def test_a_sandbox_that_ended_while_no_server_ran_is_lost(own_server):
    box = own_server.create()
    pid = own_server.server_pid()
    os.kill(pid, signal.SIGSTOP)
    os.kill(box.record["init_pid"], signal.SIGKILL)
    own_server.kill_server()
    own_server.wait_until_up()
    assert box.wait_for_state("ended")["reason"]
    assert box.get()["state"] == "ended"


def test_the_record_of_a_deleted_sandbox_stays_away(own_server):
    box = own_server.create(name="gone")
    box.delete()
    own_server.kill_server()
    own_server.wait_until_up()
    assert own_server.request("GET", "/v1/sandboxes/gone").code == "not_found"
    kinds = [e["data"].get("state") for e in own_server.request("GET", f"/v1/events?sandbox={box.id}").json]
    assert kinds[0] == "creating" and kinds[-1] == "ended"


def test_everything_ends_with_the_supervisor(own_server):
    box = own_server.create()
    box.run("sleep 1000 &")
    assert own_server.stop() == 0
    assert not os.path.exists(f"/proc/{box.record['init_pid']}")


def test_nothing_is_done_that_cannot_be_recorded(server_with_small_disk):
    server = server_with_small_disk
    box = server.create()
    box.run("x=1")
    filler = server.state / "filler"
    with open(filler, "wb", buffering=0) as file:
        with pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
    reply = server.request("POST", "/v1/sandboxes", {})
    assert (reply.status, reply.code) == (507, "no_space")
    reply = box.request("POST", "/actions/run", {"command": "x=2"})
    assert (reply.status, reply.code) == (507, "no_space")
    assert "was not performed" in reply.json["error"]["message"]
    assert box.action("session_list")["sessions"]  # reading goes on
    assert len(server.request("GET", "/v1/sandboxes").json["sandboxes"]) == 1
    filler.unlink()
    assert box.output("echo $x") == "1\n"
    server.create().delete()
    server.kill_server()
    server.wait_until_up()
    assert box.output("echo $x") == "1\n"


def test_a_sandbox_can_be_deleted_though_the_disk_is_full(server_with_small_disk):
    server = server_with_small_disk
    box = server.create()
    with open(server.state / "filler", "wb", buffering=0) as file:
        with pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
    box.delete()
    assert not os.path.exists(f"/proc/{box.record['init_pid']}")
