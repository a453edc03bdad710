# SPDX-License-Identifier: Apache-2.0
"""Sandboxes as pods of a cluster: an API server of our own (cluster.py), which can be made to misbehave, and real executors."""
import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import select
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import pytest
from cluster import TOKEN, Cluster
from conftest import PATIENCE, PROGRAMS, Sandbox, Server, end_server, start_server
from lying import Elsewhere, Liar
from processes import children, status

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"), reason="pods run in bubblewrap")
PORT = 30082


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as made:
        yield made


def serve(cluster, **more):
    return start_server("--backend", f"kubernetes={cluster.kubeconfig}", settings=cluster.settings(**more))


@pytest.fixture(scope="module")
def server(cluster):
    started = serve(cluster)
    yield started
    end_server(started)


@pytest.fixture
def own():
    """A cluster and a server of the test's own."""
    with Cluster() as cluster:
        server = serve(cluster)
        yield cluster, server
        end_server(server)


def ask(server, image="python:3.12", **wishes):
    return server.request("POST", "/v1/sandboxes", {"image": image, "workdir": "/workspace", **wishes}, timeout=60)


def create(server, *words, **wishes):
    reply = ask(server, *words, **wishes)
    assert reply.status == 201, reply.body
    return Sandbox(server, reply.json)


@pytest.fixture
def box(server):
    made = create(server)
    yield made
    if made.request("GET").status == 200:
        made.delete()


def pod_of(cluster, box):
    return cluster.pods[f"cay-{box.id}"]


def until(true):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline


# ---- what is done in it ----

def test_a_session_stays(box):
    assert box.output("echo hi; id -u; pwd; x=7") == "hi\n1000\n/workspace\n"
    assert box.output("echo $x") == "7\n"


def test_files_go_in_and_out(box):
    data = os.urandom(700_000)
    assert box.put_file("/workspace/a", data).status == 200
    assert box.get_file("/workspace/a").body == data
    assert box.output("stat -c %u:%s /workspace/a") == "1000:700000\n"


def test_a_program_takes_input_and_gives_much_output(box):
    reply = box.action("exec", argv=["sh", "-c", "head -c 3000000 /dev/zero | wc -c; exit 3"])
    assert reply["exit_code"] == 3 and "3000000" in json.dumps(reply)
    assert box.output("head -c 200000 /dev/zero | tr '\\0' x | fold -w 100 | tail -n +1 | wc -c") == "201999\n"


def test_cells_run_in_a_kernel_that_stays(box):
    box.action("cell", code="x = 6")
    assert box.action("cell", code="x * 7")["text"] == "42\n"


def test_calls_at_once_do_not_wait_for_each_other(box):
    done = []

    def one(i):
        done.append(box.action("exec", argv=["sh", "-c", f"sleep 1; echo {i}"])["exit_code"])
    threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [0] * 12 and time.monotonic() - began < 12


# ---- what the cluster is asked for ----

def test_a_pod_of_the_restricted_profile(cluster, box):
    pod = pod_of(cluster, box)
    spec = pod["spec"]
    assert spec["securityContext"] == {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000,
                                       "seccompProfile": {"type": "RuntimeDefault"}}
    for container in [*spec["initContainers"], *spec["containers"]]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False and context["privileged"] is False and context["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False and spec["restartPolicy"] == "Never"
    assert "hostNetwork" not in spec and all(set(volume) - {"name"} == {"emptyDir"} for volume in spec["volumes"])
    main = spec["containers"][0]
    assert main["image"] == "python:3.12" and main["resources"] == {
        "limits": {"memory": str(1 << 30)}, "requests": {"memory": str(128 << 20), "cpu": "100m"}}
    assert pod["metadata"]["labels"]["cay.network"] == "closed"
    policy, = cluster.policies.values()
    assert policy["spec"]["podSelector"]["matchLabels"] == {"cay.server": pod["metadata"]["labels"]["cay.server"], "cay.network": "closed"}
    assert policy["spec"]["egress"] == [] and policy["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": PORT}]}]


