# SPDX-License-Identifier: Apache-2.0
"""Network `bridge`: what is allowed by address goes out, and nothing else; nothing of it stays."""
import json
import os
import signal
import socket
import subprocess
import threading

import pytest
from conftest import PROGRAMS
from outside import HOST, HOST_LAN, Outside, enter_network, server_behind, skip_without
from processes import awaited, children, descriptors, status
from waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as the network bridge does")

PUBLIC, OTHER, PRIVATE, METADATA = "93.184.216.34", "93.184.216.35", "10.9.9.9", "169.254.169.254"
ALLOW = [PUBLIC, f"{OTHER}:7000", f"{PRIVATE}:7001", "93.184.216.0/24:5353"]


@pytest.fixture(scope="module")
def server():
    with server_behind([PUBLIC, OTHER, PRIVATE, METADATA]) as started:
        skip_without("bridge", started)
        for port in (80, 443, 7000, 7001, 8080):
            started.outside.listen(port)
        yield started


@pytest.fixture
def box(server):
    made = server.create(network="bridge", allow=ALLOW)
    yield made
    if made.request("GET").status == 200:
        made.delete()


def get(box, url, *options):
    return box.output(f"curl -sS --max-time 20 {' '.join(options)} {url} 2>&1")


def python(box, program, **params):
    return box.output(f"python3 - <<'E' 2>&1 | tail -1\nimport socket\n{program}\nE", **params)


def connect(box, host, port):
    """"reached", or what the kernel says instead."""
    return python(box, f"s = socket.socket(); s.settimeout(3)\ntry: s.connect(('{host}', {port})); print('reached')\n"
                       "except OSError as e: print(e)").strip()


def decisions(box):
    """What its events say of its network: decision, address, port, protocol."""
    return {tuple(e["data"].get(key) for key in ("decision", "address", "port", "protocol"))
            for e in box.events() if e["kind"] == "network"}


def in_network(server, *words):
    """Of the host of the test: the server's namespace."""
    done = subprocess.run(["nsenter", "-t", str(server.process.pid), "-n", *words], capture_output=True, text=True)
    return done.stdout


def devices(server):
    return [link["ifname"] for link in json.loads(in_network(server, "ip", "-j", "link"))]


def test_an_allowed_address_is_reached(server, box):
    assert get(box, f"http://{PUBLIC}/") == f"reached {PUBLIC}\n"
    assert connect(box, OTHER, 7000) == "reached"
    assert connect(box, PRIVATE, 7001) == "reached"


@pytest.mark.parametrize("host, port", [
    (PUBLIC, 8080), (OTHER, 80), (PRIVATE, 80), (METADATA, 80), (HOST, 80), (HOST_LAN, 80), ("100.64.0.1", 80)])
def test_another_is_refused_at_once(server, box, host, port):
    before = len(server.outside.seen)
    assert connect(box, host, port) != "reached"
    assert len(server.outside.seen) == before


def test_the_host_is_not_reached_whatever_it_listens_on(server, box):
    """Not on its loopback, its own addresses, nor where the router is; not when all of it is allowed."""
    heard, listeners = [], []
    done = threading.Event()

    def listen():
        enter_network(server.process.pid)
        listener = socket.create_server(("0.0.0.0", 7000))
        listeners.append(listener)
        done.set()
        while True:
            try:
                heard.append(listener.accept()[1])
            except OSError:
                return

    threading.Thread(target=listen, daemon=True).start()
    assert done.wait(PATIENCE)
    wide = server.create(network="bridge", allow=["0.0.0.0/0:7000", f"{HOST_LAN}:7000", f"{HOST}:7000", "10.0.0.0/8:7000",
                                                  "100.64.0.0/10:7000", "127.0.0.0/8:7000"])
    gateway = wide.output("awk '$2 == \"00000000\" { print $3 }' /proc/net/route").strip()
    gateway = ".".join(str(int(gateway[i:i + 2], 16)) for i in (6, 4, 2, 0))
    assert connect(wide, OTHER, 7000) == "reached"
    for address in (HOST, HOST_LAN, gateway, "127.0.0.1", gateway.rsplit(".", 1)[0] + ".255"):
        assert connect(wide, address, 7000) != "reached"
    assert heard == []
    wide.delete()
    listeners[0].close()


