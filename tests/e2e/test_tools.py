# SPDX-License-Identifier: Apache-2.0
"""Tools of a sandbox: packs of Python, programs and actions; what goes wrong in them; the tool server of CAMEL."""
import base64
import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import time

import pytest
from waiting import PATIENCE, wait_until

HERE = pathlib.Path(__file__).parent
KIT = '''
import asyncio, os, subprocess, sys, threading, time
import typing

class Kit:
    def __init__(self, start=0, **more):
        self.n = start

    def bump(self, by: int = 1) -> int:
        """Counts up.

        Args:
            by (int): how far
        """
        self.n += by
        return self.n

    def echo(self, value):
        return value

    def maybe(self, value: typing.Optional[int] = 5):
        return value

    def nap(self, seconds: float):
        time.sleep(seconds)
        return "slept"

    async def anap(self, seconds: float):
        await asyncio.sleep(seconds)
        return "slept"

    def spin(self):
        while True:
            pass

    def talk(self, text: str, times: int = 1):
        for _ in range(times):
            print("start", text)
            subprocess.run(["echo", "child", text])
            thread = threading.Thread(target=print, args=("thread", text))
            thread.start()
            thread.join()
            time.sleep(0.01)
        print("loud", file=sys.stderr)

    def boom(self, text: str):
        raise ValueError(text)

    def leave(self):
        sys.exit(4)

    def die(self):
        os._exit(3)

    def fork(self):
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
        return pid > 0

    def odd(self):
        return {1, 2}

    def ask(self):
        return input()

    def surrogate(self):
        return "\\ud83d"

    def flood(self):
        print("x" * (3 << 20))

    def huge(self):
        return "y" * (20 << 20)

def alone(a, b=2):
    return a * b
'''


def call(box, tool, *args, timeout_ms=0, **kwargs):
    return box.request("POST", "/actions/tool_call", {"tool": tool, "args": list(args), "kwargs": kwargs,
                                                     "timeout_ms": timeout_ms})


def value(box, tool, *args, **kwargs):
    result = call(box, tool, *args, **kwargs).json
    assert result["error"] is None, result
    return json.loads(result["output"])


def raised(box, tool, *args, **kwargs):
    result = call(box, tool, *args, **kwargs).json
    assert result["output"] is None
    return result["error"]["type"], result["error"]["message"]


@pytest.fixture(scope="module")
def kit(server):
    """A sandbox with the pack kit.Kit."""
    box = server.create()
    box.put_file("/workspace/kit.py", KIT.encode())
    box.action("tool_add", entrypoint='kit.Kit{"start": 5}')
    yield box
    box.delete()


@pytest.fixture
def fresh(server):
    box = server.create()
    box.put_file("/workspace/kit.py", KIT.encode())
    yield box
    box.delete()


def test_state_lasts_between_calls_and_null_means_the_default(fresh):
    pack = fresh.action("tool_add", entrypoint='kit.Kit{"start": 5}')
    assert pack["tools"][:2] == ["bump", "echo"]
    assert [value(fresh, "bump"), value(fresh, "bump", by=None), value(fresh, "bump", 10)] == [6, 7, 17]
    assert value(fresh, "maybe", None) is None, "here null is one of the values"


def test_a_schema_is_made_of_signature_and_docstring(kit):
    schemas = {s["function"]["name"]: s for s in kit.action("tool_list")["tools"]}
    assert schemas["bump"] == {"type": "function", "function": {
        "name": "bump", "description": "Counts up.", "strict": True,
        "parameters": {"type": "object", "required": ["by"], "additionalProperties": False,
                       "properties": {"by": {"type": ["integer", "null"], "description": "how far"}}}}}


def test_constructor_arguments_may_be_nested(fresh):
    fresh.action("tool_add", entrypoint="kit.Kit", arguments={"start": 1, "deep": {"a": {"b": [1]}}})
    assert value(fresh, "bump") == 2


def test_a_plain_function_is_a_tool(fresh):
    assert fresh.action("tool_add", entrypoint="kit.alone")["tools"] == ["alone"]
    assert value(fresh, "alone", 3) == 6


@pytest.mark.parametrize("text", ["it's", 'say "hi"', "a\nb", "a\\b", "ünï 😀", "\u0000"])
def test_arguments_arrive_as_they_were_sent(kit, text):
    assert value(kit, "echo", text) == text


