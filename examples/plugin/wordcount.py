# SPDX-License-Identifier: Apache-2.0
"""A plugin for cay: it adds the action `count`.

    cay create --name demo --plugin examples/plugin
    curl … localhost:8000/v1/sandboxes/demo/plugins/wordcount/count -d '{"path":"/etc/passwd"}'

A plugin is a program that speaks MCP, one JSON-RPC message per line. `initialize` is its init hook: what fails there fails
the making of the sandbox, with the message. Its tools are the actions that it adds. Any MCP library will do; this is plain.
"""
import json
import sys

COUNT = {"name": "count", "description": "Count lines, words and bytes of a file.",
         "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}


class Refused(Exception):
    """Becomes a JSON-RPC error."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def initialize(params):
    if sys.version_info < (3, 6):
        raise Refused(-32000, "Python 3.6 or newer is wanted")
    return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
            "serverInfo": {"name": "wordcount", "version": "1.0"}}


def call(params):
    if params["name"] != "count":
        raise Refused(-32602, "Unknown tool: " + params["name"])
    try:
        with open(params["arguments"]["path"], "rb") as f:
            data = f.read()
    except (KeyError, OSError) as e:
        return {"content": [{"type": "text", "text": repr(e)}], "isError": True}
    counts = {"lines": data.count(b"\n"), "words": len(data.split()), "bytes": len(data)}
    return {"content": [{"type": "text", "text": json.dumps(counts)}], "structuredContent": counts, "isError": False}


METHODS = {"initialize": initialize, "ping": lambda _: {}, "tools/call": call, "tools/list": lambda _: {"tools": [COUNT]}}


def answer(request):
    try:
        if request["method"] not in METHODS:
            raise Refused(-32601, "Method not found")
        return {"result": METHODS[request["method"]](request.get("params", {}))}
    except Refused as e:
        return {"error": {"code": e.code, "message": str(e)}}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer(message)}), flush=True)
