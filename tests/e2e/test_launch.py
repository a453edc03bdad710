# SPDX-License-Identifier: Apache-2.0
"""What of launching sandboxes no command line shows on this machine."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))


def skip(why):
    if os.environ.get("CAY_MUST_RUN"):
        pytest.fail(why)
    pytest.skip(why)


def test_a_sandbox_on_cgroup_v2(tmp_path):
    if os.geteuid() != 0:
        skip("needs root")
    for program in ("tests/e2e/launch/launch-v2", "src/main/cay-init"):
        copy = tmp_path / os.path.basename(program)
        copy.write_bytes((BUILD / program).read_bytes())
        copy.chmod(0o755)
    r = subprocess.run([tmp_path / "launch-v2"], capture_output=True, text=True, timeout=60, check=False)
    if r.returncode == 77:
        skip(r.stderr)
    assert (r.returncode, r.stdout) == (0, "ok\n"), r.stderr
