//! What HTTP requests are turned away for, each with its status and a message that says what to do.

use serde_json::{Value, json};

use super::{ADA, house};
use crate::harness::{Agent, exchange};

/// Says that a request got this status and, in JSON-RPC, this code, with these words.
async fn refused(agent: &Agent, request: &[u8], status: u16, code: i64, words: &str) {
    let reply = agent.send(request).await;
    assert_eq!(reply.status, status, "{reply:?}");
    let error = &reply.answer()["error"];
    assert_eq!(error["code"], code, "{reply:?}");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains(words), "{message}");
}

/// The bytes of a request with a head of its own.
fn plain(head: &str, body: &str) -> Vec<u8> {
    format!(
        "{head}Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn x02_without_a_callers_token_nobody_is_heard() {
    let house = house();
    let door = house.open().await;
    let address = door.address;
    for token in [
        "wrong",
        "",
        "9f86d081",
        "ada",
        &ADA[..20],
        &format!("{ADA}0"),
    ] {
        let agent = door.agent(token);
        let reply = agent.send(&agent.modern("tools/list", json!({}))).await;
        assert_eq!(reply.status, 401, "{token}: {reply:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    let agent = door.agent(ADA);
    for authorization in [
        String::new(),
        format!("Authorization: Basic {ADA}\r\n"),
        format!("Authorization: {ADA}\r\n"),
        format!("Authorization: Bearer {ADA}\r\nAuthorization: Bearer {ADA}\r\n"),
    ] {
        let head = format!("POST /mcp HTTP/1.1\r\nHost: {address}\r\n{authorization}");
        refused(&agent, &plain(&head, PING), 401, -32600, "earer").await;
    }
    // A token in the address is none.
    let head = format!("POST /mcp?access_token={ADA} HTTP/1.1\r\nHost: {address}\r\n");
    refused(&agent, &plain(&head, PING), 401, -32600, "bearer token").await;
    assert!(house.calls().is_empty());
}

#[tokio::test]
async fn x01_a_foreign_host_or_origin_is_turned_away() {
    let house = house();
    let door = house.open().await;
    let agent = door.agent(ADA);
    let head = |headers: &str| {
        let head = format!("POST /mcp HTTP/1.1\r\nAuthorization: Bearer {ADA}\r\n{headers}");
        plain(&head, PING)
    };
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil@localhost",
        "0.0.0.0",
    ] {
        let request = head(&format!("Host: {host}\r\n"));
        refused(&agent, &request, 403, -32600, "Host").await;
    }
    for origin in [
        "http://evil.example",
        "null",
        "https://localhost.evil",
        "file://",
    ] {
        let request = head(&format!("Host: localhost\r\nOrigin: {origin}\r\n"));
        refused(&agent, &request, 403, -32600, "Origin").await;
    }
    refused(&agent, &head(""), 400, -32600, "Host").await;
    refused(
        &agent,
        &head("Host: localhost\r\nHost: evil\r\n"),
        400,
        -32600,
        "Host",
    )
    .await;

    let ours = [("Origin", "http://localhost:3000")];
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let reply = agent.send(&agent.post(&ours, body.to_string())).await;
    assert_ne!(reply.status, 403, "{reply:?}");
}

#[tokio::test]
async fn x04_bodies_that_are_too_large_too_deep_or_no_json_are_turned_away() {
    let house = house();
    let door = house.open().await;
    let agent = door.agent(ADA);
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#,
        "x".repeat(4 << 20)
    );
    let announced = agent.post(&[], &large);
    refused(&agent, &announced, 413, -32600, "4194304 bytes").await;
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADA}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    let chunked = [head.as_bytes(), chunk.as_bytes()].concat();
    refused(&agent, &chunked, 413, -32600, "4194304 bytes").await;

    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{deep}}}}}"#);
    refused(&agent, &agent.post(&[], deep), 400, -32600, "levels deep").await;
    for (body, code, words) in [
        (&b"{"[..], -32700, "not JSON"),
        (b"", -32700, "not JSON"),
        (b"{\"method\":\"\xff\"}", -32700, "UTF-8"),
        (b"{} {}", -32700, "not JSON"),
        (b"[]", -32600, "Batches"),
        (
            b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
            -32600,
            "Batches",
        ),
        (b"7", -32600, "JSON-RPC"),
        (b"{\"id\":1}", -32600, "JSON-RPC 2.0"),
        (
            b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}",
            -32600,
            "JSON-RPC 2.0",
        ),
    ] {
        refused(&agent, &agent.post(&[], body), 400, code, words).await;
    }
    let answer = agent
        .call("everything_add", json!({ "a": 1, "b": 2 }))
        .await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 3 }));
}

