# SPDX-License-Identifier: Apache-2.0
"""Images: taken in from archives, shared by sandboxes, removed; and archives that lie, bite or never end."""
import contextlib
import gzip
import os
import signal
import socket
import subprocess
import tarfile
import threading

import pytest
import rootfs
from conftest import PROGRAMS
from docker_api import error_of, serve_docker, tar_of
from waiting import PATIENCE, wait_until

START_SERVER = serve_docker
CONFIG = {"Env": ["FROM_IMAGE=yes", "PATH=/bin"], "Cmd": ["sh", "-c", "echo $FROM_IMAGE; pwd"], "WorkingDir": "/etc"}


@pytest.fixture(scope="module")
def base():
    return rootfs.tar(rootfs.base_files(), ["tmp", "removed", "opaque"])


@pytest.fixture(scope="module")
def layers(base):
    return [base, rootfs.tar({"removed/x": b"x", "removed/y": b"y", "opaque/old": b"o"}),
            rootfs.tar({"etc/top": b"top", "removed/.wh.x": b"", "opaque/.wh..wh..opq": b"", "opaque/new": b"n"})]


def load(docker, archive):
    return docker.request("POST", "/v1.43/images/load", archive)


def import_tree(docker, archive, name="", **query):
    return docker.request("POST", "/v1.43/images/create", archive, fromSrc="-", repo=name, **query)


def names(docker):
    return {t for i in docker.request("GET", "/v1.43/images/json").json for t in i["RepoTags"]}


def layer_dirs(server):
    """But for the marks of what is not flushed yet."""
    return {d for d in os.listdir(server.state / "images" / "layers") if not d.startswith("fresh-")}


def run(docker, image, *command, **body):
    container = docker.start(*command, Image=image, **body)
    code = container.wait()
    out = container.logs()[1]
    container.remove()
    return code, out


def wait_for_no_staging(server):
    """Removing directories is a worker thread's business: followed by inotify would be too much for a test."""
    wait_until(lambda: not any(d.startswith(("new-", "old-")) for d in layer_dirs(server)))


# ---- what comes in ----

def test_a_root_file_system_becomes_an_image_that_runs(docker, base):
    reply = import_tree(docker, base, "from-tree", changes='CMD ["sh","-c","echo hello"]')
    assert reply.status == 200 and reply.json["status"].startswith("sha256:")
    container = docker.create(Image="from-tree", Cmd=None)
    container.start()
    container.wait()
    assert container.logs()[1] == b"hello\n"
    container.remove()


@pytest.mark.parametrize("compress", [False, True])
def test_an_archive_of_docker_save_or_an_oci_layout_brings_layers_names_and_configuration(docker, layers, compress):
    archive = rootfs.oci_layout(layers, "oci:v1", CONFIG, compress) if compress else \
        rootfs.docker_save(layers, ["saved:one", "saved:two"], CONFIG)
    assert load(docker, archive).status == 200
    name = "oci:v1" if compress else "saved:two"
    assert name in names(docker)
    container = docker.create(Image=name, Cmd=None)
    container.start()
    assert container.wait() == 0
    assert container.logs()[1] == b"yes\n/etc\n"
    container.remove()
    told = docker.request("GET", f"/v1.43/images/{name}/json").json
    assert told["Config"]["Env"] == CONFIG["Env"] and len(told["RootFS"]["Layers"]) == 3


def test_upper_layers_hide_what_they_say_they_hide(docker, layers):
    load(docker, rootfs.docker_save(layers, ["hiding:latest"]))
    assert run(docker, "hiding", "ls", "/removed", "/opaque")[1] == b"/opaque:\nnew\n\n/removed:\ny\n"
    assert run(docker, "hiding", "cat", "/etc/top")[1] == b"top"


def test_everything_belongs_to_root_and_can_be_changed_in_the_sandbox_alone(docker, layers):
    load(docker, rootfs.docker_save(layers, ["owned:latest"]))
    assert run(docker, "owned", "stat", "-c", "%u %g", "/bin/sh", "/etc/top")[1] == b"0 0\n0 0\n"
    assert run(docker, "owned", "sh", "-c", "echo new > /etc/top; rm /bin/ls; cat /etc/top")[1] == b"new\n"
    assert run(docker, "owned", "sh", "-c", "cat /etc/top; ls /opaque")[1] == b"topnew\n"


def test_layers_are_kept_once_and_go_with_their_last_image(own_server, layers):
    docker = own_server.docker
    load(docker, rootfs.docker_save(layers[:2], ["two:latest"], {"Env": ["A=2"]}))
    load(docker, rootfs.docker_save(layers, ["three:latest"], {"Env": ["A=3"]}))
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == {rootfs.digest(x) for x in layers}
    assert docker.request("DELETE", "/v1.43/images/three").status == 200
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == {rootfs.digest(x) for x in layers[:2]}
    assert docker.request("DELETE", "/v1.43/images/two").status == 200
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == set()


