/**
 * A shop's order system for agents: look up an order, check stock, ask for a refund.
 *
 * The same tool as its neighbours in Rust and Python, with the same cases. What agents get of the
 * shop's old answers is typed and clean, with a warning for everything that had to be guessed or left
 * out. It does not know who asks.
 */
import {
  ToolError, array, boolean, integer, nullable, object, optional, serve, string, tool,
} from "toolhost";

import { Reader } from "./loose.js";
import * as money from "./money.js";
import * as upstream from "./upstream.js";

const AMOUNTS = ["total", "total_amount", "amount", "sum"];
const warnings_ = array(string(), "What the shop's answer left open or got wrong.");
const count = (description) => nullable(integer(description, { format: "int64" }));
const text = (description) => nullable(string(description));

const order = object({
  order_id: string("The order's number."),
  status: text("The shop's word for its state, in small letters: `paid`, `shipped`, ..."),
  placed_at: text("When it was placed: an RFC 3339 time, or only its date."),
  customer: text("Who ordered."),
  total: text("The sum, as a decimal number with two places."),
  currency: text("ISO 4217 code of all amounts."),
  items: array(
    object({
      sku: text("The article's number."),
      name: text("What it is called."),
      quantity: count("How many."),
      unit_price: text("The price of one, as a decimal number with two places."),
    }, "One line of an order."),
    "What was ordered.",
  ),
  warnings: warnings_,
});

export const lookUp = tool(
  {
    name: "look_up",
    title: "Look up an order",
    description:
      "Looks up one order: its state, date, sum and items. Read `warnings` before relying on a value.",
    readOnly: true,
    idempotent: true,
    args: {
      order_id: string("The order's number, as the customer has it: letters, digits, `-`, `_` and `.`."),
    },
    result: order,
  },
  ({ order_id }) => {
    const asked = upstream.identifier("order_id", order_id);
    const warnings = [];
    const answer = new Reader(upstream.get(`/orders/${asked}`, ["order"]), warnings);
    const found = answer.text("order_id", ["order_id", "orderId", "id", "number"]);
    const dates = ["placed_at", "ordered_at", "created_at", "createdAt", "created", "date"];
    return {
      order_id: upstream.same("order", asked, found),
      status: answer.text("status", ["status", "state"])?.toLowerCase() ?? null,
      placed_at: answer.moment("placed_at", dates),
      customer: answer.name("customer", ["customer", "customer_name", "buyer", "email"]),
      total: answer.money("total", AMOUNTS),
      currency: answer.currency(["currency"], AMOUNTS),
      items: answer.list("items", ["items", "lines", "positions"], item),
      warnings,
    };
  },
);

const item = (line) => ({
  sku: line.text("sku", ["sku", "article", "article_id", "product_id"]),
  name: line.optionalText(["name", "title", "description"]),
  quantity: line.integer("quantity", ["quantity", "qty", "count"]),
  unit_price: line.money("unit_price", ["unit_price", "unitPrice", "price"]),
});

export const checkStock = tool(
  {
    name: "check_stock",
    title: "Check stock",
    description: "Checks how many of an article are in stock.",
    readOnly: true,
    idempotent: true,
    args: { sku: string("The article's number: letters, digits, `-`, `_` and `.`.") },
    result: object({
      sku: string("The article's number."),
      available: count("How many are there; nothing where the shop does not say it in numbers."),
      in_stock: nullable(boolean("Whether at least one is there.")),
      restock_at: text("When more will come: an RFC 3339 time, or only its date."),
      warnings: warnings_,
    }),
  },
  ({ sku }) => {
    const asked = upstream.identifier("sku", sku);
    const warnings = [];
    const stock = new Reader(upstream.get(`/stock/${asked}`, ["stock", "item"]), warnings);
    const found = stock.text("sku", ["sku", "article", "id"]);
    let available = stock.integer("available", ["available", "quantity", "qty", "stock", "count"]);
    const flag = stock.flag(["in_stock", "inStock"]);
    const restock_at = stock.optionalMoment(["restock_at", "restock", "next_delivery"]);
    if (available !== null && available < 0) {
      warnings.push(`\`available\` is negative (${available}); taken as 0`);
      available = 0;
    }
    const in_stock = available === null ? flag : available > 0;
    return { sku: upstream.same("article", asked, found), available, in_stock, restock_at, warnings };
  },
);

export const refund = tool(
  {
    name: "refund",
    title: "Ask for a refund",
    description:
      "Asks for a refund of an order, or of a part of its sum. Money moves: look the order up first,\n" +
      "and do not ask again when the answer is unclear, look the order up instead.",
    destructive: true,
    idempotent: false,
    args: {
      order_id: string("The order's number."),
      reason: string("Why, in a sentence; the shop's clerks read it.", { minLength: 3, maxLength: 500 }),
      amount: optional(nullable(string(
        "How much, as a decimal number such as `12.50`; the whole sum where it is missing.",
        { pattern: "^[0-9]{1,9}(\\.[0-9]{1,2})?$" },
      ))),
    },
    result: object({
      refund_id: text("The refund's number."),
      order_id: string("The order it belongs to."),
      status: text("The shop's word for its state, in small letters: `accepted`, `pending`, ..."),
      amount: text("What will be paid back, as a decimal number with two places."),
      warnings: warnings_,
    }),
  },
  ({ order_id, reason, amount = null }) => {
    const asked = upstream.identifier("order_id", order_id);
    const wanted = amount === null ? null : wantedAmount(amount);
    const request = { order_id: asked, reason: wantedReason(reason) };
    if (wanted !== null) request.amount = wanted;
    const warnings = [];
    const answer = new Reader(upstream.post("/refunds", request, ["refund"]), warnings);
    const refund_id = answer.text("refund_id", ["refund_id", "refundId", "id"]);
    const found = answer.optionalText(["order_id", "orderId", "order"]);
    const status = answer.text("status", ["status", "state"])?.toLowerCase() ?? null;
    const granted = answer.money("amount", ["amount", "total", "refunded"]);
    if (wanted !== null && granted !== null && wanted !== granted) {
      warnings.push(`asked for ${wanted}, the shop says ${granted}`);
    }
    return { refund_id, order_id: upstream.same("order", asked, found), status, amount: granted, warnings };
  },
);

function wantedAmount(text) {
  const cents = /^[0-9.]*$/.test(text) ? money.parse(text) : null;
  if (cents === null || cents <= 0n) {
    throw ToolError.invalidArguments(
      `amount: ${JSON.stringify(text)} is no positive amount; write it like \`12.50\`, or leave it out ` +
        "for the whole sum",
    );
  }
  return money.show(cents);
}

function wantedReason(reason) {
  const words = reason.trim();
  const length = [...words].length;
  if (length < 3 || length > 500) throw ToolError.invalidArguments("reason: say why in 3 to 500 characters");
  return words;
}

export const tools = serve(lookUp, checkStock, refund);
