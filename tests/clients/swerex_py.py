# SPDX-License-Identifier: Apache-2.0
"""SWE-ReX's client and deployment, as SWE-agent uses them. Runs in their virtual environment."""
import asyncio
import os
import pathlib
import tempfile

from swerex.deployment.remote import RemoteDeployment
from swerex.exceptions import CommandTimeoutError, NonZeroExitCodeError
from swerex.runtime.abstract import (BashAction, BashInterruptAction, Command, CreateBashSessionRequest, ReadFileRequest,
                                     UploadRequest, WriteFileRequest)

import cases


def deployment(name):
    return RemoteDeployment(host=f"{os.environ['SWEREX_URL']}/swerex/new/host/{name}", auth_token=os.environ["SWEREX_KEY"], timeout=10)


def using(name):
    """A coroutine of a runtime as a test: the sandbox is made for it, and ended."""
    def wrap(function):
        async def run():
            there = deployment(name)
            await there.start()
            try:
                return await function(there.runtime)
            finally:
                await there.stop()
        return lambda: asyncio.run(run())
    return wrap


async def bash(runtime, command, **more):
    return (await runtime.run_in_session(BashAction(command=command, **more))).output


@using("life")
async def test_a_deployment_makes_its_sandbox(runtime):
    await runtime.wait_until_alive(timeout=20)
    await runtime.create_session(CreateBashSessionRequest(startup_source=["/root/.bashrc"], startup_timeout=10))
    assert await bash(runtime, "id -u") == "0\n"
    return "made by its first use, root"


@using("agent")
async def test_what_swe_agent_does(runtime):
    """As its environment does it: variables, a repository and tools uploaded, a command that hangs, a patch read."""
    await runtime.create_session(CreateBashSessionRequest(startup_source=["/root/.bashrc"], startup_timeout=10))
    await bash(runtime, "export LANG='C.UTF-8' && export PAGER='cat'")
    with tempfile.TemporaryDirectory() as place:
        tool = pathlib.Path(place, "bin", "submit")
        tool.parent.mkdir()
        tool.write_text("#!/bin/bash\ngit -C /repo diff > /root/model.patch\n")
        pathlib.Path(place, "install.sh").write_text("export INSTALLED=1\n")
        await runtime.upload(UploadRequest(source_path=place, target_path="/root/tools/x"))
    await runtime.execute(Command(command="mkdir /repo && cd /repo && git init -q && echo a > f && git add . && "
                                          "git -c user.name=a -c user.email=a@b commit -qm a", shell=True, check=True))
    await bash(runtime, "export PATH=/root/tools/x/bin:$PATH && chmod +x /root/tools/x/bin/* && source /root/tools/x/install.sh")
    assert await bash(runtime, "echo $INSTALLED; cd /repo", check="raise") == "1\n"
    try:
        await bash(runtime, "sleep 1000", timeout=0.5)
        raise AssertionError("it did not time out")
    except CommandTimeoutError:
        await runtime.run_in_session(BashInterruptAction())
    assert await bash(runtime, "pwd") == "/repo\n"
    await runtime.write_file(WriteFileRequest(path="/repo/f", content="b\n"))
    await bash(runtime, "submit", timeout=20)
    patch = (await runtime.read_file(ReadFileRequest(path="/root/model.patch", encoding="utf-8", errors="backslashreplace"))).content
    assert "-a\n+b\n" in patch


@using("sessions")
async def test_sessions_at_the_same_time(runtime):
    names = [f"s{i}" for i in range(8)]
    await asyncio.gather(*(runtime.create_session(CreateBashSessionRequest(session=n)) for n in names))
    said = await asyncio.gather(*(bash(runtime, f"sleep 0.2; echo {n}", session=n) for n in names))
    assert said == [f"{n}\n" for n in names]


@using("errors")
async def test_errors_are_raised_as_they_are_there(runtime):
    try:
        await runtime.execute(Command(command="exit 3", shell=True, check=True, error_msg="no"))
    except NonZeroExitCodeError as e:
        assert str(e).startswith("no: Command 'exit 3' failed with exit code 3")
    for wrong, expected in ((ReadFileRequest(path="/none"), FileNotFoundError), (ReadFileRequest(path="/tmp"), IsADirectoryError)):
        try:
            await runtime.read_file(wrong)
            raise AssertionError(expected)
        except expected:
            pass


def test_many_deployments_at_once():
    async def one(number):
        there = deployment(f"many-{number}")
        await there.start()
        await there.runtime.create_session(CreateBashSessionRequest())
        said = await bash(there.runtime, f"echo {number} > /tmp/f; cat /tmp/f")
        await there.stop()
        return said

    async def all_of_them():
        return await asyncio.gather(*(one(n) for n in range(24)))
    assert asyncio.run(all_of_them()) == [f"{n}\n" for n in range(24)]


cases.run_all(globals())
