# SPDX-License-Identifier: Apache-2.0
"""Network `pasta`, of a server whose user is not root: what is allowed by address goes out, and nothing else."""
import os
import signal
import subprocess
import threading

import pytest
from outside import HOST, HOST_LAN, ORDINARY, TUN, enter_network, server_behind, skip_without
from processes import awaited, children
from waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network that a user's server is in")

PUBLIC, OTHER, PRIVATE, METADATA = "93.184.216.34", "93.184.216.35", "10.9.9.9", "169.254.169.254"
ALLOW = [PUBLIC, f"{OTHER}:7000", f"{PRIVATE}:7001"]


# The user has a name, and a range of ids, in the mount namespace of the server.
RANGE = "r=$(mktemp -d); for f in passwd group subuid subgid; do touch /etc/$f; cp /etc/$f $r/; done; " \
        f"echo user:x:{ORDINARY}:{ORDINARY}::/:/bin/sh >>$r/passwd; echo user:x:{ORDINARY}: >>$r/group; " \
        "echo user:200000:65536 | tee -a $r/subuid >>$r/subgid; " \
        "for f in passwd group subuid subgid; do mount --bind $r/$f /etc/$f; done; rm -r $r"


@pytest.fixture(scope="module")
def server():
    with server_behind([PUBLIC, OTHER, PRIVATE, METADATA], prepare=TUN, uid=ORDINARY) as started:
        skip_without("pasta", started, uid=ORDINARY)
        for port in (80, 443, 7000, 7001, 8080):
            started.outside.listen(port)
        yield started


@pytest.fixture(scope="module")
def box(server):
    made = server.create(network="pasta", allow=ALLOW)
    yield made
    made.delete()


def python(box, program):
    return box.output(f"python3 - <<'E' 2>&1 | tail -1\nimport socket\n{program}\nE")


def connect(box, host, port):
    return python(box, f"s = socket.socket(); s.settimeout(3)\ntry: s.connect(('{host}', {port})); print('reached')\n"
                       "except OSError as e: print(e)").strip()


def passts(server):
    return {pid for name in ("passt", "passt.avx2") for pid in children(server.process.pid, name)}


def closings(box):
    """Also of one that is gone."""
    return [e["data"] for e in box.server.request("GET", "/v1/events").json
            if e["sandbox"] == box.id and e["kind"] == "network" and e["data"]["decision"] == "closed"]


def test_an_allowed_address_is_reached(server, box):
    assert box.output(f"curl -sS --max-time 20 http://{PUBLIC}/ 2>&1") == f"reached {PUBLIC}\n"
    assert connect(box, OTHER, 7000) == "reached"
    assert connect(box, PRIVATE, 7001) == "reached"


@pytest.mark.parametrize("host, port", [
    (PUBLIC, 8080), (OTHER, 80), (PRIVATE, 80), (METADATA, 80), (HOST_LAN, 80), ("192.88.99.1", 80)])
def test_another_is_refused_at_once(server, box, host, port):
    before = len(server.outside.seen)
    assert connect(box, host, port) != "reached"
    assert len(server.outside.seen) == before


def test_each_decision_is_an_event(server):
    box = server.create(network="pasta", allow=ALLOW)
    assert connect(box, OTHER, 7000) == "reached"
    for host, port in ((PUBLIC, 8080), (METADATA, 80), (HOST_LAN, 80)):
        assert connect(box, host, port) != "reached"
    expected = {("allowed", OTHER, 7000), ("denied", PUBLIC, 8080), ("denied", METADATA, 80), ("denied", HOST_LAN, 80)}
    wait_until(lambda: expected == {tuple(e["data"][key] for key in ("decision", "address", "port"))
                                    for e in box.events() if e["kind"] == "network"})
    box.delete()


def test_the_hosts_loopback_is_not_there(server, box):
    """Not by the gateway's address, nor by any of pasta's usual doors, not when all of them are allowed."""
    import socket
    heard, listeners, done = [], [], threading.Event()

    def listen():
        enter_network(server.process.pid)
        listeners.append(socket.create_server(("127.0.0.1", 7000)))
        done.set()
        while True:
            try:
                heard.append(listeners[0].accept()[1])
            except OSError:
                return

    threading.Thread(target=listen, daemon=True).start()
    assert done.wait(PATIENCE)
    wide = server.create(network="pasta", allow=["0.0.0.0/0:7000", "10.0.0.0/8:7000", "192.88.99.0/24:7000",
                                                 "169.254.0.0/16:7000"])
    assert connect(wide, OTHER, 7000) == "reached"
    for address in ("192.88.99.1", HOST, HOST_LAN, "127.0.0.1", "169.254.2.2", "10.0.2.2"):
        connect(wide, address, 7000)
    assert heard == []
    wide.delete()
    listeners[0].close()


