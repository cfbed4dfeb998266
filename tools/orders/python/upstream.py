"""Talking to the shop: where it is, what it answers, what its errors mean. It does not know orders."""

import json
import os
import re

from loose import as_json
from toolhost import Code, ToolError, http

# Where the shop is when the manifest says nothing (`env.SHOP_URL`).
DEFAULT_URL = "http://127.0.0.1:8080"
# What an error inside an answer means, by the words in it; the first that fits.
WORDS = [
    (Code.NOT_FOUND, ["not found", "not_found", "notfound", "unknown", "no such", "does not exist", "404"]),
    (Code.RATE_LIMITED, ["too many", "rate limit", "429"]),
    (Code.UNAVAILABLE, ["timeout", "timed out", "busy", "try again", "maintenance", "unavailable", "503"]),
    (Code.DENIED, ["forbidden", "not allowed", "already refunded", "denied", "403"]),
]


def get(path, wrappers):
    """Asks for a path. `wrappers` are the names under which the answer's object may be put."""
    return exchange(http.get(url(path)), wrappers)


def post(path, body, wrappers):
    """Sends JSON to a path."""
    try:
        return exchange(http.post(url(path)).json_content(body), wrappers)
    except ToolError as error:
        if error.code != Code.UNAVAILABLE:
            raise
        # Whether it was done is not known, so "the same call may work later" would be a trap.
        raise ToolError.failed(
            "it is not known whether the shop took the request; look the order up before asking "
            f"again: {error.message}"
        ) from error


def url(path):
    return os.environ.get("SHOP_URL", DEFAULT_URL).rstrip("/") + path


def exchange(request, wrappers):
    response = request.header("accept", "application/json").send()
    if response.status >= 400:
        raise refused(response)
    body = body_of(response)
    complaint = complaint_of(body)
    if complaint:
        said, code = complaint
        everything = f"{code} {said}".lower()
        meant = (code for code, words in WORDS if any(word in everything for word in words))
        raise ToolError(next(meant, Code.FAILED), f"the shop says: {said}")
    for name in ["data", "result", *wrappers]:
        if isinstance(body.get(name), dict):
            body = body[name]
    return body


def body_of(response):
    """The body as a JSON object."""
    text = response.text().lstrip("\ufeff").strip()
    if text.startswith("<"):
        raise ToolError.unavailable(
            "the shop answered with a web page in place of data; that is what it does in "
            "maintenance, try again later"
        )
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if cut_off(text):
            raise ToolError.unavailable("the shop's answer is cut off; try again later") from None
        raise ToolError.failed(f"the shop's answer is no JSON: {error}") from None
    # Lists of one are how the old interface answers some lookups.
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], dict):
            return value[0]
        raise ToolError.failed("the shop answered with a list where one thing was asked for")
    if not isinstance(value, dict):
        raise ToolError.failed("the shop answered with JSON that is no object")
    return value


def cut_off(text):
    """Whether an object or a list, or a text in it, is still open where it ends."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", text, flags=re.DOTALL)
    opened = len(re.findall(r"[\[{]", bare)) > len(re.findall(r"[\]}]", bare))
    return not text or (text[0] in "[{" and ('"' in bare or opened))


def complaint_of(body):
    """What an answer complains of, whatever its status, and a code beside it: `{"error": ...}`,
    `{"success": false}`, ..."""
    status = body.get("status")
    unsuccessful = (
        body.get("success") is False
        or body.get("ok") is False
        or (isinstance(status, str) and status.lower() == "error")
    )
    error = body["error"] if "error" in body else body.get("errors")
    code = beside(body, ["code", "error_code"])
    if isinstance(error, dict):
        said = words_of(error["message"] if "message" in error else error.get("code"))
        code = words_of(error.get("code"))
    elif isinstance(error, list):
        said = words_of(error[0]) if error else None
    else:
        said = "" if error is True else words_of(error)
    if said is None and not unsuccessful:
        return None
    said = said or beside(body, ["message", "detail", "reason"])
    return said or "an error without a word about it", code or ""


def beside(body, names):
    return next((words for name in names if (words := words_of(body.get(name)))), None)


def words_of(value):
    if isinstance(value, str):
        return value.strip() or None
    return as_json(value) if type(value) in (int, float) else None


def refused(response):
    """A status that is an error: the shop's own words where it has any, never its web page."""
    try:
        complaint = complaint_of(body_of(response))
    except ToolError:
        complaint = None
    status = response.status
    try:
        http.Response(status, b"", response.headers).raise_for_status()
    except ToolError as error:
        code, retry_after = error.code, error.retry_after
    code = {400: Code.INVALID_ARGUMENTS, 422: Code.INVALID_ARGUMENTS, 409: Code.DENIED}.get(status, code)
    if complaint:
        message = f"the shop answered with status {status} and says: {complaint[0]}"
    elif status >= 500:
        message = f"the shop failed with status {status}; try again later"
    else:
        message = f"the shop answered with status {status}"
    return ToolError(code, message, retry_after=retry_after)


def identifier(argument, text):
    """A name that may stand in a path."""
    name = text.strip()
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) and re.search("[A-Za-z0-9]", name):
        return name
    raise ToolError.invalid_arguments(
        f"{argument}: {as_json(name)} is no number of the shop; use 1 to 64 letters, digits, "
        "`-`, `_` and `.`"
    )


def same(what, asked, found):
    """Refuses an answer about something else than was asked for."""
    if found is not None and found.lower() != asked.lower():
        raise ToolError.failed(
            f"the shop answered with {what} {as_json(found)} when asked for {as_json(asked)}; "
            "try again, and tell a person if it stays so"
        )
    return asked
