# SPDX-License-Identifier: Apache-2.0
"""What the MCP Python SDK's clients do with cay, and cay with its servers. Runs in its virtual environment."""
import asyncio
import concurrent.futures
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import cases
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

URL, TOKEN = os.environ["CAY_URL"], os.environ["CAY_TOKEN"]
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def rest(method, path, body=None):
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, HEADERS, method=method)
    with urllib.request.urlopen(request, timeout=60) as reply:
        text = reply.read()
        return json.loads(text) if text else None


@contextlib.contextmanager
def sandbox():
    made = rest("POST", "/v1/sandboxes", {})["id"]
    rest("PUT", f"/v1/sandboxes/{made}/files?path=/tmp/wordcount.py", pathlib.Path(os.environ["WORDCOUNT"]).read_bytes())
    try:
        yield made
    finally:
        rest("DELETE", f"/v1/sandboxes/{made}")


@contextlib.asynccontextmanager
async def session(streams):
    async with streams as (read, write, *_):
        async with ClientSession(read, write) as s:
            s.hello = await s.initialize()
            yield s


def http(path):
    return session(streamablehttp_client(URL + path, headers=HEADERS))


def sse(path):
    return session(sse_client(URL + path, headers={**HEADERS, "X-Session-API-Key": TOKEN, "s": TOKEN}))


def stdio(*arguments):
    return session(stdio_client(StdioServerParameters(command=os.environ["CAY"], args=["mcp", *arguments], env={
        "PATH": os.environ["PATH"], "CAY_URL": URL, "CAY_TOKEN": TOKEN})))


async def use(s):
    assert s.hello.serverInfo.name == "cay"
    names = [t.name for t in (await s.list_tools()).tools]
    assert {"run", "read", "write", "edit", "exec"} <= set(names)
    done = await s.call_tool("run", {"command": "cd /tmp && echo hi"})
    assert done.content[0].text == "hi\n" and not done.isError and done.structuredContent["exit_code"] == 0
    failed = await s.call_tool("run", {"command": "pwd; false"})
    assert failed.content[0].text == "/tmp\n[exit code 1]" and failed.isError
    await s.call_tool("write", {"path": "/tmp/f", "content": "é"})
    assert (await s.call_tool("read", {"path": "/tmp/f"})).content[0].text == "é"
    for tool, arguments in (("run", {"comand": "x"}), ("nothing", {})):
        try:
            await s.call_tool(tool, arguments)
            raise AssertionError(f"{tool} was not refused")
        except McpError as e:
            assert e.error.code == -32602
    await s.send_ping()


async def with_client(opening, function):
    async with opening as s:
        await function(s)


def test_streamable_http_with_a_sandbox_of_its_own():
    asyncio.run(with_client(http("/mcp"), use))
    assert not any("mcp.session" in s["labels"] for s in rest("GET", "/v1/sandboxes")["sandboxes"] if s["state"] == "ready")


def test_streamable_http_with_a_named_sandbox():
    with sandbox() as box:
        asyncio.run(with_client(http(f"/mcp/{box}"), use))


def test_stdio_with_a_sandbox_of_its_own():
    asyncio.run(with_client(stdio(), use))


def test_stdio_with_a_named_sandbox():
    with sandbox() as box:
        asyncio.run(with_client(stdio(box), use))


def test_many_calls_at_once_over_stdio():
    async def many(s):
        results = await asyncio.gather(*(s.call_tool("exec", {"argv": ["echo", str(i)]}) for i in range(30)))
        assert [r.content[0].text for r in results] == [f"{i}\n" for i in range(30)]

    asyncio.run(with_client(stdio(), many))


def entry(name):
    return {"name": name, "command": "python3", "args": ["/tmp/wordcount.py"], "env": {}}


async def count(s, tool):
    assert tool in [t.name for t in (await s.list_tools()).tools]
    result = await s.call_tool(tool, {"path": "/etc/hostname"})
    assert result.structuredContent["lines"] == 1 and not result.isError
    unknown = await s.call_tool("nope", {})
    assert unknown.isError


def proxy(opening, names, tool):
    with sandbox() as box:
        said = rest("POST", f"/openhands/{box}/update_mcp_server", [entry(n) for n in names])
        assert said == {"detail": "MCP server updated successfully", "router_error_log": ""}
        asyncio.run(with_client(opening(box), lambda s: count(s, tool)))


async def count_alone(s, tool):
    assert [t.name for t in (await s.list_tools()).tools] == [tool]
    assert (await s.call_tool(tool, {"path": "/etc/hostname"})).structuredContent["lines"] == 1


def test_openhands_proxy_over_sse_one_server():
    with sandbox() as box:
        rest("POST", f"/openhands/{box}/update_mcp_server", [entry("a")])
        asyncio.run(with_client(sse(f"/openhands/{box}/mcp/sse"), lambda s: count_alone(s, "count")))


def test_openhands_proxy_over_sse_two_servers():
    proxy(lambda box: sse(f"/openhands/{box}/mcp/sse"), ["a", "b"], "b_count")


def test_openhands_proxy_over_streamable_http_two_servers():
    proxy(lambda box: http(f"/openhands/{box}/mcp"), ["a", "b"], "a_count")


# ---- servers of the SDK, over HTTP, as tools of a sandbox ----

@contextlib.contextmanager
def far(transport):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, pathlib.Path(__file__).with_name("mcp_far.py"), transport, str(port)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            with sandbox() as box:
                path = "/mcp" if transport == "streamable-http" else "/sse"
                pack = rest("POST", f"/v1/sandboxes/{box}/tools", {"mcp": {"url": f"http://127.0.0.1:{port}{path}"}, "name": "far"})
                assert pack["tools"] == ["add", "count", "sleep", "boom"], pack
                yield lambda tool, **kwargs: rest("POST", f"/v1/sandboxes/{box}/actions/tool_call",
                                                  {"tool": tool, "kwargs": kwargs})
        finally:
            server.kill()


def use_far(transport):
    with far(transport) as call:
        assert json.loads(call("add", a=2)["output"]) == {"result": 3}
        said = [json.loads(call("count", by=n)["output"]) for n in (2, 3)]
        assert said == [{"result": "so far 2"}, {"result": "so far 5"}], said
        error = call("boom")["error"]
        assert error["type"] == "McpError" and "no luck" in error["message"], error
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            begun = time.monotonic()
            assert [r["error"] for r in pool.map(lambda _: call("sleep", seconds=1), range(5))] == [None] * 5
            assert time.monotonic() - begun < 4, "one waited for the other"


def test_streamable_http_server_as_tools():
    use_far("streamable-http")


def test_sse_server_as_tools():
    use_far("sse")


cases.run_all(globals())
