//! HTTP by `wasi:http` 0.3: one policy, one dialer, one record with that of 0.2.

use std::time::{Duration, Instant};

use serde_json::json;
use toolhost_core::terms::Code;

use super::{TOOL, refused, said, site};
use crate::harness::{House, Upstream, text, text_response, tool_error};

const SECRET: &str = "t0ken-of-the-upstream";

fn web(up: &Upstream, limits: &str) -> House {
    let text = format!(
        r#"
[secret.key]
env = "KEY"
{TOOL}{limits}
[tool.wasi3.http.up]
url = "http://{}"
allow = ["GET /open/**", "HEAD /open/**", "POST /open/**"]
private = ["127.0.0.0/8"]
auth = {{ bearer = "key" }}
[tool.everything]
component = "everything.wasm"
"#,
        up.address
    );
    House::at(site().secret("key", SECRET), &text)
}

#[tokio::test]
async fn a_request_passes_the_same_policy_dialer_and_scrubbing_and_is_recorded() {
    let up = Upstream::start(|seen| {
        let held = seen.header("authorization").unwrap_or_default().to_owned();
        Some(text_response(200, format!("{} with {held}", seen.uri)))
    })
    .await;
    let house = web(&up, "");
    let (end, bill) = house
        .billed("wasi3_get", json!({ "url": up.url("/open/a?q=1") }))
        .await;
    let said = text(&end);
    assert!(said.starts_with("200 /open/a?q=1 with Bearer "), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    let seen = up.next().await;
    assert_eq!(
        seen.header("authorization"),
        Some(&*format!("Bearer {SECRET}"))
    );
    assert_eq!((bill.egress_requests, house.attempts().len()), (1, 1));
    let attempt = &house.attempts()[0];
    assert_eq!(attempt["verdict"]["is"], "allowed");
    assert_eq!(attempt["verdict"]["rule"], "GET /open/**");
    assert_eq!(
        (&attempt["status"], &attempt["peer"]),
        (&json!(200), &json!("127.0.0.1"))
    );
    assert_eq!(attempt["received"], bill.egress_bytes);
    house.keeps_secrets(&said);
}

/// `HEAD` is asked to learn a length before a download, and the grant has a credential.
#[tokio::test]
async fn the_length_of_what_head_stands_for_is_told() {
    let up = Upstream::start(|seen| {
        let empty = seen.header("content-length").unwrap_or("none").to_owned();
        Some(text_response(200, format!("{empty:>1234}")))
    })
    .await;
    let house = web(&up, "");
    let url = json!({ "url": up.url("/open/a") });
    assert_eq!(said(&house, "wasi3_head", url).await, "200  of 1234");
    assert_eq!(up.next().await.header("content-length"), None);
    let post = json!({ "url": up.url("/open/a"), "body": "" });
    let said = said(&house, "wasi3_post", post).await;
    assert!(said.ends_with(" 0"), "{said}");
}

#[tokio::test]
async fn a_body_is_sent_whole_and_within_its_limit() {
    let up = Upstream::echo().await;
    let house = web(&up, "limits = { request_body = 64 }\n");
    let arguments = |bytes| json!({ "url": up.url("/open/b"), "body": "x".repeat(bytes) });
    let end = house.call("wasi3_post", arguments(64)).await;
    assert!(text(&end).starts_with("200"), "{end:?}");
    assert_eq!(up.next().await.body.len(), 64);
    let end = house.call("wasi3_post", arguments(65)).await;
    assert!(refused(&end).contains("HttpRequestBodySize"), "{end:?}");
}

#[tokio::test]
async fn what_no_grant_names_is_not_sent_and_the_attempt_is_written_down() {
    let up = Upstream::echo().await;
    let house = web(&up, "");
    let port = up.address.port();
    for url in [
        up.url("/closed"),
        "https://example.com/open/a".to_owned(),
        format!("http://localhost:{port}/open/a"),
    ] {
        let end = house.call("wasi3_get", json!({ "url": url })).await;
        assert!(
            refused(&end).contains("HttpRequestDenied"),
            "{url}: {end:?}"
        );
        // It knows no more than that; the host tells the agent the rest.
        let [told] = &tool_error(&end).denied[..] else {
            panic!("{url}: {end:?}")
        };
        assert!(
            told.contains("is denied. The nearest grant") && told.contains("GET /open/"),
            "{told}"
        );
        let attempts = house.attempts();
        assert_eq!(attempts.len(), 1, "{url}: {attempts:?}");
        assert_ne!(attempts[0]["verdict"]["is"], "allowed", "{url}");
    }
    assert!(up.rest().await.is_empty());
}

#[tokio::test]
async fn many_requests_of_one_call_wait_together_and_are_counted() {
    // One that repeats no credential: three of them end a call.
    let up = Upstream::start(|_| Some(text_response(200, "here"))).await;
    let house = web(&up, "limits = { requests = 8 }\n");
    let arguments = json!({ "url": up.url("/open/a"), "n": 12 });
    let said = said(&house, "wasi3_crowd", arguments).await;
    assert!(said.starts_with("8 "), "{said}");
    assert!(said.contains("HttpRequestDenied"), "{said}");
    assert_eq!(up.rest().await.len(), 8);
    // Of what is beyond the limit one is written down for all.
    assert_eq!(house.attempts().len(), 9);
}

#[tokio::test]
async fn trailers_that_never_come_hold_nobody_up_beyond_the_deadline() {
    let up = Upstream::echo().await;
    let house = web(&up, "limits = { deadline = \"200ms\" }\n");
    let began = Instant::now();
    let arguments = json!({ "url": up.url("/open/a") });
    house
        .ends_with("wasi3_hold_trailers", arguments, Code::DeadlineExceeded)
        .await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(up.rest().await.is_empty(), "half a request was sent");
}
