"""Why a call did not do what was asked, in the codes that agents act on.

It does not know how an error travels to the agent.
"""

import enum
import errno


class Code(enum.StrEnum):
    """What an agent can act on, spelled as `wit/tools.wit` does."""

    INVALID_ARGUMENTS = "invalid-arguments"
    NOT_FOUND = "not-found"
    DENIED = "denied"
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"
    NEEDS_HUMAN = "needs-human"
    FAILED = "failed"


class ToolError(Exception):
    """Why a call did not do what was asked, as the agent will read it.

    `message` is a sentence that says what happened and what to do next, `retry_after` seconds after
    which the same call is worth another try, `data` more for a program to read.
    """

    def __init__(self, code, message, *, retry_after=None, data=None):
        super().__init__(message)
        self.code = Code(code)
        self.message = str(message)
        self.retry_after = retry_after
        self.data = data

    def __str__(self):
        return f"{self.code}: {self.message}"

    @classmethod
    def invalid_arguments(cls, message, **more):
        """The agent should change its arguments."""
        return ToolError(Code.INVALID_ARGUMENTS, message, **more)

    @classmethod
    def not_found(cls, message, **more):
        """What the arguments name does not exist."""
        return ToolError(Code.NOT_FOUND, message, **more)

    @classmethod
    def denied(cls, message, **more):
        """Refused; asking again will not help."""
        return ToolError(Code.DENIED, message, **more)

    @classmethod
    def rate_limited(cls, message, **more):
        """Too many calls."""
        return ToolError(Code.RATE_LIMITED, message, **more)

    @classmethod
    def unavailable(cls, message, **more):
        """The upstream does not answer now."""
        return ToolError(Code.UNAVAILABLE, message, **more)

    @classmethod
    def needs_human(cls, message, **more):
        """A person has to do or allow something first."""
        return ToolError(Code.NEEDS_HUMAN, message, **more)

    @classmethod
    def failed(cls, message, **more):
        """Anything else."""
        return ToolError(Code.FAILED, message, **more)


def of_exception(error):
    """What an agent reads of an exception that a function let through."""
    if isinstance(error, ToolError):
        return error
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, FileNotFoundError):
        return ToolError(Code.NOT_FOUND, said)
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        return ToolError(Code.DENIED, said)
    return ToolError(Code.FAILED, said)
