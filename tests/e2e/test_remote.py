# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that live elsewhere: over our own OpenHands face, and over servers that behave badly."""
import base64
import contextlib
import io
import json
import os
import shutil
import socket
import ssl
import subprocess
import tarfile
import threading
import zipfile

import pytest

from conftest import PROGRAMS, gateway
from scripted import HANG, RESET, Scripted
from waiting import wait_until

RUN = {"observation": "run", "content": "hi", "extras": {"command": "x", "metadata": {
    "exit_code": 0, "pid": -1, "working_dir": "/workspace", "prefix": "", "suffix": ""}}}


@pytest.fixture(scope="module")
def near(far):
    with gateway(f"openhands+http://127.0.0.1:{far.port}", SANDBOX_API_KEY=far.token) as started:
        yield started


@pytest.fixture(scope="module")
def box(near):
    made = near.create(name="box", env={"GIVEN": "it's \"$HOME\""})
    yield made
    made.delete()


# ---- over our own face ----

def test_a_session_keeps_its_state_and_has_the_given_environment(box):
    box.run("x=42; cd /tmp")
    report = box.run("echo $x $PWD; printf '%s\\n' \"$GIVEN\"; (exit 7)")
    assert (report["status"], report["exit_code"]) == ("exited", 7)
    assert report["output"] == '42 /tmp\nit\'s "$HOME"' and report["cwd"] == "/tmp"
    assert box.output("pwd", cwd="/usr") == "/usr"
    assert box.output("pwd; echo [$x]", fresh=True) == "/workspace\n[]"


def test_a_command_that_goes_on_is_waited_for_typed_into_and_interrupted(box):
    assert box.run("read -r line; echo got $line", timeout_ms=500)["status"] == "running"
    assert box.request("POST", "/actions/run", {"command": "ls"}).code == "conflict"
    assert "got word" in box.run("word", input=True)["output"]
    assert box.run("sleep 1000", timeout_ms=300)["status"] == "running"
    assert box.run("", keys="C-c")["exit_code"] == 130
    assert box.run("sleep 1; echo late", quiet_ms=60000)["output"] == "late"


def test_files_come_back_as_they_were_sent(box):
    text, data = "one\ntwo\nthree\n", bytes(range(256)) * 300
    for name in ("plain.txt", "with space.txt", "it's.zip", ".dot", "ümlaut"):
        assert box.action("write", path=name, content=text)["bytes"] == len(text)
        assert box.action("read", path=f"/workspace/{name}")["content"] == text
    for content in ("", "no newline", "\r\n", "a\r\nb\n"):
        box.action("write", path="odd", content=content)
        got = box.action("read", path="odd", encoding="base64")
        assert base64.b64decode(got["content"]).decode() == content
    box.action("write", path="bin", content=base64.b64encode(data).decode(), encoding="base64")
    got = box.action("read", path="bin", encoding="base64", offset=250, max_bytes=1000)
    assert base64.b64decode(got["content"]) == data[250:1250] and got["truncated"]
    assert box.action("read", path="plain.txt", start_line=2, end_line=2)["content"] == "two\n"
    assert box.action("read", path="plain.txt", start_line=3)["content"] == "three\n"


def test_missing_files_are_not_found(box):
    for params in ({"path": "none"}, {"path": "none", "encoding": "base64"}):
        assert box.request("POST", "/actions/read", params).code == "not_found"
    assert box.get_file("/workspace/none").status == 404


def test_edits_and_lists(box):
    box.action("write", path="/workspace/e/a.txt", content="one\ntwo\n")
    edited = box.action("edit", path="/workspace/e/a.txt", command="str_replace", old_str="two", new_str="2")
    assert edited["applied"] and "-two" in edited["diff"]
    again = box.action("edit", path="/workspace/e/a.txt", command="str_replace", old_str="two", new_str="2")
    assert not again["applied"] and "did not appear" in again["text"]
    assert "1\tone" in box.action("edit", path="e/a.txt", command="view")["text"]
    box.run("mkdir -p /workspace/e/d; touch /workspace/e/.hidden")
    entries = [(e["name"], e["type"]) for e in box.action("list", path="/workspace/e", hidden=False)["entries"]]
    assert entries == [("a.txt", "file"), ("d", "directory")]


