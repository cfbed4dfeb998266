//! Clients that are older, freer or more careful than the newest revision of the protocol: served where
//! that costs no safety, and answered in words where it does not.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{ADA, house, names};
use crate::harness::{Agent, House, Program, modern_meta, sha256, speak};

/// The head of a request of Ada's on a connection that stays open.
fn head(line: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADA}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}

/// A POST of JSON.
pub(super) fn post(headers: &[(&str, &str)], body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = head("POST /mcp", headers);
    let kind = "Content-Type: application/json\r\n";
    format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// An answer on a connection that stays open.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    head: String,
    body: String,
}

impl Said {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The message that answers, in whatever form.
    fn answer(&self) -> Value {
        let mut texts = self
            .body
            .lines()
            .map(|line| line.trim_start_matches("data:").trim());
        let read = |text: &str| serde_json::from_str::<Value>(text).ok();
        let is_answer = |message: &Value| message.get("method").is_none() && message.is_object();
        let answer = texts.find_map(|text| read(text).filter(is_answer));
        answer.unwrap_or_else(|| panic!("no answer: {self:?}"))
    }
}

/// Reads one answer, whose length is said or which comes in chunks.
async fn read(stream: &mut TcpStream) -> Said {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(bytes).expect("text");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut said = Said {
        status: status.expect("a status"),
        head,
        body: String::new(),
    };
    let length = said.header("content-length").map(str::parse);
    if let Some(length) = length {
        let mut body = vec![0; length.expect("a length")];
        stream.read_exact(&mut body).await.expect("a body");
        said.body = String::from_utf8(body).expect("text");
    } else if said.header("transfer-encoding").is_some() {
        let mut body = Vec::new();
        while !body.ends_with(b"0\r\n\r\n") {
            body.push(stream.read_u8().await.expect("a chunk"));
        }
        said.body = String::from_utf8(body).expect("text");
    }
    said
}

pub(super) async fn ask(stream: &mut TcpStream, request: &[u8]) -> Said {
    stream.write_all(request).await.expect("sent");
    read(stream).await
}

fn hello(version: &str) -> Value {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": version, "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    })
}

/// A call of the stateless revision, and the headers that go with it.
fn modern(function: &str, arguments: &Value) -> (Value, Vec<(&'static str, String)>) {
    let params = json!({ "name": function, "arguments": arguments, "_meta": modern_meta() });
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
    let headers = vec![
        ("MCP-Protocol-Version", "2026-07-28".to_owned()),
        ("Mcp-Method", "tools/call".to_owned()),
        ("Mcp-Name", function.to_owned()),
    ];
    (call, headers)
}

pub(super) fn add() -> (Value, Vec<(&'static str, String)>) {
    modern("everything_add", &json!({ "a": 1, "b": 2 }))
}

pub(super) fn with<'a>(
    headers: &'a [(&'static str, String)],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let own = headers.iter().map(|(name, value)| (*name, value.as_str()));
    own.chain(more.iter().copied()).collect()
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

