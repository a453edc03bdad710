# SPDX-License-Identifier: Apache-2.0
"""The E2B face without E2B's SDKs: life cycle, envd's calls and streams, files, signatures, interpreter, refusals."""
import base64
import gzip
import hashlib
import http.client
import json
import socket
import struct
import threading
import time
import urllib.parse

import pytest

from waiting import PATIENCE, wait_until

ENVD, CODE = "49983", "49999"


def envelopes(body):
    """The messages of a stream as (flags, object)."""
    found = []
    while body:
        flags, size = struct.unpack("!BI", body[:5])
        found.append((flags, json.loads(body[5:5 + size])))
        body = body[5 + size:]
    return found


def envelope(value, flags=0):
    data = json.dumps(value).encode()
    return struct.pack("!BI", flags, len(data)) + data


class Box:
    """A sandbox, as a client of E2B has it."""

    def __init__(self, server, **wish):
        self.server = server
        reply = api(server, "POST", "/v2/sandboxes", {"templateID": "base", **wish})
        assert reply.status == 201, reply.body
        self.record = reply.json
        self.id, self.token = self.record["sandboxID"], self.record["envdAccessToken"]

    def api(self, method, tail="", body=None):
        return api(self.server, method, f"/sandboxes/{self.id}{tail}", body)

    def headers(self, port=ENVD, user=None, **more):
        basic = {"Authorization": "Basic " + base64.b64encode(f"{user}:".encode()).decode()} if user else {}
        return {"E2b-Sandbox-Id": self.id, "E2b-Sandbox-Port": port, "X-Access-Token": self.token, **basic, **more}

    def envd(self, method, target, body=None, headers=None, **query):
        path = f"/e2b{target}" + ("?" + urllib.parse.urlencode(query) if query else "")
        return self.server.request(method, path, body, token=None, headers=headers or self.headers())

    def call(self, method, user=None, **request):
        return self.envd("POST", f"/{method}", request, self.headers(user=user, **{"Content-Type": "application/json"}))

    def stream(self, method, request, **headers):
        reply = self.envd("POST", f"/{method}", envelope(request), self.headers(
            **{"Content-Type": "application/connect+json", "Connect-Protocol-Version": "1", **headers}))
        assert reply.status == 200, reply.body
        return envelopes(reply.body)

    def open(self, method, request, **headers):
        """A stream that is read as it comes."""
        return Stream(self, method, request, headers)

    def run(self, command, **more):
        """stdout, stderr, and what the last two messages said."""
        config = {"cmd": "/bin/bash", "args": ["-l", "-c", command], **more}
        messages = self.stream("process.Process/Start", {"process": config, "stdin": False})
        out = {"stdout": b"", "stderr": b""}
        assert messages[0][1]["event"]["start"]["pid"] > 0
        for _, message in messages[1:-2]:
            for name, data in message["event"].get("data", {}).items():
                out[name] += base64.b64decode(data)
        assert messages[-1] == (2, {})
        return out["stdout"], out["stderr"], messages[-2][1]["event"]["end"]

    def write(self, path, data, user=""):
        return self.envd("POST", "/files", data, self.headers(**{"Content-Type": "application/octet-stream"}), path=path,
                         username=user)

    def read(self, path, user=""):
        return self.envd("GET", "/files", path=path, username=user)

    def execute(self, code, **more):
        reply = self.envd("POST", "/execute", {"code": code, **more},
                          self.headers(CODE, **{"Content-Type": "application/json"}))
        assert reply.status == 200, reply.body
        return [json.loads(line) for line in reply.body.splitlines()]

    def state(self):
        return self.api("GET").json["state"]


class Stream:
    def __init__(self, box, method, request, headers):
        self.connection = box.server.connection()
        self.connection.request("POST", f"/e2b/{method}", envelope(request), box.headers(
            **{"Content-Type": "application/connect+json", **headers}))
        self.response = self.connection.getresponse()
        assert self.response.status == 200

    def next(self):
        head = self.response.read(5)
        assert len(head) == 5, "the stream is cut"
        flags, size = struct.unpack("!BI", head)
        return flags, json.loads(self.response.read(size))

    def event(self):
        return self.next()[1]["event"]

    def until(self, kind):
        while kind not in (event := self.event()):
            pass
        return event[kind]

    def close(self):
        self.response.close()
        self.connection.close()


def api(server, method, path, body=None, key=""):
    key = server.token if key == "" else key
    return server.request(method, f"/e2b{path}", body, token=None, headers={"X-API-KEY": key} if key else {})


@pytest.fixture(scope="module")
def shared(server):
    return Box(server)


def failure(reply, status):
    """Its message, once it has been checked that it has E2B's form."""
    assert reply.status == status, reply.body
    assert set(reply.json) == {"code", "message"} and reply.json["code"] == status
    return reply.json["message"]


def refusal(reply, status, code):
    assert (reply.status, reply.json["code"]) == (status, code), reply.body
    return reply.json["message"]


