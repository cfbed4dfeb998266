//! A crowd of hostile calls and one honest caller: whoever loops, copies, grows, floods or sleeps,
//! the honest call gets its place and its answer.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use toolhost_core::terms::{Attempt, AttemptAnswer, AttemptSink, Code, Unrecorded, Usage};
use toolhost_ledger::End;
use toolhost_outbound::AttemptLog;
use toolhost_runtime::sandbox::RunInputs;

use crate::harness::{
    House, Site, Upstream, code, component, definition, structured, text_response,
};

/// Copies all of its memory from one half to the other, for ever: one instruction each.
const COPY: &str = r"
  (drop (memory.grow (i32.const 220)))
  (loop $again
    (memory.copy (i32.const 7274496) (i32.const 65536) (i32.const 7208960))
    (br $again))
  (unreachable)";

/// Grows by a page until it may not, and then touches every page for ever.
const GROW: &str = r"
  (loop $again
    (drop (memory.grow (i32.const 1)))
    (memory.fill (i32.const 65536) (i32.const 7) (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536)))
    (br $again))
  (unreachable)";

/// The hostile tools, for ever at it, and an honest one; places for 50 hostile calls and a few more.
fn house() -> House {
    let site = Site::new();
    for (name, body) in [("copier", COPY), ("grower", GROW)] {
        let bytes = component(&[definition("go")], "", body);
        site.write(&format!("{name}.wasm"), bytes);
    }
    let hostile: String = ["rogue", "copier", "grower"]
        .map(|name| {
            format!(
                "[tool.{name}]\ncomponent = \"{name}.wasm\"\nlimits = {{ concurrency = 54, memory = \"16MiB\", fuel = 1_000_000_000_000, deadline = \"10m\" }}\n"
            )
        })
        .concat();
    let text = format!(
        r#"
[host]
concurrency = 54
queue = 40
[caller.crowd]
uid = 4000000
may = ["*"]
concurrency = 50
[caller.honest]
stdio = true
may = ["everything.*"]
{hostile}
[tool.everything]
component = "everything.wasm"
"#
    );
    House::at(site, &text)
}

/// One of the crowd's calls: none of them ends by itself.
fn hostile(house: &House, number: usize) -> impl Future<Output = crate::harness::End> + '_ {
    let (function, arguments) = match number % 6 {
        0 => ("rogue_spin", json!({})),
        1 => ("copier_go", json!({})),
        2 => ("rogue_nap", json!({ "ms": 3_600_000 })),
        3 => ("grower_go", json!({})),
        4 => ("rogue_babble", json!({ "mib": 1_000_000 })),
        _ => ("rogue_progress", json!({ "n": 4_000_000_000_u32 })),
    };
    house.call_as("crowd", function, arguments)
}

#[tokio::test]
async fn g52_g21_fifty_hostile_calls_run_and_more_wait_and_an_honest_caller_notices_little() {
    let house = house();
    let mut crowd = FuturesUnordered::new();
    for n in 0..70 {
        // Each asks for its place before the next one comes.
        let mut call = hostile(&house, n).boxed_local();
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        crowd.push(call);
    }
    // The crowd is looked at first, each time: one of it that ended would be seen.
    let honest = async {
        let all_run = || {
            house
                .calls()
                .iter()
                .filter(|call| call.end == End::Open)
                .count()
                == 50
        };
        while !all_run() {
            tokio::task::yield_now().await;
        }
        // Beyond its part of the queue the crowd is told so at once, with the time to come back.
        let busy = hostile(&house, 0).await;
        assert_eq!(code(&busy), Code::Busy);
        assert_eq!(busy.err().and_then(|fault| fault.retry_after), Some(1));
        for n in 0..50 {
            let add = house.call_as("honest", "everything_add", json!({ "a": n, "b": 1 }));
            assert_eq!(structured(&add.await), json!({ "sum": n + 1 }));
        }
    };
    tokio::select! {
        biased;
        ended = crowd.next() => panic!("one of the crowd ended: {ended:?}"),
        () = honest => {}
    }
    // They all go when nobody waits for them, and leave nothing.
    drop(crowd);
    settled(&house).await;
}

/// Processor time is shared by callers, not by calls: what loops beside an honest call get together
/// is no more than a few times what it gets, however many they are.
#[tokio::test]
async fn g68_many_loops_of_one_caller_get_little_more_than_one_call_of_another() {
    const HONEST: u64 = 1_000_000_000;
    let text = format!(
        r#"
[host]
concurrency = 54
[caller.crowd]
uid = 4000000
may = ["loops.*"]
concurrency = 50
[caller.honest]
stdio = true
may = ["work.*"]
[tool.loops]
component = "rogue.wasm"
limits = {{ concurrency = 50, fuel = 1_000_000_000_000, deadline = "10m" }}
[tool.work]
component = "rogue.wasm"
limits = {{ fuel = {HONEST}, deadline = "10m" }}
"#
    );
    let house = House::new(&text);
    let mut crowd: FuturesUnordered<_> = (0..50)
        .map(|_| house.call_as("crowd", "loops_spin", json!({})))
        .collect();
    let honest = house.call_as("honest", "work_spin", json!({}));
    let ended = tokio::select! {
        ended = honest => ended,
        _ = crowd.next() => panic!("a loop ended"),
    };
    assert_eq!(code(&ended), Code::OutOfFuel);
    drop(crowd);
    settled(&house).await;
    let all = house.calls();
    let loops = all.iter().filter(|call| call.agent == "crowd");
    let burnt: u64 = loops.filter_map(|call| Some(call.bill?.fuel)).sum();
    assert!(burnt > HONEST / 10, "the loops did not run: {burnt}");
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let cores = u64::try_from(cores).expect("cores");
    assert!(burnt < (cores + 4) * HONEST, "{burnt} beside {HONEST}");
}

