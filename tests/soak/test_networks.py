# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that reach something, and whatever keeps them killed while they are made, at work, and taken down: a network works or
is closed and told to be, nobody reaches what was never allowed, and nothing is left."""
import contextlib
import http.client
import os
import pathlib
import random
import signal
import subprocess
import threading

import pytest
from conftest import SCALE, descendants, e2e
from outside import ORDINARY, TUN, Outside, server_behind, skip_without
from test_keepers import began, groups_of
from waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for networks of its own")

KILLS = 5 * SCALE
PUBLIC, OTHER = "93.184.216.34", "93.184.216.35"
LIST = [f"{PUBLIC}:80", "0.0.0.0/0:7000"]  # the host listens on 7000
SWAP = {"network": "proxy", "allow": [f"{PUBLIC}:80"], "secrets": {"KEY": {"value": "a secret of ours", "hosts": ["http://api.test"]}}}
NETWORKS = {"bridge": [{"network": "bridge", "allow": LIST}, {"network": "bridge", "allow": LIST, "network_name": "team"}, SWAP],
            "pasta": [{"network": "pasta", "allow": LIST}, SWAP]}
REACH = f"curl -s --max-time 5 http://{PUBLIC}/"
TRY = f"for to in {OTHER}:80 {PUBLIC}:8080 192.88.99.2:7000 10.77.0.1:7000; do curl -s --max-time 1 http://$to/ & done; {REACH}; wait"
ACTIONS = [("run", {"command": TRY, "timeout_ms": 20000}), ("exec", {"argv": ["sh", "-c", TRY], "timeout_ms": 20000}),
           ("cell", {"code": "6 * 7"}), ("tool_add", {"entrypoint": "json.dumps", "replace": True}),
           ("tool_call", {"tool": "dumps", "args": [1], "timeout_ms": 5000})]
KEEPERS = ["cay-supervisor", "cayd", "cay-builder", "cay-janitor", "cay-executor", "cay-init", "cay-boundary", "passt", "python3"]


class Site:
    """A server in a network of its own, and who must never be reached there."""

    def __init__(self, kind):
        self.stack = contextlib.ExitStack()
        how = {"prepare": TUN, "uid": ORDINARY} if kind == "pasta" else {}
        self.server = self.stack.enter_context(server_behind([PUBLIC, OTHER], **how))
        self.host = Outside(self.server.process.pid)
        self.host.listen(7000)
        self.server.outside.listen(80)
        self.server.outside.listen(8080)

    def is_alive(self):
        return self.server.process.poll() is None

    def never(self):
        return self.host.seen + [to for to in self.server.outside.seen if to != (PUBLIC, 80)]

    def close(self):
        self.host.close()
        self.stack.close()


class Life(threading.Thread):
    """One sandbox from its creation to its end, while somebody is killed: any request may fail."""

    def __init__(self, site, rng):
        super().__init__(daemon=True)
        self.server, self.rng, self.id = site.server, rng, None
        self.start()

    def request(self, *words):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.server.request(*words, timeout=30)
        return None

    def run(self):
        reply = self.request("POST", "/v1/sandboxes", self.rng.choice(NETWORKS[self.rng.kind]))
        if not reply or reply.status != 201:
            return
        self.id = reply.json["id"]
        for name, params in self.rng.sample(ACTIONS, 3):
            self.request("POST", f"/v1/sandboxes/{self.id}/actions/{name}", params)
        if self.rng.random() < 0.5:
            self.request("DELETE", f"/v1/sandboxes/{self.id}")

    def check_network(self):
        """Of one that survived."""
        reply = self.id and self.request("GET", f"/v1/sandboxes/{self.id}")
        if not reply or reply.status != 200 or reply.json["state"] not in ("ready", "running"):
            return False
        said = self.request("POST", f"/v1/sandboxes/{self.id}/actions/exec", {"argv": ["sh", "-c", REACH]})
        if not said or said.status != 200 or said.json["exit_code"] is None:
            return False
        events = self.request("GET", f"/v1/sandboxes/{self.id}/events").json
        closed = [e for e in events if e["kind"] == "network" and e["data"]["decision"] == "closed"]
        assert "reached" in said.json["stdout"] or closed, (said.json, events[-3:])
        return True


def kill_one(site, rng, seen):
    family = descendants(site.server.process.pid) | {site.server.process.pid: "cay-supervisor"}
    seen |= {(pid, began(pid)) for pid in family}
    kind = rng.choice([*KEEPERS, "any"])
    victims = [pid for pid, name in family.items() if kind == "any" or name.startswith(kind)]
    with contextlib.suppress(ProcessLookupError, IndexError):
        victim = rng.choice(victims)
        os.kill(victim, signal.SIGKILL)
        if victim == site.server.process.pid:
            site.server.process.wait()


@pytest.mark.parametrize("kind", ["bridge", "pasta"])
def test_a_network_works_or_is_closed_whoever_is_killed(kind):
    rng = random.Random(f"{kind} {SCALE}")
    rng.kind = kind
    site, made, seen, survived = None, set(), set(), 0
    devices = set(os.listdir("/sys/class/net"))
    files = set(os.listdir("/tmp"))
    try:
        for _ in range(KILLS):
            if not site:
                site = Site(kind)
                skip_without(kind, site.server, uid=ORDINARY if kind == "pasta" else None)
            life = Life(site, rng)
            life.join(rng.random() ** 2 * 1.5)  # at any moment, and more often at the beginning
            kill_one(site, rng, seen)
            life.join(60)
            assert not life.is_alive(), "it is answered to nobody"
            if life.id:
                made.add(life.id)
            assert site.never() == []
            if site.is_alive():
                survived += life.check_network()
                seen |= {(pid, began(pid)) for pid in descendants(site.server.process.pid)}
            else:
                site.close()
                site = None
    finally:
        if site:
            seen |= {(pid, began(pid)) for pid in descendants(site.server.process.pid)}
            site.close()
    print(f"{kind}: {len(made)} sandboxes, {survived} outlived what kept them")
    assert len(made) > KILLS / 8  # they did get somewhere
    wait_until(lambda: not [pid for pid, when in seen if when and began(pid) == when], "processes are left")
    wait_until(lambda: not groups_of(made), "groups are left")
    assert set(os.listdir("/sys/class/net")) <= devices
    assert [name for name in set(os.listdir("/tmp")) - files if name.startswith("cay-pasta")] == []
    gc = subprocess.run([e2e.PROGRAMS / "cay", "gc", "--dry-run"], capture_output=True, text=True, check=False)
    assert not any(sandbox in gc.stdout for sandbox in made), gc.stdout
    assert not list(pathlib.Path("/run/cay/routers").glob("*")) or "network device" not in gc.stdout
