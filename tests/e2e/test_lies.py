# SPDX-License-Identifier: Apache-2.0
"""
An executor lives next to what it guards against, so the server believes nothing it says. Here it lies (liar/): results with other values
and without, events that are none, frames twice, cut or of another kind. Whoever asks is answered or cut off; the server and the other
sandboxes never notice.
"""
import contextlib
import http.client
import itertools
import json
import select

import conftest
import pytest
from lies import FILE, IS_LONG, SEEDS, SIZES, SOME_WAYS, ask, each_value_is_told, honest, liars, lie, request, server, the_server_stays  # noqa: F401: fixtures
from processes import memory_kib
from waiting import wait_until


def questions(box):
    """Of each face some: method, path, body."""
    rest, openhands, daytona = box.path, f"/openhands/{box.id}", f"/daytona/toolbox/{box.id}"
    actions = {
        "run": {"command": "echo one; cd /tmp; false"}, "exec": {"argv": ["sh", "-c", "echo out; echo err >&2"]},
        "write": {"path": "/tmp/f", "content": "text\n"}, "read": {"path": "/tmp/f"}, "list": {"path": "/tmp"},
        "stat": {"path": "/tmp/f"}, "glob": {"path": "/tmp", "pattern": "*"}, "grep": {"path": "/tmp", "pattern": "t"},
        "edit": {"command": "str_replace", "path": "/tmp/f", "old_str": "text", "new_str": "words"}, "process_list": {},
        "session_list": {}, "info": {},
    }
    for name, params in actions.items():
        yield "POST", f"{rest}/actions/{name}", params
    yield "GET", f"{rest}/files?path=/etc/passwd", None
    yield "GET", f"{rest}/files?path=/etc/passwd&format=tar", None
    yield "PUT", f"{rest}/files?path=/tmp/g", b"bytes"
    yield "GET", f"{rest}/stats", None
    yield "GET", rest, None
    for action, args in (("run", {"command": "echo one; pwd"}), ("read", {"path": "/etc/passwd"}), ("write", {"path": "/tmp/h", "content": "x"}),
                         ("edit", {"path": "/tmp/h", "command": "view"}), ("run_ipython", {"code": "print(1)"})):
        yield "POST", f"{openhands}/execute_action", {"action": {"action": action, "args": args, "timeout": 5}}
    yield "POST", f"{openhands}/list_files", {"path": "/tmp"}
    yield "POST", f"{openhands}/upload_file?destination=/tmp", FILE
    yield "GET", f"{openhands}/download_files?path=/tmp", None
    yield "POST", f"{daytona}/process/execute", {"command": "echo one"}
    yield "GET", f"{daytona}/files?path=/tmp", None
    yield "GET", f"{daytona}/files/info?path=/tmp/f", None
    yield "GET", f"{daytona}/files/download?path=/tmp/f", None
    yield "GET", f"{daytona}/files/find?path=/tmp&pattern=t", None
    yield "POST", f"{daytona}/process/session", {"sessionId": "s"}
    yield "POST", f"{daytona}/process/session/s/exec", {"command": "echo one"}


METADATA = (b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"path": "/tmp/g", "mode": 644}\r\n' + FILE)


def younger_questions(box):
    """The same of OpenSandbox's face, and of OpenHands' version 1."""
    execd, openhands = f"/opensandbox/sandboxes/{box.id}/proxy/44772", f"/{box.id}/api"
    yield "POST", f"{execd}/command", {"command": "echo one; echo two >&2; false"}
    yield "POST", f"{execd}/command", {"command": "echo one", "background": True}
    yield "GET", f"{execd}/files/info?path=/etc/passwd&path=/tmp", None
    yield "GET", f"{execd}/files/download?path=/etc/passwd", None
    yield "GET", f"{execd}/files/search?path=/etc&pattern=*.conf", None
    yield "GET", f"{execd}/directories/list?path=/etc", None
    yield "POST", f"{execd}/files/upload", METADATA
    yield "POST", f"{execd}/files/permissions", {"/tmp/f": {"mode": 600, "owner": "root"}}
    yield "POST", f"{execd}/files/replace?verbose=true", {"/tmp/f": {"old": "text", "new": "words"}}
    yield "POST", f"{execd}/files/mv", [{"src": "/tmp/f", "dest": "/tmp/e"}]
    yield "POST", f"{execd}/session", {"cwd": "/tmp"}
    yield "POST", f"{execd}/code", {"code": "1 + 1", "context": {"language": "python"}}
    yield "GET", f"{execd}/code/contexts", None
    yield "DELETE", f"{execd}/code/contexts?language=python", None
    yield "POST", f"{execd}/pty", {}
    yield "GET", f"{execd}/metrics", None
    yield "POST", f"{openhands}/bash/execute_bash_command", {"command": "echo one; seq 100"}
    yield "POST", f"{openhands}/bash/start_bash_command", {"command": "echo one"}
    yield "GET", f"{openhands}/bash/bash_events/search", None
    yield "GET", f"{openhands}/bash/bash_events/search?sort_order=TIMESTAMP_DESC&limit=3", None
    yield "POST", f"{openhands}/file/upload?path=/tmp/f", FILE
    yield "GET", f"{openhands}/file/download?path=/etc/passwd", None
    yield "GET", f"{openhands}/file/home", None
    yield "GET", f"{openhands}/file/search_subdirs?path=/etc", None
    yield "GET", f"{openhands}/git/changes?path=/tmp", None
    yield "DELETE", f"{openhands}/bash/bash_events", None


