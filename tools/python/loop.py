"""An event loop for `asyncio.run` where there are neither sockets nor threads: what it waits for is time.
It does not know the code."""

import asyncio
import selectors
import time


class Timers(selectors._BaseSelectorImpl):
    """Waits until the next timer; no file is ever ready."""

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("everything waits, and there is nothing that could wake it")
        if timeout > 0:
            time.sleep(timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """The usual loop, without the pair of sockets by which another thread wakes it."""

    def __init__(self):
        super().__init__(Timers())

    def _make_self_pipe(self):
        self._ssock = self._csock = None

    def _close_self_pipe(self):
        pass

    def _write_to_self(self):
        pass


def use():
    """Makes it the loop of `asyncio.run`."""
    asyncio.events.new_event_loop = asyncio.new_event_loop = Loop
