# SPDX-License-Identifier: Apache-2.0
"""A plugin for tools/check: from TESTS_END on (seconds of the monotonic clock) no test begins. It is skipped, and says so."""
import os
import time

import pytest

REASON = "no time left"
END = float(os.environ.get("TESTS_END", "inf"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if time.monotonic() > END:
        pytest.skip(REASON)
