# SPDX-License-Identifier: Apache-2.0
"""
The n-th allocation fails. A program that has no memory left ends (base/bug.h): the server is started anew by the
supervisor and loses nothing that it has acknowledged; with the supervisor everything ends, and nothing is left.
"""
import os
import random
import struct

import pytest
from conftest import SCALE, Lost, SharedFile, Work, preloaded, soak, wait_until

LAYOUT = struct.Struct("32sqq")
# The server is started more and more slowly the more often it ends, so that hundreds would take hours.
TIMES = {"cayd": 4 * min(SCALE, 5), "cay-supervisor": 2 * min(SCALE, 50)}


class Faults(SharedFile):
    """Says which allocation fails."""

    SIZE = LAYOUT.size

    def arm(self, program, nth):
        LAYOUT.pack_into(self.memory, 0, program.encode(), nth, 0)

    def n_failed(self):
        return LAYOUT.unpack_from(self.memory)[2]


@pytest.fixture
def server_and_faults():
    with preloaded("nth_alloc", FAULT_FILE=Faults) as (started, faults):
        yield started, faults


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
