# SPDX-License-Identifier: Apache-2.0
"""Network `proxy`: what is allowed goes out, and nothing else, whatever a program does about it.

The server lives in a network namespace of its own, where addresses of the internet are its loopback's.
"""
import contextlib
import os
import pathlib
import re
import subprocess
import threading
import time

import processes
import pytest
from outside import server_outside

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network namespace of the server's")

PUBLIC, OTHER, PRIVATE, METADATA = "93.184.216.34", "93.184.216.35", "10.9.9.9", "169.254.169.254"
HOSTS = f"""{PUBLIC} files.test a.below.test both.test
{OTHER} other.test
{PRIVATE} private.test
{METADATA} metadata.test
::ffff:{PRIVATE} mapped.test
"""
ALLOW = ["files.test", "*.below.test", "other.test:7000", "private.test", "metadata.test", "mapped.test",
         "unknown.test", f"{PRIVATE}:7001"]


@pytest.fixture(scope="module")
def server():
    with server_outside(HOSTS, [PUBLIC, OTHER, PRIVATE, METADATA]) as started:
        for port in (80, 443, 7000, 7001):
            started.outside.listen(port)
        yield started


@pytest.fixture
def box(server):
    made = server.create(network="proxy", allow=ALLOW)
    yield made
    made.delete()


def get(box, url, *options):
    words = " ".join(f"'{o}'" for o in options)
    return box.output(f"curl -sS --max-time 10 {words} {url}")


def decisions(box, decision=None):
    found = [e["data"] for e in box.events() if e["kind"] == "network"]
    return [d for d in found if decision in (None, d["decision"])]


def tcp(box, host, port, data="ping"):
    program = (f"import socket; s = socket.create_connection(('{host}', {port}), timeout=10); "
               f"s.sendall(b'{data}'); s.shutdown(socket.SHUT_WR); print(s.recv(100))")
    return box.output(f'python3 -c "{program}" 2>&1 | tail -1')


def test_an_allowed_name_is_reached_by_a_program_that_knows_of_no_proxy(box):
    assert get(box, "http://files.test/") == f"reached {PUBLIC}\n"
    assert get(box, "http://a.below.test/") == f"reached {PUBLIC}\n"
    assert decisions(box) == [
        {"decision": "allowed", "name": name, "address": PUBLIC, "port": 80} for name in ("files.test", "a.below.test")]


def test_any_protocol_goes_over_an_allowed_port(box):
    assert tcp(box, "other.test", 7000) == "b'ping'\n"
    assert tcp(box, PRIVATE, 7001) == "b'ping'\n"


@pytest.mark.parametrize("url, options, words", [
    ("http://evil.test/", [], "Could not resolve host"),
    ("http://below.test/", [], "Could not resolve host"),
    ("http://other.test/", [], "the name is not allowed on this port"),
    (f"http://{PUBLIC}/", [], "the address is not allowed"),
    (f"http://{PUBLIC}/", ["-HHost: evil.test"], "the address is not allowed"),
    ("http://files.test/", ["-HHost: other.test"], "begun to files.test and asks for other.test"),
    ("http://private.test/", [], "private address"),
    ("http://mapped.test/", [], "private address"),
    ("http://metadata.test/", [], "metadata service"),
    (f"http://{METADATA}/latest/meta-data/", [], "the address is not allowed"),
    ("http://unknown.test/", [], "name resolution"),
    ("http://files.test:8080/", [], "connect to files.test port 8080"),
    ("http://[2606:4700::1111]/", [], "connect to 2606:4700::1111"),
    (f"http://[::ffff:{PUBLIC}]/", [], "the address is not allowed"),
    ("https://files.test/", ["--connect-to", "files.test:443:a.below.test:443"], "access denied"),
    (f"https://{PUBLIC}/", ["-k"], "access denied"),
])
def test_what_is_not_allowed_is_told_why_and_reaches_nobody(server, box, url, options, words):
    before = len(server.outside.seen)
    assert words in get(box, url, *options).replace("\n", " ")
    assert len(server.outside.seen) == before
    assert decisions(box, "allowed") == []


