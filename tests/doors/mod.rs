//! The agents' door, byte by byte: over HTTP, on the Unix socket, and on standard input and output.

mod bombs;
mod bridge;
mod edges;
mod http;
mod order;
mod refusals;
mod shared;
mod stdio;
mod unix;

use serde_json::Value;

use crate::harness::{House, sha256};

/// A token of each caller.
const ADA: &str = "ada-0123456789abcdef0123456789abcdef";
const BOB: &str = "bob-0123456789abcdef0123456789abcdef";

/// A host with two callers; Ada is the one on the Unix socket, too.
fn house() -> House {
    House::new(&format!(
        r#"
[caller.ada]
token_sha256 = "{}"
uid = {}
user = "Ada Lovelace"
may = ["*"]
[caller.bob]
token_sha256 = "{}"
may = ["everything.add"]
[caller.local]
may = ["*"]
[tool.everything]
component = "everything.wasm"
[tool.rogue]
component = "rogue.wasm"
limits = {{ concurrency = 1, fuel = 1_000_000_000_000, deadline = "60s" }}
[tool.json]
component = "json.wasm"
[tool.hello]
component = "hello.wasm"
"#,
        sha256(ADA),
        rustix::process::geteuid().as_raw(),
        sha256(BOB),
    ))
}

/// The names in an answer to `tools/list`.
fn names(answer: &Value) -> Vec<&str> {
    let tools = answer["result"]["tools"].as_array();
    let tools = tools.unwrap_or_else(|| panic!("no list: {answer}"));
    tools
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect()
}

/// Says that no guest runs any more, and that the ledger knows why.
async fn stopped(house: &House) {
    house.quiet("rogue").await;
    let record = house.last();
    assert_eq!(record.function, "rogue.spin");
    assert_eq!(record.code.as_deref(), Some("cancelled"));
    assert!(record.bill.is_some(), "{record:?}");
}
