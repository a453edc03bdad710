# SPDX-License-Identifier: Apache-2.0
"""Servers that lie. One that stands before another and passes its answers on, many of them falsified, as a seed says:

    with Elsewhere() as elsewhere, Liar(("127.0.0.1", far.port), elsewhere) as liar:
        liar.lie(seed=7, share=0.3)      # from now on
        …
        liar.lie(seed=0, share=0)        # honest again
        liar.lie_of_each(None, 1)        # each value of each kind of answer is None once, and so are all in turn; one lie until the next call

It falsifies values (types, sizes, numbers, ids), events, what is no JSON, statuses, redirects, framing and time. What is upgraded, or a stream
that has no end, is passed on in both directions, with bytes falsified on the way to who asked.
"""
import contextlib
import http.client
import json
import os
import random
import select
import socket
import struct
import threading

MIB = 1 << 20
SHORTLY = 0.7  # seconds: an answer that goes on is cut there
DEEP = b"[" * 10000 + b"]" * 10000
TEXTS = ["", "a/../../b", "..", "x\ny\r\nz", "nul\0nul", "\x1b[31mred\x1b]0;title\x07", "a b", "%2e%2e%2f", "\u202eevil", "\ud800", "é" * 300,
         "http://169.254.169.254/", "-rf", "$(reboot)", "x" * 5000]
VALUES = [None, True, False, 0, -1, 1 << 31, 1 << 63, -(1 << 63) - 1, 1 << 200, 1.5, 1e308, -0.0, [], {}, [[]], {"": None}, *TEXTS]
STATUSES = [100, 199, 200, 201, 202, 204, 205, 206, 304, 400, 401, 403, 404, 405, 409, 410, 413, 418, 429, 500, 502, 503, 599, 600, 999, 0]


ABSENT = object()
EACH = [None, ABSENT, -1, (1 << 63) - 1, -(1 << 63), 1e308, "", "../..", "x\ny\r\nz: a", "é" * 300, "y" * 300000, [], {}, [[]] * 5000, True]
PLACES_MAX = 60  # of an answer


class Listener:
    """Serves each connection in a thread until it is closed; on a TCP port, or on a Unix socket."""

    def __init__(self, path=None):
        self.path = path
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(64)
            os.chmod(path, 0o666)
        else:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
            self.port = self.listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
        self.over, self.open = threading.Event(), set()
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.close_all()
        if self.path:
            os.unlink(self.path)

    def close_all(self):
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while not self.over.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException), connection:
            reader = connection.makefile("rb")
            while request := read_request(reader):
                if not self.answer(connection, reader, *request):
                    break
        self.open.discard(connection)


class Elsewhere(Listener):
    """Where nobody should come, and nobody with a key."""

    def __init__(self):
        super().__init__()
        self.visits = []

    def answer(self, connection, reader, line, headers, body):
        self.visits.append((line, headers))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        return True


