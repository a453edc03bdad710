# SPDX-License-Identifier: Apache-2.0
"""Connections to what listens inside, on a bare executor."""
import hashlib
import os
import socket
import threading

import pytest
from executor import DATA, Executor, Failed
from waiting import PATIENCE


@pytest.fixture(scope="module")
def executor():
    with Executor() as x:
        yield x


class Listener:
    """Serves one connection with a function in a thread."""

    def __init__(self, serve, family=socket.AF_INET, address=("127.0.0.1", 0)):
        self.socket = socket.socket(family)
        self.socket.bind(address)
        self.socket.listen()
        self.address = self.socket.getsockname()
        self.thread = threading.Thread(target=self.run, args=[serve], daemon=True)
        self.thread.start()

    def run(self, serve):
        connection, _ = self.socket.accept()
        with connection:
            serve(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join(PATIENCE)
        self.socket.close()


def shout(connection):
    while got := connection.recv(65536):
        connection.sendall(got.upper())


def read_all(connection):
    received = hashlib.sha256()
    while got := connection.recv(65536):
        received.update(got)
    return received.hexdigest()


def test_bytes_go_both_ways_until_both_sides_have_ended(executor):
    with Listener(shout) as server, executor.open("connect", port=server.address[1]) as call:
        call.send(b"hello ")
        call.until(lambda c: c.data[1] == b"HELLO ")
        call.send(b"world")
        call.eof()
        assert call.result() == {"sent_bytes": 11, "received_bytes": 11}
        assert call.data[1] == b"HELLO WORLD"
        assert call.events == [{"event": "connected", "address": f"127.0.0.1:{server.address[1]}"}, {"event": "eof"}]


def test_a_server_on_the_other_loopback_is_found_too(executor):
    with Listener(shout, socket.AF_INET6, ("::1", 0)) as server, executor.open("connect", port=server.address[1]) as call:
        call.send(b"x")
        call.eof()
        call.result()
        assert call.events[0]["address"] == f"[::1]:{server.address[1]}"


def test_a_unix_socket_is_named_by_its_path(executor):
    path = os.path.join(executor.workdir, "s")
    with Listener(shout, socket.AF_UNIX, path), executor.open("connect", path="s") as call:
        call.send(b"x")
        call.eof()
        call.result()
        assert call.data[1] == b"X"


def test_the_other_side_may_stop_sending_and_go_on_reading(executor):
    got = []

    def serve(connection):
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        got.append(connection.recv(100))

    with Listener(serve) as server, executor.open("connect", port=server.address[1]) as call:
        call.until(lambda c: {"event": "eof"} in c.events)
        call.send(b"last words")
        call.eof()
        call.result()
    assert got == [b"last words"]


def test_much_data_arrives_whole_in_both_directions(executor):
    data = os.urandom(20_000_000)
    wanted = hashlib.sha256(data).hexdigest()

    def serve(connection):
        connection.sendall(read_all(connection).encode())
        connection.sendall(data)

    with Listener(serve) as server, executor.open("connect", port=server.address[1]) as call:
        call.send(data)
        call.eof()
        call.result()
        assert call.data[1][:64].decode() == wanted
        assert hashlib.sha256(call.data[1][64:]).hexdigest() == wanted


def test_a_caller_that_does_not_read_holds_the_sender_up(executor):
    size, sent = 60_000_000, []
    stuck = threading.Event()

    def serve(connection):
        connection.settimeout(2)
        total = 0
        try:
            while total < size:
                total += connection.send(bytes(65536))
        except TimeoutError:
            stuck.set()
            connection.settimeout(PATIENCE)
            while total < size:
                total += connection.send(bytes(min(65536, size - total)))
        sent.append(total)

    with Listener(serve) as server, executor.open("connect", port=server.address[1]) as call:
        assert stuck.wait(PATIENCE)
        call.eof()
        while call.receive()[0] != DATA:
            pass
        call.result()


@pytest.mark.parametrize("params, code, words", [
    ({}, "invalid_argument", "'port' or 'path'"),
    ({"port": 80, "path": "/x"}, "invalid_argument", "exclude"),
    ({"port": 70000}, "invalid_argument", "port"),
    ({"port": 80, "host": "example.org"}, "invalid_argument", "IP address"),
    ({"port": 1}, "unavailable", "nothing listens on 127.0.0.1:1"),
    ({"path": "/nonexistent"}, "unavailable", "nothing listens on /nonexistent"),
    ({"path": "/" + "x" * 200}, "invalid_argument", "at most"),
    ({"path": "/etc/passwd"}, "unavailable", "nothing listens"),
])
def test_what_cannot_be_reached_is_an_error_that_says_so(executor, params, code, words):
    with pytest.raises(Failed) as e:
        executor.call("connect", **params)
    assert e.value.code == code and words in e.value.message.replace("[::1]", "127.0.0.1")


def test_a_server_that_accepts_nothing_is_a_timeout(executor):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        keep = [socket.socket() for _ in range(4)]
        for s in keep:
            s.setblocking(False)
            s.connect_ex(full.getsockname())
        with pytest.raises(Failed) as e:
            executor.call("connect", port=full.getsockname()[1], host="127.0.0.1", timeout_ms=200)
        assert e.value.code == "timeout"
        for s in keep:
            s.close()


def test_a_connection_that_breaks_is_an_error(executor):
    def serve(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with Listener(serve) as server, executor.open("connect", port=server.address[1]) as call:
        call.send(b"xy")
        with pytest.raises(Failed) as e:
            call.result()
        assert e.value.code == "unavailable"


def test_a_caller_that_leaves_closes_the_connection(executor):
    ended = threading.Event()

    def serve(connection):
        while connection.recv(100):
            pass
        ended.set()

    with Listener(serve) as server:
        with executor.open("connect", port=server.address[1]) as call:
            call.until(lambda c: c.events)
        assert ended.wait(PATIENCE)
