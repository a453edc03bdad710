# SPDX-License-Identifier: Apache-2.0
"""The Remote Runtime API: a fleet of action execution servers, each a sandbox below a path of the one port."""
import json
import os
import threading

import pytest
from conftest import end_server, start_server
from waiting import wait_until

MODULE = ["python", "-u", "-m", "openhands.runtime.action_execution_server", "60000"]


class Fleet:
    def __init__(self, server):
        self.server, self.host = server, "cay.test"

    def request(self, method, path, body=None, key=None, **more):
        headers = {"X-API-Key": self.server.token if key is None else key, "Host": "localhost"}
        return self.server.request(method, path, body, token=None, headers=headers, **more)

    def start(self, session, *options, **more):
        body = {"image": "any", "command": MODULE + ["--working-dir", "/workspace", *options], "session_id": session,
                "working_dir": "/openhands/code/", "environment": {}, "resource_factor": 1, **more}
        reply = self.request("POST", "/start", body)
        assert reply.status == 200, reply.body
        return Runtime(self, reply.json)


class Runtime:
    def __init__(self, fleet, record):
        self.fleet, self.record, self.id = fleet, record, record["runtime_id"]

    def request(self, method, path, body=None, key=None):
        headers = {"X-Session-API-Key": self.record["session_api_key"] if key is None else key}
        return self.fleet.server.request(method, f"/{self.id}{path}", body, token=None, headers=headers)

    def act(self, action, **args):
        reply = self.request("POST", "/execute_action", {"action": {"action": action, "args": args, "timeout": 20.0}})
        assert reply.status == 200, reply.body
        return reply.json

    def run(self, command, **args):
        return self.act("run", command=command, **args)["content"]

    def change(self, what):
        return self.fleet.request("POST", f"/{what}", {"runtime_id": self.id})

    @property
    def session(self):
        return self.fleet.request("GET", f"/sessions/{self.record['session_id']}").json


@pytest.fixture(scope="module")
def fleet(server):
    return Fleet(server)


@pytest.fixture
def runtime(fleet, request):
    made = fleet.start(request.node.name)
    yield made
    made.change("stop")


def root_only(test):
    return pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has one uid to give, so no root besides")(test)


def test_a_started_runtime_is_ready_and_acts_below_its_own_url(fleet, runtime):
    record = runtime.record
    assert record["url"] == f"http://localhost/{runtime.id}"
    assert (record["status"], record["pod_status"]) == ("running", "ready")
    assert record["command"][-2:] == ["--working-dir", "/workspace"]
    assert fleet.request("GET", f"/runtime/{runtime.id}").json == {
        "runtime_id": runtime.id, "pod_status": "ready", "restart_count": 0, "restart_reasons": []}
    assert runtime.request("GET", "/alive", key="").json == {"status": "ok"}
    assert runtime.run("pwd; whoami; echo ~; python -c 'print(6*7)'") == "/workspace\nopenhands\n/home/openhands\n42"
    assert runtime.run("/openhands/poetry/openhands-ai-5O4_aCHf-py3.12/bin/python -c 'print(1)'") == "1"


def test_what_an_agent_serves_is_reached_through_its_work_hosts(fleet, runtime):
    link = next(url for url, port in runtime.record["work_hosts"].items() if port == 12000)
    assert runtime.run("echo served >index.html; python3 -m http.server 12000 >/dev/null 2>&1 & "
                       "until curl -s localhost:12000; do :; done").endswith("served")
    host, _, path = link.removeprefix("http://").partition("/")
    seen = fleet.server.request("GET", f"/{path}", token=None, headers={"Host": host})
    assert seen.status in (302, 303, 307), "the ticket becomes a cookie"
    cookie = seen.headers["Set-Cookie"].split(";")[0]
    assert fleet.server.request("GET", "/", token=None, headers={"Host": host, "Cookie": cookie}).body == b"served\n"
    assert fleet.server.request("GET", "/", token=None, headers={"Host": host}).status in (401, 403)


