//! A host seen from outside while its guests misbehave: its memory, its descriptors, its threads.
//! They are a child's, so that other tests do not change them.

use serde_json::{Value, json};

use super::SECRET;
use crate::harness::{Program, Serving};

const MANIFEST: &str = r#"
[secret.key]
env = "TOOLHOST_TEST_KEY"
[tool.rogue]
component = "rogue.wasm"
log = "info"
limits = { fuel = 200_000_000, memory = "32MiB", output = "1MiB", resources = 64, log = "4KiB" }
[tool.rogue.function.nap]
limits = { deadline = "50ms" }
[tool.rogue.function.get.http.up]
url = "http://127.0.0.1:9"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
auth = { bearer = "key" }
[tool.everything]
component = "everything.wasm"
"#;

/// Every act, and the code that its call ends with; none is a tool's own answer.
fn acts() -> Vec<(&'static str, Value, Option<&'static str>)> {
    vec![
        ("rogue_spin", json!({}), Some("out-of-fuel")),
        (
            "rogue_nap",
            json!({ "ms": 600_000 }),
            Some("deadline-exceeded"),
        ),
        ("rogue_hog", json!({ "mib": 64 }), Some("out-of-memory")),
        ("rogue_crash", json!({}), Some("trapped")),
        ("rogue_quit", json!({}), Some("trapped")),
        ("rogue_flood", json!({ "mib": 20 }), Some("trapped")),
        ("rogue_litter", json!({ "n": 200_000 }), Some("trapped")),
        (
            "rogue_many_handles",
            json!({ "n": 1_000_000 }),
            Some("too-many-resources"),
        ),
        ("rogue_random", json!({ "n": u64::MAX }), Some("trapped")),
        (
            "rogue_zeroes",
            json!({ "bytes": 1_u64 << 30 }),
            Some("trapped"),
        ),
        (
            "rogue_poll_many",
            json!({ "n": 1_000_000 }),
            Some("trapped"),
        ),
        ("rogue_wrong_output", json!({}), Some("invalid-output")),
        ("rogue_babble", json!({ "mib": 1 }), None),
        ("rogue_progress", json!({ "n": 2_000 }), None),
        (
            "rogue_get",
            json!({ "url": "http://127.0.0.1:9/" }),
            Some("unavailable"),
        ),
    ]
}

/// Does all of it once, and an honest call after each.
async fn misbehave<R, W>(lines: &mut crate::harness::Speaker<R, W>, round: usize)
where
    R: tokio::io::AsyncRead + Unpin,
    W: tokio::io::AsyncWrite + Unpin,
{
    for (number, (function, arguments, expected)) in acts().into_iter().enumerate() {
        let id = format!("{round}-{number}");
        let answer = lines.call(json!(id), function, arguments).await;
        let said = answer.to_string();
        assert!(!said.contains(SECRET), "{function}: {said:.500}");
        let code = answer["result"]["_meta"]["toolhost/code"].as_str();
        assert_eq!(code, expected, "{function}: {said:.500}");
        let honest = json!({ "a": number, "b": 1 });
        let sum = lines
            .call(json!(id + "-honest"), "everything_add", honest)
            .await;
        assert_eq!(
            sum["result"]["structuredContent"]["sum"],
            number + 1,
            "after {function}"
        );
    }
}

fn serve() -> (Program, Serving) {
    let program = Program::new(MANIFEST);
    let host = program.start_with(("TOOLHOST_TEST_KEY", SECRET), &["serve", "--stdio"]);
    (program, host)
}

#[tokio::test]
async fn g06_g11_g14_g15_g53_memory_and_descriptors_are_what_they_were_after_every_act() {
    let (program, mut host) = serve();
    let mut lines = host.speaker();
    lines.initialize().await;
    // The first rounds open what stays open: warm slots of the pool, buffers, threads.
    for round in 0..2 {
        misbehave(&mut lines, round).await;
    }
    let (memory, descriptors, threads) = (host.memory("VmRSS"), host.descriptors(), host.threads());
    for round in 2..5 {
        misbehave(&mut lines, round).await;
    }
    let now = host.memory("VmRSS");
    assert!(now < memory + (24 << 20), "{memory} bytes became {now}");
    assert!(
        host.descriptors() <= descriptors,
        "{descriptors} became {}",
        host.descriptors()
    );
    assert!(
        host.threads() <= threads + 2,
        "{threads} became {}",
        host.threads()
    );

    // 5 rounds of at most one hog at a time: its 32 MiB and what the host needs to serve it.
    let peak = host.memory("VmHWM");
    assert!(
        peak < memory + (96 << 20),
        "{memory} bytes at rest, {peak} at its peak"
    );

    drop(lines);
    assert!(host.child.wait().await.expect("an end").success());
    for entry in std::fs::read_dir(program.site.path(".toolhost/ledger")).expect("a ledger") {
        let segment = std::fs::read_to_string(entry.expect("a segment").path()).expect("its text");
        assert!(!segment.contains(SECRET), "the ledger holds a secret");
    }
    let verified = program.run_with(("TOOLHOST_TEST_KEY", SECRET), &["ledger", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[tokio::test]
async fn g47_nothing_of_the_hosts_own_surroundings_is_there_for_a_guest() {
    let (_program, mut host) = serve();
    let mut lines = host.speaker();
    lines.initialize().await;
    let answer = lines.call(json!(1), "rogue_env", json!({})).await;
    let seen = &answer["result"]["structuredContent"];
    assert_eq!(
        seen,
        &json!({ "variables": {}, "arguments": [] }),
        "{answer}"
    );
    for path in ["/proc/self/environ", "/proc/1/environ", "/etc/passwd"] {
        let answer = lines
            .call(json!(path), "rogue_read", json!({ "path": path }))
            .await;
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert!(!answer.to_string().contains(SECRET), "{answer}");
    }
}
