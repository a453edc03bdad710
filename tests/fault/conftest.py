# SPDX-License-Identifier: Apache-2.0
"""What the fault tests share: work whose acknowledged part is remembered, and a look at what is left of it."""
import collections
import contextlib
import http.client
import importlib.util
import itertools
import mmap
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCALE = int(os.environ.get("SCALE", "1"))

loader = importlib.util.spec_from_file_location("soak", ROOT / "tests" / "soak" / "conftest.py")
soak = importlib.util.module_from_spec(loader)
loader.loader.exec_module(soak)
e2e = soak.e2e
waiting = importlib.import_module("waiting")  # its folder is on the path now
wait_until, PATIENCE = waiting.wait_until, waiting.PATIENCE


class Lost(Exception):
    """The server did not answer: it was cut off, or is being started again."""


class Work:
    """One sandbox, and requests to it whose answers are remembered: what was acknowledged must stay so."""

    def __init__(self, server):
        self.server = server
        self.box = server.create()
        self.box.run("export KEPT=kept")
        self.numbers = itertools.count(1)
        self.lines, self.files, self.answers, self.events = [], {}, [], []

    def ask(self, method, path, body=None):
        """The reply, whatever it is; it comes in time, or the connection ends."""
        try:
            reply = self.server.request(method, path, body, timeout=40)
        except TimeoutError as e:
            raise AssertionError(f"no answer to {method} {path}") from e
        except (OSError, http.client.HTTPException) as e:
            self.answers.append(type(e).__name__)
            raise Lost from e
        self.answers.append(reply.status)
        return reply

    def step(self):
        """A bit of everything. Failures are fine; what is told to have been done is remembered."""
        n = next(self.numbers)
        path = self.box.path
        for action in (self.write_line, self.put_file, self.exec_program, self.make_another):
            try:
                action(n, path)
            except Lost:
                self.wait_for_server()

    def write_line(self, n, path):
        reply = self.ask("POST", f"{path}/actions/run", {"command": f"echo {n} >> log; echo $KEPT {n}", "timeout_ms": 15000})
        if reply.status == 200 and reply.json["status"] == "exited" and reply.json["exit_code"] == 0:
            said = reply.json["output"].splitlines()[-1]
            assert said.split()[-1] == str(n), reply.body  # without "kept" where the shell had to be started anew
            self.lines.append(n)
            self.events.append(said)

    def put_file(self, n, path):
        data = f"{n}\n".encode() * 20000
        name = f"f{n % 3}"
        self.files.setdefault(name, []).append([data, False])
        reply = self.ask("PUT", f"{path}/files?path={name}", data)
        if reply.status == 200:
            self.files[name] = [[data, True]]

    def exec_program(self, n, path):
        reply = self.ask("POST", f"{path}/actions/exec", {"argv": ["sh", "-c", f"echo e{n}"], "capture": True,
                                                          "timeout_ms": 15000})
        if reply.status == 200 and reply.json["exit_code"] == 0:
            assert reply.json["stdout"] == f"e{n}\n", reply.body

    def make_another(self, n, path):
        reply = self.ask("POST", "/v1/sandboxes", {"labels": {"fault": str(n)}})
        if reply.status == 201:
            other = reply.json["id"]
            self.server.made.add(other)
            gone = self.ask("DELETE", f"/v1/sandboxes/{other}")
            if gone.status == 204:
                assert self.ask("GET", f"/v1/sandboxes/{other}").status == 404

    def wait_for_server(self):
        wait_until(self.is_up)

    def is_up(self):
        assert self.server.process.poll() is None, self.server.log_text()[-3000:]
        try:
            return self.server.request("GET", "/v1/health", token=None, timeout=10).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def state(self):
        return self.box.get()["state"]

    def check(self):
        """All that was acknowledged is there, and nothing is half there."""
        self.wait_for_server()
        self.check_events()
        if self.box.request("POST", "/actions/info", {}).status in (410, 503):
            wait_until(lambda: self.state() == "ended", "a sandbox that answers no more")
        if self.state() == "ended":
            return False  # and says so
        written = [int(n) for n in self.box.run("cat log 2>/dev/null; true", session="check")["output"].split()]
        assert set(self.lines) <= set(written), (self.lines, written)
        for name, versions in self.files.items():
            reply = self.box.get_file(name)
            allowed = [data for data, _ in versions]
            if reply.status == 404:
                assert not any(acknowledged for _, acknowledged in versions), f"{name} is gone"
            else:
                assert reply.body in allowed, f"{name} is neither old nor new: {len(reply.body)} bytes"
        left = [name for name in self.box.output("ls -A", session="check").split() if name.startswith(".cay")]
        assert left == [], left
        return True

    def check_events(self):
        events, after = [], 0
        while page := self.server.request("GET", f"{self.box.path}/events?after={after}").json:
            events += page
            after = page[-1]["seq"]
        seen = {line for e in events if e["kind"] == "observation"
                for line in e["data"].get("result", {}).get("output", "").splitlines()}
        assert set(self.events) <= seen, set(self.events) - seen
        assert [e["index"] for e in events] == sorted(e["index"] for e in events)

    def end(self):
        if self.box.request("GET").status == 200:
            self.box.delete()
        for other in self.server.request("GET", "/v1/sandboxes").json["sandboxes"]:
            if other["labels"].get("fault"):
                self.server.request("DELETE", f"/v1/sandboxes/{other['id']}")


