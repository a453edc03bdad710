# SPDX-License-Identifier: Apache-2.0
"""What the tests of kernels need on this host, as marks that say why a test is skipped."""
import functools
import os
import subprocess

import pytest

PYTHON = "/usr/bin/python3"  # what the sandboxes' PATH gives


@functools.lru_cache(None)
def has(module):
    return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def needs(module, package):
    if has(module):
        return pytest.mark.skipif(False, reason="")
    if os.environ.get("CAY_MUST_RUN"):
        raise AssertionError(f"{PYTHON} has no {module}: install {package}")
    return pytest.mark.skip(reason=f"{PYTHON} has no {module}: install {package}")


needs_ipython = needs("IPython", "python3-ipython")
needs_matplotlib = needs("matplotlib", "python3-matplotlib")
needs_jupyter = needs("ipykernel", "python3-ipykernel")