def test_udp_passes_by_the_same_rules(server, box):
    def echo():
        enter_network(server.outside.pid)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((OTHER, 5353))
            ready.set()
            while True:
                data, who = s.recvfrom(100)
                heard.append(data)
                s.sendto(data, who)

    ready, heard = threading.Event(), []
    threading.Thread(target=echo, daemon=True).start()
    assert ready.wait(PATIENCE)
    ask = "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.connect(('{}', 5353)); s.send(b'{}')\n" \
          "try: print(s.recv(100))\nexcept OSError as e: print(type(e).__name__)"
    assert python(box, ask.format(OTHER, "allowed")) == "b'allowed'\n"
    assert python(box, ask.format(PRIVATE, "not")) != "b'not'\n"
    assert heard == [b"allowed"]


def test_each_decision_is_an_event_of_its_own_sandbox(server, box):
    other = server.create(network="bridge", allow=[])
    assert connect(box, OTHER, 7000) == "reached"
    assert connect(box, PUBLIC, 8080) != "reached"
    assert connect(box, METADATA, 80) != "reached"
    python(box, f"socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('{PRIVATE}', 53))")
    assert connect(other, PUBLIC, 443) != "reached"
    wait_until(lambda: {("allowed", OTHER, 7000, "tcp"), ("denied", PUBLIC, 8080, "tcp"), ("denied", METADATA, 80, "tcp"),
                        ("denied", PRIVATE, 53, "udp")} == decisions(box))
    wait_until(lambda: {("denied", PUBLIC, 443, "tcp")} == decisions(other))
    other.delete()


def test_decisions_are_told_to_the_next_server_as_well(server, box):
    assert connect(box, PUBLIC, 8080) != "reached"
    wait_until(lambda: {("denied", PUBLIC, 8080, "tcp")} == decisions(box))
    server.kill_server()
    server.wait_until_up()
    assert connect(box, PUBLIC, 8081) != "reached"
    wait_until(lambda: ("denied", PUBLIC, 8081, "tcp") in decisions(box))


def test_a_flood_of_refusals_is_told_in_part_and_delays_nobody(server, box):
    """Ten thousand packets: so many as the rules tell of become events, and others are served meanwhile."""
    other = server.create(network="bridge", allow=[])
    flood = box.events()[-1]["seq"] if box.events() else 0
    sent = python(box, "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nn = 0\nfor i in range(10000):\n"
                       f"    try: s.sendto(b'x', ('{PRIVATE}', 1 + i)); n += 1\n    except OSError: pass\nprint(n)")
    assert int(sent) > 5000
    assert other.output("echo served") == "served\n"
    told = [e for e in box.events() if e["seq"] > flood and e["kind"] == "network"]
    assert 10 < len(told) < 1000, len(told)
    assert decisions(other) == set()
    other.delete()


def test_one_sandbox_does_not_fill_the_hosts_table_of_connections(server, box):
    """What is sent from a port of its own each time is a connection for half a minute, here and in the host."""
    followed = "/proc/sys/net/netfilter/nf_conntrack_count"
    sent = python(box, f"n = 0\nfor i in range(7000):\n    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n"
                       f"        n += s.sendto(b'x', ('{OTHER}', 7000))\nprint(n)")
    assert int(sent) == 7000
    assert 2000 < int(in_network(server, "cat", followed)) < 5000
    other = server.create(network="bridge", allow=ALLOW)
    assert connect(other, PUBLIC, 80) == "reached"
    other.delete()


def test_names_are_not_asked_for_unless_a_name_server_is_allowed(server, box):
    assert "# no name server" in box.output("cat /etc/resolv.conf")
    assert "Could not resolve" in get(box, "http://secret.evil.test/")
    for resolver in ("8.8.8.8", PUBLIC, "127.0.0.53"):
        assert connect(box, resolver, 53) != "reached"
    named = server.create(network="bridge", allow=[f"{PUBLIC}:53"])
    assert named.output("cat /etc/resolv.conf") == f"nameserver {PUBLIC}\n"
    named.delete()


