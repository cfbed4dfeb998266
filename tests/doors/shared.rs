//! The doors under a hostile caller: connections, sessions and streams without number, answers that
//! nobody reads, messages that grow when they are read. An honest caller beside it is served.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::{ADA, BOB, edges, house, names};
use crate::harness::{Agent, Program, Serving, exchange, sha256, speak};

/// The callers, Bob with this token or not there at all, and the tools.
fn manifest_text(bobs: Option<&str>) -> String {
    let bob = bobs.map(|token| {
        let token = sha256(token);
        format!("[caller.bob]\ntoken_sha256 = \"{token}\"\nmay = [\"*\"]\n")
    });
    format!(
        r#"
[host]
agents = ["unix:a/agent.sock", "http://127.0.0.1:0"]
[caller.ada]
token_sha256 = "{}"
uid = {}
may = ["*"]
{}
[tool.everything]
component = "everything.wasm"
[tool.rogue]
component = "rogue.wasm"
"#,
        sha256(ADA),
        rustix::process::geteuid().as_raw(),
        bob.unwrap_or_default(),
    )
}

/// A host in a process of its own with two callers: Ada by her token and as the user of the socket,
/// Bob by his token.
async fn serve() -> (Program, Serving, u16) {
    let program = Program::new(&manifest_text(Some(BOB)));
    let mut host = program.start(&["serve"]);
    let line = host.says("agents' door: http://").await;
    host.says("functions, ledger segment").await;
    let port = line.split("127.0.0.1:").nth(1);
    let port = port.and_then(|rest| rest.split('/').next()?.parse().ok());
    (program, host, port.expect("a port"))
}

fn agent(port: u16, token: &str) -> Agent {
    Agent::new(([127, 0, 0, 1], port).into(), token)
}

/// Bob's honest call, and how long it took.
async fn honest(bob: &Agent) -> Duration {
    let asked = Instant::now();
    let answer = bob.call("everything_add", json!({ "a": 1, "b": 2 })).await;
    assert_eq!(
        answer["result"]["structuredContent"],
        json!({ "sum": 3 }),
        "{answer}"
    );
    asked.elapsed()
}

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn health(port: u16) -> Value {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let reply = exchange(stream.expect("a connection"), HEALTH).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.answer()
}

