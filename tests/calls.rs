//! One call, from its arguments to its record: every way it can end, and what the next call finds.

use serde_json::json;
use tokio_util::sync::CancellationToken;
use toolhost_core::terms::{Annotations, Code};
use toolhost_ledger::End;
use toolhost_outbound::AttemptLog;
use toolhost_runtime::sandbox::RunInputs;

use crate::harness::{House, Site, code, component, definition, structured, text, tool_error};

/// The rogue with bounds that it hits soon.
const ROGUE: &str = r#"
[tool.rogue]
component = "rogue.wasm"
limits = { fuel = 50_000_000, memory = "16MiB", deadline = "20s", output = "1MiB", resources = 64 }

[tool.everything]
component = "everything.wasm"
"#;

#[tokio::test]
async fn a_call_gives_its_result_its_bill_and_its_record() {
    let house = House::new(ROGUE);
    let (end, bill) = house
        .billed("everything_add", json!({ "a": 2, "b": 3 }))
        .await;
    assert_eq!(structured(&end), json!({ "sum": 5 }));
    assert!(bill.fuel > 0 && bill.peak_memory > 0, "{bill:?}");
    assert_eq!((bill.egress_requests, bill.egress_bytes), (0, 0));
    let record = house.last();
    assert_eq!(record.end, End::Ok);
    assert_eq!(record.function, "everything.add");
    assert_eq!(&record.agent, "local");
    assert!(!record.writes);
}

#[tokio::test]
async fn g01_a_loop_runs_out_of_fuel() {
    let house = House::new(ROGUE);
    let say = house
        .ends_with("rogue_spin", json!({}), Code::OutOfFuel)
        .await;
    assert!(say.contains("50000000"), "{say}");
}

#[tokio::test]
async fn g06_a_hog_runs_out_of_memory() {
    let house = House::new(ROGUE);
    let say = house
        .ends_with("rogue_hog", json!({ "mib": 64 }), Code::OutOfMemory)
        .await;
    assert!(say.contains("16.0 MiB"), "{say}");
    let bills: Vec<_> = house.calls().iter().filter_map(|call| call.bill).collect();
    assert_eq!(bills.len(), 2);
    assert!(
        bills.iter().all(|bill| bill.peak_memory <= 16 << 20),
        "{bills:?}"
    );
}

#[tokio::test]
async fn g03_a_sleeper_meets_its_deadline() {
    let house = House::new(
        r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.function.nap]
limits = { deadline = "100ms" }
[tool.everything]
component = "everything.wasm"
"#,
    );
    let nap = json!({ "ms": 600_000 });
    let say = house
        .ends_with("rogue_nap", nap, Code::DeadlineExceeded)
        .await;
    assert!(say.contains("100ms"), "{say}");
}

#[tokio::test]
async fn a_crash_is_a_trap() {
    let house = House::new(ROGUE);
    let say = house
        .ends_with("rogue_crash", json!({}), Code::Trapped)
        .await;
    assert!(say.contains("crashed"), "{say}");
}

#[tokio::test]
async fn an_exit_is_a_trap_with_its_code() {
    let house = House::new(ROGUE);
    let say = house
        .ends_with("rogue_quit", json!({}), Code::Trapped)
        .await;
    assert!(say.contains("exited"), "{say}");
}

/// A component whose `call` does this.
fn handmade(body: &str) -> House {
    let site = Site::new();
    let bytes = component(&[definition("go")], "", body);
    site.write("handmade.wasm", bytes);
    House::at(
        site,
        r#"
[tool.handmade]
component = "handmade.wasm"
[tool.everything]
component = "everything.wasm"
"#,
    )
}

#[tokio::test]
async fn g19_endless_recursion_overflows_the_guests_stack_and_no_other() {
    let house = handmade("(call $deep (i32.const 0))");
    let say = house
        .ends_with("handmade_go", json!({}), Code::StackOverflow)
        .await;
    assert!(say.contains("recursion"), "{say}");
}

