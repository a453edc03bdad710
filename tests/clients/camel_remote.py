# SPDX-License-Identifier: Apache-2.0
"""The three ways to put a server of ours under an unmodified RemoteHttpRuntime. Runs in CAMEL's virtual environment."""
import concurrent.futures
import contextlib
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import camel.runtimes
import cases
from camel.runtimes import RemoteHttpRuntime
from camel.toolkits import CodeExecutionToolkit, FunctionTool, MathToolkit

CAY = os.environ["CAY"]
MATHS = "camel.toolkits.MathToolkit"
CODE = "camel.toolkits.code_execution.CodeExecutionToolkit"
API = camel.runtimes.__path__[0] + "/api.py"
WORK = tempfile.mkdtemp()
os.chmod(WORK, 0o755)
os.chdir(WORK)
KIT = '''
import time


class Kit:
    def __init__(self, deep=None):
        self.deep, self.n = deep, 0

    def get_tools(self):
        return [self.count, self.say, self.nested, self.nap, self.later, self.boom]

    def count(self) -> int:
        self.n += 1
        return self.n

    def say(self, text: str) -> None:
        for _ in range(5):
            print(text)
            time.sleep(0.01)

    def nested(self) -> dict:
        return self.deep

    def nap(self, seconds: float) -> str:
        time.sleep(seconds)
        return "slept"

    async def later(self) -> str:
        return "awaited"

    def boom(self) -> None:
        raise ValueError("it's \\"broken\\"\\n")
'''
pathlib.Path(WORK, "kit.py").write_text(KIT)
sys.path.insert(0, WORK)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@contextlib.contextmanager
def hosted(port, *entrypoints):
    """`cay tool host`, which a person would start."""
    process = subprocess.Popen([CAY, "tool", "host", "--api", API, "--listen", f"127.0.0.1:{port}", *entrypoints])
    try:
        assert RemoteHttpRuntime("127.0.0.1", port).wait(60), "it does not start"
        yield
    finally:
        process.terminate()
        process.wait(20)


def kit_tools():
    import kit
    return [FunctionTool(f) for f in kit.Kit().get_tools()]


@contextlib.contextmanager
def kit_runtime(redirect=False):
    port = free_port()
    with hosted(port, 'kit.Kit{"deep": {"a": {"b": [1, null]}}}'):
        yield RemoteHttpRuntime("127.0.0.1", port).add(kit_tools(), "kit.Kit", redirect_stdout=redirect)


def by_name(runtime):
    return {tool.get_function_name(): tool for tool in runtime.get_tools()}


def test_route_1_without_build():
    port = free_port()
    with hosted(port, MATHS):
        runtime = RemoteHttpRuntime("127.0.0.1", port).add(MathToolkit().get_tools(), MATHS)
        assert runtime.wait(20) and runtime.ok and runtime.docs == f"http://127.0.0.1:{port}/docs"
        add, sub, mul = runtime.get_tools()[:3]
        assert (add.func(1, 2), sub.func(a=5, b=3), mul.func(6, b=7)) == (3, 2, 42)
        assert add.func(10 ** 40, 1) == 10 ** 40 + 1 and isinstance(add.func(1, 2), int)
        assert mul.func(1.234, 2, None) == 2.47, "null means the default"


def test_route_2_cay_as_python_exec():
    runtime = RemoteHttpRuntime("127.0.0.1", python_exec=CAY).add(MathToolkit().get_tools(), MATHS)
    runtime.build()
    try:
        assert runtime.wait(60), "the server did not come up"
        assert runtime.get_tools()[0].func(1, 2) == 3
        first = runtime.process.pid
        runtime.reset()
        assert runtime.process.pid != first and runtime.wait(60)
        assert runtime.get_tools()[0].func(2, 2) == 4
    finally:
        begin = time.monotonic()
        runtime.stop()
    assert time.monotonic() - begin < 1 and not runtime.ok


def test_route_3_already_on_port_8000():
    with hosted(8000, MATHS):
        runtime = RemoteHttpRuntime("127.0.0.1").add(MathToolkit().get_tools(), MATHS).build()
        assert runtime.wait(20)
        assert runtime.get_tools()[0].func(1, 2) == 3
        runtime.stop()
        assert runtime.ok, "what build() started was not what answers"


def test_code_is_executed_without_a_question():
    port = free_port()
    with hosted(port, CODE + '{"require_confirm": false}'):
        runtime = RemoteHttpRuntime("127.0.0.1", port).add(CodeExecutionToolkit().get_tools(), CODE)
        assert "42" in by_name(runtime)["execute_code"].func(code="print(6 * 7)", code_type=None)


def test_state_lasts_and_arguments_of_constructors_may_be_nested():
    with kit_runtime() as runtime:
        tools = by_name(runtime)
        assert [tools["count"].func(), tools["count"].func()] == [1, 2]
        assert tools["nested"].func() == {"a": {"b": [1, None]}}


def test_async_tools_are_awaited():
    with kit_runtime() as runtime:
        assert by_name(runtime)["later"].func() == "awaited"


def test_an_exception_is_a_value_that_says_why():
    with kit_runtime() as runtime:
        assert "it's \\\"broken\\\"\\n" in by_name(runtime)["boom"].func()["error"]


def test_eight_calls_at_once_print_their_own_output_each():
    out = io.StringIO()
    with kit_runtime(redirect=True) as runtime, contextlib.redirect_stdout(out):
        say = by_name(runtime)["say"]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(say.func, "abcdefgh"))
    lines = [line for line in out.getvalue().split("\n") if line]
    assert sorted(lines) == sorted(c for c in "abcdefgh" for _ in range(5)), lines


def test_four_blocked_calls_starve_no_other():
    with kit_runtime() as runtime:
        tools = by_name(runtime)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            naps = [pool.submit(tools["nap"].func, 2) for _ in range(6)]
            begin = time.monotonic()
            assert tools["count"].func() == 1
            assert time.monotonic() - begin < 1.5
            assert [nap.result() for nap in naps] == ["slept"] * 6


def test_a_token_in_the_host_is_enough():
    port, env = free_port(), {**os.environ, "CAY_TOOL_TOKEN": "tok@en"}
    process = subprocess.Popen([CAY, "tool", "host", "--listen", f"0.0.0.0:{port}", "kit.Kit"], env=env,
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline()
        good = RemoteHttpRuntime("me:tok%40en@127.0.0.1", port).add(kit_tools(), "kit.Kit")
        assert by_name(good)["count"].func() == 1
        bad = RemoteHttpRuntime("127.0.0.1", port).add(kit_tools(), "kit.Kit")
        assert "token" in json.dumps(by_name(bad)["count"].func())
    finally:
        process.terminate()
        process.wait(20)


cases.run_all(globals())
