# SPDX-License-Identifier: Apache-2.0
"""What test_lies.py asks, of what is made of several parts: MCP servers inside, plugins, images and what is born of them, ports, a browser."""
import itertools
import time

import pytest
import rootfs
from lies import EACH, IS_LONG, SEEDS, WAYS, ask, each_value_is_told, honest, liars, lie, request, server, the_server_stays  # noqa: F401: fixtures
from mcp import SERVER as MCP_SERVER
from test_browser import CHROMIUM
from test_build import context
from test_ports import SERVER as HTTP_SERVER

JSON = {"Accept": "application/json, text/event-stream"}


def call(path, method, **params):
    return "POST", path, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, JSON


def hello(path):
    return call(path, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "t", "version": "1"})


# MCP servers in a sandbox: behind OpenHands' proxy, and as a pack of tools.

def create_hub(server):
    box = server.create()
    assert box.put_file("/tmp/server.py", MCP_SERVER.encode()).status == 200
    return box


def entry(name):
    return {"name": name, "command": "python3", "args": ["/tmp/server.py", name], "env": {}}


def hub_questions(box):
    at, hub = f"/openhands/{box.id}", f"/openhands/{box.id}/mcp"
    for entries in ([entry("alpha")], [entry("alpha"), entry("beta")]):
        yield "POST", f"{at}/update_mcp_server", entries
        yield hello(hub)
        yield call(hub, "tools/list")
        yield call(hub, "resources/list")
        yield call(hub, "tools/call", name="echo" if len(entries) == 1 else "beta_echo", arguments={"a": 1})
        yield call(hub, "tools/call", name="progress" if len(entries) == 1 else "beta_progress", arguments={}, _meta={"progressToken": 7})
        yield call(hub, "tools/call", name="garbage", arguments={})
        yield call(hub, "resources/read", uri="note://today")
    yield "POST", f"{box.path}/tools", {"mcp": {"command": "python3", "args": ["/tmp/server.py", "pack"]}, "name": "pack"}
    yield "POST", f"{box.path}/actions/tool_list", {}
    yield "POST", f"{box.path}/actions/tool_call", {"tool": "echo", "args": [], "kwargs": {"a": 1}}
    yield hello(f"/mcp/{box.id}")
    yield call(f"/mcp/{box.id}", "tools/call", name="echo", arguments={"a": 1})
    yield "POST", f"{box.path}/actions/tool_remove", {"name": "pack"}


# Plugins of one's own.

def create_mine(server):
    return server.create(plugins=[{"name": "mine", "version": "2", "description": "of mine", "program": ["python3", "server.py", "mine"],
                                   "files": {"server.py": MCP_SERVER}}])


def plugin_questions(box):
    yield "GET", f"{box.path}/plugins", None
    yield "POST", f"{box.path}/plugins/mine/echo", {"a": 1}
    yield "POST", f"{box.path}/actions/process_kill_all", {}
    yield "POST", f"{box.path}/plugins/mine/echo", {"a": 1}


# What listens inside: by REST, Daytona's previews, OpenSandbox's proxy, E2B's hosts.

def create_site(server):
    box = server.create()
    assert box.put_file("/tmp/server.py", HTTP_SERVER.encode()).status == 200
    box.action("exec", argv=["python3", "/tmp/server.py"], detach=True)
    box.run("until [ -e /tmp/listens ]; do :; done")
    return box


def port_questions(box):
    for at in (f"{box.path}/ports/8080", f"/opensandbox/sandboxes/{box.id}/proxy/8080"):
        for path in ("/", "/big?2", "/to-the-end", "/garbage", "/short", "/more", "/continue", "/headers", "/moved?//x"):
            yield "GET", at + path, None
        yield "POST", f"{at}/", b"body"
        yield "GET", f"{at}/x", None, {"Upgrade": "x", "Connection": "Upgrade"}


# A browser.

def create_browsing(server):
    box = server.create()
    assert box.put_file("/workspace/report.bin", b"%PDF-1.4 not really").status == 200
    assert box.put_file("/workspace/a.html", b"<title>A</title><a href=report.bin download>Get it</a><input>").status == 200
    return box


def browser_questions(box):
    page = "file:///workspace/a.html"
    for action, params in (("browser_navigate", {"url": page}), ("browser_observe", {}), ("browser_tabs", {}), ("browser_click", {"bid": "3"})):
        yield "POST", f"{box.path}/actions/{action}", params
    for action, args in (("browse", {"url": page}), ("browse_interactive", {"browser_actions": f'goto("{page}")\nclick("12")'}),
                         ("browse", {"url": "/workspace/report.bin"})):
        yield "POST", f"/openhands/{box.id}/execute_action", {"action": {"action": action, "args": args, "timeout": 9}}


