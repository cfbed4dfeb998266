"""What every Python client script asks of the host, and where it finds the host.

TOOLHOST_URL, TOOLHOST_TOKEN, TOOLHOST_SOCKET and TOOLHOST_STDIO (a command line) say where; the
host serves the `everything` fixture. A door without its variable is left out.
"""

import asyncio
import os
import shlex
import sys
from pathlib import Path

URL = os.environ.get("TOOLHOST_URL")
TOKEN = os.environ.get("TOOLHOST_TOKEN", "")
SOCKET = os.environ.get("TOOLHOST_SOCKET")
STDIO = os.environ.get("TOOLHOST_STDIO")
HEADERS = {"Authorization": f"Bearer {TOKEN}"}

TEXT = "This is a simple text response for testing."
PATIENCE = 30  # seconds for one door in one era


def commands():
    """Command lines whose standard streams are the host's lines: (door, command, arguments)."""
    if STDIO:
        command, *arguments = shlex.split(STDIO)
        yield "stdio", command, arguments
    if SOCKET:
        bridge = Path(__file__).with_name("unix_bridge.py")
        yield "unix-lines", sys.executable, [str(bridge), SOCKET]


def names(tools):
    """Checks a list of tools, however the client wraps it."""
    found = {tool.name for tool in getattr(tools, "tools", tools)}
    missing = {"test_simple_text", "test_add"} - found
    assert not missing, f"tools/list lacks {missing}: {sorted(found)}"


def text(result):
    """Checks the answer to test_simple_text."""
    assert result.content[0].text == TEXT, f"test_simple_text said {result.content!r}"


def five(result):
    """Checks the answer to test_add of 2 and 3, its structured part."""
    for name in ("structured_content", "structuredContent"):
        if hasattr(result, name):
            structured = getattr(result, name)
            assert structured == {"sum": 5}, f"test_add gave {structured!r}"
            return
    raise AssertionError(f"test_add gave no structured content: {result!r}")


async def talk(client):
    """Lists the tools and calls two."""
    names(await client.list_tools())
    text(await client.call_tool("test_simple_text", {}))
    five(await client.call_tool("test_add", {"a": 2, "b": 3}))


async def hear(client):
    """Calls what answers with a sound, which the oldest version has no block for."""
    result = await client.call_tool("test_audio_content", {})
    assert not result.isError and len(result.content) == 1, f"test_audio_content gave {result!r}"


async def survive(client):
    """Sends a message that is too large, and goes on: the session is still there."""
    try:
        await client.call_tool("test_add", {"a": 2, "b": "x" * (5 << 20)})
    except Exception as error:  # each client has its own way of saying so
        assert "4194304 bytes" in str(error) or "413" in str(error), f"it said {error!r}"
    else:
        raise AssertionError("five mebibytes of arguments were taken")
    five(await client.call_tool("test_add", {"a": 2, "b": 3}))


def run(client, attempts):
    """Runs (door, era, coroutine function) one after the other; the first failure ends it."""

    async def one(door, era, attempt):
        try:
            await asyncio.wait_for(attempt(), PATIENCE)
        except BaseException as error:  # a client may raise a group of anything
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            sys.exit(f"not ok {client} {door} {era}: {type(error).__name__}: {error}")
        print(f"ok {client} {door} {era}", flush=True)

    async def all_of_them():
        for door, era, attempt in attempts:
            await one(door, era, attempt)

    asyncio.run(all_of_them())