#[tokio::test]
async fn x70_an_answer_has_a_form_that_its_client_takes() {
    let house = house();
    let door = house.open().await;
    let mut stream = TcpStream::connect(door.address)
        .await
        .expect("a connection");
    let both = format!("{JSON}, {EVENTS}");
    for (accept, in_session, alone) in [
        (None, JSON, JSON),
        (Some("*/*"), JSON, JSON),
        (Some(JSON), JSON, JSON),
        (Some(EVENTS), EVENTS, EVENTS),
        (Some(&*both), EVENTS, JSON),
    ] {
        let accept: Vec<(&str, &str)> = accept.map(|value| ("Accept", value)).into_iter().collect();
        let opened = ask(&mut stream, &post(&accept, &hello("2025-11-25"))).await;
        assert_eq!(opened.status, 200, "{accept:?}: {opened:?}");
        assert_eq!(
            opened.header("content-type"),
            Some(in_session),
            "{accept:?}"
        );
        assert_eq!(opened.answer()["result"]["protocolVersion"], "2025-11-25");
        let session = opened
            .header("mcp-session-id")
            .expect("a session")
            .to_owned();

        let call = json!({
            "jsonrpc": "2.0", "id": 2, "method": "tools/call",
            "params": {
                "name": "everything_tool_with_progress", "arguments": {},
                "_meta": { "progressToken": "p" },
            },
        });
        let session = [("Mcp-Session-Id", session)];
        let answered = ask(&mut stream, &post(&with(&session, &accept), &call)).await;
        assert_eq!(
            answered.header("content-type"),
            Some(in_session),
            "{accept:?}"
        );
        let answer = answered.answer();
        assert_eq!(
            (answered.status, &answer["id"]),
            (200, &json!(2)),
            "{answered:?}"
        );
        assert!(answer["result"]["content"].is_array(), "{answer}");

        let (call, headers) = add();
        let answered = ask(&mut stream, &post(&with(&headers, &accept), &call)).await;
        assert_eq!(answered.header("content-type"), Some(alone), "{accept:?}");
        let sum = &answered.answer()["result"]["structuredContent"];
        assert_eq!((answered.status, sum), (200, &json!({ "sum": 3 })));
    }
}

/// The short way of a call that asks for nothing more, beside the library's, which takes all others.
#[tokio::test]
async fn a_plain_stateless_call_is_answered_as_the_library_answers_it() {
    let house = house();
    let door = house.open().await;
    let agent = door.agent(ADA);
    for (function, arguments) in [
        ("everything_add", json!({ "a": 1, "b": 2 })),
        ("everything_add", json!({ "a": "one" })),
        ("everything_error_handling", json!({})),
        ("everything_image_content", json!({})),
        ("everything_multiple_content_types", json!({})),
        ("nobody_knows", json!({})),
        ("rogue_crash", json!({})),
    ] {
        let (mut call, headers) = modern(function, &arguments);
        let mut said = Vec::new();
        for meta in [None, Some("example.org/more")] {
            if let Some(name) = meta {
                call["params"]["_meta"][name] = json!(1);
            }
            let request = agent.post(&with(&headers, &[]), call.to_string());
            let reply = agent.send(&request).await;
            let mut head: Vec<String> = reply.head.lines().map(str::to_lowercase).collect();
            head.retain(|line| !line.starts_with("date:"));
            head.sort();
            said.push((reply.status, head, reply.body));
        }
        assert_eq!(said[0], said[1], "{function}");
        assert!(said[0].2.contains(r#""id":7"#), "{:?}", said[0]);
    }
}

#[tokio::test]
async fn x70_who_takes_no_form_of_an_answer_is_told_which_there_are() {
    let house = house();
    let door = house.open().await;
    let mut stream = TcpStream::connect(door.address)
        .await
        .expect("a connection");
    let (call, headers) = add();
    let page = post(&with(&headers, &[("Accept", "text/html")]), &call);
    let listen = json!({
        "jsonrpc": "2.0", "id": 3, "method": "subscriptions/listen",
        "params": { "notifications": { "toolsListChanged": true }, "_meta": modern_meta() },
    });
    let listen = post(
        &[
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "subscriptions/listen"),
            ("Accept", JSON),
        ],
        &listen,
    );
    let get = head("GET /mcp", &[("Accept", JSON)]) + "\r\n";
    for request in [&page, &listen, get.as_bytes()] {
        let refused = ask(&mut stream, request).await;
        assert_eq!(refused.status, 406, "{refused:?}");
        let error = &refused.answer()["error"];
        assert_eq!(error["code"], -32600, "{refused:?}");
        assert!(error["message"].to_string().contains("Accept"), "{error}");
    }
    // Errors that the library has for the newest era are JSON already, those of the older as well.
    let call = json!({ "jsonrpc": "2.0", "id": 4, "method": "tools/list" });
    for (headers, status) in [
        (vec![], 400),
        (vec![("Mcp-Session-Id", "none")], 404),
        (vec![("MCP-Protocol-Version", "1999-01-01")], 400),
    ] {
        let refused = ask(&mut stream, &post(&headers, &call)).await;
        assert_eq!(refused.status, status, "{headers:?}: {refused:?}");
        let answer = refused.answer();
        assert_eq!(answer["id"], 4, "{refused:?}");
        assert!(answer["error"]["message"].is_string(), "{refused:?}");
    }
}

#[tokio::test]
async fn x72_every_version_that_is_served_is_the_one_that_was_asked_for() {
    let house = house();
    let door = house.open().await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut lines = speak(&door.socket).await;
        lines.tell(&hello(version)).await;
        let opened = lines.answer(&json!(1)).await;
        assert_eq!(opened["result"]["protocolVersion"], version);
        lines
            .write(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n")
            .await;
        // Whichever way a call takes, with extras or without.
        for meta in [Value::Null, json!({ "note": "for the library" })] {
            let mut params = json!({ "name": "everything_audio_content", "arguments": {} });
            if meta.is_object() {
                params["_meta"] = meta;
            }
            let call =
                json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params });
            lines.tell(&call).await;
            let answer = lines.answer(&json!(2)).await;
            let known = if version == "2024-11-05" {
                "resource"
            } else {
                "audio"
            };
            assert_eq!(answer["result"]["content"][0]["type"], known, "{answer}");
        }
        let batch = b"[{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}]\n";
        lines.write(batch).await;
        let refused = lines.hear().await.expect("a refusal");
        assert!(refused.to_string().contains("Batches"), "{refused}");

        // Over HTTP, without the header that those did not know.
        let mut stream = TcpStream::connect(door.address)
            .await
            .expect("a connection");
        let opened = ask(&mut stream, &post(&[], &hello(version))).await;
        assert_eq!(opened.answer()["result"]["protocolVersion"], version);
        let session = opened
            .header("mcp-session-id")
            .expect("a session")
            .to_owned();
        let list = json!({ "jsonrpc": "2.0", "id": 4, "method": "tools/list" });
        let listed = ask(&mut stream, &post(&[("Mcp-Session-Id", &session)], &list)).await;
        assert!(names(&listed.answer()).contains(&"everything_add"));
    }
}

