//! The whole judgement of a request that leaves the host: one parse to typed parts, the rules of the
//! grants, the classes of the addresses a name gave. The reference is what any client does first:
//! one `Url::parse` of the same text.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use toolhost_core::egress::{
    Arguments, HttpGrant, ParsedRequest, RawRequest, RawTarget, RequestContent, decide, may_dial,
};
use url::Url;

use crate::stats::Pairs;

const ROUNDS: usize = 200;
const REQUESTS: u32 = 1_000;

const MANIFEST: &str = r#"
schema = 1
[tool.t]
component = "t.wasm"
[tool.t.http.search]
url = "https://search.example.com"
allow = ["GET /v1/**", "GET /v2/**"]
[tool.t.http.api]
url = "https://api.example.com"
allow = [
  "GET /search/issues", "GET /repos/acme/*/issues/**", "POST /repos/acme/*/issues/*/comments",
  "GET /orders/*", "GET /stock/*", "POST /refunds",
  { rule = "POST /email", body = { to = { equals = "recipient" }, subject = { pattern = "[^\n]{1,200}" }, text = {} } },
]
"#;

const BODY: &str =
    r#"{"to": "ada@example.com", "subject": "Your order", "text": "It is on its way."}"#;

pub(crate) fn judge() {
    let manifest = toolhost_core::manifest::parse("toolhost.toml", MANIFEST).unwrap();
    let grants = &manifest.tools[0].all.grants.http;
    let arguments = Arguments::new(r#"{"recipient": "ada@example.com"}"#.into());
    let headers = [("content-type".to_owned(), b"application/json".to_vec())];
    let nothing = RequestContent::nothing(&arguments);
    let body = RequestContent {
        headers: &headers,
        body: BODY.as_bytes(),
        arguments: &arguments,
    };
    measure(
        "egress: a request judged, against Url::parse",
        "GET",
        "https://api.example.com/repos/acme/app/issues/17?state=open&page=2",
        grants,
        &nothing,
    );
    measure(
        "  with a closed rule and a body of 80 bytes",
        "POST",
        "https://api.example.com/email",
        grants,
        &body,
    );
}

fn measure(
    what: &str,
    method: &str,
    url: &str,
    grants: &[Arc<HttpGrant>],
    sent: &RequestContent<'_>,
) {
    let addresses: [IpAddr; 4] = [
        "93.184.216.34",
        "93.184.216.35",
        "2606:2800::1",
        "2606:2800::2",
    ]
    .map(|text| text.parse().unwrap());
    let judged = || {
        let ask = RawRequest {
            method,
            target: RawTarget::Url(black_box(url)),
        };
        let asked = ParsedRequest::parse(&ask).unwrap();
        let verdict = decide(grants, &asked, sent).unwrap();
        for address in black_box(addresses) {
            may_dial(address, &verdict.grant().private).unwrap();
        }
        black_box(verdict);
    };
    let parsed = || drop(black_box(Url::parse(black_box(url)).unwrap()));
    let mut pairs = Pairs::default();
    (0..ROUNDS).for_each(|_| pairs.push(time(&judged), time(&parsed)));
    pairs.print(what, "us", "< 5 us");
}

/// Microseconds of one, on the average of many.
fn time(work: &impl Fn()) -> f64 {
    let start = Instant::now();
    (0..REQUESTS).for_each(|_| work());
    start.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS)
}
