# SPDX-License-Identifier: Apache-2.0
"""The Docker Engine API: containers, exec, streams, archives; and clients that leave, race or lie."""
import base64
import concurrent.futures
import io
import json
import os
import pathlib
import socket
import stat
import tarfile
import threading
import urllib.parse
import urllib.request

import pytest
from docker_api import error_of, serve_docker, split_frames, tar_of
from waiting import PATIENCE, wait_until

IS_ROOT = os.geteuid() == 0
START_SERVER = serve_docker


@pytest.fixture
def box(docker):
    container = docker.start()
    yield container
    container.remove()


# ---- the engine ----

def test_the_socket_is_for_its_owner_alone(docker):
    assert stat.S_IMODE(os.stat(docker.path).st_mode) == 0o600


def test_ping_tells_the_version_of_the_api_and_has_no_body_for_head(docker):
    for method in ("GET", "HEAD"):
        reply = docker.request(method, "/_ping")
        assert reply.status == 200 and reply.headers["Api-Version"] == "1.43"
        assert reply.body == (b"OK" if method == "GET" else b"")


def test_version_and_info_answer_with_and_without_a_version_in_the_path(docker):
    for prefix in ("", "/v1.24", "/v1.43"):
        assert docker.request("GET", f"{prefix}/version").json["ApiVersion"] == "1.43"
        assert docker.request("GET", f"{prefix}/info").json["OSType"] == "linux"


def test_what_takes_room_is_listed(docker, box):
    usage = docker.request("GET", "/system/df").json
    assert box.id in [container["Id"] for container in usage["Containers"]]
    listed = docker.request("GET", "/images/json").json
    assert usage["Images"] == listed and usage["LayersSize"] == sum(image["Size"] for image in listed)
    for what, key in (("networks", "NetworksDeleted"), ("volumes", "VolumesDeleted")):
        assert docker.request("POST", f"/{what}/prune").json[key] == [], "there is none that could be"


def test_a_container_is_committed_with_its_files_and_configuration(docker):
    box = docker.start("sh", "-c", "echo made > /tmp/made; echo $A$B", Image="host", Env=["A=a", "B=b"], WorkingDir="/var/tmp",
                       Labels={"of": "mine"})
    box.wait()
    reply = docker.request("POST", "/v1.43/commit", {"Labels": {"of": "another"}}, container=box.id, repo="made", tag="2",
                           changes='CMD ["cat","/tmp/made"]')
    assert reply.status == 201
    image = docker.request("GET", "/v1.43/images/made:2/json").json
    assert image["Id"] == reply.json["Id"]
    config = image["Config"]
    assert (config["Cmd"], config["WorkingDir"], config["Labels"]) == (["cat", "/tmp/made"], "/var/tmp", {"of": "another"})
    reply = docker.request("POST", "/v1.43/commit", container=box.id, repo="made", tag="3", changes="ENV B=c")
    assert reply.status == 201
    assert {"A=a", "B=c"} <= set(docker.request("GET", "/v1.43/images/made:3/json").json["Config"]["Env"])
    box.remove()
    for tag, out in ("2", b"made\n"), ("3", b"ac\n"):
        again = docker.create(Image=f"made:{tag}", Cmd=None)
        again.start()
        again.wait()
        assert again.logs()[1] == out
        again.remove()
    assert docker.request("POST", "/v1.43/commit", container="nobody").status == 404
    bad = docker.start("true", Image="host")
    assert docker.request("POST", "/v1.43/commit", container=bad.id, changes="RUN x").status == 400
    assert docker.request("POST", "/v1.43/commit", container=bad.id, repo="Not A Name").status == 400
    bad.remove()


def test_what_is_not_offered_says_so_in_dockers_shape(docker):
    for method, path in (("POST", "/volumes/create"), ("GET", "/images/get?names=host"), ("GET", "/images/search?term=x"),
                         ("POST", "/images/host/push"), ("GET", "/containers/x/export"),
                         ("POST", "/containers/x/update"), ("DELETE", "/networks/bridge"), ("GET", "/swarm"),
                         ("GET", "/distribution/host/json"), ("POST", "/session")):
        reply = docker.request(method, "/v1.43" + path, {"Name": "v"} if method == "POST" else None)
        assert reply.status == 501 and "not offered" in error_of(reply), path
    reply = docker.request("GET", "/v1.43/volumes/v")
    assert reply.status == 404 and "no such volume" in error_of(reply)
    reply = docker.request("GET", "/v1.43/no/such/path")
    assert reply.status == 404 and error_of(reply)


