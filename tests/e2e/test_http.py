# SPDX-License-Identifier: Apache-2.0
"""The HTTP layer attacked over real sockets: what a stranger may send, and what a slow or rude client does.

Runs against build/tests/unit/http_server_main, which has short deadlines (headers 400 ms, stall 600 ms).
"""
import base64
import json
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

import pytest

from waiting import PATIENCE, is_closed, wait_until

BUILD = pathlib.Path(os.environ.get("BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
PROGRAM = BUILD / "tests" / "unit" / "http_server_main"
TOKEN = "sesame"


class Server:
    def __init__(self, *args):
        self.process = subprocess.Popen([PROGRAM, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        kind, value = self.process.stdout.readline().split()
        self.address = ("127.0.0.1", int(value)) if kind == "port" else value
        self.host = f"localhost:{value}" if kind == "port" else "any"

    def connect(self, timeout=PATIENCE):
        family = socket.AF_INET if isinstance(self.address, tuple) else socket.AF_UNIX
        s = socket.socket(family, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect(self.address)
        return s

    def head(self, method="GET", path="/null", *headers):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", f"Authorization: Bearer {TOKEN}", *headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def ask(self, data):
        """Sends bytes on a new connection; returns the first reply."""
        with self.connect() as s:
            s.sendall(data)
            return Reply(s.makefile("rb"))

    def get(self, path, *headers):
        return self.ask(self.head("GET", path, *headers))

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0, "the server did not end by itself"


class Reply:
    """One reply read from a stream; status None if the stream ended before it."""

    def __init__(self, f, has_body=True):
        line = f.readline()
        self.status = int(line.split()[1]) if line else None
        self.headers = {}
        while line and (line := f.readline().rstrip(b"\r\n")):
            name, value = line.decode("latin-1").split(":", 1)
            self.headers[name.lower()] = value.strip()
        self.body = b""
        if not has_body or self.status in (None, 100, 101, 204):
            return
        if self.headers.get("transfer-encoding") == "chunked":
            while (size := int(f.readline() or b"-1", 16)) > 0:
                self.body += f.read(size)
                f.read(2)
            self.is_whole = size == 0
        elif "content-length" in self.headers:
            self.body = f.read(int(self.headers["content-length"]))

    def json(self):
        return json.loads(self.body)


@pytest.fixture(scope="module")
def server():
    s = Server("tcp", TOKEN)
    yield s
    s.stop()


@pytest.fixture
def fresh():
    s = Server("tcp", TOKEN)
    yield s
    s.stop()


def wait_for_stats(server, **wanted):
    wait_until(lambda: wanted.items() <= server.get("/stats").json().items())


# ---- what is not HTTP ----

NOT_HTTP = {
    "bare LF": b"GET /null HTTP/1.1\nHost: localhost\n\n",
    "LF in the middle": b"GET /null HTTP/1.1\r\nHost: HOST\nX: y\r\n\r\n",
    "CR in a value": b"GET /null HTTP/1.1\r\nHost: HOST\r\nX: a\rb\r\n\r\n",
    "NUL in a value": b"GET /null HTTP/1.1\r\nHost: HOST\r\nX: a\0b\r\n\r\n",
    "NUL in a name": b"GET /null HTTP/1.1\r\nHost: HOST\r\nX\0: a\r\n\r\n",
    "NUL in the path": b"GET /nu\0ll HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "escaped NUL": b"GET /null%00 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "folded header": b"GET /null HTTP/1.1\r\nHost: HOST\r\nX: a\r\n b\r\n\r\n",
    "folded first header": b"GET /null HTTP/1.1\r\n X: a\r\nHost: HOST\r\n\r\n",
    "space before the colon": b"GET /null HTTP/1.1\r\nHost: HOST\r\nX : a\r\n\r\n",
    "no colon": b"GET /null HTTP/1.1\r\nHost: HOST\r\nX\r\n\r\n",
    "empty name": b"GET /null HTTP/1.1\r\nHost: HOST\r\n: a\r\n\r\n",
    "no host": b"GET /null HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /null HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n",
    "no version": b"GET /null\r\nHost: HOST\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": b"GET /null HTTP/1.2\r\nHost: HOST\r\n\r\n",
    "two spaces": b"GET  /null HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "trailing space": b"GET /null HTTP/1.1 \r\nHost: HOST\r\n\r\n",
    "lower case version": b"GET /null http/1.1\r\nHost: HOST\r\n\r\n",
    "absolute target": b"GET http://HOST/null HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "star": b"OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "raw UTF-8 in the path": b"GET /\xc3\xa9 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "escaped bad UTF-8": b"GET /path/%ff/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "overlong slash": b"GET /path/%c0%af/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "half an escape": b"GET /path/%4/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "escaped control byte": b"GET /path/%0d%0a/x HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "dot dot": b"GET /path/../null HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "escaped dot dot": b"GET /path/%2e%2E/null HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "dot": b"GET /./null HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "fragment": b"GET /null#a HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "leading empty line": b"\r\nGET /null HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "method with a control byte": b"GE\x01T /null HTTP/1.1\r\nHost: HOST\r\n\r\n",
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_gets_400(server, name):
    token = b"Host: HOST\r\nAuthorization: Bearer " + TOKEN.encode()
    reply = server.ask(NOT_HTTP[name].replace(b"Host: HOST", token, 1).replace(b"HOST", server.host.encode()))
    assert reply.status == 400
    assert reply.json()["error"]["code"] in ("invalid_argument", "unsupported")


SMUGGLING = {
    "length and chunked": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "chunked and length": ["Transfer-Encoding: chunked", "Content-Length: 5"],
    "two lengths": ["Content-Length: 5", "Content-Length: 6"],
    "the same length twice": ["Content-Length: 5", "Content-Length: 5"],
    "a list of lengths": ["Content-Length: 5, 5"],
    "plus": ["Content-Length: +5"],
    "minus": ["Content-Length: -5"],
    "hex": ["Content-Length: 0x5"],
    "too many digits": ["Content-Length: 99999999999999999999"],
    "empty length": ["Content-Length:"],
    "identity": ["Transfer-Encoding: identity"],
    "gzip, chunked": ["Transfer-Encoding: gzip, chunked"],
    "chunked twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "vertical tab": ["Transfer-Encoding: \x0bchunked"],
    "quoted": ['Transfer-Encoding: "chunked"'],
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_a_request_with_two_possible_ends_is_refused_and_nothing_behind_it_runs(server, name):
    with server.connect() as s:
        s.sendall(server.head("POST", "/echo", *SMUGGLING[name]) + b"0\r\n\r\n" + server.head("GET", "/null"))
        f = s.makefile("rb")
        assert Reply(f).status == 400
        assert Reply(f).status is None, "the smuggled request was answered"


BAD_CHUNKS = {
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "not hex": b"5g\r\nhello\r\n0\r\n\r\n",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "bare LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "longer than its size": b"5\r\nhelloo\r\n0\r\n\r\n",
    "overflow": b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "NUL in the extension": b"5;a=\0\r\nhello\r\n0\r\n\r\n",
    "bare LF in the trailer": b"5\r\nhello\r\n0\r\nX: y\n\r\n",
    "endless extension": b"5;" + b"a" * 1000,
    "endless trailer": b"0\r\n" + b"X: y\r\n" * 5000,
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_a_malformed_chunk_is_refused(server, name):
    reply = server.ask(server.head("POST", "/echo", "Transfer-Encoding: chunked") + BAD_CHUNKS[name])
    assert reply.status == 400


def test_chunks_cut_anywhere_are_the_same_body(server):
    body = b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: dropped\r\n\r\n"
    data = server.head("POST", "/echo", "Transfer-Encoding: Chunked") + body
    with server.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        f = s.makefile("rb")
        for i in range(len(data)):
            s.sendall(data[i:i + 1])
        assert Reply(f).body == b"hello world"
        s.sendall(server.head())
        assert Reply(f).body == b"ok"


# ---- limits ----

def test_headers_beyond_32_kib_get_431(server):
    assert server.get("/null", "X: " + "a" * 40000).status == 431
    assert server.get("/" + "a" * 40000).status == 431
    assert server.get("/null", *[f"X{i}: y" for i in range(200)]).status == 431
    assert server.get("/null", "X: " + "a" * 30000).status == 200


def test_a_body_beyond_the_routes_limit_gets_413_before_it_is_sent(server):
    reply = server.ask(server.head("POST", "/echo", f"Content-Length: {5 << 20}"))
    assert reply.status == 413
    assert reply.json()["error"]["code"] == "too_large"
    with server.connect() as s:
        s.sendall(server.head("POST", "/echo", f"Content-Length: {5 << 20}", "Expect: 100-continue"))
        assert Reply(s.makefile("rb")).status == 413


@pytest.mark.parametrize("path, limit", [("/echo", 4 << 20), ("/upload/small", 100000)])
def test_a_chunked_body_that_grows_beyond_the_limit_gets_413_while_it_is_sent(server, path, limit):
    method = "POST" if path == "/echo" else "PUT"
    with server.connect() as s:
        s.sendall(server.head(method, path, "Transfer-Encoding: chunked"))
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        try:
            for _ in range(limit // 65536 + 2):
                s.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert Reply(s.makefile("rb")).status == 413


def test_a_body_of_exactly_the_limit_is_taken(server):
    body = os.urandom(4 << 20)
    reply = server.ask(server.head("POST", "/echo", f"Content-Length: {len(body)}") + body)
    assert reply.body == body


def test_a_client_that_waits_for_100_continue_gets_it(server):
    with server.connect() as s:
        f = s.makefile("rb")
        s.sendall(server.head("POST", "/echo", "Content-Length: 2", "Expect: 100-continue"))
        assert Reply(f).status == 100
        s.sendall(b"hi")
        assert Reply(f).body == b"hi"


# ---- who may call ----

@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:{port}", "localhost:{port}.", "[::1", "[::]:{port}", "localhost:",
                                  "0.0.0.0:{port}", "127.1:{port}", "10.1.2.3:0", "10.1.2.3:99999", "10.1.2.3:x", "[10.1.2.3]:{port}", "localhost:{port}@evil", "user@localhost:{port}", "localhost:0{port}",
                                  "", "LOCALHOST:{port}/", "2130706433:{port}", "localhost :{port}"])
def test_another_name_than_ours_gets_403_before_any_route(server, host):
    port = server.address[1]
    for path in ("/null", "/nowhere"):
        reply = server.ask(f"GET {path} HTTP/1.1\r\nHost: {host.format(port=port)}\r\n\r\n".encode())
        assert reply.status == 403


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "LocalHost:{port}", "localhost", "localhost:1",
                                  "10.1.2.3", "10.1.2.3:9000", "[fd00::1]", "[fd00::1]:9000"])
def test_names_that_nobody_can_make_lead_to_us_are_taken_by_any_port(server, host):
    assert server.ask(f"GET /null HTTP/1.1\r\nHost: {host.format(port=server.address[1])}\r\n\r\n".encode()).status == 200


def test_a_page_of_another_origin_may_not_call(server):
    port = server.address[1]
    for origin in ("http://evil.example", "null", "https://localhost", f"https://localhost:{port}",
                   f"http://localhost:{port}.evil.example", f"http://localhost:{port + 1}", ""):
        reply = server.get("/null", f"Origin: {origin}")
        assert reply.status == 403, origin
        assert not any(h.startswith("access-control") for h in reply.headers)
    assert server.get("/null", f"Origin: http://localhost:{port}").status == 200


def test_a_unix_socket_asks_for_the_token_but_not_for_a_host_name(tmp_path):
    s = Server(str(tmp_path / "s"), TOKEN)
    assert s.ask(b"GET /null HTTP/1.1\r\nHost: whatever\r\n\r\n").status == 200
    assert s.ask(b"GET /stats HTTP/1.1\r\nHost: whatever\r\n\r\n").status == 401
    assert s.get("/stats").status == 200
    s.stop()


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer ", "Bearer sesam", "Bearer sesamee", "Basic sesame", "sesame",
                                   "Bearer\tsesame", "Bearer SESAME", "Bearer sesame sesame"])
def test_without_the_token_every_path_is_401(server, value):
    for method, path in (("GET", "/stats"), ("GET", "/nowhere"), ("DELETE", "/stats"), ("GET", "/ws")):
        auth = f"Authorization: {value}\r\n" if value is not None else ""
        reply = server.ask(f"{method} {path} HTTP/1.1\r\nHost: {server.host}\r\n{auth}\r\n".encode())
        assert reply.status == 401
        assert reply.headers["www-authenticate"] == "Bearer"


# ---- routes ----

def test_unknown_routes_and_methods_are_told_in_json(server):
    reply = server.get("/nowhere")
    assert (reply.status, reply.json()["error"]["code"]) == (404, "not_found")
    for path in ("/null/", "//null", "/nul", "/null/x", "/path//x", "/path/a"):
        assert server.get(path).status == 404, path
    for method in ("DELETE", "TRACE", "CONNECT", "OPTIONS", "BREW"):
        reply = server.ask(server.head(method, "/null"))
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD"), method
        assert reply.json()["error"]["code"] == "method_not_allowed"


def test_a_path_is_decoded_once_and_piece_by_piece(server):
    assert server.get("/path/a%20b%2Fc/x/y%20z?q=1+2%263").json() == {"a": "a b/c", "rest": "x/y z", "q": "1 2&3"}
    assert server.get("/path/%2525/x").json()["a"] == "%25"
    assert server.get("/path/..a/...").json() == {"a": "..a", "rest": "..."}
    assert server.get("/path/%E2%82%AC/x?q=%zz").json() == {"a": "€", "rest": "x"}


def test_head_has_the_length_and_no_body(server):
    with server.connect() as s:
        f = s.makefile("rb")
        s.sendall(server.head("HEAD", "/null") + server.head())
        reply = Reply(f, has_body=False)
        assert (reply.status, reply.headers["content-length"]) == (200, "2")
        assert Reply(f).body == b"ok"
        s.sendall(server.head("HEAD", "/download/100") + server.head())
        assert Reply(f, has_body=False).status == 200
        assert Reply(f).body == b"ok"


def test_every_reply_forbids_guessing_and_keeping(server):
    for path in ("/null", "/nowhere", "/download/10"):
        reply = server.get(path)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"


# ---- many requests, slow clients, rude clients ----

def test_pipelined_requests_are_answered_in_order(server):
    n = 500
    with server.connect() as s:
        f = s.makefile("rb")
        data = b"".join(server.head("GET", f"/path/{i}/x") for i in range(n))
        threading.Thread(target=s.sendall, args=(data,)).start()
        assert [Reply(f).json()["a"] for _ in range(n)] == [str(i) for i in range(n)]


def test_a_request_behind_one_that_waits_is_answered_after_it(server):
    with server.connect() as s:
        f = s.makefile("rb")
        s.sendall(server.head("GET", "/later/50") + server.head())
        assert [Reply(f).body, Reply(f).body] == [b"later", b"ok"]


def test_an_answer_before_the_body_is_whole_leaves_the_connection_in_step(server):
    with server.connect() as s:
        f = s.makefile("rb")
        s.sendall(server.head("POST", "/nowhere", "Content-Length: 1000"))
        assert Reply(f).status == 404
        s.sendall(server.head() * 3 + b"x" * (1000 - 3 * len(server.head())))
        s.sendall(server.head())
        assert Reply(f).body == b"ok", "the rest of the body was read as requests"
        s.settimeout(0.1)
        with pytest.raises(TimeoutError):
            f.read(1)


def test_connection_close_and_http_1_0_are_honoured(server):
    with server.connect() as s:
        s.sendall(server.head("GET", "/null", "Connection: close") + server.head())
        f = s.makefile("rb")
        assert Reply(f).headers["connection"] == "close"
        assert Reply(f).status is None
    with server.connect() as s:
        s.sendall(f"GET /download/100000 HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\nHost: {server.host}\r\n\r\n".encode())
        f = s.makefile("rb")
        reply = Reply(f)
        assert "transfer-encoding" not in reply.headers
        assert len(f.read()) == 100000


def test_headers_that_come_byte_by_byte_run_into_their_deadline(server):
    with server.connect() as s:
        begin = time.monotonic()
        f = s.makefile("rb")
        with pytest.raises((BrokenPipeError, ConnectionResetError, AssertionError)):
            for byte in server.head() * 100:
                s.sendall(bytes([byte]))
                assert not select_readable(s, 0.05)
        reply = Reply(f)
        assert reply.status == 408
        assert 0.3 < time.monotonic() - begin < 30


def select_readable(s, timeout):
    import select
    return bool(select.select([s], [], [], timeout)[0])


def test_a_client_that_says_nothing_is_let_go(server):
    with server.connect() as s:
        begin = time.monotonic()
        assert is_closed(s)
        assert 0.3 < time.monotonic() - begin < 30


def test_a_body_that_stops_coming_is_let_go(server):
    with server.connect() as s:
        s.sendall(server.head("PUT", "/upload", "Content-Length: 1000000") + b"x" * 1000)
        assert is_closed(s)


def test_a_body_that_trickles_is_let_go(server):
    with server.connect() as s:
        s.sendall(server.head("PUT", "/upload", "Content-Length: 1000000"))
        begin = time.monotonic()
        try:
            while not select_readable(s, 0.05):
                s.sendall(b"x")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert time.monotonic() - begin < 30


def test_a_client_that_does_not_read_is_let_go_and_holds_little_memory(fresh):
    def memory():
        return int(pathlib.Path(f"/proc/{fresh.process.pid}/statm").read_text().split()[1]) * 4096

    before = memory()
    clients = [fresh.connect() for _ in range(20)]
    for s in clients:
        s.sendall(fresh.head("GET", "/download/1000000000"))
    while int(fresh.get("/closed").body) < len(clients):
        assert "asan" in BUILD.name or memory() - before < 40 << 20
    for s in clients:
        assert is_closed(s)
        s.close()
    wait_for_stats(fresh, connections=1, requests=1)


def test_a_client_that_reads_slowly_gets_everything(server):
    with server.connect() as s:
        s.sendall(server.head("GET", "/download/30000000?length=1"))
        f = s.makefile("rb", buffering=0)
        total, head = 0, b""
        while b"\r\n\r\n" not in head:
            head += f.read(1)
        while total < 30000000:
            total += len(f.read(10000))
        assert total == 30000000


def test_an_upload_is_read_as_fast_as_the_handler_takes_it(server):
    body = b"y" * 3000000
    for path in ("/upload", "/upload?slow=1"):
        for framing in (f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"):
            data = body if framing.startswith("C") else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            assert server.ask(server.head("PUT", path, framing) + data).body == b"3000000"


def test_a_client_that_leaves_is_noticed_while_its_request_waits(fresh):
    s = fresh.connect()
    s.sendall(fresh.head("GET", "/later/100000"))
    wait_for_stats(fresh, requests=2)
    s.close()
    wait_for_stats(fresh, requests=1, connections=1)
    assert fresh.get("/closed").body == b"1"


def test_a_client_that_leaves_within_an_upload_is_noticed(fresh):
    s = fresh.connect()
    s.sendall(fresh.head("PUT", "/upload", "Content-Length: 1000000") + b"x" * 1000)
    wait_for_stats(fresh, requests=2)
    s.close()
    wait_for_stats(fresh, requests=1, connections=1)
    assert fresh.get("/closed").body == b"1"


def test_a_client_that_only_stops_sending_still_gets_its_answers(server):
    with server.connect() as s:
        s.sendall(server.head() + server.head("POST", "/echo", "Content-Length: 2") + b"hi")
        s.shutdown(socket.SHUT_WR)
        f = s.makefile("rb")
        assert [Reply(f).body, Reply(f).body] == [b"ok", b"hi"]
        assert f.read() == b""


def test_a_thousand_idle_connections_harm_nobody(fresh):
    idle = []
    for _ in range(1000):
        s = fresh.connect()
        s.sendall(fresh.head())
        idle.append(s)
    for s in idle:
        assert Reply(s.makefile("rb")).body == b"ok"
    wait_for_stats(fresh, connections=1001)
    resident = int(pathlib.Path(f"/proc/{fresh.process.pid}/statm").read_text().split()[1]) * 4096
    if "asan" not in BUILD.name:
        assert resident < 24 << 20
    for s in idle:
        s.sendall(fresh.head())
        assert Reply(s.makefile("rb")).body == b"ok"
        s.close()
    wait_for_stats(fresh, connections=1)


def test_when_all_places_are_taken_the_longest_idle_one_makes_room(fresh):
    places = 2000
    idle = []
    for _ in range(places):
        s = fresh.connect()
        s.sendall(fresh.head())
        assert Reply(s.makefile("rb")).status == 200
        idle.append(s)
    assert fresh.get("/null").status == 200
    assert is_closed(idle[0])
    idle[-1].sendall(fresh.head())
    assert Reply(idle[-1].makefile("rb")).body == b"ok"
    for s in idle:
        s.close()


# ---- WebSocket ----

class Socket:
    """A WebSocket client that can also do wrong."""

    def __init__(self, server, *headers, key="dGhlIHNhbXBsZSBub25jZQ=="):
        self.s = server.connect()
        self.f = self.s.makefile("rb")
        self.s.sendall(server.head("GET", "/ws", "Upgrade: websocket", "Connection: keep-alive, Upgrade",
                                   "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *headers))
        self.reply = Reply(self.f)

    def frame(self, opcode, payload=b"", fin=True, masked=True, rsv=0, length=None):
        head = bytes([(0x80 if fin else 0) | rsv | opcode])
        n = len(payload) if length is None else length
        bit = 0x80 if masked else 0
        head += bytes([bit | n]) if n < 126 else bytes([bit | 126]) + struct.pack("!H", n) if n < 65536 else \
            bytes([bit | 127]) + struct.pack("!Q", n)
        if masked:
            mask = os.urandom(4)
            head += mask
            payload = bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if len(payload) < 70000 else payload
        return head + payload

    def send(self, *args, **kwargs):
        self.s.sendall(self.frame(*args, **kwargs))

    def receive(self):
        head = self.f.read(2)
        if len(head) < 2:
            return None, b""
        n = head[1] & 127
        assert not head[1] & 128, "a server's frame is not masked"
        if n > 125:
            n = int.from_bytes(self.f.read(2 if n == 126 else 8), "big")
        return head[0] & 15, self.f.read(n)

    def close_code(self):
        opcode, payload = self.receive()
        assert opcode == 8, (opcode, payload)
        return int.from_bytes(payload[:2], "big")


def test_a_websocket_opens_as_the_rfc_says_and_echoes(server):
    w = Socket(server)
    assert w.reply.status == 101
    assert w.reply.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    w.send(1, "é".encode())
    assert w.receive() == (1, "é".encode())
    w.send(2, b"\0\xff")
    assert w.receive() == (2, b"\0\xff")
    w.send(9, b"ping")
    assert w.receive() == (10, b"ping")
    w.send(1, b"one ", fin=False)
    w.send(9, b"")
    w.send(0, b"two")
    assert [w.receive(), w.receive()] == [(10, b""), (1, b"one two")]
    w.send(8, struct.pack("!H", 1000))
    assert w.close_code() == 1000
    assert w.f.read() == b""


@pytest.mark.parametrize("wrong, code", [
    ({"opcode": 1, "payload": b"x", "masked": False}, 1002),
    ({"opcode": 3, "payload": b"x"}, 1002),
    ({"opcode": 11, "payload": b"x"}, 1002),
    ({"opcode": 1, "payload": b"x", "rsv": 0x40}, 1002),
    ({"opcode": 9, "payload": b"x" * 126}, 0),
    ({"opcode": 9, "payload": b"x", "fin": False}, 0),
    ({"opcode": 0, "payload": b"x"}, 1002),
    ({"opcode": 1, "payload": b"\xc3\x28"}, 1007),
    ({"opcode": 1, "payload": b"\xed\xa0\x80"}, 1007),
    ({"opcode": 8, "payload": b"\x03"}, 0),
    ({"opcode": 8, "payload": struct.pack("!H", 999)}, 1002),
    ({"opcode": 2, "payload": b"x", "length": 1 << 62}, 1009),
    ({"opcode": 2, "payload": b"x" * ((1 << 20) + 1)}, 1009),
])
def test_a_wrong_frame_ends_the_websocket_with_its_code(server, wrong, code):
    """0: the close frame carries no code."""
    w = Socket(server)
    w.send(wrong.pop("opcode"), wrong.pop("payload"), **wrong)
    assert w.close_code() == code


def test_an_endless_message_in_small_frames_is_cut_off(server):
    w = Socket(server)
    try:
        w.send(2, b"x" * 60000, fin=False)
        for _ in range(30):
            w.send(0, b"x" * 60000, fin=False)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert w.close_code() == 1009


def test_a_message_in_too_many_pieces_is_cut_off(server):
    w = Socket(server)
    w.send(2, b"x", fin=False)
    try:
        w.s.sendall(b"".join(w.frame(0, b"x", fin=False) for _ in range(5000)))
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert w.close_code() == 1008


def test_upgrades_that_are_none_are_refused(server):
    assert server.get("/ws").status == 400
    assert server.get("/ws", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 8",
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==").status == 400
    assert Socket(server, key="short").reply.status == 400
    assert Socket(server, "Origin: http://evil.example").reply.status == 403
    assert Socket(server, "Content-Length: 5").reply.status == 400


def test_a_websocket_whose_client_does_not_read_slows_its_client_down(fresh):
    w = Socket(fresh)
    w.s.settimeout(1)
    frame = w.frame(2, b"x" * 100000)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 100 << 20:
            w.s.sendall(frame)
            sent += len(frame)
    received = 0
    w.s.settimeout(10)
    while received < sent // 100014:
        opcode, payload = w.receive()
        assert (opcode, len(payload)) == (2, 100000)
        received += 1
    w.f.close()
    w.s.close()
    wait_for_stats(fresh, connections=1)


def test_the_owner_ends_a_websocket_with_or_without_a_word(fresh):
    w = Socket(fresh)
    w.send(1, b"close")
    assert w.close_code() == 1000
    w.send(8, struct.pack("!H", 1000))
    assert w.f.read() == b""
    w = Socket(fresh)
    w.send(1, b"cut")
    assert is_closed(w.s)
    wait_for_stats(fresh, connections=1)
    assert fresh.get("/closed").body == b"0"


def test_a_websocket_that_breaks_is_told_once(fresh):
    w = Socket(fresh)
    w.send(1, b"x" * 100)
    w.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    w.f.close()
    w.s.close()
    wait_for_stats(fresh, connections=1)
    assert fresh.get("/closed").body == b"1"


def test_a_server_that_ends_lets_go_of_everything(fresh):
    """fresh.stop, after the test, fails if the server hangs, aborts, or (with sanitizers) leaks."""
    open_ones = [Socket(fresh)]
    for data in (b"", b"GET /nu", fresh.head(), fresh.head("GET", "/later/100000"), fresh.head("GET", "/download/1000000000"),
                 fresh.head("PUT", "/upload", "Content-Length: 1000") + b"x", fresh.head("POST", "/echo", "Content-Length: 9") + b"x",
                 fresh.head("GET", "/later/100000") + fresh.head() * 10):
        s = fresh.connect()
        s.sendall(data)
        open_ones.append(s)
    wait_for_stats(fresh, requests=6)


def test_garbage_of_every_kind_leaves_the_server_standing(fresh):
    import random
    dice = random.Random(7)
    pieces = [fresh.head(), fresh.head("POST", "/echo", "Content-Length: 10"), b"0123456789", b"\r\n", b"\0", b"\n",
              fresh.head("PUT", "/upload", "Transfer-Encoding: chunked"), b"5\r\nhello\r\n", b"0\r\n\r\n", os.urandom(50),
              fresh.head("GET", "/download/100000"), fresh.head("GET", "/later/5"),
              fresh.head("GET", "/ws", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                         "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode())]
    for _ in range(200):
        s = fresh.connect()
        data = b"".join(dice.choice(pieces) for _ in range(dice.randrange(1, 8)))
        try:
            s.sendall(data[:dice.randrange(1, len(data) + 1)])
            if dice.random() < 0.5:
                s.shutdown(socket.SHUT_WR)
            if dice.random() < 0.1:
                s.recv(100)
        except OSError:
            pass
        s.close()
    assert fresh.get("/null").body == b"ok"
    wait_for_stats(fresh, connections=1, requests=1)
