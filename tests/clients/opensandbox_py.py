# SPDX-License-Identifier: Apache-2.0
"""The Python SDKs' own ways to use a sandbox. Runs in their virtual environment."""
import asyncio
import os
import pathlib
import time
import urllib.request
from datetime import timedelta

import cases
import websocket
from code_interpreter import CodeInterpreterSync, SupportedLanguage
from opensandbox import Sandbox, SandboxManagerSync, SandboxSync
from opensandbox.config.connection_sync import ConnectionConfigSync
from opensandbox.exceptions import SandboxApiException
from opensandbox.models.execd import RunCommandOpts
from opensandbox.models.filesystem import ContentReplaceEntry, DirectoryListEntry, MoveEntry, SearchEntry, SetPermissionEntry, WriteEntry
from opensandbox.models.sandboxes import Host, NetworkPolicy, NetworkRule, SandboxFilter, Volume

IMAGE = "opensandbox/code-interpreter:v1.0.2"
box = SandboxSync.create(IMAGE, timeout=timedelta(minutes=10), env={"A": "1"}, metadata={"who": "py"})


def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as e:
        return e
    raise AssertionError(f"{kind.__name__} was not raised")


def text(execution):
    return [line.text for line in execution.logs.stdout]


def test_py_readme():
    async def main():
        sandbox = await Sandbox.create(IMAGE, entrypoint=["/opt/code-interpreter/code-interpreter.sh"], timeout=timedelta(minutes=10))
        async with sandbox:
            assert (await sandbox.commands.run("echo 'Hello OpenSandbox!'")).logs.stdout[0].text == "Hello OpenSandbox!"
            await sandbox.files.write_files([WriteEntry(path="/tmp/hello.txt", data="Hello World", mode=644)])
            assert await sandbox.files.read_file("/tmp/hello.txt") == "Hello World"
            await sandbox.kill()
    asyncio.run(main())


def test_py_interpreter():
    sandbox = SandboxSync.create(IMAGE, entrypoint=["/opt/code-interpreter/code-interpreter.sh"], timeout=timedelta(minutes=10))
    interpreter = CodeInterpreterSync.create(sandbox)
    done = interpreter.codes.run("import sys\nprint('out')\nresult = 2 + 2\nresult", language=SupportedLanguage.PYTHON)
    assert (done.result[0].text, done.logs.stdout[0].text.strip(), done.error) == ("4", "out", None)
    context = interpreter.codes.create_context(SupportedLanguage.PYTHON)
    assert interpreter.codes.run("result", context=context).error.name == "NameError"
    interpreter.codes.delete_context(context.id)
    sandbox.kill()


def test_py_life_cycle():
    manager = SandboxManagerSync.create()
    assert [s.id for s in manager.list_sandbox_infos(SandboxFilter(metadata={"who": "py"})).sandbox_infos] == [box.id]
    other = SandboxSync.create(IMAGE, timeout=timedelta(minutes=2), resource={"cpu": "500m", "memory": "256Mi"})
    before = other.get_info().expires_at
    assert other.renew(timedelta(minutes=30)).expires_at > before and other.get_metrics().cpu_count == 0.5
    other.pause()
    assert other.get_info().status.state == "Paused" and not other.is_healthy()
    again = SandboxSync.resume(other.id)
    assert text(again.commands.run("echo on")) == ["on"]
    assert manager.patch_sandbox_metadata(other.id, {"k": "v"}).metadata == {"k": "v"}
    other.kill()
    raises(SandboxApiException, other.get_info)
    raises(SandboxApiException, SandboxSync.connect, other.id)


def test_py_a_wrong_key():
    error = raises(SandboxApiException, SandboxSync.create, IMAGE, connection_config=ConnectionConfigSync(api_key="wrong"))
    assert error.status_code == 401 and error.request_id


def test_py_commands():
    done = box.commands.run("echo $A; echo err >&2; exit 3", opts=RunCommandOpts(working_directory="/tmp"))
    assert (text(done), done.logs.stderr[0].text, done.exit_code) == (["1"], "err", 3)
    assert box.commands.run("sleep 100", opts=RunCommandOpts(timeout=timedelta(seconds=1))).error
    started = box.commands.run("echo begun; sleep 100", opts=RunCommandOpts(background=True))
    while "begun" not in box.commands.get_background_command_logs(started.id).content:
        pass
    assert box.commands.get_command_status(started.id).running
    box.commands.interrupt(started.id)
    while box.commands.get_command_status(started.id).running:
        pass


def test_py_sessions():
    session = box.commands.create_session(working_directory="/tmp")
    box.commands.run_in_session(session, "export X=kept; cd /var")
    assert text(box.commands.run_in_session(session, "echo $X; pwd")) == ["kept", "/var"]
    box.commands.delete_session(session)


