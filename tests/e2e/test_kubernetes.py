# SPDX-License-Identifier: Apache-2.0
"""Sandboxes as pods of a cluster: an API server of our own (cluster.py), which can be made to misbehave, and real executors."""
import shutil

import pytest
from cluster import Cluster
from conftest import Sandbox, end_server, start_server

pytestmark = pytest.mark.skipif(not shutil.which("bwrap"), reason="pods run in bubblewrap")


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as made:
        yield made


@pytest.fixture(scope="module")
def server(cluster):
    started = start_server("--backend", f"kubernetes={cluster.kubeconfig}", settings=cluster.settings())
    yield started
    end_server(started)


def create(server, image="python:3.12", **wishes):
    reply = server.request("POST", "/v1/sandboxes", {"image": image, **wishes}, timeout=60)
    assert reply.status == 201, reply.body
    return Sandbox(server, reply.json)


@pytest.fixture
def box(server):
    made = create(server)
    yield made
    if made.request("GET").status == 200:
        made.delete()


def test_a_command_runs_in_a_pod(box):
    assert box.output("echo hi; id -u; pwd") == "hi\n1000\n/workspace\n"
