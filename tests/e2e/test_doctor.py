# SPDX-License-Identifier: Apache-2.0
"""cay doctor and cay gc: what a host gives, and what was left lying around."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile

import pytest
from processes import awaited, children
from waiting import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
CAY = BUILD / "src" / "main" / "cay"
IS_ROOT = os.geteuid() == 0
ORDINARY = 61234
ESSENTIAL = {"user-ns", "mount-ns", "pid-ns", "net-ns", "ipc-ns", "uts-ns", "overlay", "proc-read-only", "seccomp",
             "no-new-privs", "capabilities", "disk", "rlimits"}


@pytest.fixture(scope="module")
def cay():
    """Copies that anybody may run."""
    with tempfile.TemporaryDirectory(prefix="cay-doctor-") as d:
        os.chmod(d, 0o755)
        for name in ("cay", "cay-init", "cay-canary"):
            copy = pathlib.Path(d) / name
            copy.write_bytes((BUILD / "src" / "main" / name).read_bytes())
            copy.chmod(0o755)
        yield pathlib.Path(d) / "cay"


def doctor(cay, *words, prefix=(), **kw):
    run = subprocess.run([*prefix, cay, "doctor", *words], capture_output=True, text=True, timeout=60, cwd="/", **kw)
    return run.returncode, run.stdout


def controls(out):
    return {c["control"]: c for c in json.loads(out)["controls"]}


def test_each_control_is_reported_once_with_what_would_lift_its_lack(cay):
    status, out = doctor(cay, "--json")
    report = json.loads(out)
    names = [c["control"] for c in report["controls"]]
    assert len(names) == len(set(names)) and ESSENTIAL <= set(names)
    assert {c["control"] for c in report["controls"] if c["essential"]} == ESSENTIAL
    for c in report["controls"]:
        assert c["enforced"] or (c["reason"] and c["remedy"])
    assert report["ok"] and status == 0 and report["create_us"] > 0


@pytest.mark.parametrize("uid", [None, *([ORDINARY] if IS_ROOT else [])], ids=lambda u: "self" if u is None else "ordinary-user")
def test_no_attack_from_within_gets_through(cay, uid):
    identity = {} if uid is None else {"user": uid, "group": uid, "extra_groups": [uid, 4]}
    status, out = doctor(cay, "--attack", "--json", **identity)
    attacks = json.loads(out)["attacks"]
    assert status == 0 and len(attacks) > 80
    assert {a["outcome"] for a in attacks} <= {"BLOCKED", "ALLOWED", "ABSENT"}
    assert sum(a["outcome"] == "BLOCKED" for a in attacks) > 75


def test_the_text_says_the_same_as_the_json(cay):
    _, text = doctor(cay)
    _, out = doctor(cay, "--json")
    for name, c in controls(out).items():
        line = next(line for line in text.splitlines() if line.split(" ")[0] == name)
        assert (" yes" in line) == c["enforced"]


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
def test_an_ordinary_user_is_told_what_only_root_gets(cay):
    status, out = doctor(cay, "--json", user=ORDINARY, group=ORDINARY, extra_groups=[])
    found = controls(out)
    assert status == 0
    remedies = [found[name]["remedy"] for name in ("uid-range", "own-uid")]
    assert not found["uid-range"]["enforced"] and not found["own-uid"]["enforced"]
    assert ("sudo" in remedies[0] and "--add-subuids" in remedies[1]) or all("--privileged" in r for r in remedies)  # in a container
    assert found["seccomp"]["enforced"] and found["user-ns"]["enforced"]


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
def test_a_refused_create_quotes_the_same_command(cay):
    who = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []}
    _, out = doctor(cay, "--json", **who)
    run = subprocess.run([cay, "run", "--require=uid-range", "--", "/bin/true"], capture_output=True, text=True,
                         cwd="/", **who)
    assert run.returncode == 125 and controls(out)["uid-range"]["remedy"] in run.stderr


# In a user namespace of our own, where the quota is 0: the host is not touched.
WITHOUT_QUOTA = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
ready, go = os.pipe(), os.pipe()
pid = os.fork()
if pid:
    os.read(ready[0], 1)
    for name in ("uid_map", "gid_map"):
        open(f"/proc/{pid}/{name}", "w").write("0 0 100000")
    os.write(go[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
assert libc.unshare(0x10000000) == 0
os.write(ready[1], b"x")
os.read(go[0], 1)
open("/proc/sys/user/max_user_namespaces", "w").write("0")
os.setgroups([])
os.setresgid(61234, 61234, 61234)
os.setresuid(61234, 61234, 61234)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.skipif(not IS_ROOT, reason="needs root to map somebody else")
def test_a_host_without_user_namespaces_is_told_which_setting_stands_in_the_way(cay):
    status, out = doctor(cay, "--json", prefix=["/usr/bin/python3", "-c", WITHOUT_QUOTA])
    report = json.loads(out)
    user_ns = controls(out)["user-ns"]
    assert status != 0 and not report["ok"] and report["reason"]
    assert not user_ns["enforced"] and user_ns["remedy"] == "sudo sysctl -w user.max_user_namespaces=65536"


def test_weak_settings_come_with_the_command_that_mends_them(cay):
    _, out = doctor(cay, "--json")
    for weak in json.loads(out)["weaknesses"]:
        path = pathlib.Path("/proc/sys") / weak["setting"].replace(".", "/")
        assert path.read_text().strip() == weak["value"]
        assert weak["setting"] in weak["remedy"] and weak["reason"]


@pytest.fixture
def alone(cay):
    """`cay` where the records of all others are out of sight: every janitor of the machine sweeps for all whose it finds."""
    hold = subprocess.Popen(["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /run && echo && exec sleep 1000"],
                            stdout=subprocess.PIPE, text=True)
    assert hold.stdout.readline() == "\n"
    yield ["nsenter", "--mount", f"--target={hold.pid}", cay]
    hold.kill()
    hold.wait()


def gc(cay, *words):
    run = subprocess.run([*cay, "gc", *words], capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.skipif(not IS_ROOT, reason="only root has cgroups to leave behind")
def test_what_a_killed_run_left_is_found_and_removed(alone):
    cay = alone
    run = subprocess.Popen([*cay, "run", "--", "/bin/sh", "-c", "echo up; exec sleep 1000"], stdout=subprocess.PIPE,
                           text=True)
    assert run.stdout.readline() == "up\n"
    assert gc(cay, "--dry-run") == "", "what lives is no garbage"
    janitor, = wait_until(lambda: children(run.pid, "cay-janitor"))  # it may just be going to be called so
    with awaited(*children(run.pid)):  # pid 1 does not outlive its owner
        os.kill(janitor, signal.SIGKILL)  # it would leave nothing to find
        run.send_signal(signal.SIGKILL)
        run.wait()
    found = gc(cay, "--dry-run")
    assert found
    assert gc(cay, "--dry-run") == found, "a dry run removes nothing"
    assert sorted(json.loads(gc(cay, "--dry-run", "--json"))) == sorted(found.splitlines())
    assert sorted(gc(cay).splitlines()) == sorted(found.splitlines())
    assert gc(cay, "--dry-run") == ""
