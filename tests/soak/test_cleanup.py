# SPDX-License-Identifier: Apache-2.0
"""Many lives of sandboxes that do their worst, ended in every way: nothing of any is left."""
import os
import random
import signal
import subprocess
import time

import pytest
from conftest import SCALE, Census, e2e, named
from waiting import PATIENCE, wait_until

CYCLES = 34 * SCALE if SCALE > 1 else 12  # of each way: 10,000 lives with SCALE=100
SECONDS = float(os.environ.get("LIFE_SECONDS", "inf"))  # for each way, where there is not time for all

WORST = {
    "double fork": "(setsid sh -c 'sleep 1000 & sleep 1000' &) ; echo done",
    "nohup": "nohup sleep 1000 >/dev/null 2>&1 & disown; echo done",
    "fork bomb": "f() { f | f & }; f 2>/dev/null; sleep 0.05; echo done",
    "full disk": "cat /dev/zero > /tmp/full; echo done",
    "many files": "mkdir /tmp/m; for i in $(seq 2000); do : > /tmp/m/$i; done; echo done",
    "stopped": "sleep 1000 & kill -STOP $!; echo done",
    "deaf": "trap '' TERM INT HUP; sleep 1000 & echo done",
    "deep": "for i in $(seq 300); do mkdir d && cd d; done; echo done",
    "a server": "python3 -c 'import socket,time; s=socket.create_server((\"127.0.0.1\", 3000)); time.sleep(1000)' & echo done",
    "mounts": "mount -t tmpfs none /tmp; unshare -m true; echo done",
    "terminal gone": "exec 0<&- 1>&- 2>&-",
}


def end_it(server, box, way):
    """Ends a sandbox, politely or not. Returns when the server knows."""
    if way == "delete":
        box.delete()
        return
    pids = named(server, "cay-executor" if way == "kill the executor" else "cay-init")
    pid = next(p for p in pids if belongs_to(p, box))
    os.kill(pid, signal.SIGKILL)
    box.wait_for_state("ended")
    box.delete()


def belongs_to(pid, box):
    """By the group that it is in, which is named after the sandbox; by its namespaces where it is in none."""
    record = box.get()
    return any(record["id"] in line for line in open(f"/proc/{pid}/cgroup", encoding="ascii")) or \
        os.readlink(f"/proc/{pid}/ns/mnt") == box.mount_namespace


def mount_namespace(server, known):
    for pid in named(server, "cay-init"):
        link = os.readlink(f"/proc/{pid}/ns/mnt")
        if link not in known:
            return link
    return None


def settle(server, before, lives):
    """All that the lives had is gone; if not, says what is left."""
    end = time.monotonic() + PATIENCE
    while any(Census(server).grown(before).values()):
        after = Census(server)
        if not any(n > 0 for n in after.grown(before).values()):
            break
        assert time.monotonic() < end, (lives, {name: (getattr(before, name), getattr(after, name)) for name, n in
                                                after.grown(before).items() if n > 0})
        time.sleep(0.02)
    return Census(server)


@pytest.mark.parametrize("way", ["delete", "kill the executor", "kill pid 1"])
def test_lives_leave_nothing_behind(way):
    server = e2e.start_server("--pool", "0")
    try:
        before = Census(server)
        rng = random.Random(way)
        began = time.monotonic()
        lives = 0
        while lives < CYCLES and time.monotonic() - began < SECONDS:
            lives += 1
            known = {os.readlink(f"/proc/{pid}/ns/mnt") for pid in named(server, "cay-init")} \
                if way != "delete" else set()
            box = server.create(limits={"pids": 64, "disk_bytes": 8 << 20, "memory_bytes": 256 << 20, "cpu_milli": 1500})
            box.mount_namespace = mount_namespace(server, known) if way != "delete" else None
            name = rng.choice(sorted(WORST))
            reply = box.request("POST", "/actions/run", {"command": WORST[name], "timeout_ms": 2000})
            assert reply.status == 200, (name, reply.body)
            end_it(server, box, way)
        after = settle(server, before, lives)
        print(f"{way}: {lives} lives in {time.monotonic() - began:.0f} s; descriptors: {before.fds} {after.fds}")
        for program, fds in after.fds.items():
            assert fds == pytest.approx(before.fds[program], abs=3) if isinstance(fds, int) else \
                [pytest.approx(n, abs=3) for n in before.fds[program]] == fds, program
    finally:
        e2e.end_server(server)


@pytest.mark.parametrize("victim", ["cay-supervisor", "a builder"])
def test_a_killed_keeper_takes_everything_along(server, victim):
    boxes = [server.create() for _ in range(20 * min(SCALE, 50))]
    for box in boxes:
        box.run("(setsid sleep 1000 &); sleep 1000 &")
    if victim == "a builder":
        builders = named(server, "cay-builder")
        for pid in builders:
            os.kill(pid, signal.SIGKILL)
        assert server.create().output("echo alive") == "alive\n"
        assert boxes[0].output("echo alive") == "alive\n"
        return
    everything = set(Census(server).processes)
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in everything))
    gc = subprocess.run([e2e.PROGRAMS / "cay", "gc", "--dry-run"], capture_output=True, text=True)
    assert not any(box.id in gc.stdout for box in boxes)
