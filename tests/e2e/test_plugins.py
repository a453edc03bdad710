# SPDX-License-Identifier: Apache-2.0
"""Plugins of a sandbox: those that are shipped, the example, and some that cannot be loaded."""
import http.client
import os
import shutil
import subprocess
import textwrap

import pytest
from conftest import PROGRAMS, ROOT
from mcp import SERVER
from waiting import PATIENCE, wait_until

EXAMPLE = ROOT / "examples" / "plugin"


def manifest(*bad, **more):
    return {"name": "mine", "version": "2", "description": "of mine", "program": ["python3", "server.py", "mine", *bad],
            "files": {"server.py": SERVER}, **more}


def create(server, *plugins):
    return server.request("POST", "/v1/sandboxes", {"plugins": list(plugins)}, timeout=90)


def lost(server):
    return [s for s in server.request("GET", "/v1/sandboxes").json["sandboxes"] if s["state"] not in ("failed", "ended")]


def environment(server):
    return {"PATH": os.environ["PATH"], "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token}


@pytest.fixture(scope="module")
def mine(server):
    box = server.create(plugins=[manifest()])
    yield box
    box.delete()


def perform(box, action, plugin="mine", **arguments):
    return box.request("POST", f"/plugins/{plugin}/{action}", arguments)


# One's own.

def test_the_actions_of_a_plugin_are_listed_and_performed(mine):
    listed, = mine.request("GET", "/plugins").json["plugins"]
    assert (listed["name"], listed["version"], listed["description"]) == ("mine", "2", "of mine")
    assert {"name": "echo", "description": "echo", "inputSchema": {"type": "object"}} in listed["actions"]
    assert perform(mine, "echo", a=1).json == {"content": [{"type": "text", "text": '{"a": 1}'}], "isError": False,
                                               "structuredContent": {"said": {"a": 1}}}


def test_what_a_plugin_refuses_is_an_error(mine):
    reply = perform(mine, "refuse")
    assert (reply.status, reply.code) == (502, "protocol") and "no" in reply.json["error"]["message"]
    assert perform(mine, "x", plugin="nobody").json["error"]["message"] == "Plugin nobody not found"
    assert mine.request("POST", "/plugins/mine/echo", [1]).code == "invalid_argument"


def test_a_plugin_that_dies_is_started_again(mine):
    assert perform(mine, "die").code == "unavailable"
    assert perform(mine, "echo").status == 200


def test_the_files_are_not_in_the_spec(mine):
    assert mine.get()["spec"]["plugins"] == [{k: v for k, v in manifest().items() if k != "files"}]


def test_the_example_is_loaded_by_the_command_line(server):
    done = subprocess.run([PROGRAMS / "cay", "create", "--plugin", EXAMPLE], capture_output=True, text=True, check=True,
                          timeout=PATIENCE, env=environment(server))
    sandbox = done.stdout.strip()
    server.request("PUT", f"/v1/sandboxes/{sandbox}/files?path=/tmp/text", b"one two\nthree\n")
    reply = server.request("POST", f"/v1/sandboxes/{sandbox}/plugins/wordcount/count", {"path": "/tmp/text"})
    assert reply.json["structuredContent"] == {"lines": 2, "words": 3, "bytes": 14}
    assert server.request("POST", f"/v1/sandboxes/{sandbox}/plugins/wordcount/count", {"path": "/nonexistent"}).json["isError"]
    server.request("DELETE", f"/v1/sandboxes/{sandbox}")


def test_plugins_outlive_the_server(own_server):
    box = own_server.create(plugins=[manifest()])
    pid = int(perform(box, "count").json["content"][0]["text"].split()[1])
    own_server.kill_server()
    own_server.wait_until_up()
    assert perform(box, "echo", a=2).json["structuredContent"] == {"said": {"a": 2}}
    assert int(perform(box, "count").json["content"][0]["text"].split()[1]) != pid
    assert box.output(f"kill -0 {pid} 2>/dev/null || echo gone") == "gone\n"


# What cannot be loaded.

@pytest.mark.parametrize("plugin, status, words", [
    ("nothing", 404, "Plugin nothing not found"),
    ({"name": "x"}, 400, "'program' is missing"),
    ({"name": "../x", "program": ["a"]}, 400, "is no name"),
    ({"name": "jupyter", "program": ["a"]}, 400, "is no name"),
    ({"name": "x", "program": []}, 400, "'program' is empty"),
    ({"name": "x", "program": ["a"], "files": {"../y": ""}}, 400, "is no file name"),
    ({"name": "x", "program": ["a"], "color": 1}, 400, "unknown field 'color'"),
    (5, 400, "plugin"),
    (manifest("exit"), 503, "plugin 'mine': MCP server 'plugin-mine': it ended with exit code 2: cannot start: no key"),
    (manifest("flood"), 502, "does not speak JSON-RPC"),
    (manifest("silent", init_timeout_ms=300), 504, "it did not answer in time"),
    ({"name": "x", "program": ["/nonexistent"]}, 404, "plugin 'x'"),
])
def test_a_plugin_that_does_not_start_is_an_error_that_names_it(server, plugin, status, words):
    before = len(lost(server))
    reply = create(server, plugin)
    assert reply.status == status and words in reply.json["error"]["message"], reply.body
    wait_until(lambda: len(lost(server)) <= before)


def test_of_several_the_one_that_fails_is_named(server):
    assert "plugin 'mine'" in create(server, {**manifest(), "name": "good"}, manifest("exit")).json["error"]["message"]
    assert "twice" in create(server, manifest(), manifest()).json["error"]["message"]
    assert create(server, "x").code == "not_found"


def test_an_unknown_plugin_is_told_by_the_command_line(server):
    done = subprocess.run([PROGRAMS / "cay", "create", "--plugin", "nothing"], capture_output=True, text=True, check=False,
                          env=environment(server))
    assert done.returncode != 0 and "Plugin nothing not found" in done.stderr
    done = subprocess.run([PROGRAMS / "cay", "create", "--plugin", "./nothing"], capture_output=True, text=True, check=False,
                          env=environment(server))
    assert done.returncode != 0 and "--plugin ./nothing" in done.stderr


# Those that are shipped.

def test_jupyter_and_agent_skills_open_one_kernel(server):
    box = server.create(plugins=["jupyter", "agent_skills"])
    assert [p["name"] for p in box.request("GET", "/plugins").json["plugins"]] == ["jupyter", "agent_skills"]
    assert len(box.action("kernel_list")["kernels"]) == 1
    assert "function" in box.action("cell", code="print(open_file)")["text"]
    reply = perform(box, "x", plugin="jupyter")
    assert reply.code == "unsupported" and "use those of the sandbox" in reply.json["error"]["message"]
    box.delete()


def test_a_browser_that_is_not_there_is_told(server):
    reply = create(server, "browser")
    if shutil.which("chromium") or shutil.which("google-chrome"):
        assert reply.status == 201
        server.request("DELETE", f"/v1/sandboxes/{reply.json['id']}")
    else:
        assert reply.code == "unsupported" and "plugin 'browser': there is no Chromium" in reply.json["error"]["message"]


# The editor. None is in the image of a test machine, so the test puts a program of its name there that behaves as
# openvscode-server does on the outside: its options, what it says, its token, a page, a WebSocket's handshake.

EDITOR = textwrap.dedent("""\
    #!/usr/bin/python3
    import http.server, sys, urllib.parse
    options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    token = options["--connection-token"]
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            given = urllib.parse.parse_qs(url.query).get("tkn", [""])[0]
            if self.headers.get("Upgrade"):
                self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n")
                self.wfile.write(self.connection.recv(100)); self.wfile.flush(); self.close_connection = True
                return
            body = b"the editor" if token == given or f"vscode-tkn={token}" in self.headers.get("Cookie", "") else b"Forbidden."
            self.send_response(200 if body == b"the editor" else 403)
            self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
        def log_message(self, *args): pass
    assert options["--host"] == "127.0.0.1" and "--disable-workspace-trust" in sys.argv
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(options["--port"])), Handler)
    print(f"Server bound to 127.0.0.1:{options['--port']} (IPv4)\\nWeb UI available at http://localhost:{options['--port']}/?tkn={token}", flush=True)
    server.serve_forever()
""")


@pytest.fixture(scope="module")
def editor(server):
    directory = server.directory / "bin"
    directory.mkdir(mode=0o755)
    (directory / "openvscode-server").write_text(EDITOR)
    (directory / "openvscode-server").chmod(0o755)
    box = server.create(plugins=["vscode"], mounts=[{"source": str(directory), "target": "/openhands/.openvscode-server/bin"}])
    yield box
    box.delete()


def token_of(box):
    return box.server.request("GET", f"/openhands/{box.id}/vscode/connection_token").json.get("editor_token")


def way_of(box, token=""):
    """What clients show at /{runtime_id}/vscode; for the bearer of a token."""
    return box.server.request("GET", f"/openhands/{box.id}/vscode/connection_token", token=token).json["token"]


def test_an_editor_that_is_not_there_is_told(server):
    if shutil.which("openvscode-server") or shutil.which("code-server"):
        pytest.skip("this machine has an editor")
    reply = create(server, "vscode")
    assert reply.code == "unsupported"
    assert reply.json["error"]["message"] == "plugin 'vscode': there is neither openvscode-server nor code-server in this image"


def test_the_editor_has_a_token_and_is_reached_through_the_proxy(server, editor):
    token = token_of(editor)
    assert len(token) == 36 and token[14] == "4"
    assert editor.request("GET", f"/ports/8765/?tkn={token}").body == b"the editor"
    assert editor.request("GET", "/ports/8765/?tkn=wrong").status == 403


def test_without_the_plugin_there_is_no_token(server, box):
    assert token_of(box) is None


def test_a_person_with_the_token_is_led_to_the_editor(server, editor):
    token, way = token_of(editor), way_of(editor)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    reply = server.request("GET", f"/{editor.id}/vscode?tkn={way}&folder=/workspace", token=None, connection=connection)
    assert reply.status == 302
    host, _, rest = reply.headers["Location"].removeprefix("http://").partition("/")
    assert host == f"8765-{editor.id}.localhost:{server.port}" and rest.startswith("?cay_ticket=")
    reply = server.request("GET", "/" + rest, token=None, headers={"Host": host})
    assert (reply.status, reply.headers["Location"]) == (303, f"/?tkn={token}&folder=/workspace")
    cookie = reply.headers["Set-Cookie"].split(";")[0]
    reply = server.request("GET", f"/?tkn={token}&folder=/workspace", token=None, headers={"Host": host, "Cookie": cookie})
    assert reply.body == b"the editor"
    ticket = way.partition(".")[2]
    for wrong in ("", "?tkn=", "?tkn=wrong", f"?tkn={token}", f"?tkn={token}.", f"?tkn=wrong.{ticket}", f"?tkn={token}.x{ticket[1:]}"):
        assert server.request("GET", f"/{editor.id}/vscode{wrong}", token=None, connection=connection).status == 403


def test_who_was_a_tenant_once_has_no_way_to_the_editor_any_more(server, editor):
    """Not with what he was told, not with the editor's token, which he has seen inside, and not with the link he got."""
    made = editor.request("POST", "/tokens", {"lifetime_ms": 5000}).json
    owner = way_of(editor)
    former = way_of(editor, made["token"])
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)

    def come(way):
        return server.request("GET", f"/{editor.id}/vscode?tkn={way}", token=None, connection=connection)

    link = come(former).headers["Location"]
    host, _, rest = link.removeprefix("http://").partition("/")
    cookie = server.request("GET", "/" + rest, token=None, headers={"Host": host}).headers["Set-Cookie"].split(";")[0]
    path = "/" + rest.partition("&")[0].partition("?")[0] + f"?tkn={token_of(editor)}"

    def editor_of(cookie):
        return server.request("GET", path, token=None, headers={"Host": host, "Cookie": cookie})

    assert editor_of(cookie).body == b"the editor"
    wait_until(lambda: server.request("GET", editor.path, token=made["token"]).status == 401)
    assert come(former).status == 403 and come(token_of(editor)).status == 403
    assert editor_of(cookie).status in (401, 403)
    assert server.request("GET", "/" + rest, token=None, headers={"Host": host}).status in (401, 403)
    assert come(owner).status == 302, "whose token goes on goes on"


