# SPDX-License-Identifier: Apache-2.0
"""The E2B face, asked by who means no good: sandboxes that rest, bodies that are none, tokens that end, lists without an end."""
import json
import socket
import threading

import pytest

from test_e2b import CODE, Box, api
from waiting import PATIENCE


def pid(server):
    return server.server_pid()


@pytest.fixture
def box(server):
    box = Box(server)
    yield box
    box.api("DELETE")


def test_a_request_that_was_answered_already_is_left_alone(server, box):
    """Its arena is gone with the answer: every handler that asks for a running sandbox first."""
    before = pid(server)
    assert box.api("POST", "/pause").status == 204
    for method, target in (("GET", "/files?path=/x"), ("POST", "/contexts"), ("DELETE", "/contexts/default"),
                           ("POST", "/contexts/default/restart"), ("POST", "/execute"), ("GET", "/health"), ("GET", "/envs"),
                           ("POST", "/files?path=/x"), ("POST", "/process.Process/List"), ("POST", "/filesystem.Filesystem/ListDir")):
        for _ in range(20):
            reply = box.envd(method, target, b"{}" if method == "POST" else None, box.headers(CODE, **{"Content-Type": "application/json"}))
            assert reply.status >= 400, target
    assert pid(server) == before


@pytest.mark.parametrize("target", ["/contexts", "/execute", "/process.Process/List", "/filesystem.Filesystem/Move",
                                    "/process.Process/SendInput", "/process.Process/Update"])
@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"{\"process\":1,\"language\":[],\"code\":{}}"])
def test_a_body_that_is_none_is_refused_and_nothing_else_happens(server, box, target, body):
    before = pid(server)
    for _ in range(10):
        assert box.envd("POST", target, body, box.headers(**{"Content-Type": "application/json"})).status in (200, 400, 404, 501)
    assert pid(server) == before


def test_a_token_that_ends_is_not_given_one_that_does_not(server, box):
    narrow = server.request("POST", f"/v1/sandboxes/{box.id}/tokens", {"lifetime_ms": 60000}).json["token"]
    told = server.request("GET", f"/e2b/sandboxes/{box.id}", token=narrow)
    assert told.status == 200 and "envdAccessToken" not in told.json
    assert "envdAccessToken" in api(server, "GET", f"/sandboxes/{box.id}").json


def test_a_request_behind_another_one_whose_client_says_no_more_is_performed_once(server):
    """A sandbox has 16 watches: what was done twice would take two."""
    box = Box(server)

    def request(method, target, body):
        head = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": len(body), **box.headers()}
        return (f"{method} /e2b{target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in head.items()) + f"\r\n{body}").encode()
    for _ in range(8):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(PATIENCE)
            s.connect(str(server.socket))
            s.sendall(request("GET", "/metrics", "") +
                      request("POST", "/filesystem.Filesystem/CreateWatcher", '{"path": "/tmp"}'))
            s.shutdown(socket.SHUT_WR)
            assert s.makefile("rb").read().count(b"watcherId") == 1
    made = [box.call("filesystem.Filesystem/CreateWatcher", path="/tmp") for _ in range(9)]
    assert [reply.status for reply in made] == [200] * 8 + [429], made[-1].body
    box.api("DELETE")


def test_lists_of_many_pages_have_their_number(server, box):
    made = box.envd("POST", "/files?path=/tmp/many.py", b"import os\nos.makedirs('/tmp/d')\n"
                    b"for i in range(12000): open('/tmp/d/' + 'x' * 100 + str(i), 'w')\n",
                    box.headers(**{"Content-Type": "application/octet-stream"}))
    assert made.status == 200, made.body
    assert server.request("POST", f"/v1/sandboxes/{box.id}/actions/run", {"command": "python3 /tmp/many.py"}).json["exit_code"] == 0
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(box.call("filesystem.Filesystem/ListDir", path="/tmp/d"))) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert {r.status for r in replies} <= {200, 429} and any(r.status == 200 for r in replies)
    assert all(len(r.json["entries"]) == 12000 for r in replies if r.status == 200)
    assert len(box.call("filesystem.Filesystem/ListDir", path="/tmp/d").json["entries"]) == 12000


@pytest.mark.parametrize("end", ["-9223372036854775808", "-100000", "99999999999999999999", "1e9", "x" * 20000])
def test_a_link_with_an_end_that_is_none(server, box, end):
    reply = server.request("GET", f"/files?path=/etc/hostname&signature=v1_x&signature_expiration={end}", token=None)
    assert reply.status in (401, 431)
