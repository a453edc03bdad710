# SPDX-License-Identifier: Apache-2.0
"""Pods that nothing leads to but the cluster's API server: [kubernetes] port_forward."""
import base64
import hashlib
import os
import shutil
import socket
import threading
import time

import pytest
from cluster import TOKEN, Cluster
from conftest import end_server, start_server
from processes import status
from test_kubernetes import Tls, create, until

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"), reason="pods run in bubblewrap")


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as made:
        made.hides = True
        yield made


def serve(cluster, config=None, **more):
    return start_server("--backend", f"kubernetes={config or cluster.kubeconfig}", settings=cluster.settings(port_forward=True, **more))


@pytest.fixture(scope="module")
def server(cluster):
    started = serve(cluster)
    yield started
    end_server(started)


@pytest.fixture
def box(server):
    made = create(server)
    yield made
    if made.request("GET").status == 200:
        made.delete()


def test_all_goes_through_the_api_server(cluster, server, box):
    before = cluster.forwards
    assert box.output("echo hi; id -u; x=7") == "hi\n1000\n" and box.output("echo $x") == "7\n"
    assert box.action("exec", argv=["sh", "-c", "exit 3"])["exit_code"] == 3
    assert box.action("cell", code="6 * 7")["text"] == "42\n"
    assert cluster.forwards > before
    usage = server.request("GET", f"/v1/sandboxes/{box.id}").json
    assert usage["state"] == "ready"


def test_much_goes_both_ways(box):
    data = os.urandom(12_000_000)
    assert box.put_file("/workspace/a", data).status == 200
    assert box.output("md5sum < a").split()[0] == hashlib.md5(data).hexdigest()
    assert box.get_file("/workspace/a").body == data


def test_who_reads_slowly_costs_no_memory(server, box):
    box.output("head -c 300000000 /dev/zero > /tmp/zeros")
    before = int(status(server.server_pid())["VmRSS"].split()[0])
    connection = server.connection()
    connection.request("GET", f"/v1/sandboxes/{box.id}/files?path=/tmp/zeros", headers=server.headers("", None))
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    response = connection.getresponse()
    size = 0
    for _ in range(20):
        size += len(response.read(65536))
        time.sleep(0.05)  # this is what is tested: there is nothing to wait for
    assert int(status(server.server_pid())["VmRSS"].split()[0]) < before + 16 * 1024
    while piece := response.read(1 << 20):
        size += len(piece)
    assert size == 300_000_000
    connection.close()


def test_many_at_once_wait_for_each_other(cluster, box):
    got = []
    threads = [threading.Thread(target=lambda i=i: got.append(box.action("exec", argv=["echo", str(i)])["stdout"])) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(f"{i}\n" for i in range(40))


def test_what_is_not_allowed_is_told_in_the_clusters_words(cluster, server):
    cluster.refuse["GET", "portforward"] = (403, 'pods "x" is forbidden: User "cay" cannot get resource "pods/portforward"')
    try:
        reply = server.request("POST", "/v1/sandboxes", {"image": "python:3.12"}, timeout=60)
    finally:
        del cluster.refuse["GET", "portforward"]
    message = reply.json["error"]["message"]
    assert reply.status == 403 and "port forwarding of http://127.0.0.1" in message and "cannot get resource" in message, message
    until(lambda: not cluster.pods or all("deletionTimestamp" in pod["metadata"] for pod in cluster.pods.values()))


def test_a_server_that_knows_no_websockets_is_named(cluster, server, box):
    cluster.refuse["GET", "portforward"] = (200, b"{}")
    try:
        reply = box.request("POST", "/actions/exec", {"argv": ["true"]})
    finally:
        del cluster.refuse["GET", "portforward"]
    assert reply.status == 503 and "port forwarding" in reply.json["error"]["message"], reply.body
    assert box.output("echo on") == "on\n"


def test_a_pod_that_ends_ends_its_calls(cluster, server):
    box = create(server)
    pod = f"cay-{box.id}"
    answers = []
    call = threading.Thread(target=lambda: answers.append(box.request("POST", "/actions/exec", {"argv": ["sleep", "1000"]})))
    call.start()
    until(lambda: b"sleep" in b"".join(open(f"/proc/{p}/cmdline", "rb").read() for p in descendants(cluster.running[pod].process.pid)))
    cluster.kill(pod)
    call.join(30)
    assert not call.is_alive() and answers[0].status >= 400, answers
    until(lambda: server.request("GET", f"/v1/sandboxes/{box.id}").status == 404 or
          server.request("GET", f"/v1/sandboxes/{box.id}").json["state"] != "ready")


def descendants(pid):
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        try:
            with open(f"/proc/{one}/task/{one}/children", encoding="ascii") as children:
                todo += [int(child) for child in children.read().split()]
        except FileNotFoundError:
            found.remove(one)
    return found


def test_nothing_of_it_is_left(cluster, server):
    box = create(server)
    box.output("true")
    open_before = len(os.listdir(f"/proc/{server.server_pid()}/fd"))
    for _ in range(30):
        assert box.action("exec", argv=["echo", "hi"])["stdout"] == "hi\n"
    until(lambda: len(os.listdir(f"/proc/{server.server_pid()}/fd")) <= open_before + 2)
    box.delete()


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl, to make certificates")
def test_by_tls_with_a_certificate_of_ones_own(tmp_path, cluster):
    tls = Tls(tmp_path, cluster.http.server_port)
    read = lambda name: base64.b64encode((tmp_path / name).read_bytes()).decode()  # noqa: E731
    shown = {"token": TOKEN, "client-certificate-data": read("client.crt"), "client-key-data": read("client.key")}
    config = cluster.write_config(tls.url, shown, "tls", **{"certificate-authority-data": read("ca.crt")})
    server = serve(cluster, config)
    try:
        box = create(server)
        data = os.urandom(40_000_000)  # more than all sockets on the way hold
        assert box.put_file("/workspace/a", data).status == 200 and box.get_file("/workspace/a").body == data
        box.delete()
    finally:
        end_server(server)
