//! A shop's order system for agents: look up an order, check stock, ask for a refund.
//!
//! The system behind it is old: it is slow, answers errors with status 200, sends numbers as text,
//! dates in several notations and sometimes a web page. What agents get is typed and clean, with a
//! warning for everything that had to be guessed or left out. It does not know who asks.

mod loose;
mod moment;
mod money;
mod upstream;

use loose::Reader;
use toolhost_sdk::{JsonSchema, ToolError, tool};

/// An order as the shop knows it.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
struct Order {
    /// The order's number.
    order_id: String,
    /// The shop's word for its state, in small letters: `paid`, `shipped`, ...
    status: Option<String>,
    /// When it was placed: an RFC 3339 time, or only its date.
    placed_at: Option<String>,
    /// Who ordered.
    customer: Option<String>,
    /// The sum, as a decimal number with two places.
    total: Option<String>,
    /// ISO 4217 code of all amounts.
    currency: Option<String>,
    /// What was ordered.
    items: Vec<Item>,
    /// What the shop's answer left open or got wrong.
    warnings: Vec<String>,
}

/// One line of an order.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
struct Item {
    /// The article's number.
    sku: Option<String>,
    /// What it is called.
    name: Option<String>,
    /// How many.
    quantity: Option<i64>,
    /// The price of one, as a decimal number with two places.
    unit_price: Option<String>,
}

/// Looks up one order: its state, date, sum and items. Read `warnings` before relying on a value.
#[tool(read_only, idempotent, title = "Look up an order")]
fn look_up(
    /// The order's number, as the customer has it: letters, digits, `-`, `_` and `.`.
    order_id: String,
) -> Result<Order, ToolError> {
    let asked = upstream::identifier("order_id", &order_id)?;
    let answer = upstream::get(&format!("/orders/{asked}"), &["order"])?;
    let mut warnings = Vec::new();
    let mut order = Reader::new(&answer, &mut warnings);
    let found = order.text("order_id", &["order_id", "orderId", "id", "number"]);
    let status = order.text("status", &["status", "state"]);
    let placed_at = order.moment(
        "placed_at",
        &[
            "placed_at",
            "ordered_at",
            "created_at",
            "createdAt",
            "created",
            "date",
        ],
    );
    let customer = order.name("customer", &["customer", "customer_name", "buyer", "email"]);
    let total = order.money("total", &["total", "total_amount", "amount", "sum"]);
    let currency = order.currency(&["currency"], &["total", "total_amount", "amount", "sum"]);
    let items = order.list("items", &["items", "lines", "positions"], item);
    Ok(Order {
        order_id: upstream::same("order", asked, found)?,
        status: status.map(|status| status.to_lowercase()),
        placed_at,
        customer,
        total,
        currency,
        items,
        warnings,
    })
}

fn item(line: &mut Reader<'_>) -> Item {
    Item {
        sku: line.text("sku", &["sku", "article", "article_id", "product_id"]),
        name: line.optional_text(&["name", "title", "description"]),
        quantity: line.integer("quantity", &["quantity", "qty", "count"]),
        unit_price: line.money("unit_price", &["unit_price", "unitPrice", "price"]),
    }
}

/// What is in stock of an article.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
struct Stock {
    /// The article's number.
    sku: String,
    /// How many are there; nothing where the shop does not say it in numbers.
    available: Option<i64>,
    /// Whether at least one is there.
    in_stock: Option<bool>,
    /// When more will come: an RFC 3339 time, or only its date.
    restock_at: Option<String>,
    /// What the shop's answer left open or got wrong.
    warnings: Vec<String>,
}

