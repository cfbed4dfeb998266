"""The official Python client 1.x, which many agents still ship: the older era on every door."""

from functools import partial

import httpx
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

import expect


async def converse(streams):
    async with ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        await expect.talk(session)
        await expect.survive(session)


async def by_command(command, arguments):
    async with stdio_client(StdioServerParameters(command=command, args=arguments)) as streams:
        await converse(streams)


async def by_http(url, **options):
    async with httpx.AsyncClient(timeout=expect.PATIENCE, **options) as http:
        async with streamable_http_client(url, http_client=http) as streams:
            await converse(streams)


def attempts():
    for door, command, arguments in expect.commands():
        yield door, "legacy", partial(by_command, command, arguments)
    if expect.URL:
        yield "http", "legacy", partial(by_http, expect.URL, headers=expect.HEADERS)
    if expect.SOCKET:
        transport = httpx.AsyncHTTPTransport(uds=expect.SOCKET)
        yield "unix-http", "legacy", partial(by_http, "http://localhost/mcp", transport=transport)


expect.run("mcp-1", attempts())
