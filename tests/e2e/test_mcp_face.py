# SPDX-License-Identifier: Apache-2.0
"""A sandbox as an MCP server: over HTTP in a session of its own, and by name."""
import json
import os
import subprocess
import threading

import pytest
from conftest import PROGRAMS
from mcp import Client, HttpClient, Refused, at_once
from waiting import PATIENCE, wait_until


@pytest.fixture
def client(server):
    c = HttpClient(server, "/mcp")
    c.initialize()
    yield c
    server.request("DELETE", "/mcp", headers=c.extra)


@pytest.fixture
def named(server, box):
    c = HttpClient(server, f"/mcp/{box.id}")
    c.initialize()
    return c


def sandboxes(server):
    return {s["id"]: s for s in server.request("GET", "/v1/sandboxes").json["sandboxes"] if s["state"] in ("ready", "running")}


def test_it_says_what_it_is(server):
    c = HttpClient(server, "/mcp")
    hello = c.initialize("2025-06-18")
    assert (hello["protocolVersion"], hello["serverInfo"]["name"], hello["capabilities"]) == ("2025-06-18", "cay", {"tools": {}})
    assert c.request("ping") == {}
    assert HttpClient(server, "/mcp").initialize("1999-01-01")["protocolVersion"] == "2025-11-25"


def test_the_tools_are_the_actions(client, server):
    tools = {t["name"]: t for t in client.request("tools/list")["tools"]}
    assert {"run", "exec", "read", "write", "edit", "list", "grep", "glob", "process_list", "process_input"} <= set(tools)
    assert not {"configure", "subscribe", "connect", "upload", "download", "session_attach"} & set(tools)
    schema = server.request("GET", "/v1/openapi.json").json["paths"]["/v1/sandboxes/{id}/actions/run"]["post"]["requestBody"]
    assert tools["run"]["inputSchema"] == schema["content"]["application/json"]["schema"]
    assert tools["read"]["annotations"]["readOnlyHint"] and not tools["write"]["annotations"]["readOnlyHint"]


def test_a_session_has_a_sandbox_of_its_own_which_ends_with_it(server):
    before = set(sandboxes(server))
    c = HttpClient(server, "/mcp")
    c.initialize()
    assert set(sandboxes(server)) == before, "nothing is made before it is needed"
    assert c.text("run", command="cd /tmp; X=1; pwd") == "/tmp\n"
    assert c.text("run", command="echo $X $PWD") == "1 /tmp\n"
    own, = set(sandboxes(server)) - before
    assert sandboxes(server)[own]["labels"] == {"mcp.session": c.extra["Mcp-Session-Id"]}
    assert server.request("DELETE", "/mcp", headers=c.extra).status == 204
    wait_until(lambda: own not in sandboxes(server))
    assert c.post(c.message("ping", id=1)).status == 404


def test_calls_that_come_at_once_share_the_session_s_one_sandbox(server, client):
    before = set(sandboxes(server))
    session = client.extra

    def one(i):
        c = HttpClient(server, "/mcp", session)
        return c.text("exec", argv=["sh", "-c", f"echo {i} >> /tmp/all; echo {i}"])

    assert at_once(*(lambda i=i: one(i) for i in range(5))) == [f"{i}\n" for i in range(5)]
    assert len(set(sandboxes(server)) - before) == 1
    assert sorted(client.text("read", path="/tmp/all").split()) == list("01234")


def test_sessions_do_not_see_each_other(server, client):
    other = HttpClient(server, "/mcp")
    other.initialize()
    client.call("write", path="/tmp/mine", content="secret")
    assert other.call("read", path="/tmp/mine")["isError"]
    server.request("DELETE", "/mcp", headers=other.extra)


def test_a_named_sandbox_is_shared_and_stays(server, box, named):
    named.call("write", path="/workspace/x", content="hello")
    assert box.output("cat /workspace/x") == "hello"
    assert server.request("DELETE", f"/mcp/{box.id}").status == 405
    with pytest.raises(Refused) as e:
        HttpClient(server, "/mcp/nobody").initialize()
    assert e.value.code == -32602 and "no such sandbox" in str(e.value)


# What a model reads.

def test_a_command_that_fails_is_a_result_that_says_so(named):
    failed = named.call("run", command="ls /nonexistent")
    assert failed["isError"] and failed["structuredContent"]["exit_code"] == 2
    assert "No such file" in failed["content"][0]["text"] and failed["content"][0]["text"].endswith("[exit code 2]")


def test_both_channels_of_a_program_are_read(named):
    r = named.call("exec", argv=["sh", "-c", "echo out; echo err >&2; kill -9 $$"])
    assert r["content"][0]["text"] == "out\nerr\n[ended by signal KILL]" and r["isError"]


def test_a_file_is_read_as_it_is(named):
    named.call("write", path="/tmp/f", content='a "b"\n')
    assert named.text("read", path="/tmp/f") == 'a "b"\n'


def test_a_command_that_goes_on_says_so(named):
    assert named.text("run", command="echo a; sleep 1000", timeout_ms=200).endswith("[running]")
    assert "^C" in named.text("run", command="", keys="C-c")


def test_wrong_arguments_and_unknown_tools_are_errors(named):
    for tool, arguments, words in (("run", {"comand": "x"}, "comand"), ("run", {"command": 1}, "command"), ("nothing", {}, "Unknown tool"),
                                   ("configure", {}, "Unknown tool"), ("download", {"path": "/"}, "Unknown tool")):
        with pytest.raises(Refused) as e:
            named.call(tool, **arguments)
        assert e.value.code == -32602 and words in str(e.value)
    assert "not_found" in named.text("read", path="/nonexistent")
    with pytest.raises(Refused) as e:
        named.request("resources/list")
    assert e.value.code == -32601