def test_the_other_faces_are_not_served_on_this_socket_nor_this_one_on_theirs(server):
    assert server.docker.request("GET", "/v1/sandboxes").status == 404
    assert server.request("GET", "/v1.43/containers/json").status == 404


# ---- life ----

def test_a_container_goes_from_created_to_running_to_exited_to_gone(docker):
    container = docker.create("sh", "-c", "exit 7")
    assert container.status() == "created"
    container.start()
    assert container.wait() == 7
    state = container.inspect()["State"]
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("exited", 7, False)
    assert container.request("DELETE").status == 204
    reply = container.request("GET", "/json")
    assert reply.status == 404 and "No such container" in error_of(reply)


def test_starting_what_runs_and_stopping_what_does_not_changes_nothing(docker, box):
    assert box.request("POST", "/start").status == 304
    assert box.request("POST", "/stop").status == 204
    assert box.request("POST", "/stop").status == 304


def test_files_outlive_a_stop(docker, box):
    assert box.exec("sh", "-c", "echo kept > /tmp/file")[0] == 0
    assert box.request("POST", "/restart").status == 204
    assert box.exec("cat", "/tmp/file") == (0, b"kept\n", b"")


def test_a_restart_without_patience_kills_nothing_that_it_has_started(docker):
    """What holds memory dies for longer than the patience lasts, behind a main process that has ended already."""
    container = docker.start("sh", "-c", "{ head -c 200M /dev/zero; exec sleep 1000; } | tail & exec sleep 1000")
    for _ in range(8):
        wait_until(lambda: str(container.request("GET", "/top").json["Processes"]).count("'sleep 1000'") == 2)
        assert container.request("POST", "/restart", t=0).status == 204
        assert container.status() == "running"
    container.remove()


def test_nothing_of_a_container_runs_on_when_its_main_process_has_ended(docker, box):
    exec_id, stream = box.open_exec("sh", "-c", "setsid nohup sleep 1000 >/dev/null 2>&1 & echo $!")
    pid = stream.frames()[1].decode().strip()
    assert box.exec("test", "-d", f"/proc/{pid}")[0] == 0
    assert box.request("POST", "/kill").status == 204
    assert box.wait() == 137
    box.start()
    assert box.exec("sh", "-c", "pgrep -x sleep | wc -l")[1] == b"1\n"  # its own, of the second start


def test_a_stop_is_patient_with_what_ignores_sigterm_and_then_kills_it(docker):
    container = docker.start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    connection, response = docker.open("GET", container.path + "/logs", stdout=1, follow=1)
    assert response.read(8 + 6).endswith(b"ready\n")
    connection.close()
    assert container.request("POST", "/stop", t=1).status == 204
    assert container.wait() == 137
    container.remove()


def test_top_lists_what_runs_whoever_started_it(docker):
    """Not only what was asked for: children, and what has left its process group."""
    container = docker.start("sh", "-c", "setsid sleep 100 & echo ready; sleep 101 & wait")
    container.exec("true")
    wait_until(lambda: {"sleep 100", "sleep 101"} <= set(top(container, "-o", "args")))
    reply = container.request("GET", "/top").json
    assert reply["Titles"] == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    rows = {row[-1]: dict(zip(reply["Titles"], row)) for row in reply["Processes"]}
    main, child = next(row for row in rows.values() if row["CMD"].startswith("sh -c")), rows["sleep 101"]
    assert main["UID"] in ("root", "1000") and (main["PPID"], main["TTY"], main["TIME"]) == ("0", "?", "00:00:00")
    assert child["PPID"] == main["PID"]
    assert container.exec("cat", f"/proc/{child['PID']}/comm")[1] == b"sleep\n", "the number is that of the inside"
    aux = container.request("GET", "/top?ps_args=aux").json
    assert aux["Titles"][:4] == ["USER", "PID", "%CPU", "VSZ"]
    assert {row[6] for row in aux["Processes"] if row[-1] == "sleep 100"} == {"Ss"}, "it leads its session"
    for words in ("-x", "-o", "-o nothing"):
        reply = container.request("GET", "/top?" + urllib.parse.urlencode({"ps_args": words}))
        assert reply.status == 400 and "ps_args" in error_of(reply), words
    container.request("POST", "/kill")
    assert container.wait() == 137
    assert container.request("GET", "/top").status == 409
    container.remove()