@pytest.mark.parametrize("program, words", [
    ("s = socket.socket(socket.AF_INET6); s.connect(('2606:4700::1111', 80))", "unreachable"),
    ("s = socket.socket(socket.AF_INET6); s.connect(('::ffff:10.9.9.9', 80))", "refused"),
    ("s = socket.socket(socket.AF_INET6); s.connect(('fe80::1%eth0', 80))", ""),
    ("socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)", "not permitted"),
    ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)", ""),
    ("socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).connect(('93.184.216.34', 80))", ""),
], ids=["IPv6", "mapped IPv4", "link-local", "raw socket", "packet socket", "SCTP"])
def test_other_ways_are_closed(server, box, program, words):
    before = len(server.outside.seen)
    said = python(box, f"{program}\nprint('reached')")
    assert "reached" not in said.replace("unreachable", "") and words in said
    assert len(server.outside.seen) == before


def test_nobody_speaks_with_an_address_of_another(server, box):
    """The kernel takes what is bound only if the address is its own; and the agent may not add one."""
    assert "Cannot assign" in python(box, f"s = socket.socket(); s.bind(('{PUBLIC}', 0))")
    assert box.run("ip addr add 100.64.7.7/32 dev eth0 2>&1")["exit_code"] != 0
    assert box.run("ip route add 10.0.0.0/8 dev eth0 2>&1")["exit_code"] != 0
    assert box.run("nft flush ruleset 2>&1")["exit_code"] != 0


def address_of(box):
    return box.output("python3 -c \"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                      f"s.connect(('{PUBLIC}', 80)); print(s.getsockname()[0])\"").strip()


def listen_in(box, port=7000):
    box.run(f"python3 -m http.server {port} >/dev/null 2>&1 &")
    wait_until(lambda: box.run(f"curl -s -o /dev/null http://127.0.0.1:{port}/")["exit_code"] == 0)


def test_sandboxes_reach_each_other_only_in_one_named_network(server):
    wide = ["0.0.0.0/0:7000", "100.64.0.0/10:7000"]
    one = server.create(network="bridge", network_name="team", allow=wide)
    two = server.create(network="bridge", network_name="team")
    other = server.create(network="bridge", network_name="others", allow=wide)
    alone = server.create(network="bridge", allow=wide)
    for made in (one, two):
        listen_in(made)
    assert connect(two, address_of(one), 7000) == connect(one, address_of(two), 7000) == "reached"
    for made in (other, alone):
        assert connect(made, address_of(one), 7000) != "reached"
        assert connect(one, address_of(made), 7000) != "reached"
    left = address_of(two)
    two.delete()
    assert connect(one, left, 7000) != "reached"
    for made in (one, other, alone):
        made.delete()


def test_nothing_comes_in_that_was_not_begun_inside(server, box):
    listen_in(box)
    address = address_of(box)
    program = (f"import socket; s = socket.socket(); s.settimeout(0.5); s.connect(('{address}', 7000)); print('reached')")
    assert "reached" not in in_network(server, "python3", "-c", program)


def test_the_sandbox_sees_its_own_devices_alone(box):
    links = box.output("ls /sys/class/net 2>/dev/null; cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '").split()
    assert sorted(links) == ["eth0", "lo"]
    assert box.output("cat /proc/net/if_inet6 2>/dev/null | grep -v ' lo$'") == ""


