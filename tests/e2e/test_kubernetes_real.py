# SPDX-License-Identifier: Apache-2.0
"""Sandboxes as pods of a real cluster. CAY_CLUSTER_KUBECONFIG names it, CAY_CLUSTER_IMAGE an image with bash, coreutils and python3 that its nodes
have or can fetch, CAY_CLUSTER_EXECUTOR_IMAGE one that `cay executor-image` made. Pods' addresses have to be reachable from here, unless
CAY_CLUSTER_PORT_FORWARD=1 says that all goes through the API server."""
import json
import os
import subprocess
import threading
import time

import pytest
from conftest import PATIENCE, Sandbox, end_server, start_server

KUBECONFIG, IMAGE, EXECUTOR = (os.environ.get(f"CAY_CLUSTER_{name}") for name in ("KUBECONFIG", "IMAGE", "EXECUTOR_IMAGE"))
pytestmark = [pytest.mark.skipif(not (KUBECONFIG and IMAGE and EXECUTOR), reason="CAY_CLUSTER_KUBECONFIG, _IMAGE, _EXECUTOR_IMAGE name no cluster"),
              pytest.mark.timeout(300)]
SLOW = 120  # seconds, for what a kubelet does in its own time


def start(**more):
    settings = {"executor_image": EXECUTOR, "schedule_wait": 5, "resource_cpu_request": "10m",
                "port_forward": os.environ.get("CAY_CLUSTER_PORT_FORWARD") == "1", **more}
    return start_server("--backend", f"kubernetes={KUBECONFIG}", settings={"container": settings})


@pytest.fixture(scope="module")
def server():
    started = start()
    yield started
    end_server(started)


def create(server, image=IMAGE, **wishes):
    reply = server.request("POST", "/v1/sandboxes", {"image": image, "workdir": "/workspace", **wishes}, timeout=SLOW)
    assert reply.status == 201, reply.body
    return Sandbox(server, reply.json)


def refused(server, **wishes):
    reply = server.request("POST", "/v1/sandboxes", {"image": IMAGE, **wishes}, timeout=SLOW)
    assert reply.status != 201, reply.body
    return reply.json["error"]


@pytest.fixture
def box(server):
    made = create(server)
    yield made
    if made.request("GET").status == 200:
        made.request("DELETE", timeout=SLOW)


def kubectl(*words):
    return subprocess.run(["kubectl", "--kubeconfig", KUBECONFIG, "--cache-dir", "/tmp/cay-kubectl-cache", *words], capture_output=True, text=True,
                          timeout=SLOW, check=True).stdout


def pod_of(box):
    return json.loads(kubectl("get", "pod", f"cay-{box.id}", "-o", "json"))


def test_sessions_files_cells_and_processes(box):
    assert box.output("echo hi; id -u; pwd; x=7") == "hi\n1000\n/workspace\n"
    assert box.output("echo $x") == "7\n"
    data = os.urandom(300_000)
    assert box.put_file("/workspace/a", data).status == 200
    assert box.get_file("/workspace/a").body == data
    box.action("cell", code="y = 6")
    assert box.action("cell", code="y * 7")["text"] == "42\n"
    assert box.action("exec", argv=["sh", "-c", "echo out; exit 3"])["exit_code"] == 3


def test_what_listens_inside_is_reached(box):
    box.run("cd /workspace && echo page > page && (python3 -m http.server 8080 >/dev/null 2>&1 &)")
    deadline = time.monotonic() + PATIENCE
    while (reply := box.request("GET", "/ports/8080/page")).status != 200:
        assert time.monotonic() < deadline, reply.body
    assert reply.body == b"page\n"