#[tokio::test]
async fn recursion_that_fills_a_compilers_own_stack_is_an_end_too() {
    let house = House::new(ROGUE);
    let end = house.call("rogue_recurse", json!({})).await;
    assert!(
        matches!(code(&end), Code::StackOverflow | Code::Trapped),
        "{end:?}"
    );
    house
        .still_serves("everything_add", json!({ "a": 1, "b": 1 }))
        .await;
}

#[tokio::test]
async fn g34_a_pointer_to_nowhere_is_a_trap() {
    let house = handmade("(i32.const 0x7ffffff0)");
    house
        .ends_with("handmade_go", json!({}), Code::Trapped)
        .await;
}

#[tokio::test]
async fn g34_an_answer_of_no_known_case_is_a_trap() {
    // 512 is free memory: a discriminant of 9 for ok or error.
    let house = handmade("(i32.store8 (i32.const 512) (i32.const 9)) (i32.const 512)");
    house
        .ends_with("handmade_go", json!({}), Code::Trapped)
        .await;
}

#[tokio::test]
async fn g53_an_answer_larger_than_its_limit_is_refused() {
    let house = House::new(ROGUE);
    let say = house
        .ends_with("rogue_flood", json!({ "mib": 2 }), Code::OutputTooLarge)
        .await;
    assert!(say.contains("1.0 MiB"), "{say}");
    house.still_serves("rogue_flood", json!({ "mib": 0 })).await;
}

#[tokio::test]
async fn g54_an_answer_that_breaks_its_promise_is_refused_in_each_of_its_forms() {
    let house = House::new(ROGUE);
    for function in [
        "rogue_wrong_output",
        "rogue_not_json",
        "rogue_broken_promise",
    ] {
        house
            .ends_with(function, json!({}), Code::InvalidOutput)
            .await;
    }
}

#[tokio::test]
async fn g11_timers_that_are_never_let_go_are_too_many_resources() {
    let house = House::new(ROGUE);
    let say = house
        .ends_with(
            "rogue_many_handles",
            json!({ "n": 1_000 }),
            Code::TooManyResources,
        )
        .await;
    assert!(say.contains("64"), "{say}");
    house
        .still_serves("rogue_many_handles", json!({ "n": 8 }))
        .await;
}

#[tokio::test]
async fn g14_more_random_bytes_than_allowed_end_the_call() {
    let house = House::new(ROGUE);
    let end = house.call("rogue_random", json!({ "n": 65_536 })).await;
    assert!(text(&end).starts_with("65536 bytes"), "{end:?}");
    for n in [65_537, u64::MAX] {
        house
            .ends_with("rogue_random", json!({ "n": n }), Code::Trapped)
            .await;
    }
}

#[tokio::test]
async fn a_tools_own_error_is_no_fault() {
    let house = House::new(ROGUE);
    let end = house.call("everything_error_handling", json!({})).await;
    let error = tool_error(&end);
    assert!(error.message.contains("intentionally"), "{error:?}");
    let record = house.last();
    assert_eq!(
        (record.end, record.code.as_deref()),
        (End::ToolError, Some("failed"))
    );
}

#[tokio::test]
async fn g56_wrong_arguments_are_named_and_nothing_is_instantiated() {
    let house = House::new(ROGUE);
    for (arguments, place) in [
        (json!({ "a": 1 }), "\"b\" is a required property"),
        (json!({ "a": 1, "b": "two" }), "`/b`"),
        (json!({ "a": 1, "b": 2, "c": 3 }), "'c' was unexpected"),
    ] {
        let (end, bill) = house.billed("everything_add", arguments).await;
        let Err(fault) = end else {
            panic!("accepted: {end:?}")
        };
        assert_eq!(fault.code, Code::InvalidArguments);
        assert!(fault.say.contains(place), "{}", fault.say);
        assert!(fault.say.contains("call again"), "{}", fault.say);
        // A bill of nothing: neither fuel nor memory was ever counted.
        assert_eq!(bill, toolhost_core::terms::Bill::default());
        let record = house.last();
        assert_eq!(record.end, End::Refused);
        assert!(record.bill.is_none(), "it was never admitted");
    }
}