/// A connection in a session that pipelines pings whose ids repeat, reads slowly, and hangs up when
/// nothing moves any more.
async fn slow_reader(socket: &Path) {
    let mut lines = speak(socket).await;
    lines.initialize().await;
    drop(lines);
    let mut stream = UnixStream::connect(socket).await.expect("a connection");
    let hello = json!({
        "jsonrpc": "2.0", "id": "hello", "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    });
    let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let begin = format!("{hello}\n{ready}\n");
    stream.write_all(begin.as_bytes()).await.expect("sent");
    let batch: String = (0..64)
        .map(|n| {
            format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}}\n",
                n % 8
            )
        })
        .collect();
    let (batch, mut sent, mut piece) = (batch.as_bytes(), 0, vec![0; 3_000]);
    let mut moved = Instant::now();
    let end = Instant::now() + Duration::from_secs(3);
    while moved.elapsed() < Duration::from_millis(300) && Instant::now() < end {
        let written = stream.try_write(&batch[sent % batch.len()..]);
        sent += *written.as_ref().unwrap_or(&0);
        let read = stream.try_read(&mut piece);
        if written.is_ok() || read.is_ok() {
            moved = Instant::now();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn x23_slow_readers_that_hang_up_leave_the_doors_as_they_were() {
    let (program, mut host, port) = serve().await;
    let socket = program.site.path("a/agent.sock");
    let readers = (0..8).map(|_| slow_reader(&socket));
    futures_util::future::join_all(readers).await;
    assert_eq!(health(port).await["status"], "ok");
    honest(&agent(port, BOB)).await;
    host.signal(rustix::process::Signal::TERM);
    assert!(host.child.wait().await.expect("an end").success());
}

#[tokio::test]
async fn x26_answers_that_nobody_reads_are_not_kept_without_end() {
    let (program, host, port) = serve().await;
    let bob = agent(port, BOB);
    honest(&bob).await;
    let rest = host.memory("VmRSS");
    let mut held = Vec::new();
    for _ in 0..6 {
        let mut lines = speak(&program.site.path("a/agent.sock")).await;
        lines.initialize().await;
        for id in 0..40 {
            lines
                .begin(&json!(id), "rogue_flood", &json!({ "mib": 3 }))
                .await;
        }
        held.push(lines);
    }
    // Until they have all run: the record has the last of them.
    let over = Instant::now() + Duration::from_secs(4);
    let mut peak = 0;
    while Instant::now() < over {
        honest(&bob).await;
        peak = peak.max(host.memory("VmRSS"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        peak < rest + (640 << 20),
        "{rest} bytes at rest, {peak} at the peak"
    );
    drop(held);
}

#[tokio::test]
async fn x27_whoever_says_nothing_or_reads_no_health_holds_nobody_up() {
    let (_program, host, port) = serve().await;
    let bob = agent(port, BOB);
    let mut held = Vec::new();
    for n in 0..600 {
        let stream = TcpStream::connect(("127.0.0.1", port)).await;
        let stream = stream.expect("a connection");
        if n % 2 == 0 {
            // As much as it takes without being read.
            let _ = stream.try_write(&HEALTH.repeat(1_000));
        }
        held.push(stream);
    }
    assert_eq!(health(port).await["status"], "ok");
    honest(&bob).await;
    assert!(host.descriptors() < 400, "{}", host.descriptors());
    drop(held);
}

#[tokio::test]
async fn x28_large_messages_of_small_values_hold_nobody_up() {
    let (program, host, port) = serve().await;
    let bob = agent(port, BOB);
    honest(&bob).await;
    let rest = host.memory("VmRSS");
    let socket = program.site.path("a/agent.sock");
    let large = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"rogue_acts\",\"arguments\":{{\"acts\":[{}[]]}}}}}}\n",
        "[],".repeat(1_300_000)
    );
    let one = async || {
        let mut lines = speak(&socket).await;
        lines.initialize().await;
        for _ in 0..2 {
            lines.write(large.as_bytes()).await;
            let answer = lines.answer(&json!(1)).await;
            let is_refused = answer["error"]["code"] == -32000;
            assert!(
                is_refused || answer["result"]["isError"] == true,
                "{answer}"
            );
        }
    };
    let hostile = futures_util::future::join_all((0..12).map(|_| one()));
    let mut slowest = Duration::ZERO;
    let beside = async {
        loop {
            slowest = slowest.max(honest(&bob).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! { _ = hostile => {}, () = beside => {} }
    let peak = host.memory("VmHWM");
    assert!(
        peak < rest + (1 << 30),
        "{rest} bytes at rest, {peak} at the peak; {slowest:?}"
    );
}

#[tokio::test]
async fn x29_one_callers_silent_connections_leave_room_and_give_way() {
    let (program, _host, port) = serve().await;
    let socket = program.site.path("a/agent.sock");
    let mut held = Vec::new();
    for _ in 0..1_100 {
        held.push(UnixStream::connect(&socket).await.expect("a connection"));
    }
    honest(&agent(port, BOB)).await;
    // As soon as the first of them is silent for a second, its caller's next finds a place.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut lines = speak(&socket).await;
    lines.initialize().await;
    let answer = lines
        .call(json!(1), "everything_add", json!({ "a": 1, "b": 2 }))
        .await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 3 }));
    drop(held);
}

/// Whoever has a connection with nothing under way finds it closed, not half open and silent.
#[tokio::test]
async fn x29_an_http_connection_that_gives_way_is_closed_at_once() {
    let (_program, _host, port) = serve().await;
    let (call, headers) = edges::add();
    let request = edges::post(&edges::with(&headers, &[]), &call);
    let mut held = Vec::new();
    // More than one caller may have; where none is silent for a second yet, the next one is refused.
    while held.len() < 500 {
        let mut one = agent(port, ADA).connect().await;
        if edges::ask(&mut one, &request).await.status == 200 {
            held.push(one);
        }
    }
    let mut last = held.pop().expect("a connection");
    let mut rest = Vec::new();
    let end = held[0].read_to_end(&mut rest).await;
    assert!(end.is_ok() && rest.is_empty(), "{end:?}, {rest:?}");
    assert_eq!(edges::ask(&mut last, &request).await.status, 200);
    honest(&agent(port, BOB)).await;
}

/// Opens a stream of events: what a client of either era waits for changes on.
async fn stream(agent: &Agent, request: &[u8]) -> TcpStream {
    let mut stream = agent.connect().await;
    stream.write_all(request).await.expect("sent");
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.expect("an answer");
    assert_eq!(
        &begin[..],
        b"HTTP/1.1 200",
        "{}",
        String::from_utf8_lossy(&begin)
    );
    stream
}

fn listen(agent: &Agent) -> Vec<u8> {
    agent.modern(
        "subscriptions/listen",
        json!({ "notifications": { "toolsListChanged": true } }),
    )
}

#[tokio::test]
async fn x29_one_callers_streams_of_events_leave_room_for_anothers() {
    let (_program, _host, port) = serve().await;
    let (ada, bob) = (agent(port, ADA), agent(port, BOB));
    let request = listen(&ada);
    let mut held = Vec::new();
    let refusal = loop {
        let mut one = ada.connect().await;
        one.write_all(&request).await.expect("sent");
        let mut begin = [0; 12];
        one.read_exact(&mut begin).await.expect("an answer");
        if &begin[..] != b"HTTP/1.1 200" {
            let mut rest = String::new();
            one.read_to_string(&mut rest).await.expect("the rest");
            break rest;
        }
        held.push(one);
    };
    assert_eq!(held.len(), 128);
    assert!(refusal.contains("streams of events"), "{refusal}");
    drop(stream(&bob, &listen(&bob)).await);
}

/// Whether a stream comes to its end; what comes on it before is passed over.
async fn ends(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // Closed or reset: it is over.
    let _ = stream.read_to_end(&mut rest).await;
}

/// Ends what Bob has open by a reload in which he has another token, or none.
async fn streams_and_sessions_end_with(then: Option<&str>) {
    let (program, mut host, port) = serve().await;
    let (ada, bob) = (agent(port, ADA), agent(port, BOB));
    let (session, hers) = (bob.session().await, ada.session().await);
    let in_session = [
        ("Mcp-Session-Id", session.as_str()),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    let get = bob.bytes("GET", &in_session, b"");
    let (older, newer) = (stream(&bob, &get).await, stream(&bob, &listen(&bob)).await);
    let text = format!("schema = 1\n{}", manifest_text(then));
    program.site.write("toolhost.toml", text);
    host.signal(rustix::process::Signal::HUP);
    host.says("reloaded: ").await;
    tokio::join!(ends(older), ends(newer));
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    assert_eq!(bob.in_session(&session, &list).await.status, 401);
    if let Some(token) = then {
        // Its end comes with the reload, on whatever thread.
        let again = agent(port, token);
        while again.in_session(&session, &list).await.status != 404 {
            tokio::task::yield_now().await;
        }
    }
    let answer = ada.in_session(&hers, &list).await.answer();
    assert!(names(&answer).contains(&"everything_add"), "{answer}");
}

#[tokio::test]
async fn x32_a_removed_callers_streams_and_sessions_end_with_the_reload() {
    streams_and_sessions_end_with(None).await;
}

#[tokio::test]
async fn x32_streams_and_sessions_of_a_token_that_was_changed_end_with_the_reload() {
    let new = "new-0123456789abcdef0123456789abcdef";
    streams_and_sessions_end_with(Some(new)).await;
}

#[tokio::test]
async fn x33_the_same_id_twice_at_once_in_a_session_is_refused_and_the_first_is_answered() {
    let house = house();
    let door = house.open().await;
    let ada = door.agent(ADA);
    let session = ada.session().await;
    let nap = json!({
        "jsonrpc": "2.0", "id": 8, "method": "tools/call",
        "params": { "name": "rogue_nap", "arguments": { "ms": 300 } },
    });
    let first = {
        let (ada, session, nap) = (ada.clone(), session.clone(), nap.clone());
        tokio::spawn(async move { ada.in_session(&session, &nap).await })
    };
    house.admitted("rogue.nap").await;
    let second = ada.in_session(&session, &nap).await;
    // As an answer: to a status some clients give up the session.
    assert_eq!(second.status, 200, "{second:?}");
    let error = &second.answer()["error"];
    assert_eq!(error["code"], -32600, "{error}");
    assert!(
        error["message"].to_string().contains("still running"),
        "{error}"
    );
    let first = first.await.expect("an answer").answer();
    assert!(first.to_string().contains("slept 300 ms"), "{first}");
    // Answered, it is free again.
    let again = json!({ "jsonrpc": "2.0", "id": 8, "method": "tools/list" });
    assert_eq!(ada.in_session(&session, &again).await.status, 200);
}

#[tokio::test]
async fn x34_a_forged_cursor_is_a_wrong_parameter() {
    let house = house();
    let door = house.open().await;
    for cursor in ["aaaa", "", "ZXZlcnl0aGluZ19hZGQ"] {
        let answer = door
            .agent(ADA)
            .ask("tools/list", json!({ "cursor": cursor }))
            .await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}
