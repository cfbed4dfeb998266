//! Standard input and output of the program: a host of their own, or a bridge to one that runs.

use rustix::process::Signal;
use serde_json::json;

use super::names;
use crate::harness::{Program, speak};

const TOOLS: &str = r#"
[tool.everything]
component = "everything.wasm"
[tool.rogue]
component = "rogue.wasm"
log = "trace"
limits = { deadline = "60s", fuel = 1_000_000_000_000 }
"#;

#[tokio::test]
async fn g18_standard_output_carries_the_protocol_whatever_a_guest_prints() {
    let program = Program::new(TOOLS);
    let mut host = program.start(&["serve", "--stdio"]);
    let mut lines = host.speaker();
    lines.initialize().await;
    let forged = r#"{"jsonrpc":"2.0","id":3,"result":{"content":[]}}"#;
    for (id, function, arguments) in [
        (1, "rogue_babble", json!({ "mib": 1 })),
        (2, "rogue_log", json!({ "text": format!("\n{forged}\n") })),
        (3, "everything_add", json!({ "a": 1, "b": 2 })),
    ] {
        // Every line is read as a message, and the first one with an id has to be the answer.
        lines.begin(&json!(id), function, &arguments).await;
        let answer = lines.hear().await.expect("an answer");
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["result"].is_object(), "{answer}");
    }
    drop(lines);
    assert!(host.child.wait().await.expect("an end").success());
}

#[tokio::test]
async fn a_program_on_pipes_answers_what_it_was_asked_before_it_ends() {
    let program = Program::new(TOOLS);
    let mut host = program.start(&["serve", "--stdio"]);
    let mut input = host.child.stdin.take().expect("its input");
    let output = host.child.stdout.take().expect("its output");
    let asked = [
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "rogue_nap", "arguments": { "ms": 200 } } }),
    ];
    let text: String = asked.iter().map(|message| format!("{message}\n")).collect();
    tokio::io::AsyncWriteExt::write_all(&mut input, text.as_bytes())
        .await
        .expect("sent");
    drop(input);
    let mut lines = crate::harness::Speaker::new(output, tokio::io::sink());
    let all = lines.rest().await;
    assert!(names(all.iter().find(|one| one["id"] == 1).expect("a list")).contains(&"rogue_nap"));
    let nap = all.iter().find(|one| one["id"] == 2).expect("an answer");
    assert!(nap.to_string().contains("slept 200 ms"), "{nap}");
    assert!(host.child.wait().await.expect("an end").success());
    let verified = program.run(&["ledger", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[tokio::test]
async fn where_a_host_runs_already_standard_input_is_a_bridge_to_it() {
    let program = Program::new(&format!(
        "[host]\nagents = [\"unix:a/agent.sock\"]\n{TOOLS}"
    ));
    let host = program.serve().await;
    let mut bridge = program.start(&["serve", "--stdio"]);
    let mut lines = bridge.speaker();
    lines.initialize().await;
    let answer = lines
        .call(json!(1), "everything_add", json!({ "a": 1, "b": 2 }))
        .await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 3 }));
    drop(lines);
    assert!(bridge.child.wait().await.expect("an end").success());

    let shown = program.run(&["ledger", "show", "--json"]).json();
    assert_eq!(shown["calls"][0]["door"], "unix", "{shown}");
    let segments = std::fs::read_dir(program.site.path(".toolhost/ledger")).expect("a ledger");
    assert_eq!(segments.count(), 1, "the bridge has no ledger of its own");
    drop(host);
}

#[tokio::test]
async fn a_signal_lets_what_runs_finish_and_seals_the_record() {
    let program = Program::new(&format!(
        "[host]\nagents = [\"unix:a/agent.sock\"]\n{TOOLS}"
    ));
    let mut host = program.serve().await;
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    lines
        .begin(&json!(1), "rogue_nap", &json!({ "ms": 500 }))
        .await;
    program.admitted("rogue.nap").await;
    host.signal(Signal::TERM);
    host.says("stopping").await;
    let answer = lines.answer(&json!(1)).await;
    assert!(answer.to_string().contains("slept 500 ms"), "{answer}");
    host.says("every call that began is in the ledger").await;
    assert!(host.child.wait().await.expect("an end").success());
    assert!(!program.site.path("a/agent.sock").exists());

    let verified = program.run(&["ledger", "verify", "--json"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(
        verified.json()["segments"][0]["state"],
        "sealed",
        "{verified:?}"
    );
}

/// MCP: an id is a string or an integer, never null. Such a message is a broken request, not a
/// notification.
#[tokio::test]
async fn x04_a_request_whose_id_is_null_is_answered() {
    let program = Program::new("[tool.hello]\ncomponent = \"hello.wasm\"\n");
    let mut host = program.start(&["serve", "--stdio"]);
    let mut lines = host.speaker();
    lines.initialize().await;
    let both = b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
    lines.write(both).await;
    let first = lines.hear().await.expect("an answer");
    assert_eq!(first["error"]["code"], -32600, "{first}");
}
