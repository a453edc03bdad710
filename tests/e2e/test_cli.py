# SPDX-License-Identifier: Apache-2.0
"""The command line as a person or a script uses it, as root and as an ordinary user."""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tarfile
import tempfile
import termios
import urllib.request
import fcntl

import pytest
from kernels import needs_ipython

from waiting import PATIENCE

BUILD = pathlib.Path(os.environ.get("BUILD", "build")).resolve()
CAY = BUILD / "src/main/cay"
SOURCE = pathlib.Path(__file__).resolve().parents[2]
USER_ID = 54321  # nobody in particular

# What needs no server.


def cay(*args, **more):
    more.setdefault("env", {"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    return subprocess.run([str(CAY), *map(str, args)], capture_output=True, text=True, timeout=60, check=False, **more)


def test_help_goes_to_stdout_and_lists_every_command():
    done = cay("help")
    assert done.returncode == 0 and done.stderr == ""
    for name in "run serve mcp create exec py browse act shell cp port logs events ls stats pause resume stop rm doctor gc version help".split():
        assert re.search(rf"^  {name} ", done.stdout, re.M), name
    assert cay("--help").stdout == cay("-h").stdout == done.stdout


@pytest.mark.parametrize("command", ["run", "exec", "cp"])
def test_help_of_a_command_is_the_same_both_ways(command):
    assert cay("help", command).stdout == cay(command, "--help").stdout != ""


def test_version():
    assert re.fullmatch(r"cay \d+\.\d+\.\d+\n", cay("version").stdout)
    assert cay("--version").stdout == cay("version").stdout
    assert set(json.loads(cay("version", "--json").stdout)) == {"version"}


@pytest.mark.parametrize("args, says", [
    ([], "cay: no command given; see cay help"),
    (["lss"], "cay: no command 'lss'; did you mean 'ls'?"),
    (["ps"], "cay: no command 'ps'; did you mean 'ls'?"),
    (["delete"], "cay: no command 'delete'; did you mean 'rm'?"),
    (["foo"], "cay: no command 'foo'; see cay help"),
    (["create", "--memroy", "1"], "cay: create: unknown option --memroy; did you mean --memory?"),
    (["ls", "extra"], "cay: ls: one argument too many: 'extra'"),
    (["help", "nothing"], "cay: help: no command 'nothing'; see cay help"),
    (["serve", "--pool", "many"], "cay: serve: --pool: not a whole number: 'many'"),
])
def test_a_wrong_command_line_is_one_line_on_stderr(args, says):
    done = cay(*args)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", says + "\n")


def test_run_and_exec_keep_their_own_failures_apart_from_the_programs():
    assert cay("run", "--nonsense").returncode == 125
    assert cay("exec").returncode == 125


def test_no_server_is_a_sentence_that_says_what_to_do(tmp_path):
    done = cay("ls", "--url", f"unix:{tmp_path}/none.sock")
    assert done.returncode == 15 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "start one with `cay serve`" in done.stderr


def test_what_an_error_quotes_cannot_drive_the_terminal():
    said = cay("\x1b[2J\x9b2J\u202e").stderr
    assert not set(said) & set("\x1b\x9b\u202e"), "U+009B is ESC [ as well"


WORDS = "\x1b[2J\x07\u009b2J\u202ewords"
TOOL = f"def talk() -> str:\n    import sys\n    print({WORDS!r}); print({WORDS!r}, file=sys.stderr)\n    return {WORDS!r}\n"
FAILS = f"def talk() -> str:\n    print({WORDS!r})\n    raise ValueError({WORDS!r})\n"


def with_tool(text):
    return [["exec", "BOX", "python3", "-c", f"open('kit.py', 'w').write({text!r})"], ["tool", "add", "BOX", "kit.talk"],
            ["tool", "call", "BOX", "talk"]]


@pytest.mark.parametrize("commands", [
    [["run", "--", WORDS]],
    [["cp", f"BOX:/{WORDS}", "/nonexistent"]],
    [["rm", "\u202ewords", "\u202ewords too"]],
    [["exec", "BOX", WORDS]],
    [["exec", "-d", "BOX", "sh", "-c", f": {WORDS}"], ["logs", "BOX"]],
    [["exec", "BOX", "sh", "-c", f"git init -q r && touch 'r/{WORDS}'"], ["git", "BOX", "changes", "-C", "r"]],
    with_tool(TOOL), with_tool(FAILS)], ids=["run", "cp", "rm", "exec", "logs", "git", "tool", "a tool that fails"])
def test_what_an_agent_says_cannot_drive_the_terminal(place, box, commands):
    """Wherever the client prints it itself. What a program writes goes to a pipe as it is."""
    for command in commands:
        done = subprocess.run(place.argv(*[word.replace("BOX", box) for word in command]), capture_output=True, text=True,
                              env=place.env, cwd=place.dir, timeout=60, check=False)
        said = done.stdout + done.stderr
    assert "words" in said
    assert not set(said) & set("\x1b\x07\u009b\u202e"), said


@pytest.mark.parametrize("command", [["help"], ["run", "--dry-run", "--", "true"]])
def test_a_closed_pipe_ends_quietly(command):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([CAY, *command], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def complete(*words, path=None):
    """What bash offers for the last word."""
    script = f". {BUILD}/completions/cay; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _cay; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True,
                          env={"PATH": f"{path}:/usr/bin:/bin" if path else "/usr/bin:/bin"})
    assert done.stderr == ""
    return [w for w in done.stdout.split("\n") if w]


def test_completion_offers_commands_options_and_words():
    assert complete("cay", "e") == ["exec", "events", "executor-image"]
    assert complete("cay", "create", "--net") == ["--network-name", "--network"]
    assert complete("cay", "create", "--network", "") == ["loopback", "none", "host", "proxy", "bridge", "pasta"]
    assert "seccomp" in complete("cay", "run", "--require", "s")
    assert complete("cay", "help", "ver") == ["version"]


def test_completion_offers_sandboxes_where_one_is_meant(tmp_path):
    fake = tmp_path / "cay"
    fake.write_text("#!/bin/sh\necho 'ID  NAME  STATE'\necho 'abcd1234  demo  ready'\necho 'wxyz9876  -  ready'\n")
    fake.chmod(0o755)
    assert complete("cay", "exec", "", path=tmp_path) == ["abcd1234", "demo", "wxyz9876"]
    assert complete("cay", "rm", "demo", "w", path=tmp_path) == ["wxyz9876"]
    assert "demo:" in complete("cay", "cp", "de", path=tmp_path)


def test_completion_leaves_a_programs_own_words_to_files(tmp_path):
    assert "--json" not in complete("cay", "exec", "-i", "demo", "ls", "--js")


def test_everything_is_installed_where_it_is_found(tmp_path):
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", tmp_path], check=True,
                   capture_output=True)
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    prefix = next(p for p in found if p.endswith("bin/cay")).removesuffix("bin/cay")
    for program in ("cay-client", "cay-supervisor", "cayd", "cay-executor", "cay-init", "cay-canary"):
        assert f"{prefix}libexec/cay/{program}" in found
    assert f"{prefix}share/man/man1/cay.1" in found
    assert f"{prefix}share/bash-completion/completions/cay" in found
    assert not [p for p in found if p.endswith((".a", "cay-docs")) and not p.endswith("/libcay.a")]
    done = subprocess.run([tmp_path / prefix / "bin/cay", "ls"], capture_output=True, text=True, check=False,
                          env={"CAY_URL": f"unix:{tmp_path}/none.sock"})
    assert done.returncode == 15, done.stderr


# What needs one.


class Place:
    """A server of its own, started by `cay serve`, and the command line that talks to it."""

    def __init__(self, uid):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cay-cli-"))
        self.prefix = []
        if uid != os.geteuid():
            self.prefix = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
            os.chown(self.dir, uid, uid)
        elif uid == 0:
            self.dir.chmod(0o755)  # the server has a uid of its own
        self.env = {"PATH": f"{CAY.parent}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.dir), "LANG": "C.UTF-8",
                    "TERM": "xterm", "CAY_URL": f"unix:{self.dir}/cay.sock"}
        ready, tell = os.pipe()
        self.log = open(self.dir / "log", "wb")
        self.server = subprocess.Popen(
            [*self.prefix, CAY, "serve", "--state", self.dir / "state", "--socket", self.dir / "cay.sock",
             "--listen", "127.0.0.1:0", "--ready-fd", str(tell)],
            env=self.env, pass_fds=[tell], stdout=open(self.dir / "greeting", "wb"), stderr=self.log)
        os.close(tell)
        with open(ready) as pipe:
            ports = pipe.readline().split()  # that the kernel chose
        assert ports, (self.dir / "log").read_text()
        self.port = int(ports[0])
        self.env["CAY_TOKEN"] = (self.dir / "state/token").read_text().strip()

    def argv(self, *args):
        return [*self.prefix, str(CAY), *map(str, args)]

    def cay(self, *args, status=0, **more):
        env = {**self.env, **more.pop("env", {})}
        text = more.pop("text", True)
        done = subprocess.run(self.argv(*args), capture_output=True, text=text, timeout=120, check=False, env=env,
                              cwd=more.pop("cwd", self.dir), **more)
        assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
        return done

    def out(self, *args, **more):
        return self.cay(*args, **more).stdout

    def stop(self):
        self.server.terminate()
        self.server.wait(60)
        self.log.close()
        shutil.rmtree(self.dir)


def users():
    if os.geteuid() != 0:
        return [pytest.param(os.geteuid(), id="user")]
    return [pytest.param(0, id="root"), pytest.param(USER_ID, id="user")]


@pytest.fixture(scope="module", params=users())
def server(request):
    started = Place(request.param)
    yield started
    started.stop()


@pytest.fixture
def place(server):
    """The server, without any sandbox before and after the test."""
    yield server
    server.cay("rm", "--all")


@pytest.fixture
def box(place):
    return place.out("create").strip()


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, place, *args, rows=24, cols=80):
        self.fd, inner = pty.openpty()
        self.resize(rows, cols)
        self.seen = b""
        self.process = subprocess.Popen(place.argv(*args), env=place.env, stdin=inner, stdout=inner, stderr=inner,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(inner)

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, pattern):
        """Reads until the pattern comes, and forgets everything up to its end."""
        while not (match := re.search(pattern.encode(), self.seen)):
            assert select.select([self.fd], [], [], PATIENCE)[0], f"'{pattern}' did not come: {self.seen!r}"
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                piece = b""
            assert piece, f"'{pattern}' did not come: {self.seen!r}"
            self.seen += piece
        self.seen = self.seen[match.end():]

    def end(self):
        """Everything that is still to come, and the exit status."""
        while True:
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                break
            if not piece:
                break
            self.seen += piece
        status = self.process.wait(PATIENCE)
        os.close(self.fd)
        return self.seen.decode(errors="replace"), status