def read_request(reader):
    line = reader.readline().decode().split()
    if len(line) < 2:
        return None
    headers = {}
    while header := reader.readline().strip():
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(reader.readline().split(b";")[0], 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    else:
        body = reader.read(int(headers.get("content-length", 0)))
    return line, headers, body


def head(status, size, *more):
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", *more]
    return ("\r\n".join(lines + ([f"Content-Length: {size}"] if size is not None else [])) + "\r\n\r\n").encode()


# ---- lies: each gives the bytes to send, and whether the connection goes on ----

def walk(value, path=()):
    yield path
    for key, below in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from walk(below, (*path, key))


def put(tree, path, value):
    if not path:
        return None if value is ABSENT else value
    at = tree
    for key in path[:-1]:
        at = at[key]
    if value is ABSENT:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return tree


def replaced(rng, value):
    """The value with one of those in it changed, left out, or said twice."""
    path = rng.choice(list(walk(value)))
    new = rng.choice(VALUES)
    if not path:
        return new
    at = value
    for key in path[:-1]:
        at = at[key]
    what = rng.random()
    if what < 0.2:
        del at[path[-1]]
    elif what < 0.3 and isinstance(at, list):
        at.extend([at[path[-1]]] * 100)
    else:
        at[path[-1]] = new
    return value


def events(rng, status, kind, body):
    """A stream of events of which one says something else, or that begins, goes on or ends as none should."""
    parts = body.split(b"\n\n") if b"\n\n" in body else body.split(b"\r\n\r\n")
    at = rng.randrange(len(parts))
    before, sign, text = parts[at].partition(b"data: ")
    with contextlib.suppress(ValueError):
        text = json.dumps(replaced(rng, json.loads(text))).encode()
    parts[at] = rng.choice([before + sign + text] * 4 + [
        b"data: " + text.replace(b",", b",\ndata: "), b"event: endpoint\ndata: http://169.254.169.254/x", b"data:\n\ndata:\n\n:" + b"c" * MIB,
        b"event: " + b"e" * MIB + b"\ndata: {}", b"id: \0\nretry: -1\ndata: " + text, b"\xef\xbb\xbf" + parts[at], b"data: " + DEEP,
        b"\ndata: {}\n" * 5000, b"data: \xff\xfe\xed\xa0\x80", text, b""])
    text = rng.choice([b"\n\n", b"\n\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n"]).join(parts)
    return head(status, len(text)).replace(b"application/json", b"text/event-stream", 1) + text, True


def values(rng, status, kind, body):
    if kind.startswith("text/event-stream"):
        return events(rng, status, kind, body)
    try:
        value = json.loads(body)
    except ValueError:
        return garbage(rng, status, kind, body)
    for _ in range(rng.choice([1, 1, 1, 3])):
        value = replaced(rng, value)
    text = json.dumps(value, ensure_ascii=rng.random() < 0.7).encode("utf-8", "surrogatepass")
    return head(status, len(text)) + text, True


def garbage(rng, status, kind, body):
    text = rng.choice([b"", b"null", b"<html>no</html>", b"{", body[:len(body) // 2], b"\xff\xfe" + body, DEEP, b'{"a":' * 10000, b"NaN", b"\0" * 100,
                       b'"' + b"y" * 10 * MIB + b'"', b"[" + b"0," * 200000 + b"0]", body + body, b"data: {}\n\n", bytes(rng.randbytes(300))])
    return head(status, len(text), *rng.choice([(), ("Content-Encoding: gzip",), ("Content-Type: text/event-stream",)])) + text, True


def statuses(rng, status, kind, body):
    return head(rng.choice(STATUSES), len(body)) + body, True


def other_kind(rng, status, kind, body):
    kinds = ["text/event-stream", "text/html", "application/octet-stream", "multipart/form-data", "x" * 3000, ""]
    return head(status, len(body), f"Content-Type: {rng.choice(kinds)}") + body, True


def framing(rng, status, kind, body):
    chunked = "Transfer-Encoding: chunked"
    return rng.choice([
        head(status, len(body) + 1000) + body,
        head(status, max(len(body) - 5, 0)) + body,
        head(status, None, "Content-Length: -1") + body,
        head(status, None, "Content-Length: 99999999999999999999") + body,
        head(status, len(body), "Content-Length: 3") + body,
        head(status, None, chunked) + b"zz\r\nab\r\n0\r\n\r\n",
        head(status, None, chunked) + b"ffffffffffffffff\r\n" + body,
        head(status, None, chunked) + f"{len(body):x}\r\n".encode() + body,
        head(status, None, "X: " + "h" * MIB) + body,
        head(status, None, *[f"X{i}: y" for i in range(5000)]) + body,
        b"HTTP/1.1 200\r\n\r\n" + body,
        b"HTTP/9.9 200 OK\r\n\r\n" + body,
        b"SSH-2.0-OpenSSH\r\n",
        head(100, None)[:-2] + b"\r\n",
        head(100, None) * 1000 + head(status, len(body)) + body,
        b"\r\n" * 1000,
        b"",
    ]), False


def twice(rng, status, kind, body):
    """The next request finds an answer that was there before it was asked."""
    return (head(status, len(body)) + body) * 2, True


class Liar(Listener):
    """Before the upstream: (host, port), or the path of a Unix socket."""

    LIES = [values] * 8 + [garbage] * 3 + [statuses] * 3 + [framing] * 3 + [other_kind, twice]

    def __init__(self, upstream, elsewhere, path=None):
        self.upstream, self.elsewhere = upstream, elsewhere
        self.lock, self.share, self.rng, self.told = threading.Lock(), 0, random.Random(0), []
        self.last = (200, "", b"{}")
        self.each, self.left, self.next = [], 0, {}
        self.host = f"localhost:{upstream[1]}" if isinstance(upstream, tuple) else "localhost"
        super().__init__(path)

    def lie(self, seed, share):
        """Which lies were told until now. Connections end: what goes on in one is not for those who come later."""
        self.close_all()
        with self.lock:
            told = self.told
            self.rng, self.share, self.told = random.Random(seed), share, []
        return told

    def lie_of_each(self, value, left):
        """left: so many lies are told. ABSENT: the value is left out."""
        with self.lock:
            self.each, self.left = [value], left

    def value_of_each(self, line, kind, text):
        """The text with the next of its values falsified; None if that has been told of all, or it has none."""
        if not self.left:
            return None
        try:
            is_event = kind.startswith("text/event-stream")
            before, sign, after = text.partition(b"data: ") if is_event else (b"", b"", text)
            body, _, rest = after.partition(b"\n\n") if is_event else (after, b"", b"")
            tree = json.loads(body)
        except ValueError:
            return None
        places = list(walk(tree))
        shape = (line[0], repr(sorted({tuple(k for k in place if isinstance(k, str)) for place in places})))
        at = self.next.get((repr(self.each), shape), 0)
        if at >= min(len(places), PLACES_MAX):
            return None
        self.next[repr(self.each), shape] = at + 1
        self.left -= 1
        self.told.append((line, places[at], self.each[0]))
        new = json.dumps(put(tree, places[at], self.each[0])).encode()
        return before + sign + new + (b"\n\n" + rest if is_event else b"")

    def call_upstream(self, line, headers, body):
        connection = http.client.HTTPConnection("localhost", timeout=SHORTLY)
        connection.sock = self.dial()
        kept = {n: v for n, v in headers.items() if n not in ("transfer-encoding", "connection", "expect", "content-length")}
        connection.request(line[0], line[1], body or None, {**kept, "host": self.host})
        response = connection.getresponse()
        text = b""
        with contextlib.suppress(TimeoutError):
            while piece := response.read1(65536):
                text += piece
        connection.close()
        if isinstance(self.upstream, tuple):  # where it says that it is, we are
            text = text.replace(f":{self.upstream[1]}".encode(), f":{self.port}".encode())
        return response.status, response.headers.get("content-type", ""), text, response.headers

    def dial(self):
        s = socket.socket(socket.AF_INET if isinstance(self.upstream, tuple) else socket.AF_UNIX)
        s.settimeout(SHORTLY)
        s.connect(self.upstream if isinstance(self.upstream, tuple) else str(self.upstream))
        return s

    def answer(self, connection, reader, line, headers, body):
        with self.lock:
            is_lie = self.rng.random() < self.share
            rng = random.Random(self.rng.random())
        if "upgrade" in headers or (line[0] == "GET" and "event-stream" in headers.get("accept", "")):
            return self.tunnel(connection, reader, line, headers, body, rng if is_lie else None)
        status, kind, text, told = self.call_upstream(line, headers, body)
        with self.lock:
            text = self.value_of_each(line, kind, text) or text
        if not is_lie:
            more = [f"{n}: {v}" for n, v in told.items() if n.lower() not in ("transfer-encoding", "content-length", "connection", "content-type")]
            self.last = (status, kind, text)
            size = None if status in (204, 304) else len(text)
            honest = head(status, size, *more).replace(b"application/json", kind.encode() or b"text/plain", 1)
            connection.sendall(honest + (text if size else b""))
            return True
        return self.falsify(connection, line, status, kind, text, rng)

    def falsify(self, connection, line, status, kind, text, rng):
        what = rng.random()
        if what < 0.05:
            self.told.append((line, "another's answer"))
            status, kind, text = self.last
            connection.sendall(head(status, len(text)) + text)
            return True
        if what < 0.10:
            self.told.append((line, "redirect"))
            place = rng.choice([self.elsewhere.url, f"//127.0.0.1:{self.elsewhere.port}/", "file:///etc/passwd", "\t"]) + line[1]
            connection.sendall(head(rng.choice([301, 302, 303, 307, 308]), 0, f"Location: {place}"))
            return True
        if what < 0.13:
            self.told.append((line, "reset"))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if what < 0.16:
            self.told.append((line, "slow"))
            for byte in (head(status, len(text)) + text)[:60]:
                connection.sendall(bytes([byte]))
                self.over.wait(0.01)
            return False
        if what < 0.18:
            self.told.append((line, "never"))
            self.over.wait(2 * SHORTLY)
            return False
        lie = rng.choice(self.LIES)
        self.told.append((line, lie.__name__))
        data, goes_on = lie(rng, status, kind, text)
        connection.sendall(data)
        return goes_on

    def tunnel(self, connection, reader, line, headers, body, rng):
        """What was upgraded, or has no end; if there is a rng, with a byte falsified now and then, and an early end."""
        with self.dial() as up:
            lines = [f"{line[0]} {line[1]} HTTP/1.1"] + [f"{n}: {v}" for n, v in {**headers, "host": self.host}.items()]
            up.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            while not self.over.is_set():
                for s in select.select([connection, up], [], [], SHORTLY)[0]:
                    data = s.recv(65536)
                    if not data or (rng and rng.random() < 0.05):
                        return False
                    if s is up and rng and rng.random() < 0.3:
                        self.told.append((line, "a byte"))
                        at = rng.randrange(len(data))
                        data = data[:at] + rng.randbytes(rng.randrange(9)) + data[at + 1:]
                    elif s is up and rng and b"\ndata: " in data and rng.random() < 0.5:
                        self.told.append((line, "an event"))
                        data = events(rng, 200, "", data)[0].partition(b"\r\n\r\n")[2]
                    (up if s is connection else connection).sendall(data)
        return False
