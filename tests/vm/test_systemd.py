# SPDX-License-Identifier: Apache-2.0
"""cay as it is installed, under systemd as process 1, where cgroup v2 is the only hierarchy. Run in the guest of `tools/vm --systemd`."""
import json
import os
import pathlib
import pwd
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from processes import awaited, children, status  # noqa: E402
from waiting import wait_until  # noqa: E402

GROUPS = pathlib.Path("/sys/fs/cgroup")
USER = pwd.getpwnam("tester")
GREEDY = ["python3", "-c", "x = bytearray(400 << 20); print(len(x))"]


def run(*words, check=True, **more):
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, **more)
    assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
    return done


class Service:
    """The unit, of the machine or of one user, and the command line beside it."""

    def __init__(self, *scope, uid=None):
        self.scope, self.more = scope, {}
        if uid is not None:
            self.more = {"user": uid, "group": uid, "extra_groups": [], "env": {
                "PATH": os.environ["PATH"], "HOME": USER.pw_dir, "XDG_RUNTIME_DIR": f"/run/user/{uid}"}}

    def systemctl(self, *words, check=True):
        return run("systemctl", *self.scope, *words, check=check, **self.more)

    def show(self, name):
        return self.systemctl("show", "--value", "-p", name, "cay").stdout.strip()

    @property
    def pid(self):
        return int(self.show("MainPID"))

    @property
    def group(self):
        return GROUPS / self.show("ControlGroup").lstrip("/")

    def cay(self, *words, check=True):
        return run("/usr/local/bin/cay", *words, check=check, cwd="/", **self.more)

    def journal(self, *words):
        return run("journalctl", "-o", "cat", *("--user-unit" if self.scope else "-u",), "cay", *words).stdout

    def group_of(self, box):
        """Of its process 1: one that was kept ready was made under another id."""
        record, = (record for record in json.loads(self.cay("ls", "--json").stdout) if record["id"] == box)
        path = pathlib.Path(f"/proc/{record['init_pid']}/cgroup").read_text().strip()
        return GROUPS / path.removeprefix("0::/")


@pytest.fixture
def service():
    made = Service()
    made.systemctl("enable", "--now", "cay")
    yield made
    made.systemctl("stop", "cay")
    assert made.show("ActiveState") == "inactive"
    assert_nothing_is_left()


def assert_nothing_is_left():
    names = {status(int(p.name)).get("Name", "") for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()}
    assert not {name for name in names if name.startswith("cay")}
    assert not (GROUPS / "system.slice" / "cay.service").exists() and not (GROUPS / "cay").exists()
    assert "/run/cay" not in pathlib.Path("/proc/mounts").read_text()
    assert run("/usr/local/bin/cay", "gc", "--dry-run").stdout == ""


def test_who_has_started_it_can_use_it_at_once(service):
    reply = run("curl", "-s", "--unix-socket", "/run/cay/cay.sock", "http://localhost/v1/health")
    assert json.loads(reply.stdout) and service.show("ActiveState") == "active" and service.show("SubState") == "running"


def test_its_sandboxes_are_below_its_own_group_with_limits_that_hold(service):
    box = service.cay("create", "--memory", "100M").stdout.strip()
    group = service.group_of(box)
    assert group.parent.parent == service.group
    assert (group / "memory.max").read_text() == f"{100 << 20}\n"
    done = service.cay("exec", box, *GREEDY, check=False)
    assert done.returncode == 137
    assert service.cay("exec", box, "echo", "alive").stdout == "alive\n"
    assert service.show("ActiveState") == "active"  # that the kernel killed one of them is no failure of the service


def test_a_limit_on_the_service_holds_for_all_its_sandboxes(service):
    service.systemctl("set-property", "--runtime", "cay", "MemoryMax=300M", "MemorySwapMax=0")
    try:
        box = service.cay("create", "--memory", "1G").stdout.strip()
        assert service.cay("exec", box, *GREEDY, check=False).returncode != 0
        assert service.cay("exec", box, "echo", "alive").stdout == "alive\n"
        assert service.show("ActiveState") == "active"
    finally:
        service.systemctl("revert", "cay")