def test_serve_greets_with_what_every_client_needs(place):
    text = (place.dir / "greeting").read_text()
    assert text.startswith("cay serves.") and f"unix:{place.dir}/cay.sock" in text
    assert f"{place.dir}/state/token" in text and "curl" in text
    assert all(client in text for client in ("SANDBOX_REMOTE_RUNTIME_API_URL=http", "DAYTONA_API_URL=http", "/mcp"))
    assert place.env["CAY_TOKEN"] not in text


def test_serve_tells_which_port_the_kernel_chose(tmp_path):
    """Wherever it says an address: for people, for programs that wait for it, and in the log."""
    os.chmod(tmp_path, 0o755)
    ready, tell = os.pipe()
    with open(tmp_path / "greeting", "wb") as greeting, open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen([CAY, "serve", "--state", tmp_path / "state", "--socket", "none", "--listen", "127.0.0.1:0",
                                   "--listen", ":0", "--ready-fd", str(tell)], pass_fds=[tell], stdout=greeting, stderr=log)
    os.close(tell)
    try:
        with open(ready) as line:
            first, second = line.read().split()
        text = (tmp_path / "greeting").read_text()
        assert text.startswith(f"cay serves. http://127.0.0.1:{first} http://127.0.0.1:{second}\n")
        assert f"CAY_URL=http://127.0.0.1:{first} " in text and f"http://127.0.0.1:{first}/v1/sandboxes" in text
        assert ":0 " not in text and ":0/" not in text
        assert f"port={second}" in (tmp_path / "log").read_text()
        for port in (first, second):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/health", timeout=60) as reply:
                assert reply.status == 200
    finally:
        server.terminate()
        assert server.wait(60) == 0


