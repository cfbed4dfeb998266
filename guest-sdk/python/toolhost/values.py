"""Python values to JSON values and back, by their types. It does not know schemas or functions."""

import dataclasses
import enum
import json
import math
import types
import typing

NONE = type(None)
UNIONS = (typing.Union, types.UnionType)

# The largest whole number that every reader of JSON keeps.
SAFE = 2**53 - 1


class Mismatch(Exception):
    """A JSON value that is not of its type, and where."""

    def __init__(self, path, problem):
        super().__init__(f"{path or 'the value'}: {problem}")
        self.path = path
        self.problem = problem


def bare(kind):
    """A type without `Annotated`, `Required` and `NotRequired` around it."""
    while typing.get_origin(kind) in (typing.Annotated, typing.Required, typing.NotRequired):
        kind = typing.get_args(kind)[0]
    return kind


def hints(of):
    """The types of a function's parameters or of a class's fields, with what is annotated."""
    return typing.get_type_hints(of, include_extras=True)


def has_default(field):
    """Whether a field of a dataclass may be left out."""
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def is_optional(kind):
    """Whether `None` is a value of the type."""
    kind = bare(kind)
    return kind is NONE or (typing.get_origin(kind) in UNIONS and NONE in typing.get_args(kind))


def read(kind, value, path="", strict=True):
    """A JSON value as a value of a type. `strict` refuses members that an object should not have;
    an upstream's answer may have more than one knows.

    Raises `Mismatch`.
    """
    kind = bare(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is typing.Any or kind is object:
        return value
    if origin in UNIONS:
        return _read_union(args, value, path, strict)
    if origin is typing.Literal:
        for one in args:
            if _is_same(one, value):
                return one
        raise Mismatch(path, f"expected one of {_shown(args)}, got {_named(value)}")
    if origin is list or kind is list:
        return _read_list(args[0] if args else typing.Any, value, path, strict)
    if origin is dict or kind is dict:
        inner = args[1] if args else typing.Any
        _expect(isinstance(value, dict), "an object", value, path)
        return {key: read(inner, one, _at(path, key), strict) for key, one in value.items()}
    if isinstance(kind, type):
        if issubclass(kind, enum.Enum):
            return _read_enum(kind, value, path)
        if dataclasses.is_dataclass(kind):
            return _read_dataclass(kind, value, path, strict)
        if typing.is_typeddict(kind):
            return _read_typed_dict(kind, value, path, strict)
    return _read_scalar(kind, value, path)


def _read_scalar(kind, value, path):
    if kind is NONE:
        _expect(value is None, "null", value, path)
    elif kind is bool:
        _expect(isinstance(value, bool), "true or false", value, path)
    elif kind is str:
        _expect(isinstance(value, str), "a text", value, path)
    elif kind is int:
        # To JSON, 3.0 is a whole number; beyond 2^53 nobody knows which one was meant.
        if isinstance(value, float) and value.is_integer() and abs(value) <= SAFE:
            return int(value)
        _expect(type(value) is int, "a whole number", value, path)
    elif kind is float:
        _expect(type(value) in (int, float), "a number", value, path)
        try:
            return float(value)
        except OverflowError:
            raise Mismatch(path, "the number is too large") from None
    else:
        raise TypeError(f"{kind!r} has no JSON form")
    return value


def _read_union(kinds, value, path, strict):
    # The problem of the one that came furthest says the most: an object that lacks a member, not
    # that it is no text.
    deepest = None
    for kind in kinds:
        try:
            return read(kind, value, path, strict)
        except Mismatch as mismatch:
            if deepest is None or len(mismatch.path) > len(deepest.path):
                deepest = mismatch
    if deepest is not None and len([kind for kind in kinds if kind is not NONE]) == 1:
        raise deepest
    if deepest is not None and len(deepest.path) > len(path):
        raise deepest
    raise Mismatch(path, f"no shape that is expected here fits {_named(value)}")


def _is_same(one, value):
    """Whether a JSON value is this one: `True` is no 1, but 1.0 is."""
    numbers = type(one) in (int, float) and type(value) in (int, float)
    return one == value and (numbers or type(one) is type(value))


def _read_list(kind, value, path, strict):
    _expect(isinstance(value, list), "a list", value, path)
    return [read(kind, one, f"{path}[{index}]", strict) for index, one in enumerate(value)]


def _read_enum(kind, value, path):
    for one in kind:
        if _is_same(one.value, value):
            return one
    raise Mismatch(path, f"expected one of {_shown(one.value for one in kind)}, got {_named(value)}")


def _read_dataclass(kind, value, path, strict):
    _expect(isinstance(value, dict), "an object", value, path)
    kinds = hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    _refuse_others(value, fields, path, strict)
    given = {}
    for name, field in fields.items():
        if name in value:
            given[name] = read(kinds[name], value[name], _at(path, name), strict)
        elif not has_default(field):
            # What an upstream leaves out and what it says is nothing are the same.
            if strict or not is_optional(kinds[name]):
                raise Mismatch(_at(path, name), "is missing")
            given[name] = None
    try:
        return kind(**given)
    except ValueError as error:
        # From a `__post_init__` that says what a type cannot.
        raise Mismatch(path, str(error)) from error


def _read_typed_dict(kind, value, path, strict):
    _expect(isinstance(value, dict), "an object", value, path)
    kinds = hints(kind)
    _refuse_others(value, kinds, path, strict)
    for name in sorted(kind.__required_keys__):
        if name not in value:
            raise Mismatch(_at(path, name), "is missing")
    return {
        name: read(kinds[name], one, _at(path, name), strict)
        for name, one in value.items()
        if name in kinds
    }


def _refuse_others(value, known, path, strict):
    for name in value if strict else ():
        if name not in known:
            raise Mismatch(_at(path, name), f"is not known; there are {_shown(known)}")


def plain(value):
    """A value as what `json` writes. Raises `ValueError` where it has no JSON form."""
    if value is None or isinstance(value, (bool, str, int, float)):
        if isinstance(value, enum.Enum):
            return plain(value.value)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the result has no JSON form: {value} is no number of JSON")
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"the result has no JSON form: the key {key!r} is no text")
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    raise ValueError(f"the result has no JSON form: {type(value).__name__} is none of its types")


def text(value):
    """JSON text of a value. A surrogate without its other half has no UTF-8 and becomes `?`."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return written.encode("utf-8", "replace").decode("utf-8")


def _expect(fits, what, value, path):
    if not fits:
        raise Mismatch(path, f"expected {what}, got {_named(value)}")


def _at(path, name):
    return f"{path}.{name}" if path else name


def _shown(names):
    return ", ".join(json.dumps(name) for name in names)


def _named(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
