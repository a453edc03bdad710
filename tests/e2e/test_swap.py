# SPDX-License-Identifier: Apache-2.0
"""Secrets that are swapped in at the boundary: the sandbox has a placeholder, the allowed host gets the value."""
import base64
import os
import pathlib
import signal
import subprocess
import tempfile

import pytest
from conftest import PROGRAMS
from outside import Authority, server_outside
from processes import awaited, children, status
from waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network namespace of the server's")

API, LIAR, OTHER = "93.184.216.34", "93.184.216.35", "93.184.216.36"
HOSTS = f"{API} api.test a.below.test\n{LIAR} liar.test\n{OTHER} other.test\n"
VALUE, KEY = "ghp_6f1c-very-secret-value", "key-of-another-kind/+="
SECRETS = {
    "API_TOKEN": {"value": VALUE, "hosts": ["api.test", "http://api.test", "*.below.test:8443", "liar.test"]},
    "API_KEY": {"value": KEY, "hosts": ["api.test"], "header": "X-Api-Key"},
}


@pytest.fixture(scope="module")
def server():
    directory = tempfile.mkdtemp(prefix="cay-e2e-")
    os.chmod(directory, 0o755)
    authority = Authority(directory)
    with server_outside(HOSTS, [API, LIAR, OTHER], trust=authority.pem) as started:
        outside = started.outside
        outside.listen(80, serve=outside.serve_http)
        outside.listen(443, API, authority.context("api.test"), outside.serve_http)
        outside.listen(8443, API, authority.context("a.below.test"), outside.serve_http)
        outside.listen(443, LIAR, authority.context("api.test"), outside.serve_http)
        outside.listen(443, OTHER, authority.context("other.test"), outside.serve_http)
        started.authority = authority
        yield started
    subprocess.run(["rm", "-rf", directory], check=True)


@pytest.fixture
def box(server):
    server.outside.requests.clear()
    made = server.create(network="proxy", allow=["other.test", "other.test:80"], secrets=SECRETS)
    yield made
    if made.request("GET").status == 200:
        made.delete()


def curl(box, words):
    return box.output(f"curl -sS --max-time 15 {words} 2>&1")


def network(box, decision):
    return [e["data"] for e in box.events() if e["kind"] == "network" and e["data"]["decision"] == decision]


def test_the_host_gets_the_value_and_the_sandbox_a_placeholder(server, box):
    said = curl(box, '-H "Authorization: Bearer $API_TOKEN" https://api.test/user')
    assert said.startswith("GET /user HTTP/1.1")
    head, = (head for head, _ in server.outside.requests)
    assert f"Authorization: Bearer {VALUE}\r\n" in head
    token = box.output("printenv API_TOKEN").strip()
    assert token.startswith("cay_") and VALUE not in box.output("env; cat /proc/self/environ")
    assert network(box, "swapped") == [
        {"decision": "swapped", "secret": "API_TOKEN", "name": "api.test", "port": 443}]


def test_over_http_where_that_was_said(server, box):
    curl(box, '-H "Authorization: token $API_TOKEN" http://api.test/')
    assert f"Authorization: token {VALUE}\r\n" in server.outside.requests[0][0]


def test_each_secret_has_its_header_and_its_hosts(server, box):
    curl(box, '-H "X-Api-Key: $API_KEY" -H "X-Other: $API_KEY" -H "Authorization: $API_KEY" https://api.test/')
    head = server.outside.requests[0][0]
    placeholder = box.output("printenv API_KEY").strip()
    assert f"X-Api-Key: {KEY}\r\n" in head
    assert f"X-Other: {placeholder}\r\n" in head and f"Authorization: {placeholder}\r\n" in head
    curl(box, '-H "X-Api-Key: $API_KEY" https://a.below.test:8443/')
    assert KEY not in server.outside.requests[1][0]
    curl(box, '-H "Authorization: Bearer $API_TOKEN" https://a.below.test:8443/')
    assert VALUE in server.outside.requests[2][0]


