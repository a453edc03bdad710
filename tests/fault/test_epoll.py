# SPDX-License-Identifier: Apache-2.0
"""
Epoll takes no descriptor of anybody here, as where code with the server's uid has used up fs.epoll.max_user_watches: a server
starts, makes sandboxes, and does in them what it always does.
"""
import os
import pathlib
import tempfile

import pytest
from conftest import e2e

ORDINARY = 65534
IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module", params=["root", "ordinary user"] if IS_ROOT else ["ordinary user"])
def server(request):
    program = e2e.BUILD / "tests/fault/no_epoll"
    prefix = [str(program)]
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-epoll-"))
    if IS_ROOT and request.param == "ordinary user":
        os.chown(directory, ORDINARY, ORDINARY)
        prefix = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"] + prefix
    directory.chmod(0o755)
    started = e2e.Server(directory, prefix=prefix)
    yield started
    e2e.end_server(started)


def test_epoll_takes_nothing(server):
    """The control."""
    box = server.create()
    program = "import os, select; e = select.epoll(); e.register(os.eventfd(0))"
    assert "No space left on device" in box.output(f"python3 -c '{program}'")
    box.delete()


def test_all_goes_on_without_epoll(server):
    boxes = [server.create() for _ in range(4)]
    for box in boxes:
        assert box.output("read x; echo $x", timeout_ms=300) == ""
    for n, box in enumerate(boxes):
        box.put_file("a", b"x" * 300000)
        assert len(box.get_file("a").body) == 300000
        assert box.action("exec", argv=["wc", "-c", "a"], capture=True)["stdout"].split()[0] == "300000"
        assert box.output(f"sleep 0.2; echo {n}", session=f"s{n}") == f"{n}\n"
        assert box.action("cell", code=f"{n} + 1", timeout_ms=60000)["status"] == "ok"
    lines = 20000
    stream = server.events("POST", f"{boxes[0].path}/actions/exec", {"argv": ["seq", str(lines)]})
    text = "".join(data.get("text", "") for _, _, data in stream)
    assert text.splitlines()[-1] == str(lines)
    brief = server.create(timeout_ms=300)
    assert brief.wait_for_state("ended")["reason"] == "its time was up after 300 ms"
    for box in [*boxes, brief]:
        box.delete()


def test_a_server_that_dies_comes_back_without_epoll(server):
    box = server.create()
    assert box.output("x=kept; echo ok") == "ok\n"
    server.kill_server()
    assert box.output("echo $x") == "kept\n"
    box.delete()
