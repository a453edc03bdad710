# SPDX-License-Identifier: Apache-2.0
"""Cells and kernels on a bare executor: what they show, how they end, and what does not take the sandbox along."""
import base64
import json
import os
import threading
import time

import pytest
from executor import Executor, Failed
from kernels import PYTHON, needs_ipython, needs_jupyter, needs_matplotlib
from processes import awaited

PATH = "/usr/bin:/bin"  # where Debian's Python is the first


class Kernels(Executor):
    def cell(self, code, **params):
        return self.call("cell", **{"code": code, "capture": True, **params})

    def text(self, code, **params):
        return self.cell(code, **params)["text"]

    def end_all(self):
        for kernel in self.call("kernel_list")["kernels"]:
            self.call("kernel_close", kernel=kernel["kernel"])
        super().end_all()


@pytest.fixture(scope="module", params=[pytest.param("IPython", marks=needs_ipython), "plain"])
def any_kernels(request, tmp_path_factory):
    """With IPython, and where it cannot be imported."""
    env = {"PATH": PATH}
    if request.param == "plain":
        broken = tmp_path_factory.mktemp("broken")
        (broken / "IPython.py").write_text("raise ImportError('there is none')\n")
        env["PYTHONPATH"] = str(broken)
    with Kernels(env=env) as x:
        yield x


@pytest.fixture
def kernels(any_kernels):
    """One after the other, each test in a kernel of its own."""
    if any(k["kernel"] == "default" for k in any_kernels.call("kernel_list")["kernels"]):
        any_kernels.call("kernel_close", kernel="default")
    return any_kernels


@pytest.fixture(scope="module")
def ipython():
    with Kernels(env={"PATH": PATH}) as x:
        yield x


def outputs(result, kind):
    return [o for o in result["outputs"] if o["type"] == kind]


# What a cell gives.

def test_state_survives_from_cell_to_cell(kernels):
    first = kernels.cell("x = 20\ndef twice(n): return 2 * n")
    assert (first["status"], first["text"], first["is_new_kernel"]) == ("ok", "", True)
    second = kernels.cell("print('hi')\ntwice(x) + 2")
    assert (second["status"], second["text"], second["is_new_kernel"]) == ("ok", "hi\n42\n", False)
    assert second["execution_count"] == 2
    assert second["python"] == PYTHON


def test_outputs_come_in_order(kernels):
    result = kernels.cell("import sys, os\nprint(1)\nprint(2, file=sys.stderr)\nos.system('echo 3')\nprint(4)\n5")
    assert [(o["type"], o.get("name"), o.get("text")) for o in result["outputs"]] == [
        ("stream", "stdout", "1\n"), ("stream", "stderr", "2\n"), ("stream", "stdout", "3\n4\n"),
        ("execute_result", None, None)]
    assert outputs(result, "execute_result")[0]["data"]["text/plain"] == "5"


def test_an_error_has_name_value_and_traceback(kernels):
    result = kernels.cell("def f():\n    return 1 / 0\nf()")
    error = result["error"]
    assert (result["status"], error["name"], error["value"]) == ("error", "ZeroDivisionError", "division by zero")
    assert "return 1 / 0" in "\n".join(error["traceback"])
    assert "cay" not in "\n".join(error["traceback"]).replace("/cay-test", "")
    assert "\x1b" not in result["text"]
    assert kernels.cell("1")["status"] == "ok"


def test_an_error_of_syntax_is_the_cells(kernels):
    result = kernels.cell("if True print(1)")
    assert (result["status"], result["error"]["name"]) == ("error", "SyntaxError")


def test_await_works_at_the_top(kernels):
    assert kernels.text("import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 'slept'\nawait f()") == "'slept'\n"
    assert kernels.text("asyncio.run(f())") == "'slept'\n"


def test_a_task_goes_on_between_cells(kernels):
    kernels.cell("import asyncio, os\nr, w = os.pipe()\nasync def f():\n    await asyncio.sleep(0.01)\n    os.write(w, b'x')\n"
                 "task = asyncio.get_event_loop_policy() and asyncio.ensure_future(f())\nawait asyncio.sleep(0)")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:  # each cell is a moment in which the task cannot run: it is done in between
        if kernels.text("task.done()") == "True\n":
            break
    assert kernels.text("os.read(r, 1)") == "b'x'\n"


def test_input_is_refused_and_says_why(kernels):
    result = kernels.cell("input('name? ')")
    assert result["status"] == "error" and "does not support input requests" in result["error"]["value"]
    assert kernels.text("import sys; sys.stdin.read()") == "''\n"


