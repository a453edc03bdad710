# SPDX-License-Identifier: Apache-2.0
"""Sandboxes as containers of an engine: a real podman where there is one, and everywhere our own Docker face."""
import gzip
import http.server
import io
import json
import os
import pathlib
import signal
import socketserver
import subprocess
import tarfile
import threading
import time

import conftest
import engines
import pytest
from conftest import PATIENCE, Sandbox, end_server, start_server
from docker_api import Docker, tar_of
from processes import awaited, status
from test_build import build_status, openhands_build

IMAGE = "cay-engine-test"
TOOLS = {"source": "/usr", "target": "/usr", "mode": "ro"}


def link(target):
    info = tarfile.TarInfo()
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def named(name, info, mode=0o755):
    info.name, info.mode = name, mode
    return info


def directory():
    info = tarfile.TarInfo()
    info.type = tarfile.DIRTYPE
    return info


def load_image(socket):
    """A root that is nothing but links into /usr, where each sandbox mounts this machine's."""
    entries = {"etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n", "etc/group": b"root:x:0:\n",
               "tmp": named("tmp", directory(), 0o1777)}
    entries.update({name: None for name in ("usr", "root", "proc", "dev", "sys", "run")})
    entries.update({name: named(name, link(f"usr/{name}")) for name in ("bin", "sbin", "lib", "lib64")})
    reply = Docker(socket).request("POST", f"/images/create?fromSrc=-&repo={IMAGE}", tar_of(entries),
                                   {"Content-Type": "application/x-tar"})
    assert reply.status == 200, reply.body


class OurEngine:
    """A cay server's docker face."""
    name = "cay"

    def __init__(self):
        self.socket = pathlib.Path(f"/tmp/cay-engine-{os.getpid()}-{os.urandom(4).hex()}.sock")
        self.server = start_server("--docker", f"unix:{self.socket}", "--host-path", "any")  # it is lent /usr

    def stop(self):
        end_server(self.server)


class PodmanEngine(engines.Podman):
    name = "podman"


def trial(engine):
    """A container of the kind that the tests need is made and started."""
    load_image(engine.socket)
    docker = Docker(engine.socket)
    made = docker.request("POST", "/containers/create?name=trial", {"Image": IMAGE, "Cmd": ["/bin/true"], "HostConfig": {
        "NetworkMode": "none", "Memory": 1 << 28,
        "Mounts": [{"Type": "bind", "Source": "/usr", "Target": "/usr", "ReadOnly": True}]}})
    started = docker.request("POST", "/containers/trial/start")
    assert started.status == 204, made.body + started.body
    assert docker.request("POST", "/containers/trial/wait").status == 200
    gone = docker.request("DELETE", "/containers/trial?force=1")
    assert gone.status in (200, 204), gone.body


def start_podman():
    lacks = engines.missing() + (["root"] if os.geteuid() != 0 else [])
    assert not lacks, f"podman needs {', '.join(lacks)}"
    engine = PodmanEngine()
    try:
        trial(engine)
    except BaseException:
        engine.stop()
        raise
    return engine


def start_engine(kind):
    if kind == "cay":
        if os.geteuid() != 0:
            pytest.skip("in the sandboxes of an ordinary user there is one user, and so no agent beside root")
        engine = OurEngine()
        load_image(engine.socket)
    else:
        try:
            engine = start_podman()
        except AssertionError as error:  # what runs here differs from machine to machine
            if os.environ.get("CAY_MUST_RUN") == "1":
                raise
            pytest.skip(f"no podman: {str(error)[:300]}")
    engine.docker = Docker(engine.socket)
    return engine


@pytest.fixture(scope="module", params=["cay", "podman"])
def engine(request):
    started = start_engine(request.param)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def server(engine):
    started = start_server("--backend", f"docker={engine.socket}")
    yield started
    end_server(started)


def create(server, **wishes):
    reply = server.request("POST", "/v1/sandboxes", {"image": IMAGE, "mounts": [TOOLS], **wishes}, timeout=60)
    assert reply.status == 201, reply.body
    return Sandbox(server, reply.json)


@pytest.fixture
def box(server):
    made = create(server)
    yield made
    if made.request("GET").status == 200:
        made.delete()


@pytest.fixture
def own(engine):
    """The engine, and a server that the test may kill."""
    server = start_server("--backend", f"docker={engine.socket}")
    yield engine, server
    end_server(server)


def containers_of(engine, server):
    """Of that server alone: the others' stay."""
    number = (server.state / "engine/id").read_text()
    return [c for c in containers(engine) if c["Labels"].get("cay.server") == number]


def containers(engine):
    return engine.docker.request("GET", "/containers/json?all=1").json


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---- the verbs ----

def test_a_session_stays(box):
    box.run("cd /usr/share; x=41")
    assert box.output("pwd; echo $((x+1))") == "/usr/share\n42\n"


