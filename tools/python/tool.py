"""Runs Python code: what it prints, what it gives and what it raises, apart."""

import ast
import builtins
import contextlib
import linecache
import sys
import traceback
import types
from dataclasses import dataclass
from typing import Annotated, Any

import library
import loop
import toolhost
from plain import Captured, Plain, shown
from toolhost import tool

# What tracebacks call the code.
FILE = "<code>"
MOST_TRACEBACK = 16_000
# Python is in the component as it stands after this; there is nothing to import from later.
library.load()
loop.use()


@dataclass
class Raised:
    """An exception that the code did not catch."""

    type: Annotated[str, "Its class, such as ZeroDivisionError."]
    message: str
    traceback: Annotated[str, "The lines of the code that led to it."]


@dataclass
class Ran:
    """What came of the code."""

    stdout: Annotated[str, "What it printed."]
    stderr: Annotated[str, "What it wrote to sys.stderr, warnings included."]
    result: Annotated[
        Any, "The variable `result` where the code set it, else the value of its last expression."
    ]
    exception: Annotated[Raised | None, "null where it ran to its end."]
    notes: Annotated[list[str], "What was cut, or is no JSON and stands here as its repr."]


@tool(title="Run Python code")
def run(
    code: Annotated[str, "Python source. The last line may be an expression, as in a notebook."],
    input: Annotated[Any, "Any JSON value; the code finds it in the variable `input`."] = None,
) -> Ran:
    """Runs Python 3.14 code in a fresh sandboxed interpreter and returns what it printed, its result
    and its exception. Use it to compute, parse, convert or check instead of doing so in your head.

    - Result: the variable `result` if the code sets it, else the value of the last expression.
      Return dicts, lists, texts and numbers; anything else comes as its repr.
    - There: the standard library (json, re, math, statistics, datetime, zoneinfo, decimal, fractions, csv,
      itertools, collections, hashlib, random, sqlite3, zipfile, xml.etree, asyncio, ...). `input` is your
      data, not the builtin.
    - Not there: pip and third-party packages such as numpy or pandas, threads, subprocesses, sockets,
      urllib.request, ctypes, bz2, lzma, variables and files of earlier calls.
    - Files: only in directories that the operator granted, with `open` and `pathlib`;
      `os.listdir("/")` may name none.
    - Network: only sites that the operator granted, with `import toolhost` and
      `toolhost.fetch(url, method="GET", headers={}, body=None)`, whose answer has `.status`, `.text()` and
      `.json()`.
    - Limits: seconds of computing and some 100 MB of memory; stdout and stderr are cut at 1 MiB each.

    An exception of the code, sys.exit and syntax errors included, is in `exception`; what was printed
    before it is there too. Running out of time or memory ends the call without a result.
    """
    notes = []
    outputs = {"stdout": Captured(), "stderr": Captured()}
    value, raised = None, None
    with contextlib.redirect_stdout(outputs["stdout"].stream()) as out, \
            contextlib.redirect_stderr(outputs["stderr"].stream()) as err:
        try:
            value = execute(code, input)
        # SystemExit is an end of the code, and none of the call.
        except BaseException as error:
            raised = describe(error)
        plain = Plain()
        value = plain.of(value)
        for stream in (out, err):
            with contextlib.suppress(ValueError):
                stream.flush()
    for name, captured in outputs.items():
        if captured.lost:
            notes.append(f"{name} is cut: {captured.lost} more bytes were written")
    return Ran(outputs["stdout"].text(), outputs["stderr"].text(), value, raised, notes + plain.notes)


def execute(code, input):
    """Runs code as the main module, and gives its result."""
    lines = code.splitlines(keepends=True)
    # Tracebacks show the lines.
    linecache.cache[FILE] = (len(code), None, lines, FILE)
    tree = ast.parse(code, FILE)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins
    main.input = input
    # Classes are looked up in their module by pickle and dataclasses.
    before, sys.modules["__main__"] = sys.modules.get("__main__"), main
    try:
        exec(compile(tree, FILE, "exec"), main.__dict__)
        value = None
        if last is not None:
            value = eval(compile(last, FILE, "eval"), main.__dict__)
        return main.__dict__.get("result", value)
    finally:
        sys.modules["__main__"] = before


def describe(error):
    """An exception with those frames alone that are the code's."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    try:
        message = str(error)
    except BaseException:
        message = shown(error)
    try:
        told = traceback.TracebackException.from_exception(error, compact=True)
        only_code(told)
        lines = "".join(told.format())
    except BaseException as second:
        lines = f"{name}: {message}\n(no traceback: {type(second).__name__})\n"
    if len(lines) > MOST_TRACEBACK:
        half = MOST_TRACEBACK // 2
        lines = f"{lines[:half]}\n...\n{lines[-half:]}"
    return Raised(name, message[:MOST_TRACEBACK], lines)


def only_code(told):
    """Drops the frames that are this tool's or the library's, in what led to the exception too."""
    while told is not None:
        told.stack[:] = [frame for frame in told.stack if frame.filename == FILE]
        for one in told.exceptions or ():
            only_code(one)
        if told.__cause__ is not None:
            only_code(told.__cause__)
        told = told.__context__


Tools = toolhost.export(run)
