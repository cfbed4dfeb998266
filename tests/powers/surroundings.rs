//! What a guest learns of where it runs: variables, clocks, sockets; and what it may say to the
//! outside while it runs: log and progress.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{House, Program, Upstream, structured, tool_error};

const BARE: &str = "[tool.rogue]\ncomponent = \"rogue.wasm\"";

#[tokio::test]
async fn g47_variables_are_the_manifests_and_no_others() {
    let bare = House::new(BARE);
    let nothing = json!({ "variables": {}, "arguments": [] });
    assert_eq!(
        structured(&bare.call("rogue_env", json!({})).await),
        nothing
    );

    let house = House::new(&format!(
        "{BARE}\nenv = {{ SHOP = \"main\", EMPTY = \"\" }}"
    ));
    assert_eq!(
        structured(&house.call("rogue_env", json!({})).await)["variables"],
        json!({ "SHOP": "main", "EMPTY": "" })
    );
}

#[tokio::test]
async fn g49_clocks_move_in_steps_of_a_millisecond() {
    let house = House::new(BARE);
    let clocks = structured(&house.call("rogue_now", json!({ "readings": 50_000 })).await);
    for step in ["wall_step_ns", "monotonic_step_ns", "took_ns"] {
        let nanos = clocks[step].as_u64().expect("a number");
        assert!(nanos > 0, "the {step} stood still: {clocks}");
        assert_eq!(nanos % 1_000_000, 0, "{step}: {clocks}");
    }
    // A guest does not learn how long the machine is up.
    assert!(
        clocks["took_ns"].as_u64().expect("a number") < 10_000_000_000,
        "{clocks}"
    );
}

#[tokio::test]
async fn g48_sockets_and_names_refuse() {
    let up = Upstream::echo().await;
    let house = House::new(&format!(
        r#"{BARE}
[tool.rogue.http.up]
url = "http://{}"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
"#,
        up.address
    ));
    let addr = up.address.to_string();
    tool_error(&house.call("rogue_connect", json!({ "addr": addr })).await);
    tool_error(
        &house
            .call("rogue_resolve", json!({ "name": "localhost" }))
            .await,
    );
    assert!(up.rest().await.is_empty(), "something went out");
}

#[tokio::test]
async fn progress_grows_and_is_no_faster_than_an_agent_reads() {
    let house = House::new(BARE);
    let began = Instant::now();
    let arguments = json!({ "n": 20_000, "message": "a\u{1b}[2J\nb" });
    let reports = house.progress_of("rogue_progress", arguments).await;
    let most = began.elapsed().as_millis() / 25 + 3;
    assert!(reports.len() >= 2, "{reports:?}");
    assert!(
        (reports.len() as u128) <= most,
        "{} in {most}",
        reports.len()
    );
    assert!(
        reports.windows(2).all(|pair| pair[0].done < pair[1].done),
        "{reports:?}"
    );
    assert!(reports.iter().all(|report| report.total == Some(20_000.0)));
    assert_eq!(reports.last().map(|report| report.done), Some(20_000.0));
    let said = reports[0].message.as_deref();
    assert_eq!(said, Some("a[2Jb"), "no control characters");
}

/// The lines of the operator's log that come from guests.
fn guest_lines(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("guest:")).collect()
}

const LOGGING: &str = r#"
[tool.rogue]
component = "rogue.wasm"
log = "info"
limits = { log = "1KiB" }
"#;

#[test]
fn g17_g58_a_logged_line_is_one_line_and_moves_no_cursor() {
    let program = Program::new(LOGGING);
    let evil = "a\n{\"kind\":\"closed\"}\u{1b}]52;c;eA==\u{7}\u{202e}b\0";
    let call = |level: &str| {
        let arguments: Value = json!({ "text": evil, "level": level });
        program.run_with(
            ("TOOLHOST_LOG", "info"),
            &["call", "rogue.log", &arguments.to_string()],
        )
    };
    let ended = call("warn");
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines = guest_lines(&ended.err);
    assert_eq!(lines.len(), 1, "{ended:?}");
    assert!(
        lines[0].contains(r#"a\n{"kind":"closed"}\u{1b}]52;c;eA==\u{7}\u{202e}b"#),
        "{lines:?}"
    );
    assert!(
        !ended.err.contains(['\u{1b}', '\u{7}', '\0', '\u{202e}']),
        "{ended:?}"
    );

    assert!(
        guest_lines(&call("debug").err).is_empty(),
        "below the granted level"
    );
    // The record knows nothing of it and is whole.
    let verified = program.run(&["ledger", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let calls = program.run(&["ledger", "show", "--json"]).json();
    assert_eq!(calls["calls"].as_array().map(Vec::len), Some(2), "{calls}");
}

#[test]
fn g02_g16_log_stdout_and_stderr_end_at_their_limit() {
    let program = Program::new(LOGGING);
    let run = |arguments: &[&str]| program.run_with(("TOOLHOST_LOG", "info"), arguments);
    let flood = json!({ "text": "x".repeat(100), "times": 1_000 }).to_string();
    let ended = run(&["call", "rogue.log", &flood]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines = guest_lines(&ended.err);
    assert!(
        lines.len() > 5 && lines.len() <= 11,
        "{} lines",
        lines.len()
    );
    assert!(ended.err.contains("log limit reached"), "{ended:?}");

    let nothing = json!({ "text": "", "times": 1_000 }).to_string();
    let ended = run(&["call", "rogue.log", &nothing]);
    let lines = guest_lines(&ended.err).len();
    assert!(lines <= 17, "{lines} lines of nothing");

    let ended = run(&["call", "rogue.babble", r#"{"mib":1}"#]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        ended.out.trim(),
        "printed 1 MiB on each",
        "stdout is the answer's alone"
    );
    assert!(ended.err.len() < 8 << 10, "{} bytes", ended.err.len());
    assert_eq!(
        ended.err.matches("output limit reached").count(),
        2,
        "{ended:?}"
    );
}

#[test]
fn without_a_grant_nothing_is_logged() {
    let program = Program::new(BARE);
    let arguments = json!({ "text": "hear me", "level": "critical" }).to_string();
    let ended = program.run_with(
        ("TOOLHOST_LOG", "trace"),
        &["call", "rogue.log", &arguments],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.err.contains("hear me"), "{ended:?}");
}
