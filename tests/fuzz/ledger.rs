//! Ledger files that somebody else may have written.

use std::collections::BTreeSet;
use std::path::Path;

use toolhost_ledger::{Filter, show, verify};

use super::engine::{Target, run};
use crate::harness::checkout;

const WORDS: [&str; 30] = [
    "\n",
    "{",
    "}",
    "\"seq\":",
    "\"kind\":\"admitted\"",
    "\"kind\":\"closed\"",
    "\"kind\":\"open\"",
    "\"kind\":\"seal\"",
    "\"hash\":\"",
    "\"call\":1",
    "\"call\":18446744073709551615",
    "0",
    "9",
    "\"caller\":",
    "\"attempts\":[",
    "\"kind\":\"attempt\"",
    "\"kind\":\"answer\"",
    "\"attempt\":2",
    "\"verdict\":{",
    "\"arguments\":",
    "null",
    "\\u0000",
    "\u{202e}",
    "-1",
    "1e9",
    "\"code\":",
    "\"time\":\"",
    "2026-01-01T00:00:00Z",
    ",",
    "\"",
];

/// The name that the corpus's segment names itself by.
fn name(segment: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(segment).ok()?;
    let first: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
    Some(first["segment"].as_str()?.to_owned())
}

#[test]
fn ledger() {
    // Of schema 1, and of the one that is written now.
    for corpus in ["segment", "segment-3"] {
        damaged(&checkout().join("tests/fuzz/corpus/ledger").join(corpus));
    }
}

fn damaged(segment: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let genuine = std::fs::read(segment).expect("a segment");
    let file = folder
        .path()
        .join(name(&genuine).expect("a segment with a name"));
    let lines: BTreeSet<&[u8]> = genuine.split_inclusive(|byte| *byte == b'\n').collect();
    let check = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("a segment");
        let report = verify(folder.path()).expect("a report");
        let filter = Filter {
            limit: 1_000,
            ..Filter::default()
        };
        let shown = show(folder.path(), &filter).expect("calls");
        assert!(shown.calls.len() <= 1_000);
        let segment = report.segments.first();
        let records = segment.map_or(0, |segment| segment.records);
        // What is called genuine is what was written, from its first byte on.
        let whole = bytes.split_inclusive(|byte| *byte == b'\n');
        for line in whole.take(usize::try_from(records).expect("fits")) {
            assert!(lines.contains(line), "{}", String::from_utf8_lossy(line));
        }
        match report.problems.first() {
            Some(problem) => problem.flaw.to_string().chars().take(40).collect(),
            None => {
                let state = segment.map(|segment| format!("{:?}", segment.state));
                let state = state.unwrap_or_default();
                state
                    .chars()
                    .take_while(char::is_ascii_alphabetic)
                    .collect()
            }
        }
    };
    run(&Target {
        name: "ledger",
        seeds: Vec::new(),
        words: &WORDS,
        check: &check,
    });
}
