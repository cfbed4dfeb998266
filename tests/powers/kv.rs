//! Storage and configuration: what outlives a call, for whom, how much of it, and what is written
//! down.

use std::time::Duration;

use serde_json::{Value, json};
use toolhost_core::terms::Code;
use toolhost_ledger::End;

use crate::harness::{
    House, Program, Site, code, component, definition, manifest, structured, tool_error,
};

/// Two tools of the same component, two callers, a bucket of each kind.
const KV: &str = r#"
[caller.ann]
uid = 4001
may = ["*"]
[caller.bob]
uid = 4002
may = ["*"]
[caller.local]
may = ["*"]

[tool.rogue]
component = "rogue.wasm"
limits = { deadline = "60s" }
[tool.rogue.kv.shared]
bytes = "64KiB"
keys = 100
[tool.rogue.kv.own]
bytes = "64KiB"
keys = 100
per_caller = true
[tool.rogue.function.kv_keys.kv.mine]
bytes = "1KiB"
keys = 10
[tool.rogue.function.kv_get.kv.mine]
bytes = "1KiB"
keys = 10
[tool.rogue.function.kv_set.kv.mine]
bytes = "1KiB"
keys = 10

[tool.other]
component = "rogue.wasm"
[tool.other.kv.shared]
bytes = "64KiB"
keys = 100
"#;

fn set(bucket: &str, key: &str, value: &str) -> Value {
    json!({ "bucket": bucket, "key": key, "value": value })
}

fn get(bucket: &str, key: &str) -> Value {
    json!({ "bucket": bucket, "key": key })
}

async fn value(house: &House, caller: &str, function: &str, arguments: Value) -> Value {
    structured(&house.call_as(caller, function, arguments).await)["value"].clone()
}

#[tokio::test]
async fn n72_a_bucket_is_its_tools_its_functions_and_its_callers() {
    let house = House::new(KV);
    for (caller, function, bucket) in [
        ("ann", "rogue_kv_set", "shared"),
        ("ann", "rogue_kv_set", "own"),
        ("ann", "rogue_kv_set", "mine"),
    ] {
        let end = house
            .call_as(caller, function, set(bucket, "k", &format!("of {caller}")))
            .await;
        assert!(end.is_ok_and(|end| matches!(end, toolhost_core::terms::Outcome::Output(_))));
    }
    // A bucket of the tool is all callers', unless it says otherwise.
    let seen = |caller: &'static str, function: &'static str, bucket: &'static str| {
        value(&house, caller, function, get(bucket, "k"))
    };
    assert_eq!(seen("bob", "rogue_kv_get", "shared").await, "of ann");
    assert_eq!(seen("ann", "rogue_kv_get", "own").await, "of ann");
    assert_eq!(seen("bob", "rogue_kv_get", "own").await, Value::Null);
    assert_eq!(seen("local", "rogue_kv_get", "own").await, Value::Null);
    // A function's bucket is no other function's, also under the same name.
    assert_eq!(seen("ann", "rogue_kv_get", "mine").await, Value::Null);
    // Another tool has nothing of it, also under the same name.
    assert_eq!(seen("ann", "other_kv_get", "shared").await, Value::Null);
    for (function, bucket) in [
        ("other_kv_get", "own"),
        ("other_kv_get", "mine"),
        ("rogue_kv_get", "rogue.kv_set"),
        ("rogue_kv_get", "own/ann"),
        ("rogue_kv_get", ""),
    ] {
        let end = house.call_as("bob", function, get(bucket, "k")).await;
        let denied = tool_error(&end);
        assert_eq!(denied.code.as_str(), "denied", "{function} {bucket}");
        let attempts = house.attempts();
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        let named = if bucket.is_empty() { "default" } else { bucket };
        assert_eq!(attempts[0]["bucket"], named);
        assert_eq!(attempts[0]["verdict"]["is"], "refused");
    }
}

#[tokio::test]
async fn what_is_stored_outlives_the_host_and_is_recorded() {
    let house = House::new(KV);
    let stored = house.call("rogue_kv_set", set("shared", "k", "kept")).await;
    assert!(stored.is_ok(), "{stored:?}");
    let call = house.last();
    let [usage] = &call.usage[..] else {
        panic!("{call:?}")
    };
    assert_eq!(usage.grant.as_deref(), Some("shared"));
    assert_eq!((usage.writes, usage.written), (1, 5));
    let attempts = house.attempts();
    assert_eq!(attempts.len(), 1, "before the first write: {attempts:?}");
    assert_eq!(attempts[0]["bucket"], "shared");
    assert!(
        !format!("{call:?}").contains("kept"),
        "no values in the ledger"
    );
    let House { host, site, .. } = house;
    host.stop().await.expect("an end");
    drop(host);
    let again = House::at(site, KV);
    let kept = value(&again, "local", "rogue_kv_get", get("shared", "k")).await;
    assert_eq!(kept, "kept");
}

