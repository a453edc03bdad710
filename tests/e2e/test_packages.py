# SPDX-License-Identifier: Apache-2.0
"""Root of a sandbox with the host's tools installs packages, into its own copy."""
import os
import shutil
import subprocess

import pytest
from conftest import PROGRAMS
from docker_api import serve_docker

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="needs root: one id owns no packages"),
              pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg")]

START_SERVER = serve_docker

# A package with a program, a user of its own, and a word to say when it is installed.
INSTALL = r"""
set -e
cd /tmp && mkdir -p p/DEBIAN p/usr/bin p/var/lib/cay-hello
printf 'Package: cay-hello\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: says hello\n' > p/DEBIAN/control
printf '#!/bin/sh\nset -e\nadduser --system --no-create-home cay-hello >/dev/null\nchown cay-hello /var/lib/cay-hello\n' > p/DEBIAN/postinst
printf '#!/bin/sh\necho hello from a package\n' > p/usr/bin/cay-hello
chmod 755 p/DEBIAN/postinst p/usr/bin/cay-hello
dpkg-deb --root-owner-group -b p cay-hello.deb >/dev/null
dpkg -i cay-hello.deb >/dev/null
"""


def run(script, *options):
    return subprocess.run([PROGRAMS / "cay", "run", *options, "--", "sh", "-c", script], capture_output=True, text=True, timeout=100,
                          check=False)


def test_root_installs_a_package_and_removes_it():
    done = run(INSTALL + "cay-hello; stat -c %U /var/lib/cay-hello; dpkg-query -W cay-hello; dpkg -S /usr/bin/cay-hello; dpkg --audit;"
               "dpkg -r cay-hello >/dev/null; test ! -e /usr/bin/cay-hello", "--user", "root")
    assert (done.returncode, done.stdout) == (
        0, "hello from a package\ncay-hello\ncay-hello\t1.0\ncay-hello: /usr/bin/cay-hello\n"), done.stderr


def test_what_the_host_has_counts_as_installed_and_stays_as_it_is():
    before = subprocess.run(["dpkg-query", "-W"], capture_output=True, text=True, check=True).stdout
    done = run("dpkg-query -W; " + INSTALL, "--user", "root")
    assert done.returncode == 0 and done.stdout == before, done.stderr
    assert subprocess.run(["dpkg-query", "-W"], capture_output=True, text=True, check=True).stdout == before
    assert not os.path.exists("/usr/bin/cay-hello")


def test_who_is_not_root_installs_nothing():
    done = run("ls /var/lib; " + INSTALL)
    assert done.returncode != 0 and done.stdout == ""


def test_an_image_upon_the_hosts_tools_knows_its_packages(docker):
    from test_build import build, run as run_image
    made = build(docker, "FROM host\nCOPY install.sh /tmp/\nRUN sh /tmp/install.sh\nRUN dpkg-query -W cay-hello\n",
                 {"install.sh": INSTALL}, t="packed").good()
    assert "cay-hello\t1.0\n" in made.text
    assert run_image(docker, "packed", "sh", "-c", "cay-hello; dpkg-query -W cay-hello gcc | cut -f1") == \
        "hello from a package\ncay-hello\ngcc\n"
