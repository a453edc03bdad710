# SPDX-License-Identifier: Apache-2.0
"""run_ipython of OpenHands' action API, in sandboxes made as its clients make them."""
import base64

import pytest
from kernels import needs_ipython, needs_matplotlib
from test_openhands_remote import Fleet

PYTHON = "/openhands/poetry/openhands-ai-5O4_aCHf-py3.12/bin/python"
EXTRA = f"\n[Jupyter current working directory: /workspace]\n[Jupyter Python interpreter: {PYTHON}]"

pytestmark = needs_ipython


@pytest.fixture(scope="module")
def fleet(server):
    return Fleet(server)


@pytest.fixture
def oh(fleet, request):
    made = fleet.start(request.node.name[:60], "--plugins", "agent_skills", "jupyter", "--username", "openhands",
                       "--no-enable-browser")
    yield made
    made.change("stop")


def cell(oh, code, **args):
    return oh.act("run_ipython", code=code, **args)


def test_the_observation_is_that_of_the_original(oh):
    assert cell(oh, "print(1)") == {
        "message": "Code executed in IPython cell.", "observation": "run_ipython", "content": "1" + EXTRA,
        "extras": {"code": "print(1)", "image_urls": None}, "success": True}


def test_without_extra_there_is_only_what_was_printed(oh):
    assert cell(oh, "print('a'); 2", include_extra=False)["content"] == "a\n2"


def test_no_output_is_said_so(oh):
    assert cell(oh, "x = 1")["content"] == "[Code executed successfully with no output]" + EXTRA


def test_a_missing_module_is_told_as_ipython_tells_it(oh):
    content = cell(oh, "import no_such_module")["content"]
    assert "ModuleNotFoundError: No module named 'no_such_module'" in content
    assert "\x1b[" not in content


def test_the_kernel_follows_the_shell_and_keeps_its_own_changes(oh):
    oh.run("mkdir -p test && cd test")
    assert cell(oh, "import os; print(os.getcwd())")["content"].startswith(
        "/workspace/test\n[Jupyter current working directory: /workspace/test]")
    cell(oh, "os.chdir('/tmp')")
    assert cell(oh, "print(os.getcwd())")["content"].startswith(
        "/tmp\n[Jupyter current working directory: /workspace/test]")
    oh.run("cd /usr; rm -r /workspace/test")
    assert cell(oh, "print(os.getcwd())")["content"].startswith("/usr\n")


def test_a_directory_that_is_gone_does_not_keep_a_cell_from_running(oh):
    oh.run("mkdir gone; cd gone; rmdir ../gone")
    assert cell(oh, "print(6*7)")["content"].startswith("42\n")


def test_a_cell_that_takes_too_long_keeps_the_kernel(oh):
    cell(oh, "x = 5")
    reply = oh.request("POST", "/execute_action", {"action": {
        "action": "run_ipython", "args": {"code": "import time; time.sleep(60)"}, "timeout": 0.3}})
    assert reply.json["content"] == "[Execution timed out (0.3 seconds).]" + EXTRA
    assert cell(oh, "x")["content"] == "5" + EXTRA


def test_a_kernel_that_dies_is_told_and_replaced(oh):
    content = cell(oh, "print('last'); import os; os._exit(7)")["content"]
    assert content.startswith("last\n\n[kernel default ended with status 7. The next cell starts a new one")
    assert cell(oh, "import os; os.getcwd()")["content"] == "'/workspace'" + EXTRA


@needs_matplotlib
def test_pictures_are_data_urls(oh):
    extras = cell(oh, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")["extras"]
    assert len(extras["image_urls"]) == 1
    head, data = extras["image_urls"][0].split(",")
    assert head == "data:image/png;base64" and base64.b64decode(data).startswith(b"\x89PNG")


def test_cells_run_as_the_account_that_was_asked_for(oh):
    assert cell(oh, "!whoami")["content"] == "openhands" + EXTRA


def test_the_editor_of_cells_may_what_the_account_may(oh):
    made = oh.act("run", command="sudo touch /root/test.txt && sudo chmod 600 /root/test.txt")
    if made["extras"]["metadata"]["exit_code"] != 0:
        pytest.skip("this host gives a sandbox no root besides its user")
    for call in ("command='view', path='/root/test.txt'",
                 "command='str_replace', path='/root/test.txt', old_str='', new_str='test'",
                 "command='create', path='/root/new.txt', file_text='test'"):
        assert "Permission denied" in cell(oh, f"print(file_editor({call}))")["content"]
    content = cell(oh, "for more in (dict(command='create', file_text='Line 1\\nLine 2'), dict(command='view'),\n"
                   "             dict(command='str_replace', old_str='Line 2', new_str='New Line 2'),\n"
                   "             dict(command='undo_edit')):\n"
                   "    print(file_editor(path='/workspace/test.txt', **more))")["content"]
    for part in ("File created successfully", "Line 1", "New Line 2", "Last edit to", "undone successfully"):
        assert part in content


def test_without_the_plugin_it_is_refused_as_in_the_original(fleet):
    oh = fleet.start("plain", "--no-enable-browser")
    reply = oh.request("POST", "/execute_action", {"action": {"action": "run_ipython", "args": {"code": "1"}}})
    oh.change("stop")
    assert (reply.status, reply.json["detail"]) == (
        500, "Internal server error: JupyterRequirement not found. Unable to run IPython action.")
