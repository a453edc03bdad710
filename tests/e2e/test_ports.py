# SPDX-License-Identifier: Apache-2.0
"""HTTP to what listens inside a sandbox: by path, by name, with bodies and upgrades, against bad servers."""
import http.client
import json
import os
import socket
import subprocess
import textwrap

import pytest
from conftest import PROGRAMS, end_server, start_server
from processes import memory_kib
from waiting import PATIENCE, wait_until

# Answers with what it was asked; some paths misbehave. It listens before it says so.
SERVER = textwrap.dedent("""
    import http.server, json, socket, sys, time

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *args): pass
        def raw(self, data):
            self.wfile.write(data); self.wfile.flush(); self.close_connection = True
        def body(self):
            if self.headers.get("Transfer-Encoding") == "chunked":
                data = b""
                while size := int(self.rfile.readline(), 16):
                    data += self.rfile.read(size); self.rfile.readline()
                self.rfile.readline()
                return data
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        def echo(self):
            path = self.path.split("?")[0]
            if path == "/big":
                self.send_response(200); self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
                for _ in range(int(self.path.split("?")[1])):
                    self.wfile.write(b"10000\\r\\n" + bytes(65536) + b"\\r\\n")
                self.raw(b"0\\r\\n\\r\\n")
            elif path == "/to-the-end": self.raw(b"HTTP/1.0 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\nall of it")
            elif path == "/garbage": self.raw(b"\\x00\\xffhello\\r\\n\\r\\n")
            elif path == "/nothing": self.raw(b"")
            elif path == "/short": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nfew")
            elif path == "/twice": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\nContent-Length: 5\\r\\n\\r\\nhello")
            elif path == "/both": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n")
            elif path == "/more": self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nokHTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nevil")
            elif path == "/switch": self.raw(b"HTTP/1.1 101 Sure\\r\\nUpgrade: x\\r\\nConnection: Upgrade\\r\\n\\r\\n")
            elif path == "/endless-head": self.raw(b"HTTP/1.1 200 OK\\r\\n" + b"X: " + b"y" * 10_000_000)
            elif path == "/continue": self.raw(b"HTTP/1.1 100 Continue\\r\\n\\r\\nHTTP/1.1 103 Early\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
            elif path == "/empty": self.raw(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
            elif path == "/headers":
                self.raw(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/html\\r\\nContent-Length: 2\\r\\n"
                         b"Set-Cookie: a=b; Path=/x; Domain=localhost; HttpOnly\\r\\nSet-Cookie: cay_port=stolen\\r\\n"
                         b"Service-Worker-Allowed: /\\r\\nClear-Site-Data: \\"*\\"\\r\\nAccess-Control-Allow-Origin: *\\r\\n"
                         b"Content-Security-Policy: default-src *\\r\\nX-Own: yes\\r\\nConnection: X-Hop\\r\\nX-Hop: 1\\r\\n\\r\\nok")
            elif path == "/moved": self.raw(b"HTTP/1.1 302 Found\\r\\nLocation: " + self.path.split("?", 1)[1].encode() + b"\\r\\nContent-Length: 0\\r\\n\\r\\n")
            elif self.headers.get("Upgrade"):
                self.raw(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: " + self.headers["Upgrade"].encode() + b"\\r\\nConnection: Upgrade\\r\\n\\r\\n")
                while got := self.connection.recv(65536): self.connection.sendall(got.upper())
            else:
                body = self.body()
                answer = json.dumps({"method": self.command, "path": self.path, "headers": list(self.headers.items()),
                                     "size": len(body), "body": body[:100].decode("latin-1")}).encode()
                self.send_response(200); self.send_header("Content-Length", str(len(answer))); self.end_headers()
                if self.command != "HEAD": self.wfile.write(answer)
        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = echo

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler)
    open("/tmp/listens", "w").close()
    server.serve_forever()
""")