PARTS = {"hub": (create_hub, hub_questions), "plugin": (create_mine, plugin_questions), "ports": (create_site, port_questions)}
if CHROMIUM:
    PARTS["browser"] = (create_browsing, browser_questions)


@pytest.mark.parametrize("seed", SEEDS if IS_LONG else (1,))
@pytest.mark.parametrize("part", PARTS)
def test_whatever_an_executor_says_the_server_stays(server, honest, part, seed):
    create, questions = PARTS[part]
    the_server_stays(server, honest, lambda: create(server), questions, seed, is_content=True)


@pytest.mark.parametrize("way", WAYS if IS_LONG else (3, 31))
@pytest.mark.parametrize("part", PARTS)
def test_no_value_of_an_executor_is_needed(server, honest, part, way):
    create, questions = PARTS[part]
    each_value_is_told(server, honest, lambda _: create(server), questions, way, EACH // 4 if IS_LONG else 2)


# Images: what lies is in them, so that all that is born of them lies from its first word on.

def births(server, image):
    """What is made of it, by each face; each with how its sandboxes are ended."""
    yield "POST", "/v1/sandboxes", {"image": image}
    yield "POST", "/v1/sandboxes", {"image": image, "user": "root", "plugins": ["jupyter"]}
    yield "POST", "/v1/sandboxes", {"image": image, "plugins": [{"name": "mine", "version": "2", "description": "", "program": ["true"], "files": {"a": "b"}}]}
    yield "POST", "/e2b/v2/sandboxes", {"templateID": image}
    yield "POST", "/daytona/api/sandbox", {"snapshot": image}
    yield "POST", "/opensandbox/v1/sandboxes", {"image": {"uri": image}, "entrypoint": ["tail", "-f", "/dev/null"]}
    yield "POST", "/v1.43/containers/create", {"Image": image, "Cmd": ["sleep", "9"]}
    yield "POST", "/start", {"image": image, "command": ["sleep", "9"], "working_dir": "/tmp", "environment": {}}


def builds(image):
    text = (f"FROM {image} AS a\nRUN echo one >/one\nWORKDIR /x/y\nCOPY f* /there/\nADD f /f\nRUN --mount=type=cache,target=/c true\n"
            "FROM host\nCOPY --from=a /one /two/\nRUN cat /two/one\n")
    yield "POST", "/v1.43/build", context(text, {"f": "x", "f2": "y"}), {"Content-Type": "application/x-tar"}
    yield "POST", "/v1/images/build", context(text, {"f": "x", "f2": "y"}), {"Content-Type": "application/x-tar"}


def images_of(server):
    return {image["id"]: image for image in server.request("GET", "/v1/images").json["images"]}


def sandboxes_of(server):
    return [s["id"] for s in server.request("GET", "/v1/sandboxes").json["sandboxes"] if s["state"] not in ("ended", "failed")]


def images_questions(box):
    """They make images and sandboxes, of one that lies."""
    yield "POST", f"{box.path}/snapshot", {}
    yield "POST", f"{box.path}/fork", {"count": 2}
    yield "POST", f"/e2b/sandboxes/{box.id}/snapshots", {}
    yield "POST", f"/e2b/sandboxes/{box.id}/fork", {"count": 1}
    yield "POST", f"/daytona/api/sandbox/{box.id}/snapshot", {"name": f"s-{time.time_ns()}"}
    yield "POST", f"/daytona/api/sandbox/{box.id}/fork", {}
    yield "POST", f"/opensandbox/v1/sandboxes/{box.id}/snapshots", {}
    yield "POST", f"/v1.43/commit?container={box.id}", {}


def clean(server, keep, images):
    for sandbox in sandboxes_of(server):
        if sandbox not in keep:
            server.request("DELETE", f"/v1/sandboxes/{sandbox}")
    for image in images_of(server):
        if image not in images:
            server.request("DELETE", f"/v1/images/{image}?force=true")


@pytest.mark.parametrize("way", WAYS if IS_LONG else (0, 17))
def test_what_is_born_of_a_liar_ends_nobody_else(server, honest, way):
    pid, keep, images = server.server_pid(), sandboxes_of(server), images_of(server)
    for at in range(24) if IS_LONG else (1,):
        box = server.create(user="root")
        lie(box, "each", way, at)
        image = f"liar-{way}-{at}"
        reply = server.docker.request("POST", "/v1.43/images/create", rootfs.tar({**rootfs.base_files(), "tmp/lie": f"each {way} {at}".encode()}, ["tmp"]),
                                      fromSrc="-", repo=image)
        assert reply.status == 200, reply.body
        questions = itertools.chain(images_questions(box), births(server, image), builds(image))
        for question in questions:
            try:
                request(server, *question, timeout=3)
            except OSError:
                pass
            assert server.server_pid() == pid, (question, server.log_text()[-3000:])
        clean(server, keep, images)
    assert honest.output("echo honest") == "honest\n"
