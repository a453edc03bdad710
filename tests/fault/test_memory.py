# SPDX-License-Identifier: Apache-2.0
"""
The n-th allocation fails. A program that has no memory left ends (base/bug.h): the server is started anew by the
supervisor and loses nothing that it has acknowledged; with the supervisor everything ends, and nothing is left.
"""
import mmap
import os
import pathlib
import random
import struct

import pytest
from conftest import SCALE, Lost, Work, e2e, soak, wait_until

LIBRARY = e2e.BUILD / "tests" / "fault" / "libnth_alloc.so"
LAYOUT = struct.Struct("32sqq")
# The server is started more and more slowly the more often it ends, so that hundreds would take hours.
TIMES = {"cayd": 4 * min(SCALE, 5), "cay-supervisor": 2 * min(SCALE, 50)}


class Faults:
    """The file that says which allocation fails."""

    def __init__(self, directory):
        self.path = directory / "fault"
        self.path.write_bytes(bytes(LAYOUT.size))
        self.path.chmod(0o666)
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), LAYOUT.size)

    def arm(self, program, nth):
        LAYOUT.pack_into(self.memory, 0, program.encode(), nth, 0)

    def n_failed(self):
        return LAYOUT.unpack_from(self.memory)[2]


@pytest.fixture
def server_and_faults(tmp_path_factory, monkeypatch):
    if not LIBRARY.exists():
        pytest.skip("not built: with a sanitizer, malloc is the sanitizer's")
    directory = pathlib.Path(e2e.tempfile.mkdtemp(prefix="cay-fault-"))
    directory.chmod(0o755)
    library = directory / LIBRARY.name
    library.write_bytes(LIBRARY.read_bytes())  # the server's own uid may not reach the build directory
    library.chmod(0o755)
    faults = Faults(directory)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("FAULT_FILE", str(faults.path))
    started = e2e.start_server()
    monkeypatch.delenv("LD_PRELOAD")
    yield started, faults
    e2e.end_server(started)
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def numbers(program):
    """One of a few, of some hundred, of some thousand: start, work, and what comes seldom."""
    rng = random.Random(program)
    return [rng.randrange(1, 10 ** rng.choice([1, 2, 3, 4])) for _ in range(TIMES[program])]


def test_the_server_has_no_memory_left(server_and_faults):
    server, faults = server_and_faults
    work = Work(server)
    hits = 0
    for nth in numbers("cayd"):
        faults.arm("cayd", nth)
        work.step()
        work.step()
        hits += faults.n_failed()
        faults.arm("", 0)
        assert work.check(), work.box.get()
        work.lines, work.events = work.lines[-50:], work.events[-50:]
    assert hits >= TIMES["cayd"] // 2, f"only {hits} of {TIMES['cayd']} allocations have failed"
    work.end()


@pytest.mark.parametrize("nth", numbers("cay-supervisor"))
def test_the_supervisor_has_no_memory_left(server_and_faults, nth):
    server, faults = server_and_faults
    work = Work(server)
    everything = set(soak.Census(server).processes)
    faults.arm("cay-supervisor", nth % 400 + 1)
    try:
        for _ in range(2):
            work.step()
    except (Lost, AssertionError):
        pass
    if server.process.poll() is None:
        faults.arm("", 0)
        work.wait_for_server()
        assert work.check()
        return
    assert "out of memory" in server.log_text()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in everything))