def test_what_a_tool_raises_is_a_result(kit):
    assert raised(kit, "boom", 'no "way"\n\\') == ("ValueError", 'no "way"\n\\')
    assert raised(kit, "leave") == ("SystemExit", "4")
    assert raised(kit, "odd") == ("TypeError", "Object of type set is not JSON serializable")
    assert raised(kit, "bump", 1, 2) == ("TypeError", "Kit.bump() takes from 1 to 2 positional arguments but 3 were given")
    assert raised(kit, "ask")[0] == "EOFError", "there is no input that it could wait for"
    assert raised(kit, "huge")[0] == "ValueError"
    assert value(kit, "surrogate") == "\ud83d"
    assert value(kit, "fork") is True


def test_each_call_has_its_own_output(kit):
    def one(name):
        return call(kit, "talk", name, 3).json

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(one, "abcdefgh"))
    for name, result in zip("abcdefgh", results):
        assert result["stdout"] == f"start {name}\nchild {name}\nthread {name}\n" * 3
        assert result["stderr"] == "loud\n"
    flood = call(kit, "flood").json["stdout"]
    assert len(flood) < 1.1 * (1 << 20) and "characters more" in flood


def test_a_tool_that_sleeps_delays_no_other(kit):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        sleepers = [pool.submit(value, kit, name, 1.5) for name in ["nap", "anap"] * 8]
        begin = time.monotonic()
        while not all(s.done() for s in sleepers) and time.monotonic() - begin < 1:
            assert value(kit, "echo", 1) == 1
        assert [s.result() for s in sleepers] == ["slept"] * 16
    assert time.monotonic() - begin < 20, "they slept side by side"


def test_a_deadline_ends_the_call_and_not_the_state(fresh):
    fresh.action("tool_add", entrypoint="kit.Kit")
    assert value(fresh, "bump") == 1
    for tool, args in ("nap", [30]), ("anap", [30]), ("spin", []):
        reply = call(fresh, tool, *args, timeout_ms=200)
        assert (reply.status, reply.code) == (504, "timeout")
    assert value(fresh, "bump") == 2


def test_calls_that_cannot_be_ended_do_not_fill_the_pack(fresh):
    fresh.action("tool_add", entrypoint="kit.Kit")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: call(fresh, "nap", 600, timeout_ms=100).code, range(16)))
    assert replies == ["timeout"] * 16
    wait_until(lambda: fresh.action("tool_list")["packs"][0]["state"] == "stopped")
    assert value(fresh, "bump") == 1
    assert fresh.action("tool_list")["packs"][0]["starts"] == 2, "its interpreter was replaced"


def test_a_pack_that_dies_is_replaced_and_others_keep_their_state(fresh):
    fresh.action("tool_add", entrypoint='kit.Kit{"start": 5}')
    fresh.put_file("/workspace/other.py", b"n = 0\ndef count():\n    global n\n    n += 1\n    return n\n")
    fresh.action("tool_add", entrypoint="other.count")
    assert [value(fresh, "bump"), value(fresh, "count")] == [6, 1]
    reply = call(fresh, "die")
    assert (reply.status, reply.code) == (503, "unavailable")
    assert 'kit.Kit{"start": 5}' in reply.json["error"]["message"] and "status 3" in reply.json["error"]["message"]
    assert [value(fresh, "bump"), value(fresh, "count")] == [6, 2]
    fresh.action("tool_reset", pack="other.count")
    assert [value(fresh, "bump"), value(fresh, "count")] == [7, 1]


def test_a_pack_that_does_not_load_is_named_and_the_others_load(fresh):
    fresh.put_file("/workspace/broken.py", b"1 +\n")
    fresh.put_file("/workspace/quits.py", b"import os; os._exit(9)\n")
    for entrypoint, words in [("nope.Kit", "No module named 'nope'"), ("kit.Nope", "no attribute 'Nope'"),
                              ("broken.x", "SyntaxError"), ("quits.x", "status 9"), ("kit", "module.attribute"),
                              ('kit.Kit{"start":', "JSONDecodeError"), ('kit.alone{"x":1}', "no class")]:
        reply = fresh.request("POST", "/actions/tool_add", {"entrypoint": entrypoint})
        assert reply.status >= 400 and entrypoint in reply.json["error"]["message"], reply.json
        assert words in reply.json["error"]["message"]
    fresh.action("tool_add", entrypoint="kit.Kit")
    assert value(fresh, "bump") == 1
    assert len(fresh.action("tool_list")["packs"]) == 1


