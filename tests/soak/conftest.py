# SPDX-License-Identifier: Apache-2.0
"""What the long tests share. SCALE (1: minutes in all, for every check; 100: hours) says how much of everything."""
import importlib.util
import os
import pathlib
import signal
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCALE = int(os.environ.get("SCALE", "1"))

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
loader = importlib.util.spec_from_file_location("e2e", ROOT / "tests" / "e2e" / "conftest.py")
e2e = importlib.util.module_from_spec(loader)
loader.loader.exec_module(e2e)
PROGRAMS, Server, end_server = e2e.PROGRAMS, e2e.Server, e2e.end_server  # for outside.py


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.timeout(300 * SCALE))


@pytest.fixture
def server():
    """A server that the test may do anything to."""
    started = e2e.start_server()
    yield started
    for pid in descendants(started.process.pid):  # a test that failed may have stopped some
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    e2e.end_server(started)


def parent_of(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def descendants(pid):
    """All processes that pid is an ancestor of, with their names."""
    children = {}
    names = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            children.setdefault(parent_of(entry), []).append(int(entry))
            names[int(entry)] = pathlib.Path(f"/proc/{entry}/comm").read_text().strip()
        except (OSError, IndexError):
            pass
    found, todo = {}, [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found[child] = names.get(child, "")
            todo.append(child)
    return found


def named(server, name):
    return [pid for pid, comm in descendants(server.process.pid).items() if comm == name]


def n_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def rss_kib(pid):
    """What it alone has: private memory, in KiB."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private"))


def namespaces(pids):
    """All that any of these processes is in, or keeps open."""
    found = set()
    for pid in pids:
        for where in ("ns", "fd"):
            try:
                links = {os.readlink(f"/proc/{pid}/{where}/{entry}") for entry in os.listdir(f"/proc/{pid}/{where}")}
                found |= {link for link in links if link.split(":")[0] in ("mnt", "pid", "net", "user", "ipc", "uts", "cgroup")}
            except OSError:
                pass
    return found


def cgroups(server):
    """The groups below the supervisor's own, and of the sandboxes that were asked for, by hierarchy; others have theirs beside."""
    found = set()
    for base, dirs, _ in os.walk("/sys/fs/cgroup"):
        found |= {os.path.join(base, d) for d in dirs if f"cay/{server.process.pid}" in os.path.join(base, d)
                  or (base.endswith("/cay") and d.split(".")[0] in server.made)}
    return found


class Census:
    """Everything of the host that a sandbox of this server could leave something in; others may have theirs on it."""

    def __init__(self, server):
        pid = server.process.pid
        self.processes = set(descendants(pid)) if server.process.poll() is None else set()
        self.mounts = [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
                       if str(server.directory) in line]
        self.namespaces = namespaces({pid, *self.processes})
        self.cgroups = cgroups(server)
        self.interfaces = set(os.listdir("/sys/class/net"))
        self.fds = {name: [n_fds(p) for p in named(server, name)] for name in ("cayd",)}
        self.fds["cay-supervisor"] = n_fds(pid) if server.process.poll() is None else 0

    def grown(self, before):
        """What is more than before."""
        return {
            "processes": len(self.processes) - len(before.processes),
            "mounts": len(self.mounts) - len(before.mounts),
            "namespaces": len(self.namespaces - before.namespaces),
            "cgroups": len(self.cgroups - before.cgroups),
            "interfaces": len(self.interfaces - before.interfaces),
        }


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p / 100))]
