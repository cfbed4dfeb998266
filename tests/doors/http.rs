//! HTTP: both eras, sessions, progress, cancelling, and a host that stops.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use toolhost_core::terms::Door as Through;

use super::{ADA, BOB, house, names, stopped};

#[tokio::test]
async fn the_stateless_era_discovers_lists_and_calls() {
    let house = house();
    let door = house.open().await;
    let ada = door.agent(ADA);
    let found = ada.ask("server/discover", json!({})).await;
    let versions = found["result"]["supportedVersions"].to_string();
    assert!(versions.contains("2026-07-28"), "{found}");

    let list = ada.ask("tools/list", json!({})).await;
    let all = names(&list);
    assert!(
        all.contains(&"hello_greet") && all.contains(&"rogue_spin"),
        "{all:?}"
    );
    assert!(all.is_sorted(), "{all:?}");

    let answer = ada.call("everything_add", json!({ "a": 2, "b": 3 })).await;
    let result = &answer["result"];
    assert_eq!(result["structuredContent"], json!({ "sum": 5 }));
    assert_eq!(
        result["content"][0]["text"], r#"{"sum":5}"#,
        "for those who read only text"
    );
    assert_eq!(result["resultType"], "complete");

    let hello = ada.call("hello_greet", json!({ "name": "Ada" })).await;
    assert!(hello.to_string().contains("Hello, Ada!"), "{hello}");
    let record = house.last();
    assert_eq!(
        (record.agent.as_str(), record.user.as_deref()),
        ("ada", Some("Ada Lovelace"))
    );
    assert_eq!(record.door, Through::Http);
}

#[tokio::test]
async fn every_kind_of_content_finds_its_block() {
    let house = house();
    let door = house.open().await;
    let ada = door.agent(ADA);
    for (function, kinds) in [
        ("everything_simple_text", vec!["text"]),
        ("everything_image_content", vec!["image"]),
        ("everything_audio_content", vec!["audio"]),
        ("everything_embedded_resource", vec!["resource"]),
        (
            "everything_multiple_content_types",
            vec!["text", "image", "resource"],
        ),
    ] {
        let answer = ada.call(function, json!({})).await;
        let blocks = answer["result"]["content"].as_array().expect("content");
        let found: Vec<&str> = blocks
            .iter()
            .filter_map(|block| block["type"].as_str())
            .collect();
        assert_eq!(found, kinds, "{function}");
    }
    let failed = ada.call("everything_error_handling", json!({})).await;
    assert_eq!(failed["result"]["isError"], true, "{failed}");
    assert_eq!(failed["result"]["_meta"]["toolhost/code"], "failed");
}

#[tokio::test]
async fn a_schema_comes_through_word_for_word() {
    let house = house();
    let door = house.open().await;
    let list = door.agent(ADA).ask("tools/list", json!({})).await;
    let tools = list["result"]["tools"].as_array().expect("tools");
    let tool = tools
        .iter()
        .find(|tool| tool["name"] == "json_schema_2020_12_tool");
    let schema = &tool.expect("the tool")["inputSchema"];
    assert_eq!(schema["$defs"]["address"]["$anchor"], "addressDef");
    assert_eq!(schema["then"], json!({ "required": ["phone"] }));
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}

#[tokio::test]
async fn each_caller_sees_and_calls_what_is_its_own() {
    let house = house();
    let door = house.open().await;
    let bob = door.agent(BOB);
    let list = bob.ask("tools/list", json!({})).await;
    assert_eq!(names(&list), ["everything_add"]);
    let allowed = bob.call("everything_add", json!({ "a": 1, "b": 1 })).await;
    assert_eq!(allowed["result"]["structuredContent"], json!({ "sum": 2 }));
    let forbidden = bob.call("rogue_spin", json!({})).await;
    assert_eq!(forbidden["error"]["code"], -32602);
    assert_eq!(house.last().agent, "bob");
}

/// A call in a session.
fn call(id: u64, function: &str, arguments: &Value) -> Value {
    json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": { "name": function, "arguments": arguments },
    })
}

#[tokio::test]
async fn x02_the_older_era_has_sessions_that_are_their_callers_own() {
    let house = house();
    let door = house.open().await;
    let (ada, bob) = (door.agent(ADA), door.agent(BOB));
    let session = ada.session().await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let listed = ada.in_session(&session, &list).await.answer();
    assert!(names(&listed).contains(&"everything_add"));
    let add = call(2, "everything_add", &json!({ "a": 2, "b": 3 }));
    let answer = ada.in_session(&session, &add).await.answer();
    assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 5 }));
    assert!(answer["result"].get("resultType").is_none(), "{answer}");

    let stolen = bob.in_session(&session, &add).await;
    assert_eq!(stolen.status, 404, "{stolen:?}");
    let invented = ada
        .in_session("00000000-0000-0000-0000-000000000000", &add)
        .await;
    assert_eq!(invented.status, 404, "{invented:?}");

    let headers = [("Mcp-Session-Id", session.as_str())];
    // Whatever Bob is told, Ada's session is not his to end.
    bob.send(&bob.bytes("DELETE", &headers, b"")).await;
    assert_eq!(
        ada.in_session(&session, &add).await.status,
        200,
        "it is still there"
    );
    let gone = ada.send(&ada.bytes("DELETE", &headers, b"")).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(ada.in_session(&session, &add).await.status, 404);
}

