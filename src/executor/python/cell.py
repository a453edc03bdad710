# SPDX-License-Identifier: Apache-2.0
"""cay_cell: what a cell may print, show and ask for, whatever runs it: streams, displays, errors, the interrupt.

`report` is where all of it goes: the request of the cell that runs, or of the last one (what comes late is dropped by
the executor if that has ended).
"""
import base64
import builtins
import codecs
import getpass
import io
import json
import math
import os
import select
import signal
import subprocess
import sys
import threading

import cay_guest as guest

LINE_MAX = 8 * 1024         # characters that wait for the end of their line
DISPLAY_MAX = 6 * 1024 * 1024
TRACEBACK_MAX = 128 * 1024  # characters
NO_INPUT = "raw_input was called, but this frontend does not support input requests."

report = None


class Stream(io.TextIOBase):
    """stdout or stderr: sent line by line, as a terminal shows it; in a fork of the agent's written to the descriptor."""

    encoding = "utf-8"
    errors = "replace"
    newlines = None

    def __init__(self, channel, name):
        super().__init__()
        self.channel = channel
        self.name = name
        self.parts = []
        self.size = 0
        self.lock = threading.RLock()
        self.buffer = Bytes(self)

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not " + type(text).__name__)
        with self.lock:
            self.parts.append(text)
            self.size += len(text)
            if self.size > LINE_MAX or "\n" in text:
                self._send("".join(self.parts).encode("utf-8", "replace"))
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        if self.parts:
            with self.lock:
                self._send("".join(self.parts).encode("utf-8", "replace"))

    def _send(self, data):
        self.parts.clear()
        self.size = 0
        if guest.is_child:
            while data:
                data = data[os.write(self.channel, data):]
        elif report is not None and data:
            report.output(self.channel, data)

    def fileno(self):
        return self.channel

    def isatty(self):
        return False

    def writable(self):
        return True


class Bytes(io.BufferedIOBase):
    """sys.stdout.buffer."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.name = text.name

    def write(self, data):
        data = bytes(data)
        with self.text.lock:
            self.text.flush()
            self.text._send(data)
        return len(data)

    def flush(self):
        self.text.flush()

    def fileno(self):
        return self.text.channel

    def writable(self):
        return True


stdout = Stream(1, "<stdout>")
stderr = Stream(2, "<stderr>")


def flush():
    # What the agent put in their place has a flush of its own, or none.
    for stream in {sys.stdout, sys.stderr, stdout, stderr} if sys.stdout is not stdout else (stdout, stderr):
        try:
            stream.flush()
        except Exception:  # it is the agent's: whatever it does, the cell has ended
            pass


def _clean(value):
    """A value that JSON has; what it has not becomes text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(k).replace("\0", ""): _clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_clean(v) for v in value]
    return str(value)


