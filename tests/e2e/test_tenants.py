# SPDX-License-Identifier: Apache-2.0
"""Two tenants of one server, each with a token for a sandbox of its own: what one does is nothing to the other."""
import contextlib
import json
import os
import pathlib
import resource
import select
import signal
import socket
import threading
import time

import processes
import pytest
from conftest import BUILD, end_server, start_server
from mcp import HttpClient, Refused
from test_roles import path_of, table
from waiting import PATIENCE, is_closed, wait_until


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
UPGRADE = (b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


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


@pytest.fixture
def asking():
    """A server with somebody who approves."""
    started = start_server(settings={"guard": {"confirm": "ask"}})
    yield started
    end_server(started)


def test_who_has_a_link_to_a_file_takes_no_place_of_who_approves(asking, many_descriptors):
    box = asking.create()
    box.put_file("big", bytes(16 * MIB))
    link = box.request("POST", "/tokens", {"role": "read", "path": "big"}).json["path"]
    approver = (asking.state / "approver-token").read_text().strip()
    with contextlib.ExitStack() as stack:
        assert 0 < hold(asking, stack, link, None, 600) < 600
        assert ask(asking, "/v1/confirmations", approver) == 200


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
    upgrade = head(server, f"{ours.box.path}/stream", ours.token)[:-2] + UPGRADE
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(connect(server)) for _ in range(600)]
        for s in opened:
            s.sendall(upgrade)
        answers = [status_of(s) for s in opened]
        assert set(answers) == {101, 429}
        assert ask(server, ours.box.path, ours.token) == 429
        assert ask(server, theirs.box.path, theirs.token) == 200
    wait_until(lambda: ours.request("GET", ours.box.path).status == 200)


# ---- memory ----

MIB = 1 << 20


def memory(server):
    return int(pathlib.Path(f"/proc/{server.server_pid()}/statm").read_text().split()[1]) * 4096


def put_head(server, method, path, token, length):
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n").encode()


@pytest.fixture
def grows(own_server, tenants):
    """How far the server's memory has grown; nothing where a sanitizer has its own."""
    before = memory(own_server)
    return lambda: 0 if "asan" in BUILD.name else memory(own_server) - before


@pytest.mark.parametrize("path", ["/mcp/{id}", "/openhands/{id}/execute_action", "/v1/sandboxes/{id}/actions/run"])
def test_a_text_that_would_be_a_tree_of_a_gigabyte_is_refused_at_once(tenants, grows, path):
    ours, _ = tenants
    size = MIB - 100 if path.startswith("/v1") else 16 * MIB - 100
    for value in ("[]", "{}", "0", '"a"'):
        count = (size - 200) // (len(value) + 1)
        body = ('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"exec","arguments":{"argv":["sleep","1000"]},'
                f'"_meta":[{",".join([value] * count)}]}}}}')
        began = time.monotonic()
        reply = ours.request("POST", path.format(id=ours.box.id), body, headers={"Content-Type": "application/json"})
        assert reply.status == 413 and b"100000 values" in reply.body
        assert time.monotonic() - began < 20 and grows() < 64 * MIB


def test_bodies_that_do_not_end_are_held_up_to_a_limit(tenants, grows):
    ours, theirs = tenants
    server = ours.server
    piece = b'{"a":"' + b"x" * (15 * MIB)
    with contextlib.ExitStack() as stack:
        answers = []
        for _ in range(20):
            s = stack.enter_context(connect(server))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(put_head(server, "POST", f"/mcp/{ours.box.id}", ours.token, 16 * MIB - 1) + piece)
            if select.select([s], [], [], 0)[0] or len(answers):
                answers.append(status_of(s))
        assert answers and set(answers) <= {429, None} and 429 in answers
        assert grows() < 200 * MIB
        assert theirs.request("POST", f"{theirs.box.path}/actions/run", {"command": "echo " + "x" * 500_000 + " | wc -c"}).json[
            "output"] == "500001\n"
    wait_until(lambda: ours.request("POST", f"{ours.box.path}/actions/run", {"command": "echo hi"}).status == 200)