#[tokio::test]
async fn x71_a_stray_first_message_does_not_end_the_connection() {
    let stray = [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/x" }),
        json!({ "jsonrpc": "2.0", "id": 5, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 5, "error": { "code": 1, "message": "no" } }),
    ];
    let house = house();
    let door = house.open().await;
    for early in &stray {
        let mut lines = speak(&door.socket).await;
        lines.tell(early).await;
        // Requests that come too early are answered, and not the end either.
        lines
            .tell(&json!({ "jsonrpc": "2.0", "id": 8, "method": "tools/list" }))
            .await;
        assert_eq!(lines.answer(&json!(8)).await["error"]["code"], -32602);
        lines.tell(early).await;
        let opened = lines.initialize().await;
        assert!(opened["result"].is_object(), "{early}: {opened}");
    }
    // A connection of the stateless era, whose cancellations are heard from its first request on.
    let mut lines = speak(&door.socket).await;
    lines.tell(&stray[1]).await;
    let (mut spin, _) = modern("rogue_spin", &json!({}));
    spin["id"] = json!(1);
    lines.tell(&spin).await;
    house.admitted("rogue.spin").await;
    lines.tell(&stray[1]).await;
    super::stopped(&house).await;

    let program = Program::new("[tool.hello]\ncomponent = \"hello.wasm\"\n");
    let mut host = program.start(&["serve", "--stdio"]);
    let mut lines = host.speaker();
    for early in &stray {
        lines.tell(early).await;
    }
    assert!(lines.initialize().await["result"].is_object());
}

