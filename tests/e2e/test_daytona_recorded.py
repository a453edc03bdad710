# SPDX-License-Identifier: Apache-2.0
"""What Daytona's SDKs from PyPI and npm said in tests/clients, said again: recorded/daytona."""
import base64
import json
import pathlib
import re

import pytest

from replaying import Names, body_of, read
from waiting import wait_until

RECORDED = pathlib.Path(__file__).parent / "recorded" / "daytona"
DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
SHORT_ID = re.compile(r"((?:--->|in|built) )[a-z0-9]{12}\n")  # in the logs of a build
IMAGE_ID = re.compile(r"\b[0-9a-f]{64}\b")  # of layers with dates in them
UNDER_WAY = ("pending_build", "building_snapshot", "creating", "building")
MACHINES_OWN = ("cpu", "memory", "disk", "size")


def mask(value):
    if isinstance(value, str):
        value = IMAGE_ID.sub("ID", SHORT_ID.sub(r"\1ID\n", DATE.sub("DATE", value)))
        return value.split("Traceback")[0]  # which differs from one Python to the next
    if isinstance(value, dict):
        return {key: key if key in MACHINES_OWN and isinstance(inner, (int, float)) else mask(inner) for key, inner in value.items()}
    return [mask(inner) for inner in value] if isinstance(value, list) else value


def state_of(response):
    return response.get("state") if isinstance(response, dict) else None


def same(names, exchange, reply):
    if "response_base64" in exchange:
        return reply.body == base64.b64decode(exchange["response_base64"])
    text, kept = reply.body.decode(), exchange.get("response", "")
    if isinstance(kept, str):
        return names.fits(mask(kept), mask(text))
    return names.fits(mask(kept), mask(json.loads(text)))


def send(server, names, exchange):
    headers = {name: names.fill(value) for name, value in exchange["headers"].items()}
    return server.request(exchange["method"], names.fill(exchange["path"]), body_of(exchange, names.fill), headers=headers,
                          timeout=60)


def again(server, names, exchange):
    """The answer; what was asked for until it had come about then is asked for so here."""
    reply = send(server, names, exchange)
    state = state_of(exchange.get("response"))
    if exchange["method"] == "GET" and state and state not in UNDER_WAY and state_of(reply.json) in UNDER_WAY:
        wait_until(lambda: state_of(send(server, names, exchange).json) not in UNDER_WAY, f"it is {state}")
        reply = send(server, names, exchange)
    return reply


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.jsonl")))
def test_an_sdk_is_answered_as_it_was_when_its_cases_passed(own_server, name):
    names = Names(url="http://localhost")
    exchanges = read(RECORDED / f"{name}.jsonl")
    for number, exchange in enumerate(exchanges, 1):
        if exchange["method"] == "GET" and state_of(exchange.get("response")) in UNDER_WAY:
            continue  # how often it was asked is a matter of time
        reply = again(own_server, names, exchange)
        assert reply.status == exchange["status"], (name, number, reply.body)
        assert same(names, exchange, reply), f"{name}.jsonl, line {number}: {reply.body.decode(errors='replace')}"
    assert len(exchanges) > 40