def test_a_cell_may_be_in_another_directory(kernels, tmp_path):
    (tmp_path / "beside.py").write_text("answer = 42\n")
    assert kernels.text("import beside\nbeside.answer", cwd=str(tmp_path)) == "42\n"
    assert kernels.text("import os\nos.getcwd()") == f"{str(tmp_path)!r}\n"
    with pytest.raises(Failed) as why:
        kernels.cell("1", cwd="/no/such/place")
    assert why.value.code == "not_found"


def test_shell_commands_are_run_with_an_exclamation_mark(kernels):
    assert kernels.text("print('a')\n!echo b; echo c >&2\nprint('d')") == "a\nb\nc\nd\n"


def test_pip_is_that_of_the_kernels_python(kernels):
    result = kernels.cell("%pip --version")
    assert "python 3" in result["text"] or "No module named pip" in result["text"]


def test_surrogates_and_nulls_do_no_harm(kernels):
    assert kernels.text("print('a\\ud800b\\0c')") == "a?b\0c\n"
    assert kernels.cell("raise ValueError('\\udcff')")["error"]["name"] == "ValueError"


def test_bytes_on_the_standard_output(kernels):
    assert kernels.text("import sys\nn = sys.stdout.buffer.write(b'\\xc3\\xa9\\n')") == "é\n"


def test_a_class_can_be_pickled(kernels):
    assert kernels.text("import pickle\nclass A: pass\ntype(pickle.loads(pickle.dumps(A()))) is A") == "True\n"


def test_history_false_leaves_the_count_alone(ipython):
    ipython.call("kernel_open", kernel="uncounted")
    assert [ipython.cell("1", kernel="uncounted", history=False)["execution_count"] for _ in range(2)] == [1, 1]


# Pictures.

@needs_matplotlib
def test_a_figure_is_a_picture(kernels):
    result = kernels.cell("import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);", timeout_ms=60000)
    shown = outputs(result, "display_data")
    assert result["status"] == "ok" and len(shown) == 1
    assert base64.b64decode(shown[0]["data"]["image/png"]).startswith(b"\x89PNG")
    assert "<Figure" in result["text"]


@needs_ipython
def test_rich_output_keeps_its_kinds(ipython):
    result = ipython.cell("from IPython.display import *\ndisplay(HTML('<b>1</b>'))\ndisplay(JSON({'a': float('nan')}))\n"
                          "Markdown('# x')")
    first, second, third = result["outputs"]
    assert first["data"]["text/html"] == "<b>1</b>"
    assert second["data"]["application/json"] == {"a": None}
    assert (third["type"], third["data"]["text/markdown"]) == ("execute_result", "# x")


@needs_ipython
def test_magics_work(ipython):
    assert ipython.text("%%bash\necho from bash") == "from bash\n"
    assert "ns per loop" in ipython.text("%timeit -n1 -r1 pass") or "µs" in ipython.text("%timeit -n1 -r1 pass")
    assert ipython.text("%cd -q /usr\n%pwd") == "'/usr'\n"


# A caller that streams.

def test_output_is_live(kernels):
    with kernels.open("cell", code="import sys, os\nprint('first')\nprint('half', end='')\nsys.stdout.flush()\n"
                      "print('wrong', file=sys.stderr)\nos.read(0, 1)\nr, w = os.pipe()\nos.read(r, 1)") as call:
        call.until(lambda c: c.data[2] == b"wrong\n" and c.data[1] == b"first\nhalf")
        assert call.final is None
        call.control(signal="INT")
        assert call.result()["status"] == "interrupted"


def test_displays_are_events(kernels):
    with kernels.open("cell", code="print(1)\n'two'") as call:
        result = call.result()
        assert call.data[1] == b"1\n"
        assert call.events[0]["type"] == "execute_result" and call.events[0]["data"]["text/plain"] == "'two'"
        assert "outputs" not in result and result["text"] == "1\n'two'\n"


def test_a_slow_caller_slows_the_cell_down_and_loses_nothing(kernels):
    with kernels.open("cell", code="for i in range(200000): print('%099d' % i)") as call:
        time.sleep(0.3)  # the cell would have grown by far more than any buffer in this time
        call.result()
        lines = call.data[1].split()
        assert len(lines) == 200000 and int(lines[-1]) == 199999


