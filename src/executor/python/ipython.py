# SPDX-License-Identifier: Apache-2.0
"""cay_ipython: cells in IPython's own shell, shown as a Jupyter kernel shows them. Works with IPython 7.23 to 9."""
import sys
import types


def _embed(**options):
    from IPython.terminal.embed import embed
    return embed(**options)


def _import_without_terminal():
    """The package brings its terminal and a completer along, which a kernel has no use for: half of the time. Both can
    be imported afterwards, as if nothing had been."""
    stub = types.ModuleType("IPython.terminal.embed")
    stub.embed = _embed
    stubs = {"IPython.terminal.embed": stub, "jedi": None}
    stubs = {name: module for name, module in stubs.items() if name not in sys.modules}
    sys.modules.update(stubs)
    try:
        import IPython
        import IPython.core.interactiveshell  # noqa: F401
    finally:
        for name in stubs:
            sys.modules.pop(name, None)
    return IPython


IPython = _import_without_terminal()
from IPython.core.displayhook import DisplayHook  # noqa: E402
from IPython.core.displaypub import DisplayPublisher  # noqa: E402
from IPython.core.error import StdinNotImplementedError  # noqa: E402
from IPython.core.interactiveshell import InteractiveShell  # noqa: E402
from traitlets import Type  # noqa: E402
from traitlets.config import Config  # noqa: E402

import cay_cell as cell  # noqa: E402

version = IPython.__version__


class Publisher(DisplayPublisher):
    def publish(self, data, metadata=None, source=None, *, transient=None, update=False, **_):
        kind = "update_display_data" if update else "display_data"
        cell.show(kind, data, metadata)

    def clear_output(self, wait=False):
        """Output that was sent cannot be taken back."""


class Hook(DisplayHook):
    """The value of the last expression."""

    def __call__(self, result=None):
        self.check_for_underscore()
        if result is None or self.quiet():
            return
        data, metadata = self.compute_format_data(result)
        self.update_user_ns(result)
        self.fill_exec_result(result)
        if data:
            cell.show("execute_result", data, metadata, execution_count=self.prompt_count)
            self.log_output(data)


class Shell(InteractiveShell):
    displayhook_class = Type(Hook)
    display_pub_class = Type(Publisher)
    cell_error = None

    def init_display_formatter(self):
        super().init_display_formatter()
        self.display_formatter.active_types = self.display_formatter.format_types

    def enable_gui(self, gui=None):
        """There is no screen; a figure is shown by the inline backend."""

    async def run_code(self, *arguments, **options):
        cell.begin_code()
        return await super().run_code(*arguments, **options)

    def ask_exit(self):
        """exit and quit end the cell, not the kernel."""
        raise SystemExit(0)

    def system(self, cmd):
        """!command, %pip and their like."""
        self.user_ns["_exit_code"] = cell.system(self.var_expand(cmd, depth=1))

    system_piped = system_raw = system

    def _showtraceback(self, etype, evalue, stb):
        if isinstance(stb, str):
            stb = [stb]
        try:
            value = str(evalue)
        except Exception as why:
            value = "<%s has no text: %s>" % (etype.__name__, type(why).__name__)
        self.cell_error = cell.show_error(etype.__name__, value, stb)


class Engine:
    def __init__(self):
        config = Config()
        config.HistoryManager.enabled = False
        config.HistoryManager.hist_file = ":memory:"
        nocolor = "nocolor" if int(version.split(".")[0]) >= 9 else "NoColor"
        config.InteractiveShell.colors = nocolor
        config.InteractiveShell.color_info = False
        config.InteractiveShell.autocall = 0
        config.InteractiveShell.separate_in = ""
        self.shell = Shell.instance(config=config)
        self.shell.loop_runner = cell.run_coroutine
        self.shell.autoawait = True
        self.nocolor = nocolor
        self.version = version

    def start(self, has_matplotlib):
        """In the kernel, after the fork."""
        cell.refuse_input(StdinNotImplementedError)
        sys.displayhook = self.shell.displayhook

    def namespace(self):
        return self.shell.user_ns

    def hide(self, names):
        """What the kernel put there itself is no variable of the agent's (%who)."""
        self.shell.user_ns_hidden.update(names)

    def run(self, code, history):
        """{"execution_count": …, "error": … or None}; an error was shown already."""
        shell = self.shell
        shell.cell_error = None
        result = shell.run_cell(code, store_history=history, silent=False)
        error = shell.cell_error
        if result is None or result.success:
            error = None
        elif error is None:
            why = result.error_before_exec or result.error_in_exec
            error = {"name": type(why).__name__, "value": str(why), "traceback": []}
        # What SystemExit was about is said once, by the error; the rest is what a kernel shows.
        return {"execution_count": shell.execution_count - (1 if history else 0), "error": error}