@pytest.mark.parametrize("program", [
    "socket.socket(socket.AF_INET6).connect(('2606:4700::1111', 80))",
    "socket.socket(socket.AF_INET6).connect(('::ffff:10.9.9.9', 80))",
    "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
    "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)",
    "open('/dev/net/tun', 'r+b')",
], ids=["IPv6", "mapped IPv4", "raw socket", "packet socket", "a device of one's own"])
def test_other_ways_are_closed(server, box, program):
    before = len(server.outside.seen)
    assert "done" not in python(box, f"{program}\nprint('done')")
    assert len(server.outside.seen) == before


def test_the_rules_are_nobodys_to_change(box):
    for command in ("nft flush ruleset", "ip link set eth0 down", "ip addr add 10.1.1.1/32 dev eth0",
                    "unshare -Urn true"):
        assert box.run(f"{command} 2>&1")["exit_code"] != 0
    assert connect(box, PRIVATE, 80) != "reached"


def test_nothing_comes_in(server, box):
    box.run("python3 -m http.server 7002 >/dev/null 2>&1 &")
    wait_until(lambda: box.run("curl -s -o /dev/null http://127.0.0.1:7002/")["exit_code"] == 0)
    done = subprocess.run(["nsenter", "-t", str(server.process.pid), "-n", "python3", "-c",
                           "import socket\nfor h in ('127.0.0.1', '192.88.99.2'):\n"
                           "    try: socket.create_connection((h, 7002), 1); print('reached')\n    except OSError: pass"],
                          capture_output=True, text=True)
    assert "reached" not in done.stdout


def test_its_process_ends_with_it(server):
    before = passts(server)
    made = server.create(network="pasta", allow=[PUBLIC])
    pid, = passts(server) - before
    with awaited(pid):
        made.delete()
    wait_until(lambda: pid not in passts(server), "it was not waited for")


def test_when_it_is_killed_the_network_is_closed_and_told_to_be(server):
    before = passts(server)
    made = server.create(network="pasta", allow=ALLOW)
    pid, = passts(server) - before
    with awaited(pid):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: closings(made), "nobody tells")
    assert connect(made, OTHER, 7000) != "reached"
    assert made.output("echo alive") == "alive\n"
    server.kill_server()
    server.wait_until_up()
    assert connect(made, PUBLIC, 80) != "reached"
    made.delete()
    assert "pasta has ended" in closings(made)[0]["reason"]


def test_one_that_ends_as_it_should_is_not_told_to_be_closed(server):
    made = server.create(network="pasta", allow=ALLOW)
    made.delete()
    assert closings(made) == []


@pytest.mark.usefixtures("server")
def test_an_agent_with_an_id_of_its_own_has_the_same_network():
    with server_behind([PUBLIC, OTHER], prepare=f"{TUN}; {RANGE}", uid=ORDINARY) as server:
        server.outside.listen(7000)
        box = server.create(network="pasta", allow=[f"{OTHER}:7000"], require=["own-uid"])
        assert connect(box, OTHER, 7000) == "reached"
        assert connect(box, PUBLIC, 7000) != "reached"
        wait_until(lambda: [e["data"]["decision"] for e in box.events() if e["kind"] == "network"] == ["allowed", "denied"])
        box.delete()


@pytest.mark.usefixtures("server")
def test_a_killed_supervisor_leaves_no_process():
    with server_behind([PUBLIC], prepare=TUN, uid=ORDINARY) as server:
        server.create(network="pasta", allow=[PUBLIC])
        pid, = passts(server)
        with awaited(pid):
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()


def test_a_host_that_cannot_says_what_would_help():
    with server_behind([PUBLIC], uid=ORDINARY) as server:
        reply = server.request("POST", "/v1/sandboxes", {"network": "pasta"})
        if reply.status == 201:
            pytest.skip("everybody may open /dev/net/tun here")
        assert reply.status == 501 and "sudo chmod 666 /dev/net/tun" in reply.json["error"]["message"]
        bridge = server.request("POST", "/v1/sandboxes", {"network": "bridge"})
        assert bridge.status == 501 and "needs root" in bridge.json["error"]["message"]
        server.create(network="loopback").delete()


@pytest.mark.usefixtures("server")
def test_pasta_says_why_it_cannot():
    """Without a way out of the host there is none to copy. What was begun is undone, and the next create works."""
    with server_behind([PUBLIC], prepare=f"{TUN}; ip route del default; ip link del wan", uid=ORDINARY) as server:
        reply = server.request("POST", "/v1/sandboxes", {"network": "pasta"})
        assert reply.status == 501 and reply.json["error"]["message"].startswith("pasta: ")
        wait_until(lambda: not passts(server), "it was not waited for")
        server.create(network="loopback").delete()
