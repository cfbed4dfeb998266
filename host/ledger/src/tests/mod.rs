//! The ledger as a whole: what is written is what is read, whatever happens to the process or the disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod failures;
mod order;
mod processes;
mod recovery;
mod segments;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::*;
use crate::state::{Role, StateLock};
use crate::terms::{
    AnswerEnd, Attempt, AttemptAnswer, AttemptSink as _, Bill, Caller, Code, Door, FunctionId,
    HttpTarget, ManualClock, Reach, RuleRef, Target, Verdict,
};
use crate::terms::{Clock, Fingerprint};

/// A folder of a test's own, which goes with the test.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "ledger-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.0.join("ledger")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) const HEADER: Header<'_> = Header {
    host_version: "0.1.0",
    mode: Mode::Dev,
    manifest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
};

pub(super) fn begin(dir: &Path) -> Ledger {
    begin_at(dir, Clock::SYSTEM)
}

pub(super) fn begin_at(dir: &Path, clock: Clock) -> Ledger {
    try_begin(dir, clock).unwrap()
}

/// As the owner of the folder around it.
pub(super) fn try_begin(dir: &Path, clock: Clock) -> Result<Ledger, LedgerError> {
    let state = StateLock::take(dir.parent().unwrap(), Role::Call);
    Ledger::open(state.unwrap(), &HEADER, clock)
}

/// A caller and what it calls.
pub(super) struct Asked {
    caller: Caller,
    function: FunctionId,
}

impl Asked {
    pub(super) fn of(agent: &str, tool: &str, function: &str) -> Self {
        Self {
            caller: Caller {
                agent: agent.into(),
                user: Some("ada".into()),
            },
            function: FunctionId {
                tool: tool.into(),
                function: function.into(),
            },
        }
    }

    pub(super) fn usual() -> Self {
        Self::of("support", "github", "search_issues")
    }

    pub(super) fn admitted(&self) -> Admitted<'_> {
        Admitted::new(
            &self.caller,
            Door::Unix,
            &self.function,
            "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            Fingerprint::of(br#"{"q":"x"}"#),
        )
    }

    pub(super) fn refused<'a>(&'a self, function: &'a str) -> Refused<'a> {
        Refused::new(
            &self.caller,
            Door::Http,
            function,
            Fingerprint::of(b"{}"),
            Code::UnknownFunction,
        )
    }
}

pub(super) fn reach(writes: bool) -> Reach {
    match writes {
        true => Reach::Writes,
        false => Reach::Reads,
    }
}

/// A request to a path, allowed or refused.
pub(super) fn attempt(path: &str, may: bool) -> Attempt {
    let verdict = match may {
        true => Verdict::Allowed(RuleRef {
            grant: "api".into(),
            line: 7,
            rule: Some("GET /**".into()),
        }),
        false => Verdict::Refused {
            nearest: Some("api".into()),
            kind: "denied".into(),
            why: "x".repeat(250),
        },
    };
    Attempt {
        to: Target::Http(HttpTarget {
            method: "GET".to_owned(),
            scheme: Some("https".into()),
            host: Some("api.test".to_owned()),
            port: Some(443),
            path: Some(path.to_owned()),
        }),
        verdict,
    }
}

/// A response to it.
pub(super) fn answer() -> AttemptAnswer {
    AttemptAnswer {
        end: AnswerEnd::Answered,
        status: Some(200),
        peer: None,
        left: true,
        sent: 0,
        received: 5,
        ms: 12,
    }
}

pub(super) fn reload(manifest: &str) -> Reload<'_> {
    Reload {
        before: HEADER.manifest.into(),
        manifest: manifest.into(),
        mode: Mode::Serve,
        load: 1,
    }
}

pub(super) fn closed(ending: Ending) -> Closing {
    Closing {
        ending,
        result: Some(Fingerprint::of(b"[]")),
        bill: BILL,
        after: None,
    }
}

pub(super) const BILL: Bill = Bill {
    fuel: 81_234,
    peak_memory: 1 << 20,
    wall: Duration::from_micros(1_500),
    egress_requests: 1,
    egress_bytes: 4_096,
};

/// All calls of a folder.
pub(super) fn calls(dir: &Path) -> Vec<Call> {
    let shown = show(
        dir,
        &Filter {
            limit: usize::MAX,
            ..Filter::default()
        },
    )
    .unwrap();
    assert_eq!(shown.unreadable, 0);
    shown.calls
}

/// The only segment of a folder that has nothing wrong.
pub(super) fn only_segment(dir: &Path) -> SegmentReport {
    let mut report = verify(dir).unwrap();
    assert!(report.intact(), "{:?}", report.problems);
    assert_eq!(report.segments.len(), 1);
    report.segments.remove(0)
}
