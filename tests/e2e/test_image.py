# SPDX-License-Identifier: Apache-2.0
"""Images that come as archives: unpacked once, in a sandbox, whoever wrote them."""
import subprocess
import tarfile

import pytest

import archives
from conftest import end_server, start_server
from test_run import caller, programs, static  # noqa: F401 (fixtures)

FORMS = {"tar": [], "tar.gz": ["--gzip"], "tar.xz": ["--xz"], "tar.bz2": ["--bzip2"]}


@pytest.fixture(autouse=True)
def cache(caller):  # noqa: F811
    """A cache of the test's own, for root too."""
    caller.env["XDG_CACHE_HOME"] = str(caller.directory / "cache")
    return caller.directory / "cache/cay/images"


def keep(caller, content, name="image.tar"):  # noqa: F811
    path = caller.make(name, "")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_is_a_root(caller, static, cache, form):  # noqa: F811
    tree = caller.make("tree")
    subprocess.run(["install", "-D", static, tree / "bin/hello"], check=True)
    archive = caller.directory / f"image.{form}"
    subprocess.run(["tar", "-c", *FORMS[form], "-f", archive, "-C", tree, "."], check=True)
    for _ in range(2):
        r = caller.run("--image", archive, "--", "/bin/hello")
        assert (r.returncode, r.stdout) == (0, "static\n"), r.stderr
    assert len(list(cache.iterdir())) == 1  # unpacked once, and nothing half done beside it


def test_a_changed_archive_is_unpacked_anew(caller, static, cache):  # noqa: F811
    hello = archives.entry("hello", mode=0o755)
    archive = keep(caller, archives.tar((hello, static.read_bytes())))
    assert caller.run("--image", archive, "--", "/hello").returncode == 0
    archive.write_bytes(archives.tar((archives.entry("other", mode=0o755), static.read_bytes())))
    assert caller.run("--image", archive, "--", "/hello").returncode == 127
    assert caller.run("--image", archive, "--", "/other").returncode == 0


def test_what_a_sandbox_writes_stays_out_of_the_image(caller, static, cache):  # noqa: F811
    shell = archives.entry("sh", mode=0o755)
    archive = keep(caller, archives.tar((shell, static.read_bytes()), ("kept", b"1")))
    assert caller.run("--image", archive, "--", "/sh").returncode == 0
    (image,) = cache.iterdir()
    assert sorted(p.name for p in image.iterdir()) == ["kept", "sh"]


def test_devices_beneath_dev_are_left_out_and_set_uid_is_taken_off(caller, static, cache):  # noqa: F811
    null = archives.entry("dev/null", tarfile.CHRTYPE)
    null.devmajor, null.devminor = 1, 3
    setuid = archives.entry("hello", mode=0o4755)
    archive = keep(caller, archives.tar(null, (setuid, static.read_bytes())))
    assert caller.run("--image", archive, "--", "/hello").returncode == 0
    (image,) = cache.iterdir()
    assert (image / "hello").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("items", [
    [("../outside", b"x")],
    [archives.link("l", "/var/tmp"), ("l/outside", b"x")],
    [archives.entry("disk", tarfile.BLKTYPE)],
], ids=["dot-dot", "through a link", "a device"])
def test_a_hostile_archive_is_refused_and_leaves_nothing(caller, cache, items):  # noqa: F811
    archive = keep(caller, archives.tar(*items))
    r = caller.run("--image", archive, "--", "/x")
    assert r.returncode == 125 and f"unpack image {archive}: tar: " in r.stderr
    assert list(cache.iterdir()) == []
    assert not (caller.directory / "outside").exists()


def test_an_absolute_name_lands_within(caller, cache):  # noqa: F811
    archive = keep(caller, archives.tar(("/var/tmp/cay-absolute", b"x")))
    caller.run("--image", archive, "--", "/x")
    (image,) = cache.iterdir()
    assert (image / "var/tmp/cay-absolute").exists()
    assert not subprocess.run(["test", "-e", "/var/tmp/cay-absolute"], check=False).returncode == 0


def test_what_is_no_archive_says_so(caller, cache):  # noqa: F811
    r = caller.run("--image", keep(caller, b"\0\1junk" * 1000), "--", "/x")
    assert r.returncode == 125 and "does not look like a tar archive" in r.stderr
    r = caller.run("--image", "/dev/null", "--", "/x")
    assert r.returncode == 125 and "image /dev/null is neither a directory nor an archive" in r.stderr
    assert not cache.exists() or list(cache.iterdir()) == []


@pytest.fixture
def served(caller, cache, monkeypatch):  # noqa: F811
    """A server whose cache is the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(caller.directory / "cache"))
    server = start_server()
    yield server
    end_server(server)


def test_a_server_unpacks_an_archive_too(caller, static, cache, served):  # noqa: F811
    archive = keep(caller, archives.tar((archives.entry("bin/hello", mode=0o755), static.read_bytes())))
    for _ in range(2):
        box = served.create(image=str(archive))
        assert box.record["spec"]["image"] == str(archive)
        assert box.action("exec", argv=["/bin/hello"])["stdout"] == "static\n"
        box.delete()
    assert len(list(cache.iterdir())) == 1


def test_a_server_says_what_is_wrong_with_an_archive(caller, cache, served):  # noqa: F811
    archive = keep(caller, archives.tar(("../outside", b"x")))
    reply = served.request("POST", "/v1/sandboxes", {"image": str(archive)})
    assert reply.status == 400 and f"unpack image {archive}: tar: " in reply.json["error"]["message"]
    assert list(cache.iterdir()) == []
    served.create().delete()
