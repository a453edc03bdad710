# SPDX-License-Identifier: Apache-2.0
"""A whole server (supervisor, cayd, executors) in a directory of its own, and small clients for its faces."""
import base64
import contextlib
import http.client
import json
import os
import pathlib
import random
import select
import signal
import socket
import struct
import subprocess
import tempfile
import urllib.parse

import pytest

import processes
from waiting import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
PROGRAMS = BUILD / "src" / "main"

# The files that take longest begin first, or the last of them would be on its way alone when all others are done.
LONGEST = ["cell", "snapshot", "browser", "kubernetes", "engine", "tenants", "run", "remote", "files", "limits", "supervisor",
           "openhands_recorded", "e2b", "openhands", "lying_servers", "damage", "openhands_remote"]

IS_SANITIZED = "ASAN_OPTIONS" in os.environ  # make sanitize: freed memory is kept for a while, and everything is slower


def pytest_collection_modifyitems(items):
    first = {f"test_{name}.py": i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path.name, len(first)))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=PATIENCE):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The word of an error reply, whose shape is checked on the way."""
        error = self.json["error"]
        assert set(error) == {"code", "message"} and error["message"]
        return error["code"]


class EventStream:
    """The events of a text/event-stream reply as (event, id, data)."""

    def __init__(self, response, connection):
        self.response, self.connection = response, connection

    def __iter__(self):
        event = {}
        while line := self.response.readline():
            line = line.decode().rstrip("\n")
            if not line and event:
                yield event["event"], event.get("id"), json.loads(event["data"])
                event = {}
            elif line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value

    def close(self):
        self.connection.close()
        self.response.close()


class WebSocket:
    """Enough of RFC 6455 for a test: whole messages, masked."""

    TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

    def __init__(self, path, target, token):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(path))
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                           f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                           f"Authorization: Bearer {token}\r\n\r\n").encode())
        self.reader = self.sock.makefile("rb")
        self.status = int(self.reader.readline().split()[1])
        while self.reader.readline().strip():
            pass

    def send(self, opcode, data):
        mask = os.urandom(4)
        size = struct.pack("!B", 128 | len(data)) if len(data) < 126 else (
            struct.pack("!BH", 128 | 126, len(data)) if len(data) < 65536 else
            struct.pack("!BQ", 128 | 127, len(data)))
        stretched = mask * (len(data) // 4 + 1)
        masked = (int.from_bytes(data, "big") ^ int.from_bytes(stretched[:len(data)], "big")).to_bytes(len(data), "big")
        self.sock.sendall(bytes([128 | opcode]) + size + mask + masked)

    def send_json(self, value):
        self.send(self.TEXT, json.dumps(value).encode())

    def receive(self):
        while True:
            first, second = self.reader.read(2)
            size = second & 127
            if size == 126:
                size, = struct.unpack("!H", self.reader.read(2))
            elif size == 127:
                size, = struct.unpack("!Q", self.reader.read(8))
            data = self.reader.read(size)
            if first & 15 == self.PING:
                self.send(self.PONG, data)
            else:
                return first & 15, data

    def __iter__(self):
        """Messages until the other side closes: bytes for data, objects for texts."""
        while True:
            opcode, data = self.receive()
            if opcode == self.CLOSE:
                return
            yield json.loads(data) if opcode == self.TEXT else data

    def close(self):
        self.sock.close()


class Server:
    """settings: what `cay serve` makes of its configuration. variables: of its environment, such as keys."""

    def __init__(self, directory, *options, prefix=(), settings=None, variables=None):
        self.directory = pathlib.Path(directory)
        self.socket = self.directory / "cay.sock"
        self.state = self.directory / "state"
        self.log = open(self.directory / "log", "w+")
        self.made = set()  # sandboxes
        ready, child_ready = os.pipe()
        env = {name: value for name, value in os.environ.items() if not name.startswith("CAY_")} | (variables or {})
        if settings:
            env["CAY_SETTINGS"] = json.dumps(settings)
        self.process = subprocess.Popen(
            [*prefix, PROGRAMS / "cay-supervisor", "--state", self.state, "--socket", self.socket, "--listen",
             "127.0.0.1:0", "--ready-fd", str(child_ready), *options],
            stdin=subprocess.DEVNULL, stderr=self.log, pass_fds=[child_ready],
            env={**env, "XDG_RUNTIME_DIR": str(self.directory)})
        os.close(child_ready)
        with open(ready) as pipe:
            assert select.select([pipe], [], [], PATIENCE)[0], self.log_text()
            ports = pipe.read().split()  # that the kernel chose
        assert ports, self.log_text()
        self.port = int(ports[0])
        self.wait_until_up()
        self.state = pathlib.Path(f"/proc/{self.process.pid}/root{self.state}")  # as the server sees it
        self.token = (self.state / "token").read_text().strip()

    def log_text(self):
        return pathlib.Path(self.log.name).read_text()

    def wait_until_up(self):
        """The listening sockets are the supervisor's: a request waits there until a server answers it."""
        assert self.process.poll() is None, self.log_text()
        assert self.request("GET", "/v1/health", token=None).status == 200

    def connection(self, timeout=PATIENCE):
        return UnixConnection(self.socket, timeout)

    def headers(self, token, extra):
        token = self.token if token == "" else token
        return {**({"Authorization": f"Bearer {token}"} if token else {}), **(extra or {})}

    def request(self, method, path, body=None, token="", headers=None, connection=None, timeout=PATIENCE):
        """body: an object goes as JSON, bytes as they are. token: "" is the right one, None is none."""
        with contextlib.ExitStack() as stack:
            if not connection:
                connection = stack.enter_context(contextlib.closing(self.connection(timeout)))
            if body is not None and not isinstance(body, (bytes, str)) and not hasattr(body, "read"):
                body = json.dumps(body)
            connection.request(method, path, body, self.headers(token, headers))
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())

    def events(self, method, path, body=None):
        """Opens an event stream."""
        connection = self.connection()
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           self.headers("", {"Accept": "text/event-stream"}))
        response = connection.getresponse()
        assert response.status == 200, response.read()
        return EventStream(response, connection)

    def websocket(self, path):
        return WebSocket(self.socket, path, self.token)

    def create(self, **wishes):
        reply = self.request("POST", "/v1/sandboxes", wishes)
        assert reply.status == 201, reply.body
        self.made.add(reply.json["id"])
        return Sandbox(self, reply.json)

    def server_pid(self):
        """cayd: the supervisor's child of that name."""
        return next(iter(processes.children(self.process.pid, "cayd")), None)

    def kill_server(self):
        """kill -9 for cayd; returns when it is gone."""
        pid = self.server_pid()
        with processes.awaited(pid):
            os.kill(pid, signal.SIGKILL)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        self.log.close()
        return status


