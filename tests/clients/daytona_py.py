# SPDX-License-Identifier: Apache-2.0
"""The Python SDK's own ways to use a sandbox. Runs in its virtual environment."""
import asyncio
import os

import cases
from daytona import (Daytona, DaytonaConflictError, DaytonaError, DaytonaFileNotFoundError, DaytonaNotFoundError,
                     DaytonaTimeoutError, FileDownloadRequest, FileUpload, ListSandboxesQuery, PtySize, SessionExecuteRequest,
                     CreateSandboxFromImageParams, CreateSandboxFromSnapshotParams, CreateSnapshotParams, Image)

BIG = int(os.environ.get("BIG", "3000000"))
daytona = Daytona()
box = daytona.create()


def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as e:
        return e
    raise AssertionError(f"{kind.__name__} was not raised")


def test_py_readme():
    sandbox = daytona.create()
    assert sandbox.process.code_run('print("Hello")').result == "Hello\n"
    daytona.delete(sandbox)
    raises(DaytonaNotFoundError, daytona.get, sandbox.id)


def test_py_life_cycle():
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(language="python", env_vars={"A": "1"}, labels={"me": "py"}))
    assert sandbox.process.exec("echo $A").result == "1\n"
    assert [s.id for s in daytona.list(ListSandboxesQuery(labels={"me": "py"}))] == [sandbox.id]
    assert sandbox.set_labels({"me": "other"}) == {"me": "other"}
    sandbox.set_autostop_interval(30)
    sandbox.fs.upload_file(b"kept", "file")
    sandbox.stop()
    assert daytona.get(sandbox.id).state == "stopped"
    sandbox.start()
    assert sandbox.fs.download_file("file") == b"kept" and daytona.get(sandbox.id).auto_stop_interval == 30
    sandbox.delete()


def test_py_an_image_that_is_not_there_is_an_error():
    raises(DaytonaNotFoundError, daytona.create, CreateSandboxFromImageParams(image="no-such-image:1"))
    sandbox = daytona.create(CreateSandboxFromImageParams(image="host"))
    assert sandbox.process.exec("true").exit_code == 0
    sandbox.delete()


def test_py_exec_and_code_run():
    done = box.process.exec("echo out; echo err >&2; pwd; exit 3", cwd="/tmp", env={"X": "y"})
    assert (done.exit_code, done.result) == (3, "out\nerr\n/tmp\n")
    raises(DaytonaTimeoutError, box.process.exec, "sleep 20", timeout=1)
    assert box.process.code_run("1/0").exit_code == 1


def test_py_sessions():
    box.process.create_session("s")
    raises(DaytonaConflictError, box.process.create_session, "s")
    done = box.process.execute_session_command("s", SessionExecuteRequest(command="cd /tmp; X=5; echo out; echo err >&2"))
    assert (done.stdout, done.stderr, done.exit_code) == ("out\n", "err\n", 0)
    started = box.process.execute_session_command("s", SessionExecuteRequest(command="pwd; read a; echo $a $X", run_async=True))
    out, err = [], []
    box.process.send_session_command_input("s", started.cmd_id, "typed")
    asyncio.run(box.process.get_session_command_logs_async("s", started.cmd_id, out.append, err.append))
    assert "".join(out).endswith("typed 5\n") and not err
    assert box.process.get_session_command("s", started.cmd_id).exit_code == 0
    assert "/tmp\n" in box.process.get_session_command_logs("s", started.cmd_id).stdout
    assert [s.session_id for s in box.process.list_sessions()] == ["s"]
    box.process.delete_session("s")


def test_py_pty():
    handle = box.process.create_pty_session("p", envs={"FOO": "bar"}, pty_size=PtySize(cols=100, rows=30))
    handle.send_input("stty size; echo $FOO; exit 4\n")
    said = b"".join(handle)
    assert b"30 100" in said and b"bar" in said and handle.exit_code == 4


def test_py_interpreter():
    done = box.code_interpreter.run_code("x = 1\nprint(x)\nimport os\nprint(os.environ['Q'])", envs={"Q": "it's"})
    assert done.stdout == "1\nit's\n" and not done.error
    done = box.code_interpreter.run_code("print(x)\n1/0")
    assert done.stdout == "1\n" and done.error.name == "ZeroDivisionError"
    context = box.code_interpreter.create_context(cwd="/tmp")
    assert box.code_interpreter.run_code("print('x' in dir())", context=context).stdout == "False\n"
    box.code_interpreter.delete_context(context)
    raises(DaytonaTimeoutError, box.code_interpreter.run_code, "while True: pass", timeout=1)


def test_py_files():
    box.fs.upload_files([FileUpload(b"one\nred\n", "d/one.txt"), FileUpload(b"x" * BIG, "d/big")])
    assert len(box.fs.download_file("d/big")) == BIG
    got = box.fs.download_files([FileDownloadRequest(source="d/one.txt"), FileDownloadRequest(source="d/none")])
    assert got[0].result == b"one\nred\n" and got[1].error
    raises(DaytonaFileNotFoundError, box.fs.download_file, "d/none")
    assert sorted(f.name for f in box.fs.list_files("d")) == ["big", "one.txt"]
    assert box.fs.find_files("d", "red")[0].line == 2 and len(box.fs.search_files("d", "*.txt").files) == 1
    assert box.fs.replace_in_files(["d/one.txt"], "red", "blue")[0].success
    box.fs.create_folder("d/new", "755")
    box.fs.move_files("d/one.txt", "d/new/1")
    box.fs.set_file_permissions("d/new/1", mode="600")
    assert box.fs.get_file_info("d/new/1").permissions == "0600"
    raises(DaytonaError, box.fs.delete_file, "d")
    box.fs.delete_file("d", recursive=True)
    assert b"".join(box.fs.download_file_stream("/etc/hostname"))