def create_younger(server):
    reply = server.request("POST", "/opensandbox/v1/sandboxes", {"image": {"uri": "opensandbox/code-interpreter"}, "entrypoint": ["tail", "-f", "/dev/null"]})
    assert reply.status == 202, reply.body
    box = conftest.Sandbox(server, {"id": reply.json["id"]})
    assert box.put_file("/tmp/f", b"text\n").status == 200
    return box


def test_every_question_is_one_that_an_honest_executor_answers(server, honest):
    for method, path, body in questions(honest):
        reply = request(server, method, path, body)
        assert reply.status < 300, (path, body, reply.body)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_an_executor_says_the_server_stays(server, honest, seed):
    the_server_stays(server, honest, server.create, questions, seed)


def test_every_younger_question_is_one_that_an_honest_executor_answers(server):
    box = create_younger(server)
    for method, path, body in younger_questions(box):
        reply = request(server, method, path, body)
        assert reply.status < 300, (path, body, reply.body)
    box.delete()


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_an_executor_says_to_the_younger_faces_the_server_stays(server, honest, seed):
    def often(box):
        for question in younger_questions(box):
            yield from [question] * (1 if "/code" in question[1] else 40 if "/files/download" in question[1] else 2)

    the_server_stays(server, honest, lambda: create_younger(server), often, seed)


@pytest.mark.parametrize("make, questions_of", ((lambda server: server.create(), questions), (create_younger, younger_questions)), ids=("", "younger"))
@pytest.mark.parametrize("way", SOME_WAYS)
def test_no_value_of_an_executor_is_needed(server, honest, make, questions_of, way):
    each_value_is_told(server, honest, make, questions_of, way)


@pytest.mark.parametrize("way", SIZES if IS_LONG else (39,))
def test_values_of_a_size_that_none_has_end_nobody(server, honest, way):
    each_value_is_told(server, honest, lambda server: server.create(), lambda box: itertools.islice(questions(box), 12), way, 8 if IS_LONG else 1)


def state_of(server):
    """All names of its state that are nobody's while there is no image."""
    return {str(path.relative_to(server.state)) for path in server.state.glob("*")} | {
        str(path.relative_to(server.state)) for path in server.state.glob("images/*")} | {
        path.name for path in server.state.glob("images/layers/*") if not path.name.startswith("fresh-")}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_liar_gives_for_a_layer_stays_in_it(server, honest, seed):
    pid, before = server.server_pid(), state_of(server)
    box = server.create()
    assert box.run("for i in $(seq 40); do mkdir -p d$i; echo $i > d$i/f; ln d$i/f d$i/g; ln -s f d$i/s; done; truncate -s 9M d1/s; "
                   "echo x >> d1/s")["exit_code"] == 0
    lie(box, seed + 1, 60)
    refused = 0
    for _ in range(12):
        try:
            reply = server.request("POST", f"{box.path}/snapshot", {}, timeout=3)
        except (http.client.HTTPException, OSError):
            continue  # the answer was left out, and nobody waits for it any more
        refused += reply.status != 201
        if reply.status == 201:
            assert server.request("DELETE", f"/v1/images/{reply.json['id']}").status < 300
    assert refused, "no lie was told"
    assert server.server_pid() == pid, server.log_text()[-500:]
    assert honest.output("echo honest") == "honest\n"
    box.delete()
    wait_until(lambda: state_of(server) == before, "something is left")


def test_what_a_liar_has_looked_at_is_small(server):
    """It is kept while the snapshot is taken: neither its parts nor their owners are millions."""
    box = server.create()
    lie(box, "each", 40)
    replies = list(itertools.takewhile(lambda reply: reply.status != 201, (box.request("POST", "/snapshot", {}) for _ in range(8))))
    assert len([reply for reply in replies if "values" in reply.json["error"]["message"]]) == 2, [reply.body for reply in replies]
    box.delete()


def test_a_download_that_is_longer_than_it_said_is_cut_off(server):
    """More than was announced would be the next answer to whoever reads it."""
    pid = server.server_pid()
    box = server.create()
    lie(box, 7, 2)
    cut = sum(ask(server, "GET", f"{box.path}/files?path=/etc/passwd", None) is None for _ in range(40))
    assert cut and server.server_pid() == pid, server.log_text()[-500:]
    box.delete()


def test_what_an_executor_leaves_unfinished_is_bounded(server, honest):
    pid, before = server.server_pid(), memory_kib(server.server_pid())
    box = server.create()
    lie(box, "unfinished")
    with contextlib.ExitStack() as stack:
        asked = []
        for _ in range(60):
            connection = stack.enter_context(contextlib.closing(server.connection()))
            connection.request("POST", f"{box.path}/actions/info", "{}", {"Authorization": f"Bearer {server.token}"})
            asked.append(connection)
        # 16 MiB each: some are told that it is enough, the others wait.
        told = [c for c in asked if select.select([c.sock], [], [], 5 if c is asked[0] else 0.1)[0]]
        answers = [json.load(c.getresponse()) for c in told]
        assert answers and all(answer["error"]["code"] == "limit_reached" for answer in answers), answers[:3]
        assert memory_kib(pid) - before < 480 * 1024, "half of it"
        assert honest.output("echo honest") == "honest\n"
    box.delete()
    assert server.server_pid() == pid


def test_events_of_a_liar_are_whole(server):
    """What is kept of it is JSON, and is told again."""
    box = server.create()
    lie(box, 3, 1)
    for _ in range(20):
        ask(server, "POST", f"{box.path}/actions/run", {"command": "echo one"})
    assert all(isinstance(event["data"], dict) for event in box.events())
    box.delete()
