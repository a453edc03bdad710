# SPDX-License-Identifier: Apache-2.0
"""cay in a container of podman's: what its usual profile takes away is said with the option that gives it back, and what is left
over is no weaker sandbox. docs/deploy.md has these options, too."""
import contextlib
import os
import subprocess
import tarfile

import pytest

import engines
from conftest import PROGRAMS
from waiting import PATIENCE

USER = "--user=1000:1000"
UNFILTERED = "--security-opt=seccomp=unconfined"
UNMASKED = "--security-opt=unmask=ALL"
MAPPED = "--uidmap=0:200000:65536"  # as in a pod with hostUsers: false
SERVE = """
export PATH=/cay:$PATH HOME=/tmp/home CAY_TOKEN=0123456789abcdef
mkdir -p $HOME; mkfifo /tmp/ready
cay serve --ready-fd 3 3>/tmp/ready >/tmp/greeting & server=$!
read line </tmp/ready || exit 1
box=$(cay create --name box) && cay exec box sh -c 'echo $(id -u) >/tmp/x; cat /tmp/x' && cay py box '6 * 7'
cay create --require memory >/dev/null && echo limited
kill $server; wait $server; echo ended $?
"""


@pytest.fixture(scope="module")
def contain(tmp_path_factory):
    """Runs a command in a container: its image is empty but for links into the host's /usr."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to run podman in namespaces of its own")
    if engines.missing():
        pytest.skip(f"needs {', '.join(engines.missing())}")
    image = tmp_path_factory.mktemp("image") / "image.tar"
    with tarfile.open(image, "w") as tar:
        for name in ("usr", "etc", "tmp", "var", "cay", "proc", "sys", "dev", "run"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        for name in ("bin", "lib", "lib64", "sbin"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(info)
    with contextlib.ExitStack() as stack:
        engine = engines.Podman()
        stack.callback(engine.stop)

        def podman(*words):
            return subprocess.run(["nsenter", f"--target={engine.pid}", "--mount", "--net", "--pid", "podman", *words], env=engine.env,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)

        def go(*options, command):
            return podman("run", "--rm", "--network=none", "--volume=/usr:/usr:ro", f"--volume={PROGRAMS}:/cay:ro", *options, "box",
                          *command)

        assert podman("import", "-q", str(image), "box").returncode == 0
        probe = go(command=["true"])
        if probe.returncode != 0:
            pytest.skip(f"podman runs no container here: {probe.stderr.strip()[-200:]}")
        yield go


@pytest.mark.parametrize("options, sentence", [
    ([USER], "uts-ns cannot be had here; to have it: start the container with --security-opt seccomp=unconfined"),
    ([USER, UNFILTERED], "proc-read-only cannot be had here; to have it: start the container with --security-opt "
                         "systempaths=unconfined (podman: unmask=ALL"),
    ([], "run cay as an ordinary user there (of a container: --user 1000:1000)"),
    (["--cap-add=SYS_ADMIN"], "proc-read-only cannot be had here"),
    ([MAPPED], "run cay as an ordinary user there"),
], ids=["a user", "a user without the filter", "root", "root with a capability", "root of a user namespace"])
def test_what_a_container_lacks_is_said_with_what_gives_it(contain, options, sentence):
    done = contain(*options, command=["/cay/cay", "run", "--", "echo", "made"])
    assert done.returncode == 125 and sentence in done.stderr and "made" not in done.stdout


def test_a_server_says_the_same_and_serves_nobody(contain):
    done = contain(USER, UNFILTERED, "--env=HOME=/tmp", command=["/cay/cay", "serve"])
    assert done.returncode != 0 and "nobody is served" in done.stderr and "unmask=ALL" in done.stderr


@pytest.mark.parametrize("options", [[USER, UNFILTERED, UNMASKED], [USER, UNFILTERED, UNMASKED, MAPPED]],
                         ids=["a user", "a pod with ids of its own"])
def test_an_ordinary_user_serves_without_limits_and_says_so(contain, options):
    """Each server has tried its sandbox from within before it serves."""
    done = contain(*options, command=["bash", "-c", SERVE])
    assert done.stdout.splitlines() == ["1000", "42", "ended 0"], done.stderr
    assert "memory is required and cannot be had here; to have it: --privileged and root in the container" in done.stderr


def test_root_with_all_privileges_serves_with_limits(contain):
    done = contain("--privileged", command=["bash", "-c", SERVE])
    assert done.stdout.splitlines() == ["1000", "42", "limited", "ended 0"], done.stderr


def test_root_with_the_least_of_them_serves(contain):
    done = contain("--cap-add=SYS_ADMIN", UNFILTERED, UNMASKED, command=["bash", "-c", SERVE])
    assert done.stdout.splitlines() == ["1000", "42", "ended 0"], done.stderr
