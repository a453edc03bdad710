# SPDX-License-Identifier: Apache-2.0
"""The peer for the OpenHands face: OpenHands' own action execution server, from what `make clients` has installed.

Both are asked over a kept connection by the same few lines, which add some 30 µs to each figure. The peer runs with
its shell and its kernel, without a browser, as root in a pid namespace of its own, so that nothing of it is left.
"""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

PATIENCE = 180
MODULE = "openhands.runtime.action_execution_server"


class Client:
    """One kept connection; a request is sent as one piece, an answer read by its length."""

    def __init__(self, port, prefix="", key=""):
        self.port, self.prefix, self.key, self.sock = port, prefix, key, None

    def ask(self, method, path, body=None):
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = json.dumps(body).encode() if body is not None else b""
        self.sock.sendall(f"{method} {self.prefix}{path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nX-API-Key: {self.key}\r\n"
                          f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        seen = b""
        while b"\r\n\r\n" not in seen:
            seen += self.receive()
        head, _, seen = seen.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(seen) < length:
            seen += self.receive()
        assert head.split(b" ", 2)[1] == b"200", (head, seen)
        return json.loads(seen)

    def receive(self):
        piece = self.sock.recv(1 << 20)
        if not piece:
            raise RuntimeError("the connection was closed")
        return piece

    def act(self, action, **args):
        return self.ask("POST", "/execute_action", {"action": {"action": action, "args": args, "timeout": 60.0}})

    def close(self):
        if self.sock:
            self.sock.close()


class Peer:
    """Started by the constructor, which returns when it answers; `connect_us` is how long that took."""

    def __init__(self, python):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cay-bench-openhands-"))
        self.workspace = self.dir / "workspace"
        self.workspace.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        env = {**os.environ, "SU_TO_USER": "false", "LOCAL_RUNTIME_MODE": "1", "OPENHANDS_REPO_PATH": str(self.dir),
               "HOME": str(self.dir), "TMUX_TMPDIR": str(self.dir), "PATH": f"{pathlib.Path(python).parent}:{os.environ['PATH']}"}
        self.log = open(self.dir / "log", "wb")
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", python, "-u", "-m", MODULE, str(self.port),
             "--working-dir", self.workspace, "--plugins", "jupyter", "--username", "root", "--user-id", "0",
             "--no-enable-browser"], cwd=self.dir, env=env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        while not self.is_alive():
            if self.process.poll() is not None or time.perf_counter() - begin > PATIENCE:
                log = (self.dir / "log").read_text(errors="replace")[-500:]
                self.stop()
                raise RuntimeError(f"OpenHands' server does not start: {log}")
            time.sleep(0.01)  # its listener opens when it is ready; nothing tells
        self.connect_us = (time.perf_counter() - begin) * 1e6
        self.client = Client(self.port)

    def is_alive(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/alive")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        pathlib.Path("/tmp/oh-server-url").unlink(missing_ok=True)


def find_python(build):
    """The interpreter of tests/clients/openhands; None where it is not installed, or we are not root."""
    python = build / "clients/openhands/venv/bin/python"
    return str(python) if python.exists() and os.geteuid() == 0 and shutil.which("tmux") else None


def connect(server, session):
    """What a client does until it is READY: (microseconds, the runtime's id)."""
    client = Client(server.port, key=server.token)
    begin = time.perf_counter()
    made = client.ask("POST", "/start", {"image": "host", "session_id": session, "environment": {}, "command": [
        "python", "-m", MODULE, "60000", "--plugins", "agent_skills", "jupyter", "--no-enable-browser"]})
    assert client.ask("GET", f"/runtime/{made['runtime_id']}")["pod_status"] == "ready"
    client.ask("GET", f"/{made['runtime_id']}/alive")
    micros = (time.perf_counter() - begin) * 1e6
    # A kernel that is still coming up would take its time from the next one's connect.
    Client(server.port, f"/{made['runtime_id']}", server.token).act("run_ipython", code="1")
    client.close()
    return micros, made["runtime_id"]


@contextlib.contextmanager
def warm():
    """A server that is started within keeps two sandboxes waiting for /start."""
    os.environ["CAY_SERVE_WARM"] = "2"
    yield
    del os.environ["CAY_SERVE_WARM"]


def connect_to_warm(server, session):
    """Microseconds from POST /start to the result of the first cell, after the first command."""
    deadline, begin = time.monotonic() + PATIENCE, 0
    while time.monotonic() < deadline:
        boxes = json.loads(server.request("GET", "/v1/sandboxes"))["sandboxes"]
        if sum(box["state"] == "ready" and "openhands.spare" in box["labels"] for box in boxes) == 2:
            break
        time.sleep(0.1)
    time.sleep(1)  # what is being prepared shall not take the time from what is measured
    client = Client(server.port, key=server.token)
    begin = time.perf_counter()
    made = client.ask("POST", "/start", {"image": "host", "session_id": session, "environment": {}, "command": [
        "python", "-m", MODULE, "60000", "--plugins", "agent_skills", "jupyter"]})
    assert client.ask("GET", f"/runtime/{made['runtime_id']}")["pod_status"] == "ready"
    client.prefix = f"/{made['runtime_id']}"
    client.ask("GET", "/alive")
    assert client.act("run", command="echo hi")["content"] == "hi"
    assert client.act("run_ipython", code="print(42)")["content"].startswith("42")
    micros = (time.perf_counter() - begin) * 1e6
    client.prefix = ""
    client.ask("POST", "/stop", {"runtime_id": made["runtime_id"]})
    client.close()
    return micros


def median(client, times, one, check):
    """Of `times` actions: one(client, i) performs the i-th, check(answer) says whether it did.

    Three come before those that count: the peer's shell takes its own first prompt for the end of a command.
    """
    took = []
    for i in range(times + 3):
        begin = time.perf_counter()
        answer = one(client, i)
        took.append((time.perf_counter() - begin) * 1e6)
        assert i < 3 or check(answer), answer
    return statistics.median(took[3:])


def actions(workspace):
    """name → (performs the i-th, says whether it went well, goal)."""
    path = f"{workspace}/bench.txt"
    return {
        "run of `echo hi`": (lambda c, i: c.act("run", command="echo hi"), lambda a: a["content"] == "hi", "≥ 1,000 ×"),
        "write": (lambda c, i: c.act("write", path=path, content="one\ntwo\nthree"), lambda a: a["observation"] == "write", "≥ 3 ×"),
        "read": (lambda c, i: c.act("read", path=path), lambda a: a["content"] == "one\ntwo\nthree\n", "≥ 3 ×"),
        "edit": (lambda c, i: c.act("edit", command="str_replace", path=path, old_str="one" if i % 2 == 0 else "1",
                                    new_str="1" if i % 2 == 0 else "one"), lambda a: "has been edited" in a["content"], "≥ 3 ×"),
        # What the peer prints comes with the next cell, if its ipykernel is newer than it knows.
        "cell": (lambda c, i: c.act("run_ipython", code="print(1)"), lambda a: a["success"], "≥ 10 ×"),
    }
