# SPDX-License-Identifier: Apache-2.0
"""cay.toml as `cay serve` takes it: what a configuration says is what sandboxes get."""
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile

import pytest
from conftest import PROGRAMS, UnixConnection
from waiting import PATIENCE

CAY = PROGRAMS / "cay"


class Served:
    """`cay serve` in a directory of its own, configured by a file there."""

    def __init__(self, directory, text, *options, **environment):
        self.dir = pathlib.Path(directory)
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(self.dir), "XDG_RUNTIME_DIR": str(self.dir), **environment}
        self.log = open(self.dir / "log", "w+")
        self.start(text, *options)

    def start(self, text, *options):
        (self.dir / "cay.toml").write_text(f"[serve]\nstate = '{self.dir}/state'\nsocket = '{self.dir}/cay.sock'\nlisten = ['none']\npool = 0\n" + text)
        ready, child_ready = os.pipe()
        self.process = subprocess.Popen([CAY, "serve", "--ready-fd", str(child_ready), *options], cwd=self.dir,
                                        env=self.env, pass_fds=[child_ready], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        os.close(child_ready)
        with open(ready) as pipe:
            assert select.select([pipe], [], [], PATIENCE)[0]
            assert pipe.read() == "\n", self.text()
        self.env["CAY_TOKEN"] = (self.dir / "state" / "token").read_text().strip()
        self.env["CAY_URL"] = f"unix:{self.dir}/cay.sock"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)

    def again(self, text, *options):
        """Ends it, and starts it anew with another configuration."""
        self.stop()
        self.start(text, *options)

    def text(self):
        return (self.dir / "log").read_text()

    def cay(self, *words, ok=True):
        done = subprocess.run([CAY, *words], env=self.env, capture_output=True, text=True, timeout=PATIENCE, cwd=self.dir)
        assert done.returncode == 0 or not ok, done.stderr
        return done

    def record(self, name):
        listed = json.loads(self.cay("ls", "--json").stdout)
        sandboxes = listed["sandboxes"] if isinstance(listed, dict) else listed
        return next(s for s in sandboxes if s["name"] == name)


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:
        def start(text, *options, **environment):
            directory = tempfile.mkdtemp(prefix="cay-config-")
            os.chmod(directory, 0o755)
            stack.callback(shutil.rmtree, directory)
            (pathlib.Path(directory) / "work").mkdir()
            (pathlib.Path(directory) / "work" / "hello").write_text("hi")
            served = Served(directory, text.replace("DIR", directory), *options, **environment)
            stack.callback(served.log.close)
            stack.callback(served.stop)
            return served
        yield start


def test_a_file_says_what_sandboxes_get(serve):
    served = serve("""
[core]
workspace_base = './work'
[sandbox]
volumes = 'DIR/work:/data:overlay'
runtime_startup_env_vars = { GREETING = "hello" }
close_delay = 900
[limits]
memory = "300M"
[guard]
mode = "rules"
""", SANDBOX_ENV_OTHER="from outside")
    served.cay("create", "--name", "box")
    record = served.record("box")
    assert record["enforced"]["limits"]["memory_bytes"] == 300 << 20 or record["spec"]["limits"]["memory_bytes"] == 300 << 20
    assert record["idle_timeout_ms"] == 900000
    assert record["spec"]["guard"]["mode"] == "rules"
    done = served.cay("exec", "box", "--", "sh", "-c", "cat hello /data/hello; echo $GREETING $OTHER; echo changed > /data/hello")
    assert done.stdout == "hihihello from outside\n"
    served.cay("exec", "box", "--", "sh", "-c", "echo written > hello")
    assert (served.dir / "work" / "hello").read_text() == "written\n", "an overlay keeps its changes, a workspace gives them"
    assert "hush" not in served.text()


