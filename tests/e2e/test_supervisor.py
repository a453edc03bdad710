# SPDX-License-Identifier: Apache-2.0
"""The supervisor by itself: the tests play its server (tests/e2e/supervisor/fake_cayd.c)."""
import contextlib
import os
import pathlib
import re
import secrets
import select
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from processes import awaited, children, status
from waiting import PATIENCE, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
IS_ROOT = os.geteuid() == 0
ORDINARY = 61234
SERVER_UID = 0x2FFFFFF0
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
SECCOMP = 1 << 11


def new_id():
    return "".join(secrets.choice(ALPHABET) for _ in range(26))


class Reply(dict):
    def __init__(self, text):
        super().__init__(re.findall(r"(\w+)=(\S*)", text.split(" text=")[0]))
        self.text = text

    def __getattr__(self, name):
        return self[name]


class Supervisor:
    def __init__(self, directory, *options, uid=None, pool=0):
        self.directory = directory
        self.name = f"cay-test-{secrets.token_hex(8)}"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(f"\0{self.name}")
        self.listener.listen()
        self.listener.settimeout(PATIENCE)
        self.log = tempfile.TemporaryFile("w+")
        self.socket = directory / "cay.sock"
        ids = {} if uid is None else {"user": uid, "group": uid, "extra_groups": [uid, 4]}
        self.process = subprocess.Popen(
            [directory / "cay-supervisor", "--state", directory / "state", "--socket", self.socket, "--listen",
             "127.0.0.1:0", "--libexec", directory, "--pool", str(pool), *options],
            env={"FAKE_CAYD_SOCKET": self.name, "PATH": os.environ["PATH"], "HOME": str(directory),
                 "XDG_RUNTIME_DIR": str(directory)},
            stderr=self.log, **ids)
        self.server = None

    def accept(self):
        """The next server that the supervisor starts."""
        if self.server:
            self.server.close()
        self.server, _ = self.listener.accept()
        self.server.settimeout(PATIENCE)
        return self

    def say(self, text):
        self.server.send(text.encode())

    def ask(self, text):
        self.say(text)
        return Reply(self.server.recv(4096).decode())

    def create(self, *words):
        reply = self.ask(" ".join(["create", new_id(), *words]))
        assert reply.code == "ok", reply.text
        return reply

    def stop(self, signo=signal.SIGTERM):
        self.process.send_signal(signo)
        return self.process.wait(PATIENCE)

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        """Whoever follows it, the janitor last, may write in the directory until it is gone."""
        if self.process.poll() is None:
            followers = children(self.process.pid)
            self.process.kill()
            self.process.wait()
            wait_for_end(followers)
        for s in (self.server, self.listener):
            if s:
                s.close()


