# SPDX-License-Identifier: Apache-2.0
"""The host of one pack of tools inside the sandbox (executor/tool_worker.h).

    guest.arguments: {"entrypoint": "pkg.Toolkit{...}", "arguments": {...}, "paths": [...]}
    {"load": true}                          → {"tools": [{"name", "schema", "style"}...]}
    =add
    {"args": [1, 2], "kwargs": {}}          → {"output": "3", "stdout": "", "stderr": ""}, or "error" instead of
                                              "output": {"type", "message", "traceback"}
    guest.bell: the number of a request that is cancelled, or 0: another lane shall go on

One thread receives calls and performs them, one after the other, as long as they end soon. When one does not, the
executor rings, and another thread takes the channel over; the first goes to wait for the bell when it is done. So
quick calls pass through one thread, which never hands anything over, and slow ones run side by side. These threads
are called lanes. Coroutines all run in one loop, in a thread of its own.

What a call prints is its own: sys.stdout and sys.stderr look up whose turn it is in a context variable, and the
children of a call write to a file that belongs to it. Threads that a tool starts inherit its context.
"""
import asyncio
import contextvars
import ctypes
import importlib
import inspect
import io
import json
import os
import subprocess
import sys
import threading
import traceback

import cay_guest as guest
import tool_schema

STDOUT_MAX = 1024 * 1024
OUTPUT_MAX = 7 * 1024 * 1024
TRACEBACK_MAX = 8000
MESSAGE_MAX = 100000
ANSWER = '{"output":%s,"stdout":%s,"stderr":%s}'


class Cancelled(BaseException):
    """Thrown into the lane of a call that nobody waits for any more."""


# ---- what a call prints ----

class Capture:
    """One stream of one call. It becomes a file as soon as a child process needs a descriptor."""

    __slots__ = ("parts", "size", "fd")

    def __init__(self):
        self.parts, self.size, self.fd = [], 0, -1

    def write(self, text):
        if self.fd >= 0:
            os.write(self.fd, text.encode("utf-8", "surrogateescape"))
        else:
            self.size += len(text)
            if self.size - len(text) < STDOUT_MAX:
                self.parts.append(text)

    def fileno(self):
        if self.fd < 0:
            self.fd = os.memfd_create("output", os.MFD_CLOEXEC)
            os.write(self.fd, "".join(self.parts).encode("utf-8", "surrogateescape"))
        return self.fd

    def take(self):
        """What was written, and no more than STDOUT_MAX of it."""
        if self.fd < 0:
            if not self.parts:
                return ""
            text, size = "".join(self.parts), self.size
        else:
            size = os.fstat(self.fd).st_size
            text = os.pread(self.fd, STDOUT_MAX, 0).decode("utf-8", "replace")
            os.close(self.fd)
        if size > STDOUT_MAX:
            text = text[:STDOUT_MAX] + "\n[%d characters more]\n" % (size - STDOUT_MAX)
        return text.encode("utf-8", "replace").decode("utf-8")


_capture = contextvars.ContextVar("capture", default=None)  # (stdout, stderr)


class Bytes(io.RawIOBase):
    """stdout.buffer"""

    def __init__(self, stream):
        self.stream = stream

    def writable(self):
        return True

    def write(self, data):
        self.stream.write(bytes(data).decode("utf-8", "surrogateescape"))
        return len(data)


class Stream(io.TextIOBase):
    """sys.stdout or sys.stderr: of the call whose turn it is, else the process's own."""
    encoding, errors = "utf-8", "surrogateescape"

    def __init__(self, index, own):
        self.index, self.own, self.buffer = index, own, Bytes(self)

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not " + type(text).__name__)
        captures = None if guest.is_child else _capture.get()
        if captures:
            captures[self.index].write(text)
        else:
            self.own.write(text)
        return len(text)

    def flush(self):
        self.own.flush()

    def fileno(self):
        captures = _capture.get()
        return captures[self.index].fileno() if captures else self.own.fileno()


