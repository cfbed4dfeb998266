//! Queries and bodies that a closed rule judges: whatever passes is what the rule lists, as another
//! reader sees it.

use std::sync::Arc;

use serde_json::Value;
use toolhost_core::egress::{
    Arguments, HttpGrant, ParsedRequest, RawRequest, RawTarget as Where, RequestContent, decide,
};
use url::form_urlencoded;

use super::engine::{Target, run};
use crate::harness::manifest;

const MANIFEST: &str = r#"
[tool.mail]
component = "mail.wasm"
[tool.mail.http.api]
url = "https://api.example.com"
[[tool.mail.http.api.allow]]
rule = "POST /email"
body.to = { required = true, equals = "recipient" }
body.text = {}
body."/cc/*" = { pattern = '[a-z]+@example\.com' }
[[tool.mail.http.api.allow]]
rule = "GET /search"
query.q = { required = true, pattern = '[a-z ]*' }
query.sort = { one_of = ["new", "old"] }
"#;

fn grants() -> Vec<Arc<HttpGrant>> {
    manifest(MANIFEST).tools[0].all.grants.http.clone()
}

/// Whether the rules let this out.
fn passes(
    grants: &[Arc<HttpGrant>],
    (method, url): (&str, &str),
    body: &[u8],
) -> Result<(), String> {
    let arguments = Arguments::new(r#"{"recipient": "ada@example.com"}"#.into());
    let headers = [("content-type".to_owned(), b"application/json".to_vec())];
    let sent = RequestContent {
        headers: &headers,
        body,
        arguments: &arguments,
    };
    let target = Where::Url(url);
    let asked =
        ParsedRequest::parse(&RawRequest { method, target }).map_err(|error| error.to_string())?;
    let decided = decide(grants, &asked, &sent);
    decided.map(drop).map_err(|refusal| refusal.say)
}

/// A refusal without the names and numbers in it, which differ from try to try.
fn kind(say: &str) -> String {
    let words = say.split('`').step_by(2).collect::<String>();
    let (_, why) = words.split_once(" of its ").unwrap_or(("", &words));
    why.chars()
        .filter(char::is_ascii_alphabetic)
        .take(60)
        .collect()
}

#[test]
fn bodies() {
    let grants = grants();
    let check = |bytes: &[u8]| {
        let email = ("POST", "https://api.example.com/email");
        if let Err(say) = passes(&grants, email, bytes) {
            return kind(&say);
        }
        let value: Value = serde_json::from_slice(bytes).expect("what passes is JSON");
        let fields = value.as_object().expect("an object");
        assert_eq!(fields["to"], "ada@example.com");
        assert!(
            fields
                .keys()
                .all(|name| ["to", "text", "cc"].contains(&name.as_str()))
        );
        for address in fields
            .get("cc")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let address = address.as_str().expect("a text");
            assert!(address.ends_with("@example.com") && !address.contains([',', '\n']));
        }
        format!("passes with {}", fields.len())
    };
    run(&Target {
        name: "bodies",
        seeds: vec![
            br#"{"to": "ada@example.com"}"#.to_vec(),
            br#"{"t\u006f": "ada@example.com", "text": {"a": [1, 2e3]}, "cc": ["eve@example.com"]}"#.to_vec(),
            br#"{"to": "ada@example.com", "to": "eve@example.com"}"#.to_vec(),
        ],
        words: &["\"to\"", "\"t\\u006f\"", "\"cc\"", "\"bcc\"", "ada@example.com", "eve@evil.example", ":", ",", "{", "}", "[", "]", "\u{feff}", "\\ud800", "1e999", "null", "\\u0000"],
        check: &check,
    });
}

#[test]
fn queries() {
    let grants = grants();
    let check = |bytes: &[u8]| {
        let query = String::from_utf8_lossy(bytes);
        let url = format!("https://api.example.com/search?{query}");
        if let Err(say) = passes(&grants, ("GET", &url), b"") {
            return kind(&say);
        }
        let read: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        assert_eq!(
            read.iter().filter(|(name, _)| name == "q").count(),
            1,
            "{query}"
        );
        for (name, value) in &read {
            match &**name {
                "q" => assert!(value.bytes().all(|b| b.is_ascii_lowercase() || b == b' ')),
                "sort" => assert!(["new", "old"].contains(&&**value), "{query}"),
                _ => panic!("{query}"),
            }
        }
        format!("passes with {}", read.len())
    };
    run(&Target {
        name: "queries",
        seeds: vec![
            b"q=a%20b&sort=new".to_vec(),
            b"q=a&%71=b".to_vec(),
            b"sort=old&q=".to_vec(),
        ],
        words: &[
            "q", "=", "&", ";", "+", "%20", "%26", "%3D", "%71", "sort", "new", "[]", "%5B%5D",
            "%00", "%2541", "%ff", "#", "admin=1",
        ],
        check: &check,
    });
}