def test_a_session_is_found_again_until_it_is_stopped(fleet):
    assert fleet.request("GET", "/sessions/none").status == 404
    first = fleet.start("found")
    assert first.session["runtime_id"] == first.id
    assert first.session["session_api_key"] == first.record["session_api_key"]
    assert fleet.start("found").id == first.id, "asked twice, made once"
    assert first.id in [r["runtime_id"] for r in fleet.request("GET", "/list").json["runtimes"]]
    batch = fleet.request("GET", "/sessions/batch?ids=found&ids=none").json
    assert [r["session_id"] for r in batch] == ["found"]
    assert first.change("stop").json == {"status": "success"}
    assert first.session["status"] == "stopped"
    assert first.change("stop").status == 200, "closing twice is fine"
    assert first.id not in [r["runtime_id"] for r in fleet.request("GET", "/list").json["runtimes"]]
    second = fleet.start("found")
    assert second.id != first.id and second.session["runtime_id"] == second.id
    second.change("stop")


def test_a_pause_keeps_shell_and_files(fleet, runtime):
    runtime.run("x=kept; cd /tmp; echo kept >/tmp/f; sleep 1000 & echo started")
    assert runtime.change("pause").status == 200
    assert runtime.session["status"] == "paused"
    reply = runtime.request("POST", "/execute_action", {"action": {"action": "run", "args": {"command": "x"}}})
    assert reply.status == 503, "what a client takes for a runtime that can be resumed"
    assert runtime.change("pause").status == 200, "pausing twice is fine"
    assert runtime.change("resume").status == 200
    assert runtime.change("resume").status == 200
    assert runtime.session["pod_status"] == "ready"
    assert runtime.run("echo $x; pwd; cat /tmp/f; jobs -r | wc -l") == "kept\n/tmp\nkept\n1"


def test_a_stopped_runtime_is_gone_for_its_actions(fleet):
    runtime = fleet.start("gone")
    runtime.change("stop")
    reply = runtime.request("POST", "/execute_action", {"action": {"action": "run", "args": {"command": "x"}}},
                            key=fleet.server.token)
    assert reply.status == 404
    assert fleet.request("POST", "/stop", {"runtime_id": None}).status == 200, "what never started"
    assert fleet.request("POST", "/stop", {"runtime_id": "nosuchruntime"}).status == 404


def test_a_session_key_opens_one_runtime_and_not_the_fleet(fleet, runtime):
    other = fleet.start("other-key")
    action = {"action": {"action": "run", "args": {"command": "echo hi"}, "timeout": 5}}
    assert runtime.request("POST", "/execute_action", action).status == 200
    refused = other.request("POST", "/execute_action", action, key=runtime.record["session_api_key"])
    assert (refused.status, refused.json) == (403, {"detail": "Invalid API Key"})
    assert fleet.request("GET", "/list", key=runtime.record["session_api_key"]).status == 401
    assert fleet.request("GET", "/list", key="").status == 401
    other.change("stop")


def test_keys_and_sessions_survive_a_restart_of_the_server(own_server):
    fleet = Fleet(own_server)
    runtime = fleet.start("survivor")
    runtime.run("x=still")
    own_server.kill_server()
    own_server.wait_until_up()
    assert runtime.session["session_api_key"] == runtime.record["session_api_key"]
    assert runtime.run("echo $x") == "still"


def test_a_key_that_the_start_chose_opens_its_runtime_even_after_a_restart(own_server):
    fleet = Fleet(own_server)
    runtime = fleet.start("chosen", environment={"SESSION_API_KEY": "my key"})
    assert runtime.record["session_api_key"] == runtime.session["session_api_key"] == "my key"
    assert runtime.run("echo $SESSION_API_KEY") == "my key"
    for path in ("/vscode/connection_token", "/nope", "/mcp/sse"):
        refused = runtime.request("GET", path, key="your key")
        assert (refused.status, refused.json) == (403, {"detail": "Invalid API Key"}), path
    assert runtime.request("GET", "/nope").json == {"detail": "Not Found"}
    assert runtime.request("PUT", "/execute_action").json == {"detail": "Method Not Allowed"}
    own_server.kill_server()
    assert runtime.request("GET", "/vscode/connection_token").status == 200
    assert runtime.request("GET", "/vscode/connection_token", key=runtime.session["session_api_key"]).status == 200
    assert "my key" not in json.dumps(own_server.request("GET", f"/v1/sandboxes/{runtime.id}").json)


