# SPDX-License-Identifier: Apache-2.0
"""CAMEL's own test/runtimes, examples/runtimes and test of its DockerInterpreter. Runs in CAMEL's virtual environment."""
import os
import shutil
import site
import subprocess

import camel.runtimes
import camel_tests
import client
from camel_model import Model
from camel_tests import EXAMPLES, TESTS, run_example, run_tests

API = camel.runtimes.__path__[0] + "/api.py"

# What cannot pass, whoever serves, and why.
OUTDATED = {
    f"{TESTS}/test_docker_runtime.py": "it expects 4 tools; this CAMEL has 7",
    f"{TESTS}/test_remote_http_runtime.py": "it unpacks the tools of MathToolkit into 3 names; there are more",
    f"{EXAMPLES}/code_execution_with_docker_runtime.py": "it gives redirect_stdout twice: TypeError in CAMEL",
}

# CAMEL's server asks on its terminal whether code may be run; there is none, so the image answers. What it imports is
# compiled here: its clients wait for it 10 seconds and no longer. UbuntuDockerRuntime installs curl: there is no network to
# do it from, so both programs are the image's own. Its PYTHONPATH leads nowhere; the script that it is given asks a model,
# which the entry point starts.
IMAGE = r"""FROM host AS camel
COPY . /opt/camel
ENV PYTHONPATH=/opt/camel
RUN echo 'import builtins; builtins.input = lambda *question: "y"' > /opt/camel/sitecustomize.py
RUN ln -s /usr/bin/python3 /usr/local/bin/python
RUN python3 -c 'import camel.toolkits, fastapi, uvicorn'
RUN mkdir -p /workspace && chmod 777 /workspace

FROM camel AS ubuntu
RUN printf '#!/bin/sh\nexit 0\n' > /usr/local/bin/apt-get
RUN printf '#!/usr/bin/python3\nimport urllib.request as u\nprint(u.urlopen("http://localhost:8000/docs").status, end="")\n' > /usr/local/bin/curl
RUN printf '#!/bin/sh\npython3 /opt/camel/camel_model.py 8100 &\nexec "$@"\n' > /usr/local/bin/with-model
RUN chmod 755 /usr/local/bin/apt-get /usr/local/bin/curl /usr/local/bin/with-model
RUN printf '/opt/camel\nimport camel_tokens\n' > /usr/lib/python3/dist-packages/camel.pth
ENV OPENAI_API_BASE_URL=http://127.0.0.1:8100/v1
ENTRYPOINT ["with-model"]
"""

# The first of the example's functions, on a runtime as the example has it. The rest of it wants a browser of
# Playwright's and the Internet.
FIRST = """
import runpy, sys
from camel.runtimes import DockerRuntime
from camel.toolkits import CodeExecutionToolkit, TerminalToolkit
example = runpy.run_path(sys.argv[1])
runtime = DockerRuntime("camel-multi-toolkit:latest", port=8000, environment={"CAMEL_RUNTIME": "true"})
runtime.add(TerminalToolkit().get_tools(), "camel.toolkits.TerminalToolkit")
runtime.add(CodeExecutionToolkit(verbose=True).get_tools(), "camel.toolkits.CodeExecutionToolkit", arguments={"verbose": True})
with runtime.build():
    assert runtime.wait(timeout=30)
    assert example["test_terminal_and_code"](runtime)
"""


def build_image(target, *names):
    """An image of this virtual environment."""
    packages = site.getsitepackages()[0]
    words = [word for name in names for word in ("-t", name)]
    subprocess.run([os.environ["CAY"], "image", "build", "-q", "-f", "-", *words, "--target", target, packages], input=IMAGE,
                   text=True, check=True, timeout=600)


def run_on_containers(env):
    for name in "camel_model.py", "camel_shims/sitecustomize.py":
        place = "camel_tokens.py" if name.endswith("sitecustomize.py") else name
        shutil.copy(camel_tests.HERE / name, os.path.join(site.getsitepackages()[0], place))
    build_image("camel", "camel-multi-toolkit:latest", "xukunliu/camel", "camel-interpreter:latest")
    build_image("ubuntu", "my-camel:latest")
    run_tests(f"{TESTS}/test_shared_runtime.py", env)
    run_example(f"{EXAMPLES}/docker_runtime.py", env, "Add 1 + 2: 3", "Subtract 5 - 3: 2", "Multiply 2 * 3: 6",
                "Documents:  http://localhost:8000/docs", tries=3)
    run_example(f"{EXAMPLES}/docker_runtime_with_tasks.py", env, "List all directories in /home", "Agent response:",
                remark="its task runs; no server has its tool: CAMEL calls the toolkit …CodeExecutionToolkittrue")
    run_example(f"{EXAMPLES}/shared_runtime_multi_toolkit.py", env, "File contents: Hello from shared runtime!",
                "Created by CodeExecutionToolkit!", code=FIRST,
                remark="its test_terminal_and_code; the rest wants Playwright's browser and the Internet")
    run_example(f"{EXAMPLES}/ubuntu_docker_runtime/ubuntu_docker_example.py", env, "AI User:", "CAMEL_TASK_DONE")


def run_interpreter(env):
    lacking = {} if shutil.which("Rscript") else {
        name: "there is no R on this machine" for name in ("test_run_r_code", "test_run_r_stderr", "test_r_code_type_variants")}
    if shutil.which("docker"):
        run_tests("test/interpreters/test_docker_interpreter.py", env, **lacking)
    else:
        client.tell("test_docker_interpreter.py", "skipped", "there is no docker program on this machine, which CAMEL runs")


def run_remote(env):
    server = subprocess.Popen([os.environ["CAY"], "tool", "host", "--api", API, "camel.toolkits.MathToolkit"])
    try:
        assert camel.runtimes.RemoteHttpRuntime("127.0.0.1").wait(60)
        run_example(f"{EXAMPLES}/remote_http_runtime.py", env, "Add 1 + 2: 3", "Subtract 5 - 3: 2", "Multiply 2 * 3: 6",
                    "http://localhost:8000/docs")
    finally:
        server.terminate()
        server.wait(20)


def main():
    if not camel_tests.SOURCE:
        client.tell("test/runtimes, examples/runtimes", "skipped", "CAMEL_SRC names no checkout of CAMEL")
        return
    for path, why in OUTDATED.items():
        client.tell(camel_tests.label(path), "skipped", why)
    with Model() as model:
        env = camel_tests.environment(model)
        for name in "test_base_runtime.py", "test_code_execution_with_llm_guard_runtime.py":
            run_tests(f"{TESTS}/{name}", env)
        run_example(f"{EXAMPLES}/code_execution_with_llm_guard_runtime.py", env, "execute_code", "10.20", answer="y\n")
        run_on_containers(env)
        run_interpreter(env)
        run_remote(env)


main()