@pytest.mark.parametrize("given", [{"args": "ab"}, {"args": {"text": 1}}, {"args": 5}, {"kwargs": [1]}, {"kwargs": "text"}])
def test_arguments_are_an_array_and_an_object(kit, given):
    """Python would take a string apart, and an object's keys for values."""
    reply = kit.request("POST", "/actions/tool_call", {"tool": "echo", **given})
    assert reply.status == 400 and "is wanted" in reply.json["error"]["message"]


@pytest.mark.parametrize("pack", [{"action": "run"}, {"entrypoint": "kit.Kit"}])
@pytest.mark.parametrize("wish", [{"name": "other"}, {"description": "other"}, {"parameters": {"type": "object"}}])
def test_what_a_pack_says_itself_is_not_asked_for(fresh, pack, wish):
    reply = fresh.request("POST", "/actions/tool_add", {**pack, **wish})
    assert reply.status == 400 and "belong to argv" in reply.json["error"]["message"]


def test_a_schema_that_does_not_fit_is_refused(fresh):
    fresh.put_file("/workspace/odd.py", b"""
class Tool:
    func = print

    def __init__(self, schema):
        self.schema = schema

    def get_openai_tool_schema(self):
        return self.schema

nameless = [Tool({"function": {}})]
shapeless = [Tool([1])]
blank = [Tool({"type": "function", "function": {"name": "a b", "parameters": {}}})]
taken = [Tool({"type": "function", "function": {"name": "docs", "parameters": {}}})]
nothing = []
number = 7
""")
    for name, words in [("nameless", "name"), ("shapeless", "TypeError"), ("blank", "'a b'"), ("taken", "'docs'"),
                        ("nothing", "no tools"), ("number", "no tool")]:
        reply = fresh.request("POST", "/actions/tool_add", {"entrypoint": f"odd.{name}"})
        assert reply.status == 400 and words in reply.json["error"]["message"], (name, reply.json)
    for schema in [1], "object", 7:
        assert fresh.request("POST", "/actions/tool_add", {
            "argv": ["true"], "name": "prog", "parameters": schema}).code == "invalid_argument"
    assert fresh.action("tool_list") == {"packs": [], "tools": []}


def test_the_first_pack_with_a_name_has_it(fresh):
    fresh.action("tool_add", entrypoint="kit.Kit")
    assert fresh.action("tool_add", entrypoint='kit.Kit{"start":9}')["hidden"][0] == "bump"
    assert value(fresh, "bump") == 1
    again = fresh.request("POST", "/actions/tool_add", {"entrypoint": "kit.Kit"})
    assert again.code == "already_exists"
    fresh.action("tool_add", entrypoint="kit.Kit", replace=True)
    assert value(fresh, "bump") == 1


def test_a_program_is_a_tool(fresh):
    script = "import json,sys; d=json.load(sys.stdin); print('oh', file=sys.stderr); print(json.dumps(d)); sys.exit(d.get('code', 0))"
    fresh.action("tool_add", argv=["python3", "-c", script], name="prog", env={"X": "1"}, parameters={
        "type": "object", "required": ["a"], "additionalProperties": False,
        "properties": {"a": {"type": "integer"}, "code": {"type": "integer"}}})
    assert value(fresh, "prog", 1) == {"a": 1}
    assert raised(fresh, "prog", a=1, code=3) == ("ProgramError", "it ended with status 3: oh")
    assert raised(fresh, "prog", "x")[1] == "prog() argument 'a' must not be of type string"
    assert raised(fresh, "prog", 1, a=2)[1] == "prog() got multiple values for argument 'a'"
    assert raised(fresh, "prog", 1, zz=2)[1] == "prog() got an unexpected keyword argument 'zz'"
    assert raised(fresh, "prog")[1] == "prog() missing a required argument: 'a'"
    fresh.action("tool_add", argv=["sleep", "600"], name="sleeper")
    assert call(fresh, "sleeper", timeout_ms=100).code == "timeout"
    fresh.action("tool_add", argv=["echo", "plain words"], name="words")
    assert value(fresh, "words") == "plain words\n"
    assert fresh.action("process_list")["processes"] == [], "nothing of them is left"


def test_an_action_is_a_tool(fresh):
    for action in "run", "exec":
        assert fresh.request("POST", "/actions/tool_add", {"action": action}).json["tools"] == [action]
    assert value(fresh, "run", "echo hi")["output"] == "hi\n"
    assert value(fresh, "exec", ["echo", "there"])["stdout"] == "there\n"
    assert raised(fresh, "run", command=3)[0] == "TypeError"
    for action in "configure", "tool_call", "nope":
        assert fresh.request("POST", "/actions/tool_add", {"action": action}).status == 400


