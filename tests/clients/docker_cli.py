# SPDX-License-Identifier: Apache-2.0
"""The docker command line against the Docker Engine API of cay."""
import pathlib
import subprocess
import sys
import tempfile

import client

sys.path.insert(0, str(client.ROOT / "tests" / "e2e"))
import rootfs  # noqa: E402


class Cli:
    def __init__(self, env, directory):
        self.env, self.directory = env, directory

    def __call__(self, *argv, code=0, stdin=None):
        done = subprocess.run(["docker", *argv], env=self.env, input=stdin, capture_output=True, text=True, timeout=60,
                              check=False, cwd=self.directory)
        assert done.returncode == code, f"docker {' '.join(argv)}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout


def case_version(docker):
    assert "1.43" in docker("version")


def case_run(docker):
    assert docker("run", "--rm", "host", "echo", "hi") == "hi\n"
    assert docker("run", "--rm", "host", "sh", "-c", "exit 7", code=7) == ""
    assert docker("run", "--rm", "-i", "host", "cat", stdin="piped") == "piped"
    assert docker("run", "--rm", "-e", "A=1", "-w", "/etc", "-u", "0", "host", "sh", "-c", "echo $A; pwd") == "1\n/etc\n"
    docker("run", "--rm", "host", "no-such-program", code=127)
    docker("run", "--rm", "no-such-image", "true", code=125)


def case_run_detached_ps_logs_stop_rm(docker):
    docker("run", "-d", "--name", "cli", "-p", "127.0.0.1:0:80", "host", "sh", "-c", "echo up; exec sleep 1000")
    assert "cli" in docker("ps") and "127.0.0.1" in docker("port", "cli")
    assert docker("logs", "cli") == "up\n"
    assert docker("inspect", "-f", "{{.State.Status}}", "cli") == "running\n"
    docker("stop", "cli")
    assert "Exited (143)" in docker("ps", "-a")
    docker("start", "cli")
    docker("rm", "cli", code=1)
    docker("rm", "-f", "cli")


def case_commit(docker):
    docker("run", "--name", "work", "host", "sh", "-c", "echo made > /tmp/made")
    assert docker("commit", "-c", "WORKDIR /tmp", "-c", 'CMD ["cat","made"]', "work", "committed:1").startswith("sha256:")
    assert docker("run", "--rm", "committed:1") == "made\n"
    docker("rm", "work")
    docker("rmi", "committed:1")


def case_exec(docker):
    docker("run", "-d", "--name", "cli-exec", "host", "sleep", "1000")
    assert docker("exec", "cli-exec", "sh", "-c", "echo in; exit 3", code=3) == "in\n"
    assert docker("exec", "-i", "cli-exec", "cat", stdin="text") == "text"
    assert docker("exec", "-e", "B=2", "-w", "/tmp", "cli-exec", "sh", "-c", "echo $B; pwd") == "2\n/tmp\n"
    docker("exec", "cli-exec", "no-such-program", code=127)
    assert "sleep 1000" in docker("top", "cli-exec")
    docker("rm", "-f", "cli-exec")


def case_terminal(docker):
    done = subprocess.run(["script", "-qec", "docker run --rm -t host sh -c 'tty; stty size'", "/dev/null"],
                          env=docker.env, capture_output=True, text=True, timeout=60, check=False)
    assert "/dev/pts/0" in done.stdout and done.returncode == 0, done.stdout


def case_cp(docker):
    tree = pathlib.Path(docker.directory) / "tree" / "sub"
    tree.mkdir(parents=True)
    (tree / "file").write_text("content")
    docker("create", "--name", "cli-cp", "host", "true")
    docker("cp", "tree", "cli-cp:/root/")
    docker("cp", "cli-cp:/root/tree", "back")
    assert (pathlib.Path(docker.directory) / "back" / "sub" / "file").read_text() == "content"
    docker("cp", "cli-cp:/root/tree/sub/file", "single")
    assert (pathlib.Path(docker.directory) / "single").read_text() == "content"
    docker("cp", "cli-cp:/no/such", "x", code=1)
    docker("rm", "cli-cp")


def case_images_load_import_rm(docker):
    base = rootfs.tar(rootfs.base_files(), ["tmp"])
    directory = pathlib.Path(docker.directory)
    (directory / "base.tar").write_bytes(base)
    (directory / "save.tar").write_bytes(rootfs.docker_save([base], ["cli-saved:one"], {"Cmd": ["echo", "saved"]}))
    assert "cli-saved:one" in docker("load", "-i", "save.tar")
    docker("import", "-c", 'CMD ["echo","imported"]', "base.tar", "cli-imported")
    assert docker("run", "--rm", "cli-saved:one") == "saved\n"
    assert docker("run", "--rm", "cli-imported") == "imported\n"
    listed = docker("images")
    assert "cli-saved" in listed and "cli-imported" in listed
    docker("tag", "cli-saved:one", "cli-again")
    docker("rmi", "cli-saved:one", "cli-again", "cli-imported")
    assert "cli-" not in docker("images")


def case_build_run_history(docker):
    directory = pathlib.Path(docker.directory)
    (directory / "x").write_text("content\n")
    (directory / "Dockerfile").write_text('FROM host\nARG A=1\nCOPY x /x\nRUN cat /x; echo arg $A\nCMD ["cat", "/x"]\n')
    assert "arg 7\n" in docker("build", "-t", "cli-built:1", "--build-arg", "A=7", ".")
    assert docker("build", "-t", "cli-built:1", "--build-arg", "A=7", ".").count("Using cache") == 2
    assert docker("run", "--rm", "cli-built:1") == "content\n"
    assert "COPY x /x" in docker("history", "cli-built:1")
    (directory / "Dockerfile").write_text("FROM host\nRUN exit 3\n")
    docker("build", ".", code=3)
    docker("rmi", "cli-built:1")


def case_what_is_not_offered_says_so(docker):
    docker("run", "--rm", "--privileged", "host", "true", code=125)
    docker("volume", "create", "v", code=1)
    docker("network", "create", "n", code=1)


def run(env):
    for name, case in list(globals().items()):
        if not name.startswith("case_"):
            continue
        test = "docker command line: " + name.removeprefix("case_").replace("_", " ")
        with tempfile.TemporaryDirectory() as directory:
            try:
                case(Cli(env, directory))
                client.tell(test, "passed")
            except (AssertionError, OSError, subprocess.SubprocessError) as e:
                client.tell(test, "failed", str(e)[:300])