/// Waits until nothing runs any more: every call's record is closed, and nobody holds the host.
async fn settled(house: &House) {
    while Arc::strong_count(&house.host) > 1 {
        tokio::task::yield_now().await;
    }
    let calls = house.calls();
    let open = calls.iter().filter(|call| call.end == End::Open);
    assert_eq!(open.count(), 0, "a record was left open");
}

/// Each kind by itself, on one thread: one that did not give it back would let nothing else run.
#[tokio::test]
async fn g21_each_kind_of_load_leaves_room_for_an_honest_call() {
    for kind in 0..6 {
        let house = house();
        let mut crowd = (0..8)
            .map(|_| hostile(&house, kind))
            .collect::<FuturesUnordered<_>>();
        let honest = async {
            // For a while: one of the crowd that ended by itself would have ended then.
            let begun = Instant::now();
            for n in 0.. {
                let add = house.call_as("honest", "everything_add", json!({ "a": n, "b": 1 }));
                assert_eq!(structured(&add.await), json!({ "sum": n + 1 }));
                if n >= 10 && begun.elapsed() > Duration::from_millis(300) {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            ended = crowd.next() => panic!("kind {kind} ended: {ended:?}"),
            () = honest => {}
        }
        drop(crowd);
        settled(&house).await;
    }
}

#[tokio::test]
async fn a_caller_with_many_calls_waiting_does_not_delay_anothers_first() {
    let house = House::new(
        r#"
[host]
concurrency = 2
queue = 200
[caller.greedy]
uid = 4000000
may = ["*"]
[caller.honest]
stdio = true
may = ["*"]
[tool.rogue]
component = "rogue.wasm"
limits = { concurrency = 1 }
"#,
    );
    let order = std::cell::RefCell::new(Vec::new());
    let one = async |caller: &'static str| {
        let end = house.call_as(caller, "rogue_nap", json!({ "ms": 1 })).await;
        assert!(end.is_ok(), "{end:?}");
        order.borrow_mut().push(caller);
    };
    let mut calls: Vec<_> = (0..60).map(|_| one("greedy").boxed_local()).collect();
    for call in &mut calls {
        assert!(futures_util::poll!(call.as_mut()).is_pending());
    }
    let honest = one("honest").boxed_local();
    // The last to come, and the last to be looked at.
    futures_util::future::join_all(calls.into_iter().chain([honest])).await;
    let place = order.borrow().iter().position(|caller| *caller == "honest");
    assert!(
        place.is_some_and(|place| place <= 2),
        "it was number {place:?}"
    );
}

/// Polls a call so often, with whatever wakes it, and drops it then. Gives whether it had ended.
async fn dropped_after<F: Future>(polls: u32, call: F) -> bool {
    let mut call = Box::pin(call);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match call.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The short form; the long one is `TOOLHOST_CANCELLATIONS=10000`.
fn cancellations() -> u32 {
    let asked = std::env::var("TOOLHOST_CANCELLATIONS").ok();
    asked.and_then(|number| number.parse().ok()).unwrap_or(300)
}

#[tokio::test]
async fn g24_a_call_may_be_cancelled_at_every_point_where_it_waits() {
    let up = Upstream::start(|_| Some(text_response(200, "x".repeat(100_000)))).await;
    let text = format!(
        r#"
[tool.rogue]
component = "rogue.wasm"
log = "info"
limits = {{ concurrency = 2 }}
[tool.rogue.http.up]
url = "http://{}"
allow = ["GET /**", "POST /**"]
private = ["127.0.0.0/8"]
[tool.rogue.dir.notes]
host = "notes"
guest = "/notes"
access = "read-write"
"#,
        up.address
    );
    let site = Site::new();
    site.write("notes/a", "a".repeat(100_000));
    let house = House::at(site, &text);
    let url = up.url("/a");
    let parts = json!({ "scheme": "http", "authority": up.address.to_string(), "path": "/a" });
    let acts: [(&str, Value); 9] = [
        ("rogue_get", json!({ "url": url })),
        ("rogue_post", json!({ "url": url, "body": "b" })),
        ("rogue_wasi_http", parts),
        ("rogue_read", json!({ "path": "/notes/a" })),
        ("rogue_write", json!({ "path": "/notes/b", "text": "b" })),
        ("rogue_nap", json!({ "ms": 1 })),
        ("rogue_hog", json!({ "mib": 16 })),
        ("rogue_babble", json!({ "mib": 1 })),
        ("rogue_crash", json!({})),
    ];
    let (mut ended, mut dropped) = (0, 0);
    for n in 0..cancellations() {
        let (function, arguments) = &acts[n as usize % acts.len()];
        let polls = n / u32::try_from(acts.len()).expect("few");
        // Of every three one has to wait for a place first: others came before it, and go.
        let mut before = Vec::new();
        for _ in 0..if n % 3 == 0 { 2 } else { 0 } {
            let mut call = house.call("rogue_nap", json!({ "ms": 1 })).boxed_local();
            // One that is over already was held up for longer than it naps.
            if futures_util::poll!(call.as_mut()).is_pending() {
                before.push(call);
            }
        }
        let call = dropped_after(polls, house.call(function, arguments.clone()));
        match futures_util::join!(call, futures_util::future::join_all(before)).0 {
            true => ended += 1,
            false => dropped += 1,
        }
    }
    assert!(
        ended > 10 && dropped > 50,
        "{ended} ended, {dropped} dropped"
    );
    settled(&house).await;
    assert!(
        house
            .calls()
            .iter()
            .all(|call| call.code.as_deref() != Some("internal"))
    );
    let nap = json!({ "ms": 0 });
    let last = futures_util::join!(
        house.call("rogue_nap", nap.clone()),
        house.call("rogue_nap", nap)
    );
    assert!(
        last.0.is_ok() && last.1.is_ok(),
        "both places are there: {last:?}"
    );
}

/// Panics where a host function writes to the operator's log.
struct Explosive(AtomicBool);

impl tracing::Subscriber for Explosive {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "guest"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.store(true, Ordering::SeqCst);
        panic!("injected");
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

const TALKING: &str = r#"
[tool.rogue]
component = "rogue.wasm"
log = "info"
[tool.rogue.http.up]
url = "http://127.0.0.1:9"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
"#;

#[tokio::test]
async fn g25_a_panic_in_a_host_function_that_logs_ends_one_call() {
    let house = House::new(TALKING);
    let explosive = Arc::new(Explosive(AtomicBool::new(false)));
    for (function, arguments) in [
        ("rogue_log", json!({ "text": "hello" })),
        ("rogue_babble", json!({ "mib": 1 })),
    ] {
        // The charge is on this thread: a call that was slow, and so goes on on another one, is made
        // anew.
        let mut tries = 0;
        let end = loop {
            let _guard = tracing::subscriber::set_default(explosive.clone());
            let end = house.call(function, arguments.clone()).await;
            if explosive.0.swap(false, Ordering::SeqCst) {
                break end;
            }
            tries += 1;
            assert!(tries < 100, "{function} logged nothing");
        };
        let fault = end.expect_err(function);
        assert_eq!(fault.code, Code::Internal, "{fault:?}");
        assert!(
            fault
                .detail
                .is_some_and(|detail| detail.contains("injected"))
        );
        house.still_serves("rogue_nap", json!({ "ms": 0 })).await;
    }
    settled(&house).await;
}

#[tokio::test]
async fn g25_a_panic_in_a_host_function_that_is_recorded_ends_one_call() {
    let house = House::new(TALKING);
    for (function, arguments) in [
        ("get", json!({ "url": "http://127.0.0.1:9/closed" })),
        ("get", json!({ "url": "http://elsewhere.example/" })),
        (
            "wasi_http",
            json!({ "scheme": "http", "authority": "elsewhere.example", "path": "/" }),
        ),
    ] {
        let snapshot = house.host.snapshot();
        let name = format!("rogue_{function}");
        let found = snapshot.catalog.find(&name).expect("a function");
        let permit = house.permit(&name, arguments).await;
        let errand = RunInputs {
            function: &found.ready,
            progress: None,
            attempts: AttemptLog::new(Arc::new(Breaks), None),
            cancel: &CancellationToken::new(),
        };
        let run = house
            .host
            .sandbox
            .run(&found.tool.prepared, &permit, errand);
        let ran = tokio::time::timeout(Duration::from_secs(60), run).await;
        let ran = ran.expect("an end");
        let says = match ran.answer {
            Err(fault) => fault.detail.unwrap_or_default(),
            Ok(answer) => format!("{answer:?}"),
        };
        assert!(!says.is_empty(), "{function}: {says}");
        assert!(says.contains("injected"), "{function}: {says}");
        house.still_serves("rogue_nap", json!({ "ms": 0 })).await;
    }
}

/// A record that breaks.
struct Breaks;

impl AttemptSink for Breaks {
    fn attempt(&self, _: Attempt) -> Result<Option<u64>, Unrecorded> {
        panic!("injected")
    }

    fn answer(&self, _: u64, _: AttemptAnswer) {}

    fn usage(&self, _: Usage) {}
}
