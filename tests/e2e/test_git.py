# SPDX-License-Identifier: Apache-2.0
"""Repositories in sandboxes: over file:// inside, and from a git server of this file with passwords."""
import base64
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import urllib.parse

import pytest
from conftest import PROGRAMS, end_server, start_server
from waiting import PATIENCE

BACKEND = "/usr/lib/git-core/git-http-backend"
TOKEN = "tok-3n-that-nobody-may-see"

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="there is no git")


def git(directory, *words):
    return subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", *words],
                          cwd=directory, check=True, capture_output=True, text=True).stdout


def make_repository(directory):
    (directory / ".openhands" / "microagents" / "knowledge").mkdir(parents=True)
    (directory / ".openhands" / "setup.sh").write_text("export FROM_SETUP=yes\necho set up in $PWD\n")
    (directory / ".openhands" / "pre-commit.sh").write_text("#!/bin/sh\ntest ! -e bad\n")
    (directory / ".openhands" / "microagents" / "repo.md").write_text("Be brief.\n")
    (directory / ".openhands" / "microagents" / "knowledge" / "k.md").write_text(
        "---\nname: k\ntriggers:\n- kitten\n- \"true\"\nversion: 1.0.0\n---\nAbout kittens.\n")
    (directory / ".openhands" / "microagents" / "task.md").write_text(
        "---\ninputs:\n  - name: pr\n    description: which one\n---\nDo it.\n")
    (directory / "a.txt").write_text("one\ntwo\n")
    (directory / "with space.txt").write_text("s\n")
    (directory / "gone.txt").write_text("g\n")
    git(directory, "init", "-q")
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", "first")
    git(directory, "checkout", "-q", "-b", "feature")
    git(directory, "checkout", "-q", "main")


class GitServer:
    """git-http-backend behind basic authentication; keeps what it was shown."""

    def __init__(self, root):
        self.shown = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                header = self.headers.get("Authorization", "")
                shown = base64.b64decode(header[6:]).decode() if header.startswith("Basic ") else None
                outer.shown.append(shown)
                if not shown or shown.split(":", 1)[1] != TOKEN:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.end_headers()
                    return
                path, _, query = self.path.partition("?")
                size = int(self.headers.get("Content-Length") or 0)
                env = {"GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": urllib.parse.unquote(path),
                       "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "u",
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""), "PATH": os.environ["PATH"],
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "CONTENT_LENGTH": str(size)}
                done = subprocess.run([BACKEND], env=env, input=self.rfile.read(size), capture_output=True, check=True)
                head, _, body = done.stdout.partition(b"\r\n\r\n")
                headers = [line.split(": ", 1) for line in head.decode().split("\r\n")]
                status = next((v for k, v in headers if k == "Status"), "200")
                self.send_response(int(status.split()[0]))
                for name, value in headers:
                    if name != "Status":
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    root = tmp_path_factory.mktemp("remote")
    make_repository(root / "work" if (root / "work").mkdir() is None else None)
    git(root, "clone", "-q", "--bare", str(root / "work"), str(root / "project.git"))
    git(root / "project.git", "config", "http.receivepack", "true")
    with contextlib.closing(GitServer(root)) as server:
        server.root = root
        yield server


@pytest.fixture(scope="module")
def cloned(server, remote):
    """A sandbox on the host's network whose workspace was cloned with a token."""
    box = server.create(network="host", repo={"url": f"{remote.host}/project.git", "token": TOKEN})
    assert box.output("cd project 2>/dev/null; pwd") == "/workspace/project\n"
    return box


def fresh(server, remote, **more):
    return server.create(network="host", repo={"url": f"{remote.host}/project.git", "token": TOKEN, "setup": False, **more})


def changes(box, directory="project"):
    reply = box.request("GET", f"/git/changes?directory={directory}")
    assert reply.status == 200, reply.body
    return [(c["status"], c["path"]) for c in reply.json]


# Cloning, and who sees the token.

def test_a_clone_is_there_with_its_plain_url(server, remote, cloned):
    assert f"x-access-token:{TOKEN}" in remote.shown
    assert cloned.output("git remote -v").split()[1] == f"{remote.host}/project.git"
    assert cloned.output("git config --global user.name") == "openhands\n"


