//! The Unix socket: who may connect, both framings, and lines of every kind.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use serde_json::{Value, json};
use tokio::net::UnixStream;
use toolhost_core::terms::Door as Through;
use toolhost_doors::Listener;

use super::{ADA, house, names, stopped};
use crate::harness::{House, Site, exchange, modern_meta, sha256, speak};

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).expect("it is there").mode() & 0o777
}

#[tokio::test]
async fn x03_the_socket_is_its_owners_alone_and_goes_with_the_host() {
    let house = house();
    let mut door = house.open().await;
    assert_eq!(mode(&door.socket), 0o600);
    assert_eq!(mode(door.socket.parent().expect("a folder")), 0o700);
    door.stop.cancel();
    (&mut door.served).await.expect("served");
    assert!(!door.socket.exists());
}

#[tokio::test]
async fn x03_a_socket_that_somebody_put_there_is_refused() {
    let site = Site::empty();
    std::fs::create_dir(site.path("real")).expect("a folder");
    symlink(site.path("real"), site.path("agents")).expect("a link");
    let error = Listener::unix(&site.path("agents/agent.sock")).expect_err("a linked folder");
    assert!(error.to_string().contains("is a link"), "{error}");

    let site = Site::empty();
    drop(Listener::unix(&site.path("agents/first.sock")).expect("a socket"));
    symlink("/tmp/elsewhere.sock", site.path("agents/agent.sock")).expect("a link");
    let error = Listener::unix(&site.path("agents/agent.sock")).expect_err("a linked socket");
    assert!(error.to_string().contains("is something else"), "{error}");
}

#[tokio::test]
async fn x03_a_user_who_is_no_caller_is_told_so() {
    let house = House::new(&format!(
        r#"
[caller.ada]
token_sha256 = "{}"
may = ["*"]
[tool.everything]
component = "everything.wasm"
"#,
        sha256(ADA)
    ));
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    lines
        .tell(&json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }))
        .await;
    let refusal = lines.hear().await.expect("a refusal");
    let message = refusal["error"]["message"].as_str().expect("a message");
    assert!(message.contains("none of this host's callers"), "{message}");
    assert_eq!(lines.hear().await, None);

    // With her token Ada is heard, whoever runs her.
    let agent = door.agent(ADA);
    let stream = UnixStream::connect(&door.socket)
        .await
        .expect("a connection");
    let reply = exchange(stream, &agent.modern("tools/list", json!({}))).await;
    assert!(names(&reply.answer()).contains(&"everything_add"));
}

#[tokio::test]
async fn lines_and_http_are_spoken_on_one_socket() {
    let house = house();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    let hello = lines.initialize().await;
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25");
    let answer = lines
        .call(json!(1), "everything_add", json!({ "a": 1, "b": 2 }))
        .await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 3 }));
    assert_eq!(
        (house.last().door, house.last().agent.as_str()),
        (Through::Unix, "ada")
    );

    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let stream = UnixStream::connect(&door.socket)
        .await
        .expect("a connection");
    let reply = exchange(stream, request.as_bytes()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.answer()["mode"], "dev", "{reply:?}");

    // By HTTP without a token the peer's user counts.
    let agent = door.agent("x");
    let request = String::from_utf8(agent.modern("tools/list", json!({}))).expect("text");
    let request = request.replace("Authorization: Bearer x\r\n", "");
    let stream = UnixStream::connect(&door.socket)
        .await
        .expect("a connection");
    let reply = exchange(stream, request.as_bytes()).await;
    assert!(names(&reply.answer()).contains(&"rogue_spin"));
}

#[tokio::test]
async fn the_stateless_era_is_spoken_in_lines_too() {
    let house = house();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    let params = json!({
        "name": "everything_add", "arguments": { "a": 1, "b": 2 }, "_meta": modern_meta(),
    });
    lines
        .tell(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }))
        .await;
    let answer = lines.answer(&json!(1)).await;
    assert_eq!(
        answer["result"]["structuredContent"],
        json!({ "sum": 3 }),
        "{answer}"
    );
}