@root_only
@pytest.mark.parametrize("options, environment, who", [
    (["--username=foo", "--user-id", "1234"], {}, "uid=1234(foo) gid=1234(foo) groups=1234(foo)\n/home/foo"),
    (["--username", "www-data", "--user-id", "7777"], {}, "uid=33(www-data) gid=33(www-data) groups=33(www-data)\n/var/www"),
    ([], {"SU_TO_USER": "false"}, "uid=0(root) gid=0(root) groups=0(root)\n/root"),
], ids=["another", "one that is there", "no su"])
def test_shells_and_files_are_those_of_the_account_that_was_asked_for(fleet, request, options, environment, who):
    runtime = fleet.start(request.node.name, *options, environment=environment)
    uid = who[4:].split("(")[0]
    assert runtime.run("id; echo ~") == who
    runtime.act("write", path="by-action", content="x")
    assert runtime.run("touch by-shell; stat -c %u by-shell by-action") == f"{uid}\n{uid}"
    runtime.change("stop")


@root_only
def test_the_id_of_another_account_is_refused_by_its_name(fleet):
    reply = fleet.request("POST", "/start", {"image": "any", "command": [*MODULE, "--user-id", "33"], "session_id": "taken"})
    assert (reply.status, reply.json["detail"]) == (400, "prepare the sandbox: --user-id 33 is that of www-data")
    wait_until(lambda: "taken" not in [r["session_id"] for r in fleet.request("GET", "/list").json["runtimes"]])


def test_the_environment_and_the_soft_timeout_are_as_the_start_says(fleet):
    runtime = fleet.start("env", environment={"NO_CHANGE_TIMEOUT_SECONDS": "1", "FOO": 'a "b" $c'})
    assert runtime.run("echo $FOO") == 'a "b" $c'
    waiting = runtime.act("run", command="read x")
    assert waiting["extras"]["metadata"]["suffix"].startswith("\n[The command has no new output after 1 seconds.")
    runtime.change("stop")


def test_root_is_root_and_has_its_home(fleet):
    runtime = fleet.start("root", "--username", "root", "--user-id", "0")
    assert runtime.run("whoami; echo ~; touch f; stat -c %U f") == "root\n/root\nroot"
    runtime.change("stop")


def test_a_browser_has_a_directory_for_downloads_from_the_start(fleet):
    with_browser, without = fleet.start("browser"), fleet.start("no-browser", "--no-enable-browser")
    assert with_browser.run("ls -A") == ".downloads"
    assert without.run("ls -A") == ""
    with_browser.change("stop")
    without.change("stop")


def test_files_are_shown_to_the_browser_as_its_user_may_see_them(fleet):
    runtime = fleet.start("viewer")
    runtime.act("write", path="/tmp/a b.gif", content="GIF89a")
    url = runtime.run("while ! [ -s /tmp/oh-server-url ]; do :; done; cat /tmp/oh-server-url")
    assert url.startswith("http://localhost:6")
    assert runtime.run(f"curl -s {url}/") == '{"status":"File viewer server is running"}'
    page = runtime.run(f"curl -s '{url}/view?path=/tmp/a%20b.gif'")
    assert "<title>File Viewer - a b.gif</title>" in page and "data:image/gif;base64,R0lGODlhCg==" in page
    for path, status, words in [("a.gif", 400, "<h1>Error: Path must be absolute</h1><p>a.gif</p>"),
                                ("/no/where.gif", 404, "<h1>Error: File not found</h1><p>/no/where.gif</p>"),
                                ("/tmp", 400, "<h1>Error: Path is a directory</h1><p>/tmp</p>"),
                                ("/etc/passwd", 500, "Supported extensions are: .pdf, .png, .jpg, .jpeg, .gif</p>")]:
        assert words in runtime.run(f"curl -s '{url}/view?path={path}'")
        assert runtime.run(f"curl -s -o /dev/null -w '%{{http_code}}' '{url}/view?path={path}'") == str(status)
    assert "<canvas" in runtime.run(f"echo none >/tmp/a.pdf; curl -s '{url}/view?path=/tmp/a.pdf'"), "also if it is no PDF"
    runtime.change("stop")