def test_what_a_wish_says_counts_more(serve):
    served = serve("[core]\nrun_as_openhands = false\n[sandbox]\nuse_host_network = true\nruntime_startup_env_vars = { A = '1' }\n")
    served.cay("create", "--name", "open")
    served.cay("create", "--name", "said", "--network", "loopback", "--user", "agent", "--env", "A=2")
    assert (served.record("open")["spec"]["network"], served.record("open")["spec"]["user"]) == ("host", "root")
    assert (served.record("said")["spec"]["network"], served.record("said")["spec"]["user"]) == ("loopback", "agent")
    assert served.cay("exec", "said", "--", "printenv", "A").stdout == "2\n"


def test_the_command_line_counts_more_than_the_file(serve):
    served = serve("", "--pool", "1")
    assert "pool=1" in served.text()


def test_a_runtime_may_be_of_another_kind(serve):
    served = serve("[core]\nruntime = 'local'\n")
    served.cay("create", "--name", "here")
    assert served.cay("exec", "here", "--", "echo", "hi").stdout == "hi\n"
    assert "backend=local" in served.text() or "isolation" in served.text()


def test_openhands_clients_may_be_given_no_browser(serve):
    served = serve("[core]\nenable_browser = false\n")
    with contextlib.closing(UnixConnection(served.dir / "cay.sock")) as connection:
        connection.request("POST", "/execute_action", json.dumps({"action": {"action": "browse", "args": {"url": "http://localhost/"}}}),
                           {"X-Session-API-Key": served.env["CAY_TOKEN"]})
        seen = json.loads(connection.getresponse().read())
    assert (seen["observation"], seen["content"]) == ("error", "Browser functionality is not supported or disabled.")


def act(served, action, **args):
    """What OpenHands' clients get from the sandbox of the bare paths."""
    with contextlib.closing(UnixConnection(served.dir / "cay.sock")) as connection:
        connection.request("POST", "/execute_action", json.dumps({"action": {"action": action, "args": args}}),
                           {"X-Session-API-Key": served.env["CAY_TOKEN"]})
        reply = connection.getresponse()
        seen = json.loads(reply.read())
    assert reply.status == 200, seen
    return seen


def test_openhands_clients_work_in_the_workspace_of_the_host(serve):
    served = serve("[core]\nworkspace_base = 'DIR/work'\n")
    assert act(served, "run", command="cat hello; echo by the shell > shell; mkdir d")["content"] == "hi"
    assert act(served, "write", path="written", content="by an action")["observation"] == "write"
    assert act(served, "edit", path="/workspace/shell", command="str_replace", old_str="by", new_str="from")["observation"] == "edit"
    if os.geteuid() == 0:
        assert act(served, "run", command="sudo touch roots; sudo -n id -u")["content"] == "0"
        assert act(served, "run", command="stat -c %U shell written d hello")["content"] == "\n".join(["openhands"] * 4)
    owner = os.stat(served.dir / "work")
    for name, content in ("shell", "from the shell\n"), ("written", "by an action\n"):
        path = served.dir / "work" / name
        assert path.read_text() == content
        assert (path.stat().st_uid, path.stat().st_gid) == (owner.st_uid, owner.st_gid), "new files belong to the caller"


def test_edits_are_looked_over_where_the_configuration_says_so(serve):
    served = serve("[sandbox]\nenable_auto_lint = true\n")
    act(served, "write", path="x.py", content="x = 1")
    seen = act(served, "edit", path="/workspace/x.py", command="str_replace", old_str="x = 1", new_str="x = (1")
    assert "Linting issues found in the changes:" in seen["content"]


def test_a_strict_guard_lets_the_server_make_its_own_sandboxes(serve):
    served = serve("[guard]\nmode = 'rules'\nthreshold = 1\n")
    assert act(served, "run", command="echo hi")["content"] == "hi"
    refused = act(served, "run", command="pip install x")
    assert refused["observation"] == "error" and refused["content"].startswith("the guard blocked run: risk MEDIUM"), refused