def test_a_program_takes_input_and_gives_both_outputs(box):
    ws = box.server.websocket(f"{box.path}/stream")
    ws.send_json({"action": "exec", "params": {"argv": ["sh", "-c", "read x; echo got $x; echo oops >&2; exit 3"],
                                               "stdin": True}})
    ws.send(ws.BINARY, b"\x00me\n")
    messages = list(ws)
    assert {m[0]: m[1:] for m in messages if isinstance(m, bytes)} == {1: b"got me\n", 2: b"oops\n"}
    assert messages[-1]["result"]["exit_code"] == 3
    ws.close()


def test_files_go_in_and_out(box):
    box.action("write", path="a/b.txt", content="one\ntwo\n")
    box.action("edit", path="a/b.txt", command="str_replace", old_str="two", new_str="three")
    assert box.action("read", path="/workspace/a/b.txt")["content"] == "one\nthree\n"
    data = os.urandom(3 << 20)
    assert box.put_file("big", data).status in (200, 201, 204)
    assert box.get_file("big").body == data
    with tarfile.open(fileobj=io.BytesIO(box.get_file("a", format="tar").body)) as archive:
        assert any(name.endswith("b.txt") for name in archive.getnames())
    assert box.output("stat -c %U:%G a/b.txt big") == "agent:agent\nagent:agent\n"


def test_python_cells_run_in_a_kernel_that_stays(box):
    box.action("cell", code="x = 6")
    assert box.action("cell", code="x * 7")["text"] == "42\n"