def test_two_clients_take_turns(kernels):
    kernels.cell("seen = []")
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(
        kernels.cell(f"seen.append(({i}, 'in')); import time; time.sleep(0.01); seen.append(({i}, 'out'))")))
        for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = eval(kernels.text("seen"))  # a list of our own
    assert len(seen) == 16 and all(seen[i][0] == seen[i + 1][0] for i in range(0, 16, 2))


def test_a_client_that_goes_away_leaves_its_cell_running(kernels):
    with kernels.open("cell", code="import time\nprint('begun')\ntime.sleep(0.2)\ndone = True") as call:
        call.until(lambda c: c.data[1] == b"begun\n")
    assert kernels.text("done") == "True\n"


def test_a_cell_nobody_waits_for_is_not_begun(kernels):
    kernels.cell("ran = []")
    with kernels.open("cell", code="import time; time.sleep(0.3)"):
        with kernels.open("cell", code="ran.append(1)"):
            pass
        assert kernels.text("ran") == "[]\n"


# Interrupts, timeouts.

def test_a_timeout_keeps_the_kernel_and_its_state(kernels):
    kernels.cell("x = 5")
    result = kernels.cell("import time\nprint('begun')\ntime.sleep(60)", timeout_ms=200)
    assert (result["status"], outputs(result, "stream")[0]["text"]) == ("timed_out", "begun\n")
    assert result["error"]["name"] == "KeyboardInterrupt"
    assert kernels.text("x") == "5\n"


def test_an_interrupt_ends_an_await(kernels):
    kernels.cell("import asyncio")
    result = kernels.cell("await asyncio.sleep(60)", timeout_ms=200)
    assert result["status"] == "timed_out"
    assert kernels.text("await asyncio.sleep(0, 'fine')") == "'fine'\n"


def test_an_interrupt_ends_a_program_of_the_cell(kernels):
    result = kernels.cell("!sleep 61.25", timeout_ms=200)
    assert result["status"] == "timed_out"
    assert kernels.text("!pgrep -r R,S,D -f 'sleep 61.2[5]' || echo none") == "none\n"


# In steps: what comes between Python's last look for signals and the system call, CPython sees after the call.
SLEEP = "import time\nfor _ in range(600):\n    time.sleep(0.1)"


def test_kernel_interrupt_is_for_the_cell_that_runs(kernels):
    with kernels.open("cell", code=f"print('begun')\n{SLEEP}") as call:
        call.until(lambda c: c.data[1] == b"begun\n")
        assert kernels.call("kernel_interrupt")["status"] == "busy"
        assert call.result()["status"] == "interrupted"
    assert kernels.call("kernel_interrupt")["status"] == "idle"
    assert kernels.text("'still here'") == "'still here'\n"


def test_a_cell_that_waits_and_is_interrupted_does_not_begin(kernels):
    with kernels.open("cell", code=f"print('begun')\n{SLEEP}") as running:
        running.until(lambda c: c.data[1] == b"begun\n")
        with kernels.open("cell", code="x = 'it ran'", capture=True) as waiting:
            waiting.control(signal="INT")
            assert waiting.result()["status"] == "interrupted"
        kernels.call("kernel_interrupt")
        assert running.result()["status"] == "interrupted"
    assert kernels.cell("x")["error"]["name"] == "NameError"


def test_variables_of_one_cell_are_gone_after_it(kernels):
    kernels.cell("import os\nos.environ['KEPT'] = 'before'")
    look = "[os.environ.get(name) for name in ('KEPT', 'NEW', 'OWN')]"
    result = kernels.text(f"os.environ['OWN'] = 'set'\nos.system('echo $NEW')\n{look}", env={"KEPT": "now", "NEW": "it's \"new\""})
    assert result == "it's \"new\"\n['now', 'it\\'s \"new\"', 'set']\n"
    assert kernels.text(look) == "['before', None, 'set']\n"
    for code in ("1/0", "raise SystemExit", "kept, os.environ = os.environ, None"):
        kernels.cell(code, env={"NEW": "1"})
    assert kernels.text("os.environ = kept; os.environ.get('NEW')") == ""
    with kernels.open("cell", code=SLEEP, env={"NEW": "secret"}) as call:
        call.control(signal="INT")
        assert call.result()["status"] == "interrupted"
    assert kernels.text("import subprocess; subprocess.run('env', capture_output=True).stdout.count(b'secret')") == "0\n"


