# SPDX-License-Identifier: Apache-2.0
"""MCP for tests: a server to be put into a sandbox, and clients of both HTTP transports."""
import json
import threading
import textwrap

from waiting import PATIENCE



# A server on standard input and output, in nothing but Python. Its first argument is its name; others misbehave.
SERVER = textwrap.dedent("""
    import json, os, sys, time

    name, bad = sys.argv[1], sys.argv[2:]

    def say(message):
        sys.stdout.write(json.dumps(message) + "\\n"); sys.stdout.flush()

    def result(request, value):
        say({"jsonrpc": "2.0", "id": request["id"], "result": value})

    def text(value, error=False):
        return {"content": [{"type": "text", "text": value}], "isError": error}

    TOOLS = [{"name": n, "description": n, "inputSchema": {"type": "object"}}
             for n in ("echo", "env", "count", "slow", "die", "huge", "endless", "progress", "refuse", "garbage", "mute", "cancelled")]
    calls = 0
    cancelled = []

    def call(request):
        global calls
        tool, args = request["params"]["name"], request["params"].get("arguments", {})
        calls += 1
        if tool == "echo": result(request, {**text(json.dumps(args)), "structuredContent": {"said": args}})
        elif tool == "env": result(request, text(os.environ.get(args["name"], "unset")))
        elif tool == "count": result(request, text(f"{name} {os.getpid()} {calls}"))
        elif tool == "die": sys.stderr.write("out of luck\\n"); sys.stderr.flush(); os._exit(3)
        elif tool == "huge": result(request, text("x" * args["bytes"]))
        elif tool == "endless":
            while True: sys.stdout.write("y" * 1_000_000)
        elif tool == "progress":
            for i in range(3):
                say({"jsonrpc": "2.0", "method": "notifications/progress",
                     "params": {"progressToken": request["params"]["_meta"]["progressToken"], "progress": i, "total": 3}})
            result(request, text("done"))
        elif tool == "refuse": say({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": "no", "data": {"why": 1}}})
        elif tool == "garbage":
            for line in ("hello", "{", "[]", '{"jsonrpc":"2.0","id":99999,"result":{}}', '{"jsonrpc":"2.0","id":"x","method":"ping"}', ""):
                sys.stdout.write(line + "\\n")
            result(request, text("still here"))
        elif tool == "mute": pass
        elif tool == "cancelled": result(request, text(json.dumps(cancelled)))
        else: result(request, text(f"Unknown tool: {tool}", True))

    if "banner" in bad: print("Welcome to the server!", flush=True)
    if "silent" in bad:
        for line in sys.stdin: pass
    if "flood" in bad:
        while True: print("z" * 10_000)
    if "exit" in bad: sys.stderr.write("cannot start: no key\\n"); sys.exit(2)
    for line in sys.stdin:
        request = json.loads(line)
        method = request.get("method")
        if method == "initialize":
            result(request, {"protocolVersion": request["params"]["protocolVersion"], "capabilities": {"tools": {}},
                             "serverInfo": {"name": name, "version": "1"}})
        elif method == "tools/list":
            if "pages" in bad:
                at = int(request.get("params", {}).get("cursor", 0))
                more = {"nextCursor": str(at + 1)} if at + 1 < len(TOOLS) else {}
                result(request, {"tools": [TOOLS[at]], **more})
            else:
                result(request, {"tools": TOOLS})
        elif method == "tools/call": call(request)
        elif method == "notifications/cancelled": cancelled.append(request["params"]["requestId"])
        elif method == "resources/list": result(request, {"resources": [{"name": "note", "uri": "note://today"}]})
        elif method == "resources/read": result(request, {"contents": [{"uri": request["params"]["uri"], "text": "sunny"}]})
        elif "id" in request and method:
            say({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "Method not found"}})
""")


class Refused(Exception):
    def __init__(self, error):
        super().__init__(error["message"])
        self.code, self.error = error["code"], error


class Client:
    """What both transports share. `told` collects what comes unasked."""

    def __init__(self):
        self.next_id = 0
        self.told = []

    def request(self, method, params=None):
        answer = self.wait(self.start(method, params))
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    def message(self, method, params=None, **more):
        return {"jsonrpc": "2.0", "method": method, **({"params": params} if params is not None else {}), **more}

    def initialize(self, revision="2025-06-18"):
        hello = self.request("initialize", {"protocolVersion": revision, "capabilities": {},
                                            "clientInfo": {"name": "test", "version": "1"}})
        self.notify("notifications/initialized")
        return hello

    def tools(self):
        return [t["name"] for t in self.request("tools/list", {})["tools"]]

    def call(self, tool, **arguments):
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def text(self, tool, **arguments):
        return self.call(tool, **arguments)["content"][0]["text"]


class SseClient(Client):
    """HTTP with SSE: one stream, and a POST for each message."""

    def __init__(self, server, path, headers=None):
        super().__init__()
        self.server, self.extra = server, headers or {}
        self.connection = server.connection()
        self.connection.request("GET", path, None, server.headers("", self.extra))
        self.stream = self.connection.getresponse()
        self.status = self.stream.status
        if self.status != 200:
            return
        kind, data = self.event()
        assert kind == "endpoint"
        self.endpoint = data
        self.early = {}

    def event(self):
        kind = data = None
        while line := self.stream.readline():
            line = line.decode().rstrip("\r\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                data = line[6:]
            elif not line and kind:
                return kind, data
        raise EOFError("the stream ended")

    def post(self, message):
        return self.server.request("POST", self.endpoint, message, headers=self.extra)

    def notify(self, method, params=None):
        assert self.post(self.message(method, params)).status == 202

    def start(self, method, params=None):
        self.next_id += 1
        reply = self.post(self.message(method, params, id=self.next_id))
        assert (reply.status, reply.body) == (202, b"Accepted")
        return self.next_id

    def wait(self, number):
        while number not in self.early:
            _, data = self.event()
            message = json.loads(data)
            if "id" in message:
                self.early[message["id"]] = message
            else:
                self.told.append(message)
        return self.early.pop(number)

    def close(self):
        self.stream.close()
        self.connection.close()


class HttpClient(Client):
    """Streamable HTTP."""

    def __init__(self, server, path, headers=None):
        super().__init__()
        self.server, self.path = server, path
        self.extra = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", **(headers or {})}
        self.answers = {}

    def post(self, message, timeout=PATIENCE):
        reply = self.server.request("POST", self.path, message, headers=self.extra, timeout=timeout)
        if session := reply.headers.get("Mcp-Session-Id"):
            self.extra["Mcp-Session-Id"] = session
        return reply

    def notify(self, method, params=None):
        reply = self.post(self.message(method, params))
        assert (reply.status, reply.body) == (202, b"")

    def start(self, method, params=None):
        self.next_id += 1
        reply = self.post(self.message(method, params, id=self.next_id), timeout=60)
        assert reply.status == 200, reply.body
        if reply.headers["Content-Type"] == "application/json":
            messages = [reply.json]
        else:
            messages = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: ")]
        self.told += [m for m in messages if "id" not in m]
        self.answers[self.next_id] = next(m for m in messages if "id" in m)
        return self.next_id

    def wait(self, number):
        return self.answers.pop(number)

    def close(self):
        pass


def at_once(*functions):
    """Runs them in threads; their results in order."""
    results = [None] * len(functions)

    def run(i):
        results[i] = functions[i]()

    threads = [threading.Thread(target=run, args=[i]) for i in range(len(functions))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results