def test_the_token_outlives_the_server(own_server):
    directory = own_server.directory / "bin"
    directory.mkdir(mode=0o755)
    (directory / "openvscode-server").write_text(EDITOR)
    (directory / "openvscode-server").chmod(0o755)
    box = own_server.create(plugins=["vscode"], mounts=[{"source": str(directory), "target": "/openhands/.openvscode-server/bin"}])
    token = token_of(box)
    own_server.kill_server()
    own_server.wait_until_up()
    assert token_of(box) == token
    assert box.request("GET", f"/ports/8765/?tkn={token}").body == b"the editor"


def test_a_dead_editor_has_no_token(server, editor):
    editor.action("process_signal", process="vscode", signal="KILL")
    editor.action("process_wait", process="vscode")
    assert token_of(editor) is None
    assert editor.request("GET", "/ports/8765/").status == 502


def start(server, directory, *plugins):
    """As OpenHands' remote client asks for a runtime."""
    return server.request("POST", "/start", {
        "image": "x", "command": ["python", "-u", "-m", "openhands.runtime.action_execution_server", "60000", "--working-dir", "/workspace",
                                  "--plugins", *plugins, "--username", "openhands", "--user-id", "1000", "--no-enable-browser"],
        "working_dir": "/openhands/code/", "environment": {}, "session_id": "s" + "-".join(plugins)}, headers={"X-API-Key": server.token},
        timeout=60)


def test_openhands_goes_on_without_an_editor(server):
    reply = start(server, None, "agent_skills", "jupyter", "vscode")
    assert reply.status == 200, reply.body
    sandbox = reply.json["runtime_id"]
    assert server.request("GET", f"/openhands/{sandbox}/vscode/connection_token").json == {"token": None}
    server.request("POST", "/stop", {"runtime_id": sandbox})


def test_openhands_knows_no_other_plugins(server):
    reply = start(server, None, "magic")
    assert reply.status == 400 and "Plugin magic not found" in reply.body.decode()