def test_answers_that_nobody_takes_are_held_up_to_a_limit(tenants, grows):
    ours, theirs = tenants
    server = ours.server
    ours.box.action("run", command="head -c 7000000 /dev/zero | tr '\\0' '\\n' > big")  # twice as long as JSON
    wish = {"path": "big", "max_bytes": 8 * MIB}
    assert len(ours.box.action("read", **wish)["content"]) == 7_000_000
    body = json.dumps(wish).encode()
    with contextlib.ExitStack() as stack:
        for _ in range(20):  # 280 MB
            s = stack.enter_context(connect(server))
            s.sendall(put_head(server, "POST", f"{ours.box.path}/actions/read", ours.token, len(body)) + body)
            assert select.select([s], [], [], PATIENCE)[0]
        assert grows() < 200 * MIB
        assert theirs.request("POST", f"{theirs.box.path}/actions/run", {"command": "echo hi"}).json["output"] == "hi\n"
    wait_until(lambda: ours.request("POST", f"{ours.box.path}/actions/run", {"command": "echo hi"}).status == 200)


def test_streams_that_nobody_reads_keep_none_from_being_read(tenants, many_descriptors):
    ours, theirs = tenants
    server = ours.server
    ours.box.action("run", command="head -c 7000000 /dev/zero > big")
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(connect(server)) for _ in range(400)]
        for s in opened:
            s.sendall(head(server, f"{ours.box.path}/files?path=big", ours.token))
        for s in opened:
            assert select.select([s], [], [], PATIENCE)[0]
        assert theirs.request("POST", f"{theirs.box.path}/actions/run", {"command": "echo hi"}).json["output"] == "hi\n"
        with opened[0].makefile("rb") as f:
            assert len(f.read(7_000_000)) == 7_000_000, "who reads gets all of it"


# ---- names and keys ----

@pytest.mark.parametrize("route", ["alive", "server_info"])
def test_who_shows_no_token_finds_no_sandbox_by_guessing(server, route):
    box = server.create(name="guess-me")
    for name in ("guess-me", box.id[:4], box.id[:25], "nosuchsandbox"):
        for path in (f"/openhands/{name}/{route}", f"/{name}/{route}"):
            reply = server.request("GET", path, token=None)
            assert reply.status == 404 and box.id not in reply.body.decode(), path
            assert reply.body.decode().replace(name, "x") == server.request("GET", path.replace(name, "nobodyhasthis"), token=None
                                                                            ).body.decode().replace("nobodyhasthis", "x")
    assert server.request("GET", f"/{box.id}/{route}", token=None).status == 200
    assert server.request("GET", f"/openhands/guess-me/{route}").status == 200
    box.delete()


def test_who_knows_no_token_of_an_editor_has_the_sandbox_do_next_to_nothing(server):
    """Each look would be an action, and keep the sandbox from being idle."""
    box = server.create()
    calls, began = server.request("GET", "/v1/stats").json["calls"], time.monotonic()
    for _ in range(100):
        assert server.request("GET", f"/{box.id}/vscode?tkn=wrong", token=None).status == 403
    assert server.request("GET", "/v1/stats").json["calls"] - calls <= 2 + time.monotonic() - began
    box.delete()


def start_runtime(server, session, **more):
    reply = server.request("POST", "/start", {
        "image": "any", "command": ["python", "-m", "openhands.runtime.action_execution_server", "60000", "--working-dir", "/workspace",
                                    "--user-id", "1000", "--no-enable-browser"],
        "session_id": session, "working_dir": "/openhands/code/", "environment": {}, "resource_factor": 1, **more})
    assert reply.status == 200, reply.body
    return reply.json


