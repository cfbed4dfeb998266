//! Room for calls: how many run at once, who waits, who is turned away, and what stops a call that
//! nobody waits for any more.

use std::future::Future;

use serde_json::json;
use toolhost_core::terms::Code;
use toolhost_ledger::{End, verify};

use crate::harness::{House, code, structured, text};

/// Waits until `calls` are admitted and do not end by themselves.
async fn running<F: Future>(house: &House, calls: Vec<F>) -> Vec<std::pin::Pin<Box<F>>> {
    let mut pinned = Vec::new();
    for call in calls {
        let mut call = Box::pin(call);
        assert!(futures_util::poll!(call.as_mut()).is_pending(), "it ended");
        pinned.push(call);
    }
    let open = house
        .calls()
        .iter()
        .filter(|call| call.end == End::Open)
        .count();
    assert!(open > 0, "nothing runs");
    pinned
}

const NARROW: &str = r#"
[host]
queue = 1
[tool.rogue]
component = "rogue.wasm"
limits = { concurrency = 1, deadline = "60s", fuel = 1_000_000_000_000 }
[tool.everything]
component = "everything.wasm"
"#;

#[tokio::test]
async fn beyond_the_queue_a_call_is_busy_at_once_and_other_tools_are_not() {
    let house = House::new(NARROW);
    let nap = |ms: u64| house.call("rogue_nap", json!({ "ms": ms }));
    let mut held = running(&house, vec![nap(600_000)]).await;
    let mut waiting = Box::pin(nap(0));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());

    let end = nap(0).await;
    assert_eq!(code(&end), Code::Busy);
    house.assert_recorded(Code::Busy);
    house
        .still_serves("everything_add", json!({ "a": 1, "b": 1 }))
        .await;

    // The place is given to who waits for it.
    held.clear();
    assert_eq!(text(&waiting.await), "slept 0 ms");
}

#[tokio::test]
async fn who_waits_for_a_place_longer_than_the_deadline_hears_busy() {
    let house = House::new(
        r#"
[tool.rogue]
component = "rogue.wasm"
limits = { concurrency = 1 }
[tool.rogue.function.stash]
limits = { deadline = "50ms" }
"#,
    );
    let held = running(
        &house,
        vec![house.call("rogue_nap", json!({ "ms": 600_000 }))],
    )
    .await;
    let end = house.call("rogue_stash", json!({ "value": "a" })).await;
    assert_eq!(code(&end), Code::Busy);
    drop(held);
}

/// What a call waits for its place is not taken from what it may run.
#[tokio::test]
async fn a_deadline_begins_when_the_call_is_admitted() {
    let house = House::new(
        r#"
[tool.rogue]
component = "rogue.wasm"
limits = { concurrency = 1, deadline = "4s" }
"#,
    );
    let nap = || house.call("rogue_nap", json!({ "ms": 2_500 }));
    let (first, second) = tokio::join!(nap(), nap());
    for end in [first, second] {
        assert_eq!(text(&end), "slept 2500 ms");
    }
}

#[tokio::test]
async fn as_many_calls_run_at_once_as_there_are_places() {
    let house = House::new(
        r#"
[tool.rogue]
component = "rogue.wasm"
limits = { concurrency = 3 }
"#,
    );
    let naps = (0..5).map(|_| house.call("rogue_nap", json!({ "ms": 600_000 })));
    let _running = running(&house, naps.collect()).await;
    let open = house
        .calls()
        .iter()
        .filter(|call| call.end == End::Open)
        .count();
    assert_eq!(open, 3);
}

#[tokio::test]
async fn x06_a_call_that_nobody_waits_for_is_stopped_and_billed() {
    let house = House::new(NARROW);
    house.cancel("rogue_spin", json!({}), "rogue").await;
    let record = house.last();
    assert_eq!(record.code.as_deref(), Some("cancelled"));
    let bill = record.bill.expect("a bill");
    assert!(bill.fuel > 100_000, "it was on the second lane: {bill:?}");
    assert!(bill.fuel < 1_000_000_000_000);
    house.still_serves("rogue_nap", json!({ "ms": 0 })).await;
}

#[tokio::test]
async fn x06_a_sleeping_call_is_stopped_too() {
    let house = House::new(NARROW);
    let held = running(
        &house,
        vec![house.call("rogue_nap", json!({ "ms": 600_000 }))],
    )
    .await;
    drop(held);
    house.quiet("rogue").await;
    house.assert_recorded(Code::Cancelled);
}

#[tokio::test]
async fn loops_leave_room_for_honest_calls() {
    let house = House::new(
        r#"
[tool.rogue]
component = "rogue.wasm"
limits = { concurrency = 8, deadline = "60s", fuel = 1_000_000_000_000 }
[tool.everything]
component = "everything.wasm"
limits = { deadline = "10s" }
"#,
    );
    // All on one thread: a loop that did not give it back would let nothing else run.
    let loops = (0..4).map(|_| house.call("rogue_spin", json!({})));
    let loops = futures_util::future::join_all(loops);
    let honest = async {
        for n in 0..20 {
            let end = house
                .call("everything_add", json!({ "a": n, "b": 1 }))
                .await;
            assert_eq!(structured(&end), json!({ "sum": n + 1 }));
        }
    };
    tokio::select! {
        biased;
        ended = loops => panic!("a loop ended: {ended:?}"),
        () = honest => {}
    }
}

#[tokio::test]
async fn a_stopping_host_lets_nobody_in_and_seals_its_record() {
    let house = House::new(NARROW);
    house
        .still_serves("everything_add", json!({ "a": 1, "b": 1 }))
        .await;
    house.host.quota.close();
    let end = house
        .call("everything_add", json!({ "a": 1, "b": 1 }))
        .await;
    assert_eq!(code(&end), Code::ShuttingDown);
    house.host.stop().await.expect("sealed");
    let report = verify(&house.ledger()).expect("a report");
    assert!(report.intact(), "{report:?}");
    assert!(report.segments[0].dangling.is_empty(), "{report:?}");

    // What cannot be recorded does not run.
    let end = house.call("everything_nowhere", json!({})).await;
    assert_eq!(code(&end), Code::LedgerFailed);
}
