# SPDX-License-Identifier: Apache-2.0
"""What the escape tests share: the program of attacks, and ways to run it."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
ATTACKS = BUILD / "src" / "main" / "cay-canary"
CAY = BUILD / "src" / "main" / "cay"
IS_ROOT = os.geteuid() == 0
CANARY = pathlib.Path("/var/tmp/cay-escape-canary")
SHM_KEY = 0x0CA9E5CA
ORDINARY = 61234  # a uid that no host user has


class Attack:
    def __init__(self, line):
        self.name, self.layer, self.who, self.what = line.split("\t")


def attacks():
    out = subprocess.run([ATTACKS, "--list"], capture_output=True, text=True, check=True).stdout
    return [Attack(line) for line in out.splitlines()]


def findings(out):
    """NAME -> (OUTCOME, why)"""
    result = {}
    for line in out.splitlines():
        name, outcome, why = (line + " ").split(" ", 2)
        assert outcome in ("BLOCKED", "REACHED", "ALLOWED", "ABSENT"), line
        result[name] = (outcome, why.strip())
    return result


def reached(result):
    return {name: why for name, (outcome, why) in result.items() if outcome == "REACHED"}


@pytest.fixture(scope="session")
def readable(tmp_path_factory):
    """Copies of the programs that an ordinary user may run, wherever the build directory is."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cay-escape-"))
    directory.chmod(0o755)
    for program in (ATTACKS, CAY, BUILD / "src/main/cay-init"):
        copy = directory / program.name
        copy.write_bytes(program.read_bytes())
        copy.chmod(0o755)
    yield directory
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


@contextlib.contextmanager
def programs_without(layer, *names):
    """A directory of our programs, of which these have that layer left out."""
    main = BUILD / "src" / "main"
    targets = {name: f"src/main/{name}-without-{layer}" for name in names}
    subprocess.run(["ninja", "-C", BUILD, "--quiet", *targets.values()], check=True, capture_output=True)
    with tempfile.TemporaryDirectory(prefix="cay-without-") as directory:
        os.chmod(directory, 0o755)
        for program in main.iterdir():
            if program.is_file() and os.access(program, os.X_OK) and "-without-" not in program.name:
                shutil.copy(BUILD / targets.get(program.name, program), f"{directory}/{program.name}")
        yield pathlib.Path(directory)


class Oracles:
    """Bait on the host: what an attack would find if it got out."""

    def __init__(self):
        CANARY.write_text("the host's\n")
        self.listener = socket.create_server(("0.0.0.0", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0cay-escape")
        self.abstract.listen()
        self.victim = subprocess.Popen(["sleep", "3600"])
        libc = ctypes.CDLL(None, use_errno=True)
        self.libc = libc
        self.shm = libc.shmget(SHM_KEY, 4096, 0o1666)  # IPC_CREAT, for all
        assert self.shm >= 0, os.strerror(ctypes.get_errno())
        self.secret = tempfile.TemporaryFile()
        self.secret.write(b"the caller's\n")
        self.secret.flush()

    def environ(self):
        return {
            **os.environ,
            "ESCAPE_SECRET": "the caller's",
            "CAY_TOKEN": "the server's",
        }

    def hints(self, is_bare):
        """What the attacker is told: it could guess it."""
        hints = {
            "ESCAPE_HOST_PID": str(self.victim.pid),
            "ESCAPE_PORT": str(self.listener.getsockname()[1]),
            "ESCAPE_HOSTNAME": socket.gethostname(),
        }
        if is_bare:
            hints["ESCAPE_TARGET"] = str(self.victim.pid)
        return hints

    def close(self):
        self.victim.kill()
        self.victim.wait()
        self.listener.close()
        self.abstract.close()
        self.secret.close()
        self.libc.shmctl(self.shm, 0, None)
        CANARY.unlink()


@pytest.fixture(scope="session")
def oracles():
    o = Oracles()
    yield o
    o.close()


def as_user(uid):
    """For Popen: an ordinary user, without groups."""
    return {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}


def in_sandbox(oracles, cay, program, *options, uid=None, names=()):
    """Attacks from within `cay run`, which inherits a descriptor and secrets that it must not pass on."""
    hints = [f"--env={k}={v}" for k, v in oracles.hints(False).items()]
    mount = f"--mount={pathlib.Path(program).parent}:/escape:ro"
    argv = [cay, "run", mount, *hints, *options, "--", f"/escape/{pathlib.Path(program).name}", *names]
    fd = oracles.secret.fileno()
    run = subprocess.run(argv, env=oracles.environ(), pass_fds=[fd], capture_output=True, text=True,
                         timeout=60, cwd="/", **as_user(uid))
    assert run.returncode in (0, 1), run.stderr
    result = findings(run.stdout)
    assert result, run.stderr
    return result


def on_host(oracles, program, *prefix, names=(), uid=None):
    argv = [*prefix, program, "--bare", *names]
    env = {**oracles.environ(), **oracles.hints(True)}
    fd = oracles.secret.fileno()
    run = subprocess.run(argv, env=env, pass_fds=[fd], capture_output=True, text=True, timeout=60, cwd="/",
                         **as_user(uid))
    assert run.returncode in (0, 1), run.stderr
    return findings(run.stdout)
