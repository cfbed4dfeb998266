//! `serve --stdio` as a bridge: the host behind it may restart.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::names;
use crate::harness::{Program, Serving};

const MANIFEST: &str = r#"
[host]
agents = ["unix:a/agent.sock"]
[tool.everything]
component = "everything.wasm"
[tool.rogue]
component = "rogue.wasm"
limits = { deadline = "60s", fuel = 1_000_000_000_000 }
"#;

async fn killed(mut host: Serving) {
    host.signal(Signal::KILL);
    host.child.wait().await.expect("an end");
}

fn sum(answer: &Value) -> &Value {
    &answer["result"]["structuredContent"]["sum"]
}

#[tokio::test]
async fn x69_a_host_that_restarts_under_a_bridge_is_found_again_in_the_same_session() {
    let program = Program::new(MANIFEST);
    let mut host = program.serve().await;
    let mut bridge = program.start(&["serve", "--stdio"]);
    let mut lines = bridge.speaker();
    lines.initialize().await;
    for n in 0..3 {
        let answer = lines
            .call(json!(n), "everything_add", json!({ "a": n, "b": 1 }))
            .await;
        assert_eq!(*sum(&answer), n + 1, "{answer}");
        if n == 0 {
            killed(host).await;
        } else {
            // In good order, which ends connections, too.
            host.signal(Signal::TERM);
            host.child.wait().await.expect("an end");
        }
        bridge.says("the host went away").await;
        host = program.serve().await;
        // Asked before or after the new one is found: nobody has to know.
        lines
            .tell(&json!({ "jsonrpc": "2.0", "id": "list", "method": "tools/list" }))
            .await;
        let mut changed = false;
        let list = loop {
            let message = lines.hear().await.expect("an answer");
            changed |= message["method"] == "notifications/tools/list_changed";
            if message["id"] == "list" {
                break message;
            }
        };
        assert!(names(&list).contains(&"everything_add"));
        assert!(changed, "its tools may be others");
    }
    drop(lines);
    assert!(bridge.child.wait().await.expect("an end").success());
}

#[tokio::test]
async fn x69_a_call_in_flight_is_told_that_its_outcome_is_not_known() {
    let program = Program::new(MANIFEST);
    let host = program.serve().await;
    let mut bridge = program.start(&["serve", "--stdio"]);
    let mut lines = bridge.speaker();
    lines.initialize().await;
    lines.begin(&json!("spin"), "rogue_spin", &json!({})).await;
    program.admitted("rogue.spin").await;
    killed(host).await;
    let lost = lines.answer(&json!("spin")).await;
    let say = lost["error"]["message"].as_str().expect("a message");
    assert!(say.contains("not known"), "{lost}");
    let _host = program.serve().await;
    let answer = lines
        .call(json!(2), "everything_add", json!({ "a": 1, "b": 1 }))
        .await;
    assert_eq!(*sum(&answer), 2, "{answer}");
}

/// An agent that has said all it wants waits for its answers; without them the end is no success.
#[tokio::test]
async fn x69_a_bridge_whose_host_dies_with_the_last_word_ends_with_an_error() {
    let program = Program::new(MANIFEST);
    let host = program.serve().await;
    let mut bridge = program.start(&["serve", "--stdio"]);
    let input = bridge.child.stdin.take().expect("its input");
    let output = bridge.child.stdout.take().expect("its output");
    let mut lines = crate::harness::Speaker::new(output, input);
    lines.initialize().await;
    lines.begin(&json!("spin"), "rogue_spin", &json!({})).await;
    program.admitted("rogue.spin").await;
    let mut heard = lines.silent();
    killed(host).await;
    let all = heard.rest().await;
    assert!(
        all.iter()
            .any(|line| line["id"] == "spin" && line["error"].is_object()),
        "{all:?}"
    );
    let end = bridge.child.wait().await.expect("an end");
    assert!(!end.success());
    bridge.says("went away").await;
}