def test_as_a_password_which_git_would_send(server, box):
    curl(box, '-u "x-access-token:$API_TOKEN" https://api.test/')
    wanted = base64.b64encode(f"x-access-token:{VALUE}".encode()).decode()
    assert f"Authorization: Basic {wanted}\r\n" in server.outside.requests[0][0]


def test_to_another_host_the_placeholder_goes_as_it_is(server, box):
    assert "other.test" in curl(box, '-k -H "Authorization: Bearer $API_TOKEN" https://other.test/')
    curl(box, '-H "Authorization: Bearer $API_TOKEN" http://other.test/')
    assert len(server.outside.requests) == 2
    assert not [head for head, _ in server.outside.requests if VALUE in head]
    assert network(box, "swapped") == []


def test_only_a_host_that_proves_its_name_gets_it(server, box):
    said = curl(box, '-H "Authorization: Bearer $API_TOKEN" https://liar.test/')
    assert "the certificate of liar.test is not good" in said
    assert server.outside.requests == []
    denied, *_ = network(box, "denied")
    assert "certificate of liar.test is not good" in denied["reason"]


@pytest.mark.parametrize("words, reason", [
    ('-H "Host: other.test" https://api.test/', "is for other.test; this is api.test"),
    ('-H "Content-Length: 3" -H "Transfer-Encoding: chunked" -d abc https://api.test/', "Transfer-Encoding next to"),
    ('-H "Host;" https://api.test/', "no one host"),
    ('-X CONNECT https://api.test/', "change of protocol"),
])
def test_what_could_be_read_in_two_ways_reaches_nobody(server, box, words, reason):
    said = curl(box, f'-H "Authorization: Bearer $API_TOKEN" {words}')
    assert reason in said
    assert server.outside.requests == []


def test_another_server_name_than_the_one_begun_to_is_refused(server, box):
    """On any port: where the executor does not look at the greeting, the boundary does."""
    for name in ("other.test", "x.below.test"):
        out = box.output(f"openssl s_client -connect a.below.test:8443 -servername {name} </dev/null 2>&1 | grep -i alert")
        assert "unrecognized name" in out
    assert server.outside.requests == []


def test_a_request_does_not_hide_behind_another(server, box):
    """Two requests on one connection: each is looked at."""
    program = ("import socket, ssl, os\n"
               "s = ssl.create_default_context().wrap_socket(socket.create_connection(('api.test', 443)), server_hostname='api.test')\n"
               "t = os.environ['API_TOKEN']\n"
               "one = f'GET /one HTTP/1.1\\r\\nHost: api.test\\r\\nAuthorization: Bearer {t}\\r\\n\\r\\n'\n"
               "two = f'POST /two HTTP/1.1\\r\\nHost: api.test\\r\\nContent-Length: 4\\r\\nAuthorization: Bearer {t}\\r\\n\\r\\nbody'\n"
               "bad = 'GET /bad HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n'\n"
               "s.sendall((one + two + bad).encode())\n"
               "data = b''\n"
               "while d := s.recv(65536): data += d\n"
               "print(data.decode().count('HTTP/1.1 200'), data.decode().count('HTTP/1.1 403'))")
    assert box.output(f"python3 - <<'E' 2>&1\n{program}\nE") in ("2 1\n", "1 1\n", "0 1\n")
    heads = [head for head, _ in server.outside.requests]
    assert not [h for h in heads if "/bad" in h] and all(VALUE in h for h in heads)


def test_a_body_goes_as_it_is(server, box):
    box.run("head -c 3000000 /dev/zero | tr '\\0' x > body; printf %s \"$API_TOKEN\" >> body")
    curl(box, '-H "Authorization: Bearer $API_TOKEN" --data-binary @body https://api.test/up -o /dev/null')
    curl(box, '-H "Authorization: Bearer $API_TOKEN" -H "Transfer-Encoding: chunked" --data-binary @body '
              'https://api.test/up -o /dev/null')
    token = box.output("printenv API_TOKEN").strip().encode()
    assert [body for _, body in server.outside.requests] == 2 * [b"x" * 3000000 + token]


