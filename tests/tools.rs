//! The six tools, each called for real: through the host, with its grants, against an upstream on
//! loopback or a folder.

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use toolhost_core::terms::{Content, Outcome, ToolErrorCode};

use crate::harness::{End, House, Seen, Site, Upstream, text_response, tool_error};

/// Says that a call went well and that its answer, structured or not, holds these words.
fn holds(end: &End, words: &[&str]) {
    let Ok(Outcome::Output(output)) = end else {
        panic!("no result: {end:?}")
    };
    let mut whole = output
        .structured
        .as_ref()
        .map(Value::to_string)
        .unwrap_or_default();
    for content in &output.contents {
        if let Content::Text(text) = content {
            whole.push_str(text);
        }
    }
    for word in words {
        assert!(whole.contains(word), "no {word:?} in {whole}");
    }
}

fn json_response(status: u16, value: &Value) -> Response<Body> {
    typed(status, "application/json", value.to_string())
}

fn typed(status: u16, kind: &'static str, body: String) -> Response<Body> {
    let mut response = text_response(status, body);
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A grant to ask this of the upstream.
fn grant(up: &Upstream, section: &str, rules: &str) -> String {
    format!(
        "[tool.{section}]\nurl = \"http://{}\"\nallow = [{rules}]\nprivate = [\"127.0.0.0/8\"]\n",
        up.address
    )
}

#[tokio::test]
async fn fetch_gives_a_page_as_markdown() {
    let up = Upstream::start(|_: &Seen| {
        let page = "<html><head><title>Limits</title></head><body><main><h1>Rate limits</h1><p>At most <strong>60 requests</strong>.</p></main><script>track()</script></body></html>";
        Some(typed(200, "text/html", page.to_owned()))
    })
    .await;
    let text = format!(
        "[tool.fetch]\ncomponent = \"fetch.wasm\"\n{}",
        grant(&up, "fetch.http.docs", "\"GET /docs/**\"")
    );
    let house = House::at(Site::with_tools(), &text);
    let end = house
        .call("fetch_get", json!({ "url": up.url("/docs/limits.html") }))
        .await;
    holds(&end, &["# Rate limits", "**60 requests**"]);
    let denied = house
        .call("fetch_get", json!({ "url": up.url("/private") }))
        .await;
    assert_eq!(tool_error(&denied).code, ToolErrorCode::Denied);
}

#[tokio::test]
async fn files_lists_reads_searches_and_writes_where_it_may() {
    let site = Site::with_tools();
    site.write("notes/standup.md", "Ask about the lamp order.\n");
    site.write("drafts/old.md", "old");
    let house = House::at(
        site,
        r#"
[tool.files]
component = "files.wasm"
[tool.files.dir.notes]
host = "notes"
guest = "/notes"
access = "read"
[tool.files.function.write.dir.drafts]
host = "drafts"
guest = "/drafts"
access = "read-write"
"#,
    );
    holds(
        &house.call("files_list", json!({ "path": "/notes" })).await,
        &["standup.md"],
    );
    let path = json!({ "path": "/notes/standup.md" });
    holds(&house.call("files_read", path).await, &["lamp order"]);
    let found = house
        .call("files_search", json!({ "path": "/notes", "query": "lamp" }))
        .await;
    holds(&found, &["standup.md"]);

    let write = |path: &str| json!({ "path": path, "text": "new" });
    let written = house.call("files_write", write("/drafts/new.md")).await;
    assert!(matches!(written, Ok(Outcome::Output(_))), "{written:?}");
    assert_eq!(house.site.read("drafts/new.md"), "new");
    tool_error(&house.call("files_write", write("/notes/new.md")).await);
    // What one function may write, another does not even see.
    tool_error(
        &house
            .call("files_read", json!({ "path": "/drafts/old.md" }))
            .await,
    );
}

#[tokio::test]
async fn table_groups_and_sums() {
    let site = Site::with_tools();
    site.write(
        "data/sales.csv",
        "product,revenue\nLAMP-7,59.70\nBULB-3,100.00\nLAMP-7,19.90\n",
    );
    let house = House::at(
        site,
        r#"
[tool.table]
component = "table.wasm"
[tool.table.dir.data]
host = "data"
guest = "/data"
access = "read"
"#,
    );
    let query = json!({
        "path": "/data/sales.csv",
        "group_by": ["product"],
        "aggregates": [{ "op": "sum", "column": "revenue", "as": "revenue" }],
        "sort": [{ "column": "revenue", "descending": true }],
    });
    holds(
        &house.call("table_query", query).await,
        &["LAMP-7", "79.6", "BULB-3"],
    );
    let described = house
        .call("table_describe", json!({ "path": "/data/sales.csv" }))
        .await;
    holds(&described, &["product", "revenue"]);
}

#[tokio::test]
async fn jq_filters_and_pays_for_what_does_not_end() {
    let text = "[tool.jq]\ncomponent = \"jq.wasm\"\nlimits = { fuel = 50_000_000 }\n";
    let house = House::at(Site::with_tools(), text);
    let input = json!({ "items": [{ "price": 2 }, { "price": 3 }] });
    let sum = json!({ "filter": ".items | map(.price) | add", "input": input });
    holds(&house.call("jq_run", sum).await, &["5"]);
    let endless = json!({ "filter": "[range(1; infinite)] | length", "input": null });
    let end = house.call("jq_run", endless).await;
    assert!(!matches!(end, Ok(Outcome::Output(_))), "{end:?}");
    tool_error(
        &house
            .call("jq_run", json!({ "filter": ".[", "input": null }))
            .await,
    );
}

/// GitHub, as far as it is asked here; it knows one token.
fn github(seen: &Seen) -> Option<Response<Body>> {
    if seen.header("authorization") != Some("Bearer token-of-github") {
        return Some(json_response(401, &json!({ "message": "Bad credentials" })));
    }
    let issue = json!({
        "number": 42, "title": "Login fails", "state": "open", "body": "It answers 500.",
        "html_url": "https://github.com/acme/app/issues/42", "user": { "login": "octocat" },
        "labels": [{ "name": "bug" }], "comments": 0,
        "created_at": "2026-11-01T09:00:00Z", "updated_at": "2026-11-02T09:00:00Z",
        "repository_url": "https://api.github.com/repos/acme/app",
    });
    let comment = json!({
        "id": 2, "body": "Fixed.", "user": { "login": "hubot" },
        "html_url": "https://github.com/acme/app/issues/42#issuecomment-2",
        "created_at": "2026-11-02T09:00:00Z", "updated_at": "2026-11-02T09:00:00Z",
    });
    let file = json!({
        "type": "file", "name": "README.md", "path": "README.md", "sha": "3d21ec5", "size": 6,
        "encoding": "base64", "content": STANDARD.encode("# app\n"),
        "html_url": "https://github.com/acme/app/blob/main/README.md",
    });
    let list = json!({ "total_count": 1, "incomplete_results": false, "items": [issue] });
    Some(match (seen.method.as_str(), seen.uri.path()) {
        ("GET", "/search/issues") => json_response(200, &list),
        ("GET", "/repos/acme/app/issues/42") => json_response(200, &issue),
        ("GET", "/repos/acme/app/issues/42/comments") => json_response(200, &json!([])),
        ("POST", "/repos/acme/app/issues/42/comments") => json_response(201, &comment),
        ("GET", "/repos/acme/app/contents/README.md") => json_response(200, &file),
        _ => json_response(404, &json!({ "message": "Not Found" })),
    })
}

#[tokio::test]
async fn github_works_with_a_token_that_it_never_holds() {
    let up = Upstream::start(github).await;
    let text = format!(
        r#"
[secret.github]
env = "GITHUB_TOKEN"
[tool.github]
component = "github.wasm"
env = {{ GITHUB_API = "{}" }}
{}auth = {{ bearer = "github" }}
[tool.github.function.create_comment]
http.api.allow = ["POST /repos/acme/app/issues/*/comments"]
"#,
        up.url(""),
        grant(
            &up,
            "github.http.api",
            "\"GET /search/issues\", \"GET /repos/acme/**\""
        )
    );
    let house = House::at(
        Site::with_tools().secret("github", "token-of-github"),
        &text,
    );
    for (function, arguments, words) in [
        (
            "search_issues",
            json!({ "query": "repo:acme/app login" }),
            "Login fails",
        ),
        (
            "read_issue",
            json!({ "repo": "acme/app", "number": 42 }),
            "It answers 500.",
        ),
        (
            "read_file",
            json!({ "repo": "acme/app", "path": "README.md" }),
            "# app",
        ),
        (
            "create_comment",
            json!({ "repo": "acme/app", "number": 42, "body": "Fixed." }),
            "",
        ),
    ] {
        holds(
            &house.call(&format!("github_{function}"), arguments).await,
            &[words],
        );
    }
    assert_eq!(
        up.rest()
            .await
            .iter()
            .filter(|seen| seen.method == "POST")
            .count(),
        1
    );
    let other = json!({ "repo": "other/app", "number": 42, "body": "Fixed." });
    assert_eq!(
        tool_error(&house.call("github_create_comment", other).await).code,
        ToolErrorCode::Denied
    );
}

#[tokio::test]
async fn orders_mends_what_a_legacy_system_says() {
    let up = Upstream::start(|seen: &Seen| {
        Some(match (seen.method.as_str(), seen.uri.path()) {
            ("GET", "/orders/A-1001") => json_response(
                200,
                &json!({
                    "order_id": "A-1001", "status": "SHIPPED", "total": "49.80", "currency": "EUR",
                    "items": [{ "sku": "LAMP-7", "qty": "2", "price": "19.90" }],
                }),
            ),
            ("GET", "/orders/A-1003") => json_response(200, &json!({ "error": "ORA-01034" })),
            ("GET", "/stock/LAMP-7") => {
                json_response(200, &json!({ "sku": "LAMP-7", "available": "17" }))
            }
            ("POST", "/refunds") => json_response(
                201,
                &json!({ "refund_id": "R-77", "order_id": "A-1001", "status": "pending" }),
            ),
            _ => json_response(404, &json!({ "error": "no such order" })),
        })
    })
    .await;
    let text = format!(
        "[tool.orders]\ncomponent = \"orders.wasm\"\nenv = {{ SHOP_URL = \"{}\" }}\n{}[tool.orders.function.refund]\nhttp.shop.allow = [\"POST /refunds\"]\n",
        up.url(""),
        grant(
            &up,
            "orders.http.shop",
            "\"GET /orders/*\", \"GET /stock/*\""
        )
    );
    let house = House::at(Site::with_tools(), &text);
    let order = |id: &str| json!({ "order_id": id });
    holds(
        &house.call("orders_look_up", order("A-1001")).await,
        &["LAMP-7", "49.8"],
    );
    holds(
        &house
            .call("orders_check_stock", json!({ "sku": "LAMP-7" }))
            .await,
        &["17"],
    );
    let refund = json!({ "order_id": "A-1001", "reason": "arrived broken" });
    holds(&house.call("orders_refund", refund).await, &["R-77"]);
    assert!(
        house.last().writes,
        "a refund is on the disk before it is asked for"
    );

    let missing = house.call("orders_look_up", order("A-9999")).await;
    assert_eq!(tool_error(&missing).code, ToolErrorCode::NotFound);
    let broken = house.call("orders_look_up", order("A-1003")).await;
    assert!(
        tool_error(&broken).message.contains("ORA-01034"),
        "{broken:?}"
    );
}