#[tokio::test]
async fn the_forbidden_looks_exactly_like_the_unknown() {
    let house = House::new(
        r#"
[caller.local]
may = ["everything.add"]
[caller.other]
token_sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
may = ["*"]
[tool.everything]
component = "everything.wasm"
"#,
    );
    let forbidden = house.call("everything_echo", json!({ "text": "a" })).await;
    let unknown = house.call("everything_ekko", json!({ "text": "a" })).await;
    let say = |end: crate::harness::End| {
        let fault = end.expect_err("refused");
        assert_eq!((fault.code, fault.detail), (Code::UnknownFunction, None));
        fault.say.replace("ekko", "echo")
    };
    assert_eq!(say(forbidden), say(unknown));
    house.assert_recorded(Code::UnknownFunction);

    house
        .still_serves("everything_add", json!({ "a": 1, "b": 1 }))
        .await;
    let other = house
        .call_as("other", "everything_echo", json!({ "text": "a" }))
        .await;
    assert!(other.is_ok(), "{other:?}");

    let names = |caller: &str| -> Vec<String> {
        let listing = house.host.listing(&house.caller(caller));
        listing
            .iter()
            .map(|listed| listed.agent_name.clone())
            .collect()
    };
    assert_eq!(names("local"), ["everything_add"]);
    assert!(names("other").len() > 5);
}

/// However a call ends, its bill is on its caller's account once, as the ledger has it.
#[tokio::test]
async fn g93_every_end_of_a_call_is_on_its_callers_account() {
    let limits = "limits = { concurrency = 1, fuel";
    let house = House::new(&ROGUE.replace("limits = { fuel", limits));
    structured(
        &house
            .call("everything_add", json!({ "a": 2, "b": 3 }))
            .await,
    );
    for (function, arguments, expected) in [
        ("rogue_spin", json!({}), Code::OutOfFuel),
        ("rogue_hog", json!({ "mib": 64 }), Code::OutOfMemory),
        ("rogue_crash", json!({}), Code::Trapped),
    ] {
        assert_eq!(code(&house.call(function, arguments).await), expected);
    }
    let nap = json!({ "ms": 600_000 });
    house.cancel("rogue_nap", nap, "rogue").await;
    // Who is not admitted uses nothing.
    let wrong = house.call("everything_add", json!({ "a": "two" })).await;
    assert_eq!(code(&wrong), Code::InvalidArguments);

    let account = house.host.quota.settled("local");
    let bills: Vec<_> = house.calls().iter().filter_map(|call| call.bill).collect();
    assert_eq!((bills.len(), account.calls), (5, 5), "{account:?}");
    assert_eq!(
        account.given_up, 1,
        "the place that was waited for meanwhile"
    );
    let fuel: u64 = bills.iter().map(|bill| bill.fuel).sum();
    assert_eq!(account.fuel, fuel);
    assert!(fuel > 50_000_000, "{bills:?}");
    let wall = bills.iter().map(|bill| bill.wall.as_micros()).sum::<u128>();
    // The ledger writes whole microseconds.
    assert!(account.wall.as_micros().abs_diff(wall) <= 5, "{account:?}");
}

#[tokio::test]
async fn a_permit_for_one_component_runs_no_other() {
    let house = House::new(ROGUE);
    let permit = house.permit("rogue_nap", json!({ "ms": 0 })).await;
    let snapshot = house.host.snapshot();
    let other = snapshot.catalog.find("everything_add").expect("a function");
    let errand = RunInputs {
        function: &other.ready,
        progress: None,
        attempts: AttemptLog::nowhere(),
        cancel: &CancellationToken::new(),
    };
    let sandbox = &house.host.sandbox;
    let ran = sandbox.run(&other.tool.prepared, &permit, errand).await;
    let fault = ran.answer.expect_err("it was permitted another one");
    assert_eq!(fault.code, Code::Internal);
    assert!(
        fault
            .detail
            .is_some_and(|detail| detail.contains("another component"))
    );
    assert_eq!(ran.bill.fuel, 0);
}