def test_serve_says_why_it_does_not_start(place):
    again = place.cay("serve", "--state", place.dir / "state", "--socket", "none", "--listen", "127.0.0.1:0", status=6)
    assert again.stdout == "" and re.search(
        rf"cay: serve: a supervisor runs with state directory {re.escape(str(place.dir))}/state: process \d+\n$", again.stderr)


def test_create_prints_an_id_and_ls_shows_it(place):
    made = place.out("create", "--name", "shown", "--label", "k=v", "--disk", "64M").strip()
    assert re.fullmatch("[a-z2-7]{26}", made)
    head, *rows = place.out("ls").splitlines()
    assert head.split() == ["ID", "NAME", "STATE", "AGE", "IMAGE", "REASON"]
    assert [r.split()[:3] for r in rows] == [[made, "shown", "ready"]]
    assert place.out("ls", "--quiet") == made + "\n"
    listed = json.loads(place.out("ls", "--json"))
    assert [s["id"] for s in listed] == [made] and listed[0]["labels"] == {"k": "v"}
    assert place.out("rm", "shown") == "shown\n"
    assert json.loads(place.out("ls", "--json")) == []


def test_create_with_json_gives_the_whole_sandbox(place):
    made = json.loads(place.out("create", "--json", "--name", "whole"))
    assert made["name"] == "whole" and made["state"] == "ready"
    place.out("rm", made["id"][:8])


