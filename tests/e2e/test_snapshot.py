# SPDX-License-Identifier: Apache-2.0
"""Snapshots and forks: what a sandbox has changed, as an image; all of it, at one moment, and neither side's writes seen
by the other."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading

import pytest
import rootfs
from conftest import PROGRAMS, Sandbox, Server, end_server, start_server
from waiting import wait_until

ORDINARY = 54321


@contextlib.contextmanager
def serving(*options):
    server = start_server(*options)
    try:
        yield server
    finally:
        end_server(server)


# Every name below a directory with all that a snapshot keeps of it, whatever bytes the names have.
LOOK = r"""
import hashlib, os, stat, sys
links = {}
for top, dirs, files in sorted(os.walk(os.fsencode(sys.argv[1]))):
    for name in sorted(dirs + files) + [b"."]:
        path = os.path.join(top, name)
        st = os.lstat(path)
        kind = stat.S_IFMT(st.st_mode)
        what = ""
        if stat.S_ISLNK(st.st_mode):
            what = os.readlink(path)
        elif stat.S_ISREG(st.st_mode):
            what = hashlib.sha256(open(path, "rb").read()).hexdigest()[:16], st.st_size, st.st_nlink, int(st.st_mtime)
            what += links.setdefault((st.st_dev, st.st_ino), path),
        print(path, oct(st.st_mode), st.st_uid, st.st_gid, what)
