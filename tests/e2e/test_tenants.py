# SPDX-License-Identifier: Apache-2.0
"""Two tenants of one server, each with a token for a sandbox of its own: what one does is nothing to the other."""
import contextlib
import resource
import socket
import threading

import pytest
from mcp import HttpClient, Refused
from waiting import PATIENCE, wait_until


class Tenant:
    """Who has a token for one sandbox, and nothing else."""

    def __init__(self, server, name):
        self.server, self.box = server, server.create(name=name)
        self.token = self.box.request("POST", "/tokens", {}).json["token"]

    def request(self, method, path, body=None, **more):
        return self.server.request(method, path, body, token=self.token, **more)

    def mcp(self):
        client = HttpClient(self.server, f"/mcp/{self.box.id}", {"Authorization": f"Bearer {self.token}"})
        client.initialize()
        return client

    def has_file(self, path):
        return self.box.request("POST", "/actions/stat", {"path": path}).status == 200


@pytest.fixture
def tenants(own_server):
    return Tenant(own_server, "ours"), Tenant(own_server, "theirs")


# ---- MCP ----

class Waiting:
    """A call of a tool that goes on until it is cancelled."""

    def __init__(self, tenant):
        self.client, self.outcome = tenant.mcp(), None
        self.thread = threading.Thread(target=self.call, daemon=True)
        self.thread.start()
        wait_until(lambda: tenant.has_file("/tmp/started"))

    def call(self):
        try:
            self.outcome = self.client.text("run", command="touch /tmp/started; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo whole")
        except Refused as refusal:
            self.outcome = str(refusal)

    def join(self):
        self.thread.join(PATIENCE)
        return self.outcome


def test_who_cancels_a_request_cancels_no_other_tenants_of_the_same_number(tenants):
    ours, theirs = tenants
    call = Waiting(theirs)
    attacker = ours.mcp()
    for number in range(50):
        attacker.notify("notifications/cancelled", {"requestId": number})
    theirs.box.put_file("/tmp/go", b"")
    assert call.join() == "whole\n"


# ---- places ----

def head(server, path, token):
    return (f"GET {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
            f"{f'Authorization: Bearer {token}' if token else 'X: y'}\r\n\r\n").encode()


def connect(server):
    s = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
    s.settimeout(PATIENCE)
    return s


def status_of(s):
    """Of the answer on a connection; None if it is cut before."""
    try:
        line = s.makefile("rb").readline()
    except ConnectionResetError:
        line = b""
    return int(line.split()[1]) if line else None


def ask(server, path, token):
    with connect(server) as s:
        s.sendall(head(server, path, token))
        return status_of(s)


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 8192:
        pytest.skip(f"one process may open {hard} files: too few to take a server's places")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


PLACES = 2048  # for one address


@pytest.mark.parametrize("begin", ["", "GET /v1/hea", "POST /v1/sandboxes HTTP/1.1\r\nHost: HOST\r\nContent-Length: 200000\r\n\r\n{"],
                         ids=["silent", "half a head", "half a body"])
def test_strangers_who_hold_every_place_keep_nobody_out(own_server, many_descriptors, begin):
    """All that come over TCP on one machine come from one address."""
    begin = begin.replace("HOST", f"localhost:{own_server.port}").encode()
    with contextlib.ExitStack() as stack:
        known = stack.enter_context(connect(own_server))
        known.sendall(head(own_server, "/v1/version", own_server.token))
        assert status_of(known) == 200
        for _ in range(PLACES + 50):
            s = stack.enter_context(connect(own_server))
            s.sendall(begin)
        for _ in range(5):
            assert ask(own_server, "/v1/version", own_server.token) == 200
        known.sendall(head(own_server, "/v1/version", own_server.token))
        assert status_of(known) == 200, "who had been let in was cut for a stranger"


def hold(server, stack, path, token, n):
    """Opens n connections with a request that has no end; how many were let in."""
    opened = [stack.enter_context(connect(server)) for _ in range(n)]
    for s in opened:
        s.sendall(head(server, path, token))
    return [status_of(s) for s in opened].count(200)


def test_a_tenant_takes_places_from_himself_alone(tenants, many_descriptors):
    ours, theirs = tenants
    server = ours.server
    with contextlib.ExitStack() as stack:
        follow = f"{ours.box.path}/events?follow=true"
        let_in = hold(server, stack, follow, ours.token, 600)
        assert 400 < let_in < 600
        refused = ours.request("GET", ours.box.path)
        assert (refused.status, refused.code) == (429, "limit_reached")
        assert ask(server, theirs.box.path, theirs.token) == 200
        assert ask(server, ours.box.path, server.token) == 200, "the owner has a place"
    wait_until(lambda: ours.request("GET", ours.box.path).status == 200)


def test_all_tenants_together_leave_places_to_the_owner(tenants, many_descriptors):
    ours, theirs = tenants
    server = ours.server
    more = [Tenant(server, f"more-{i}") for i in range(3)]
    with contextlib.ExitStack() as stack:
        for tenant in (ours, theirs, *more):
            hold(server, stack, f"{tenant.box.path}/events?follow=true", tenant.token, 520)
        assert ask(server, "/v1/version", server.token) == 200
        assert ask(server, ours.box.path, server.token) == 200


def test_an_upgraded_connection_holds_its_place(tenants, many_descriptors):
    ours, theirs = tenants
    server = ours.server
    upgrade = head(server, f"{ours.box.path}/stream", ours.token)[:-2] + (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(connect(server)) for _ in range(600)]
        for s in opened:
            s.sendall(upgrade)
        answers = [status_of(s) for s in opened]
        assert set(answers) == {101, 429}
        assert ask(server, ours.box.path, ours.token) == 429
        assert ask(server, theirs.box.path, theirs.token) == 200
    wait_until(lambda: ours.request("GET", ours.box.path).status == 200)
