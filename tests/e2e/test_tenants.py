# SPDX-License-Identifier: Apache-2.0
"""Two tenants of one server, each with a token for a sandbox of its own: what one does is nothing to the other."""
import threading

import pytest
from mcp import HttpClient, Refused
from waiting import PATIENCE, wait_until


class Tenant:
    """Who has a token for one sandbox, and nothing else."""

    def __init__(self, server, name):
        self.server, self.box = server, server.create(name=name)
        self.token = self.box.request("POST", "/tokens", {}).json["token"]

    def request(self, method, path, body=None, **more):
        return self.server.request(method, path, body, token=self.token, **more)

    def mcp(self):
        client = HttpClient(self.server, f"/mcp/{self.box.id}", {"Authorization": f"Bearer {self.token}"})
        client.initialize()
        return client

    def has_file(self, path):
        return self.box.request("POST", "/actions/stat", {"path": path}).status == 200


@pytest.fixture
def tenants(own_server):
    return Tenant(own_server, "ours"), Tenant(own_server, "theirs")


# ---- MCP ----

class Waiting:
    """A call of a tool that goes on until it is cancelled."""

    def __init__(self, tenant):
        self.client, self.outcome = tenant.mcp(), None
        self.thread = threading.Thread(target=self.call, daemon=True)
        self.thread.start()
        wait_until(lambda: tenant.has_file("/tmp/started"))

    def call(self):
        try:
            self.outcome = self.client.text("run", command="touch /tmp/started; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo whole")
        except Refused as refusal:
            self.outcome = str(refusal)

    def join(self):
        self.thread.join(PATIENCE)
        return self.outcome


def test_who_cancels_a_request_cancels_no_other_tenants_of_the_same_number(tenants):
    ours, theirs = tenants
    call = Waiting(theirs)
    attacker = ours.mcp()
    for number in range(50):
        attacker.notify("notifications/cancelled", {"requestId": number})
    theirs.box.put_file("/tmp/go", b"")
    assert call.join() == "whole\n"