def test_sessions_go_on_when_the_server_is_killed(service):
    box, main = service.cay("create").stdout.strip(), service.pid
    service.cay("exec", "-d", box, "sleep", "100000")
    server, = children(main, "cayd")
    with awaited(server):
        os.kill(server, signal.SIGKILL)
    assert service.cay("exec", box, "pgrep", "-x", "sleep").stdout and service.pid == main


def test_a_killed_supervisor_is_followed_by_another_and_leaves_nothing(service):
    boxes = [service.cay("create").stdout.strip() for _ in range(2)]
    for box in boxes:
        service.cay("exec", "-d", box, "sh", "-c", "(setsid sleep 100000 &); sleep 100000")
    groups, main = [service.group_of(box) for box in boxes], service.pid
    os.kill(main, signal.SIGKILL)
    wait_until(lambda: service.show("NRestarts") == "1" and service.show("ActiveState") == "active")
    assert service.pid != main
    assert not [group for group in groups if group.exists()]
    assert run("/usr/local/bin/cay", "gc", "--dry-run").stdout == ""
    box = service.cay("create").stdout.strip()
    assert service.cay("exec", box, "echo", "again").stdout == "again\n"


def test_a_copy_that_is_made_while_it_stands_still_is_good(service, tmp_path):
    box = service.cay("create").stdout.strip()
    service.cay("exec", box, "echo", "recorded")
    service.systemctl("freeze", "cay")
    run("cp", "-a", "/var/lib/cay", str(tmp_path / "copy"))
    service.systemctl("thaw", "cay")
    assert service.cay("exec", box, "echo", "goes on").stdout == "goes on\n"
    ready, theirs = os.pipe()
    other = subprocess.Popen(["/usr/local/bin/cay", "serve", "--state", tmp_path / "copy", "--socket", tmp_path / "socket", "--listen",
                              "none", "--ready-fd", str(theirs)], pass_fds=[theirs], stdout=subprocess.DEVNULL)
    os.close(theirs)
    with open(ready) as pipe:
        assert pipe.read() == "\n"
    token = (tmp_path / "copy" / "token").read_text().strip()
    found = run("/usr/local/bin/cay", "events", box, env={**os.environ, "CAY_URL": f"unix:{tmp_path}/socket", "CAY_TOKEN": token})
    other.terminate()
    assert other.wait(60) == 0 and "recorded" in found.stdout
    (GROUPS / "cay").rmdir()  # that one was no service


def test_its_journal_has_levels(service):
    server, = children(service.pid, "cayd")
    with awaited(server):
        os.kill(server, signal.SIGKILL)
    wait_until(lambda: "server.ended signal=9" in service.journal("-p", "err"))
    assert "server.ready" not in service.journal("-p", "err") and "cayd server.ready" in service.journal("-p", "info")


def test_settings_that_make_no_sense_are_said_once():
    service, settings = Service(), pathlib.Path("/etc/cay/cay.toml")
    settings.parent.mkdir(exist_ok=True)
    settings.write_text("[serve]\nlisten = 7\n")
    try:
        assert service.systemctl("start", "cay", check=False).returncode != 0
        assert service.show("NRestarts") == "0" and service.show("ActiveState") == "failed"
        assert "/etc/cay/cay.toml" in service.journal("-n", "20")
    finally:
        settings.unlink()
        service.systemctl("reset-failed", "cay")


def test_a_user_has_one_of_his_own():
    run("systemctl", "start", f"user@{USER.pw_uid}")
    service = Service("--user", uid=USER.pw_uid)
    service.systemctl("start", "cay")
    try:
        box = service.cay("create", "--memory", "100M", "--require", "memory").stdout.strip()
        group = service.group_of(box)
        assert group.parent.parent == service.group and f"user@{USER.pw_uid}.service" in str(group)
        assert service.cay("exec", box, *GREEDY, check=False).returncode != 0
        os.kill(service.pid, signal.SIGKILL)
        wait_until(lambda: service.show("NRestarts") == "1" and service.show("ActiveState") == "active")
        assert not group.exists()
        box = service.cay("create").stdout.strip()
        assert service.cay("exec", box, "echo", "again").stdout == "again\n"
    finally:
        service.systemctl("stop", "cay")
    assert not group.parent.exists()
    run("systemctl", "stop", f"user@{USER.pw_uid}")


