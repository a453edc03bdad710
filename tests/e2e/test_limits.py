# SPDX-License-Identifier: Apache-2.0
"""What runs into a limit is told which one; the sandbox goes on."""
import contextlib
import json
import os
import pathlib
import re
import select
import threading
import time

import processes
import pytest
from conftest import Sandbox, end_server, start_server
from waiting import PATIENCE, wait_until

LIMITS = {"memory_bytes": 64 << 20, "pids": 32, "disk_bytes": 8 << 20, "disk_inodes": 2000}
HITS = {
    "memory": "python3 -c 'b = bytearray(200 << 20)'",
    "pids": "python3 -c 'import subprocess; [subprocess.Popen([\"sleep\", \"60\"]) for i in range(100)]'",
    "disk": "cat /dev/zero > /tmp/full",
    "inodes": "mkdir /tmp/many; python3 -c 'for i in range(3000): open(f\"/tmp/many/{i}\", \"w\")'",
}
CLEAN = "rm -rf /tmp/full /tmp/many"
ALWAYS = ("disk", "inodes")  # whatever the host gives


def limited(server, **limits):
    """A sandbox with such of these limits as the host can give."""
    plain = server.create()
    can = plain.record["enforced"]["controls"]
    plain.delete()
    return server.create(limits={name: value for name, value in limits.items() if name.split("_")[0] in can})


@pytest.fixture(scope="module")
def small(server):
    made = limited(server, **LIMITS)
    yield made
    made.delete()


def skip_without(box, limit):
    if limit not in ALWAYS and limit not in box.record["enforced"]["controls"]:
        pytest.skip(f"this host gives no {limit} limit")


@pytest.mark.parametrize("limit", HITS)
def test_a_command_in_a_session_is_told(small, limit):
    skip_without(small, limit)
    result = small.run(HITS[limit], timeout_ms=60000)
    assert result["status"] == "exited" and result["exit_code"] != 0
    assert result["limit"] == limit
    small.action("process_kill_all")
    assert small.output(f"{CLEAN}; echo on").endswith("on\n")


@pytest.mark.parametrize("limit", HITS)
def test_a_program_started_directly_is_told(small, limit):
    skip_without(small, limit)
    result = small.action("exec", argv=["bash", "-c", HITS[limit]], timeout_ms=60000)
    assert result["exit_code"] != 0
    assert result["limit"] == limit
    small.action("process_kill_all")
    small.run(CLEAN)


CELLS = {
    "memory": "b = bytearray(1 << 30)",
    "pids": "import subprocess\n[subprocess.Popen(['sleep', '60']) for i in range(100)]",
    "disk": "open('/tmp/full', 'wb').write(bytes(9 << 20))",
    "inodes": "import os\nos.mkdir('/tmp/many')\nfor i in range(3000): open(f'/tmp/many/{i}', 'w')",
}


@pytest.mark.parametrize("limit", CELLS)
def test_a_cell_is_told(server, limit):
    box = limited(server, **{**LIMITS, "memory_bytes": 256 << 20})
    skip_without(box, limit)
    result = box.action("cell", code=CELLS[limit], timeout_ms=60000)
    assert result["status"] in ("ended", "error") and result["limit"] == limit, result
    if result["status"] == "ended":
        assert f"at the sandbox's limit: {limit}" in result["error"]["value"]
    box.action("process_kill_all")
    box.run(CLEAN)
    assert "limit" not in box.action("cell", code="1 / 0", timeout_ms=60000)
    box.delete()


def test_what_actions_write_is_the_sandboxs_memory(server):
    """Its files may lie in memory: those that its client writes count as those of its programs."""
    box = limited(server, memory_bytes=64 << 20)
    skip_without(box, "memory")
    with contextlib.closing(server.connection()) as upload:
        with contextlib.suppress(BrokenPipeError):  # the answer comes before all is sent
            upload.request("PUT", f"{box.path}/files?path=/dev/shm/much", bytes(200 << 20), server.headers("", None))
        reply = upload.getresponse()
        error = json.loads(reply.read())["error"]
    assert (reply.status, error["code"], error["message"]) == (
        429, "limit_reached", "upload ran into the sandbox's limit: memory")
    assert box.output("ls -A /dev/shm") == ""
    refused = [box.request("POST", "/actions/write", {"path": f"/dev/shm/{i}", "content": "x" * (4 << 20)}) for i in range(40)]
    assert {r.json["error"]["message"] for r in refused if r.status != 200} == {"write ran into the sandbox's limit: memory"}
    assert sum(r.status == 200 for r in refused) < 16
    size = int(box.output("stat -c %s /dev/shm/0"))
    for _ in range(3):
        reply = box.request("POST", "/actions/append", {"path": "/dev/shm/0", "content": "x" * (4 << 20)})
        if reply.status != 200:  # and it is as it was
            assert int(box.output("stat -c %s /dev/shm/0")) == size
        size += (4 << 20) * (reply.status == 200)
    assert box.output("rm /dev/shm/[0-9]*; ls -A /dev/shm") == ""
    box.put_file("/tmp/little", b"x" * (1 << 20))
    assert box.get_file("/tmp/little").body == b"x" * (1 << 20)
    box.delete()


