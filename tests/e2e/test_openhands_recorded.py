# SPDX-License-Identifier: Apache-2.0
"""What OpenHands' own client said in its own tests, said again: recorded/openhands, made by tests/clients/openhands.

The client's ids, sessions and keys have names in the records; what another host would say otherwise is not compared.
"""
import base64
import json
import pathlib
import re

import pytest

from replaying import body_of, read

RECORDED = pathlib.Path(__file__).parent / "recorded" / "openhands"
HOST_OWN = ("hostname", "py_interpreter_path", "pid")
URL = "http://localhost"
DATE = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d")  # as ls tells it


class Replay:
    def __init__(self, server, session):
        self.server, self.names = server, {"{session}": session, "{id}": "none", "{key}": server.token}

    def fill(self, text):
        for name, value in self.names.items():
            text = text.replace(name, value)
        return text

    def hide(self, text):
        for name, value in self.names.items():
            text = text.replace(value, name)
        return text.replace(URL, "{url}")

    def send(self, exchange):
        headers = {**exchange["headers"], "X-API-Key": self.server.token, "X-Session-API-Key": self.names["{key}"]}
        return self.server.request(exchange["method"], self.fill(exchange["path"]), body_of(exchange, self.fill), token=None,
                                   headers=headers, timeout=60)

    def learn(self, exchange, reply):
        if exchange["path"] == "/start":
            self.names.update({"{id}": reply.json["runtime_id"], "{key}": reply.json["session_api_key"]})


def mask(value):
    if isinstance(value, str):
        return DATE.sub("DATE", value)
    if isinstance(value, dict):
        if "work_hosts" in value:  # links with tickets
            value = {**value, "work_hosts": sorted(value["work_hosts"].values())}
        return {key: key if key in HOST_OWN and inner not in (None, -1) else mask(inner) for key, inner in value.items()}
    return value


def same(replay, exchange, reply):
    if "response_base64" in exchange:  # an archive: its times differ
        return reply.body[:2] == base64.b64decode(exchange["response_base64"])[:2]
    kept = exchange.get("response")
    if isinstance(kept, str) or kept is None:
        return replay.hide(reply.body.decode()) == (kept or "")
    return mask(json.loads(replay.hide(reply.body.decode()))) == mask(kept)


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.jsonl")))
def test_the_real_client_is_answered_as_it_was_when_its_own_tests_passed(server, name):
    replay, session = None, 0
    for number, exchange in enumerate(read(RECORDED / f"{name}.jsonl"), 1):
        if exchange["path"].startswith("/sessions/"):  # where a test begins
            session += 1
            replay = Replay(server, f"recorded-{name}-{session}")
        reply = replay.send(exchange)
        assert reply.status == exchange["status"], (name, number, reply.body)
        replay.learn(exchange, reply)
        assert same(replay, exchange, reply), f"{name}.jsonl, line {number}: {reply.body.decode(errors='replace')}"
    assert session > 0
