//! The transport alone, its client a pipe in memory and its library the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures_util::FutureExt as _;
use rmcp::model::{EmptyResult, ServerResult};
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf,
};

use super::*;
use crate::budget::{Budget, Held};
use crate::terms::Caller;

impl Peer for WriteHalf<DuplexStream> {}
impl MessageSource for ReadHalf<DuplexStream> {}

/// The largest message.
const MESSAGE: usize = 4 << 20;

type Ours = Lines<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

/// The transport and the client's side of it, which holds `capacity` bytes.
fn pair(capacity: usize) -> (Ours, BufReader<DuplexStream>) {
    pair_of(&adas(), capacity)
}

/// What a caller may take whose other connections have taken nothing.
fn adas() -> Allowance {
    Arc::new(Budget::new(MESSAGE)).of(&Caller {
        agent: "ada".into(),
        user: None,
    })
}

/// The same for a caller that may have several.
fn pair_of(allowance: &Allowance, capacity: usize) -> (Ours, BufReader<DuplexStream>) {
    let (near, far) = tokio::io::duplex(capacity);
    let (reader, writer) = tokio::io::split(near);
    let allowance = allowance.clone();
    let token = CancellationToken::new;
    let cut = token();
    let output = Output::new(Deadlined::new(writer), allowance.clone(), cut.clone());
    let lines = Lines::bare(
        (reader, Arc::new(output)),
        allowance,
        (token(), token(), cut),
    );
    (lines, BufReader::new(far))
}

fn ping(id: usize) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n")
}

fn id_of(message: &ClientJsonRpcMessage) -> Value {
    serde_json::to_value(message).unwrap()["id"].clone()
}

fn pong(id: &Value) -> ServerJsonRpcMessage {
    let id = serde_json::from_value(id.clone()).unwrap();
    ServerJsonRpcMessage::response(ServerResult::EmptyResult(EmptyResult {}), id)
}

