# SPDX-License-Identifier: Apache-2.0
"""What a configuration says of containers: their image, GPUs, networks and docker-py's arguments, as an engine is asked."""
import subprocess

import pytest
import rootfs
from docker_api import Docker
from test_config import CAY, serve  # noqa: F401: a fixture
from test_config_image import states
from test_engine import IMAGE, FakeEngine, start_engine
from waiting import PATIENCE

REFUSED = ("POST", "/containers/create")
BASE = "cay-config-test"


@pytest.fixture
def fake(tmp_path):
    engine = FakeEngine(tmp_path / "engine.sock")
    engine.answers[REFUSED] = (500, {"message": "enough"})
    yield engine
    engine.shutdown()


def asked(fake, served, *words, image=IMAGE):
    """The body of the container that is asked for."""
    del fake.asked[:]
    done = served.cay("create", "--image", image, *words, ok=False)
    bodies = [body for method, path, body in fake.asked if method == "POST" and path.partition("?")[0].endswith("/containers/create")]
    assert len(bodies) == 1, done.stderr
    return bodies[0]


def test_gpus_are_asked_for_unless_the_wish_says_more(serve, fake):
    served = serve("[sandbox]\nenable_gpu = true\n", "--backend", f"docker={fake.path}")
    assert asked(fake, served)["HostConfig"]["DeviceRequests"] == [{"Count": -1, "Capabilities": [["gpu"]]}]
    assert asked(fake, served, "--gpus", "2")["HostConfig"]["DeviceRequests"] == [{"Count": 2, "Capabilities": [["gpu"]]}]
    served.again("[sandbox]\nenable_gpu = true\ncuda_visible_devices = '1,3'\n", "--backend", f"docker={fake.path}")
    assert asked(fake, served)["HostConfig"]["DeviceRequests"] == [
        {"Count": 0, "DeviceIDs": ["1", "3"], "Capabilities": [["gpu"]]}]


def test_what_docker_py_would_be_told_is_passed_on(serve, fake):
    served = serve("""[sandbox.docker_runtime_kwargs]
mem_limit = '256m'
runtime = 'runsc'
shm_size = '64m'
extra_hosts = { registry = '10.0.0.1' }
""", "--backend", f"docker={fake.path}")
    host = asked(fake, served)["HostConfig"]
    assert (host["Memory"], host["Runtime"], host["ShmSize"], host["ExtraHosts"]) == (256 << 20, "runsc", 64 << 20, ["registry:10.0.0.1"])
    assert host["CapDrop"] == ["ALL"] and host["AutoRemove"] is True


def test_a_limit_that_docker_py_would_be_told_holds_anywhere(serve):
    served = serve("[sandbox.docker_runtime_kwargs]\nmem_limit = '256m'\npids_limit = 77\n")
    served.cay("create", "--name", "box")
    limits = served.record("box")["spec"]["limits"]
    assert (limits["memory_bytes"], limits["pids"]) == (256 << 20, 77)


def test_a_container_is_connected_to_each_network_before_it_starts(serve, fake):
    served = serve("[sandbox]\nadditional_networks = ['front', 'back', 'logs']\n", "--backend", f"docker={fake.path}")
    fake.answers[REFUSED] = (201, {"Id": "x"})
    fake.answers["POST", "/networks/back/connect"] = (200, b"")
    del fake.asked[:]
    failed = served.cay("create", "--name", "box", "--image", IMAGE, ok=False)
    assert "network logs" in failed.stderr and "no such thing" in failed.stderr, "the last one is not there"
    paths = [path.split("/", 2)[2].partition("?")[0] for method, path, _ in fake.asked if method != "GET"]
    assert paths[:3] == ["containers/create", "networks/back/connect", "networks/logs/connect"]
    assert paths[3].startswith("containers/cay-") and len(paths) == 4, "and it is removed"
    body = next(body for _, path, body in fake.asked if "containers/create" in path)
    assert body["HostConfig"]["NetworkMode"] == "front"
    assert next(body for _, path, body in fake.asked if "back/connect" in path)["Container"].startswith("cay-")
    fake.answers[REFUSED] = (500, {"message": "enough"})
    assert asked(fake, served, "--network", "none")["HostConfig"]["NetworkMode"] == "none", "who says which network gets no other"


