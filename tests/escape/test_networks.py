# SPDX-License-Identifier: Apache-2.0
"""
The same attacks from sandboxes that have a device of their own, `bridge` of root's server and `pasta` of an ordinary
user's, in a network of the test's own; and those that only such a network makes possible. The bait (a port on every
address, an abstract socket) is in the network of the server.
"""
import contextlib
import socket
import subprocess
import sys
import threading

import pytest
from conftest import IS_ROOT, ORDINARY, ROOT, attacks, findings, reached

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from test_served import e2e  # noqa: E402

sys.modules["conftest"], kept = e2e, sys.modules["conftest"]
import outside  # noqa: E402
from test_pasta import TUN  # noqa: E402
sys.modules["conftest"] = kept

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="needs root, for networks of its own")
PUBLIC, HOST_LAN = "93.184.216.34", outside.HOST_LAN
# All there is, as far as a list can say it: what is closed all the same is closed by more than the list.
EVERYTHING = ["0.0.0.0/0:{}", "10.0.0.0/8:{}", "100.64.0.0/10:{}", "192.88.99.0/24:{}", "127.0.0.0/8:{}", "169.254.0.0/16:{}"]


class Bait:
    """In the server's network: who takes it got out."""

    def __init__(self, pid):
        self.taken, self.sockets, self.ready = [], [], threading.Event()
        threading.Thread(target=self.lay, args=(pid,), daemon=True).start()
        assert self.ready.wait(60)

    def lay(self, pid):
        outside.enter_network(pid)
        listener = socket.create_server(("0.0.0.0", 0))
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind("\0cay-escape")
        abstract.listen()
        self.sockets += [listener, abstract]
        self.port = listener.getsockname()[1]
        self.ready.set()
        while True:
            try:
                self.taken.append(listener.accept()[1])
            except OSError:
                return


@pytest.fixture(scope="module", params=["bridge", "pasta"])
def served(request):
    """(server, network, bait)"""
    more = {"prepare": TUN, "uid": ORDINARY} if request.param == "pasta" else {}
    with outside.server_behind([PUBLIC], **more) as server:
        outside.skip_without(request.param, server, uid=more.get("uid"))
        bait = Bait(server.process.pid)
        server.outside.listen(bait.port)
        yield server, request.param, bait
        for s in bait.sockets:
            s.close()


@pytest.fixture
def create(served, readable):
    server, network, bait = served
    with contextlib.ExitStack() as stack:
        def go(**wishes):
            made = server.create(network=network, allow=[rule.format(bait.port) for rule in EVERYTHING],
                                 mounts=[{"source": str(readable), "target": "/escape", "mode": "ro"}], **wishes)
            stack.callback(made.delete)
            return made
        yield go


@pytest.mark.parametrize("user", ["agent", "root"])
def test_no_attack_gets_out(served, create, oracles, user):
    server, network, bait = served
    if user == "root" and network == "pasta":
        user = "agent"  # a single id has no root of its own
    box = create(user=user)
    hints = {**oracles.hints(False), "ESCAPE_PORT": str(bait.port)}
    found = findings(box.action("exec", argv=["/escape/cay-canary"], env=hints, capture=True)["stdout"])
    assert len(found) == len(attacks())
    assert set(reached(found)) <= {"way-out"}  # there is one: with a fence around it
    assert bait.taken == []


def test_what_is_reached_is_outside_and_not_here(served, create):
    """The control: the same port is open on the other side, and the list lets it through."""
    server, network, bait = served
    box = create()
    ask = "import socket, sys\nfor h in sys.argv[2:]:\n    try: socket.create_connection((h, int(sys.argv[1])), 1); print(h)\n" \
          "    except OSError: pass"
    targets = [PUBLIC, outside.HOST, HOST_LAN, "127.0.0.1", "127.0.0.2", "0.0.0.0", "169.254.169.254"]
    out = box.action("exec", argv=["python3", "-c", ask, str(bait.port), *targets], capture=True)["stdout"]
    assert out.split() == [PUBLIC] and bait.taken == []
    here = subprocess.run(["nsenter", "-t", str(server.process.pid), "-n", "python3", "-c", ask, str(bait.port), HOST_LAN],
                          capture_output=True, text=True)
    assert here.stdout.split() == [HOST_LAN]
    bait.taken.clear()


@pytest.mark.parametrize("program", [
    "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)); s.bind(('eth0', 0)); s.send(bytes(60))",
    "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW); s.sendto(bytes(40), ('93.184.216.34', 0))",
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.IPPROTO_IP, 19, 1)",
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, 36, 7)",
    "s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); import struct; "
    "s.send(struct.pack('=IHHIIBxHiII', 32, 16, 5, 1, 0, 0, 0, 1, 0, 0)); r = s.recv(100); "
    "assert struct.unpack('=i', r[16:20])[0] == 0",
], ids=["ARP of another", "packets of one's own making", "IP_TRANSPARENT", "SO_MARK", "change a device"])
def test_nobody_is_who_he_is_not(create, program):
    box = create()
    result = box.action("exec", argv=["python3", "-c", f"import socket; {program}; print('done')"], capture=True)
    assert "done" not in result["stdout"] and result["exit_code"] != 0


def test_one_sandbox_finds_nothing_of_another(served, create):
    """Neither its address, though the list has it, nor a device, nor a neighbour."""
    server, network, bait = served
    one, two = create(), create()
    two.run(f"python3 -m http.server {bait.port} >/dev/null 2>&1 &")
    outside.wait_until(lambda: two.run(f"curl -s -o /dev/null http://127.0.0.1:{bait.port}/")["exit_code"] == 0)
    address = two.output("python3 -c \"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                         f"s.connect(('{PUBLIC}', 80)); print(s.getsockname()[0])\"").strip()
    out = one.output(f"curl -s -m 2 http://{address}:{bait.port}/ | head -c 20")
    assert "DOCTYPE" not in out
    assert one.output("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").split() in (["lo", "eth0"], ["eth0", "lo"])
    assert one.output(f"grep -c '{address} ' /proc/net/arp").strip() == "0" or network == "pasta"