"""


def look(box, directory, **more):
    box.put_file("/tmp/look.py", LOOK.encode())
    result = box.action("exec", argv=["python3", "/tmp/look.py", directory], **more)
    assert result["exit_code"] == 0, result
    box.action("exec", argv=["rm", "/tmp/look.py"])
    own = ("/etc/hosts'", "/etc/hostname'", "/etc/resolv.conf'", "statoverride'")  # each sandbox has its own
    return [line for line in result["stdout"].splitlines() if not any(name in line for name in own)]


def snapshot(box, **body):
    reply = box.request("POST", "/snapshot", body)
    assert reply.status == 201, reply.body
    return reply.json


def fork(box, **body):
    reply = box.request("POST", "/fork", body)
    assert reply.status == 201, reply.body
    return [adopt(box.server, record) for record in reply.json["sandboxes"]]


def adopt(server, record):
    server.made.add(record["id"])
    return Sandbox(server, record)


def images(server):
    return {i["id"]: i for i in server.request("GET", "/v1/images").json["images"] if i["names"] != ["host:latest"]}


def layer_dirs(server):
    return {d for d in os.listdir(server.state / "images" / "layers") if not d.startswith("fresh-")}


def error_of(reply):
    return reply.json["error"]["code"], reply.json["error"]["message"]


FILES = r"""
cd /workspace
mkdir -p a/b/c 'with space' "$(printf 'by\xfftes')" private
echo one > a/b/c/one; ln a/b/c/one a/two; ln -s ../two a/b/link; ln -s /nowhere dangling
echo x > "$(printf 'by\xfftes/na\nme')"; chmod 640 a/two; chmod 700 private; echo s > private/key; chmod 400 private/key
chmod 1777 a/b; printf '#!/bin/sh\necho ran\n' > tool; chmod 755 tool
truncate -s 20M sparse; printf end >> sparse; head -c 3000000 /dev/urandom > big
touch -d 2001-02-03T04:05:06 old; : > empty; mkdir empty-dir
mkfifo fifo; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
echo home > ~/.profile-of-mine
"""


def test_a_sandbox_of_a_snapshot_has_all_that_was_there(server):
    box = server.create()
    assert box.run(FILES)["exit_code"] == 0
    image = snapshot(box, name="whole:1")
    assert image["names"] == ["whole:1"] and image["snapshot_of"] == box.id and image["base"] == "host"
    assert box.output("rm fifo sock; echo untouched") == "untouched\n"
    child = server.create(image="whole:1")
    assert look(child, "/workspace") == look(box, "/workspace")
    assert look(child, "/home") == look(box, "/home")
    assert child.output("./tool; stat -c %a:%U /tmp / /home /root; pwd") == \
        "ran\n1777:root\n755:root\n755:root\n700:root\n/workspace\n"


def test_neither_side_sees_what_the_other_writes(server):
    box = server.create(name="parent")
    box.run("echo 1 > f; mkdir d; echo 2 > d/g; sleep 1000 & export KEPT=1")
    one, two = fork(box, count=2, create={"name": "twin"})
    assert {one.get()["name"], two.get()["name"]} == {"twin-1", "twin-2"}
    assert one.output("cat f d/g; pgrep sleep; echo $KEPT") == "1\n2\n\n"
    one.run("echo ONE > f; rm -r d; echo new > n")
    box.run("echo BOX > f; echo 3 > d/h")
    assert two.output("cat f; ls -1; ls -1 d") == "1\nd\nf\ng\n"
    assert box.output("cat f; ls -1; ls -1 d; pgrep -c sleep; echo $KEPT") == "BOX\nd\nf\ng\nh\n1\n1\n"
    assert one.output("cat f; ls -1") == "ONE\nf\nn\n"
    assert box.get()["state"] == "ready"


def test_what_was_deleted_or_replaced_stays_so_through_forks_of_forks(server):
    box = server.create(user="root")
    box.run("cd /; rm /usr/bin/cal /usr/share/doc -rf; mkdir /usr/share/doc; echo d > /usr/share/doc/mine;"
            "rm -r /srv; echo conf > /etc/mine; rm /etc/issue; mkdir -p /workspace/w; echo w > /workspace/w/w")
    places = ("/usr/share/doc", "/etc", "/workspace", "/opt")
    seen = {p: look(box, p) for p in places}
    for generation in range(3):
        child, = fork(box)
        assert {p: look(child, p) for p in places} == seen
        assert child.output("ls /usr/bin/cal /etc/issue 2>&1 | wc -l; cat /usr/share/doc/mine") == "2\nd\n"
        child.run(f"echo {generation} > /workspace/gen; rm -r /workspace/w; mkdir /workspace/w; echo {generation} > "
                  f"/workspace/w/g{generation}")
        seen["/workspace"] = look(child, "/workspace")
        box = child
    assert box.output("ls /workspace/w; cat /workspace/gen") == "g2\n2\n"


@pytest.mark.parametrize("user", ("root", "agent"))
def test_names_that_tell_what_is_gone_in_other_layers_are_names(server, user):
    long = "n" * 255
    box = server.create(user=user)
    box.run(f"mkdir -p /workspace/d && cd /workspace && echo kept > kept && echo a > .wh.kept && echo b > .wh..wh..opq && mkdir .wh.d && echo c > .wh.d/x; touch {long} d/{long}")
    first, = fork(box)
    first.run(f"cd /workspace; rm {long} d/{long}; echo c2 > .wh.d/x; rm .wh..wh..opq")
    second, = fork(first)
    look_at = "cd /workspace; export LC_ALL=C; ls -1A; cat kept .wh.kept .wh.d/x; ls -A d"
    assert first.output(look_at) == second.output(look_at) == ".wh.d\n.wh.kept\nd\nkept\nkept\na\nc2\n"
    for one in (box, first, second):
        one.delete()


def test_what_a_socket_or_a_fifo_has_replaced_does_not_come_back(server):
    box = server.create()
    box.run("mkdir d; for n in fifo socket d/x; do echo old > $n; done; mkdir dir; echo old > dir/x; echo kept > kept")
    child, = fork(box)
    child.run("rm -r fifo socket dir; mkfifo fifo; python3 -c 'import socket; [socket.socket(socket.AF_UNIX).bind(n) for n in (\"socket\", \"dir\")]'")
    child.run("mkdir made; mkfifo made/fifo; mkdir made/in; mkfifo made/in/fifo d/fifo")
    assert child.output("echo * d/*") == "d dir fifo kept made socket d/fifo d/x\n"
    grandchild, = fork(child)
    assert grandchild.output("ls -AR made; ls -A d; rm -r made") == "made:\nin\n\nmade/in:\nx\n"
    assert grandchild.output("echo *; cat d/x") == "d kept\nold\n"
    assert grandchild.output("mkdir dir fifo; ls dir fifo; echo new > socket; cat socket") == "dir:\n\nfifo:\nnew\n"


# Some hundred steps of somebody who does not mind what becomes of the tree: names, kinds, holes, links, owners.
STORM = r"""
import os, random, shutil, socket, sys
r, tops, is_root = random.Random(int(sys.argv[1])), sys.argv[2:], os.geteuid() == 0

def name():
    return r.choice([b"a", b"b", b"c", b".wx", b"..x", b"-rf", b"\xff\n", b'"', b"n" * 250]) + str(r.randint(0, 4)).encode() * (r.random() < .8)

