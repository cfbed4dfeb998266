"""The official Python client 2.x: both eras on every door."""

from functools import partial

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

import expect

LEGACY, MODERN = "legacy", "2026-07-28"


async def by_command(command, arguments, mode):
    async with Client(StdioServerParameters(command=command, args=arguments), mode=mode) as client:
        await expect.talk(client)
        await expect.survive(client)


async def by_http(url, mode, **options):
    async with httpx2.AsyncClient(timeout=expect.PATIENCE, **options) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            await expect.talk(client)
            await expect.survive(client)


def attempts():
    for mode in (LEGACY, MODERN, "auto"):
        for door, command, arguments in expect.commands():
            yield door, mode, partial(by_command, command, arguments, mode)
        if expect.URL:
            yield "http", mode, partial(by_http, expect.URL, mode, headers=expect.HEADERS)
        if expect.SOCKET:
            transport = httpx2.AsyncHTTPTransport(uds=expect.SOCKET)
            yield "unix-http", mode, partial(by_http, "http://localhost/mcp", mode, transport=transport)


expect.run("mcp-2", attempts())
