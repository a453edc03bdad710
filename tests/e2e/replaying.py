# SPDX-License-Identifier: Apache-2.0
"""What a real client said, said again, and its answers compared: what tests/clients recorded, a line for each exchange.

What is another in each run has a name in the record, {id-1}: it gets its value where an answer tells it first.
"""
import base64
import json
import re

NAME = re.compile(r"(\{[a-z]+-\d+\})")


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def body_of(exchange, fill):
    """The bytes of its body; fill puts values in for names."""
    if "body_base64" in exchange:
        return base64.b64decode(exchange["body_base64"])
    body = exchange.get("body")
    return fill(body if isinstance(body, str) else json.dumps(body)).encode() if body is not None else None


class Names:
    def __init__(self, **known):
        self.values = {"{%s}" % name: value for name, value in known.items()}

    def fill(self, text):
        for name, value in self.values.items():
            text = text.replace(name, value)
        return text

    def fits(self, kept, told):
        """Whether what was told is what was kept; names without a value learn it from what was told."""
        if isinstance(kept, dict) and isinstance(told, dict):
            return kept.keys() == told.keys() and all(self.fits(kept[key], told[key]) for key in kept)
        if isinstance(kept, list) and isinstance(told, list):
            return len(kept) == len(told) and all(map(self.fits, kept, told))
        if not isinstance(kept, str) or not isinstance(told, str):
            return kept == told
        pieces, new = NAME.split(self.fill(kept)), []
        pattern = ""
        for piece in pieces:
            if not NAME.fullmatch(piece):
                pattern += re.escape(piece)
            elif piece in new:
                pattern += rf"(?P={piece[1:-1].replace('-', '_')})"
            else:
                pattern += rf"(?P<{piece[1:-1].replace('-', '_')}>[A-Za-z0-9-]+)"
                new.append(piece)
        found = re.fullmatch(pattern, told, re.S)
        for name in new if found else ():
            self.values[name] = found[name[1:-1].replace("-", "_")]
        return bool(found)