class Injector:
    """strace at processes, which lets the n-th call of a kind of each fail."""

    def __init__(self, pids, call, error, nth):
        self.log = open(f"/tmp/cay-fault-{os.getpid()}", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["strace", "-p", ",".join(map(str, pids)), "-e", f"trace={call}", "-e", f"inject={call}:{error}:when={nth}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)
        wait_until(lambda: self.text().count("attach") >= len(pids) or self.process.poll() is not None)
        assert "attached" in self.text(), self.text()  # its process may have ended by now: the call may be its next

    def text(self):
        return pathlib.Path(self.log.name).read_text(encoding="utf-8", errors="replace")

    def close(self):
        """Whoever is traced goes on, however this ends: nobody else can end one that rests in a call."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
                self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
        hit = "(INJECTED)" in self.text()
        self.log.close()
        os.unlink(self.log.name)
        return hit


def count_calls(pids, work):
    """How often they make which call within a step."""
    log = f"/tmp/cay-fault-count-{os.getpid()}"
    with subprocess.Popen(["strace", "-p", ",".join(map(str, pids)), "-o", log], stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as tracer:
        said = [tracer.stderr.readline() for _ in pids]  # a builder that was replaced may just have ended
        assert any("attached" in line for line in said), said
        work.step()
        tracer.send_signal(signal.SIGINT)
        tracer.wait(PATIENCE)
    counts = collections.Counter(line.split("(")[0].split()[-1] for line in pathlib.Path(log).read_text(errors="replace").splitlines())
    os.unlink(log)
    return counts


class SharedFile:
    """What a preloaded library reads while its program runs; SIZE zeros at first."""

    def __init__(self, directory):
        self.path = directory / "shared"
        self.path.write_bytes(bytes(self.SIZE))
        self.path.chmod(0o666)
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), self.SIZE)


@contextlib.contextmanager
def preloaded(name, **variable):
    """A server with a library of tests/fault, which finds its shared file by the variable; both."""
    library = e2e.BUILD / "tests" / "fault" / f"lib{name}.so"
    if not library.exists():
        pytest.skip("not built: with a sanitizer, malloc is the sanitizer's")
    (key, kind), = variable.items()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-fault-"))
    try:
        directory.chmod(0o755)
        copy = directory / library.name  # the server's own uid may not reach the build directory
        copy.write_bytes(library.read_bytes())
        copy.chmod(0o755)
        shared = kind(directory)
        started = e2e.start_server(variables={"LD_PRELOAD": str(copy), key: str(shared.path)})
        try:
            yield started, shared
        finally:
            e2e.end_server(started)
    finally:
        shutil.rmtree(directory)


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.timeout(300 * SCALE))


def needs_strace():
    if os.geteuid() != 0:
        pytest.skip("needs root, to trace the server")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("strace does not work here")
