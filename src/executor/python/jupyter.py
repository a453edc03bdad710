# SPDX-License-Identifier: Apache-2.0
"""cay_jupyter: cells for any Jupyter kernel that is installed in the sandbox, through jupyter_client."""
import os
import queue
import sys

import cay_guest as guest


class Failed(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def start(name):
    """(manager, client) of a kernel that answers."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
        from jupyter_client.manager import KernelManager
    except ImportError as why:
        raise Failed("unsupported", "a Jupyter kernel needs jupyter_client in the sandbox's python3: %s" % why)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # ipykernel's debugger warns of something otherwise
    manager = KernelManager(kernel_name=name, transport="ipc")
    try:
        manager.start_kernel(stdout=1, stderr=2)
    except NoSuchKernel:
        names = ", ".join(sorted(KernelSpecManager().find_kernel_specs())) or "none"
        raise Failed("unsupported", "no Jupyter kernel '%s' in the sandbox; there are: %s" % (name, names))
    except OSError as why:
        raise Failed("unsupported", "start the Jupyter kernel '%s': %s" % (name, why))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
    except RuntimeError as why:
        manager.shutdown_kernel(now=True)
        raise Failed("unavailable", "the Jupyter kernel '%s': %s" % (name, why))
    return manager, client


def forward(request, kind, content):
    """One message of the kernel's as output or event; the error, if it is one."""
    if kind == "stream":
        request.output(2 if content["name"] == "stderr" else 1, content["text"].encode("utf-8", "replace"))
    elif kind in ("display_data", "update_display_data", "execute_result"):
        event = {"type": kind, "data": content["data"], "metadata": content["metadata"]}
        if kind == "execute_result":
            event["execution_count"] = content["execution_count"]
        request.event(event)
    elif kind == "error":
        error = {"name": content["ename"], "value": content["evalue"], "traceback": content["traceback"]}
        request.event({"type": "error", **error})
        return error
    return None


def next_message(manager, client):
    """What the kernel says next; an interrupt is handed on to it."""
    global was_interrupted
    while True:
        try:
            return client.get_iopub_msg(timeout=1)
        except queue.Empty:
            if not manager.is_alive():
                sys.stderr.write("the Jupyter kernel has ended\n")
                sys.stderr.flush()
                os._exit(1)
        except KeyboardInterrupt:
            was_interrupted = True
            manager.interrupt_kernel()


def run(request, body, manager, client):
    global was_interrupted
    was_interrupted = False
    if body.get("cwd"):
        raise Failed("unsupported", "only a Python kernel can change its directory")
    if body.get("env"):
        raise Failed("unsupported", "only a Python kernel has variables for one cell")
    # With stop_on_error a kernel drops, without a word, what comes right after a cell that failed.
    ask = client.execute(body["code"], store_history=body["history"], allow_stdin=False, stop_on_error=False)
    error = count = None
    while True:
        message = next_message(manager, client)
        if message["parent_header"].get("msg_id") != ask:
            continue
        kind, content = message["msg_type"], message["content"]
        count = content.get("execution_count", count)
        if kind == "status" and content["execution_state"] == "idle":
            break
        error = forward(request, kind, content) or error
    status = "ok" if error is None else "interrupted" if was_interrupted else "error"
    return {"status": status, "execution_count": count, "error": error, "python": ""}


def serve():
    manager = client = None
    messages = guest.messages()
    while True:
        try:
            request, body = next(messages, (None, None))
        except KeyboardInterrupt:  # it came too late
            messages = guest.messages()
            continue
        if body is None:
            break
        try:
            if manager is None:
                manager, client = start(guest.arguments["spec"])
            request.result(run(request, body, manager, client) if body["code"] else
                           {"status": "ok", "execution_count": None, "error": None, "python": ""})
        except Failed as why:
            request.error(why.code, why)
    if manager is not None:
        manager.shutdown_kernel(now=True)


was_interrupted = False
serve()
