# SPDX-License-Identifier: Apache-2.0
"""CAMEL's own ways to use its DaytonaRuntime. Runs in its virtual environment.

CAMEL calls upload_file with names of arguments that the SDK does not have, so no tool call of it reaches any server
(test_a_tool_call_without_help shows it). The other tests give the SDK those names; CAMEL and SDK files are as they are.
"""
import os

import cases
from camel.runtimes import DaytonaRuntime
from camel.toolkits import FunctionTool
from camel_shims import daytona_names


def add(a: int, b: int) -> int:
    """Adds.

    Args:
        a (int): one
        b (int): the other
    """
    return a + b


def where(name: str) -> str:
    """Tells where it runs.

    Args:
        name (str): of a variable
    """
    import os
    import socket
    return f"{socket.gethostname()} {os.getcwd()} {os.environ.get(name)}"


def runtime():
    return DaytonaRuntime(api_key=os.environ["DAYTONA_API_KEY"], api_url=os.environ["DAYTONA_API_URL"])


def test_build_info_reset_and_stop():
    r = runtime().build()
    first = r.sandbox.id
    assert "started" in r.info().lower() and first in r.info()
    r.reset()
    assert r.sandbox.id != first
    r.stop()


def test_a_tool_call_without_help():
    daytona_names.take(False)
    with runtime().build() as r:
        r.add(FunctionTool(add), "add")
        assert "Upload failed" in str(r.get_tools()[0].func(1, 2))


def test_tools_run_in_the_sandbox():
    daytona_names.take()
    with runtime().build() as r:
        r.add([FunctionTool(add), FunctionTool(where)], "tools")
        tools = {t.get_function_name(): t for t in r.get_tools()}
        assert tools["add"].func(1, 2) == 3 and tools["add"].func(a=20, b=22) == 42
        assert tools["where"].func("HOME").startswith("cay /home/daytona")


cases.run_all(globals())