def test_many_small_writes_are_the_sandboxs_memory_too(server):
    box = limited(server, memory_bytes=64 << 20)
    skip_without(box, "memory")
    done = 0
    while done < 1000 and (reply := box.request("POST", "/actions/write", {"path": f"/dev/shm/{done}", "content": "x" * (200 << 10)})).status == 200:
        done += 1
    assert reply.json["error"]["message"] == "write ran into the sandbox's limit: memory"
    assert 300 < done < 700  # those that the executor may write itself, and those that fit
    box.delete()


def test_an_append_that_breaks_off_takes_nothing_from_others(server):
    box = server.create()
    lines = box.action("exec", detach=True, argv=[
        "bash", "-c", "i=0; until [ -e /tmp/enough ]; do echo line $((++i)). >>/tmp/log; done; echo $i"])["process"]
    body = json.dumps({"path": "/tmp/log", "content": "x" * (600 << 10)})
    for n in range(40):
        with contextlib.closing(server.connection()) as hasty:
            hasty.request("POST", f"{box.path}/actions/append", body, server.headers("", None))
            time.sleep(n % 5 / 1000)
    box.run("touch /tmp/enough")
    assert box.action("process_wait", process=lines)["exit_code"] == 0
    written = box.action("process_logs", process=lines, capture=True)["entries"][0]["text"]
    assert box.output("grep -a -o 'line [0-9]*[.]' /tmp/log | sort -u | wc -l") == written
    box.delete()


def test_an_action_whose_worker_is_killed_says_so(server):
    box = server.create()
    with contextlib.closing(server.connection()) as upload:
        upload.putrequest("PUT", f"{box.path}/files?path=/tmp&kind=tar")
        for name, value in {**server.headers("", None), "Content-Length": "1000"}.items():
            upload.putheader(name, value)
        upload.endheaders(b"x")
        while not select.select([upload.sock], [], [], 0.05)[0]:  # it has begun, some time soon
            box.action("process_kill_all")
        reply = upload.getresponse()
        error = json.loads(reply.read())["error"]
    assert (reply.status, error["code"]) == (503, "unavailable") and "was killed" in error["message"], error
    box.delete()


def test_a_tool_call_is_told(server):
    box = limited(server, **{**LIMITS, "memory_bytes": 256 << 20})
    skip_without(box, "memory")
    box.put_file("/workspace/kit.py", b"def eat(n: int):\n    'Eats.'\n    return len(bytearray(n))\n")
    box.action("tool_add", entrypoint="kit.eat")
    reply = box.request("POST", "/actions/tool_call", {"tool": "eat", "args": [1 << 30]})
    assert "at the sandbox's limit: memory" in reply.json["error"]["message"], reply.body
    assert box.action("tool_call", tool="eat", args=[5])["output"] == "5"
    box.delete()


def test_a_cell_that_comes_right_after_everything_was_killed_gets_a_new_kernel(server):
    box = server.create()
    for n in range(6):  # the old one's end is still being heard of
        assert box.action("cell", code=f"x = {n}\nx", timeout_ms=60000)["text"] == f"{n}\n"
        box.action("process_kill_all")
        result = box.action("cell", code="x", timeout_ms=60000)
        assert (result["status"], result["is_new_kernel"]) == ("error", True) or result["status"] == "ended", result
    assert box.output("echo on") == "on\n"
    box.delete()


@pytest.mark.parametrize("action", [{"argv": ["sleep", "1000"]}, {"command": "sleep 1000"}], ids=["exec", "run"])
def test_who_waits_when_its_time_is_up_is_told(server, action):
    for ms in 700, 5000, 30000:  # a slow machine may need longer to begin
        box = server.create(timeout_ms=ms)
        reply = box.request("POST", "/actions/exec" if "argv" in action else "/actions/run", action)
        if reply.code != "conflict":
            break
    assert reply.code == "gone" and f"its time was up after {ms} ms" in reply.json["error"]["message"]


