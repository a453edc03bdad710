# SPDX-License-Identifier: Apache-2.0
"""The same attacks from within a sandbox that a server made, as a program and from a shell session."""
import importlib.util
import os
import re
import subprocess
import sys
import time

import pytest
from conftest import IS_ROOT, ROOT, attacks, findings, programs_without, reached

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
loader = importlib.util.spec_from_file_location("e2e", ROOT / "tests" / "e2e" / "conftest.py")
e2e = importlib.util.module_from_spec(loader)
loader.loader.exec_module(e2e)


@pytest.fixture(scope="module")
def server():
    os.environ["ESCAPE_SECRET"] = "the server's"  # must not reach a sandbox
    started = e2e.start_server()
    del os.environ["ESCAPE_SECRET"]
    yield started
    e2e.end_server(started)


@pytest.fixture
def create(server, readable):
    made = []

    def go(**wishes):
        made.append(server.create(mounts=[{"source": str(readable), "target": "/escape", "mode": "ro"}], **wishes))
        return made[-1]

    yield go
    for box in made:
        if box.request("GET").status == 200:
            box.delete()


@pytest.mark.parametrize("user", ["agent", "root"])
def test_no_attack_gets_out_of_a_process(create, oracles, user):
    box = create(user=user)
    result = box.action("exec", argv=["/escape/cay-canary"], env=oracles.hints(False), capture=True)
    found = findings(result["stdout"])
    assert len(found) == len(attacks())
    assert reached(found) == {}


@pytest.mark.parametrize("user", ["agent", "root"])
def test_no_attack_gets_out_of_a_session(create, oracles, user):
    box = create(user=user)
    for name, value in oracles.hints(False).items():
        box.run(f"export {name}={value}")
    found = findings(box.output("/escape/cay-canary </dev/null"))
    assert len(found) == len(attacks())
    # A session has a terminal, and a descriptor of the shell's: both the sandbox's own.
    assert set(reached(found)) <= {"host-terminal"}


def test_what_serves_a_sandbox_is_not_seen_in_it(create):
    box = create()
    box.run("true")
    names = box.output("cat /proc/[0-9]*/comm").split()
    assert "cay-executor" not in names and "cayd" not in names
    assert set(names) <= {"cay-init", "bash", "cat"}


def test_killing_everything_does_not_reach_what_serves(create):
    box = create()
    box.run("kill -9 -1; kill -9 1; true")
    assert box.output("echo alive", session="another") == "alive\n"
    assert box.get()["state"] in ("ready", "running")


def test_one_session_may_signal_what_another_started(create):
    """All that an executor starts is in one Landlock domain: the scope is the sandbox, not the command."""
    box = create()
    pid = box.output("sleep 1000 & echo $!").split()[-1]
    assert box.run(f"kill {pid}", session="another")["exit_code"] == 0


def test_sandboxes_share_nothing(create):
    one, two = create(), create()
    one.run("echo secret > /tmp/secret; echo secret > /dev/shm/secret; ipcmk -M 64 >/dev/null 2>&1; true")
    assert two.output("cat /tmp/secret /dev/shm/secret 2>/dev/null; ipcs -m | grep -c 0x") == "0\n"
    if IS_ROOT:
        assert one.record["enforced"] and two.record["enforced"]


def test_a_fork_bomb_hits_its_limit_and_nobody_else(server, create):
    bomb, other = create(limits={"pids": 64}), create()
    bomb.action("exec", argv=["/bin/sh", "-c", "f() { f | f & }; f; sleep 1000"], detach=True)
    counted = bomb.action("exec", argv=["/bin/sh", "-c", "for i in $(seq 100); do sleep 1000 & done; wait"], capture=True)
    assert counted["exit_code"] not in (0, None) and "fork" in counted["stderr"].lower()
    for _ in range(20):
        assert other.output("echo fine") == "fine\n"
    began = time.monotonic()
    bomb.delete()
    assert time.monotonic() - began < 5


