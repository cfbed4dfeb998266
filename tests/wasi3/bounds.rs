//! What a call of WASI 0.3 has more of than another: tasks, streams, and stacks that wait.

use std::time::{Duration, Instant};

use serde_json::json;
use toolhost_core::terms::Code;

use super::{house, said, site};
use crate::harness::{House, Program, Site, code, speak};

#[tokio::test]
async fn tasks_and_streams_of_one_call_are_bounded() {
    let roomy = house("");
    let arguments = json!({ "n": 1_000, "ms": 1 });
    let woken = said(&roomy, "wasi3_sleepers", arguments).await;
    assert_eq!(woken, "1000");
    let held = said(&roomy, "wasi3_streams", json!({ "n": 1_000 })).await;
    assert_eq!(held, "1000");
    let tight = house("limits = { handles = 100 }\n");
    for (function, arguments) in [
        ("wasi3_sleepers", json!({ "n": 1_000, "ms": 1 })),
        ("wasi3_streams", json!({ "n": 1_000 })),
    ] {
        let code = Code::TooManyResources;
        let say = tight.ends_with(function, arguments, code).await;
        assert!(say.contains("`handles` of 100"), "{say}");
    }
}

#[tokio::test]
async fn who_gives_way_for_ever_runs_out_of_fuel_or_time() {
    house("limits = { fuel = 1_000_000 }\n")
        .ends_with("wasi3_churn", json!({}), Code::OutOfFuel)
        .await;
    let ample =
        house("limits = { fuel = 1_000_000_000_000, deadline = \"200ms\", concurrency = 1 }\n");
    let began = Instant::now();
    ample
        .ends_with("wasi3_churn", json!({}), Code::DeadlineExceeded)
        .await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// A component of so many, each of which waits for an hour on a stack of its own.
fn waiting(n: usize) -> Vec<u8> {
    let each = |text: &dyn Fn(usize) -> String| (0..n).map(text).collect::<String>();
    let instances = each(&|i| {
        format!(
            "(instance $i{i} (instantiate $inner (with \"wait\" (func $clock \"wait-for\"))))\n"
        )
    });
    let asked = each(&|i| format!("(import \"f{i}\" (func $f{i} async))\n"));
    let lowered = each(&|i| format!("(core func $l{i} (canon lower (func $f{i}) async))\n"));
    let imports = each(&|i| format!("(import \"\" \"f{i}\" (func $f{i} (result i32)))\n"));
    let calls = each(&|i| format!("(drop (call $f{i}))\n"));
    let given = each(&|i| format!("(export \"f{i}\" (func $l{i}))\n"));
    let handed = each(&|i| format!("(with \"f{i}\" (func $i{i} \"f\"))\n"));
    let text = format!(
        r#"(component
          (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
            (export "wait-for" (func async (param "how-long" u64)))))
          (component $inner
            (import "wait" (func $wait async (param "how-long" u64)))
            (core func $blocks (canon lower (func $wait)))
            (core module $m
              (import "" "wait" (func $wait (param i64)))
              (func (export "f") (call $wait (i64.const 3600000000000))))
            (core instance $c (instantiate $m (with "" (instance (export "wait" (func $blocks))))))
            (func (export "f") async (canon lift (core func $c "f"))))
          (component $main
            (import "wait" (func $wait async (param "how-long" u64)))
            {asked}
            {lowered}
            (core func $blocks (canon lower (func $wait)))
            (core module $m
              {imports}
              (import "" "wait" (func $wait (param i64)))
              (func (export "go") {calls} (call $wait (i64.const 3600000000000))))
            (core instance $c (instantiate $m (with "" (instance
              {given}
              (export "wait" (func $blocks))))))
            (func (export "go") async (canon lift (core func $c "go"))))
          {instances}
          (instance $all (instantiate $main (with "wait" (func $clock "wait-for")) {handed}))
          (export "go" (func $all "go")))"#
    );
    wat::parse_str(text).expect("a component")
}

/// A folder with a tool of so many waiting stacks a call, and its manifest, with an honest one.
fn stacked(n: usize, limits: &str) -> (Site, String) {
    let site = site();
    site.write("stacks.wasm", waiting(n));
    let text = format!(
        "[host]\nconcurrency = 200\nagents = [\"unix:a/agent.sock\"]\n\
         [tool.stacks]\ncomponent = \"stacks.wasm\"\nwasi = \"0.3\"\nlimits = {{ {limits} }}\n\
         [tool.later]\ncomponent = \"later.wasm\"\nwasi = \"0.3\"\n\
         [tool.everything]\ncomponent = \"everything.wasm\"\n"
    );
    (site, text)
}

#[tokio::test]
async fn a_call_has_no_more_stacks_than_instances() {
    let house = |limits: &str| {
        let (site, text) = stacked(60, limits);
        House::at(site, &text)
    };
    house("deadline = \"200ms\"")
        .ends_with("stacks_go", json!({}), Code::DeadlineExceeded)
        .await;
    let house = house("deadline = \"200ms\", instances = 60");
    let end = house.call("stacks_go", json!({})).await;
    assert_eq!(code(&end), Code::Trapped, "{end:?}");
}

/// There are as many stacks as all calls may have: whoever takes all of its own takes none of another's.
/// It is another process's pool: these tests share one.
#[tokio::test]
async fn g85_no_call_takes_the_stacks_of_another() {
    let (site, text) = stacked(60, "deadline = \"1s\", concurrency = 80");
    let program = Program::at(site, &text);
    let _host = program.serve().await;
    let mut lines = speak(&program.site.path("a/agent.sock")).await;
    lines.initialize().await;
    for n in 0..80 {
        lines.begin(&json!(n), "stacks_go", &json!({})).await;
    }
    for _ in 0..80 {
        let answer = lines.hear().await.expect("an answer");
        let code = &answer["result"]["_meta"]["toolhost/code"];
        assert_eq!(code, "deadline-exceeded", "{answer}");
    }
    let here = json!({ "text": "here" });
    let answer = lines.call(json!("a"), "everything_echo", here).await;
    assert_eq!(answer["result"]["isError"], json!(false), "{answer}");
    let sum = json!({ "a": 1, "b": 1 });
    let answer = lines.call(json!("b"), "later_add", sum).await;
    assert_eq!(
        answer["result"]["structuredContent"]["result"], 2,
        "{answer}"
    );
}
