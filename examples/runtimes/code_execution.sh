#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Code that an agent has written, in an interpreter that keeps its variables: a tool, and the same by hand.
set -eu
sandbox=$(cay create)
trap 'cay rm "$sandbox" >/dev/null' EXIT
cay tool add "$sandbox" --action cell
cay tool call "$sandbox" cell code='hourly, minutes = 12, 51' >/dev/null
cay tool call "$sandbox" cell code='print("She earned $%.2f" % (hourly * minutes / 60))' --json |
	python3 -c 'import json, sys; print(json.loads(json.load(sys.stdin)["output"])["text"], end="")'