CONTAINED = """
echo $$ >/sys/fs/cgroup/contained/cgroup.procs
exec unshare --cgroup --mount sh -c 'umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && {start}'
"""


def in_a_container(start, tmp_path):
    """With a hierarchy of its own in sight, as engines give it to a container."""
    (GROUPS / "contained").mkdir(exist_ok=True)
    ready, theirs = os.pipe()
    start = start.format(serve=f"cay serve --state {tmp_path}/state --socket {tmp_path}/socket --listen none --ready-fd {theirs}")
    server = subprocess.Popen(["sh", "-c", CONTAINED.format(start=start)], pass_fds=[theirs], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, env={**os.environ, "CAY_TOKEN": "0123456789abcdef"})
    os.close(theirs)
    with open(ready) as pipe:
        assert pipe.readline() == "\n", server.communicate()
    return server


def end_container(server):
    for pid in (GROUPS / "contained").rglob("cgroup.procs"):
        for process in pid.read_text().split():
            if status(int(process)).get("Name") == "cay-supervisor":
                os.kill(int(process), signal.SIGTERM)
    server.communicate(timeout=60)
    for group in sorted((p.parent for p in (GROUPS / "contained").rglob("cgroup.procs")), reverse=True):
        group.rmdir()


def there(tmp_path, *words):
    return run("/usr/local/bin/cay", *words, check=False, env={
        **os.environ, "CAY_URL": f"unix:{tmp_path}/socket", "CAY_TOKEN": "0123456789abcdef"})


def test_the_first_process_of_a_container_has_limits_within_it(tmp_path):
    server = in_a_container("exec {serve}", tmp_path)
    try:
        box = there(tmp_path, "create", "--memory", "100M", "--require", "memory")
        assert box.returncode == 0, box.stderr
        assert (GROUPS / "contained" / "cay" / box.stdout.strip() / "memory.max").read_text() == f"{100 << 20}\n"
        assert there(tmp_path, "exec", box.stdout.strip(), *GREEDY).returncode == 137
    finally:
        end_container(server)


def test_one_beside_others_has_none_and_says_so(tmp_path):
    server = in_a_container("{serve}; true", tmp_path)  # the shell stays
    try:
        assert there(tmp_path, "exec", there(tmp_path, "create").stdout.strip(), "echo", "made").stdout == "made\n"
        refused = there(tmp_path, "create", "--require", "memory")
        assert refused.returncode != 0 and "start cay as a service that a part of /sys/fs/cgroup is handed to" in refused.stderr
    finally:
        end_container(server)


# As docker's own: everything but mounts.
PROFILE = """
abi <abi/3.0>,
profile box flags=(attach_disconnected,mediate_deleted) {
  network, capability, file, umount, signal, ptrace, unix, pivot_root,
  deny mount,
}
"""


def test_a_profile_of_a_security_module_is_named_as_what_is_in_the_way(tmp_path):
    if not pathlib.Path("/sys/kernel/security/apparmor/profiles").exists():
        pytest.skip("this kernel has AppArmor switched off")
    (tmp_path / "box").write_text(PROFILE)
    run("apparmor_parser", "--replace", str(tmp_path / "box"))
    done = run("aa-exec", "-p", "box", "--", "setpriv", f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}", "--clear-groups",
               "/usr/local/bin/cay", "run", "--", "true", check=False, cwd="/", env={"PATH": os.environ["PATH"], "HOME": USER.pw_dir})
    assert done.returncode == 125 and "to have it: start the container with --security-opt apparmor=unconfined" in done.stderr