def test_wishes_and_settings_become_the_pods():
    with Cluster() as cluster:
        server = serve(cluster, pvc_storage_size="2Gi", pvc_storage_class="fast", node_selector_key="pool", node_selector_val="agents",
                       tolerations_yaml="- key: only\n  operator: Exists\n", image_pull_secret="key", runtime_class="gvisor",
                       resource_cpu_request="1.5", resource_memory_limit="512Mi", resource_memory_request="1Gi", namespace="agents")
        try:
            box = create(server, network="host", limits={"cpu_milli": 700, "disk_bytes": 1 << 30}, hostname="here")
            pod = pod_of(cluster, box)
            spec, main = pod["spec"], pod["spec"]["containers"][0]
            assert pod["metadata"]["labels"]["cay.network"] == "open" and not cluster.policies
            assert main["resources"] == {"limits": {"memory": str(512 << 20), "cpu": "700m", "ephemeral-storage": str(1 << 30)},
                                         "requests": {"memory": str(512 << 20), "cpu": "700m"}}
            claim, = [volume["ephemeral"]["volumeClaimTemplate"]["spec"] for volume in spec["volumes"] if volume["name"] == "workspace"]
            assert claim == {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": {"requests": {"storage": "2Gi"}}}
            assert spec["nodeSelector"] == {"pool": "agents"} and spec["tolerations"] == [{"key": "only", "operator": "Exists"}]
            assert spec["imagePullSecrets"] == [{"name": "key"}] and spec["runtimeClassName"] == "gvisor" and spec["hostname"] == "here"
            enforced = box.record["enforced"]
            assert enforced["limits"] == {"memory_bytes": 512 << 20, "pids": -1, "cpu_milli": 700, "disk_bytes": 1 << 30, "disk_inodes": -1}
            assert "net-ns" not in enforced["controls"] and "seccomp" in enforced["controls"]
            box.delete()
        finally:
            end_server(server)


def test_root_is_root_inside(cluster, server):
    box = create(server, user="root")
    context = pod_of(cluster, box)["spec"]["containers"][0]["securityContext"]
    assert "CHOWN" in context["capabilities"]["add"] and "SYS_ADMIN" not in context["capabilities"]["add"]
    assert box.output("id -u") == "0\n"
    box.delete()


@pytest.mark.parametrize("wish, code, says", [
    ({"image": "host"}, "invalid_argument", "name an image"),
    ({"image": "a b"}, "invalid_argument", "is no name of an image"),
    ({"mounts": [{"source": "/usr", "target": "/usr"}]}, "unsupported", "cay cp copies"),
    ({"limits": {"pids": 10}}, "unsupported", "podPidsLimit"),
    ({"limits": {"disk_inodes": 1000}}, "unsupported", "no limit on inodes"),
    ({"network": "proxy", "allow": ["a.test"]}, "unsupported", "no network with a list"),
    ({"require": ["net-ns"]}, "unsupported", "'net-ns' is required and not enforced"),
    ({"gpus": "all"}, "unsupported", "hands out no GPU"),
])
def test_what_cannot_be_had_is_refused_before_anything_is_asked_of_the_cluster(cluster, server, wish, code, says):
    before = len(cluster.requests)
    reply = ask(server, **wish)
    assert reply.code == code and says in reply.json["error"]["message"], reply.body
    assert [request for request in cluster.requests[before:] if request[0] == "POST"] == []


def test_a_pause_and_images_are_refused_with_the_reason(server, box):
    paused = box.request("POST", "/pause")
    assert paused.code == "unsupported" and "no way to pause a pod" in paused.json["error"]["message"], paused.body
    images = server.request("GET", "/v1/images")
    assert images.code == "unsupported" and "are the registries'" in images.json["error"]["message"], images.body
    assert box.output("echo on") == "on\n"


# ---- who may talk to it ----

def test_the_secret_is_nowhere_inside_and_its_keeper_cannot_be_killed(cluster, box):
    until(lambda: f"cay-{box.id}" not in cluster.secrets)
    assert box.run("cat /proc/1/environ /proc/1/maps > /dev/null")["exit_code"] != 0
    assert box.output("env | grep -c CAY_; tr '\\0' '\\n' < /proc/self/environ | grep -c CAY_") == "0\n0\n"
    assert box.run("touch /.cay/x")["exit_code"] != 0
    box.run("kill -9 1; kill -STOP 1; kill -TERM 1; kill -HUP 1")
    box.request("POST", "/actions/exec", {"argv": ["sh", "-c", "kill -9 -1"]})
    assert box.output("echo alive", session="another") == "alive\n"
    assert box.get()["state"] == "ready"


def hello(kind=b"C", nonce=b"n" * 32):
    return b"cay1" + kind + bytes(3) + nonce


def knock(address, *pieces):
    """What a stranger gets for what it says."""
    with socket.create_connection((address, PORT), PATIENCE) as s:
        got = b""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                s.sendall(piece)
                if len(piece) == 40 and len(got) < 96:
                    while len(got) < 96 and (more := s.recv(96 - len(got))):
                        got += more
            while more := s.recv(4096):
                got += more
        return got


def test_a_stranger_gets_nothing(cluster, box):
    address = pod_of(cluster, box)["status"]["podIP"]
    assert knock(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4) == b""
    assert knock(address, hello(b"X")) == b""
    assert len(knock(address, hello(), b"0" * 64)) == 96  # a nonce and the executor's proof, and then the end
    first = knock(address, hello(), b"0" * 64)
    assert len(knock(address, hello(), first[32:96])) == 96  # its own proof thrown back
    guess = hmac.new(b"0" * 64, b"SC" + b"n" * 32 + first[:32], hashlib.sha256).hexdigest().encode()
    assert len(knock(address, hello(), guess)) == 96
    assert len(knock(address, hello(b"L"), guess)) == 96
    assert box.output("echo well") == "well\n"


def test_many_silent_strangers_keep_nobody_out(cluster, box):
    address = pod_of(cluster, box)["status"]["podIP"]
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection((address, PORT), PATIENCE)) for _ in range(150)]
        for i in range(5):
            assert box.output(f"echo {i}") == f"{i}\n"
            assert box.action("exec", argv=["true"])["exit_code"] == 0
        silent[0].settimeout(PATIENCE)
        assert silent[0].recv(1) == b""  # the oldest has given way


