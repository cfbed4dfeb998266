//! The outside world of the demonstration, on loopback: a shop with a legacy order system, a web
//! page, and the paths of GitHub's API that the tool uses.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The token that the API demands. Only the host knows it: no tool ever holds it.
pub(super) const TOKEN: &str = "demo-token-8c1f0a52d94e";

/// Starts the upstream; it lives as long as the runtime.
pub(super) async fn start() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/docs/rate-limits.html", get(page))
        .route("/orders/{id}", get(order))
        .route("/stock/{sku}", get(stock))
        .route("/refunds", post(refund))
        .route("/search/issues", get(search_issues))
        .route("/repos/acme/app/issues/{number}", get(issue))
        .route(
            "/repos/acme/app/issues/{number}/comments",
            get(comments).post(comment),
        )
        .route("/repos/acme/app/contents/{*path}", get(contents))
        .route("/echo", get(echo))
        .with_state(Arc::from(TOKEN));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}

/// Sends back the headers it got: the way a careless upstream gives a credential away.
async fn echo(headers: HeaderMap) -> String {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or("?")))
        .collect()
}

/// Legacy in every way: numbers as text, fields that come and go, dates in two forms.
async fn order(Path(id): Path<String>) -> Response {
    match id.as_str() {
        "A-1001" => Json(json!({
            "order_id": "A-1001",
            "status": "SHIPPED",
            "customer": { "name": "Ada Byron", "email": "ada@example.org" },
            "items": [{ "sku": "LAMP-7", "qty": "2", "price": "19.90" }, { "sku": "BULB-3", "qty": 4, "price": 2.5 }],
            "total": "49.80",
            "currency": "EUR",
            "ordered_at": "2026-11-02T10:15:00Z",
        }))
        .into_response(),
        "A-1002" => Json(json!({ "order_id": "A-1002", "status": "new", "items": null, "total": 12, "ordered_at": "03.11.2026" }))
            .into_response(),
        // An error that says 200.
        "A-1003" => Json(json!({ "error": "ORA-01034: ORACLE not available" })).into_response(),
        _ => (StatusCode::NOT_FOUND, Json(json!({ "error": "no such order" }))).into_response(),
    }
}

async fn stock(Path(sku): Path<String>) -> Response {
    match sku.as_str() {
        "LAMP-7" => {
            Json(json!({ "sku": "LAMP-7", "available": "17", "warehouse": "HH" })).into_response()
        }
        _ => (StatusCode::NOT_FOUND, "not found").into_response(),
    }
}

async fn refund(Json(asked): Json<Value>) -> Response {
    let order = asked
        .get("order_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if order != "A-1001" {
        return (
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(json!({ "error": "order cannot be refunded" })),
        )
            .into_response();
    }
    (StatusCode::CREATED, Json(json!({ "refund_id": "R-77", "order_id": order, "status": "pending", "amount": asked.get("amount") })))
        .into_response()
}

/// The API answers only who proves who it is.
fn proven(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(header::AUTHORIZATION);
    sent.is_some_and(|sent| sent.as_bytes() == format!("Bearer {token}").as_bytes())
}

/// An answer for whoever proved who it is.
fn guarded(headers: &HeaderMap, token: &str, answer: Value) -> Response {
    if proven(headers, token) {
        Json(answer).into_response()
    } else {
        bad_credentials()
    }
}

fn bad_credentials() -> Response {
    let answer = Json(json!({ "message": "Bad credentials" }));
    (StatusCode::UNAUTHORIZED, answer).into_response()
}

fn issue_json(number: u64) -> Value {
    json!({
        "number": number,
        "title": "Login fails after an update",
        "state": "open",
        "body": "Since 2.4 the login page answers 500.",
        "html_url": format!("https://github.com/acme/app/issues/{number}"),
        "user": { "login": "octocat" },
        "labels": [{ "name": "bug" }],
        "comments": 1,
        "created_at": "2026-11-01T09:00:00Z",
        "updated_at": "2026-11-02T09:00:00Z",
        "repository_url": "https://api.github.com/repos/acme/app",
    })
}

fn comment_json(id: u64, body: &str) -> Value {
    json!({
        "id": id,
        "body": body,
        "user": { "login": "hubot" },
        "html_url": format!("https://github.com/acme/app/issues/42#issuecomment-{id}"),
        "created_at": "2026-11-02T09:00:00Z",
        "updated_at": "2026-11-02T09:00:00Z",
    })
}

async fn search_issues(State(token): State<Arc<str>>, headers: HeaderMap) -> Response {
    let found = json!({ "total_count": 1, "incomplete_results": false, "items": [issue_json(42)] });
    guarded(&headers, &token, found)
}

async fn issue(
    State(token): State<Arc<str>>,
    headers: HeaderMap,
    Path(number): Path<u64>,
) -> Response {
    guarded(&headers, &token, issue_json(number))
}

async fn comments(State(token): State<Arc<str>>, headers: HeaderMap) -> Response {
    guarded(&headers, &token, json!([comment_json(1, "I see it too.")]))
}

async fn comment(
    State(token): State<Arc<str>>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    if !proven(&headers, &token) {
        return bad_credentials();
    }
    let body = asked.get("body").and_then(Value::as_str);
    let written = comment_json(2, body.unwrap_or_default());
    (StatusCode::CREATED, Json(written)).into_response()
}

async fn contents(
    State(token): State<Arc<str>>,
    headers: HeaderMap,
    Path(path): Path<String>,
) -> Response {
    use base64::Engine as _;
    let text = "# app\n\nThe shop's web front.\n";
    let file = json!({
        "type": "file",
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": "3d21ec53a331a6f037a91c368710b99387d012c1",
        "encoding": "base64",
        "size": text.len(),
        "content": base64::engine::general_purpose::STANDARD.encode(text),
        "html_url": "https://github.com/acme/app/blob/main/README.md",
    });
    guarded(&headers, &token, file)
}
