# SPDX-License-Identifier: Apache-2.0
"""`cay run` as a user meets it, by root and by an ordinary user."""
import contextlib
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from waiting import PATIENCE, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
IS_ROOT = os.geteuid() == 0
ORDINARY = 61234  # a uid that no host user has
WHO = ["root", "ordinary"] if IS_ROOT else ["ordinary"]


class Caller:
    """Who calls `cay run`, in a directory of their own."""

    def __init__(self, who, programs, directory):
        self.who, self.cay, self.directory = who, programs / "cay", directory
        self.uid = ORDINARY if IS_ROOT and who == "ordinary" else os.geteuid()
        self.ids = {} if self.uid == os.geteuid() else {"user": self.uid, "group": self.uid, "extra_groups": []}
        self.env = {"PATH": os.environ["PATH"], "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory),
                    "SECRET": "of the host"}

    def start(self, *args, **options):
        return subprocess.Popen([self.cay, "run", *map(str, args)], env=self.env, cwd=self.directory,
                                **self.ids, **options)

    def run(self, *args, **options):
        options.setdefault("stdin", subprocess.DEVNULL if "input" not in options else None)
        if options["stdin"] is None:
            del options["stdin"]
        return subprocess.run([self.cay, "run", *map(str, args)], env=self.env, cwd=self.directory,
                              capture_output=True, text=True, timeout=60, **self.ids, **options)

    def shell(self, script, *options, **more):
        return self.run(*options, "--", "sh", "-c", script, **more)

    def out(self, script, *options):
        r = self.shell(script, *options)
        assert r.returncode == 0, r.stderr
        return r.stdout.strip()

    def make(self, name, content=None):
        path = self.directory / name
        path.mkdir() if content is None else path.write_text(content)
        os.chown(path, self.uid, self.uid)
        return path


