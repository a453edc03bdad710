# SPDX-License-Identifier: Apache-2.0
"""Every route of every face, asked by everybody who may not: docs/roles.md is what the server does."""
import http.client
import re
import subprocess
import time

import pytest
from conftest import BUILD, PROGRAMS, ROOT, end_server, start_server

PRINTER = BUILD / "tests" / "golden" / "print-roles"
REFUSED = (401, 403)


def table():
    """(face, method, pattern, role) of every route, but those of Docker's face, which has a socket of its own."""
    text = (ROOT / "docs" / "roles.md").read_text()  # a golden test: printed from the routes
    rows = re.findall(r"^\| (\w+) \| (\S+) \| `(\S+)` \| (\w+) \|$", text, re.M)
    assert len(rows) > 150
    return [row for row in rows if row[0] != "docker"]


def ids():
    return [f"{face}-{method}-{pattern}" for face, method, pattern, _ in table()]


@pytest.fixture(scope="module")
def server():
    started = start_server(settings={"guard": {"confirm": "ask"}})
    yield started
    end_server(started)


@pytest.fixture(scope="module")
def boxes(server):
    return server.create(name="mine"), server.create(name="theirs")


def token(server, box, **wish):
    reply = box.request("POST", "/tokens", wish)
    assert reply.status == 201, reply.body
    return reply.json


@pytest.fixture(scope="module")
def tokens(server, boxes):
    mine, theirs = boxes
    return {
        "mine": token(server, mine)["token"],
        "theirs": token(server, theirs)["token"],
        "read": token(server, mine, role="read", path="a")["token"],
        "write": token(server, mine, role="write", path="a")["token"],
    }


def path_of(pattern, sandbox, link="cay1.x.y"):
    """A path that the pattern fits; its headers."""
    values = {"id": sandbox, "sandbox": sandbox, "action": "run", "port": "80", "path*": "x", "token": link,
              "confirmation": "00", "image*": "x", "plugin": "x", "tool": "x", "runtime": sandbox, "session": "x",
              "minutes": "5", "public": "true", "name": "x", "name*": "x", "rest*": "x", "key": "x", "image": "host", "command": "x", "pty": "x",
              "context": "x", "event": "0" * 32, "sha": "0000", "conversation": "x", "snapshot": "x", "ticket": "x"}
    headers = {}
    if pattern.startswith("http://"):
        headers["Host"] = f"80-{sandbox}.localhost"
        pattern = "/"
    return re.sub(r"\{([^}]+)\}", lambda m: values[m[1]], pattern), headers


def ask(server, method, pattern, sandbox, shown, link="cay1.x.y"):
    path, headers = path_of(pattern, sandbox, link)
    method = "GET" if method == "*" else method
    connection = server.connection()
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    if shown:
        connection.putheader("Authorization", f"Bearer {shown}")
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def outsiders(tokens, role, sandbox):
    """Everybody whom a route with this role must turn away, when it is about `sandbox`."""
    for name, shown in tokens.items():
        of = "theirs" if name == "theirs" else "mine"
        kind = "sandbox" if name in ("mine", "theirs") else name
        if kind != role or (role == "sandbox" and of != sandbox):
            yield name, shown
    yield "nobody", None
    yield "a wrong token", "0123456789abcdef" * 4
    yield "a forged token", tokens["mine"][:-1] + ("0" if tokens["mine"][-1] != "0" else "1")


@pytest.mark.parametrize("row", table(), ids=ids())
def test_a_route_turns_away_whom_its_role_does_not_name(server, boxes, tokens, row):
    _, method, pattern, role = row
    if role == "nobody":
        assert ask(server, method, pattern, "mine", None) not in REFUSED or "vscode" in pattern
        return
    for sandbox in ("mine", "theirs"):
        for name, shown in outsiders(tokens, role, sandbox):
            if role == "sandbox" and "{" not in pattern and name in ("mine", "theirs"):
                continue  # it is about the sandbox of whoever asks
            link = shown or "cay1.x.y"
            status = ask(server, method, pattern, sandbox, None if "{token}" in pattern else shown, link)
            assert status in REFUSED, f"{name} at {method} {pattern} of {sandbox}: {status}"
    # Nothing of it has had an effect.
    assert [box.get()["state"] in ("ready", "running") for box in boxes] == [True, True]


