# SPDX-License-Identifier: Apache-2.0
"""The image of sandboxes that name none, as a configuration describes it: a base, and what is missing in it."""
import contextlib
import json
import os
import signal
import subprocess
import threading

import processes
import pytest
import rootfs
from conftest import UnixConnection
from test_config import CAY, serve  # noqa: F401: a fixture
from waiting import PATIENCE, wait_until


def names(served):
    return [name for image in json.loads(served.cay("image", "ls", "--json").stdout) for name in image["names"]]


def built(served):
    return [name for name in names(served) if name.startswith("cay/extended:") and not name.endswith(("_host", "_1", "_latest"))]


def states(served, name):
    events = served.cay("events", name, "--json").stdout.splitlines()
    return [e["data"]["state"] for e in map(json.loads, events) if e["kind"] == "state"]


def living(served):
    return [s for s in json.loads(served.cay("ls", "--json").stdout) if s["state"] in ("ready", "running", "building", "creating")]


def test_what_is_missing_is_built_once_for_all_who_want_it(serve):
    served = serve("""[sandbox]
runtime_extra_deps = 'echo "made for $WHO" > /opt/made; echo x >> /opt/count'
runtime_extra_build_args = ['--build-arg', 'WHO=you']
""")
    wanted = [threading.Thread(target=served.cay, args=("create", "--name", f"box{i}")) for i in range(4)]
    for thread in wanted:
        thread.start()
    for thread in wanted:
        thread.join(PATIENCE)
    for i in range(4):
        assert served.cay("exec", f"box{i}", "--", "cat", "/opt/made", "/opt/count").stdout == "made for you\nx\n"
    assert len(built(served)) == 1 and served.text().count("image.built") == 1
    waited = ["creating", "building", "starting", "ready"]
    assert waited in [states(served, f"box{i}") for i in range(4)], "the first at least had to wait"
    record = served.record("box0")
    assert record["spec"]["image"] == built(served)[0] and record["spec"]["image_id"]
    served.cay("create", "--name", "later")
    assert states(served, "later") == ["creating", "starting", "ready"], "it is there by now"
    served.cay("create", "--name", "plain", "--image", "host")
    assert served.cay("exec", "plain", "--", "cat", "/opt/made", ok=False).returncode != 0, "who names an image gets that"
    removed = served.cay("image", "rm", "--force", record["spec"]["image_id"], ok=False)
    assert "is in use by 5 sandboxes" in removed.stderr


def test_clients_of_openhands_get_it_too(serve):
    served = serve("[sandbox]\nruntime_extra_deps = 'echo made > /opt/made'\n")
    with contextlib.closing(UnixConnection(served.dir / "cay.sock")) as connection:
        connection.request("POST", "/execute_action", json.dumps({"action": {"action": "run", "args": {"command": "cat /opt/made"}}}),
                           {"X-Session-API-Key": served.env["CAY_TOKEN"]})
        seen = json.loads(connection.getresponse().read())
    assert (seen["content"], seen["extras"]["metadata"]["exit_code"]) == ("made", 0)


def test_a_command_that_fails_is_the_reason_and_is_tried_again(serve):
    served = serve("[sandbox]\nruntime_extra_deps = 'test -e DIR/work/there || { echo no such luck >&2; exit 7; }'\nvolumes = ''\n")
    failed = served.cay("create", "--name", "box", ok=False)
    assert failed.returncode != 0
    assert "sandbox.runtime_extra_deps" in failed.stderr and "no such luck" in failed.stderr, failed.stderr
    assert living(served) == []
    again = served.cay("create", "--name", "box", ok=False)
    assert "no such luck" in again.stderr
    assert served.text().count("image.failed") == 2


def test_whoever_goes_takes_the_build_with_them(serve):
    served = serve("[sandbox]\nruntime_extra_deps = 'sleep 1000'\n")
    asked = [subprocess.Popen([CAY, "create", "--name", f"box{i}"], env=served.env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) for i in range(2)]
    wait_until(lambda: sum(s["state"] == "building" for s in living(served)) == 2, "both wait")
    served.cay("rm", "box0")
    assert "destroyed" in asked[0].communicate(timeout=PATIENCE)[1]
    assert any(s["name"] == "box1" and s["state"] == "building" for s in living(served)), "the other one waits on"
    served.cay("rm", "box1")
    assert asked[1].communicate(timeout=PATIENCE)[1]
    wait_until(lambda: not living(served), "the sandboxes of the build are gone")
    assert not [d for d in os.listdir(served.dir / "state" / "images" / "layers") if d.startswith("new-")]


