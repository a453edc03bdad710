# SPDX-License-Identifier: Apache-2.0
"""Runs every function test_… of a module in its own virtual environment, and tells what came of each."""
import os
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import client  # noqa: E402


def run_all(names, fixture=None, around=None):
    """names: a module's globals(); those that ONLY names, if that is set. fixture(): what each function gets. around(function): calls it, and gives a remark."""
    for name, function in list(names.items()):
        only = os.environ.get("ONLY")
        if not name.startswith("test_") or not callable(function) or (only and name not in only.split()):
            continue
        try:
            remark = around(function) if around else function(*((fixture(),) if fixture else ()))
            client.tell(name.removeprefix("test_"), "passed", remark if around else "")
        except Exception as e:  # whatever a client raises is a result
            traceback.print_exc()
            client.tell(name.removeprefix("test_"), "failed", f"{type(e).__name__}: {e}"[:300])
