# SPDX-License-Identifier: Apache-2.0
"""Sandboxes of a Daytona server: cay's own Daytona face, and servers that behave badly."""
import contextlib
import io
import json
import os
import subprocess
import tarfile

import pytest

from conftest import PROGRAMS, gateway
from scripted import HANG, RESET, Scripted


def daytona(url, key="key"):
    """A server whose sandboxes are those of the Daytona API at the URL."""
    return gateway(f"daytona+{url}", DAYTONA_API_KEY=key)


@pytest.fixture(scope="module")
def near(far):
    with daytona(f"http://127.0.0.1:{far.port}/daytona/api", far.token) as started:
        yield started


@pytest.fixture(scope="module")
def shared(near):
    made = near.create(name="shared", env={"KEPT": "it's"})
    yield made
    made.delete()


def test_tools_are_refused_in_words(near, shared):
    words = "a Daytona sandbox has no such action; run a command instead"
    for wish in {"entrypoint": "math.sqrt"}, {"argv": ["cat"], "name": "cat"}, {"action": "stat"}:
        assert words in refusal(shared.request("POST", "/actions/tool_add", wish))
    assert words in refusal(shared.request("POST", "/actions/tool_list", {}))
    assert words in refusal(shared.request("POST", "/actions/tool_call", {"tool": "x", "args": [], "kwargs": {}}))
    assert words in refusal(shared.request("POST", "/tools", {"url": "http://127.0.0.1:9/", "name": "outside"}))
    health = near.request("GET", f"/camel/{shared.id}/health")
    assert health.status == 503 and words in health.json["detail"]


def refusal(reply):
    assert reply.status == 501 and reply.code == "unsupported", reply.body
    return reply.json["error"]["message"]


def boxes(far):
    return far.request("GET", "/daytona/api/sandbox").json["items"]


def test_a_sandbox_is_made_worked_in_and_cleaned_up(far, near):
    before = len(boxes(far))
    made = near.create(name="one", labels={"a": "b"}, limits={"memory_bytes": 2 << 30})
    [there] = [b for b in boxes(far) if b["name"] == "one"]
    assert (there["labels"]["cay.id"], there["labels"]["a"]) == (made.id, "b")
    assert (there["memory"], there["autoStopInterval"]) == (2, 0)
    made.put_file("tool.py", b"import sys\nprint(sum(map(int, sys.argv[1:])))\n")
    done = made.action("exec", argv=["python3", "tool.py", "20", "22"], capture=True)
    assert (done["stdout"], done["exit_code"]) == ("42\n", 0)
    made.delete()
    assert len(boxes(far)) == before


def test_exec_takes_variables_and_a_directory_and_tells_the_code(shared):
    done = shared.action("exec", argv=["sh", "-c", 'echo "$KEPT $V"; pwd; exit 3'], env={"V": 'a "b" $c'}, cwd="/tmp", capture=True)
    assert (done["stdout"], done["exit_code"]) == ("it's a \"b\" $c\n/tmp\n", 3)
    reply = shared.request("POST", "/actions/exec", {"argv": ["sleep", "20"], "timeout_ms": 500})
    assert reply.code == "timeout"
    assert shared.request("POST", "/actions/exec", {"argv": ["cat"], "stdin": True}).code == "unsupported"


def test_run_keeps_a_shell_and_its_environment(shared):
    assert shared.run("cd /tmp; X=1; echo $KEPT")["output"] == "it's\n"
    assert shared.run("pwd; echo $X; false")["exit_code"] == 1
    assert shared.output("echo $X", session="other") == "\n"
    assert shared.run("exit 4")["exit_code"] == 4
    assert (shared.run("pwd")["output"], shared.run("pwd")["is_new_shell"]) == ("/home/daytona\n", False)
    assert shared.run("echo fresh; echo err >&2", fresh=True)["output"] == "fresh\nerr\n"
    assert shared.request("POST", "/actions/run", {"command": "x", "input": True}).code == "unsupported"


def test_files_are_written_read_listed_and_removed(shared):
    data = bytes(range(256)) * 4000
    assert shared.put_file("d/binary", data).status == 200
    assert shared.get_file("d/binary").body == data
    shared.action("write", path="d/ü b.txt", content="one\ntwo\nthree\n")
    assert shared.action("read", path="d/ü b.txt", start_line=2, end_line=2)["content"] == "two\n"
    piece = shared.action("read", path="d/binary", offset=10, max_bytes=4, encoding="base64")
    assert (piece["content"], piece["truncated"]) == ("CgsMDQ==", True)
    listed = {e["name"]: e for e in shared.action("list", path="d")["entries"]}
    assert sorted(listed) == ["binary", "ü b.txt"] and listed["binary"]["size"] == len(data)
    assert listed["binary"]["mtime_ms"] > 1700000000000
    shared.action("mkdir", path="d/sub/deep", parents=True)
    assert shared.action("stat", path="d/sub")["type"] == "directory"
    shared.action("move", path="d/binary", to="d/sub/moved")
    assert [m["line"] for m in shared.action("grep", path="d", pattern="two", fixed=True)["matches"]] == [2]
    assert [m["path"] for m in shared.action("glob", path="d", pattern="**/mov*")["matches"]] == ["/home/daytona/d/sub/moved"]
    shared.action("remove", path="d", recursive=True)
    reply = shared.request("POST", "/actions/read", {"path": "d/binary"})
    assert reply.code == "not_found"
    assert shared.request("POST", "/actions/write", {"path": "a\nb", "content": ""}).code == "invalid_argument"


