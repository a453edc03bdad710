#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tasks before the tools: a directory of this machine is shown read-only, another is copied in, a task that fails stops it.
set -eu
cd "$(dirname "$0")"
sandbox=$(cay create --mount "$PWD:/source:ro")
trap 'cay rm "$sandbox" >/dev/null' EXIT
cay exec "$sandbox" -- mkdir -p /workspace/data
cay exec "$sandbox" -- cp /source/maths.py /workspace
printf 'one two three\n' | cay exec -i "$sandbox" -- tee /workspace/data/words >/dev/null
cay exec "$sandbox" -- touch /source/x 2>/dev/null || echo "the mount is read-only"
cay tool add "$sandbox" maths.Maths >/dev/null
cay tool add "$sandbox" --name count --description "Counts words." -- sh -c 'cat >/dev/null; wc -w </workspace/data/words'
echo "words: $(cay tool call "$sandbox" count)"
echo "sum: $(cay tool call "$sandbox" math_add 20 22)"
