# SPDX-License-Identifier: Apache-2.0
"""
Servers that cayd talks to are somebody else's, and lie (lying.py): another cay server, an OpenHands deployment, an OpenHands action server, a Daytona service, an
engine, a model that judges, an MCP server over HTTP. Whoever asks cayd meanwhile is told in words what went wrong; cayd neither ends nor waits for ever, keeps no descriptor and no
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
import test_tools_mcp_http
from conftest import Sandbox, end_server, gateway, start_server
from lying import EACH, Elsewhere, Liar
from waiting import wait_until

IS_LONG = "SCALE" in os.environ
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
    use(server, path)
    ask(server, "DELETE", path)


def use(server, path):
    for action, params in ACTIONS:
        ask(server, "POST", f"{path}/actions/{action}", params)
    ask(server, "PUT", f"{path}/files?path=up.bin", bytes(range(256)) * 64)
    ask(server, "GET", f"{path}/files?path=up.bin")
    ask(server, "GET", f"{path}/files?path=a&format=tar")
    ask(server, "GET", f"{path}/stats")
    for verb in ("pause", "resume"):
        ask(server, "POST", f"{path}/{verb}")
    ask(server, "POST", f"{path}/actions/run", {"command": "echo again", "timeout_ms": 1500})


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


class Made:
    """Sandboxes that are made and removed."""

    def __init__(self, wishes):
        self.wishes = wishes

    def work(self, server):
        work(server, self.wishes)

    def honest_work(self, server):
        honest_work(server, self.wishes)

    def clean(self, server):
        return remove_all(server)


class Given:
    """The one that is there, and goes on."""

    PATH = "/v1/sandboxes/default"

    def work(self, server):
        use(server, self.PATH)

    def honest_work(self, server):
        reply = server.request("POST", f"{self.PATH}/actions/run", {"command": "echo well", "timeout_ms": 5000})
        assert reply.status == 200 and reply.json["output"].strip() == "well", reply.body

    def clean(self, server):
        return sandboxes(server) == ["default"] or server.request("GET", self.PATH).status == 200


class Tools(Made):
    """Tools of a sandbox that are somebody else's."""

    def __init__(self, liar, key):
        super().__init__({})
        self.wish = {"name": "far", "mcp": {"url": f"{liar.url}/mcp"}, "headers": {"X-Key": key}}

    def work(self, server):
        box = server.create()
        for _ in range(8):
            ask(server, "POST", f"{box.path}/tools", self.wish)
            ask(server, "POST", f"{box.path}/actions/tool_list", {})
            for tool in ("count", "notes", "fail", "lose", "count"):
                ask(server, "POST", f"{box.path}/actions/tool_call", {"tool": tool, "kwargs": {"by": 1}, "timeout_ms": 1500})
            ask(server, "POST", f"{box.path}/actions/tool_remove", {"name": "far"})
        box.delete()

    def honest_work(self, server):
        box = server.create()
        reply = box.request("POST", "/tools", self.wish)
        assert reply.status == 200 and "count" in reply.json["tools"], reply.body
        assert test_tools_mcp_http.value(box, "count", by=0).isdigit()
        box.delete()


def works_again(server, way):
    """Bytes of a lie may wait in a kept connection: who finds them is told, and the next one has another connection."""
    with contextlib.suppress(AssertionError):
        way.honest_work(server)
        return True
    way.clean(server)
    return False


def lied_to(server, liar, elsewhere, key, way, seed):
    """One round, and that nothing of it is left."""
    way.honest_work(server)
    pid = server.server_pid()
    before = len(processes.descriptors(pid))
    liar.lie(seed, SHARE)
    way.work(server)
    told = liar.lie(0, 0)
    try:
        wait_until(lambda: way.clean(server), "a sandbox that nobody can remove")
        wait_until(lambda: works_again(server, way), "honest, and not believed")
        assert server.server_pid() == pid, "cayd has ended"
        wait_until(lambda: len(processes.descriptors(pid)) <= before + 4, "descriptors are left")
        shown = [visit for visit in elsewhere.visits if key in json.dumps(visit)]
        assert not shown, f"a key was shown elsewhere: {shown[:1]}"
    except BaseException:
        print(f"seed {seed}: {told}\n{server.log_text()[-3000:]}")
        raise


@contextlib.contextmanager
def far_with_liar(scheme, path, variable, name=None):
    far = start_server()
    try:
        if name:
            far.create(name=name)
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
    lied_to(*deployment, Made({}), seed)


@pytest.fixture(scope="module")
def action_server():
    with far_with_liar("action+", "/openhands/bare", "SESSION_API_KEY", name="bare") as all_of_it:
        yield all_of_it


@pytest.mark.parametrize("seed", SEEDS)
def test_an_action_server_lies(action_server, seed):
    lied_to(*action_server, Given(), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_another_cay_server_lies(peer, seed):
    lied_to(*peer, Made({}), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_daytona_service_lies(service, seed):
    lied_to(*service, Made({}), seed)


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
    lied_to(*engine, Made({"image": test_engine.IMAGE, "mounts": [test_engine.TOOLS]}), seed)


@pytest.fixture(scope="module")
def judged():
    with contextlib.closing(test_guard.Model()) as model, Elsewhere() as elsewhere, \
            Liar(("127.0.0.1", model.server.server_port), elsewhere) as liar, \
            test_guard.serving(llm_url=f"{liar.url}/v1", llm_key="sk-secret", llm_timeout_ms=1000, llm_retries=1) as server:
        model.answers = [test_guard.scores(1)]
        yield server, liar, elsewhere, "sk-secret"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_model_that_judges_lies(judged, seed):
    lied_to(*judged, Made({"guard": {"mode": "llm"}}), seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["json", "stream", "sse"])
def test_an_mcp_server_lies(server, kind, seed):
    with test_tools_mcp_http.mcp_server(kind) as far, Elsewhere() as elsewhere, Liar(far.server_address, elsewhere) as liar:
        lied_to(server, liar, elsewhere, far.key, Tools(liar, far.key), seed)


def each_is_told(server, liar, elsewhere, key, way, value, lives):
    """Each value of each answer is that once: of what is made one in a life, then one in each answer to what is asked of it."""
    pid = server.server_pid()
    for _ in range(lives):
        liar.lie_of_each(value, 1)
        made = ask(server, "POST", "/v1/sandboxes", way.wishes) if isinstance(way, Made) else None
        path = way.PATH if made is None and not isinstance(way, Made) else made and made.status == 201 and f"/v1/sandboxes/{made.json['id']}"
        liar.lie_of_each(value, 1000)
        if path:
            use(server, path)
        told = liar.lie(0, 0)
        liar.lie_of_each(value, 0)
        assert server.server_pid() == pid, (told, server.log_text()[-3000:])
        wait_until(lambda: way.clean(server), "a sandbox that nobody can remove")
    wait_until(lambda: works_again(server, way), "honest, and not believed")
    assert server.server_pid() == pid, "cayd has ended"
    assert not [visit for visit in elsewhere.visits if key in json.dumps(visit)], "a key was shown elsewhere"


FAR = {"deployment": Made({}), "action_server": Given(), "peer": Made({}), "service": Made({}),
       "engine": Made({"image": test_engine.IMAGE, "mounts": [test_engine.TOOLS]})}


@pytest.mark.parametrize("value", EACH if IS_LONG else EACH[:1], ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("far", FAR)
def test_no_value_of_a_far_side_is_needed(request, far, value):
    each_is_told(*request.getfixturevalue(far), FAR[far], value, 40 if IS_LONG else 2)
