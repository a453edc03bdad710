# SPDX-License-Identifier: Apache-2.0
"""MCP servers that are reached over HTTP as tools of a sandbox: both transports, as the SDK's FastMCP speaks them, and
servers that do it otherwise; and that nothing tells the keys in their headers."""
import contextlib
import http.server
import json
import os
import queue
import re
import socket
import threading
import time

import pytest
from waiting import PATIENCE, wait_until

TOOLS = [{"name": name, "description": "Does " + name, "inputSchema": {
    "type": "object", "properties": {"by": {"type": "integer"}}, "required": []}}
    for name in ("count", "fail", "slow", "broken", "notes", "lose")]
SILENT = [{**TOOLS[0], "name": name} for name in ("none", "half", "other", "empty", "accepted", "no-content", "cut")]


class Mcp(http.server.BaseHTTPRequestHandler):
    """server.kind: json and stream are streamable HTTP with both forms of replies, sse is the older transport."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, text="", kind="application/json", **more):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(text.encode())

    def message(self, value):
        return f"event: message\r\ndata: {json.dumps(value)}\r\n\r\n"

    def is_welcome(self):
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        if self.headers.get("X-Key") == self.server.key:
            return True
        self.reply(401, "no key")
        return False

    def result(self, m):
        params = m.get("params") or {}
        if m["method"] == "initialize":
            return {"protocolVersion": self.server.revision, "capabilities": {"tools": {}},
                    "serverInfo": {"name": "t", "version": "1"}}
        if m["method"] == "tools/list":
            at = int(params.get("cursor", 0))
            tools = TOOLS + (SILENT if self.server.kind == "silent" else [])
            more = {"nextCursor": str(at + 3)} if at + 3 < len(tools) else {}
            return {"tools": tools[at:at + 3], **more}
        self.server.n += params["arguments"].get("by", 0)
        return {"content": [{"type": "text", "text": str(self.server.n)}], "isError": params["name"] == "fail"}

    def do_GET(self):
        if not self.is_welcome():
            return
        if self.server.kind != "sse":
            self.reply(405)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.server.out = out = queue.Queue()
        with contextlib.suppress(OSError):
            self.wfile.write(f"event: endpoint\r\ndata: {self.server.endpoint}\r\n\r\n".encode())
            while (m := out.get()) is not None:
                self.wfile.write(self.message(m).encode())
        self.close_connection = True

    def do_DELETE(self):
        if self.is_welcome():
            self.reply(200)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.is_welcome():
            return
        server, m = self.server, json.loads(body)
        server.messages.append(m)
        if server.kind == "sse":
            if self.path == "/mcp":
                self.reply(405)
            else:
                self.reply(202, "Accepted", "text/plain")
                if "id" in m:
                    server.out.put({"jsonrpc": "2.0", "id": m["id"], "result": self.result(m)})
            return
        if m["method"] != "initialize" and self.headers.get("Mcp-Session-Id") != f"s{server.session}":
            self.reply(404, "Session not found")
            return
        if "id" not in m:
            self.reply(202)
            return
        tool = (m.get("params") or {}).get("name")
        if tool == "slow":
            server.waiting.set()
            server.released.wait(PATIENCE)
        if tool == "broken":
            self.reply(500, "out of luck")
            return
        if tool == "lose":
            server.session += 1
            self.reply(404, "Session not found")
            return
        session = {"Mcp_Session_Id": f"s{server.session}"} if m["method"] == "initialize" else {}
        answer = {"jsonrpc": "2.0", "id": m["id"], "result": self.result(m)}
        if tool in UNANSWERED:
            UNANSWERED[tool](self, answer)
            return
        if server.kind == "json":
            self.reply(200, json.dumps(answer), **session)
            return
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
        self.reply(200, ": hi\r\n\r\n" + (self.message(note) if tool == "notes" else "") + self.message(answer),
                   "text/event-stream", **session)


def break_off(request, answer):
    """In the middle of a chunk."""
    request.send_response(200)
    request.send_header("Content-Type", "text/event-stream")
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"fff\r\nevent: message\r\ndata: {\"jsonrpc\"")
    request.close_connection = True


# Tools of it whose call is never answered, and how the reply to it ends.
UNANSWERED = {
    "none": lambda r, answer: r.reply(200, ": nothing\n\n", "text/event-stream"),
    "half": lambda r, answer: r.reply(200, r.message(answer)[:30], "text/event-stream"),
    "other": lambda r, answer: r.reply(200, r.message({**answer, "id": answer["id"] + 77}), "text/event-stream"),
    "empty": lambda r, answer: r.reply(200),
    "accepted": lambda r, answer: r.reply(202),
    "no-content": lambda r, answer: r.reply(204),
    "cut": break_off,
}


@contextlib.contextmanager
def mcp_server(kind, key="s3cret-of-mcp", revision="2025-06-18"):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mcp)
    server.daemon_threads = True
    server.kind, server.key, server.revision, server.endpoint = kind, key, revision, "/messages/?session_id=abc"
    server.seen, server.messages, server.n, server.session, server.out = [], [], 0, 1, queue.Queue()
    server.waiting, server.released = threading.Event(), threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}/mcp"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        server.out.put(None)
        server.shutdown()
        server.server_close()


def add(box, server, **more):
    return box.request("POST", "/tools", {"mcp": {"url": server.url}, "name": "far", "headers": {"X-Key": server.key}, **more})


def call(box, tool, timeout_ms=0, **kwargs):
    return box.request("POST", "/actions/tool_call", {"tool": tool, "kwargs": kwargs, "timeout_ms": timeout_ms})


def value(box, tool, **kwargs):
    reply = call(box, tool, **kwargs)
    assert reply.status == 200 and reply.json["error"] is None, reply.body
    return json.loads(reply.json["output"])


@pytest.mark.parametrize("kind", ["json", "stream", "sse"])
def test_its_tools_are_tools(box, kind):
    with mcp_server(kind) as far:
        pack = add(box, far)
        assert pack.status == 200, pack.body
        assert (pack.json["kind"], pack.json["tools"]) == ("mcp", [t["name"] for t in TOOLS])
        assert [value(box, "count", by=1), value(box, "count", by=2), value(box, "notes")] == ["1", "3", "3"]
        assert call(box, "fail").json["error"] == {"type": "McpError", "message": "3", "traceback": ""}
        starts = [m for m in far.messages if m["method"] == "initialize"]
        assert len(starts) == (2 if kind == "sse" else 1), "one session for all; the older transport is found out"
        assert {h.get("MCP-Protocol-Version") for c, _, h in far.seen[-3:] if c == "POST"} == {"2025-06-18"}
        box.action("tool_remove", name="far")
        if kind != "sse":
            wait_until(lambda: [c for c, _, _ in far.seen][-1] == "DELETE")


def test_a_session_that_the_server_gave_up_is_made_anew(box):
    with mcp_server("json") as far:
        assert add(box, far).status == 200
        assert call(box, "lose").code == "unavailable"
        assert value(box, "count", by=4) == "4"
        assert len([m for m in far.messages if m["method"] == "initialize"]) == 2


def test_a_reply_that_is_none_fails_that_call_alone(box):
    with mcp_server("stream") as far:
        assert add(box, far).status == 200
        assert "it answered 500: out of luck" in call(box, "broken").json["error"]["message"]
        assert value(box, "count", by=1) == "1"
        assert len([m for m in far.messages if m["method"] == "initialize"]) == 1


def test_a_reply_that_ends_without_an_answer_fails_that_call_at_once(box):
    """Nobody waits until a deadline for what cannot come any more; here there is none."""
    with mcp_server("silent") as far:
        assert add(box, far).status == 200
        slow = []
        caller = threading.Thread(target=lambda: slow.append(value(box, "slow", by=1)))
        caller.start()
        assert far.waiting.wait(PATIENCE)
        for tool in UNANSWERED:
            error = call(box, tool).json["error"]["message"]
            assert f"its reply {'broke off' if tool == 'cut' else 'ended'} without an answer" in error, (tool, error)
        far.released.set()
        caller.join(PATIENCE)
        assert slow == ["1"], "another call and the session go on"
        assert len([m for m in far.messages if m["method"] == "initialize"]) == 1


def test_a_slow_one_delays_no_other_and_is_told_when_nobody_waits(box):
    with mcp_server("json") as far:
        assert add(box, far).status == 200
        codes = []
        caller = threading.Thread(target=lambda: codes.append(call(box, "slow", timeout_ms=1500).code))
        caller.start()
        assert far.waiting.wait(PATIENCE)
        assert value(box, "count", by=1) == "1"
        caller.join(PATIENCE)
        assert codes == ["timeout"]
        wait_until(lambda: far.messages[-1]["method"] == "notifications/cancelled")
        far.released.set()
        assert value(box, "count", by=1) in ("2", "1")


@pytest.mark.parametrize("verb, params", [("tool_reset", {"pack": "far"}), ("tool_remove", {"name": "far"})])
def test_a_pack_that_goes_ends_the_calls_that_wait_for_it(box, verb, params):
    with mcp_server("json") as far:
        assert add(box, far).status == 200
        codes = []
        caller = threading.Thread(target=lambda: codes.append(call(box, "slow").code))
        caller.start()
        assert far.waiting.wait(PATIENCE)
        box.action(verb, **params)
        caller.join(PATIENCE)
        assert codes == ["conflict"]
        assert call(box, "count", by=1).status == (200 if verb == "tool_reset" else 404)


def test_what_cannot_be_is_said(box):
    with mcp_server("json") as far:
        reply = add(box, far, headers={"X-Key": "wrong"})
        assert reply.status >= 400 and "it answered 401" in reply.json["error"]["message"]
        assert "wrong" not in reply.body.decode().replace("what went wrong", "")
        far.kind, far.endpoint = "sse", "http://other.example/messages"
        reply = add(box, far)
        assert reply.status >= 400 and "elsewhere" in reply.json["error"]["message"]
    reply = box.request("POST", "/tools", {"mcp": {"url": far.url}, "name": "far"})
    assert reply.code == "unavailable"
    for wish in ({"mcp": {}}, {"mcp": {"url": far.url, "command": "x"}}, {"mcp": {"url": "ftp://x"}},
                 {"mcp": {"url": far.url, "args": ["x"]}}, {"mcp": {"command": "x"}, "headers": {"A": "b"}}):
        assert box.request("POST", "/tools", {"name": "far", **wish}).code == "invalid_argument", wish
    assert box.action("tool_list")["packs"] == []


def test_keys_outlive_a_restart_and_are_told_to_nobody(own_server):
    with mcp_server("json", key="k3y-of-mcp-9137") as far:
        box = own_server.create()
        assert add(box, far).status == 200
        assert value(box, "count", by=1) == "1"
        own_server.kill_server()
        assert value(box, "count", by=1) == "2"
        said = json.dumps([box.action("tool_list"), box.events(), own_server.request("GET", box.path).json])
        assert far.key not in said
        files = [f for f in own_server.state.rglob("*") if f.is_file() and far.key.encode() in f.read_bytes()]
        assert [f.relative_to(own_server.state).parts[0] for f in files] == ["tool-keys"]
        assert all(re.fullmatch(r"0o100600", oct(f.stat().st_mode)) for f in files)
        own_server.log.flush()
        assert far.key not in (own_server.directory / "log").read_text()
        box.delete()
        wait_until(lambda: not list((own_server.state / "tool-keys").iterdir()))


def test_keys_that_a_killed_server_left_are_removed_by_the_next(own_server):
    with mcp_server("json") as far:
        box, plain = own_server.create(), own_server.create()
        assert add(box, far).status == 200
        keys = own_server.state / "tool-keys"
        owner = (keys / box.id).stat()
        for left in (plain.id, "a" * 26, f"{box.id}.new-1"):  # never recorded; of one that is gone; half written
            (keys / left).write_text("{}")
            os.chown(keys / left, owner.st_uid, owner.st_gid)
        own_server.kill_server()
        assert value(box, "count", by=1) == "1"
        assert [f.name for f in keys.iterdir()] == [box.id]


class Flood:
    """A server that answers whatever it is asked with events that do not end."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/"
        self.sent, self.is_over = 0, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        event = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
        connection = self.socket.accept()[0]
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            while not self.is_over:
                connection.sendall(event * 500)
                self.sent += 500


def test_a_server_that_does_not_stop_talking_keeps_nobody_else_waiting(server):
    box = server.create()
    flood = Flood()
    adding = threading.Thread(target=lambda: box.request("POST", "/tools", {"name": "flood", "mcp": {"url": flood.url}}), daemon=True)
    adding.start()
    wait_until(lambda: flood.sent > 10000)
    for _ in range(20):
        before, began = flood.sent, time.monotonic()
        assert server.request("GET", "/v1/health", token=None).status == 200
        assert time.monotonic() - began < 10
        wait_until(lambda past=before: flood.sent > past)
    flood.is_over = True
    flood.thread.join(PATIENCE)
    box.delete()
    adding.join(PATIENCE)
    assert not adding.is_alive()
