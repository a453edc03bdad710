# SPDX-License-Identifier: Apache-2.0
"""The MCP servers of a sandbox behind OpenHands' proxy, with good and with bad servers."""
import json

import pytest
from conftest import IS_SANITIZED
from mcp import SERVER, HttpClient, Refused, SseClient, at_once
from processes import memory_kib
from waiting import wait_until


@pytest.fixture(scope="module")
def site(server):
    box = server.create()
    box.put_file("/tmp/server.py", SERVER.encode())
    yield box
    box.delete()


def entry(name, *bad, **env):
    return {"name": name, "command": "python3", "args": ["/tmp/server.py", name, *bad], "env": env}


def update(site, *entries):
    return site.server.request("POST", f"/openhands/{site.id}/update_mcp_server", list(entries))


@pytest.fixture(params=[SseClient, HttpClient], ids=["sse", "streamable"])
def connect(request, site):
    clients = []

    def open_client(*entries):
        if entries:
            assert update(site, *entries).json == {"detail": "MCP server updated successfully", "router_error_log": ""}
        path = "/mcp/sse" if request.param is SseClient else "/mcp"
        clients.append(request.param(site.server, f"/openhands/{site.id}{path}"))
        clients[-1].initialize()
        return clients[-1]

    yield open_client
    for c in clients:
        c.close()


# Names and merging.

def test_one_server_keeps_its_names(connect):
    client = connect(entry("alpha"))
    assert "echo" in client.tools()
    assert client.call("echo", a=[1, "é"]) == {"content": [{"type": "text", "text": json.dumps({"a": [1, "é"]})}],
                                               "isError": False, "structuredContent": {"said": {"a": [1, "é"]}}}


def test_of_two_servers_every_name_says_whose_it_is(connect):
    client = connect(entry("alpha"), entry("beta"))
    tools = client.tools()
    assert "alpha_echo" in tools and "beta_echo" in tools and "echo" not in tools
    assert client.text("beta_count").startswith("beta ")
    assert client.call("echo") == {"content": [{"type": "text", "text": "Unknown tool: echo"}], "isError": True}


def test_a_name_that_begins_with_another_is_not_mixed_up(connect):
    client = connect(entry("a"), entry("a_b"))
    assert client.text("a_b_count").startswith("a_b ")
    assert client.text("a_count").startswith("a ")


def test_resources_are_named_by_their_server_too(connect):
    client = connect(entry("alpha"), entry("beta"))
    listed = client.request("resources/list", {})["resources"]
    assert listed == [{"name": f"{s}_note", "uri": f"note://{s}/today"} for s in ("alpha", "beta")]
    assert client.request("resources/read", {"uri": "note://beta/today"})["contents"][0]["uri"] == "note://today"
    with pytest.raises(Refused):
        client.request("resources/read", {"uri": "note://gamma/today"})
    assert client.request("prompts/list", {}) == {"prompts": []}


def test_pages_of_a_list_are_put_together(connect):
    assert len(connect(entry("alpha", "pages")).tools()) == 12


def test_environment_and_progress_reach_their_ends(connect):
    client = connect(entry("alpha", SECRET="s3cr3t"))
    assert client.text("env", name="SECRET") == "s3cr3t"
    client.request("tools/call", {"name": "progress", "arguments": {}, "_meta": {"progressToken": "mine"}})
    assert [(m["method"], m["params"]["progressToken"], m["params"]["progress"]) for m in client.told if "progress" in m["method"]] == [
        ("notifications/progress", "mine", i) for i in range(3)]


def test_keys_of_servers_are_in_no_event(site, connect):
    connect(entry("alpha", SECRET="ke7-of-a-service")).tools()
    assert "ke7-of-a-service" not in site.request("GET", "/events").body.decode()


# Lives of servers.

def test_a_server_keeps_its_state_between_clients_and_calls(connect):
    connect(entry("alpha", "state")).text("count")
    assert connect().text("count").split()[2] != "1"


def test_an_update_leaves_what_is_the_same_alone_and_ends_the_rest(site, connect):
    client = connect(entry("alpha"), entry("beta", "one"))
    alpha, beta = (int(client.text(f"{s}_count").split()[1]) for s in ("alpha", "beta"))
    update(site, entry("alpha"), entry("beta", "two"))
    assert int(client.text("alpha_count").split()[1]) == alpha
    assert int(client.text("beta_count").split()[1]) != beta
    assert site.output(f"while kill -0 {beta} 2>/dev/null; do :; done; echo gone") == "gone\n"


