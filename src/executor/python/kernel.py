# SPDX-License-Identifier: Apache-2.0
"""cay_kernel: the template of kernels. It imports what a kernel needs, once, and waits; each fork of it is a kernel,
which runs cells until its channel ends.

A cell: {"code", "history", "cwd", "env"} → events of cay_cell, output, {"status", "execution_count", "error", "python"}.
"""
import atexit
import gc
import importlib.util
import io
import os
import sys

import cay_cell as cell
import cay_guest as guest

# What cells need rather often, and what is slow to import after a fork.
import asyncio  # noqa: F401
import traceback  # noqa: F401


cell.listen_to_interrupts(False)  # one may come at any time from now on
environ = os.environ  # whatever the agent puts in its place


def make_engine():
    try:
        import cay_ipython
        return cay_ipython.Engine(), None
    except ImportError as why:
        missing = why
    import cay_plain
    return cay_plain.Engine(), missing


def has_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def start(engine, arguments):
    """What makes a fork of the template a kernel."""
    cell.listen_to_interrupts(False)
    sys.stdout = cell.stdout
    sys.stderr = cell.stderr
    if "" not in sys.path:
        sys.path.insert(0, "")
    sys.argv = [""]
    has_inline = engine.version is not None and has_inline_backend
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline" if has_inline else "Agg")
    engine.start(has_matplotlib=True)
    if arguments["skills"]:
        import cay_skills
        names = cay_skills.names()
        engine.namespace().update(names)
        engine.hide(names)


def exchange_env(variables):
    """Sets these (None: there shall be none); returns what was there before, in the same form."""
    before = {name: environ.get(name) for name in variables}
    for name, value in variables.items():
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value
    return before


def run(engine, body):
    pid = os.getpid()
    if body.get("cwd"):
        os.chdir(body["cwd"])
    before = exchange_env(body.get("env", {}))
    cell.awaits_code = True
    try:
        result = engine.run(body["code"], body["history"])
        cell.listen_to_interrupts(False)
    except KeyboardInterrupt:  # it hit the engine, not the code
        cell.listen_to_interrupts(False)
        result = {"execution_count": None,
                  "error": cell.show_error("KeyboardInterrupt", "", ["KeyboardInterrupt"])}
    cell.awaits_code = False
    cell.forget_interrupt()  # the next is only asked for when this one has been answered
    exchange_env(before)
    cell.flush()
    if os.getpid() != pid:
        os._exit(0)  # a fork of the agent's came to the end of the cell
    if result["error"] is None:
        result["status"] = "ok"
    else:
        result["status"] = "interrupted" if result["error"]["name"] == "KeyboardInterrupt" else "error"
    result["python"] = sys.executable
    result["ipython"] = engine.version
    return result


def serve(engine, messages):
    while True:
        cell.wait_for_message()
        request, body = next(messages, (None, None))
        if body is None:
            return
        if request is None:
            continue
        cell.report = request
        try:
            request.result(run(engine, body))
        except OSError as why:
            cell.forget_interrupt()
            request.error("not_found", "%s: %s" % (why.strerror, why.filename))


def finish():
    """The end of a kernel: what was registered for it is run, what was written is written; the interpreter's own
    tidying up, of all that the template had imported, would take far longer."""
    for end in (atexit._run_exitfuncs, sys.stdout.flush):
        try:
            end()
        except BaseException:  # the agent's
            pass
    for thing in gc.get_objects():  # those of the template are frozen, and not among these
        if isinstance(thing, io.IOBase) and not isinstance(thing, cell.Stream):
            try:
                thing.flush()
            except Exception:
                pass
    os._exit(0)


def warm_up():
    """What only a run brings in, so that the next fork need not: the first one should not wait for it."""
    sys.stdout, sys.stderr = cell.stdout, cell.stderr  # with nobody to report to
    for code in ("None", "print(end='')", "1 / 0", "await __import__('asyncio').sleep(0)"):
        engine.run(code, False)
    cell.forget_loop()
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    gc.collect()
    gc.freeze()


def warm_up_spare():
    """The pages that a cell writes to are copied now."""
    gc.enable()
    sys.stdout, sys.stderr = cell.stdout, cell.stderr
    engine.run("None", False)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


engine, missing = make_engine()
if guest.arguments["skills"]:
    import cay_skills  # noqa: F401
has_inline_backend = has_module("matplotlib_inline")
messages = guest.messages()
guest.after_fork = warm_up
guest.before_spare = warm_up_spare
gc.collect()
gc.freeze()
for request, body in messages:
    if body is guest.FORKED:
        gc.enable()
        start(engine, guest.arguments)
        serve(engine, messages)
        finish()