def test_archives_go_in_and_out(shared):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("in/file")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"hello"))
    assert shared.put_file("tree", buffer.getvalue(), kind="tar").status == 200
    got = shared.get_file("tree", format="tar")
    with tarfile.open(fileobj=io.BytesIO(got.body)) as archive:
        assert archive.extractfile("./in/file").read() == b"hello"
    assert shared.put_file("tree", b"no archive", kind="tar").status == 400
    assert shared.get_file("none", format="tar").status == 404
    assert shared.output("ls /tmp/cay-*.tar 2>/dev/null; true") == ""


def test_a_sandbox_is_paused_and_resumed(near):
    made = near.create()
    assert made.request("POST", "/pause").json["state"] == "paused"
    assert made.request("POST", "/resume").json["state"] in ("ready", "running")
    assert made.request("GET", "/stats").json["memory_bytes"] > 0
    made.delete()


def test_a_restarted_server_finds_its_sandboxes_and_leaves_others_alone(far):
    url = f"http://127.0.0.1:{far.port}/daytona/api"
    other = far.create(name="not-mine")
    with daytona(url, far.token) as first:
        kept = first.create(name="kept", workdir="/tmp/work")
        kept.put_file("file", b"still there")
    with daytona(url, far.token) as second:
        names = [s["name"] for s in second.request("GET", "/v1/sandboxes").json["sandboxes"]]
        assert "kept" in names and "not-mine" not in names
        again = second.request("GET", "/v1/sandboxes/kept").json
        assert again["id"] == kept.id
        assert second.request("GET", f"/v1/sandboxes/{kept.id}/files?path=file").body == b"still there"
        assert second.request("DELETE", f"/v1/sandboxes/{kept.id}").status == 204
        plain = second.create()
        assert plain.action("exec", argv=["pwd"], capture=True)["stdout"] == "/home/daytona\n"
    with daytona(url, far.token) as third:
        assert third.request("PUT", f"/v1/sandboxes/{plain.id}/files?path=f", b"x").status == 200
        run = third.request("POST", f"/v1/sandboxes/{plain.id}/actions/run", {"command": "pwd; cat f"}).json
        assert run["output"] == "/home/daytona\nx"
        assert third.request("DELETE", f"/v1/sandboxes/{plain.id}").status == 204
    assert "kept" not in [b["name"] for b in boxes(far)]
    other.delete()


@pytest.mark.parametrize("wish", [{"mounts": [{"source": "/tmp", "target": "/m", "mode": "ro"}]}, {"limits": {"pids": 5}},
                                  {"network": "host"}, {"require": ["seccomp"]}])
def test_what_a_daytona_server_cannot_give_is_refused(near, wish):
    assert near.request("POST", "/v1/sandboxes", wish).code == "unsupported"


