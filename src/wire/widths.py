#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: widths.py OUT.inc: the characters that take no column on a terminal, or two, as rows of wire/width.c.

From the Unicode data that Python brings. Marks and what formats take none, wide and full-width ones two (UAX #11); what is not
assigned stands with its neighbours, so that the table is short.
"""
import sys
import unicodedata


def width(c):
    char = chr(c)
    if unicodedata.category(char) in ("Mn", "Me", "Cf") and c != 0xAD or 0x1160 <= c <= 0x11FF:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def rows():
    first = last = None
    for c in range(0x300, 0x110000):
        if unicodedata.category(chr(c)) == "Cn":
            continue
        if first is not None and width(c) == width(first):
            last = c
            continue
        if first is not None and width(first) != 1:
            yield first, last, width(first)
        first = last = c
    if width(first) != 1:
        yield first, last, width(first)


with open(sys.argv[1], "w", encoding="ascii") as out:
    out.writelines(f"{{ {first:#x}, {last:#x}, {columns} }},\n" for first, last, columns in rows())