def test_create_says_what_is_wrong_with_a_wish(place):
    done = place.cay("create", "--mount", "/usr", status=2)
    assert done.stderr == "cay: create: --mount: '/usr' is not SOURCE:TARGET[:MODE]\n"
    assert "'nonsense'" in place.cay("create", "--require", "nonsense", status=2).stderr
    assert place.cay("create", "--workspace", "not/there", status=5).stderr.startswith("cay: create: --workspace: not/there: ")


def test_a_workspace_is_seen_and_its_owner_sees_no_change(place):
    work = place.dir / "work"
    work.mkdir(exist_ok=True)
    (work / "file").write_text("mine\n")
    work.chmod(0o777)
    made = place.out("create", "--workspace", "work").strip()
    assert place.out("exec", made, "cat", "file") == "mine\n"
    place.out("exec", made, "sh", "-c", "echo changed >file; touch new")
    assert (work / "file").read_text() == "mine\n" and not (work / "new").exists()
    place.out("rm", made)


def test_exec_passes_output_and_status_through(place, box):
    done = place.cay("exec", box, "--", "sh", "-c", "echo out; echo err >&2; exit 7", status=7)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


@needs_ipython
def test_py_keeps_what_it_was_told(place, box):
    assert place.out("py", box, "x = 6 * 7") == ""
    assert place.out("py", box, "print('x is', end=' '); x") == "x is 42\n"
    assert place.out("py", box, input="x + 1\n") == "43\n"
    assert json.loads(place.out("py", "--json", box, "x"))["outputs"][0]["data"]["text/plain"] == "42"
    done = place.cay("py", box, "1 / 0", status=1)
    assert done.stdout == "" and "ZeroDivisionError: division by zero" in done.stderr
    done = place.cay("py", "--timeout", "300ms", box, "import time; time.sleep(60)", status=124)
    assert "cay: py: interrupted: --timeout was over" in done.stderr
    done = place.cay("py", box, "import os; os._exit(9)", status=1)
    assert "cay: py: kernel default ended with status 9" in done.stderr
    assert place.out("py", "-w", "/usr", "-k", "other", box, "import os; os.getcwd()") == "'/usr'\n"


def test_act_performs_any_action_and_lists_them(place, box):
    assert json.loads(place.cay("act", box, "run", "command=echo 6").stdout)["output"] == "6\n"
    assert json.loads(place.cay("act", box, "exec", 'argv=["echo", "7"]', "capture=true").stdout)["stdout"] == "7\n"
    place.cay("act", box, "write", '{"path": "/tmp/act", "content": "8=8"}')
    assert json.loads(place.cay("act", box, "read", "path=/tmp/act").stdout)["content"] == "8=8"
    listed = place.cay("act", box).stdout
    assert re.search(r"^run +\S", listed, re.M) and re.search(r"^tool_call +\S", listed, re.M)