#[tokio::test]
async fn other_places_types_and_methods_are_turned_away() {
    let house = house();
    let door = house.open().await;
    let agent = door.agent(ADA);
    let get = |path: &str| plain(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n"), "");
    refused(&agent, &get("/"), 404, -32600, "/mcp").await;
    refused(&agent, &get("/mcp/../admin"), 404, -32600, "/mcp").await;
    let health = agent.send(&get("/health")).await;
    assert_eq!(
        (health.status, health.answer()["status"].as_str()),
        (200, Some("ok"))
    );

    let head = format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADA}\r\n");
    let form = String::from_utf8(plain(&head, "a=b")).expect("text");
    let form = form.replace("application/json", "application/x-www-form-urlencoded");
    refused(&agent, form.as_bytes(), 415, -32600, "application/json").await;
    let packed = agent.post(&[("Content-Encoding", "gzip")], PING);
    refused(&agent, &packed, 415, -32600, "Content-Encoding").await;

    for method in ["GET", "DELETE", "PUT", "OPTIONS"] {
        let reply = agent.send(&agent.bytes(method, &[], b"")).await;
        assert!((400..500).contains(&reply.status), "{method}: {reply:?}");
    }
    // What is no HTTP at all closes the connection, and no other.
    let nothing = exchange_raw(&agent, b"POST nonsense\r\n\r\n").await;
    assert!(
        nothing.is_empty() || nothing.starts_with("HTTP/1.1 400"),
        "{nothing}"
    );
    let reply = exchange(agent.connect().await, &get("/health")).await;
    assert_eq!(reply.status, 200);
}

async fn exchange_raw(agent: &Agent, bytes: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = agent.connect().await;
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn g56_unknown_methods_and_tools_are_errors_of_the_protocol() {
    let house = house();
    let door = house.open().await;
    let agent = door.agent(ADA);
    let reply = agent.send(&agent.modern("tools/dance", json!({}))).await;
    assert_eq!(
        (reply.status, &reply.answer()["error"]["code"]),
        (404, &json!(-32601)),
        "{reply:?}"
    );

    for name in [
        "nothing",
        "everything.add",
        "",
        "../rogue_spin",
        &"x".repeat(5_000),
    ] {
        let answer = agent.call(name, json!({})).await;
        assert_eq!(answer["error"]["code"], -32602, "{name}: {answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.len() < 400, "{message}");
    }
    // Ten mebibytes of arguments are turned away without being kept.
    let head = String::from_utf8(agent.post(&[], "")).expect("text");
    let huge = head.replace("Content-Length: 0", "Content-Length: 10485760");
    let huge = [huge.into_bytes(), vec![b' '; 10 << 20]].concat();
    refused(&agent, &huge, 413, -32600, "4194304 bytes").await;
    let wrong = agent.call("everything_add", json!({ "a": "one" })).await;
    let result = &wrong["result"];
    assert_eq!(result["isError"], true, "{wrong}");
    assert_eq!(result["_meta"]["toolhost/code"], "invalid-arguments");
    let text = result["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("`/a`") && text.contains("\"b\""), "{text}");
}

#[tokio::test]
async fn headers_that_disagree_with_the_body_are_turned_away() {
    let house = house();
    let door = house.open().await;
    let agent = door.agent(ADA);
    let whole = agent.modern(
        "tools/call",
        json!({ "name": "everything_add", "arguments": { "a": 1, "b": 2 } }),
    );
    let whole = String::from_utf8(whole).expect("text");
    for (from, to) in [
        ("Mcp-Name: everything_add", "Mcp-Name: rogue_spin"),
        ("Mcp-Method: tools/call", "Mcp-Method: tools/list"),
        (
            "MCP-Protocol-Version: 2026-07-28",
            "MCP-Protocol-Version: 2025-11-25",
        ),
        ("Mcp-Method: tools/call\r\n", ""),
    ] {
        let reply = agent.send(whole.replace(from, to).as_bytes()).await;
        assert_eq!(reply.status, 400, "{to}: {reply:?}");
        let code: &Value = &reply.answer()["error"]["code"];
        assert_eq!(code, -32020, "{to}: {reply:?}");
    }
    let reply = agent
        .send(whole.replace("2026-07-28", "1999-01-01").as_bytes())
        .await;
    assert_eq!(
        (reply.status, &reply.answer()["error"]["code"]),
        (400, &json!(-32022)),
        "{reply:?}"
    );
}