@pytest.fixture(scope="session")
def programs():
    """Copies that an ordinary user may run, wherever the build directory is."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-programs-"))
    directory.chmod(0o755)
    for name in ("cay", "cay-init"):
        shutil.copy(BUILD / "src/main" / name, directory / name)
        (directory / name).chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def static(programs):
    """A program that needs nothing of an image."""
    source = "#include <stdio.h>\nint main(void) { puts(\"static\"); }\n"
    subprocess.run(["gcc", "-static", "-x", "c", "-o", programs / "static", "-"], input=source, text=True, check=True)
    return programs / "static"


@contextlib.contextmanager
def caller_of(who, programs):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-run-", dir="/var/tmp"))
    caller = Caller(who, programs, directory)
    os.chown(directory, caller.uid, caller.uid)
    try:
        yield caller
    finally:
        shutil.rmtree(directory)


@pytest.fixture(params=WHO)
def caller(request, programs):
    with caller_of(request.param, programs) as c:
        yield c


@pytest.fixture
def root(programs):
    if not IS_ROOT:
        if os.environ.get("CAY_MUST_RUN"):
            pytest.fail("needs root")
        pytest.skip("needs root")
    with caller_of("root", programs) as c:
        yield c


def groups():
    """Every cgroup of a sandbox on this machine, whosever it is."""
    return {pathlib.Path(base, d) for base, dirs, _ in os.walk("/sys/fs/cgroup") if base.endswith("/cay") for d in dirs}


def members(group):
    """Who is in it, or in one below it; None if it is gone meanwhile."""
    try:
        return {int(pid) for p in group.rglob("cgroup.procs") for pid in p.read_text().split()}
    except OSError:
        return None


# The command and its status


@pytest.mark.parametrize("status", [0, 1, 3, 125, 255])
def test_the_status_is_that_of_the_command(caller, status):
    assert caller.shell(f"exit {status}").returncode == status


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_is_128_and_its_number(caller, sig):
    assert caller.shell(f"kill -{int(sig)} $$").returncode == 128 + sig


def test_a_missing_command_is_127_and_says_so(caller):
    r = caller.run("--", "no-such-command")
    assert (r.returncode, r.stdout) == (127, "")
    assert r.stderr == "cay: run: no-such-command: command not found in the sandbox\n"


def test_what_cannot_be_executed_is_126(caller):
    assert caller.run("--", "/etc").returncode == 126
    r = caller.shell("printf '#!/no/such\\n' >/tmp/x; chmod +x /tmp/x; exec /tmp/x")
    assert r.returncode in (126, 127)


def test_our_own_failure_is_125_and_one_line(caller):
    for args in (["--mount", "/no/such:/x"], ["--image", "/no/such"], ["--image", caller.cay], ["--hostname", "-x"],
                 ["--mount", f"{caller.directory}:/proc/x"]):
        r = caller.run(*args, "--", "true")
        assert (r.returncode, r.stdout) == (125, "")
        assert r.stderr.startswith("cay: run: ") and r.stderr.count("\n") == 1


def test_a_failure_can_be_json(caller):
    r = caller.run("--json", "--image", "/no/such", "--", "true")
    assert r.returncode == 125
    error = json.loads(r.stderr)
    assert "/no/such" in json.dumps(error)


def test_stdio_is_passed_through(caller):
    data = "x" * 300000 + "\n"
    r = caller.run("--", "sh", "-c", "cat; echo to stderr >&2", input=data)
    assert (r.returncode, r.stdout, r.stderr) == (0, data, "to stderr\n")


def test_closed_descriptors_are_nothing(caller):
    for closing in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        script = f"exec {caller.cay} run -- sh -c 'cat; echo hi >/dev/null; exit 7' {closing}"
        r = subprocess.run(["sh", "-c", script], env=caller.env, cwd=caller.directory, timeout=60, **caller.ids)
        assert r.returncode == 7, closing


def test_no_other_descriptor_gets_in(caller):
    with open("/etc/hostname") as f:
        r = caller.shell("ls /proc/self/fd", pass_fds=[f.fileno()])
    assert r.stdout.split() == ["0", "1", "2", "3"]  # 3 is the directory that ls reads


def test_two_mebibytes_of_arguments(caller):
    args = ["a" * 100000] * 19
    r = caller.run("--", "/bin/echo", *args)
    assert (r.returncode, len(r.stdout)) == (0, 19 * 100001)


def test_a_forwarded_signal_ends_the_command(caller):
    p = caller.start("--", "sh", "-c", "trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 1; done",
                     stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "ready\n"
    p.send_signal(signal.SIGTERM)
    assert p.stdout.readline() == "got it\n"
    assert p.wait(PATIENCE) == 9


def test_the_deadline_ends_it(caller):
    r = caller.run("--timeout", "300ms", "--", "sleep", "100")
    assert r.returncode == 124
    assert "time is over" in r.stderr


# What it sees


def test_it_is_an_agent_without_capabilities(caller):
    assert caller.out("id -u; id -g").split() == ["1000", "1000"]
    status = caller.out("cat /proc/self/status")
    assert "CapEff:\t0000000000000000" in status and "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status


def test_it_can_be_root_of_the_sandbox_only(caller):
    assert caller.out("id -u", "--user", "root") == "0"
    mapped = caller.out("cat /proc/self/uid_map", "--user", "root").split()
    assert mapped[0] == "0" and mapped[1] != "0"


def test_no_host_process_is_visible(caller):
    pids = caller.out("ls /proc | grep '^[0-9]'").split()
    assert len(pids) <= 5 and str(os.getpid()) not in pids
    assert caller.shell(f"kill -0 {os.getpid()}").returncode != 0


def test_no_host_mount_or_path_is_visible(caller):
    mounts = caller.out("cat /proc/self/mountinfo")
    assert str(caller.directory) not in mounts and "/dev/vda" not in mounts and "/run/cay" not in mounts
    assert caller.out("ls -A /home /sys /mnt").split() == ["/home:", "agent", "/mnt:", "/sys:"]
    assert caller.shell(f"ls {caller.directory}").returncode != 0
    assert caller.shell("cat /etc/shadow").returncode != 0


def test_the_host_environment_stays_outside(caller):
    env = dict(line.split("=", 1) for line in caller.out("env", "--env", "A=b c", "--env", "SECRET").splitlines())
    assert env["A"] == "b c" and env["SECRET"] == "of the host" and env["HOME"] == "/home/agent"
    assert "SECRET" not in caller.out("env")


def test_proc_is_read_only_and_covered(caller):
    assert caller.shell("echo x >/proc/sys/kernel/hostname").returncode != 0
    assert caller.out("cat /proc/interrupts /proc/keys /proc/kallsyms; ls /proc/bus /proc/fs") \
        .split() == ["/proc/bus:", "/proc/fs:"]


def test_no_namespace_can_be_made(caller):
    for user in ("agent", "root"):
        assert caller.shell("unshare -U true || unshare -n true", "--user", user).returncode != 0


def test_devices_work(caller):
    assert caller.out("head -c4 /dev/zero | wc -c; echo x >/dev/null; head -c8 /dev/urandom | wc -c; "
                      "echo y >/dev/shm/a && cat /dev/shm/a; cat </dev/stdin; ls /dev/pts").split() == \
        ["4", "8", "y", "ptmx"]
    assert caller.shell("mknod /tmp/n c 1 3").returncode != 0


def test_the_toolchain_works(caller):
    assert caller.out("python3 -c 'import multiprocessing, threading; print(6*7)'") == "42"
    assert caller.out("cd /tmp && printf 'int main(){return 0;}' >a.c && gcc a.c && ./a.out && echo ok") == "ok"
    assert caller.out("git init -q /workspace/r && cd /workspace/r && git status -s && echo ok") == "ok"


def test_it_starts_where_it_shall(caller):
    assert caller.out("pwd; touch here && echo writable") == "/workspace\nwritable"
    assert caller.out("pwd; touch here && echo writable", "--workdir", "/a/b") == "/a/b\nwritable"
    assert caller.out("hostname; cat /etc/hostname", "--hostname", "island").split() == ["island", "island"]


# What it changes


def test_what_it_writes_does_not_reach_the_host(caller):
    assert caller.out("echo x >/tmp/cay-was-here; echo x >/etc/cay-was-here || :; echo done").endswith("done")
    assert not os.path.exists("/tmp/cay-was-here") and not os.path.exists("/etc/cay-was-here")


def test_root_of_the_sandbox_may_change_its_usr(root):
    out = root.out("rm /usr/bin/ls && echo x >/usr/bin/cay-new && chown 5:5 /usr/bin/cay-new && "
                   "stat -c %u /usr/bin/cay-new /usr/bin/cat", "--user", "root")
    assert out.split() == ["5", "0"]
    assert os.path.exists("/usr/bin/ls") and not os.path.exists("/usr/bin/cay-new")


def test_a_copy_is_changed_inside_only(caller):
    src = caller.make("src")
    caller.make("src/f", "old\n")
    assert caller.out("cat f; echo new >f; rm -f g; echo x >g; cat f; ls", "--workspace", src).split() == \
        ["old", "new", "f", "g"]
    assert [p.name for p in src.iterdir()] == ["f"] and (src / "f").read_text() == "old\n"


def test_a_writable_mount_belongs_to_the_caller(caller):
    src = caller.make("src")
    caller.make("src/f", "old\n")
    assert caller.out("id -u; stat -c %u . f; echo new >f; mkdir d; echo x >d/g", "--workspace",
                      f"{src}:rw").split() == ["1000", "1000", "1000"]
    assert (src / "f").read_text() == "new\n"
    for path in (src / "f", src / "d", src / "d/g"):
        assert (path.stat().st_uid, path.stat().st_gid) == (caller.uid, caller.uid)


def test_a_read_only_mount_is_readable_and_no_more(caller):
    src = caller.make("src")
    secret = caller.make("src/f", "mine\n")
    secret.chmod(0o600)
    src.chmod(0o700)
    r = caller.shell("cat /data/f; echo x >/data/f; rm -f /data/f; touch /data/g; chmod 777 /data/f", "--mount",
                     f"{src}:/data:ro")
    assert r.stdout == "mine\n" and r.returncode != 0
    assert secret.read_text() == "mine\n" and [p.name for p in src.iterdir()] == ["f"]


def test_a_single_file_can_be_mounted(caller):
    f = caller.make("f", "one\n")
    assert caller.out("cat /etc/deep/er/f; ls -A /etc/deep/er", "--mount", f"{f}:/etc/deep/er/f:ro").split() == \
        ["one", "f"]


def test_a_directory_as_image(caller, static):
    image = make_image(caller, static)
    assert caller.run("--image", image, "--", "/bin/static").stdout == "static\n"
    assert caller.run("--image", image, "--", "/bin/sh").returncode == 127
    assert [p.name for p in image.iterdir()] == ["bin"]


def test_the_links_of_an_image_lead_nowhere_outside(caller, static):
    image = make_image(caller, static)
    victim = caller.make("victim")
    (image / "proc").symlink_to(victim)  # is not in the image: refused
    r = caller.run("--image", image, "--", "/bin/static")
    assert r.returncode == 125 and "/proc" in r.stderr
    (image / "proc").unlink()
    for name in ("a", "b", "c"):
        caller.make(f"image/{name}")
    (image / "proc").symlink_to("../../../../../../a")
    (image / "workspace").symlink_to("/b")
    (image / "etc").symlink_to(f"../../../../../..{victim}/../../../c")
    (image / "dev").symlink_to("/c")
    r = caller.run("--image", image, "--mount", f"{victim}:/workspace/v:ro", "--", "/bin/static")
    assert r.returncode in (0, 125)
    for path in (victim, image / "a", image / "b", image / "c"):
        assert list(path.iterdir()) == []


def make_image(caller, static):
    image = caller.make("image")
    caller.make("image/bin")
    shutil.copy(static, image / "bin/static")
    return image


# Limits


def test_a_fork_bomb_meets_the_limit_of_pids(caller):
    r = caller.shell("i=0; while [ $i -lt 100 ]; do sleep 60 & i=$((i+1)); done", "--pids", "30")
    assert r.returncode != 0
    assert "fork" in r.stderr.lower()


def test_the_memory_limit_says_so(root):
    r = root.run("--memory", "40M", "--", "python3", "-c", "x = bytearray(300 << 20)")
    assert r.returncode == 137
    assert "out of memory" in r.stderr and "41943040" in r.stderr


def test_a_limit_that_cannot_be_had_is_refused(programs):
    with caller_of("ordinary", programs) as c:
        r = c.run("--memory", "40M", "--", "true")
        assert r.returncode == 125 and "memory limit" in r.stderr or r.returncode == 0
        assert c.run("--", "true").returncode == 0


def test_what_is_required_and_missing_is_refused(programs):
    with caller_of("ordinary", programs) as c:
        r = c.run("--require", "uid-range", "--", "true")
        assert (r.returncode, "uid-range" in r.stderr) == (125, True)


def test_the_disk_limit_is_no_space(caller):
    r = caller.shell("dd if=/dev/zero of=/tmp/a bs=1M count=12 2>&1; dd if=/dev/zero of=/usr/b bs=1M count=12; "
                     "dd if=/dev/zero of=/dev/shm/c bs=1M count=12", "--disk", "16M", "--user", "root")
    assert r.returncode != 0 and "No space left" in r.stderr
    r = caller.shell("i=0; while [ $i -lt 1000 ]; do : >/tmp/$i || exit 9; i=$((i+1)); done", "--inodes", "300")
    assert r.returncode != 0 and "No space left" in r.stderr


def test_the_cpu_limit_holds(root):
    begin = time.monotonic()
    r = root.shell("timeout 1 sh -c 'while :; do :; done'; cat /proc/self/stat >/dev/null; times", "--cpu", "0.1")
    user = [float(t.strip("s").split("m")[1]) for t in r.stdout.split()]
    wall = time.monotonic() - begin
    assert sum(user) < 0.6 or sum(user) < 0.2 * wall  # its shells begin slowly on a slow machine


# Network


def test_loopback_is_all_there_is(caller):
    out = caller.out("python3 - <<'E'\n"
                     "import socket\n"
                     "s = socket.create_server(('127.0.0.1', 80)); c = socket.create_connection(('127.0.0.1', 80))\n"
                     "print([n for _, n in socket.if_nameindex()])\n"
                     "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                     "try: u.connect(('192.0.2.1', 9)); print('reached')\n"
                     "except OSError as e: print(e.strerror)\nE")
    assert out.splitlines() == ["['lo']", "Network is unreachable"]


def test_none_is_not_even_that(caller):
    r = caller.run("--network", "none", "--", "python3", "-c",
                   "import socket; socket.create_connection(('127.0.0.1', 9))")
    assert "unreachable" in r.stderr


def test_host_is_the_host(caller):
    with open("/proc/net/dev") as f:
        devices = {line.split(":")[0].strip() for line in f if ":" in line}
    out = caller.out("python3 -c 'import socket; print(*[n for _, n in socket.if_nameindex()])'", "--network", "host")
    assert set(out.split()) == devices


# A terminal


def read_until(fd, *texts, seconds=PATIENCE):
    seen = b""
    deadline = time.monotonic() + seconds
    while not all(text in seen for text in texts):
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        assert ready, (texts, seen)
        try:
            chunk = os.read(fd, 4096)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    assert all(text in seen for text in texts), (texts, seen)
    return seen


def test_on_a_terminal_it_gets_one_of_its_own(caller):
    master, slave = pty.openpty()
    os.fchown(slave, caller.uid, -1)
    name = os.ttyname(slave)
    p = caller.start("--", "sh", "-c", "tty; stty size; test -t 2 && read line && echo got:$line; exec sleep 60",
                     stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    assert name.encode() + b"\r" not in read_until(master, b"24 80") or name == "/dev/pts/0"
    os.write(master, b"hello\r")
    read_until(master, b"got:hello")
    os.write(master, b"\x03")  # the sandbox's terminal makes SIGINT of it
    try:
        assert p.wait(PATIENCE) == 130
    finally:
        p.kill()
        os.close(master)


def test_a_single_terminal_descriptor_is_relayed(caller):
    master, slave = pty.openpty()
    p = caller.start("--", "sh", "-c", "test -t 1 || echo no tty; test -t 2 || echo err >&2",
                     stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
    os.close(slave)
    read_until(master, b"no tty", b"err")
    assert p.wait(PATIENCE) == 0
    os.close(master)


def test_a_terminal_that_hangs_up_ends_it(caller):
    master, slave = pty.openpty()
    os.fchown(slave, caller.uid, -1)
    p = caller.start("--", "sh", "-c", "echo ready; exec sleep 60", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    read_until(master, b"ready")
    os.close(master)
    try:
        assert p.wait(PATIENCE) == 128 + signal.SIGHUP
    finally:
        p.kill()


# What stays


def test_nothing_is_left_after_a_run(root):
    before = groups()
    root.run("--", "true")
    root.run("--", "no-such-command")
    root.run("--mount", "/no/such:/x", "--", "true")
    wait_until(lambda: not any(members(group) == set() for group in groups() - before))


def test_background_processes_end_with_the_command(caller):
    r = caller.shell("sleep 1000 & echo started")
    assert (r.returncode, r.stdout) == (0, "started\n")


def test_nothing_is_left_after_kill_9(caller):
    p = caller.start("--", "sh", "-c", "sleep 4242 & sleep 0.1; echo ready; wait", stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "ready\n"
    inside = children_of(p.pid)
    assert inside
    during = {group for group in groups() if (members(group) or set()) & set(inside)}
    assert caller.who == "ordinary" or during
    p.kill()
    p.wait()
    assert p.stdout.read() == ""  # every writer is gone
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in inside), "processes are left")
    wait_until(lambda: not groups() & during, "cgroups are left")


def test_gc_spares_the_copy_of_etc_that_is_in_use(programs):
    with caller_of("ordinary", programs) as c:
        p = c.start("--", "sh", "-c", "echo ready; read x; head -1 /etc/passwd", stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, text=True)
        assert p.stdout.readline() == "ready\n"
        copy, = (c.directory / "cay").glob("etc-*")
        old = copy.rename(copy.with_name("etc-" + 16 * "0"))  # as if the host's /etc had changed

        def gc(*options):
            return subprocess.run([c.cay, "gc", *options], env=c.env, capture_output=True, text=True, timeout=60,
                                  check=True, **c.ids).stdout
        assert str(old) not in gc() and old.exists()
        assert p.communicate("\n", timeout=PATIENCE)[0].startswith("root:")
        assert str(old) in gc("--dry-run") and old.exists()
        assert str(old) in gc() and not old.exists()


def children_of(pid):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found += [int(path.parent.name), *children_of(int(path.parent.name))]
    return [p for p in found if p]


def test_a_dry_run_does_nothing(caller):
    r = caller.run("--dry-run", "--mount", "/no/such:/data:ro", "--", "true")
    assert r.returncode == 0 and "from /no/such" in r.stdout and "pivot" in r.stdout


def test_one_sandbox_leaves_inotify_to_everybody_else(caller):
    """The kernel counts an instance for whoever made the user namespace as well: for root's own services, or the user's."""
    allowed = int(pathlib.Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    script = ("import ctypes, os, sys\nn, l = 0, ctypes.CDLL(None)\n"
              "while l.inotify_init1(0) >= 0: n += 1\nprint(n, flush=True)\nsys.stdin.read()")
    hog = caller.start("--", "python3", "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        had = int(hog.stdout.readline())
        assert 16 <= had <= max(16, allowed // 8)
        assert caller.out("python3 -c 'import ctypes; print(ctypes.CDLL(None).inotify_init1(0) >= 0)'") == "True"
    finally:
        hog.communicate(timeout=60)


@pytest.mark.parametrize("kind, maximum", [("net", 0), ("mnt", 0), ("mnt", 1), ("mnt", 2), ("cgroup", 1), ("ipc", 0)])
def test_a_user_who_has_no_more_namespaces_is_told_so_and_not_of_a_full_disk(programs, kind, maximum):
    """The limits are those of a user namespace of the test's own, in which cay runs as uid 1000."""
    script = (f"echo {maximum} >/proc/sys/user/max_{kind}_namespaces && "
              f"exec unshare --user --map-user=1000 --map-group=1000 {programs / 'cay'} run -- true")
    with caller_of("ordinary", programs) as who:
        done = subprocess.run(["unshare", "--user", "--map-root-user", "sh", "-c", script], capture_output=True, text=True,
                              timeout=60, env=who.env, cwd=who.directory, **who.ids)
    if "unshare failed" in done.stderr:
        pytest.skip("user namespaces do not nest here")
    assert done.returncode == 125, done.stderr
    assert "no more namespaces or mounts for this user" in done.stderr
    assert "understand" not in done.stderr and "No space" not in done.stderr