def test_nothing_is_left_of_a_sandbox(server):
    def count():
        own = os.readlink(f"/proc/{server.process.pid}/ns/net")
        router, = (fd for fd, to in descriptors(server.process.pid).items() if to.startswith("net:") and to != own)
        inside = subprocess.run(["nsenter", f"--net={router}", "sh", "-c", "nft list ruleset; ip -o link | cut -d@ -f1; ip route"],
                                capture_output=True, text=True, check=True).stdout
        return inside, in_network(server, "sh", "-c", "nft list ruleset | wc -l; ip -o link | wc -l; ls /run/cay/routers")
    first = server.create(network="bridge", allow=ALLOW)
    # The kernel removes devices of a namespace that is gone a moment later: also those of the tests before.
    wait_until(lambda: count()[0].count(": b") == 1)
    before = count()
    for _ in range(3):
        server.create(network="bridge", allow=ALLOW, network_name="gone").delete()
    wait_until(lambda: count() == before)
    first.delete()


def test_a_restarted_server_has_the_same_networks(server, box):
    server.kill_server()
    server.wait_until_up()
    assert get(box, f"http://{PUBLIC}/") == f"reached {PUBLIC}\n"
    assert connect(box, PRIVATE, 80) != "reached"
    box.delete()
    again = server.create(network="bridge", allow=ALLOW)
    assert get(again, f"http://{PUBLIC}/") == f"reached {PUBLIC}\n"
    again.delete()


@pytest.mark.usefixtures("server")
def test_whatever_is_killed_beside_the_supervisor_opens_nothing():
    """No process has to live for the rules: what was closed stays so, and what was open, too."""
    with server_behind([PUBLIC]) as server:
        server.outside.listen(80)
        of_the_host = Outside(server.process.pid)
        of_the_host.listen(7000)
        box = server.create(network="bridge", allow=[PUBLIC, "0.0.0.0/0:7000", f"{HOST}:7000"])
        rules = in_network(server, "nft", "list", "ruleset")
        assert "masquerade" in rules
        keepers = children(server.process.pid)
        victims = [pid for pid in keepers if status(pid).get("Name") not in ("cay-executor", "cay-init")]
        assert len(victims) > 3
        with awaited(*victims):
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
        assert in_network(server, "nft", "list", "ruleset") == rules
        server.wait_until_up()
        assert connect(box, HOST, 7000) != "reached" and of_the_host.seen == []
        assert get(box, f"http://{PUBLIC}/") == f"reached {PUBLIC}\n"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_when_the_supervisor_ends_its_devices_and_rules_do(how):
    """However it ends: the host's network is as it was. Seen from the server's network, which outlives it here."""
    with server_behind([PUBLIC]) as server:
        server.outside.listen(80)
        network = os.open(f"/proc/{server.process.pid}/ns/net", os.O_RDONLY)
        box = server.create(network="bridge", allow=[PUBLIC])
        assert get(box, f"http://{PUBLIC}/") == f"reached {PUBLIC}\n"

        def there(*words):
            return subprocess.run(["nsenter", f"--net=/proc/self/fd/{network}", *words], capture_output=True, text=True,
                                  pass_fds=[network]).stdout
        assert "cay" in there("ip", "-o", "link") and "cay" in there("nft", "list", "tables")
        server.process.send_signal(how)
        server.process.wait(PATIENCE)
        wait_until(lambda: "cay" not in there("ip", "-o", "link") and "cay" not in there("nft", "list", "tables"))
        assert there("ip", "-o", "route").count("100.") == 0
        os.close(network)
    report = subprocess.run([PROGRAMS / "cay", "gc", "--dry-run"], capture_output=True, text=True)
    assert "network device" not in report.stdout


@pytest.mark.parametrize("wish, words", [
    ({"allow": ["files.test"]}, "names are for the network 'proxy'"),
    ({"allow": ["[2606:4700::1111]:443"]}, "IPv6 is closed"),
    ({"allow": [METADATA]}, "cannot be allowed"),
    ({"allow": [f"10.0.0.{i}" for i in range(65)]}, "limit is 64"),
    ({"network_name": "Bad Name"}, "letters a to z"),
    ({"network": "loopback", "network_name": "team"}, "for the network 'bridge'"),
    ({"network": "pasta"}, "is for who is not root"),
])
def test_a_wish_that_cannot_be_had_is_refused(server, wish, words):
    reply = server.request("POST", "/v1/sandboxes", {"network": "bridge", **wish})
    assert reply.status >= 400 and words in reply.json["error"]["message"]


