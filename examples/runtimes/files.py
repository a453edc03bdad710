# SPDX-License-Identifier: Apache-2.0
"""Two toolkits that share nothing but the sandbox's file system."""
import pathlib


def save(name: str, text: str) -> str:
    """Saves a text."""
    path = pathlib.Path("/workspace", name)
    path.write_text(text)
    return str(path)


def count_words(path: str) -> int:
    """Counts the words of a file."""
    return len(pathlib.Path(path).read_text().split())
