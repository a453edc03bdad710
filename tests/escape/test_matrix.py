# SPDX-License-Identifier: Apache-2.0
"""
Every way in × every kind of server × every network: the same attacks, and none may get out of any.

The ways in: the start of a sandbox (`cay run`; also in test_escape.py), a program, a command of a shell session, a cell of a
kernel, a tool, and the file API, which is led astray by links. An ordinary user's server has one id. Where the user has a
range in /etc/subuid, and the set-uid program that gives it, each agent has an id of it, and nobody inside may take more.
"""
import concurrent.futures
import contextlib
import importlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest
from conftest import CANARY, IS_ROOT, ORDINARY, attacks, findings, in_sandbox, reached
from test_served import e2e


def load_outside():
    """tests/e2e/outside.py, which wants the conftest.py beside it."""
    ours = sys.modules["conftest"]
    sys.modules["conftest"] = e2e
    try:
        return importlib.import_module("outside")
    finally:
        sys.modules["conftest"] = ours


outside = load_outside()
wait_until = importlib.import_module("waiting").wait_until  # its folder is on the path now

NETWORKS = {"root": ["none", "loopback", "proxy", "bridge"], "ordinary user": ["none", "loopback", "proxy", "pasta"],
            "user with subuids": ["loopback", "proxy"]}
SERVERS = ["root", "ordinary user", "user with subuids"] if IS_ROOT else ["ordinary user"]
# What an attack finds there is the sandbox's own: a session's terminal, and the address in front of the proxy, by which
# every connection is caught (test_egress.py shows that none leaves).
ITS_OWN = {"session": {"host-terminal"}, "proxy": {"way-out"}, "bridge": {"way-out"}, "pasta": {"way-out"}}


TUN = "d=$(mktemp -d); mknod $d/tun c 10 200; chmod 666 $d/tun; mkdir -p /dev/net; touch /dev/net/tun 2>/dev/null || true; " \
      "mount --bind $d/tun /dev/net/tun; rm -r $d"


def with_subuids(uid, directory):
    """Words before a command of the user, who has a name and a range, in a mount namespace of the test's own."""
    for name, line in (("passwd", f"ordinary:x:{uid}:{uid}::/:/bin/sh"), ("group", f"ordinary:x:{uid}:"),
                       ("subuid", "ordinary:200000:65536"), ("subgid", "ordinary:200000:65536")):
        (directory / name).write_text(pathlib.Path(f"/etc/{name}").read_text() + line + "\n")
    mounts = " && ".join(f"mount --bind {directory}/{name} /etc/{name}" for name in ("passwd", "group", "subuid", "subgid"))
    return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh",
            "setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={uid},4"]


class Servers:
    """One of each kind, made when it is first wanted. What routes packets is in a network of its own, where the bait
    listens as well: nothing of this machine's network is changed for it."""

    def __init__(self, oracles):
        self.made, self.stack, self.oracles = {}, contextlib.ExitStack(), oracles

    def get(self, kind, network):
        key = kind, network if network in ("bridge", "pasta") else "plain"
        if key not in self.made:
            self.made[key] = self.make(kind, key[1])
        return self.made[key]

    def make(self, kind, network):
        uid = ORDINARY if IS_ROOT and kind != "root" else None
        if network != "plain" and IS_ROOT:
            prepare = TUN if network == "pasta" else "true"
            server = self.stack.enter_context(outside.server_behind([], prepare=prepare, uid=uid))
            port = self.oracles.listener.getsockname()[1]
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                self.stack.enter_context(pool.submit(self.bait, server.process.pid, port).result())
            return server
        server = e2e.start_server() if uid is None else self.start_as(uid, "subuids" in kind)
        self.stack.callback(e2e.end_server, server)
        return server

    @staticmethod
    def bait(pid, port):
        outside.enter_network(pid)
        return socket.create_server(("0.0.0.0", port))

    def start_as(self, uid, has_range):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-matrix-"))
        os.chown(directory, uid, uid)
        directory.chmod(0o755)
        ids = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={uid},4"]
        if has_range:
            (directory / "etc").mkdir()
            ids = with_subuids(uid, directory / "etc")
        return e2e.Server(directory, prefix=ids)


@pytest.fixture(scope="module")
def servers(oracles):
    found = Servers(oracles)
    with found.stack:
        yield found


@pytest.fixture(scope="module", params=[(server, network) for server in SERVERS for network in NETWORKS[server]],
                ids=lambda p: f"{p[0]}-{p[1]}".replace(" ", "-"))