def capture_children():
    start = subprocess.Popen.__init__
    run_thread = threading.Thread.start

    def popen(self, args, bufsize=-1, executable=None, stdin=None, stdout=None, stderr=None, *more, **named):
        captures = _capture.get()
        if captures:
            stdout = captures[0].fileno() if stdout is None else stdout
            stderr = captures[1].fileno() if stderr is None else stderr
        start(self, args, bufsize, executable, stdin, stdout, stderr, *more, **named)

    def system(command):
        status = subprocess.call(command, shell=True)
        return status << 8 if status >= 0 else -status

    def thread_start(self):
        context, run = contextvars.copy_context(), self.run
        self.run = lambda: context.run(run)
        # Until a new thread runs, Python holds it for the one that starts it: what is thrown would hit it instead.
        with _calls:
            run_thread(self)

    subprocess.Popen.__init__ = popen
    os.system = system
    threading.Thread.start = thread_start


# ---- tools ----

def coerced(value, kind):
    """With dicts made models where the signature says so."""
    if tool_schema.is_model(kind):
        return kind.model_validate(value) if isinstance(value, dict) else value
    origin, args = tool_schema.typing.get_origin(kind), tool_schema.typing.get_args(kind)
    if origin is list and isinstance(value, list) and args:
        return [coerced(v, args[0]) for v in value]
    if origin is dict and isinstance(value, dict) and len(args) == 2:
        return {k: coerced(v, args[1]) for k, v in value.items()}
    if origin in tool_schema.UNIONS and isinstance(value, dict):
        failure = None
        for arg in args:
            try:
                made = coerced(value, arg)
            except ValueError as why:
                failure = why
                continue
            if made is not value:
                return made
        if failure:
            raise failure
    if origin in tool_schema.UNIONS and isinstance(value, list):
        return next((coerced(value, arg) for arg in args if tool_schema.typing.get_origin(arg) is list), value)
    return value


def has_models(kind):
    return tool_schema.is_model(kind) or any(has_models(arg) for arg in tool_schema.typing.get_args(kind))


def takes_none(kind):
    return kind in (None, type(None), tool_schema.typing.Any) or (
        tool_schema.typing.get_origin(kind) in tool_schema.UNIONS
        and any(takes_none(arg) for arg in tool_schema.typing.get_args(kind)))


class Tool:
    def __init__(self, function, schema):
        self.function, self.schema, self.name = function, schema, schema["function"]["name"]
        self.places, self.defaults, self.models = [], {}, {}
        hints = tool_schema.annotations(function)
        try:
            params = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            params = ()
        for param in params:
            if param.kind in (param.POSITIONAL_ONLY, param.POSITIONAL_OR_KEYWORD):
                self.places.append(param.name)
            kind = hints.get(param.name)
            if param.default is not param.empty and param.default is not None and not (kind and takes_none(kind)):
                self.defaults[param.name] = param.default
            if has_models(kind):
                self.models[param.name] = kind

    def adjusted(self, name, value):
        """Strict mode makes a model send null where it means the default."""
        if value is None and name in self.defaults:
            return self.defaults[name]
        return coerced(value, self.models[name]) if name in self.models else value

    def call(self, args, kwargs):
        if (self.defaults or self.models) and isinstance(args, list) and isinstance(kwargs, dict):
            args = [self.adjusted(self.places[i], v) if i < len(self.places) else v for i, v in enumerate(args)]
            kwargs = {k: self.adjusted(k, v) for k, v in kwargs.items()}
        result = self.function(*args, **kwargs)
        return wait_for(result) if inspect.isawaitable(result) else result


def split_entrypoint(text):
    path, brace, rest = text.partition("{")
    arguments = json.loads(brace + rest) if brace else {}
    module, dot, attribute = path.strip().rpartition(".")
    if not dot or not module or not attribute:
        raise ImportError("an entrypoint is module.attribute, not '%s'" % text)
    return module, attribute, arguments


def tools_of(thing, name, arguments):
    """The functions that an attribute of a module stands for, with the schema of those that know theirs."""
    if isinstance(thing, type):
        thing, name = thing(**arguments), None
    elif arguments:
        raise TypeError("'%s' is no class: it takes no constructor arguments" % name)
    if hasattr(thing, "get_tools"):
        thing = thing.get_tools()
    elif name is None:
        names = {key: None for kind in reversed(type(thing).__mro__) for key in vars(kind) if not key.startswith("_")}
        thing = [getattr(thing, key) for key in names if callable(getattr(thing, key))]
    for one in thing if isinstance(thing, (list, tuple)) else [thing]:
        if hasattr(one, "get_openai_tool_schema") and hasattr(one, "func"):
            yield Tool(one.func, one.get_openai_tool_schema())
        elif callable(one):
            yield Tool(one, tool_schema.of_function(one))
        else:
            raise TypeError("'%s' is no tool" % type(one).__name__)


