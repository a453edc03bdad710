# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of the host's processes. They end while one looks: whoever has ended is not there."""
import contextlib
import os
import pathlib
import select

from waiting import PATIENCE


def children(pid, name=None):
    """The pids of its children, those of that name alone if one is given."""
    found = []
    with contextlib.suppress(OSError):
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if name in (None, pathlib.Path(f"/proc/{child}/comm").read_text().rstrip("\n")):
                    found.append(int(child))
    return found


def descendants(pid, name):
    """The pids of all of that name that are below it."""
    below = [pid]
    for one in below:
        below += children(one)
    return [one for one in below if status(one).get("Name") == name]


def status(pid):
    """The lines of /proc/PID/status: name -> value, without blanks around it; nothing of one that is gone."""
    with contextlib.suppress(OSError):
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}
    return {}


def family(pid, depth=0):
    """For people: a process and all below it, with what each is at."""
    about = status(pid)
    lines = [f"{'  ' * depth}{pid} {about.get('Name')} {about.get('State')} tracer={about.get('TracerPid')}"]
    for child in children(pid):
        lines += family(child, depth + 1)
    return lines


def memory_kib(pid, what="VmRSS"):
    return int(status(pid)[what].split()[0])


@contextlib.contextmanager
def awaited(*pids):
    """What is done inside ends these processes; they are gone when it is left."""
    fds = [os.pidfd_open(pid) for pid in pids]
    try:
        yield
        for pid, fd in zip(pids, fds):
            assert select.select([fd], [], [], PATIENCE)[0], f"{pid} lives on"
    finally:
        for fd in fds:
            os.close(fd)


def descriptors(pid):
    """Path in /proc -> what it leads to"""
    found = {}
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found[fd] = os.readlink(fd)
    return found
