# SPDX-License-Identifier: Apache-2.0
"""The Python SDKs' own ways to use a sandbox. Runs in their virtual environment."""
import asyncio
import io
import os
import urllib.request

import cases
from e2b import (AsyncSandbox, AuthenticationException, CommandExitException, NotFoundException, PtySize, Sandbox,
                 SandboxNotFoundException, SandboxQuery, SandboxState, TimeoutException)
from e2b_code_interpreter import Sandbox as Interpreter

box = Sandbox.create(timeout=600, envs={"A": "1"}, metadata={"who": "py"})


def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as e:
        return e
    raise AssertionError(f"{kind.__name__} was not raised")


def test_py_readme():
    with Interpreter.create() as sandbox:
        sandbox.run_code("x = 1")
        assert sandbox.run_code("x+=1; x").text == "2"


def test_py_life_cycle():
    found = Sandbox.list(query=SandboxQuery(metadata={"who": "py"})).next_items()
    assert [s.sandbox_id for s in found] == [box.sandbox_id]
    other = Sandbox.create(timeout=60)
    before = other.get_info().end_at
    other.set_timeout(600)
    assert other.get_info().end_at > before
    assert other.pause() and not other.pause()
    assert not other.is_running() and other.get_info().state == SandboxState.PAUSED
    assert Sandbox.connect(other.sandbox_id).is_running()
    assert other.kill() and not other.kill()
    raises(SandboxNotFoundException, Sandbox.connect, other.sandbox_id)
    raises(TimeoutException, other.commands.run, "true")


def test_py_a_wrong_key():
    raises(AuthenticationException, Sandbox.create, api_key="e2b_00")


def test_py_commands():
    done = box.commands.run("echo $A; whoami; echo err >&2", cwd="/tmp")
    assert (done.stdout, done.stderr) == ("1\nuser\n", "err\n")
    assert raises(CommandExitException, box.commands.run, "exit 3").exit_code == 3
    raises(TimeoutException, box.commands.run, "sleep 100", timeout=1)
    cat = box.commands.run("cat", background=True, stdin=True)
    assert cat.pid in [p.pid for p in box.commands.list()]
    box.commands.send_stdin(cat.pid, "typed")
    box.commands.close_stdin(cat.pid)
    assert cat.wait().stdout == "typed"
    sleeper = box.commands.run("sleep 100", background=True)
    assert box.commands.connect(sleeper.pid).kill() and not box.commands.kill(999999)
    assert box.commands.run("id -u", user="root").stdout == "0\n"


def test_py_pty():
    seen = b""
    terminal = box.pty.create(PtySize(rows=24, cols=80))
    box.pty.resize(terminal.pid, PtySize(rows=24, cols=101))
    box.pty.send_stdin(terminal.pid, b"tput cols; exit\n")
    for _, _, data in terminal:
        seen += data or b""
    assert b"101" in seen


def test_py_files():
    box.files.write("d/a.txt", "text", metadata={"k": "v"})
    box.files.write_files([{"path": "d/b.bin", "data": b"\0\xff"}, {"path": "/tmp/c", "data": io.BytesIO(b"stream")}])
    assert box.files.read("d/a.txt") == "text" and bytes(box.files.read("d/b.bin", format="bytes")) == b"\0\xff"
    entry = box.files.get_info("d/a.txt")
    assert (entry.owner, entry.size, entry.permissions, entry.metadata) == ("user", 4, "-rw-r--r--", {"k": "v"})
    assert [e.name for e in box.files.list("d")] == ["a.txt", "b.bin"]
    assert box.files.make_dir("d/e") and not box.files.make_dir("d/e")
    assert box.files.rename("d/a.txt", "d/e/f").path == "/home/user/d/e/f"
    box.files.write("zipped", "z" * 100000, gzip=True)
    assert box.files.read("zipped", gzip=True) == "z" * 100000
    box.files.remove("d")
    assert not box.files.exists("d")
    raises(NotFoundException, box.files.read, "d/a.txt")


def test_py_signed_links():
    box.files.write("link", "by link")
    url = box.download_url("link", use_signature_expiration=60)
    assert urllib.request.urlopen(url).read() == b"by link"


def test_py_watch():
    box.files.make_dir("seen")
    watch = box.files.watch_dir("seen")
    box.files.write("seen/a", "1")
    assert "a" in [event.name for event in watch.get_new_events()]
    watch.stop()


def test_py_snapshot_and_fork():
    box.files.write("state", "before")
    snapshot = box.create_snapshot()
    other = Sandbox.create(snapshot.snapshot_id)
    assert other.files.read("state") == "before" and other.kill()
    assert Sandbox.delete_snapshot(snapshot.snapshot_id)
    fork, = box.fork()
    assert fork.files.read("state") == "before" and fork.kill()


def test_py_git():
    box.git.init("repo")
    box.git.configure_user("Ann", "ann@example.org", scope="local", path="repo")
    box.files.write("repo/f", "1")
    box.git.add("repo")
    box.git.commit("repo", "first")
    assert box.git.status("repo").is_clean


def test_py_interpreter():
    with Interpreter.create() as sandbox:
        said = []
        done = sandbox.run_code("import os; print(os.environ['B']); {'a': 1}", envs={"B": "2"}, on_stdout=lambda m: said.append(m.line))
        assert done.text == "{'a': 1}" and "".join(said) == "2\n"
        assert sandbox.run_code("1/0").error.name == "ZeroDivisionError"
        context = sandbox.create_code_context(cwd="/tmp")
        assert sandbox.run_code("import os; os.getcwd()", context=context).text == "/tmp"
        assert context.id in [c.id for c in sandbox.list_code_contexts()]
        sandbox.remove_code_context(context)
        html = sandbox.run_code("class H:\n  def _repr_html_(self): return '<b>h</b>'\nH()").results[0]
        assert html.html == "<b>h</b>"


def test_py_asynchronous():
    async def use():
        sandbox = await AsyncSandbox.create(timeout=60)
        many = await asyncio.gather(*(sandbox.commands.run(f"echo {i}") for i in range(10)))
        assert [m.stdout for m in many] == [f"{i}\n" for i in range(10)]
        seen = asyncio.Event()
        watch = await sandbox.files.watch_dir(".", on_event=lambda event: seen.set())
        await sandbox.files.write("x", "1")
        await asyncio.wait_for(seen.wait(), 20)
        await watch.stop()
        assert await sandbox.kill()
    asyncio.run(use())


cases.run_all(globals())
box.kill()
os._exit(0)
