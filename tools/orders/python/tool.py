"""A shop's order system for agents: look up an order, check stock, ask for a refund.

The same tool as its neighbours in Rust and JavaScript, with the same cases. What agents get of the
shop's old answers is typed and clean, with a warning for everything that had to be guessed or left
out. It does not know who asks.
"""

import re
from dataclasses import dataclass
from typing import Annotated

import money
import toolhost
import upstream
from loose import Reader, as_json
from toolhost import ToolError, tool

Warnings = Annotated[list[str], "What the shop's answer left open or got wrong."]
AMOUNTS = ["total", "total_amount", "amount", "sum"]


@dataclass
class Item:
    """One line of an order."""

    sku: Annotated[str | None, "The article's number."]
    name: Annotated[str | None, "What it is called."]
    quantity: Annotated[int | None, "How many.", {"format": "int64"}]
    unit_price: Annotated[str | None, "The price of one, as a decimal number with two places."]


@dataclass
class Order:
    """An order as the shop knows it."""

    order_id: Annotated[str, "The order's number."]
    status: Annotated[
        str | None, "The shop's word for its state, in small letters: `paid`, `shipped`, ..."
    ]
    placed_at: Annotated[str | None, "When it was placed: an RFC 3339 time, or only its date."]
    customer: Annotated[str | None, "Who ordered."]
    total: Annotated[str | None, "The sum, as a decimal number with two places."]
    currency: Annotated[str | None, "ISO 4217 code of all amounts."]
    items: Annotated[list[Item], "What was ordered."]
    warnings: Warnings


@tool(read_only=True, idempotent=True, title="Look up an order")
def look_up(
    order_id: Annotated[
        str, "The order's number, as the customer has it: letters, digits, `-`, `_` and `.`."
    ],
) -> Order:
    """Looks up one order: its state, date, sum and items. Read `warnings` before relying on a value."""
    asked = upstream.identifier("order_id", order_id)
    warnings = []
    order = Reader(upstream.get(f"/orders/{asked}", ["order"]), warnings)
    found = order.text("order_id", ["order_id", "orderId", "id", "number"])
    status = order.text("status", ["status", "state"])
    dates = ["placed_at", "ordered_at", "created_at", "createdAt", "created", "date"]
    return Order(
        order_id=upstream.same("order", asked, found),
        status=status and status.lower(),
        placed_at=order.moment("placed_at", dates),
        customer=order.name("customer", ["customer", "customer_name", "buyer", "email"]),
        total=order.money("total", AMOUNTS),
        currency=order.currency(["currency"], AMOUNTS),
        items=order.list("items", ["items", "lines", "positions"], item),
        warnings=warnings,
    )


def item(line):
    return Item(
        sku=line.text("sku", ["sku", "article", "article_id", "product_id"]),
        name=line.optional_text(["name", "title", "description"]),
        quantity=line.integer("quantity", ["quantity", "qty", "count"]),
        unit_price=line.money("unit_price", ["unit_price", "unitPrice", "price"]),
    )


@dataclass
class Stock:
    """What is in stock of an article."""

    sku: Annotated[str, "The article's number."]
    available: Annotated[
        int | None,
        "How many are there; nothing where the shop does not say it in numbers.",
        {"format": "int64"},
    ]
    in_stock: Annotated[bool | None, "Whether at least one is there."]
    restock_at: Annotated[str | None, "When more will come: an RFC 3339 time, or only its date."]
    warnings: Warnings


@tool(read_only=True, idempotent=True, title="Check stock")
def check_stock(
    sku: Annotated[str, "The article's number: letters, digits, `-`, `_` and `.`."],
) -> Stock:
    """Checks how many of an article are in stock."""
    asked = upstream.identifier("sku", sku)
    warnings = []
    stock = Reader(upstream.get(f"/stock/{asked}", ["stock", "item"]), warnings)
    found = stock.text("sku", ["sku", "article", "id"])
    count = stock.integer("available", ["available", "quantity", "qty", "stock", "count"])
    flag = stock.flag(["in_stock", "inStock"])
    restock_at = stock.optional_moment(["restock_at", "restock", "next_delivery"])
    if count is not None and count < 0:
        warnings.append(f"`available` is negative ({count}); taken as 0")
        count = 0
    return Stock(
        sku=upstream.same("article", asked, found),
        available=count,
        in_stock=flag if count is None else count > 0,
        restock_at=restock_at,
        warnings=warnings,
    )


@dataclass
class Refund:
    """A refund the shop has taken note of."""

    refund_id: Annotated[str | None, "The refund's number."]
    order_id: Annotated[str, "The order it belongs to."]
    status: Annotated[
        str | None, "The shop's word for its state, in small letters: `accepted`, `pending`, ..."
    ]
    amount: Annotated[str | None, "What will be paid back, as a decimal number with two places."]
    warnings: Warnings


@tool(destructive=True, idempotent=False, title="Ask for a refund")
def refund(
    order_id: Annotated[str, "The order's number."],
    reason: Annotated[
        str,
        "Why, in a sentence; the shop's clerks read it.",
        {"minLength": 3, "maxLength": 500},
    ],
    amount: Annotated[
        str | None,
        "How much, as a decimal number such as `12.50`; the whole sum where it is missing.",
        {"pattern": r"^[0-9]{1,9}(\.[0-9]{1,2})?$"},
    ] = None,
) -> Refund:
    """Asks for a refund of an order, or of a part of its sum. Money moves: look the order up first,
    and do not ask again when the answer is unclear, look the order up instead."""
    asked = upstream.identifier("order_id", order_id)
    wanted = None if amount is None else wanted_amount(amount)
    request = {"order_id": asked, "reason": wanted_reason(reason)}
    if wanted is not None:
        request["amount"] = wanted
    warnings = []
    answer = Reader(upstream.post("/refunds", request, ["refund"]), warnings)
    refund_id = answer.text("refund_id", ["refund_id", "refundId", "id"])
    found = answer.optional_text(["order_id", "orderId", "order"])
    status = answer.text("status", ["status", "state"])
    granted = answer.money("amount", ["amount", "total", "refunded"])
    if wanted and granted and wanted != granted:
        warnings.append(f"asked for {wanted}, the shop says {granted}")
    return Refund(
        refund_id=refund_id,
        order_id=upstream.same("order", asked, found),
        status=status and status.lower(),
        amount=granted,
        warnings=warnings,
    )


def wanted_amount(text):
    cents = money.parse(text) if re.fullmatch("[0-9.]*", text) else None
    if not cents or cents < 0:
        raise ToolError.invalid_arguments(
            f"amount: {as_json(text)} is no positive amount; write it like `12.50`, or leave it "
            "out for the whole sum"
        )
    return money.show(cents)


def wanted_reason(reason):
    reason = reason.strip()
    if not 3 <= len(reason) <= 500:
        raise ToolError.invalid_arguments("reason: say why in 3 to 500 characters")
    return reason


Tools = toolhost.export(look_up, check_stock, refund)