def test_a_sandbox_is_made_told_of_listed_and_ended(server):
    box = Box(server, metadata={"who": "ann & co", "n": "1"}, timeout=60)
    other = Box(server, metadata={"who": "bob"})
    detail = box.api("GET").json
    for key in ("templateID", "sandboxID", "clientID", "envdVersion", "startedAt", "endAt"):
        assert isinstance(detail[key], str)
    assert (detail["state"], detail["metadata"]) == ("running", {"who": "ann & co", "n": "1"})
    assert detail["lifecycle"] == {"autoResume": False, "onTimeout": "kill"}

    def listed(**query):
        reply = api(server, "GET", "/v2/sandboxes?" + urllib.parse.urlencode(query))
        return [entry["sandboxID"] for entry in reply.json], reply.headers.get("X-Next-Token")
    quoted = urllib.parse.urlencode({"who": urllib.parse.quote("ann & co")})
    assert listed(metadata=quoted) == ([box.id], None)
    ids, following = listed(limit=1)
    assert ids == [other.id] and following
    assert box.id in listed(limit=100, nextToken=following)[0]
    assert listed(state="paused", metadata="who=bob") == ([], None)
    assert listed(template="base", order="asc", metadata="who=bob")[0] == [other.id]
    assert listed(startedAfter="2099-01-01T00:00:00Z") == ([], None)
    failure(api(server, "GET", "/v2/sandboxes?order=sideways"), 400)
    for each in (box, other):
        assert each.api("DELETE").status == 204
        failure(each.api("GET"), 404)
        failure(each.api("DELETE"), 404)


def test_the_time_to_live_is_set_and_only_ever_extended_by_connecting(server):
    box = Box(server, timeout=60)

    def end():
        return box.api("GET").json["endAt"]
    first = end()
    assert box.api("POST", "/connect", {"timeout": 10}).status == 200 and end() == first
    reply = box.api("POST", "/connect", {"timeout": 600})
    assert reply.json["envdAccessToken"] == box.token and end() > first
    failure(box.api("POST", "/timeout", {"timeout": -1}), 400)
    failure(box.api("POST", "/timeout", {}), 400)
    assert box.api("POST", "/timeout", {"timeout": 0}).status == 204
    wait_until(lambda: box.api("GET").status == 404)
    gone = box.envd("GET", "/health")
    assert gone.status == 502
    assert gone.json == {"sandboxId": box.id, "message": "The sandbox was not found", "code": 502}


def test_one_that_pauses_at_its_end_goes_on_when_it_is_connected_to(server):
    box = Box(server, timeout=60, autoPause=True)
    box.write("kept", b"1")
    box.api("POST", "/timeout", {"timeout": 0})
    wait_until(lambda: box.state() == "paused")
    assert box.envd("GET", "/health").status == 502
    assert box.api("POST", "/connect", {"timeout": 60}).status == 201
    assert (box.state(), box.read("kept").body) == ("running", b"1")
    assert box.api("POST", "/pause", {}).status == 204
    failure(box.api("POST", "/pause", {}), 409)
    assert box.api("POST", "/resume", {"timeout": 60}).status == 201
    failure(box.api("POST", "/resume", {"timeout": 60}), 409)
    box.api("DELETE")


def test_who_comes_in(server, shared):
    assert api(server, "GET", "/v2/sandboxes", key="e2b_" + server.token.encode().hex()).status == 200
    for key in (None, "wrong", "e2b_", "e2b_00", "e2b_" + "g" * 40, shared.token):
        failure(api(server, "GET", "/v2/sandboxes", key=key), 401)
    other = Box(server)
    for token in ("", "wrong", other.token, other.record["trafficAccessToken"], shared.record["trafficAccessToken"]):
        reply = shared.envd("POST", "/process.Process/List", {}, shared.headers(**{"X-Access-Token": token}))
        failure(reply, 401)
    nobody = "a" * 26
    failure(shared.envd("GET", "/health", headers=shared.headers(**{"E2b-Sandbox-Id": nobody})), 401)
    failure(shared.envd("GET", "/health", headers={"X-Access-Token": shared.token}), 401)
    other.api("DELETE")
    made = server.create()
    failure(api(server, "GET", f"/sandboxes/{made.id}"), 404)


def serve_names(box, name):
    """A web server inside; where get_host says that it is, as a client would ask there."""
    box.write("served/name", name.encode())
    box.open("process.Process/Start", {"process": {"cmd": "python3", "args": ["-m", "http.server", "8123", "-d", "served"]}})
    box.run("until curl -s 127.0.0.1:8123/name; do :; done")
    host = f"8123-{box.id}.{box.record['domain']}"

    def ask(**headers):
        return box.server.request("GET", "/name", token=None, headers={"Host": host, **headers})
    return ask


def test_get_host_names_what_listens_inside(server, shared):
    assert shared.record["domain"].split(":")[0] == "localhost"
    ask = serve_names(shared, "mine")
    assert ask(Authorization=f"Bearer {server.token}").body == b"mine"
    assert ask(**{"e2b-traffic-access-token": shared.record["trafficAccessToken"]}).body == b"mine"
    other = Box(server, network={"allowPublicTraffic": True})
    for token in ("", "wrong", shared.token, other.record["trafficAccessToken"]):
        assert ask(**{"E2b-Traffic-Access-Token": token}).status == 401
    assert ask().status == 401
    public = serve_names(other, "everybody's")
    assert public().body == b"everybody's"
    other.api("DELETE")
    assert public().status == 401  # as what has never been there


