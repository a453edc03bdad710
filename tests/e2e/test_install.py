# SPDX-License-Identifier: Apache-2.0
"""What `make install` gives somebody who has nothing but it: an ordinary user with an empty environment, beneath a path with blanks."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from conftest import BUILD, ROOT
from waiting import PATIENCE

IS_ROOT = os.geteuid() == 0
ORDINARY = 61236


@pytest.fixture(scope="module")
def prefix():
    """Of a staged copy; programs find each other wherever it lies."""
    where = pathlib.Path(tempfile.mkdtemp(prefix="cay it's installed "))
    where.chmod(0o755)
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", where / "stage"], check=True,
                   capture_output=True)
    (where / "home").mkdir()
    os.chown(where / "home", ORDINARY if IS_ROOT else -1, -1)
    yield next(where.rglob("bin/cay")).parent.parent
    shutil.rmtree(where)


def home(prefix):
    return next(p for p in prefix.parents if (p / "home").is_dir()) / "home"


def shell(prefix, script, **more):
    ids = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []} if IS_ROOT else {}
    return subprocess.run(["bash", "-euc", script], cwd=home(prefix), capture_output=True, text=True, timeout=PATIENCE, check=False,
                          env={"PATH": f"{prefix}/bin:/usr/bin:/bin", "HOME": str(home(prefix))}, **ids, **more)


def test_a_command_runs_at_once(prefix):
    done = shell(prefix, "cay version; cay run -- echo made")
    assert done.returncode == 0 and done.stdout.splitlines()[1:] == ["made"], done.stderr


def test_a_server_can_be_talked_to_as_it_says(prefix):
    """The lines that it greets with are typed as they are."""
    done = shell(prefix, r"""
        mkfifo ready; cay serve --state "$PWD/it's here" --listen 127.0.0.1:0 --ready-fd 3 3>ready >greeting 2>log & server=$!
        read line <ready || { cat log; exit 1; }
        grep -q ' with CAY_URL=' greeting
        eval "$(sed -n 's/^ *with/export/p' greeting)"
        cay create --name demo; cay exec demo echo alive
        eval "$(sed -n 's/^  curl  *//p' greeting)"
        kill $server; wait $server; echo; echo ended $?""")
    lines = done.stdout.splitlines()
    assert lines[1] == "alive" and '"state":"ready"' in lines[2] and lines[-1] == "ended 0", (done.stdout, done.stderr)


def test_manual_completion_and_units_are_there(prefix):
    assert (prefix / "share/man/man1/cay.1").exists() and (prefix / "share/man/man5/cay.toml.5").exists()
    done = shell(prefix, f'. "{prefix}/share/bash-completion/completions/cay"; complete -p cay')
    assert done.stdout == "complete -F _cay cay\n", done.stderr
    for kind in ("system", "user"):
        unit = (prefix / "lib/systemd" / kind / "cay.service").read_text()
        command = re.search(r'^ExecStart="(.*)" serve$', unit, re.M)[1]
        assert str(prefix).endswith(os.path.dirname(os.path.dirname(command)))


def test_a_prefix_with_a_blank_stays_one_word():
    done = subprocess.run(["make", "-n", "install", "PREFIX=/opt/my cay"], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
                          check=True, env={"PATH": os.environ["PATH"]})
    assert '"-Dprefix=/opt/my cay"' in done.stdout
