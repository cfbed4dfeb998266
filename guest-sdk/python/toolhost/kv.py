"""Keys and values that outlive the call, in buckets that the manifest grants.

A bucket has a quota; where the manifest says so, every caller has one of its own. Calls run at the
same time: what depends on what was read belongs into `update` or `increment`.
"""

import contextlib
import json

from . import values
from .error import Code, ToolError

try:
    from componentize_py_types import Err
    from wit_world.imports import atomics, batch, wasi_keyvalue_store as store
except ImportError:
    store = None

# An update that lost this often is against something that never rests.
TRIES = 100


class Error(ToolError):
    """Why a bucket did not do what was asked; `reason` is `no-such-store`, `denied` or `other`."""

    def __init__(self, reason, message):
        super().__init__(Code.FAILED if reason == "other" else Code.DENIED, message)
        self.reason = reason


def open(name):
    """Opens a bucket."""
    with _told():
        return Bucket(store.open(name) if store else _memory_of(name))


class Bucket:
    """Keys and values. Keys are texts, values are bytes."""

    def __init__(self, inner):
        self._inner = inner

    def get(self, key):
        """The value of a key as bytes, or `None`."""
        with _told():
            return self._inner.get(key)

    def get_text(self, key):
        """The value of a key as text, or `None`."""
        value = self.get(key)
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError:
            raise Error("other", f"the value of {key!r} is no text") from None

    def get_json(self, key, kind=object):
        """The value of a key out of its JSON, as a value of a type, or `None`."""
        value = self.get(key)
        try:
            return None if value is None else values.read(kind, json.loads(value), strict=False)
        except (ValueError, RecursionError, values.Mismatch) as error:
            raise Error("other", f"the value of {key!r}: {error}") from None

    def set(self, key, value):
        """Sets a key to bytes or a text."""
        with _told():
            self._inner.set(key, _bytes(value))

    def set_json(self, key, value):
        """Sets a key to a value's JSON."""
        self.set(key, values.text(values.plain(value)))

    def delete(self, key):
        """Forgets a key."""
        with _told():
            self._inner.delete(key)

    def exists(self, key):
        """Whether a key has a value."""
        with _told():
            return self._inner.exists(key)

    def keys(self):
        """All keys."""
        found, cursor = [], None
        while True:
            with _told():
                page = self._inner.list_keys(cursor)
            found.extend(page.keys)
            cursor = page.cursor
            if cursor is None:
                return found

    def increment(self, key, delta=1):
        """Adds to a number, atomically; gives the new one."""
        with _told():
            return atomics.increment(self._inner, key, delta) if store else self._inner.add(key, delta)

    def update(self, key, change):
        """Sets a key to what `change` makes of its value, and does so again where somebody else was
        faster. `change` gets bytes or `None`."""
        with _told():
            cas = atomics.Cas.new(self._inner, key) if store else None
        for _ in range(TRIES):
            with _told():
                seen = cas.current() if store else self._inner.get(key)
            value = _bytes(change(seen))
            if not store:
                if self._inner.get(key) == seen:
                    self._inner.set(key, value)
                    return value
                continue
            try:
                atomics.swap(cas, value)
                return value
            except Err as error:
                if not isinstance(error.value, atomics.CasError_CasFailed):
                    raise _error(error.value.value) from error
                cas = error.value.value
        raise Error("other", f"{key!r} changes too often")

    def get_many(self, keys):
        """The values of several keys, in their order; `None` for one that has none."""
        if not store:
            return [self._inner.get(key) for key in keys]
        with _told():
            pairs = batch.get_many(self._inner, list(keys))
        return [None if pair is None else pair[1] for pair in pairs]

    def set_many(self, pairs):
        """Sets several keys, from a dict."""
        pairs = [(key, _bytes(value)) for key, value in pairs.items()]
        with _told():
            if store:
                batch.set_many(self._inner, pairs)
            for key, value in () if store else pairs:
                self._inner.set(key, value)

    def delete_many(self, keys):
        """Forgets several keys."""
        with _told():
            if store:
                batch.delete_many(self._inner, list(keys))
            for key in () if store else keys:
                self._inner.delete(key)


def _bytes(value):
    return value.encode() if isinstance(value, str) else bytes(value)


@contextlib.contextmanager
def _told():
    """The host's errors as this module's."""
    if not store:
        yield
        return
    try:
        yield
    except Err as error:
        raise _error(error.value) from error


def _error(error):
    if isinstance(error, store.Error_NoSuchStore):
        return Error("no-such-store", "no bucket of this name is granted")
    if isinstance(error, store.Error_AccessDenied):
        return Error("denied", "this bucket may not be used")
    return Error("other", error.value)


# Natively: buckets in memory.

_memories = {}


class _Page:
    def __init__(self, keys):
        self.keys = keys
        self.cursor = None


class _Memory:
    def __init__(self):
        self._values = {}
        self.get = self._values.get
        self.exists = self._values.__contains__

    def set(self, key, value):
        self._values[key] = value

    def delete(self, key):
        self._values.pop(key, None)

    def list_keys(self, _cursor):
        return _Page(sorted(self._values))

    def add(self, key, delta):
        try:
            total = int(self._values.get(key, b"0")) + delta
        except ValueError:
            raise Error("other", f"the value of {key!r} is no number") from None
        self._values[key] = str(total).encode()
        return total


def _memory_of(name):
    if name not in _memories:
        raise Error("no-such-store", "no bucket of this name is granted")
    return _memories[name]


@contextlib.contextmanager
def buckets(*names):
    """With these buckets, empty, and no others; for native tests."""
    global _memories
    before, _memories = _memories, {name: _Memory() for name in names}
    try:
        yield
    finally:
        _memories = before
