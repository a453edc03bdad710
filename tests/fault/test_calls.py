# SPDX-License-Identifier: Apache-2.0
"""
The n-th system call fails, in each of our programs: nobody hangs, nothing that was acknowledged is lost, and nothing is
left. Which calls a program makes is counted first, so that what is to fail is one that it makes.
"""
import collections
import os
import random

import pytest
from conftest import SCALE, Injector, Work, count_calls, e2e, needs_strace, soak, wait_until

# What the kernel may really answer.
ERRORS = {
    "accept4": ["EMFILE", "ECONNABORTED"], "brk": ["ENOMEM"], "mmap": ["ENOMEM"], "mremap": ["ENOMEM"],
    "clone": ["EAGAIN", "ENOMEM"], "clone3": ["EAGAIN", "ENOMEM"], "fork": ["EAGAIN"], "vfork": ["EAGAIN"],
    "connect": ["EAGAIN"], "epoll_create1": ["EMFILE"], "epoll_ctl": ["ENOMEM", "ENOSPC"], "epoll_pwait": ["EINTR"], "epoll_wait": ["EINTR"],
    "fallocate": ["ENOSPC"], "fchmod": ["EPERM"], "fcntl": ["EMFILE"], "fdatasync": ["EIO"], "fstat": ["EIO"], "fsync": ["EIO"],
    "fsopen": ["EPERM"], "fsmount": ["ENOMEM"], "ftruncate": ["ENOSPC"], "getdents64": ["EIO"], "ioctl": ["EIO"], 
    "memfd_create": ["EMFILE"], "mkdir": ["ENOSPC"], "mkdirat": ["ENOSPC"], "mount": ["ENOMEM"], "move_mount": ["ENOMEM"],
    "newfstatat": ["EIO"], "open_tree": ["EMFILE"], "openat": ["EMFILE", "ENOENT", "EIO"], "openat2": ["EMFILE", "EAGAIN", "EINTR"],
    "pidfd_open": ["EMFILE"], "pipe2": ["EMFILE"], "poll": ["EINTR", "ENOMEM"], "ppoll": ["EINTR"],
    "pread64": ["EIO"], "pwrite64": ["ENOSPC", "EIO"], "read": ["EIO", "EINTR"], "readv": ["EIO"], "recvfrom": ["EINTR", "ECONNRESET"],
    "recvmsg": ["EINTR", "ENOMEM"], "rename": ["ENOSPC"], "renameat": ["ENOSPC"], "renameat2": ["ENOSPC"], "rmdir": ["EBUSY"],
    "sendmsg": ["ENOBUFS", "EPIPE", "EAGAIN"], "sendto": ["EPIPE", "EAGAIN"], "setns": ["EPERM"], "socket": ["EMFILE"],
    "socketpair": ["EMFILE"], "statx": ["EIO"], "timerfd_settime": ["EINVAL"], "unlink": ["EIO"], "unlinkat": ["EBUSY"],
    "unshare": ["ENOSPC"], "wait4": ["EINTR"], "waitid": ["EINTR"], "write": ["EIO", "ENOSPC"], "writev": ["EPIPE"],
}
VICTIMS = ["cayd", "cay-executor", "cay-supervisor", "cay-builder"]
CASES = 5 * SCALE


def victim_pids(server, work, name):
    """The process; of builders, whoever will be at work."""
    if name == "cay-supervisor":
        return [server.process.pid]
    if name != "cay-executor":
        return wait_until(lambda: soak.named(server, name))
    ours = os.readlink(f"/proc/{work.box.get()['init_pid']}/ns/mnt")
    return [next(pid for pid in soak.named(server, name) if os.readlink(f"/proc/{pid}/ns/mnt") == ours)]


@pytest.fixture
def server():
    needs_strace()
    started = e2e.start_server()
    yield started
    e2e.end_server(started)


def remains(server):
    """How much there is of what a sandbox could leave."""
    return len(soak.cgroups(server)) + len(soak.named(server, "cay-init")) + \
        len(soak.named(server, "cay-executor"))


def is_real(name, call, error):
    """For an executor, EIO from a terminal is how a shell's end looks: there is nothing to tell it from."""
    return (name, call, error) != ("cay-executor", "read", "EIO")


def inject(server, name, call, error, nth):
    """True if the call was made, and failed."""
    print(f"{name} {call} {error} {nth}: ", end="", flush=True)
    supervisor = server.process.pid
    work = Work(server)
    injector = Injector(victim_pids(server, work, name), call, f"error={error}", nth)
    try:
        work.step()
        work.step()
    finally:
        is_hit = injector.close()
    print(f"{'made' if is_hit else 'not made'}; {work.answers}")
    assert server.process.poll() is None and server.process.pid == supervisor, server.log_text()[-3000:]
    lives = work.check()
    # What an agent can bring about where it has the server's uid does not end its executor.
    assert lives or (is_hit and name == "cay-executor" and call != "epoll_ctl"), f"the sandbox ended: {work.box.get()}"
    fresh = server.create()  # and all goes on
    assert fresh.output("echo fine") == "fine\n"
    fresh.delete()
    work.end()
    return is_hit


@pytest.mark.parametrize("name", VICTIMS)
def test_a_call_that_fails_loses_nothing(server, name):
    rng = random.Random(int(os.environ.get("FAULT_SEED", "1")))
    work = Work(server)
    work.step()
    kinds, counts = [], collections.Counter()
    while len(kinds) <= 5:  # a builder may come to what a step gave it after that step
        counts |= count_calls(victim_pids(server, work, name), work)
        kinds = [(call, error) for call in sorted(counts) for error in ERRORS.get(call, []) if is_real(name, call, error)]
    work.end()
    settled = remains(server)
    rng.shuffle(kinds)
    n_hits = 0
    for case in range(CASES):
        call, error = kinds[case % len(kinds)]
        n_hits += inject(server, name, call, error, rng.randrange(1, counts[call] + 1))
    print(f"{name}: {n_hits} of {CASES} calls failed, of {len(kinds)} kinds")
    assert n_hits > CASES // 3
    # The pool may be fuller than it was; 40 lives have come and gone for each of its sandboxes.
    wait_until(lambda: remains(server) <= settled + 16, "something is left")


def test_a_database_whose_locks_fail_is_mended_without_a_restart(server):
    """What SQLite knows of its locks is out of step then, and stays so until the database is opened anew."""
    pid = server.server_pid()
    for nth in range(1, 1 + 4 * min(SCALE, 10)):
        inject(server, "cayd", "fcntl", "EMFILE", f"{nth}..{nth + 2}")
    assert server.server_pid() == pid
