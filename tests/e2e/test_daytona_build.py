# SPDX-License-Identifier: Apache-2.0
"""Images that Daytona's clients describe by Dockerfiles and files: for sandboxes, as snapshots, with their logs."""
import json
import os
import threading
import urllib.parse

import pytest

from test_build import context, nothing_is_left
from test_daytona import API, Box, failure
from waiting import wait_until

STORAGE = "/daytona/storage/contexts"


def wish(dockerfile, *hashes):
    return {"labels": {"code-toolbox-language": "python"},
            "buildInfo": {"dockerfileContent": dockerfile, **({"contextHashes": list(hashes)} if hashes else {})}}


def create(server, dockerfile, *hashes, **more):
    return server.request("POST", f"{API}/sandbox", {**wish(dockerfile, *hashes), **more})


def state_of(server, box_id):
    return server.request("GET", f"{API}/sandbox/{box_id}").json["state"]


def started(server, reply):
    """The sandbox of an answer, once it has started."""
    assert reply.status == 200, reply.body
    wait_until(lambda: state_of(server, reply.json["id"]) not in ("pending_build", "building_snapshot", "creating"), "it is built")
    record = server.request("GET", f"{API}/sandbox/{reply.json['id']}").json
    assert record["state"] == "started", record
    box = Box.__new__(Box)
    box.server, box.record, box.id = server, record, record["id"]
    return box


def access(server):
    """What a client's S3 library is told, as headers."""
    told = server.request("GET", f"{API}/object-storage/push-access").json
    assert urllib.parse.urlsplit(told["storageUrl"]).path == "/daytona/storage" and told["bucket"] == "contexts"
    return {"X-Amz-Security-Token": told["sessionToken"]}


def put(server, key, body, query=""):
    return server.request("PUT", f"{STORAGE}/{key}{query}", body, token=None, headers=access(server))


def test_an_image_is_built_for_its_sandbox_and_the_next_one_need_not_wait(server):
    text = "FROM host\nENV WHO=me\nRUN date +%s.%N > /built; echo said\nWORKDIR /there\n"
    first = create(server, text, env={"A": "1"}, name="of-a-build")
    assert first.json["state"] == "pending_build" and first.json["name"] == "of-a-build"
    box = started(server, first)
    assert box.record["name"] == "of-a-build"
    built = box.execute("cat /built; echo $WHO $A")["result"]
    assert built.endswith("\nme 1\n")
    again = started(server, create(server, text))
    assert again.execute("cat /built; echo me 1")["result"] == built  # all of it was there
    logs = box.api("GET", "/build-logs").body.decode()
    assert "Step 3/4 : RUN date" in logs and "\nsaid\n" in logs
    for record in again.record, box.record:
        server.request("DELETE", f"{API}/sandbox/{record['id']}")
    assert server.request("GET", f"{API}/sandbox/{box.id}").status == 404


def test_logs_are_followed_while_it_is_built(server):
    reply = create(server, "FROM host\nRUN echo begun; sleep 1; echo ended\n")
    box_id = reply.json["id"]
    url = server.request("GET", f"{API}/sandbox/{box_id}/build-logs-url").json["url"]
    connection = server.connection()
    connection.request("GET", urllib.parse.urlsplit(url).path + "?follow=true", headers=server.headers("", None))
    said = connection.getresponse().read().decode()  # to its end, which is that of the build
    assert "begun\n" in said and "ended\n" in said
    started(server, reply).delete()


def test_a_build_that_fails_says_why(server):
    reply = create(server, "FROM host\nRUN echo before; exit 3\n")
    box_id = reply.json["id"]
    wait_until(lambda: state_of(server, box_id) == "build_failed", "the build has failed")
    record = server.request("GET", f"{API}/sandbox/{box_id}").json
    assert "line 2" in record["errorReason"] and "non-zero code: 3" in record["errorReason"]
    logs = server.request("GET", f"{API}/sandbox/{box_id}/build-logs").body.decode()
    assert "before\n" in logs and "non-zero code: 3" in logs
    assert server.request("DELETE", f"{API}/sandbox/{box_id}").json["state"] == "destroyed"
    assert server.request("GET", f"{API}/sandbox/{box_id}").status == 404
    nothing_is_left(server)


@pytest.mark.parametrize("text,status,words", [
    ("FROM host\nFLY away\n", 400, "line 2: unknown instruction: FLY"),
    ("FROM no-such:1\nRUN true\n", 404, "cay image tag host NAME"),
    ("FROM host\nCOPY a /a\n", 404, "line 2: open /a"),
    ("   ", 400, "dockerfileContent"),
])
def test_what_cannot_be_built_is_an_error_at_once(server, text, status, words):
    reply = create(server, text)
    if reply.status == 200:  # a machine so slow that it was answered before it had been tried
        path = f"{API}/sandbox/{reply.json['id']}"
        wait_until(lambda: server.request("GET", path).json["state"] == "build_failed", "it has failed")
        assert words in server.request("GET", path).json["errorReason"]
        server.request("DELETE", path)
    else:
        assert words in failure(reply, status)
    nothing_is_left(server)