def test_filling_the_disk_ends_at_the_limit(create):
    box = create(limits={"disk_bytes": 8 << 20, "disk_inodes": 4096})
    out = box.output("dd if=/dev/zero of=/tmp/full bs=1M count=64 2>&1 | tail -1; ls -l /tmp/full; "
                     "rm /tmp/full; for i in $(seq 5000); do : > /tmp/f$i || break; done 2>&1 | tail -1")
    assert int(re.search(r"\s(\d{4,})\s", out)[1]) <= 8 << 20
    assert "No space left" in out or "Disk quota" in out


def test_too_much_memory_ends_the_process_and_not_the_host(create):
    if not IS_ROOT:
        pytest.skip("memory limits need a cgroup")
    box = create(limits={"memory_bytes": 64 << 20})
    result = box.action("exec", argv=["python3", "-c", "b = bytearray(512 << 20); print(len(b))"], capture=True)
    assert "536870912" not in result["stdout"]
    assert result["signal"] == "KILL" or result["exit_code"] != 0


HOLD = """
import socket, sys
server, held = socket.create_server(("127.0.0.1", 0)), []
total = 0
for _ in range(60):
    one = socket.create_connection(server.getsockname())
    held += [one, server.accept()[0]]
    one.setblocking(False)
    try:
        while True: total += one.send(bytes(1 << 16))
    except BlockingIOError: pass
print(total)
"""


def test_what_sockets_hold_counts_as_memory(create):
    """Nobody reads: all that was sent lies in the kernel."""
    box = create(limits={"memory_bytes": 64 << 20})
    if "memory" not in box.record["enforced"]["controls"]:
        pytest.skip("memory limits need a cgroup")
    box.put_file("hold.py", HOLD.encode())
    result = box.action("exec", argv=["python3", "hold.py"], capture=True)
    assert result["signal"] == "KILL" or int(result["stdout"]) < 64 << 20
    assert box.output("echo alive") == "alive\n"


def test_a_server_whose_sandboxes_do_not_hold_serves_nobody(tmp_path):
    with programs_without("seccomp", "cay-supervisor", "cay-executor") as programs:
        run = subprocess.run([programs / "cay-supervisor", "--state", tmp_path / "state", "--socket", "none",
                              "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
    assert run.returncode != 0
    assert "nobody is served: a sandbox does not hold here; an attack from within got through: " in run.stderr


GRAB = r"""
import os, time
got = set()
end = time.monotonic() + 20
open("/tmp/watching", "w").close()
while time.monotonic() < end and not os.path.exists("/tmp/enough"):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name = open(f"/proc/{pid}/comm").read().strip()
        except OSError:
            continue
        if name not in ("cay-worker", "cay-executor", "sleep"):  # the last one is the control: it is the agent's
            continue
        for what in ("fd", "fdinfo", "root", "cwd", "mem", "map_files", "task"):
            path = f"/proc/{pid}/{what}"
            try:
                names = os.listdir(path) if what != "mem" else [open(path, "rb").read(1)]
            except OSError:
                continue
            if what != "task":
                got.add(name)
print(sorted(got))
"""


def test_what_takes_a_snapshot_lends_its_descriptors_to_nobody(create):
    """The worker that reads the upper layers has the agent's uid and pid namespace, and the agent is not at rest here."""
    box = create()
    box.run("sleep 1000 &")
    box.run("head -c 100000000 /dev/zero > big")
    box.put_file("/tmp/grab.py", GRAB.encode())
    box.run("python3 /tmp/grab.py > /tmp/grabbed & until [ -e /tmp/watching ]; do :; done")
    for _ in range(3):
        assert box.request("POST", "/snapshot", {"live": True}).status == 201
    box.run("touch /tmp/enough; while pgrep python3; do :; done")
    assert box.output("cat /tmp/grabbed", session="another") == "['sleep']\n"