def test_what_cannot_be_had_is_said_with_the_reason_and_the_server_starts(serve):
    served = serve("[sandbox]\nvscode_port = 3000\n[kubernetes]\ningress_domain = 'mine'\n")
    assert "cay: warning: sandbox.vscode_port (file) is left aside: a server has an editor in each of its sandboxes" in served.text()
    assert "cay: warning: kubernetes.ingress_domain (file) is left aside: no ingress is made:" in served.text()


def run(directory, *words, **environment):
    return subprocess.run([CAY, *words], cwd=directory, capture_output=True, text=True, timeout=PATIENCE,
                          env={"PATH": "/usr/bin:/bin", "HOME": str(directory), **environment})


def test_a_mistake_is_one_line_and_nothing_starts(tmp_path):
    (tmp_path / "cay.toml").write_text("[sandbox]\nvolume = '/a:/b'\n")
    done = run(tmp_path, "serve")
    assert done.returncode == 2
    assert done.stderr == "cay: serve: configuration: ./cay.toml: line 2: sandbox.volume: no such key; did you mean volumes?\n"


@pytest.mark.parametrize("text, words", [
    ("[sandbox]\nenable_gpu = true\n", "sandbox.enable_gpu: sandboxes of this machine (native) get no device of the host."),
    ("[sandbox]\nbrowsergym_eval_env = 'miniwob'\n", "sandbox.browsergym_eval_env: evaluation environments of browsergym"),
    ("[sandbox]\nplatform = 'linux/s390x'\n", 'sandbox.platform = "linux/s390x": images are for this machine'),
    ("[sandbox]\nadditional_networks = ['a', 'b']\n", "sandbox.additional_networks: a native sandbox is in one network, not in 2;"),
    ("[sandbox.docker_runtime_kwargs]\nprivileged = true\n", "sandbox.docker_runtime_kwargs: 'privileged' would end the isolation"),
    ("[core]\nruntime = 'kubernetes'\n[sandbox]\nruntime_extra_deps = 'true'\n",
     "sandbox.runtime_extra_deps: no image is built in a cluster;"),
    ("[core]\nruntime = 'remote'\n[sandbox]\nenable_gpu = true\n", "sandbox.enable_gpu: sandboxes of this backend get no device"),
])
def test_what_would_be_missed_is_refused_before_anything_starts(tmp_path, text, words):
    (tmp_path / "cay.toml").write_text(text)
    done = run(tmp_path, "serve", "--state", str(tmp_path / "state"), "--listen", "none")
    assert done.returncode != 0 and done.stderr.startswith(f"cay: serve: configuration: {words}"), done.stderr
    assert not (tmp_path / "state").exists()


def test_config_prints_a_file_that_it_reads_again(tmp_path):
    (tmp_path / "cay.toml").write_text("[core]\ngit_user_name = 'me'\n[guard]\nllm_key = 'sk-1'\nllm_url = 'http://x'\n")
    first = run(tmp_path, "config", GIT_USER_EMAIL="me@x")
    assert 'git_user_name = "me"' in first.stdout and "# file" in first.stdout
    assert "sk-1" not in first.stdout + first.stderr
    (tmp_path / "again.toml").write_text(first.stdout)
    again = run(tmp_path, "config", "--config", "again.toml", "--json")
    values = {(row["section"], row["key"]): row for row in json.loads(again.stdout)}
    assert values["core", "git_user_email"]["toml"] == '"me@x"'


def test_the_usual_places_are_looked_at(tmp_path):
    usual = tmp_path / ".config" / "cay"
    usual.mkdir(parents=True)
    (usual / "cay.toml").write_text("[core]\ngit_user_name = 'home'\n")
    assert run(tmp_path, "config").stdout.startswith(f"# {usual}/cay.toml\n")
    (tmp_path / "cay.toml").write_text("[core]\ngit_user_name = 'here'\n")
    assert run(tmp_path, "config").stdout.startswith("# ./cay.toml\n")
    assert run(tmp_path, "config", "--config", "none.toml").returncode == 5
