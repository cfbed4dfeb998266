"""What came out of code, as JSON: values, and text that is bounded. It does not know how code is run."""

import io
import itertools
import math

# Values within values.
DEEPEST = 64
# What a result may have of values, and of characters in its texts.
MOST_VALUES = 100_000
MOST_TEXT = 1 << 20
# What is whole to every reader of JSON that takes 64 bits.
LEAST, GREATEST = -(2**63), 2**63 - 1


class Plain:
    """Makes a value one that JSON can say. What it cannot becomes its `repr`, and a note."""

    def __init__(self):
        self.notes = []
        self._around = set()
        self._values = 0
        self._text = 0

    def of(self, value, path="result"):
        self._values += 1
        if self._values > MOST_VALUES:
            return self._instead(path, "there are too many values", "...")
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self._bounded(value, path)
        if kind is int:
            if LEAST <= value <= GREATEST:
                return value
            return self._instead(path, "the number has more than 64 bits", shown(value))
        if kind is float:
            if math.isfinite(value):
                return value
            return self._instead(path, f"{value} is no number of JSON", repr(value))
        # Subclasses too, such as a Counter or a named tuple.
        if isinstance(value, (dict, list, tuple)):
            return self._nested(value, path)
        return self._instead(path, f"JSON has no {kind.__name__}", shown(value))

    def _nested(self, value, path):
        if id(value) in self._around:
            return self._instead(path, "it holds itself", "...")
        if len(self._around) == DEEPEST:
            return self._instead(path, "it is nested too deeply", "...")
        self._around.add(id(value))
        try:
            if isinstance(value, dict):
                items = self._first(dict.items(value))
                return {self._key(key, path): self.of(one, (path, key)) for key, one in items}
            items = self._first(enumerate(value))
            return [self.of(one, (path, index)) for index, one in items]
        finally:
            self._around.discard(id(value))

    def _first(self, items):
        # One too many says so, and the others are not even looked at.
        return itertools.takewhile(lambda _: self._values <= MOST_VALUES, items)

    def _key(self, key, path):
        if isinstance(key, str):
            return self._bounded(str(key), path)
        text = shown(key)
        self._note(path, f"the key {shown(key, 40)} is no text", "its repr")
        return self._bounded(text, path)

    def _instead(self, path, why, text):
        self._note(path, why, "... stands there" if text == "..." else "its repr")
        return self._bounded(text, path)

    def _bounded(self, text, path):
        room = max(MOST_TEXT - self._text, 0)
        if len(text) > room:
            self._note(path, f"its texts are longer than {MOST_TEXT} characters", "cut")
            text = text[:room]
        self._text += len(text)
        return text

    def _note(self, path, why, instead):
        if len(self.notes) < 5:
            self.notes.append(f"{named(path)[:200]}: {why} ({instead})")
        elif len(self.notes) == 5:
            self.notes.append("and more like these")


def named(path):
    """A path in words. It is `result`, or a path and a key; most are never written down."""
    return path if isinstance(path, str) else f"{named(path[0])}[{shown(path[1], 40)}]"


def shown(value, most=10_000):
    """The `repr` of a value that may be of any class, and so do anything."""
    try:
        text = repr(value)
    except BaseException as error:
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= most else text[:most] + "..."


class Captured(io.BufferedIOBase):
    """The first bytes of what is written; the others are counted."""

    def __init__(self, most=1 << 20):
        self._kept = bytearray()
        self._most = most
        self.lost = 0

    def writable(self):
        return True

    def write(self, data):
        data = memoryview(data).cast("B")
        room = self._most - len(self._kept)
        self._kept += data[:room]
        self.lost += max(len(data) - room, 0)
        return len(data)

    def stream(self):
        """The text stream that code writes to."""
        return io.TextIOWrapper(
            self, encoding="utf-8", errors="backslashreplace", newline="\n", write_through=True
        )

    def text(self):
        # A character that was cut in half is left out.
        return self._kept.decode("utf-8", "ignore" if self.lost else "replace")