def box(request, servers, readable):
    kind, network = request.param
    wish = {"network": network, "mounts": [{"source": str(readable), "target": "/escape", "mode": "ro"}]}
    if "subuids" in kind:  # with a mount it would have its user's id
        wish = {"network": network, "require": ["own-uid"]}
    server = servers.get(kind, network)
    reply = server.request("POST", "/v1/sandboxes", wish)
    if reply.status == 501:
        pytest.skip(f"no network {network} here: {reply.json['error']['message']}")
    assert reply.status == 201, reply.body
    made = e2e.Sandbox(server, reply.json)
    made.canary = "/escape/cay-canary"
    if "subuids" in kind:
        made.canary = "/workspace/cay-canary"
        assert made.put_file(made.canary, (readable / "cay-canary").read_bytes()).status == 200
        assert made.run(f"chmod +x {made.canary}")["exit_code"] == 0
    yield made
    made.delete()


def by_exec(box, hints):
    return box.action("exec", argv=[box.canary], env=hints, capture=True)["stdout"]


def by_session(box, hints):
    for name, value in hints.items():
        box.run(f"export {name}={value}")
    return box.output(f"{box.canary} </dev/null")


RUN_IT = """
import os, subprocess
def attack():
    return subprocess.run([%r], env={**os.environ, **%r}, capture_output=True, text=True).stdout
"""


def by_kernel(box, hints):
    result = box.action("cell", code=RUN_IT % (box.canary, hints) + "print(attack())", capture=True)
    return result["stdout"] if "stdout" in result else result["text"]


def by_tool(box, hints):
    box.put_file("/workspace/attacker.py", (RUN_IT % (box.canary, hints)).encode())
    box.action("tool_add", entrypoint="attacker.attack")
    return json.loads(box.action("tool_call", tool="attack", args=[], kwargs={})["output"])


WAYS = {"exec": by_exec, "session": by_session, "kernel": by_kernel, "tool": by_tool}


@pytest.mark.parametrize("way", WAYS)
def test_no_attack_gets_out(box, oracles, way):
    text = WAYS[way](box, oracles.hints(False))
    found = findings("\n".join(line for line in text.splitlines() if line.strip()))
    assert len(found) == len(attacks())
    network = box.record["spec"]["network"]
    assert set(reached(found)) <= ITS_OWN.get(way, set()) | ITS_OWN.get(network, set())


LED_ASTRAY = {
    "a link": f"ln -sfn {CANARY} /tmp/led",
    "a link to a directory": f"ln -sfn {CANARY.parent} /tmp/dir && ln -sfn dir/{CANARY.name} /tmp/led",
    "the root of pid 1": f"ln -sfn /proc/1/root{CANARY} /tmp/led",
    "its own root": f"ln -sfn /proc/self/root{CANARY} /tmp/led",
    "dots": f"ln -sfn ../../../../../../../../..{CANARY} /tmp/led",
    "a descriptor": "exec 7</ ; ln -sfn /proc/$$/fd/7/var/tmp/%s /tmp/led" % CANARY.name,
}


@pytest.mark.parametrize("how", LED_ASTRAY)
def test_the_file_api_is_not_led_out(box, oracles, how):
    """The host's file is where the path says; in the sandbox there is another, or none."""
    before = (CANARY.read_text(), os.stat(CANARY).st_mtime_ns)
    box.run(LED_ASTRAY[how])
    got = box.get_file("/tmp/led")
    assert b"the host's" not in got.body
    for action, params in (("read", {}), ("stat", {}), ("write", {"content": "led"}), ("append", {"content": "led"}),
                           ("edit", {"command": "view"}), ("grep", {"pattern": "host"}), ("remove", {})):
        reply = box.request("POST", f"/actions/{action}", {"path": "/tmp/led", **params})
        assert b"the host's" not in reply.body, action
    box.put_file("/tmp/led", b"led")
    box.request("POST", "/actions/move", {"path": "/tmp/led", "to": f"/tmp/led/../..{CANARY}"})
    assert (CANARY.read_text(), os.stat(CANARY).st_mtime_ns) == before


def test_the_host_can_read_what_the_file_api_must_not(oracles):
    """The control: the bait is there, and whoever follows the link on the host gets it."""
    assert shutil.which("cat") and CANARY.read_text() == "the host's\n"
    with tempfile.TemporaryDirectory() as directory:
        link = pathlib.Path(directory) / "led"
        link.symlink_to(CANARY)
        assert link.read_text() == "the host's\n"


@pytest.mark.parametrize("network", ["none", "loopback"])
@pytest.mark.parametrize("uid", [None, *([ORDINARY] if IS_ROOT else [])], ids=lambda u: "caller" if u is None else "ordinary")
def test_no_attack_gets_out_of_a_start(oracles, readable, network, uid):
    result = in_sandbox(oracles, readable / "cay", readable / "cay-canary", f"--network={network}", uid=uid)
    assert len(result) == len(attacks())
    assert reached(result) == {}