def _mime_value(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    return _clean(value)


def _size(value):
    return len(value) if isinstance(value, str) else len(json.dumps(value))


def show(kind, data, metadata=None, **more):
    """A mime bundle: display_data, execute_result, update_display_data. What is too large is left out, and said."""
    flush()
    bundle = {}
    room = DISPLAY_MAX
    for mime in sorted(data, key=lambda m: m != "text/plain"):
        value = _mime_value(data[mime])
        size = _size(value)
        if size > room:
            note = "[%s of %d bytes is too large to show]" % (mime, size)
            if mime == "text/plain":
                value = value[:room // 2] + "\n" + note
            else:
                bundle["text/plain"] = (bundle.get("text/plain", "") + "\n" + note).lstrip("\n")
                continue
        room -= min(room, size)
        bundle[str(mime)] = value
    if report is not None and not guest.is_child:
        report.event({"type": kind, "data": bundle, "metadata": _clean(metadata or {}), **more})


def _cut(text):
    return text if len(text) <= TRACEBACK_MAX else \
        text[:TRACEBACK_MAX // 2] + "\n[…]\n" + text[-TRACEBACK_MAX // 2:]


def show_error(name, value, traceback):
    """An exception that ended the cell, or that %tb shows; returns it as the result has it."""
    flush()
    lines, room = [], TRACEBACK_MAX
    for line in traceback:
        line = _cut(str(line))
        if len(line) > room:
            lines.append("[…]")
            break
        room -= len(line)
        lines.append(line)
    error = {"name": str(name), "value": _cut(str(value)), "traceback": lines}
    if report is not None and not guest.is_child:
        report.event({"type": "error", **error})
    return error


class NoInput(RuntimeError):
    """input() where nobody can be asked."""


def refuse_input(error_class=NoInput):
    def refuse(*_, **__):
        raise error_class(NO_INPUT)
    builtins.input = refuse
    getpass.getpass = refuse


# ---- the interrupt ----

_came_early = False
awaits_code = False  # a cell is being made ready


def _between_cells(*_):
    """An interrupt that comes too late hits nothing; one for a cell that has not begun yet waits for it."""
    global _came_early
    if guest.is_asked() or select.select([guest.fileno()], [], [], 0)[0]:
        _came_early = True


def listen_to_interrupts(is_listening):
    global _came_early
    if not is_listening:
        signal.signal(signal.SIGINT, _between_cells)
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the cell before may have put another there
    guest.begin()  # after that, or one in between would be for nobody
    if _came_early:
        _came_early = False
        raise KeyboardInterrupt


def begin_code():
    """Said by an engine when the agent's own code is next: until then an interrupt waits for that, as what comes before
    may take it for its own (IPython's events print it, and go on)."""
    global awaits_code
    if awaits_code:
        awaits_code = False
        listen_to_interrupts(True)


def forget_interrupt():
    """One for a cell that does not begin, or has ended, is none for the next."""
    global _came_early
    guest.begin()
    _came_early = False


# ---- programs ----

def _end(process):
    """Its process group has had the interrupt; it shall not outlive it."""
    process.terminate()
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def system(command, shell="/bin/sh"):
    """Runs a shell command, what it prints in order with what Python prints; returns its status as subprocess does.
    It ends with the shell: what that leaves behind writes into nothing."""
    sys.stdout.flush()
    with subprocess.Popen(command, shell=True, executable=shell, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        pipe = process.stdout.fileno()
        ended = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else pipe
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        try:
            while True:
                ready = select.select([pipe, ended], [], [])[0]
                data = os.read(pipe, 65536) if pipe in ready else b""
                if data:
                    sys.stdout.write(decoder.decode(data))
                    sys.stdout.flush()
                else:
                    break
        except KeyboardInterrupt:
            _end(process)
            raise
        finally:
            if ended != pipe:
                os.close(ended)
            process.stdout.close()
        return process.wait()


# ---- coroutines ----

_loop = None


def loop():
    """The loop that every await at the top of a cell runs in; made by the first."""
    global _loop
    import asyncio
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loop)
    return _loop


def forget_loop():
    """Before a fork: two processes cannot wait with one."""
    global _loop
    import asyncio
    if _loop is not None:
        _loop.close()
        _loop = None
        asyncio.set_event_loop(None)


def run_coroutine(coroutine):
    task = loop().create_task(coroutine)
    try:
        return loop().run_until_complete(task)
    except KeyboardInterrupt:
        if task.done():
            raise
        task.cancel()
        return loop().run_until_complete(task)


def wait_for_message():
    """Lets tasks that a cell left behind go on until there is a message."""
    if _loop is None or _loop.is_closed():
        return
    import asyncio
    if not asyncio.all_tasks(_loop) and not getattr(_loop, "_scheduled", ()) and not getattr(_loop, "_ready", ()):
        return
    readable = _loop.create_future()
    _loop.add_reader(guest.fileno(), lambda: readable.done() or readable.set_result(None))
    try:
        _loop.run_until_complete(readable)
    finally:
        _loop.remove_reader(guest.fileno())
