# SPDX-License-Identifier: Apache-2.0
"""libcay as it is installed: pkg-config, shared and static, and its examples over several backends."""
import os
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT, end_server, start_server

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    if not shutil.which("pkg-config") or not shutil.which("cc"):
        pytest.skip("needs pkg-config and cc")
    where = tmp_path_factory.mktemp("stage")
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", where], check=True,
                   capture_output=True)
    return where


def library_dir(stage):
    return next(stage.rglob("libcay.a")).parent


def flags(stage, *options):
    env = {**os.environ, "PKG_CONFIG_PATH": str(library_dir(stage) / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(stage)}
    return subprocess.run(["pkg-config", *options, "cay"], env=env, check=True, capture_output=True, text=True).stdout.split()


def build(stage, example, out, static=False):
    """With the warnings that a careful user has on."""
    libraries = ([str(library_dir(stage) / "libcay.a")] + [f for f in flags(stage, "--static", "--libs-only-l") if f != "-lcay"]
                 if static else flags(stage, "--libs"))
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-pedantic", "-std=c99",
                    EXAMPLES / f"{example}.c", "-o", out, *flags(stage, "--cflags"), *libraries], check=True)
    return out


def run(stage, program, *arguments, **variables):
    """At home in the stage: what a developer's own ~/.bashrc does is not what is tested."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(library_dir(stage)), "HOME": str(stage), **variables}
    return subprocess.run([program, *arguments], env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("static", [False, True])
def test_an_example_builds_with_pkg_config_and_runs(stage, tmp_path, static):
    libexec = str(next(stage.rglob("cay-executor")).parent)
    done = run(stage, build(stage, "hello", tmp_path / "hello", static), "local", CAY_LIBEXEC=libexec)
    assert done.returncode == 0, done.stderr
    assert '"output":"42\\n"' in done.stdout and '"content":"21\\n"' in done.stdout
    assert [line.split()[1] for line in done.stderr.splitlines()] == [
        "STARTING_RUNTIME", "RUNTIME_STARTED", "READY", "STOPPED"]


def test_the_executor_is_found_beside_the_library(stage, tmp_path):
    done = run(stage, build(stage, "loop", tmp_path / "loop"), "local")
    assert done.returncode == 0, done.stderr
    assert "first 1: through the loop" in done.stdout and "second ended" in done.stdout


def test_the_same_program_moves_to_an_openhands_server(stage, tmp_path):
    far = start_server()
    try:
        done = run(stage, build(stage, "hello", tmp_path / "hello"), f"openhands+http://127.0.0.1:{far.port}",
                   SANDBOX_API_KEY=far.token)
        assert done.returncode == 0, done.stderr
        assert '"output":"42"' in done.stdout and '"content":"21\\n"' in done.stdout
        assert "RUNTIME_STARTED" in done.stderr
    finally:
        end_server(far)


def test_nothing_but_the_interface_is_exported(stage):
    names = subprocess.run(["nm", "-D", "--defined-only", library_dir(stage) / "libcay.so"], check=True,
                           capture_output=True, text=True).stdout.split("\n")
    shared = {line.split()[2].split("@")[0] for line in names if line} - {"CAY_0"}
    names = subprocess.run(["nm", "-g", "--defined-only", library_dir(stage) / "libcay.a"], check=True,
                           capture_output=True, text=True).stdout.split("\n")
    static = {line.split()[2] for line in names if len(line.split()) == 3}
    declared = {word.split("(")[0].lstrip("*") for word in (ROOT / "include/cay/cay.h").read_text().split()
                if word.lstrip("*").startswith("cay_") and "(" in word}
    assert shared == static and all(name.startswith("cay_") for name in shared)
    assert shared <= declared


def test_a_c_plus_plus_program_can_include_it(stage, tmp_path):
    if not shutil.which("c++"):
        pytest.skip("needs c++")
    source = tmp_path / "x.cc"
    source.write_text('#include <cay/cay.h>\nint main() { return !cay_version(); }\n')
    subprocess.run(["c++", "-Wall", "-Werror", source, "-o", tmp_path / "x", *flags(stage, "--cflags", "--libs")], check=True)
    assert run(stage, tmp_path / "x").returncode == 0
