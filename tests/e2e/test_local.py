# SPDX-License-Identifier: Apache-2.0
"""Sandboxes without isolation: `cay serve --backend local` and `--backend cli`."""
import os
import pathlib
import select
import signal
import subprocess

import pytest

from conftest import PROGRAMS, end_server, start_server
from waiting import PATIENCE


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """What a developer's own ~/.bashrc does is not what is tested: some wait a minute for each other."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home):
    started = start_server("--backend", "local", "--pool", "1", variables={"HOME": str(home)})
    yield started
    end_server(started)


@pytest.fixture(scope="module")
def cli_server(home):
    started = start_server("--backend", "cli", variables={"HOME": str(home)})
    yield started
    end_server(started)


def workspace_of(box):
    return pathlib.Path(box.output("pwd").strip())


def wait_gone(pid_fd):
    assert select.select([pid_fd], [], [], PATIENCE)[0]
    os.close(pid_fd)


def test_a_session_keeps_its_state_in_a_temporary_workspace_that_goes_away(server):
    box = server.create()
    workspace = workspace_of(box)
    box.run("x=42; mkdir d; cd d")
    assert box.output("echo $x; pwd") == f"42\n{workspace}/d\n"
    assert workspace.is_dir()
    box.delete()
    assert not workspace.exists()


def test_home_is_where_the_servers_environment_says(server, home):
    box = server.create()
    (home / ".bashrc").write_text("from_home=yes\n")
    try:
        assert box.output("echo ~ $HOME $from_home") == f"{home} {home} yes\n"
    finally:
        (home / ".bashrc").unlink()
        box.delete()


def test_nothing_is_said_to_be_enforced_and_the_log_warns(server):
    box = server.create()
    assert box.record["enforced"]["controls"] == []
    assert set(box.record["enforced"]["limits"].values()) <= {None, -1}
    assert "no isolation" in server.log_text()
    box.delete()


def test_a_given_workspace_is_worked_in_and_stays(server, tmp_path):
    (tmp_path / "old").write_text("there\n")
    box = server.create(mounts=[{"source": str(tmp_path), "target": "/workspace", "mode": "rw"}])
    assert box.output("cat old") == "there\n"
    box.action("write", path="new", content="mine")
    assert box.action("read", path=str(tmp_path / "new"))["content"] == "mine"
    assert box.action("read", path="/workspace/new")["content"] == "mine"
    box.delete()
    assert (tmp_path / "new").read_text() == "mine"


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "/workspace/../../etc/passwd", "out/passwd", "passwd"])
def test_file_actions_do_not_leave_the_workspace(server, path):
    box = server.create()
    box.run("ln -s /etc out; ln -s /etc/passwd passwd")
    reply = box.request("POST", "/actions/read", {"path": path})
    assert (reply.status, reply.code) == (403, "forbidden")
    assert "outside of the workspace" in reply.json["error"]["message"]
    box.delete()


@pytest.mark.parametrize("action,params", [
    ("write", {"path": "/etc/cay-test", "content": "x"}),
    ("write", {"path": "out/cay-test", "content": "x"}),
    ("write", {"path": "link", "content": "x"}),
    ("mkdir", {"path": "../cay-test"}),
    ("remove", {"path": "."}),
    ("move", {"path": "a", "to": "../cay-test"}),
    ("list", {"path": "/"}),
    ("glob", {"path": "..", "pattern": "*"}),
    ("grep", {"path": "/etc", "pattern": "root"}),
    ("edit", {"path": "/etc/passwd", "command": "view"}),
])
def test_no_file_action_leaves_the_workspace(server, action, params):
    box = server.create()
    workspace = workspace_of(box)
    box.run("touch a; ln -s /etc out; ln -s ../cay-test link")
    reply = box.request("POST", f"/actions/{action}", params)
    refused = reply.status in (400, 403) or (action == "edit" and not reply.json["applied"])
    assert refused, reply.body
    assert workspace.is_dir() and not (workspace.parent / "cay-test").exists()
    assert not pathlib.Path("/etc/cay-test").exists()
    box.delete()


@pytest.mark.parametrize("wish,word", [
    ({"limits": {"memory_bytes": 1 << 30}}, "limit"),
    ({"require": ["seccomp"]}, "required control"),
    ({"image": "/usr"}, "image"),
    ({"network": "none"}, "network"),
    ({"mounts": [{"source": "/tmp", "target": "/data", "mode": "rw"}]}, "mount"),
    ({"mounts": [{"source": "/tmp", "target": "/workspace", "mode": "copy"}]}, "copy"),
])
def test_what_cannot_be_had_without_isolation_is_refused(server, wish, word):
    reply = server.request("POST", "/v1/sandboxes", wish)
    assert (reply.status, reply.code) == (501, "unsupported")
    assert word in reply.json["error"]["message"]


def test_a_workspace_that_is_not_there_fails_the_create(server, tmp_path):
    reply = server.request("POST", "/v1/sandboxes", {"mounts": [
        {"source": str(tmp_path / "none"), "target": "/workspace", "mode": "rw"}]})
    assert (reply.status, reply.code) == (404, "not_found")


def start_daemon(box):
    """One that has left its session, its group and its parent; returns a descriptor of it."""
    pid = int(box.output("setsid sh -c 'sleep 1000 & echo $! >daemon.pid' </dev/null >/dev/null 2>&1; "
                         "until [ -s daemon.pid ]; do :; done; cat daemon.pid"))
    return os.pidfd_open(pid)


def test_a_daemon_ends_with_its_sandbox(server):
    box = server.create()
    daemon = start_daemon(box)
    box.delete()
    assert select.select([daemon], [], [], 0)[0], "deleted means gone"
    os.close(daemon)


def test_a_killed_executor_ends_the_sandbox_and_what_ran_in_it(server):
    box = server.create()
    daemon, workspace = start_daemon(box), workspace_of(box)
    executor = int(box.output("ps -o ppid= -p $$"))
    os.kill(executor, signal.SIGKILL)
    assert box.wait_for_state("ended")["reason"]
    wait_gone(daemon)
    assert not workspace.exists()


def test_a_killed_server_leaves_nothing_behind():
    own = start_server("--backend", "local")
    box = own.create()
    daemon, workspace = start_daemon(box), workspace_of(box)
    keeper = os.pidfd_open(box.record["init_pid"]) if box.record.get("init_pid") else None
    own.kill_server()
    wait_gone(daemon)
    if keeper:
        wait_gone(keeper)
        assert not workspace.exists()
    own.wait_until_up()
    assert box.get()["state"] in ("ended", "failed")
    end_server(own)


def test_pause_stops_every_process_and_resume_disturbs_none(server):
    box = server.create()
    box.action("exec", argv=["sh", "-c", "while :; do date +%s%N >tick; sleep 0.01; done"], detach=True)
    workspace = workspace_of(box)
    box.run("(sleep 0.2; echo late >late) & sleep 0.01")
    assert box.request("POST", "/pause").status == 200
    assert box.request("POST", "/actions/run", {"command": "echo"}).code == "conflict"
    stats = box.request("GET", "/stats")
    assert stats.status == 200
    tick = (workspace / "tick").read_text()
    own = box.server.create()  # other sandboxes go on
    own.output("sleep 0.3; echo on") == "on\n"
    own.delete()
    assert (workspace / "tick").read_text() == tick
    assert box.request("POST", "/resume").status == 200
    assert box.output("wait; cat late") .endswith("late\n")
    box.delete()


def test_keys_of_the_server_are_not_in_its_children_and_the_path_is(server):
    box = server.create(env={"MINE": "1"})
    names = box.output("env | cut -d= -f1").split()
    assert "MINE" in names and "PATH" in names
    assert not [n for n in names if n.startswith("CAY_")]
    told = box.action("exec", argv=["sh", "-c", "echo $PATH"], capture=True)["stdout"]
    assert told.strip() == os.environ["PATH"]
    box.delete()


def test_the_hosts_own_sudo_is_not_replaced(server):
    box = server.create()
    reply = box.request("POST", "/actions/configure", {"sudo": True})
    assert reply.code in ("unsupported", "forbidden", "not_found"), reply.body
    box.delete()


def test_cli_keeps_no_shell(cli_server):
    box = cli_server.create()
    assert box.run("x=1; exit 3")["exit_code"] == 3
    assert box.output("echo [$x]") == "[]\n"
    box.run("echo kept >file")
    assert box.action("read", path="file")["content"] == "kept\n"
    box.delete()


def test_cli_gives_files_out(cli_server):
    box = cli_server.create()
    box.run("echo whole >file")
    assert box.get_file("file").body == b"whole\n"
    box.delete()


@pytest.mark.parametrize("action,params", [
    ("run", {"command": "y", "input": True}), ("run", {"keys": "C-c"}), ("run", {}), ("session_open", {})])
def test_cli_has_nothing_to_type_into(cli_server, action, params):
    box = cli_server.create()
    reply = box.request("POST", f"/actions/{action}", params)
    assert (reply.status, reply.code) == (501, "unsupported")
    box.delete()


def test_cli_ends_a_command_whose_time_is_over(cli_server):
    box = cli_server.create()
    report = box.run("echo $$ >pid; exec sleep 1000", timeout_ms=2000)
    assert report["status"] == "running"
    workspace = workspace_of(box)
    pid = int((workspace / "pid").read_text())
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        fd = None
    if fd is not None:
        wait_gone(fd)
    box.delete()


def test_the_openhands_face_works_on_it_and_prepares_nothing_of_the_host(server):
    watched = [pathlib.Path(p) for p in ("/etc/passwd", "/etc/group", "/etc/sudoers", "/", "/home", "/usr/local/bin")]
    before = [p.stat().st_mtime_ns if p.exists() else None for p in watched]
    reply = server.request("POST", "/execute_action", {"action": {"action": "run", "args": {"command": "echo $((6*7))"}}})
    assert reply.status == 200, reply.body
    assert reply.json["content"] == "42"
    reply = server.request("POST", "/execute_action", {"action": {
        "action": "write", "args": {"path": "hello", "content": "hi"}}})
    assert reply.json["observation"] == "write", reply.body
    assert server.request("POST", "/execute_action", {"action": {"action": "run", "args": {"command": "cat hello"}}}
                          ).json["content"] == "hi"
    assert [p.stat().st_mtime_ns if p.exists() else None for p in watched] == before


def openhands(server, action, timeout=120.0, **args):
    reply = server.request("POST", "/execute_action", {"action": {"action": action, "args": args, "timeout": timeout}})
    assert reply.status == 200, reply.body
    return reply.json


def test_the_openhands_face_says_where_files_can_be_worked_with(server):
    workspace = openhands(server, "run", command="pwd")["content"]
    os.symlink("/etc/passwd", f"{workspace}/link")
    up = os.path.relpath("/etc/passwd", workspace)
    for action, path, words in (
            ("read", "/etc/passwd", f"Invalid path: /etc/passwd. You can only work with files in {workspace}."),
            ("write", "/etc/cay-was-here", f"Invalid path: /etc/cay-was-here. You can only work with files in {workspace}."),
            ("edit", "/etc/passwd", f"Invalid path: /etc/passwd. You can only work with files in {workspace}."),
            ("read", "../../etc/passwd", "Invalid path traversal: ../../etc/passwd. Path resolves outside the workspace. "
                                         f"Resolved: /etc/passwd, Workspace: {workspace}"),
            ("read", "link", f"Invalid path traversal: link. Path resolves outside the workspace. Workspace: {workspace}")):
        seen = openhands(server, action, path=path, **({"content": "x"} if action == "write" else {}), **({"command": "view"} if action == "edit" else {}))
        assert (seen["observation"], seen["content"]) == ("error", words)
    os.unlink(f"{workspace}/link")
    assert not os.path.exists("/etc/cay-was-here")


def test_the_openhands_face_has_cells_with_the_python_of_this_machine(server):
    seen = openhands(server, "run_ipython", code="6 * 7")
    assert seen["observation"] == "run_ipython" and seen["content"].startswith("42\n[Jupyter current working directory: /tmp/")


def test_the_openhands_face_says_what_cli_has_not(cli_server):
    seen = openhands(cli_server, "run", command="C-c", is_input=True)
    assert (seen["observation"], seen["content"], seen["extras"]["error_id"]) == (
        "error", "CLIRuntime does not support interactive input from the agent (e.g., 'C-c'). "
        "The command 'C-c' was not sent to any process.", "AGENT_ERROR$BAD_ACTION")
    seen = openhands(cli_server, "run_ipython", code="1")
    assert (seen["observation"], seen["content"]) == ("error", "Executing IPython cells is not implemented in CLIRuntime. ")
    seen = openhands(cli_server, "run", timeout=0.5, command="echo begun; sleep 1000")
    metadata = seen["extras"]["metadata"]
    assert (seen["observation"], metadata["exit_code"], metadata["suffix"]) == ("run", -1, "[The command timed out after 0.5 seconds.]")
    workspace = openhands(cli_server, "run", command="pwd")["content"]
    assert metadata["working_dir"] == workspace
    assert openhands(cli_server, "run", command="X=1; echo on")["content"] == "on"
    assert openhands(cli_server, "run", command="echo [$X]")["content"] == "[]"


def run(*arguments, **more):
    return subprocess.run([PROGRAMS / "cay", "run", "--backend", "local", *arguments], capture_output=True, text=True,
                          timeout=PATIENCE, **more)


def test_cay_run_passes_status_and_output_through_and_warns():
    done = run("--", "sh", "-c", "pwd; exit 3")
    assert done.returncode == 3 and "no isolation" in done.stderr
    assert not pathlib.Path(done.stdout.strip()).exists(), "the temporary workspace is gone"
    assert run("--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


def test_cay_run_ends_what_the_command_left_behind(tmp_path):
    done = run("--workspace", f"{tmp_path}:rw", "--", "sh", "-c",
               "setsid sh -c 'sleep 1000 & echo $! >pid' </dev/null >/dev/null 2>&1; until [ -s pid ]; do :; done")
    assert done.returncode == 0
    assert not pathlib.Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_cay_run_ends_in_time_and_refuses_what_it_cannot_give():
    assert run("--timeout", "200ms", "--", "sleep", "1000").returncode == 124
    assert run("--", "no-such-program").returncode == 127
    for wish in (["--memory", "1G"], ["--workspace", "/tmp"], ["--require", "seccomp"]):
        refused = run(*wish, "--", "true")
        assert refused.returncode == 125 and "without isolation" in refused.stderr


def test_cay_run_that_is_killed_leaves_nothing(tmp_path):
    fifo = tmp_path / "ready"
    os.mkfifo(fifo)
    started = subprocess.Popen([PROGRAMS / "cay", "run", "--backend", "local", "--workspace", f"{tmp_path}:rw", "--",
                                "sh", "-c", "setsid sleep 1000 & echo $! >ready; wait"], stderr=subprocess.DEVNULL)
    sleeper = os.pidfd_open(int(fifo.read_text()))
    started.kill()
    started.wait()
    wait_gone(sleeper)
