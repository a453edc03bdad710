# SPDX-License-Identifier: Apache-2.0
"""What runs into a limit is told which one; the sandbox goes on."""
import threading

import pytest
from waiting import PATIENCE

LIMITS = {"memory_bytes": 64 << 20, "pids": 32, "disk_bytes": 8 << 20, "disk_inodes": 2000}
HITS = {
    "memory": "python3 -c 'b = bytearray(200 << 20)'",
    "pids": "python3 -c 'import subprocess; [subprocess.Popen([\"sleep\", \"60\"]) for i in range(100)]'",
    "disk": "cat /dev/zero > /tmp/full",
}


@pytest.fixture(scope="module")
def small(server):
    made = server.create(limits=LIMITS)
    yield made
    made.delete()


def skip_without(box, limit):
    if limit != "disk" and limit not in box.record["enforced"]["controls"]:
        pytest.skip(f"this host gives no {limit} limit")


@pytest.mark.parametrize("limit", HITS)
def test_a_command_in_a_session_is_told(small, limit):
    skip_without(small, limit)
    result = small.run(HITS[limit], timeout_ms=60000)
    assert result["status"] == "exited" and result["exit_code"] != 0
    assert result["limit"] == limit
    small.action("process_kill_all")
    assert small.output("rm -f /tmp/full; echo on").endswith("on\n")


@pytest.mark.parametrize("limit", HITS)
def test_a_program_started_directly_is_told(small, limit):
    skip_without(small, limit)
    result = small.action("exec", argv=["bash", "-c", HITS[limit]], timeout_ms=60000)
    assert result["exit_code"] != 0
    assert result["limit"] == limit
    small.action("process_kill_all")
    small.run("rm -f /tmp/full")


def test_a_shell_that_cannot_fork_goes_on_beside_its_jobs(server):
    box = server.create(limits={"pids": 6})
    skip_without(box, "pids")
    box.run("sleep 1000 & sleep 1001 & sleep 1002 &")
    for _ in range(3):
        box.action("exec", argv=["sleep", "1003"], detach=True)
    failed = box.run("/bin/true", timeout_ms=50000)
    assert (failed["status"], failed["limit"]) == ("exited", "pids") and failed["exit_code"] != 0
    assert failed["output"].endswith("fork: Resource temporarily unavailable\n"), failed
    assert box.output("echo on") == "on\n"
    jobs = box.output("jobs -r")
    assert all(f"sleep {n} &" in jobs for n in (1000, 1001, 1002)), jobs
    box.action("process_kill_all")
    assert box.output("/bin/echo on").endswith("on\n")
    box.delete()


def test_a_failure_of_its_own_is_no_limit(small):
    assert "limit" not in small.run("false")
    assert "limit" not in small.action("exec", argv=["false"])
    assert "limit" not in small.run("true")


STOPS_EVERYTHING = "import os, signal\nwhile True:\n    os.kill(-1, signal.SIGSTOP)"


def test_an_agent_that_stops_whatever_begins_does_not_stop_its_keeper(server):
    box = server.create()
    box.action("exec", argv=["python3", "-c", STOPS_EVERYTHING], detach=True)
    for _ in range(20):  # what is started may be stopped, by its own fault; who starts it may not
        assert box.action("exec", argv=["true"], timeout_ms=50)["status"] == "exited"
        assert box.action("stat", path="/etc")["type"] == "directory"
        assert "matches" in box.action("glob", path="/etc", pattern="*.conf")
    box.action("process_kill_all")
    assert box.action("exec", argv=["echo", "on"])["stdout"] == "on\n"
    box.delete()


KILLS_EVERYTHING = "import os, signal\nwhile True:\n    try: os.kill(-1, signal.SIGKILL)\n    except OSError: pass"
BREEDS = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"


def test_who_kills_everything_does_not_kill_who_does_the_same(server):
    box = server.create()
    box.run("for i in $(seq 50); do sleep 1000 & done")
    ends = []
    threads = [threading.Thread(target=lambda: ends.append(box.request("POST", "/actions/process_kill_all", {}).status)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert ends == [200] * 4
    assert box.action("process_tree")["processes"] == []
    box.delete()


@pytest.mark.parametrize("program", [KILLS_EVERYTHING, STOPS_EVERYTHING, BREEDS], ids=["kills", "stops", "breeds"])
def test_when_everything_was_killed_nothing_is_left(server, program):
    box = server.create()
    box.run("sleep 1000 & setsid sleep 1000 &")
    box.action("exec", argv=["python3", "-c", program], detach=True)
    box.action("process_kill_all")
    assert box.action("process_tree")["processes"] == []
    assert box.output("echo on") == "on\n"
    box.delete()