# The transport.

def test_what_is_no_message_is_refused(server, box):
    for body, code in ((b"{", -32700), (b"[]", -32600), (b'{"jsonrpc":"2.0","id":1.5,"method":"x"}', -32600)):
        reply = server.request("POST", f"/mcp/{box.id}", body)
        assert (reply.status, reply.json["error"]["code"]) == (400, code)
    assert server.request("GET", "/mcp").status == 405
    assert server.request("POST", "/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 400
    assert server.request("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers={"Mcp-Session-Id": "x"}).status == 404


def test_it_needs_the_token_and_a_page_may_not_use_it(server):
    assert server.request("POST", "/mcp", {}, token=None).status == 401
    assert server.request("POST", "/mcp", {}, headers={"Origin": "http://evil.example"}).status == 403


def test_a_cancelled_command_is_stopped(named, server, box):
    done = threading.Event()

    def wait():
        with pytest.raises(Refused, match="Request cancelled"):
            named.call("run", command="sh -c 'touch /tmp/started; exec sleep 1000'")
        done.set()

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: box.request("POST", "/actions/stat", {"path": "/tmp/started"}).status == 200)
    HttpClient(server, named.path).notify("notifications/cancelled", {"requestId": named.next_id})
    assert done.wait(PATIENCE)
    thread.join()
    wait_until(lambda: not any(s["status"] == "running" for s in box.action("session_list")["sessions"]))


def test_a_client_that_leaves_kills_its_program(server, box):
    connection = server.connection()
    c = HttpClient(server, f"/mcp/{box.id}")
    connection.request("POST", c.path, json.dumps(c.message("tools/call", {"name": "exec", "arguments": {
        "argv": ["sleep", "1000"]}}, id=1)), server.headers("", c.extra))
    wait_until(lambda: any(p["status"] == "running" for p in box.action("process_list")["processes"]))
    connection.close()
    wait_until(lambda: not any(p["status"] == "running" for p in box.action("process_list")["processes"]))


# Over standard input and output.

class Bridge(Client):
    def __init__(self, server, *args):
        super().__init__()
        self.process = subprocess.Popen([PROGRAMS / "cay", "mcp", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env={
                                            "PATH": os.environ["PATH"], "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token})
        self.answers = {}

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def notify(self, method, params=None):
        self.say(json.dumps(self.message(method, params)))

    def start(self, method, params=None):
        self.next_id += 1
        self.say(json.dumps(self.message(method, params, id=self.next_id)))
        return self.next_id

    def read(self):
        return json.loads(self.process.stdout.readline())

    def wait(self, number):
        while number not in self.answers:
            answer = self.read()
            self.answers[answer["id"]] = answer
        return self.answers.pop(number)

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
        return status


def test_the_bridge_has_a_sandbox_that_ends_with_its_input(server):
    before = set(sandboxes(server))
    bridge = Bridge(server, "--label", "of=bridge")
    bridge.initialize()
    own, = set(sandboxes(server)) - before
    assert sandboxes(server)[own]["labels"] == {"of": "bridge"}
    assert bridge.text("run", command="echo hi") == "hi\n"
    assert bridge.end() == 0
    assert own not in sandboxes(server)


def test_the_bridge_removes_its_sandbox_when_it_is_terminated(server):
    before = set(sandboxes(server))
    bridge = Bridge(server)
    bridge.initialize()
    bridge.start("tools/call", {"name": "run", "arguments": {"command": "sleep 1000"}})
    bridge.process.terminate()
    assert bridge.process.wait(PATIENCE) == 0
    assert set(sandboxes(server)) == before
    bridge.end()


def test_the_bridge_leads_to_a_named_sandbox(server, box):
    bridge = Bridge(server, box.id)
    bridge.call("write", path="/tmp/x", content="y")
    assert bridge.end() == 0
    assert box.output("cat /tmp/x") == "y"


def test_a_long_call_delays_no_other_and_can_be_cancelled(server, box):
    bridge = Bridge(server, box.id)
    number = bridge.start("tools/call", {"name": "exec", "arguments": {"argv": ["sleep", "1000"]}})
    assert bridge.text("exec", argv=["echo", "quick"]) == "quick\n"
    bridge.notify("notifications/cancelled", {"requestId": number})
    assert bridge.wait(number)["error"]["message"] == "Request cancelled"
    assert bridge.end() == 0


def test_only_messages_come_out_whatever_goes_in(server, box):
    bridge = Bridge(server, box.id)
    for line, code in (("garbage", -32700), ("[]", -32600), ('{"jsonrpc":"2.0","id":7,"method":"nothing"}', -32601)):
        bridge.say(line)
        assert bridge.read()["error"]["code"] == code
    bridge.say("")
    assert bridge.request("ping") == {}
    assert bridge.end() == 0


def test_input_may_be_a_file(server, box, tmp_path):
    (tmp_path / "in").write_text('{"jsonrpc":"2.0","id":1,"method":"ping"}\n{"jsonrpc":"2.0","id":2,"method":"ping"}')
    with open(tmp_path / "in") as f:
        done = subprocess.run([PROGRAMS / "cay", "mcp", box.id], stdin=f, capture_output=True, text=True, timeout=PATIENCE, check=True,
                              env={"PATH": os.environ["PATH"], "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token})
    assert sorted(json.loads(line)["id"] for line in done.stdout.splitlines()) == [1, 2]


def test_a_bridge_to_nowhere_says_so(server):
    bridge = Bridge(server, "nobody")
    assert "no such sandbox" in bridge.process.stderr.readline()
    assert bridge.end() != 0