def test_an_image_in_use_stays_and_so_do_its_layers(own_server, layers):
    docker = own_server.docker
    load(docker, rootfs.docker_save(layers, ["used:latest"]))
    container = docker.start("sleep", "1000", Image="used")
    reply = docker.request("DELETE", "/v1.43/images/used", force=1)
    assert reply.status == 409 and "in use" in error_of(reply)
    docker.request("POST", "/v1.43/images/prune")
    assert container.exec("cat", "/etc/top")[1] == b"top"
    container.remove()
    assert docker.request("DELETE", "/v1.43/images/used").status == 200


def test_a_name_moves_to_the_newest_image_that_claims_it(docker, base, layers):
    load(docker, rootfs.docker_save(layers[:1], ["moving:latest"], {"Env": ["A=1"]}))
    first = docker.request("GET", "/v1.43/images/moving/json").json["Id"]
    load(docker, rootfs.docker_save(layers[:1], ["moving:latest"], {"Env": ["A=2"]}))
    assert docker.request("GET", "/v1.43/images/moving/json").json["Id"] != first
    assert docker.request("GET", f"/v1.43/images/{first}/json").json["RepoTags"] == []
    docker.request("POST", "/v1.43/images/prune")
    assert docker.request("GET", f"/v1.43/images/{first}/json").status == 404


def test_images_are_found_by_name_tag_and_id_and_can_be_named_again(docker, base):
    import_tree(docker, base, "a/b/named")
    image = docker.request("GET", "/v1.43/images/a/b/named/json").json["Id"]
    assert docker.request("POST", "/v1.43/images/a/b/named/tag", repo="other", tag="t").status == 201
    for ref in ("other:t", image, image.removeprefix("sha256:")[:8], "a/b/named:latest"):
        assert docker.request("GET", f"/v1.43/images/{ref}/json").json["Id"] == image
    listed = docker.request("GET", "/v1.43/images/json", filters='{"reference":["other"]}').json
    assert [i["Id"] for i in listed] == [image]
    reply = docker.request("DELETE", f"/v1.43/images/{image}")
    assert reply.status == 409 and "2 names" in error_of(reply)
    assert docker.request("DELETE", f"/v1.43/images/{image}", force="True").status == 200


def test_pulling_finds_what_is_there_and_says_what_is_not(docker):
    assert docker.request("POST", "/v1.43/images/create", fromImage="host", tag="latest").status == 200
    reply = docker.request("POST", "/v1.43/images/create", fromImage="no/such", tag="latest")
    assert reply.status == 404 and "no registry" in error_of(reply)


def test_the_host_image_can_be_named_but_not_removed(docker):
    assert docker.request("POST", "/v1.43/images/host/tag", repo="my-tools").status == 201
    assert run(docker, "my-tools", "sh", "-c", "echo hi")[1] == b"hi\n"
    assert docker.request("DELETE", "/v1.43/images/my-tools").status == 200
    reply = docker.request("DELETE", "/v1.43/images/host")
    assert reply.status == 403


def test_a_sandbox_over_rest_can_be_made_of_an_image(server, docker, layers):
    load(docker, rootfs.docker_save(layers, ["rested:latest"], {"Env": ["FROM_IMAGE=1", "OWN=image"]}))
    box = server.create(image="rested", env={"OWN": "mine"})
    told = box.action("exec", argv=["sh", "-c", "echo $FROM_IMAGE $OWN; cat /etc/top"], capture=True)
    assert told["stdout"] == "1 mine\ntop"
    assert box.record["spec"]["image"] == "rested"
    box.delete()
    reply = server.request("POST", "/v1/sandboxes", {"image": "no-such-image"})
    assert reply.status == 404 and reply.code == "not_found"


# ---- what lies, bites or never ends ----

def test_a_layer_that_does_not_have_its_digest_is_refused_and_nothing_is_left(own_server, layers):
    reply = load(own_server.docker, rootfs.oci_layout(layers, "lie:v1", lie=True))
    assert reply.status == 400 and "digest" in error_of(reply)
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == set() and names(own_server.docker) == {"host:latest"}


