#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A sandbox for each tool, over plain HTTP: make it, upload a function, call it with arguments, remove it.

    CAY_URL=http://127.0.0.1:8000 CAY_TOKEN=… daytona_runtime.py
"""
import http.client
import inspect
import json
import os
import socket
import urllib.parse


def request(method, path, body=None):
    url = os.environ.get("CAY_URL", "http://127.0.0.1:8000")
    connection = http.client.HTTPConnection("localhost", timeout=60)
    if url.startswith("unix:"):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(url[5:])
    else:
        connection = http.client.HTTPConnection(url.split("//")[1], timeout=60)
    headers = {"Authorization": f"Bearer {os.environ['CAY_TOKEN']}"}
    connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body or {}), headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 400:
        raise RuntimeError(text.decode())
    return json.loads(text) if text else None


class Remote:
    """A function that runs elsewhere. Quotes, newlines and backslashes in its arguments are only characters."""

    def __init__(self, function):
        self.name = function.__name__
        self.path = "/v1/sandboxes/" + request("POST", "/v1/sandboxes", {"limits": {"memory_bytes": 256 << 20}})["id"]
        query = urllib.parse.urlencode({"path": "/workspace/tool.py"})
        request("PUT", f"{self.path}/files?{query}", inspect.getsource(function).encode())
        request("POST", self.path + "/actions/tool_add", {"entrypoint": f"tool.{self.name}"})

    def __call__(self, *args, **kwargs):
        result = request("POST", self.path + "/actions/tool_call",
                         {"tool": self.name, "args": args, "kwargs": kwargs, "timeout_ms": 10000})
        if result["error"]:
            raise RuntimeError("{type}: {message}".format(**result["error"]))
        print(result["stdout"], end="")
        return json.loads(result["output"])

    def close(self):
        request("DELETE", self.path)


def sample_function(x, y=1):
    print(f"adding {x!r} and {y!r}")
    return x + y


tool = Remote(sample_function)
try:
    print(tool(1, y=2))
    print(repr(tool("it's \"x\"\\", y="\n")))
    try:
        tool(1, y="2")
    except RuntimeError as why:
        print(str(why).split(":")[0])
finally:
    tool.close()