def test_a_program_that_resolved_the_name_itself_is_let_out_by_the_name(box):
    assert get(box, f"http://{OTHER}/", "-HHost: files.test") == f"reached {PUBLIC}\n"


@pytest.mark.parametrize("to, words", [
    (f"{PRIVATE}/", "the address is not allowed"),
    (f"{METADATA}/latest/", "the address is not allowed"), ("private.test/", "private address"),
    ("evil.test/", "Could not resolve"), ("127.0.0.1/", "the address is not allowed")])
def test_a_redirect_leads_nowhere_else(server, box, to, words):
    """Who follows it is a program of the sandbox, and is asked again."""
    before = len(server.outside.seen)
    out = get(box, f"http://files.test/to/{to}", "-L", "--max-redirs", "3")
    assert words in out.replace("\n", " ")
    assert len(server.outside.seen) == before + 1


def test_a_name_that_leads_elsewhere_tomorrow_is_looked_at_again(server, box):
    """DNS rebinding: the address that is connected to is the one that was checked, each time."""
    kept = server.hosts.read_text()
    assert get(box, "http://files.test/") == f"reached {PUBLIC}\n"
    try:
        for address, words in ((PRIVATE, "private address"), (METADATA, "metadata service"), ("127.0.0.1", "private address"),
                               ("0.0.0.0", "private address")):
            server.hosts.write_text(f"{address} files.test\n")
            before = len(server.outside.seen)
            assert words in get(box, "http://files.test/")
            assert len(server.outside.seen) == before
        server.hosts.write_text(f"{PRIVATE} files.test\n{PUBLIC} files.test\n")
        assert get(box, "http://files.test/") == f"reached {PUBLIC}\n"
    finally:
        server.hosts.write_text(kept)


@pytest.mark.parametrize("variables", ["", "http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9"])
def test_programs_that_ignore_proxy_variables_and_those_that_heed_them_are_decided_alike(server, box, variables):
    """There is no proxy to be told of: a variable can only keep a program from getting out."""
    program = ("import socket; s = socket.create_connection(('files.test', 80), 5); "
               "s.sendall(b'GET / HTTP/1.1\\r\\nHost: files.test\\r\\n\\r\\n'); print(s.recv(100)[:15])")
    assert box.output(f'{variables} python3 -c "{program}"') == "b'HTTP/1.1 200 OK'\n"
    evil = program.replace("files.test", "evil.test")
    assert "gaierror" in box.output(f'{variables} python3 -c "{evil}" 2>&1 | tail -1')


def test_every_refusal_is_an_event(box):
    get(box, "http://evil.test/")
    get(box, f"http://{PUBLIC}/")
    get(box, "http://private.test/")
    assert [(d.get("name"), d.get("address")) for d in decisions(box, "denied")] == [
        ("evil.test", None), (None, PUBLIC), ("private.test", None)]


@pytest.mark.parametrize("resolver", ["8.8.8.8", "127.0.0.1", PRIVATE])
def test_questions_for_names_never_leave(box, resolver):
    """Not even to a resolver of the program's choice: nothing can be told in a name."""
    program = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5); "
        "q = b'\\x00\\x07\\x01\\x00\\x00\\x01' + bytes(6) + b'\\x06secret\\x04evil\\x04test' + b'\\x00\\x00\\x10\\x00\\x01'; "
        f"s.connect(('{resolver}', 53)); s.send(q); print(s.recv(512)[3] & 15)")
    assert box.output(f'python3 -c "{program}"') == "3\n"  # there is no such name
    assert decisions(box) == [{"decision": "denied", "name": "secret.evil.test", "reason": "the name is not allowed"}]


@pytest.mark.parametrize("program", [
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('93.184.216.34', 443)); s.send(b'x'); s.send(b'x')",
    "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
    "socket.create_connection(('93.184.216.34', 22), timeout=5)",
    "s = socket.socket(); s.bind(('0.0.0.0', 443))",
    "s = socket.socket(); s.bind(('93.184.216.34', 443))",
], ids=["quic", "raw socket", "another port", "our port", "our port on one address"])
def test_other_ways_are_closed_at_once(box, program):
    assert box.run(f'python3 -c "import socket; {program}" 2>/dev/null')["exit_code"] == 1