def fill(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK)
    for _ in range(r.randint(0, 4)):
        os.pwrite(fd, os.urandom(r.choice([1, 4096, 5000])), r.choice([0, 1, 4095, 4096, 65536, 5 << 20]))
    if r.random() < .3:
        os.ftruncate(fd, r.choice([1, 4097, 64 << 20]))
    os.close(fd)

for _ in range(200):
    found = [(d, ds, fs) for top in tops for d, ds, fs in os.walk(os.fsencode(top))]
    dirs, files = [d for d, _, _ in found], [os.path.join(d, n) for d, ds, fs in found for n in fs + (ds if d.count(b"/") > 1 else [])]
    new, old = os.path.join(r.choice(dirs), name()[:255]), r.choice(files or [b"/nowhere"])
    try:
        step = r.randint(0, 10)
        if step == 0: os.mkdir(new, r.choice([0o755, 0o700, 0o1777]))
        elif step < 3: fill(new)
        elif step == 3: os.symlink(r.choice([b"/etc/passwd", b"../a", b"x" * 4095]), new)
        elif step == 4: os.link(old, new, follow_symlinks=False)
        elif step == 5: os.rename(old, new)
        elif step == 6: shutil.rmtree(old) if os.path.isdir(old) and not os.path.islink(old) else os.unlink(old)
        elif step == 7 and not os.path.islink(old): os.chmod(old, r.choice([0o644, 0o755, 0o777]) | 0o700 * os.path.isdir(old))
        elif step == 8 and is_root: os.chown(old, *[r.choice([0, 33, 1000])] * 2, follow_symlinks=False)
        elif step == 9: os.mkfifo(new)
        elif step == 10: socket.socket(socket.AF_UNIX).bind(new)
    except OSError:
        pass
"""
STORM_LOOK = r"""
import hashlib, os, stat, sys
for top in sys.argv[1:]:
    for d, ds, fs in sorted(os.walk(os.fsencode(top))):
        for path in sorted(os.path.join(d, n) for n in ds + fs):
            st = os.lstat(path)
            what = os.readlink(path) if stat.S_ISLNK(st.st_mode) else ""
            if stat.S_ISREG(st.st_mode):
                what = st.st_size, int(st.st_mtime), hashlib.sha256(open(path, "rb").read()).hexdigest()[:16]
            if not stat.S_ISFIFO(st.st_mode) and not stat.S_ISSOCK(st.st_mode):
                print(path, oct(st.st_mode), st.st_uid, what)
"""


@pytest.mark.parametrize("user", ["agent", "root"])
def test_whatever_becomes_of_a_tree_a_fork_of_a_fork_has_it(server, user):
    places = ["/workspace", "/var/tmp", *(["/usr/local/games", "/opt"] if user == "root" else [])]
    box = server.create(user=user)
    for generation in range(3):
        storm = box.action("exec", argv=["python3", "-c", STORM, str(generation), *places])
        assert storm["exit_code"] == 0, storm
        looks = []
        for one in (box, *fork(box)):
            one.put_file("/tmp/look.py", STORM_LOOK.encode())
            done = one.action("exec", argv=["sh", "-c", "exec python3 /tmp/look.py \"$@\" > /tmp/seen", "sh", *places])
            assert done["exit_code"] == 0, done  # names that are listed are there
            looks.append(one.get_file("/tmp/seen").body.splitlines())
        assert len(looks[0]) > 5 and looks[0] == looks[1]
        box.delete()
        box = one


def test_files_of_several_owners_keep_them(server):
    box = server.create(user="root")
    box.run("cd /workspace; mkdir -p r/a/r/a; echo 1 > r/f; echo 2 > r/a/f; echo 3 > r/a/r/f; echo 4 > r/a/r/a/f;"
            "chown -R 1000:1000 r/a; chown -R 0:0 r/a/r; chown -R 1000:1000 r/a/r/a; mkdir w; echo w > w/w;"
            "chown -R 33:33 w; chmod 700 w r/a; mkdir -p /usr/local/x; echo y > /usr/local/x/y; chown 1000:1000 /usr/local/x/y")
    parents = "stat -c '%n %a %u' / /usr /usr/local /usr/local/bin /home /home/agent /workspace"
    before = look(box, "/workspace"), look(box, "/usr/local/x"), box.output(parents)
    child, = fork(box)
    assert (look(child, "/workspace"), look(child, "/usr/local/x"), child.output(parents)) == before


def test_a_workspace_that_is_a_copy_is_in_the_snapshot(server, tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "src").mkdir()
    for name in ("kept", "gone", "changed"):
        (tmp_path / "src" / name).write_text(name)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, ORDINARY, ORDINARY)
    box = server.create(mounts=[{"source": str(tmp_path), "target": "/workspace", "mode": "copy"}])
    box.run("rm src/gone; echo new > src/changed; echo mine > src/mine")
    before = look(box, "/workspace")
    child, = fork(box)
    assert look(child, "/workspace") == before
    assert child.get()["spec"]["mounts"] == []
    child.run("rm -r src")
    assert sorted(p.name for p in (tmp_path / "src").iterdir()) == ["changed", "gone", "kept"]


# Two names of a file whose number is NUMBER.
TWINS = r"""
import os, sys
directory, number, text = sys.argv[1], int(sys.argv[2]), sys.argv[3]
while True:
    with open(directory + "/one", "w") as f:
        f.write(text)
    found = os.stat(directory + "/one").st_ino
    if found >= number:
        break
    os.unlink(directory + "/one")
