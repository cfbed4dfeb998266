"""Telling the agent how far a call is. It does not know whether anybody asked."""

try:
    from wit_world.imports import progress as host
except ImportError:
    host = None

KEPT = 10_000
_kept = []


def report(done, total=None, message=None):
    """Says that `done` of `total` is done. Each report must say more than the one before; the host
    drops what comes faster than an agent can use."""
    done, total = float(done), None if total is None else float(total)
    if host is not None:
        host.report(done, total, message)
    elif len(_kept) < KEPT:
        _kept.append((done, total, message))


def recorded():
    """Takes what was reported so far, as (done, total, message); for native tests."""
    said = list(_kept)
    _kept.clear()
    return said
