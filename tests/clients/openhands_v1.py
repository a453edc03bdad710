# SPDX-License-Identifier: Apache-2.0
"""The software agent SDK, as its users use it. Runs in its virtual environment."""
import asyncio
import os
import pathlib
import tempfile
import threading
import time
import uuid

import httpx
from openhands.sdk import LLM, Conversation, RemoteConversation, Workspace
from openhands.sdk.workspace import AsyncRemoteWorkspace
from openhands.tools.preset.default import get_default_agent
from openhands.workspace import APIRemoteWorkspace

import cases

URL, KEY = os.environ["OPENHANDS_URL"], os.environ["OPENHANDS_KEY"]
MODEL = pathlib.Path(__file__).with_name("openhands_v1_model.py")
SERVE_MODEL = ("nohup python3 /tmp/model.py >/tmp/model.log 2>&1 & "
               "until (echo >/dev/tcp/127.0.0.1/9999) 2>/dev/null; do sleep 0.05; done")


def workspace():
    return Workspace(host=URL, api_key=KEY, working_dir="/workspace")


def remote(**more):
    return APIRemoteWorkspace(runtime_api_url=URL, runtime_api_key=KEY, server_image="agent-server", **more)


def git(there, command):
    done = there.execute_command(f"git -c user.name=a -c user.email=a@b {command}", cwd="/workspace/repo")
    assert done.exit_code == 0, done


# A workspace without an agent.

def test_a_command_and_what_came_of_it():
    with workspace() as there:
        assert there.alive
        assert there.get_server_info()["uptime"] >= 0
        done = there.execute_command("echo out; echo err >&2; exit 3")
        assert (done.exit_code, done.stdout, done.stderr, done.timeout_occurred) == (3, "out\n", "err\n", False)
        assert there.execute_command("pwd", cwd="/tmp").stdout == "/tmp\n"
        began = time.monotonic()
        assert there.execute_command("true").exit_code == 0
        return f"`true` in {(time.monotonic() - began) * 1000:.0f} ms"


def test_a_large_output_is_whole():
    done = workspace().execute_command("seq 500000", timeout=60)
    assert done.stdout == "".join(f"{i}\n" for i in range(1, 500001))


def test_a_command_that_takes_too_long():
    done = workspace().execute_command("echo begun; sleep 100", timeout=1)
    assert done.timeout_occurred and done.exit_code == -1


def test_a_command_in_the_background():
    there = workspace()
    command = there.start_command("echo begun; sleep 1000", timeout=2000)
    assert there.get_command_output(command) is None, "as the original: short output comes with the end"
    there.stop_command(command)
    ended = there.get_command_output(command)
    assert ended["exit_code"] == -15 and ended["stdout"] == "begun\n" and there.get_command_output() == ended
    there.stop_command(command)
    there.stop_command(uuid.uuid4().hex)


def test_commands_at_the_same_time():
    said, there = {}, workspace()

    def one(number):
        said[number] = there.execute_command(f"sleep 0.2; echo {number}").stdout
    threads = [threading.Thread(target=one, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {n: f"{n}\n" for n in range(16)}


def test_files_go_there_and_come_back():
    there = workspace()
    with tempfile.TemporaryDirectory() as place:
        data, here, back = os.urandom(3_000_000), pathlib.Path(place, "f"), pathlib.Path(place, "new", "g")
        here.write_bytes(data)
        assert there.file_upload(here, "/workspace/dir/f").success
        assert there.file_upload(b"bytes", "/workspace/b").success
        got = there.file_download("/workspace/dir/f", back)
        assert got.success and got.file_size == len(data) and back.read_bytes() == data
        assert not there.file_download("/workspace/none", back).success
        assert not there.file_upload(here, "relative").success


def test_what_git_knows():
    there = workspace()
    assert there.git_changes("/tmp") == []
    there.execute_command("rm -rf repo; git init -q repo && cd repo && echo one >f && echo x >gone", cwd="/workspace")
    git(there, "add .")
    git(there, "commit -qm first")
    there.execute_command("echo two >>f; rm gone; echo new >n", cwd="/workspace/repo")
    changes = {str(c.path): c.status.value for c in there.git_changes("repo")}
    assert changes == {"f": "ADDED", "n": "ADDED"}, "against nothing: there is no origin"
    diff = there.git_diff("repo/f")
    assert diff.modified == "one\ntwo"


def test_the_asynchronous_workspace():
    async def run():
        there = AsyncRemoteWorkspace(host=URL, api_key=KEY, working_dir="/workspace")
        done = await asyncio.gather(*(there.execute_command(f"echo {n}") for n in range(8)))
        return [d.stdout for d in done]
    assert asyncio.run(run()) == [f"{n}\n" for n in range(8)]


def test_a_wrong_key_opens_nothing():
    done = Workspace(host=URL, api_key="wrong", working_dir="/workspace").execute_command("true")
    assert done.exit_code == -1 and "403" in done.stderr


# An agent in a sandbox.

def converse(there, seen):
    assert there.file_upload(MODEL, "/tmp/model.py").success
    assert there.execute_command(SERVE_MODEL).exit_code == 0
    model = LLM(usage_id="agent", model="openai/mock", base_url="http://127.0.0.1:9999/v1", api_key="none")
    conversation = Conversation(agent=get_default_agent(llm=model, cli_mode=True), workspace=there, callbacks=[seen.append])
    assert isinstance(conversation, RemoteConversation)
    conversation.send_message("make the files")
    conversation.run()
    return conversation


def test_a_conversation_in_a_sandbox_of_the_runtime_api():
    seen, began = [], time.monotonic()
    with remote() as there:
        ready = time.monotonic() - began
        conversation = converse(there, seen)
        tools = [e.tool_name for e in seen if type(e).__name__ == "ActionEvent"]
        assert tools == ["terminal", "file_editor", "terminal", "finish"], tools
        assert conversation.state.execution_status.value == "finished"
        done = there.execute_command("cat /workspace/made; python3 /workspace/hello.py")
        assert done.stdout == "from-the-agent\nhello from 42\n"
        conversation.close()
        return f"ready after {ready:.0f} s"


def test_two_conversations_in_two_sandboxes_at_once():
    seen = {0: [], 1: []}

    def one(number):
        with remote() as there:
            there.execute_command(f"echo {number} >/workspace/number")
            converse(there, seen[number]).close()
            seen[number].append(there.execute_command("cat /workspace/number").stdout)
    threads = [threading.Thread(target=one, args=(n,)) for n in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [events[-1] for events in seen.values()] == ["0\n", "1\n"]


def test_a_session_is_attached_to_again():
    session = f"kept-{uuid.uuid4()}"
    with remote(session_id=session, keep_alive=True) as there:
        there.execute_command("echo kept >/workspace/f")
    with remote(session_id=session, pause_on_close=True) as there:
        assert there.execute_command("cat f", cwd="/workspace").stdout == "kept\n"
    with remote(session_id=session) as there:
        assert there.execute_command("cat f", cwd="/workspace").stdout == "kept\n", "it was paused, and goes on"
        there.pause()
        there.resume()
        assert there.alive


def test_an_image_without_an_agent_server_is_refused():
    for image, words in (("host", "openhands-agent-server"), ("ghcr.io/x/y:1", "ghcr.io/x/y:1")):
        try:
            APIRemoteWorkspace(runtime_api_url=URL, runtime_api_key=KEY, server_image=image)
            raise AssertionError(image)
        except httpx.HTTPStatusError as e:
            assert e.response.status_code == 404 and words in e.response.json()["detail"]


cases.run_all(globals(), around=lambda test: test() or "")
