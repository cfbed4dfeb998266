"""One function of a tool: what it says of itself, and how JSON becomes its arguments.

It does not know which functions a tool has.
"""

import functools
import inspect
import json
import re
import traceback
from dataclasses import dataclass

from . import log, output, schema, values
from .error import ToolError, of_exception

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
# What has no structured result.
PLAIN = (str, values.NONE, output.Output, output.Text, output.Blob, output.Link)


@dataclass(frozen=True)
class Hints:
    """What a function promises about itself; `None` is no promise."""

    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None


@dataclass(frozen=True)
class Definition:
    """One function, as agents will read it."""

    name: str
    title: str | None
    description: str
    input_schema: dict
    output_schema: dict | None
    hints: Hints


def tool(
    function=None, *, name=None, title=None,
    read_only=None, destructive=None, idempotent=None, open_world=None,
):
    """Makes a typed function one that agents can call; its docstring is what they decide by.

    The markers are promises; the host believes the worse of promise and grant.
    """
    hints = Hints(read_only, destructive, idempotent, open_world)
    if function is None:
        return lambda function: Function(function, name, title, hints)
    return Function(function, name, title, hints)


class Function:
    """A function that agents can call. In Python it is called as ever."""

    def __init__(self, function, name, title, hints):
        functools.update_wrapper(self, function)
        self._function = function
        name = name or function.__name__
        if not NAME.fullmatch(name):
            raise _wrong(function, f"{name!r} is no name: 1 to 64 of a-z, 0-9 and _, a letter first")
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise _wrong(function, "a tool's function is a plain one: no async, no yield")
        description = inspect.getdoc(function)
        if not description:
            raise _wrong(function, "agents decide by its docstring, and it has none")
        self._kinds, self._defaults = _parameters(function)
        self.definition = Definition(
            name, title, description,
            schema.of_arguments(self._kinds, self._defaults), _result(function), hints,
        )

    def __call__(self, *args, **kwargs):
        return self._function(*args, **kwargs)

    def call(self, arguments):
        """Runs it with a JSON object as text. Gives an `Output`, raises nothing but `ToolError`."""
        try:
            return output.of_value(self._function(**self._read(arguments)))
        except ToolError:
            raise
        # SystemExit and the like are an end of the call, too, and never one of the component.
        except BaseException as error:
            log.write("error", "traceback", traceback.format_exc())
            raise of_exception(error) from error

    def _read(self, text):
        try:
            arguments = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ToolError.invalid_arguments(f"the arguments are no JSON: {error}") from None
        if not isinstance(arguments, dict):
            raise ToolError.invalid_arguments("the arguments are no JSON object")
        for name in arguments:
            if name not in self._kinds:
                known = ", ".join(self._kinds) or "none"
                raise ToolError.invalid_arguments(f"{name}: is not known; there are: {known}")
        try:
            given = {name: values.read(self._kinds[name], arguments[name], name) for name in arguments}
        except values.Mismatch as mismatch:
            raise ToolError.invalid_arguments(mismatch) from None
        for name in self._kinds:
            if name not in given and name not in self._defaults:
                raise ToolError.invalid_arguments(f"{name}: is missing")
        return given


def _parameters(function):
    kinds, defaults = {}, {}
    hints = values.hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise _wrong(function, f"{parameter}: every argument has a name of its own")
        if name not in hints:
            raise _wrong(function, f"the parameter {name} has no type; write {name}: str, or what it is")
        kinds[name] = hints[name]
        if parameter.default is not parameter.empty:
            defaults[name] = parameter.default
    return kinds, defaults


def _result(function):
    kind = values.hints(function).get("return")
    if kind is None:
        raise _wrong(function, "it has no return type; write -> str, -> None, or what it returns")
    if values.bare(kind) in PLAIN:
        return None
    return schema.of_result(kind)


def _wrong(function, problem):
    code = function.__code__
    return TypeError(f"{function.__name__} ({code.co_filename}:{code.co_firstlineno}): {problem}")