/// Checks how many of an article are in stock.
#[tool(read_only, idempotent, title = "Check stock")]
fn check_stock(
    /// The article's number: letters, digits, `-`, `_` and `.`.
    sku: String,
) -> Result<Stock, ToolError> {
    let asked = upstream::identifier("sku", &sku)?;
    let answer = upstream::get(&format!("/stock/{asked}"), &["stock", "item"])?;
    let mut warnings = Vec::new();
    let mut stock = Reader::new(&answer, &mut warnings);
    let found = stock.text("sku", &["sku", "article", "id"]);
    let count = stock.integer(
        "available",
        &["available", "quantity", "qty", "stock", "count"],
    );
    let flag = stock.flag(&["in_stock", "inStock"]);
    let restock_at = stock.optional_moment(&["restock_at", "restock", "next_delivery"]);
    let available = match count {
        Some(count) if count < 0 => {
            warnings.push(format!("`available` is negative ({count}); taken as 0"));
            Some(0)
        }
        other => other,
    };
    Ok(Stock {
        sku: upstream::same("article", asked, found)?,
        available,
        in_stock: available.map(|count| count > 0).or(flag),
        restock_at,
        warnings,
    })
}

/// A refund the shop has taken note of.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
struct Refund {
    /// The refund's number.
    refund_id: Option<String>,
    /// The order it belongs to.
    order_id: String,
    /// The shop's word for its state, in small letters: `accepted`, `pending`, ...
    status: Option<String>,
    /// What will be paid back, as a decimal number with two places.
    amount: Option<String>,
    /// What the shop's answer left open or got wrong.
    warnings: Vec<String>,
}

/// Asks for a refund of an order, or of a part of its sum. Money moves: look the order up first,
/// and do not ask again when the answer is unclear, look the order up instead.
#[tool(destructive, idempotent = false, title = "Ask for a refund")]
fn refund(
    /// The order's number.
    order_id: String,
    /// Why, in a sentence; the shop's clerks read it.
    #[schemars(length(min = 3, max = 500))]
    reason: String,
    /// How much, as a decimal number such as `12.50`; the whole sum where it is missing.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"))]
    amount: Option<String>,
) -> Result<Refund, ToolError> {
    let asked = upstream::identifier("order_id", &order_id)?;
    let wanted = amount.as_deref().map(wanted_amount).transpose()?;
    let request = RefundRequest {
        order_id: asked,
        reason: wanted_reason(&reason)?,
        amount: wanted.as_deref(),
    };
    let answer = upstream::post("/refunds", &request, &["refund"])?;
    let mut warnings = Vec::new();
    let mut refund = Reader::new(&answer, &mut warnings);
    let refund_id = refund.text("refund_id", &["refund_id", "refundId", "id"]);
    let found = refund.optional_text(&["order_id", "orderId", "order"]);
    let status = refund.text("status", &["status", "state"]);
    let granted = refund.money("amount", &["amount", "total", "refunded"]);
    if let (Some(wanted), Some(granted)) = (&wanted, &granted)
        && wanted != granted
    {
        warnings.push(format!("asked for {wanted}, the shop says {granted}"));
    }
    Ok(Refund {
        refund_id,
        order_id: upstream::same("order", asked, found)?,
        status: status.map(|status| status.to_lowercase()),
        amount: granted,
        warnings,
    })
}

/// What the shop's refund endpoint takes.
#[derive(serde::Serialize)]
struct RefundRequest<'a> {
    order_id: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<&'a str>,
}

fn wanted_amount(text: &str) -> Result<String, ToolError> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let cents = if plain { money::parse(text) } else { None };
    match cents {
        Some(cents) if cents > 0 => Ok(money::show(cents)),
        _ => Err(ToolError::invalid_arguments(format_args!(
            "amount: {text:?} is no positive amount; write it like `12.50`, or leave it out for the whole sum"
        ))),
    }
}

fn wanted_reason(reason: &str) -> Result<&str, ToolError> {
    let reason = reason.trim();
    if (3..=500).contains(&reason.chars().count()) {
        Ok(reason)
    } else {
        Err(ToolError::invalid_arguments(
            "reason: say why in 3 to 500 characters",
        ))
    }
}

toolhost_sdk::export!(look_up, check_stock, refund);

#[cfg(test)]
mod tests;