def entry(name, kind, target="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


@pytest.mark.parametrize("files", [
    {"../outside": b"x"},
    {"/absolute": b"x"},
    {"a/../../outside": b"x"},
    {"link": entry("link", tarfile.SYMTYPE, "/image"), "link/outside": b"x"},
    {"hard": entry("hard", tarfile.LNKTYPE, "/etc/passwd")},
    {"hard": entry("hard", tarfile.LNKTYPE, "../../escape")},
    {".wh...": b""},
    {"d" + "/d" * 70: b"x"},
])
def test_a_hostile_tree_is_refused_and_nothing_is_left(own_server, files):
    reply = import_tree(own_server.docker, tar_of(files), "hostile")
    assert reply.status in (400, 409), reply.body
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == set() and names(own_server.docker) == {"host:latest"}


@contextlib.contextmanager
def import_that_is_being_ended(server):
    """Its client went away, and who ends its sandbox is stopped."""
    tree = tar_of({f"d{i}/f": b"x" for i in range(300)})
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.socket))
        connection.sendall(f"POST /v1/images?name=cut HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
                           f"Content-Type: application/x-tar\r\nContent-Length: {len(tree) + 1}\r\n\r\n".encode())
        connection.sendall(tree)
        wait_until(lambda: list((server.state / "images" / "layers").glob("new-*/*/*")))
        os.kill(server.process.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: [e for e in server.request("GET", "/v1/events").json if e["data"].get("state") == "ending"])
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def test_what_is_being_unpacked_is_removed_once_nobody_unpacks_there(own_server):
    """Who still makes files while others are removed leaves a directory that nobody removes any more."""
    with import_that_is_being_ended(own_server):
        for _ in range(50):
            assert own_server.request("GET", "/v1/health", token=None).status == 200
        assert any(d.startswith("new-") for d in layer_dirs(own_server))
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == set()


def test_the_sandbox_of_an_import_is_forgotten_also_by_the_next_server(own_server):
    with import_that_is_being_ended(own_server):
        assert len(own_server.request("GET", "/v1/sandboxes").json["sandboxes"]) == 1
        os.kill(own_server.server_pid(), signal.SIGKILL)
    wait_until(lambda: not own_server.request("GET", "/v1/sandboxes").json["sandboxes"], seconds=20)
    wait_for_no_staging(own_server)


def test_devices_in_a_tree_are_passed_over(docker, base):
    devices = {f"dev/{n}": entry(f"dev/{n}", k) for n, k in (("sda", tarfile.BLKTYPE), ("mem", tarfile.CHRTYPE))}
    files = {**devices, "pipe": entry("pipe", tarfile.FIFOTYPE), **rootfs.base_files()}
    assert import_tree(docker, tar_of(files), "devices").status == 200
    assert run(docker, "devices", "sh", "-c", "ls /pipe /dev/sda /dev/mem; test -c /dev/null && echo null")[1] == b"null\n"


def test_set_id_bits_do_not_come_along(docker, base):
    info = tarfile.TarInfo("bin/su")
    info.mode = 0o6755
    load(docker, rootfs.docker_save([base, tar_of({"bin/su": info})], ["set-id:latest"]))
    assert run(docker, "set-id", "stat", "-c", "%a", "/bin/su")[1] == b"755\n"


@pytest.mark.parametrize("manifest", [
    b"{", b"{}", b"[]", b'[{"Config":"../x","Layers":["a"]}]', b'[{"Config":"/etc/passwd","Layers":["/etc/passwd"]}]',
    b'[{"Config":"c","Layers":[]}]', b'[{"Config":"c","Layers":["l"]}]', b'[1,2]', b'[{"Config":7,"Layers":[7]}]',
    b'[{"Config":"c","Layers":[' + b",".join([b'"l"'] * 100) + b"]}]",
])
def test_a_manifest_that_makes_no_sense_is_refused(docker, manifest):
    reply = load(docker, tar_of({"manifest.json": manifest, "c": b'{"rootfs":{"diff_ids":["sha256:00"]}}', "l": b"no tar"}))
    assert reply.status in (400, 404, 501), reply.body
    assert error_of(reply)


def test_what_is_no_archive_or_holds_no_image_is_refused(docker):
    for body in (b"", b"text", os.urandom(50000), gzip.compress(b"x" * 1000)):
        assert load(docker, body).status == 400
        assert import_tree(docker, body, "junk").status == 400
    reply = load(docker, tar_of({"just": b"a file"}))
    assert reply.status == 400 and "no image" in error_of(reply)


def test_clients_that_leave_halfway_leave_nothing(own_server, base):
    for _ in range(3):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(own_server.docker.path)
        sock.sendall(b"POST /v1.43/images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999\r\n\r\n" + base[:2000000])
        sock.close()
    assert import_tree(own_server.docker, base, "after").status == 200
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == {rootfs.digest(base)}
    wait_until(lambda: not own_server.request("GET", "/v1/sandboxes").json["sandboxes"])


