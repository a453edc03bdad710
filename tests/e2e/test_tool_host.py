# SPDX-License-Identifier: Apache-2.0
"""cay tool host, and cay as the python_exec of CAMEL's RemoteHttpRuntime: a tool server with a sandbox of its own."""
import contextlib
import http.client
import json
import os
import signal
import subprocess

import pytest
from conftest import PROGRAMS, free_port
from waiting import PATIENCE, wait_until

KIT = '''
class Counter:
    def __init__(self, start=0):
        self.n = start

    def bump(self, by: int = 1) -> int:
        """Counts."""
        self.n += by
        return self.n


def shout(text: str) -> str:
    """Shouts."""
    return text.upper()
'''


def ask(port, method, path, body=None):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def is_there(port):
    try:
        return ask(port, "GET", "/health")[0] == 200
    except OSError:
        return False


def call(port, tool, *args, **kwargs):
    status, answer = ask(port, "POST", f"/{tool}", {"args": args, "kwargs": kwargs})
    assert status == 200, answer
    return json.loads(answer["output"])


@pytest.fixture
def port(server, tmp_path):
    (tmp_path / "kit.py").write_text(KIT)
    os.chmod(tmp_path, 0o755)
    return free_port()


@pytest.fixture
def start(server, tmp_path, port):
    """Starts cay with these words in the directory of kit.py."""
    started = []

    def go(*words, is_good=True):
        env = {**os.environ, "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token,
               "CAY_TOOL_LISTEN": f"127.0.0.1:{port}"}
        started.append(subprocess.Popen([PROGRAMS / "cay", *words], cwd=tmp_path, env=env, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True))
        if is_good:
            wait_until(lambda: is_there(port) or started[-1].poll() is not None)
        return started[-1]

    yield go
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)


def sandboxes(server):
    return [s for s in server.request("GET", "/v1/sandboxes").json["sandboxes"] if s["state"] in ("ready", "running")]


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGKILL])
def test_the_tools_of_this_directory_are_served_until_it_is_ended(server, start, port, signo):
    process = start("tool", "host", 'kit.Counter{"start": 40}', "kit.shout")
    assert call(port, "bump", 2) == 42 and call(port, "bump") == 43
    assert call(port, "shout", text="hi") == "HI"
    process.send_signal(signo)
    process.wait(PATIENCE)
    wait_until(lambda: not is_there(port))
    wait_until(lambda: not sandboxes(server))


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_is_ended_by_a_signal_has_freed_its_port_by_then(server, start, port, signo):
    wait_until(lambda: not sandboxes(server))  # those of the tests before
    for _ in range(3):  # as a client does that resets its runtime
        process = start("tool", "host", "kit.shout")
        assert call(port, "shout", "a") == "A"
        process.send_signal(signo)
        assert process.wait(PATIENCE) == -signo
        with pytest.raises(ConnectionRefusedError):
            ask(port, "GET", "/health")
        assert not sandboxes(server)


def test_what_is_ended_while_it_loads_leaves_no_sandbox(server, start, tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(3600)\n")
    wait_until(lambda: not sandboxes(server))  # those of the tests before
    for _ in range(5):  # it may be anywhere
        process = start("tool", "host", "slow.tool", is_good=False)
        wait_until(lambda: sandboxes(server))
        process.terminate()
        assert process.wait(PATIENCE) == -signal.SIGTERM
        wait_until(lambda: not sandboxes(server))
        assert process.communicate()[1] == "", "nothing is to be said of what was asked for"


def test_a_pack_that_does_not_load_is_named_and_the_others_are_served(start, port):
    process = start("tool", "host", "kit.missing", "no_such_module.x", "kit.shout")
    assert call(port, "shout", "a") == "A"
    process.terminate()
    said = process.communicate(timeout=PATIENCE)[1]
    assert "kit.missing" in said and "no_such_module" in said


def test_an_environment_of_this_machine_is_named_by_a_relative_path(start, port, tmp_path):
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    packages = next((tmp_path / ".venv" / "lib").glob("python3*")) / "site-packages"
    (packages / "only_there.py").write_text("def where() -> str:\n    import sys\n    return sys.prefix\n")
    start("tool", "host", "--python", ".venv/bin/python", "only_there.where")
    assert call(port, "where") == str(tmp_path / ".venv")
    refused = start("tool", "host", "--python", "none/bin/python", "kit.shout", is_good=False)
    assert refused.wait(PATIENCE) == 5 and "--python none/bin/python: No such file" in refused.stderr.read()


def test_the_directory_cannot_be_changed_from_within(start, port, tmp_path):
    (tmp_path / "sly.py").write_text("import os\ndef write():\n    open(os.path.dirname(__file__) + '/x', 'w')\n")
    start("tool", "host", "sly.write")
    status, answer = ask(port, "POST", "/write", {"args": [], "kwargs": {}})
    assert status == 500 and "Read-only" in answer["error_message"]
    assert not (tmp_path / "x").exists()


def test_it_stands_in_for_python_where_camel_wants_one(server, start, port, tmp_path):
    """The packages beside api.py are found, and whatever api.py itself says is not run."""
    packages = tmp_path / "env" / "lib" / "python3" / "site-packages"
    (packages / "camel" / "runtimes").mkdir(parents=True)
    api = packages / "camel" / "runtimes" / "api.py"
    api.write_text("raise SystemExit('not this one')")
    (packages / "far.py").write_text("def reach():\n    return 'found'\n")
    process = start(str(api), "far.reach", 'kit.Counter{"start": 1}')
    assert call(port, "reach") == "found" and call(port, "bump") == 2
    process.terminate()
    assert process.wait(PATIENCE) == -signal.SIGTERM
    assert process.communicate()[0] == "", "it says nothing on the caller's output"


def test_what_cannot_be_is_said(start, port):
    first = start("tool", "host", "kit.shout")
    second = start("tool", "host", "kit.shout", is_good=False)
    assert second.wait(PATIENCE) != 0 and "Address already in use" in second.communicate()[1]
    assert call(port, "shout", "a") == "A" and first.poll() is None