MAP_RANGE = """
import os, subprocess, time
ready, told = os.pipe()
child = os.fork()
if child == 0:
    try:
        os.unshare(os.CLONE_NEWUSER) if hasattr(os, "unshare") else __import__("ctypes").CDLL(None).unshare(0x10000000)
    finally:
        os.write(told, b"x")
        time.sleep(60)
os.read(ready, 1)
run = subprocess.run(["newuidmap", str(child), "0", "200000", "65536"], capture_output=True, text=True)
print("map:", *open(f"/proc/{child}/uid_map").read().split(), run.stderr.strip())
os.kill(child, 9)
"""


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to give a user a range of ids")
def test_a_range_of_ids_is_of_no_use_inside(servers, tmp_path):
    """On the host newuidmap gives the user its range; in a sandbox of the same user's there is no namespace to give it to."""
    there = [*with_subuids(ORDINARY, tmp_path), "/usr/bin/python3", "-c", MAP_RANGE]
    assert "map: 0 200000 65536" in subprocess.run(there, capture_output=True, text=True, cwd="/", timeout=60).stdout
    box = servers.get("user with subuids", "loopback").create()
    inside = box.action("exec", argv=["python3", "-c", MAP_RANGE], capture=True)["stdout"].split()
    its_own = box.output("cat /proc/self/uid_map").split()
    box.delete()
    assert its_own[:3] == ["0", str(ORDINARY), "1"] and its_own[3::2] == ["1000", "1"], its_own
    assert inside[:7] == ["map:", *its_own], inside


FILL_PIPES = """
import fcntl, os, sys, time
for _ in range(8):
    if os.fork() == 0:
        pipes = []
        try:
            while len(pipes) < 400:
                pipes.append(os.pipe())
        except OSError:
            pass
        print("full", flush=True)
        time.sleep(600)
os.wait()
"""
PIPE_SIZE = "import fcntl, os; print(fcntl.fcntl(os.pipe()[1], fcntl.F_GETPIPE_SZ))"


def pipe_size_of_the_user():
    """What the kernel gives a new pipe of the user's on the host: less, where pages for pipes are used up by that user."""
    as_user = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups", "/usr/bin/python3", "-c", PIPE_SIZE]
    return int(subprocess.run(as_user, capture_output=True, text=True, cwd="/", check=True, timeout=60).stdout)


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to give a user a range of ids")
@pytest.mark.parametrize("has_mount", [False, True], ids=["own uid", "the user's uid"])
def test_what_the_kernel_counts_by_user_is_each_agents_own(servers, readable, has_mount):
    """Pages of pipes are counted so, and watches of epoll, signals, descriptors under way: an agent uses up its own. The control
    is one whose mounts give it its user's id."""
    if not 0 < int(pathlib.Path("/proc/sys/fs/pipe-user-pages-soft").read_text()) < 40000:
        pytest.skip("fs.pipe-user-pages-soft is none, or beyond what the test takes")
    server = servers.get("user with subuids", "loopback")
    mounts = [{"source": str(readable), "target": "/mnt/r", "mode": "ro"}] if has_mount else []
    greedy, other = server.create(mounts=mounts), server.create()
    wait_until(lambda: pipe_size_of_the_user() == 65536)  # the tests before have their user's as well
    stream = server.events("POST", f"{greedy.path}/actions/exec", {"argv": ["python3", "-c", FILL_PIPES]})
    said = ""
    for _, _, data in stream:
        said += data.get("text", "")
        if said.count("full") == 8:
            break
    assert (pipe_size_of_the_user() < 65536) == has_mount
    assert int(other.output(f"python3 -c '{PIPE_SIZE}'")) == 65536
    stream.close()
    greedy.delete()
    other.delete()


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to give a user a range of ids")
def test_agents_have_ids_of_their_own_where_their_user_has_a_range(servers, tmp_path):
    server = servers.get("user with subuids", "loopback")
    boxes = [server.create() for _ in range(3)]
    uids = [os.stat(f"/proc/{box.get()['init_pid']}/root/workspace").st_uid for box in boxes]
    assert len({*uids, ORDINARY}) == 4 and all(200000 <= uid < 265536 for uid in uids)
    for box in boxes:
        assert "own-uid" in box.record["enforced"]["controls"]
        box.delete()


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to give a user a range of ids")
def test_files_of_a_mount_stay_their_users(servers):
    """Who is not root cannot show a file as another's: with mounts the agent has its user's id, and says so."""
    server = servers.get("user with subuids", "loopback")
    with tempfile.TemporaryDirectory(prefix="cay-mount-") as directory:
        os.chown(directory, ORDINARY, ORDINARY)
        box = server.create(mounts=[{"source": directory, "target": "/mnt/d", "mode": "rw"}])
        assert box.run("echo kept > /mnt/d/file")["exit_code"] == 0
        assert "own-uid" not in box.record["enforced"]["controls"]
        box.delete()
        made = pathlib.Path(directory) / "file"
        assert (made.read_text(), made.stat().st_uid) == ("kept\n", ORDINARY)
    refused = server.request("POST", "/v1/sandboxes", {"require": ["own-uid"], "user": "root"})
    assert refused.status == 501 and "own-uid" in refused.json["error"]["message"]
