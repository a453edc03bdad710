# SPDX-License-Identifier: Apache-2.0
"""A disk that the kernel makes read-only under a server, as it does when it finds it damaged: what is refused says so, what can be read
is read, nothing is half there, and the next server that can write has all that was acknowledged."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import rootfs
from conftest import PROGRAMS, Server
from test_build import context
from waiting import wait_until

SIZE = 48 << 20
ARCHIVE = {"Content-Type": "application/x-tar"}


class Disk:
    """A file system in a file, and servers whose state is there, each in a mount namespace of its own."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="cay-e2e-")
        os.chmod(self.directory, 0o755)
        self.state, self.image = f"{self.directory}/state", f"{self.directory}/disk"
        os.mkdir(self.state)
        with open(self.image, "wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", self.image], check=True)
        self.is_usable = self.run("rmdir", f"{self.state}/lost+found").returncode == 0 and os.path.exists("/sys/fs/ext4")

    def words(self, options="errors=remount-ro"):
        mount = f"mount -o loop,{options} {self.image} {self.state} && exec \"$@\""
        return ["unshare", "--mount", "sh", "-c", mount, "sh"]

    def serve(self):
        return Server(self.directory, "--pool", "0", prefix=self.words())

    def run(self, *words):
        return subprocess.run([*self.words(), *words], capture_output=True, text=True, check=False)

    @staticmethod
    def break_down(server):
        """The kernel finds an error, and lets nobody write from then on."""
        subprocess.run(["sync", "-f", server.state], check=True)
        number = os.stat(server.state).st_dev
        device = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
        pathlib.Path(f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error").write_text("1")


@pytest.fixture
def disk():
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        pytest.skip("needs root and mkfs.ext4, to make a file system")
    made = Disk()
    if not made.is_usable:
        shutil.rmtree(made.directory)
        pytest.skip("no file system in a file can be mounted here")
    yield made
    shutil.rmtree(made.directory)


def images(server):
    return sorted((image["id"], *sorted(image["names"])) for image in server.request("GET", "/v1/images").json["images"])


def half_done(server):
    return [name for name in os.listdir(server.state / "images" / "layers") if name.startswith(("new-", "old-"))]


def is_told(reply):
    return (reply.status, reply.code) == (507, "no_space") and "state d" in reply.json["error"]["message"] and \
        "Read-only file system" in reply.json["error"]["message"]


def test_a_disk_that_becomes_read_only_is_named_and_loses_nothing(disk):
    server = disk.serve()
    try:
        archive = rootfs.docker_save([rootfs.tar({"etc/whole": b"whole"})], ["small:1", "small:2"])
        assert server.request("POST", "/v1/images", archive, headers=ARCHIVE).status == 201
        box = server.create(name="kept")
        box.run("x=41")
        before, events, pid = images(server), box.events(), server.server_pid()
        disk.break_down(server)
        other = rootfs.docker_save([rootfs.tar({"etc/other": b"other"})], ["other:1"])
        asked = [("POST", "/v1/images", other), ("POST", "/v1/builds?tags=built:1", context("FROM host\nRUN true\n")),
                 ("POST", "/v1/images/small:1", {"name": "third:1"}), ("DELETE", "/v1/images/small:2", None),
                 ("POST", f"{box.path}/snapshot", {"name": "taken:1"}), ("POST", f"{box.path}/fork", {}),
                 ("PUT", f"{box.path}/files?path=f", b"new"), ("POST", f"{box.path}/env", {"env": {"A": "b"}}),
                 ("POST", f"{box.path}/tools", {"name": "t", "description": "d", "url": "http://127.0.0.1:9/", "headers": {"A": "b"}}),
                 ("POST", "/v1/sandboxes", {}), ("POST", f"{box.path}/actions/run", {"command": "x=42"})]
        for method, path, body in asked:
            reply = server.request(method, path, body)
            assert is_told(reply), (path, reply.status, reply.body)
        assert server.server_pid() == pid and images(server) == before and box.events() == events
        assert box.get()["state"] == "ready" and box.get_file("f").status == 404
    finally:
        end = server.stop()
    assert end == 0
    server = disk.serve()
    try:
        assert images(server) == before
        wait_until(lambda: not half_done(server))
        made = server.create(image="small:1")
        assert made.get_file("/etc/whole").body == b"whole"
        assert server.request("GET", f"/v1/events?sandbox={box.id}").json[:len(events)] == events
    finally:
        assert server.stop() == 0
    assert disk.run(PROGRAMS / "cay", "gc", "--dry-run", "--state", disk.state).stdout == ""


def test_a_server_on_a_disk_that_is_read_only_says_so_and_touches_nothing(disk):
    server = disk.serve()
    box = server.create()
    box.run("true")
    assert server.stop() == 0
    before = pathlib.Path(disk.image).read_bytes()
    words = [PROGRAMS / "cay-supervisor", "--state", disk.state, "--socket", "none", "--listen", "127.0.0.1:0", "--pool", "0"]
    ended = subprocess.run([*disk.words("ro"), *words], capture_output=True, text=True, check=False)
    assert ended.returncode != 0 and "state.lock: Read-only file system" in ended.stderr, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("cay: serve: ") and disk.state in ended.stderr.splitlines()[-1]
    assert pathlib.Path(disk.image).read_bytes() == before


def leave(server, kib):
    """All of its disk but so much is taken."""
    filler = server.state / "filler"
    filler.unlink(missing_ok=True)
    room = os.statvfs(server.state)
    with open(filler, "wb") as file:
        file.write(bytes(max(room.f_bavail * room.f_frsize - kib * 1024, 0)))


def test_wherever_a_disk_runs_full_an_image_is_there_or_not(server_with_small_disk):
    server = server_with_small_disk
    outcomes = set()
    for kib in range(0, 200, 8):
        layer = rootfs.tar({"etc/filled": os.urandom(20000)})
        archive = rootfs.docker_save([layer], ["filled:1", "filled:2"])
        leave(server, kib)
        reply = server.request("POST", "/v1/images", archive, headers=ARCHIVE)
        (server.state / "filler").unlink()
        known = [image["names"] for image in server.request("GET", "/v1/images").json["images"] if image["names"] != ["host:latest"]]
        outcomes.add(reply.status)
        if reply.status == 201:
            assert [sorted(names) for names in known] == [["filled:1", "filled:2"]], (kib, known)
            assert server.request("DELETE", "/v1/images/filled:1").status == server.request("DELETE", "/v1/images/filled:2").status == 200
        else:
            assert (reply.status, reply.code) == (507, "no_space") and "state d" in reply.json["error"]["message"], (kib, reply.body)
            assert not known, (kib, known)
        wait_until(lambda: not [name for name in os.listdir(server.state / "images" / "layers") if not name.startswith("fresh-")])
        assert not os.listdir(server.state / "images" / "records")
    assert outcomes == {201, 507}