async fn read_line(client: &mut BufReader<DuplexStream>) -> Value {
    let mut line = String::new();
    client.read_line(&mut line).await.unwrap();
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn x04_what_cannot_be_read_is_answered_and_the_stream_goes_on() {
    let (mut ours, mut client) = pair(1 << 16);
    let sent = format!("\n\u{feff}not json\n[]\n{{\"id\":5}}\r\n{}", ping(7));
    client.write_all(sent.as_bytes()).await.unwrap();
    client.write_all(b"\xff\n").await.unwrap();

    assert_eq!(id_of(&ours.receive().await.unwrap()), 7);
    let mut codes = Vec::new();
    for _ in 0..3 {
        let refusal = read_line(&mut client).await;
        codes.push((refusal["error"]["code"].clone(), refusal.get("id").cloned()));
    }
    assert_eq!(
        codes,
        [
            (json!(-32700), None),
            (json!(-32600), None),
            (json!(-32600), Some(json!(5)))
        ]
    );
}

#[tokio::test]
async fn a_request_that_comes_in_pieces_between_polls_is_whole() {
    let (mut ours, mut client) = pair(1 << 16);
    let request = ping(1);
    let (head, tail) = request.split_at(20);
    client.write_all(head.as_bytes()).await.unwrap();
    assert!(ours.receive().now_or_never().is_none());
    client.write_all(tail.as_bytes()).await.unwrap();
    assert_eq!(id_of(&ours.receive().await.unwrap()), 1);
}

#[tokio::test]
async fn an_id_is_free_again_once_it_is_answered_or_cancelled() {
    let (mut ours, mut client) = pair(1 << 16);
    ours.begun = true;
    client
        .write_all([ping(1), ping(1), ping(2)].concat().as_bytes())
        .await
        .unwrap();
    assert_eq!(id_of(&ours.receive().await.unwrap()), 1);
    assert_eq!(
        id_of(&ours.receive().await.unwrap()),
        2,
        "the second 1 is not passed on"
    );
    assert!(
        read_line(&mut client).await["error"]["message"]
            .to_string()
            .contains("still running")
    );

    ours.send(pong(&json!(1))).await.unwrap();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#;
    client
        .write_all(format!("{}{cancel}\n{}", ping(1), ping(2)).as_bytes())
        .await
        .unwrap();
    assert_eq!(id_of(&ours.receive().await.unwrap()), 1);
    assert_eq!(
        id_of(&ours.receive().await.unwrap()),
        Value::Null,
        "the cancellation"
    );
    assert_eq!(id_of(&ours.receive().await.unwrap()), 2);
}

#[tokio::test]
async fn a_full_connection_is_read_again_when_something_is_answered() {
    let (mut ours, mut client) = pair(1 << 16);
    let requests: String = (0..=MAX_IN_FLIGHT).map(ping).collect();
    client.write_all(requests.as_bytes()).await.unwrap();
    for id in 0..MAX_IN_FLIGHT {
        assert_eq!(id_of(&ours.receive().await.unwrap()), id);
    }
    assert!(ours.receive().now_or_never().is_none());
    ours.send(pong(&json!(3))).await.unwrap();
    assert_eq!(id_of(&ours.receive().await.unwrap()), MAX_IN_FLIGHT);
}

#[tokio::test]
async fn x67_a_line_that_is_too_long_is_refused_by_its_id_and_the_next_is_heard() {
    let (mut ours, mut client) = pair(1 << 16);
    let large = "x".repeat(MESSAGE);
    let large = format!("{{\"method\":\"ping\",\"params\":{{\"a\":\"{large}\"}},\"id\":3}}\n");
    let write = async {
        client.write_all(large.as_bytes()).await.unwrap();
        client.write_all(ping(4).as_bytes()).await.unwrap();
    };
    let (next, ()) = tokio::join!(ours.receive(), write);
    assert_eq!(id_of(&next.unwrap()), 4);
    let refusal = read_line(&mut client).await;
    assert_eq!(refusal["id"], 3, "{refusal}");
    let say = refusal["error"]["message"].to_string();
    assert!(say.contains("longer than 4194304 bytes"), "{refusal}");
    assert!(
        ours.waiting.load(Ordering::Relaxed) < 2_000,
        "nothing is held for it"
    );
}

#[tokio::test]
async fn x04_a_line_without_an_end_ends_the_connection_with_a_word() {
    let (mut ours, mut client) = pair(1 << 16);
    let piece = vec![b' '; 1 << 20];
    let write = async {
        for _ in 0..17 * MESSAGE / piece.len() {
            client.write_all(&piece).await.unwrap();
        }
        client.write_all(b"\n").await.unwrap();
    };
    let (end, ()) = tokio::join!(ours.receive(), write);
    assert!(end.is_none());
    let refusal = read_line(&mut client).await;
    let say = refusal["error"]["message"].to_string();
    assert!(say.contains("did not end within 67108864"), "{refusal}");
}

/// Each holds something when it has begun to come, and none has all that it needs.
#[tokio::test]
async fn x67_long_lines_of_one_caller_do_not_wait_for_each_other_for_ever() {
    let allowance = adas();
    let line = format!("{{\"method\":\"{}\"}}\n", "x".repeat(MESSAGE - 100));
    let one = async || {
        let (mut ours, mut client) = pair_of(&allowance, 1 << 16);
        let write = async {
            client.write_all(line.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let (end, ()) = tokio::join!(ours.receive(), write);
        assert!(end.is_none(), "a notification that nobody knows");
    };
    let all = futures_util::future::join_all((0..40).map(|_| one()));
    let all = tokio::time::timeout(LINE_TIME, all).await;
    all.expect("all come to their end");
}

/// A line that has to wait for room waits as long as one may take to come.
#[tokio::test]
async fn x67_a_line_for_which_there_is_no_room_ends_the_connection_with_a_word() {
    let allowance = adas();
    let _others: Vec<Held> = std::iter::from_fn(|| allowance.request(1 << 20).ok()).collect();
    let (mut ours, mut client) = pair_of(&allowance, 1 << 16);
    let line = vec![b' '; 1 << 20];
    tokio::select! {
        biased;
        _ = ours.receive() => panic!("it has no end yet"),
        () = async {
            // What fits without being held, and what the pipe has room for.
            while client.write(&line).now_or_never().is_some() {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    ours.input.is_due_now();
    assert!(ours.receive().await.is_none());
    let refusal = read_line(&mut client).await;
    let say = refusal["error"]["message"].to_string();
    assert!(say.contains("left no room for it"), "{refusal}");
}

/// What the library would take for the end of the connection.
#[tokio::test]
async fn x71_stray_messages_before_the_handshake_are_nothing() {
    let (mut ours, mut client) = pair(1 << 16);
    let stray = [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/unknown" }),
        json!({ "jsonrpc": "2.0", "id": 5, "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 5, "error": { "code": 1, "message": "no" } }),
    ];
    let early: String = stray.iter().map(|message| format!("{message}\n")).collect();
    let hello = json!({
        "jsonrpc": "2.0", "id": 2, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "t", "version": "1" },
        },
    });
    let asked = format!("{early}{}{early}{hello}\n{early}", ping(1));
    client.write_all(asked.as_bytes()).await.unwrap();
    for id in [1, 2] {
        assert_eq!(id_of(&ours.receive().await.unwrap()), id);
    }
    // From then on they are the library's.
    for _ in &stray {
        let message = ours.receive().now_or_never().flatten();
        assert!(message.is_some());
    }
}

#[tokio::test]
async fn a_stopping_host_takes_nothing_more_and_answers_what_it_took() {
    let (mut ours, mut client) = pair(1 << 16);
    client.write_all(ping(1).as_bytes()).await.unwrap();
    assert_eq!(id_of(&ours.receive().await.unwrap()), 1);
    ours.stop.cancel();
    client.write_all(ping(2).as_bytes()).await.unwrap();
    assert!(
        ours.receive().now_or_never().is_none(),
        "neither 2 nor an end before 1 is answered"
    );
    let closing = ours.closing.clone();
    ours.send(pong(&json!(1))).await.unwrap();
    assert!(ours.receive().await.is_none());
    assert!(closing.is_cancelled());
    assert!(!ours.cut.is_cancelled());
}

/// However few they are, requests that wait are no more bytes than a host can hold of everybody.
#[tokio::test]
async fn x04_large_requests_without_an_answer_hold_the_connection_up() {
    let (mut ours, mut client) = pair(64 << 20);
    let large = "a".repeat(MESSAGE - 200);
    let line = |id: usize| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"a\",\"arguments\":{{\"a\":\"{large}\"}}}}}}\n"
        )
    };
    let weight = json::rough_weight(line(0).as_bytes());
    let most = usize::try_from(ours.allowance.waiting() / weight).unwrap() + 1;
    for id in 0..most + 1 {
        client.write_all(line(id).as_bytes()).await.unwrap();
    }
    for id in 0..most {
        assert_eq!(id_of(&ours.receive().await.unwrap()), id);
    }
    assert!(ours.receive().now_or_never().is_none());
    drop(ours.send(pong(&json!(0))));
    assert_eq!(id_of(&ours.receive().await.unwrap()), most);
}

/// Each has a price of its own, however short it is.
#[tokio::test]
async fn x25_who_reads_no_answers_is_read_from_no_more() {
    let (mut ours, mut client) = pair(64);
    let mut answers = Vec::new();
    for id in 0..MAX_UNWRITTEN {
        answers.push(ours.send(pong(&json!(id))));
    }
    assert!(ours.output.backlog() < MAX_BACKLOG);
    client.write_all(ping(7).as_bytes()).await.unwrap();
    assert!(ours.receive().now_or_never().is_none());
    let read = async {
        for id in 0..MAX_UNWRITTEN {
            assert_eq!(read_line(&mut client).await["id"], id);
        }
    };
    let written = futures_util::future::join_all(answers);
    let (next, _, ()) = tokio::join!(ours.receive(), written, read);
    assert_eq!(id_of(&next.unwrap()), 7);
}