def test_py_git():
    box.git.init("r", initial_branch="main")
    box.fs.upload_file(b"1\n", "r/f")
    assert box.git.status("r").file_status[0].name == "f"
    box.git.add("r", ["f"])
    assert len(box.git.commit("r", "first", "A", "a@b").sha) == 40
    box.git.create_branch("r", "dev")
    assert box.git.branches("r").branches == ["dev", "main"]
    box.git.checkout_branch("r", "main")
    box.git.delete_branch("r", "dev")
    box.git.clone("file:///home/daytona/r", "c")
    assert box.git.status("c").branch_published
    raises(DaytonaNotFoundError, box.git.status, "/tmp")


def test_py_a_declared_image():
    said = []
    image = Image.base("host").run_commands("echo made by a step", "echo x > /made").env({"FROM_IMAGE": "yes"}).workdir("/srv")
    sandbox = daytona.create(CreateSandboxFromImageParams(image=image), on_snapshot_create_logs=said.append)
    assert "made by a step" in "".join(said), said
    assert sandbox.process.exec("cat /made; echo $FROM_IMAGE").result == "x\nyes\n"
    sandbox.delete()
    e = raises(DaytonaError, daytona.create, CreateSandboxFromImageParams(image=Image.base("host").run_commands("exit 7")))
    assert "non-zero code: 7" in str(e)


def test_py_debian_slim_stands_on_what_stands_in_for_it():
    base = Image.debian_slim("3.12").dockerfile().splitlines()[0].removeprefix("FROM ")
    e = raises(DaytonaNotFoundError, daytona.create, CreateSandboxFromImageParams(image=Image.debian_slim("3.12")))
    assert "cay image tag host" in str(e)
    daytona.snapshot.create(CreateSnapshotParams(name=base, image="host"))
    e = raises(DaytonaError, daytona.create, CreateSandboxFromImageParams(image=Image.debian_slim("3.12")))
    assert "apt-get" in str(e)  # without a network; what stands in for it is found
    daytona.snapshot.delete(base)


def test_py_snapshots():
    said = []
    made = daytona.snapshot.create(CreateSnapshotParams(name="py-snap:1", image=Image.base("host").run_commands("echo s > /s; sleep 1")),
                                   on_logs=said.append)
    assert made.state == "active" and made.name == "py-snap:1" and "Step 2/2" in "".join(said), said
    assert daytona.snapshot.get("py-snap:1").name == "py-snap:1"
    assert "py-snap:1" in [s.name for s in daytona.snapshot.list().items]
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(snapshot="py-snap:1"))
    assert sandbox.process.exec("cat /s").result == "s\n"
    sandbox.delete()
    daytona.snapshot.delete("py-snap:1")
    raises(DaytonaNotFoundError, daytona.snapshot.get, "py-snap:1")
    e = raises(DaytonaError, daytona.snapshot.create, CreateSnapshotParams(name="py-bad:1", image=Image.base("host").run_commands("exit 8")))
    assert "non-zero code: 8" in str(e)


def test_py_a_snapshot_of_a_sandbox_and_forks():
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(env_vars={"A": "a"}, labels={"of": "py"}))
    sandbox.process.exec("sh -c 'echo first > file'")
    fork = sandbox.fork(name="py-fork")
    assert (fork.name, fork.env["A"], fork.labels["of"]) == ("py-fork", "a", "py") and fork.id != sandbox.id
    assert fork.process.exec("sh -c 'cat file; echo $A; echo second > file'").result == "first\na\n"
    assert sandbox.process.exec("cat file").result == "first\n"
    sandbox.create_snapshot("py-kept")
    assert sandbox.state == "started"
    child = daytona.create(CreateSandboxFromSnapshotParams(snapshot="py-kept"))
    assert child.process.exec("cat file").result == "first\n"
    raises(DaytonaConflictError, sandbox.fork, name="py-fork")
    for made in (sandbox, fork, child):
        made.delete()
    daytona.snapshot.delete(daytona.snapshot.get("py-kept"))


def test_py_signed_previews():
    link = box.create_signed_preview_url(8000, 120)
    assert link.token in link.url and link.port == 8000
    box.expire_signed_preview_url(8000, link.token)
    raises(DaytonaNotFoundError, box.expire_signed_preview_url, 8000, link.token)


def test_py_previews_and_the_rest():
    assert "/daytona/preview/" in box.get_preview_link(8000).url
    assert (box.get_user_home_dir(), box.get_work_dir()) == ("/home/daytona", "/home/daytona")
    assert box.get_metrics_latest().mem_total > 0
    assert "host:latest" in [s.name for s in daytona.snapshot.list().items] and daytona.volume.list() == []
    raises(DaytonaError, daytona.volume.create, "v")


cases.run_all(globals())
box.delete()
