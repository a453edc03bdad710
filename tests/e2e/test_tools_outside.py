# SPDX-License-Identifier: Apache-2.0
"""Tools that the server performs: HTTP endpoints, other tool servers, MCP servers; and the server's own tools."""
import contextlib
import http.server
import json
import threading

import pytest
from conftest import IS_SANITIZED
from processes import memory_kib
from waiting import wait_until

MCP_SERVER = '''
import json, os, sys
n = 0
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m:
        continue
    method, params = m["method"], m.get("params") or {}
    if method == "initialize":
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": "t", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [{"name": name, "description": "Does " + name, "inputSchema": {
            "type": "object", "required": ["by"], "properties": {"by": {"type": "integer"}}}}
            for name in ("count", "fail", "shape", "die", "hang", "not a name")]}
    else:
        n += params["arguments"].get("by", 0)
        name = params["name"]
        if name == "die":
            os._exit(3)
        if name == "hang":
            continue
        result = {"content": [{"type": "text", "text": str(n)}], "isError": name == "fail"}
        if name == "shape":
            result["structuredContent"] = {"n": n}
    print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": result}), flush=True)
'''


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers.get("X-Key"), body))
        if self.path == "/slow":
            self.server.released.wait(20)
        status = 503 if self.path == "/broken" else 200
        answer = b"plain words" if self.path in ("/text", "/broken") else json.dumps({"got": body}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(answer)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.seen, server.released = [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


def add(box, **wish):
    reply = box.request("POST", "/tools", wish)
    assert reply.status == 200, reply.body
    return reply.json


def call(box, tool, *args, timeout_ms=0, **kwargs):
    return box.request("POST", "/actions/tool_call", {"tool": tool, "args": list(args), "kwargs": kwargs,
                                                     "timeout_ms": timeout_ms})


def value(box, tool, *args, **kwargs):
    result = call(box, tool, *args, **kwargs).json
    assert result["error"] is None, result
    return json.loads(result["output"])


SCHEMA = {"type": "object", "required": ["a"], "additionalProperties": False,
          "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}


def test_an_http_endpoint_is_a_tool(box, web):
    pack = add(box, url=web.url + "/x", name="ask", description="Asks.", parameters=SCHEMA, headers={"X-Key": "s3cret"})
    assert (pack["kind"], pack["tools"]) == ("http", ["ask"])
    assert value(box, "ask", 1, b="é\n\"") == {"got": {"a": 1, "b": "é\n\""}}
    assert web.seen[-1] == ("/x", "s3cret", {"a": 1, "b": "é\n\""})
    listed = box.action("tool_list")
    assert listed["tools"][-1]["function"]["parameters"] == SCHEMA and "s3cret" not in json.dumps(listed)
    events = json.dumps(box.events())
    assert "s3cret" not in events and '"ask"' in events
    assert call(box, "ask", "x").json["error"]["message"] == "ask() argument 'a' must not be of type string"
    assert call(box, "ask", 1, z=1).json["error"]["type"] == "TypeError"
    reply = box.request("POST", "/actions/tool_call", {"tool": "ask", "args": {"a": 1}})
    assert reply.status == 400 and reply.json["error"]["message"] == "tool ask: args: an array is wanted, not object"


def test_what_an_endpoint_says_otherwise(box, web):
    add(box, url=web.url + "/text", name="text")
    assert value(box, "text") == "plain words"
    add(box, url=web.url + "/broken", name="broken")
    assert call(box, "broken").json["error"] == {"type": "HttpError", "message": "it answered 503: plain words",
                                                 "traceback": ""}
    add(box, url="http://127.0.0.1:1/", name="gone")
    assert call(box, "gone").code == "unavailable"
    add(box, url=web.url + "/slow", name="slow")
    assert call(box, "slow", timeout_ms=200).code == "timeout"


def test_it_is_removed_like_any_other(box, web):
    add(box, url=web.url, name="ask")
    box.action("tool_remove", name="ask")
    assert call(box, "ask").code == "not_found" and box.action("tool_list") == {"packs": [], "tools": []}


def test_the_first_pack_with_a_name_has_it(box, web):
    box.request("POST", "/actions/tool_add", {"action": "stat"})
    reply = box.request("POST", "/tools", {"url": web.url, "name": "stat"})
    assert reply.code == "already_exists"
    add(box, url=web.url, name="read")
    box.request("POST", "/actions/tool_add", {"action": "read"})
    assert value(box, "read", x=1) == {"got": {"x": 1}}
    names = [tool["function"]["name"] for tool in box.action("tool_list")["tools"]]
    assert sorted(names) == ["read", "stat"]


@pytest.mark.parametrize("wish, words", [
    ({}, "0 are given"), ({"url": "http://h/", "server": "http://h/"}, "2 are given"), ({"url": "ftp://h", "name": "x"}, "URL"),
    ({"url": "http://h/", "name": "docs"}, "docs"), ({"url": "http://h/"}, "name"), ({"url": "http://h/", "name": "a b"}, "a b"),
    ({"url": "http://h/", "name": "x", "headers": {"A": "b\nC: d"}}, "header"),
    ({"url": "http://h/", "name": "x", "parameters": [1]}, "object"), ({"mcp": {"args": []}, "name": "m"}, "command"),
    ({"server": "http://127.0.0.1:1"}, "127.0.0.1:1"), ({"mcp": {"command": "/nope"}, "name": "m"}, "nope"),
])
def test_what_cannot_be_is_said(box, wish, words):
    reply = box.request("POST", "/tools", wish)
    assert reply.status >= 400 and words in reply.json["error"]["message"], reply.body


def test_the_tools_of_an_mcp_server(box):
    box.put_file("/workspace/server.py", MCP_SERVER.encode())
    pack = add(box, mcp={"command": "python3", "args": ["server.py"]}, name="counter")
    assert pack["tools"] == ["count", "fail", "shape", "die", "hang"]
    assert [value(box, "count", 1), value(box, "count", by=2), value(box, "shape", 1)] == ["1", "3", {"n": 4}]
    assert call(box, "fail", 1).json["error"] == {"type": "McpError", "message": "5", "traceback": ""}
    assert call(box, "hang", 1, timeout_ms=200).code == "timeout"
    assert call(box, "die", 1).code == "unavailable"
    assert value(box, "count", 7) == "7", "it was started anew"
    box.action("tool_reset", pack="counter")
    assert value(box, "count", 1) == "1"


MANY = """
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if m["method"] == "initialize":
        print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": {"protocolVersion": m["params"]["protocolVersion"],
              "capabilities": {"tools": {}}, "serverInfo": {"name": "t", "version": "1"}}}), flush=True)
    elif m["method"] == "tools/list":
        print(json.dumps({"jsonrpc": "2.0", "id": m["id"], "result": {"tools": [
              {"name": n, "inputSchema": {"type": "object"}} for n in ("values", "text", "chatter")]}}), flush=True)
    elif m["method"] == "tools/call":
        many = "[" + "{}," * 2000000 + "{}]"
        while m["params"]["name"] == "chatter":
            print('{"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "%s"}}' % ("x" * 1000000))
        content = many if m["params"]["name"] == "values" else json.dumps([{"type": "text", "text": many}])
        print('{"jsonrpc": "2.0", "id": %d, "result": {"content": %s}}' % (m["id"], content), flush=True)
"""


def test_what_a_server_says_in_millions_of_values_is_not_held_by_ours(own_server):
    """A tree of them would be hundreds of times larger than the text, and others wait while it is made."""
    box = own_server.create()
    box.put_file("/workspace/server.py", MANY.encode())
    add(box, mcp={"command": "python3", "args": ["server.py"]}, name="many")
    assert call(box, "values").code == "protocol"
    assert call(box, "chatter", timeout_ms=20000).code == "protocol"
    text = call(box, "text")
    assert text.status == 413 or text.status == 200 and text.json["error"] is None and json.loads(json.loads(text.json["output"]))[0] == {}
    if not IS_SANITIZED:
        assert memory_kib(own_server.server_pid(), "VmHWM") < 256 << 10


def test_they_outlive_a_restart_of_the_server(own_server, web):
    box = own_server.create()
    box.put_file("/workspace/server.py", MCP_SERVER.encode())
    add(box, url=web.url + "/x", name="ask", headers={"X-Key": "k"})
    add(box, mcp={"command": "python3", "args": ["server.py"]}, name="counter")
    own_server.kill_server()
    assert value(box, "ask", x=1) == {"got": {"x": 1}} and web.seen[-1][1] == "k"
    assert value(box, "count", 1) == "1"


def test_the_tools_of_another_tool_server(server, box):
    far = server.create()
    far.put_file("/workspace/kit.py", b"def shout(text: str) -> str:\n    'Shouts.'\n    print('loud')\n    return text.upper()\n"
                                      b"def boom():\n    raise ValueError('no')\n")
    far.action("tool_add", entrypoint="kit.shout")
    far.action("tool_add", entrypoint="kit.boom")
    stream = server.events("POST", f"{far.path}/tool-server", {"listen": "127.0.0.1:0"})
    port = next(iter(stream))[2]["port"]
    pack = add(box, server=f"http://127.0.0.1:{port}")
    assert (pack["kind"], pack["tools"]) == ("server", ["shout", "boom"])
    schema = box.action("tool_list")["tools"][0]["function"]
    assert schema["description"] == "Shouts." and schema["parameters"]["properties"]["text"] == {"type": "string"}
    result = call(box, "shout", "hi").json
    assert (result["output"], result["stdout"]) == ('"HI"', "loud\n")
    assert call(box, "boom").json["error"]["message"] == "no"
    stream.close()
    wait_until(lambda: call(box, "shout", "hi").status == 503)
    far.delete()


def test_a_client_that_leaves_cancels_its_call(server, box, web):
    add(box, url=web.url + "/slow", name="slow")
    connection = server.connection()
    connection.request("POST", f"{box.path}/actions/tool_call", '{"tool":"slow"}', server.headers("", {}))
    wait_until(lambda: [p["calls"] for p in box.action("tool_list")["packs"]] == [1])
    connection.close()
    wait_until(lambda: [p["calls"] for p in box.action("tool_list")["packs"]] == [0])


def test_a_sandbox_that_goes_takes_its_calls_along(server, web):
    box = server.create()
    add(box, url=web.url + "/slow", name="slow")
    codes = []
    caller = threading.Thread(target=lambda: codes.append(call(box, "slow").status))
    caller.start()
    wait_until(lambda: [p["calls"] for p in box.action("tool_list")["packs"]] == [1])
    box.delete()
    caller.join(20)
    assert codes and codes[0] >= 400


def test_the_server_has_tools_of_its_own(own_server, web):
    def ask(method, path="", body=None):
        return own_server.request(method, "/v1/tools" + path, body)

    assert ask("GET").json == {"packs": [], "tools": []} and ask("POST", "/nope", {}).status == 404
    assert ask("POST", body={"url": web.url + "/x", "name": "ask"}).json["tools"] == ["ask"]
    assert ask("POST", body={"action": "stat"}).json["tools"] == ["stat"]
    assert json.loads(ask("POST", "/ask", {"kwargs": {"x": 1}}).json["output"]) == {"got": {"x": 1}}
    assert "dir" in ask("POST", "/stat", {"args": ["/workspace"]}).json["output"]
    assert [t["function"]["name"] for t in ask("GET").json["tools"]] == ["stat", "ask"]
    assert ask("DELETE", "/ask").status == 200 and ask("POST", "/ask", {}).status == 404
    assert ask("POST", body={"nonsense": 1}).status == 400 and ask("POST", "/stat", {"nonsense": 1}).status == 400
    assert own_server.request("GET", "/v1/tools", token=None).status == 401
