"""Values that the manifest sets for this tool, by key. They do not change while a call runs, and
they are never credentials."""

import contextlib

try:
    from wit_world.imports import wasi_config_store as host
except ImportError:
    host = None

_values = {}


def get(key, default=None):
    """The value of a key, or `default` where the manifest sets none."""
    if host is None:
        return _values.get(key, default)
    value = host.get(key)
    return default if value is None else value


def all():
    """Every key and its value."""
    return dict(_values) if host is None else dict(host.get_all())


@contextlib.contextmanager
def values(**given):
    """With these values and no others; for native tests."""
    global _values
    before, _values = _values, given
    try:
        yield
    finally:
        _values = before
