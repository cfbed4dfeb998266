"""The official Python client 1.6, which speaks 2024-11-05 alone: lines only, it has no streamable HTTP."""

from functools import partial

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

import expect


async def by_command(command, arguments):
    async with stdio_client(StdioServerParameters(command=command, args=arguments)) as streams:
        async with ClientSession(*streams) as session:
            hello = await session.initialize()
            assert hello.protocolVersion == "2024-11-05", hello.protocolVersion
            await expect.talk(session)
            await expect.hear(session)


def attempts():
    for door, command, arguments in expect.commands():
        yield door, "2024-11-05", partial(by_command, command, arguments)


expect.run("mcp-1.6", attempts())