@pytest.fixture(scope="module")
def site(server):
    box = server.create()
    box.put_file("/tmp/server.py", SERVER.encode())
    box.run("mkfifo /tmp/ready")
    box.action("exec", argv=["python3", "/tmp/server.py"], detach=True)
    box.run("until [ -e /tmp/listens ]; do :; done")
    yield box
    box.delete()


def ask(site, method="GET", path="/", body=None, **more):
    return site.request(method, f"/ports/8080{path}", body, **more)


def headers_of(reply):
    return {name.lower(): value for name, value in reply.json["headers"]}


# What goes through.

@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_every_method_and_path_reach_the_server(site, method):
    said = ask(site, method, "/a/b%2Fc//d?x=1&y=%20", b"body" if method in ("POST", "PUT", "PATCH") else None).json
    assert (said["method"], said["path"]) == (method, "/a/b%2Fc//d?x=1&y=%20")
    assert said["body"] == ("body" if method in ("POST", "PUT", "PATCH") else "")


def test_head_has_the_length_and_no_body(site):
    reply = ask(site, "HEAD", "/x")
    assert reply.status == 200 and reply.body == b"" and int(reply.headers["Content-Length"]) > 50


def test_a_large_body_goes_in(site):
    assert ask(site, "POST", "/", os.urandom(30_000_000)).json["size"] == 30_000_000


def test_a_chunked_body_goes_in(site):
    pieces = (bytes(100_000) for _ in range(20))
    connection = site.server.connection()
    connection.request("POST", f"{site.path}/ports/8080/", pieces, site.server.headers("", {}), encode_chunked=True)
    assert json.loads(connection.getresponse().read())["size"] == 2_000_000


def test_a_large_body_comes_out(site):
    assert len(ask(site, path="/big?500").body) == 500 * 65536


def test_a_body_that_ends_with_its_connection_comes_out(site):
    assert ask(site, path="/to-the-end").body == b"all of it"


def test_interim_answers_are_skipped(site):
    assert ask(site, path="/continue").body == b"ok"
    assert ask(site, path="/empty").status == 204


def test_requests_follow_each_other_on_one_connection(site):
    connection = site.server.connection()
    for i in range(20):
        assert ask(site, path=f"/{i}", connection=connection).json["path"] == f"/{i}"


def test_a_slow_reader_does_not_make_the_server_hold_it_all(site):
    """More than every buffer on the way holds, not read until the end: the memory of cayd stays small."""
    connection = site.server.connection()
    connection.request("GET", f"{site.path}/ports/8080/big?4000", None, site.server.headers("", {}))
    response = connection.getresponse()
    for _ in range(100):  # time enough to fill what there is to fill
        site.run("true")
    assert memory_kib(site.server.server_pid()) < 100_000
    total = 0
    while got := response.read(1 << 20):
        total += len(got)
    assert total == 4000 * 65536


def upgrade(site, target, extra=""):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(str(site.server.socket))
    s.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: shout\r\nConnection: upgrade\r\n"
              f"Authorization: Bearer {site.server.token}\r\n{extra}\r\n".encode())
    f = s.makefile("rb")
    status = int(f.readline().split()[1])
    headers = {}
    while line := f.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return s, f, status, headers


def test_an_upgrade_becomes_a_tunnel(site):
    s, f, status, headers = upgrade(site, f"{site.path}/ports/8080/ws")
    assert status == 101 and headers["upgrade"] == "shout"
    s.sendall(b"hello\n")
    assert f.readline() == b"HELLO\n"
    s.shutdown(socket.SHUT_WR)
    assert f.read() == b""
    s.close()


def test_a_tunnel_carries_much_data(site):
    s, f, status, _ = upgrade(site, f"{site.path}/ports/8080/ws")
    for _ in range(50):
        s.sendall(b"x" * 100_000)
        assert f.read(100_000) == b"X" * 100_000
    s.close()


