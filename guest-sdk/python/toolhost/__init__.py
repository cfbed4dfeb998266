"""Tools for AI agents as plain, typed Python functions; `toolhost` runs them as components.

    import toolhost
    from toolhost import tool

    @tool(read_only=True)
    def greet(name: str) -> str:
        \"\"\"Greets somebody by name.\"\"\"
        return f"Hello, {name}!"

    Tools = toolhost.export(greet)
"""

from . import config, http, kv, log, progress
from .error import Code, ToolError
from .export import export
from .function import Definition, Function, Hints, tool
from .http import fetch
from .output import Blob, Link, Output, Text

__all__ = [
    "Blob", "Code", "Definition", "Function", "Hints", "Link", "Output", "Text", "ToolError",
    "config", "export", "fetch", "http", "kv", "log", "progress", "tool",
]