class Sandbox:
    def __init__(self, server, record):
        self.server, self.record, self.id = server, record, record["id"]
        self.path = f"/v1/sandboxes/{self.id}"

    def request(self, method, rest="", body=None, **more):
        return self.server.request(method, self.path + rest, body, **more)

    def action(self, action, **params):
        reply = self.request("POST", f"/actions/{action}", params)
        assert reply.status == 200, reply.body
        return reply.json

    def run(self, command, **params):
        return self.action("run", command=command, **params)

    def output(self, command, **params):
        return self.run(command, **params)["output"]

    def get(self):
        return self.request("GET").json

    def put_file(self, path, data, **query):
        return self.request("PUT", "/files?" + urllib.parse.urlencode({"path": path, **query}), data)

    def get_file(self, path, **query):
        return self.request("GET", "/files?" + urllib.parse.urlencode({"path": path, **query}))

    def events(self):
        return self.request("GET", "/events").json

    def wait_for_state(self, state):
        """Follows the events until the sandbox is in this state; returns that event's data."""
        stream = self.server.events("GET", f"{self.path}/events?follow=1")
        for kind, _, event in stream:
            if kind == "state" and event["data"]["state"] == state:
                stream.close()
                return event["data"]
        raise AssertionError(f"the stream ended before {state}")

    def delete(self):
        reply = self.request("DELETE")
        assert reply.status == 204, reply.body