def test_what_a_host_says_of_it_is_covered(server, box):
    said = curl(box, '-H "Authorization: Bearer $API_TOKEN" https://api.test/echo')
    assert VALUE not in said and f"Authorization: Bearer {'*' * len(VALUE)}" in said


def test_a_websocket_begins_with_the_value(server, box):
    program = ("import socket, ssl, os\n"
               "s = ssl.create_default_context().wrap_socket(socket.create_connection(('api.test', 443)), server_hostname='api.test')\n"
               "s.sendall(f'GET /ws HTTP/1.1\\r\\nHost: api.test\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
               "Authorization: Bearer {os.environ[\"API_TOKEN\"]}\\r\\n\\r\\n'.encode())\n"
               "head = b''\n"
               "while not head.endswith(b'\\r\\n\\r\\n'): head += s.recv(1)\n"
               "s.sendall(b'\\x00any bytes\\xff')\nprint(head[9:12], s.recv(100))")
    assert box.output(f"python3 - <<'E' 2>&1\n{program}\nE") == "b'101' b'\\x00any bytes\\xff'\n"
    assert VALUE in server.outside.requests[0][0]


def test_programs_of_many_kinds_believe_the_boundary(server, box):
    for program in ("import urllib.request as u, os; print(u.urlopen(u.Request('https://api.test/', headers="
                    "{'Authorization': 'Bearer ' + os.environ['API_TOKEN']})).status)",):
        assert box.output(f'python3 -c "{program}" 2>&1') == "200\n"
    assert "fatal" in box.output("git -c http.extraHeader=\"Authorization: Bearer $API_TOKEN\" ls-remote "
                                 "https://api.test/x.git 2>&1")
    assert VALUE in server.outside.requests[-1][0] and "git/" in server.outside.requests[-1][0]


def test_its_certificate_is_for_these_hosts_alone(box):
    text = box.output("awk '/BEGIN/ { pem = \"\" } { pem = pem $0 \"\\n\" } END { printf \"%s\", pem }' $SSL_CERT_FILE | "
                      "openssl x509 -noout -text")
    assert "CA:TRUE, pathlen:0" in text and "DNS:api.test" in text and "Name Constraints: critical" in text
    assert box.output("grep -c 'PRIVATE KEY' $SSL_CERT_FILE").strip() == "0"


def test_it_is_nowhere_else(server, box):
    """Not in the sandbox, in no event, record, log, argument or variable, nor in the server's state."""
    curl(box, '-H "Authorization: Bearer $API_TOKEN" https://api.test/')
    assert VALUE not in box.output("grep -rl -- \"$(printf %s ghp_6f1c)\" /tmp /workspace /run /etc 2>/dev/null; env")
    record = box.request("GET").body.decode()
    events = box.request("GET", "/events").body.decode()
    for text in (record, events, server.log_text()):
        assert VALUE not in text and KEY not in text
    state = subprocess.run(["grep", "-rlF", VALUE, server.state], capture_output=True, text=True)
    assert state.stdout == ""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("comm").read_text().startswith("cay"):
                assert VALUE.encode() not in process.joinpath("cmdline").read_bytes()
                assert VALUE.encode() not in process.joinpath("environ").read_bytes()
        except OSError:
            continue
    assert box.get()["spec"]["swapped"][0] == {"name": "API_TOKEN", "header": "Authorization",
                                               "hosts": SECRETS["API_TOKEN"]["hosts"]}


def test_a_restarted_server_goes_on_with_what_it_never_knew(server, box):
    server.kill_server()
    server.wait_until_up()
    curl(box, '-H "Authorization: Bearer $API_TOKEN" https://api.test/')
    assert VALUE in server.outside.requests[-1][0]
    assert len(network(box, "swapped")) == 1


def boundary_pids(server):
    return children(server.process.pid, "cay-boundary")


def test_when_the_boundary_is_killed_nothing_goes_out_to_its_hosts(server, box):
    pid, = boundary_pids(server)
    with awaited(pid):
        os.kill(pid, signal.SIGKILL)
    said = curl(box, '-H "Authorization: Bearer $API_TOKEN" http://api.test/')
    assert "has ended, and they with it" in said
    assert server.outside.requests == []
    assert "other.test" in curl(box, "http://other.test/")
    assert [told["reason"] for told in network(box, "closed")] == ["what swaps its secrets in has ended, and they with it"]