@pytest.mark.usefixtures("server")
def test_a_host_that_does_not_forward_says_how_it_would():
    with server_behind([PUBLIC], prepare="echo 0 > /proc/sys/net/ipv4/ip_forward") as server:
        reply = server.request("POST", "/v1/sandboxes", {"network": "bridge"})
        assert reply.status == 501 and "sudo sysctl -w net.ipv4.ip_forward=1" in reply.json["error"]["message"]
        assert not [d for d in devices(server) if d.startswith("cay")]
        server.create(network="loopback").delete()


def test_a_redirect_leads_to_nobody_else(server, box):
    for to in (f"{PRIVATE}/", f"{METADATA}/latest/", f"{HOST_LAN}/"):
        before = len(server.outside.seen)
        assert "connect" in get(box, f"http://{PUBLIC}/to/{to}", "-L").lower()
        assert len(server.outside.seen) == before + 1


def test_the_doctor_tries_it_and_undoes_it(server):
    before = in_network(server, "sh", "-c", "ip -o link; nft list ruleset")
    report = json.loads(in_network(server, PROGRAMS / "cay", "doctor", "--json"))
    assert report["networks"][0] == {"network": "bridge", "available": True}
    assert "for who is not root" in report["networks"][1]["reason"]
    assert in_network(server, "sh", "-c", "ip -o link; nft list ruleset") == before


def test_what_the_kernel_would_leave_is_found():
    """It does not; so something is left by hand, in networks and in a /run of the test's own."""
    script = ("mount -t tmpfs none /run && mkdir -p /run/cay/routers && ip link add cay12345678 type veth peer name other && "
              f"touch /run/cay/routers/cay12345678 && {PROGRAMS}/cay gc --dry-run && echo -- && {PROGRAMS}/cay gc && "
              f"echo -- && ip -o link && {PROGRAMS}/cay gc --dry-run && ls /run/cay/routers")
    run = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", script], capture_output=True, text=True)
    said, done, after = run.stdout.split("--\n")
    assert run.returncode == 0 and "network device cay12345678" in said and "network device cay12345678" in done
    assert "cay" not in after


def test_the_same_from_the_command_line(server):
    env = {**os.environ, "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token}
    cay = subprocess.run([PROGRAMS / "cay", "create", "--network", "bridge", "--allow", PUBLIC, "--network-name", "team",
                          "--name", "cli"], capture_output=True, text=True, env=env)
    assert cay.returncode == 0, cay.stderr
    spec = server.request("GET", "/v1/sandboxes/cli").json["spec"]
    assert (spec["network"], spec["allow"], spec["network_name"]) == ("bridge", [PUBLIC], "team")
    server.request("DELETE", "/v1/sandboxes/cli")
    run = subprocess.run([PROGRAMS / "cay", "run", "--network", "bridge", "true"], capture_output=True, text=True)
    assert run.returncode == 125 and "needs a server" in run.stderr


def test_two_that_have_chosen_the_same_port_are_not_in_each_others_way(server):
    """They leave by one address: what one has just ended is no connection of the other's."""
    program = (f"import time\nbegan = time.monotonic()\ns = socket.socket(); s.bind(('0.0.0.0', 40000)); s.connect(('{PUBLIC}', 80))\n"
               "s.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n')\nwhile s.recv(1000): pass\nprint(time.monotonic() - began)")
    for _ in range(4):
        made = server.create(network="bridge", allow=[PUBLIC])
        assert float(python(made, program)) < 0.9
        made.delete()


def test_many_come_and_go_at_once(server):
    made = []

    def make():
        made.append(server.create(network="bridge", allow=[PUBLIC]))
    threads = [threading.Thread(target=make) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(PATIENCE)
    assert len({address_of(box) for box in made}) == 12
    assert {get(box, f"http://{PUBLIC}/") for box in made} == {f"reached {PUBLIC}\n"}
    for box in made:
        box.delete()