def test_who_talks_to_openhands_is_told(server):
    box = limited(server, **LIMITS)
    reply = server.request("POST", f"/openhands/{box.id}/execute_action",
                           {"action": {"action": "run", "args": {"command": HITS["disk"]}}}, headers={"X-Session-API-Key": server.token})
    assert reply.status == 200, reply.body
    assert reply.json["extras"]["metadata"]["suffix"].endswith("It ran into the sandbox's limit: disk.]"), reply.body
    box.delete()


def test_who_talks_to_daytona_is_told(server):
    made = server.request("POST", "/daytona/api/sandbox", {"disk": 1})
    assert made.status == 200, made.body
    reply = server.request("POST", f"/daytona/toolbox/{made.json['id']}/process/execute", {"command": HITS["disk"], "timeout": 50})
    assert reply.json["exitCode"] != 0
    # What is in the sandbox's files counts as memory as well.
    assert re.search(r"the command ran into the sandbox's limit: (disk|memory)\n$", reply.json["result"]), reply.body
    server.request("DELETE", f"/daytona/api/sandbox/{made.json['id']}")


def test_a_shell_that_cannot_fork_goes_on_beside_its_jobs(server):
    box = limited(server, pids=6)
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
        reply = box.request("POST", "/actions/exec", {"argv": ["true"], "timeout_ms": 50})
        stopped = reply.status == 503 and "stopped before it had begun" in reply.json["error"]["message"]
        assert stopped or reply.json["status"] == "exited", reply.body
        assert box.action("stat", path="/etc")["type"] == "directory"
        assert "matches" in box.action("glob", path="/etc", pattern="*.conf")
    box.action("process_kill_all")
    assert box.action("exec", argv=["echo", "on"])["stdout"] == "on\n"
    box.delete()


FLOOD = "printf '\\033[2J\\033[24S%.0s' $(seq 5000) > flood; (sleep 0.5; while :; do cat flood; done) & echo begun"
SECRETS = {"KEY": {"value": "a secret of ours", "hosts": ["http://api.test"]}}


def keepers(server):
    return {pid for name in ("cay-executor", "cay-boundary") for pid in processes.children(server.process.pid, name)}


def with_cpu(server, milli, **wishes):
    reply = server.request("POST", "/v1/sandboxes", {"limits": {"cpu_milli": milli}, **wishes})
    if reply.status == 501:
        pytest.skip(reply.json["error"]["message"])
    assert reply.status == 201, reply.body
    return Sandbox(server, reply.json)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_what_an_agent_makes_its_keeper_do_counts_against_the_same_limit(server):
    """A terminal is cheap to write to and dear to keep: without this a tenth of a core got a whole one to work for it."""
    before = keepers(server)
    box = with_cpu(server, 100)
    executor, = keepers(server) - before
    assert "begun" in box.output(FLOOD)
    began, used = time.monotonic(), cpu_seconds(executor)
    wait_until(lambda: time.monotonic() - began > 2 and cpu_seconds(executor) > used + 0.05)
    took = time.monotonic() - began
    assert cpu_seconds(executor) - used < 0.1 * took + 0.1
    box.delete()


def test_all_that_keep_a_sandbox_are_in_one_group_that_goes_with_it(server):
    before = keepers(server)
    plain, box = with_cpu(server, 500), with_cpu(server, 500, network="proxy", secrets=SECRETS)
    groups = [pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii") for pid in keepers(server) - before]
    assert len(groups) == 3 and all(f"{made.id}.keeper" in "".join(groups) for made in (plain, box))
    assert sum(f"{box.id}.keeper" in group for group in groups) == 2
    plain.delete()
    box.delete()
    assert not [d for base, dirs, _ in os.walk("/sys/fs/cgroup") for d in dirs if d.startswith((plain.id, box.id))]


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


@pytest.mark.parametrize("n", [64, 96, 128])
def test_too_few_descriptors_are_named_as_that_and_hurt_nobody_else(n):
    server = start_server(files_max=n)
    made = []
    while (reply := server.request("POST", "/v1/sandboxes", {})).status == 201:
        made.append(Sandbox(server, reply.json))
    assert made and (reply.status, reply.code) == (429, "limit_reached"), reply.body
    assert "Too many open files" in reply.json["error"]["message"]
    for box in made:
        assert box.output("echo on") == "on\n"
    made.pop().delete()
    made.pop().delete()
    made.append(server.create())
    for box in made:
        assert box.output("echo on") == "on\n"
    end_server(server)
