# SPDX-License-Identifier: Apache-2.0
"""Secrets: there for programs, hidden in everything that is reported, logged and kept."""
import base64
import json
import pathlib

import pytest

SECRET = 'hush-"quoted"\\ and-long-enough'


@pytest.fixture(scope="module")
def secret_box(server):
    return server.create(secrets={"API_KEY": SECRET}, env={"PLAIN": "visible"})


def test_a_program_gets_it_and_nobody_reads_it(secret_box):
    assert secret_box.output('printf %s "$API_KEY" | wc -c') == f"{len(SECRET)}\n"
    assert secret_box.output('echo "<$API_KEY> $PLAIN"') == "<<secret_hidden>> visible\n"


@pytest.mark.parametrize("action, params", [
    ("exec", {"argv": ["sh", "-c", 'echo "$API_KEY"; echo "$API_KEY" >&2'], "capture": True}),
    ("grep", {"path": "/tmp/kept", "pattern": "hush"}),
    ("read", {"path": "/tmp/kept"}),
])
def test_it_is_hidden_in_every_result(secret_box, action, params):
    secret_box.action("exec", argv=["sh", "-c", 'echo "$API_KEY" > /tmp/kept'])
    result = json.dumps(secret_box.action(action, **params))
    assert "quoted" not in result and "<secret_hidden>" in result


def stream(box, action, params):
    data = b""
    for event, _, value in box.server.events("POST", f"{box.path}/actions/{action}", params):
        if event == "data":
            data += base64.b64decode(value["base64"]) if "base64" in value else value["text"].encode()
        if event == "result":
            return data, value
    raise AssertionError("no result")


def test_it_is_hidden_in_a_stream_even_in_pieces(secret_box):
    pieces = 'for i in 1 2 3; do printf "a%s" "${API_KEY%and*}"; printf "and%sz" "${API_KEY#*and}"; done; printf hus'
    data, _ = stream(secret_box, "exec", {"argv": ["sh", "-c", pieces]})
    assert data == b"a<secret_hidden>z" * 3 + b"hus"


def test_most_of_a_secret_is_not_shown_however_late_its_rest_comes(secret_box):
    """Three bytes may be anything, and do not wait long; a dozen are hardly there by chance."""
    late = 'printf "a%s" "${API_KEY%and*}"; sleep 0.5; printf "and%sz" "${API_KEY#*and}"'
    data, _ = stream(secret_box, "exec", {"argv": ["sh", "-c", late]})
    assert data == b"a<secret_hidden>z"


def test_it_is_hidden_where_a_session_or_a_kernel_is_looked_at(secret_box):
    data, _ = stream(secret_box, "cell", {"code": "import os\nprint(os.environ['API_KEY'])"})
    assert b"quoted" not in data
    ws = secret_box.server.websocket(f"{secret_box.path}/stream")
    ws.send_json({"action": "session_attach", "params": {"session": "shown", "command": 'echo "<$API_KEY>"'}})
    shown = b"".join(message for message in ws if isinstance(message, bytes))
    ws.close()
    assert b"quoted" not in shown and b"<<secret_hidden>>" in shown


def test_what_waits_for_its_rest_is_shown_in_the_end(secret_box):
    """The beginning of a secret that is none comes as soon as nothing follows."""
    ws = secret_box.server.websocket(f"{secret_box.path}/stream")
    ws.send_json({"action": "exec", "params": {"argv": ["sh", "-c", "printf hus; read x"], "stdin": True}})
    assert next(iter(ws)) == b"\x01hus"
    ws.close()


def test_files_come_out_as_they_are(secret_box):
    secret_box.action("exec", argv=["sh", "-c", 'printf %s "$API_KEY" > /tmp/whole'])
    assert secret_box.get_file("/tmp/whole").body == SECRET.encode()


def test_it_is_in_no_event_record_log_or_database(server, secret_box):
    secret_box.request("POST", "/actions/run", {"command": f"echo '{SECRET}' typed by who knows it"})
    kept = json.dumps([secret_box.events(), secret_box.get(), server.request("GET", "/v1/sandboxes").json])
    assert "quoted" not in kept and "API_KEY" in kept and "<secret_hidden>" in kept
    for path in pathlib.Path(server.state).iterdir():
        if path.is_file() and path.name not in ("token", "approver-token"):
            assert b"hush-" not in path.read_bytes(), path
    assert "hush-" not in server.log_text()


def test_it_stays_hidden_when_the_server_was_killed(own_server):
    box = own_server.create(secrets={"API_KEY": SECRET})
    own_server.kill_server()
    own_server.wait_until_up()
    assert box.output('echo "$API_KEY"') == "<secret_hidden>\n"


def test_a_new_value_is_hidden_and_the_old_one_stays_so(server):
    box = server.create(secrets={"API_KEY": "first-value"})
    box.action("configure", env={"API_KEY": "second-value", "MORE": "third-value"}, secrets=["API_KEY", "MORE"])
    assert box.output("echo first-value second-value third-value", session="new") == " ".join(["<secret_hidden>"] * 3) + "\n"
