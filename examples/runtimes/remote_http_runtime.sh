#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A tool server for the toolkit of this directory, in a sandbox of its own that goes with it. Any HTTP client calls it,
# CAMEL's RemoteHttpRuntime("127.0.0.1", PORT) too.
set -eu
cd "$(dirname "$0")"
port=${PORT:-8000}
cay tool host --listen "127.0.0.1:$port" 'maths.Maths{"digits": 3}' >/dev/null &
server=$!
trap 'kill $server' EXIT
cay tool wait --http "http://127.0.0.1:$port" --timeout 60s
cay tool ls --http "http://127.0.0.1:$port"
echo "1 + 2: $(cay tool call --http "http://127.0.0.1:$port" math_add 1 2)"
echo "2 * 3.14159: $(cay tool call --http "http://127.0.0.1:$port" math_multiply a=2 b=3.14159)"
echo "calls: $(cay tool call --http "http://127.0.0.1:$port" math_calls)"
