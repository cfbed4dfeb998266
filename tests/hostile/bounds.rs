//! Processor time, memory, and places: what a guest may use, and that the bound holds by every wall
//! that is promised.

use std::time::{Duration, Instant};

use serde_json::json;
use toolhost_core::terms::Code;
use toolhost_ledger::End;

use super::{handmade, rogue};
use crate::harness::{EMPTY, Handmade, House, Site, component, definition, manifest, text};

/// More fuel than any deadline leaves time for.
const AMPLE: &str = "fuel = 1_000_000_000_000";

#[tokio::test]
async fn g01_a_loop_with_fuel_to_spare_ends_at_its_deadline() {
    let house = rogue(&format!(r#"{AMPLE}, deadline = "200ms""#));
    let began = Instant::now();
    house
        .ends_with("rogue_spin", json!({}), Code::DeadlineExceeded)
        .await;
    // Two ticks of 10 ms are promised; the rest is room for a machine with other work.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// Code that never gives the thread back by itself: neither fuel nor timer can end it before the
/// epoch does, because bulk instructions are one step each.
#[tokio::test]
async fn g01_the_epoch_ends_what_seldom_yields() {
    let fills = Handmade {
        pages: 500,
        body: "(loop $again
                 (memory.fill (i32.const 65536) (i32.const 1) (i32.const 32000000))
                 (br $again))
               (unreachable)",
        ..Handmade::default()
    };
    let house = handmade(&fills, &format!(r#"{AMPLE}, deadline = "100ms""#));
    house
        .ends_with("handmade_go", json!({}), Code::DeadlineExceeded)
        .await;
}

#[tokio::test]
async fn g02_a_loop_of_log_messages_meets_its_quota_first_and_its_fuel_then() {
    let house = rogue(r#"fuel = 50_000_000, log = "1KiB""#);
    let arguments = json!({ "text": "again", "times": u32::MAX });
    house
        .ends_with("rogue_log", arguments, Code::OutOfFuel)
        .await;
    let house = rogue(&format!(r#"{AMPLE}, deadline = "200ms", log = "1KiB""#));
    let arguments = json!({ "text": "again", "times": u32::MAX });
    house
        .ends_with("rogue_log", arguments, Code::DeadlineExceeded)
        .await;
}

#[tokio::test]
async fn g03_whoever_sleeps_for_ever_is_woken_at_the_deadline() {
    let house = rogue(r#"deadline = "100ms""#);
    for ms in [u64::MAX, 600_000] {
        let began = Instant::now();
        let nap = json!({ "ms": ms });
        house
            .ends_with("rogue_nap", nap, Code::DeadlineExceeded)
            .await;
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(100), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

/// Modules within the component, each with a memory of 16 MiB, or of a page.
fn memories(count: usize, pages: usize) -> String {
    let one = format!("(core module $more (memory {pages}))\n");
    (0..count).fold(one, |text, n| {
        text + &format!("(core instance $more{n} (instantiate $more))\n")
    })
}

#[tokio::test]
async fn g07_memories_of_nested_modules_are_one_sum() {
    let three = memories(3, 256);
    let parts = Handmade {
        imports: &three,
        ..Handmade::default()
    };
    let house = handmade(&parts, r#"memory = "32MiB""#);
    house
        .fails_to_start("handmade_go", json!({}), Code::OutOfMemory)
        .await;
    let house = handmade(&parts, r#"memory = "64MiB""#);
    house.still_serves("handmade_go", json!({})).await;
}

/// Says that the component is refused for what it is, before or while it is compiled, and that the
/// host goes on.
async fn not_locked(parts: &Handmade<'_>) {
    let site = Site::new();
    site.write("one.wasm", parts.build(&[definition("go")]));
    let one = manifest("[tool.one]\ncomponent = \"one.wasm\"\n");
    let said = site.lock(&one).map(drop).expect_err("it was locked");
    assert_eq!(said.len(), 1, "{said:?}");
    let for_what_it_is = [
        "does not compile",
        "does not fit the host",
        "not a component this host can run",
    ];
    assert!(
        for_what_it_is
            .iter()
            .any(|words| said[0].message.contains(words)),
        "{said:?}"
    );
    let house = House::at(site, "[tool.everything]\ncomponent = \"everything.wasm\"\n");
    house
        .still_serves("everything_add", json!({ "a": 1, "b": 1 }))
        .await;
}

#[tokio::test]
async fn g07_a_hundred_memories_are_too_many() {
    let hundred = memories(100, 1);
    let parts = Handmade {
        imports: &hundred,
        ..Handmade::default()
    };
    not_locked(&parts).await;
}

#[tokio::test]
async fn g08_a_memory_that_begins_at_four_gibibytes_is_never_made() {
    let parts = Handmade {
        imports: "(core module $more (memory 65536)) (core instance (instantiate $more))",
        ..Handmade::default()
    };
    not_locked(&parts).await;
    // What the engine would take but the call's limit does not.
    let parts = Handmade {
        imports: "(core module $more (memory 512)) (core instance (instantiate $more))",
        ..Handmade::default()
    };
    let house = handmade(&parts, r#"memory = "16MiB""#);
    let bill = house
        .fails_to_start("handmade_go", json!({}), Code::OutOfMemory)
        .await;
    assert!(bill.peak_memory < 16 << 20, "{bill:?}");
}

#[tokio::test]
async fn g22_no_instruction_is_a_way_around_the_fuel() {
    let limits = "fuel = 10_000_000";
    for (module, body) in [
        (
            "(func $next (result i32) (return_call $next))",
            "(call $next)",
        ),
        (
            "(type $f (func (result i32)))
             (table 1 funcref) (elem (i32.const 0) $next)
             (func $next (result i32) (return_call_indirect (type $f) (i32.const 0)))",
            "(call $next)",
        ),
        (
            "",
            "(loop $again (br_table $again $again (i32.const 7))) (unreachable)",
        ),
        (
            "(table $t 1000 funcref)",
            "(loop $again
               (table.fill $t (i32.const 0) (ref.null func) (i32.const 1000))
               (br $again))
             (unreachable)",
        ),
    ] {
        let parts = Handmade {
            module,
            body,
            ..Handmade::default()
        };
        let house = handmade(&parts, limits);
        house
            .ends_with("handmade_go", json!({}), Code::OutOfFuel)
            .await;
    }
}

#[tokio::test]
async fn g22_typed_calls_and_exceptions_are_switched_off() {
    for module in [
        "(type $f (func (result i32)))
         (func $next (type $f) (i32.const 1))
         (elem declare func $next)
         (func $by_reference (result i32) (call_ref $f (ref.func $next)))",
        "(tag $e) (func $throws (throw $e))",
        "(func $tries (block $b (try_table (catch_all $b) (br $b))))",
    ] {
        let parts = Handmade {
            module,
            ..Handmade::default()
        };
        not_locked(&parts).await;
    }
}

#[tokio::test]
async fn g57_a_guest_may_time_itself_and_learns_no_more_than_that() {
    let house = rogue("fuel = 1_000_000_000");
    let clocks = house.call("rogue_now", json!({ "readings": 20_000 })).await;
    let clocks = crate::harness::structured(&clocks);
    assert!(clocks["took_ns"].as_u64().is_some(), "{clocks}");
    let map = crate::harness::checkout().join("host/SECURITY.md");
    let map = std::fs::read_to_string(map).expect("the map");
    assert!(map.contains("may measure its own time"), "not documented");
}

/// There are no budgets over time yet; places are what is counted, and the count is exact.
#[tokio::test]
async fn g60_of_a_hundred_calls_at_once_exactly_as_many_run_as_there_are_places() {
    let house = House::new(
        r#"
[host]
queue = 20
[tool.rogue]
component = "rogue.wasm"
limits = { concurrency = 10 }
"#,
    );
    let mut busy = 0;
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut call = Box::pin(house.call("rogue_nap", json!({ "ms": 600_000 })));
        match futures_util::poll!(call.as_mut()) {
            std::task::Poll::Pending => held.push(call),
            std::task::Poll::Ready(end) => {
                assert_eq!(crate::harness::code(&end), Code::Busy);
                busy += 1;
            }
        }
    }
    let calls = house.calls();
    let open = calls.iter().filter(|call| call.end == End::Open).count();
    assert_eq!((open, held.len(), busy), (10, 30, 70));
    drop(held);
    // Every place is given back, by those who ran and by those who waited.
    let over = |calls: Vec<toolhost_ledger::Call>| {
        let of_calls: u64 = calls.iter().map(|call| call.calls).sum();
        of_calls == 100 && calls.iter().all(|call| call.end != End::Open)
    };
    while !over(house.calls()) {
        tokio::task::yield_now().await;
    }
    let naps = (0..10).map(|_| house.call("rogue_nap", json!({ "ms": 0 })));
    for end in futures_util::future::join_all(naps).await {
        assert_eq!(text(&end), "slept 0 ms");
    }
}

#[tokio::test]
async fn a_component_made_by_hand_is_an_honest_one_where_it_does_nothing() {
    let house = handmade(&Handmade::default(), "");
    house.still_serves("handmade_go", json!({})).await;
    assert_eq!(
        component(&[definition("go")], "", EMPTY),
        Handmade::default().build(&[definition("go")])
    );
}