def test_files_come_with_a_build(server):
    files = context("", {"srv/data/one": "1\n", "srv/data/zeros": bytes(4096)}), context("", {"tmp/two": "2\n"})
    for number, body in enumerate(files):
        key = f"cay/hash{number}/context.tar"
        assert server.request("HEAD", f"{STORAGE}/{key}", token=None, headers=access(server)).status == 404
        assert put(server, key, body).status == 200
        head = server.request("HEAD", f"{STORAGE}/{key}", token=None, headers=access(server))
        assert head.status == 200 and int(head.headers["Content-Length"]) == len(body)
        listed = server.request("GET", f"{STORAGE}?list-type=2&max-keys=1&prefix=cay%2Fhash{number}%2F", token=None,
                                headers=access(server))
        assert f"<Key>{key}</Key>".encode() in listed.body
    box = started(server, create(server, 'FROM host\nCOPY ["srv/data", "/data"]\nCOPY ["tmp/two", "/data/two"]\n', "hash0", "hash1"))
    assert box.execute("cd /data; cat one two; wc -c < zeros")["result"] == "1\n2\n4096\n"
    box.delete()
    assert "send them again" in failure(create(server, "FROM host\nCOPY a /a\n", "hash7"), 404)


def test_files_come_in_parts_in_any_order(server):
    whole = context("", {"big": os.urandom(300000)})
    key = "cay/parts/context.tar"
    begun = server.request("POST", f"{STORAGE}/{key}?uploads", b"", token=None, headers=access(server))
    upload = begun.body.decode().split("<UploadId>")[1].split("<")[0]
    for number in 3, 1, 2, 2:  # one of them again, as after an answer that was lost
        part = whole[(number - 1) * 100000:number * 100000 if number < 3 else None]
        assert put(server, key, part, f"?partNumber={number}&uploadId={upload}").status == 200
    assert server.request("HEAD", f"{STORAGE}/{key}", token=None, headers=access(server)).status == 404
    done = server.request("POST", f"{STORAGE}/{key}?uploadId={upload}", b"<CompleteMultipartUpload/>", token=None,
                          headers=access(server))
    assert done.status == 200 and b"CompleteMultipartUploadResult" in done.body
    box = started(server, create(server, "FROM host\nCOPY big /big\n", "parts"))
    assert box.execute("wc -c < /big")["result"] == "300000\n"
    box.delete()


def test_nobody_puts_files_who_was_not_let(server):
    key = f"{STORAGE}/cay/x/context.tar"
    for headers in {}, {"X-Amz-Security-Token": "none"}, {"X-Amz-Security-Token": "9999999999-" + "0" * 40}:
        for method, path in ("PUT", key), ("HEAD", key), ("GET", f"{STORAGE}?list-type=2"), ("POST", key + "?uploads"):
            assert server.request(method, path, b"x" if method == "PUT" else None, token=None, headers=headers).status == 401
    right = access(server)
    assert server.request("PUT", "/daytona/storage/other/cay/x", b"x", token=None, headers=right).status in (401, 404)
    assert server.request("PUT", f"{STORAGE}/cay/%3Cx%3E", b"x", token=None, headers=right).status == 400
    assert server.request("GET", f"{API}/sandbox", token=None, headers=right).status == 401  # it opens nothing else
    chunked = {**right, "Content-Encoding": "aws-chunked"}
    assert server.request("PUT", key, b"x", token=None, headers=chunked).status == 501


def test_an_archive_that_is_none_fails_the_build_and_nothing_else(server):
    for name, body in ("cut", context("", {"a": bytes(5000)})[:2000]), ("rubbish", os.urandom(2048)):
        assert put(server, f"cay/{name}/context.tar", body).status == 200
        assert "tar" in failure(create(server, "FROM host\nCOPY a /a\n", name), 400)
    nothing_is_left(server)


def test_a_client_that_leaves_while_it_sends_files_leaves_nothing_to_be_found(server):
    headers = access(server)
    connection = server.connection()
    connection.putrequest("PUT", f"{STORAGE}/cay/gone/context.tar")
    for name, value in {**headers, "Content-Length": "1000000"}.items():
        connection.putheader(name, value)
    connection.endheaders(bytes(1000))
    connection.close()
    assert server.request("HEAD", f"{STORAGE}/cay/gone/context.tar", token=None, headers=headers).status == 404
    assert put(server, "cay/gone/context.tar", context("", {"a": "x"})).status == 200