#[tokio::test]
async fn x73_a_pages_preflight_is_answered_by_the_same_rule_as_its_request() {
    let house = house();
    let door = house.open().await;
    let mut stream = TcpStream::connect(door.address)
        .await
        .expect("a connection");
    let asks = |origin: &str| {
        format!(
            "OPTIONS /mcp HTTP/1.1\r\nHost: localhost:1\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type,mcp-protocol-version,x-other\r\n\r\n"
        )
    };
    let (call, headers) = add();
    for origin in [
        "http://localhost:6274",
        "http://127.0.0.1",
        "https://[::1]:8443",
    ] {
        let told = ask(&mut stream, asks(origin).as_bytes()).await;
        assert_eq!(told.status, 204, "{told:?}");
        assert_eq!(told.header("access-control-allow-origin"), Some(origin));
        assert_eq!(
            told.header("access-control-allow-headers"),
            Some("authorization, content-type, mcp-protocol-version")
        );
        assert!(told.header("access-control-allow-credentials").is_none());
        // The answer can be read, and so can a refusal.
        let page = [("Origin", origin)];
        let answered = ask(&mut stream, &post(&with(&headers, &page), &call)).await;
        assert_eq!(answered.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answered.status, 200, "{answered:?}");
        let request = post(&page, &call);
        let nobody = String::from_utf8(request)
            .expect("text")
            .replace(ADA, "nobody");
        let refused = ask(&mut stream, nobody.as_bytes()).await;
        assert_eq!(refused.status, 401, "{refused:?}");
        assert_eq!(refused.header("access-control-allow-origin"), Some(origin));
    }
    for origin in ["https://evil.example", "null", "http://localhost.evil"] {
        for request in [
            asks(origin).into_bytes(),
            post(&with(&headers, &[("Origin", origin)]), &call),
        ] {
            let refused = ask(&mut stream, &request).await;
            assert_eq!(refused.status, 403, "{origin}: {refused:?}");
            assert!(refused.header("access-control-allow-origin").is_none());
        }
    }
    let health = "GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:1\r\n\r\n";
    let mut stream = TcpStream::connect(door.address)
        .await
        .expect("a connection");
    let told = ask(&mut stream, health.as_bytes()).await;
    assert_eq!(
        told.header("access-control-allow-origin"),
        Some("http://localhost:1")
    );
    // A question that no page asks says nothing new.
    let plain = head("OPTIONS /mcp", &[]) + "\r\n";
    let mut stream = TcpStream::connect(door.address)
        .await
        .expect("a connection");
    assert_eq!(ask(&mut stream, plain.as_bytes()).await.status, 405);
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_changes_nothing() {
    let house = house();
    let door = house.open().await;
    let (call, headers) = add();
    let request = post(&with(&headers, &[]), &call);
    let request = String::from_utf8(request).expect("text");
    let mut stream = TcpStream::connect(door.address)
        .await
        .expect("a connection");
    for (path, status) in [("/mcp/", 200), ("/mcp//", 404), ("/mcp/x", 404), ("/", 404)] {
        let request = request.replace("/mcp ", &format!("{path} "));
        let said = ask(&mut stream, request.as_bytes()).await;
        assert_eq!(said.status, status, "{path}: {said:?}");
    }
    let health = "GET /health/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(ask(&mut stream, health.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn x74_an_answer_is_one_line_to_every_reader() {
    let house = house();
    let door = house.open().await;
    let text = "one\u{2028}two\u{2029}three\u{85}four";
    let is_whole = |said: &str| !said.contains(['\u{2028}', '\u{2029}', '\u{85}']);
    let call = |id: u64| {
        json!({
            "jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": { "name": "hello_greet", "arguments": { "name": text } },
        })
    };
    let mut stream = tokio::net::UnixStream::connect(&door.socket)
        .await
        .expect("a connection");
    let asked = format!("{}\n{}\n", hello("2025-11-25"), call(2));
    stream.write_all(asked.as_bytes()).await.expect("sent");
    let mut said = Vec::new();
    while said.iter().filter(|byte| **byte == b'\n').count() < 2 {
        said.push(stream.read_u8().await.expect("an answer"));
    }
    let said = String::from_utf8(said).expect("text");
    assert!(is_whole(&said) && said.contains("\\u2028"), "{said}");
    let last: Value = serde_json::from_str(said.lines().last().expect("a line")).expect("JSON");
    assert!(last.to_string().contains(text), "{last}");

    let both = [("Accept", "application/json, text/event-stream")];
    let mut stream = TcpStream::connect(door.address)
        .await
        .expect("a connection");
    let opened = ask(&mut stream, &post(&both, &hello("2025-11-25"))).await;
    let session = opened
        .header("mcp-session-id")
        .expect("a session")
        .to_owned();
    let headers = [("Mcp-Session-Id", session.as_str()), both[0]];
    let events = ask(&mut stream, &post(&headers, &call(3))).await;
    assert!(is_whole(&events.body), "{events:?}");
    assert!(events.answer().to_string().contains(text), "{events:?}");

    // Without a session, in the form that the client asks for.
    let (call, headers) = modern("hello_greet", &json!({ "name": text }));
    let headers = with(&headers, &[("Accept", EVENTS)]);
    let events = ask(&mut stream, &post(&headers, &call)).await;
    assert_eq!(events.header("content-type"), Some(EVENTS), "{events:?}");
    assert!(is_whole(&events.body), "{events:?}");
    assert!(events.answer().to_string().contains(text), "{events:?}");
}

/// A host whose largest message is a quarter of a mebibyte, and Ada at its door.
fn small() -> House {
    House::new(&format!(
        r#"
[host]
message = "256KiB"
[caller.ada]
token_sha256 = "{}"
uid = {}
may = ["*"]
[tool.everything]
component = "everything.wasm"
"#,
        sha256(ADA),
        rustix::process::geteuid().as_raw(),
    ))
}

/// A ping that is longer than so many bytes.
fn large(bytes: usize) -> Value {
    let padding = "x".repeat(bytes);
    json!({ "jsonrpc": "2.0", "method": "ping", "params": { "a": padding }, "id": 44 })
}

/// Clients that send a body before they read an answer, as most do, keep their connection.
#[tokio::test]
async fn x67_a_body_that_is_too_large_is_answered_and_the_connection_goes_on() {
    let house = small();
    let door = house.open().await;
    let (call, headers) = add();
    let good = post(&with(&headers, &[]), &call);
    let mut stream = TcpStream::connect(door.address)
        .await
        .expect("a connection");
    for bytes in [256 << 10, 3 << 20] {
        let body = large(bytes);
        let refused = ask(&mut stream, &post(&[], &body)).await;
        assert_eq!(refused.status, 413, "{}", refused.head);
        let answer = refused.answer();
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(44), &json!(-32600))
        );
        assert!(answer.to_string().contains("262144 bytes"), "{answer}");
        assert_eq!(ask(&mut stream, &good).await.status, 200);

        let text = body.to_string();
        let kind = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let begin = head("POST /mcp", &[]) + kind;
        let chunked = format!("{begin}{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
        let refused = ask(&mut stream, chunked.as_bytes()).await;
        assert_eq!((refused.status, &refused.answer()["id"]), (413, &json!(44)));
        assert_eq!(ask(&mut stream, &good).await.status, 200);
    }
    // Who asks first is told at once, and sends nothing.
    let asked = head(
        "POST /mcp",
        &[("Expect", "100-continue"), ("Content-Length", "400000")],
    );
    let asked = asked + "Content-Type: application/json\r\n\r\n";
    assert_eq!(ask(&mut stream, asked.as_bytes()).await.status, 413);
    // What is refused for another reason is read as well, as long as it is no larger than a message.
    let mut stream = TcpStream::connect(door.address)
        .await
        .expect("a connection");
    let fits = post(&[], &large(200 << 10));
    let fits = String::from_utf8(fits).expect("text");
    for (from, to, status) in [
        (ADA, "nobody", 401),
        ("/mcp ", "/nothing ", 404),
        ("application/json", "text/plain", 415),
        ("Host: localhost", "Host: localhost\r\nOrigin: null", 403),
    ] {
        let refused = ask(&mut stream, fits.replacen(from, to, 1).as_bytes()).await;
        assert_eq!(refused.status, status, "{refused:?}");
    }
    assert_eq!(ask(&mut stream, &good).await.status, 200);
}