def load(config):
    sys.path[:0] = config.get("paths") or []
    sys.path.append(os.getcwd())
    module, attribute, arguments = split_entrypoint(config["entrypoint"])
    arguments.update(config.get("arguments") or {})
    thing = getattr(importlib.import_module(module), attribute)
    return list(tools_of(thing, attribute, arguments))


# ---- coroutines ----

_loop = None
_loop_lock = threading.Lock()


def wait_for(awaitable):
    """Runs it in the one loop that all coroutines of this pack share."""
    global _loop

    async def run():
        return await awaitable

    with _loop_lock:
        if _loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="coroutines", daemon=True)
            contextvars.Context().run(thread.start)
            _loop = loop
    return _call.get().wait_for(run())


# ---- calls ----

_calls = threading.Lock()  # who cancels, and who begins or ends what can be cancelled
_call = contextvars.ContextVar("call")


class Call:
    """One call, and how it is cancelled at each of its moments.

    Known, not begun: it never begins. In a coroutine: that is cancelled. Elsewhere in the tool: Cancelled is thrown
    into its lane, once, so that whoever catches it need not expect a second. The flag comes first and all changes
    are made under one lock, so no moment is missed; and what was thrown too late is taken back.
    """

    __slots__ = ("request", "body", "thread", "future", "is_cancelled", "was_thrown")

    def __init__(self, request, body):
        self.request, self.body = request, body
        self.thread = self.future = None
        self.is_cancelled = self.was_thrown = False

    def begin(self):
        with _calls:
            if self.is_cancelled:
                raise Cancelled()
            self.thread = threading.get_ident()

    def wait_for(self, coroutine):
        with _calls:
            if self.is_cancelled:
                coroutine.close()
                raise Cancelled()
            self.future = asyncio.run_coroutine_threadsafe(coroutine, _loop)
        try:
            return self.future.result()
        finally:
            with _calls:
                self.future = None

    def cancel(self):
        with _calls:
            if self.is_cancelled:
                return
            self.is_cancelled = True
            if self.future is not None:
                self.future.cancel()
            elif self.thread is not None:
                self.was_thrown = True
                _throw(self.thread, Cancelled)

    def end(self):
        """From here on nothing is thrown. It may be called again, if it was interrupted."""
        with _calls:
            thread, self.thread = self.thread, None
        if self.was_thrown and thread is not None:
            _throw(thread, None)


def _throw(thread, kind):
    """None: what was thrown and has not arrived yet does not."""
    what = ctypes.py_object(kind) if kind else ctypes.py_object()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)


# A tool may fork while another lane has the lock: the child leaves through Call.end, too.
os.register_at_fork(before=_calls.acquire, after_in_parent=_calls.release, after_in_child=_calls.release)


def described(why):
    """An exception, as an answer."""
    try:
        message = str(why)
    except Exception:
        message = "its message cannot be told"
    try:
        text = "".join(traceback.format_exception(type(why), why, why.__traceback__))
    except Exception:
        text = ""
    clean = [part.encode("utf-8", "replace").decode() for part in (message[:MESSAGE_MAX], text[-TRACEBACK_MAX:])]
    return {"type": type(why).__name__, "message": clean[0], "traceback": clean[1]}


def held(value):
    """What JSON holds of an object it does not know."""
    if tool_schema.is_model(type(value)):
        return value.model_dump(mode="json")
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


_encode = json.JSONEncoder(ensure_ascii=False, default=held).encode
_quoted = json.encoder.encode_basestring
_plain = {int: repr, str: _quoted, bool: {True: "true", False: "false"}.get}  # the encoder, without what it takes to start