os.link(directory + "/one", directory + "/two")
print(found)
"""


def test_files_on_two_devices_that_have_one_number_are_two():
    """What is seen of a directory that is mounted as a copy lies where it always did."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as source, serving("--host-path", source) as server:
        twins = [sys.executable, "-c", TWINS, source]
        box = server.create(mounts=[{"source": source, "target": "/workspace", "mode": "copy"}])
        inside = int(box.action("exec", argv=["python3", "-c", TWINS, "/tmp", "0", "x"])["stdout"])
        number = int(subprocess.run([*twins, str(inside + 500), "the workspace's"], check=True, stdout=subprocess.PIPE).stdout)
        box.run("rm /tmp/one /tmp/two")
        assert int(box.action("exec", argv=["python3", "-c", TWINS, "/tmp", str(number), "nobody's"])["stdout"]) == number
        assert box.output("stat -c %i one") == f"{number}\n"
        before = look(box, "/workspace")
        child, = fork(box)
        assert look(child, "/workspace") == before
        assert child.output("cat one two /tmp/one") == "the workspace'sthe workspace'snobody's"


MANY_LINKS = r"""
import os
d = os.open("/workspace", os.O_RDONLY)
for i in range(15):
    os.mkdir("d" * 250, dir_fd=d)
    d = os.open("d" * 250, os.O_RDONLY, dir_fd=d)
for i in range(40000):
    os.close(os.open(f"a{i}", os.O_CREAT | os.O_WRONLY, dir_fd=d))
    os.link(f"a{i}", f"b{i}", src_dir_fd=d, dst_dir_fd=d)
"""


def test_names_of_many_links_are_too_many_before_they_take_all_memory(own_server):
    box = own_server.create()
    assert box.action("exec", argv=["python3", "-c", MANY_LINKS])["exit_code"] == 0
    reply = box.request("POST", "/snapshot", {})
    assert (reply.status, error_of(reply)[0]) == (429, "limit_reached") and "files that have several" in error_of(reply)[1], reply.body
    assert box.output("echo on") == "on\n" and images(own_server) == {}


def test_a_sandbox_of_a_directory_is_forked_over_it(server, tmp_path):
    archive = tmp_path / "root.tar"
    archive.write_bytes(rootfs.tar(rootfs.base_files(), ["tmp", "gone"]))
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", archive], check=True)
    for path in (tmp_path, *tmp_path.parents[:2], root):
        os.chmod(path, 0o755)
    box = server.create(image=str(root), user="root")
    done = box.action("exec", argv=["/bin/sh", "-c", "echo new > /etc/new; rm -r /gone; echo x > /workspace/x"])
    assert done["exit_code"] == 0, done
    child, = fork(box)
    (root / "etc" / "later").write_text("seen by both")
    out = child.action("exec", argv=["/bin/sh", "-c", "cat /etc/new /workspace/x; ls /gone; cat /etc/later"])
    assert out["stdout"] == "new\nx\nseen by both" and "/gone" in out["stderr"]
    assert not (root / "etc" / "new").exists()


@pytest.mark.parametrize("levels, status", [(60, 201), (70, 400)])
def test_directories_lie_in_one_another_up_to_a_limit(server, levels, status):
    box = server.create()
    box.run("mkdir -p " + "d/" * levels)
    reply = box.request("POST", "/snapshot", {})
    assert reply.status == status and (status == 201 or "deep" in error_of(reply)[1])