def test_its_own_servers_are_its_own(box):
    box.run("python3 -m http.server 3000 --bind 127.0.0.1 >/dev/null 2>&1 &")
    out = box.output("for i in 1 2 3 4 5 6 7 8 9; do curl -s -o /dev/null -w '%{http_code}\\n' "
                     "http://127.0.0.1:3000/ && break; sleep 0.2; done")
    assert out.split()[-1] == "200"


def test_much_goes_both_ways(box):
    program = ("import socket, threading; s = socket.create_connection(('other.test', 7000)); n = 32 << 20; "
               "threading.Thread(target=lambda: (s.sendall(bytes(n)), s.shutdown(1))).start(); got = 0\n"
               "while d := s.recv(1 << 20): got += len(d)\nprint(got == n)")
    assert box.run(f"python3 - <<'E'\n{program}\nE", timeout_ms=60000)["output"] == "True\n"


def test_many_connections_at_once(box):
    program = ("import socket\nss = [socket.create_connection(('other.test', 7000)) for _ in range(100)]\n"
               "for i, s in enumerate(ss): s.sendall(str(i).encode())\n"
               "print(all(s.recv(10) == str(i).encode() for i, s in enumerate(ss)))")
    assert box.output(f"python3 - <<'E'\n{program}\nE") == "True\n"


def test_a_restarted_server_decides_as_before(server, box):
    assert get(box, "http://files.test/") == f"reached {PUBLIC}\n"
    server.kill_server()
    server.wait_until_up()
    assert get(box, "http://files.test/") == f"reached {PUBLIC}\n"
    assert "Could not resolve" in get(box, "http://evil.test/")


@pytest.mark.parametrize("wish, words", [
    ({"network": "proxy", "allow": ["localhost"]}, "without a dot"),
    ({"network": "proxy", "allow": ["10.0.0.0/40"]}, "allow: '10.0.0.0/40'"),
    ({"network": "proxy", "allow": [METADATA]}, "cannot be allowed"),
    ({"allow": ["files.test"]}, "'allow' is for the network 'proxy'"),
])
def test_a_rule_that_is_none_is_refused(server, wish, words):
    reply = server.request("POST", "/v1/sandboxes", wish)
    assert reply.status in (400, 403) and words in reply.json["error"]["message"]


def test_nothing_is_allowed_unless_it_is_named(server):
    box = server.create(network="proxy")
    assert "Could not resolve" in get(box, "http://files.test/")
    box.delete()


def test_the_same_from_the_command_line(server):
    cay = subprocess.run([server_program(), "create", "--network", "proxy", "--allow", "files.test", "--name", "cli"],
                         capture_output=True, text=True, env={**os.environ, "CAY_URL": f"unix:{server.socket}",
                                                              "CAY_TOKEN": server.token})
    assert cay.returncode == 0, cay.stderr
    record = server.request("GET", "/v1/sandboxes/cli").json
    assert (record["spec"]["network"], record["spec"]["allow"]) == ("proxy", ["files.test"])
    server.request("DELETE", "/v1/sandboxes/cli")
    run = subprocess.run([server_program(), "run", "--network", "proxy", "true"], capture_output=True, text=True)
    assert run.returncode == 125 and "needs a server" in run.stderr


def server_program():
    return pathlib.Path(os.environ.get("BUILD", pathlib.Path(__file__).parents[2] / "build")) / "src/main/cay"


SILENT = "127.0.0.1"  # whom the C library asks where it is told of nobody
ASK = """
import socket, threading, time
def ask(i):
    s = socket.create_connection((f"n{i}.below.test", 80))
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: n%d.below.test\\r\\n\\r\\n" % i)
    s.recv(1)
for i in range(100):
    threading.Thread(target=ask, args=(i,), daemon=True).start()
time.sleep(60)
"""