def test_a_server_that_is_killed_while_it_builds_leaves_nothing(serve):
    served = serve("[sandbox]\nruntime_extra_deps = 'sleep 1000'\n")
    asked = subprocess.Popen([CAY, "create", "--name", "box"], env=served.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: any(s["state"] == "building" for s in living(served)), "it waits")
    cayd, = processes.children(served.process.pid, "cayd")
    os.kill(cayd, signal.SIGKILL)
    assert asked.wait(PATIENCE) != 0
    asked.communicate()
    wait_until(lambda: served.cay("ls", ok=False).returncode == 0, "another server is there")
    wait_until(lambda: not living(served), "nobody was told of what it had begun")
    wait_until(lambda: not os.listdir(served.dir / "state" / "images" / "layers"), "its layers are gone")


def test_a_base_is_an_image_of_the_server(serve):
    text = "[sandbox]\nbase_container_image = 'tiny:1'\nruntime_extra_deps = 'echo made > /made'\n"
    served = serve(text)
    missing = served.cay("create", "--name", "box", ok=False)
    assert "this server has no image 'tiny:1', and asks no registry: `cay image import" in missing.stderr
    (served.dir / "tiny.tar").write_bytes(rootfs.tar(rootfs.base_files(), ["tmp"]))
    served.cay("image", "import", "tiny.tar", "tiny:1")
    served.cay("create", "--name", "box")
    assert served.cay("exec", "box", "--", "cat", "/made", "/etc/os-release").stdout == "made\nID=tiny\n"
    first = served.record("box")["spec"]["image"]
    (served.dir / "other.tar").write_bytes(rootfs.tar({**rootfs.base_files(), "etc/os-release": b"ID=other\n"}, ["tmp"]))
    served.cay("image", "import", "other.tar", "tiny:1")
    served.cay("create", "--name", "new")
    assert served.cay("exec", "new", "--", "cat", "/etc/os-release").stdout == "ID=other\n"
    assert served.record("new")["spec"]["image"] != first, "another base is another image"


@pytest.mark.parametrize("base, shown", [("tiny:1", "ID=tiny\n"), ("DIR/root", "ID=dir\n")])
def test_a_base_alone_is_the_image(serve, base, shown):
    served = serve("[sandbox]\nvolumes = ''\n")
    for name, content in {**rootfs.base_files(), "etc/os-release": b"ID=dir\n"}.items():
        path = served.dir / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755)
    (served.dir / "tiny.tar").write_bytes(rootfs.tar(rootfs.base_files(), ["tmp"]))
    served.cay("image", "import", "tiny.tar", "tiny:1")
    served.again(f"[sandbox]\nbase_container_image = '{base.replace('DIR', str(served.dir))}'\n")
    served.cay("create", "--name", "box")
    assert served.cay("exec", "box", "--", "cat", "/etc/os-release").stdout == shown
    assert built(served) == []


def test_what_is_there_is_kept_over_a_restart_unless_it_shall_be_built_anew(serve):
    deps = "[sandbox]\nruntime_extra_deps = 'cat /proc/sys/kernel/random/uuid > /opt/made'\n"
    served = serve(deps)

    def made(name):
        served.cay("create", "--name", name)
        return served.cay("exec", name, "--", "cat", "/opt/made").stdout

    first = made("a")
    served.again(deps)
    assert made("b") == first
    served.again(deps + "force_rebuild_runtime = true\n")
    second = made("c")
    assert second != first
    assert made("d") == second, "once for each start of the server"


def test_the_documented_standard_alone_changes_nothing(serve):
    served = serve("[sandbox]\nbase_container_image = 'nikolaik/python-nodejs:python3.12-nodejs22'\nforce_rebuild_runtime = true\n")
    served.cay("create", "--name", "box")
    assert served.record("box")["spec"]["image"] == "host"
    assert names(served) == ["host:latest"]
