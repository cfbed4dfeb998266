//! The three functions against canned answers of the shop.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;
use toolhost_sdk::Code;
use toolhost_sdk::http::{Error, ErrorCode, Response, with_transport};

use super::*;

fn answering<R>(status: u16, body: impl ToString, f: impl FnOnce() -> R) -> R {
    let body = body.to_string();
    with_transport(
        move |_| Ok(Response::new(status).with_body(body.clone())),
        f,
    )
}

fn order_from(status: u16, body: impl ToString) -> Result<Order, ToolError> {
    answering(status, body, || look_up("A-1".to_owned()))
}

fn code_of(status: u16, body: impl ToString) -> Code {
    order_from(status, body).unwrap_err().code
}

#[test]
fn a_clean_order_has_no_warnings() {
    let order = order_from(
        200,
        json!({
            "order_id": "A-1", "status": "Shipped", "placed_at": "2026-11-03T10:00:00Z",
            "customer": { "name": "Ada" }, "total": 25.0, "currency": "EUR",
            "items": [{ "sku": "S1", "name": "Cup", "quantity": 2, "unit_price": 12.5 }],
        }),
    )
    .unwrap();
    assert_eq!(order.warnings, Vec::<String>::new());
    assert_eq!(order.status.as_deref(), Some("shipped"));
    assert_eq!(order.total.as_deref(), Some("25.00"));
    assert_eq!(order.customer.as_deref(), Some("Ada"));
    assert_eq!(order.items[0].unit_price.as_deref(), Some("12.50"));
}

#[test]
fn a_messy_order_is_cleaned_and_says_so() {
    let order = order_from(
        200,
        json!({ "data": { "order": {
            "id": "a-1", "state": "PAID", "date": "03/11/2026", "total": "1.234,56 EUR",
            "lines": [{ "article": 7, "qty": "3", "price": "free" }, null],
        }}}),
    )
    .unwrap();
    assert_eq!(order.total.as_deref(), Some("1234.56"));
    assert_eq!(order.currency.as_deref(), Some("EUR"));
    assert_eq!(order.items[0].quantity, Some(3));
    assert_eq!(
        order.warnings,
        [
            "`placed_at` could be two dates: \"03/11/2026\"",
            "`customer` is missing",
            "`items[0].unit_price` cannot be read: \"free\"",
            "`items[1]` cannot be read: null",
        ]
    );
}

#[test]
fn an_empty_answer_is_all_warnings() {
    let order = order_from(200, "{}").unwrap();
    assert_eq!(order.order_id, "A-1");
    assert_eq!(order.warnings.len(), 7);
}

