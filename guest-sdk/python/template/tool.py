"""Counts what a model cannot count by looking: characters, words and lines of a text."""

from dataclasses import dataclass
from typing import Annotated

import toolhost
from toolhost import ToolError, tool


@dataclass
class Counts:
    """What was counted."""

    characters: Annotated[int, "Characters: Unicode code points, line breaks included."]
    words: Annotated[int, "Words: what stands between white space."]
    lines: Annotated[int, "Lines; a line break at the end begins no new one."]
    occurrences: Annotated[int | None, "How often the phrase occurs, where one was asked for."]


@tool(read_only=True, idempotent=True, title="Count text")
def count(
    text: Annotated[str, "The text."],
    phrase: Annotated[
        str | None, "A phrase to find in it, in whichever case. Occurrences do not overlap."
    ] = None,
) -> Counts:
    """Counts the characters, words and lines of a text, and how often a phrase occurs in it.

    Use it instead of counting yourself.
    """
    return Counts(
        characters=len(text),
        words=len(text.split()),
        lines=text.count("\n") + (not text.endswith("\n") and text != ""),
        occurrences=None if phrase is None else find(text, phrase),
    )


def find(text: str, phrase: str) -> int:
    if not phrase.strip():
        raise ToolError.invalid_arguments(
            "phrase: give at least one character that is no space, or leave it out"
        )
    return text.lower().count(phrase.lower())


Tools = toolhost.export(count)