def test_a_boundary_ends_with_its_sandbox(server, box):
    pid, = boundary_pids(server)
    with awaited(pid):
        box.delete()
    wait_until(lambda: boundary_pids(server) == [])


def test_a_boundary_ends_with_the_supervisor(server):
    with server_outside(HOSTS, [API], trust=server.authority.pem) as own:
        own.create(network="proxy", secrets=SECRETS)
        pid, = boundary_pids(own)
        with awaited(pid):
            own.process.send_signal(signal.SIGKILL)
            own.process.wait()


def test_the_boundary_can_do_next_to_nothing(server, box):
    pid, = boundary_pids(server)
    told = status(pid)
    assert told["Uid"].split()[0] == str(0x2ffffff1) and told["CapEff"] == told["CapBnd"] == "0000000000000000"
    assert told["Seccomp"] == "2" and told["NoNewPrivs"] == "1"
    environ = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert [e for e in environ if e and not e.startswith(b"SSL_CERT_")] == []


@pytest.mark.parametrize("wish, words", [
    ({"network": "loopback", "secrets": SECRETS}, "for the network 'proxy'"),
    ({"network": "proxy", "secrets": {"A": {"value": "x", "hosts": ["api.test"]}}}, "must have 8 to 4096 bytes"),
    ({"network": "proxy", "secrets": {"A": {"value": "line\r\nX: 12345", "hosts": ["api.test"]}}}, "no control bytes"),
    ({"network": "proxy", "secrets": {"A": {"value": VALUE, "hosts": ["10.0.0.1"]}}}, "hosts that have a name"),
    ({"network": "proxy", "secrets": {"A": {"value": VALUE, "hosts": []}}}, "0 hosts"),
    ({"network": "proxy", "secrets": {"A": {"value": VALUE, "hosts": ["api.test"], "header": "Host"}}}, "no header"),
    ({"network": "proxy", "secrets": {"A": {"value": VALUE, "host": "api.test"}}}, "host"),
    ({"network": "proxy", "env": {"A": "1"}, "secrets": {"A": {"value": VALUE, "hosts": ["api.test"]}}}, "of its own"),
    ({"network": "proxy", "secrets": {"A": 7}}, "must be a string"),
    ({"network": "proxy", "secrets": {f"A{i}": {"value": VALUE, "hosts": ["api.test"]} for i in range(33)}}, "limit is 32"),
])
def test_a_wish_that_cannot_be_had_is_refused(server, wish, words):
    reply = server.request("POST", "/v1/sandboxes", wish)
    assert reply.status in (400, 403, 429) and words in reply.json["error"]["message"]
    assert VALUE not in reply.body.decode()


