# SPDX-License-Identifier: Apache-2.0
"""
The fence around each network, and the same without it: what is refused gets out there, or the probe proves nothing.
Names that may be asked for lead to where nobody may go; addresses are no name's.
"""
import contextlib

import pytest
from conftest import IS_ROOT, ORDINARY, programs_without
from test_matrix import TUN, e2e, outside

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="needs root, for networks of its own")
PUBLIC, UNLISTED, PRIVATE, METADATA = "93.184.216.34", "93.184.216.35", "10.9.9.9", "169.254.169.254"
ALL = [PUBLIC, UNLISTED, PRIVATE, METADATA]
HOSTS = f"{PUBLIC} public.test\n{PRIVATE} private.test\n{METADATA} metadata.test\n"
PROBES = {"proxy": ["private.test", "metadata.test"], "bridge": [UNLISTED, PRIVATE, METADATA], "pasta": [UNLISTED, PRIVATE, METADATA]}
ALLOWED = {"proxy": ["public.test", "private.test", "metadata.test"], "bridge": [PUBLIC], "pasta": [PUBLIC]}


@pytest.fixture(scope="module")
def unfenced():
    with programs_without("fence", "cayd", "cay-supervisor") as programs:
        yield programs


@contextlib.contextmanager
def server_of(network):
    if network == "proxy":
        with outside.server_outside(HOSTS, ALL) as server:
            yield server
        return
    more = {"prepare": TUN, "uid": ORDINARY} if network == "pasta" else {}
    with outside.server_behind(ALL, **more) as server:
        outside.skip_without(network, server, uid=more.get("uid"))
        yield server


def reached(network):
    """Which of those that nobody may reach are, beside the one that everybody may."""
    with server_of(network) as server:
        server.outside.listen(80)
        box = server.create(network=network, allow=ALLOWED[network])
        found = [host for host in [ALLOWED[network][0], *PROBES[network]]
                 if box.output(f"curl -s --max-time 10 http://{host}/").startswith("reached")]
        box.delete()
        return found


@pytest.mark.parametrize("network", PROBES)
def test_with_its_fence_what_is_refused_stays_inside(network):
    assert reached(network) == ALLOWED[network][:1]


@pytest.mark.parametrize("network", PROBES)
def test_without_its_fence_it_gets_through(network, unfenced, monkeypatch):
    monkeypatch.setattr(e2e, "PROGRAMS", unfenced)
    assert reached(network) == ALLOWED[network][:1] + PROBES[network]