def test_two_imports_of_the_same_at_once_give_one_image(own_server, layers):
    archive, statuses = rootfs.docker_save(layers, ["twice:latest"]), []
    threads = [threading.Thread(target=lambda: statuses.append(load(own_server.docker, archive).status)) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert statuses == [200] * 3
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == {rootfs.digest(x) for x in layers}
    assert run(own_server.docker, "twice", "cat", "/etc/top")[1] == b"top"


def test_images_survive_the_server_and_a_half_import_does_not(own_server, layers, base):
    docker = own_server.docker
    load(docker, rootfs.docker_save(layers, ["kept:latest"], CONFIG))
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(docker.path)
    sock.sendall(b"POST /v1.43/images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 99999999\r\n\r\n" + base)
    wait_until(lambda: any(d.startswith("new-") for d in layer_dirs(own_server)))
    own_server.kill_server()
    own_server.wait_until_up()
    sock.close()
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == {rootfs.digest(x) for x in layers}
    assert names(docker) == {"host:latest", "kept:latest"}
    assert run(docker, "kept", "cat", "/etc/top")[1] == b"top"


# ---- REST and the command line ----

def test_images_over_rest_are_taken_in_described_named_and_removed(own_server, layers):
    reply = own_server.request("POST", "/v1/images?name=rest:1", rootfs.docker_save(layers, ["other:name"], CONFIG))
    assert reply.status == 201
    image = reply.json["images"][0]
    assert image["names"] == ["rest:1"] and image["config"]["WorkingDir"] == "/etc" and len(image["layers"]) == 3
    assert own_server.request("GET", "/v1/images/rest:1").json == image
    assert own_server.request("POST", "/v1/images/rest:1", {"name": "a/b:c"}).json["names"] != ["rest:1"]
    box = own_server.create(image="a/b:c")
    assert box.action("exec", argv=["sh", "-c", "pwd; echo $FROM_IMAGE"], capture=True)["stdout"] == "/etc\nyes\n"
    reply = own_server.request("DELETE", f"/v1/images/{image['id']}?force=true")
    assert reply.status == 409 and reply.code == "conflict"
    box.delete()
    assert own_server.request("DELETE", "/v1/images/rest:1").json == {"removed": False}
    assert own_server.request("DELETE", "/v1/images/a/b:c").json == {"removed": True}
    assert own_server.request("GET", "/v1/images/a/b:c").code == "not_found"
    assert [i["names"] for i in own_server.request("GET", "/v1/images").json["images"]] == [["host:latest"]]
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == set()


def test_what_may_come_out_of_an_archive_has_a_ceiling(own_server):
    bomb = gzip.compress(rootfs.tar({"zeros": bytes(50_000_000)}))
    assert len(bomb) < 100_000
    reply = own_server.request("POST", "/v1/images?name=bomb&max_bytes=10000000", bomb)
    assert reply.status == 429 and "10000000 bytes" in reply.json["error"]["message"]
    inner = rootfs.oci_layout([rootfs.tar({"zeros": bytes(50_000_000)})], "bomb:1", compress=True)
    reply = own_server.request("POST", "/v1/images?max_bytes=10000000", inner)
    assert reply.status == 429
    wait_for_no_staging(own_server)
    assert layer_dirs(own_server) == set()


def test_the_command_line_takes_in_directories_files_and_streams(own_server, tmp_path, layers):
    def cay(*argv, code=0, stdin=None):
        done = subprocess.run([PROGRAMS / "cay", *argv], input=stdin, capture_output=True, timeout=PATIENCE, check=False, env={
            **os.environ, "CAY_URL": f"unix:{own_server.socket}", "CAY_TOKEN": own_server.token})
        assert done.returncode == code, done.stderr
        return done.stdout.decode()
    for name, content in rootfs.base_files().items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(content)
        (tmp_path / "tree" / name).chmod(0o755)
    (tmp_path / "save.tar").write_bytes(rootfs.docker_save(layers, ["saved:1"], CONFIG))
    cay("image", "import", tmp_path / "tree", "from-dir")
    cay("image", "import", tmp_path / "save.tar")
    cay("image", "import", "-", "from-stream", stdin=rootfs.oci_layout(layers, "x:1", compress=True))
    listed = cay("image", "ls")
    assert all(name in listed for name in ("from-dir:latest", "saved:1", "from-stream:latest", "host:latest"))
    cay("image", "exists", "saved:1")
    cay("image", "exists", "no-such-image", code=1)
    cay("create", "--image", "saved:1", "--name", "of-image")
    assert cay("exec", "of-image", "--", "cat", "/etc/top") == "top"
    cay("image", "tag", "saved:1", "again")
    cay("image", "rm", "saved:1", "from-dir")
    cay("rm", "of-image")
    cay("image", "rm", "again", "from-stream")
    assert cay("image", "ls", "--json").count("host:latest") == 1
    cay("image", "gc")
    cay("image", "nonsense", code=2)
