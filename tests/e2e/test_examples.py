# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/runtimes do what they say."""
import os
import subprocess

import pytest

from conftest import PROGRAMS, ROOT, free_port
from test_libcay import EXAMPLES, build, run, stage  # noqa: F401

SAID = {
    "remote_http_runtime.sh": ["math_add", "math_multiply", "math_calls", "1 + 2: 3", "2 * 3.14159: 6.283", "calls: 2"],
    "docker_runtime.sh": ["math_add", "math_multiply", "math_calls", "Add 1 + 2: 3", "Multiply 2 * 3: 6", "Calls: 2"],
    "docker_runtime_with_tasks.sh": ["the mount is read-only", "count", "words: 3", "sum: 42"],
    "code_execution.sh": ["cell", "She earned $10.20"],
    "shared_runtime.sh": ["save", "count_words", "files.missing: refused", 'saved "/workspace/shared.txt"', "words: 3"],
    "guard.sh": ["run", "harmless: 10.20", "guard"],
    "daytona_runtime.py": ["adding 1 and 2", "3", "adding 'it\\'s \"x\"\\\\' and '\\n'", "'it\\'s \"x\"\\\\\\n'", "TypeError"],
}


@pytest.mark.parametrize("name", SAID)
def test_an_example_of_runtimes_says_what_it_should_and_leaves_nothing(server, name, tmp_path):
    env = {**os.environ, "CAY_URL": f"unix:{server.socket}", "CAY_TOKEN": server.token, "PORT": str(free_port()),
           "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    done = subprocess.run([ROOT / "examples" / "runtimes" / name], env=env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SAID[name], done.stderr
    left = [s for s in server.request("GET", "/v1/sandboxes").json["sandboxes"] if s["state"] in ("ready", "running")]
    assert left == [] or name == "remote_http_runtime.sh"


def test_the_example_in_c_runs_a_python_file(stage, tmp_path):  # noqa: F811
    libexec = str(next(stage.rglob("cay-executor")).parent)
    done = run(stage, build(stage, "runtimes/exec_python_file", tmp_path / "it"), "local", CAY_LIBEXEC=libexec)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['first', 'second one'] value", '"exit_code":3'], done.stderr