def test_a_token_is_in_no_file_variable_event_or_log(server, cloned):
    found = cloned.run(f"grep -rl {TOKEN[:8]} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr 2>/dev/null | grep -v /history")
    assert not [line for line in found["output"].split("\n") if line.startswith(("/workspace", "/home", "/root", "/etc", "/tmp"))]
    assert TOKEN not in cloned.output("env; git config --list; cat ~/.git-credentials 2>/dev/null; ps -ef")
    events = [e for e in cloned.events() if "grep -rl" not in json.dumps(e)]
    assert TOKEN not in json.dumps(events) and any(e["data"].get("service") == "git_clone" for e in events)
    assert TOKEN not in json.dumps(cloned.get()) and TOKEN not in server.log_text()
    for path in pathlib.Path(server.state).iterdir():
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path


def test_a_token_in_the_url_is_taken_out_of_it(server, remote):
    url = remote.host.replace("http://", f"http://me:{TOKEN}@") + "/project.git"
    box = server.create(network="host", repo={"url": url, "directory": "deep/er", "setup": False})
    assert f"me:{TOKEN}" in remote.shown
    assert box.output("git -C deep/er remote get-url origin") == f"{remote.host}/project.git\n"
    assert TOKEN not in json.dumps(box.events())


def test_a_token_goes_to_its_own_host_alone(server, remote, tmp_path):
    """A remote that the agent has turned elsewhere gets nothing."""
    box = fresh(server, remote)
    with contextlib.closing(GitServer(remote.root)) as other:
        box.run(f"git -C project remote set-url origin {other.host}/project.git")
        reply = box.request("POST", "/git/push", {"directory": "project", "host": remote.host, "token": TOKEN})
        assert reply.status == 409
        assert set(other.shown) == {None}


def test_without_the_right_token_there_is_no_clone_and_no_sandbox(server, remote):
    for token in ("", "wrong"):
        repo = {"url": f"{remote.host}/project.git", **({"token": token} if token else {})}
        reply = server.request("POST", "/v1/sandboxes", {"name": "never", "network": "host", "repo": repo})
        assert (reply.status, reply.code) == (409, "conflict"), reply.body
    assert server.request("GET", "/v1/sandboxes/never").status == 404


@pytest.mark.parametrize("repo, words", [
    ({"url": "--upload-pack=x"}, "is no URL"),
    ({"url": "file:///x", "token": "t"}, "wants an https"),
    ({"url": "https://x/y", "token": "a\nb"}, "one line"),
    ({"urll": "x"}, "unknown field 'urll'"),
    ({}, "'url' is missing"),
])
def test_a_wrong_wish_for_a_repository_is_named(server, repo, words):
    reply = server.request("POST", "/v1/sandboxes", {"repo": repo})
    assert reply.code == "invalid_argument" and words in reply.json["error"]["message"]


def test_what_stands_in_a_url_or_branch_is_never_run(server):
    box = server.create()
    for body in ({"url": "https://x.invalid/$(touch /tmp/ran)"}, {"url": "https://x.invalid/a", "directory": "';touch /tmp/ran;'"},
                 {"url": "ext::sh -c touch% /tmp/ran"}):
        assert box.request("POST", "/git/clone", body).status >= 400
    box.request("POST", "/git/init", {})
    assert box.request("POST", "/git/branch", {"branch": "a$(touch /tmp/ran)", "create": True}).status in (200, 409)
    assert box.run("test -e /tmp/ran")["exit_code"] == 1


# Branches, and what the repository brings.

def test_a_branch_is_checked_out_or_made(server, remote):
    there = fresh(server, remote, branch="feature")
    assert there.output("git -C project branch --show-current") == "feature\n"
    made = fresh(server, remote, branch="brand-new")
    assert made.output("git -C project branch --show-current") == "brand-new\n"
    reply = made.request("POST", "/git/branch", {"directory": "project", "branch": "more", "create": True})
    assert reply.json == {"branch": "more", "branches": ["brand-new", "main", "more"]}