/// A call without extras takes a shorter way than one that has some; nobody can tell by the answer.
#[tokio::test]
async fn a_plain_call_is_answered_like_any_other() {
    let house = house();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    for (name, arguments) in [
        ("everything_add", json!({ "a": 1, "b": 2 })),
        ("everything_add", json!({ "a": "one" })),
        ("everything_nothing", json!({})),
        ("everything_simple_text", json!({})),
        ("everything_image_content", json!({})),
        ("everything_multiple_content_types", json!({})),
        ("everything_error_handling", json!({})),
    ] {
        let plain = json!({ "name": name, "arguments": arguments });
        let mut extra = plain.clone();
        extra["_meta"] = json!({ "note": "for the library" });
        let mut answers = Vec::new();
        for params in [plain, extra] {
            let request =
                json!({ "jsonrpc": "2.0", "id": "one", "method": "tools/call", "params": params });
            lines.tell(&request).await;
            answers.push(lines.answer(&json!("one")).await);
        }
        assert_eq!(answers[0], answers[1], "{name}");
    }
}

#[tokio::test]
async fn x04_a_bad_line_is_answered_and_the_next_one_is_heard() {
    let house = house();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    let deep = format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    for (line, code) in [
        (&b"{\n"[..], -32700),
        (b"nonsense\n", -32700),
        (b"{\"method\":\"\xff\"}\n", -32700),
        (deep.as_bytes(), -32600),
        (
            b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]\n",
            -32600,
        ),
        (b"{\"id\":5}\n", -32600),
    ] {
        lines.write(line).await;
        let refusal = lines.hear().await.expect("a refusal");
        assert_eq!(refusal["error"]["code"], code, "{refusal}");
    }
    // Empty lines and notifications that nobody knows are nothing.
    lines
        .write(b"\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/what\"}\n")
        .await;
    lines
        .begin(
            &json!("after"),
            "everything_add",
            &json!({ "a": 1, "b": 2 }),
        )
        .await;
    let answer = lines.hear().await.expect("an answer");
    assert_eq!(
        (&answer["id"], &answer["result"]["structuredContent"]),
        (&json!("after"), &json!({ "sum": 3 }))
    );
}

#[tokio::test]
async fn of_256_calls_at_once_every_one_is_answered() {
    let house = house();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    let stream: String = (0..256)
        .map(|n| {
            let call = json!({
                "jsonrpc": "2.0", "id": format!("call-{n}"), "method": "tools/call",
                "params": { "name": "everything_add", "arguments": { "a": n, "b": 1 } },
            });
            format!("{call}\n")
        })
        .collect();
    lines.write(stream.as_bytes()).await;
    let mut answered = BTreeSet::new();
    while answered.len() < 256 {
        let answer = lines.hear().await.expect("an answer");
        let id = answer["id"].as_str().expect("an id").to_owned();
        let n: i64 = id.trim_start_matches("call-").parse().expect("a number");
        assert_eq!(
            answer["result"]["structuredContent"],
            json!({ "sum": n + 1 }),
            "{answer}"
        );
        assert!(answered.insert(id), "twice: {answer}");
    }
    assert_eq!(house.calls().len(), 256);
}

#[tokio::test]
async fn x04_an_id_that_is_still_running_is_not_taken_twice() {
    let house = house();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    lines
        .begin(&json!(1), "rogue_nap", &json!({ "ms": 200 }))
        .await;
    lines
        .begin(&json!(1), "everything_add", &json!({ "a": 1, "b": 1 }))
        .await;
    let first = lines.answer(&json!(1)).await;
    assert_eq!(first["error"]["code"], -32600, "{first}");
    let second = lines.answer(&json!(1)).await;
    assert!(second.to_string().contains("slept 200 ms"), "{second}");
}

#[tokio::test]
async fn x05_a_line_takes_a_looping_call_back() {
    let house = house();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    lines.begin(&json!("loop"), "rogue_spin", &json!({})).await;
    house.admitted("rogue.spin").await;
    let cancelled = |id: &str| {
        json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id },
        })
    };
    for id in ["never was", "loop", "loop"] {
        lines.tell(&cancelled(id)).await;
    }
    stopped(&house).await;
    lines
        .begin(
            &json!("after"),
            "everything_add",
            &json!({ "a": 1, "b": 1 }),
        )
        .await;
    let next: Value = lines.hear().await.expect("an answer");
    assert_eq!(
        next["id"], "after",
        "what was taken back is not answered: {next}"
    );
}

#[tokio::test]
async fn x06_a_client_that_is_gone_stops_its_looping_guest() {
    let house = house();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    lines.begin(&json!("loop"), "rogue_spin", &json!({})).await;
    house.admitted("rogue.spin").await;
    drop(lines);
    stopped(&house).await;
}
