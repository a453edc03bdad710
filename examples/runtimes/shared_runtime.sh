#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Two toolkits in one sandbox, each in an interpreter of its own: what one saves the other reads. One that does not load
# is named, and the others work.
set -eu
cd "$(dirname "$0")"
sandbox=$(cay create)
trap 'cay rm "$sandbox" >/dev/null' EXIT
cay cp files.py "$sandbox:/workspace/files.py"
cay tool add "$sandbox" files.save
cay tool add "$sandbox" files.count_words
cay tool add "$sandbox" files.missing 2>/dev/null || echo "files.missing: refused"
path=$(cay tool call "$sandbox" save name=shared.txt 'text=three short words')
echo "saved $path"
echo "words: $(cay tool call "$sandbox" count_words "path=$(echo "$path" | tr -d '"')")"
