# SPDX-License-Identifier: Apache-2.0
"""cay tool: tools of a sandbox from the command line."""
import http.server
import json
import os
import subprocess
import threading

import mcp
import pytest
from conftest import PROGRAMS

KIT = '''
class Counter:
    def __init__(self, start=0):
        self.n = start

    def get_tools(self):
        return [self.add]

    def add(self, by: int = 1) -> int:
        """Adds to the counter.

        Args:
            by (int): how much
        """
        self.n += by
        return self.n


def shout(text: str) -> str:
    """Shouts."""
    return text.upper()
'''


@pytest.fixture
def tool(server, box):
    box.put_file("/workspace/kit.py", KIT.encode())
    env = {**os.environ, "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token}

    def go(verb, *words, status=0):
        done = subprocess.run([PROGRAMS / "cay", "tool", verb, box.id, *words], capture_output=True, text=True, env=env,
                              timeout=60)
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return go


def test_a_toolkit_keeps_its_state_between_calls(tool):
    assert tool("add", 'kit.Counter{"start": 40}', "--path", "/workspace") == "add\n"
    assert tool("call", "add", "by=2") == "42\n"
    assert tool("call", "add") == "43\n"
    assert "Adds to the counter." in tool("ls")


def test_words_that_are_no_json_are_strings(tool):
    tool("add", "kit.shout", "--path", "/workspace")
    assert json.loads(tool("call", "shout", 'h\u00e9 "x"\n\\')) == 'H\u00c9 "X"\n\\'


def test_an_action_is_a_tool(tool):
    tool("add", "--action", "run")
    assert json.loads(tool("call", "run", "command=echo hi"))["output"] == "hi\n"


def test_a_program_is_a_tool(tool):
    tool("add", "--name", "double", "--", "python3", "-c",
         "import json, sys; print(json.dumps(2 * json.load(sys.stdin)['n']))")
    assert tool("call", "double", "n=21").strip() == "42"


def test_an_endpoint_and_an_mcp_server_are_tools(tool, box):
    class Echo(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps([self.headers["X-Key"], json.loads(body)]).encode())

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{web.server_address[1]}"
        assert tool("add", "--endpoint", url, "--name", "echo", "--header", "X-Key=k") == "echo\n"
        assert json.loads(tool("call", "echo", "a=1")) == ["k", {"a": 1}]
        web.shutdown()
    box.put_file("/workspace/server.py", mcp.SERVER.encode())
    assert "count\n" in tool("add", "--mcp", "--name", "m", "--", "python3", "server.py", "m")
    assert json.loads(tool("call", "count")).startswith("m ")
    tool("rm", "m")
    assert "no tool 'count'" in tool("call", "count", status=5)


@pytest.mark.parametrize("words, status, part", [
    (["call", "nothing"], 5, "no tool 'nothing'"),
    (["rm", "nothing"], 5, "nothing"),
    (["add", "kit.missing", "--path", "/workspace"], 2, "missing"),
    (["add", "no_such_module.x"], 2, "no_such_module"),
])
def test_what_cannot_be_is_named(tool, words, status, part):
    assert part in tool(*words, status=status)