def test_the_agent_cannot_take_the_port(cluster, box):
    address = pod_of(cluster, box)["status"]["podIP"]
    box.action("write", path="take.py", content=(
        "import socket\nfor address in ('', '%s'):\n    s = socket.socket()\n    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n    try:\n        s.bind((address, %d)); s.listen(); print('taken')\n"
        "    except OSError as e:\n        print(e.strerror)\n") % (address, PORT))
    assert box.output("python3 take.py") == "Address already in use\n" * 2


def test_who_takes_every_descriptor_from_its_keeper_has_it_rest(own):
    """In a pod both are one user, and the kernel lets the agent lower its limits. Its sandbox is of no use then, to nobody's cost."""
    cluster, server = own
    box = create(server)
    keeper, = children(cluster.running[f"cay-{box.id}"].process.pid)

    def busy_ticks():
        fields = pathlib.Path(f"/proc/{keeper}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    box.run("python3 -c 'import resource; resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))'")
    strangers = [socket.create_connection((pod_of(cluster, box)["status"]["podIP"], PORT), PATIENCE) for _ in range(3)]
    before, began = busy_ticks(), time.monotonic()
    assert not select.select(strangers, [], [], 1)[0]
    assert busy_ticks() - before < 0.3 * (time.monotonic() - began) * os.sysconf("SC_CLK_TCK")
    for stranger in strangers:
        stranger.close()


def test_an_impostor_at_a_pods_address_gets_no_request(own):
    cluster, server = own
    box = create(server)
    box.run("true")
    pod = pod_of(cluster, box)
    with cluster.lock:  # the cluster says that it is elsewhere now, where somebody else listens
        elsewhere = f"{cluster.network}.250"
        listener = socket.create_server((elsewhere, PORT))
        pod["status"] = {**pod["status"], "podIP": elsewhere}
        cluster.note("MODIFIED", pod)
    heard = []

    def listen():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(1)
                with connection, contextlib.suppress(OSError):
                    heard.append(connection.recv(4096))
                    connection.sendall(b"m" * 32 + b"0" * 64)
                    heard.append(connection.recv(4096))
    threading.Thread(target=listen, daemon=True).start()
    until(lambda: heard)
    replies = []  # more than there are call sockets from before, which lead to the right one

    def call():
        replies.append(box.request("POST", "/actions/exec", {"argv": ["sh", "-c", "sleep 1; echo private words"]}))
    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = [reply for reply in replies if reply.status != 200]
    assert failed and all(reply.code == "unavailable" and "does not know this sandbox's secret" in reply.json["error"]["message"]
                          for reply in failed), [reply.body for reply in replies]
    assert not any(b"private" in piece for piece in heard)
    listener.close()


# ---- what goes wrong ----

@pytest.mark.parametrize("image, code, says", [
    ("missing", "not_found", 'ErrImagePull: rpc error: code = NotFound desc = failed to pull "missing": not found'),
    ("roomless", "limit_reached", "Unschedulable: 0/3 nodes are available: 3 Insufficient cpu."),
    ("crash", "internal", "/usr/nowhere"),
])
def test_a_pod_that_becomes_nothing_fails_with_the_clusters_words_and_leaves_nothing(cluster, server, image, code, says):
    before = set(cluster.pods)
    began = time.monotonic()
    reply = ask(server, image)
    assert reply.code == code and says in reply.json["error"]["message"], reply.body
    assert time.monotonic() - began < 30
    cluster.wait_for(lambda: set(cluster.pods) <= before and not cluster.secrets)


@pytest.mark.parametrize("request_, answer, code, says", [
    (("POST", "pods"), (403, 'pods "x" is forbidden: exceeded quota: small, requested: pods=1'), "limit_reached", "exceeded quota: small"),
    (("POST", "pods"), (403, 'pods is forbidden: violates PodSecurity "restricted:latest"'), "forbidden", "violates PodSecurity"),
    (("POST", "pods"), (422, 'Pod "x" is invalid: spec.hostname: Invalid value'), "invalid_argument", "spec.hostname: Invalid value"),
    (("POST", "pods"), (500, "etcdserver: request timed out"), "internal", "etcdserver: request timed out"),
    (("POST", "secrets"), (403, "secrets is forbidden: User cannot create"), "forbidden", "make its Secret"),
    (("POST", "pods"), (401, "Unauthorized"), "unavailable", "Unauthorized"),
    (("POST", "pods"), (201, b"]no json"), "protocol", "make its pod"),
])
def test_a_refusal_is_told_in_the_clusters_words(cluster, server, request_, answer, code, says):
    cluster.refuse[request_] = answer
    try:
        reply = ask(server)
    finally:
        del cluster.refuse[request_]
    assert reply.code == code and says in reply.json["error"]["message"], reply.body
    cluster.wait_for(lambda: not cluster.secrets)


def test_a_cluster_that_is_busy_is_asked_again(cluster, server):
    cluster.refuse["POST", "pods"] = [(429, "too many requests"), (429, "too many requests")]
    try:
        create(server).delete()
    finally:
        del cluster.refuse["POST", "pods"]


@pytest.mark.parametrize("kind", ["secrets", "pods"])
def test_what_was_made_by_a_request_whose_answer_was_lost_is_found_by_the_next(cluster, server, kind):
    cluster.swallow.append(("POST", kind))
    box = create(server)
    assert not cluster.swallow and box.output("echo hi") == "hi\n"
    box.delete()


@pytest.mark.parametrize("how, reason", [
    ("delete", "its pod was deleted or evicted"),
    ("kill", "its first process or its executor ended"),
    ("oom", "out of memory"),
])
def test_a_pod_that_ends_ends_its_sandbox_with_the_reason(cluster, server, how, reason):
    box = create(server)
    name = f"cay-{box.id}"
    cluster.delete(name) if how == "delete" else cluster.kill(name, "OOMKilled" if how == "oom" else "Error")
    assert box.wait_for_state("ended")["reason"] == reason
    cluster.wait_for(lambda: name not in cluster.pods)
    assert box.request("POST", "/actions/info", {}).code == "gone"


@pytest.mark.parametrize("how", ["cut", "expire", "junk", "lost"])
def test_a_watch_that_breaks_is_followed_by_a_list(own, how):
    cluster, server = own
    cluster.page = 2
    boxes = [create(server) for _ in range(5)]
    name = f"cay-{boxes[0].id}"
    if how == "junk":
        cluster.junk = b'{"type":"MODIFIED","object":\n'
        cluster.delete(name)
        assert boxes[0].wait_for_state("ended")
        cluster.junk = b""
    elif how == "lost":  # it goes while nobody watches, and nobody says so
        cluster.refuse["GET", "pods"] = (500, "not now")
        cluster.cut()
        with cluster.lock:
            cluster.running.pop(name).stop()
            cluster.pods.pop(name)
            cluster.events = []
        del cluster.refuse["GET", "pods"]
        assert boxes[0].wait_for_state("ended")["reason"] == "its pod was deleted or evicted"
    else:
        for _ in range(3):
            getattr(cluster, how)()
        cluster.delete(name)
        assert boxes[0].wait_for_state("ended")
    for box in boxes[1:]:
        assert box.output("echo on") == "on\n"
    create(server).delete()


def test_calls_go_on_while_the_cluster_is_away(own):
    cluster, server = own
    box = create(server)
    for request in (("GET", "pods"), ("POST", "secrets"), ("DELETE", "pods"), ("POST", "pods")):
        cluster.refuse[request] = (503, "the server is currently unable to handle the request")
    cluster.cut()
    assert box.output("echo on") == "on\n"
    assert ask(server).json["error"]["message"].endswith("the server is currently unable to handle the request")
    assert box.request("DELETE").status >= 500
    cluster.refuse.clear()
    box.delete()
    cluster.wait_for(lambda: not cluster.pods)


def test_nothing_of_it_is_left(own):
    cluster, server = own
    boxes = [create(server) for _ in range(3)]
    dirs = [cluster.running[f"cay-{box.id}"].process for box in boxes]
    for box in boxes:
        box.delete()
    cluster.wait_for(lambda: not cluster.pods and not cluster.secrets)
    assert all(process.wait(PATIENCE) is not None for process in dirs)


def test_many_at_once_come_and_go(own):
    cluster, server = own
    before = None
    for _ in range(2):
        boxes = []
        threads = [threading.Thread(target=lambda: boxes.append(create(server))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(boxes) == 20
        for i, box in enumerate(boxes):
            assert box.output(f"echo {i}") == f"{i}\n"
        for box in boxes:
            box.delete()
        cluster.wait_for(lambda: not cluster.pods)
        open_now = len(os.listdir(f"/proc/{server.server_pid()}/fd"))
        assert before is None or open_now <= before + 8
        before = before or open_now


@pytest.mark.parametrize("seed", [1, 2])
def test_a_cluster_that_lies_is_no_more_than_a_cluster_that_fails(seed):
    with Cluster() as cluster, Elsewhere() as elsewhere, Liar(("127.0.0.1", cluster.http.server_port), elsewhere) as liar:
        config = cluster.write_config(liar.url, None, "liar")
        server = start_server("--backend", f"kubernetes={config}", settings=cluster.settings())
        try:
            pid = server.server_pid()
            liar.lie(seed, share=0.35)
            for _ in range(8):
                with contextlib.suppress(TimeoutError):
                    reply = server.request("POST", "/v1/sandboxes", {"image": "a:1", "workdir": "/workspace"}, timeout=3)
                    if reply.status == 201:
                        Sandbox(server, reply.json).request("POST", "/actions/exec", {"argv": ["true"]})
                    else:
                        assert reply.code and len(reply.json["error"]["message"]) < 400
            assert liar.lie(0, share=0), "no lie was told"
            box = create(server)
            assert box.output("echo true words") == "true words\n" and server.server_pid() == pid
            for one in server.request("GET", "/v1/sandboxes").json["sandboxes"]:
                if one["state"] != "failed":
                    server.request("DELETE", f"/v1/sandboxes/{one['id']}", timeout=60)
            cluster.wait_for(lambda: not cluster.pods, "the end of every pod")
            assert not elsewhere.visits
        finally:
            end_server(server)


# ---- servers that come and go ----

def test_a_killed_server_finds_its_sandboxes_again(own):
    cluster, server = own
    box, other = create(server), create(server, user="root", limits={"memory_bytes": 300 << 20})
    box.run("x=kept")
    enforced = other.get()["enforced"]
    gone = create(server)
    for i in range(3):
        server.kill_server()
        if i == 1:
            cluster.delete(f"cay-{gone.id}")
        server.wait_until_up()
        assert box.output("echo $x") == "kept\n"
        assert other.output("id -u") == "0\n" and other.get()["enforced"] == enforced
    assert gone.get()["state"] == "ended"
    box.delete()
    other.delete()
    cluster.wait_for(lambda: not cluster.pods)


def test_what_was_handed_out_to_nobody_is_removed_at_the_next_start(own):
    cluster, server = own
    cluster.held.add("slow")

    def want():
        with contextlib.suppress(Exception):
            ask(server, "slow")
    threading.Thread(target=want, daemon=True).start()
    cluster.wait_for(lambda: cluster.pods)
    server.kill_server()
    server.wait_until_up()
    cluster.wait_for(lambda: not cluster.pods and not cluster.secrets)
    cluster.held.clear()
    create(server).delete()


def test_two_servers_of_a_cluster_leave_each_other_alone(own):
    cluster, server = own
    other = serve(cluster)
    try:
        mine, theirs = create(server), create(other)
        server.kill_server()
        server.wait_until_up()
        assert mine.output("echo mine") == "mine\n" and theirs.output("echo theirs") == "theirs\n"
        assert server.request("GET", f"/v1/sandboxes/{theirs.id}").status == 404
        theirs.delete()
        mine.delete()
    finally:
        end_server(other)


def test_the_server_starts_no_program_and_reads_no_more_than_it_has_to(server):
    told = status(server.server_pid())
    assert told["Seccomp"] == "2" and told["NoNewPrivs"] == "1"


# ---- kubeconfigs ----

def start_fails(tmp_path, cluster, kubeconfig, settings=None, **variables):
    done = subprocess.run(
        [PROGRAMS / "cay-supervisor", "--state", tmp_path / "state", "--socket", tmp_path / "s", "--listen", "none", "--backend",
         f"kubernetes={kubeconfig}" if kubeconfig else "kubernetes"], capture_output=True, text=True, timeout=PATIENCE,
        env={**os.environ, "CAY_SETTINGS": json.dumps(settings or cluster.settings()), **variables})
    assert done.returncode != 0
    return done.stderr


def test_a_kubeconfig_that_wants_a_program_is_refused(tmp_path, cluster):
    path = cluster.write_config(cluster.url, {"exec": {"command": "aws"}}, "exec")
    assert "'exec': the server starts no program for its credentials" in start_fails(tmp_path, cluster, path)


@pytest.mark.parametrize("text, says", [
    ("a: [", "line 2"),
    ("current-context: x\n", "there is no context 'x'"),
    ("{}", "it has no current-context"),
    ('{"current-context":"x","contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"clusters":[{"name":"c","cluster":'
     '{"server":"ftp://x"}}],"users":[{"name":"u","user":{}}]}', "is no http:// or https:// URL"),
    *[('{"current-context":"x","contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"clusters":[{"name":"c","cluster":'
       f'{{"server":"{url}"}}}}],"users":[{{"name":"u","user":{{"token":"t"}}}}]}}', "the token would be shown")
      for url in ("http://192.0.2.1", "http://127.evil.example:80", "http://localhost.evil.example/x", "http://[::1].example")],
])
def test_a_kubeconfig_that_cannot_be_read_is_named(tmp_path, cluster, text, says):
    (tmp_path / "config").write_text(text)
    said = start_fails(tmp_path, cluster, tmp_path / "config")
    assert says in said and "config" in said, said


def test_who_is_not_let_in_or_has_no_executor_is_told_at_the_start(tmp_path, cluster):
    path = cluster.write_config(cluster.url, {"token": "wrong"}, "wrong")
    assert "Unauthorized" in start_fails(tmp_path, cluster, path)
    bare = start_fails(tmp_path, cluster, cluster.kubeconfig, {"container": {}})
    assert "executor_image is not set" in bare, bare
    lonely = start_fails(tmp_path, cluster, None, KUBECONFIG="", HOME=str(tmp_path), KUBERNETES_SERVICE_HOST="")
    assert "neither KUBECONFIG nor ~/.kube/config" in lonely, lonely


class Tls:
    """Stands before a cluster's API server, with a certificate that an authority of its own has signed; it wants one shown."""

    def __init__(self, directory, port, wants_certificate=True):
        self.dir = directory
        for name, subject in (("ca", "/CN=authority"), ("server", "/CN=127.0.0.1"), ("client", "/CN=cay")):
            self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        self.openssl("x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", "-days", "2", "-out", "ca.crt")
        (directory / "names").write_text("subjectAltName=IP:127.0.0.1")
        for name, more in (("server", ["-extfile", "names"]), ("client", [])):
            self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out",
                         f"{name}.crt", *more)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "server.crt", directory / "server.key")
        context.load_verify_locations(directory / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED if wants_certificate else ssl.CERT_NONE
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.context, self.port = context, port
        threading.Thread(target=self.accept, daemon=True).start()

    def openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.dir, check=True, capture_output=True)

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.relay, args=(connection,), daemon=True).start()

    def relay(self, connection):
        with contextlib.suppress(OSError), self.context.wrap_socket(connection, server_side=True) as near:
            with socket.create_connection(("127.0.0.1", self.port)) as far:
                threading.Thread(target=self.pump, args=(far, near), daemon=True).start()
                self.pump(near, far)

    @staticmethod
    def pump(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_RDWR)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl, to make certificates")
