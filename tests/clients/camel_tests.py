# SPDX-License-Identifier: Apache-2.0
"""How CAMEL's own tests and examples (CAMEL_SRC) are run, unmodified, and told. For programs in CAMEL's virtual environment."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import client

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = os.environ.get("CAMEL_SRC")
WORK = pathlib.Path(tempfile.mkdtemp())
os.chmod(WORK, 0o755)
EXAMPLES = "examples/runtimes"
TESTS = "test/runtimes"


def label(path):
    """The name of a result: our own files are called otherwise."""
    return path.replace(f"{EXAMPLES}/", "example ").replace(f"{TESTS}/", "").replace("test/interpreters/", "")


def environment(model):
    return {**os.environ, "OPENAI_API_BASE_URL": model.url, "PYTHONPATH": str(HERE / "camel_shims")}


def run_tests(path, env, **lacking):
    """One result for each test of a file; pytest's own skip marks count for nothing, since there is a server.

    lacking: names of tests that cannot run, and why."""
    report = WORK / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:skipping", "-p", "no:cacheprovider", "-c", "/dev/null",
               "--rootdir", str(WORK), f"--junitxml={report}", str(pathlib.Path(SOURCE, path))]
    command += ["-k", " and ".join(f"not {name}" for name in lacking)] if lacking else []
    subprocess.run(command, cwd=WORK, env=env, check=False, timeout=300)
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        client.tell(f"{label(path)}::{case.get('name')}", "passed" if wrong is None else "failed",
                    "" if wrong is None else (wrong.get("message") or "")[:300])
    for name, why in lacking.items():
        client.tell(f"{label(path)}::{name}", "skipped", why)


def run_example(path, env, *lines, answer=None, tries=1, remark="", code=None):
    """lines: what its output has, in this order. tries: of one that goes on whether its server has started or not.
    code: what is run in its stead, with its path as the argument."""
    command = [sys.executable, *(["-c", code] if code else []), str(pathlib.Path(SOURCE, path))]
    for number in range(tries):
        done = subprocess.run(command, cwd=WORK, env=env, input=answer, text=True, capture_output=True, check=False,
                              timeout=300)
        is_good = done.returncode == 0 and re.search(".*".join(map(re.escape, lines)), done.stdout, re.DOTALL)
        if is_good:
            break
    remark = f"at try {number + 1}: it waits 10 s for CAMEL's server, and goes on" if number else remark
    client.tell(label(path), "passed" if is_good else "failed", remark if is_good else (done.stdout + done.stderr)[-300:])
