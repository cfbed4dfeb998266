"""JSON Schemas out of Python types, shaped as the contract wants them. It does not know functions.

`Annotated[T, "What it is.", {"minLength": 3}]` adds a description and keywords of JSON Schema.
"""

import dataclasses
import enum
import inspect
import types
import typing

from . import values

SCALARS = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    values.NONE: {"type": "null"},
}


class Writer:
    """Writes the schemas of one root; classes go into `$defs` and are named there once."""

    def __init__(self, result):
        self.result = result
        self.classes = {}
        self.definitions = {}

    def of(self, kind):
        """The schema of a type. Raises `TypeError` for one that has no JSON form."""
        if typing.get_origin(kind) is typing.Annotated:
            kind, *notes = typing.get_args(kind)
            return self._noted(self.of(kind), notes)
        kind = values.bare(kind)
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if kind in (typing.Any, object):
            return {}
        if kind in SCALARS:
            return dict(SCALARS[kind])
        if origin in (typing.Union, types.UnionType):
            return self._union(args)
        if origin is typing.Literal:
            return _choice(list(args))
        if origin is list or kind is list:
            return {"type": "array", "items": self.of(args[0])} if args else {"type": "array"}
        if origin is dict or kind is dict:
            if args and values.bare(args[0]) is not str:
                raise TypeError(f"{kind!r}: the keys of a JSON object are texts")
            inner = self.of(args[1]) if args else {}
            return {"type": "object", "additionalProperties": inner} if inner else {"type": "object"}
        if isinstance(kind, type):
            if issubclass(kind, enum.Enum):
                return _choice([values.plain(one) for one in kind])
            if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
                return self._shared(kind)
        raise TypeError(
            f"{kind!r} has no JSON form; use str, int, float, bool, None, list, dict, Literal, "
            "Enum, a dataclass, a TypedDict, or a union of these"
        )

    def object(self, kind):
        """The schema of a dataclass or a TypedDict itself."""
        kinds = values.hints(kind)
        if dataclasses.is_dataclass(kind):
            fields = [field for field in dataclasses.fields(kind) if self.result or field.init]
            required = [
                field.name for field in fields if self.result or not values.has_default(field)
            ]
            names = [field.name for field in fields]
        else:
            names = list(kinds)
            required = [name for name in names if name in kind.__required_keys__]
        return self.members({name: kinds[name] for name in names}, required)

    def members(self, kinds, required):
        """The schema of an object with these members."""
        properties = {name: self.of(kind) for name, kind in kinds.items()}
        schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        # What comes in is checked to the last member, what goes out may grow.
        if not self.result:
            schema["additionalProperties"] = False
        return schema

    def _shared(self, kind):
        if kind not in self.classes:
            name, number = kind.__name__, 2
            while name in self.definitions:
                name, number = f"{kind.__name__}{number}", number + 1
            self.classes[kind] = name
            self.definitions[name] = None
            schema = self.object(kind)
            if described := _documentation(kind):
                schema = {"description": described, **schema}
            self.definitions[name] = schema
        return {"$ref": f"#/$defs/{self.classes[kind]}"}

    def _union(self, kinds):
        choices = [self.of(kind) for kind in kinds]
        # `["string", "null"]` says the same as a choice and costs a model less.
        if all(set(choice) == {"type"} for choice in choices):
            return {"type": [choice["type"] for choice in choices]}
        return {"anyOf": choices}

    def _noted(self, schema, notes):
        if "$ref" in schema:
            schema = {"allOf": [schema]}
        for note in notes:
            if isinstance(note, str):
                schema["description"] = note
            elif isinstance(note, dict):
                schema.update(note)
            else:
                raise TypeError(
                    f"{note!r} in Annotated: a text is a description, a dict has keywords of "
                    "JSON Schema, and there is nothing else"
                )
        return schema


def of_arguments(kinds, defaults):
    """The schema of a function's arguments; `defaults` has those that may be left out."""
    writer = Writer(result=False)
    schema = writer.members(kinds, [name for name in kinds if name not in defaults])
    for name, default in defaults.items():
        if default is not None:
            schema["properties"][name]["default"] = values.plain(default)
    return _with_definitions(schema, writer)


def of_result(kind):
    """The schema of a function's structured result. Agents of older protocol revisions take objects
    only, so anything else goes into one, as its `result`."""
    writer = Writer(result=True)
    bare = values.bare(kind)
    if dataclasses.is_dataclass(bare) or typing.is_typeddict(bare):
        schema = writer.object(bare)
        # A type that holds itself is named by a reference.
        if bare in writer.classes:
            writer.definitions[writer.classes[bare]] = dict(schema)
    else:
        schema = writer.of(kind)
        if schema.get("type") != "object":
            schema = writer.members({"result": kind}, ["result"])
            schema["additionalProperties"] = False
    return _with_definitions(schema, writer)


def _with_definitions(schema, writer):
    return {**schema, "$defs": writer.definitions} if writer.definitions else schema


def _choice(options):
    kinds = {type(option) for option in options}
    if len(kinds) == 1 and (kind := kinds.pop()) in SCALARS:
        return {**SCALARS[kind], "enum": options}
    return {"enum": options}


def _documentation(kind):
    written = kind.__dict__.get("__doc__")
    # Python writes one itself where a dataclass has none.
    if not written or written.startswith(f"{kind.__name__}("):
        return None
    return inspect.cleandoc(written)
