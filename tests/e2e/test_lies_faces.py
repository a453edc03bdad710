# SPDX-License-Identifier: Apache-2.0
"""What test_lies.py asks, of the faces and their parts that it leaves out: whoever reads what an executor says has a question here."""
import base64
import urllib.parse

import pytest
from conftest import Sandbox
from docker_api import tar_of
from lies import EACH, FILE, IN_LINES, IS_LONG, SEEDS, WAYS, ask, each_value_is_told, honest, liars, lie, request, server, the_server_stays  # noqa: F401: fixtures
from test_e2b import envelope
from test_swerex import form, zipped

KIT = b"""
def bump(by: int = 1) -> int:
    "Counts up."
    return by + 1
"""


def create_plain(server):
    box = server.create(user="root")
    assert box.put_file("/tmp/f", b"text\n").status == 200
    assert box.put_file("/workspace/kit.py", KIT).status == 200
    assert box.run("mkdir -p p && cd p && git init -q && git -c user.name=a -c user.email=a@b commit -qm x --allow-empty && echo x >new && cd ..")["exit_code"] == 0
    box.action("tool_add", entrypoint="kit.bump")
    return box


def test_what_a_liar_says_in_several_lines_is_told_in_one(server):
    """`cay mcp` and others tell one message in a line: what stands in a second one would be another message, from who may say everything."""
    box = server.create()
    lie(box, "each", IN_LINES)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "run", "arguments": {"command": "echo one"}}}
    replies = [request(server, "POST", f"/mcp/{box.id}", call, {"Accept": "application/json"}) for _ in range(8)]
    assert any(reply.status == 200 and "structuredContent" in reply.json["result"] for reply in replies), replies[0].body
    assert not [reply.body for reply in replies if b"\n" in reply.body.strip() or b"\r" in reply.body.strip()]
    box.delete()


# E2B.

def create_e2b(server):
    reply = request(server, "POST", "/e2b/v2/sandboxes", {"templateID": "base"})
    assert reply.status == 201, reply.body
    box = Sandbox(server, {"id": reply.json["sandboxID"]})
    box.access = reply.json["envdAccessToken"]
    assert box.put_file("/tmp/f", b"text\n").status == 200
    return box


def e2b_questions(box):
    def headers(port, kind="application/json"):
        return {"E2b-Sandbox-Id": box.id, "E2b-Sandbox-Port": port, "X-Access-Token": box.access, "Content-Type": kind}

    def call(method, **body):
        return "POST", f"/e2b/{method}", body, headers("49983")

    def stream(method, **body):
        return "POST", f"/e2b/{method}", envelope(body), headers("49983", "application/connect+json")

    yield stream("process.Process/Start", process={"cmd": "/bin/bash", "args": ["-c", "echo out; echo err >&2"]}, stdin=False)
    yield stream("process.Process/Start", process={"cmd": "/bin/sh", "args": ["-c", "echo out"]}, pty={"size": {"cols": 80, "rows": 24}})
    yield stream("process.Process/Start", process={"cmd": "/bin/sleep", "args": ["infinity"]}, tag="t", pty={"size": {"cols": 80, "rows": 24}})
    yield call("process.Process/List")
    yield call("process.Process/SendInput", process={"tag": "t"}, input={"pty": base64.b64encode(b"x").decode()})
    yield call("process.Process/Update", process={"tag": "t"}, pty={"size": {"cols": 90, "rows": 30}})
    yield stream("process.Process/Connect", process={"tag": "t"})
    yield call("process.Process/SendSignal", process={"tag": "t"}, signal="SIGNAL_SIGKILL")
    yield call("filesystem.Filesystem/Stat", path="/tmp/f")
    yield call("filesystem.Filesystem/ListDir", path="/tmp", depth=2)
    yield call("filesystem.Filesystem/MakeDir", path="/tmp/made")
    yield call("filesystem.Filesystem/Move", source="/tmp/f", destination="/tmp/f")
    yield call("filesystem.Filesystem/Remove", path="/tmp/made")
    yield call("filesystem.Filesystem/CreateWatcher", path="/tmp")
    yield "GET", "/e2b/files?path=/tmp/f", None, headers("49983")
    yield "POST", "/e2b/files?path=/tmp/g", b"bytes", headers("49983", "application/octet-stream")
    yield "POST", "/e2b/files?path=/tmp/h", FILE, headers("49983", "multipart/form-data; boundary=b")
    yield "GET", "/e2b/envs", None, headers("49983")
    yield "GET", "/e2b/metrics", None, headers("49983")
    yield "GET", "/e2b/health", None, headers("49983")
    yield "GET", f"/e2b/sandboxes/{box.id}", None
    yield "GET", f"/e2b/sandboxes/{box.id}/metrics", None
    yield "POST", "/e2b/execute", {"code": "print(1); 2"}, headers("49999")
    yield "POST", "/e2b/execute", {"code": "1/0"}, headers("49999")
    yield "POST", "/e2b/contexts", {"language": "python"}, headers("49999")
    yield "GET", "/e2b/contexts", None, headers("49999")
    yield stream("filesystem.Filesystem/WatchDir", path="/tmp", recursive=True)