# What the server inside may know, and say.

def test_the_token_never_reaches_the_sandbox(site):
    token = site.server.token
    reply = ask(site, path=f"/?a=1&cay_ticket=abc&t={token}&b=2", headers={
        "Cookie": f"x=1; cay_port=secret; y={token}; z=2", "X-Session-API-Key": token, "X-Other": f"Bearer {token}",
        "X-Kept": "yes"})
    assert token not in reply.body.decode() and "secret" not in reply.body.decode()
    assert reply.json["path"] == "/?a=1&b=2"
    seen = headers_of(reply)
    assert seen["cookie"] == "x=1; z=2" and seen["x-kept"] == "yes" and "authorization" not in seen


def test_the_server_sees_itself_and_who_asks(site):
    seen = headers_of(ask(site, headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil", "Forwarded": "x",
                                         "Connection": "X-Mine", "X-Mine": "1", "TE": "trailers"}))
    assert seen["host"] == "localhost:8080" and seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-prefix"] == f"{site.path}/ports/8080"
    assert seen["x-forwarded-host"] == "localhost" and "x-forwarded-for" not in seen
    assert not {"forwarded", "x-mine", "te"} & set(seen)


def test_headers_that_speak_for_the_whole_origin_are_dropped(site):
    reply = ask(site, path="/headers")
    names = {name.lower() for name in reply.headers}
    assert not {"service-worker-allowed", "clear-site-data", "access-control-allow-origin", "x-hop"} & names
    policies = reply.headers.get_all("Content-Security-Policy")
    assert policies[0].startswith("sandbox ") and "allow-same-origin" not in policies[0] and policies[1] == "default-src *"
    assert reply.headers.get_all("Set-Cookie") == [f"a=b; HttpOnly; Path={site.path}/ports/8080/x"]
    assert reply.headers["X-Own"] == "yes"


@pytest.mark.parametrize("said, seen", [
    ("/x?y", "{prefix}/x?y"), ("http://localhost:8080/x", "{prefix}/x"), ("http://localhost:8080", "{prefix}/"),
    ("https://example.org/", "https://example.org/"), ("relative", "relative"), ("//example.org/", "//example.org/"),
    ("http://localhost:80801/x", "http://localhost:80801/x")])
def test_redirects_to_itself_stay_below_the_prefix(site, said, seen):
    reply = ask(site, path="/moved?" + said)
    assert (reply.status, reply.headers["Location"]) == (302, seen.format(prefix=f"{site.path}/ports/8080"))


# What may not.

def test_it_needs_the_token(site):
    assert ask(site, token=None).code == "unauthorized"
    assert ask(site, token="wrong").code == "unauthorized"


@pytest.mark.parametrize("path, words", [
    ("/garbage", "no HTTP"), ("/nothing", "before it answered"), ("/twice", "two Content-Length"),
    ("/both", "Transfer-Encoding next to"), ("/switch", "no other protocol"), ("/endless-head", "over")])
def test_a_server_that_answers_nonsense_is_an_error_that_names_it(site, path, words):
    reply = ask(site, path=path)
    assert (reply.status, reply.code) == (502, "protocol")
    assert words in reply.json["error"]["message"] and f"port 8080 of sandbox {site.id}" in reply.json["error"]["message"]


def test_an_answer_that_breaks_off_is_cut_here_too(site):
    with pytest.raises(http.client.IncompleteRead):
        ask(site, path="/short")


def test_a_second_answer_belongs_to_nobody(site):
    connection = site.server.connection()
    assert ask(site, path="/more", connection=connection).body == b"ok"
    assert ask(site, path="/next", connection=connection).json["path"] == "/next"


def test_nothing_listening_is_an_error_that_says_so(site):
    reply = site.request("GET", "/ports/81/")
    assert reply.status == 502 and "nothing listens" in reply.json["error"]["message"]
    assert site.request("GET", "/ports/99999/").code == "invalid_argument"
    assert site.server.request("GET", "/v1/sandboxes/nobody/ports/80/").code == "not_found"