def test_clients_that_are_connected_see_new_servers(site, connect):
    client = connect(entry("alpha"))
    update(site, entry("alpha"), entry("gamma"))
    assert "gamma_echo" in client.tools()


def test_a_server_that_dies_in_a_call_fails_it_and_is_started_again(connect):
    client = connect(entry("alpha"))
    first = client.text("count").split()[1]
    failed = client.call("die")
    assert failed["isError"] and "exit code 3" in failed["content"][0]["text"] and "out of luck" in failed["content"][0]["text"]
    assert client.text("count").split()[1] != first


def test_two_clients_at_once_do_not_mix(site, connect):
    clients = [connect(entry("alpha"))] + [connect() for _ in range(3)]

    def many(client, mark):
        return all(client.text("echo", mark=mark, i=i) == json.dumps({"mark": mark, "i": i}) for i in range(30))

    assert at_once(*(lambda c=c, m=m: many(c, m) for m, c in enumerate(clients))) == [True] * 4


# Bad servers.

def test_a_banner_before_the_first_message_does_no_harm(connect):
    assert "echo" in connect(entry("alpha", "banner")).tools()


def test_garbage_between_messages_does_no_harm(connect):
    assert connect(entry("alpha")).text("garbage") == "still here"


@pytest.mark.parametrize("bad, words", [("exit", "cannot start: no key"), ("flood", "does not speak JSON-RPC")])
def test_a_server_that_cannot_be_started_is_told_alone_and_left_out_of_several(connect, bad, words):
    client = connect(entry("alpha", bad))
    with pytest.raises(Refused) as e:
        client.tools()
    assert "Client failed to connect" in str(e.value) and words in str(e.value)
    failed = client.call("echo")
    assert failed["isError"] and words in failed["content"][0]["text"]
    client = connect(entry("alpha", bad), entry("beta"))
    assert set(t.split("_")[0] for t in client.tools()) == {"beta"}


def test_a_program_that_is_not_there_is_told(connect):
    client = connect({"name": "x", "command": "/nonexistent", "args": [], "env": {}})
    assert "No such file" in client.call("echo")["content"][0]["text"]


def test_a_server_s_own_error_comes_as_it_is(connect):
    with pytest.raises(Refused) as e:
        connect(entry("alpha")).call("refuse")
    assert e.value.error == {"code": -32000, "message": "no", "data": {"why": 1}}


def test_a_large_answer_comes_whole(connect):
    assert len(connect(entry("alpha")).text("huge", bytes=3_000_000)) == 3_000_000


def test_an_endless_answer_ends_the_server_not_the_memory(site, connect):
    client = connect(entry("alpha"))
    failed = client.call("endless")
    assert failed["isError"] and "more than 16777216 bytes" in failed["content"][0]["text"]
    assert "echo" in client.tools()
    assert memory_kib(site.server.server_pid()) < 200_000 * (4 if IS_SANITIZED else 1)


# Clients that leave.

def test_a_call_that_is_cancelled_is_told_to_the_server(site):
    update(site, entry("alpha"))
    client = SseClient(site.server, f"/openhands/{site.id}/mcp/sse")
    client.initialize()
    number = client.start("tools/call", {"name": "mute", "arguments": {}})
    client.notify("notifications/cancelled", {"requestId": number})
    assert client.wait(number)["error"]["message"] == "Request cancelled"
    assert json.loads(client.text("cancelled"))
    client.close()


def test_a_client_that_leaves_in_a_call_cancels_it(site):
    update(site, entry("alpha", "left"))
    client = SseClient(site.server, f"/openhands/{site.id}/mcp/sse")
    client.initialize()
    client.tools()
    client.start("tools/call", {"name": "mute", "arguments": {}})
    client.close()
    other = SseClient(site.server, f"/openhands/{site.id}/mcp/sse")
    other.initialize()
    wait_until(lambda: json.loads(other.text("cancelled")))
    other.close()