def test_a_chosen_key_is_the_proof_of_no_other(server):
    """What is kept of a chosen key is shown with the sandbox: it must be nobody's key."""
    theirs = start_runtime(server, "theirs")
    ours = start_runtime(server, "ours", environment={"SESSION_API_KEY": f"of {theirs['runtime_id']}"})
    shown = server.request("GET", f"/v1/sandboxes/{ours['runtime_id']}").json["labels"]
    for value in shown.values():
        reply = server.request("GET", f"/{theirs['runtime_id']}/openapi.json", token=None, headers={"X-Session-API-Key": value})
        assert reply.status == 403
    assert server.request("GET", f"/{theirs['runtime_id']}/openapi.json", token=None,
                          headers={"X-Session-API-Key": theirs["session_api_key"]}).status == 200


def test_a_key_is_for_the_sandbox_that_had_the_name_when_it_was_shown(own_server):
    runtime = start_runtime(own_server, "first")
    name = runtime["runtime_id"][:8]
    body = json.dumps({"action": {"action": "run", "args": {"command": "touch /tmp/was-here"}, "timeout": 20}}).encode()
    with connect(own_server) as s:
        s.sendall((f"POST /openhands/{name}/execute_action HTTP/1.1\r\nHost: localhost:{own_server.port}\r\n"
                   f"X-Session-API-Key: {runtime['session_api_key']}\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n").encode())
        f = s.makefile("rb")
        assert b"100" in f.readline()  # the key was good
        assert f.readline() == b"\r\n"
        assert own_server.request("DELETE", f"/v1/sandboxes/{runtime['runtime_id']}").status == 204
        second = own_server.create(name=name)
        s.sendall(body)
        assert b"404" in f.readline()
    assert second.request("POST", "/actions/stat", {"path": "/tmp/was-here"}).status == 404


# ---- what the owner told the server ----

def test_who_may_call_a_tool_is_not_told_the_password_of_its_server(tenants):
    ours, _ = tenants
    secret = "hunter2-hunter2"
    for host in ("127.0.0.1:1", "127.0.0.1:1?x=y"):
        reply = ours.box.request("POST", "/tools", {"name": f"far{len(host)}", "description": "x", "url": f"http://me:{secret}@{host}",
                                                   "headers": {"X-Key": secret}, "parameters": {"type": "object"}})
        assert reply.status in (200, 201), reply.body
        said = ours.request("POST", f"{ours.box.path}/actions/tool_call", {"tool": f"far{len(host)}", "call": '{"args":[],"kwargs":{}}'})
        assert "127.0.0.1:1" in said.body.decode() and secret not in said.body.decode()
    for path in ("", "/events", "/plugins"):
        assert secret not in ours.request("GET", ours.box.path + path).body.decode()
    assert secret not in ours.request("POST", f"{ours.box.path}/actions/tool_list", {}).body.decode()
    assert secret not in ours.request("GET", f"/camel/{ours.box.id}/openapi.json").body.decode()


# ---- every route ----

WORDS = ("sandbox", "sandbox_id", "sandboxId", "id", "name", "runtime_id", "session_id", "session", "container", "source", "target",
         "workdir", "cwd", "path", "process", "tool", "pack", "labels", "filter", "mount", "host", "url")
# What ends our own sandbox, or lets it stand still.
ENDING = {("DELETE", "/v1/sandboxes/{id}"), ("POST", "/v1/sandboxes/{id}/stop"), ("POST", "/v1/sandboxes/{id}/pause")}