def test_the_command_line_works_in_one(far, near):
    env = {**os.environ, "CAY_URL": f"unix:{near.socket}", "CAY_TOKEN": near.token}
    cay = [PROGRAMS / "cay"]
    made = subprocess.run([*cay, "create", "--name", "cli"], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert made.stdout.strip()
    done = subprocess.run([*cay, "exec", "cli", "--", "sh", "-c", "echo out; exit 5"], env=env, capture_output=True, text=True,
                          check=False, timeout=60)
    assert (done.stdout, done.returncode) == ("out\n", 5)
    subprocess.run([*cay, "rm", "cli"], env=env, check=True, timeout=60)
    assert "cli" not in [b["name"] for b in boxes(far)]


def test_it_wants_a_key():
    env = {name: value for name, value in os.environ.items() if name not in ("DAYTONA_API_KEY", "CAY_TOKEN")}
    done = subprocess.run([PROGRAMS / "cay", "ls", "--url", "daytona+http://127.0.0.1:9/api"], env=env, capture_output=True,
                          text=True, check=False, timeout=60)
    assert done.returncode != 0 and "DAYTONA_API_KEY" in done.stderr


# ---- servers that behave badly ----

BOX = {"id": "x 1", "name": "x", "state": "started", "labels": {}}


@contextlib.contextmanager
def misbehaving(**more):
    """A Daytona server that does as it is told, and a server of ours before it."""
    with Scripted() as peer:
        peer.on("GET", "/api/sandbox", {"items": [], "nextCursor": None})
        peer.on("POST", "/api/sandbox", {**BOX, "toolboxProxyUrl": f"{peer.url}/toolbox", **more})
        peer.on("GET", "/toolbox/x%201/work-dir", {"dir": "/w"})
        peer.on("DELETE", "/api/sandbox/x%201", {})
        with daytona(f"{peer.url}/api") as near:
            yield peer, near


EXECUTE = "/toolbox/x%201/process/execute"


def test_a_command_is_never_sent_twice():
    with misbehaving() as (peer, near):
        made = near.create()
        peer.on("POST", EXECUTE, RESET, {"exitCode": 0, "result": ""})
        assert made.request("POST", "/actions/exec", {"argv": ["true"]}).code == "disconnected"
        assert peer.count("POST", EXECUTE) == 1
        assert peer.headers("POST", EXECUTE)[0]["authorization"] == "Bearer key"
        assert peer.bodies("POST", EXECUTE)[0] == {"command": "'true'", "cwd": "/w"}


@pytest.mark.parametrize("answer, code", [
    ((408, {"message": "command execution timeout", "statusCode": 408}), "timeout"),
    ((409, {"message": "stopped"}), "conflict"), ((410, {"message": "gone"}), "gone"), ((404, {"message": "no"}), "not_found"),
    ((401, {"message": "who"}), "unauthorized"), ((500, {"message": "oh"}), "internal"), (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\njunk", "protocol"),
    ({"result": "no code"}, "protocol"), ({"exitCode": -1, "result": "no such directory"}, "invalid_argument")])
def test_errors_of_a_toolbox_have_cays_names(answer, code):
    with misbehaving() as (peer, near):
        made = near.create()
        peer.on("POST", EXECUTE, answer)
        assert made.request("POST", "/actions/exec", {"argv": ["true"]}).code == code


def test_a_sandbox_that_takes_a_while_is_waited_for_and_one_that_fails_is_deleted():
    with misbehaving(state="creating") as (peer, near):
        peer.on("GET", "/api/sandbox/x%201", {**BOX, "state": "starting"}, BOX)
        near.create()
        assert peer.count("GET", "/api/sandbox/x%201") == 2
        peer.on("GET", "/api/sandbox/x%201", {**BOX, "state": "build_failed", "errorReason": "no space"})
        reply = near.request("POST", "/v1/sandboxes", {})
        assert reply.code == "unavailable" and "build_failed" in reply.json["error"]["message"]
        peer.wait_for("DELETE", "/api/sandbox/x%201")


@pytest.mark.parametrize("answer", [{"id": "y"}, {"id": "", "toolboxProxyUrl": "http://x"}, {"id": "y", "toolboxProxyUrl": "file:///etc"},
                                    (200, []), (500, {"message": "no"}), b"junk"])
def test_an_api_that_makes_no_sense_is_an_error(answer):
    with misbehaving() as (peer, near):
        peer.on("POST", "/api/sandbox", answer)
        reply = near.request("POST", "/v1/sandboxes", {})
        assert reply.status >= 500 and reply.code


def test_a_create_whose_answer_is_lost_is_searched_for_and_deleted():
    with misbehaving() as (peer, near):
        def forget(body):
            labels = json.loads(body)["labels"]
            peer.on("GET", "/api/sandbox", {"items": [{**BOX, "id": "else", "labels": {"cay.id": "x"}}, {**BOX, "labels": labels}]})
            return RESET
        peer.on("POST", "/api/sandbox", forget)
        assert near.request("POST", "/v1/sandboxes", {}).code == "disconnected"
        peer.wait_for("DELETE", "/api/sandbox/x%201")
        assert peer.count("POST", "/api/sandbox") == 1 and peer.count("DELETE", "/api/sandbox/else") == 0


def test_a_pause_that_is_refused_because_it_was_done_is_done():
    with misbehaving() as (peer, near):
        made = near.create()
        peer.on("POST", "/api/sandbox/x%201/pause", RESET, (400, {"message": "Sandbox is not started"}))
        peer.on("GET", "/api/sandbox/x%201", {**BOX, "state": "paused"})
        assert made.request("POST", "/pause").status == 200
        assert made.get()["state"] == "paused"


def test_a_command_that_takes_too_long_is_left_and_the_next_has_a_shell_of_its_own():
    with misbehaving() as (peer, near):
        made, session = near.create(), "/toolbox/x%201/process/session"
        peer.on("POST", session, (201, {}))

        def run():
            return made.request("POST", "/actions/run", {"command": "sleep 9", "timeout_ms": 300})

        # The name of a session is made up; whatever is not scripted hangs.
        peer.fallback = HANG
        assert run().code == "timeout"
        assert run().code == "timeout"
        assert peer.count("POST", session) == 2
