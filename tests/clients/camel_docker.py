# SPDX-License-Identifier: Apache-2.0
"""CAMEL's own ways to use its Docker runtimes. Runs in its virtual environment."""
import os
import pathlib
import site
import tempfile

import cases
import docker
from camel.runtimes import DockerRuntime, TaskConfig, UbuntuDockerRuntime
from camel.toolkits import MathToolkit

SITE = site.getsitepackages()[0]
INSIDE = {"PYTHONPATH": "/camel", "PYTHONDONTWRITEBYTECODE": "1"}
engine = docker.from_env()
engine.images.get("host").tag("xukunliu/camel")
engine.images.get("host").tag("my-camel", "latest")


def runtime(**more):
    return DockerRuntime("xukunliu/camel", port=0, environment=dict(INSIDE), **more).mount(SITE, "/camel")


def raises(kind, function, *args):
    try:
        function(*args)
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def test_tools_run_in_the_container():
    with runtime().add(MathToolkit().get_tools(), "camel.toolkits.MathToolkit") as r:
        assert r.wait(60), "the tool server did not come up"
        add, sub, mul = r.get_tools()[:3]
        assert add.func(1, 2) == 3 and sub.func(a=5, b=3) == 2 and mul.func(6, b=7) == 42


def test_two_runtimes_serve_on_port_8000_at_once():
    with runtime().add(MathToolkit().get_tools(), "camel.toolkits.MathToolkit") as one, \
            runtime().add(MathToolkit().get_tools(), "camel.toolkits.MathToolkit") as two:
        assert one.wait(60) and two.wait(60)
        assert one.get_tools()[0].func(1, 1) == 2 and two.get_tools()[0].func(2, 2) == 4


def test_tasks_copies_and_mounts():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        pathlib.Path(directory, "sub").mkdir()
        pathlib.Path(directory, "sub", "file").write_text("copied")
        r = runtime().copy(directory, "/opt").mount(directory, "/mounted")
        r.add_task(TaskConfig(cmd="touch /mounted/by-task"))
        with r:
            name = os.path.basename(directory)
            assert r.exec_run(TaskConfig(cmd=f"cat /opt/{name}/sub/file")) == (0, b"copied")
            assert pathlib.Path(directory, "by-task").exists()
            assert r.exec_run(TaskConfig(cmd="cat /mounted/sub/file")) == (0, b"copied")


def test_exec_run_in_all_its_forms():
    with runtime() as r:
        script = ["sh", "-c", "echo out; echo err >&2; exit 5"]
        assert r.exec_run(TaskConfig(cmd=script, demux=True)) == (5, (b"out\n", b"err\n"))
        assert r.exec_run(TaskConfig(cmd="pwd", workdir="/etc")) == (0, b"/etc\n")
        assert r.exec_run(TaskConfig(cmd=["sh", "-c", "echo $X"], environment={"X": "1"})) == (0, b"1\n")
        assert b"".join(r.exec_run(TaskConfig(cmd=script, stream=True)).output) == b"out\nerr\n"
        assert r.exec_run(TaskConfig(cmd="tty", tty=True))[1] == b"/dev/pts/0\r\n"
        assert r.exec_run(TaskConfig(cmd="sleep 1", detach=True)).output == ""


def test_stop_reset_and_keep():
    r = runtime().build()
    first = r.container.id
    r.reset()
    assert r.container.id != first
    kept = r.container
    r.stop(remove=False)
    kept.reload()
    assert kept.status == "exited"
    kept.remove()
    raises(RuntimeError, r.exec_run, TaskConfig(cmd="true"))


def ubuntu():
    """With an apt-get and a curl of the test's own: there is no network to update anything from."""
    tools = tempfile.mkdtemp()
    os.chmod(tools, 0o755)
    for name, text in (("apt-get", "exit 0"),
                       ("curl", "exec /usr/bin/python3 -c 'import urllib.request as u,sys; "
                                "print(u.urlopen(\"http://localhost:8000/docs\").status, end=\"\")'")):
        path = pathlib.Path(tools, name)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    r = UbuntuDockerRuntime("my-camel:latest", environment=dict(INSIDE), python_path="/usr/bin/python3")
    return r.mount(SITE, "/camel").mount(tools, "/usr/local/bin")


def test_ubuntu_runtime_builds_and_runs_python_files():
    with tempfile.TemporaryDirectory() as directory, ubuntu() as r:
        path = pathlib.Path(directory, "script.py")
        path.write_text("import os, sys\nprint(sys.argv[1:], os.environ['PYTHON_EXECUTABLE'], os.environ['OWN'])\n"
                        "print('to stderr', file=sys.stderr)\n")
        told = []
        r.exec_python_file(str(path), args=["a", "b c"], env={"OWN": "1"}, callback=told.append)
        text = "".join(told)
        assert "['a', 'b c'] /usr/bin/python3 1" in text and "ERROR: to stderr" in text
        raises(FileNotFoundError, r.exec_python_file, "/no/such/file.py")


cases.run_all(globals())