def test_a_native_sandbox_is_in_the_network_of_that_name_or_its_wish_is_refused(serve):
    served = serve("[sandbox]\nadditional_networks = ['team']\n")
    made = served.cay("create", "--name", "a", ok=False)
    if made.returncode != 0:
        assert "create: bridge: " in made.stderr, made.stderr  # the reason is the host's: see test_bridge
    else:
        spec = served.record("a")["spec"]
        assert (spec["network"], spec["network_name"]) == ("bridge", "team")
    served.cay("create", "--name", "b", "--network", "loopback")
    assert served.record("b")["spec"]["network"] == "loopback", "who says which network gets that"


# ---- images of an engine ----

@pytest.fixture(scope="module", params=["cay", "podman"])
def engine(request):
    started = start_engine(request.param)
    reply = Docker(started.socket).request("POST", f"/images/create?fromSrc=-&repo={BASE}",
                                           rootfs.tar(rootfs.base_files(), ["tmp"]), {"Content-Type": "application/x-tar"})
    assert reply.status == 200, reply.body
    yield started
    started.stop()


def test_an_engine_builds_what_is_missing_once(serve, engine):
    base = f"[sandbox]\nbase_container_image = '{BASE}:latest'\n"
    options = "--backend", f"docker={engine.socket}"
    served = serve(base + "runtime_extra_deps = 'echo made for $WHO > /made'\nruntime_extra_build_args = ['--build-arg=WHO=you']\n", *options)
    wanted = [subprocess.Popen([CAY, "create", "--name", f"box{i}"], env=served.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
              for i in range(2)]
    for process in wanted:
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
    for i in range(2):
        assert served.cay("exec", f"box{i}", "--", "cat", "/made", "/etc/os-release").stdout == "made for you\nID=tiny\n"
    image = served.record("box0")["spec"]["image"]
    assert image.startswith("cay/extended:cay_v") and served.text().count("image.built") == 1
    assert ["creating", "building", "starting", "ready"] in [states(served, f"box{i}") for i in range(2)], "one at least had to wait"
    served.cay("create", "--name", "later")
    assert served.record("later")["spec"]["image"] == image and served.text().count("image.built") == 1
    for name in "box0", "box1", "later":
        served.cay("rm", name)
    served.again(base, *options)
    served.cay("create", "--name", "plain")
    assert served.record("plain")["spec"]["image"] == f"{BASE}:latest", "without a command the base is the image"
    served.cay("rm", "plain")
    served.again(base + "runtime_extra_deps = 'echo no such luck; exit 7'\n", *options)
    failed = served.cay("create", "--name", "bad", ok=False)
    assert failed.returncode != 0 and "sandbox.runtime_extra_deps" in failed.stderr, failed.stderr


def test_a_base_that_cannot_be_fetched_is_named(serve, fake):
    served = serve("[sandbox]\nbase_container_image = 'no/such:1'\nruntime_extra_deps = 'x'\n", "--backend", f"docker={fake.path}")
    fake.answers["POST", "/images/create"] = (200, b'{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}\r\n')
    failed = served.cay("create", ok=False)
    assert "sandbox.base_container_image: no/such:1" in failed.stderr and "manifest unknown" in failed.stderr


def test_podman_connects_a_container_to_two_networks(serve, engine):
    if engine.name != "podman":
        pytest.skip("cay's own docker face has no networks with names")
    for name in "front", "back":
        made = Docker(engine.socket).request("POST", "/networks/create", {"Name": name, "Driver": "bridge"})
        if made.status != 201:
            pytest.skip(f"this podman makes no networks: {made.body[:200]}")
    served = serve("[sandbox]\nadditional_networks = ['front', 'back']\n", "--backend", f"docker={engine.socket}")
    done = served.cay("create", "--name", "box", "--image", BASE, ok=False)
    if done.returncode != 0:
        pytest.skip(f"this podman sets no network up: {done.stderr[:300]}")
    shown = Docker(engine.socket).request("GET", f"/containers/cay-{done.stdout.strip()}/json").json
    assert set(shown["NetworkSettings"]["Networks"]) == {"front", "back"}
    served.cay("rm", "box")