@pytest.mark.parametrize("change, status, words", [
    ({"command": ["sh", "-c", "true"]}, 501, "can be started here"),
    ({"command": MODULE + ["--working-dir", "relative"]}, 400, "not absolute"),
    ({"command": MODULE + ["--username", "../x"]}, 400, "no name of a user"),
    ({"resource_factor": 3}, 400, "resource_factor"),
    ({"environment": {"a=b": "c"}}, 400, "a=b"),
    ({"surprise": 1}, 400, "surprise"),
    ({"command": MODULE + ["--working-dir", "/proc/x"]}, None, "/proc"),
])
def test_what_cannot_be_started_is_refused_in_words_and_leaves_nothing(fleet, change, status, words):
    body = {"image": "any", "command": MODULE, "session_id": "refused", **change}
    reply = fleet.request("POST", "/start", body)
    assert reply.status == status if status else reply.status >= 400
    assert words in reply.json["detail"]
    assert fleet.request("GET", "/sessions/refused").status == 404


def test_an_image_exists_when_there_is_one_of_its_name(fleet):
    prefix = fleet.request("GET", "/registry_prefix").json["registry_prefix"]
    there = fleet.request("GET", "/image_exists?image=host").json
    assert there["exists"] is True and isinstance(there["image"]["image_size_bytes"], int)
    assert there["image"]["upload_time"] > "2020-"
    for name in f"{prefix}/runtime:oh_v0.62.0_x", "ghcr.io/x/y:z":
        assert fleet.request("GET", f"/image_exists?image={name}").json == {"exists": False}
    assert fleet.request("GET", "/image_exists").status == 422