def test_py_files():
    box.files.create_directories([WriteEntry(path="/tmp/d", mode=755)])
    box.files.write_files([WriteEntry(path="/tmp/d/a", data="one two"), WriteEntry(path="/tmp/d/b", data=b"\0\xff", mode=600)])
    assert box.files.read_bytes("/tmp/d/b") == b"\0\xff" and box.files.read_file("/tmp/d/a", range_header="bytes=4-") == "two"
    box.files.replace_contents([ContentReplaceEntry(path="/tmp/d/a", old_content="one", new_content="1")])
    box.files.set_permissions([SetPermissionEntry(path="/tmp/d/a", mode=640, owner="nobody", group="nogroup")])
    info = box.files.get_file_info(["/tmp/d/a"])["/tmp/d/a"]
    assert (info.size, info.mode, info.owner, info.group) == (5, 640, "nobody", "nogroup")
    box.files.move_files([MoveEntry(src="/tmp/d/a", dest="/tmp/d/c")])
    assert sorted(e.path for e in box.files.search(SearchEntry(path="/tmp/d", pattern="*"))) == ["/tmp/d/b", "/tmp/d/c"]
    assert [e.path for e in box.files.list_directory(DirectoryListEntry(path="/tmp/d"))] == ["/tmp/d/b", "/tmp/d/c"]
    box.files.delete_files(["/tmp/d/b"])
    box.files.delete_directories(["/tmp/d"])
    raises(Exception, box.files.read_file, "/tmp/d/c")


def test_py_endpoints():
    box.files.write_files([WriteEntry(path="/srv/x", data="served")])
    box.commands.run("cd /srv && python3 -m http.server 8123", opts=RunCommandOpts(background=True))
    box.commands.run("until bash -c 'exec 3<>/dev/tcp/127.0.0.1/8123' 2>/dev/null; do :; done")
    endpoint = box.get_endpoint(8123)
    with urllib.request.urlopen(urllib.request.Request(f"http://{endpoint.endpoint}/x", headers=endpoint.headers)) as reply:
        assert reply.read() == b"served"
    with urllib.request.urlopen(f"http://{box.get_signed_endpoint(8123, int(time.time()) + 60).endpoint}/x") as reply:
        assert reply.read() == b"served"


def test_py_snapshots():
    box.files.write_files([WriteEntry(path="/root/kept", data="kept")])
    snapshot = box.create_snapshot()
    other = SandboxSync.create(snapshot_id=snapshot.id, timeout=timedelta(minutes=2))
    assert other.files.read_file("/root/kept") == "kept"
    other.kill()
    manager = SandboxManagerSync.create()
    assert manager.get_snapshot(snapshot.id).status.state == "Ready"
    manager.delete_snapshot(snapshot.id)


def test_py_policy():
    policy = NetworkPolicy(defaultAction="deny", egress=[NetworkRule(action="allow", target="one.example.org")])
    other = SandboxSync.create(IMAGE, timeout=timedelta(minutes=2), network_policy=policy)
    assert other.commands.run("getent hosts one.example.org").exit_code == 0
    assert other.commands.run("getent hosts two.example.org").exit_code != 0
    other.patch_egress_rules([NetworkRule(action="allow", target="two.example.org")])
    assert other.commands.run("getent hosts two.example.org").exit_code == 0
    other.delete_egress_rules(["one.example.org"])
    assert [rule.target for rule in other.get_egress_policy().egress] == ["two.example.org"]
    other.kill()


def test_py_volumes():
    lent = pathlib.Path(os.environ["LENT"])
    other = SandboxSync.create(IMAGE, timeout=timedelta(minutes=2), volumes=[
        Volume(name="lent", host=Host(path=str(lent)), mountPath="/mnt/lent")])
    assert other.commands.run("echo made >/mnt/lent/made").exit_code == 0 and (lent / "made").read_text() == "made\n"
    other.kill()


def test_py_terminal():
    endpoint = box.get_endpoint(44772)
    request = urllib.request.Request(f"http://{endpoint.endpoint}/pty", b"{}", {**endpoint.headers, "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        session = reply.read().decode().split('"')[3]
    ws = websocket.create_connection(f"ws://{endpoint.endpoint}/pty/{session}/ws", header=endpoint.headers, timeout=20)
    ws.send_binary(b"\0echo $((6*7)); exit\n")
    seen = b""
    while not (isinstance(data := ws.recv(), str) and '"exit"' in data):
        seen += data[1:] if isinstance(data, bytes) else b""
    assert b"42" in seen
    ws.close()


cases.run_all(globals())
box.kill()
