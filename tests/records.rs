//! The record seen from outside: hosts that are killed again and again, and a disk that is full.

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use toolhost_core::terms::Target;
use toolhost_ledger::{End, Filter, show, verify};

use crate::harness::{Program, Upstream, exchange, speak};

const TOOLS: &str = r#"
[host]
agents = ["unix:a/agent.sock"]
[tool.everything]
component = "everything.wasm"
"#;

/// Calls of `everything.add` that the ledger has as gone well; the record has to be whole.
fn recorded(ledger: &Path) -> usize {
    let report = verify(ledger).expect("a report");
    assert!(report.intact(), "{:?}", report.problems);
    let filter = Filter {
        limit: 1_000_000,
        ..Filter::default()
    };
    let shown = show(ledger, &filter).expect("a ledger");
    let well = |call: &&toolhost_ledger::Call| call.end == End::Ok;
    shown.calls.iter().filter(well).count()
}

/// How often to kill: a few times in the suite, `TOOLHOST_ROUNDS=1000` by hand.
fn rounds() -> usize {
    let asked = std::env::var("TOOLHOST_ROUNDS").ok();
    asked.map_or(6, |rounds| rounds.parse().expect("a number of rounds"))
}

#[tokio::test]
async fn x14_a_host_killed_at_any_moment_has_recorded_what_it_answered() {
    let program = Program::new(TOOLS);
    let ledger = program.site.path(".toolhost/ledger");
    let mut answered = 0;
    for round in 0..rounds() {
        let mut host = program.serve().await;
        let mut lines = speak(&program.site.path("a/agent.sock")).await;
        lines.initialize().await;
        // More are on their way than are waited for: the kill comes at another point each time.
        let wanted = 1 + round * 7 % 41;
        for n in 0..wanted + 40 {
            let sum = json!({ "a": n, "b": round });
            lines.begin(&json!(n), "everything_add", &sum).await;
        }
        for _ in 0..wanted {
            let answer = lines.hear().await.expect("an answer");
            assert!(
                answer["result"]["structuredContent"]["sum"].is_u64(),
                "{answer}"
            );
            answered += 1;
        }
        host.signal(Signal::KILL);
        assert!(!host.child.wait().await.expect("an end").success());
        let recorded = recorded(&ledger);
        assert!(
            recorded >= answered,
            "{answered} answered, {recorded} recorded"
        );
    }
}

/// What a killed host had sent is on record, though its call has no end.
#[tokio::test]
async fn x14_a_host_killed_while_an_upstream_thinks_has_recorded_the_request() {
    let upstream = Upstream::start(|_| None).await;
    let text = format!(
        "[host]\nagents = [\"unix:a/agent.sock\"]\n[tool.rogue]\ncomponent = \"rogue.wasm\"\n[tool.rogue.http.up]\nurl = \"{}\"\nallow = [\"POST /pay/*\"]\nprivate = [\"127.0.0.0/8\"]\n",
        upstream.url("").trim_end_matches('/')
    );
    let program = Program::new(&text);
    let mut host = program.serve().await;
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    let request = json!({ "url": upstream.url("/pay/7"), "body": "all of it" });
    lines.begin(&json!(1), "rogue_post", &request).await;
    let seen = upstream.next().await;
    assert_eq!(seen.body, "all of it");
    host.signal(Signal::KILL);
    host.child.wait().await.expect("an end");

    let ledger = program.site.path(".toolhost/ledger");
    assert!(verify(&ledger).expect("a report").intact());
    let shown = show(&ledger, &Filter::default()).expect("a ledger");
    let [call] = &shown.calls[..] else {
        panic!("{:?}", shown.calls)
    };
    assert_eq!((call.end, call.attempts.len()), (End::Open, 1), "{call:?}");
    let Target::Http(to) = &call.attempts[0].to else {
        panic!("{call:?}")
    };
    assert_eq!((&*to.method, to.path.as_deref()), ("POST", Some("/pay/7")));
    assert_eq!(call.attempts[0].answer, None);
}

/// The code that an answer carries, where the call went badly.
fn code(answer: &Value) -> Option<&str> {
    answer["result"]["_meta"]["toolhost/code"].as_str()
}

