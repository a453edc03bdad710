# SPDX-License-Identifier: Apache-2.0
"""A small HTTP server that answers as a test says, also in ways that no server should.

    with Scripted() as peer:
        peer.on("GET", "/alive", {"status": "ok"})                    # always
        peer.on("POST", "/execute_action", 503, RESET, {"observation": …})   # one after the other, then the last

An answer is an object (200), a number (a status), a (status, object) pair, bytes that are sent as they are, RESET (the
connection breaks), HANG (nothing ever comes), or a function of the request's body that gives one of these.
"""
import contextlib
import json
import socket
import struct
import threading

RESET, HANG = object(), object()
REASONS = {200: "OK", 302: "Found"}


class Scripted:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.fallback = 404  # for what is not in the script
        self.script, self.requests, self.open, self.lock = {}, [], [], threading.Condition()
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def on(self, method, path, *answers):
        self.script[method, path] = list(answers)

    def count(self, method, path):
        return sum(1 for r in self.requests if r[:2] == (method, path))

    def wait_for(self, method, path):
        with self.lock:
            assert self.lock.wait_for(lambda: self.count(method, path), 20), f"no {method} {path}"

    def bodies(self, method, path):
        return [json.loads(r[3]) for r in self.requests if r[:2] == (method, path)]

    def headers(self, method, path):
        return [r[2] for r in self.requests if r[:2] == (method, path)]

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        reader = connection.makefile("rb")
        try:
            while self.serve_one(connection, reader):
                pass
        except (OSError, ValueError):
            pass

    def serve_one(self, connection, reader):
        line = reader.readline().split()
        if len(line) < 2:
            return False
        method, path = line[0].decode(), line[1].decode().split("?")[0]
        headers = {}
        while (header := reader.readline().strip()):
            name, _, value = header.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = reader.read(int(headers.get("content-length", 0)))
        with self.lock:
            self.requests.append((method, path, headers, body))
            self.lock.notify_all()
            answers = self.script.get((method, path), [self.fallback])
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(body)
        return self.answer(connection, answer)

    def answer(self, connection, answer):
        if answer is HANG:
            return True
        if answer is RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return False
        if isinstance(answer, bytes):
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            return False
        status, value = (answer, {"detail": f"said {answer}"}) if isinstance(answer, int) else (
            answer if isinstance(answer, tuple) else (200, answer))
        data = json.dumps(value).encode()
        connection.sendall(f"HTTP/1.1 {status} {REASONS.get(status, 'X')}\r\nContent-Type: application/json\r\n"
                           f"Content-Length: {len(data)}\r\nLocation: /elsewhere\r\n\r\n".encode() + data)
        return True
