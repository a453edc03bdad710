# SPDX-License-Identifier: Apache-2.0
"""For tests with executors that lie (liar/): a server that has them, how a sandbox is told to lie, and what it is asked."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import conftest
import processes
import pytest
from conftest import BUILD, Reply, end_server
from docker_api import serve_docker
from waiting import PATIENCE, wait_until

SEEDS = range(int(os.environ.get("SCALE", "1")) * 5)
SHORTLY = 0.4  # seconds: a result that was left out never comes
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\ntext\r\n--b--\r\n'


@pytest.fixture(scope="module")
def liars():
    """The programs, with an executor that lies where a sandbox has /tmp/lie."""
    subprocess.run(["ninja", "-C", BUILD, "--quiet", "tests/e2e/liar/cay-executor"], check=True, capture_output=True)
    with tempfile.TemporaryDirectory(prefix="cay-liars-") as directory:
        os.chmod(directory, 0o755)
        for program in (BUILD / "src" / "main").iterdir():
            if program.is_file() and os.access(program, os.X_OK):
                shutil.copy(program, directory)
        shutil.copy(BUILD / "tests/e2e/liar/cay-executor", directory)
        yield pathlib.Path(directory)


@pytest.fixture(scope="module")
def server(liars):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conftest, "PROGRAMS", liars)
        server = serve_docker()
        yield server
        end_server(server)


@pytest.fixture(scope="module")
def honest(server):
    return server.create(name="honest")


def lie(box, *how):
    """What it says of that is the first lie."""
    ask(box.server, "PUT", f"{box.path}/files?path=/tmp/lie", " ".join(map(str, how)).encode())


IS_LONG = "SCALE" in os.environ
WAYS = range(37)  # of liar/lying_frames.c: null, numbers, texts, arrays, objects, no JSON; a key less, twice, renamed; what becomes of frames
SIZES = range(37, 43)  # the same: texts, arrays, objects and numbers of megabytes
IN_LINES = 43  # the end of a line before and behind a value
SOME_WAYS = WAYS if IS_LONG else (0, 3, 23)
EACH = 64  # how many values of a frame it goes through


def request(server, method, path, body, more=None, timeout=PATIENCE):
    """WS: a path and the messages; HIJACK: a path of Docker's and the body. What they answer is 101."""
    if method == "WS":
        return Reply(talk(server, path, body, timeout), {}, b"")
    if method == "HIJACK":
        return Reply(hijack(server, path, body, timeout), {}, b"")
    of = server.docker if path.startswith("/v1.43") else server
    headers = FORM if isinstance(body, bytes) and body.startswith(b"--b") else {"Content-Type": "application/json"} if isinstance(body, (dict, list)) else {}
    return of.request(method, path, body, headers={"X-Session-API-Key": server.token, "X-API-Key": server.token, **headers, **(more or {})}, timeout=timeout)


def talk(server, path, messages, timeout):
    """Ends with the other side, or when that has nothing more to say."""
    ws = server.websocket(path)
    with contextlib.closing(ws), contextlib.suppress(OSError, ValueError):
        ws.sock.settimeout(timeout)
        for message in messages if ws.status == 101 else ():
            ws.send(ws.BINARY if isinstance(message, bytes) else ws.TEXT, message if isinstance(message, bytes) else json.dumps(message).encode())
        while ws.status == 101 and ws.receive()[0] != ws.CLOSE:
            ws.sock.settimeout(min(timeout, SHORTLY))
    return ws.status


def hijack(server, path, body, timeout):
    stream = server.docker.hijack(path, body)
    with contextlib.closing(stream.sock), contextlib.suppress(OSError):
        stream.sock.settimeout(min(timeout, SHORTLY))
        stream.raw()
    return stream.status


def ask(server, method, path, body, *more):
    """The status; None for a connection that was cut, or an answer that does not come."""
    try:
        return request(server, method, path, body, *more, timeout=SHORTLY).status
    except (http.client.HTTPException, OSError, ValueError, IndexError):
        return None


def the_server_stays(server, honest, create, questions_of, seed, is_content=False):
    """is_content: an answer to each of the questions may be had of a liar, too."""
    pid = server.server_pid()
    assert honest.output("echo honest") == "honest\n"  # and keeps a descriptor for the next call
    before = len(processes.descriptors(pid))
    box = create()
    lie(box, seed, 2)
    said = 0
    for question in questions_of(box):
        said += (ask(server, *question) or 500) >= 300
        assert server.server_pid() == pid, (question, server.log_text()[-3000:])
    assert said or is_content, "no lie was told"
    assert honest.output("echo honest") == "honest\n"
    box.delete()
    wait_until(lambda: len(processes.descriptors(pid)) <= before, "descriptors are left")


def each_value_is_told(server, honest, make, questions_of, way, each=EACH):
    """Each value of what it tells is once not what it should be."""
    pid = server.server_pid()
    box = make(server)
    lie(box, "each", way)
    for question in questions_of(box):
        for _ in range(each):
            ask(server, *question)
            assert server.server_pid() == pid, (question, server.log_text()[-3000:])
    assert honest.output("echo honest") == "honest\n"
    box.delete()