def start_server(*options, small_disk=False, files_max=None, **more):
    """More as Server has it. small_disk: its state is on a file system of 4 MiB, in a mount namespace of its own.
    files_max: so many descriptors each of its programs may have."""
    needed = ("cay-supervisor", "cayd", "cay-executor", "cay-init", "cay-canary")
    missing = [name for name in needed if not (PROGRAMS / name).exists()]
    if missing:
        pytest.skip(f"not built: {', '.join(missing)}")
    directory = tempfile.mkdtemp(prefix="cay-e2e-")
    os.chmod(directory, 0o755)
    mount = f"mkdir {directory}/state && mount -t tmpfs -o size=4m none {directory}/state && exec \"$@\""
    prefix = ["unshare", "--mount", "sh", "-c", mount, "sh"] if small_disk else []
    if files_max:
        prefix = ["sh", "-c", f"ulimit -n {files_max} && exec \"$@\"", "sh"]
    try:
        return Server(directory, *options, prefix=prefix, **more)
    except AssertionError:  # it has refused to start, and its log is in the words
        subprocess.run(["rm", "-rf", "--one-file-system", directory], check=True)
        raise


def sanitizer_reports(log):
    """What the programs of a build with sanitizers have found; each of its lines begins a report."""
    lines = log.splitlines()
    found = [i for i, line in enumerate(lines) if "Sanitizer: " in line or ": runtime error: " in line]
    return ["\n".join(lines[i:i + 30]) for i in found]


def end_server(server):
    try:
        if server.process.poll() is None:
            server.stop()
    except subprocess.TimeoutExpired as e:
        left = "\n".join(processes.family(server.process.pid))
        raise AssertionError(f"it does not end:\n{left}\n{server.log_text()[-2000:]}") from e
    finally:
        if server.process.poll() is None:  # it did not end when it was told to; its children die with it
            server.process.kill()
            server.process.wait()
        reports = sanitizer_reports(server.log_text())
        subprocess.run(["rm", "-rf", "--one-file-system", server.directory], check=True)
    assert not reports, "\n".join(reports)


@contextlib.contextmanager
def gateway(url, **variables):
    """A server whose sandboxes are those of the URL; started with these variables, such as a key."""
    started = start_server("--backend", url, variables=variables)
    try:
        yield started
    finally:
        end_server(started)


def free_port():
    """For a server that has to be told of one: below those that the kernel gives to whoever connects."""
    end = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(end - 10000, end)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def starter(request):
    """What starts the servers of a module's tests: its START_SERVER, if it wants another kind."""
    return getattr(request.module, "START_SERVER", start_server)


@pytest.fixture(scope="module")
def server(request):
    """One server for a module's tests; each makes sandboxes of its own."""
    started = starter(request)()
    yield started
    end_server(started)


@pytest.fixture
def own_server(request):
    """A server that the test may kill."""
    started = starter(request)()
    yield started
    end_server(started)


@pytest.fixture(scope="module")
def docker(server):
    """The Engine API of a server that docker_api.serve_docker started."""
    return server.docker


@pytest.fixture(scope="module")
def far():
    """The server that has the sandboxes of another."""
    started = start_server()
    yield started
    end_server(started)


@pytest.fixture
def box(server):
    made = server.create()
    yield made
    if made.request("GET").status == 200:
        made.delete()


@pytest.fixture
def server_with_small_disk():
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    started = start_server(small_disk=True)
    yield started
    end_server(started)
