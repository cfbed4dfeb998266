"""The component's edge: the class that componentize-py exports, and the translation between the
SDK's types and the contract's. Nothing else names the contract's."""

from . import output, values
from .error import ToolError
from .function import Function

try:
    from componentize_py_types import Err
    from wit_world.exports import tools as wit
except ImportError:
    wit = None


def export(*functions):
    """Makes functions a tool: `Tools = toolhost.export(look_up, refund)`."""
    by_name = {}
    for function in functions:
        if not isinstance(function, Function):
            raise TypeError(f"{function!r} is no function of a tool; put @tool above it")
        name = function.definition.name
        if name in by_name:
            raise TypeError(f"two functions are called {name!r}")
        by_name[name] = function

    class Tools:
        """What the component exports. Natively it speaks the SDK's own types."""

        def definitions(self):
            definitions = [function.definition for function in functions]
            return definitions if wit is None else [_definition(one) for one in definitions]

        def call(self, name, arguments):
            try:
                if name not in by_name:
                    raise ToolError.not_found(f"this tool has no function {name!r}")
                answer = by_name[name].call(arguments)
            except ToolError as error:
                if wit is None:
                    raise
                raise Err(_error(error)) from error
            return answer if wit is None else _output(answer)

    return Tools


def _definition(one):
    hints = one.hints
    return wit.Definition(
        one.name, one.title, one.description, values.text(one.input_schema),
        None if one.output_schema is None else values.text(one.output_schema),
        wit.Hints(hints.read_only, hints.destructive, hints.idempotent, hints.open_world),
    )


def _output(answer):
    return wit.Output(answer.structured, [_content(one) for one in answer.contents])


def _content(one):
    if isinstance(one, output.Blob):
        return wit.Content_Blob(wit.Blob(one.mime_type, one.data, one.uri))
    if isinstance(one, output.Link):
        return wit.Content_Link(wit.Link(one.uri, one.name, one.description, one.mime_type))
    return wit.Content_Text(_sound(one.text))


def _error(error):
    try:
        data = None if error.data is None else values.text(values.plain(error.data))
    except ValueError:
        # An error must not fail.
        data = None
    return wit.ToolError(error.code.value, _sound(error.message), error.retry_after, data)


def _sound(text):
    """A surrogate without its other half has no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