@pytest.mark.parametrize("words, status, says", [
    (["read", "path=/nonexistent"], 5, "act: open /nonexistent: No such file or directory"),
    (["run", "echo"], 2, "act: echo: NAME=VALUE is wanted"),
    (["run", "{"], 2, "act: "),
    (["run", "timeout_ms=soon"], 2, "'timeout_ms' must be a whole number, not string"),
    (["run", "comand=ls"], 2, "unknown field 'comand'"),
    (["nothing"], 5, "no such action: 'nothing'"),
    (["nothing/at-all"], 5, "act: "),
])
def test_act_says_what_is_wrong(place, box, words, status, says):
    done = place.cay("act", box, *words, status=status)
    assert done.stdout == "" and says in done.stderr and done.stderr.count("\n") == 1


def test_act_performs_what_a_plugin_adds(place):
    sandbox = place.cay("create", "--plugin", SOURCE / "examples/plugin").stdout.strip()
    place.cay("act", sandbox, "write", "path=/tmp/text", "content=two words")
    assert "wordcount/count" in place.cay("act", sandbox).stdout
    counted = json.loads(place.cay("act", sandbox, "wordcount/count", "path=/tmp/text").stdout)
    assert not counted.get("isError") and "2" in json.dumps(counted["content"])
    done = place.cay("act", sandbox, "wordcount/count", "path=/nonexistent", status=1)
    assert json.loads(done.stdout)["isError"]


def test_exec_gives_128_and_the_signal(place, box):
    place.cay("exec", box, "sh", "-c", "kill -KILL $$", status=137)


def test_exec_feeds_standard_input(place, box):
    data = os.urandom(1 << 20)
    done = place.cay("exec", "-i", box, "cat", input=data, text=False)
    assert done.stdout == data


def test_exec_without_i_has_an_empty_input(place, box):
    assert place.out("exec", box, "cat", input="not for you") == ""


def test_exec_takes_environment_directory_and_user(place, box):
    out = place.out("exec", "-e", "A=1 2", "-e", "FROM_US", "-e", "NOT_SET", "-w", "/tmp", box, "sh", "-c",
                    'echo "$A,$FROM_US,${NOT_SET-unset},$PWD"', env={"FROM_US": "yes"})
    assert out == "1 2,yes,unset,/tmp\n"