#[tokio::test]
async fn x16_x39_what_cannot_be_recorded_does_not_run_until_there_is_room_again() {
    let program = Program::new(TOOLS);
    let ledger = program.site.path(".toolhost/ledger");
    let socket = program.site.path("a/agent.sock");
    let health = async || {
        let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let stream = UnixStream::connect(&socket).await.expect("a connection");
        exchange(stream, request).await
    };
    // 32 KiB: some tens of calls.
    let mut host = program.serve_on_a_small_disk(64).await;
    let mut lines = speak(&socket).await;
    lines.initialize().await;
    assert_eq!(health().await.status, 200);
    let mut answered = 0;
    let refused = loop {
        let sum = json!({ "a": answered, "b": 1 });
        let answer = lines.call(json!(answered), "everything_add", sum).await;
        if answer["result"]["structuredContent"].is_null() {
            break answer;
        }
        answered += 1;
        assert!(answered < 1_000, "the disk is not full");
    };
    assert!(
        answered > 5,
        "only {answered} calls before the disk was full"
    );
    assert_eq!(code(&refused), Some("ledger-failed"), "{refused}");
    let health_then = health().await;
    let expected = match health_then.status {
        200 => "ok",
        _ => "unready",
    };
    assert_eq!(health_then.answer()["status"], expected);
    assert!(recorded(&ledger) >= answered);

    // What was full is one file: the host goes on in the next one by itself.
    let mut tries = 0;
    loop {
        let sum = json!({ "a": 1, "b": 1 });
        let answer = lines
            .call(json!(format!("again-{tries}")), "everything_add", sum)
            .await;
        if answer["result"]["structuredContent"].is_object() {
            break;
        }
        assert_eq!(code(&answer), Some("ledger-failed"), "{answer}");
        tries += 1;
        assert!(tries < 1_000_000, "it does not go on");
    }
    assert_eq!(health().await.status, 200);
    let answered = answered + 1;
    assert!(recorded(&ledger) >= answered);

    host.signal(Signal::KILL);
    host.child.wait().await.expect("an end");
    // With room again the next host begins a segment of its own.
    let next = program.serve().await;
    let mut lines = speak(&socket).await;
    lines.initialize().await;
    let answer = lines
        .call(json!(1), "everything_add", json!({ "a": 1, "b": 1 }))
        .await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 2 }));
    assert_eq!(health().await.status, 200);
    assert!(recorded(&ledger) > answered);
    drop(next);
}

/// Calls of functions that do not exist, as fast as a caller can: the record stays small and exact.
#[tokio::test]
async fn x37_a_flood_of_refused_calls_does_not_fill_the_disk() {
    const FLOOD: u64 = 5_000;
    let program = Program::new(TOOLS);
    let folder = program.site.path(".toolhost/ledger");
    let size = || -> u64 {
        let files = std::fs::read_dir(&folder).expect("a ledger");
        let bytes = files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |m| m.len()));
        bytes.sum()
    };
    let mut host = program.serve().await;
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    let before = size();
    let began = std::time::Instant::now();
    let name = "n".repeat(255);
    for round in 0..FLOOD / 50 {
        for n in 0..50 {
            lines.begin(&json!(round * 50 + n), &name, &json!({})).await;
        }
        for _ in 0..50 {
            let answer = lines.hear().await.expect("an answer");
            assert!(
                answer["error"].is_object() || code(&answer).is_some(),
                "{answer}"
            );
        }
    }
    // An honest call beside it is recorded as ever.
    let sum = json!({ "a": 1, "b": 1 });
    let answer = lines.call(json!("sum"), "everything_add", sum).await;
    assert_eq!(answer["result"]["structuredContent"], json!({ "sum": 2 }));
    host.signal(Signal::TERM);
    assert!(host.child.wait().await.expect("an end").success());

    let seconds = began.elapsed().as_secs() + 2;
    let grew = size() - before;
    assert!(grew < 20_000 * seconds, "{grew} bytes in {seconds} s");
    let report = verify(&folder).expect("a report");
    assert!(report.intact(), "{:?}", report.problems);
    assert_eq!(report.segments[0].tally.refused, FLOOD);
    let filter = Filter {
        refused_only: true,
        ..Filter::default()
    };
    let shown = show(&folder, &filter).expect("a ledger");
    let counted: u64 = shown.calls.iter().map(|call| call.calls).max().unwrap_or(0);
    assert!(counted > 1, "nothing was counted");
    assert_eq!(recorded(&folder), 1);
}
