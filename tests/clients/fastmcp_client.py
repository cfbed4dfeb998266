"""FastMCP's client: both eras by command and over HTTP."""

from functools import partial

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

import expect


async def by(transport, mode):
    async with Client(transport(), mode=mode) as client:
        await expect.talk(client)


def attempts():
    for mode in ("legacy", "2026-07-28", "auto"):
        for door, command, arguments in expect.commands():
            yield door, mode, partial(by, partial(StdioTransport, command, arguments, keep_alive=False), mode)
        if expect.URL:
            http = partial(StreamableHttpTransport, expect.URL, headers=expect.HEADERS)
            yield "http", mode, partial(by, http, mode)


expect.run("fastmcp", attempts())
