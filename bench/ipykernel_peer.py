# SPDX-License-Identifier: Apache-2.0
"""The peer of a cell: ipykernel behind jupyter_client, the way notebooks and OpenHands' kernel gateway use it."""
import os
import time

os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # its debugger warns of something otherwise


def available():
    try:
        import ipykernel  # noqa: F401
        import jupyter_client  # noqa: F401
    except ImportError:
        return False
    return True


class Kernel:
    """One kernel and its client, without any HTTP in between."""

    def __init__(self):
        from jupyter_client.manager import KernelManager
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def cell(self, code):
        """Its text; returns when the kernel is idle again."""
        asked, text = self.client.execute(code), ""
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != asked:
                continue
            content = message["content"]
            if message["msg_type"] == "stream":
                text += content["text"]
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return text

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def start_to_first_result(code):
    begin = time.perf_counter()
    kernel = Kernel()
    kernel.cell(code)
    took = time.perf_counter() - begin
    kernel.stop()
    return took
