//! HTTP, by both ways that a guest has: what goes out, what comes back, and what is written down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use toolhost_core::terms::{Code, ToolErrorCode};

use crate::harness::{End, House, Seen, Site, Upstream, structured, text_response, tool_error};

/// A credential that looks different in each encoding.
const SECRET: &str = r#"s3cr3t/"+key&more"#;

/// The rogue, whose functions have grants of their own; `post` has none.
fn house(up: &Upstream) -> House {
    let grant = |function: &str, rules: &str| {
        format!(
            r#"
[tool.rogue.function.{function}.http.up]
url = "http://{}"
allow = [{rules}]
private = ["127.0.0.0/8"]
auth = {{ bearer = "key" }}
"#,
            up.address
        )
    };
    let text = format!(
        r#"
[secret.key]
env = "KEY"
[tool.rogue]
component = "rogue.wasm"
limits = {{ concurrency = 1, requests = 4, request_body = 64, response_body = "1KiB" }}
{}{}{}
"#,
        grant("get", r#""GET /open/**""#),
        grant("raw", r#""GET /open/**", "POST /open/**""#),
        grant("wasi_http", r#""GET /open/**", "POST /open/**""#),
    );
    House::at(Site::new().secret("key", SECRET), &text)
}

/// The host's own code for a request that did not go well.
fn refusal(end: &End) -> (ToolErrorCode, String) {
    let error = tool_error(end);
    let http = error.data.as_ref().and_then(|data| data["http"].as_str());
    (error.code, http.unwrap_or_default().to_owned())
}

/// The rogue's `wasi_http` for this path.
fn wasi(up: &Upstream, path: &str) -> Value {
    json!({ "scheme": "http", "authority": up.address.to_string(), "path": path })
}

#[tokio::test]
async fn a_granted_request_carries_the_credential_that_the_guest_never_held() {
    let up = Upstream::echo().await;
    let house = house(&up);
    let bearer = format!("Bearer {SECRET}");
    for (function, arguments) in [
        ("rogue_get", json!({ "url": up.url("/open/a?q=1") })),
        ("rogue_wasi_http", wasi(&up, "/open/a?q=1")),
    ] {
        let (end, bill) = house.billed(function, arguments).await;
        let answer = structured(&end);
        assert_eq!(answer["status"], 200, "{answer}");
        let seen = up.next().await;
        assert_eq!(seen.header("authorization"), Some(bearer.as_str()));
        assert_eq!(seen.uri, "/open/a?q=1");
        assert_eq!(seen.header("host"), Some(up.address.to_string().as_str()));

        assert_eq!(bill.egress_requests, 1);
        assert!(bill.egress_bytes > 0, "{bill:?}");
        let attempts = house.attempts();
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        let attempt = &attempts[0];
        assert_eq!(attempt["verdict"]["is"], "allowed");
        assert_eq!(attempt["verdict"]["grant"], "up");
        assert_eq!(attempt["verdict"]["rule"], "GET /open/**");
        assert_eq!(
            (&attempt["method"], &attempt["path"]),
            (&json!("GET"), &json!("/open/a"))
        );
        assert_eq!(
            (&attempt["status"], &attempt["peer"]),
            (&json!(200), &json!("127.0.0.1"))
        );
        assert_eq!(attempt["received"], bill.egress_bytes);
        let written = std::fs::read_to_string(house.ledger().join(house.host.ledger.segment()));
        let written = written.expect("a segment");
        assert!(
            !written.contains("s3cr3t") && !written.contains("q=1"),
            "{written}"
        );
    }
}

/// Every form that the upstream gives the credential back in.
fn leaks() -> Vec<String> {
    let percent: String = SECRET
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let json = Value::from(SECRET).to_string();
    let json = json[1..json.len() - 1].to_owned();
    vec![SECRET.to_owned(), percent, STANDARD.encode(SECRET), json]
}

/// Nothing is left, not even base64's padding.
fn is_gone(text: &str) -> bool {
    text == "[redacted]"
}

#[tokio::test]
async fn n60_n71_an_answer_that_echoes_the_credential_is_scrubbed_before_the_guest_reads_it() {
    let up = Upstream::start(|seen: &Seen| {
        // One form in an answer: a call in which many are taken out is ended.
        let index = seen
            .uri
            .path()
            .trim_start_matches("/open/")
            .parse::<usize>();
        let form = &leaks()[index.expect("a number")];
        let mut response = text_response(200, form.as_str());
        let value = axum::http::HeaderValue::try_from(form);
        response
            .headers_mut()
            .insert("x-leak", value.expect("a value"));
        Some(response)
    })
    .await;
    let house = house(&up);
    let calls = (0..leaks().len()).flat_map(|index| {
        let path = format!("/open/{index}");
        [
            ("rogue_get", json!({ "url": up.url(&path) })),
            ("rogue_wasi_http", wasi(&up, &path)),
        ]
    });
    for (function, arguments) in calls {
        let answer = structured(&house.call(function, arguments).await);
        let body = answer["body"].as_str().expect("a body");
        assert!(is_gone(body), "{function}: {body}");
        let headers = answer["headers"].as_array().expect("headers");
        let values: Vec<&str> = headers
            .iter()
            .filter(|header| {
                header[0]
                    .as_str()
                    .is_some_and(|name| name.starts_with("x-leak"))
            })
            .filter_map(|header| header[1].as_str())
            .collect();
        assert!(
            values.len() == 1 && values.iter().all(|text| is_gone(text)),
            "{function}: {values:?}"
        );
    }
}

#[tokio::test]
async fn n62_cookies_are_not_for_guests() {
    let up = Upstream::start(|_: &Seen| {
        let mut response = text_response(200, "");
        let cookie = axum::http::HeaderValue::from_static("a=b");
        response.headers_mut().insert("set-cookie", cookie);
        Some(response)
    })
    .await;
    let answer = structured(
        &house(&up)
            .call("rogue_get", json!({ "url": up.url("/open/") }))
            .await,
    );
    assert!(!answer.to_string().contains("set-cookie"), "{answer}");
}

#[tokio::test]
async fn n72_a_function_does_not_have_another_functions_grant() {
    let up = Upstream::echo().await;
    let house = house(&up);
    let end = house
        .call(
            "rogue_post",
            json!({ "url": up.url("/open/a"), "body": "b" }),
        )
        .await;
    assert_eq!(refusal(&end), (ToolErrorCode::Denied, "denied".into()));
    assert!(up.rest().await.is_empty(), "it went out");
    let attempts = house.attempts();
    assert_eq!(attempts[0]["verdict"]["is"], "refused");
    assert_eq!(house.last().bill.map(|bill| bill.egress_requests), Some(0));
}

#[tokio::test]
async fn n01_n65_what_no_rule_allows_is_denied_and_never_leaves() {
    let up = Upstream::echo().await;
    let other = Upstream::echo().await;
    let house = house(&up);
    let address = up.address;
    for url in [
        other.url("/open/a"),
        format!("http://localhost:{}/open/a", address.port()),
        format!("https://{address}/open/a"),
        format!("http://user@{address}/open/a"),
        format!("http://{address}@127.0.0.1:{}/open/a", other.address.port()),
        up.url("/closed"),
        up.url("/open/../closed"),
        up.url("/open/%2e%2e/closed"),
        up.url("/open%2Fa"),
        up.url("/open/..;/closed"),
        "ftp://127.0.0.1/open/a".to_owned(),
        "file:///etc/passwd".to_owned(),
        "not a URL".to_owned(),
    ] {
        let end = house.call("rogue_get", json!({ "url": url })).await;
        let (code, http) = refusal(&end);
        assert!(
            matches!(http.as_str(), "denied" | "invalid"),
            "{url}: {code} {http}"
        );
        let attempts = house.attempts();
        assert_eq!(attempts.len(), 1, "{url}");
        assert_eq!(
            attempts[0]["verdict"]["is"], "refused",
            "{url}: {attempts:?}"
        );
    }
    for method in ["POST", "DELETE", "get", "CONNECT", "TRACE", "A B"] {
        let end = house
            .call(
                "rogue_raw",
                json!({ "method": method, "url": up.url("/closed") }),
            )
            .await;
        tool_error(&end);
    }
    for path in ["/closed", "//evil.example/open/a", "/open/../closed"] {
        let end = house.call("rogue_wasi_http", wasi(&up, path)).await;
        tool_error(&end);
        assert_eq!(house.attempts()[0]["verdict"]["is"], "refused", "{path}");
    }
    assert!(
        up.rest().await.is_empty() && other.rest().await.is_empty(),
        "something went out"
    );
}

#[tokio::test]
async fn n34_n35_n69_headers_that_are_the_hosts_to_set_are_refused() {
    let up = Upstream::echo().await;
    let house = house(&up);
    for name in [
        "Host",
        "Connection",
        "Transfer-Encoding",
        "Content-Length",
        "Upgrade",
        "Expect",
        "Cookie",
        "Authorization",
        "Proxy-Authorization",
        "X-Forwarded-For",
        "X-HTTP-Method-Override",
        "X-Original-URL",
    ] {
        let headers = json!([[name, "1"]]);
        let raw = json!({ "method": "GET", "url": up.url("/open/a"), "headers": headers });
        let end = house.call("rogue_raw", raw).await;
        assert_eq!(refusal(&end).1, "invalid", "{name}: {end:?}");
        let mut parts = wasi(&up, "/open/a");
        parts["headers"] = headers;
        // wasi:http itself refuses some of them; `Content-Length: 1` is a lie here.
        tool_error(&house.call("rogue_wasi_http", parts).await);
    }
    for (name, value) in [
        ("X-A", "a\r\nX-B: b"),
        ("X-A", "a\0"),
        ("X A", "a"),
        ("", "a"),
    ] {
        let raw = json!({ "method": "GET", "url": up.url("/open/a"), "headers": [[name, value]] });
        let end = house.call("rogue_raw", raw).await;
        assert_eq!(refusal(&end).1, "invalid", "{name:?}: {value:?}");
    }
    assert!(up.rest().await.is_empty(), "something went out");

    let raw = json!({ "method": "GET", "url": up.url("/open/a"), "headers": [["X-Mine", "1"]] });
    assert_eq!(
        structured(&house.call("rogue_raw", raw).await)["status"],
        200
    );
    assert_eq!(up.next().await.header("x-mine"), Some("1"));
}

#[tokio::test]
async fn n31_a_redirect_is_given_back_and_not_followed() {
    let up = Upstream::start(|_: &Seen| {
        let mut response = text_response(302, "");
        let place = axum::http::HeaderValue::from_static("/open/elsewhere");
        response.headers_mut().insert("location", place);
        Some(response)
    })
    .await;
    let answer = structured(
        &house(&up)
            .call("rogue_get", json!({ "url": up.url("/open/a") }))
            .await,
    );
    assert_eq!(answer["status"], 302);
    assert!(answer.to_string().contains("/open/elsewhere"), "{answer}");
    assert_eq!(up.rest().await.len(), 1);
}

#[tokio::test]
async fn n46_a_response_larger_than_its_limit_is_an_error() {
    let up = Upstream::start(|seen: &Seen| {
        let size = if seen.uri.path().ends_with("fits") {
            1024
        } else {
            1025
        };
        Some(text_response(200, "x".repeat(size)))
    })
    .await;
    let house = house(&up);
    let end = house
        .call("rogue_get", json!({ "url": up.url("/open/more") }))
        .await;
    assert_eq!(refusal(&end).1, "too-large");
    let end = house.call("rogue_wasi_http", wasi(&up, "/open/more")).await;
    let said = &tool_error(&end).message;
    assert!(said.contains("HttpResponseBodySize"), "{said}");
    let fits = structured(
        &house
            .call("rogue_get", json!({ "url": up.url("/open/fits") }))
            .await,
    );
    assert_eq!(fits["body"].as_str().map(str::len), Some(1024));
    assert_eq!(house.last().bill.map(|bill| bill.egress_bytes), Some(1024));
}

#[tokio::test]
async fn a_request_larger_than_its_limit_never_leaves() {
    let up = Upstream::echo().await;
    let house = house(&up);
    let raw =
        |size| json!({ "method": "POST", "url": up.url("/open/a"), "body": "x".repeat(size) });
    let end = house.call("rogue_raw", raw(65)).await;
    assert_eq!(refusal(&end).1, "too-large");
    let mut parts = wasi(&up, "/open/a");
    parts["method"] = json!("POST");
    parts["body"] = json!("x".repeat(65));
    let mut headers = wasi(&up, "/open/a");
    let many = (0..101).map(|n| json!([format!("x-{n}"), "y"]));
    headers["headers"] = many.collect();
    let long = wasi(&up, &format!("/open/{}", "a".repeat(8 << 10)));
    for (parts, named) in [
        (parts, "HttpRequestBodySize"),
        (headers, "HttpRequestHeaderSectionSize"),
        (long, "HttpRequestUriTooLong"),
    ] {
        let end = house.call("rogue_wasi_http", parts).await;
        let said = &tool_error(&end).message;
        assert!(said.contains(named), "{said}");
    }
    assert!(up.rest().await.is_empty(), "something went out");
    assert_eq!(
        structured(&house.call("rogue_raw", raw(64)).await)["status"],
        200
    );
    assert_eq!(up.next().await.body.len(), 64);
}

#[tokio::test]
async fn a_call_tries_no_more_requests_than_allowed() {
    let up = Upstream::echo().await;
    let text = format!(
        r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.http.up]
url = "http://{}"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
[tool.rogue.function.get]
limits.requests = 0
"#,
        up.address
    );
    let house = House::new(&text);
    let end = house
        .call("rogue_get", json!({ "url": up.url("/a") }))
        .await;
    assert_eq!(refusal(&end).0, ToolErrorCode::Denied);
    assert!(
        tool_error(&end).message.contains("may try 0 requests"),
        "{end:?}"
    );
    assert!(up.rest().await.is_empty());
    // Another function of the tool is not held back by it.
    let raw = json!({ "method": "GET", "url": up.url("/a") });
    assert_eq!(
        structured(&house.call("rogue_raw", raw).await)["status"],
        200
    );
}

#[tokio::test]
async fn n47_an_upstream_that_never_answers_is_a_timeout() {
    let up = Upstream::start(|_: &Seen| None).await;
    let house = house(&up);
    let raw = json!({ "method": "GET", "url": up.url("/open/a"), "timeout_ms": 20 });
    let end = house.call("rogue_raw", raw).await;
    assert_eq!(
        refusal(&end),
        (ToolErrorCode::Unavailable, "timeout".into())
    );
    assert_eq!(house.attempts()[0]["verdict"]["is"], "failed");
}

#[tokio::test]
async fn n53_an_upstream_that_is_not_there_is_unreachable() {
    let up = Upstream::echo().await;
    let house = house(&up);
    let gone = up.url("/open/a");
    drop(up);
    // The server goes with its task; until the task is gone it may still answer.
    let end = loop {
        let end = house.call("rogue_get", json!({ "url": gone })).await;
        if matches!(end, Ok(toolhost_core::terms::Outcome::Error(_))) {
            break end;
        }
    };
    let http = refusal(&end).1;
    assert!(
        matches!(http.as_str(), "unreachable" | "protocol"),
        "{end:?}"
    );
}

#[tokio::test]
async fn x06_a_request_under_way_is_recorded_when_its_call_is_cancelled() {
    let up = Upstream::start(|_: &Seen| None).await;
    let house = house(&up);
    for (function, arguments) in [
        ("rogue_get", json!({ "url": up.url("/open/a") })),
        ("rogue_wasi_http", wasi(&up, "/open/a")),
    ] {
        let call = house.call(function, arguments);
        tokio::select! {
            end = call => panic!("it ended: {end:?}"),
            seen = up.next() => assert_eq!(seen.uri, "/open/a"),
        }
        house.quiet("rogue").await;
        house.assert_recorded(Code::Cancelled);
        let attempts = house.attempts();
        assert_eq!(attempts.len(), 1, "{function}: {attempts:?}");
        assert_eq!(attempts[0]["verdict"]["is"], "abandoned");
        assert_eq!(house.last().bill.map(|bill| bill.egress_requests), Some(1));
    }
}