/// What is read and forgotten has an end: sixteen largest messages. On the Unix socket, where the system
/// keeps little of what nobody has read.
#[tokio::test]
async fn x67_a_body_without_an_end_is_not_read_for_ever() {
    const MESSAGE: usize = 256 << 10;
    let house = small();
    let door = house.open().await;
    let begin = head("POST /mcp", &[("Content-Length", "1000000000")]);
    let chunked = head("POST /mcp", &[("Transfer-Encoding", "chunked")]);
    for (begin, piece) in [
        (begin, vec![b' '; 4 << 10]),
        (
            chunked,
            format!("1000\r\n{}\r\n", " ".repeat(4 << 10)).into_bytes(),
        ),
    ] {
        let mut stream = tokio::net::UnixStream::connect(&door.socket)
            .await
            .expect("a connection");
        rustix::net::sockopt::set_socket_send_buffer_size(&stream, 16 << 10).expect("a size");
        let begin = begin + "Content-Type: application/json\r\n\r\n";
        stream.write_all(begin.as_bytes()).await.expect("sent");
        let (mut reader, mut writer) = stream.split();
        let send = async {
            let mut sent = 0;
            while sent < 100 * MESSAGE && writer.write_all(&piece).await.is_ok() {
                sent += piece.len();
            }
            sent
        };
        let hear = async {
            let mut said = Vec::new();
            let _ = reader.read_to_end(&mut said).await;
            String::from_utf8_lossy(&said).into_owned()
        };
        let (sent, said) = tokio::join!(send, hear);
        assert!(said.starts_with("HTTP/1.1 413"), "{said}");
        assert!(sent >= 16 * MESSAGE, "{sent} bytes were taken");
        // One more piece of a buffer's length may be under way.
        assert!(sent < 17 * MESSAGE, "{sent} bytes were taken");
    }
}