def test_tls_is_verified_both_ways(tmp_path, cluster):
    tls = Tls(tmp_path, cluster.http.server_port)
    data = base64.b64encode((tmp_path / "ca.crt").read_bytes()).decode()
    shown = {"token": TOKEN, "client-certificate": "client.crt",
             "client-key-data": base64.b64encode((tmp_path / "client.key").read_bytes()).decode()}
    shutil.copy(tmp_path / "client.crt", cluster.dir)
    good = cluster.write_config(tls.url, shown, "tls", **{"certificate-authority-data": data})
    server = start_server("--backend", f"kubernetes={good}", settings=cluster.settings())
    try:
        box = create(server)
        assert box.output("echo hi") == "hi\n"
        box.delete()
    finally:
        end_server(server)
    stranger = start_fails(tmp_path, cluster, cluster.write_config(tls.url, shown, "no-ca"))
    assert "cluster https://127.0.0.1" in stranger, stranger
    nobody = start_fails(tmp_path, cluster, cluster.write_config(tls.url, None, "no-client", **{"certificate-authority-data": data}))
    assert "cluster https://127.0.0.1" in nobody, nobody
    lax = cluster.write_config(tls.url, shown, "lax", **{"insecure-skip-tls-verify": True})
    server = start_server("--backend", f"kubernetes={lax}", settings=cluster.settings())
    assert "insecure-skip-tls-verify: anybody may be" in server.log_text()
    end_server(server)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("openssl"), reason="needs root, to be as in a pod, and openssl")
