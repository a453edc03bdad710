# SPDX-License-Identifier: Apache-2.0
"""CAMEL's own tool server (camel/runtimes/api.py) as a peer: started as it is, but on a free port of 127.0.0.1."""
import os
import pathlib
import socket
import subprocess
import sys
import time

START = """
import runpy, sys, uvicorn
import camel.runtimes
run, port = uvicorn.run, int(sys.argv[1])
uvicorn.run = lambda app, **named: run(app, **{**named, "host": "127.0.0.1", "port": port})
api = camel.runtimes.__path__[0] + "/api.py"
sys.argv = [api] + sys.argv[2:]
runpy.run_path(api, run_name="__main__")
"""


def python():
    """The Python that CAY_BENCH_CAMEL names, which has camel-ai and fastapi; else None."""
    named = os.environ.get("CAY_BENCH_CAMEL")
    if not named:
        print("bench: tool: no peer: CAY_BENCH_CAMEL names no Python with camel-ai and fastapi", file=sys.stderr)
        return None
    return named


def pss_kib(pid):
    """Of a process and its children."""
    total = 0
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        total += pss_kib(int(child))
    return total


class Peer:
    def __init__(self, program, *entrypoints):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen([program, "-c", START, str(self.port), *entrypoints], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONWARNINGS": "ignore"})
        end = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
