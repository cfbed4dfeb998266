//! Closed rules, followed redirects and encoded bodies, as a guest meets them.

use axum::http::HeaderValue;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use toolhost_core::terms::ToolErrorCode;

use crate::harness::{End, House, Seen, Upstream, structured, text_response, tool_error};

fn house(up: &Upstream, keys: &str) -> House {
    House::new(&format!(
        r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.http.up]
url = "http://{}"
private = ["127.0.0.0/8"]
{keys}
"#,
        up.address
    ))
}

fn refusal(end: &End) -> (ToolErrorCode, String) {
    let error = tool_error(end);
    let http = error.data.as_ref().and_then(|data| data["http"].as_str());
    (error.code, http.unwrap_or_default().to_owned())
}

/// A tool that may send mail cannot add a recipient, by either way to HTTP.
#[tokio::test]
async fn n66_n67_n68_a_tool_sends_only_what_its_rule_lists() {
    let up = Upstream::echo().await;
    let house = house(
        &up,
        r#"
[[tool.rogue.http.up.allow]]
rule = "POST /email"
body.to = { required = true, one_of = ["ada@example.com"] }
body.verb = { equals = "method" }
"#,
    );
    let json = "application/json";
    let raw = |query: &str, kind: &str, body: &str| {
        let url = format!("{}{query}", up.url("/email"));
        json!({ "method": "POST", "url": url, "headers": [["Content-Type", kind]], "body": body })
    };
    let wasi = |query: &str, kind: &str, body: &str| {
        let path = format!("/email{query}");
        let authority = up.address.to_string();
        json!({ "method": "POST", "scheme": "http", "authority": authority, "path": path,
                "headers": [["Content-Type", kind]], "body": body })
    };
    let good = "{ \"verb\":\"POST\" , \"t\\u006f\": \"ada@example.com\" }";
    for (function, arguments) in [
        ("rogue_raw", raw("", json, good)),
        ("rogue_wasi_http", wasi("", json, good)),
    ] {
        let end = house.call(function, arguments).await;
        assert_eq!(structured(&end)["status"], 200, "{end:?}");
        let seen = up.next().await;
        assert_eq!(seen.body, good, "what was judged is what is sent");
    }
    for (query, kind, body) in [
        ("", json, r#"{"to": "eve@example.com"}"#),
        ("", json, r#"{"to": "ada@example.com", "verb": "PUT"}"#),
        (
            "",
            json,
            r#"{"to": "ada@example.com", "bcc": "eve@example.com"}"#,
        ),
        (
            "",
            json,
            r#"{"to": "ada@example.com", "to": "eve@example.com"}"#,
        ),
        (
            "",
            json,
            r#"{"to": "eve@example.com", "t\u006f": "ada@example.com"}"#,
        ),
        (
            "",
            json,
            r#"{"to": "ada@example.com"} {"to": "eve@example.com"}"#,
        ),
        ("", json, "\u{feff}{\"to\": \"ada@example.com\"}"),
        ("", "text/plain", r#"{"to": "ada@example.com"}"#),
        (
            "",
            "application/json; charset=utf-16",
            r#"{"to": "ada@example.com"}"#,
        ),
        (
            "",
            "application/x-www-form-urlencoded",
            "to=eve@example.com",
        ),
        ("?to=eve@example.com", json, r#"{"to": "ada@example.com"}"#),
        (
            "?to%5B%5D=eve@example.com",
            json,
            r#"{"to": "ada@example.com"}"#,
        ),
    ] {
        let end = house.call("rogue_raw", raw(query, kind, body)).await;
        assert_eq!(
            refusal(&end),
            (ToolErrorCode::Denied, "denied".into()),
            "{body}"
        );
        let attempts = house.attempts();
        assert_eq!(attempts[0]["verdict"]["is"], "refused", "{body}");
        assert!(!attempts[0].to_string().contains("eve@"), "{attempts:?}");
        tool_error(&house.call("rogue_wasi_http", wasi(query, kind, body)).await);
    }
    assert!(up.rest().await.is_empty(), "something went out");
}

#[tokio::test]
async fn n31_n32_n33_a_followed_redirect_is_judged_anew() {
    let up = Upstream::start(|seen: &Seen| {
        let mut response = text_response(200, "here");
        if let Some(place) = seen.uri.query() {
            *response.status_mut() = axum::http::StatusCode::FOUND;
            let place = HeaderValue::from_str(place).expect("a place");
            response.headers_mut().insert("location", place);
        }
        Some(response)
    })
    .await;
    let house = house(&up, "allow = [\"GET /open/**\"]\nredirects = 2\n");
    let asked = |place: &str| {
        json!({ "method": "GET", "url": up.url(&format!("/open/a?{place}")),
                "headers": [["X-Mine", "mine"]] })
    };
    let answer = structured(&house.call("rogue_raw", asked("/open/b")).await);
    assert_eq!(
        (&answer["status"], &answer["body"]),
        (&json!(200), &json!("here"))
    );
    let (first, second) = (up.next().await, up.next().await);
    assert_eq!(first.header("x-mine"), Some("mine"));
    assert_eq!(
        (second.uri.path(), second.header("x-mine")),
        ("/open/b", None)
    );
    assert_eq!(house.attempts().len(), 2);

    for place in [
        "/closed",
        "http://169.254.169.254/",
        "//localhost/open/b",
        "file:///etc/passwd",
    ] {
        let end = house.call("rogue_raw", asked(place)).await;
        assert!(
            matches!(refusal(&end).1.as_str(), "denied" | "invalid"),
            "{place}: {end:?}"
        );
        assert_eq!(up.rest().await.len(), 1, "{place}");
        let attempts = house.attempts();
        assert_eq!(attempts[1]["verdict"]["is"], "refused", "{place}");
    }
    let answer = structured(&house.call("rogue_raw", asked("?/open/a")).await);
    assert_eq!(
        answer["status"], 200,
        "relative to where it came from: {answer}"
    );
}

#[tokio::test]
async fn n45_a_body_that_unpacks_to_far_more_is_stopped() {
    let mut bomb = Vec::new();
    let zeros = vec![0; 8 << 20];
    let mut encoder = async_compression::tokio::bufread::GzipEncoder::new(zeros.as_slice());
    encoder.read_to_end(&mut bomb).await.expect("a bomb");
    let up = Upstream::start(move |_: &Seen| {
        let mut response = text_response(200, "");
        *response.body_mut() = axum::body::Body::from(bomb.clone());
        let gzip = HeaderValue::from_static("gzip");
        response.headers_mut().insert("content-encoding", gzip);
        Some(response)
    })
    .await;
    // Its eight mebibytes would fit into the default limit of ten.
    let house = house(&up, "allow = [\"GET /**\"]");
    let end = house.call("rogue_get", json!({ "url": up.url("/") })).await;
    assert_eq!(refusal(&end).1, "too-large", "{end:?}");
    let bill = house.last().bill.expect("a bill");
    assert!(bill.egress_bytes < 2 << 20, "{bill:?}");
}

#[tokio::test]
async fn an_argument_that_no_function_has_is_an_error_at_load() {
    let text = r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.http.up]
url = "https://api.example.com"
[[tool.rogue.http.up.allow]]
rule = "POST /email"
body.to = { equals = "recipient" }
"#;
    let site = crate::harness::Site::new();
    let Err(troubles) = site.load(&crate::harness::manifest(text)) else {
        panic!("it is loaded")
    };
    let said: Vec<Value> = troubles.iter().map(|trouble| json!(trouble)).collect();
    assert_eq!(said[0]["line"], 8, "{said:?}");
    let message = said[0]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("no function under this rule has an argument `recipient`"),
        "{said:?}"
    );
}