@pytest.mark.parametrize("env, code", [({"": "x"}, "invalid_argument"), ({"A=B": "x"}, "invalid_argument"), ({"A": "a\0b"}, "invalid_argument"),
                                       ({"A": "x" * 300_000}, "too_large"), ({"A": 1}, "invalid_argument")])
def test_variables_that_are_none_are_refused(kernels, env, code):
    with pytest.raises(Failed) as why:
        kernels.cell("1", env=env)
    assert why.value.code == code


def test_an_interrupt_of_a_cell_that_is_only_beginning_is_not_lost(kernels):
    kernels.cell("1")
    for i in range(60):
        with kernels.open("cell", code=SLEEP) as call:
            time.sleep(i % 30 * 1e-5)  # not to wait for anything: to meet each of its first steps
            call.control(signal="INT")
            assert call.result()["status"] == "interrupted"
    with pytest.raises(Failed):
        kernels.cell("1", cwd="/nowhere")
    assert kernels.text("'on'") == "'on'\n"


def test_an_interrupt_of_a_kernel_that_is_only_beginning_is_not_lost(kernels):
    with kernels.open("cell", code=SLEEP, kernel="young") as call:
        kernels.call("kernel_interrupt", kernel="young")
        assert call.result()["status"] == "interrupted"
    assert kernels.text("1", kernel="young") == "1\n"
    kernels.call("kernel_close", kernel="young")


def test_a_cell_that_ignores_interrupts_is_answered_and_its_kernel_ended(kernels):
    code = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
    result = kernels.cell(code, timeout_ms=100, kernel="deaf")
    assert result["status"] == "timed_out" and 2000 <= result["duration_ms"] < 8000
    with pytest.raises(Failed) as why:
        kernels.cell("1", kernel="deaf")
    assert why.value.code == "unavailable" and "did not react to the interrupt" in why.value.message
    assert kernels.cell("1", kernel="deaf")["is_new_kernel"]
    kernels.call("kernel_close", kernel="deaf")


# What ends a kernel, and what does not.

def test_exits_of_python_end_the_cell_alone(kernels):
    kernels.cell("x = 1")
    for code in ("import sys; sys.exit(3)", "raise SystemExit", "exit()", "quit"):
        kernels.cell(code)
    assert kernels.text("x") == "1\n"