def wishes(theirs):
    """Every way to name another sandbox beside the path: by its id, its beginning and its name; flat, in a list, nested."""
    for word in WORDS:
        for value in (theirs.id, theirs.id[:8], "theirs"):
            yield {word: value}
        yield {word: [theirs.id]}
        yield {word: {"id": theirs.id, "sandbox": theirs.id}}
    yield {"action": {"action": "run", "args": {"command": "true", "sandbox": theirs.id, "sid": theirs.id}, "sandbox": theirs.id}}
    yield {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "run", "sandbox": theirs.id, "arguments": {"command": "true", "sandbox": theirs.id}}}
    yield {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": f"file://{theirs.id}/workspace/secret"}}
    yield {"args": [theirs.id], "kwargs": {"sandbox": theirs.id}}


def routes():
    for face, method, pattern, role in table():
        if role == "sandbox" and face != "ports" and (method, pattern) not in ENDING:
            yield method, pattern


@pytest.fixture(scope="module")
def pair(server):
    ours, theirs = Tenant(server, "ours-pair"), Tenant(server, "theirs")
    theirs.box.put_file("/workspace/secret", b"their-secret")
    theirs.box.action("run", command="export SECRET=their-secret; sh -c 'sleep 1000' their-process &")
    return ours, theirs


@pytest.mark.parametrize("route", list(routes()), ids=lambda r: f"{r[0]}-{r[1]}")
def test_no_route_reaches_another_sandbox_by_what_stands_beside_the_path(pair, route):
    ours, theirs = pair
    method, pattern = route
    before = (theirs.box.get(), len(theirs.box.events()))
    connection = ours.server.connection()
    for wish in wishes(theirs.box):
        action = wish.get("tool") or wish.get("process")
        path, _ = path_of(pattern, ours.box.id)
        if action and "{action}" in pattern:
            path = path.replace("/run", "/process_list")
        query = "&".join(f"{key}={value}" for key, value in wish.items() if isinstance(value, str))
        reply = ours.request("GET" if method == "*" else method, f"{path}?{query}", None if method == "GET" else wish, connection=connection,
                             headers={"X-Sandbox": theirs.box.id, "X-Sandbox-Id": theirs.box.id, "Content-Type": "application/json",
                                      "Accept": "application/json"})
        assert b"their-secret" not in reply.body and b"their-process" not in reply.body, (path, query, wish)
        if reply.headers.get("Connection") == "close":
            connection.close()
    assert before == (theirs.box.get(), len(theirs.box.events()))
    assert ours.box.get()["state"] in ("ready", "running")


# ---- the end of a token ----

SERVE = ("nohup python3 -c \"import http.server, socketserver\nsocketserver.ThreadingTCPServer(('127.0.0.1', 8321), "
         "http.server.SimpleHTTPRequestHandler).serve_forever()\" >/dev/null 2>&1 & "
         "until (exec 3<>/dev/tcp/127.0.0.1/8321) 2>/dev/null; do sleep 0.02; done")


LIFETIMES = (2000, 10000, 50000)  # ms: on a busy machine a token may end before it is used


def test_what_goes_on_under_a_token_ends_with_it(server):
    box = server.create()
    wish = json.dumps({"argv": ["sleep", "1000"]}).encode()
    for lifetime in LIFETIMES:
        token = box.request("POST", "/tokens", {"lifetime_ms": lifetime}).json["token"]
        requests = [head(server, f"{box.path}/events?follow=true", token),
                    put_head(server, "POST", f"{box.path}/actions/exec", token, len(wish)) + wish,
                    head(server, f"{box.path}/stream", token)[:-2] + UPGRADE]
        with contextlib.ExitStack() as stack:
            own, *opened = [stack.enter_context(connect(server)) for _ in range(1 + len(requests))]
            own.sendall(head(server, f"{box.path}/events?follow=true", server.token))
            for s, request in zip(opened, requests):
                s.sendall(request)
            if ask(server, box.path, token) != 200:
                continue
            assert all(is_closed(s) for s in opened)
            assert ask(server, box.path, token) == 401
            assert own.recv(12) == b"HTTP/1.1 200" and not is_closed_soon(own), "what others have begun goes on"
            break
    else:
        pytest.fail("no token was good for long enough")
    box.delete()


def is_closed_soon(s):
    s.setblocking(False)
    try:
        while True:
            if not s.recv(65536):
                return True
    except BlockingIOError:
        return False


class Links:
    """To one port of a sandbox, got with a token: by name, as a cookie, and both of Daytona's."""

    def __init__(self, server, box, token):
        self.server, self.box = server, box
        self.link = server.request("GET", f"{box.path}/ports/8321", token=token).json["link"]
        preview = f"/daytona/api/sandbox/{box.id}/ports/8321"
        self.tickets = [server.request("GET", f"{preview}/{path}", token=token).json["token"]
                        for path in ("preview-url", "signed-preview-url?expiresInSeconds=3600")]

    def states(self):
        host, _, path = self.link.removeprefix("http://").partition("/")
        cookie = f"cay_port={path.removeprefix('?cay_ticket=')}"
        return [self.server.request("GET", f"/{path}", token=None, headers={"Host": host}).status,
                self.server.request("GET", "/", token=None, headers={"Host": host, "Cookie": cookie}).status,
                *(self.server.request("GET", f"/daytona/preview/{self.box.id}/8321/", token=None,
                                      headers={"X-Daytona-Preview-Token": ticket}).status for ticket in self.tickets)]


def test_a_link_that_was_got_with_a_token_ends_with_it(server):
    box = server.create(network="loopback")
    box.action("run", command=SERVE)
    own = Links(server, box, server.token)
    for lifetime in LIFETIMES:
        token = box.request("POST", "/tokens", {"lifetime_ms": lifetime}).json["token"]
        if ask(server, box.path, token) != 200:
            continue
        theirs = Links(server, box, token)
        states = theirs.states()
        if ask(server, box.path, token) == 200:
            assert states == [303, 200, 200, 200]
            break
    else:
        pytest.fail("no token was good for long enough")
    wait_until(lambda: ask(server, box.path, token) == 401)
    assert theirs.states() == [401] * 4
    assert own.states() == [303, 200, 200, 200]
    box.delete()


def test_messages_that_do_not_end_are_held_up_to_a_limit(tenants, grows, many_descriptors):
    ours, theirs = tenants
    server = ours.server
    frame = b"\x82\xff" + (1 << 20).to_bytes(8, "big") + b"\0\0\0\0" + b"x" * ((1 << 20) - 1)
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            s = stack.enter_context(connect(server))
            s.sendall(head(server, f"{ours.box.path}/stream", ours.token)[:-2] + UPGRADE)
            assert status_of(s) == 101
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(frame)
        assert grows() < 200 * MIB
        assert theirs.request("POST", f"{theirs.box.path}/actions/run", {"command": "echo hi"}).json["output"] == "hi\n"
    wait_until(lambda: ours.request("POST", f"{ours.box.path}/actions/run", {"command": "echo hi"}).status == 200)


@pytest.fixture
def engine_socket(tmp_path):
    started = start_server("--docker", f"unix:{tmp_path}/engine.sock")
    yield str(tmp_path / "engine.sock")
    end_server(started)


def test_who_may_open_the_engines_socket_is_no_guest(engine_socket, many_descriptors):
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(600)]
        for s in opened:
            s.settimeout(PATIENCE)
            s.connect(engine_socket)
            s.sendall(b"GET /events HTTP/1.1\r\nHost: docker\r\n\r\n")
        assert {status_of(s) for s in opened} == {200}


