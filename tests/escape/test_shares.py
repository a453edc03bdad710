# SPDX-License-Identifier: Apache-2.0
"""
What the kernel counts for each user of the host, and not for a sandbox: an ordinary user's sandboxes have their
owner's uid. One that takes all it can get takes nothing from the server or from the other sandboxes.
"""
import contextlib
import os
import pathlib
import tempfile

import pytest
from conftest import IS_ROOT, ORDINARY
from test_served import e2e

TAKE = {
    "descriptors under way": """
        while True:
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            keep.extend([a, b])
            a.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd] * 250))])""",
    "queued signals": """
        signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 65))
        while libc.sigqueue(os.getpid(), 40, ctypes.c_void_p(0)) == 0: pass
        raise OSError(ctypes.get_errno(), "sigqueue")""",
    "inotify instances": """
        while libc.inotify_init() >= 0: pass
        raise OSError(ctypes.get_errno(), "inotify_init")""",
    "pipes": """
        while True:
            keep.append(os.pipe())
            fcntl.fcntl(keep[-1][0], 1031, 1 << 20)""",
    "message queues": """
        libc.mq_open.restype = ctypes.c_int
        n = 0
        while libc.mq_open(b"/q%d" % n, os.O_CREAT | os.O_RDWR, 0o600, None) >= 0: n += 1
        raise OSError(ctypes.get_errno(), "mq_open")""",
}
PROGRAM = """
import array, contextlib, ctypes, fcntl, os, resource, signal, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
keep, fd = [], os.eventfd(0)
def take():
{}
try:
    take()
except OSError as e:
    print("taken:", e, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module", params=["root", "ordinary user"] if IS_ROOT else ["ordinary user"])
def server(request):
    with contextlib.ExitStack() as stack:
        if not IS_ROOT or request.param == "root":
            started = e2e.start_server()
        else:
            directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-shares-"))
            os.chown(directory, ORDINARY, ORDINARY)
            directory.chmod(0o755)
            ids = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"]
            started = e2e.Server(directory, prefix=ids)
        stack.callback(e2e.end_server, started)
        yield started


@pytest.mark.parametrize("what", TAKE)
def test_who_takes_all_takes_it_from_nobody(server, what):
    greedy, other = server.create(), server.create()
    body = "\n".join(line[4:] for line in TAKE[what].splitlines())
    greedy.put_file("take.py", PROGRAM.format(body).encode())
    with contextlib.closing(server.events("POST", f"{greedy.path}/actions/exec", {"argv": ["python3", "take.py"]})) as output:
        said = ""
        while "taken:" not in said and "Error" not in said:
            said += next(event["text"] for kind, _, event in output if kind == "data")
        assert said.startswith("taken:"), said
        assert other.output("echo fine") == "fine\n"
        assert other.action("exec", argv=["echo", "fine"], capture=True)["stdout"] == "fine\n"
        other.put_file("a", b"1")
        assert other.get_file("a").body == b"1"
        assert greedy.output("echo fine") == "fine\n"
        third = server.create()
        assert third.output("echo fine") == "fine\n"
        third.delete()
    greedy.delete()
    other.delete()


def test_a_host_without_memory_ends_what_is_in_sandboxes_first(server):
    """The kernel chooses by this number, of which 1000 is the highest; nobody inside can lower it."""
    box = server.create()
    assert box.output("cat /proc/self/oom_score_adj") == "1000\n"
    assert box.action("exec", argv=["cat", "/proc/self/oom_score_adj"], capture=True)["stdout"] == "1000\n"
    assert box.run("echo 0 > /proc/self/oom_score_adj")["exit_code"] != 0
    own = pathlib.Path(f"/proc/{server.server_pid()}/oom_score_adj").read_text()
    assert own == pathlib.Path("/proc/self/oom_score_adj").read_text()
    box.delete()
