# SPDX-License-Identifier: Apache-2.0
"""The public cases of toml-lang/toml-test for TOML 1.0, from the checkout that TOML_TEST names."""
import datetime
import json
import math
import os
import pathlib
import re
import subprocess

import pytest
from conftest import BUILD

DECODE = BUILD / "tests" / "unit" / "toml-decode"
CHECKOUT = os.environ.get("TOML_TEST")


def cases(kind):
    if not CHECKOUT:
        return []
    tests = pathlib.Path(CHECKOUT) / "tests"
    names = (tests / "files-toml-1.0.0").read_text().split()
    return [tests / n for n in names if n.startswith(kind + "/") and n.endswith(".toml")]


def decode(path):
    with open(path, "rb") as text:
        return subprocess.run([DECODE], stdin=text, capture_output=True)


def instant(text):
    """A date or time with its fraction as six digits."""
    text = re.sub(r"(:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?$",
                  lambda m: m[1] + "." + (m[2] or "").ljust(6, "0")[:6] + (m[3] or ""), text.replace("Z", "+00:00"))
    return datetime.datetime.fromisoformat(text) if "T" in text and "+" in text else text


def same(want, got):
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(map(same, want, got))
    if not (set(want) == {"type", "value"} and isinstance(want["type"], str)):
        return isinstance(got, dict) and set(want) == set(got) and all(same(want[k], got[k]) for k in want)
    if want["type"] != got.get("type"):
        return False
    a, b = want["value"], got["value"]
    if want["type"] == "float":
        return float(a) == float(b) or (math.isnan(float(a)) and math.isnan(float(b)))
    return a == b or (want["type"][:4] in ("date", "time") and instant(a) == instant(b))


@pytest.mark.skipif(not CHECKOUT, reason="TOML_TEST names no checkout of toml-lang/toml-test")
@pytest.mark.parametrize("path", cases("valid"), ids=lambda p: "/".join(getattr(p, "parts", ["none"])[-2:]))
def test_a_valid_document_means_what_it_should(path):
    done = decode(path)
    assert done.returncode == 0, done.stderr.decode()
    assert same(json.loads(path.with_suffix(".json").read_text()), json.loads(done.stdout))


@pytest.mark.skipif(not CHECKOUT, reason="TOML_TEST names no checkout of toml-lang/toml-test")
@pytest.mark.parametrize("path", cases("invalid"), ids=lambda p: "/".join(getattr(p, "parts", ["none"])[-2:]))
def test_an_invalid_document_is_refused_with_its_line(path):
    done = decode(path)
    assert done.returncode == 1, done.stdout
    assert re.match(rb"toml-decode: (line \d+: |not a text)", done.stderr), done.stderr