def test_transfers_of_any_size_and_kind(box):
    data = os.urandom(5_000_001)
    assert box.put_file("/workspace/t/big file", data).json["bytes"] == len(data)
    assert box.get_file("/workspace/t/big file").body == data
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo("d/x")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"hi"))
    assert box.put_file("/workspace/u", packed.getvalue(), kind="tar").status == 200
    assert box.action("read", path="/workspace/u/d/x")["content"].strip() == "hi"
    with tarfile.open(fileobj=io.BytesIO(box.get_file("/workspace/u", format="tar").body)) as tar:
        assert "./d/x" in tar.getnames()
    with zipfile.ZipFile(io.BytesIO(box.get_file("/workspace/u", format="zip").body)) as archive:
        assert archive.read("d/x") == b"hi"


def test_programs_and_cells(box):
    done = box.action("exec", argv=["sh", "-c", "echo \"$A\"; exit 3"], env={"A": "it's"}, capture=True)
    assert (done["exit_code"], done["stdout"]) == (3, "it's\n")
    box.action("cell", code="x = 6")
    assert box.action("cell", code="print(x * 7)", capture=True)["text"].strip() == "42"


def test_what_has_no_counterpart_says_so(box):
    for action, params in [("glob", {"pattern": "*"}), ("process_list", {}), ("run", {"command": "x", "session": "b"}),
                           ("exec", {"argv": ["x"], "stdin": True})]:
        reply = box.request("POST", f"/actions/{action}", params)
        assert (reply.status, reply.code) == (501, "unsupported"), action


def test_pause_and_resume_keep_the_shell(near):
    made = near.create(name="sleeper")
    made.run("x=1")
    assert made.request("POST", "/pause").status == 200
    assert made.get()["state"] == "paused"
    assert made.request("POST", "/resume").status == 200
    assert made.output("echo $x") == "1"
    made.delete()


def test_one_that_somebody_else_paused_is_woken_by_an_action(near, far):
    made = near.create(name="woken")
    made.run("x=1")
    runtimes = far.request("GET", "/list", headers={"X-API-Key": far.token}).json["runtimes"]
    runtime, = [r["runtime_id"] for r in runtimes if r["session_id"] == "woken"]
    assert far.request("POST", "/pause", {"runtime_id": runtime}, headers={"X-API-Key": far.token}).status == 200
    assert made.output("echo $x") == "1"
    made.delete()


def test_a_restarted_gateway_finds_its_sandboxes_and_those_of_others(far):
    with gateway(f"openhands+http://127.0.0.1:{far.port}", SANDBOX_API_KEY=far.token) as one:
        made = one.create(name="stays")
        made.run("x=5")
        one.kill_server()
        one.wait_until_up()
        assert made.output("echo $x") == "5"
    with gateway(f"openhands+http://127.0.0.1:{far.port}", SANDBOX_API_KEY=far.token) as two:
        found = [s for s in two.request("GET", "/v1/sandboxes").json["sandboxes"] if s["name"] == "stays"]
        assert found and found[0]["state"] == "ready"
        reply = two.request("POST", "/v1/sandboxes/stays/actions/run", {"command": "echo $x"})
        assert reply.json["output"] == "5"
        assert two.request("DELETE", "/v1/sandboxes/stays").status == 204
    runtimes = far.request("GET", "/list", headers={"X-API-Key": far.token}).json["runtimes"]
    assert not [r for r in runtimes if r["session_id"] == "stays"]


def test_an_action_server_is_one_sandbox_that_is_there(far):
    made = far.create(name="bare")
    with gateway(f"action+http://127.0.0.1:{far.port}/openhands/bare", SESSION_API_KEY=far.token) as server:
        run = server.request("POST", "/v1/sandboxes/default/actions/run", {"command": "echo $((6*7))"})
        assert run.json["output"] == "42"
        assert server.request("POST", "/v1/sandboxes", {}).code == "limit_reached"
        assert server.request("POST", "/v1/sandboxes/default/pause").code == "unsupported"
    assert made.output("echo still") == "still\n"
    made.delete()


