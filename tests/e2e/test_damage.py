# SPDX-License-Identifier: Apache-2.0
"""State directories that something has happened to: the server goes on with what is left, or says why it does not."""
import contextlib
import math
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile

import pytest

import conftest
import rootfs
from conftest import PATIENCE, PROGRAMS
from processes import awaited
from waiting import wait_until

SERVER_UID = 0x2FFFFFF0
PAGE = 4096
IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """The state directory of a server that was killed after some work, its database whole and its log empty."""
    server = conftest.start_server("--pool", "0")
    try:
        box = server.create()
        for i in range(150):
            box.run(f"echo {i}")
        server.process.kill()
        server.process.wait()
        kept = tmp_path_factory.mktemp("state") / "state"
        shutil.copytree(server.directory / "state", kept)
    finally:
        conftest.end_server(server)
    execute(kept, "pragma wal_checkpoint(truncate)")
    return kept


def execute(state, sql):
    with contextlib.closing(sqlite3.connect(state / "state.db")) as db:
        db.execute(sql)


@pytest.fixture
def state(used):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-damage-"))
    shutil.copytree(used, directory / "state")
    give_to_server(directory / "state")
    yield directory / "state"
    shutil.rmtree(directory)


def give_to_server(state):
    if IS_ROOT:
        subprocess.run(["chown", "-R", f"{SERVER_UID}:{SERVER_UID}", state], check=True)


def serve(state):
    """A server in that directory, or what it said when it ended."""
    try:
        return conftest.Server(state.parent, "--pool", "0")
    except AssertionError:
        return (state.parent / "log").read_text()


