"""Values out of an object that keeps no promise about its fields. It knows what a field may look
like and writes a warning for what it cannot use; it does not know what the object is."""

import json
import re

import moment
import money

# More items than any order has; the rest is left out with a warning.
MOST_ITEMS = 200


class Reader:
    """Reads fields of one object, each under any of several names. `within` stands before a
    field's name in a warning."""

    def __init__(self, values, warnings, within=""):
        self.values = values
        self.warnings = warnings
        self.within = within

    def find(self, names):
        """The first of the names that has a value; an empty text is none."""
        for name in names:
            value = self.values.get(name)
            if value is not None and not (isinstance(value, str) and not value.strip()):
                return value
        return None

    def find_or_warn(self, field, names):
        value = self.find(names)
        if value is None:
            self.warn(field, "is missing")
        return value

    def warn(self, field, what):
        self.warnings.append(f"`{self.within}{field}` {what}")

    def readable(self, field, value, read):
        """What was read, or a warning that a value that was there says nothing usable."""
        if value is not None and read is None:
            shown = as_json(value)
            shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
            self.warn(field, f"cannot be read: {shown}")
        return read

    def text(self, field, names):
        """A text, or a number as text."""
        value = self.find_or_warn(field, names)
        return self.readable(field, value, as_text(value))

    def optional_text(self, names):
        """The same where its absence is nothing to warn of."""
        return as_text(self.find(names))

    def name(self, field, names):
        """A text, or the `name` (or else the `email`) of an object."""
        value = self.find_or_warn(field, names)
        if isinstance(value, dict):
            named = [as_text(value.get(name)) for name in ("name", "full_name", "email")]
            return self.readable(field, value, next((one for one in named if one is not None), None))
        return self.readable(field, value, as_text(value))

    def integer(self, field, names):
        """A whole number, also one written as text."""
        value = self.find_or_warn(field, names)
        return self.readable(field, value, whole(value))

    def flag(self, names):
        """Yes or no in the ways there are; nothing where it is missing."""
        value = self.find(names)
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value != 0
        word = value.strip().lower() if isinstance(value, str) else None
        if word in ("true", "yes", "y", "1"):
            return True
        return False if word in ("false", "no", "n", "0") else None

    def money(self, field, names):
        """An amount of money, also one written as text or as the `amount` of an object."""
        value = self.find_or_warn(field, names)
        amount = value
        if isinstance(value, dict):
            amount = value["amount"] if "amount" in value else value.get("value")
        text = as_text(amount)
        cents = None if text is None else money.parse(text)
        return self.readable(field, value, None if cents is None else money.show(cents))

    def currency(self, names, amounts):
        """A currency of its own, or one that stands within an amount."""
        code = as_text(self.find(names))
        if code is None:
            amount = self.find(amounts)
            if isinstance(amount, dict):
                code = as_text(amount.get("currency"))
            elif isinstance(amount, str):
                code = currency_of(amount)
        if code is None:
            self.warn("currency", "is missing")
            return None
        code = code.strip().upper()
        return self.readable("currency", code, code if re.fullmatch("[A-Z]{3}", code) else None)

    def moment(self, field, names):
        """A point in time."""
        return self._moment_of(field, self.find_or_warn(field, names))

    def optional_moment(self, names):
        """The same where its absence is nothing to warn of; the first name is the field's."""
        return self._moment_of(names[0], self.find(names))

    def _moment_of(self, field, value):
        if isinstance(value, str):
            shown, sort = moment.parse(value)
        else:
            number = whole(value)
            shown, sort = moment.NOTHING if number is None else moment.unix(number)
        if sort == moment.AMBIGUOUS:
            self.warn(field, f"could be two dates: {as_json(value)}")
            return None
        if sort == moment.NO_ZONE:
            self.warn(field, "has no time zone; taken as UTC")
        return self.readable(field, value, shown)

    def list(self, field, names, read):
        """The objects of a list; what is no object is left out."""
        values = self.find_or_warn(field, names)
        if not isinstance(values, list):
            self.readable(field, values, None)
            return []
        if len(values) > MOST_ITEMS:
            self.warn(field, f"has {len(values)} entries, the first {MOST_ITEMS} are here")
        items = []
        for index, value in enumerate(values[:MOST_ITEMS]):
            if isinstance(value, dict):
                items.append(read(Reader(value, self.warnings, f"{field}[{index}].")))
            else:
                self.warn(f"{field}[{index}]", f"cannot be read: {as_json(value)[:60]}")
        return items


def as_json(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def as_text(value):
    if isinstance(value, str):
        return value.strip()
    return as_json(value) if type(value) in (int, float) else None


def whole(value):
    """A whole number, also one written as `3.0` or as text."""
    text = as_text(value)
    if text is None or not (found := re.fullmatch(r"([+-]?[0-9]{1,19})(?:\.0*)?", text)):
        return None
    number = int(found[1])
    return number if -(1 << 63) <= number < 1 << 63 else None


def currency_of(amount):
    letters = "".join(re.findall("[A-Za-z]", amount))
    if len(letters) == 3:
        return letters
    return "EUR" if "€" in amount else "GBP" if "£" in amount else None