def test_no_table_of_routes_is_missing():
    found = set()
    for source in (ROOT / "src" / "face").rglob("*.c"):
        found |= set(re.findall(r"const struct http_route (\w+)\[\] = \{", source.read_text()))
    printed = subprocess.run([PRINTER, "--tables"], capture_output=True, text=True, check=True).stdout.split()
    # camel_root_routes: of lent servers, the same rows at the root; no_routes: of ports, which has names instead.
    assert found - {"camel_root_routes", "no_routes"} == set(printed)


def test_a_token_for_a_sandbox_is_good_for_all_of_it(server, boxes, tokens):
    mine, _ = boxes
    for path in ("mine", mine.id, mine.id[:8]):
        reply = server.request("POST", f"/v1/sandboxes/{path}/actions/run", {"command": "echo hi"}, token=tokens["mine"])
        assert reply.json["output"] == "hi\n"
    assert server.request("GET", mine.path, token=tokens["mine"]).json["id"] == mine.id
    assert server.request("GET", f"{mine.path}/events", token=tokens["mine"]).status == 200
    assert server.request("PUT", f"{mine.path}/files?path=b", b"data", token=tokens["mine"]).status == 200
    reply = server.request("POST", f"/openhands/{mine.id}/list_files", {}, token=tokens["mine"])
    assert reply.status == 200
    reply = server.request("POST", f"/mcp/{mine.id}", {"jsonrpc": "2.0", "id": 1, "method": "ping"},
                           token=tokens["mine"], headers={"Accept": "application/json, text/event-stream"})
    assert reply.status == 200, reply.body
    assert server.request("GET", f"/camel/{mine.id}/health", token=tokens["mine"]).status == 200


def test_it_does_not_learn_which_other_sandboxes_there_are(server, boxes, tokens):
    there, nowhere = (server.request("GET", f"/v1/sandboxes/{name}", token=tokens["mine"])
                      for name in ("theirs", "nobody-has-this-name"))
    assert (there.status, there.body) == (nowhere.status, nowhere.body)
    assert there.code == "forbidden"
    unknown = server.request("GET", "/v1/no/such/route", token=tokens["mine"])
    assert unknown.status == 403


def test_it_is_no_token_for_a_later_sandbox_of_the_same_name(server):
    first = server.create(name="again")
    shown = token(server, first)["token"]
    first.delete()
    second = server.create(name="again")
    assert server.request("GET", second.path, token=shown).status == 403
    assert server.request("GET", "/v1/sandboxes/again", token=shown).status == 403
    second.delete()


def test_what_it_is_shown_for_is_not_told_to_programs_inside(server, boxes, tokens):
    """A program in the sandbox that got the token could do with its own sandbox what only its owner may."""
    mine, _ = boxes
    mine.run("nohup python3 -c \"import socket\ns = socket.create_server(('127.0.0.1', 8123))\nopen('up', 'w')\n"
             "c = s.accept()[0]\nopen('asked', 'wb').write(c.recv(65536))\n"
             "c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')\" >/dev/null 2>&1 & "
             "until [ -e up ]; do sleep 0.01; done")
    reply = server.request("GET", f"{mine.path}/ports/8123/x?shown={tokens['mine']}", token=tokens["mine"])
    assert reply.body == b"ok"
    asked = mine.output("cat asked")
    assert "GET /x" in asked and "cay1." not in asked


def test_a_link_is_one_file_and_one_method(server, boxes):
    mine, _ = boxes
    mine.put_file("r", b"to be read")
    link = token(server, mine, role="read", path="r")
    reply = server.request("GET", link["path"], token=None)
    assert reply.body == b"to be read"
    assert reply.headers["Content-Disposition"] == "attachment; filename*=UTF-8''r"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert server.request("PUT", link["path"], b"changed", token=None).status == 403
    assert server.request("GET", f"{mine.path}/files?path=r", token=link["token"]).status == 403
    assert server.request("GET", link["path"] + "?path=/etc/passwd", token=None).body == b"to be read"
    put = token(server, mine, role="write", path="w")
    assert server.request("PUT", put["path"], b"written", token=None).status == 200
    assert mine.get_file("w").body == b"written"
    assert server.request("GET", put["path"], token=None).status == 403