def test_a_snapshot_is_built_under_its_name(server):
    reply = server.request("POST", f"{API}/snapshots", {"name": "built:1", **wish("FROM host\nRUN echo snap > /snap; echo said\n")})
    assert reply.status == 200 and reply.json["state"] == "building", reply.body
    path = f"{API}/snapshots/{reply.json['id']}"
    wait_until(lambda: server.request("GET", path).json["state"] == "active", "the snapshot is built")
    told = server.request("GET", path).json
    assert told["name"] == "built:1" and told["errorReason"] is None
    assert b"said\n" in server.request("GET", path + "/build-logs").body
    assert server.request("GET", path + "/build-logs-url").json["url"].endswith("/build-logs")
    box = Box(server, snapshot="built:1")
    assert box.execute("cat /snap")["result"] == "snap\n"
    box.delete()
    assert server.request("POST", f"{API}/snapshots", {"name": "other:1", "imageName": "built:1"}).status == 200
    names = [s["name"] for s in server.request("GET", f"{API}/snapshots").json["items"]]
    assert {"built:1", "other:1", "host:latest"} <= set(names)
    assert server.request("DELETE", f"{API}/snapshots/{urllib.parse.quote(told['id'], safe='')}").status == 200
    failure(server.request("GET", f"{API}/snapshots/built:1"), 404)
    assert server.request("GET", f"{API}/snapshots/other:1").status == 200  # removed was the one name


def test_a_snapshot_whose_build_fails_says_so(server):
    reply = server.request("POST", f"{API}/snapshots", {"name": "bad:1", **wish("FROM host\nRUN exit 4\n")})
    path = f"{API}/snapshots/{reply.json['id']}"
    wait_until(lambda: server.request("GET", path).json["state"] == "build_failed", "the build has failed")
    assert "non-zero code: 4" in server.request("GET", path).json["errorReason"]
    assert server.request("GET", f"{API}/snapshots/bad:1").json["state"] == "build_failed"
    assert server.request("POST", f"{API}/snapshots", {"name": "bad:1", "imageName": "host"}).json["state"] == "active"
    assert server.request("GET", f"{API}/snapshots/bad:1").json["state"] == "active"
    failure(server.request("POST", f"{API}/snapshots", {"name": "no/ such", **wish("FROM host\nRUN true\n")}), 400)
    failure(server.request("POST", f"{API}/snapshots", {"name": "x"}), 400)


def test_a_sandbox_that_is_deleted_while_its_image_is_built_takes_the_build_along(server):
    reply = create(server, "FROM host\nRUN sleep 1000\n")
    assert reply.json["state"] == "pending_build"
    assert server.request("DELETE", f"{API}/sandbox/{reply.json['id']}").json["state"] == "destroyed"
    assert server.request("GET", f"{API}/sandbox/{reply.json['id']}").status == 404
    nothing_is_left(server)


def test_a_client_that_leaves_before_it_is_answered_takes_its_build_along(server):
    files = context("", {"a": bytes(30 << 20)})
    assert put(server, "cay/large/context.tar", files).status == 200
    connection = server.connection()
    connection.request("POST", f"{API}/sandbox", json.dumps(wish("FROM host\nCOPY a /a\n", "large")), server.headers("", None))
    connection.close()
    nothing_is_left(server)


def test_steps_have_the_network_of_the_sandbox(server):
    text = "FROM host\nRUN bash -c 'echo > /dev/tcp/192.0.2.1/80' 2>&1 | grep -q unreachable && echo alone > /is; touch /is\n"
    for more, is_blocked in ({}, True), ({"domainAllowList": "example.com"}, False):
        box = started(server, create(server, text, **more))
        assert box.record["networkBlockAll"] is is_blocked
        found = box.execute("cat /is")["result"]
        box.delete()
        assert found == ("alone\n" if is_blocked else "")


def test_more_builds_than_there_are_hands_are_refused(server):
    ids = []
    threads = [threading.Thread(target=lambda i=i: ids.append(create(server, f"FROM host\nRUN echo {i}; sleep 1000\n").json["id"]))
               for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "wait for one" in failure(create(server, "FROM host\nRUN true\n"), 429)
    for box_id in ids:
        server.request("DELETE", f"{API}/sandbox/{box_id}")
    nothing_is_left(server)


def test_kill_9_of_the_server_leaves_nothing_of_a_build(own_server):
    reply = create(own_server, "FROM host\nRUN sleep 1000\n")
    own_server.kill_server()
    assert own_server.request("GET", f"{API}/sandbox/{reply.json['id']}").status == 404
    nothing_is_left(own_server)
