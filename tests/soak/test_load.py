# SPDX-License-Identifier: Apache-2.0
"""Many sandboxes at work, many connections, slow ones among them: bounded memory, and a fair turn for everybody."""
import concurrent.futures
import os
import socket
import threading
import time

from conftest import SCALE, named, n_fds, percentile, rss_kib
from waiting import PATIENCE, wait_until

SANDBOXES = min(1000, 50 * SCALE)
CONNECTIONS = min(5000, 500 * SCALE)
SECONDS = int(os.environ.get("LOAD_SECONDS", 1800 if SCALE >= 100 else 5 * SCALE))


def request_bytes(server, path, length=0, body=b""):
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
            f"Content-Length: {length or len(body)}\r\n\r\n").encode() + body


def raw(server):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.connect(str(server.socket))  # without a time limit it waits for its turn in the listener's queue
    s.settimeout(PATIENCE)
    return s


class Kept:
    """Connections of clients that ask for something now and then, each long before the server would take it for gone."""

    PAUSE, THREADS = 20, 8  # a server closes after 75 s

    def __init__(self, server, count):
        self.server, self.is_over, self.n_asked = server, threading.Event(), 0
        self.all = [self.ask(raw(server)) for _ in range(count)]
        self.pool = concurrent.futures.ThreadPoolExecutor(self.THREADS)
        self.shares = [self.pool.submit(self.go_on, self.all[i::self.THREADS]) for i in range(self.THREADS)]

    def ask(self, connection):
        connection.sendall(f"GET /v1/version HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.server.token}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 "), "a kept connection is not served"
        self.n_asked += 1
        return connection

    def go_on(self, share):
        due = time.monotonic()
        while True:
            for connection in share:
                due += self.PAUSE / len(share)
                if self.is_over.wait(max(0, due - time.monotonic())):
                    return
                self.ask(connection)

    def close(self):
        """Each has lived to the end."""
        self.is_over.set()
        for share in self.shares:
            share.result()
        self.pool.shutdown()
        for connection in self.all:
            self.ask(connection).close()


def test_work_of_many_goes_on_beside_the_idle_and_the_slow(server):
    boxes = [server.create() for _ in range(SANDBOXES)]
    cayd, = named(server, "cayd")
    # Everybody has worked once, so that what is made at first is there before anything is measured.
    for box in boxes:
        box.run("i=0")
    kept = Kept(server, CONNECTIONS)
    halves = [raw(server) for _ in range(100)]
    for s in halves:
        s.sendall(b"GET /v1/hea")
    slow_readers = []
    for box in boxes[:5]:
        s = raw(server)
        s.sendall(request_bytes(server, f"{box.path}/actions/exec", body=b'{"argv":["yes"],"timeout_ms":600000}')
                  .replace(b"Host:", b"Accept: text/event-stream\r\nHost:"))
        slow_readers.append(s)
    half_uploads = []
    for box in boxes[5:10]:
        s = raw(server)
        s.sendall(f"PUT {box.path}/files?path=/tmp/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
                  f"{server.token}\r\nContent-Length: 1000000000\r\n\r\n".encode() + b"x" * 100000)
        half_uploads.append(s)
    wait_until(lambda: n_fds(cayd) > CONNECTIONS, "connections are not taken")
    memory, fds = rss_kib(cayd), n_fds(cayd)

    stop, times, lock = time.monotonic() + SECONDS, [], threading.Lock()

    def work(share):
        mine = []
        while time.monotonic() < stop:
            for box in share:
                begin = time.monotonic()
                assert box.output("i=$((i+1)); echo ok") == "ok\n"
                mine.append(time.monotonic() - begin)
        with lock:
            times.extend(mine)

    workers = 8
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work, boxes[10 + i::workers]) for i in range(workers)]:
            done.result()
    print(f"{len(times)} commands in {SECONDS} s beside {CONNECTIONS} connections that asked {kept.n_asked} times, p50 "
          f"{percentile(times, 50) * 1e3:.1f} ms, p99 {percentile(times, 99) * 1e3:.1f} ms; "
          f"the server grew by {rss_kib(cayd) - memory} KiB from {memory} KiB")
    assert percentile(times, 99) < 50 * max(percentile(times, 50), 0.002)
    assert rss_kib(cayd) - memory < 16 * 1024
    kept.close()
    for s in half_uploads + slow_readers + halves:
        s.close()
    assert boxes[0].output("echo alive") == "alive\n"
    assert boxes[5].output("echo alive") == "alive\n"
    wait_until(lambda: n_fds(cayd) <= fds - CONNECTIONS // 2, "descriptors of closed connections are still open")
    assert os.path.exists(f"/proc/{cayd}")