def test_setup_runs_in_the_main_session_and_its_variables_stay(cloned):
    assert cloned.output("echo $FROM_SETUP") == "yes\n"
    reply = cloned.request("POST", "/setup", {"directory": "project"})
    assert reply.json["setup"]["exit_code"] == 0 and "set up in /workspace/project" in reply.json["setup"]["output"]
    assert reply.json["hook"]["hook"] == "installed"


def test_the_hook_checks_and_keeps_the_one_that_was_there(server, remote):
    box = fresh(server, remote)
    box.run("cd project; printf '#!/bin/sh\\ntouch /tmp/old-hook\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit")
    for _ in range(2):
        assert box.request("POST", "/git/hook", {"directory": "project"}).json == {
            "hook": "installed", "has_setup": True, "directory": "/workspace/project"}
    assert box.run("touch bad; git add bad; git commit -m x")["exit_code"] != 0
    assert box.run("git rm -qf --cached bad; rm bad; touch ok; git add ok; git commit -qm x; test -e /tmp/old-hook")["exit_code"] == 0


def test_microagents_are_read_with_their_front_matter(cloned):
    agents = {a["name"]: a for a in cloned.request("GET", "/microagents?directory=project").json}
    assert agents["repo"] == {"name": "repo", "source": "repo.md", "type": "repo", "triggers": [], "content": "Be brief."}
    assert agents["knowledge/k"]["type"] == "knowledge" and agents["knowledge/k"]["triggers"] == ["kitten", "true"]
    assert agents["task"]["type"] == "task" and agents["task"]["triggers"] == ["/task"]
    assert agents["task"]["inputs"] == [{"name": "pr", "description": "which one"}]


def test_a_microagent_that_cannot_be_read_says_why_and_the_others_are_there(server, remote):
    box = fresh(server, remote)
    box.run("cd project/.openhands/microagents; printf -- '---\\na: [\\n---\\nx' > broken.md; printf -- '---\\na: &x 1\\n---\\nx' > anchor.md")
    agents = {a["name"]: a for a in box.request("GET", "/microagents?directory=project").json}
    assert "line 2" in agents["broken"]["error"] and "anchors" in agents["anchor"]["error"]
    assert "error" not in agents["repo"]


# Changes and diffs.

def test_changes_are_all_kinds_sorted(server, remote):
    box = fresh(server, remote)
    assert changes(box) == []
    box.run("cd project; echo three >> a.txt; rm gone.txt; echo n > 'new file.txt'; git mv 'with space.txt' renamed.txt; "
            "mkdir sub; cd sub; git init -q; echo z > z.txt")
    assert changes(box) == [("M", "a.txt"), ("D", "gone.txt"), ("A", "new file.txt"), ("A", "renamed.txt"),
                            ("A", "sub/z.txt"), ("D", "with space.txt")]
    box.run("cd /workspace/project; git add -A . 2>/dev/null; git -c core.hooksPath=/dev/null commit -qm x")
    assert ("M", "a.txt") in changes(box), "what was committed and not pushed still counts"


def test_a_diff_is_the_file_then_and_now(server, remote):
    box = fresh(server, remote)
    box.run("cd project; printf 'one\\nTWO\\n' > a.txt; echo n > 'new file.txt'; rm gone.txt")

    def diff(path):
        return box.request("GET", f"/git/diff?directory=project&path={urllib.parse.quote(path)}")

    assert diff("a.txt").json == {"modified": "one\nTWO", "original": "one\ntwo\n"}
    assert diff("new file.txt").json == {"modified": "n", "original": ""}
    assert diff("gone.txt").json == {"modified": "", "original": "g\n"}
    box.run("head -c 1100000 /dev/zero | tr '\\0' x > big.txt")
    assert diff("big.txt").code == "too_large"


def test_where_there_is_no_repository_that_is_said(server):
    box = server.create()
    for path in ("/git/changes", "/git/diff?path=x", "/git/changes?directory=nowhere"):
        reply = box.request("GET", path)
        assert (reply.status, reply.code) == (404, "not_found"), reply.body