def test_what_listens_inside_does_not_see_the_token_for_it(server):
    box = Box(server)
    box.write("show.py", b"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(bytes(self.headers))
http.server.HTTPServer(("127.0.0.1", 8124), Handler).serve_forever()
""")
    box.open("process.Process/Start", {"process": {"cmd": "python3", "args": ["show.py"]}})
    box.run("until curl -s 127.0.0.1:8124; do :; done")
    token = box.record["trafficAccessToken"]
    seen = server.request("GET", "/", token=None, headers={"Host": f"8124-{box.id}.localhost", "X-Kept": "yes",
                                                           "E2b-Traffic-Access-Token": token}).body.decode()
    assert "X-Kept: yes" in seen and token not in seen
    box.api("DELETE")


def test_names_below_a_domain_stand_for_urls(server):
    """As SDKs ask that know nothing but E2B_DOMAIN."""
    def named(label, method, path, body=None, **headers):
        return server.request(method, path, body, token=None, headers={"Host": f"{label}.localhost", **headers})
    key = {"X-API-KEY": server.token}
    failure(named("api", "GET", "/v2/sandboxes"), 401)
    made = named("api", "POST", "/sandboxes", {"templateID": "base"}, **key).json
    envd, code, token = f"49983-{made['sandboxID']}", f"49999-{made['sandboxID']}", {"X-Access-Token": made["envdAccessToken"]}
    assert made["sandboxID"] in [box["sandboxID"] for box in named("api", "GET", "/v2/sandboxes", **key).json]
    assert named(envd, "POST", "/files?path=x", b"by name", **token, **{"Content-Type": "application/octet-stream"}).status == 200
    assert named(envd, "GET", "/files?path=x", **token).body == b"by name"
    failure(named(envd, "GET", "/files?path=x"), 401)
    lines = named(code, "POST", "/execute", {"code": "6*7"}, **token).body.splitlines()
    assert any(json.loads(line).get("text") == "42" for line in lines)
    # The name says which sandbox is meant, whatever a header says.
    other = Box(server)
    failure(named(f"49983-{other.id}", "GET", "/files?path=x", **token, **{"E2b-Sandbox-Id": made["sandboxID"]}), 401)
    signature = hashlib.sha256(f"x:read::{token['X-Access-Token']}".encode()).digest()
    query = f"path=x&signature=v1_{urllib.parse.quote(base64.b64encode(signature).rstrip(b'='))}"
    assert named(envd, "GET", f"/files?{query}").body == b"by name"
    failure(named(f"49983-{other.id}", "GET", f"/files?{query}"), 401)
    assert named("api", "DELETE", f"/sandboxes/{made['sandboxID']}", **key).status == 204
    assert named(envd, "GET", "/files?path=x", **token).status == 502
    # In a sandbox that is no client's of E2B's this is a port like any other.
    box = server.create()
    reply = named(f"49983-{box.id}", "GET", "/", Authorization=f"Bearer {server.token}")
    assert reply.status == 502 and "nothing listens" in reply.json["error"]["message"]
    box.delete()
    other.api("DELETE")


def test_a_narrower_token_of_cay_is_one_for_envd(server, shared):
    token = server.request("POST", f"/v1/sandboxes/{shared.id}/tokens", {}).json["token"]
    headers = shared.headers(**{"X-Access-Token": token})
    assert shared.envd("GET", "/health", headers=headers).status == 204
    failure(api(server, "GET", "/v2/sandboxes", key=token), 403)
    assert api(server, "GET", f"/sandboxes/{shared.id}", key=token).status == 200


def test_a_process_tells_its_output_and_its_end(server):
    box = Box(server, envVars={"FOO": "bar"})
    out, err, end = box.run("echo $FOO; echo oops >&2; whoami; pwd; exit 3")
    assert (out, err) == (b"bar\nuser\n/home/user\n", b"oops\n")
    assert end == {"exitCode": 3, "exited": True, "status": "exit status 3", "error": "exit status 3"}
    assert box.run("true")[2] == {"exited": True, "status": "exit status 0"}
    end = box.run("kill -9 $$")[2]
    assert end == {"exitCode": -1, "status": "signal: killed", "error": "signal: killed"}
    assert box.run("sudo id -u", cwd="/tmp", envs={"FOO": ""})[0] == b"0\n"
    assert box.run("printf '\\377\\0'")[0] == b"\377\0"
    box.api("DELETE")


def test_what_cannot_begin_ends_the_stream_with_an_error(shared):
    for request, code in (({"process": {"cmd": "/bin/sh", "cwd": "/nowhere"}}, "invalid_argument"),
                          ({"process": {"cmd": "/no/such/program"}}, "invalid_argument"),
                          ({}, "invalid_argument")):
        (flags, end), = shared.stream("process.Process/Start", request)
        assert flags == 2 and end["error"]["code"] == code, end
    (flags, end), = shared.stream("process.Process/Connect", {"process": {"pid": 999999}})
    assert (flags, end["error"]) == (2, {"code": "not_found", "message": "process with pid 999999 not found"})


def test_a_stream_whose_time_is_over_kills_its_command(shared):
    flags, end = shared.stream("process.Process/Start", {"process": {"cmd": "sleep", "args": ["1000"]}},
                               **{"Connect-Timeout-Ms": "100"})[-1]
    assert flags == 2 and end["error"]["code"] == "deadline_exceeded"
    assert "1000" not in json.dumps(shared.call("process.Process/List").json)


def test_a_process_is_written_to_followed_by_others_and_signalled(shared):
    start = shared.open("process.Process/Start", {"process": {"cmd": "cat"}, "tag": "the-cat"})
    pid = start.event()["start"]["pid"]
    process = {"pid": pid}
    found = [p for p in shared.call("process.Process/List").json["processes"] if p["pid"] == pid]
    assert found[0]["config"]["cmd"] == "cat" and found[0]["tag"] == "the-cat"
    second = shared.open("process.Process/Connect", {"process": {"tag": "the-cat"}})
    assert second.event() == {"start": process}
    for data in (b"text", b"\377\0"):
        assert shared.call("process.Process/SendInput", process=process,
                           input={"stdin": base64.b64encode(data).decode()}).json == {}
        for stream in (start, second):
            assert base64.b64decode(stream.event()["data"]["stdout"]) == data
    refusal(shared.call("process.Process/SendInput", process=process, input={"stdin": "?"}), 400, "invalid_argument")
    refusal(shared.call("process.Process/SendSignal", process=process, signal="SIGNAL_SIGHUP"), 501, "unimplemented")
    second.close()
    start.close()  # it goes on
    third = shared.open("process.Process/Connect", {"process": process})
    third.event()
    assert shared.call("process.Process/CloseStdin", process=process).json == {}
    assert third.until("end")["exited"]
    refusal(shared.call("process.Process/SendSignal", process=process, signal="SIGNAL_SIGKILL"), 404, "not_found")
    third.close()


def test_a_terminal(shared):
    stream = shared.open("process.Process/Start", {
        "process": {"cmd": "/bin/bash", "args": ["-i", "-l"], "envs": {"TERM": "xterm-256color"}},
        "pty": {"size": {"cols": 80, "rows": 24}}})
    process = {"pid": stream.event()["start"]["pid"]}
    assert shared.call("process.Process/Update", process=process, pty={"size": {"cols": 91, "rows": 24}}).json == {}
    shared.call("process.Process/SendInput", process=process,
                input={"pty": base64.b64encode(b"tput cols; exit 4\n").decode()})
    seen = b""
    while "data" in (event := stream.event()):
        seen += base64.b64decode(event["data"]["pty"])
    assert b"91" in seen and event["end"]["exitCode"] == 4
    stream.close()


def test_a_silent_stream_is_kept_alive(shared):
    stream = shared.open("process.Process/Start", {"process": {"cmd": "sleep", "args": ["2"]}},
                         **{"Keepalive-Ping-Interval": "1"})
    assert stream.until("keepalive") == {}
    assert stream.until("end")["exited"]
    stream.close()


def test_a_sandbox_that_ends_cuts_its_streams(server):
    box = Box(server)
    stream = box.open("process.Process/Start", {"process": {"cmd": "sleep", "args": ["1000"]}})
    stream.event()
    box.api("DELETE")
    with pytest.raises((http.client.HTTPException, ConnectionError, AssertionError)):
        while True:
            stream.next()
    stream.close()


def test_much_output_comes_whole_and_slowly_read(shared):
    stream = shared.open("process.Process/Start", {"process": {
        "cmd": "sh", "args": ["-c", "head -c 20000000 /dev/zero"]}})
    time.sleep(0.5)  # a reader that is not there yet
    size = 0
    while "end" not in (event := stream.event()):
        size += len(base64.b64decode(event.get("data", {}).get("stdout", "")))
    assert size == 20000000
    stream.close()


def test_files_and_directories(shared):
    assert shared.write("docs/a.txt", b"hello").json == [
        {"name": "a.txt", "path": "/home/user/docs/a.txt", "type": "file"}]
    entry = shared.call("filesystem.Filesystem/Stat", path="~/docs/a.txt").json["entry"]
    assert entry.pop("modifiedTime").endswith("Z")
    assert entry == {"name": "a.txt", "type": "FILE_TYPE_FILE", "path": "/home/user/docs/a.txt", "size": "5", "mode": 0o644,
                     "permissions": "-rw-r--r--", "owner": "user", "group": "user"}
    made = shared.call("filesystem.Filesystem/MakeDir", path="docs/sub/deep")
    assert made.json["entry"]["type"] == "FILE_TYPE_DIRECTORY"
    refusal(shared.call("filesystem.Filesystem/MakeDir", path="docs/sub"), 409, "already_exists")
    shared.run("ln -s a.txt docs/link; ln -s nowhere docs/dangling")

    def names(depth):
        reply = shared.call("filesystem.Filesystem/ListDir", path="docs", depth=depth)
        return {e["name"]: e for e in reply.json["entries"]}
    assert sorted(names(0)) == ["a.txt", "dangling", "link", "sub"]
    assert sorted(names(2)) == ["a.txt", "dangling", "deep", "link", "sub"]
    link = names(1)["link"]
    assert (link["type"], link["symlinkTarget"]) == ("FILE_TYPE_FILE", "/home/user/docs/a.txt")
    dangling = shared.call("filesystem.Filesystem/Stat", path="docs/dangling").json["entry"]
    assert (dangling["type"], dangling["symlinkTarget"]) == ("FILE_TYPE_UNSPECIFIED", "/home/user/docs/nowhere")
    moved = shared.call("filesystem.Filesystem/Move", source="docs/a.txt", destination="other/b.txt").json["entry"]
    assert moved["path"] == "/home/user/other/b.txt" and shared.read("other/b.txt").body == b"hello"
    for path in ("docs", "docs", "other"):
        assert shared.call("filesystem.Filesystem/Remove", path=path).json == {}
    refusal(shared.call("filesystem.Filesystem/Stat", path="docs"), 404, "not_found")
    refusal(shared.call("filesystem.Filesystem/ListDir", path="/etc/passwd"), 400, "invalid_argument")
    refusal(shared.call("filesystem.Filesystem/Stat", path=""), 400, "invalid_argument")


def test_files_of_root_and_forms_of_many(shared):
    assert shared.write("secret", b"root's", user="root").json[0]["path"] == "/root/secret"
    assert shared.read("secret", user="root").body == b"root's"
    failure(shared.read("nothing", user="root"), 404)
    failure(shared.read("nothing"), 404)
    failure(shared.read("/etc"), 400)
    failure(shared.write("x", b"", user="nobody-known"), 404)
    body = b"".join(b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n' % (name, data)
                    for name, data in ((b"/0/one", b"1"), (b"two/deep", b"22")))
    headers = shared.headers(**{"Content-Type": "multipart/form-data; boundary=b"})
    reply = shared.envd("POST", "/files", body + b"--b--\r\n", headers)
    assert [entry["path"] for entry in reply.json] == ["/0/one", "/home/user/two/deep"]
    assert (shared.read("/0/one").body, shared.read("two/deep").body) == (b"1", b"22")
    failure(shared.envd("POST", "/files", body, headers), 400)  # no end
    failure(shared.envd("POST", "/files", body.replace(b"two/deep", b"/0/one") + b"--b--\r\n", headers), 400)


def test_a_large_file_goes_both_ways(shared):
    data = bytes(range(256)) * 4096 * 16
    assert shared.write("large", data).status == 200
    assert shared.read("large").body == data


def test_an_upload_that_is_cut_leaves_nothing(shared):
    with socket.create_connection(("127.0.0.1", shared.server.port), PATIENCE) as sock:
        head = "".join(f"{k}: {v}\r\n" for k, v in shared.headers().items())
        sock.sendall((f"POST /e2b/files?path=cut HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n{head}"
                      "Content-Type: application/octet-stream\r\n\r\n").encode() + b"x" * 1000)
    assert shared.run("ls -a | grep -c cut || true")[0] == b"0\n"


def signed(box, path, operation, user="", end=None):
    raw = f"{path}:{operation}:{user}:{box.token}" + (f":{end}" if end is not None else "")
    mark = "v1_" + base64.b64encode(hashlib.sha256(raw.encode()).digest()).decode().rstrip("=")
    query = {"path": path, "signature": mark, **({"username": user} if user else {}),
             **({"signature_expiration": end} if end is not None else {})}
    return "/files?" + urllib.parse.urlencode(query)


def test_signed_links_need_no_header_and_open_one_file(server, shared):
    Box(server)  # there are others
    shared.write("link.txt", b"signed")
    soon = int(time.time()) + 60

    def get(link):
        return server.request("GET", link, token=None)
    for link in (signed(shared, "link.txt", "read"), signed(shared, "link.txt", "read", end=soon),
                 "/e2b" + signed(shared, "link.txt", "read")):
        assert get(link).body == b"signed"
    assert failure(get(signed(shared, "link.txt", "read", end=soon - 120)), 401) == "signature is already expired"
    assert failure(get("/files?path=link.txt"), 401) == "missing signature query parameter"
    for bad in (signed(shared, "link.txt", "write"), signed(shared, "link.txt", "read").replace("link.txt", "other.txt"),
                signed(shared, "link.txt", "read", end=soon).replace(str(soon), str(soon + 1)),
                signed(shared, "link.txt", "read", end=soon).replace(f"signature_expiration={soon}", "")):
        assert failure(get(bad), 401) == "invalid signature"
    link = signed(shared, "put.txt", "write", "root", soon)
    reply = server.request("POST", link, b"data", token=None, headers={"Content-Type": "application/octet-stream"})
    assert reply.json[0]["path"] == "/root/put.txt"
    failure(server.request("GET", link, token=None), 401)


def test_a_directory_is_watched_as_it_changes(shared):
    shared.call("filesystem.Filesystem/MakeDir", path="seen/sub")
    stream = shared.open("filesystem.Filesystem/WatchDir", {"path": "seen", "recursive": True, "includeEntry": True})
    assert stream.next() == (0, {"start": {}})

    def until(kind, name):
        while True:
            event = stream.next()[1]["filesystem"]
            assert "cay" not in event["name"], event
            if (event["type"], event["name"]) == (f"EVENT_TYPE_{kind}", name):
                return event
    shared.write("seen/sub/a", b"1")
    assert until("WRITE", "sub/a")["entry"]["path"] == "/home/user/seen/sub/a"
    shared.write("seen/sub/a", b"22")
    assert until("WRITE", "sub/a")["entry"]["size"] == "2"
    shared.run("mkdir -p seen/new/deep; echo x >seen/new/deep/f; chmod 600 seen/sub/a; mv seen/sub/a seen/b; rm seen/b")
    for kind, name in (("CREATE", "new"), ("CREATE", "new/deep"), ("WRITE", "new/deep/f"), ("CHMOD", "sub/a"),
                       ("RENAME", "sub/a"), ("CREATE", "b"), ("REMOVE", "b")):
        event = until(kind, name)
        assert kind != "REMOVE" or "entry" not in event
    shared.run("rm -r seen")
    while (message := stream.next())[0] != 2:
        pass
    assert message == (2, {})
    stream.close()
    (flags, end), = shared.stream("filesystem.Filesystem/WatchDir", {"path": "seen"})
    assert flags == 2 and end["error"]["code"] == "not_found"


def test_all_of_a_sandbox_may_be_watched_and_that_has_an_end(shared):
    stream = shared.open("filesystem.Filesystem/WatchDir", {"path": "/", "recursive": True})
    assert stream.next() == (0, {"start": {}})
    many = threading.Thread(target=shared.run, args=[
        "mkdir -p /tmp/many; cd /tmp/many; for i in $(seq 50); do mkdir $(seq -f d$i-%g 100); done; echo x >/tmp/last"])
    many.start()  # and is read meanwhile: who takes nothing for half a minute is cut off
    while stream.next()[1].get("filesystem", {}).get("name") != "tmp/last":
        pass
    many.join()
    stream.close()
    assert shared.run("rm -r /tmp/many; echo on")[0] == b"on\n"


def test_a_watcher_keeps_events_until_it_is_asked(shared):
    shared.call("filesystem.Filesystem/MakeDir", path="kept")
    watcher = shared.call("filesystem.Filesystem/CreateWatcher", path="kept").json["watcherId"]
    seen = []

    def ask():
        seen.extend((e["name"], e["type"]) for e in shared.call(
            "filesystem.Filesystem/GetWatcherEvents", watcherId=watcher).json["events"])
        return ("a", "EVENT_TYPE_WRITE") in seen
    assert not ask()
    shared.write("kept/a", b"1")
    assert ask()  # at once: what was done before it asked is told
    assert shared.call("filesystem.Filesystem/RemoveWatcher", watcherId=watcher).json == {}
    refusal(shared.call("filesystem.Filesystem/GetWatcherEvents", watcherId=watcher), 404, "not_found")
    refusal(shared.call("filesystem.Filesystem/CreateWatcher", path="nowhere"), 404, "not_found")


def test_what_watchers_keep_has_a_limit_for_all_of_a_sandbox(server):
    """Those whose directories are gone have no watch any more, and keep what they have."""
    box, kept = Box(server), 0
    watchers = []
    for i in range(40):
        box.call("filesystem.Filesystem/MakeDir", path=f"d{i}")
        watchers.append(box.call("filesystem.Filesystem/CreateWatcher", path=f"d{i}").json["watcherId"])
        box.run(f"cd d{i} && touch $(seq -f {'x' * 240}%g 2100); cd .. && rm -r d{i}")
    for watcher in watchers:
        reply = box.call("filesystem.Filesystem/GetWatcherEvents", watcherId=watcher)
        assert reply.status == 200, reply.body
        kept += len(reply.body)
    assert 1 << 20 < kept < 17 << 20
    box.api("DELETE")


def test_watches_have_a_limit_and_end_with_their_clients(shared):
    streams = []
    for _ in range(16):
        streams.append(shared.open("filesystem.Filesystem/WatchDir", {"path": "/tmp"}))
        streams[-1].next()
    (flags, end), = shared.stream("filesystem.Filesystem/WatchDir", {"path": "/tmp"})
    assert flags == 2 and end["error"]["code"] == "resource_exhausted"
    for stream in streams:
        stream.close()

    def again():
        stream = shared.open("filesystem.Filesystem/WatchDir", {"path": "/tmp"})
        flags, _ = stream.next()
        stream.close()
        return flags == 0
    wait_until(again)


def test_metadata_stay_with_a_file(shared):
    headers = shared.headers(**{"Content-Type": "application/octet-stream", "X-Metadata-Author": "ann", "X-Metadata-b": "2"})
    reply = shared.envd("POST", "/files", b"x", headers, path="meta/f")
    if reply.status == 501:
        pytest.skip("this file system has no extended attributes")
    assert reply.json[0]["metadata"] == {"author": "ann", "b": "2"}

    def metadata(path):
        return shared.call("filesystem.Filesystem/Stat", path=path).json["entry"].get("metadata")
    assert metadata("meta/f") == {"author": "ann", "b": "2"}
    entry, = shared.call("filesystem.Filesystem/ListDir", path="meta").json["entries"]
    assert entry["metadata"]["author"] == "ann"
    moved = shared.call("filesystem.Filesystem/Move", source="meta/f", destination="meta/g").json["entry"]
    assert moved["metadata"]["b"] == "2"
    shared.write("meta/g", b"y")
    assert metadata("meta/g") is None
    failure(shared.envd("POST", "/files", b"x", headers, path="m", username="root"), 501)
    many = {f"X-Metadata-k{i}": "v" for i in range(65)}
    failure(shared.envd("POST", "/files", b"x", {**headers, **many}, path="m"), 400)


def test_a_compressed_upload(shared):
    data = b"much of the same " * 100000
    headers = shared.headers(**{"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"})
    assert shared.envd("POST", "/files", gzip.compress(data), headers, path="zipped/f").status == 200
    assert shared.read("zipped/f").body == data
    failure(shared.envd("POST", "/files", b"no gzip", headers, path="zipped/g"), 400)
    assert [e["name"] for e in shared.call("filesystem.Filesystem/ListDir", path="zipped").json["entries"]] == ["f"]
    failure(shared.envd("POST", "/files", b"", shared.headers(**{
        "Content-Type": "application/octet-stream", "Content-Encoding": "br"}), path="zipped/g"), 501)


def test_the_interpreter_remembers_and_tells_results(shared):
    shared.execute("x = 1")
    lines = {line["type"]: line for line in shared.execute("x += 1; print('hi'); x")}
    assert lines["stdout"]["text"] == "hi\n" and lines["stdout"]["timestamp"]
    assert (lines["result"]["text"], lines["result"]["is_main_result"]) == ("2", True)
    assert lines["number_of_executions"]["execution_count"] >= 2
    error, = [line for line in shared.execute("1/0") if line["type"] == "error"]
    assert error["name"] == "ZeroDivisionError" and "Traceback" in error["traceback"]
    text, = [line["text"] for line in shared.execute("import os; os.environ['A']", env_vars={"A": "it's"})
             if line["type"] == "result"]
    assert text == "it's"
    assert any(line["type"] == "error" for line in shared.execute("os.environ['A']"))
    for env in {"A": 1}, {"A": None}, {"A": "x" * 300_000}:
        assert shared.envd("POST", "/execute", {"code": "1", "env_vars": env}, shared.headers(CODE)).status in (400, 413)


def test_contexts_and_the_token_for_them(shared):
    headers = {"E2b-Sandbox-Id": shared.id, "E2b-Sandbox-Port": CODE, "Content-Type": "application/json",
               "E2b-Traffic-Access-Token": shared.record["trafficAccessToken"]}

    def ask(method, path, body=None):
        return shared.envd(method, path, body, headers)
    made = ask("POST", "/contexts", {"cwd": "/tmp"}).json
    assert (made["language"], made["cwd"]) == ("python", "/tmp")
    shared.execute("y = 5", context_id=made["id"])
    assert any(line["type"] == "error" for line in shared.execute("y"))
    assert shared.execute("y", context_id=made["id"])[0]["text"] == "5"
    assert made["id"] in [context["id"] for context in ask("GET", "/contexts").json]
    assert ask("POST", f"/contexts/{made['id']}/restart").status == 200
    assert any(line["type"] == "error" for line in shared.execute("y", context_id=made["id"]))
    assert ask("DELETE", f"/contexts/{made['id']}").status == 200
    assert ask("DELETE", f"/contexts/{made['id']}").status == 404
    assert ask("POST", "/contexts", {"language": "cobol"}).status == 400
    failure(shared.envd("GET", "/contexts", headers={**headers, "E2b-Traffic-Access-Token": "x"}), 401)


def test_who_goes_away_interrupts_the_code(shared):
    connection = shared.server.connection()
    connection.request("POST", "/e2b/execute", json.dumps({"code": "print('on', flush=True)\nwhile True: pass"}),
                       shared.headers(CODE, **{"Content-Type": "application/json"}))
    response = connection.getresponse()
    assert b"on" in response.readline()
    response.close()
    connection.close()
    assert shared.execute("6*7")[0]["text"] == "42"


def test_code_that_waits_behind_other_code_is_not_run_for_who_is_gone(shared):
    shared.execute("begun = []")
    first = shared.server.connection()
    first.request("POST", "/e2b/execute", json.dumps({"code": "print('on', flush=True)\nwhile True: pass"}), shared.headers(CODE))
    busy = first.getresponse()
    assert b"on" in busy.readline()
    for more in {}, {"env_vars": {"A": "1"}}:
        gone = shared.server.connection()
        gone.request("POST", "/e2b/execute", json.dumps({"code": "begun.append(1)", **more}), shared.headers(CODE))
        kernels = {}
        wait_until(lambda: kernels.update(shared.server.request("POST", f"/v1/sandboxes/{shared.id}/actions/kernel_list", {}).json) or
                   kernels["kernels"][0]["n_waiting"] == 1)
        gone.close()
        wait_until(lambda: shared.server.request("POST", f"/v1/sandboxes/{shared.id}/actions/kernel_list",
                                                 {}).json["kernels"][0]["n_waiting"] == 0)
    busy.close()
    first.close()
    assert shared.execute("begun")[0]["text"] == "[]"


def test_variables_of_pieces_of_code_at_once_stay_apart(shared):
    """In one interpreter, where they take turns; also of one whose client has gone."""
    shared.execute("import os, time")
    code = "before = os.environ['KEY']\ntime.sleep(0.01)\n(before, os.environ['KEY'], os.environ.get('OTHER'))"
    seen = {}

    def ask(i):
        lines = shared.execute(code, env_vars={"KEY": f"k{i}", **({"OTHER": f"o{i}"} if i % 2 else {})})
        seen[i] = [line["text"] for line in lines if line["type"] == "result"]
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {i: [str((f"k{i}", f"k{i}", f"o{i}" if i % 2 else None))] for i in range(12)}
    assert shared.execute("(os.environ.get('KEY'), os.environ.get('OTHER'))")[0]["text"] == "(None, None)"


def test_snapshots_are_templates_of_their_own(server):
    box = Box(server, metadata={"a": "b"})
    box.write("kept", b"before")
    made = box.api("POST", "/snapshots", {"name": "my-snap"}).json
    assert made["names"] == ["my-snap:latest"]
    box.write("kept", b"after")
    ids = [s["snapshotID"] for s in api(server, "GET", f"/snapshots?sandboxID={box.id}").json]
    assert ids == [made["snapshotID"]]
    assert api(server, "GET", "/snapshots?name=my-snap").json[0] == made
    assert api(server, "GET", "/snapshots?name=other").json == []
    for template in (made["snapshotID"], "my-snap"):
        other = Box(server, templateID=template)
        assert (other.read("kept").body, other.run("whoami")[0]) == (b"before", b"user\n")
        other.api("DELETE")
    failure(api(server, "DELETE", "/templates/host"), 404)
    assert api(server, "DELETE", f"/templates/{made['snapshotID']}").status == 204
    failure(api(server, "DELETE", f"/templates/{made['snapshotID']}"), 404)
    forks = box.api("POST", "/fork", {"count": 2, "timeout": 60}).json
    assert len({fork["sandbox"]["sandboxID"] for fork in forks} | {box.id}) == 3
    for fork in forks:
        other = Box.__new__(Box)
        other.server, other.record = server, fork["sandbox"]
        other.id, other.token = other.record["sandboxID"], other.record["envdAccessToken"]
        assert (other.read("kept").body, other.api("GET").json["metadata"]) == (b"after", {"a": "b"})
        other.write("kept", b"own")
        assert other.run("sudo cat kept")[0] == b"own"
        other.api("DELETE")
    assert box.read("kept").body == b"after"
    failure(box.api("POST", "/fork", {"count": 0}), 400)
    box.api("POST", "/pause", {})
    failure(box.api("POST", "/fork", {}), 409)
    box.api("DELETE")
    failure(box.api("POST", "/snapshots", {}), 404)


def test_what_is_not_offered_says_so(server, shared):
    for method, path, body in (("GET", "/templates", None), ("POST", "/v3/templates", {}), ("GET", "/volumes", None),
                               ("POST", "/secrets", {}), ("PUT", f"/sandboxes/{shared.id}/network", {}),
                               ("GET", "/teams", None)):
        failure(api(server, method, path, body), 501)
    for wish in ({"iam": {"tokens": {"a": {}}}}, {"volumeMounts": [{"name": "v", "path": "/v"}]},
                 {"network": {"rules": {"a.com": []}, "egressProxy": {"url": "http://x"}}},
                 {"network": {"denyOut": ["10.0.0.1"]}}, {"autoPause": True, "autoPauseMemory": False}):
        failure(api(server, "POST", "/v2/sandboxes", wish), 501)
    failure(api(server, "POST", "/v2/sandboxes", {"templateID": "no-such"}), 404)
    for wish in ({"anything": 1}, {"timeout": "x"}, {"metadata": {"a": 1}}, {"network": {"unheardOf": True}}):
        failure(api(server, "POST", "/v2/sandboxes", wish), 400)
    failure(api(server, "POST", "/v2/sandboxes", b"{"), 400)
    refusal(shared.envd("POST", "/process.Process/StreamInput", b""), 501, "unimplemented")


def test_bytes_that_are_no_message(shared):
    headers = shared.headers(**{"Content-Type": "application/connect+json"})
    for body in (b"", b"\0", b"\0\0\0\0\x05{}", b"\1\0\0\0\2{}", b"\0\xff\xff\xff\xff", b"\x7f\0\0\0\2{}", envelope({})[:-1] + b"["):
        reply = shared.envd("POST", "/process.Process/Start", body, headers)
        (flags, end), = envelopes(reply.body)
        assert flags == 2 and end["error"]["code"], body
    assert shared.envd("POST", "/process.Process/Start", b"{}", shared.headers(**{"Content-Type": "application/json"})).status == 415


def test_sandboxes_and_their_processes_outlive_the_server(own_server):
    box = Box(own_server, metadata={"a": "b"}, timeout=600)
    box.write("kept", b"1")
    stream = box.open("process.Process/Start", {"process": {"cmd": "cat"}})
    pid = stream.event()["start"]["pid"]
    end = box.api("GET").json["endAt"]
    own_server.kill_server()
    stream.close()
    detail = box.api("GET").json
    assert (detail["metadata"], detail["endAt"], detail["state"]) == ({"a": "b"}, end, "running")
    assert box.read("kept").body == b"1"
    again = box.open("process.Process/Connect", {"process": {"pid": pid}})
    again.event()
    box.call("process.Process/SendInput", process={"pid": pid}, input={"stdin": base64.b64encode(b"on").decode()})
    assert base64.b64decode(again.event()["data"]["stdout"]) == b"on"
    again.close()
    assert box.api("DELETE").status == 204


def test_use_is_told(shared):
    sample, = shared.api("GET", "/metrics").json
    assert sample["memTotal"] > 0 and sample["cpuCount"] >= 1 and sample["timestampUnix"] > 0 and 0 <= sample["cpuUsedPct"] <= 100
    assert shared.api("GET", "/metrics?start=1&end=2").json == []
    assert shared.envd("GET", "/metrics").json["diskTotal"] > 0
    assert shared.envd("GET", "/envs").json["HOME"] == "/home/user"


def test_what_cannot_be_written_down_is_not_acknowledged(server_with_small_disk):
    server = server_with_small_disk
    box = Box(server, timeout=60)
    with open(server.state / "filler", "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(bytes(4096))
    for tail, wish in (("/refreshes", {"duration": 600}), ("/connect", {"timeout": 1200}), ("/timeout", {"timeout": 60})):
        assert box.api("POST", tail, wish).status == 507, tail
    (server.state / "filler").unlink()
    assert box.api("POST", "/refreshes", {"duration": 1800}).status == 204
    box.api("DELETE")
