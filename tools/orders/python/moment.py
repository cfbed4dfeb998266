"""Points in time in the notations an old system mixes. It does not know the present.

A text is read as a pair: what it says in RFC 3339 (a time or only a date), or `None`, and one of
`CLEAR`, `NO_ZONE`, `AMBIGUOUS`, `UNREADABLE`.
"""

import re
from datetime import UTC, date, datetime, timedelta

CLEAR, NO_ZONE, AMBIGUOUS, UNREADABLE = "clear", "no zone", "ambiguous", "unreadable"
NOTHING = (None, UNREADABLE)

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
RFC2822 = re.compile(
    rf"(?:[A-Z][a-z]{{2}}, )?(\d\d?) ({'|'.join(MONTHS)}) (\d{{4}}) (\d\d):(\d\d)(?::(\d\d))? "
    r"(GMT|UT|Z|[+-]\d{4})", re.ASCII
)
ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?", re.ASCII)
GERMAN = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})[T ](\d\d):(\d\d)", re.ASCII)
DATE = re.compile(r"(\d{1,4})([-./])(\d{1,2})\2(\d{1,4})", re.ASCII)


def parse(text):
    """Reads a text."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return unix(int(text)) if len(text) < 19 else NOTHING
    if found := RFC3339.fullmatch(text):
        *parts, fraction, zone = found.groups()
        return _time(*parts, zone=zone.upper(), fraction=(fraction or "").rstrip("0").rstrip("."))
    if found := RFC2822.fullmatch(text):
        day, month, year, hour, minute, second, zone = found.groups()
        zone = f"{zone[:3]}:{zone[3:]}" if zone[0] in "+-" else "Z"
        return _time(year, MONTHS.index(month) + 1, day, hour, minute, second, zone=zone)
    if found := ISO.fullmatch(text):
        return _time(*found.groups(), sort=NO_ZONE)
    if found := GERMAN.fullmatch(text):
        day, month, year, hour, minute = found.groups()
        return _time(year, month, day, hour, minute, sort=NO_ZONE)
    return _date(text)


def unix(number):
    """Seconds since 1970, or milliseconds where seconds would be after the year 5138."""
    seconds = number // 1000 if number >= 100_000_000_000 else number
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return NOTHING
    return moment.strftime(f"{moment.year:04}-%m-%dT%H:%M:%SZ"), CLEAR


def _time(year, month, day, hour, minute, second=None, zone="Z", fraction="", sort=CLEAR):
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
    except ValueError:
        return NOTHING
    zone = "Z" if zone[1:] == "00:00" else zone
    return f"{moment.isoformat()}{fraction}{zone}", sort


def _date(text):
    """`2026-11-03`, `03.11.2026` or one with slashes."""
    found = DATE.fullmatch(text)
    if not found:
        return NOTHING
    a, separator, b, c = found.groups()
    a, b, c = int(a), int(b), int(c)
    if separator == "-" or (separator == "/" and a > 31):
        return _day(a, b, c)
    if separator == "." or a > 12 or a == b:
        return _day(c, b, a)
    return _day(c, a, b) if b > 12 else (None, AMBIGUOUS)


def _day(year, month, day):
    try:
        return (date(year, month, day).isoformat(), CLEAR) if 1970 <= year <= 2200 else NOTHING
    except ValueError:
        return NOTHING