/// What a permit admits runs with the grants that it was judged by, or not at all.
#[tokio::test]
async fn a_permit_for_one_function_runs_with_no_others_grants() {
    let house = House::new(ROGUE);
    let permit = house.permit("rogue_nap", json!({ "ms": 0 })).await;
    let snapshot = house.host.snapshot();
    let own = snapshot.catalog.find("rogue_nap").expect("a function");
    let other = snapshot.catalog.find("rogue_stash").expect("a function");
    assert_eq!(own.tool.prepared.digest(), other.tool.prepared.digest());
    let cancel = CancellationToken::new();
    let errand = |function| RunInputs {
        function,
        progress: None,
        attempts: AttemptLog::nowhere(),
        cancel: &cancel,
    };
    let sandbox = &house.host.sandbox;
    let component = &own.tool.prepared;
    let ran = sandbox.run(component, &permit, errand(&other.ready)).await;
    let fault = ran.answer.expect_err("it was permitted with other grants");
    assert_eq!(fault.code, Code::Internal);
    let says = fault.detail.unwrap_or_default();
    assert!(says.contains("the grants of another function"), "{says}");
    assert_eq!(ran.bill.fuel, 0);
    let ran = sandbox.run(component, &permit, errand(&own.ready)).await;
    assert!(ran.answer.is_ok(), "{:?}", ran.answer);
}

#[tokio::test]
async fn the_same_call_uses_the_same_fuel_every_time() {
    let house = House::new(ROGUE);
    let mut bills = Vec::new();
    for _ in 0..5 {
        let (end, bill) = house
            .billed("everything_echo", json!({ "text": "same" }))
            .await;
        assert!(end.is_ok(), "{end:?}");
        bills.push((bill.fuel, bill.peak_memory));
    }
    bills.dedup();
    assert_eq!(bills.len(), 1, "{bills:?}");
    let (_, longer) = house
        .billed("everything_echo", json!({ "text": "x".repeat(999) }))
        .await;
    assert!(longer.fuel > bills[0].0, "more work is more fuel");
}

#[tokio::test]
async fn g50_every_call_has_an_instance_of_its_own() {
    let house = House::new(ROGUE);
    for value in ["first", "second"] {
        let end = house.call("rogue_stash", json!({ "value": value })).await;
        assert_eq!(structured(&end), json!({ "previous": null }));
    }
}

#[tokio::test]
async fn limits_of_one_function_are_its_own() {
    let house = House::new(
        r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.function.hog]
limits = { memory = "8MiB" }
[tool.rogue.function.flood]
limits = { output = "64KiB" }
"#,
    );
    let hog = house.call("rogue_hog", json!({ "mib": 16 })).await;
    assert_eq!(code(&hog), Code::OutOfMemory);
    let flood = house.call("rogue_flood", json!({ "mib": 1 })).await;
    assert_eq!(code(&flood), Code::OutputTooLarge);
    let (other, bill) = house.billed("rogue_nap", json!({ "ms": 0 })).await;
    assert!(other.is_ok() && bill.peak_memory > 0, "{other:?}");
}

#[tokio::test]
async fn annotations_are_the_promise_as_far_as_the_grants_leave_room() {
    let house = House::new(
        r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.function.get.http.up]
url = "http://127.0.0.1:9"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
[tool.rogue.function.read.http.up]
url = "http://127.0.0.1:9"
allow = ["DELETE /**"]
private = ["127.0.0.0/8"]
[tool.rogue.function.list.dir.here]
host = "here"
guest = "/here"
access = "read-write"
"#,
    );
    let of = |function: &str| {
        let name = format!("rogue_{function}");
        house
            .host
            .snapshot()
            .catalog
            .find(&name)
            .expect("a function")
            .listed
            .annotations
    };
    let pure = Annotations {
        read_only: true,
        destructive: false,
        idempotent: true,
        open_world: false,
    };
    assert_eq!(of("nap"), pure, "promised, and nothing granted");
    let open = Annotations {
        open_world: true,
        ..pure
    };
    assert_eq!(of("get"), open, "promised, and only a safe method granted");
    assert!(
        !of("read").read_only && of("read").destructive,
        "DELETE is granted"
    );
    assert!(!of("list").read_only, "a directory may be written");
}