#[tokio::test]
async fn x67_a_line_that_is_too_long_is_refused_by_its_id_and_its_session_goes_on() {
    let house = small();
    let door = house.open().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    for _ in 0..3 {
        lines.tell(&large(3 << 20)).await;
        let refused = lines.hear().await.expect("a refusal");
        assert_eq!(
            (&refused["id"], &refused["error"]["code"]),
            (&json!(44), &json!(-32600))
        );
        assert!(refused.to_string().contains("262144 bytes"), "{refused}");
        let answer = lines
            .call(json!(1), "everything_add", json!({ "a": 1, "b": 2 }))
            .await;
        assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 3 }));
    }
}

/// The same message is taken or refused by both framings.
#[tokio::test]
async fn x68_lines_and_bodies_have_one_bound() {
    let house = house();
    let door = house.open().await;
    let agent: Agent = door.agent(ADA);
    let session = agent.session().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    let mut fits = large(0);
    let room = (4 << 20) - fits.to_string().len();
    fits["params"]["a"] = "x".repeat(room).into();
    assert_eq!(fits.to_string().len(), 4 << 20);
    let mut beyond = fits.clone();
    beyond["id"] = json!(444);
    lines.tell(&fits).await;
    assert!(lines.answer(&json!(44)).await["result"].is_object());
    assert_eq!(agent.in_session(&session, &fits).await.status, 200);
    lines.tell(&beyond).await;
    let refused = lines.answer(&json!(444)).await;
    assert!(refused["error"].is_object());
    // As an answer, so that the session is kept; to a request of its own by a status.
    let reply = agent.in_session(&session, &beyond).await;
    assert_eq!((reply.status, reply.answer()), (200, refused));
    let alone = agent.send(&agent.post(&[], beyond.to_string())).await;
    assert_eq!(alone.status, 413);
}

