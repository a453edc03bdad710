# SPDX-License-Identifier: Apache-2.0
"""
Servers that cayd talks to are somebody else's, and lie (lying.py): another cay server, an OpenHands deployment, a Daytona service, an engine, a model that
judges. Whoever asks cayd meanwhile is told in words what went wrong; cayd neither ends nor waits for ever, keeps no descriptor and no
sandbox that nobody can remove, and works as before once they are honest again. No key goes where a redirect leads.

SCALE is how many rounds; each prints its seed when it fails.
"""
import contextlib
import http.client
import json
import os
import socket
import unicodedata

import processes
import pytest
import test_engine
import test_guard
from conftest import Sandbox, end_server, gateway, start_server
from lying import Elsewhere, Liar
from waiting import wait_until

SEEDS = range(int(os.environ.get("SCALE", "1")) * 2)
SOON = 6  # seconds; who has no answer by then goes away
SHARE = 0.35  # of the answers that are lies
ACTIONS = [
    ("run", {"command": "echo hi", "timeout_ms": 1500}),
    ("exec", {"argv": ["sh", "-c", "echo out; echo err >&2; exit 3"], "capture": True, "timeout_ms": 1500}),
    ("write", {"path": "a/b.txt", "content": "one\ntwo\n"}),
    ("read", {"path": "a/b.txt"}),
    ("edit", {"command": "str_replace", "path": "a/b.txt", "old_str": "one", "new_str": "three"}),
    ("list", {"path": "."}),
    ("stat", {"path": "a/b.txt"}),
    ("grep", {"pattern": "t", "path": "."}),
    ("glob", {"pattern": "**/*.txt"}),
    ("process_list", {}),
    ("run", {"command": "cat a/b.txt; pwd", "timeout_ms": 1500}),
]


def check(reply):
    """An answer, or an error that people can read."""
    if reply.status < 400:
        return
    assert reply.code, reply.body
    message = reply.json["error"]["message"]
    assert reply.code != "invalid_argument" or "not JSON" not in message, f"that was not whoever asked: {message}"
    assert len(message) < 400 and not [c for c in message if unicodedata.category(c) == "Cc" and c not in "\n\t"], message


def ask(server, method, path, body=None, **more):
    """None: there was no answer soon, and whoever asked went away."""
    try:
        reply = server.request(method, path, body, timeout=SOON, **more)
    except (TimeoutError, socket.timeout):
        return None
    except http.client.IncompleteRead:
        return None  # a file that broke off on its way
    check(reply)
    return reply


def work(server, wishes):
    """A sandbox's life: whatever of it succeeds."""
    made = ask(server, "POST", "/v1/sandboxes", wishes)
    if not made or made.status != 201:
        return
    path = f"/v1/sandboxes/{made.json['id']}"
    for action, params in ACTIONS:
        ask(server, "POST", f"{path}/actions/{action}", params)
    ask(server, "PUT", f"{path}/files?path=up.bin", bytes(range(256)) * 64)
    ask(server, "GET", f"{path}/files?path=up.bin")
    ask(server, "GET", f"{path}/files?path=a&format=tar")
    ask(server, "GET", f"{path}/stats")
    for verb in ("pause", "resume"):
        ask(server, "POST", f"{path}/{verb}")
    ask(server, "POST", f"{path}/actions/run", {"command": "echo again", "timeout_ms": 1500})
    ask(server, "DELETE", path)


def sandboxes(server):
    return [s["id"] for s in server.request("GET", "/v1/sandboxes").json["sandboxes"]]


def remove_all(server):
    for sandbox in sandboxes(server):
        server.request("DELETE", f"/v1/sandboxes/{sandbox}")
    return not sandboxes(server)


def honest_work(server, wishes):
    reply = server.request("POST", "/v1/sandboxes", wishes)
    assert reply.status == 201, reply.body
    box = Sandbox(server, reply.json)
    assert box.output("echo well") .strip() == "well"
    box.delete()


def works_again(server, wishes):
    """Bytes of a lie may wait in a kept connection: who finds them is told, and the next one has another connection."""
    with contextlib.suppress(AssertionError):
        honest_work(server, wishes)
        return True
    remove_all(server)
    return False


def lied_to(server, liar, elsewhere, key, wishes, seed):
    """One round, and that nothing of it is left."""
    honest_work(server, wishes)
    pid = server.server_pid()
    before = len(processes.descriptors(pid))
    liar.lie(seed, SHARE)
    work(server, wishes)
    told = liar.lie(0, 0)
    try:
        wait_until(lambda: remove_all(server), "a sandbox that nobody can remove")
        wait_until(lambda: works_again(server, wishes), "honest, and not believed")
        assert server.server_pid() == pid, "cayd has ended"
        wait_until(lambda: len(processes.descriptors(pid)) <= before + 4, "descriptors are left")
        shown = [visit for visit in elsewhere.visits if key in json.dumps(visit)]
        assert not shown, f"a key was shown elsewhere: {shown[:1]}"
    except BaseException:
        print(f"seed {seed}: {told}\n{server.log_text()[-3000:]}")
        raise


@contextlib.contextmanager
def far_with_liar(scheme, path, variable):
    far = start_server()
    try:
        with Elsewhere() as elsewhere, Liar(("127.0.0.1", far.port), elsewhere) as liar, \
                gateway(f"{scheme}{liar.url}{path}", **{variable: far.token}) as near:
            yield near, liar, elsewhere, far.token
    finally:
        end_server(far)


@pytest.fixture(scope="module")
def deployment():
    with far_with_liar("openhands+", "", "SANDBOX_API_KEY") as all_of_it:
        yield all_of_it


@pytest.fixture(scope="module")
def peer():
    with far_with_liar("", "", "CAY_REMOTE_TOKEN") as all_of_it:
        yield all_of_it


@pytest.fixture(scope="module")
def service():
    with far_with_liar("daytona+", "/daytona/api", "DAYTONA_API_KEY") as all_of_it:
        yield all_of_it


@pytest.mark.parametrize("seed", SEEDS)
def test_an_openhands_deployment_lies(deployment, seed):
    lied_to(*deployment, {}, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_another_cay_server_lies(peer, seed):
    lied_to(*peer, {}, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_daytona_service_lies(service, seed):
    lied_to(*service, {}, seed)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """An engine whose sandboxes are its containers. What their executors say has its own test (test_lies.py)."""
    ours = test_engine.start_engine("cay")
    directory = tmp_path_factory.mktemp("engine")
    for parent in (directory, *directory.parents[:2]):
        parent.chmod(0o755)
    try:
        with Elsewhere() as elsewhere, Liar(ours.socket, elsewhere, directory / "s") as liar:
            server = start_server("--backend", f"docker={directory}/s")
            try:
                yield server, liar, elsewhere, "no key"
            finally:
                end_server(server)
    finally:
        ours.stop()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_engine_lies(engine, seed):
    lied_to(*engine, {"image": test_engine.IMAGE, "mounts": [test_engine.TOOLS]}, seed)


@pytest.fixture(scope="module")
def judged():
    with contextlib.closing(test_guard.Model()) as model, Elsewhere() as elsewhere, \
            Liar(("127.0.0.1", model.server.server_port), elsewhere) as liar, \
            test_guard.serving(llm_url=f"{liar.url}/v1", llm_key="sk-secret", llm_timeout_ms=1000, llm_retries=1) as server:
        model.answers = [test_guard.scores(1)]
        yield server, liar, elsewhere, "sk-secret"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_model_that_judges_lies(judged, seed):
    lied_to(*judged, {"guard": {"mode": "llm"}}, seed)
