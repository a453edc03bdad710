# SPDX-License-Identifier: Apache-2.0
"""docker-py's own ways to use an engine. Runs in its virtual environment."""
import io
import os
import socket
import sys
import tarfile
import tempfile

import cases
import docker

sys.path.insert(0, os.environ["E2E"])
import rootfs  # noqa: E402

engine = docker.from_env()


def tar(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind as e:
        return e
    raise AssertionError(f"{kind.__name__} was not raised")


class Container:
    def __init__(self, *command, **more):
        self.box = engine.containers.run("host", list(command) or ["sleep", "infinity"], detach=True, **more)

    def __enter__(self):
        return self.box

    def __exit__(self, *_):
        self.box.remove(force=True)


def test_version_ping_info():
    assert engine.ping() and engine.version()["ApiVersion"] == "1.43" and engine.info()["OSType"] == "linux"


def test_run_gives_the_output():
    assert engine.containers.run("host", "echo hi", remove=True) == b"hi\n"


def test_run_raises_for_an_exit_code():
    e = raises(docker.errors.ContainerError, engine.containers.run, "host", ["sh", "-c", "echo bad >&2; exit 3"],
               remove=True)
    assert e.exit_status == 3 and e.stderr == b"bad\n"


def test_life():
    box = engine.containers.create("host", "sleep infinity", name="docker-py-life", labels={"a": "b"})
    assert box.status == "created"
    box.start()
    box.reload()
    assert box.status == "running"
    assert [c.name for c in engine.containers.list(filters={"label": "a=b"})] == ["docker-py-life"]
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    box.restart()
    box.rename("docker-py-renamed")
    box.stop()
    assert box.wait()["StatusCode"] == 143
    raises(docker.errors.APIError, box.exec_run, "true")
    box.remove()
    raises(docker.errors.NotFound, engine.containers.get, box.id)


def test_exec_run():
    with Container(environment={"A": "1"}, working_dir="/work") as box:
        assert box.exec_run("pwd") == (0, b"/work\n")
        assert box.exec_run(["sh", "-c", "echo out; echo err >&2; exit 5"], demux=True) == (5, (b"out\n", b"err\n"))
        assert box.exec_run(["sh", "-c", "echo $A $B"], environment={"B": "two words"}) == (0, b"1 two words\n")
        assert box.exec_run("tty", tty=True) == (0, b"/dev/pts/0\r\n")
        assert box.exec_run("no-such-program")[0] == 127
        assert box.exec_run("sleep 1", detach=True).output == ""


def test_exec_run_streams():
    with Container() as box:
        result = box.exec_run(["sh", "-c", "for i in 1 2 3; do echo $i; done"], stream=True)
        assert b"".join(result.output) == b"1\n2\n3\n"
        both = list(box.exec_run(["sh", "-c", "echo a; echo b >&2"], stream=True, demux=True).output)
        assert (b"a\n", None) in both and (None, b"b\n") in both


def test_exec_run_gives_every_byte():
    with Container() as box:
        assert len(box.exec_run(["sh", "-c", "head -c 30000000 /dev/zero"]).output) == 30000000


def test_exec_socket():
    with Container() as box:
        _, stream = box.exec_run("cat", stdin=True, socket=True)
        stream._sock.sendall(b"through\n")
        stream._sock.shutdown(socket.SHUT_WR)
        assert stream.read(100).endswith(b"through\n")
        stream.close()


def test_attach_socket():
    box = engine.containers.create("host", "cat", stdin_open=True)
    stream = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    box.start()
    stream._sock.sendall(b"meow\n")
    assert stream.read(100).endswith(b"meow\n")
    box.remove(force=True)


def test_archives():
    box = engine.containers.create("host", "true", working_dir="/work")
    assert box.put_archive("/work", tar({"a": b"1", "d/b": b"22"}))
    raises(docker.errors.NotFound, box.put_archive, "/no/such", tar({"a": b""}))
    bits, told = box.get_archive("/work/d")
    assert told["name"] == "d"
    with tarfile.open(fileobj=io.BytesIO(b"".join(bits))) as archive:
        assert archive.extractfile("d/b").read() == b"22"
    box.remove()


def test_logs():
    with Container("sh", "-c", "for i in 1 2 3; do echo line $i; done") as box:
        assert b"".join(box.logs(stream=True, follow=True)) == b"line 1\nline 2\nline 3\n"
        assert box.logs(tail=1) == b"line 3\n"


def test_top_stats_events():
    with Container() as box:
        assert any("sleep infinity" in row[-1] for row in box.top()["Processes"])
        assert box.stats(stream=False)["memory_stats"]["usage"] > 0
        for event in engine.events(decode=True, since=1, filters={"container": box.id}):
            if event["Action"] == "start":
                break


def test_images():
    base = rootfs.tar(rootfs.base_files(), ["tmp"])
    loaded = engine.images.load(rootfs.docker_save([base], ["docker-py:one"], {"Cmd": ["echo", "from the image"]}))
    assert loaded[0].tags == ["docker-py:one"]
    assert engine.containers.run("docker-py:one", remove=True) == b"from the image\n"
    assert loaded[0].tag("docker-py", "two")
    assert {t for i in engine.images.list(name="docker-py") for t in i.tags} == {"docker-py:one", "docker-py:two"}
    assert engine.images.pull("docker-py", tag="one").id == loaded[0].id
    raises(docker.errors.ImageNotFound, engine.images.pull, "no-such-image")
    raises(docker.errors.ImageNotFound, engine.images.get, "no-such-image")
    engine.api.import_image_from_data(base, repository="docker-py-imported", tag="t")
    assert engine.containers.run("docker-py-imported:t", "echo 1", remove=True) == b"1\n"
    for name in ("docker-py:one", "docker-py:two", "docker-py-imported:t"):
        engine.images.remove(name)


def test_commit():
    with Container(environment={"E": "1"}) as box:
        box.exec_run(["sh", "-c", "echo made > /tmp/made"])
        image = box.commit("committed", "v1", message="m", author="a", changes=['CMD ["cat","/tmp/made"]'])
        assert image.tags == ["committed:v1"] and "E=1" in image.attrs["Config"]["Env"]
        assert box.exec_run(["cat", "/tmp/made"]).output == b"made\n"
    assert engine.containers.run("committed:v1", remove=True) == b"made\n"
    engine.images.remove("committed:v1")


def test_build():
    with tempfile.TemporaryDirectory() as directory:
        for name, text in (("Dockerfile", 'FROM host\nARG A=1\nCOPY x /x\nRUN echo arg $A\nCMD ["cat", "/x"]\n'), ("x", "content\n")):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write(text)
        image, log = engine.images.build(path=directory, tag="py-built:1", buildargs={"A": "9"}, rm=True)
    assert image.tags == ["py-built:1"] and "arg 9\n" in "".join(line.get("stream", "") for line in log)
    assert engine.containers.run("py-built:1", remove=True) == b"content\n"
    assert image.history()[0]["CreatedBy"] == 'CMD ["cat", "/x"]'
    e = raises(docker.errors.BuildError, engine.images.build, fileobj=io.BytesIO(b"FROM host\nRUN exit 3\n"))
    assert "non-zero code: 3" in str(e)
    e = raises(docker.errors.APIError, engine.images.build, fileobj=io.BytesIO(b"FLY away\n"))
    assert e.status_code == 400 and "unknown instruction" in str(e)
    engine.images.remove("py-built:1")
    assert engine.api.prune_builds()["SpaceReclaimed"] >= 0


def test_networks_and_volumes():
    assert {n.name for n in engine.networks.list()} == {"bridge", "host", "none"}
    assert engine.volumes.list() == []
    assert raises(docker.errors.APIError, engine.volumes.create, "v").status_code == 501


def test_wait_and_limits():
    with Container("sh", "-c", "exit 9", mem_limit="64m", pids_limit=40, nano_cpus=500000000) as box:
        assert box.wait()["StatusCode"] == 9
        assert box.attrs["HostConfig"]["Memory"] == 64 << 20


cases.run_all(globals())