def test_what_both_would_write_is_refused_until_it_is_said(server, tmp_path):
    box = server.create(mounts=[{"source": str(tmp_path), "target": "/shared", "mode": "rw"},
                                {"source": str(tmp_path), "target": "/given", "mode": "ro"}])
    code, message = error_of(box.request("POST", "/fork", {}))
    assert code == "invalid_argument" and "/shared" in message
    child, = fork(box, create={"mounts": []})
    assert child.get()["spec"]["mounts"] == [] and child.output("ls /shared") == ""


def test_a_fork_is_as_the_other_was_asked_for(server):
    box = server.create(user="root", network="proxy", allow=["example.org"], workdir="/somewhere", env={"A": "a"},
                        secrets={"S": "very-secret"}, limits={"pids": 99}, labels={"l": "1"}, idle_timeout_ms=900000)
    child, = fork(box, create={"env": {"B": "b"}, "limits": {"pids": 88}})
    mine, its = box.get(), child.get()
    for key in ("user", "network", "allow", "workdir"):
        assert its["spec"][key] == mine["spec"][key]
    assert its["spec"]["limits"]["pids"] == 88 and its["idle_timeout_ms"] == 900000 and its["labels"] == {}
    assert child.output("echo $A$B$S; pwd") == "b\n/somewhere\n"
    assert its["spec"]["secrets"] == []


PAIR = """
import os
n = 0
open("/workspace/started", "w").close()
while True:
    for name in "xy":
        with open(f"/workspace/{name}.new", "w") as f:
            f.write(f"{n}")
    os.rename("/workspace/x.new", "/workspace/x")
    os.rename("/workspace/y.new", "/workspace/y")
    n += 1
"""


def test_what_writes_all_the_time_is_caught_at_one_moment_and_goes_on(server):
    box = server.create()
    box.put_file("/workspace/pair.py", PAIR.encode())
    for i in range(20):  # so that the walk takes longer than a write
        box.run(f"mkdir d{i}; for j in $(seq 100); do echo $j > d{i}/$j; done")
    box.run("python3 pair.py & until [ -e y ]; do :; done")
    for _ in range(5):
        child, = fork(box)
        x, y = child.output("cat x; echo; cat y").split()
        assert int(x) - int(y) in (0, 1)
        child.delete()
        was = int(box.output("cat y"))
        wait_until(lambda: int(box.output("cat y") or 0) > was)


def test_what_a_caller_does_meanwhile_waits(server):
    box = server.create()
    box.run("head -c 60000000 /dev/urandom > big")
    replies = []
    thread = threading.Thread(target=lambda: replies.append(snapshot(box)))
    thread.start()
    n = 0
    while thread.is_alive():
        box.run(f"echo {n} > n")
        n += 1
    thread.join()
    assert n > 0 and box.output("cat n") == f"{n - 1}\n"
    child = server.create(image=replies[0]["id"])
    assert child.output("stat -c %s big") == "60000000\n"