def test_the_same_from_the_command_line_and_from_a_file(server):
    key = pathlib.Path(server.directory) / "key"
    key.write_text(f"{KEY}\n")
    env = {**os.environ, "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token, "MY_TOKEN": VALUE}
    made = subprocess.run([PROGRAMS / "cay", "create", "--network", "proxy", "--name", "swapped",
                           "--swap", "TOKEN=MY_TOKEN@api.test", "--swap", f"KEY={key}@api.test#X-Api-Key"],
                          capture_output=True, text=True, env=env)
    assert made.returncode == 0, made.stderr
    server.outside.requests.clear()
    subprocess.run([PROGRAMS / "cay", "exec", "swapped", "--", "sh", "-c",
                    'curl -sS -H "Authorization: Bearer $TOKEN" -H "X-Api-Key: $KEY" https://api.test/'],
                   capture_output=True, env=env, check=True)
    assert VALUE in server.outside.requests[0][0] and KEY in server.outside.requests[0][0]
    subprocess.run([PROGRAMS / "cay", "rm", "swapped"], env=env, check=True, capture_output=True)
    bad = subprocess.run([PROGRAMS / "cay", "create", "--network", "proxy", "--swap", "NOT_SET@api.test"],
                         capture_output=True, text=True, env=env)
    assert bad.returncode == 2 and "NOT_SET is not set" in bad.stderr


def test_a_secret_of_the_configuration_is_every_sandboxs_that_has_the_network(server):
    settings = {"create": {"secrets": {"API_TOKEN": SECRETS["API_TOKEN"]}}}
    with server_outside(HOSTS, [API, LIAR, OTHER], trust=server.authority.pem, settings=settings) as own:
        own.outside.listen(443, API, server.authority.context("api.test"), own.outside.serve_http)
        one, two, without = own.create(network="proxy"), own.create(network="proxy"), own.create()
        tokens = {box.output("printenv API_TOKEN").strip() for box in (one, two)}
        assert len(tokens) == 2 and without.run("printenv API_TOKEN")["exit_code"] == 1
        curl(one, '-H "Authorization: Bearer $API_TOKEN" https://api.test/')
        assert VALUE in own.outside.requests[0][0]
        curl(two, f'-H "Authorization: Bearer {one.output("printenv API_TOKEN").strip()}" https://api.test/')
        assert VALUE not in own.outside.requests[1][0]  # another's placeholder is nothing here


def test_an_ordinary_users_server_does_the_same(server):
    with server_outside(HOSTS, [API, LIAR, OTHER], trust=server.authority.pem, uid=4711) as own:
        outside = own.outside
        outside.listen(443, API, server.authority.context("api.test"), outside.serve_http)
        box = own.create(network="proxy", secrets=SECRETS)
        curl(box, '-H "Authorization: Bearer $API_TOKEN" https://api.test/')
        assert VALUE in outside.requests[0][0]
        pid, = boundary_pids(own)
        told = status(pid)
        assert told["Seccomp"] == "2" and told["CapEff"] == "0000000000000000"
        box.delete()


def test_nonsense_behind_a_greeting_harms_nobody(server, box):
    """What is not TLS after all, or only its beginning: the boundary goes on."""
    pid, = boundary_pids(server)
    program = ("import os, random, socket, ssl\n"
               "random.seed(7)\n"
               "for i in range(60):\n"
               "    out = ssl.MemoryBIO(); t = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname='api.test')\n"
               "    try: t.do_handshake()\n"
               "    except ssl.SSLWantReadError: pass\n"
               "    s = socket.create_connection(('api.test', 443)); s.sendall(out.read())\n"
               "    s.settimeout(5)\n"
               "    try:\n"
               "        s.sendall(bytes([random.choice([20, 21, 22, 23, 99]), 3, 3]) + random.randbytes(random.randrange(400)))\n"
               "        if i % 3: s.recv(10)\n"
               "    except OSError: pass\n"
               "    s.close()\n"
               "print('done')")
    assert box.output(f"python3 - <<'E' 2>&1 | tail -1\n{program}\nE", timeout_ms=60000) == "done\n"
    curl(box, '-H "Authorization: Bearer $API_TOKEN" https://api.test/')
    assert VALUE in server.outside.requests[-1][0] and boundary_pids(server) == [pid]


def test_many_at_once_and_programs_that_leave_halfway(server, box):
    program = ("import socket, ssl, os, threading\n"
               "def one(i):\n"
               "    s = ssl.create_default_context().wrap_socket(socket.create_connection(('api.test', 443)), server_hostname='api.test')\n"
               "    s.sendall(f'GET /{i} HTTP/1.1\\r\\nHost: api.test\\r\\n'.encode())\n"
               "    if i % 2: return\n"
               "    s.sendall(b'\\r\\n'); got.append(s.recv(12))\n"
               "got = []\n"
               "ts = [threading.Thread(target=one, args=(i,)) for i in range(60)]\n"
               "[t.start() for t in ts]; [t.join() for t in ts]; print(len(got), set(got))")
    assert box.output(f"python3 - <<'E' 2>&1\n{program}\nE", timeout_ms=60000) == "30 {b'HTTP/1.1 200'}\n"
    assert len(boundary_pids(server)) == 1