def test_two_clients_that_start_one_session_at_once_share_its_runtime(fleet):
    made = []
    threads = [threading.Thread(target=lambda: made.append(fleet.start("race"))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({runtime.id for runtime in made}) == 1
    assert made[0].run("echo hi") == "hi"
    made[0].change("stop")


# sudo

@root_only
def test_the_user_becomes_root_with_sudo_and_only_so(runtime):
    assert runtime.run("id -u; sudo id -u; sudo -u openhands id -u; cat /etc/shadow /root/x 2>&1 | grep -c denied") \
        .startswith("1000\n0\n1000")
    assert runtime.run("sudo touch /root/x; sudo ls /root; ls /root 2>&1; sudo chown -R openhands:root .; stat -c %U:%G .") \
        == "x\nls: cannot open directory '/root': Permission denied\nopenhands:root"


@root_only
def test_sudo_passes_input_output_and_status_on(runtime):
    assert runtime.run("echo in | sudo sh -c 'cat; echo err >&2; exit 3'; echo $?") == "in\nerr\n3"
    assert runtime.run("sudo sh -c 'kill -TERM $$'; echo $?; sudo nosuch; echo $?") \
        == "143\nsudo: nosuch: command not found\n1"
    assert runtime.run("cd /tmp; FOO=1 sudo sh -c 'pwd; echo [$FOO] $SUDO_USER $HOME'; FOO=1 sudo -E sh -c 'echo [$FOO]'") \
        == "/tmp\n[] openhands /root\n[1]"


@root_only
def test_a_command_under_sudo_ends_with_who_asked_for_it(runtime):
    waiting = runtime.act("run", command="sudo sh -c 'trap \"echo caught >/tmp/caught; exit\" INT; while :; do sleep 0.01; done'",
                          blocking=False)
    assert waiting["extras"]["metadata"]["exit_code"] == -1
    runtime.act("run", command="C-c", is_input=True)
    assert runtime.run("while ! [ -s /tmp/caught ]; do :; done; cat /tmp/caught") == "caught"


@root_only
def test_another_account_may_not_become_root(runtime):
    assert runtime.run("sudo -u nobody sudo id 2>&1; echo $?") == "sudo: this account may not become another\n1"


@root_only
def test_nonsense_on_the_socket_of_sudo_harms_nobody(runtime):
    runtime.act("write", path="/tmp/attack.py", content="""
import os, socket
for data in (b"", b"x", b"/\\0", b"/\\0" + b"9" * 30 + b"\\0", b"/\\0003\\0sudo\\0", os.urandom(4000)):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect("/run/cay-sudo")
    s.send(data)
    s.recv(2000) if data else None
many = []
try:
    for i in range(300):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        s.connect("/run/cay-sudo")
        many.append(s)
except BlockingIOError:
    pass
for s in many:
    s.close()
print("done")
""")
    assert runtime.run("python3 /tmp/attack.py") == "done"
    assert runtime.run("sudo id -u") == "0"


# ---- sandboxes that wait for a start ----

@pytest.fixture
def warm_server():
    started = start_server(settings={"openhands": {"warm": 1}})
    yield started
    end_server(started)


def waiting(server):
    return {box["id"] for box in server.request("GET", "/v1/sandboxes").json["sandboxes"]
            if box["labels"].get("openhands.spare") and box["state"] == "ready"}


def take(fleet, *options, **more):
    """A runtime that was waiting; starts that find none ready yet are ended again."""
    tries = iter(range(1000))

    def attempt():
        before = wait_until(lambda: waiting(fleet.server), "no sandbox waits")
        runtime = fleet.start(f"taken{next(tries)}", "--plugins", "agent_skills", "jupyter", *options, **more)
        if runtime.id in before:
            return runtime
        runtime.change("stop")
        return None
    return wait_until(attempt, "no sandbox that waited was given")


def test_a_sandbox_that_waited_becomes_what_the_start_says(warm_server):
    fleet = Fleet(warm_server)
    wait_until(lambda: waiting(warm_server), "no sandbox waits")
    assert fleet.request("GET", "/list").json == {"runtimes": []}, "it is nobody's"
    runtime = take(fleet, environment={"FOO": "it's", "SESSION_API_KEY": "mine", "NO_CHANGE_TIMEOUT_SECONDS": "1"})
    assert runtime.record["session_api_key"] == "mine"
    assert runtime.run("echo $FOO; whoami; pwd; ls -A") == "it's\nopenhands\n/workspace\n.downloads"
    assert runtime.act("run_ipython", code="import os; print(os.environ['FOO'], os.getuid() != 0)")["content"].startswith("it's True\n")
    assert "no new output after 1 seconds" in runtime.act("run", command="sleep 3")["extras"]["metadata"]["suffix"]
    assert runtime.session["runtime_id"] == runtime.id
    assert [r["runtime_id"] for r in fleet.request("GET", "/list").json["runtimes"]] == [runtime.id]
    assert runtime.id not in waiting(warm_server)
    wait_until(lambda: waiting(warm_server), "it is not replaced")


def test_what_waits_is_of_the_kind_that_was_asked_for_last(warm_server):
    fleet = Fleet(warm_server)
    first = wait_until(lambda: waiting(warm_server), "no sandbox waits")
    other = take(fleet, "--working-dir", "/elsewhere", "--no-enable-browser")
    assert other.run("pwd; ls -A") == "/elsewhere"
    wait_until(lambda: not first & waiting(warm_server), "one of the old kind still waits")


def test_those_that_a_server_before_has_left_are_ended(warm_server):
    left = wait_until(lambda: waiting(warm_server), "no sandbox waits")
    warm_server.kill_server()
    warm_server.wait_until_up()
    wait_until(lambda: waiting(warm_server) and not waiting(warm_server) & left, "one of before still waits")