@pytest.fixture
def directory():
    """A --libexec with the real cay-init and cay-canary and the stand-ins, where an ordinary user may look, too."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="cay-supervisor-"))
    d.chmod(0o777)
    for path in (BUILD / "src/main/cay-supervisor", BUILD / "src/main/cay-init", BUILD / "src/main/cay-canary",
                 BUILD / "tests/e2e/supervisor/cayd", BUILD / "tests/e2e/supervisor/cay-executor"):
        copy = d / path.name
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o755)
    yield d
    subprocess.run(["rm", "-rf", d], check=True)


USERS = [pytest.param(None, id="self"), *([pytest.param(ORDINARY, id="ordinary-user")] if IS_ROOT else [])]


@pytest.fixture
def start(directory):
    started = []

    def go(*options, **kw):
        started.append(Supervisor(directory, *options, **kw))
        return started[-1].accept()

    yield go
    for s in started:
        s.close()


def is_alive(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


def cgroups_of(sandbox):
    return [d for d, _, _ in os.walk("/sys/fs/cgroup") if sandbox in d]  # walk passes over what vanishes


@pytest.mark.parametrize("uid", USERS)
def test_a_sandbox_lives_from_create_to_destroy(start, uid):
    s = start(uid=uid)
    assert s.ask("hello").count == "0"
    made = s.create()
    assert made.fds == "1" and int(made.pid) > 0 and int(made.controls, 16) & SECCOMP
    assert "hostname=cay lock=1" in s.ask(f"call {made.id}").text
    gone = s.ask(f"destroy {made.id}")
    assert gone.code == "ok" and gone.id == made.id
    assert not is_alive(made.pid)
    assert cgroups_of(made.id) == []


@pytest.mark.skipif(not IS_ROOT, reason="only root has ranges of ids to give")
def test_no_two_sandboxes_share_a_uid_and_none_is_a_users(start):
    s = start()
    s.ask("hello")
    uids = [int(s.create().uid) for _ in range(3)]
    assert len(set(uids)) == 3 and min(uids) >= 0x30000000


@pytest.mark.skipif(not IS_ROOT, reason="an ordinary user's server is the user")
def test_the_server_of_root_has_no_privilege_left(start):
    s = start()
    who = s.ask("who")
    assert who.uid == str(SERVER_UID) and who.groups == "0" and who.nnp == "1" and who.writable == "1"
    assert who.fds == "8"  # 0 to 2, the monitor, its directory, two listeners, and the stand-in's own


def test_the_spec_is_heeded(start):
    s = start()
    s.ask("hello")
    made = s.create("island")
    assert "hostname=island" in s.ask(f"call {made.id}").text


def test_a_ready_sandbox_is_handed_out_under_its_own_id(start):
    s = start(pool=2)
    s.ask("hello")
    end = time.monotonic() + 20
    wished = made = None
    while made is None or made.id == wished:  # made to order, while the pool fills
        assert time.monotonic() < end
        wished = new_id()
        made = s.ask(f"create {wished}")
        assert made.code == "ok", made.text
    assert "hostname=cay lock=1" in s.ask(f"call {made.id}").text
    other = s.create("island")  # another host name: none of those in the pool
    assert "hostname=island" in s.ask(f"call {other.id}").text
    assert s.ask(f"destroy {made.id}").code == "ok"


def test_errors_are_answered_and_break_nothing(start):
    s = start()
    s.ask("hello")
    assert s.ask("create nonsense").code == "invalid_argument"
    assert s.ask(f"destroy {new_id()}").code == "not_found"
    assert s.ask(f"usage {new_id()}").code == "not_found"
    assert s.ask("adopt 0").code == "not_found"
    made = s.create()
    assert s.ask(f"create {made.id}").code == "already_exists"
    assert s.ask(f"freeze {made.id} 7").code == "invalid_argument"
    assert s.ask(f"usage {made.id}").code == "ok"


@pytest.mark.parametrize("nonsense", ["raw 1", "raw 35000", "raw 100000", "hello"])
def test_a_server_that_breaks_the_protocol_is_replaced(start, nonsense):
    s = start()
    s.ask("hello")
    made = s.create()
    s.say(nonsense)
    assert s.server.recv(4096).decode() in ("closed", "")  # it is killed while it waits for a reply
    s.accept()
    assert s.ask("hello").count == "1" and s.ask("adopt 0").id == made.id
    assert "server.protocol" in s.text()


@pytest.mark.parametrize("seed", range(int(os.environ.get("SCALE", "1")) * 2))
@pytest.mark.parametrize("uid", USERS)
def test_whatever_a_server_asks_for_each_request_has_one_answer_and_nothing_is_left(start, uid, seed):
    s = start(uid=uid)
    s.ask("hello")
    s.say(f"storm {seed + 1} 250")
    told = Reply(s.server.recv(4096).decode())
    assert told.answered == told.sent == "250" and told.wrong == "0" and int(told.made) > 0, told.text
    assert s.create().code == "ok"
    followers = children(s.process.pid)
    assert s.stop() == 0, s.text()
    wait_for_end(followers)


def test_a_sandbox_that_is_dying_is_not_frozen(start):
    """It would die only once it is thawed, which nobody would do any more."""
    s = start()
    s.ask("hello")
    for _ in range(10):
        made = s.create()
        assert [s.ask(f"post {request}").text for request in (f"destroy {made.id}", f"freeze {made.id} 1")] == ["posted"] * 2
        replies = {reply.op: reply.code for reply in (s.ask("next"), s.ask("next"))}
        assert replies["destroy"] == "ok" and replies["freeze"] in ("conflict", "not_found"), replies


def test_a_server_that_does_not_greet_first_is_replaced(start):
    s = start()
    s.ask("hello")
    s.say("exit 0")
    s.accept().say("host")
    assert s.server.recv(4096).decode() in ("closed", "")
    assert s.accept().ask("hello").code == "ok"


def test_a_server_that_cannot_start_at_all_ends_the_supervisor(start):
    s = start()
    s.say("exit 1")
    assert s.process.wait(PATIENCE) != 0


def test_a_server_that_greets_and_never_serves_ends_the_supervisor(start):
    s = start()
    s.ask("greet")
    s.say("exit 12")
    assert s.process.wait(PATIENCE) != 0
    assert f"the server could not start with state directory {s.directory}/state" in s.text()


def test_a_server_that_does_not_listen_is_not_served_and_nothing_is_lost(start):
    s = start()
    s.ask("hello")
    made = s.create()
    sent = int(s.ask("flood").sent)
    assert sent > 20
    os.kill(int(made.pid), signal.SIGKILL)  # news that has to wait as well
    seen = [s.ask("next") for _ in range(sent + 1)]
    ended = [m for m in seen if m.op == "ended"]
    serials = [int(m.serial) for m in seen if m.op == "host"]
    assert len(serials) == sent and serials == list(range(serials[0], serials[0] + sent))
    assert [m.id for m in ended] == [made.id]
    assert s.ask("host").code == "ok"


def test_a_new_server_adopts_what_lives(start):
    s = start()
    s.ask("hello")
    first, second = s.create(), s.create("island")
    s.say("exit 3")
    s.accept()
    assert s.ask("hello").count == "2"
    adopted = [s.ask("adopt 0"), s.ask("adopt 1")]
    assert [a.id for a in adopted] == [first.id, second.id]
    assert all(a.fds == "1" and a.pid for a in adopted)
    assert "hostname=island" in s.ask(f"call {second.id}").text
    assert s.ask(f"destroy {first.id}").code == "ok"


def test_a_server_that_keeps_dying_is_started_more_and_more_slowly(start):
    s = start()
    s.ask("hello")
    for _ in range(4):
        s.say("exit 1")
        s.accept()
    pauses = [int(p) for p in re.findall(r"restart_ms=(\d+)", s.text())]
    assert pauses == sorted(pauses) and pauses[0] == 0 and pauses[-1] >= 400
    assert s.ask("hello").code == "ok"


def test_the_end_of_a_sandbox_is_told(start):
    s = start()
    s.ask("hello")
    made = s.create()
    os.kill(int(made.pid), signal.SIGKILL)
    ended = s.ask("next")
    assert (ended.op, ended.id, ended.reason) == ("ended", made.id, "1")
    assert s.ask(f"destroy {made.id}").code == "not_found"
    assert cgroups_of(made.id) == []


def test_the_end_of_a_sandbox_is_told_to_the_next_server_if_there_was_none(start):
    s = start()
    s.ask("hello")
    made = s.create()
    for _ in range(2):  # so that there is a pause
        s.say("exit 1")
        s.accept()
    s.say("exit 1")
    os.kill(int(made.pid), signal.SIGKILL)
    s.accept()
    hello = s.ask("hello")
    ended = s.ask("next")
    assert hello.count in ("0", "1") and (ended.op, ended.id) == ("ended", made.id)


@pytest.mark.parametrize("uid", USERS)
@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_stopping_takes_everything_down(start, uid, signo):
    s = start(uid=uid, pool=1)
    s.ask("hello")
    made = [s.create(), s.create("island")]
    s.say("who")
    assert s.stop(signo) == 0, s.text()
    assert not any(is_alive(m.pid) for m in made)
    assert [c for m in made for c in cgroups_of(m.id)] == []
    assert not s.socket.exists()


@pytest.mark.parametrize("uid", USERS)
def test_builders_that_do_not_move_keep_nobody_from_ending(start, uid):
    s = start(uid=uid)
    s.ask("hello")
    builders = children(s.process.pid, "cay-builder")
    for pid in builders:
        os.kill(pid, signal.SIGSTOP)
    lost, = post_creates(s, 1)  # the others have nothing to do
    with awaited(*builders):
        assert s.stop() == 0, s.text()
    wait_until_swept([Reply(f"id={lost}")])


def wait_for_end(pids):
    for pid in pids:
        try:
            fd = os.pidfd_open(int(pid))
        except ProcessLookupError:
            continue
        assert select.select([fd], [], [], PATIENCE)[0], f"{pid} outlived its supervisor"
        os.close(fd)


def wait_until_swept(made):
    """Every janitor of the machine sweeps for all, and skips what another one is at: so ours may end first."""
    wait_until(lambda: not [c for m in made for c in cgroups_of(m.id)])


@pytest.mark.parametrize("uid", USERS)
def test_a_killed_supervisor_leaves_nothing(start, uid):
    s = start(uid=uid, pool=1)
    s.ask("hello")
    made = [s.create() for _ in range(3)]
    mine = children(s.process.pid)
    s.process.kill()
    s.process.wait()
    wait_for_end([m.pid for m in made] + mine)
    wait_until_swept(made)


@pytest.mark.skipif(not IS_ROOT, reason="pausing needs a cgroup")
def test_a_killed_supervisor_leaves_nothing_of_what_was_paused(start):
    """What is frozen does not die of a signal: it has to be thawed first."""
    s = start()
    s.ask("hello")
    made = s.create()
    if s.ask(f"freeze {made.id} 1").code != "ok":
        pytest.skip("pausing needs the freezer cgroup")
    s.process.kill()
    s.process.wait()
    wait_for_end([made.pid])
    wait_until_swept([made])


def post_creates(s, n):
    wished = [new_id() for _ in range(n)]
    for sandbox in wished:
        assert s.ask(f"post create {sandbox}").text == "posted"
    return wished


def test_creates_are_built_side_by_side(start):
    s = start()
    s.ask("hello")
    first = min(children(s.process.pid, "cay-builder"))
    os.kill(first, signal.SIGSTOP)
    slow, quick = post_creates(s, 2)
    assert s.ask("next").id == quick
    os.kill(first, signal.SIGCONT)
    assert s.ask("next").id == slow


def test_more_creates_than_can_wait_are_all_answered(start):
    s = start()
    s.ask("hello")
    wished = post_creates(s, 200)
    replies = [s.ask("next") for _ in wished]
    assert {r.code for r in replies} == {"ok"} and {r.id for r in replies} == set(wished)


@pytest.mark.parametrize("uid", USERS)
def test_a_killed_builder_fails_what_it_was_at_and_nothing_else(start, uid):
    s = start(uid=uid)
    s.ask("hello")
    stuck = min(children(s.process.pid, "cay-builder"))
    os.kill(stuck, signal.SIGSTOP)
    lost, made = post_creates(s, 2)
    assert s.ask("next").id == made
    os.kill(stuck, signal.SIGKILL)
    failed = s.ask("next")
    assert (failed.serial, failed.code) == ("2", "internal") and "was killed" in failed.text
    wait_until(lambda: cgroups_of(lost) == [])
    assert s.create().id  # by a new builder
    assert len(children(s.process.pid, "cay-builder")) >= 2


@pytest.mark.parametrize("uid", USERS)
def test_builders_that_are_killed_at_any_moment_leave_nothing(start, uid):
    s = start(uid=uid)
    s.ask("hello")
    wished, living = [], []
    for round_ in range(12):
        builders = children(s.process.pid, "cay-builder")  # while no child of theirs is called so as well
        wished += post_creates(s, 6)
        answers = []
        for i in range(6):
            if i == round_ % 6:
                for pid in builders:
                    with contextlib.suppress(ProcessLookupError):  # orphans of the round before
                        os.kill(int(pid), signal.SIGKILL)
            answers.append(s.ask("next"))
        assert [a.op for a in answers] == ["create"] * 6
        assert {a.code for a in answers} <= {"ok", "internal"}
        living += [a.id for a in answers if a.code == "ok"]
    for sandbox in living:
        assert s.ask(f"destroy {sandbox}").code == "ok"
    wait_until(lambda: not [c for w in wished for c in cgroups_of(w)])
    wait_until(lambda: {status(pid).get("Name") for pid in children(s.process.pid)} <= {"cay-builder", "cay-janitor", "cayd", None})


@pytest.mark.parametrize("uid", USERS)
def test_a_supervisor_that_is_killed_while_it_builds_leaves_nothing(start, uid):
    for round_ in range(8):
        s = start(uid=uid)
        s.ask("hello")
        wished = post_creates(s, 30)
        for _ in range(round_):
            s.ask("next")
        mine = children(s.process.pid)
        s.process.kill()
        s.process.wait()
        wait_for_end(mine)
        wait_until(lambda: not [c for w in wished for c in cgroups_of(w)])


def test_pid_1_of_a_sandbox_ends_with_its_supervisor_even_if_no_signal_comes(start):
    """The signal is asked for late, and an owner that has ended before sends none: it holds a pipe that ends with it."""
    s = start()
    s.ask("hello")
    s.create()
    inits = children(s.process.pid, "cay-init")
    assert inits
    for init in inits:
        assert os.readlink(f"/proc/{init}/fd/3").startswith("pipe:")
    life, end = os.pipe()
    left = subprocess.Popen([BUILD / "src/main/cay-init", str(life)], pass_fds=[life])
    os.close(life)
    with pytest.raises(subprocess.TimeoutExpired):
        left.wait(0.2)
    left.send_signal(signal.SIGCHLD)
    os.close(end)
    assert left.wait(PATIENCE) == 0


def test_what_a_killed_supervisor_and_its_janitor_left_the_next_one_sweeps(start):
    s = start()
    s.ask("hello")
    made = s.create()
    mine = children(s.process.pid)
    janitor, = children(s.process.pid, "cay-janitor")
    os.kill(janitor, signal.SIGKILL)
    s.process.kill()
    s.process.wait()
    wait_for_end(mine)
    t = start()
    assert t.ask("hello").count == "0"
    assert cgroups_of(made.id) == []


@pytest.mark.parametrize("uid", USERS)
def test_a_killed_janitor_is_followed_by_another(start, uid):
    s = start(uid=uid)
    s.ask("hello")
    made = s.create()
    for _ in range(3):
        janitor, = children(s.process.pid, "cay-janitor")
        with awaited(janitor):
            os.kill(janitor, signal.SIGKILL)
        wait_until(lambda: [c for c in children(s.process.pid, "cay-janitor") if c != janitor])
    mine = children(s.process.pid)
    s.process.kill()
    s.process.wait()
    wait_for_end(mine)
    wait_until_swept([made])


def test_a_state_directory_has_one_supervisor(start, directory):
    start()
    second = subprocess.run([directory / "cay-supervisor", "--state", directory / "state", "--socket", "none",
                             "--listen", "127.0.0.1:0", "--libexec", directory], capture_output=True, text=True)
    assert second.returncode == 6 and f"a supervisor runs with state directory {directory}/state: process " in second.stderr


def is_waiting_for_a_lock(pid):
    return re.search(rf"-> FLOCK .* {pid} ", pathlib.Path("/proc/locks").read_text())


@pytest.mark.parametrize("uid", USERS)
def test_what_a_killed_supervisor_has_left_is_waited_for(start, uid):
    s = start(uid=uid)
    s.ask("hello")
    left = int(s.ask("linger").pid)
    s.process.kill()
    successor = Supervisor(s.directory, "--listen", "127.0.0.1:0", uid=uid)  # while that one is dying, or just dead
    try:
        wait_until(lambda: is_waiting_for_a_lock(successor.process.pid))
        os.kill(left, signal.SIGKILL)
        assert successor.accept().ask("hello").count == "0"
    finally:
        successor.close()


def test_what_does_not_end_is_not_waited_for_without_an_end(start):
    s = start()
    s.ask("hello")
    left = int(s.ask("linger").pid)
    s.process.kill()
    successor = Supervisor(s.directory)
    try:
        assert successor.process.wait(PATIENCE) == 15 and "was killed, and what it has left does not end" in successor.text()
    finally:
        os.kill(left, signal.SIGKILL)
        successor.close()


def test_a_socket_in_use_is_not_taken_and_a_stale_one_is(start, directory):
    s = start()
    second = subprocess.run([directory / "cay-supervisor", "--state", directory / "other", "--socket", s.socket,
                             "--libexec", directory], capture_output=True, text=True)
    assert second.returncode == 6 and "listens on" in second.stderr
    mine = children(s.process.pid)
    s.process.kill()
    s.process.wait()
    wait_for_end(mine)
    assert s.socket.exists()
    start()
    assert stat.S_IMODE(s.socket.stat().st_mode) == 0o600


def test_the_state_directory_is_closed_to_others(start, directory):
    start()
    assert stat.S_IMODE((directory / "state").stat().st_mode) == 0o700


def test_ready_is_told_once_a_server_is_up(directory):
    ours, theirs = os.pipe()
    name = f"cay-test-{secrets.token_hex(8)}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"\0{name}")
    listener.listen()
    process = subprocess.Popen([directory / "cay-supervisor", "--state", directory / "state", "--socket", "none",
                                "--listen", "127.0.0.1:0", "--libexec", directory, "--pool", "0",
                                "--ready-fd", str(theirs)],
                               env={"FAKE_CAYD_SOCKET": name}, pass_fds=[theirs], stderr=subprocess.DEVNULL)
    os.close(theirs)
    server, _ = listener.accept()
    server.send(b"hello")
    line = os.read(ours, 16)
    with socket.create_connection(("127.0.0.1", int(line)), PATIENCE):
        assert line.startswith(b" ") and line.endswith(b"\n")
    assert os.read(ours, 16) == b""
    process.terminate()
    assert process.wait(PATIENCE) == 0
    for s in (server, listener):
        s.close()
    os.close(ours)
