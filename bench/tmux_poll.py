# SPDX-License-Identifier: Apache-2.0
"""The peer for a command in a live session: a bash in tmux, typed into with send-keys and looked at every 0.5 s.

This is how OpenHands' runtime drives its shell: the prompt prints a marker, the whole pane is captured until one
more marker is there. Only the waiting is re-enacted, none of its code is used.
"""
import os
import subprocess
import tempfile
import time

POLL_SECONDS = 0.5


class PolledShell:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="cay-bench-tmux-")
        self.base = ["tmux", "-S", os.path.join(self.dir, "s"), "-f", "/dev/null"]
        self.tmux("new-session", "-d", "-x", "1000", "-y", "1000", "bash --norc")
        self.tmux("send-keys", "PS1='###END###'; clear", "Enter")
        time.sleep(1)
        self.seen = self.markers()

    def tmux(self, *argv):
        return subprocess.run([*self.base, *argv], capture_output=True, text=True, check=True).stdout

    def markers(self):
        return self.tmux("capture-pane", "-J", "-p", "-S", "-").count("###END###")

    def run(self, command):
        """Seconds from typing the command to seeing its end."""
        begin = time.perf_counter()
        self.tmux("send-keys", command, "Enter")
        while True:
            time.sleep(POLL_SECONDS)
            now = self.markers()
            if now > self.seen:
                self.seen = now
                return time.perf_counter() - begin

    def close(self):
        self.tmux("kill-server")
