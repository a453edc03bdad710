# SPDX-License-Identifier: Apache-2.0
"""SWE-ReX's own server (swerex.server) as a peer: on the host, as it is, on a free port of 127.0.0.1."""
import os
import socket
import subprocess
import sys
import tempfile
import time

KEY = "bench"


def python():
    """The Python that CAY_BENCH_SWEREX names, which has swe-rex; else None."""
    named = os.environ.get("CAY_BENCH_SWEREX")
    if not named:
        print("bench: swerex: no peer: CAY_BENCH_SWEREX names no Python with swe-rex", file=sys.stderr)
        return None
    return named


class Peer:
    def __init__(self, program):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.home = tempfile.TemporaryDirectory(prefix="cay-bench-")  # nobody's start files
        self.process = subprocess.Popen([program, "-m", "swerex.server", "--host", "127.0.0.1", "--port", str(self.port),
                                         "--auth-token", KEY], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env={**os.environ, "HOME": self.home.name})
        end = time.monotonic() + 60
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
        self.home.cleanup()
