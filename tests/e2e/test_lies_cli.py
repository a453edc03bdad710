# SPDX-License-Identifier: Apache-2.0
"""
The command line beside a server that lies (lying.py): each value of each of its answers is once not what it should be. No command dies of it or
stays for ever, none writes beside its target, and a terminal is told no sequences of control that no program has written.
"""
import contextlib
import http.server
import json
import os
import pty
import select
import subprocess
import threading
import time

import pytest
from conftest import PROGRAMS
from lying import ABSENT, Elsewhere, Liar
from mcp import SERVER
from waiting import PATIENCE

IS_LONG = "SCALE" in os.environ
ESCAPE = "\x1b]0;title\x07\x1b[31m\x9b\n\r"
VALUES = [None, ABSENT, -1, (1 << 63) - 1, "", ESCAPE, "../../up", "y" * 200000, [], {}, [{}] * 3000, True] if IS_LONG else [ABSENT, ESCAPE]
PLACES = 60 if IS_LONG else 3  # of a command's answers

COMMANDS = [
    ["ls"], ["ls", "--quiet"], ["ls", "--json"], ["stats"], ["exec", "box", "--json", "--", "echo", "one"], ["exec", "box", "--detach", "--", "true"],
    ["logs", "box"], ["events", "box"], ["act", "box"], ["act", "box", "info"], ["act", "box", "run", "command=echo one"], ["act", "box", "mine/echo", "a=1"],
    ["cp", "box:/tmp/f", "f"], ["cp", "box:/tmp/d", "d"], ["cp", "box:/tmp/f", "-"], ["cp", "f0", "box:/tmp/g"], ["cp", "d0", "box:/tmp/e"],
    ["git", "box", "status"], ["py", "box", "print(1)"], ["tool", "ls", "box"], ["tool", "call", "box", "nothing"], ["port", "box", "80", "--link"],
    ["image", "ls"], ["image", "inspect", "host"], ["snapshot", "box"], ["fork", "box"], ["pause", "box"], ["resume", "box"], ["mcp", "box"], ["confirmations"],
]


@pytest.fixture(scope="module")
def box(server):
    made = server.create(name="box", plugins=[{"name": "mine", "version": "2", "description": "", "program": ["python3", "server.py", "mine"],
                                               "files": {"server.py": SERVER}}])
    assert made.run("mkdir -p /tmp/d/e p && echo text | tee /tmp/f >/tmp/d/e/f && cd p && git init -q")["exit_code"] == 0
    yield made
    made.delete()


@pytest.fixture(scope="module")
def liar(server, box):
    with Elsewhere() as elsewhere, Liar(("127.0.0.1", server.port), elsewhere) as made:
        yield made


def on_terminal(command, directory, environment):
    """What it wrote to a terminal, and how it ended."""
    ours, its = pty.openpty()
    process = subprocess.Popen([PROGRAMS / "cay", *command], cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=its, stderr=its)
    os.close(its)
    said, until = b"", time.monotonic() + PATIENCE
    with contextlib.suppress(OSError):  # the other side is closed
        while select.select([ours], [], [], max(until - time.monotonic(), 0))[0]:
            said = (said + os.read(ours, 65536))[-100000:]
    os.close(ours)
    try:
        return process.wait(max(until - time.monotonic(), 0.1)), said
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def files_of(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_value_of_a_server_is_needed(server, liar, tmp_path, command):
    here = tmp_path / "a" / "here"
    (here / "d0").mkdir(parents=True)
    for name in ("f0", "d0/f"):
        (here / name).write_text("text")
    environment = {"PATH": os.environ["PATH"], "CAY_URL": liar.url, "CAY_TOKEN": server.token, "HOME": str(tmp_path / "home"), "TERM": "xterm"}
    for value in VALUES:
        for _ in range(PLACES):
            liar.lie_of_each(value, 1)
            status, said = on_terminal(command, here, environment)
            told = liar.lie(0, 0)
            assert status >= 0, (status, told, said)
            shown = said.decode(errors="replace")
            assert not [word for word in ("\x1b]", "\x07", "\x9b") if word in shown], (told, shown)
            if not told:
                break
    assert files_of(tmp_path / "a") and all(name.split("/")[0] == "here" for name in files_of(tmp_path / "a"))
    for sandbox in server.request("GET", "/v1/sandboxes").json["sandboxes"]:
        if sandbox["name"] != "box":
            server.request("DELETE", f"/v1/sandboxes/{sandbox['id']}")


class SamePage(http.server.BaseHTTPRequestHandler):
    """Whatever was seen already, the page that comes next is the first."""

    def do_GET(self):
        body = json.dumps([{"seq": 1, "kind": "state", "time": "2026-01-01T00:00:00.000Z", "sandbox": "0" * 32, "data": {"state": "running"}}])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def test_a_record_that_does_not_go_on_comes_to_an_end():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SamePage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = subprocess.run([PROGRAMS / "cay", "events"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                              env={"CAY_URL": f"http://127.0.0.1:{server.server_port}", "CAY_TOKEN": "t"})
        server.shutdown()
    assert told.returncode == 14 and told.stdout.count("running") == 1
    assert "after event 1 the server tells of 1" in told.stderr
