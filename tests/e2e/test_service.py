# SPDX-License-Identifier: Apache-2.0
"""cay as a service of systemd: its units, what it tells who has started it, and its journal. For real: `make vm`."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from conftest import BUILD, PROGRAMS, Server, end_server, start_server
from waiting import PATIENCE


@contextlib.contextmanager
def noticeboard(path):
    """The socket that a service manager listens on; text: what has been said so far."""
    board = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    board.bind(f"\0{path[1:]}" if path.startswith("@") else path)
    board.settimeout(PATIENCE)
    yield board
    board.close()


@pytest.mark.parametrize("kind", ["a path", "an abstract name"])
def test_its_manager_is_told_when_it_serves_and_when_it_stops(tmp_path, kind):
    name = str(tmp_path / "notify") if kind == "a path" else f"@cay-test-{os.getpid()}"
    with noticeboard(name) as board:
        server = start_server(variables={"NOTIFY_SOCKET": name})
        try:
            assert board.recv(100) == b"READY=1"
            if os.geteuid() == 0:
                assert b"NOTIFY_SOCKET" not in pathlib.Path(f"/proc/{server.server_pid()}/environ").read_bytes()
            server.kill_server()
            server.wait_until_up()  # another cayd: that is no news for the manager
            server.process.send_signal(signal.SIGTERM)
            assert board.recv(100) == b"STOPPING=1"
            assert server.process.wait(PATIENCE) == 0
        finally:
            end_server(server)


def test_a_manager_that_is_gone_is_no_reason_not_to_serve(tmp_path):
    server = start_server(variables={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    try:
        assert server.create().output("echo hi") == "hi\n"
    finally:
        end_server(server)


def lines_of(server):
    """Without what the runtime of a sanitizer has to say of itself."""
    return [line for line in server.log_text().splitlines() if not line.startswith("==")]


def test_the_journal_gets_levels_and_no_dates():
    """Standard error is what JOURNAL_STREAM says, for the server's part as well."""
    directory = tempfile.mkdtemp(prefix="cay-e2e-")
    os.chmod(directory, 0o755)
    server = Server(directory, prefix=["sh", "-c", 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"', "sh"])
    try:
        server.kill_server()
        server.wait_until_up()
        lines = lines_of(server)
    finally:
        end_server(server)
    assert any(line.startswith("<6>cayd server.ready ") for line in lines)
    assert any(line.startswith("<3>cay-supervisor server.ended signal=9") for line in lines)
    assert all(line.startswith("<") for line in lines)


def test_who_turned_standard_error_elsewhere_gets_dates():
    server = start_server(variables={"JOURNAL_STREAM": "1:1"})
    try:
        assert all(line.startswith("20") for line in lines_of(server))
    finally:
        end_server(server)


@pytest.fixture(scope="module")
def named():
    server = start_server(settings={"names": ["box.example", "other.example:9000"]})
    yield server
    end_server(server)


def ask(server, *headers):
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as s:
        s.sendall("\r\n".join(["GET /v1/sandboxes HTTP/1.0", f"Authorization: Bearer {server.token}", *headers, "", ""]).encode())
        return int(s.makefile("rb").readline().split()[1])


def test_a_server_is_reached_by_the_names_that_it_was_given(named):
    """As a proxy in front of it passes them on."""
    for host in ("box.example", "BOX.example", f"box.example:{named.port}", "other.example:9000"):
        assert ask(named, f"Host: {host}") == 200, host
    for host in ("another.example", "other.example", "box.example:1", "box.example.evil.example"):
        assert ask(named, f"Host: {host}") == 403, host


def test_a_page_of_its_own_may_call_it_by_these_names(named):
    for origin in ("https://box.example", "http://box.example", "https://other.example:9000"):
        assert ask(named, "Host: box.example", f"Origin: {origin}") == 200, origin
    for origin in ("https://another.example", "https://box.example:1", "https://other.example"):
        assert ask(named, "Host: box.example", f"Origin: {origin}") == 403, origin


def test_its_names_are_the_configurations(tmp_path):
    def config(text):
        (tmp_path / "cay.toml").write_text(f"[serve]\nnames = {text}\n")
        return subprocess.run([PROGRAMS / "cay", "config", "--config", tmp_path / "cay.toml"], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)

    assert '"box.example"' in config('["box.example"]').stdout
    assert '"*.box.example"' in config('["*.box.example"]').stdout
    for text in "https://box.example", "*.", "*", "box.*", "*.*.example":
        refused = config(f'["{text}"]')
        assert refused.returncode == 2 and "neither NAME nor NAME:PORT" in refused.stderr, text


def units():
    return sorted((BUILD / "share").glob("*.service"))


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_systemd_finds_no_fault_with_its_units(unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    cay = tmp_path / "a prefix" / "cay"
    cay.parent.mkdir()
    cay.write_text("#!/bin/sh\n")
    cay.chmod(0o755)
    lines = [f'ExecStart="{cay}" serve' if line.startswith("ExecStart=") else line for line in unit.read_text().splitlines()]
    (tmp_path / "cay.service").write_text("\n".join(lines))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "cay.service"], capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 0 and "cay.service" not in done.stderr, done.stderr


def test_both_units_are_there():
    assert [unit.name for unit in units()] == ["cay-user.service", "cay.service"]