#[test]
fn errors_are_told_apart_wherever_they_stand() {
    assert_eq!(code_of(404, "{}"), Code::NotFound);
    assert_eq!(
        code_of(200, json!({ "error": "order not found" })),
        Code::NotFound
    );
    assert_eq!(
        code_of(200, json!({ "success": false, "message": "DB timeout" })),
        Code::Unavailable
    );
    assert_eq!(
        code_of(200, json!({ "status": "error", "code": 429 })),
        Code::RateLimited
    );
    assert_eq!(
        code_of(200, json!({ "error": { "code": "E17", "message": "odd" } })),
        Code::Failed
    );
    assert_eq!(code_of(500, "<html>boom</html>"), Code::Unavailable);
    assert_eq!(
        code_of(200, "<!doctype html><title>Maintenance</title>"),
        Code::Unavailable
    );
    assert_eq!(
        code_of(200, r#"{"order_id": "A-1", "sta"#),
        Code::Unavailable
    );
    assert_eq!(code_of(200, "OK"), Code::Failed);
    assert_eq!(code_of(200, "[]"), Code::Failed);
}

#[test]
fn a_failure_is_worded_without_the_shops_page() {
    let error = order_from(500, "<html>stack trace</html>").unwrap_err();
    assert_eq!(
        error.message,
        "the shop failed with status 500; try again later"
    );
    let error = order_from(400, json!({ "error": "bad number" })).unwrap_err();
    assert_eq!(error.code, Code::InvalidArguments);
    assert_eq!(
        error.message,
        "the shop answered with status 400 and says: bad number"
    );
}

#[test]
fn another_orders_data_is_never_passed_on() {
    let error = order_from(200, json!({ "order_id": "B-2", "status": "paid" })).unwrap_err();
    assert_eq!(error.code, Code::Failed);
}

#[test]
fn a_number_that_would_change_the_path_is_refused_before_any_request() {
    for id in ["", "..", "a/b", "a?b", "a b", "ü", &"x".repeat(65)] {
        let answer = with_transport(|_| panic!("asked"), || look_up(id.to_owned()));
        assert_eq!(answer.unwrap_err().code, Code::InvalidArguments, "{id}");
    }
}

#[test]
fn stock_is_read_from_counts_and_flags() {
    let stock =
        |body: serde_json::Value| answering(200, body, || check_stock("S1".to_owned())).unwrap();
    let counted = stock(json!({ "sku": "S1", "available": "12" }));
    assert_eq!(
        (counted.available, counted.in_stock),
        (Some(12), Some(true))
    );
    let flagged = stock(json!({ "sku": "S1", "in_stock": "no" }));
    assert_eq!((flagged.available, flagged.in_stock), (None, Some(false)));
    let negative = stock(json!({ "sku": "S1", "stock": -2 }));
    assert_eq!(
        (negative.available, negative.in_stock),
        (Some(0), Some(false))
    );
    assert_eq!(negative.warnings.len(), 1);
}

#[test]
fn a_refund_sends_what_was_asked() {
    let shop = |request: &toolhost_sdk::http::Request| {
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("POST", "http://127.0.0.1:8080/refunds")
        );
        let body: serde_json::Value =
            serde_json::from_slice(request.body.as_deref().unwrap()).unwrap();
        assert_eq!(
            body,
            json!({ "order_id": "A-1", "reason": "broken cup", "amount": "12.50" })
        );
        Ok(Response::new(201)
            .with_body(json!({ "refund_id": 9, "status": "Pending", "amount": 12.0 }).to_string()))
    };
    let call = || {
        refund(
            "A-1".to_owned(),
            " broken cup ".to_owned(),
            Some("12.5".to_owned()),
        )
    };
    let refund = with_transport(shop, call).unwrap();
    assert_eq!(refund.refund_id.as_deref(), Some("9"));
    assert_eq!(refund.status.as_deref(), Some("pending"));
    assert_eq!(refund.warnings, ["asked for 12.50, the shop says 12.00"]);
}

#[test]
fn an_unclear_refund_is_never_offered_for_a_retry() {
    let shop =
        |_: &toolhost_sdk::http::Request| Err(Error::new(ErrorCode::Timeout, "no answer in 10 s"));
    let call = || refund("A-1".to_owned(), "broken cup".to_owned(), None);
    let error = with_transport(shop, call).unwrap_err();
    assert_eq!(error.code, Code::Failed);
    assert!(
        error.message.contains("look the order up"),
        "{}",
        error.message
    );
}

#[test]
fn a_refund_of_nothing_is_refused_before_any_request() {
    for amount in ["0", "-5", "1e3", "twelve", "12.345", "EUR 5"] {
        let call = || {
            refund(
                "A-1".to_owned(),
                "broken cup".to_owned(),
                Some(amount.to_owned()),
            )
        };
        let error = with_transport(|_| panic!("asked"), call).unwrap_err();
        assert_eq!(error.code, Code::InvalidArguments, "{amount}");
    }
    let call = || refund("A-1".to_owned(), " ".to_owned(), None);
    let error = with_transport(|_| panic!("asked"), call).unwrap_err();
    assert_eq!(error.code, Code::InvalidArguments);
}
