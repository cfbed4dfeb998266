//! Schemas as a model reads them: in the order of the types, of the tool's own text, or of the
//! manifest, byte by byte at every door.

use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ADA;
use crate::harness::{
    EMPTY, House, Program, Site, Speaker, Words, component, definition, manifest, sha256, speak,
};

/// What a tool says of its arguments, in no alphabet's order.
const INPUT: &str = r#"{"type":"object","properties":{"to":{"type":"string"},"from":{"type":"string","description":"{\"toolhost-schema-0\":\"{}\"}"},"amount":{"minimum":1,"type":"integer"}},"required":["to","from"]}"#;

/// What it says of its result.
const OUTPUT: &str = r#"{"type":"object","properties":{"sum":{"type":"integer"},"at":{"type":"string"}},"title":"{\"toolhost-schema-0\":1}"}"#;

/// What older clients are not shown: they know objects only.
const OTHER: &str = r#"{"type":"array","items":{}}"#;

/// A point of the typed guest, with its fields as its WIT has them.
const POINT: &str = r#"{"x":{"type":"integer","minimum":-2147483648,"maximum":2147483647},"label":{"anyOf":[{"type":"string"},{"type":"null"}]}}"#;

/// The arguments of a program, as the manifest has them.
const PROGRAM: &str = r#""inputSchema":{"type":"object","properties":{"width":{"type":"integer","minimum":1},"height":{"type":"integer"},"depth":{"enum":["z","a"]}},"required":["width","depth"],"additionalProperties":false}"#;

const TOOLS: &str = r#"
[tool.bank]
component = "bank.wasm"
[tool.types]
component = "types.wasm"
[tool.program]
component = "program.wasm"
[tool.program.command.draw]
description = "Draws it."
arguments = ["{width}", { when = "height", then = ["{height}"] }, "{depth}"]
optional = ["height"]
input.width = { type = "integer", minimum = 1 }
input.height = { type = "integer" }
input.depth = { enum = ["z", "a"] }
"#;

/// A folder with a tool whose words look like what the host writes in a schema's place.
fn site() -> Site {
    let pay = Words {
        description: r#"{"toolhost-schema-0":"{}"} {"#.to_owned(),
        input: INPUT.to_owned(),
        output: Some(OUTPUT.to_owned()),
        ..definition("pay")
    };
    let rows = Words {
        output: Some(OTHER.to_owned()),
        ..definition("rows")
    };
    let site = Site::new();
    site.write("bank.wasm", component(&[pay, rows], "", EMPTY));
    site
}

fn tools_of_ada() -> String {
    format!(
        "[caller.ada]\ntoken_sha256 = \"{}\"\nuid = {}\nmay = [\"*\"]\n[caller.local]\nmay = [\"*\"]\n{TOOLS}",
        sha256(ADA),
        rustix::process::geteuid().as_raw(),
    )
}

/// Says that a list has every schema as its author wrote it, and nothing of the host's in one's place.
fn is_in_order(list: &str) {
    for part in [
        &format!("\"inputSchema\":{INPUT}"),
        &format!("\"outputSchema\":{OUTPUT}"),
        POINT,
        PROGRAM,
        r#""description":"{\"toolhost-schema-0\":\"{}\"} {""#,
        r#""properties":{"truth":{"type":"boolean"},"small":"#,
    ] {
        assert!(list.contains(part), "{part} is not in {list}");
    }
    // The tool's own words, three times, and no other.
    assert_eq!(list.matches("toolhost-schema-").count(), 3, "{list}");
}

fn list() -> serde_json::Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })
}

/// The line that answers on a connection of its own.
async fn listed_on<R, W>(mut lines: Speaker<R, W>) -> String
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    lines.initialize().await;
    lines.tell(&list()).await;
    lines.try_hear().await.expect("a list")
}

#[tokio::test]
async fn n99_lines_list_schemas_as_their_authors_wrote_them() {
    let house = House::at(site(), &tools_of_ada());
    let door = house.open().await;
    let line = listed_on(speak(&door.socket).await).await;
    is_in_order(&line);
    assert!(!line.contains(OTHER), "{line}");

    let program = Program::at(site(), TOOLS);
    let mut host = program.start(&["serve", "--stdio"]);
    is_in_order(&listed_on(host.speaker()).await);
}

#[tokio::test]
async fn n99_http_lists_schemas_as_their_authors_wrote_them() {
    let house = House::at(site(), &tools_of_ada());
    let door = house.open().await;
    let ada = door.agent(ADA);
    let modern = ada.send(&ada.modern("tools/list", json!({}))).await;
    is_in_order(&modern.body);
    assert!(modern.body.contains(OTHER), "{modern:?}");
    let length = modern.header("content-length");
    assert_eq!(length, Some(modern.body.len().to_string().as_str()));

    let session = ada.session().await;
    let older = ada.in_session(&session, &list()).await;
    is_in_order(&older.body);
    assert!(!older.body.contains(OTHER), "{older:?}");
}

#[test]
fn the_lock_and_inspect_keep_the_order_too() {
    let program = Program::at(site(), TOOLS);
    let first = program.site.read("toolhost.lock");
    let order = |text: &str, names: [&str; 3]| {
        let places = names.map(|name| text.find(&format!("\"{name}\": {{")));
        assert!(places.iter().all(Option::is_some), "{names:?}: {text}");
        assert!(places.is_sorted(), "{names:?}: {text}");
    };
    order(&first, ["to", "from", "amount"]);
    order(&first, ["width", "height", "depth"]);
    let again = program.run(&["lock"]);
    assert!(again.err.contains("nothing changed"), "{again:?}");
    assert_eq!(program.site.read("toolhost.lock"), first);
    let listed = program.run(&["list", "--json"]);
    order(&listed.out, ["to", "from", "amount"]);
    let inspected = program.run(&["inspect", "bank.wasm", "--json"]);
    order(&inspected.out, ["to", "from", "amount"]);
    let people = program.run(&["inspect", "bank.wasm"]);
    let signature = "pay(to: string, from: string, amount?: integer)";
    assert!(people.out.contains(signature), "{people:?}");
}

/// A lock of an older host has its schemas sorted. It is good, and written anew it has the order.
#[test]
fn a_sorted_lock_is_good_and_another_order_is_shown() {
    let program = Program::at(site(), TOOLS);
    let lock = program.site.lock(&manifest(TOOLS)).expect("a lock");
    let (ordered, mut sorted) = (lock.clone(), lock);
    for function in sorted
        .tools
        .values_mut()
        .flat_map(|tool| &mut tool.functions)
    {
        let map = function.input_schema.as_map().clone();
        function.input_schema = serde_json::from_value(map.into()).expect("a schema");
    }
    let text = sorted.text().expect("a lock");
    assert_ne!(text, ordered.text().expect("a lock"));
    program.site.write("toolhost.lock", text);
    let listed = program.run(&["list"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    let locked = program.run(&["lock"]);
    assert!(
        locked.out.contains("~ pay: order of the input schema"),
        "{locked:?}"
    );
    assert_eq!(
        program.site.read("toolhost.lock"),
        ordered.text().expect("a lock")
    );
}