def test_a_server_in_a_pod_uses_the_pods_account_and_its_newest_token(tmp_path, cluster):
    tls = Tls(tmp_path, cluster.http.server_port, wants_certificate=False)
    account = tmp_path / "account"
    account.mkdir()
    shutil.copy(tmp_path / "ca.crt", account)
    (account / "namespace").write_text("agents")
    (account / "token").write_text(TOKEN + "\n")
    place = "/run/secrets/kubernetes.io/serviceaccount"
    host, port = tls.url.removeprefix("https://").split(":")
    prefix = ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none /run && mkdir -p {place} && mount --bind {account} {place} && exec \"$@\"", "sh"]
    variables = {"KUBECONFIG": "", "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    server = Server(tempfile.mkdtemp(prefix="cay-e2e-"), "--backend", "kubernetes", settings=cluster.settings(), prefix=prefix, variables=variables)
    try:
        box = create(server)
        assert box.output("echo hi") == "hi\n"
        cluster.token, old = "another", cluster.token
        (account / "token").write_text(cluster.token)
        assert ask(server).code == "unavailable"  # with the old one; that is why the file is read
        create(server).delete()
        box.delete()
        cluster.token = old
    finally:
        end_server(server)


def test_doctor_tells_which_cluster_is_meant(tmp_path, cluster):
    def told(**variables):
        return subprocess.run([PROGRAMS / "cay", "doctor"], capture_output=True, text=True, check=False,
                              env={"PATH": "/usr/bin:/bin:/usr/sbin", "HOME": str(tmp_path), **variables}).stdout
    assert f"for --backend kubernetes: {cluster.kubeconfig}\n" in told(KUBECONFIG=str(cluster.kubeconfig))
    assert "for --backend kubernetes: no cluster: neither KUBECONFIG nor ~/.kube/config" in told()


def test_a_configuration_of_openhands_is_enough(tmp_path, cluster):
    (tmp_path / "config.toml").write_text(
        "[core]\nruntime = 'kubernetes'\nworkspace_mount_path_in_sandbox = '/data'\n[sandbox]\nbase_container_image = 'mine:1'\n"
        "[kubernetes]\nnamespace = 'agents'\nexecutor_image = 'r.example/cay:7'\nresource_memory_limit = '700Mi'\n")
    state, ready, child_ready = tmp_path / "state", *os.pipe()
    process = subprocess.Popen(
        [PROGRAMS / "cay", "serve", "--config", tmp_path / "config.toml", "--state", state, "--socket", tmp_path / "s", "--listen", "none",
         "--ready-fd", str(child_ready)], pass_fds=[child_ready], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "KUBERNETES_RESOURCE_CPU_REQUEST": "50m", "CAY_TOKEN": "t" * 32})
    os.close(child_ready)
    try:
        with open(ready) as pipe:
            assert pipe.read() == "\n", process.stderr.read().decode()
        cay = PROGRAMS / "cay"
        env = {**os.environ, "CAY_TOKEN": "t" * 32, "CAY_URL": f"unix:{tmp_path}/s"}
        subprocess.run([cay, "create", "--name", "demo"], env=env, check=True, capture_output=True)
        pod, = [pod for pod in cluster.pods.values() if pod["spec"]["containers"][0]["image"] == "mine:1"]
        main = pod["spec"]["containers"][0]
        assert pod["spec"]["initContainers"][0]["image"] == "r.example/cay:7"
        assert main["resources"] == {"limits": {"memory": str(700 << 20)}, "requests": {"memory": str(128 << 20), "cpu": "50m"}}
        assert "/data" in [mount["mountPath"] for mount in main["volumeMounts"]]
        done = subprocess.run([cay, "exec", "demo", "--", "pwd"], env=env, check=True, capture_output=True, text=True)
        assert done.stdout == "/data\n"
        subprocess.run([cay, "rm", "demo"], env=env, check=True, capture_output=True)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stderr.close()