def test_exec_passes_signals_on(place, box):
    with subprocess.Popen(place.argv("exec", box, "--", "sh", "-c", "trap 'echo caught; exit 3' INT; echo ready; "
                                     "while :; do sleep 0.1; done"), env=place.env, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline() == "ready\n"
        p.send_signal(signal.SIGINT)
        assert p.stdout.readline() == "caught\n"
        assert p.wait(PATIENCE) == 3


def test_exec_kills_at_its_timeout(place, box):
    done = place.cay("exec", "--timeout", "200ms", box, "sleep", "100", status=137)
    assert "--timeout was over" in done.stderr


def test_exec_with_json_is_one_object(place, box):
    done = place.cay("exec", "--json", box, "sh", "-c", "echo out; echo err >&2; exit 7", status=7)
    result = json.loads(done.stdout)
    assert (result["exit_code"], result["stdout"], result["stderr"]) == (7, "out\n", "err\n")


def test_exec_of_what_is_not_there_is_a_failure_of_its_own(place, box):
    done = place.cay("exec", box, "no-such-program", status=125)
    assert done.stderr.startswith("cay: exec: ") and "no-such-program" in done.stderr


def test_an_error_names_the_command_once(place, box):
    place.out("create", "--name", "taken")
    assert place.cay("create", "--name", "taken", status=6).stderr.startswith("cay: create: a sandbox named 'taken' is alive")
    assert place.cay("exec", box, "no-such-program", status=125).stderr.startswith("cay: exec: start no-such-program: ")
    refused = place.cay("create", "--image", "python:3.12", status=5).stderr
    assert refused.startswith("cay: create: No such image: python:3.12; ") and "cay image import" in refused


def test_exec_in_what_is_not_there(place):
    assert place.cay("exec", "nosuchbox", "true", status=125).stderr.count("\n") == 1
    place.cay("stats", "nosuchbox", status=5)


def test_exec_on_a_terminal_is_one(place, box):
    t = Terminal(place, "exec", "-it", box, "sh", "-c", "test -t 0 && stty size && read x && echo got-$x", rows=33, cols=99)
    t.wait_for("33 99")
    t.type("hello\r")
    t.wait_for("got-hello")
    assert t.end()[1] == 0


def test_output_is_harmless_for_a_terminal_unless_raw_is_asked_for(place, box):
    command = ["exec", box, "printf", r"\033]0;title\007\033[31mred\033[0m\n"]
    text, status = Terminal(place, *command).end()
    assert status == 0 and "^[]0;title^G\x1b[31mred\x1b[0m" in text
    command.insert(1, "--raw")
    assert "\x1b]0;title\x07" in Terminal(place, *command).end()[0]


def test_json_and_notes_are_harmless_for_a_terminal_too(place, box):
    """JSON escapes what is below U+0020; a terminal obeys U+0080 to U+009F as well."""
    evil = "\x9b31m\u202e"
    other = place.out("create", "--label", f"a={evil}").strip()
    for args in (("ls", "--json"), ("exec", box, f"/no/such/{evil}")):
        text, _ = Terminal(place, *args).end()
        assert "31m\ufffd" in text and not set(text) & set(evil[0] + evil[-1]), args
    assert evil in place.out("ls", "--json"), "what is no terminal gets it as it is"
    place.out("rm", other)


def test_detached_processes_have_logs(place, box):
    process = place.out("exec", "-d", box, "sh", "-c", "echo one; echo two >&2").strip()
    done = place.cay("logs", "-f", box, process)
    assert (done.stdout, done.stderr) == ("one\n", "two\n")
    rows = place.out("logs", box).splitlines()
    assert rows[0].split() == ["PROCESS", "NAME", "STATUS", "TIME", "COMMAND"]
    assert rows[1].split()[0] == process and "exited 0" in rows[1]
    assert json.loads(place.out("logs", "--json", box))[0]["process"] == process
    entries = json.loads(place.out("logs", "--json", box, process))["entries"]
    assert "".join(e["text"] for e in entries if e["channel"] == 1) == "one\n"


def test_logs_are_followed_until_the_process_ends(place, box):
    place.out("exec", box, "mkfifo", "/tmp/go")
    process = place.out("exec", "-d", box, "sh", "-c", "echo one; read x </tmp/go; echo $x").strip()
    with subprocess.Popen(place.argv("logs", "-f", box, process), env=place.env, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline() == "one\n"
        place.out("exec", box, "sh", "-c", "echo two >/tmp/go")
        assert p.stdout.read() == "two\n"
        assert p.wait(PATIENCE) == 0


def test_shell_is_a_terminal_that_stays_when_it_is_left(place, box):
    t = Terminal(place, "shell", box, rows=30, cols=90)
    t.wait_for(r"\(\^\] leaves")
    t.type("stty size; cd /tmp; X=kept\r")
    t.wait_for("30 90")
    t.resize(20, 70)
    os.kill(t.process.pid, signal.SIGWINCH)
    t.type("stty size\r")
    t.wait_for("20 70")
    t.type("\x1d")
    text, status = t.end()
    assert status == 0 and "comes back" in text
    t = Terminal(place, "shell", box)
    t.wait_for("leaves")
    t.type("echo $X in $PWD\r")
    t.wait_for("kept in /tmp")
    t.type("exit 5\r")
    assert t.end()[1] == 5


def test_shell_wants_a_terminal(place, box):
    assert "cay exec -i" in place.cay("shell", box, status=2, input="").stderr


def test_holes_of_a_sandbox_take_nothing_of_who_copies_them(place, box):
    """Its limit counts what lies on a disk: as many files as it likes may say that they are as large as that."""
    place.cay("exec", box, "--", "sh", "-c", "mkdir d && truncate -s 100M d/big && cp --sparse=always d/big big && echo end >> big")
    place.cay("cp", f"{box}:d", "d")
    place.cay("cp", f"{box}:big", "big")
    for path, size in ("d/big", 100 << 20), ("big", (100 << 20) + 4):
        stat = (place.dir / path).stat()
        assert stat.st_size == size and stat.st_blocks * 512 < 1 << 20, path
    assert (place.dir / "big").read_bytes()[-5:] == b"\0end\n"


def test_cp_of_a_file_both_ways_keeps_bytes_and_mode(place, box):
    data = os.urandom(3 << 20)
    source = place.dir / "source"
    source.write_bytes(data)
    source.chmod(0o755)
    place.cay("cp", "source", f"{box}:/tmp/there")
    assert place.out("exec", box, "stat", "-c", "%s %a", "/tmp/there") == f"{len(data)} 755\n"
    place.cay("cp", f"{box}:/tmp/there", "back")
    assert (place.dir / "back").read_bytes() == data
    assert (place.dir / "back").stat().st_mode & 0o777 == 0o755
    place.cay("cp", "source", f"{box}:/tmp")
    assert place.out("exec", box, "ls", "/tmp/source") == "/tmp/source\n"


def test_cp_of_streams(place, box):
    place.cay("cp", "-", f"{box}:/tmp/stream", input="from a pipe\n")
    assert place.out("cp", f"{box}:/tmp/stream", "-") == "from a pipe\n"
    place.cay("cp", "-", f"{box}:/tmp", input="x", status=2)


def test_cp_of_directories_both_ways(place, box):
    tree = place.dir / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/file").write_text("content\n")
    (tree / "link").symlink_to("a/b/file")
    (tree / "empty").mkdir()
    for path in [tree, *tree.rglob("*")]:
        os.chown(path, *place_owner(place), follow_symlinks=False)
    place.cay("cp", "tree", f"{box}:/tmp")
    assert place.out("exec", box, "cat", "/tmp/tree/link") == "content\n"
    place.cay("cp", "tree", f"{box}:/tmp/renamed")
    assert place.out("exec", box, "ls", "/tmp/renamed").split() == ["a", "empty", "link"]
    place.cay("cp", f"{box}:/tmp/tree", "out")
    assert (place.dir / "out/a/b/file").read_text() == "content\n"
    assert os.readlink(place.dir / "out/link") == "a/b/file" and (place.dir / "out/empty").is_dir()
    place.cay("cp", f"{box}:/tmp/tree", "out")
    assert (place.dir / "out/tree/a/b/file").read_text() == "content\n"
    archive = place.dir / "archive.tar"
    archive.write_bytes(place.cay("cp", f"{box}:/tmp/tree", "-", text=False).stdout)
    with tarfile.open(archive) as tar:
        assert any(n.endswith("a/b/file") for n in tar.getnames())


def place_owner(place):
    st = place.dir.stat()
    return st.st_uid, st.st_gid


def test_cp_out_of_a_sandbox_stays_beneath_its_target(place, box):
    outside = place.dir / "outside"
    outside.mkdir(exist_ok=True)
    os.chown(outside, *place_owner(place))
    place.out("exec", box, "sh", "-c", f"mkdir -p /tmp/trap && ln -sfn {outside} /tmp/trap/dir")
    place.cay("cp", f"{box}:/tmp/trap", "caught")
    place.out("exec", box, "sh", "-c", "rm /tmp/trap/dir; mkdir /tmp/trap/dir; echo x >/tmp/trap/dir/evil")
    place.cay("cp", f"{box}:/tmp/trap/.", "caught")
    assert not list(outside.iterdir())
    assert (place.dir / "caught/dir/evil").read_text() == "x\n"


def test_cp_wants_exactly_one_sandbox(place, box):
    assert "exactly one" in place.cay("cp", "a", "b", status=2).stderr
    assert "cay cp A:PATH -" in place.cay("cp", f"{box}:/a", f"{box}:/b", status=2).stderr
    place.cay("cp", f"{box}:/no/such/file", "x", status=5)
    assert not (place.dir / "x").exists()


def test_events_tell_what_was_done(place, box):
    place.cay("exec", box, "sh", "-c", "exit 3", status=3)
    lines = place.out("events", box).splitlines()
    assert any(re.search(r"action exec sh -c exit 3$", line) for line in lines), lines
    assert any(re.search(r"observation exec \(.*\) exit 3", line) for line in lines), lines
    events = [json.loads(line) for line in place.out("events", "--json", box).splitlines()]
    assert [e["seq"] for e in events] == sorted(e["seq"] for e in events) and all(e["sandbox"] == box for e in events)
    assert place.out("events", "--after", events[-1]["seq"], box) == ""


def test_events_tell_decisions_in_words(place):
    place.out("create", "--name", "told", "--network", "proxy", "--allow", "no.example", "--guard", "rules")
    place.cay("exec", "told", "rm", "-rf", "/", status=125)
    place.out("exec", "told", "getent", "hosts", "example.org", status=2)
    said = place.out("events", "told")
    assert re.search(r"  verdict exec blocked HIGH rules: removes a system or home directory", said), said
    assert re.search(r"  network denied example\.org: the name is not allowed", said), said
    place.out("rm", "told")


def test_events_are_followed(place, box):
    with subprocess.Popen(place.argv("events", "-f", "--json"), env=place.env, stdout=subprocess.PIPE, text=True) as p:
        place.out("exec", box, "echo", "followed")
        for line in p.stdout:
            if "followed" in line:
                break
        p.terminate()
        assert p.wait(PATIENCE) == -signal.SIGTERM


def test_stats_count(place, box):
    head, row = place.out("stats", box).splitlines()
    assert head.split() == ["SANDBOX", "MEMORY", "PEAK", "CPU", "PIDS", "DISK", "FILES"]
    assert row.split()[0] == box
    assert set(json.loads(place.out("stats", "--json"))) == {box}


def test_pause_freezes_and_resume_goes_on(place, box):
    if "memory" not in json.loads(place.out("ls", "--json"))[0]["enforced"]["controls"]:
        place.cay("pause", box, status=13)  # it takes a control group
        return
    assert place.out("pause", box) == box + "\n"
    assert place.out("ls").splitlines()[1].split()[1:3] == ["-", "paused"]
    place.cay("exec", box, "true", status=125)
    assert place.out("resume", "--json", box) == json.dumps(box) + "\n"
    place.cay("exec", box, "true")


def test_a_snapshot_is_an_image_and_forks_go_on_from_where_it_was(place, box):
    can_rest = "memory" in json.loads(place.out("ls", "--json"))[0]["enforced"]["controls"]
    live = () if can_rest else ("--live",)
    if not can_rest:
        assert "`live`" in place.cay("fork", box, status=13).stderr
    place.out("exec", box, "sh", "-c", "echo prepared > file")
    image = place.out("snapshot", box, "prepared:1", *live).strip()
    assert re.fullmatch("[0-9a-f]{64}", image)
    child = place.out("create", "--image", "prepared:1").strip()
    forks = place.out("fork", box, "--count", "2", "--name", "try", "-e", "A=b", *live).split()
    place.out("exec", box, "sh", "-c", "echo changed > file")
    assert place.out("exec", child, "cat", "file") == "prepared\n"
    assert place.out("exec", "try-2", "sh", "-c", "cat file; echo $A") == "prepared\nb\n"
    assert json.loads(place.out("snapshot", "try-1", "--json", *live))["snapshot_of"] in forks
    place.out("rm", child, *forks)
    place.out("image", "rm", "prepared:1")
    assert "No such image" in place.cay("create", "--image", "prepared:1", status=5).stderr


def test_stop_keeps_the_record_and_rm_takes_many(place):
    ids = [place.out("create").strip() for _ in range(3)]
    assert place.out("stop", ids[0]) == ids[0] + "\n"
    assert place.out("ls", "--quiet").split() == ids[1:]
    assert set(place.out("ls", "--all", "--quiet").split()) == set(ids)
    assert place.cay("exec", ids[0], "true", status=125).stderr == f"cay: exec: sandbox {ids[0]} is stopped\n"
    done = place.cay("rm", ids[1], "nosuchbox", ids[2], status=5)
    assert done.stdout.split() == ids[1:] and done.stderr.count("\n") == 1
    assert place.out("rm", "--all").split() == ids[:1]
    place.cay("rm", status=2)
    place.cay("rm", "--all", "x", status=2)


def test_a_wrong_token_is_said_to_be_one(place):
    done = place.cay("ls", env={"CAY_TOKEN": "wrong"}, status=3)
    assert "CAY_TOKEN" in done.stderr and done.stderr.count("\n") == 1


def test_the_tcp_socket_serves_the_same(place, box):
    assert box in place.out("ls", "--quiet", "--url", f"http://127.0.0.1:{place.port}")