@pytest.mark.parametrize("head", [
    "POST {path} HTTP/1.1\r\nHost: localhost\r\n{auth}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST {path} HTTP/1.1\r\nHost: localhost\r\n{auth}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    "POST {path} HTTP/1.1\r\nHost: localhost\r\n{auth}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "POST {path} HTTP/1.1\r\nHost: localhost\r\n{auth}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "GET {path}\x01 HTTP/1.1\r\nHost: localhost\r\n{auth}\r\n",
    "GET {path} HTTP/1.1\r\nHost: localhost\r\n{auth}X: a\nGET /evil HTTP/1.1\r\n\r\n"])
def test_what_two_parsers_could_read_in_two_ways_is_refused_before(site, head):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    s.connect(str(site.server.socket))
    s.sendall(head.format(path=f"{site.path}/ports/8080/", auth=f"Authorization: Bearer {site.server.token}\r\n").encode("latin-1"))
    assert s.makefile("rb").readline().split()[1] in (b"400", b"501")
    s.close()


def test_a_client_that_leaves_frees_the_connection(site):
    connections = [upgrade(site, f"{site.path}/ports/8080/ws") for _ in range(20)]
    for s, f, _, _ in connections:
        f.close()
        s.close()
    stream = site.server.request("GET", "/v1/stats").json
    wait_until(lambda: site.server.request("GET", "/v1/stats").json["calls_under_way"] <= 1)
    assert stream["sandboxes"] >= 1


def test_a_sandbox_that_ends_cuts_its_tunnels(server):
    box = server.create()
    box.put_file("/tmp/server.py", SERVER.encode())
    box.action("exec", argv=["python3", "/tmp/server.py"], detach=True)
    box.run("until [ -e /tmp/listens ]; do :; done")
    s, f, status, _ = upgrade(box, f"{box.path}/ports/8080/ws")
    assert status == 101
    box.delete()
    assert f.read() == b""
    s.close()


# By name.

def by_name(site, path="/", token="", **headers):
    host = f"8080-{site.id}.localhost:{site.server.port}"
    return site.server.request("GET", path, token=token, headers={"Host": host, **headers})


def test_a_port_has_an_origin_of_its_own(site):
    reply = by_name(site, "/v1/sandboxes?x")
    assert reply.json["path"] == "/v1/sandboxes?x"
    assert "Content-Security-Policy" not in reply.headers
    assert "x-forwarded-prefix" not in headers_of(reply)
    assert by_name(site, "/headers").headers.get_all("Set-Cookie") == ["a=b; HttpOnly; Path=/x"]


def test_a_name_needs_a_token_or_a_ticket_too(site):
    assert by_name(site, token=None).code == "unauthorized"
    assert by_name(site, "/?cay_ticket=" + "0" * 40, token=None).code == "unauthorized"
    host = f"8080-nobody.localhost:{site.server.port}"
    assert site.server.request("GET", "/", token=None, headers={"Host": host}).code == "unauthorized"


def test_a_link_lets_a_browser_in_and_the_ticket_leaves_the_address(site):
    said = site.request("GET", "/ports/8080", headers={"Host": f"localhost:{site.server.port}"}).json
    assert said["url"] == f"http://8080-{site.id}.localhost:{site.server.port}/"
    ticket = said["link"].split("?cay_ticket=")[1]
    reply = by_name(site, f"//x/y?a=1&cay_ticket={ticket}&b=2", token=None)
    assert (reply.status, reply.headers["Location"]) == (303, "/x/y?a=1&b=2")
    cookie = reply.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Domain" not in cookie
    reply = by_name(site, "/x/y", token=None, Cookie=cookie.split(";")[0])
    assert reply.json["path"] == "/x/y" and ticket not in reply.body.decode()