def top(container, *words):
    reply = container.request("GET", "/top?" + urllib.parse.urlencode({"ps_args": " ".join(words)}))
    assert reply.status == 200, reply.body
    return [row[-1] for row in reply.json["Processes"]]


def test_the_number_of_the_main_process_is_the_one_that_this_machine_knows(docker):
    container = docker.start("sleep", "4321")
    pid = container.inspect()["State"]["Pid"]
    assert pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x004321\x00"
    assert container.request("POST", "/kill").status == 204
    assert container.wait() == 137
    assert container.inspect()["State"]["Pid"] == 0
    container.remove()


def test_use_is_told_with_what_was_used_before(docker, box):
    def cores(sample):
        cpu, before = sample["cpu_stats"], sample["precpu_stats"]
        return ((cpu["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]) / (cpu["system_cpu_usage"] - before["system_cpu_usage"])
                * cpu["online_cpus"])
    assert cores(box.request("GET", "/stats?stream=0").json) < 0.2
    exec_id = box.prepare("sh", "-c", "while :; do :; done")
    assert docker.request("POST", f"/exec/{exec_id}/start", {"Detach": True}).status == 200
    if IS_ROOT:
        wait_until(lambda: cores(box.request("GET", "/stats?stream=0").json) > 0.2)
    sample = box.request("GET", "/stats?stream=0&one-shot=1").json
    assert sample["precpu_stats"]["system_cpu_usage"] == 0 and sample["name"] == box.inspect()["Name"]


def test_an_autoremoved_container_is_gone_after_its_end(docker):
    container = docker.create("true", HostConfig={"AutoRemove": True})
    connection, response = docker.open("POST", container.path + "/wait", condition="removed")
    assert response.status == 200  # the head comes before the container is started
    container.start()
    assert json.loads(response.read())["StatusCode"] == 0
    connection.close()
    assert container.request("GET", "/json").status == 404


def test_a_program_that_is_missing_fails_the_start_and_says_why(docker):
    container = docker.create("no-such-program")
    reply = container.request("POST", "/start")
    assert reply.status == 400 and "executable file not found in $PATH" in error_of(reply)
    assert container.inspect()["State"]["ExitCode"] == 127
    container.remove()


def test_a_running_container_is_only_removed_by_force(docker, box):
    reply = box.request("DELETE", force="False")  # as docker-py spells it
    assert reply.status == 409 and "force" in error_of(reply)
    assert box.request("DELETE", force="True").status == 204


def test_names_are_unique_and_can_be_changed(docker):
    first = docker.create(name="first-name")
    reply = docker.request("POST", "/v1.43/containers/create", {"Image": "host", "Cmd": ["true"]}, name="first-name")
    assert reply.status == 409 and "already in use" in error_of(reply)
    assert first.request("POST", "/rename", name="second-name").status == 204
    assert docker.request("GET", "/v1.43/containers/second-name/json").json["Id"] == first.id
    other = docker.create(name="first-name")
    other.remove()
    first.remove()


def test_a_paused_container_does_not_run_on_and_takes_no_exec(docker, box):
    assert box.request("POST", "/pause").status == 204
    assert box.status() == "paused"
    reply = box.request("POST", "/exec", {"Cmd": ["true"]})
    assert reply.status == 409 and "paused" in error_of(reply)
    assert box.request("POST", "/unpause").status == 204
    assert box.exec("true")[0] == 0


def test_the_list_is_filtered_by_state_name_and_label(docker):
    running = docker.start(Labels={"team": "a"}, name="list-running")
    made = docker.create(Labels={"team": "b"}, name="list-made")

    def names(**query):
        return {c["Names"][0] for c in docker.request("GET", "/v1.43/containers/json", **query).json}
    assert "/list-running" in names() and "/list-made" not in names()
    assert {"/list-running", "/list-made"} <= names(all=1)
    assert names(all=1, filters='{"label":["team=b"]}') == {"/list-made"}
    assert names(filters='{"status":["created"],"name":["list-"]}') == {"/list-made"}
    running.remove()
    made.remove()


def test_events_tell_a_containers_life(docker):
    connection, response = docker.open("GET", "/v1.43/events")
    container = docker.start("true")
    container.wait()
    container.remove()
    seen = []
    while not seen or seen[-1] != "destroy":
        event = json.loads(response.readline())
        if event["Actor"]["ID"] == container.id:
            seen.append(event["Action"])
    connection.close()
    assert seen == ["create", "start", "die", "destroy"]


# ---- what is asked for ----

def test_command_environment_directory_user_and_name_are_as_asked_for(docker):
    container = docker.start("-c", "echo $A-$B; pwd; hostname", Entrypoint=["/bin/sh"],
                             Env=["A=1", "B=two words", "UNSET"], WorkingDir="/new/place", Hostname="somehost")
    assert container.wait() == 0
    assert container.logs()[1] == b"1-two words\n/new/place\nsomehost\n"
    container.remove()


def test_limits_reach_the_sandbox(server, docker):
    container = docker.create(HostConfig={"Memory": 64 << 20, "PidsLimit": 40, "NanoCpus": 500000000})
    limits = server.request("GET", f"/v1/sandboxes/{container.id}").json["enforced"]["limits"]
    assert (limits["memory_bytes"], limits["pids"], limits["cpu_milli"]) == (64 << 20, 40, 500)
    container.remove()


@pytest.mark.parametrize("command, is_oom", [("b = bytearray(300 << 20)", True), ("import os; os.kill(os.getpid(), 9)", False)])
def test_who_was_killed_for_want_of_memory_is_told_apart(server, docker, command, is_oom):
    container = docker.start("-c", f"python3 -c '{command}'; exit $?", Entrypoint=["/bin/sh"], HostConfig={"Memory": 64 << 20})
    if "memory" not in server.request("GET", f"/v1/sandboxes/{container.id}").json["enforced"]["controls"]:
        container.remove()
        pytest.skip("this host gives no memory limit")
    assert container.wait() == 137
    assert container.inspect()["State"]["OOMKilled"] is is_oom
    container.remove()


def test_binds_and_mounts_show_directories_of_the_host(docker, tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "file").write_text("from the host")
    container = docker.start(HostConfig={
        "Binds": [f"{tmp_path}:/bound:ro"],
        "Mounts": [{"Type": "bind", "Source": str(tmp_path), "Target": "/mounted", "ReadOnly": False}]})
    assert container.exec("cat", "/bound/file")[1] == b"from the host"
    assert container.exec("touch", "/bound/new")[0] != 0
    assert container.exec("sh", "-c", "echo back > /mounted/new")[0] == 0
    assert (tmp_path / "new").read_text() == "back\n"
    assert (tmp_path / "new").stat().st_uid == tmp_path.stat().st_uid
    container.remove()


@pytest.mark.parametrize("host_config, word", [
    ({"Privileged": True}, "Privileged"),
    ({"Devices": [{"PathOnHost": "/dev/sda"}]}, "Devices"),
    ({"PidMode": "host"}, "PidMode"),
    ({"Binds": ["volume:/data"]}, "volume"),
    ({"Binds": ["relative/path:/data"]}, "relative/path"),
    ({"NetworkMode": "container:other"}, "network"),
    ({"Mounts": [{"Type": "npipe", "Source": "/x", "Target": "/y"}]}, "npipe"),
])
def test_what_a_caller_would_rely_on_and_cannot_have_is_refused(docker, host_config, word):
    reply = docker.request("POST", "/v1.43/containers/create",
                           {"Image": "host", "Cmd": ["true"], "HostConfig": host_config})
    assert reply.status == 400 and word in error_of(reply)


def test_what_is_not_honoured_is_a_warning(docker):
    container = docker.create(HostConfig={"ReadonlyRootfs": True, "RestartPolicy": {"Name": "always"}})
    assert any("ReadonlyRootfs" in w for w in container.warnings)
    assert any("RestartPolicy" in w for w in container.warnings)
    container.remove()


@pytest.mark.parametrize("body", [b"[]", b"{", b'"text"', b'{"Image":', b"\xff\xfe"])
def test_a_body_that_is_no_object_is_refused(docker, body):
    reply = docker.request("POST", "/v1.43/containers/create", body)
    assert reply.status == 400 and error_of(reply)


def test_odd_types_in_a_create_body_do_no_harm(docker):
    for key in ("Cmd", "Env", "HostConfig", "Labels", "Entrypoint", "ExposedPorts", "WorkingDir", "User"):
        for value in (1, True, "x", [1, None], {"a": [1]}, None):
            reply = docker.request("POST", "/v1.43/containers/create", {"Image": "host", "Cmd": ["true"], key: value})
            assert reply.status in (201, 400), reply.body
            if reply.status == 201:
                name = reply.json["Id"]
                docker.request("POST", f"/v1.43/containers/{name}/start")
                assert docker.request("GET", f"/v1.43/containers/{name}/json").status == 200
                assert docker.request("DELETE", f"/v1.43/containers/{name}", force=1).status == 204


def test_a_published_port_leads_into_the_sandbox_while_it_runs(docker):
    script = "import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port=3000, bind='127.0.0.1')"
    containers = [docker.create("python3", "-u", "-c", script, ExposedPorts={"3000/tcp": {}},
                                HostConfig={"PortBindings": {"3000/tcp": [{"HostIp": "", "HostPort": "0"}]}})
                  for _ in range(2)]
    for container in containers:  # both on their own port 3000
        container.start()
        connection, response = docker.open("GET", container.path + "/logs", stdout=1, stderr=1, follow=1)
        assert b"Serving" in response.read(16)
        connection.close()
        port = container.inspect()["NetworkSettings"]["Ports"]["3000/tcp"][0]["HostPort"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/etc/hostname", timeout=PATIENCE) as page:
            assert page.read() == b"container\n"
        container.request("POST", "/stop")
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE)
        container.remove()


def test_a_port_that_is_taken_fails_the_start(docker):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        container = docker.create(HostConfig={"PortBindings": {
            "80/tcp": [{"HostPort": str(taken.getsockname()[1])}]}})
        reply = container.request("POST", "/start")
        assert reply.status == 500 and "port is already allocated" in error_of(reply)
    container.start()
    container.remove()


# ---- exec and streams ----

def test_exec_tells_output_errors_and_exit_code_apart(docker, box):
    assert box.exec("sh", "-c", "echo out; echo err >&2; exit 5") == (5, b"out\n", b"err\n")


def test_the_head_of_a_hijacked_stream_comes_apart_from_what_follows(docker, box):
    for _ in range(50):
        _, stream = box.open_exec("echo", "hi")
        assert stream.head.endswith(b"\r\n\r\n") and b"101 UPGRADED" in stream.head
        assert stream.frames()[1] == b"hi\n"


def test_exec_with_a_terminal_is_not_framed(docker, box):
    exec_id, stream = box.open_exec("sh", "-c", "tty; stty size", Tty=True, ConsoleSize=[33, 99])
    assert stream.raw() == b"/dev/pts/0\r\n33 99\r\n"
    assert box.exec_inspect(exec_id)["ExitCode"] == 0


def test_a_terminal_can_be_resized(docker, box):
    exec_id, stream = box.open_exec("sh", "-c", "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done",
                                    Tty=True)
    assert stream.read(7) == b"ready\r\n"
    assert docker.request("POST", f"/v1.43/exec/{exec_id}/resize", h=40, w=100).status == 200
    assert stream.raw() == b"40 100\r\n"


def test_input_flows_to_an_exec_until_its_client_ends_it(docker, box):
    exec_id, stream = box.open_exec("cat", AttachStdin=True)
    stream.send(b"first\n")
    assert stream.frame() == (1, b"first\n")
    stream.send(b"second\n")
    stream.end_input()
    assert stream.frames()[1] == b"second\n"
    assert box.exec_inspect(exec_id)["ExitCode"] == 0


def test_exec_uses_its_own_environment_directory_and_user(docker):
    container = docker.start(Env=["A=container", "B=kept"])
    code, out, _ = container.exec("sh", "-c", "echo $A $B; pwd; id -u", Env=["A=own"], WorkingDir="/etc", User="0")
    assert (code, out) == (0, b"own kept\n/etc\n0\n")
    container.remove()


@pytest.mark.skipif(not IS_ROOT, reason="an ordinary user has a single id in a sandbox")
def test_exec_can_be_another_user(docker, box):
    assert box.exec("id", "-u", User="1000")[1] == b"1000\n"


def test_a_detached_exec_runs_on_and_its_end_is_told(docker, box):
    exec_id = box.prepare("sh", "-c", "read line < /tmp/gate; exit 3")
    assert box.exec("mkfifo", "/tmp/gate")[0] == 0
    assert docker.request("POST", f"/v1.43/exec/{exec_id}/start", {"Detach": True}).status == 200
    assert box.exec_inspect(exec_id)["Running"] is True
    assert box.exec("sh", "-c", "echo go > /tmp/gate")[0] == 0
    told = wait_until(lambda: not (now := box.exec_inspect(exec_id))["Running"] and now)
    assert told["ExitCode"] == 3


def test_an_exec_cannot_be_started_twice_nor_found_when_it_never_was(docker, box):
    exec_id, stream = box.open_exec("true")
    stream.frames()
    reply = docker.request("POST", f"/v1.43/exec/{exec_id}/start", {"Detach": False})
    assert reply.status == 409 and "already" in error_of(reply)
    reply = docker.request("GET", "/v1.43/exec/nosuch/json")
    assert reply.status == 404 and "No such exec instance" in error_of(reply)


def test_exec_in_what_does_not_run_is_a_conflict(docker):
    container = docker.create()
    reply = container.request("POST", "/exec", {"Cmd": ["true"]})
    assert reply.status == 409 and "is not running" in error_of(reply)
    container.remove()


def test_a_missing_program_is_told_on_the_stream_with_code_127(docker, box):
    exec_id, stream = box.open_exec("no-such-program")
    assert b"executable file not found" in stream.frames()[1]
    assert box.exec_inspect(exec_id)["ExitCode"] == 127


def test_who_attaches_before_the_start_sees_everything_and_feeds_it(docker):
    container = docker.create("sh", "-c", "echo begin; cat; echo end >&2", OpenStdin=True, StdinOnce=True)
    stream = docker.hijack(container.path + "/attach", stream=1, stdin=1, stdout=1, stderr=1)
    stream.send(b"early ")
    container.start()
    stream.send(b"late")
    stream.end_input()
    assert stream.frames() == {1: b"begin\nearly late", 2: b"end\n"}
    assert container.wait() == 0
    container.remove()


def test_who_attaches_later_sees_what_comes_then(docker):
    container = docker.start("sh", "-c", "echo old; while read line; do echo new $line; done", OpenStdin=True)
    connection, response = docker.open("GET", container.path + "/logs", stdout=1, follow=1)
    assert response.read(12).endswith(b"old\n")
    stream = docker.hijack(container.path + "/attach", stream=1, stdin=1, stdout=1)
    stream.send(b"x\n")
    assert stream.frame() == (1, b"new x\n")
    stream.close()
    assert container.status() == "running"
    connection.close()
    container.remove()


def test_logs_are_read_whole_by_their_end_and_as_they_come(docker):
    container = docker.start("sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; echo err >&2")
    container.wait()
    assert container.logs()[1] == b"".join(b"line %d\n" % i for i in range(1, 6))
    assert container.logs()[2] == b"err\n"
    assert split_frames(container.request("GET", "/logs", stdout=1, tail=2).body)[1] == b"line 4\nline 5\n"
    assert container.logs(follow=1)[1].startswith(b"line 1")
    reply = container.request("GET", "/logs", stdout=1, timestamps=1)
    assert reply.status == 501 and "dates" in error_of(reply)
    container.remove()


def test_a_slow_reader_of_a_lot_of_output_gets_every_byte(docker, box):
    _, stream = box.open_exec("sh", "-c", "head -c 30000000 /dev/zero")
    size = 0
    while frame := stream.frame():
        size += len(frame[1])
    assert size == 30000000


def test_a_client_that_leaves_its_exec_does_not_end_it(docker, box):
    exec_id, stream = box.open_exec("sh", "-c", "echo on; mkfifo /tmp/left; read x < /tmp/left; exit 9")
    assert stream.frame() == (1, b"on\n")
    stream.close()
    assert box.exec("sh", "-c", "until test -p /tmp/left; do :; done; echo > /tmp/left")[0] == 0
    told = wait_until(lambda: not (now := box.exec_inspect(exec_id))["Running"] and now)
    assert told["ExitCode"] == 9


# ---- archives ----

def test_an_archive_is_unpacked_also_before_the_start_and_comes_back(docker):
    container = docker.create(WorkingDir="/work")
    assert container.put("/work", tar_of({"dir": None, "dir/one": b"1", "two": b"22"})).status == 200
    reply = container.request("GET", "/archive", path="/work/dir")
    told = json.loads(base64.b64decode(reply.headers["X-Docker-Container-Path-Stat"]))
    assert told["name"] == "dir" and told["mode"] & 1 << 31
    with tarfile.open(fileobj=io.BytesIO(reply.body)) as archive:
        assert archive.getnames() == ["dir", "dir/one"]
        assert archive.extractfile("dir/one").read() == b"1"
    container.start()
    assert container.exec("cat", "/work/two")[1] == b"22"
    container.remove()


def test_head_tells_about_a_path_without_a_body(docker, box):
    assert box.put("/tmp", tar_of({"file": b"12345"})).status == 200
    reply = box.request("HEAD", "/archive", path="/tmp/file")
    told = json.loads(base64.b64decode(reply.headers["X-Docker-Container-Path-Stat"]))
    assert (reply.status, reply.body, told["name"], told["size"]) == (200, b"", "file", 5)
    assert told["mode"] & 1 << 31 == 0


def test_a_missing_path_is_not_found_and_a_file_is_no_place_to_unpack(docker, box):
    for method in ("GET", "HEAD", "PUT"):
        assert box.request(method, "/archive", tar_of({}) if method == "PUT" else None, path="/no/such").status == 404
    reply = box.put("/etc/hostname", tar_of({"x": b""}))
    assert reply.status == 400 and "not a directory" in error_of(reply)


def hostile(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("files", [
    {"../escaped": b"x"},
    {"/absolute": b"x"},
    {"a/../../escaped": b"x"},
    {"link": hostile("link", tarfile.SYMTYPE, "/etc"), "link/passwd": b"x"},
    {"hard": hostile("hard", tarfile.LNKTYPE, "/etc/passwd")},
    {"device": hostile("device", tarfile.CHRTYPE)},
    {"fifo": hostile("fifo", tarfile.FIFOTYPE)},
])
def test_a_hostile_archive_is_refused_and_the_container_lives_on(docker, box, files):
    reply = box.put("/tmp", tar_of(files))
    assert reply.status == 400 and error_of(reply)
    assert box.exec("sh", "-c", "ls -d /escaped /absolute /tmp/../escaped 2>/dev/null; grep -c root /etc/passwd")[1] == b"1\n"


def test_garbage_and_half_an_archive_are_refused(docker, box):
    assert box.put("/tmp", os.urandom(100000)).status == 400
    assert box.put("/tmp", tar_of({"big": bytes(100000)})[:50000]).status == 400


# ---- clients that leave, race or lie; and a server that dies ----

def test_clients_that_leave_halfway_leave_nothing_behind(docker, box):
    for body in (b"", b'{"Detach"'):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(docker.path)
        sock.sendall(b"POST /v1.43/exec/x/start HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\n" + body)
        sock.close()
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(docker.path)
    sock.sendall(f"PUT {box.path}/archive?path=/tmp HTTP/1.1\r\nHost: d\r\nContent-Length: 9999999\r\n\r\n".encode()
                 + bytes(5000))
    sock.close()
    for _ in range(20):
        _, stream = box.open_exec("cat", AttachStdin=True)
        stream.close()
    assert box.exec("echo", "fine")[1] == b"fine\n"


def test_two_clients_start_and_remove_one_container_at_once(docker):
    for _ in range(5):
        container = docker.create()
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(container.request("POST", "/start").status))
                   for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert set(statuses) <= {204, 304} and 204 in statuses
        statuses.clear()
        threads = [threading.Thread(target=lambda: statuses.append(container.remove().status)) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert statuses.count(204) == 1 and set(statuses) <= {204, 404, 409}


def test_containers_and_their_processes_survive_the_server(own_server):
    docker = own_server.docker
    running = docker.start("sh", "-c", "echo before; mkfifo /tmp/gate; read x < /tmp/gate; echo after; exit 4",
                           name="survivor", Env=["SECRET=kept"])
    made = docker.create(name="not-started")
    ended = docker.start("sh", "-c", "exit 6", name="ended")
    ended.wait()
    _, attached = running.open_exec("sleep", "1000")
    own_server.kill_server()
    own_server.wait_until_up()
    assert attached.raw() == b""  # its connection went with the server
    assert (running.status(), made.status(), ended.status()) == ("running", "created", "exited")
    assert ended.inspect()["State"]["ExitCode"] == 6
    assert "SECRET=kept" in running.inspect()["Config"]["Env"]
    # The container may have ended with all that ran in it before this one has.
    assert running.exec("sh", "-c", "until test -p /tmp/gate; do :; done; echo > /tmp/gate")[0] in (0, 137)
    assert running.wait() == 4
    assert running.logs()[1] == b"before\nafter\n"
    made.start()
    for container in (running, made, ended):
        assert container.remove().status == 204


def test_a_sandbox_that_is_removed_behind_the_face_is_no_container_any_more(own_server):
    container = own_server.docker.start()
    assert own_server.request("DELETE", f"/v1/sandboxes/{container.id}").status == 204
    assert container.request("GET", "/json").status == 404
    assert own_server.docker.request("GET", "/v1.43/containers/json", all=1).json == []


def test_sandboxes_of_other_faces_are_no_containers(own_server):
    own_server.create(name="a-sandbox")
    assert own_server.docker.request("GET", "/v1.43/containers/json", all=1).json == []
    assert own_server.docker.request("GET", "/v1.43/containers/a-sandbox/json").status == 404


def test_a_paused_container_is_paused_when_the_server_comes_back_and_its_end_is_seen(own_server):
    docker = own_server.docker
    auto = docker.start("sh", "-c", "mkfifo /tmp/gate; read x < /tmp/gate; exit 5", HostConfig={"AutoRemove": True})
    plain = docker.start()
    auto.exec("sh", "-c", "until test -p /tmp/gate; do :; done")
    for one in auto, plain:
        assert one.request("POST", "/pause").status == 204
    own_server.kill_server()
    own_server.wait_until_up()
    assert (auto.status(), plain.status()) == ("paused", "paused")
    for one in auto, plain:
        assert one.request("POST", "/unpause").status == 204
    assert (auto.status(), plain.status()) == ("running", "running")
    auto.exec("sh", "-c", "echo > /tmp/gate")
    wait_until(lambda: auto.request("GET", "/json").status == 404)
    plain.remove()


@pytest.mark.parametrize("way", ("here", "elsewhere"))
def test_a_container_that_is_removed_while_it_is_to_begin_again_is_gone(server, docker, way):
    pid = server.server_pid()
    container = docker.start("sh", "-c", "trap 'touch /tmp/told' TERM; echo up; while :; do sleep 0.05; done")
    wait_until(lambda: b"up" in container.logs()[1])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        restart = pool.submit(container.request, "POST", "/restart", t=60)
        wait_until(lambda: container.exec("test", "-e", "/tmp/told")[0] == 0)
        if way == "here":
            assert container.remove().status == 204
        else:
            assert server.request("DELETE", f"/v1/sandboxes/{container.inspect()['Id'][:26]}").status == 204
        assert restart.result(PATIENCE).status in (404, 409, 500)
    assert server.server_pid() == pid, server.log_text()[-500:]