class Double(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps({"is": 2 * body["x"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        pass


def test_a_tool_that_the_server_performs_is_called(box):
    """And a program as a tool, and an action."""
    web = http.server.HTTPServer(("127.0.0.1", 0), Double)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    parameters = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    reply = box.request("POST", "/tools", {"url": f"http://127.0.0.1:{web.server_address[1]}/", "name": "outside",
                                           "description": "Doubles.", "parameters": parameters})
    assert reply.status == 200, reply.body
    called = box.request("POST", "/actions/tool_call", {"tool": "outside", "args": [], "kwargs": {"x": 21}})
    assert called.status == 200 and b"42" in called.body, called.body
    web.shutdown()
    web.server_close()
    box.action("tool_add", argv=["cat"], name="parrot", description="Says it again.", parameters=parameters)
    assert b"21" in box.request("POST", "/actions/tool_call", {"tool": "parrot", "args": [], "kwargs": {"x": 21}}).body
    assert box.request("POST", "/actions/tool_add", {"action": "stat"}).status == 200
    assert box.request("POST", "/actions/tool_call", {"tool": "stat", "args": ["/"], "kwargs": {}}).status == 200


def test_a_tool_of_the_sandbox_is_called(box):
    box.action("write", path="tools.py", content='def double(x: int) -> int:\n    """Twice as much."""\n    return 2 * x\n')
    assert box.action("tool_add", entrypoint="tools.double", paths=["/workspace"])["tools"] == ["double"]
    assert box.action("tool_call", tool="double", kwargs={"x": 21})["output"] == "42"


def test_variables_and_secrets_are_set_and_hidden(server):
    box = create(server, env={"COLOUR": "green"}, secrets={"KEY": "very-secret-value"}, hostname="island")
    assert box.output("echo $COLOUR; hostname") == "green\nisland\n"
    assert "very-secret-value" not in box.output("echo $KEY")
    box.delete()


def test_what_listens_inside_is_reached_without_a_published_port(engine, box):
    box.action("write", path="server.py", content=(
        "import http.server\nclass H(http.server.SimpleHTTPRequestHandler): pass\n"
        "s = http.server.ThreadingHTTPServer(('127.0.0.1', 8080), H)\nopen('/tmp/listens', 'w')\ns.serve_forever()\n"))
    box.run("mkfifo wait; echo from inside > page; (python3 server.py > log 2>&1 &)")
    until(lambda: box.run("test -e /tmp/listens")["exit_code"] == 0)
    reply = box.request("GET", "/ports/8080/page")
    assert (reply.status, reply.body) == (200, b"from inside\n")
    found = engine.docker.request("GET", f"/containers/cay-{box.id}/json").json
    assert not any((found["NetworkSettings"].get("Ports") or {}).values())


def test_it_has_no_network_but_its_own_loopback(box):
    assert box.output("ls /sys/class/net 2>/dev/null || tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '") in ("lo\n",)


# ---- who it is ----

def test_the_agent_is_nobody_special(box):
    assert box.output("id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status | tr -d '\\t'") == (
        "1000\nCapEff:0000000000000000\nNoNewPrivs:1\n")
    assert box.run("touch /usr/x /etc/x /x")["exit_code"] != 0
    assert box.record["enforced"]["uid"] == 1000


def test_root_is_root_inside(server):
    box = create(server, user="root")
    assert box.output("id -u; touch /etc/x && chown 1000 /etc/x && stat -c %u /etc/x") == "0\n1000\n"
    box.delete()


def test_what_serves_it_cannot_be_killed_from_inside_where_it_is_pid_1(engine, server):
    """In a container of our own docker face it is not, and has the agent's uid: who kills it ends its own sandbox and no other."""
    box, other = create(server), create(server)
    other.run("kept=1")
    box.run("kill -9 1; kill -STOP 1; kill -TERM 1; kill -HUP 1")
    box.request("POST", "/actions/exec", {"argv": ["sh", "-c", "kill -9 -1"]})
    if engine.name == "cay":
        box.wait_for_state("ended")
        assert box.request("POST", "/actions/info", {}).code == "gone"
    else:
        assert box.output("echo alive", session="another") == "alive\n"  # the first had a shell, which was killed
        assert box.run("cat /proc/1/environ /proc/1/maps > /dev/null", session="another")["exit_code"] != 0
    assert other.output("echo $kept") == "1\n"
    box.delete()
    other.delete()


def test_the_socket_of_its_keeper_is_gone_and_the_place_read_only(box):
    assert box.output("ls -A /.cay/run") == ""
    assert box.run("touch /.cay/run/socket")["exit_code"] != 0


def test_orphans_do_not_stay_as_zombies(box):
    box.run("for i in $(seq 50); do (sleep 0.01 &) ; done; sleep 0.2")
    box.action("exec", argv=["true"])
    until(lambda: box.output("grep -l '^State:.*Z' /proc/[0-9]*/status 2>/dev/null | wc -l").strip() == "0")


# ---- what it may ----

def test_mounts_are_read_only_or_not(server, tmp_path):
    os.chmod(tmp_path, 0o777)
    (tmp_path / "seen").write_text("by both")
    box = create(server, user="root", mounts=[TOOLS, {"source": str(tmp_path), "target": "/data", "mode": "rw"},
                                 {"source": str(tmp_path), "target": "/look", "mode": "ro"}])
    assert box.output("cat /data/seen /look/seen; echo; echo back > /data/new; touch /look/x || echo refused") == (
        "by bothby both\ntouch: cannot touch '/look/x': Read-only file system\nrefused\n")
    assert (tmp_path / "new").read_text() == "back\n"
    box.delete()


def test_a_limit_on_memory_is_set_and_told(server):
    box = create(server, limits={"memory_bytes": 128 << 20, "pids": 64, "cpu_milli": 500})
    assert {"memory", "pids", "cpu"} <= set(box.record["enforced"]["controls"])
    limits = box.record["enforced"]["limits"]
    assert (limits["memory_bytes"], limits["pids"], limits["cpu_milli"]) == (128 << 20, 64, 500)
    result = box.run("python3 -c 'x = bytearray(512 << 20); print(len(x))'", timeout_ms=30000)
    assert result["exit_code"] == 137
    assert box.output("echo still here") == "still here\n"
    reply = box.request("GET", "/stats")
    assert reply.status == 200, reply.body
    stats = reply.json
    assert 0 < stats["memory_bytes"] <= 128 << 20 and stats["pids"] > 0
    box.delete()


def test_a_pause_stops_it_and_an_end_of_the_pause_lets_it_go_on(box):
    box.run("x=7")
    assert box.request("POST", "/pause").status == 200
    assert box.request("POST", "/actions/run", {"command": "true"}).status == 409
    assert box.request("POST", "/resume").status == 200
    assert box.output("echo $x") == "7\n"


def test_why_an_executor_cannot_start_is_told(builder, server):
    made = server.request("POST", "/v1/builds?tags=cay-nobody", context(f"FROM {IMAGE}\nUSER nobody-knows\n"), timeout=60)
    assert made.status == 201, made.body
    for _ in range(5):
        reply = server.request("POST", "/v1/sandboxes", {"image": "cay-nobody", "mounts": [TOOLS]}, timeout=60)
        assert reply.status == 500 and "no user 'nobody-knows'" in reply.json["error"]["message"], reply.body
    server.request("DELETE", "/v1/images/cay-nobody?force=true")


@pytest.mark.parametrize("wish, code, says", [
    ({"image": "host"}, "invalid_argument", "name an image"),
    ({"image": "/tmp"}, "unsupported", "image"),
    ({"image": "../x y"}, "invalid_argument", "no name of an image"),
    ({"network": "proxy"}, "unsupported", "engine_network"),
    ({"network": "bridge"}, "unsupported", "engine_network"),
    ({"mounts": [{"source": "/usr", "target": "/usr", "mode": "copy"}]}, "unsupported", "copy"),
    ({"limits": {"disk_inodes": 100000}}, "unsupported", "inodes"),
    ({"require": ["landlock"]}, "unsupported", "landlock"),
    ({"gpus": "all; rm"}, "invalid_argument", "gpus"),
])
def test_what_cannot_be_had_is_refused_with_a_reason(engine, server, wish, code, says):
    before = len(containers(engine))
    reply = server.request("POST", "/v1/sandboxes", {"image": IMAGE, "mounts": [TOOLS], **wish})
    assert reply.code == code and says in reply.json["error"]["message"], reply.body
    assert len(containers(engine)) == before


def test_a_mount_of_nothing_is_the_engines_error_and_leaves_nothing(engine, server):
    before = len(containers(engine))
    reply = server.request("POST", "/v1/sandboxes", {"image": IMAGE, "mounts": [
        TOOLS, {"source": "/nonexistent/of/course", "target": "/x", "mode": "ro"}]})
    assert reply.status >= 400 and "/nonexistent/of/course" in reply.json["error"]["message"], reply.body
    assert len(containers(engine)) == before


# ---- images ----

def test_images_are_the_engines(engine, server):
    listed = server.request("GET", "/v1/images").json["images"]
    assert any(name.endswith(f"{IMAGE}:latest") for image in listed for name in image["names"])
    image = server.request("GET", f"/v1/images/{IMAGE}").json
    assert len(image["id"]) == 64 and image["size_bytes"] >= 0 and len(image["layers"]) >= 1
    assert server.request("PUT", f"/v1/images/{IMAGE}").json["id"] == image["id"]
    assert server.request("GET", "/v1/images/nothing-of-the-kind").code == "not_found"
    assert server.request("GET", "/v1/images/..%2Fx").code in ("invalid_argument", "not_found")


def test_an_image_gets_a_name_and_loses_it(engine, server):
    tagged = server.request("POST", f"/v1/images/{IMAGE}", {"name": "cay-other:2"})
    assert tagged.status == 200 and any("cay-other:2" in name for name in tagged.json["names"]), tagged.body
    assert server.request("DELETE", "/v1/images/cay-other:2").json == {"removed": False}
    assert server.request("GET", "/v1/images/cay-other:2").code == "not_found"
    assert server.request("GET", f"/v1/images/{IMAGE}").status == 200


def test_a_tree_is_taken_in_and_used(engine, server):
    tree = tar_of({"tmp": named("tmp", directory(), 0o1777), "etc/mark": b"taken in", "usr": None,
                   **{name: named(name, link(f"usr/{name}")) for name in ("bin", "sbin", "lib", "lib64")}})
    made = server.request("POST", "/v1/images?name=cay-tree:7&kind=tree", tree, headers={"Content-Type": "application/x-tar"},
                          timeout=60)
    assert made.status == 201 and any("cay-tree:7" in name for name in made.json["images"][0]["names"]), made.body
    box = create(server, image="cay-tree:7")
    assert box.output("cat /etc/mark") == "taken in"
    assert server.request("DELETE", "/v1/images/cay-tree:7").status in (200, 409)
    box.delete()
    server.request("DELETE", "/v1/images/cay-tree:7?force=true")


def test_an_archive_that_is_none_is_refused(server):
    reply = server.request("POST", "/v1/images?kind=archive", b"no archive at all" * 100, timeout=60)
    assert reply.status >= 400 and "engine" in reply.json["error"]["message"], reply.body


def context(dockerfile, **files):
    return tar_of({"Dockerfile": dockerfile.encode(), **{name: data for name, data in files.items()}})


@pytest.fixture
def builder(engine):
    if engine.docker.request("POST", "/build", b"", {"Content-Type": "application/x-tar"}).status == 501:
        pytest.skip("this engine builds no images")
    return engine


def test_an_image_is_built_by_the_engine(builder, server):
    body = context(f"FROM {IMAGE}\nCOPY mark /etc/mark\nENV COLOUR=green\nWORKDIR /srv\n", mark=b"built")
    connection = server.connection(60)
    connection.request("POST", "/v1/builds?tags=cay-built:1&labels=%7B%22team%22%3A%22sand%22%7D", body,
                       server.headers("", {"Accept": "text/event-stream", "Content-Type": "application/x-tar"}))
    response = connection.getresponse()
    events = list(conftest.EventStream(response, connection))
    assert events[-1][0] == "result", events
    assert any("FROM" in event[2].get("text", "") for event in events if event[0] == "data")
    assert any("cay-built:1" in name for name in events[-1][2]["names"])
    assert events[-1][2]["config"]["Labels"]["team"] == "sand"
    box = create(server, image="cay-built:1")
    assert box.output("cat /etc/mark; echo; echo $COLOUR; pwd") == "built\ngreen\n/srv\n"
    assert box.record["spec"]["workdir"] == "/srv"
    box.delete()
    server.request("DELETE", "/v1/images/cay-built:1?force=true")


def test_openhands_and_daytona_have_images_built_by_the_engine(builder, server):
    archive = gzip.compress(context(f"FROM {IMAGE}\nCOPY x /made\n", x=b"openhands"))
    reply = openhands_build(server, [("target_image", "cay-oh:1"), ("tags", "cay-oh:2")], archive)
    until(lambda: build_status(server, reply.json["build_id"]).json["status"] != "WORKING")
    assert build_status(server, reply.json["build_id"]).json["status"] == "SUCCESS"
    for name, exists in ("cay-oh:1", True), ("cay-oh:2", True), ("cay-oh:3", False):
        found = server.request("GET", f"/image_exists?image={name}", token=None, headers={"X-API-Key": server.token})
        assert found.json["exists"] is exists
    access = server.request("GET", "/daytona/api/object-storage/push-access").json
    assert server.request("PUT", "/daytona/storage/contexts/cay/files/context.tar", tar_of({"y": b"daytona"}), token=None,
                          headers={"X-Amz-Security-Token": access["sessionToken"]}).status == 200
    wish = {"buildInfo": {"dockerfileContent": f"FROM {IMAGE}\nCOPY y /made\n", "contextHashes": ["files"]}}
    box = server.request("POST", "/daytona/api/sandbox", wish, timeout=60).json["id"]
    path = f"/daytona/api/sandbox/{box}"
    until(lambda: server.request("GET", path).json["state"] not in ("pending_build", "building_snapshot", "creating"))
    assert server.request("GET", path).json["state"] == "started"
    assert server.request("GET", f"/v1/sandboxes/{box}/files?path=/made").body == b"daytona"
    assert server.request("DELETE", path).status == 200
    assert "cay image" in server.request("GET", "/daytona/api/snapshots").json["message"]


def test_a_build_that_fails_says_why(builder, server):
    reply = server.request("POST", "/v1/builds?tags=cay-bad", context(f"FROM {IMAGE}\nCOPY missing /x\n"), timeout=60)
    assert reply.status >= 400 and "missing" in reply.json["error"]["message"], reply.body
    assert server.request("GET", "/v1/images/cay-bad").code == "not_found"


# ---- its end ----

def kept_dirs(server):
    return [path.name for path in (server.state / "engine").iterdir() if path.is_dir()]


def test_nothing_of_it_is_left(engine, server):
    box = create(server, labels={"team": "sand"})
    found = [c for c in containers(engine) if c["Labels"].get("cay.sandbox") == box.id]
    assert len(found) == 1 and found[0]["Labels"]["team"] == "sand"
    box.delete()
    assert all(c["Labels"].get("cay.sandbox") != box.id for c in containers(engine))
    assert box.id not in kept_dirs(server)


def test_many_at_once_come_and_go_and_leave_nothing_open(engine, server):
    def live(number):
        box = create(server)
        outputs[number] = box.output(f"echo {number}")
        box.delete()

    def descriptors():
        return len(os.listdir(f"/proc/{server.server_pid()}/fd"))
    rounds = 3 if engine.name == "cay" else 1
    outputs, before, ours = {}, None, len(containers_of(engine, server))
    for turn in range(rounds + 1):
        threads = [threading.Thread(target=live, args=(turn * 100 + i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE * 3)
        before = before or descriptors()  # what is kept open for the next: after the first round
    assert outputs == {n: f"{n}\n" for turn in range(rounds + 1) for n in range(turn * 100, turn * 100 + 6)}
    until(lambda: descriptors() <= before + 6)
    assert len(containers_of(engine, server)) == ours


def test_a_container_that_is_removed_behind_our_back_is_a_sandbox_that_ended(engine, server):
    box = create(server)
    engine.docker.request("DELETE", f"/containers/cay-{box.id}?force=1")
    assert "ended" in box.wait_for_state("ended")["reason"]
    assert box.id not in kept_dirs(server)
    box.delete()


# ---- restarts ----

def test_a_killed_server_finds_its_sandboxes_again(own):
    engine, server = own
    box, paused = create(server), create(server)
    box.run("cd /usr/share; x=41")
    paused.run("y=5")
    assert paused.request("POST", "/pause").status == 200
    for _ in range(2):
        server.kill_server()
        server.wait_until_up()
    assert box.output("pwd; echo $((x+1))") == "/usr/share\n42\n"
    record = box.get()
    assert (record["state"], record["enforced"]) == ("ready", box.record["enforced"])
    assert paused.get()["state"] == "paused", (paused.get(), server.log_text()[-2000:])
    assert paused.request("POST", "/resume").status == 200
    assert paused.output("echo $y") == "5\n"
    box.delete()
    paused.delete()
    assert containers_of(engine, server) == []


def test_a_server_killed_when_the_engine_had_paused_or_not_leaves_what_it_had_told(own):
    """As if it had been killed between the engine's answer and its own."""
    engine, server = own
    box, paused = create(server), create(server)
    assert paused.request("POST", "/pause").status == 200
    for turned, what in ((box, "pause"), (paused, "unpause")):
        assert engine.docker.request("POST", f"/containers/cay-{turned.id}/{what}").status == 204
    server.kill_server()
    server.wait_until_up()
    assert {c["Names"][0].split("-")[-1]: c["State"] for c in containers_of(engine, server)} == {box.id: "running", paused.id: "paused"}
    assert (box.get()["state"], paused.get()["state"]) == ("ready", "paused")
    assert box.output("echo a") == "a\n"
    assert paused.request("POST", "/resume").status == 200
    assert paused.output("echo b") == "b\n"
    box.delete()
    paused.delete()


def signal_executor(engine, box, name):
    assert engine.docker.request("POST", f"/containers/cay-{box.id}/kill?signal={name}").status == 204


def test_one_that_is_silent_at_a_start_is_waited_for_and_stays(own):
    """Somebody has stopped it, or the machine is slow: that is no reason to remove it."""
    engine, server = own
    box, other, gone = create(server), create(server), create(server)
    box.run("x=1")
    for one in (box, gone):
        signal_executor(engine, one, "SIGSTOP")
    server.kill_server()
    server.wait_until_up()
    assert other.output("echo other") == "other\n"
    record = box.get()
    assert (record["state"], record["enforced"]) == ("ready", box.record["enforced"])
    said = []
    asking = threading.Thread(target=lambda: said.append(box.output("echo $x")))
    asking.start()
    assert engine.docker.request("DELETE", f"/containers/cay-{gone.id}?force=1").status in (200, 204)
    signal_executor(engine, box, "SIGCONT")
    asking.join(PATIENCE)
    assert said == ["1\n"]
    gone.wait_for_state("ended")
    box.delete()
    other.delete()


def test_one_whose_container_went_while_no_server_ran_ends_with_that_reason(own):
    engine, server = own
    box, other = create(server), create(server)
    other.run("x=1")
    pid = server.server_pid()
    with awaited(pid):
        os.kill(pid, signal.SIGSTOP)
        assert engine.docker.request("DELETE", f"/containers/cay-{box.id}?force=1").status in (200, 204)
        os.kill(pid, signal.SIGKILL)
    server.wait_until_up()
    assert box.wait_for_state("ended")["reason"] == "lost: the backend docker has it no more"
    assert other.output("echo $x") == "1\n"
    box.delete()
    other.delete()


def test_nobody_inside_can_pass_for_the_executor_after_a_restart(own):
    """A program in the container waits for the socket, and greets first, many times."""
    engine, server = own
    box = create(server)
    box.action("write", path="liar.py", content=(
        "import socket, os\nopen('/tmp/lies', 'w')\nkept = []\nwhile True:\n"
        "    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n    try:\n        s.connect('/.cay/run/socket')\n"
        "        s.send(b'H' + os.urandom(32)); s.send(b'R0:0'); kept = kept[-50:] + [s]\n    except OSError:\n        pass\n"))
    box.run("(python3 liar.py > /dev/null 2>&1 &)")
    until(lambda: box.run("test -e /tmp/lies")["exit_code"] == 0)
    server.kill_server()
    server.wait_until_up()
    assert box.get()["state"] == "ready"
    assert box.output("echo the real one") == "the real one\n"
    box.delete()


def test_what_was_handed_out_to_nobody_is_removed_at_the_next_start(own):
    engine, server = own
    box = create(server)
    server.kill_server()
    server.wait_until_up()
    labels = next(c["Labels"] for c in containers(engine) if c["Labels"].get("cay.sandbox") == box.id)
    stray = engine.docker.request("POST", "/containers/create?name=stray", {
        "Image": IMAGE, "Cmd": ["/bin/true"], "Labels": {**labels, "cay.sandbox": "a" * 26}})
    other = engine.docker.request("POST", "/containers/create?name=other", {
        "Image": IMAGE, "Cmd": ["/bin/true"], "Labels": {"cay.sandbox": "b" * 26, "cay.server": "c" * 26}})
    assert (stray.status, other.status) == (201, 201)
    # Its name is none of ours, so that it is asked for by the name that it should have.
    assert engine.docker.request("POST", f"/containers/stray/rename?name=cay-{'a' * 26}").status == 204
    server.kill_server()
    server.wait_until_up()
    left = {c["Labels"].get("cay.sandbox") for c in containers(engine)}
    assert {box.id, "b" * 26} <= left and "a" * 26 not in left
    engine.docker.request("DELETE", "/containers/other?force=1")
    box.delete()


# ---- the server ----

def test_the_server_starts_no_program_and_writes_to_its_state_alone(server):
    told = status(server.server_pid())
    assert told["Seccomp"] == "2" and told["NoNewPrivs"] == "1"


# ---- engines that misbehave ----

def test_a_server_without_its_engine_says_so(tmp_path):
    with pytest.raises(AssertionError, match=r"engine .*nothing\.sock"):
        server = start_server("--backend", f"docker={tmp_path}/nothing.sock")
        end_server(server)


def test_commands_go_on_while_podman_is_dead(request):
    engine = start_engine("podman")
    server = start_server("--backend", f"docker={engine.socket}")
    try:
        box = create(server)
        connection = server.connection()
        connection.request("POST", f"{box.path}/actions/run", json.dumps({"command": "mkfifo /tmp/f; cat /tmp/f"}),
                           server.headers("", None))
        until(lambda: box.run("test -p /tmp/f", session="second")["exit_code"] == 0)
        engine.kill()
        box.run("echo after the crash > /tmp/f", session="second")
        assert json.loads(connection.getresponse().read())["output"] == "after the crash\n"
        connection.close()
        reply = server.request("POST", "/v1/sandboxes", {"image": IMAGE})
        assert reply.code == "unavailable" and str(engine.socket) in reply.json["error"]["message"]
        assert box.request("DELETE").code == "unavailable"
        engine.start()
        box.delete()
        create(server).delete()
        assert containers(engine) == []
    finally:
        end_server(server)
        engine.stop()


class FakeEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers as told: (method, path without version) → status and body, or a function that writes what it likes."""
    daemon_threads = True

    def __init__(self, path):
        self.asked, self.path = [], path
        self.answers = {
            ("GET", "/version"): (200, {"ApiVersion": "1.44", "MinAPIVersion": "1.44", "Version": "fake"}),
            ("GET", "/info"): (200, {"MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": False,
                                     "Architecture": os.uname().machine}),
            ("GET", "/containers/json"): (200, []),
            ("GET", f"/images/{IMAGE}/json"): (200, {"Os": "linux", "Config": {"WorkingDir": "/app", "User": "app"}}),
        }
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def address_string(self):
                return "unix"

            def answer(self):
                path = self.path.split("?")[0]
                path = "/" + path.split("/", 2)[2] if path.startswith("/v1.") else path
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                is_json = body[:1] in (b"{", b"[")
                fake.asked.append((self.command, self.path, json.loads(body) if is_json else None))
                found = fake.answers.get((self.command, path), (404, {"message": f"no such thing: {path}"}))
                if callable(found):
                    found(self)
                    self.close_connection = True
                    return
                text = found[1] if isinstance(found[1], bytes) else json.dumps(found[1]).encode()
                self.send_response(found[0])
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = answer

        super().__init__(str(path), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    engine = FakeEngine(tmp_path_factory.mktemp("fake") / "engine.sock")
    engine.server = start_server("--backend", f"docker={engine.path}")
    yield engine
    end_server(engine.server)
    engine.shutdown()


def ask_fake(fake, answers, **wishes):
    kept = dict(fake.answers)
    fake.answers.update(answers)
    del fake.asked[:]
    reply = fake.server.request("POST", "/v1/sandboxes", {"image": IMAGE, **wishes})
    fake.answers.clear()
    fake.answers.update(kept)
    return reply


REFUSED = ("POST", "/containers/create")


def test_what_an_engine_is_asked_for(fake):
    reply = ask_fake(fake, {REFUSED: (500, {"message": "could not select device driver"})}, gpus="all", network="host",
                     limits={"memory_bytes": 1 << 28}, labels={"a": "b", "cay.server": "stolen"})
    assert reply.code == "internal" and "could not select device driver" in reply.json["error"]["message"]
    method, path, body = next(x for x in fake.asked if x[0] == "POST")
    assert path.startswith("/v1.44/containers/create?name=cay-")
    host = body["HostConfig"]
    assert host["DeviceRequests"] == [{"Count": -1, "Capabilities": [["gpu"]]}]
    assert (host["NetworkMode"], host["Memory"], host["PidsLimit"]) == ("host", 1 << 28, 512)
    assert host["CapDrop"] == ["ALL"] and host["SecurityOpt"] == ["no-new-privileges"] and host["AutoRemove"] is True
    assert "PortBindings" not in host and "NanoCpus" not in host
    assert body["Labels"]["a"] == "b" and body["Labels"]["cay.server"] != "stolen"
    words = body["Cmd"]
    assert words[words.index("--workdir") + 1] == "/app" and words[words.index("--user") + 1] == "app"


@pytest.mark.parametrize("gpus, request_", [
    ("2", {"Count": 2, "Capabilities": [["gpu"]]}),
    ("GPU-1,GPU-2", {"Count": 0, "DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu"]]}),
])
def test_gpus_are_counted_or_named(fake, gpus, request_):
    ask_fake(fake, {REFUSED: (400, {"message": "no"})}, gpus=gpus)
    assert next(x[2] for x in fake.asked if x[0] == "POST")["HostConfig"]["DeviceRequests"] == [request_]


def test_a_network_of_the_engines_is_named_by_a_label(fake):
    ask_fake(fake, {REFUSED: (400, {"message": "no"})}, labels={"engine_network": "team-net"})
    assert next(x[2] for x in fake.asked if x[0] == "POST")["HostConfig"]["NetworkMode"] == "team-net"


def test_a_limit_that_the_engine_cannot_set_is_refused(fake):
    reply = ask_fake(fake, {}, limits={"cpu_milli": 500})
    assert reply.code == "unsupported" and "limit" in reply.json["error"]["message"]


def write(data):
    return lambda handler: handler.wfile.write(data)


@pytest.mark.parametrize("answer, code", [
    (write(b""), "unavailable"),
    (write(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"), "unavailable"),
    (write(b"\x00\xff garbage\r\n\r\n"), "protocol"),
    (write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "unavailable"),
    ((201, b"not json"), "protocol"),
    ((302, b""), "protocol"),
    ((401, {"message": "who are you"}), "unavailable"),
    ((500, b"\x00" * 100000), "internal"),
])
def test_an_engine_that_answers_badly_is_a_clear_error(fake, answer, code):
    reply = ask_fake(fake, {REFUSED: answer})
    assert reply.code == code and "engine" in reply.json["error"]["message"], reply.body
    assert fake.server.request("GET", "/v1/sandboxes").json["sandboxes"] == []
    assert kept_dirs(fake.server) == []


def test_an_image_is_fetched_once_and_its_failure_told(fake):
    missing = {("GET", f"/images/{IMAGE}/json"): (404, {"message": "no such image"})}
    pull = ("POST", "/images/create")
    lines = b'{"status":"Pulling"}\r\n{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}\r\n'
    reply = ask_fake(fake, {**missing, pull: (200, lines)})
    assert reply.code == "unavailable" and "manifest unknown" in reply.json["error"]["message"]
    assert [x[1].split("fromImage=")[1] for x in fake.asked if "fromImage" in x[1]] == [f"{IMAGE}%3Alatest"]
    reply = ask_fake(fake, {**missing, pull: (200, b'{"status":"Pulling"}\n{"status":"Done"}\n')})
    assert reply.code == "not_found" and "no such image" in reply.json["error"]["message"]


@pytest.mark.parametrize("image", [{"Os": "windows"}, {"Os": "linux", "Architecture": "s390x"}])
def test_an_image_of_another_machine_is_refused(fake, image):
    reply = ask_fake(fake, {("GET", f"/images/{IMAGE}/json"): (200, image)})
    assert reply.code == "unsupported" and "the image is for" in reply.json["error"]["message"]


def test_a_container_whose_executor_never_comes_is_removed(fake):
    started = {REFUSED: (201, {"Id": "x"})}
    reply = ask_fake(fake, {**started, ("POST", ""): (204, b"")})
    assert reply.status >= 400
    assert any(x[0] == "DELETE" for x in fake.asked)


# ---- what is left behind ----

CAY = pathlib.Path(conftest.PROGRAMS) / "cay"


def gc(engine, *words):
    """What it says of the engine; cgroups of native sandboxes that were killed just now are no business of ours."""
    said = subprocess.run([CAY, "gc", "--engine", str(engine.socket), *words], capture_output=True, text=True,
                          timeout=60, check=True).stdout
    return "".join(line for line in said.splitlines(True) if not line.startswith("/sys/fs/cgroup/"))


def test_gc_removes_what_has_no_server_and_nothing_else(own, request):
    engine, server = own
    box = create(server)
    other = start_server("--backend", f"docker={engine.socket}")
    request.addfinalizer(lambda: end_server(other))
    lost = create(other)
    strange = engine.docker.request("POST", "/containers/create?name=strange", {"Image": IMAGE, "Cmd": ["/bin/true"]})
    assert strange.status == 201
    assert gc(engine) == ""
    other.process.kill()  # the supervisor, and the server with it; containers know nothing of them
    other.process.wait(PATIENCE)
    until(lambda: f"cay-{lost.id}" in gc(engine, "--dry-run"))
    assert f"cay-{lost.id}" in gc(engine)
    assert gc(engine) == ""
    assert {box.id, None} <= {c["Labels"].get("cay.sandbox") for c in containers(engine)}
    engine.docker.request("DELETE", "/containers/strange?force=1")
    assert box.output("echo here") == "here\n"
    box.delete()


def test_doctor_tells_of_the_engine(engine, tmp_path):
    env = {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"}
    out = subprocess.run([CAY, "doctor", "--json"], capture_output=True, text=True, env=env, timeout=60, check=False).stdout
    assert json.loads(out)["engine"]["answers"] is True and "API 1." in json.loads(out)["engine"]["version"]
    env["DOCKER_HOST"] = f"unix://{tmp_path}/none"
    out = subprocess.run([CAY, "doctor"], capture_output=True, text=True, env=env, timeout=60, check=False).stdout
    assert "for --backend docker: " in out and "none" in out


# ---- from C ----

PROGRAM = """
import ctypes, json, sys
cay = ctypes.CDLL(sys.argv[1])
cay.cay_open.restype = cay.cay_create.restype = cay.cay_perform.restype = ctypes.c_void_p
class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 400)]
err = Error()
def good(result):
    assert result, err.text
    return ctypes.c_void_p(result)
c = good(cay.cay_open(sys.argv[2].encode(), None, ctypes.byref(err)))
box = good(cay.cay_create(c, sys.argv[3].encode(), ctypes.byref(err)))
done = good(cay.cay_perform(c, box, b"run", b'{"command":"echo $((6*7))"}', ctypes.byref(err)))
print(json.loads(ctypes.string_at(done))["output"], end="")
assert cay.cay_destroy(c, box, ctypes.byref(err)) == 0, err.text
cay.cay_close(c)
"""


def test_a_c_program_has_the_same_backend(engine):
    library = conftest.BUILD / "src" / "lib" / "libcay.so"
    wish = json.dumps({"image": IMAGE, "mounts": [TOOLS]})
    run = subprocess.run(["/usr/bin/python3", "-c", PROGRAM, library, f"docker={engine.socket}", wish],
                         env={**os.environ, "CAY_LIBEXEC": str(conftest.PROGRAMS)}, capture_output=True, text=True,
                         timeout=60, check=False)
    assert run.stdout == "42\n", run.stderr