def test_a_ticket_is_for_one_port_of_one_sandbox(site, box):
    ticket = site.request("GET", "/ports/8080").json["link"].split("?cay_ticket=")[1]
    for host in (f"8081-{site.id}.localhost", f"8080-{box.id}.localhost"):
        assert site.server.request("GET", "/", token=None,
                                   headers={"Host": host, "Cookie": f"cay_port={ticket}"}).code == "unauthorized"
    assert site.server.request("GET", "/v1/version", token=ticket).code == "unauthorized"


def test_a_page_of_a_port_may_not_call_the_server_or_another_port(site):
    origin = f"http://8080-{site.id}.localhost:{site.server.port}"
    assert site.server.request("GET", "/v1/version", headers={"Origin": origin}).code == "forbidden"
    assert by_name(site, Origin=origin).status == 200
    assert by_name(site, Origin=origin.replace("8080-", "8081-")).code == "forbidden"


@pytest.mark.parametrize("site_of, mode, is_let_in", [
    ("same-origin", "no-cors", True), ("none", "navigate", True), ("same-site", "navigate", True), ("cross-site", "navigate", True),
    ("same-site", "no-cors", False), ("cross-site", "no-cors", False), ("same-site", "cors", False), ("same-site", None, False)])
def test_a_cookie_lets_nobody_in_whom_another_page_has_ask(site, site_of, mode, is_let_in):
    """Names below one domain are one site to a browser: it shows a sandbox's cookie to it for any other sandbox's page."""
    ticket = site.request("GET", "/ports/8080").json["link"].split("?cay_ticket=")[1]
    said = {"Sec-Fetch-Site": site_of, **({"Sec-Fetch-Mode": mode} if mode else {})}
    reply = by_name(site, token=None, Cookie=f"cay_port={ticket}", **said)
    assert reply.status == 200 if is_let_in else reply.code == "unauthorized"
    assert by_name(site, **said).status == 200  # a token is no cookie: no page has it


def test_the_server_inside_sees_its_own_origin(site):
    seen = headers_of(by_name(site, Origin=f"http://8080-{site.id}.localhost:{site.server.port}"))
    assert seen["origin"] == "http://localhost:8080" and seen["host"] == "localhost:8080"
    assert seen["x-forwarded-host"] == f"8080-{site.id}.localhost:{site.server.port}"


@pytest.fixture(scope="module")
def public():
    """A server behind a proxy, with names below which all leads to it."""
    server = start_server(settings={"names": ["cay.example", "*.box.example", "*.tls.example:8443"]})
    yield server
    end_server(server)


def test_links_lie_below_the_domain_that_the_client_uses(public):
    box = public.create()

    def url(host, **headers):
        said = public.request("GET", f"{box.path}/ports/80", headers={"Host": host, **headers}).json
        assert said["link"].startswith(said["url"] + "?cay_ticket=")
        return said["url"].replace(box.id, "ID")

    https = {"X-Forwarded-Proto": "https"}
    assert url("cay.example", **https) == "https://80-ID.box.example/"
    assert url("cay.example:81") == "http://80-ID.box.example:81/"
    assert url("192.0.2.1:81") == "http://80-ID.box.example:81/"
    for host in f"localhost:{public.port}", f"127.0.0.1:{public.port}":
        assert url(host) == f"http://80-ID.localhost:{public.port}/"
    box.put_file("/tmp/server.py", SERVER.encode())
    box.action("exec", argv=["python3", "/tmp/server.py"], detach=True)
    box.run("until [ -e /tmp/listens ]; do :; done")

    def there(host, **headers):
        return public.request("GET", "/x", token=None, headers={"Host": host, **headers})
    bearer = {"Authorization": f"Bearer {public.token}"}
    ticket = public.request("GET", f"{box.path}/ports/8080").json["link"].split("?")[1]
    for headers, is_secure in ((https, True), ({}, False)):
        taken = public.request("GET", f"/?{ticket}", token=None, headers={"Host": f"8080-{box.id}.box.example", **headers})
        assert ("; Secure" in taken.headers["Set-Cookie"]) == is_secure
    for domain in "box.example", "Box.Example:81", "tls.example:8443", "localhost":
        assert there(f"8080-{box.id}.{domain}").code == "unauthorized"
        seen = headers_of(there(f"8080-{box.id}.{domain}", **bearer, **https))
        assert (seen["x-forwarded-proto"], seen["x-forwarded-host"]) == ("https", f"8080-{box.id}.{domain}")
    box.delete()