def test_names_that_are_never_answered_keep_nobody_elses_waiting():
    """A name server of one's own may be silent, and names below one's own are as many as one likes."""
    with server_outside(HOSTS, [PUBLIC], name_server=SILENT) as server:
        server.outside.listen(80)
        asked = server.outside.swallow(SILENT, 53)
        greedy, other = (server.create(network="proxy", allow=["*.below.test", "files.test"]) for _ in range(2))
        greedy.action("exec", argv=["python3", "-c", ASK], detach=True)
        for _ in range(4):  # so many wait in threads, if they may
            if not asked.acquire(timeout=1):
                break
        began = time.monotonic()
        assert get(other, "http://files.test/") == f"reached {PUBLIC}\n"
        assert time.monotonic() - began < 9  # the resolver gives up after ten


FLOOD = """
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(5000):
    name = b"n%d" % i
    s.sendto(struct.pack(">HHHHHH", i, 256, 1, 0, 0, 0) + bytes([len(name)]) + name + b"\\4evil\\0" + struct.pack(">HH", 1, 1),
             ("127.0.0.1", 53))
    s.recv(600)
"""


def test_a_flood_of_questions_does_not_fill_the_log(box):
    """The log of all sandboxes is one, and the oldest events go first."""
    assert box.action("exec", argv=["python3", "-c", FLOOD], capture=True)["stderr"] == ""
    told = decisions(box)
    assert 100 < len(told) < 900
    assert told[-1]["decision"] == "unknown" or {"decision": "unknown", "reason": "more was decided than could be told"} in told


PUMP = """
import socket, time
keep = []
for i in range(20):
    keep.append(socket.create_connection(("other.test", 7000)))
    keep[-1].setblocking(False)
end = time.monotonic() + 2
while time.monotonic() < end:
    for s in keep:
        try: s.send(bytes(65536))
        except BlockingIOError: time.sleep(0.001)
print("pumped", flush=True)
time.sleep(60)
"""


def test_who_sends_to_somebody_who_does_not_read_has_little_kept_for_it():
    """By the kernel, for the executor and the server: it is counted for them, and not for the sandbox."""
    with server_outside(HOSTS, [OTHER]) as server:
        done = threading.Event()
        server.outside.listen(7000, serve=lambda connection: done.wait(60))
        box = server.create(network="proxy", allow=ALLOW)
        with contextlib.closing(server.events("POST", f"{box.path}/actions/exec", {"argv": ["python3", "-c", PUMP]})) as out:
            assert any("pumped" in event.get("text", "") for kind, _, event in out if kind == "data")
            executor, = processes.children(server.process.pid, "cay-executor")
            caught = sockets_of(executor, "sport = :7000")
            sent = sockets_of(server.process.pid, "dport = :7000")
        done.set()
    assert len(caught) >= 20 and max(s["r"] for s in caught) < 1 << 20
    assert len(sent) >= 20 and sum(s["w"] for s in sent) < 20 << 20


def sockets_of(pid, which):
    """What the kernel holds for each, in the network of that process: r received, w to be sent."""
    told = subprocess.run(["nsenter", "-t", str(pid), "-n", "ss", "-Htmn", "state", "established", which],
                          capture_output=True, text=True, check=True).stdout
    return [{"r": int(r), "w": int(w)} for r, w in re.findall(r"skmem:\(r(\d+),.*?w(\d+),", told)]


@pytest.mark.parametrize("verb", ["", "/stop"])
def test_one_that_ends_with_its_sandbox_is_nothing_to_be_warned_of(server, verb):
    box = server.create(network="proxy", allow=ALLOW)
    assert get(box, "http://files.test/").strip()
    if verb:
        assert box.request("POST", verb).status == 200
    box.delete()
    assert f"egress.ended id={box.id}" not in server.log_text()
    assert not [d for d in server.request("GET", f"/v1/events?sandbox={box.id}").json if d.get("data", {}).get("decision") == "closed"]
