# SPDX-License-Identifier: Apache-2.0
"""An executor that finds its server by itself: greetings, secrets, a server that comes back or does not."""
import os
import select
import signal
import socket
import subprocess
import tempfile

import pytest
from conftest import PATIENCE, PROGRAMS

SECRET = bytes(range(32))


class Dialled:
    """A server's side of wire/dial.h, and an executor that connects to it; no container around it."""

    def __init__(self, *options):
        self.dir = tempfile.TemporaryDirectory(prefix="cay-dial-")
        self.path = f"{self.dir.name}/socket"
        self.listen()
        self.process = subprocess.Popen(
            [PROGRAMS / "cay-executor", "--dial", self.path, "--workdir", f"{self.dir.name}/work", *options],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.settimeout(PATIENCE)
        self.listener.bind(self.path)
        self.listener.listen()

    def unlisten(self):
        self.listener.close()
        os.unlink(self.path)

    def accept(self):
        connection, _ = self.listener.accept()
        connection.settimeout(PATIENCE)
        return connection

    def greeted(self):
        """The first connection, ready, with the secret given."""
        connection = self.accept()
        assert connection.recv(100) == b"H"
        connection.send(b"S" + SECRET)
        assert connection.recv(100) == f"R{os.getuid()}:{os.getgid()}".encode()
        return connection

    def ended(self):
        return self.process.wait(PATIENCE)

    def close(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.listener.close()
        self.dir.cleanup()


@pytest.fixture
def dial():
    made = []

    def start(*options):
        made.append(Dialled(*options))
        return made[-1]
    yield start
    for one in made:
        one.close()


def test_it_shows_its_secret_when_it_comes_again(dial):
    one = dial()
    connection = one.greeted()
    assert os.path.isdir(f"{one.dir.name}/work")
    connection.close()
    for _ in range(3):
        # It may not have seen the end yet: then it has a server, and a signal means nothing.
        while not select.select([one.listener], [], [], 0.05)[0]:
            one.process.send_signal(signal.SIGHUP)
        connection = one.accept()
        assert connection.recv(100) == b"H" + SECRET
        assert connection.recv(100).startswith(b"R")
        connection.close()


def test_who_has_a_server_stays_with_it(dial):
    one = dial()
    connection = one.greeted()
    one.process.send_signal(signal.SIGHUP)
    # A call is answered after the signal: it has been seen by then.
    ours, theirs = socket.socketpair()
    socket.send_fds(connection, [b"C"], [theirs.fileno()])
    theirs.close()
    request = b'{"action":"info","params":{}}'
    ours.sendall(len(request).to_bytes(4, "little") + b"\x01\0\0\0" + request)
    ours.settimeout(PATIENCE)
    assert b'"version"' in ours.recv(65536)
    assert not select.select([one.listener], [], [], 0)[0]


def test_a_second_secret_is_not_taken(dial):
    one = dial()
    connection = one.greeted()
    connection.send(b"S" + bytes(32))
    connection.close()
    while not select.select([one.listener], [], [], 0.05)[0]:
        one.process.send_signal(signal.SIGHUP)
    assert one.accept().recv(100) == b"H" + SECRET


def test_without_a_server_it_ends_with_its_lease(dial):
    one = dial("--lease-ms", "100")
    one.greeted().close()
    assert one.ended() == 0


def test_whom_nobody_knows_ends_at_once(dial):
    one = dial()
    connection = one.accept()
    assert connection.recv(100) == b"H"
    connection.close()
    assert one.ended() is not None


def test_without_anybody_to_dial_it_does_not_start():
    run = subprocess.run([PROGRAMS / "cay-executor", "--dial", "/nonexistent/socket"], capture_output=True, text=True,
                         timeout=PATIENCE, check=False)
    assert run.returncode != 0 and "connect to the server" in run.stderr


@pytest.mark.parametrize("options, why", [
    (["--user", "no-such-user"], "no user"),
    (["--user", "root"], "root, which was not asked for"),
    (["--user", "1000:x"], "no number"),
])
def test_what_keeps_it_from_starting_is_told(dial, options, why):
    one = dial(*options)
    connection = one.accept()
    assert connection.recv(100) == b"H"
    said = connection.recv(1000)
    assert said[:1] == b"E" and why in said.decode()
    assert one.ended() != 0