@pytest.mark.parametrize("host", ["box.example", "x.box.example", "8080-ID.evil.example", "8080-ID.box.example.evil.example",
                                  "8080-IDbox.example", "8080-ID.box.example:x", ".box.example", "8080-ID.cay.example"])
def test_a_name_that_is_no_port_of_a_sandbox_is_nobodys(public, host):
    """Over TCP: who comes by the Unix socket may say any."""
    with socket.create_connection(("127.0.0.1", public.port), PATIENCE) as s:
        s.sendall(f"GET /v1/version HTTP/1.0\r\nHost: {host.replace('ID', 'a' * 26)}\r\nAuthorization: Bearer {public.token}\r\n\r\n".encode())
        assert int(s.makefile("rb").readline().split()[1]) == 403


def test_over_tcp_the_peer_is_named(site):
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=PATIENCE)
    seen = headers_of(ask(site, connection=connection))
    assert seen["x-forwarded-for"] == "127.0.0.1"


# The command line.

@pytest.fixture
def forwarder(site):
    process = subprocess.Popen([PROGRAMS / "cay", "port", site.id, "8080", "--listen", "0"], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"], "CAY_URL": f"unix:{site.server.socket}",
                                                            "CAY_TOKEN": site.server.token})
    host, port = process.stdout.readline().strip().split(":")
    yield host, int(port)
    process.terminate()
    process.wait(PATIENCE)
    process.stdout.close()
    process.stderr.close()


def test_a_port_of_this_machine_leads_inside(forwarder):
    connection = http.client.HTTPConnection(*forwarder, timeout=PATIENCE)
    for i in range(3):
        connection.request("POST", f"/{i}", b"x" * 3_000_000)
        said = json.loads(connection.getresponse().read())
        assert (said["path"], said["size"]) == (f"/{i}", 3_000_000)
    assert "x-forwarded-host" not in {name.lower() for name, _ in said["headers"]}


def test_many_connections_are_forwarded_at_once(forwarder):
    connections = [http.client.HTTPConnection(*forwarder, timeout=PATIENCE) for _ in range(20)]
    for c in connections:
        c.request("GET", "/big?50")
    for c in connections:
        assert len(c.getresponse().read()) == 50 * 65536
        c.close()


def test_a_port_that_nobody_listens_on_closes_the_connection_and_is_told(site):
    process = subprocess.Popen([PROGRAMS / "cay", "port", site.id, "81", "--listen", "0"], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"], "CAY_URL": f"unix:{site.server.socket}",
                                                            "CAY_TOKEN": site.server.token})
    host, port = process.stdout.readline().strip().split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as s:
        assert s.recv(1) == b""
    assert "nothing listens" in process.stderr.readline()
    process.terminate()
    process.communicate(timeout=PATIENCE)


def test_a_link_is_printed_for_a_browser(site):
    done = subprocess.run([PROGRAMS / "cay", "port", site.id, "8080", "--link"], capture_output=True, text=True, check=True,
                          env={"PATH": os.environ["PATH"], "CAY_URL": f"unix:{site.server.socket}", "CAY_TOKEN": site.server.token})
    assert done.stdout.startswith(f"http://8080-{site.id}.localhost:{site.server.port}/?cay_ticket=")