def test_what_is_just_being_started_holds_up_nothing(server):
    """A process that comes to rest before its program has begun is one that the executor waits for, and the snapshot for that."""
    box, over, done = server.create(), threading.Event(), []

    def start_processes():
        while not over.is_set():
            done.append(box.action("exec", argv=["true"])["exit_code"])

    threads = [threading.Thread(target=start_processes) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for live in [False] * 12 + [True] * 4:
            child, = fork(box, live=live)
            child.delete()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert len(done) > 4 and set(done) == {0}


def test_a_paused_sandbox_stays_so(server):
    box = server.create()
    box.run("echo p > p")
    box.request("POST", "/pause")
    child, = fork(box)
    assert child.output("cat p") == "p\n" and box.get()["state"] == "paused"
    box.request("POST", "/resume")
    assert box.output("cat p") == "p\n"


def test_the_image_of_a_fork_goes_with_the_last_of_them(own_server):
    box = own_server.create()
    box.run("echo x > x")
    one, two = fork(box, count=2)
    assert len(images(own_server)) == 1
    image, = images(own_server)
    grandchild, = fork(one)
    for made in (one, two):
        made.delete()
    assert image not in images(own_server) and len(images(own_server)) == 1
    assert grandchild.output("cat x") == "x\n"
    grandchild.delete()
    assert images(own_server) == {}
    wait_until(lambda: not layer_dirs(own_server))


def test_a_snapshot_is_an_image_like_any_other(own_server):
    box = own_server.create()
    box.run("echo first > f")
    first = snapshot(box, name="mine")
    box.run("echo second > f")
    second = snapshot(box, name="mine")
    assert own_server.request("GET", "/v1/images/mine").json["id"] == second["id"] != first["id"]
    assert own_server.create(image="mine").output("cat f") == "second\n"
    assert own_server.create(image=first["id"]).output("cat f") == "first\n"
    code, message = error_of(own_server.request("DELETE", "/v1/images/mine"))
    assert code == "conflict" and "in use" in message


@pytest.mark.parametrize("body, code, word", [
    ({"name": "a b"}, "invalid_argument", "a b"), ({"name": "host"}, "forbidden", "host"),
    ({"nom": "x"}, "invalid_argument", "nom"), ({"name": 7}, "invalid_argument", "name")])
def test_a_bad_snapshot_is_refused(box, body, code, word):
    got, message = error_of(box.request("POST", "/snapshot", body))
    assert got == code and word in message


@pytest.mark.parametrize("body, word", [
    ({"count": 0}, "count"), ({"count": 65}, "count"), ({"create": {"image": "host"}}, "image"),
    ({"create": {"name": "-"}}, "name"), ({"create": {"user": "king"}}, "king"), ({"create": []}, "object")])
def test_a_bad_fork_is_refused(box, body, word):
    before = len(images(box.server))
    code, message = error_of(box.request("POST", "/fork", body))
    assert code == "invalid_argument" and word in message
    assert len(images(box.server)) == before


def test_of_many_forks_all_or_none_are_made(own_server):
    box = own_server.create(name="taken-2")
    code, message = error_of(box.request("POST", "/fork", {"count": 3, "create": {"name": "taken"}}))
    assert code == "already_exists" or "taken-2" in message
    wait_until(lambda: [s["name"] for s in own_server.request("GET", "/v1/sandboxes").json["sandboxes"]] == ["taken-2"])
    assert images(own_server) == {}


@pytest.mark.parametrize("make, word", [
    ("truncate -s 2T /workspace/huge", "holes counted"),
    ("echo x > /workspace/locked; chmod 0 /workspace/locked", "locked")])
def test_what_no_snapshot_can_hold_is_told_and_the_sandbox_goes_on(own_server, make, word):
    box = own_server.create(limits={"disk_bytes": -1} if "2T" in make else {})
    box.run(make)
    reply = box.request("POST", "/snapshot", {})
    assert reply.status >= 400 and word in error_of(reply)[1]
    assert box.output("echo on") == "on\n" and images(own_server) == {}
    wait_until(lambda: not layer_dirs(own_server))


SPARSE = r"""
import os
with open("/workspace/db", "wb") as f:
    f.truncate(10 << 30)
    for at in (0, 4096, (1 << 30) + 5, (5 << 30) - 1, (9 << 30) + 4095):
        f.seek(at); f.write(b"x" * 5000)
with open("/workspace/tail", "wb") as f:
    f.truncate(1 << 20); f.seek(300); f.write(b"y")
with open("/workspace/odd", "wb") as f:
    f.seek(1 << 20); f.write(b"z" * 7)
"""
SPARSE_LOOK = r"""
import hashlib, os
for name in ("db", "tail", "odd"):
    fd, h, at = os.open("/workspace/" + name, os.O_RDONLY), hashlib.sha256(), 0
    size = os.fstat(fd).st_size
    while at < size:
        try: at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError: break
        end = os.lseek(fd, at, os.SEEK_HOLE)
        data = os.pread(fd, end - at, at)
        h.update(b"".join(b"%d:%d" % (at + i, b) for i, b in enumerate(data) if b)); at = end
    print(name, size, os.fstat(fd).st_blocks * 512 < 200000, h.hexdigest())
"""


def test_holes_stay_holes(server):
    box = server.create(limits={"disk_bytes": -1})
    assert box.action("exec", argv=["python3", "-c", SPARSE])["exit_code"] == 0
    seen = box.action("exec", argv=["python3", "-c", SPARSE_LOOK])["stdout"]
    assert seen.count("True") == 3 and f"db {10 << 30}" in seen
    image = snapshot(box)
    assert image["size_bytes"] < 200000
    child = server.create(image=image["id"])
    assert child.action("exec", argv=["python3", "-c", SPARSE_LOOK])["stdout"] == seen
    grandchild, = fork(child)
    assert grandchild.action("exec", argv=["python3", "-c", SPARSE_LOOK])["stdout"] == seen


def test_hostile_files_harm_nobody_but_themselves(server):
    box = server.create()
    box.run("python3 - <<'E'\n"
            "import os\n"
            "for mode, device in ((0o020666, 0), (0o020666, 259), (0o060666, 2048)):\n"
            "    try: os.mknod(f'/workspace/dev{mode}-{device}', mode, device)\n"
            "    except OSError: pass\n"
            "for name in ('user.overlay.opaque', 'user.overlay.redirect', 'user.overlay.metacopy', 'user.x'):\n"
            "    for target in ('/workspace', '/tmp'):\n"
            "        try: os.setxattr(target, name, b'y')\n"
            "        except OSError: pass\n"
            "os.symlink('/proc/1/root/etc/shadow', '/workspace/shadow')\n"
            "os.symlink('../../../../../etc', '/workspace/up')\n"
            "d = os.open('/workspace', os.O_RDONLY)\n"
            "for i in range(50):\n"
            "    os.mkdir('deep' * 10, dir_fd=d); d = os.open('deep' * 10, os.O_RDONLY, dir_fd=d)\n"
            "E")
    child, = fork(box)
    assert child.output("readlink shadow up; ls -1d /usr/bin/env /etc/passwd; cat up/passwd > /dev/null && echo own") == \
        "/proc/1/root/etc/shadow\n../../../../../etc\n/etc/passwd\n/usr/bin/env\nown\n"
    assert child.output("find . -name 'deep*' | wc -l; find . -type c -o -type b | wc -l") == "50\n0\n"


def test_nobody_in_the_sandbox_reaches_what_lies_below(box):
    assert box.output("cat /proc/self/mountinfo | grep -c -e images -e layers; ls -la /proc/[0-9]*/fd 2>/dev/null "
                      "| grep -c -e upper -e work/").split() == ["0", "0"]


def test_a_client_that_leaves_ends_it_and_the_sandbox_goes_on(own_server):
    box = own_server.create()
    box.run("head -c 200000000 /dev/zero > big")
    connection = own_server.connection()
    connection.request("POST", f"{box.path}/snapshot", "{}", own_server.headers("", None))
    wait_until(lambda: any(d.startswith("new-") for d in layer_dirs(own_server)))
    connection.close()
    assert box.output("echo on") == "on\n"
    wait_until(lambda: not layer_dirs(own_server))
    assert images(own_server) == {}


@pytest.mark.parametrize("delay_layers", [0, 1])
def test_the_death_of_the_server_meanwhile_leaves_nothing_and_stops_nobody(own_server, delay_layers):
    box = own_server.create()
    box.run("head -c 300000000 /dev/zero > big; (while :; do date +%s%N > beat.new; mv beat.new beat; done) &")
    connection = own_server.connection()
    connection.request("POST", f"{box.path}/snapshot", '{"name":"half"}', own_server.headers("", None))
    layers = own_server.state / "images" / "layers"
    wait_until(lambda: any(len(os.listdir(layers / d)) > delay_layers - 1 for d in layer_dirs(own_server)))
    own_server.kill_server()
    with contextlib.suppress(OSError):
        connection.getresponse()
    own_server.wait_until_up()
    was = box.output("cat beat")
    wait_until(lambda: box.output("cat beat") != was)
    assert images(own_server) == {}
    wait_until(lambda: not layer_dirs(own_server))
    assert fork(box)[0].output("stat -c %s big") == "300000000\n"


def descendants(pid):
    with contextlib.suppress(OSError):
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield int(child)
            yield from descendants(child)


def programs(server, name):
    found = set()
    for pid in descendants(server.process.pid):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.add(pid)
    return found


@pytest.mark.parametrize("victim", ["cay-worker", "cay-executor"])
def test_the_death_of_who_reads_or_who_unpacks_is_told_and_leaves_nothing(own_server, victim):
    """The executor is the staging's: with its own a sandbox ends."""
    box = own_server.create()
    box.run("head -c 300000000 /dev/zero > big; (while :; do date +%s%N > beat.new; mv beat.new beat; done) &")
    for _ in range(3):
        before, replies = programs(own_server, "cay-executor"), []
        thread = threading.Thread(target=lambda: replies.append(box.request("POST", "/fork", {})))
        thread.start()
        wait_until(lambda: any(own_server.state.glob("images/layers/new-*/layer-*")))
        for pid in programs(own_server, victim) - before:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        thread.join()
        assert replies[0].status in (201, 410, 500, 502, 503), replies[0].body
        for record in replies[0].json.get("sandboxes", []):
            adopt(own_server, record).delete()
        was = box.output("cat beat")
        wait_until(lambda: box.output("cat beat") != was)
        assert images(own_server) == {}
        wait_until(lambda: not layer_dirs(own_server))


def test_the_end_of_the_sandbox_meanwhile_is_told(own_server):
    box = own_server.create()
    box.run("head -c 300000000 /dev/zero > big")
    replies = []
    thread = threading.Thread(target=lambda: replies.append(box.request("POST", "/snapshot", {})))
    thread.start()
    wait_until(lambda: any(d.startswith("new-") for d in layer_dirs(own_server)))
    box.delete()
    thread.join()
    assert replies[0].status >= 400
    wait_until(lambda: not layer_dirs(own_server))


def test_two_at_once_of_one_sandbox_do_not_disturb_each_other(server):
    box = server.create()
    box.run("head -c 50000000 /dev/urandom > big")
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(box.request("POST", "/snapshot", {}))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.status for r in replies) in ([201, 201], [201, 409])
    for reply in replies:
        if reply.status == 201:
            assert server.create(image=reply.json["id"]).output("cmp big big && stat -c %s big") == "50000000\n"
        else:
            assert "another" in error_of(reply)[1]


