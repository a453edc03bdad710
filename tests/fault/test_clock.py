# SPDX-License-Identifier: Apache-2.0
"""Somebody turns the wall clock while the server runs: what is to happen after a time happens after that time."""
import struct

import pytest
from conftest import SharedFile, preloaded

DAY = 24 * 60 * 60
DAYTONA = "/daytona/api/sandbox"


class Clock(SharedFile):
    """How many seconds the server's wall clock is ahead."""

    SIZE = 8

    def turn(self, seconds):
        struct.pack_into("q", self.memory, 0, seconds)


@pytest.fixture(scope="module")
def server_and_clock():
    with preloaded("wall_clock", CLOCK_FILE=Clock) as both:
        yield both


@pytest.fixture
def clock(server_and_clock):
    yield server_and_clock[1]
    server_and_clock[1].turn(0)


@pytest.fixture
def server(server_and_clock):
    return server_and_clock[0]


@pytest.fixture(params=[DAY, -DAY], ids=["forward", "back"])
def turn(request, clock):
    return lambda: clock.turn(request.param)


def test_the_clock_does_turn(server, clock):
    box = server.create()
    before = box.events()[-1]["time"]
    clock.turn(400 * DAY)
    box.run("true")
    assert int(box.events()[-1]["time"][:4]) > int(before[:4])
    box.delete()


def test_time_limits_are_not_for_who_has_the_wrong_date(server, turn):
    box = server.create(timeout_ms=600000, idle_timeout_ms=600000)
    turn()
    assert box.output("echo on", timeout_ms=20000) == "on\n"
    assert box.action("exec", argv=["echo", "on"], timeout_ms=20000)["stdout"] == "on\n"
    assert box.get()["state"] == "ready"
    brief = server.create(timeout_ms=300)
    assert brief.wait_for_state("ended")["reason"] == "its time was up after 300 ms"
    lazy = server.create(idle_timeout_ms=300)
    assert lazy.wait_for_state("ended")["reason"] == "no action for 300 ms"
    box.delete()


def test_the_server_is_as_old_as_it_is(server, turn):
    turn()
    assert 0 <= server.request("GET", "/v1/stats").json["uptime_ms"] < DAY * 1000 / 2


def test_a_sandbox_of_daytonas_api_keeps_its_intervals(server, turn):
    reply = server.request("POST", DAYTONA, {"autoStopInterval": 30, "ttlMinutes": 60, "autoDeleteInterval": 60})
    path = f"{DAYTONA}/{reply.json['id']}"
    turn()
    run = f"/daytona/toolbox/{reply.json['id']}/process/execute"
    assert server.request("POST", run, {"command": "echo on"}).json["result"] == "on\n"
    for _ in range(10):  # what were due would be done at once
        assert server.request("GET", path).json["state"] == "started"
    assert server.request("POST", f"{path}/stop").status == 200
    turn()
    assert server.request("POST", f"{path}/autodelete/50").status == 200
    for _ in range(10):
        assert server.request("GET", path).json["state"] == "stopped"
    assert server.request("DELETE", path).status == 200


def test_a_narrower_token_ends_by_the_date(server, clock):
    box = server.create()
    made = box.request("POST", "/tokens", {"lifetime_ms": 3600000})
    assert made.status == 201, made.body
    token = made.json["token"]
    assert server.request("GET", box.path, token=token).status == 200
    clock.turn(DAY)
    assert server.request("GET", box.path, token=token).status == 401
    box.delete()