#[tokio::test]
async fn progress_comes_before_the_result() {
    let house = house();
    let door = house.open().await;
    let ada = door.agent(ADA);
    let params =
        json!({ "name": "everything_tool_with_progress", "arguments": {}, "progressToken": "p" });
    let messages = ada.send(&ada.modern("tools/call", params)).await.messages();
    let (result, reports) = messages.split_last().expect("messages");
    assert!(result["result"]["content"].is_array(), "{result}");
    let done: Vec<f64> = reports
        .iter()
        .map(|report| {
            assert_eq!(report["method"], "notifications/progress", "{report}");
            assert_eq!(report["params"]["progressToken"], "p");
            report["params"]["progress"].as_f64().expect("a number")
        })
        .collect();
    assert_eq!(done, [0.0, 50.0, 100.0]);

    let silent = ada
        .send(&ada.modern(
            "tools/call",
            json!({ "name": "everything_tool_with_progress", "arguments": {} }),
        ))
        .await;
    assert_eq!(silent.messages().len(), 1, "nobody asked: {silent:?}");
}

#[tokio::test]
async fn x06_a_modern_client_that_hangs_up_stops_its_looping_guest() {
    let house = house();
    let door = house.open().await;
    let ada = door.agent(ADA);
    let mut stream = ada.connect().await;
    let spin = ada.modern(
        "tools/call",
        json!({ "name": "rogue_spin", "arguments": {} }),
    );
    stream.write_all(&spin).await.expect("sent");
    house.admitted("rogue.spin").await;
    drop(stream);
    stopped(&house).await;
}

#[tokio::test]
async fn x05_a_session_takes_its_looping_call_back() {
    let house = house();
    let door = house.open().await;
    let ada = door.agent(ADA);
    let session = ada.session().await;
    let mut stream = ada.connect().await;
    let spin = ada.session_bytes(&session, &call(9, "rogue_spin", &json!({})));
    stream.write_all(&spin).await.expect("sent");
    house.admitted("rogue.spin").await;

    let cancelled = |id: u64| {
        json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": id, "reason": "enough" },
        })
    };
    // One that never was, the one that runs, and the same again.
    for id in [77, 9, 9] {
        let reply = ada.in_session(&session, &cancelled(id)).await;
        assert_eq!(reply.status, 202, "{reply:?}");
    }
    stopped(&house).await;
    let add = call(10, "everything_add", &json!({ "a": 1, "b": 1 }));
    assert_eq!(ada.in_session(&session, &add).await.status, 200);
}

#[tokio::test]
async fn a_host_that_stops_answers_what_it_began() {
    let house = house();
    let mut door = house.open().await;
    let ada = door.agent(ADA);
    let nap = ada.modern(
        "tools/call",
        json!({ "name": "rogue_nap", "arguments": { "ms": 300 } }),
    );
    let asker = ada.clone();
    let answer = tokio::spawn(async move { asker.send(&nap).await });
    house.admitted("rogue.nap").await;
    door.stop.cancel();
    let reply = answer.await.expect("an answer");
    assert_eq!(
        reply.answer()["result"]["content"][0]["text"],
        "slept 300 ms"
    );
    (&mut door.served).await.expect("served");
    assert!(
        tokio::net::TcpStream::connect(door.address).await.is_err(),
        "still open"
    );
}

#[tokio::test]
async fn a_host_that_stops_cuts_off_what_does_not_end() {
    let house = house();
    let mut door = house.open_with_grace(Duration::from_millis(50)).await;
    let ada = door.agent(ADA);
    let mut stream = ada.connect().await;
    let spin = ada.modern(
        "tools/call",
        json!({ "name": "rogue_spin", "arguments": {} }),
    );
    stream.write_all(&spin).await.expect("sent");
    house.admitted("rogue.spin").await;
    door.stop.cancel();
    (&mut door.served).await.expect("served");
    stopped(&house).await;
    let mut told = String::new();
    stream.read_to_string(&mut told).await.expect("an answer");
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    assert!(
        told.contains(r#""id":7"#) && told.contains("cut the call off"),
        "{told}"
    );
}
