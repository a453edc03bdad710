# SPDX-License-Identifier: Apache-2.0
"""A life of a sandbox by the client that openapi-python-client wrote."""
import os

from cay_client import AuthenticatedClient
from cay_client.api.events import get_events
from cay_client.api.file import read, write
from cay_client.api.sandboxes import delete_sandboxes_id, get_sandboxes_id, post_sandboxes
from cay_client.api.session import run
from cay_client.models import PostSandboxesBody, ReadBody, RunBody, WriteBody

with AuthenticatedClient(base_url=os.environ["CAY_URL"], token=os.environ["CAY_TOKEN"]) as cay:
    sandbox = post_sandboxes.sync(client=cay, body=PostSandboxesBody(hostname="made"))["id"]
    assert run.sync(sandbox, client=cay, body=RunBody(command="hostname; x=6"))["output"].strip() == "made"
    assert run.sync(sandbox, client=cay, body=RunBody(command="echo $((x * 7))"))["output"].strip() == "42"
    write.sync(sandbox, client=cay, body=WriteBody(path="/tmp/a", content="hello"))
    assert read.sync(sandbox, client=cay, body=ReadBody(path="/tmp/a"))["content"] == "hello"
    missing = read.sync(sandbox, client=cay, body=ReadBody(path="/tmp/b"))
    assert missing.error.code == "not_found", missing
    assert any(event["kind"] == "action" for event in get_events.sync(client=cay, sandbox=sandbox))
    delete_sandboxes_id.sync_detailed(sandbox, client=cay)
    assert get_sandboxes_id.sync(sandbox, client=cay).error.code == "not_found"
