//! One hostile caller that does everything at once, and an honest one beside it: a short run of the
//! script that people run for half an hour. What has to hold stands in the script.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use guests::{checkout, guest, v03_guest};

#[allow(dead_code, reason = "the other integration tests' as well")]
#[path = "harness/guests.rs"]
mod guests;

/// How long the attacks go on, in seconds.
const SECONDS: &str = "20";

#[test]
fn x49_an_honest_caller_is_served_beside_a_hostile_one() {
    let guests = guest("everything.wasm");
    // Both generations are built into one folder.
    let _ = v03_guest("wasi3.wasm");
    let run = Command::new("python3")
        .arg(checkout().join("tests/hostile_caller.py"))
        .arg(SECONDS)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("TOOLHOST", env!("CARGO_BIN_EXE_toolhost"))
        .env("GUESTS", guests.parent().expect("a folder"))
        .env_remove("TOOLHOST_LOG")
        .output()
        .expect("python3");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&run.stdout), said(&run.stderr));
    assert!(run.status.success(), "{out}{err}");
    assert!(out.contains("SIGTERM to its end"), "{out}{err}");
}