def test_a_pile_of_too_many_layers_is_refused(own_server):
    box = own_server.create()
    for i in range(70):
        box.run(f"echo {i} > f")
        reply = box.request("POST", "/fork", {})
        if reply.status != 201:
            break
        older, box = box, adopt(own_server, reply.json["sandboxes"][0])
        older.delete()
    assert i > 20 and "limit is 64" in error_of(reply)[1]
    assert box.output("cat f") == f"{i}\n"


def test_a_full_disk_is_told_and_nothing_of_it_stays(server_with_small_disk):
    server = server_with_small_disk
    box = server.create()
    box.run("head -c 20000000 /dev/urandom > big")
    reply = box.request("POST", "/snapshot", {})
    assert reply.status >= 400 and "No space left" in error_of(reply)[1]
    assert box.output("echo on") == "on\n"
    wait_until(lambda: not layer_dirs(server))
    box.run("rm big; echo small > small")
    assert fork(box)[0].output("cat small") == "small\n"


def test_a_token_for_one_sandbox_makes_neither(server, box):
    token = box.request("POST", "/tokens", {"role": "sandbox"}).json["token"]
    for what in ("snapshot", "fork"):
        assert box.request("POST", f"/{what}", {}, token=token).status == 403


def test_other_backends_say_that_they_give_none(tmp_path):
    directory = tempfile.mkdtemp(prefix="cay-e2e-")
    server = Server(directory, "--backend", "local")
    try:
        box = server.create()
        for what in ("snapshot", "fork"):
            code, message = error_of(box.request("POST", f"/{what}", {}))
            assert code == "unsupported" and "native" in message
        box.delete()
    finally:
        end_server(server)