@pytest.mark.parametrize("code, how", [
    ("import os; os._exit(3)", "ended with status 3"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by signal 9 (KILL)"),
    ("import ctypes; ctypes.string_at(0)", "was killed by signal 11 (SEGV)"),
])
def test_a_kernel_that_dies_says_how_and_the_next_cell_has_a_new_one(kernels, code, how):
    kernels.cell("x = 1")
    result = kernels.cell(f"print('last', flush=True); {code}")
    assert result["status"] == "ended" and how in result["error"]["value"]
    assert outputs(result, "stream")[0]["text"].startswith("last\n")
    result = kernels.cell("'x' in globals()")
    assert (result["text"], result["is_new_kernel"]) == ("False\n", True)


def test_cells_that_wait_for_a_kernel_that_dies_fail(kernels):
    with kernels.open("cell", code="import time, os\nprint(1)\ntime.sleep(0.2)\nos._exit(0)") as call:
        call.until(lambda c: c.data[1] == b"1\n")
        with pytest.raises(Failed) as why:
            kernels.cell("1")
        assert why.value.code == "unavailable" and "the cell did not begin" in why.value.message
        assert call.result()["status"] == "ended"


def test_a_killed_template_takes_no_kernel_along(kernels):
    kernels.cell("x = 1")
    pid = int(kernels.text("import os\nos.getppid()"))
    os.kill(pid, 9)
    assert kernels.text("x") == "1\n"
    assert kernels.text("1", kernel="after") == "1\n"
    kernels.call("kernel_close", kernel="after")


def test_a_fork_that_runs_on_ends_with_its_cell(kernels):
    text = kernels.text("import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint('parent' if pid else 'child', flush=True)")
    assert sorted(text.split()) == ["child", "parent"]
    assert kernels.text("1") == "1\n"


def test_children_of_multiprocessing_print_too(kernels):
    text = kernels.text("import multiprocessing as m\np = m.get_context('fork').Process(target=print, args=('hi', ), "
                        "kwargs={'flush': True})\np.start()\np.join()\np.exitcode")
    assert text == "hi\n0\n"


def test_closing_every_descriptor_ends_no_more_than_the_kernel(kernels):
    result = kernels.cell("import os\nos.closerange(0, 5000)\nimport time; time.sleep(60)", timeout_ms=20000)
    assert result["status"] == "ended"
    assert kernels.text("1") == "1\n"


def test_closing_the_usual_descriptors_ends_nothing(kernels):
    assert kernels.text("import os\nos.closerange(0, 100)\nprint('still')") == "still\n"
    assert kernels.text("1") == "1\n"


def test_what_is_written_to_any_descriptor_is_no_message(kernels):
    result = kernels.cell("import os\nfor fd in range(3, 1000):\n    for junk in (b'', b'x' * 10, b'\\0' * 24, os.urandom(4000)):\n"
                          "        try: os.write(fd, junk)\n        except OSError: pass\nprint('done')")
    assert (result["status"], result["text"]) == ("ok", "done\n")
    assert kernels.text("1") == "1\n"


def test_a_gigabyte_of_output_is_bounded(kernels):
    result = kernels.cell("line = 'x' * 1023\nfor i in range(1 << 10): print('\\n'.join([line] * 1024))\n'the end'",
                          timeout_ms=120000)
    assert result["status"] == "ok"
    assert len(result["text"]) < 1200000 and result["text"].endswith("'the end'\n")
    assert result["truncated_bytes"] > 1020 << 20
    assert "bytes are left out here" in result["text"]


def test_many_small_outputs_are_bounded(kernels):
    result = kernels.cell("import sys\nfor i in range(100000): sys.stdout.write('o\\n'); sys.stderr.write('e\\n')",
                          output_bytes=4096)
    assert result["status"] == "ok" and len(result["outputs"]) < 200 and result["truncated_bytes"] > 390000


def test_controls_and_pictures_too_many_still_give_a_result(kernels):
    result = kernels.cell("print('\\1' * 9000000)", output_bytes=8 << 20)
    assert result["status"] == "ok" and result["truncated_bytes"] > 0
    result = kernels.cell("class P:\n    def _repr_png_(self): return b'x' * 3000000\n    def __repr__(self): return 'P'\n"
                          "import sys\nfor i in range(9): sys.displayhook(P())")
    assert result["status"] == "ok" and "too large for the result" in result["text"]


def test_code_of_a_hundred_megabytes_is_refused(kernels):
    with pytest.raises(Failed) as why:
        kernels.cell("#" * (9 << 20))
    assert why.value.code == "too_large"
    assert kernels.text("len('''" + "x" * (4 << 20) + "''')") == f"{4 << 20}\n"


def test_names_and_numbers_have_ceilings(kernels):
    with pytest.raises(Failed):
        kernels.cell("1", kernel="x" * 65)
    with pytest.raises(Failed):
        kernels.cell("1", kernel="")
    with pytest.raises(Failed) as why:
        for i in range(20):
            kernels.call("kernel_open", kernel=f"n{i}", wait=False)
    assert why.value.code == "limit_reached"
    for kernel in kernels.call("kernel_list")["kernels"]:
        kernels.call("kernel_close", kernel=kernel["kernel"])
    assert kernels.text("1") == "1\n"


# Kernels.

def test_kernels_know_nothing_of_each_other(kernels):
    kernels.cell("x = 1")
    assert kernels.text("'x' in globals()", kernel="other") == "False\n"
    names = {k["kernel"]: k for k in kernels.call("kernel_list")["kernels"]}
    assert set(names) == {"default", "other"} and names["other"]["status"] == "idle"
    assert names["default"]["pid"] != names["other"]["pid"]
    kernels.call("kernel_close", kernel="other")
    assert [k["kernel"] for k in kernels.call("kernel_list")["kernels"]] == ["default"]


def test_random_numbers_differ_from_kernel_to_kernel(kernels):
    drawn = {kernels.text("import random\nrandom.random()", kernel=name) for name in ("a", "b", "c")}
    assert len(drawn) == 3
    for name in "abc":
        kernels.call("kernel_close", kernel=name)


def test_a_restart_begins_anew(kernels):
    kernels.cell("x = 1")
    assert kernels.call("kernel_restart")["status"] == "idle"
    assert kernels.text("'x' in globals()") == "False\n"


def test_closing_writes_what_was_buffered(kernels, tmp_path):
    kernels.cell(f"f = open({str(tmp_path / 'out')!r}, 'w')\nn = f.write('kept')")
    pid = kernels.call("kernel_list")["kernels"][0]["pid"]
    with awaited(pid):
        kernels.call("kernel_close")
    assert (tmp_path / "out").read_text() == "kept"


def test_the_life_of_kernels_can_be_followed(kernels):
    with kernels.open("subscribe") as events:
        kernels.cell("1", kernel="seen")
        kernels.cell("import os; os._exit(1)", kernel="seen")
        kernels.cell("1", kernel="seen")
        kernels.call("kernel_close", kernel="seen")
        events.until(lambda c: len(c.events) == 4)
    assert [(e["event"], e.get("spec") or e["reason"]) for e in events.events] == [
        ("kernel_started", "python"), ("kernel_ended", "kernel seen ended with status 1"),
        ("kernel_started", "python"), ("kernel_ended", "kernel seen was closed")]


def test_a_kernel_that_is_not_there_is_not_found(kernels):
    for action in ("kernel_close", "kernel_restart", "kernel_interrupt"):
        with pytest.raises(Failed) as why:
            kernels.call(action, kernel="nobody")
        assert why.value.code == "not_found"


def test_a_kernel_keeps_its_spec(kernels):
    kernels.cell("1", spec="python3", kernel="three")
    with pytest.raises(Failed) as why:
        kernels.cell("1", spec="ir", kernel="three")
    assert why.value.code == "conflict"
    assert kernels.cell("1", kernel="three")["spec"] == "python3"
    kernels.call("kernel_close", kernel="three")


def test_an_interpreter_may_be_named_by_its_path(kernels, tmp_path):
    (tmp_path / "my-python").symlink_to(PYTHON)
    result = kernels.cell("import sys\nsys.executable", spec=str(tmp_path / "my-python"), kernel="mine")
    assert result["text"] == f"{str(tmp_path / 'my-python')!r}\n" and result["python"] == str(tmp_path / "my-python")
    kernels.call("kernel_close", kernel="mine")


def test_without_python_the_error_says_what_is_missing():
    with Kernels(env={"PATH": "/no/where"}) as x:
        with pytest.raises(Failed) as why:
            x.cell("1")
        assert why.value.code == "unsupported" and "there is no python3 in the sandbox" in why.value.message


def test_a_python_that_cannot_start_says_why(tmp_path):
    (tmp_path / "python3").write_text("#!/bin/sh\necho 'no: the disk is on fire' >&2\nexit 4\n")
    (tmp_path / "python3").chmod(0o755)
    with Kernels(env={"PATH": f"{tmp_path}:{PATH}"}) as x:
        result = x.cell("1")
        assert result["status"] == "ended"
        assert "python3 ended with status 4: no: the disk is on fire" in result["error"]["value"]


def test_a_module_of_the_workspace_does_not_replace_what_the_kernel_needs(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('mine')\n")
    (tmp_path / "select.py").write_text("raise SystemExit('mine')\n")
    with Kernels(workdir=str(tmp_path), env={"PATH": PATH}) as x:
        assert x.text("6 * 7") == "42\n"


def test_secrets_are_masked(ipython):
    ipython.call("configure", env={"TOKEN": "s3cr3t-value"}, secrets=["TOKEN"])
    ipython.call("kernel_open", kernel="secretive")
    result = ipython.cell("import os\nprint(os.environ['TOKEN'])\nraise ValueError(os.environ['TOKEN'])", kernel="secretive")
    assert "s3cr3t" not in json.dumps(result) and "<secret_hidden>" in result["text"]


# Other kernels.

@needs_jupyter
def test_a_jupyter_kernel_by_name(ipython, tmp_path):
    spec = tmp_path / "kernels" / "another"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({
        "argv": [PYTHON, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "x", "language": "python"}))
    with Kernels(env={"PATH": PATH, "JUPYTER_PATH": str(tmp_path)}) as x:
        result = x.cell("print('from jupyter')\n6 * 7", spec="another", timeout_ms=60000)
        assert (result["status"], result["text"]) == ("ok", "from jupyter\n42\n")
        for i in range(10):  # what follows an error at once is run as well
            assert x.cell("1 / 0")["error"]["name"] == "ZeroDivisionError"
            assert x.cell(f"print({i})")["text"] == f"{i}\n"
        result = x.cell("import time; time.sleep(60)", timeout_ms=300)
        assert result["status"] == "timed_out"
        assert x.text("'alive'") == "'alive'\n"


@needs_jupyter
def test_a_jupyter_kernel_that_is_not_installed_names_those_that_are(ipython):
    with pytest.raises(Failed) as why:
        ipython.cell("1", spec="no-such-language", kernel="foreign")
    assert why.value.code == "unsupported" and "no Jupyter kernel 'no-such-language'" in why.value.message