/// What is repeated in every answer and report has a length, at every door, and whoever sends more
/// loses that request alone.
#[tokio::test]
async fn x75_a_long_id_or_token_is_refused_before_anything_runs_and_the_session_goes_on() {
    let house = house();
    let door = house.open().await;
    let agent: Agent = door.agent(ADA);
    let session = agent.session().await;
    let mut lines = speak(&door.socket).await;
    lines.initialize().await;
    let before = house.calls().len();
    let (_, headers) = add();
    let call = |id: &Value, mut meta: Value, token: &Value| {
        meta["progressToken"] = token.clone();
        let params = json!({
            "name": "everything_add", "arguments": { "a": 1, "b": 2 }, "_meta": meta,
        });
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
    };
    let in_session = |id: &Value, token: &Value| call(id, json!({}), token);
    let alone = |id: &Value, token: &Value| {
        let call = call(id, modern_meta(), token).to_string();
        agent.post(&with(&headers, &[]), call)
    };

    // Small enough to be read on the spot, and so large that they are read aside.
    for length in [257, 40_000] {
        let (long, token) = (json!("x".repeat(length)), json!("p"));
        let own = json!({ "a": 1, "b": 2 });
        lines.begin(&long, "everything_add", &own).await;
        let plain = lines.hear().await.expect("a refusal");
        let session_call = in_session(&long, &token);
        lines.tell(&session_call).await;
        for refused in [
            plain,
            lines.hear().await.expect("a refusal"),
            agent.in_session(&session, &session_call).await.answer(),
            agent.send(&alone(&long, &token)).await.answer(),
        ] {
            assert_eq!(refused["error"]["code"], -32600, "{refused}");
            assert!(refused.get("id").is_none() && refused.to_string().len() < 300);
        }

        let id = json!(8);
        let session_call = in_session(&id, &long);
        lines.tell(&session_call).await;
        for refused in [
            lines.hear().await.expect("a refusal"),
            agent.in_session(&session, &session_call).await.answer(),
            agent.send(&alone(&id, &long)).await.answer(),
        ] {
            let found = (&refused["id"], &refused["error"]["code"]);
            assert_eq!(found, (&id, &json!(-32602)), "{refused}");
            assert!(refused.to_string().len() < 300, "{refused}");
        }

        // What repeats a name repeats its beginning, and what takes nothing back is nothing.
        lines
            .tell(&json!({ "jsonrpc": "2.0", "id": 9, "method": long }))
            .await;
        let refused = lines.answer(&json!(9)).await;
        assert_eq!(refused["error"]["code"], -32601);
        assert!(refused.to_string().len() < 500, "{refused}");
        let taken = json!({ "requestId": long });
        lines
            .tell(
                &json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": taken }),
            )
            .await;
    }
    assert_eq!(house.calls().len(), before, "something ran");

    let longest = json!("x".repeat(256));
    let session_call = in_session(&longest, &longest);
    lines.tell(&session_call).await;
    for answer in [
        lines.answer(&longest).await,
        agent.in_session(&session, &session_call).await.answer(),
        agent.send(&alone(&longest, &longest)).await.answer(),
    ] {
        let sum = json!({ "sum": 3 });
        assert_eq!(answer["result"]["structuredContent"], sum, "{answer}");
    }
}