# ---- the executor alone ----

SECRET = "5" * 64


class Porter:
    """An executor that listens, without a pod around it."""

    def __init__(self, directory, *options, address="127.0.3.1", secret=SECRET):
        self.address = address
        self.process = subprocess.Popen(
            [PROGRAMS / "cay-executor", "--listen", f"{address}:{PORT}", "--workdir", directory, *options], stdin=subprocess.DEVNULL,
            env={**os.environ, "CAY_DOOR_SECRET": secret}, stderr=subprocess.PIPE, text=True)

    def line(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                s = socket.create_connection((self.address, PORT), PATIENCE)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline and self.process.poll() is None
        s.sendall(hello(b"L"))
        answer = b""
        while len(answer) < 96:
            answer += s.recv(96 - len(answer))
        both = b"L" + b"n" * 32 + answer[:32]
        assert answer[32:].decode() == hmac.new(SECRET.encode(), b"E" + both, hashlib.sha256).hexdigest()
        s.sendall(hmac.new(SECRET.encode(), b"S" + both, hashlib.sha256).hexdigest().encode())
        return s.makefile("rw", encoding="utf-8", newline="\n")

    def stop(self):
        self.process.kill()
        self.process.wait()


def test_the_line_tells_who_it_is_and_what_it_uses_and_ends_it(tmp_path):
    porter = Porter(tmp_path)
    line = porter.line()
    assert line.readline() == f"R {os.getuid()} {os.getgid()} {tmp_path}\n"
    second = porter.line()
    assert second.readline().startswith("R ") and line.readline() == ""  # the newer server has it
    second.write("U\n")
    second.flush()
    assert [int(word) >= -1 for word in second.readline().split()[1:]] == [True] * 4
    second.write("Q\n")
    second.flush()
    assert porter.process.wait(PATIENCE) == 0


def test_an_executor_without_a_server_ends_itself(tmp_path):
    porter = Porter(tmp_path, "--lease-ms", "200", address="127.0.3.2")
    assert porter.process.wait(PATIENCE) == 0
    porter = Porter(tmp_path, "--lease-ms", "500", address="127.0.3.2")
    line = porter.line()
    assert line.readline().startswith("R ")
    with pytest.raises(subprocess.TimeoutExpired):
        porter.process.wait(1)
    line.close()
    assert porter.process.wait(PATIENCE) == 0


def test_an_executor_without_a_secret_does_not_listen(tmp_path):
    porter = Porter(tmp_path, address="127.0.3.3", secret="short")
    assert porter.process.wait(PATIENCE) != 0 and "CAY_DOOR_SECRET is no secret" in porter.process.stderr.read()


def test_the_image_of_the_executor_is_one_that_others_take(tmp_path):
    archive = subprocess.run([PROGRAMS / "cay", "executor-image", "--name", "here/executor:1"], capture_output=True, check=True).stdout
    (tmp_path / "image.tar").write_bytes(archive)
    subprocess.run(["tar", "-xf", "image.tar"], cwd=tmp_path, check=True)
    manifest, = json.loads((tmp_path / "manifest.json").read_text())
    config = json.loads((tmp_path / manifest["Config"]).read_text())
    layer = (tmp_path / manifest["Layers"][0]).read_bytes()
    assert manifest["RepoTags"] == ["here/executor:1"] and config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
    assert manifest["Config"] == hashlib.sha256((tmp_path / manifest["Config"]).read_bytes()).hexdigest() + ".json"
    subprocess.run(["tar", "-xf", manifest["Layers"][0]], cwd=tmp_path, check=True)
    assert (tmp_path / "cay-executor").read_bytes() == (pathlib.Path(PROGRAMS) / "cay-executor").read_bytes()
    assert os.access(tmp_path / "cay-executor", os.X_OK)
