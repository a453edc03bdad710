#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What CAMEL's DockerRuntime is for, without Docker: a toolkit loaded in a sandbox, its tools called from outside.
set -eu
cd "$(dirname "$0")"
sandbox=$(cay create --memory 256M)
trap 'cay rm "$sandbox" >/dev/null' EXIT
cay cp maths.py "$sandbox:/workspace/maths.py"
cay tool add "$sandbox" maths.Maths
echo "Add 1 + 2: $(cay tool call "$sandbox" math_add 1 2)"
echo "Multiply 2 * 3: $(cay tool call "$sandbox" math_multiply a=2 b=3)"
echo "Calls: $(cay tool call "$sandbox" math_calls)"