# Docker.

def create_docker(server):
    container = server.docker.start("sh", "-c", "echo out; echo err >&2; exec sleep infinity")
    box = Sandbox(server, {"id": container.id})
    assert box.put_file("/tmp/f", b"text\n").status == 200
    return box


def docker_questions(box):
    at = f"/v1.43/containers/{box.id}"
    for tail in ("/json", "/top", "/top?ps_args=aux", "/stats?stream=false", "/logs?stdout=1&stderr=1", "/logs?stdout=1&tail=1",
                 "/archive?path=/tmp/f", "/archive?path=/tmp"):
        yield "GET", at + tail, None
    yield "HEAD", f"{at}/archive?path=/tmp/f", None
    yield "PUT", f"{at}/archive?path=/tmp", tar_of({"a": b"x", "d": None})
    yield "HIJACK", f"{at}/attach?logs=1&stream=1&stdout=1&stderr=1", None
    yield "GET", f"{at}/logs?stdout=1&follow=1&tail=1", None
    for tty in (False, True):
        made = box.server.docker.request("POST", f"{at}/exec", {"Cmd": ["sh", "-c", "echo one"], "AttachStdout": True, "AttachStderr": True, "Tty": tty})
        assert made.status == 201, made.body
        prepared = f"/v1.43/exec/{made.json['Id']}"
        yield "HIJACK", f"{prepared}/start", {"Detach": False, "Tty": tty}
        yield "GET", f"{prepared}/json", None
    yield "POST", f"{at}/kill?signal=CONT", None
    yield "POST", f"{at}/stop?t=0", None
    yield "POST", f"{at}/start", None
    yield "POST", f"{at}/restart?t=0", None
    yield "POST", f"{at}/wait?condition=next-exit", None
    yield "GET", "/v1.43/containers/json?all=1&size=1", None
    yield "GET", "/v1.43/system/df", None


# SWE-ReX, CAMEL, MCP, and what REST has besides files and processes.

def rex_questions(box):
    def post(verb, **body):
        return "POST", f"/swerex/{box.id}/{verb}", body

    yield "GET", f"/swerex/{box.id}/is_alive", None
    yield post("create_session", session="s")
    yield post("run_in_session", action_type="bash", session="s", command="echo one; false", check="silent")
    yield post("run_in_session", action_type="bash", session="s", command="echo two", expect=["wo"], is_interactive_command=True)
    yield post("run_in_session", action_type="bash_interrupt", session="s")
    yield post("execute", command="echo out; echo err >&2; false", shell=True)
    yield post("read_file", path="/tmp/f")
    yield post("write_file", path="/tmp/g", content="x")
    yield "POST", f"/swerex/{box.id}/upload", form(file=b"x", target_path=b"/tmp/sent", unzip=b"false")
    yield "POST", f"/swerex/{box.id}/upload", form(file=zipped(a="1"), target_path=b"/tmp/tree", unzip=b"true")
    yield post("close_session", session="s")


