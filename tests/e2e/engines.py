# SPDX-License-Identifier: Apache-2.0
"""Engines that speak Docker's API: a podman in namespaces of its own, and our own docker face."""
import contextlib
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

from docker_api import Docker
from processes import children

PATIENCE = 30


class Podman:
    """podman's API service, with its store in a temporary directory and in mount, network and pid namespaces of its own."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cay-podman-"))
        self.socket = self.dir / "api.sock"
        (self.dir / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\nrunroot = "{self.dir}/run"\ngraphroot = "{self.dir}/graph"\n')
        (self.dir / "containers.conf").write_text(
            '[containers]\ncgroups = "enabled"\ndefault_sysctls = []\n'
            'default_ulimits = ["nofile=20000:20000","nproc=96343:96343"]\nlog_driver = "k8s-file"\n'
            f'[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "crun"\ntmp_dir = "{self.dir}/tmp"\n'
            f'[network]\nnetwork_config_dir = "{self.dir}/networks"\n')
        self.env = {**os.environ, "CONTAINERS_STORAGE_CONF": str(self.dir / "storage.conf"),
                    "CONTAINERS_CONF": str(self.dir / "containers.conf")}
        # crun wants cgroups to be of one kind. The service may be killed and started again: its containers live on.
        script = ("ip link set lo up; umount /sys/fs/cgroup/unified 2>/dev/null; exec sleep infinity")
        self.space = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
             "sh", "-c", script], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.start()

    @property
    def pid(self):
        """Of pid 1 of its namespaces."""
        return children(self.space.pid)[0]

    def start(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < deadline
            with contextlib.suppress(IndexError, OSError):
                if b"sleep" in pathlib.Path(f"/proc/{self.pid}/cmdline").read_bytes():
                    break
            time.sleep(0.005)
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "podman", "system", "service", "-t", "0",
             f"unix://{self.socket}"],
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(self.dir / "log", "ab"))
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            select.select([], [], [], 0.02)

    def answers(self):
        try:
            return Docker(self.socket).request("GET", "/_ping").status == 200
        except OSError:
            return False

    def log(self):
        return (self.dir / "log").read_text()[-2000:]

    def kill(self):
        """kill -9 for the service; its containers stay."""
        for pid in [*children(self.process.pid), self.process.pid]:
            os.kill(pid, 9)
        self.process.wait(PATIENCE)

    def stop(self):
        with contextlib.suppress(OSError, ValueError):  # a service that was killed; cgroups go with their containers
            docker = Docker(self.socket)
            for container in docker.request("GET", "/containers/json?all=1").json:
                docker.request("DELETE", f"/containers/{container['Id']}?force=1")
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.kill()
        self.space.kill()  # unshare, and its pid namespace with it
        self.space.wait(PATIENCE)
        shutil.rmtree(self.dir, ignore_errors=True)


def missing():
    """What podman would need and this machine has not."""
    return [name for name in ("podman", "crun", "conmon", "nsenter", "unshare") if not shutil.which(name)]