def refusal(state):
    """It is not there, has ended, and has said why."""
    ended = subprocess.run([PROGRAMS / "cay-supervisor", "--state", state, "--socket", "none", "--listen", "127.0.0.1:0", "--pool", "0"],
                           capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode not in (0, -9), ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("cay: serve: ") and str(state) in last, ended.stderr
    return ended.stderr


def events(server):
    found = []
    while page := server.request("GET", f"/v1/events?after={found[-1]['seq'] if found else 0}").json:
        found += page
    return found


def close(server):
    """Whoever comes next finds the sockets free: the server ends when the supervisor has."""
    with awaited(server.server_pid()):
        server.process.kill()
        server.process.wait()
    server.log.close()


def test_it_is_there_when_nothing_has_happened(state):
    server = serve(state)
    assert len(events(server)) >= 300
    close(server)


@pytest.mark.parametrize("missing", [0.1, 0.5, 0.9])
def test_a_shorter_database_is_refused(state, missing):
    db = state / "state.db"
    pages = db.stat().st_size // PAGE
    os.truncate(db, (pages - math.ceil(pages * missing)) * PAGE or PAGE)
    assert "the state database is damaged" in refusal(state)


def test_a_damaged_page_is_told_of_and_hangs_nobody(state):
    db = state / "state.db"
    whole = db.read_bytes()
    for page in range(1, len(whole) // PAGE):
        db.write_bytes(whole[:page * PAGE] + b"\xa5" * PAGE + whole[(page + 1) * PAGE:])
        for name in ("state.db-wal", "state.db-shm"):
            (state / name).unlink(missing_ok=True)
        give_to_server(state)
        server = serve(state)
        if isinstance(server, str):
            assert "is damaged" in server, server
            continue
        reply = server.request("POST", "/v1/sandboxes", {})
        assert reply.status == 201 or "is damaged" in reply.json["error"]["message"], reply.body
        reply = server.request("GET", "/v1/events")
        assert reply.status == 200 or "is damaged" in reply.json["error"]["message"], reply.body
        close(server)
        if page == 6:
            break  # those behind are of the events alone


@pytest.mark.parametrize("left", [b"", None], ids=["empty", "gone"])
def test_without_its_database_the_journal_is_kept_and_no_number_comes_twice(state, left):
    server = serve(state)
    box = server.create()
    for i in range(200):  # the journal has been started over by then
        box.run(f"echo {i}")
    before = events(server)
    close(server)
    wait_until(lambda: not pathlib.Path(f"/proc/{box.record['init_pid']}").exists())
    (state / "state.db").unlink()
    for name in ("state.db-wal", "state.db-shm"):
        (state / name).unlink(missing_ok=True)
    if left is not None:
        (state / "state.db").write_bytes(left)
    give_to_server(state)
    server = serve(state)
    after = events(server)
    assert after and after[-len(after):][0] in before
    assert "store.damaged" in server.log_text()
    server.create()
    assert events(server)[-1]["seq"] > before[-1]["seq"]
    close(server)


def test_a_state_directory_that_vanishes_is_told_of_and_nothing_is_pretended(state):
    server = serve(state)
    box = server.create()
    for path in state.iterdir():
        path.unlink() if path.is_file() else shutil.rmtree(path)
    reply = box.request("POST", "/actions/run", {"command": "touch /tmp/done"})
    assert reply.code == "unavailable" and "was removed, or replaced, under the server" in reply.json["error"]["message"]
    assert "was not performed" in reply.json["error"]["message"]
    assert server.request("POST", "/v1/sandboxes", {}).code == "unavailable"
    assert box.action("glob", path="/tmp", pattern="done")["matches"] == []
    assert server.stop() == 0
    close(serve(state))


def test_a_newer_format_is_refused(state):
    execute(state, "pragma user_version = 99")
    give_to_server(state)
    assert "a newer cay has written it: its format is 99, this one knows up to 4" in refusal(state)


# What each format has brought, taken away again.
OLDER = {3: ["drop table journal"], 2: ["alter table sandboxes drop column tools"], 1: ["alter table sandboxes drop column note"]}


@pytest.mark.parametrize("older", OLDER)
def test_an_older_format_is_brought_up_to_date_and_nothing_is_lost(state, older):
    server = serve(state)
    before, token = events(server), (state / "token").read_text()
    close(server)
    for version, undo in OLDER.items():
        for statement in undo if version >= older else []:
            execute(state, statement)
    execute(state, f"pragma user_version = {older}")
    (state / "state.journal").unlink()  # which only the newest has
    give_to_server(state)
    server = serve(state)
    assert events(server)[:len(before)] == before and len(before) > 300
    assert server.create().output("echo works") == "works\n" and (state / "token").read_text() == token
    close(server)


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to own what is another's")
def test_what_belongs_to_somebody_else_is_refused_with_the_command(state):
    os.chown(state / "state.db", 0, 0)
    said = refusal(state)
    assert f"state.db belongs to user 0, not to the server's: chown -R {SERVER_UID}:{SERVER_UID} {state}" in said
    subprocess.run(said.split("server's: ")[1].split(), check=True)
    close(serve(state))


def test_a_token_that_was_never_written_is_made_anew(state):
    (state / "token").write_bytes(b"")
    server = serve(state)
    assert server.request("GET", "/v1/sandboxes").status == 200
    close(server)


@pytest.mark.parametrize("name, kind", [(n, k) for n in ("state.db", "state.journal", "state.lock", "token")
                                        for k in ("directory", "link", "fifo")
                                        if (n, k) not in {("token", "link"), ("state.lock", "fifo")}])
def test_what_is_no_file_is_refused(state, name, kind):
    path = state / name
    path.unlink()
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/etc/hostname")
    else:
        os.mkfifo(path)
    if IS_ROOT:
        os.chown(path, SERVER_UID, SERVER_UID, follow_symlinks=False)
    assert name in refusal(state)


def load_image(state):
    """A server with an image of one layer, and where the layers are."""
    server = serve(state)
    archive = rootfs.docker_save([rootfs.tar({"etc/whole": b"whole"})], ["small:1"])
    assert server.request("POST", "/v1/images", archive, headers={"Content-Type": "application/x-tar"}).status in (200, 201)
    return server, state / "images" / "layers"


def marks(layers):
    return [name for name in os.listdir(layers) if name.startswith("fresh-")]


def is_told_of(server, image):
    """Who asks for it, and who reads the log, learns that it was there, and what to do."""
    words = "its record or a layer is missing; import or build it again"
    reply = server.request("GET", f"/v1/images/{image}")
    assert reply.status == 404 and f"image {image} is damaged: {words}" in reply.json["error"]["message"], reply.body
    made = server.request("POST", "/v1/sandboxes", {"image": image})
    assert made.status == 404 and words in made.json["error"]["message"], made.body
    assert f"image.lost name={image} " in server.log_text() and words in server.log_text()
    return True


def piles(layers):
    return {name for name in os.listdir(layers) if not name.startswith("fresh-")}


def test_an_image_whose_record_is_damaged_is_told_of_until_it_is_there_again(state):
    server, _ = load_image(state)
    close(server)
    record, = (state / "images" / "records").iterdir()
    os.truncate(record, 20)
    server = serve(state)
    assert is_told_of(server, "small:1")
    assert server.request("GET", "/v1/images/other").json["error"]["message"].startswith("No such image")
    close(server)
    server, _ = load_image(state)
    assert server.request("GET", "/v1/images/small:1").status == 200
    close(server)


def test_a_layer_that_a_power_cut_may_have_emptied_is_not_taken_for_whole(state):
    """Names of files reach the disk before what is in them. What cut it off has another number of the boot."""
    server, layers = load_image(state)
    mark, = marks(layers)
    digest = mark.rsplit("-", 1)[1]
    close(server)
    (layers / mark).rename(layers / f"fresh-00c0ffee-{digest}")
    os.truncate(layers / digest / "etc" / "whole", 0)
    server = serve(state)
    assert is_told_of(server, "small:1")
    wait_until(lambda: sorted(os.listdir(layers)) == [])
    close(server)
    server, layers = load_image(state)  # as if it had never been there
    assert server.request("GET", "/v1/images/small:1").status == 200
    assert (layers / digest / "etc" / "whole").read_bytes() == b"whole"
    close(server)


def test_a_layer_is_taken_for_whole_once_it_is_on_the_disk_and_by_the_next_server(state):
    server, layers = load_image(state)
    assert len(marks(layers)) == 1
    close(server)  # killed: it is the same boot
    server = serve(state)
    assert server.request("GET", "/v1/images/small:1").status == 200
    wait_until(lambda: not marks(layers))
    close(server)


def test_names_that_a_power_cut_emptied_are_those_before(state):
    server, _ = load_image(state)
    assert server.request("POST", "/v1/images/small:1", {"name": "later:1"}).status in (200, 201, 204)
    close(server)
    (state / "images" / "names").write_bytes(b"")
    server = serve(state)
    assert server.request("GET", "/v1/images/small:1").status == 200
    close(server)


def block(state, server, is_blocked):
    """Its names cannot be written: a directory has the name that the new file begins with."""
    path = state / "images" / f"names.new-{server.server_pid()}"
    path.mkdir() if is_blocked else path.rmdir()


def test_names_that_cannot_be_written_have_not_changed(state):
    server, _ = load_image(state)
    assert server.request("POST", "/v1/images/small:1", {"name": "kept:1"}).status in (200, 201, 204)
    block(state, server, True)
    assert server.request("POST", "/v1/images/small:1", {"name": "later:1"}).status >= 400
    assert server.request("DELETE", "/v1/images/kept:1").status >= 400
    assert server.request("GET", "/v1/images/later:1").status == 404
    assert server.request("GET", "/v1/images/kept:1").status == 200
    block(state, server, False)
    close(server)
    server = serve(state)
    assert server.request("GET", "/v1/images/later:1").status == 404
    assert sorted(server.request("GET", "/v1/images/small:1").json["names"]) == ["kept:1", "small:1"]
    close(server)


def test_an_image_that_cannot_be_named_is_not_taken_in(state):
    """Who was told that it failed finds neither it nor some of its names."""
    server, layers = load_image(state)
    before, there = server.request("GET", "/v1/images").json, {name for name in piles(layers) if len(name) == 64}
    archive = rootfs.docker_save([rootfs.tar({"etc/other": b"other"})], ["small:1", "other:1", "other:2"])
    block(state, server, True)
    assert server.request("POST", "/v1/images", archive, headers={"Content-Type": "application/x-tar"}).status >= 400
    assert server.request("GET", "/v1/images").json == before
    wait_until(lambda: piles(layers) == there)
    block(state, server, False)
    assert server.request("POST", "/v1/images", archive, headers={"Content-Type": "application/x-tar"}).status == 201
    assert sorted(server.request("GET", "/v1/images/small:1").json["names"]) == ["other:1", "other:2", "small:1"]
    close(server)


def test_an_image_goes_also_where_its_names_cannot_be_written_and_is_not_back_with_the_next_server(state):
    """Somebody removes it because the disk is full."""
    server, layers = load_image(state)
    block(state, server, True)
    assert server.request("DELETE", "/v1/images/small:1").json["removed"] is True
    assert server.request("GET", "/v1/images/small:1").json["error"]["message"].startswith("No such image")
    wait_until(lambda: not piles(layers))
    block(state, server, False)
    names = state / "images" / "names"
    wait_until(lambda: names.exists() and "small:1" not in names.read_text())
    close(server)


def test_an_image_that_is_damaged_can_be_removed_by_its_name(state):
    server, layers = load_image(state)
    close(server)
    record, = (state / "images" / "records").iterdir()
    os.truncate(record, 20)
    server = serve(state)
    assert is_told_of(server, "small:1")
    assert server.request("DELETE", "/v1/images/small:1").json["removed"] is True
    assert server.request("GET", "/v1/images/small:1").json["error"]["message"].startswith("No such image")
    wait_until(lambda: not piles(layers))
    assert not record.exists()
    close(server)
    server = serve(state)
    assert "image.lost" not in server.log_text() and "image.damaged" not in server.log_text()
    close(server)


def cay(*words):
    done = subprocess.run([PROGRAMS / "cay", *words], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def only_layers(layers):
    """What a server that was killed was unpacking may be there still."""
    for name in piles(layers):
        if len(name) != 64:
            shutil.rmtree(layers / name)
    return piles(layers)


def litter(state):
    """What servers that are killed leave behind, and what only looks like it."""
    images = state / "images"
    garbage = [images / "names.new-7", images / "records" / f"{'a' * 64}.new-12", images / "cache" / f"{'b' * 64}.new-3", state / "token.new-9"]
    kept = [images / "records" / "notes.txt", state / "x.new-", state / "x.new-1y", state / "\x1b[31m.new-1", state / "link.new-4"]
    for path in [*garbage, *kept[:-1]]:
        path.write_text("{")
    kept[-1].symlink_to("/etc/hostname")
    trees = {state / f"made-{name}": images / "layers" / name for name in ("new-0123abcd", "old-4567efgh", "c" * 64)}
    for tree in trees:
        (tree / "usr" / "bin").mkdir(parents=True)
        (tree / "usr" / "bin" / "file").write_text("x")
    give_to_server(state)
    for tree, layer in trees.items():
        garbage.append(tree.rename(layer))  # in one step: a server that runs sweeps some of them as soon as it sees them
    return {str(path) for path in garbage}, kept


def test_gc_names_and_removes_what_servers_that_are_gone_left_in_their_state(state):
    server, layers = load_image(state)
    assert str(state) not in cay("gc", "--dry-run", "--state", state)
    close(server)
    whole = only_layers(layers)
    garbage, kept = litter(state)
    for words in (["--dry-run"], ["--dry-run"], []):
        assert {line for line in cay("gc", *words, "--state", state).splitlines() if line.startswith(str(state))} == garbage
    assert str(state) not in cay("gc", "--dry-run", "--state", state)
    assert piles(layers) == whole and all(os.path.lexists(path) for path in kept)
    server = serve(state)
    assert server.request("GET", "/v1/images/small:1").status == 200
    close(server)


def test_gc_leaves_the_state_of_a_server_that_runs_alone(state):
    server, layers = load_image(state)
    garbage, _ = litter(state)
    assert str(state) not in cay("gc", "--state", state)
    assert all(os.path.lexists(path) for path in garbage if not path.endswith("c" * 64))  # the server sweeps that one itself
    close(server)


def test_a_server_sweeps_its_images_when_it_starts(state):
    server, layers = load_image(state)
    close(server)
    whole = only_layers(layers)
    garbage, kept = litter(state)
    server = serve(state)
    wait_until(lambda: piles(layers) == whole)
    left = {path for path in garbage if os.path.lexists(path)}
    assert left == {str(state / "token.new-9")} and all(os.path.lexists(path) for path in kept)
    close(server)


def test_what_a_damaged_record_names_is_no_garbage_and_links_lead_nowhere(state, tmp_path):
    server, layers = load_image(state)
    close(server)
    record, = (state / "images" / "records").iterdir()
    record.write_text(record.read_text()[:-30])
    only_layers(layers)
    assert str(state) not in cay("gc", "--dry-run", "--state", state)
    (layers / ("d" * 64)).mkdir()
    os.mkfifo(state / "images" / "records" / "fifo")  # not read, and so nothing is known for certain
    done = subprocess.run([PROGRAMS / "cay", "gc", "--state", state], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode != 0 and "records" in done.stderr and (layers / ("d" * 64)).exists()
    (state / "images").rename(tmp_path / "images")
    (tmp_path / "images" / "names.new-1").write_text("")
    (state / "images").symlink_to(tmp_path / "images")
    subprocess.run([PROGRAMS / "cay", "gc", "--state", state], capture_output=True, timeout=PATIENCE, check=False)
    assert (tmp_path / "images" / "names.new-1").exists() and (tmp_path / "images" / "layers" / ("d" * 64)).exists()


def doctor(state):
    return conftest.json.loads(cay("doctor", "--json", "--state", state))["images"]


@pytest.mark.parametrize("what", ["record", "layer"])
def test_the_doctor_names_images_that_are_damaged(state, what):
    server, layers = load_image(state)
    assert doctor(state) == {"directory": str(state), "count": 1, "damaged": []}
    record, = (state / "images" / "records").iterdir()
    if what == "record":
        os.truncate(record, 20)
    else:
        shutil.rmtree(layers / next(name for name in piles(layers) if len(name) == 64))
    assert doctor(state) == {"directory": str(state), "count": 1, "damaged": [{"id": record.name, "name": "small:1"}]}
    said = cay("doctor", "--state", state)
    assert f"images in {state}: 1\n" in said
    assert f"{record.name[:12]} small:1 is damaged: its record or a layer is missing; import or build it again, or: cay image rm small:1" in said
    close(server)


@pytest.mark.parametrize("way", ["by its id", "with what has no name"])
def test_a_damaged_record_without_a_name_can_be_removed(state, way):
    server, layers = load_image(state)
    close(server)
    record, = (state / "images" / "records").iterdir()
    os.truncate(record, 20)
    (state / "images" / "names").write_text("{}")
    server = serve(state)
    assert doctor(state)["damaged"] == [{"id": record.name, "name": ""}]
    if way == "by its id":
        assert server.request("DELETE", f"/v1/images/{record.name}").json["removed"] is True
        assert server.request("DELETE", f"/v1/images/{record.name}").status == 404
    else:
        assert server.request("DELETE", "/v1/images").json["images"] == 1
    assert doctor(state) == {"directory": str(state), "count": 0, "damaged": []}
    wait_until(lambda: not piles(layers))
    close(server)
