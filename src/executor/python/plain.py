# SPDX-License-Identifier: Apache-2.0
"""cay_plain: cells where IPython is not installed: the value of the last expression, tracebacks, await, !command and
%pip. Of the other magics there are none."""
import ast
import inspect
import linecache
import re
import sys
import traceback
import types

import cay_cell as cell

MAGIC = re.compile(r"^([ \t]*)(!|%pip\b)[ \t]*(.*)$")
REPRESENTATIONS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "application/json": "_repr_json_",
}


def represent(value):
    data = {"text/plain": repr(value)}
    if isinstance(value, type):
        return data
    for mime, name in REPRESENTATIONS.items():
        method = getattr(value, name, None)
        try:
            shown = method() if callable(method) else None
        except Exception:
            shown = None
        if isinstance(shown, tuple):
            shown = shown[0]
        if shown is not None:
            data[mime] = shown
    return data


def display(*values, **_):
    """As in IPython."""
    for value in values:
        cell.show("display_data", represent(value))


def system(command):
    """!command: its status is no value of the cell's."""
    cell.system(command)


def _magics(code):
    """The code with !command and %pip lines made calls."""
    lines = []
    for line in code.split("\n"):
        found = MAGIC.match(line)
        if found:
            indent, what, rest = found.groups()
            command = rest if what == "!" else "%s -m pip %s" % (sys.executable, rest)
            line = "%s__import__('cay_plain').system(%r)" % (indent, command)
        lines.append(line)
    return "\n".join(lines)


class Engine:
    version = None

    def __init__(self):
        self.module = types.ModuleType("__main__")
        self.module.__dict__["__builtins__"] = __builtins__
        self.count = 0
        self.has_matplotlib = False

    def start(self, has_matplotlib):
        self.has_matplotlib = has_matplotlib
        sys.modules["__main__"] = self.module
        sys.displayhook = self._show_value
        cell.refuse_input()
        self.module.display = display

    def namespace(self):
        return self.module.__dict__

    def hide(self, names):
        pass

    def _show_value(self, value):
        if value is None:
            return
        self.module.__dict__["_"] = value
        cell.show("execute_result", represent(value), execution_count=self.count)

    def _compile(self, code, name):
        try:
            tree = ast.parse(code, name)
        except SyntaxError:
            changed = _magics(code)
            if changed == code:
                raise
            tree = ast.parse(changed, name)
        last = None
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not code.rstrip().endswith(";"):
            last = ast.Interactive([tree.body.pop()])
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        parts = [compile(tree, name, "exec", flags, True)]
        if last is not None:
            parts.append(compile(last, name, "single", flags, True))
        return parts

    def _execute(self, code, name):
        parts = self._compile(code, name)
        if any(part.co_flags & inspect.CO_COROUTINE for part in parts):
            cell.run_coroutine(self._execute_all(parts))
            return
        for part in parts:
            eval(part, self.module.__dict__)

    async def _execute_all(self, parts):
        for part in parts:
            result = eval(part, self.module.__dict__)
            if part.co_flags & inspect.CO_COROUTINE:
                await result

    def _show_figures(self):
        plt = sys.modules.get("matplotlib.pyplot")
        if plt is None or not self.has_matplotlib:
            return
        import io
        for number in plt.get_fignums():
            figure, data = plt.figure(number), io.BytesIO()
            figure.savefig(data, format="png", bbox_inches="tight")
            cell.show("display_data", {"text/plain": repr(figure), "image/png": data.getvalue()})
        plt.close("all")

    def _show_exception(self, why, name):
        kind, tb = type(why), why.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename != name:
            tb = tb.tb_next
        lines = traceback.format_exception(kind, why, tb)
        return cell.show_error(kind.__name__, why, [line.rstrip("\n") for line in lines])

    def run(self, code, history):
        if history:
            self.count += 1
        name = "<cell %d>" % self.count
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        error = None
        try:
            cell.begin_code()
            self._execute(code, name)
            self._show_figures()
        except BaseException as why:  # the agent's: SystemExit ends the cell, not the kernel
            error = self._show_exception(why, name)
        return {"execution_count": self.count, "error": error}
