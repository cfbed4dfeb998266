"""What a function gives back. It does not know how the host shows it."""

import json
from dataclasses import dataclass, field

from . import values


@dataclass
class Text:
    """Text for the model."""

    text: str


@dataclass
class Blob:
    """Bytes with their type: `image/*` and `audio/*` reach the agent as such, anything else as an
    embedded resource, whose name is `uri`."""

    mime_type: str
    data: bytes
    uri: str | None = None


@dataclass
class Link:
    """A pointer to something the agent may fetch by itself."""

    uri: str
    name: str
    description: str | None = None
    mime_type: str | None = None


@dataclass
class Output:
    """A result of several pieces.

        Output().text("The chart.").blob("image/png", png).link("https://example.org/", "source")
    """

    structured: str | None = None
    contents: list = field(default_factory=list)

    def with_structured(self, value):
        """Sets the structured result. What is no object goes into one, as its `result`."""
        plain = values.plain(value)
        if not isinstance(plain, dict):
            plain = {"result": plain}
        self.structured = values.text(plain)
        return self

    def text(self, text):
        """Adds text."""
        self.contents.append(Text(text))
        return self

    def blob(self, mime_type, data, uri=None):
        """Adds bytes with their type."""
        self.contents.append(Blob(mime_type, bytes(data), uri))
        return self

    def link(self, uri, name, description=None, mime_type=None):
        """Adds a pointer to something the agent may fetch by itself."""
        self.contents.append(Link(uri, name, description, mime_type))
        return self

    def json(self):
        """The structured result as a value; for tests."""
        return None if self.structured is None else json.loads(self.structured)


def of_value(value):
    """Makes what a function returned what the host takes: text is shown as text, nothing is
    nothing, everything else is the structured result."""
    if isinstance(value, Output):
        return value
    output = Output()
    if value is None:
        return output
    # An enum of texts is a value with a schema, not words for a model.
    if type(value) is str:
        return output.text(value)
    if isinstance(value, (Text, Blob, Link)):
        output.contents.append(value)
        return output
    return output.with_structured(value)