def output_of(tool, text):
    call = json.loads(text)
    value = tool.call(call["args"], call["kwargs"])
    output = _plain.get(type(value), _encode)(value)
    if len(output) > OUTPUT_MAX:
        raise ValueError("the result has %d characters of JSON; the limit is %d" % (len(output), OUTPUT_MAX))
    # Half of a surrogate pair is written as its escape: JSON can hold it, UTF-8 cannot.
    return output if output.isascii() else output.encode("utf-8", "backslashreplace").decode()


class Host:
    def __init__(self):
        self.tools = {}
        self.messages = guest.messages()
        self.turn = threading.Lock()  # who has it receives
        self.owner = None  # the lane that performs what it receives, until another one is the owner
        self.count = threading.Lock()
        self.waiting = 0  # lanes that wait for the bell
        self.newest = 0  # number of the last request
        self.unwanted = set()  # numbers of requests that were cancelled and are still to come
        self.calls = {}  # number of a request: Call, from before anybody else receives until it is answered

    def run(self, call):
        """{"output"} or {"error"}"""
        try:
            try:
                call.begin()
                name, _, text = call.body[1:].partition("\n")
                return {"output": output_of(self.tools[name], text)}
            finally:
                call.end()
        except BaseException as why:
            call.end()
            return {"error": described(why)}

    def perform(self, call):
        capture = (Capture(), Capture())
        marks = _capture.set(capture), _call.set(call)
        answer = self.run(call)
        _capture.reset(marks[0])
        _call.reset(marks[1])
        if guest.is_child:
            os._exit(0)  # a tool that forked: only one of them answers
        self.calls.pop(call.request.number, None)
        answer["stdout"], answer["stderr"] = capture[0].take(), capture[1].take()
        try:
            if "output" in answer:
                call.request.result_text(ANSWER % tuple(_quoted(text) for text in answer.values()))
            else:
                call.request.result(answer)
        except guest.TooLarge as why:
            call.request.result({"error": described(why), "stdout": "", "stderr": ""})

    def load(self, request):
        capture = (Capture(), Capture())
        mark = _capture.set(capture)
        try:
            for tool in load(guest.arguments):
                self.tools.setdefault(tool.name, tool)
            request.result({"tools": [{"name": t.name, "schema": t.schema, "places": t.places}
                                      for t in self.tools.values()]})
        except BaseException as why:
            request.result({"error": described(why), "stdout": capture[0].take(), "stderr": capture[1].take()})
        _capture.reset(mark)

    def receive(self):
        """The next call. The caller has the turn."""
        for request, body in self.messages:
            if not isinstance(body, str):  # a call is text
                self.load(request)
                continue
            call = Call(request, body)
            with self.count:
                self.newest = request.number
                self.calls[request.number] = call
                if request.number in self.unwanted:
                    self.unwanted.discard(request.number)
                    call.is_cancelled = True
            return call
        os._exit(0)

    def cancel(self, number):
        with self.count:
            call = self.calls.get(number)
            if call is None and number > self.newest:
                self.unwanted.add(number)
        if call is not None:
            call.cancel()

    def start_lane(self):
        with self.count:
            self.waiting += 1
        contextvars.Context().run(threading.Thread(target=self.wait, name="lane", daemon=True).start)

    def work(self):
        """Until another lane takes over. Each gets at least one call: no ring is for nothing."""
        me = self.owner = object()
        while True:
            with self.turn:
                call = self.receive()
            self.perform(call)
            if self.owner is not me:
                return

    def wait(self):
        """One lane at least is always here."""
        while True:
            rung = os.read(guest.bell, 4)
            if len(rung) < 4:
                os._exit(0)
            number = int.from_bytes(rung, sys.byteorder)
            if number:
                self.cancel(number)
                continue
            with self.count:
                self.waiting -= 1
                is_last = self.waiting == 0
            if is_last:
                self.start_lane()
            self.work()
            with self.count:
                self.waiting += 1


def main():
    os.environ["CAMEL_RUNTIME"] = "true"
    sys.stdout, sys.stderr = Stream(0, sys.stdout), Stream(1, sys.stderr)
    capture_children()
    sys.setswitchinterval(0.001)
    guest.watches_pipes = False
    host = Host()
    host.start_lane()
    host.work()
    with host.count:
        host.waiting += 1
    host.wait()


main()
