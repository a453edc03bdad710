# SPDX-License-Identifier: Apache-2.0
"""A server that is started the moment another one was killed: in its place, with its sockets and all that it had acknowledged."""
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile

import pytest

from conftest import PROGRAMS, UnixConnection
from processes import awaited, children
from waiting import PATIENCE

IS_ROOT = os.geteuid() == 0
ORDINARY = 61235
ROUNDS = 4
TOKEN = "a-token-of-this-test"


class Place:
    """A state directory with a socket and a port."""

    def __init__(self, uid, options=("--pool", "1")):
        self.options = options
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-successor-"))
        self.directory.chmod(0o755)
        for name in ("cay-supervisor", "cayd", "cay-executor", "cay-init", "cay-canary"):
            shutil.copy(PROGRAMS / name, self.directory)
        self.own = self.directory / "own"
        self.own.mkdir()
        self.ids = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        if uid is not None:
            os.chown(self.own, uid, uid)
        self.port = "0"
        self.process = None

    def start(self):
        """Waits for nothing; see ready()."""
        self.pipe, theirs = os.pipe()
        with open(self.directory / "log", "a") as log:
            self.process = subprocess.Popen(
                [self.directory / "cay-supervisor", "--state", self.own / "state", "--socket", self.own / "cay.sock",
                 "--listen", f"127.0.0.1:{self.port}", "--ready-fd", str(theirs), *self.options], pass_fds=[theirs],
                stdin=subprocess.DEVNULL, stderr=log, env={**os.environ, "CAY_TOKEN": TOKEN, "XDG_RUNTIME_DIR": str(self.own)},
                **self.ids)
        os.close(theirs)

    def ready(self):
        with open(self.pipe) as pipe:
            assert select.select([pipe], [], [], PATIENCE)[0], self.log()
            line = pipe.read()
        assert line.endswith("\n"), self.log()
        self.port = line.strip() or self.port

    def log(self):
        return (self.directory / "log").read_text()[-3000:]

    def request(self, method, path, body=None):
        connection = UnixConnection(self.own / "cay.sock")
        connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"})
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, text

    def close(self):
        if self.process and self.process.poll() is None:
            followers = children(self.process.pid)
            with awaited(*followers):
                self.process.kill()
                self.process.wait()
        subprocess.run(["rm", "-rf", "--one-file-system", self.directory], check=True)


@pytest.fixture(params=[pytest.param(None, id="self"), *([pytest.param(ORDINARY, id="ordinary-user")] if IS_ROOT else [])])
def place(request):
    made = Place(request.param)
    yield made
    made.close()


def test_a_server_that_follows_a_killed_one_at_once_serves(place):
    place.start()
    place.ready()
    killed = []
    for _ in range(ROUNDS):
        status, made = place.request("POST", "/v1/sandboxes", "{}")
        assert status == 201, made
        box = "/v1/sandboxes/" + json.loads(made)["id"]
        assert place.request("POST", f"{box}/actions/run", '{"command": "sleep 1000 &"}')[0] == 200
        os.kill(place.process.pid, signal.SIGKILL)  # nobody waits for it yet
        killed.append(place.process)
        place.start()
        place.ready()
        status, text = place.request("GET", f"{box}/events")
        assert status == 200 and '"sleep 1000 &"' in text
    for process in killed:
        assert process.wait() == -signal.SIGKILL


def test_one_whose_sandboxes_are_programs_of_the_server_is_followed_as_well():
    """They have nothing of the server's: neither its sockets nor its place."""
    place = Place(None, ["--backend", "local"])
    try:
        place.start()
        place.ready()
        for _ in range(2):
            status, made = place.request("POST", "/v1/sandboxes", "{}")
            assert status == 201, made
            box = "/v1/sandboxes/" + json.loads(made)["id"]
            status, text = place.request("POST", f"{box}/actions/run", '{"command": "readlink /proc/self/fd/*; sleep 1000 &"}')
            assert status == 200 and "socket:" not in text and str(place.own / "state") not in text, text
            killed = place.process
            killed.kill()
            place.start()
            place.ready()
            killed.wait()
        assert place.request("GET", "/v1/health")[0] == 200
    finally:
        place.close()


def test_a_living_one_is_left_alone_and_said_to_be_there(place):
    place.start()
    place.ready()
    first = place.process
    place.start()
    assert place.process.wait(PATIENCE) == 6
    os.close(place.pipe)
    assert f"a supervisor runs with state directory {place.own}/state: process {first.pid}" in place.log()
    place.process = first
    assert place.request("GET", "/v1/health")[0] == 200