@pytest.fixture
def ordinary():
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    directory = tempfile.mkdtemp(prefix="cay-e2e-")
    os.chown(directory, ORDINARY, ORDINARY)
    server = Server(directory, prefix=["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups"])
    yield server
    end_server(server)


def test_an_ordinary_users_sandbox_is_taken_live_where_it_cannot_rest(ordinary):
    box = ordinary.create()
    box.run("mkdir d; echo x > d/x; ln d/x y")
    reply = box.request("POST", "/snapshot", {})
    if reply.status != 201:
        assert error_of(reply)[0] == "unsupported" and "live" in error_of(reply)[1]
    child, = fork(box, live=True)
    assert child.output("cat d/x; stat -c %h y; echo z >> y; cat y") == "x\n2\nx\nz\n"
    assert box.output("cat y") == "x\n"


def test_after_the_death_of_the_supervisor_meanwhile_gc_removes_what_is_left(own_server):
    """What is at rest then dies only once somebody lets it go on."""
    box = own_server.create()
    box.run("head -c 300000000 /dev/zero > big")
    init = box.record["init_pid"]
    connection = own_server.connection()
    connection.request("POST", f"{box.path}/snapshot", "{}", own_server.headers("", None))
    layers = own_server.directory / "state" / "images" / "layers"
    wait_until(lambda: any(os.listdir(layers / d) for d in os.listdir(layers) if d.startswith("new-")))
    own_server.process.kill()
    own_server.process.wait()
    gc = [PROGRAMS / "cay", "gc", "--state", own_server.directory / "state"]
    wait_until(lambda: subprocess.run(gc, capture_output=True, check=False).returncode == 0
               and not os.path.exists(f"/proc/{init}") and not any(d.startswith("new-") for d in os.listdir(layers)))
