# SPDX-License-Identifier: Apache-2.0
"""What a server may lend of its host is its operator's word, which the supervisor keeps: no request and no link leads further."""
import contextlib
import os
import pathlib
import tempfile
import threading

import pytest
from conftest import Server, end_server, start_server
from outside import ORDINARY, become_user


@contextlib.contextmanager
def serving(*options):
    server = start_server(*options)
    try:
        yield server
    finally:
        end_server(server)


def create(server, **wishes):
    return server.request("POST", "/v1/sandboxes", wishes)


def mount(source, mode="rw"):
    return {"mounts": [{"source": str(source), "target": "/mnt/x", "mode": mode}]}


def is_refused(reply):
    return reply.status == 403 and reply.code == "forbidden" and "--host-path" in reply.json["error"]["message"]


@pytest.fixture
def shared(tmp_path):
    """A directory with a file, which anyone may enter."""
    for path in (tmp_path, *tmp_path.parents):
        if os.stat(path).st_uid == os.getuid() and path != pathlib.Path("/tmp"):
            with contextlib.suppress(OSError):
                os.chmod(path, 0o755)
        if path.parent == pathlib.Path("/tmp"):
            break
    (tmp_path / "file").write_text("lent\n")
    return tmp_path


@pytest.mark.parametrize("mode", ["ro", "rw", "copy"])
@pytest.mark.parametrize("source", ["/etc", "/etc/shadow", "/usr/bin", "/root", "/var/spool", "/home", "/proc", "/run"])
def test_what_is_the_systems_is_lent_to_nobody(server, source, mode):
    reply = create(server, **mount(source, mode))
    assert is_refused(reply), reply.body


def test_a_directory_of_the_systems_is_no_image(server):
    assert is_refused(create(server, image="/usr"))


def test_what_is_hidden_in_a_home_directory_is_not_lent(server):
    home = pathlib.Path(os.environ.get("HOME", "/root"))
    assert is_refused(create(server, **mount(home)))


def test_a_link_leads_nowhere_else(server, shared):
    (shared / "link").symlink_to("/etc")
    assert is_refused(create(server, **mount(shared / "link")))
    assert is_refused(create(server, **mount(shared / "link" / "ssl")))
    assert is_refused(create(server, image=str(shared / "link")))


def test_a_link_to_what_may_be_lent_is_followed(server, shared):
    (shared / "there").mkdir()
    (shared / "there" / "file").write_text("there\n")
    (shared / "link").symlink_to(shared / "there")
    box = server.create(**mount(shared / "link", "ro"))
    assert box.output("cat /mnt/x/file") == "there\n"
    box.delete()


def test_a_link_that_is_swapped_meanwhile_leads_nowhere_else(server, shared):
    """A path that is looked at and then opened loses this race at once; what was opened is looked at here."""
    (shared / "a").mkdir()
    (shared / "a" / "mine").write_text("")
    (shared / "b").symlink_to("/etc")
    os.rename(shared / "a", shared / "place")
    over = threading.Event()

    def swap():
        while not over.is_set():
            os.rename(shared / "place", shared / "a")
            os.rename(shared / "b", shared / "place")
            os.rename(shared / "place", shared / "b")
            os.rename(shared / "a", shared / "place")

    storm = threading.Thread(target=swap)
    storm.start()
    try:
        answers = []
        while len(answers) < 60:
            reply = create(server, **mount(shared / "place", "ro"))
            answers.append(reply.status)
            if reply.status == 201:
                box = reply.json["id"]
                listed = server.request("POST", f"/v1/sandboxes/{box}/actions/run", {"command": "ls /mnt/x"}).json["output"]
                assert listed == "mine\n"
                assert server.request("DELETE", f"/v1/sandboxes/{box}").status == 204
    finally:
        over.set()
        storm.join()
    assert 403 in answers, "the storm was too weak"


def test_what_is_named_is_lent_and_nothing_else(shared):
    (shared / "named").mkdir()
    (shared / "named" / "file").write_text("lent\n")
    with serving("--host-path", str(shared / "named")) as server:
        box = server.create(**mount(shared / "named", "ro"))
        assert box.output("cat /mnt/x/file") == "lent\n"
        box.delete()
        assert is_refused(create(server, **mount(shared)))
        assert is_refused(create(server, **mount("/etc")))


def test_where_the_server_itself_lives_is_lent_to_nobody_though_it_lies_in_what_is():
    """Whoever may write there, or put another directory in its place, decides what the supervisor believes."""
    with serving("--host-path", "/tmp", "--docker", f"unix:/tmp/cay-e2e-{os.getpid()}/docker.sock") as server:
        for source in ("/tmp", server.directory, server.directory / "state", server.directory / "state" / "token",
                       f"/tmp/cay-e2e-{os.getpid()}", *server.directory.glob("cay*")):
            for mode in ("rw", "copy", "ro"):
                assert is_refused(create(server, **mount(source, mode))), (source, mode)
        (server.directory / "other").mkdir()
        os.chmod(server.directory / "other", 0o755)
        create(server, **mount(server.directory / "other")).json["id"]
    os.rmdir(f"/tmp/cay-e2e-{os.getpid()}")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start a server of another user")
@pytest.mark.parametrize("option", ["/tmp", "standard"])
def test_the_locks_of_a_user_without_a_runtime_directory_are_lent_to_nobody(option):
    """They are in /tmp then, where a server may lend what it likes."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-e2e-"))
    prefix = ["env", "-u", "XDG_RUNTIME_DIR", *become_user(directory, ORDINARY).split()]
    server = Server(directory, *(["--host-path", "/tmp"] if option == "/tmp" else []), prefix=prefix)
    try:
        locks = pathlib.Path(f"/tmp/cay-{ORDINARY}")
        assert locks.is_dir()
        for source in ("/tmp", locks, *locks.iterdir()):
            assert is_refused(create(server, **mount(source))), source
        (directory / "other").mkdir()
        os.chown(directory / "other", ORDINARY, ORDINARY)
        box = server.create(**mount(directory / "other"))
        assert box.output("touch /mnt/x/file && echo written") == "written\n"
        box.delete()
    finally:
        end_server(server)


def test_with_none_nothing_is_lent_and_the_rest_works(shared):
    with serving("--host-path", "none") as server:
        assert is_refused(create(server, **mount(shared)))
        box = server.create()
        assert box.output("echo works") == "works\n"
        box.delete()


def test_with_any_the_operator_has_said_so(shared):
    with serving("--host-path", "any") as server:
        box = server.create(**mount("/etc", "ro"))
        assert box.output("test -e /mnt/x/passwd && echo there") == "there\n"
        box.delete()