#[tokio::test]
async fn a_flood_ends_at_the_quota_and_honest_calls_go_on() {
    let house = House::new(KV);
    let flood = json!({ "bucket": "shared", "prefix": "k", "size": 100, "most": 1_000 });
    let ended = structured(&house.call("rogue_kv_flood", flood).await);
    assert_eq!(ended["taken"], 100, "{ended}");
    let stopped = ended["stopped"].as_str().expect("a reason");
    assert!(stopped.contains("quota of 100 keys"), "{stopped}");

    let large = json!({ "bucket": "own", "prefix": "k", "size": 20_000, "most": 10 });
    let ended = structured(&house.call("rogue_kv_flood", large).await);
    assert_eq!(ended["taken"], 3, "{ended}");
    assert!(
        ended["stopped"]
            .as_str()
            .expect("a reason")
            .contains("65536 bytes")
    );

    // The other tool's bucket, and the other caller's, have their own room.
    house
        .still_serves("other_kv_set", set("shared", "k", "v"))
        .await;
    let bob = house
        .call_as("bob", "rogue_kv_set", set("own", "k", "v"))
        .await;
    assert!(bob.is_ok(), "{bob:?}");
}

/// Storage costs no fuel, so a call has a share of it.
#[tokio::test]
async fn a_call_has_its_share_of_storage() {
    let house = House::new(KV);
    let flood =
        json!({ "bucket": "shared", "prefix": "k", "size": 1, "most": 20_000, "same": true });
    let ended = structured(&house.call("rogue_kv_flood", flood).await);
    assert_eq!(ended["taken"], 10_000, "{ended}");
    house.still_serves("rogue_kv_get", get("shared", "k")).await;
}

#[tokio::test]
async fn g11_handles_to_buckets_are_bounded() {
    let house = House::new(KV);
    let hold = json!({ "bucket": "shared", "times": 100_000 });
    assert_eq!(
        code(&house.call("rogue_kv_hold", hold).await),
        Code::TooManyResources
    );
    house.still_serves("rogue_kv_get", get("shared", "k")).await;
}

