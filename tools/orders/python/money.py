"""Amounts of money in whole cents. It does not know currencies."""

import re

# Three digits behind a single separator could be thousands or places: that is not read.
PLAIN = re.compile(r"([0-9]+|[0-9]{1,3}(?:'[0-9]{3})+)")
PLACES = re.compile(
    r"([0-9]+|[0-9]{1,3}(?:'[0-9]{3})+|[0-9]{1,3}(?:,[0-9]{3})+(?=\.)|[0-9]{1,3}(?:\.[0-9]{3})+(?=,))"
    r"[.,]([0-9]{1,2})"
)
MOST = (1 << 63) - 1


def parse(text):
    """Reads an amount: `12.5`, `12,50`, `1.234,56`, `1,234.56`, with or without a currency around
    it. `None` where it is not clear."""
    number = text.strip()
    around = lambda letter: letter.isalpha() or letter.isspace() or letter in "€$£¥"
    while number and around(number[0]):
        number = number[1:]
    while number and around(number[-1]):
        number = number[:-1]
    negative = number.startswith("-")
    digits = number.removeprefix("-")
    if found := PLACES.fullmatch(digits):
        whole, places = found.groups()
    elif found := PLAIN.fullmatch(digits):
        whole, places = found[1], ""
    else:
        return None
    cents = int(re.sub("[.,']", "", whole)[:20]) * 100 + int(places.ljust(2, "0"))
    if cents > MOST:
        return None
    return -cents if negative else cents


def show(cents):
    """An amount as a decimal number with two places."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02}"