def test_a_wrong_key_is_refused_at_the_start(far):
    with pytest.raises(AssertionError) as failed:
        with gateway(f"openhands+http://127.0.0.1:{far.port}", SANDBOX_API_KEY="wrong" * 8):
            pass
    assert "401" in str(failed.value) or "403" in str(failed.value)
    assert "no key was shown" not in str(failed.value)
    with pytest.raises(AssertionError) as failed:
        with gateway(f"openhands+http://127.0.0.1:{far.port}"):
            pass
    assert "no key was shown to it: SANDBOX_API_KEY" in str(failed.value)


# ---- over servers that behave badly ----

@pytest.fixture
def peer():
    with Scripted() as scripted:
        scripted.on("GET", "/alive", {"status": "ok"})
        scripted.on("GET", "/list", {"runtimes": []})
        scripted.on("POST", "/start", {"runtime_id": "r1", "url": scripted.url, "session_api_key": "k1"})
        scripted.on("GET", "/runtime/r1", {"runtime_id": "r1", "pod_status": "ready"})
        for verb in ("stop", "pause", "resume"):
            scripted.on("POST", f"/{verb}", {"status": "success"})
        scripted.on("POST", "/execute_action", RUN)
        yield scripted


@pytest.fixture
def api(peer):
    with gateway(f"openhands+{peer.url}", SANDBOX_API_KEY="secret-key-of-the-api") as server:
        yield server


def run(box, **params):
    return box.request("POST", "/actions/run", {"command": "x", **params})


def test_keys_and_the_command_line_are_sent_as_the_original_does(peer, api):
    made = api.create(name="s1", labels={"browser": "no", "plugins": "jupyter", "resource_factor": "2"})
    again = run(made)
    assert again.json.get("output") == "hi", again.body
    assert peer.headers("POST", "/start")[0]["x-api-key"] == "secret-key-of-the-api"
    start, = peer.bodies("POST", "/start")
    assert start["session_id"] == "s1" and start["resource_factor"] == 2
    assert start["command"][6:10] == ["python", "-u", "-m", "openhands.runtime.action_execution_server"]
    assert start["command"][10:] == ["60000", "--working-dir", "/workspace", "--plugins", "jupyter", "--username",
                                     "openhands", "--user-id", "1000", "--no-enable-browser"]
    assert peer.headers("POST", "/execute_action")[0]["x-session-api-key"] == "k1"
    sent, = peer.bodies("POST", "/execute_action")
    assert sent["action"]["action"] == "run" and sent["action"]["timeout"] == 120.0


def test_a_runtime_that_takes_its_time_is_waited_for(peer, api):
    peer.on("GET", "/runtime/r1", *({"pod_status": s} for s in ("pending", "Running", "weird", "ready")))
    peer.on("GET", "/alive", RESET, 502, {"status": "ok"})
    api.create()
    assert peer.count("GET", "/runtime/r1") >= 4