def test_the_link_of_a_token_reaches_the_server(server, boxes):
    mine, _ = boxes
    mine.put_file("l", b"by link")
    link = token(server, mine, role="read", path="l")["link"]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", link.split(str(server.port), 1)[1])
    assert connection.getresponse().read() == b"by link"
    connection.close()


def test_the_servers_own_token_is_no_link(server):
    assert server.request("GET", f"/v1/links/{server.token}", token=None).status == 403
    assert server.request("GET", "/v1/links/x", token=server.token).status == 401


def test_a_token_ends_at_its_time(server, boxes):
    mine, _ = boxes
    shown = token(server, mine, lifetime_ms=1000)["token"]
    assert server.request("GET", mine.path, token=shown).status == 200
    end = time.monotonic() + 20
    while server.request("GET", mine.path, token=shown).status == 200:
        assert time.monotonic() < end
        time.sleep(0.05)
    reply = server.request("GET", mine.path, token=shown)
    assert reply.status == 401 and "ended" in reply.json["error"]["message"]


@pytest.mark.parametrize("wish", [{"role": "admin"}, {"role": "read"}, {"role": "write", "path": ""},
                                  {"role": "sandbox", "path": "x"}, {"lifetime_ms": 0}, {"lifetime_ms": 10 ** 18},
                                  {"role": "read", "path": "a\nb"}, {"until": 1}])
def test_what_cannot_be_a_token_is_refused(boxes, wish):
    assert boxes[0].request("POST", "/tokens", wish).status == 400


def test_a_narrower_token_makes_none(server, boxes, tokens):
    for shown in tokens.values():
        assert server.request("POST", f"{boxes[0].path}/tokens", {}, token=shown).status == 403


def test_the_approver_acts_nowhere_and_a_sandbox_does_not_approve(server, boxes, tokens):
    approver = (server.state / "approver-token").read_text().strip()
    assert server.request("GET", "/v1/confirmations", token=approver).status == 200
    for method, path in (("GET", "/v1/sandboxes"), ("POST", f"{boxes[0].path}/actions/run"), ("DELETE", boxes[0].path),
                         ("POST", f"{boxes[0].path}/tokens"), ("GET", f"/openhands/{boxes[0].id}/list_files")):
        assert server.request(method, path, token=approver).status in REFUSED, path
    assert server.request("POST", "/v1/confirmations/00/confirm", {}, token=tokens["mine"]).status == 403
    assert server.request("POST", "/v1/confirmations/00/confirm", {}).status == 403


def test_cay_token_is_what_a_client_shows(server, boxes):
    mine, theirs = boxes
    env = {"CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token, "PATH": "/usr/bin:/bin"}

    def cay(*args, shown=server.token):
        return subprocess.run([PROGRAMS / "cay", *args], env={**env, "CAY_TOKEN": shown}, capture_output=True,
                              text=True, timeout=60)

    shown = cay("token", "mine").stdout.strip()
    assert shown.startswith("cay1.")
    assert cay("exec", "mine", "echo", "hi", shown=shown).stdout == "hi\n"
    denied = cay("exec", "theirs", "echo", "hi", shown=shown)
    assert denied.returncode != 0 and "another sandbox" in denied.stderr
    assert cay("ls", shown=shown).returncode == 4
    assert cay("token", "mine", shown=shown).returncode == 4
    mine.put_file("f", b"from a link")
    link = cay("token", "mine", "f", "--for", "5m").stdout.strip()
    fetched = subprocess.run(["curl", "-sS", link], capture_output=True, timeout=60)
    assert fetched.stdout == b"from a link", fetched.stderr
    assert cay("token", "mine", "--write").returncode == 2
