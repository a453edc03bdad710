# SPDX-License-Identifier: Apache-2.0
"""The server is killed at random moments: what it acknowledged is there, and sessions go on."""
import http.client
import os
import random
import signal
import threading
import time

from conftest import SCALE, named
from waiting import wait_until

KILLS = 10 * SCALE


class Writer(threading.Thread):
    """Runs numbered commands one after the other and remembers which were acknowledged."""

    def __init__(self, server, box, stop):
        super().__init__(daemon=True)
        self.server, self.box, self.stopped = server, box, stop
        self.acknowledged, self.asked, self.failure = [], 0, None

    def run(self):
        while not self.stopped.is_set():
            self.asked += 1
            try:
                out = self.box.run(f"echo {self.asked} >> log; echo $KEPT {self.asked}")
                if out["exit_code"] == 0:
                    # What a command printed whose caller was lost comes before it.
                    assert out["output"].endswith(f"kept {self.asked}\n"), out
                    self.acknowledged.append(self.asked)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)  # it was killed: the next one waits in the socket
            except AssertionError as e:
                if "500" not in str(e) and "503" not in str(e) and "unavailable" not in str(e):
                    self.failure = e
                    return


def test_what_was_acknowledged_survives_every_kill(server):
    stop = threading.Event()
    writers = []
    for _ in range(8):
        box = server.create()
        box.run("export KEPT=kept")
        writers.append(Writer(server, box, stop))
    for writer in writers:
        writer.start()
    rng = random.Random(1)
    for _ in range(KILLS):
        time.sleep(rng.random() * 0.3)
        for pid in named(server, "cayd"):
            os.kill(pid, signal.SIGKILL)
    stop.set()
    for writer in writers:
        writer.join(60)
        assert writer.failure is None, writer.failure
    wait_until(lambda: named(server, "cayd"))
    for writer in writers:
        written = {int(n) for n in writer.box.output("cat log").split()}
        assert set(writer.acknowledged) <= written
        events, after = [], 0
        while page := server.request("GET", f"{writer.box.path}/events?after={after}").json:
            events += page
            after = page[-1]["seq"]
        seen = {line for e in events if e["kind"] == "observation"
                for line in e["data"].get("result", {}).get("output", "").splitlines()}
        assert {f"kept {n}" for n in writer.acknowledged} <= seen
        assert [e["index"] for e in events] == sorted(e["index"] for e in events)
    acknowledged = sum(len(writer.acknowledged) for writer in writers)
    print(f"{KILLS} kills, {acknowledged} commands acknowledged, none lost")
    assert acknowledged > KILLS  # it did get somewhere
