# SPDX-License-Identifier: Apache-2.0
"""Attacks from within, with proof that each would work if nothing stood in its way.

cay-canary holds the attacks, each a small function that does no harm where it succeeds. Run in a sandbox none
may be REACHED; where that gains nothing, its table says so, and it is ALLOWED. Run on the bare host, or in a sandbox built without the one layer that stops it, it must be:
an attack that never works says nothing.
"""
import ctypes
import os
import pathlib
import subprocess
import time

import pytest
from conftest import ATTACKS, CAY, IS_ROOT, ORDINARY, attacks, in_sandbox, on_host, programs_without, reached

# Attacks that this machine cannot show to work, each with its reason.
UNPROVEN = {
    "climb-out": "no process has a root that can be climbed out of without chroot bugs",
    "groups": "depends on the groups of who runs the tests",
    "host-terminal": "the tests have no terminal",
}

# Attacks that some machines can show to work, and others cannot.
SOMETIMES = {
    "raise-rlimit": "needs CAP_SYS_RESOURCE, which even root may lack",
    "way-out": "needs a machine with a network",
}

LANDLOCK_CREATE_RULESET = 444


def landlock_abi():
    return ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)


def modes():
    yield pytest.param([], None, id="default")
    yield pytest.param(["--network=none"], None, id="no-network")
    if IS_ROOT:
        yield pytest.param([], ORDINARY, id="ordinary-user")
        yield pytest.param(["--network=none"], ORDINARY, id="ordinary-user-no-network")


@pytest.mark.parametrize("options, uid", modes())
def test_no_attack_gets_out(oracles, readable, options, uid):
    result = in_sandbox(oracles, readable / "cay", readable / "cay-canary", *options, uid=uid)
    assert len(result) == len(attacks())
    assert reached(result) == {}


@pytest.mark.parametrize("uid", [None, *([ORDINARY] if IS_ROOT else [])], ids=lambda u: f"uid-{u or os.geteuid()}")
def test_root_mode_gets_no_further_than_its_list(oracles, readable, uid):
    result = in_sandbox(oracles, readable / "cay", readable / "cay-canary", "--user=root", uid=uid)
    assert reached(result) == {}


@pytest.mark.parametrize("user", ["agent", "root"])
def test_nothing_set_uid_gets_into_a_writable_mount(oracles, readable, tmp_path, user):
    result = in_sandbox(oracles, readable / "cay", readable / "cay-canary", f"--user={user}",
                        f"--mount={tmp_path}:/shared:rw", "--env=ESCAPE_WRITABLE=/shared", names=["set-id"])
    assert result["set-id"][0] == "BLOCKED"
    assert os.listdir(tmp_path) == []


def test_host_network_reaches_ports_but_no_abstract_socket(oracles, readable):
    result = in_sandbox(oracles, readable / "cay", readable / "cay-canary", "--network=host",
                        names=["abstract-socket", "host-loopback", "low-port", "packet-socket", "raw-socket"])
    # Landlock has known abstract sockets since Linux 6.12; `cay doctor` says which it knows.
    assert set(reached(result)) == {"host-loopback", *([] if landlock_abi() >= 6 else ["abstract-socket"])}


@pytest.fixture(scope="session")
def bare(oracles):
    return on_host(oracles, ATTACKS)


@pytest.mark.skipif(not IS_ROOT, reason="only root can do on the bare host what the attacks try")
@pytest.mark.parametrize("attack", attacks(), ids=lambda a: a.name)
def test_attack_works_on_the_bare_host(bare, attack):
    outcome, why = bare[attack.name]
    if attack.name in UNPROVEN:
        assert outcome != "REACHED", "it can be shown now: take it off the list"
        return
    if outcome == "ABSENT":
        pytest.skip(f"this kernel or machine has no such thing: {why}")
    if attack.name in SOMETIMES and outcome != "REACHED":
        pytest.skip(f"{SOMETIMES[attack.name]}: {why}")
    assert outcome == "REACHED", why


def test_a_user_namespace_that_maps_host_root_lets_sysctls_be_written(oracles):
    """Without any capability: the kernel compares uids. So no sandbox maps host uid 0."""
    if not IS_ROOT:
        pytest.skip("needs root")
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "setpriv", "--no-new-privs",
               "--bounding-set=-all", "--inh-caps=-all", "--"]
    result = on_host(oracles, ATTACKS, *unshare, names=["core-pattern", "sysctls", "capabilities"])
    assert "core-pattern" in reached(result)


WEAKENED = {
    "seccomp": {a.name for a in attacks() if a.layer == "seccomp"},
    "caps": {"capabilities", "new-privileges"},
    "fds": {"inherited-fds"},
    "landlock": {"abstract-socket"},
    "namespaces": {"host-shm", "host-loopback", "host-name", "way-out"},
}


@pytest.mark.parametrize("layer", WEAKENED)
def test_without_its_layer_an_attack_gets_through(oracles, bare, layer):
    """The mutation check: each of these attacks is stopped by one layer, and by that alone."""
    options = ["--network=host"] if layer == "landlock" else []
    with programs_without(layer, "cay") as programs:
        result = in_sandbox(oracles, programs / "cay", ATTACKS, *options, names=sorted(WEAKENED[layer]))
    there = {name for name in WEAKENED[layer] if bare[name][0] == "REACHED"}
    assert there
    assert there <= set(reached(result)), {n: result[n] for n in there - set(reached(result))}


def traces():
    """Everything of the host that a sandbox could have left something in."""
    mounts = {("mount", line) for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()}
    groups = {("cgroup", d) for d, _, _ in os.walk("/sys/fs/cgroup") if "/cay/" in d}
    processes = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            processes.add(("process", pid, pathlib.Path(f"/proc/{pid}/comm").read_text().strip()))
        except OSError:
            pass
    return mounts | groups | {p for p in processes if p[2].startswith("cay-")}


def test_nothing_is_left_behind(oracles, readable):
    before = traces()
    in_sandbox(oracles, readable / "cay", readable / "cay-canary")
    end = time.monotonic() + 20
    while left := traces() - before:  # others on this machine may have sandboxes that come and go
        assert time.monotonic() < end, left
        time.sleep(0.02)


only_root = pytest.mark.skipif(not IS_ROOT, reason="an ordinary user's sandbox owns no copy of the system")


@only_root
@pytest.mark.parametrize("path", ["/usr/share/cay-escape", "/etc/cay-escape", "/var/tmp/cay-escape-file",
                                  "/tmp/cay-escape-file", "/cay-escape-file"])
def test_what_root_mode_writes_the_host_never_sees(path):
    subprocess.run([CAY, "run", "--user=root", "--", "/bin/sh", "-c", f"echo inside > {path} && cat {path}"],
                   check=True, capture_output=True)
    assert not pathlib.Path(path).exists()


@only_root
def test_what_root_mode_deletes_the_host_keeps():
    run = subprocess.run([CAY, "run", "--user=root", "--", "/bin/sh", "-c",
                          "rm /usr/bin/yes && ! test -e /usr/bin/yes"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert pathlib.Path("/usr/bin/yes").exists()