def test_a_client_that_does_not_read_its_stream_is_cut_off(site):
    update(site, entry("alpha"))
    client = SseClient(site.server, f"/openhands/{site.id}/mcp/sse")
    client.initialize()
    for i in range(40):
        reply = client.post(client.message("tools/call", {"name": "huge", "arguments": {"bytes": 1_000_000}}, id=1000 + i))
        if reply.status != 202:
            break
    wait_until(lambda: client.post(client.message("ping", id=5)).status != 202)
    assert client.post(client.message("ping", id=5)).status == 404
    client.close()


# The routes.

def test_nothing_is_there_before_an_update_and_after_an_empty_one(site, box):
    assert box.server.request("GET", f"/openhands/{box.id}/mcp/sse").json == {"detail": "Not Found"}
    update(site, entry("alpha"))
    update(site)
    assert site.server.request("GET", f"/openhands/{site.id}/mcp/sse").status == 404


@pytest.mark.parametrize("body, status, detail", [
    ({}, 400, "Request must be a list of MCP tools to sync"), ("x", 400, "Request must be a list of MCP tools to sync"),
    ([{"name": "a b", "command": "x"}], 500, "An unexpected error occurred. Please try again later."),
    ([{"name": "a", "command": "x y"}], 500, "An unexpected error occurred. Please try again later."),
    ([{"name": "a"}], 500, "An unexpected error occurred. Please try again later."),
    ([{"name": "a", "command": "x", "args": [1]}], 500, "An unexpected error occurred. Please try again later."),
    ([5], 500, "An unexpected error occurred. Please try again later.")])
def test_a_wrong_update_is_refused_as_the_original_does(site, body, status, detail):
    reply = site.server.request("POST", f"/openhands/{site.id}/update_mcp_server", json.dumps(body))
    assert (reply.status, reply.json) == (status, {"detail": detail})


def test_an_update_that_is_no_json_is_refused(site):
    assert site.server.request("POST", f"/openhands/{site.id}/update_mcp_server", b"{").status == 500


def test_arguments_and_environment_may_be_text(connect):
    client = connect({"name": "a", "command": "python3", "args": "/tmp/server.py 'al pha' \"b\\\"c\"", "env": "K=V, L=W"})
    assert client.text("env", name="L") == "W"
    assert client.text("count").startswith("al pha ")


def test_messages_need_a_session(site):
    update(site, entry("alpha"))
    base = f"/openhands/{site.id}/mcp/messages/"
    assert site.server.request("POST", base, {}).body == b"session_id is required"
    reply = site.server.request("POST", base + "?session_id=" + "0" * 32, {})
    assert (reply.status, reply.body) == (404, b"Could not find session")
    client = SseClient(site.server, f"/openhands/{site.id}/mcp/sse")
    assert client.endpoint.startswith(base + "?session_id=")
    reply = site.server.request("POST", client.endpoint, b"garbage")
    assert (reply.status, reply.body) == (400, b"Could not parse message")
    client.close()


def test_the_other_paths_lead_there_too(site):
    update(site, entry("alpha"))
    for path in (f"/{site.id}/mcp/sse", f"/{site.id}/sse", f"/openhands/{site.id}/sse"):
        client = SseClient(site.server, path)
        assert client.endpoint.startswith(path[:-3] + "messages/?session_id=")
        client.initialize()
        assert "echo" in client.tools()
        client.close()


def test_it_needs_a_key(site):
    assert site.server.request("GET", f"/openhands/{site.id}/mcp/sse", token=None).status == 403
    assert site.server.request("POST", f"/openhands/{site.id}/mcp", {}, token="wrong").status == 403


def test_a_revision_that_nobody_knows_is_refused(site):
    update(site, entry("alpha"))
    reply = site.server.request("POST", f"/openhands/{site.id}/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"},
                                headers={"MCP-Protocol-Version": "1999-01-01"})
    assert reply.status == 400 and "Unsupported protocol version" in reply.json["error"]["message"]
    assert site.server.request("GET", f"/openhands/{site.id}/mcp").status == 405


def test_a_sandbox_that_ends_ends_its_sessions(server):
    box = server.create()
    box.put_file("/tmp/server.py", SERVER.encode())
    update(box, entry("alpha"))
    client = HttpClient(server, f"/openhands/{box.id}/mcp")
    client.initialize()
    client.tools()
    box.delete()
    assert server.request("POST", f"/openhands/{box.id}/mcp", client.message("ping", id=1)).status == 404
