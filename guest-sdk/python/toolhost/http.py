"""HTTP in one line: `http.get(url).query("fields", "state").json(Order)`, or `fetch(url)`.

Requests go where the manifest grants it, credentials are added by the host, redirects are
followed only where the grant says so. A status that is an error becomes a `ToolError` that an agent can act on.
"""

import contextlib
import json
from dataclasses import dataclass, field
from urllib.parse import quote

from . import values
from .error import Code, ToolError

try:
    from componentize_py_types import Err
    from wit_world.imports import http as host
except ImportError:
    host = None

# So much of an answer is quoted in an error.
QUOTED = 300
# What the host's reasons mean to an agent; every other one is `failed`.
CODES = {"denied": Code.DENIED, "timeout": Code.UNAVAILABLE, "unreachable": Code.UNAVAILABLE}


class Error(ToolError):
    """Why there is no response; `reason` is one of `wit/http.wit`'s codes."""

    def __init__(self, reason, message):
        super().__init__(CODES.get(reason, Code.FAILED), message)
        self.reason = reason


def get(url):
    """A GET request."""
    return Request("GET", url)


def post(url):
    """A POST request."""
    return Request("POST", url)


def put(url):
    """A PUT request."""
    return Request("PUT", url)


def patch(url):
    """A PATCH request."""
    return Request("PATCH", url)


def delete(url):
    """A DELETE request."""
    return Request("DELETE", url)


def fetch(url, *, method="GET", headers=None, body=None, timeout=None):
    """Sends a request as `fetch` is known elsewhere, and gives the response itself, whatever its status.

    `headers` is a dict or a list of pairs, `body` bytes or a text, `timeout` in seconds.
    """
    request = Request(method.upper(), str(url))
    for name, value in headers.items() if hasattr(headers, "items") else headers or ():
        request.header(name, value)
    if body is not None:
        request.content(body)
    if timeout is not None:
        request.timeout(timeout)
    return request.send()


def segment(text):
    """A text as one segment of a path: nothing in it ends the segment."""
    return quote(str(text), safe="-._~")


@dataclass
class Request:
    """A request, built in one line and sent by `send` or `json`."""

    method: str
    url: str
    headers: list = field(default_factory=list)
    body: bytes | None = None
    timeout_ms: int | None = None

    def header(self, name, value):
        """Adds a header."""
        self.headers.append((name, str(value)))
        return self

    def query(self, name, value):
        """Adds a parameter to the URL, escaped."""
        separator = "&" if "?" in self.url else "?"
        self.url += f"{separator}{segment(name)}={segment(value)}"
        return self

    def content(self, body):
        """Sets the body: bytes or a text."""
        self.body = body.encode() if isinstance(body, str) else bytes(body)
        return self

    def json_content(self, value):
        """Sets the body to a value's JSON, and says so."""
        self.header("content-type", "application/json")
        return self.content(values.text(values.plain(value)))

    def timeout(self, seconds):
        """The longest time to wait for the whole response; the call's own deadline holds as well."""
        self.timeout_ms = max(1, round(seconds * 1000))
        return self

    def send(self):
        """Sends it. Gives a `Response` of any status, raises `Error` where there is none."""
        if host is None:
            return _transport(self)
        request = host.Request(self.method, self.url, self.headers, self.body, self.timeout_ms)
        try:
            answer = host.send(request)
        except Err as error:
            raise Error(error.value.code, error.value.message) from error
        return Response(answer.status, answer.body, answer.headers)

    def json(self, kind=object):
        """Sends it, refuses a status that is an error, and reads the JSON as a value of a type."""
        if not any(name.lower() == "accept" for name, _ in self.headers):
            self.header("accept", "application/json")
        return self.send().raise_for_status().json(kind)


@dataclass
class Response:
    """A response of any status. Names of headers are in small letters, their values bytes."""

    status: int
    body: bytes = b""
    headers: list = field(default_factory=list)

    def __post_init__(self):
        if isinstance(self.body, str):
            self.body = self.body.encode()

    def header(self, name):
        """The first header of this name that is text, or `None`."""
        for own, value in self.headers:
            if own.lower() == name.lower():
                text = value if isinstance(value, str) else value.decode("utf-8", "replace")
                return None if "\ufffd" in text else text
        return None

    def text(self):
        """The body as text; what is no UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self, kind=object):
        """The body's JSON as a value of a type. An upstream may send more than one knows."""
        try:
            return values.read(kind, json.loads(self.body), strict=False)
        except (ValueError, RecursionError, values.Mismatch) as error:
            raise ToolError.failed(
                f"the upstream's answer is not what was expected: {error}; "
                f"it begins with {self._beginning()!r}"
            ) from None

    def raise_for_status(self):
        """Itself, or the error that its status is to an agent."""
        if self.status < 400:
            return self
        code = {
            401: Code.DENIED, 403: Code.DENIED, 404: Code.NOT_FOUND, 410: Code.NOT_FOUND,
            408: Code.UNAVAILABLE, 429: Code.RATE_LIMITED,
        }.get(self.status, Code.UNAVAILABLE if self.status >= 500 else Code.FAILED)
        said = self._beginning()
        message = f"the upstream answered with status {self.status}"
        raise ToolError(
            code, f"{message}: {said}" if said else message, retry_after=self.retry_after()
        )

    def retry_after(self):
        """Seconds after which the upstream wants to be asked again, where it says so in seconds."""
        said = (self.header("retry-after") or "").strip()
        # The contract has 32 bits for it.
        return int(said) if said.isascii() and said.isdigit() and int(said) < 1 << 32 else None

    def _beginning(self):
        return self.body[:QUOTED].decode("utf-8", "replace").strip()


def _no_transport(request):
    raise Error("unreachable", f"{request.url}: natively there is no network; see http.answering")


_transport = _no_transport


@contextlib.contextmanager
def answering(transport):
    """With a function from `Request` to `Response` in the network's place; for native tests."""
    global _transport
    before, _transport = _transport, transport
    try:
        yield
    finally:
        _transport = before