@pytest.mark.parametrize("answer,code", [
    ({"pod_status": "failed"}, "unavailable"), ({"pod_status": "CrashLoopBackOff"}, "unavailable"),
    ({}, "protocol"), ([], "protocol"), (500, "internal"), (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<a>", "protocol")])
def test_a_runtime_that_fails_is_an_error_and_is_stopped(peer, api, answer, code):
    peer.on("GET", "/runtime/r1", answer)
    reply = api.request("POST", "/v1/sandboxes", {})
    assert reply.code == code, reply.body
    assert api.request("GET", "/v1/sandboxes").json["sandboxes"] == []
    peer.wait_for("POST", "/stop")
    assert peer.bodies("POST", "/stop") == [{"runtime_id": "r1"}]


@pytest.mark.parametrize("answer,code", [
    (401, "unauthorized"), (500, "internal"), (302, "protocol"), (b"garbage\r\n\r\n", "protocol"), (503, "not_ready"),
    ({"runtime_id": "r1"}, "protocol"), ({"runtime_id": "r1", "url": "file:///etc/passwd"}, "protocol"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "disconnected"), (RESET, "disconnected")])
def test_a_start_that_fails_is_an_error(peer, api, answer, code):
    peer.on("POST", "/start", answer)
    assert api.request("POST", "/v1/sandboxes", {}).code == code
    assert peer.count("POST", "/start") == 1, "it may have been performed"


def test_429_is_tried_again(peer, api):
    peer.on("POST", "/start", 429, 429, {"runtime_id": "r1", "url": peer.url})
    api.create()
    assert peer.count("POST", "/start") == 3


def test_an_existing_session_is_taken_up_and_a_paused_one_resumed(peer, api):
    peer.on("GET", "/sessions/old", {"runtime_id": "r1", "url": peer.url, "status": "paused"})
    api.create(name="old")
    assert peer.count("POST", "/start") == 0
    assert peer.bodies("POST", "/resume") == [{"runtime_id": "r1"}]


@pytest.mark.parametrize("answer,code", [
    (RESET, "disconnected"), (404, "disconnected"), (502, "disconnected"), (504, "disconnected"), (500, "internal"),
    (403, "unauthorized"), (302, "protocol"), (b"nonsense", "protocol"), ("text", "protocol"), ({}, "protocol"),
    (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{", "protocol"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "disconnected"),
    ({"observation": "error", "content": "it broke"}, "internal")])
def test_an_action_that_goes_wrong_is_an_error_and_the_next_one_works(peer, api, answer, code):
    made = api.create()
    peer.on("POST", "/execute_action", answer, RUN)
    reply = run(made)
    assert reply.code == code, reply.body
    assert peer.count("POST", "/execute_action") == 1, "an action is never performed twice"
    again = run(made)
    assert again.json.get("output") == "hi", again.body


def test_an_answer_that_does_not_come_ends_in_time(peer, api):
    made = api.create()
    peer.on("POST", "/execute_action", HANG, RUN)
    reply = run(made, timeout_ms=100)
    assert (reply.status, reply.code) == (504, "timeout")
    assert "before the requested timeout of 0.1s" in reply.json["error"]["message"]


def test_an_answer_without_end_has_a_ceiling(peer, api):
    made = api.create()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n"
    peer.on("POST", "/execute_action", head + b"[" * 50_000_000)
    assert run(made).code == "too_large"


def test_503_is_resumed_once(peer, api):
    made = api.create()
    peer.on("POST", "/execute_action", 503, RUN)
    again = run(made)
    assert again.json.get("output") == "hi", again.body
    assert peer.count("POST", "/resume") == 1
    peer.on("POST", "/execute_action", 503)
    assert run(made).code == "not_ready"
    peer.on("POST", "/resume", 500)
    reply = run(made)
    assert reply.code == "not_ready" and "could not be resumed" in reply.json["error"]["message"]


def test_a_server_that_is_gone_is_disconnected_and_the_gateway_lives_on(peer, api):
    made = api.create()
    peer.close()
    reply = run(made)
    assert (reply.status, reply.code) == (502, "disconnected")
    assert api.request("GET", "/v1/health").status == 200


def test_a_caller_that_goes_away_leaves_nothing_behind(peer, api):
    made = api.create()
    peer.on("POST", "/execute_action", HANG)
    before = len(os.listdir(f"/proc/{api.server_pid()}/fd"))
    for _ in range(20):
        connection = api.connection()
        connection.request("POST", f"{made.path}/actions/run", json.dumps({"command": "x"}), api.headers("", {}))
        connection.close()
    peer.on("POST", "/execute_action", RUN)
    again = run(made)
    assert again.json.get("output") == "hi", again.body
    wait_until(lambda: len(os.listdir(f"/proc/{api.server_pid()}/fd")) <= before + 8)


def test_tls_that_cannot_be_verified_is_refused(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("needs openssl, to make a certificate")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                    "-subj", "/CN=127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def shake():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
                        pass
        threading.Thread(target=shake, daemon=True).start()
        with pytest.raises(AssertionError) as failed:
            with gateway(f"openhands+https://127.0.0.1:{listener.getsockname()[1]}", SANDBOX_API_KEY="x" * 20):
                pass
        listener.shutdown(socket.SHUT_RDWR)
    assert "SSL" in failed.value.args[0], failed.value.args[0]


# ---- the command line ----

def cay(*arguments, **variables):
    return subprocess.run([PROGRAMS / "cay", *arguments], env={**os.environ, **variables}, capture_output=True, text=True,
                          timeout=60)


def test_the_command_line_speaks_to_a_deployment_without_a_server_of_its_own(far):
    there = {"CAY_URL": f"openhands+http://127.0.0.1:{far.port}", "SANDBOX_API_KEY": far.token}
    assert cay("create", "--name", "byhand", **there).returncode == 0
    done = cay("exec", "byhand", "--", "sh", "-c", "echo $((6*7)); exit 3", **there)
    assert (done.returncode, done.stdout) == (3, "42\n")
    assert "byhand" in cay("ls", **there).stdout
    assert cay("rm", "byhand", **there).returncode == 0
    assert "byhand" not in cay("ls", **there).stdout


def test_the_command_line_copies_files_and_trees_of_a_deployment(far, tmp_path):
    there = {"CAY_URL": f"openhands+http://127.0.0.1:{far.port}", "SANDBOX_API_KEY": far.token}
    assert cay("create", "--name", "copies", **there).returncode == 0
    (tmp_path / "tree" / "it's").mkdir(parents=True)
    (tmp_path / "tree" / "it's" / "f").write_bytes(bytes(range(256)))
    (tmp_path / "tree" / "it's" / "f").chmod(0o750)
    (tmp_path / "tree" / "l").symlink_to("it's/f")
    for done in (cay("cp", f"{tmp_path}/tree", "copies:", **there), cay("cp", "copies:tree", f"{tmp_path}/back", **there),
                 cay("cp", f"{tmp_path}/tree/it's/f", "copies:one", **there), cay("cp", "copies:one", f"{tmp_path}/one", **there)):
        assert done.returncode == 0, done.stderr
    assert os.readlink(tmp_path / "back" / "l") == "it's/f"
    assert (tmp_path / "back" / "it's" / "f").read_bytes() == (tmp_path / "one").read_bytes() == bytes(range(256))
    assert "750" in cay("exec", "copies", "--", "stat", "-c", "%a", "one", **there).stdout
    done = cay("cp", "copies:nothing", f"{tmp_path}/x", **there)
    assert (done.returncode, "No such file" in done.stderr) == (5, True), done.stderr
    assert cay("rm", "copies", **there).returncode == 0


@pytest.mark.parametrize("command, words", [
    (["events"], "no record"), (["port", "any", "80"], "no way to a port"), (["token", "any"], "no tokens"),
    (["image", "ls"], "no images"), (["confirmations"], "no actions that wait")], ids=lambda c: c[0])
def test_a_command_that_a_deployment_has_nothing_for_says_so(command, words):
    done = cay(*command, CAY_URL="openhands+http://127.0.0.1:1")
    assert done.returncode == 13 and words in done.stderr, done.stderr


def test_an_action_server_is_not_ours_to_end(far):
    there = {"CAY_URL": f"action+http://127.0.0.1:{far.port}", "SESSION_API_KEY": far.token}
    for command in ("rm", "stop"):
        done = cay(command, "default", **there)
        assert done.returncode == 13 and "ends with who has started it" in done.stderr, done.stderr


def test_names_are_made_told_moved_and_removed(box):
    assert box.action("mkdir", path="it's/deep")["created"] and not box.action("mkdir", path="it's/deep")["created"]
    box.action("write", path="it's/deep/f", content="12345", mode="0600")
    box.run("ln -s deep/f \"/workspace/it's/l\"")
    told = box.action("stat", path="it's/l")
    assert (told["type"], told["size"], told["mode"], told["is_symlink"], told["target"]) == ("file", 5, "0600", True, "deep/f")
    assert box.action("stat", path="it's/l", follow=False)["permissions"] == "lrwxrwxrwx"
    assert box.action("move", path="it's/deep/f", to="new/f")["replaced"] is False
    for action, params, code in (("stat", {"path": "nope"}, "not_found"), ("remove", {"path": "nope"}, "not_found"),
                                 ("move", {"path": "new/f", "to": "it's/l"}, "already_exists"),
                                 ("mkdir", {"path": "new", "parents": False}, "already_exists")):
        assert box.request("POST", f"/actions/{action}", params).code == code, action
    assert box.action("move", path="new/f", to="it's/l", overwrite=True)["replaced"] is True
    assert box.action("remove", path="it's", recursive=True)["removed"] == 3
    assert box.action("remove", path="it's", missing_ok=True)["removed"] == 0


def test_a_deployment_that_is_not_there_is_one_sentence(tmp_path):
    done = cay("ls", CAY_URL="action+http://127.0.0.1:1", TMPDIR=str(tmp_path))
    assert done.returncode != 0 and "connect" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir()), "nothing is left behind"