#[tokio::test]
async fn what_no_bucket_takes_is_refused_with_the_reason() {
    let text = "[tool.rogue]\ncomponent = \"rogue.wasm\"\n[tool.rogue.kv.odd]\nbytes = \"4MiB\"\nkeys = 100\n";
    let house = House::new(text);
    let tried = structured(&house.call("rogue_kv_odd", json!({ "bucket": "odd" })).await);
    let tried = tried["result"].as_array().expect("a list").clone();
    assert!(tried.len() >= 20, "{tried:#?}");
    for (n, said) in tried.iter().enumerate() {
        assert_ne!(said, "taken", "{n}: {tried:#?}");
    }
    let left = house
        .call("rogue_kv_keys", json!({ "bucket": "odd" }))
        .await;
    assert_eq!(
        structured(&left)["result"],
        json!([]),
        "nothing of it is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn counting_is_exact_whoever_counts_at_once() {
    let house = House::new(KV);
    for (how, key) in [("increment", "a"), ("swap", "b")] {
        let count = json!({ "bucket": "shared", "key": key, "times": 25, "how": how });
        let calls = (0..8).map(|_| house.call("rogue_kv_count", count.clone()));
        for end in futures_util::future::join_all(calls).await {
            structured(&end);
        }
        let sum = value(&house, "local", "rogue_kv_get", get("shared", key)).await;
        assert_eq!(sum, "200", "{how}");
    }
}

#[tokio::test]
async fn guests_of_the_first_draft_find_what_they_know() {
    let text = "[tool.rogue]\ncomponent = \"rogue.wasm\"\n[tool.rogue.kv.default]\nbytes = \"1MiB\"\nkeys = 2000\n";
    let house = House::new(text);
    // A guest that names no bucket means `default`.
    let listed = house
        .call("rogue_kv_draft", json!({ "bucket": "", "keys": 1_200 }))
        .await;
    let listed = structured(&listed)["result"]
        .as_array()
        .expect("keys")
        .len();
    assert_eq!(listed, 1_199);
}

/// A cancelled call and one at its deadline leave no lock, and their records are closed.
#[tokio::test]
async fn g24_a_call_that_is_given_up_leaves_no_lock() {
    let text = r#"
[tool.rogue]
component = "rogue.wasm"
limits = { concurrency = 1 }
[tool.rogue.kv.shared]
bytes = "4MiB"
keys = 100
[tool.rogue.function.kv_flood]
limits.deadline = "150ms"
"#;
    let house = House::new(text);
    let flood =
        json!({ "bucket": "shared", "prefix": "k", "size": 100_000, "most": 10_000, "same": true });
    for turn in 0..12 {
        let call = house
            .host
            .call(house.request("local", "rogue_kv_flood", flood.clone()));
        let given_up = Duration::from_millis(turn * 5);
        drop(tokio::time::timeout(given_up, call).await);
        house.quiet("rogue").await;
        house
            .still_serves("rogue_kv_set", set("shared", "honest", "v"))
            .await;
    }
    let ends: Vec<End> = house.calls().into_iter().map(|call| call.end).collect();
    assert!(!ends.contains(&End::Open), "{ends:?}");
}

#[test]
fn several_processes_share_a_bucket() {
    let text = "[tool.test]\ncomponent = \"everything.wasm\"\nconfig = { greeting = \"Hi\" }\n[tool.test.kv.greeted]\nbytes = \"1KiB\"\nkeys = 10\n";
    let program = Program::new(text);
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let mut command =
                program.command(&["--json", "call", "test.greet", r#"{"name":"Ada"}"#]);
            command.stdout(std::process::Stdio::piped());
            command.spawn().expect("a start")
        })
        .collect();
    let mut times: Vec<u64> = calls
        .into_iter()
        .map(|call| {
            let output = call.wait_with_output().expect("a run");
            let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(said["structured"]["text"], "Hi, Ada!", "{said}");
            said["structured"]["times"].as_u64().expect("a number")
        })
        .collect();
    times.sort_unstable();
    assert_eq!(times, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_damaged_store_is_said_at_the_start() {
    let text = "[tool.test]\ncomponent = \"everything.wasm\"\n[tool.test.kv.greeted]\nbytes = \"1KiB\"\nkeys = 10\n";
    let program = Program::new(text);
    let first = program.run(&["call", "test.greet", r#"{"name":"Ada"}"#]);
    assert_eq!(first.code, 0, "{first:?}");
    let file = program.site.path(".toolhost/kv.sqlite");
    let mut bytes = std::fs::read(&file).expect("the store");
    bytes[..16].fill(0);
    std::fs::write(&file, &bytes).expect("damage");
    for arguments in [&["check"][..], &["call", "test.greet", r#"{"name":"Ada"}"#]] {
        let ended = program.run(arguments);
        assert_ne!(ended.code, 0, "{ended:?}");
        assert!(
            ended.err.contains("kv.sqlite is damaged") && ended.err.contains("backup"),
            "{ended:?}"
        );
    }
}

#[tokio::test]
async fn configuration_is_the_manifests_and_each_functions() {
    let text = r#"
[tool.rogue]
component = "rogue.wasm"
config = { region = "eu", empty = "" }
[tool.rogue.function.config]
config = { "log level" = "debug" }
"#;
    let house = House::new(text);
    let read = structured(&house.call("rogue_config", json!({ "key": "region" })).await);
    assert_eq!(read["value"], "eu");
    assert_eq!(
        read["all"],
        json!([["empty", ""], ["log level", "debug"], ["region", "eu"]])
    );
    let bare = House::new("[tool.rogue]\ncomponent = \"rogue.wasm\"");
    let read = structured(&bare.call("rogue_config", json!({ "key": "region" })).await);
    assert_eq!(read, json!({ "value": null, "all": [] }));
}

/// The interface under every name that guests import it by, with the types it has there.
#[test]
fn every_name_of_wasi_config_is_linked() {
    let instance = r#"(instance
        (type (variant (case "upstream" string) (case "io" string)))
        (export "error" (type $error (eq 0)))
        (export "get" (func (param "key" string) (result (result (option string) (error $error)))))
        (export "get-all" (func (result (result (list (tuple string string)) (error $error))))))"#;
    for name in toolhost_runtime::capability::config::NAMES {
        let site = Site::empty();
        let import = format!("(import \"{name}\" {instance})");
        site.write(
            "one.wasm",
            component(&[definition("go")], &import, "(unreachable)"),
        );
        let locked = site.lock(&manifest(
            "[tool.one]\ncomponent = \"one.wasm\"\nconfig = { a = \"b\" }",
        ));
        assert!(locked.is_ok(), "{name}: {:?}", locked.err());
    }
}