def test_what_is_not_there_is_not_found(kit):
    assert call(kit, "nope").code == "not_found"
    assert kit.request("POST", "/actions/tool_remove", {"name": "nope"}).code == "not_found"
    assert kit.request("POST", "/actions/tool_reset", {"pack": "nope"}).code == "not_found"
    assert kit.request("POST", "/actions/tool_add", {}).code == "invalid_argument"


def test_what_is_removed_is_gone(fresh):
    fresh.action("tool_add", entrypoint="kit.Kit")
    fresh.action("tool_remove", name="bump")
    assert call(fresh, "bump").code == "not_found" and value(fresh, "echo", 1) == 1
    fresh.action("tool_remove", name="kit.Kit")
    assert call(fresh, "echo", 1).code == "not_found"
    assert fresh.action("tool_list") == {"packs": [], "tools": []}


def test_tools_outlive_a_restart_of_the_server(own_server):
    box = own_server.create()
    box.put_file("/workspace/kit.py", KIT.encode())
    box.action("tool_add", entrypoint="kit.Kit")
    assert value(box, "bump") == 1
    own_server.kill_server()
    assert value(box, "bump") == 2


# ---- the tool server ----

@contextlib.contextmanager
def tool_server(box, **body):
    stream = box.server.events("POST", f"{box.path}/tool-server", {"listen": "127.0.0.1:0", **body})
    kind, _, data = next(iter(stream))
    assert kind == "listening"
    yield data["port"]
    stream.close()


def ask(port, method, path, body=None, headers=None, host="127.0.0.1"):
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=PATIENCE)) as connection:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode()


def is_refused(port):
    try:
        ask(port, "GET", "/health")
    except ConnectionRefusedError:
        return True
    except ConnectionError:
        pass  # it was just being closed
    return False


@pytest.fixture(scope="module")
def maths(server):
    box = server.create()
    box.put_file("/workspace/camel/toolkits/math_toolkit.py", (HERE / "camel/math_toolkit.py").read_bytes())
    box.action("tool_add", entrypoint="camel.toolkits.math_toolkit.MathToolkit")
    yield box
    box.delete()


def test_every_recorded_exchange_is_answered_byte_for_byte(maths):
    with tool_server(maths) as port:
        for line in (HERE / "camel/api.jsonl").read_text().splitlines():
            e = json.loads(line)
            body = None if e["body"] is None else e["body"].encode()
            headers = {"Content-Type": e["type"]} if e["type"] else {}
            assert ask(port, e["method"], e["path"], body, headers) == (e["status"], e["answer"]), e["body"]


def test_the_same_is_served_below_the_path_of_the_sandbox(maths):
    body, headers = '{"args":[1,2],"kwargs":{}}', {"Content-Type": "application/json"}
    reply = maths.server.request("POST", f"/camel/{maths.id}/math_add", body, headers=headers)
    assert (reply.status, reply.body) == (200, b'{"output":"3"}')
    assert maths.server.request("POST", f"/camel/{maths.id}/math_add", body, token=None, headers=headers).status == 401
    assert maths.server.request("POST", "/camel/nobody/math_add", body, headers=headers).status == 404
    basic = base64.b64encode(f"me:{maths.server.token}".encode()).decode()
    reply = maths.server.request("GET", f"/camel/{maths.id}/health", token=None,
                                 headers={"Authorization": f"Basic {basic}"})
    assert reply.json["endpoints"][0] == "math_add"


def test_pages_describe_the_tools(maths):
    with tool_server(maths) as port:
        status, page = ask(port, "GET", "/docs")
        assert status == 200 and "math_add" in page
        paths = json.loads(ask(port, "GET", "/openapi.json")[1])["paths"]
        assert paths["/math_add"]["post"]["operationId"] == "endpoint_math_add_post"


def test_a_lent_port_is_free_when_its_holder_is_gone(maths):
    with tool_server(maths) as port:
        assert ask(port, "GET", "/health")[0] == 200
    wait_until(lambda: is_refused(port))  # the server hears of a closed connection a moment later
    with tool_server(maths, listen=f"127.0.0.1:{port}") as again:
        assert again == port and ask(port, "GET", "/health")[0] == 200


