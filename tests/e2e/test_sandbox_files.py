# SPDX-License-Identifier: Apache-2.0
"""The file verbs in a real sandbox: with its locks, its own user, its full disk, and workers that it cannot turn."""
import io
import tarfile
import zipfile

import archives
import pytest
from processes import children, status
from waiting import wait_until


@pytest.fixture(scope="module")
def box(server):
    box = server.create(limits={"disk_bytes": 64 << 20})
    yield box
    box.delete()


def test_what_a_verb_makes_belongs_to_the_agent(box):
    box.action("write", path="/workspace/made/f", content="text\n")
    assert box.put_file("/workspace/made/up", b"data").status == 200
    assert box.put_file("/workspace/made/tree", archives.tar(*archives.ordinary()), kind="tar").status == 200
    owners = box.output("find /workspace/made -printf '%u\\n' | sort -u").split()
    assert owners == box.output("id -un").split()


def test_the_agent_can_change_what_a_verb_made_and_the_other_way_round(box):
    box.action("write", path="/workspace/both", content="one\n")
    box.run("echo two >> /workspace/both && chmod 640 /workspace/both")
    assert box.action("edit", path="/workspace/both", command="insert", insert_line=2, new_str="three")["applied"]
    assert box.output("cat /workspace/both; stat -c %a /workspace/both") == "one\ntwo\nthree\n640\n"


def test_workers_search_and_remove(box):
    box.run("mkdir -p /workspace/t/a/b && for i in 1 2 3; do echo needle $i > /workspace/t/a/b/$i.txt; done")
    assert len(box.action("glob", path="/workspace/t", pattern="**/*.txt")["matches"]) == 3
    assert [m["text"] for m in box.action("grep", path="/workspace/t", pattern="needle [13]")["matches"]] == [
        "needle 1", "needle 3"]
    assert box.action("remove", path="/workspace/t", recursive=True)["removed"] == 6


def test_archives_go_in_and_come_out(box):
    box.put_file("/workspace/in", archives.zipped(("d/f", b"content"), ("gr\u00fc\u00dfe", b"1")), kind="zip")
    with tarfile.open(fileobj=io.BytesIO(box.get_file("/workspace/in", format="tar").body)) as t:
        assert t.extractfile("d/f").read() == b"content"
    with zipfile.ZipFile(io.BytesIO(box.get_file("/workspace/in", format="zip").body)) as z:
        assert sorted(z.namelist()) == ["d/", "d/f", "gr\u00fc\u00dfe"]


def test_a_full_disk_is_an_error_that_names_the_file(box):
    big = b"x" * (80 << 20)
    reply = box.put_file("/workspace/big", big)
    assert (reply.status, reply.code) == (507, "no_space") and "/workspace/big" in reply.json["error"]["message"]
    assert box.output("ls -A /workspace | grep -e big -e part; true") == ""
    reply = box.put_file("/workspace/bigs", archives.tar(("a", b"1"), ("b", big)), kind="tar")
    assert (reply.status, reply.code) == (507, "no_space")
    assert box.output("ls -A /workspace/bigs; rm -r /workspace/bigs") == "a\n"
    assert box.action("write", path="/workspace/small", content="fits")["bytes"] == 4


def test_no_verb_reads_what_the_kernel_shows(box):
    for path in ("/proc/self/environ", "/proc/1/environ", "/proc/kcore"):
        reply = box.request("POST", "/actions/read", {"path": path})
        assert reply.status in (400, 403, 404), path
    assert box.action("grep", path="/etc", pattern="root:x:0", include=["passwd"])["files_matched"] == 1


def workers_of(server):
    """The executors are children of the supervisor, and the workers theirs: what the kernel tells of each."""
    return [status(worker) for executor in children(server.process.pid, "cay-executor")
            for worker in children(executor, "cay-worker")]


def test_the_agent_sees_nothing_of_a_worker_and_can_do_nothing_to_it(box):
    """The upload waits for more bytes: its worker is there, in the agent's own pid namespace."""
    wait_until(lambda: not workers_of(box.server), "earlier workers are there")
    connection = box.server.connection()
    connection.putrequest("PUT", f"{box.path}/files?path=/workspace/slow&kind=tar")
    for name, value in box.server.headers("", {"Content-Length": "100000"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"\0" * 512)
    worker = wait_until(lambda: [w for w in workers_of(box.server) if w.get("Seccomp") == "2"], "no worker that is locked")[0]
    inner = worker["NSpid"].split()[-1]
    assert worker["NoNewPrivs"] == "1" and worker["CapEff"] == "0000000000000000"
    script = f"""
import ctypes, os
print({inner} in os.listdir('/proc'), os.path.exists('/proc/{inner}/fd'),
      ctypes.CDLL(None).ptrace(16, {inner}, 0, 0))
"""
    box.action("write", path="/workspace/look.py", content=script)
    assert box.output("python3 /workspace/look.py") == "False False -1\n"
    connection.close()
