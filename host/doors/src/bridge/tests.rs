//! A bridge between pipes in memory and hosts that are the test's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf,
};

use super::*;

const SHORT: Duration = Duration::from_millis(200);

type Ours = Bridge<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

fn bridge() -> (Ours, BufReader<DuplexStream>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (input, output) = tokio::io::split(near);
    let bridge = Bridge {
        input: Pieces::new(input, 1 << 10),
        output,
        next: None,
        left: false,
        talk: Talk::default(),
        patience: SHORT,
        pause: PAUSES.0,
    };
    (bridge, BufReader::new(far))
}

/// The bridge's end at a host, and the host's.
fn host() -> (Ends, BufReader<UnixStream>) {
    let (near, far) = UnixStream::pair().unwrap();
    (Ends::of(near), BufReader::new(far))
}

async fn line(reader: &mut BufReader<impl AsyncRead + Unpin>) -> Value {
    let mut line = String::new();
    reader.read_line(&mut line).await.unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

async fn write(to: &mut (impl AsyncWrite + Unpin), message: &Value) {
    to.write_all(format!("{message}\n").as_bytes())
        .await
        .unwrap();
}

#[tokio::test]
async fn x69_a_host_that_does_not_come_back_is_the_end_and_nothing_is_left_unsaid() {
    let (mut ours, mut agent) = bridge();
    let (ends, mut first) = host();
    let nobody = async || Ok(None);
    let play = async {
        write(&mut agent, &json!({ "id": 1, "method": "tools/call" })).await;
        assert_eq!(line(&mut first).await["id"], 1);
        // Half an answer is none.
        first.write_all(b"{\"id\":1,\"res").await.unwrap();
        drop(first);
        let lost = line(&mut agent).await;
        assert_eq!(lost["id"], 1);
        assert!(lost.to_string().contains("not known"), "{lost}");
        write(&mut agent, &json!({ "id": 2, "method": "tools/call" })).await;
        let unasked = line(&mut agent).await;
        assert_eq!(unasked["id"], 2);
        assert!(unasked.to_string().contains("nothing ran"), "{unasked}");
    };
    let (end, ()) = tokio::join!(ours.keep(ends, nobody), play);
    let end = end.unwrap_err().to_string();
    assert!(end.contains("did not come back within 200ms"), "{end}");
}

/// What is said while nobody is there is said to the next one, after the handshake that it missed.
#[tokio::test]
async fn x69_the_next_host_hears_the_handshake_first_and_then_what_was_said_meanwhile() {
    let (mut ours, mut agent) = bridge();
    let (ends, mut first) = host();
    let (near, second) = UnixStream::pair().unwrap();
    let (near, mut second) = (std::sync::Mutex::new(Some(near)), BufReader::new(second));
    let find = async || Ok(near.lock().unwrap().take());
    let hello = json!({ "id": "h", "method": "initialize" });
    let opened = json!({ "id": "h", "result": { "protocolVersion": "2025-11-25" } });
    let ready = json!({ "method": "notifications/initialized" });
    let play = async {
        write(&mut agent, &hello).await;
        line(&mut first).await;
        write(&mut first, &opened).await;
        assert_eq!(line(&mut agent).await, opened);
        write(&mut agent, &ready).await;
        assert_eq!(line(&mut first).await, ready);
        drop(first);
        assert_eq!(line(&mut second).await, hello);
        // The bridge knows that the first one is gone, and has no other yet.
        write(&mut agent, &json!({ "id": 5, "method": "ping" })).await;
        write(&mut second, &opened).await;
        assert_eq!(line(&mut second).await, ready);
        assert_eq!(line(&mut second).await["id"], 5);
        write(&mut second, &json!({ "id": 5, "result": {} })).await;
        let changed = line(&mut agent).await;
        assert_eq!(changed["method"], "notifications/tools/list_changed");
        assert_eq!(line(&mut agent).await["id"], 5);
        // The agent ends, and the host with it.
        agent.shutdown().await.unwrap();
        assert_eq!(second.read(&mut [0]).await.unwrap(), 0);
        drop(second);
    };
    let (end, ()) = tokio::join!(ours.keep(ends, find), play);
    end.unwrap();
}

#[tokio::test]
async fn x69_a_handshake_without_an_answer_is_the_next_hosts_to_answer() {
    let (mut ours, mut agent) = bridge();
    let (ends, mut first) = host();
    let (near, second) = UnixStream::pair().unwrap();
    let (near, mut second) = (std::sync::Mutex::new(Some(near)), BufReader::new(second));
    let find = async || Ok(near.lock().unwrap().take());
    let hello = json!({ "id": 0, "method": "initialize" });
    let play = async {
        write(&mut agent, &hello).await;
        assert_eq!(line(&mut first).await, hello);
        drop(first);
        assert_eq!(line(&mut second).await, hello);
        let opened = json!({ "id": 0, "result": { "protocolVersion": "2025-11-25" } });
        write(&mut second, &opened).await;
        assert_eq!(line(&mut agent).await, opened);
        agent.shutdown().await.unwrap();
        assert_eq!(second.read(&mut [0]).await.unwrap(), 0);
        drop(second);
    };
    let (end, ()) = tokio::join!(ours.keep(ends, find), play);
    end.unwrap();
}

/// Otherwise the bridge would be busy for ever, and its agent wait.
#[tokio::test]
async fn x69_a_host_that_takes_connections_and_closes_them_is_given_up() {
    let (mut ours, _agent) = bridge();
    let (ends, first) = host();
    drop(first);
    let closes = async || Ok(Some(UnixStream::pair()?.0));
    let end = ours.keep(ends, closes).await.unwrap_err().to_string();
    assert!(end.contains("did not come back"), "{end}");
}

/// A host that says why it ends is believed, and not asked again.
#[tokio::test]
async fn x69_a_host_that_refuses_the_agent_is_not_waited_for() {
    let (mut ours, mut agent) = bridge();
    let (ends, mut first) = host();
    let nobody = async || -> io::Result<Option<UnixStream>> { panic!("it is not looked for") };
    let refusal = json!({ "error": { "code": -32010, "message": "Not you." } });
    let play = async {
        write(&mut first, &refusal).await;
        drop(first);
        assert_eq!(line(&mut agent).await, refusal);
    };
    let (end, ()) = tokio::join!(ours.keep(ends, nobody), play);
    let end = end.unwrap_err().to_string();
    assert!(end.contains("Not you."), "{end}");
}

#[tokio::test]
async fn x69_a_line_that_is_too_long_to_be_held_passes_all_the_same() {
    let (mut ours, mut agent) = bridge();
    let (ends, mut first) = host();
    let long = json!({ "id": 1, "method": "ping", "params": "x".repeat(100_000) });
    let play = async {
        let (reader, mut writer) = tokio::io::split(agent);
        tokio::join!(
            async {
                write(&mut writer, &long).await;
                write(&mut writer, &json!({ "id": 2, "method": "ping" })).await;
            },
            async {
                assert_eq!(line(&mut first).await, long);
                assert_eq!(line(&mut first).await["id"], 2);
            }
        );
        drop(first);
        agent = BufReader::new(reader.unsplit(writer).into_inner());
        for id in [1, 2] {
            assert_eq!(line(&mut agent).await["id"], id);
        }
        drop(agent);
    };
    let (end, ()) = tokio::join!(ours.keep(ends, async || Ok(None)), play);
    end.unwrap();
}

/// Hosts that the bridge finds, one after the other.
fn hosts<const N: usize>() -> (
    impl AsyncFn() -> io::Result<Option<UnixStream>>,
    [BufReader<UnixStream>; N],
) {
    let pairs = std::array::from_fn::<_, N, _>(|_| UnixStream::pair().unwrap());
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for (one, other) in pairs {
        near.push(one);
        far.push(BufReader::new(other));
    }
    let near = std::sync::Mutex::new(near.into_iter());
    let find = async move || Ok(near.lock().unwrap().next());
    (find, far.try_into().unwrap())
}

/// Opens a session with the first host.
async fn open(agent: &mut BufReader<DuplexStream>, host: &mut BufReader<UnixStream>) {
    write(agent, &json!({ "id": "h", "method": "initialize" })).await;
    line(host).await;
    let opened = json!({ "id": "h", "result": { "protocolVersion": "2025-11-25" } });
    write(host, &opened).await;
    assert_eq!(line(agent).await, opened);
}

/// A line that was refused says nothing of the connection, however late the host goes away.
#[tokio::test]
async fn x69_a_host_that_refused_a_line_is_waited_for() {
    let (mut ours, mut agent) = bridge();
    let (ends, mut first) = host();
    let (near, second) = UnixStream::pair().unwrap();
    let (near, mut second) = (std::sync::Mutex::new(Some(near)), BufReader::new(second));
    let looked = tokio::sync::Notify::new();
    let find = async || {
        looked.notify_one();
        Ok(near.lock().unwrap().take())
    };
    let play = async {
        write(&mut agent, &json!([])).await;
        line(&mut first).await;
        let refusal = json!({ "error": { "code": -32600, "message": "Batches are not served." } });
        write(&mut first, &refusal).await;
        assert_eq!(line(&mut agent).await, refusal);
        drop(first);
        // Said before, it could still go to the first one, and be lost with it.
        looked.notified().await;
        write(&mut agent, &json!({ "id": 1, "method": "ping" })).await;
        assert_eq!(line(&mut second).await["id"], 1);
        write(&mut second, &json!({ "id": 1, "result": {} })).await;
        assert_eq!(line(&mut agent).await["id"], 1);
        drop((agent, second));
    };
    let (end, ()) = tokio::join!(ours.keep(ends, find), play);
    end.unwrap();
}

#[tokio::test]
async fn x69_a_host_that_came_back_and_refuses_the_agent_has_its_words_heard() {
    let (mut ours, mut agent) = bridge();
    ours.patience = Duration::from_secs(60);
    let (ends, mut first) = host();
    let (find, [mut second]) = hosts();
    let play = async {
        open(&mut agent, &mut first).await;
        drop(first);
        line(&mut second).await;
        let refusal = json!({ "error": { "code": -32010, "message": "User 7 is no caller." } });
        write(&mut second, &refusal).await;
        drop(second);
    };
    let (end, ()) = tokio::join!(ours.keep(ends, find), play);
    let end = end.unwrap_err().to_string();
    assert!(end.contains("User 7 is no caller."), "{end}");
}

#[tokio::test]
async fn x69_a_host_without_room_is_asked_again() {
    let (mut ours, mut agent) = bridge();
    let (ends, mut first) = host();
    let (find, [mut second, mut third]) = hosts();
    let busy = json!({ "error": { "code": -32000, "message": "No room." } });
    let play = async {
        open(&mut agent, &mut first).await;
        drop(first);
        for full in [&mut second, &mut third] {
            line(full).await;
            write(full, &busy).await;
        }
        drop((second, third));
    };
    let (end, ()) = tokio::join!(ours.keep(ends, find), play);
    let end = end.unwrap_err().to_string();
    assert!(
        end.contains("did not come back") && end.contains("No room."),
        "{end}"
    );
}

/// A host that is silent costs no more time than one that is away.
#[tokio::test]
async fn x69_a_host_that_takes_a_connection_and_says_nothing_is_given_up_in_time() {
    let (mut ours, mut agent) = bridge();
    let (ends, mut first) = host();
    let (find, [_silent]) = hosts();
    let play = async {
        open(&mut agent, &mut first).await;
        drop(first);
        Instant::now()
    };
    let (end, since) = tokio::join!(ours.keep(ends, find), play);
    assert!(end.is_err());
    assert!(since.elapsed() < HELLO / 2, "{:?}", since.elapsed());
}

/// The rest of a line is nothing to a host that did not hear its begin.
#[tokio::test]
async fn x69_a_line_that_was_half_said_is_lost_as_a_whole() {
    let (mut ours, mut agent) = bridge();
    let (ends, mut first) = host();
    let (find, [mut second]) = hosts();
    let long = json!({ "id": 1, "method": "tools/call", "params": "x".repeat(100_000) });
    let long = format!("{long}\n");
    let (begin, rest) = long.split_at(50_000);
    let play = async {
        agent.write_all(begin.as_bytes()).await.unwrap();
        first.read_exact(&mut [0; 50_000]).await.unwrap();
        drop(first);
        agent.write_all(rest.as_bytes()).await.unwrap();
        let lost = line(&mut agent).await;
        assert_eq!(lost["id"], 1);
        assert!(lost.to_string().contains("not known"), "{lost}");
        write(&mut agent, &json!({ "id": 2, "method": "ping" })).await;
        assert_eq!(line(&mut second).await["id"], 2);
        write(&mut second, &json!({ "id": 2, "result": {} })).await;
        assert_eq!(line(&mut agent).await["id"], 2);
        drop((agent, second));
    };
    let (end, ()) = tokio::join!(ours.keep(ends, find), play);
    end.unwrap();
}