def test_a_lent_port_goes_with_its_sandbox(server):
    box = server.create()
    stream = server.events("POST", f"{box.path}/tool-server", {"listen": "127.0.0.1:0"})
    events = iter(stream)
    port = next(events)[2]["port"]
    assert ask(port, "GET", "/health")[0] == 200
    box.delete()
    assert [kind for kind, _, _ in events] == ["ended"], "its stream says so and ends"
    wait_until(lambda: is_refused(port))
    stream.close()


def test_a_lent_port_is_taken_back_by_who_knows_it(maths, box):
    stream = maths.server.events("POST", f"{maths.path}/tool-server", {"listen": "127.0.0.1:0"})
    events = iter(stream)
    port = next(events)[2]["port"]
    assert box.request("DELETE", f"/tool-server?port={port}").status == 404, "it is not that sandbox's"
    assert maths.request("DELETE", "/tool-server?port=0").status == 400
    assert maths.request("DELETE", f"/tool-server?port={port}").status == 204
    with pytest.raises(ConnectionRefusedError):
        ask(port, "GET", "/health")
    assert [kind for kind, _, _ in events] == ["ended"]
    stream.close()
    assert maths.request("DELETE", f"/tool-server?port={port}").status == 404


def test_a_sandbox_can_go_with_its_lent_port(server):
    box = server.create()
    with tool_server(box, ends_sandbox=True) as port:
        assert ask(port, "GET", "/health")[0] == 200
    wait_until(lambda: box.request("GET").status == 404)


def test_an_address_that_others_reach_wants_a_token(maths):
    reply = maths.request("POST", "/tool-server", {"listen": "0.0.0.0:0"})
    assert reply.status == 400 and "token" in reply.json["error"]["message"]
    with tool_server(maths, listen="0.0.0.0:0", token="secret") as port:
        assert ask(port, "GET", "/health")[0] == 401
        basic = base64.b64encode(b"me:secret").decode()
        assert ask(port, "GET", "/health", headers={"Authorization": f"Basic {basic}"})[0] == 200


def test_redirected_output_is_the_call_s_own(kit):
    with tool_server(kit) as port:
        body = '{"args":["a"],"kwargs":{},"redirect_stdout":{"verbose":true}}'
        status, answer = ask(port, "POST", "/talk", body, {"Content-Type": "application/json"})
        assert json.loads(answer) == {"output": "null", "stdout": "start a\nchild a\nthread a\n"}


def test_an_argument_of_100_megabytes_is_refused_and_nothing_else_suffers(kit):
    with tool_server(kit) as port:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.putrequest("POST", "/echo")
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(100 << 20))
            connection.endheaders(b'{"args":["')
            assert connection.getresponse().status == 413
        big = json.dumps({"args": ["x" * (5 << 20)], "kwargs": {}})
        status, answer = ask(port, "POST", "/echo", big, {"Content-Type": "application/json"})
        assert status == 200 and len(answer) > 5 << 20
        assert value(kit, "echo", 1) == 1


def test_a_client_that_leaves_cancels_its_call(fresh):
    fresh.action("tool_add", entrypoint="kit.Kit")
    with tool_server(fresh) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("POST", "/anap", '{"args":[600],"kwargs":{}}', {"Content-Type": "application/json"})
        wait_until(lambda: fresh.action("tool_list")["packs"][0]["calls"] == 1)
        connection.close()
        wait_until(lambda: fresh.action("tool_list")["packs"][0]["calls"] == 0)
    assert value(fresh, "bump") == 1


@pytest.mark.parametrize("tool, args", [("anap", "600"), ("spin", "")])
def test_a_call_can_be_left_at_any_moment_of_its_life(fresh, tool, args):
    """The first one while threads are started, others before they begin, while they begin, and when they run."""
    fresh.action("tool_add", entrypoint="kit.Kit")
    with tool_server(fresh) as port:
        for i in range(60):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
                connection.request("POST", f"/{tool}", f'{{"args":[{args}],"kwargs":{{}}}}',
                                   {"Content-Type": "application/json"})
                for _ in range(i % 4):
                    fresh.action("tool_list")
            if i % 8 == 7:  # more of them could cost it its interpreter, where it hardly gets a processor
                wait_until(lambda: fresh.action("tool_list")["packs"][0]["calls"] == 0)
        wait_until(lambda: fresh.action("tool_list")["packs"][0]["calls"] == 0)
    assert value(fresh, "bump") == 1
    assert fresh.action("tool_list")["packs"][0]["starts"] == 1, "its interpreter is the first one"