# ---- a crowd ----

def test_a_thousand_calls_at_once_wait_for_an_executor_that_is_busy(own_server, many_descriptors):
    """What its control socket does not take at once waits in the server; beyond the limit there is an error that says so."""
    box = own_server.create()
    box.output("true")
    executors = processes.descendants(own_server.process.pid, "cay-executor")
    body = json.dumps({"path": "/tmp"})
    request = (f"POST {box.path}/actions/stat HTTP/1.1\r\nHost: localhost:{own_server.port}\r\n"
               f"Authorization: Bearer {own_server.token}\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()
    with contextlib.ExitStack() as stack:
        for executor in executors:
            os.kill(executor, signal.SIGSTOP)
            stack.callback(os.kill, executor, signal.SIGCONT)
        opened = [stack.enter_context(connect(own_server)) for _ in range(1000)]
        for s in opened:
            s.sendall(request)
        wait_until(lambda: own_server.request("GET", "/v1/stats").json["calls_under_way"] >= 1000)
        for s in (crowd := [stack.enter_context(connect(own_server)) for _ in range(50)]):
            s.sendall(request)
        for executor in executors:
            os.kill(executor, signal.SIGCONT)
        assert {status_of(s) for s in opened} == {200}
        assert {status_of(s) for s in crowd} == {200, 429}
    assert box.output("echo still here") == "still here\n"
