//! Tools of WASI 0.3: what they can do is what tools of 0.2 can, by the same grants and within the
//! same limits, and it is written down the same way.

mod bounds;
mod files;
mod program;
mod typed;
mod web;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolhost_core::terms::Code;

use crate::harness::{End, House, Program, Site, text, tool_error, v03_guest};

const TOOL: &str = "[tool.wasi3]\ncomponent = \"wasi3.wasm\"\nwasi = \"0.3\"\n";

fn site() -> Site {
    let site = Site::new();
    for name in ["later.wasm", "runs.wasm", "wasi3.wasm"] {
        site.link(&v03_guest(name), name);
    }
    site
}

/// The tool, with more in its section and after it, and an honest one of WASI 0.2.
fn house(more: &str) -> House {
    let honest = "[tool.everything]\ncomponent = \"everything.wasm\"\n";
    House::at(site(), &format!("{TOOL}{more}\n{honest}"))
}

async fn said(house: &House, function: &str, arguments: Value) -> String {
    text(&house.call(function, arguments).await)
}

/// What the guest says that it was refused with.
fn refused(end: &End) -> String {
    tool_error(end).message.clone()
}

#[tokio::test]
async fn a_loop_is_out_of_fuel_and_one_with_fuel_to_spare_ends_at_its_deadline() {
    let looping = house("limits = { fuel = 1_000_000 }\n");
    looping
        .ends_with("wasi3_spin", json!({}), Code::OutOfFuel)
        .await;
    let ample = "limits = { fuel = 1_000_000_000_000, deadline = \"200ms\" }\n";
    let began = Instant::now();
    house(ample)
        .ends_with("wasi3_spin", json!({}), Code::DeadlineExceeded)
        .await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn who_sleeps_past_the_deadline_or_waits_for_nothing_is_ended() {
    let house = house("limits = { deadline = \"200ms\" }\n");
    // It says how long it slept, which a busy machine decides.
    let slept = said(&house, "wasi3_sleep", json!({ "ms": 0 })).await;
    assert!(slept.parse::<u64>().is_ok_and(|ms| ms < 200), "{slept}");
    house
        .ends_with(
            "wasi3_sleep",
            json!({ "ms": 3_600_000 }),
            Code::DeadlineExceeded,
        )
        .await;
    let say = house
        .ends_with("wasi3_starve", json!({}), Code::Trapped)
        .await;
    assert!(
        say.contains("waits for something that can never happen"),
        "{say}"
    );
}

#[tokio::test]
async fn memory_has_its_bound() {
    house("limits = { memory = \"8MiB\" }\n")
        .ends_with("wasi3_hog", json!({}), Code::OutOfMemory)
        .await;
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_over() {
    let house = house("limits = { concurrency = 1, fuel = 1_000_000_000_000 }\n");
    house.cancel("wasi3_spin", json!({}), "wasi3").await;
    house.assert_recorded(Code::Cancelled);
    house
        .cancel("wasi3_sleep", json!({ "ms": 3_600_000 }), "wasi3")
        .await;
    house.assert_recorded(Code::Cancelled);
}

#[tokio::test]
async fn clocks_randomness_environment_and_sockets_are_as_in_0_2() {
    let house = house("[tool.wasi3.env]\nMODE = \"test\"\n");
    assert_eq!(said(&house, "wasi3_now", json!({})).await, "0 0");
    let env = said(&house, "wasi3_env", json!({})).await;
    assert_eq!(env, r#"[("MODE", "test")]"#);
    let random = json!({ "n": u64::MAX });
    assert_eq!(said(&house, "wasi3_random", random).await, "65536");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    let end = house.call("wasi3_connect", json!({ "port": port })).await;
    assert!(refused(&end).contains("AccessDenied"), "{end:?}");
    let end = house
        .call("wasi3_resolve", json!({ "name": "localhost" }))
        .await;
    assert!(refused(&end).contains("ResolverFailure"), "{end:?}");
}

/// What a tool prints by the streams of 0.3 is the operator's log, up to its limit, and no answer.
#[test]
fn stdout_goes_to_the_log_and_ends_at_its_limit() {
    let granted = format!("{TOOL}log = \"info\"\nlimits = {{ log = \"1KiB\" }}\n");
    let program = Program::at(site(), &granted);
    let print = |program: &Program, text: &str| {
        let arguments = json!({ "text": text }).to_string();
        let call = ["call", "wasi3.print", &arguments];
        program.run_with(("TOOLHOST_LOG", "info"), &call)
    };
    let ended = print(&program, "one line\n");
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("one line"), "{ended:?}");
    assert!(!ended.out.contains("one line"), "{ended:?}");
    let ended = print(&program, &"many lines\n".repeat(10_000));
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("output limit reached"), "{ended:?}");
    assert!(ended.err.len() < 32 << 10, "{} bytes", ended.err.len());
    let silent = Program::at(site(), TOOL);
    let ended = print(&silent, "one line\n");
    assert!(!ended.err.contains("one line"), "{ended:?}");
}