def test_what_was_committed_is_pushed_and_pulled(server, remote):
    box = fresh(server, remote, branch="pushed")
    box.run("cd project; echo p > p.txt; git add p.txt; git commit -qm p")
    sync = {"directory": "project", "host": remote.host, "token": TOKEN}
    reply = box.request("POST", "/git/push", sync)
    assert reply.status == 200, reply.body
    assert "p.txt" in git(remote.root / "project.git", "ls-tree", "--name-only", "pushed")
    other = fresh(server, remote, branch="pushed")
    box.run("echo q > q.txt; git add q.txt; git commit -qm q")
    assert box.request("POST", "/git/push", sync).status == 200
    assert other.request("POST", "/git/pull", sync).status == 200
    assert other.output("cat project/q.txt") == "q\n"


def test_a_client_that_goes_away_takes_its_clone_along(server):
    box = server.create(network="host")
    connection = server.connection()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"  # connects, and is never answered
        connection.request("POST", f"{box.path}/git/clone", json.dumps({"url": url}), server.headers("", None))
        stream = server.events("GET", f"{box.path}/events?follow=1")
        with contextlib.closing(stream):
            for _, _, event in stream:
                if event["data"].get("service") == "git_clone" and event["kind"] == "action":
                    connection.close()
                elif event["data"].get("service") == "git_clone":
                    assert event["data"]["error"]["code"] == "cancelled"
                    break
        # The kill is on its way: wait until nothing of git is left.
        gone = box.run("while pgrep git >/dev/null; do read -t 0.01 <> <(:); done; echo gone", timeout_ms=15000)
        assert (gone["status"], gone["output"]) == ("exited", "gone\n")


# The command line.

def test_the_command_line_does_all_of_it(server, remote):
    env = {"CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token, "PATH": "/usr/bin:/bin", "MY_TOKEN": TOKEN}

    def cay(*words, ok=True):
        done = subprocess.run([PROGRAMS / "cay", *words], env=env, capture_output=True, text=True, timeout=PATIENCE)
        assert (done.returncode == 0) == ok, done.stderr
        return done

    box = cay("create", "--network", "host", "--repo", f"{remote.host}/project.git", "--branch", "by-hand", "--git-token",
              "MY_TOKEN", "--secret", "MY_TOKEN").stdout.strip()
    assert cay("git", box, "branch", "-C", "project").stdout == "by-hand\n"
    cay("exec", box, "--", "sh", "-c", "echo x > project/x; cd project; git add x; git commit -qm x; echo y > y")
    assert cay("git", box, "changes", "-C", "project").stdout == "A x\nA y\n"
    cay("git", box, "push", "-C", "project", "--host", remote.host, "--git-token", "MY_TOKEN")
    assert cay("git", box, "changes", "-C", "project").stdout == "A y\n"
    assert cay("exec", box, "--", "printenv", "MY_TOKEN").stdout == "<secret_hidden>\n"
    assert "none of branch" in cay("git", box, "bisect", ok=False).stderr
    assert "does not go with" in cay("git", box, "changes", "--force", ok=False).stderr
    cay("rm", box)


# Environment.

def test_variables_reach_what_runs_and_what_will_run(server):
    box = server.create()
    box.run("true")
    reply = box.request("POST", "/env", {"env": {"A": "it's $HOME `x`"}, "secrets": {"B": "very-hidden"}})
    assert reply.json == {"names": ["A", "B"], "session": "updated"}
    assert box.output('echo "$A/$B"') == "it's $HOME `x`/<secret_hidden>\n"
    assert box.output('echo "$A"', session="other") == "it's $HOME `x`\n"
    assert "very-hidden" not in json.dumps(box.events())
    assert box.request("POST", "/env", {"env": {"A": ""}}).status == 200
    assert box.output('echo "<$A>"') == "<>\n"
    assert box.request("POST", "/env", {"env": {"A;x": "1"}}).code == "invalid_argument"


def test_a_server_may_have_a_standard_for_git(remote):
    server = start_server("--pool", "0", settings={"git": {"name": "me", "email": "me@x", "init": True}})
    try:
        box = server.create()
        assert box.output("git config user.name; git rev-parse --is-inside-work-tree") == "me\ntrue\n"
    finally:
        end_server(server)
