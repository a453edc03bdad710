# SPDX-License-Identifier: Apache-2.0
"""CAMEL's own test/runtimes and examples/runtimes (CAMEL_SRC), unmodified. Runs in CAMEL's virtual environment."""
import os
import pathlib
import re
import site
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import camel.runtimes
import client

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = os.environ.get("CAMEL_SRC")
API = camel.runtimes.__path__[0] + "/api.py"
WORK = pathlib.Path(tempfile.mkdtemp())
os.chmod(WORK, 0o755)

# What cannot pass, whoever serves, and why.
OUTDATED = {
    "test/runtimes/test_docker_runtime.py": "it expects 4 tools; this CAMEL has 7",
    "test/runtimes/test_remote_http_runtime.py": "it unpacks the tools of MathToolkit into 3 names; there are more",
    "test/runtimes/test_daytona_runtime.py": "it needs Daytona's SDK and asks no server",
    "examples/runtimes/code_execution_with_docker_runtime.py": "it gives redirect_stdout twice: TypeError in CAMEL",
    "examples/runtimes/docker_runtime_with_tasks.py": "it says itself that it cannot run",
    "examples/runtimes/shared_runtime_multi_toolkit.py": "it searches the Internet",
    "examples/runtimes/ubuntu_docker_runtime/ubuntu_docker_example.py": "its script asks a model from inside",
    "examples/runtimes/daytona_runtime.py": "it needs Daytona's SDK",
}


def label(path):
    """The name of a result: our own files are called otherwise."""
    return path.replace("examples/runtimes/", "example ").replace("test/runtimes/", "")


def environment(model):
    return {**os.environ, "OPENAI_API_BASE_URL": model.url, "PYTHONPATH": str(HERE / "camel_shims")}


def run_tests(path, env):
    """One result for each test of a file; pytest's own skip marks count for nothing, since there is a server."""
    report = WORK / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:skipping", "-p", "no:cacheprovider", "-c", "/dev/null",
               "--rootdir", str(WORK), f"--junitxml={report}", str(pathlib.Path(SOURCE, path))]
    subprocess.run(command, cwd=WORK, env=env, check=False, timeout=300)
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        client.tell(f"{label(path)}::{case.get('name')}", "passed" if wrong is None else "failed",
                    "" if wrong is None else (wrong.get("message") or "")[:300])


def run_example(path, env, *lines, answer=None, tries=1):
    """lines: what its output has, in this order. tries: of one that goes on whether its server has started or not."""
    for number in range(tries):
        done = subprocess.run([sys.executable, str(pathlib.Path(SOURCE, path))], cwd=WORK, env=env, input=answer, text=True,
                              capture_output=True, check=False, timeout=300)
        is_good = done.returncode == 0 and re.search(".*".join(map(re.escape, lines)), done.stdout, re.DOTALL)
        if is_good:
            break
    remark = f"at try {number + 1}: it waits 10 s for CAMEL's server, and goes on" if number else ""
    client.tell(label(path), "passed" if is_good else "failed", remark if is_good else (done.stdout + done.stderr)[-300:])


# CAMEL's server asks on its terminal whether code may be run; there is none, so the image answers. What it imports is
# compiled here: its clients wait for it 10 seconds and no longer.
IMAGE = """FROM host
COPY . /opt/camel
ENV PYTHONPATH=/opt/camel
RUN echo 'import builtins; builtins.input = lambda *question: "y"' > /opt/camel/sitecustomize.py
RUN ln -s /usr/bin/python3 /usr/local/bin/python
RUN python3 -c 'import camel.toolkits, fastapi, uvicorn'
RUN mkdir -p /workspace && chmod 777 /workspace
"""


def build_images():
    """The images that these ask for, with CAMEL in them, out of this virtual environment."""
    packages = site.getsitepackages()[0]
    names = [word for name in ("camel-multi-toolkit:latest", "xukunliu/camel") for word in ("-t", name)]
    subprocess.run([os.environ["CAY"], "image", "build", "-q", "-f", "-", *names, packages], input=IMAGE, text=True, check=True,
                   timeout=600)


def main():
    if not SOURCE:
        client.tell("test/runtimes, examples/runtimes", "skipped", "CAMEL_SRC names no checkout of CAMEL")
        return
    from camel_model import Model
    for path, why in OUTDATED.items():
        client.tell(label(path), "skipped", why)
    with Model() as model:
        env = environment(model)
        for name in "test_base_runtime.py", "test_code_execution_with_llm_guard_runtime.py":
            run_tests(f"test/runtimes/{name}", env)
        run_example("examples/runtimes/code_execution_with_llm_guard_runtime.py", env, "execute_code", "10.20",
                    answer="y\n")
        build_images()
        run_tests("test/runtimes/test_shared_runtime.py", env)
        run_example("examples/runtimes/docker_runtime.py", env, "Add 1 + 2: 3", "Subtract 5 - 3: 2", "Multiply 2 * 3: 6",
                    "Documents:  http://localhost:8000/docs", tries=3)
        server = subprocess.Popen([os.environ["CAY"], "tool", "host", "--api", API, "camel.toolkits.MathToolkit"])
        try:
            assert camel.runtimes.RemoteHttpRuntime("127.0.0.1").wait(60)
            run_example("examples/runtimes/remote_http_runtime.py", env, "Add 1 + 2: 3", "Subtract 5 - 3: 2",
                        "Multiply 2 * 3: 6", "http://localhost:8000/docs")
        finally:
            server.terminate()
            server.wait(20)


main()
