"""Messages for the operator. The host adds time, tool, function and caller, and keeps what the
manifest grants."""

try:
    from wit_world.imports import logging as host
except ImportError:
    host = None

LEVELS = ("trace", "debug", "info", "warn", "error", "critical")
# Natively messages are kept for `recorded`; a program that never reads must not fill the memory.
KEPT = 10_000
_kept = []


def write(level, context, message):
    """Says something; `context` is a short name of the part that speaks, or empty."""
    if level not in LEVELS:
        raise ValueError(f"{level!r} is no level; there are {', '.join(LEVELS)}")
    message = str(message).encode("utf-8", "replace").decode("utf-8")
    if host is not None:
        host.log(host.Level[level.upper()], context, message)
    elif len(_kept) < KEPT:
        _kept.append((level, context, message))


def trace(message):
    """Says every step."""
    write("trace", "", message)


def debug(message):
    """Says what helps to find a fault."""
    write("debug", "", message)


def info(message):
    """Says what an operator wants to read."""
    write("info", "", message)


def warn(message):
    """Says that something is odd."""
    write("warn", "", message)


def error(message):
    """Says that the call cannot do what it should."""
    write("error", "", message)


def recorded():
    """Takes what was said so far, as (level, context, message); for native tests."""
    said = list(_kept)
    _kept.clear()
    return said