def tool_questions(box):
    actions = f"{box.path}/actions"
    body = {"args": [2], "kwargs": {}}
    for tail in ("/health", "/docs", "/openapi.json"):
        yield "GET", f"/camel/{box.id}{tail}", None
    yield "POST", f"/camel/{box.id}/bump", body
    yield "POST", f"{actions}/tool_list", {}
    yield "POST", f"{actions}/tool_call", {"tool": "bump", "args": [2], "kwargs": {}}
    yield "POST", f"{actions}/tool_reset", {}
    for method, params in (("tools/list", {}), *(("tools/call", {"name": name, "arguments": arguments}) for name, arguments in (
            ("run", {"command": "echo one; false"}), ("exec", {"argv": ["echo", "one"]}), ("read", {"path": "/tmp/f"}), ("list", {"path": "/tmp"}),
            ("grep", {"path": "/tmp", "pattern": "t"}), ("edit", {"command": "view", "path": "/tmp/f"}), ("bump", {"by": 1}), ("process_list", {}),
            ("write", {"path": "/tmp/g", "content": "x"}), ("stat", {"path": "/tmp/f"})))):
        yield "POST", f"/mcp/{box.id}", {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, {"Accept": "application/json, text/event-stream"}


def rest_questions(box):
    def action(name, /, **params):
        return "POST", f"{box.path}/actions/{name}", params

    yield action("cell", code="print(1)\n2")
    yield action("kernel_list")
    yield action("kernel_restart")
    yield action("kernel_close")
    yield action("session_open", session="s")
    yield action("session_interrupt", session="s")
    yield action("session_resize", session="s", cols=90, rows=30)
    yield action("session_close", session="s")
    yield action("process_tree")
    yield action("lint", path="/workspace/kit.py")
    yield action("mkdir", path="/tmp/made")
    yield action("move", path="/tmp/f", to="/tmp/f", overwrite=True)
    yield action("remove", path="/tmp/made")
    yield action("exec", argv=["echo", "one"], name="named")
    yield action("process_logs", process="named")
    yield action("process_wait", process="named")
    yield action("process_remove", process="named")
    yield action("process_kill_all")
    for tail in ("/git/changes?directory=p", "/git/diff?directory=p&path=new", "/microagents", "/plugins", "/events", "/ports/8080"):
        yield "GET", box.path + tail, None
    yield "POST", f"{box.path}/git/init", {"directory": "q"}
    yield "POST", f"{box.path}/git/branch", {"directory": "p", "branch": "more", "create": True}
    yield "POST", f"{box.path}/git/hook", {"directory": "p"}
    yield "POST", f"{box.path}/setup", {}
    yield "POST", f"{box.path}/env", {"env": {"A": "b"}}
    for first in ({"action": "run", "params": {"command": "echo one"}}, {"action": "exec", "params": {"argv": ["sh", "-c", "echo out; echo err >&2"]}},
                  {"action": "watch", "params": {"path": "/tmp"}}, {"action": "session_attach", "params": {"session": "s"}},
                  {"action": "download", "params": {"path": "/tmp/f"}}, {"action": "cell", "params": {"code": "print(1)"}}):
        yield "WS", f"{box.path}/stream", [first]
    yield "POST", f"/openhands/{box.id}/execute_action", {"action": {"action": "browse", "args": {"url": "about:blank"}, "timeout": 5}}


def daytona_questions(box):
    at = f"/daytona/toolbox/{box.id}"

    def query(tail, **more):
        return f"{at}{tail}?{urllib.parse.urlencode(more)}"

    for tail in ("/user-home-dir", "/work-dir", "/system/metrics", "/port", "/port/8080/in-use", "/process/session", "/process/pty", "/process/interpreter/context"):
        yield "GET", at + tail, None
    yield "POST", f"{at}/process/code-run", {"code": "print(1)", "language": "python"}
    yield "POST", f"{at}/process/session", {"sessionId": "s"}
    yield "POST", f"{at}/process/session/s/exec", {"command": "echo one", "runAsync": True}
    yield "GET", f"{at}/process/session/s", None
    yield "DELETE", f"{at}/process/session/s", None
    yield "POST", f"{at}/process/pty", {"id": "p"}
    yield "GET", f"{at}/process/pty/p", None
    yield "WS", f"{at}/process/pty/p/connect", [b"echo one\n"]
    yield "POST", f"{at}/process/pty/p/resize", {"cols": 90, "rows": 30}
    yield "DELETE", f"{at}/process/pty/p", None
    yield "WS", f"{at}/process/interpreter/execute", [{"code": "print(1)"}]
    yield "POST", f"{at}/process/interpreter/context", {"language": "python"}
    yield "POST", query("/files/folder", path="/tmp/made", mode="755"), None
    yield "POST", query("/files/permissions", path="/tmp/f", mode="644"), None
    yield "GET", query("/files/search", path="/tmp", pattern="f"), None
    yield "POST", f"{at}/files/replace", {"files": ["/tmp/f"], "pattern": "t", "newValue": "t"}
    yield "POST", query("/files/upload", path="/tmp/h"), FILE
    yield "POST", f"{at}/files/bulk-download", {"paths": ["/tmp/f", "/etc/passwd"]}
    for tail in ("status", "branches", "history", "remotes"):
        yield "GET", query(f"/git/{tail}", path="/workspace/p"), None
    yield "POST", f"{at}/git/add", {"path": "/workspace/p", "files": ["new"]}
    yield "POST", f"{at}/git/commit", {"path": "/workspace/p", "message": "m", "author": "a", "email": "a@b"}


FACES = {"e2b": (create_e2b, e2b_questions), "docker": (create_docker, docker_questions), "rex": (create_plain, rex_questions),
         "tools": (create_plain, tool_questions), "rest": (create_plain, rest_questions), "daytona": (create_plain, daytona_questions)}

ENDLESS = ("infinity", "/Connect", "/WatchDir", "follow=1", "/wait?")  # they have no end of their own


@pytest.mark.parametrize("face", FACES)
def test_every_question_has_an_honest_answer(server, face):
    create, questions = FACES[face]
    box = create(server)
    for question in questions(box):
        if any(word in str(question) for word in ENDLESS):
            assert ask(server, *question) is None
        else:
            reply = request(server, *question)
            assert reply.status < 300, (question, reply.body)
    box.delete()


@pytest.mark.parametrize("seed", SEEDS if IS_LONG else (1,))
@pytest.mark.parametrize("face", FACES)
def test_whatever_an_executor_says_the_server_stays(server, honest, face, seed):
    create, questions = FACES[face]
    the_server_stays(server, honest, lambda: create(server), questions, seed, is_content=True)


@pytest.mark.parametrize("way", WAYS if IS_LONG else (3, 31))
@pytest.mark.parametrize("face", FACES)
def test_no_value_of_an_executor_is_needed(server, honest, face, way):
    create, questions = FACES[face]
    each_value_is_told(server, honest, lambda _: create(server), questions, way, EACH if IS_LONG else 2)
