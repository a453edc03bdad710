# SPDX-License-Identifier: Apache-2.0
"""Cells over HTTP in real sandboxes: what goes wrong in a kernel stays in its sandbox."""
import json

import pytest
from kernels import needs_ipython
from waiting import wait_until

pytestmark = needs_ipython


@pytest.fixture
def box(server):
    made = server.create(limits={"memory_bytes": 400 << 20, "pids": 100})
    yield made
    made.delete()


def cell(box, code, **params):
    reply = box.request("POST", "/actions/cell", {"code": code, **params}, timeout=100)
    assert reply.status == 200, reply.body
    return reply.json


def test_a_cell_is_one_request(box):
    result = cell(box, "print('hi')\n6 * 7")
    assert (result["status"], result["text"]) == ("ok", "hi\n42\n")
    assert [o["type"] for o in result["outputs"]] == ["stream", "execute_result"]


def test_a_cell_streams_as_events(box):
    reply = box.request("POST", "/actions/cell", {"code": "print('hi')\n6 * 7"}, headers={"Accept": "text/event-stream"})
    events = [part.split("\n") for part in reply.body.decode().strip().split("\n\n")]
    said = {lines[0]: json.loads(lines[-1].removeprefix("data: ")) for lines in events}
    assert said["event: data"] == {"channel": 1, "text": "hi\n"}
    assert said["event: event"]["data"]["text/plain"] == "42"
    assert said["event: result"]["status"] == "ok" and "outputs" not in said["event: result"]


def test_the_kernel_is_the_agents_and_sees_no_more_than_the_agent(box):
    text = cell(box, "import os\nprint(os.getuid() != 0 or 'root', [l for l in open('/proc/self/status') if "
                "l.startswith(('Seccomp:', 'NoNewPrivs:', 'CapEff:'))])")["text"]
    assert "NoNewPrivs:\\t1" in text and "Seccomp:\\t2" in text and "CapEff:\\t0000000000000000" in text
    assert cell(box, "import os\nos.getppid() == 1 or open(f'/proc/{os.getppid()}/cmdline').read()[:7]")["text"] \
        in ("True\n", "'python3'\n")


def test_a_cell_that_eats_all_memory_is_killed_and_the_sandbox_goes_on(box):
    result = cell(box, "x = []\nwhile True: x.append(bytearray(10 << 20))")
    assert result["status"] in ("ended", "error")
    if result["status"] == "ended":
        assert "killed by signal 9 (KILL)" in result["error"]["value"]
    else:
        assert result["error"]["name"] == "MemoryError"
    assert cell(box, "6 * 7", kernel="next")["text"] == "42\n"
    assert box.request("POST", "/actions/run", {"command": "echo fine"}).json["output"] == "fine\n"


def test_a_fork_bomb_in_a_cell_ends_with_its_kernel(box):
    code = "import os, time\nwhile True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)"
    result = cell(box, code, timeout_ms=500)
    assert result["status"] in ("timed_out", "ended", "interrupted", "error")
    assert box.request("POST", "/actions/kernel_close", {}).status in (200, 404)
    assert cell(box, "6 * 7", kernel="next", timeout_ms=60000)["text"] == "42\n"


@pytest.mark.parametrize("end", ["pass", "import os\nos._exit(1)"], ids=["closed", "crashed"])
def test_what_a_cell_left_in_its_process_group_ends_with_its_kernel(box, end):
    pid = cell(box, "import os, signal, time\npid = os.fork()\nif pid == 0:\n    signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                    "    time.sleep(1000)\nprint(pid)")["text"].strip()
    cell(box, end)
    assert box.request("POST", "/actions/kernel_close", {}).status == 200
    wait_until(lambda: cell(box, f"import os\nos.path.exists('/proc/{pid}')", kernel="next")["text"] == "False\n")


def test_a_kernel_survives_a_crash_of_the_server(own_server):
    made = own_server.create()
    assert cell(made, "x = 41")["status"] == "ok"
    own_server.kill_server()
    assert cell(made, "x + 1")["text"] == "42\n"  # it waits in the socket that the supervisor holds


def test_a_paused_kernel_goes_on_where_it_was(box):
    cell(box, "x = 1")
    assert box.request("POST", "/pause").status < 300
    assert box.request("POST", "/resume").status < 300
    assert cell(box, "x")["text"] == "1\n"
