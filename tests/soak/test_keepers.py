# SPDX-License-Identifier: Apache-2.0
"""Two servers at once, and any keeper of either killed at any moment: others start while the remains are swept; nothing is left."""
import contextlib
import http.client
import os
import pathlib
import random
import signal
import subprocess

from conftest import SCALE, descendants, e2e
from waiting import wait_until

KILLS = 30 * SCALE
NETWORKS = [{"network": "none"}, {"network": "loopback", "limits": {"cpu_milli": 200}}, {"network": "proxy", "allow": ["192.0.2.1:443"]}]
KEEPERS = ["cay-supervisor", "cayd", "cay-builder", "cay-janitor", "cay-executor", "cay-init", "any"]


def began(pid):
    """When a process began; a number that is given again is another's. None: it has ended, though nobody waited for it."""
    with contextlib.suppress(OSError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else int(fields[19])
    return None


def groups_of(made):
    return [os.path.join(base, d) for base, dirs, _ in os.walk("/sys/fs/cgroup") for d in dirs if d.split(".")[0] in made]


def work(server, rng, made):
    """A sandbox with something in it that would like to stay; some are paused. Whatever fails: somebody was killed."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        reply = server.request("POST", "/v1/sandboxes", rng.choice(NETWORKS))
        if reply.status != 201:
            return
        box = f"/v1/sandboxes/{reply.json['id']}"
        made.add(reply.json["id"])
        server.request("POST", f"{box}/actions/run", {"command": "(setsid sleep 1000 &); sleep 1000 & echo x > f"})
        if rng.random() < 0.3:
            server.request("POST", f"{box}/pause", {})


def test_whoever_dies_first_nothing_is_left():
    rng = random.Random(SCALE)
    servers, made, seen = [], set(), set()
    devices = set(os.listdir("/sys/class/net"))
    try:
        for _ in range(KILLS):
            while len(servers) < 2:
                servers.append(e2e.start_server("--pool", str(rng.choice([0, 2]))))
            server = rng.choice(servers)
            work(server, rng, made)
            family = descendants(server.process.pid) | {server.process.pid: "cay-supervisor"}
            seen |= {(pid, began(pid)) for pid in family}
            kind = rng.choice(KEEPERS)
            victims = [pid for pid, name in family.items() if kind in (name, "any")]
            if victims:
                with contextlib.suppress(ProcessLookupError):
                    victim = rng.choice(victims)
                    os.kill(victim, signal.SIGKILL)
                    if victim == server.process.pid:
                        server.process.wait()
            if server.process.poll() is not None:
                servers.remove(server)
                e2e.end_server(server)
    finally:
        for server in servers:
            seen |= {(pid, began(pid)) for pid in descendants(server.process.pid)}
            e2e.end_server(server)
    assert len(made) > KILLS / 4  # they did get somewhere
    wait_until(lambda: not [pid for pid, when in seen if when and began(pid) == when], "processes are left")
    wait_until(lambda: not groups_of(made), "groups are left")
    assert set(os.listdir("/sys/class/net")) <= devices
    gc = subprocess.run([e2e.PROGRAMS / "cay", "gc", "--dry-run"], capture_output=True, text=True, check=False)
    assert not any(sandbox in gc.stdout for sandbox in made), gc.stdout