def test_it_is_confined_as_it_says(box):
    out = box.output("grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status")
    assert "CapEff:\t0000000000000000" in out and "NoNewPrivs:\t1" in out and "Seccomp:\t2" in out, out
    assert box.output("ls /var/run/secrets 2>&1; true").count("No such file") == 1
    assert box.output("echo $CAY_DOOR_SECRET; cat /proc/1/environ 2>&1 | head -c 300").strip().endswith("Permission denied")
    spec = pod_of(box)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] and "token" not in json.dumps(spec["volumes"])
    assert kubectl("get", "secret", "-l", f"cay.sandbox={box.id}", "-o", "name") == ""


def test_root_is_root_inside_and_cannot_look_into_its_keeper(server):
    box = create(server, user="root")
    assert box.output("id -u; touch /etc/mine && echo made") == "0\nmade\n"
    for name in ("environ", "mem", "maps"):
        assert "Permission denied" in box.output(f"head -c 99 /proc/1/{name} 2>&1 | tr -d '\\0'"), name
    box.request("DELETE", timeout=SLOW)


def test_its_keeper_cannot_be_killed_from_inside(box):
    box.run("kill -9 1; kill -STOP 1; kill -TERM 1; kill -HUP 1")
    box.request("POST", "/actions/exec", {"argv": ["sh", "-c", "kill -9 -1"]})
    assert box.output("echo alive", session="another") == "alive\n"
    assert json.loads(kubectl("get", "pod", f"cay-{box.id}", "-o", "json"))["status"]["phase"] == "Running"


def test_an_image_that_is_not_there_fails_soon_with_the_clusters_words(server):
    began = time.monotonic()
    error = refused(server, image="localhost/not-there:1")
    assert error["code"] == "not_found" and "not-there" in error["message"], error
    assert time.monotonic() - began < 60


def test_what_finds_no_room_fails_with_the_schedulers_words():
    server = start(resource_cpu_request="9000")
    try:
        error = refused(server, limits={"cpu_milli": 9_000_000})
        assert error["code"] == "limit_reached" and "Unschedulable" in error["message"] and "cpu" in error["message"], error
    finally:
        end_server(server)


def test_a_limit_on_memory_ends_what_exceeds_it(server):
    box = create(server, limits={"memory_bytes": 96 << 20})
    assert box.record["enforced"]["limits"]["memory_bytes"] == 96 << 20
    out = box.run("python3 -c 'x = bytearray(300 << 20)'; echo $?")
    assert "137" in out["output"] or "Killed" in out["output"] or "MemoryError" in out["output"], out
    box.request("DELETE", timeout=SLOW)


def test_a_pod_that_is_deleted_behind_our_back_ends_its_sandbox(server, box):
    waiter = threading.Thread(target=kubectl, args=("delete", "pod", f"cay-{box.id}", "--wait=false"))
    waiter.start()
    state = box.wait_for_state("ended")
    assert state["reason"] == "its pod was deleted or evicted", state
    waiter.join()


def test_a_killed_server_finds_its_sandboxes_again():
    server = start()
    try:
        box = create(server)
        box.run("x=kept")
        for _ in range(2):
            server.kill_server()
            server.wait_until_up()
            assert box.output("echo $x") == "kept\n"
        box.request("DELETE", timeout=SLOW)
    finally:
        end_server(server)


def test_twenty_at_once_come_and_go(server):
    boxes, failed = [], []

    def one():
        try:
            boxes.append(create(server))
        except AssertionError as e:
            failed.append(str(e))
    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    for number, box in enumerate(boxes):
        assert box.output(f"echo {number}") == f"{number}\n"
    for box in boxes:
        assert box.request("DELETE", timeout=SLOW).status == 204
    deadline = time.monotonic() + SLOW
    while kubectl("get", "pod,secret", "-l", f"cay.sandbox in ({','.join(box.id for box in boxes)})", "-o", "name"):
        assert time.monotonic() < deadline


def test_what_it_uses_is_told(box):
    used = box.request("GET", "/stats").json
    assert used["memory_bytes"] > 1 << 18 and used["cpu_us"] > 1000, used
