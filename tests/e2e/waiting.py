# SPDX-License-Identifier: Apache-2.0
"""How long a test waits, and how: every wait has an end, far beyond what a busy machine needs."""
import time

PATIENCE = 120  # seconds after which a wait has failed


def wait_until(condition, what="still not so", seconds=PATIENCE):
    """For what nobody announces to a test: asks again until it is true; returns that truth."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} after {seconds} s"
        time.sleep(0.005)
    return value


def fastest_s(times, do, then=lambda: None):
    """Seconds of the fastest of so many: what a busy machine adds to the others says nothing of what is tested."""
    best = float("inf")
    for _ in range(times):
        began = time.monotonic()
        do()
        best = min(best, time.monotonic() - began)
        then()
    return best


def is_closed(s):
    """True once the peer closes the connection, whatever it still says before; fails by the socket's timeout."""
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True
