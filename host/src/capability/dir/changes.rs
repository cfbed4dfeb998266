//! What one call does in its directories, for its record: each change before it is made, and how often
//! each directory was used.
//!
//! It does not know whether a change succeeds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use super::grant::DirGrant;
use super::place::Place;
use crate::capability::attempts::AttemptLog;
use crate::terms::{Attempt, DirTarget, Rule, Target, Usage, Verdict};

/// As much of a path is kept for the record, in bytes.
const MOST: usize = 256;

/// What one call does in its directories.
pub(super) struct Changes {
    attempts: AttemptLog,
    /// By grant.
    usage: Mutex<BTreeMap<Arc<str>, Usage>>,
}

impl Changes {
    pub(super) fn new(attempts: &AttemptLog) -> Self {
        Self {
            attempts: attempts.clone(),
            usage: Mutex::default(),
        }
    }

    /// Counts that something is opened to be read.
    pub(super) fn read(&self, place: &Place) {
        let mut usage = self.usage();
        let usage = usage.entry(Arc::clone(&place.grant.name)).or_default();
        usage.reads = usage.reads.saturating_add(1);
    }

    /// Records a change before it is made.
    ///
    /// # Errors
    /// The directory is granted to be read only, or the host cannot record anything.
    pub(super) fn change(&self, place: &Place, to: DirTarget) -> Result<(), ErrorCode> {
        let may = place.is_writable();
        let verdict = match may {
            true => Verdict::Allowed(Rule {
                grant: Arc::clone(&place.grant.name),
                line: place.grant.line,
                rule: None,
            }),
            false => Verdict::Refused {
                nearest: Some(Arc::clone(&place.grant.name)),
                kind: "denied".into(),
                why: "the directory is granted to be read".to_owned(),
            },
        };
        self.count(&place.grant, may);
        let to = Target::Dir(to);
        let noted = self.attempts.note(Attempt { to, verdict });
        match (may, noted) {
            (true, Ok(())) => Ok(()),
            (true, Err(_)) => Err(ErrorCode::Io),
            (false, _) => Err(ErrorCode::NotPermitted),
        }
    }

    fn count(&self, grant: &DirGrant, may: bool) {
        let mut usage = self.usage();
        let usage = usage.entry(Arc::clone(&grant.name)).or_default();
        match may {
            true => usage.writes = usage.writes.saturating_add(1),
            false => usage.refused = usage.refused.saturating_add(1),
        }
    }

    fn usage(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Usage>> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        for (grant, usage) in std::mem::take(&mut *self.usage()) {
            self.attempts.used(Usage {
                of: "dir".into(),
                grant: Some(grant),
                ..usage
            });
        }
    }
}

/// A path within another one, as guests name it.
pub(super) fn within(base: &str, path: &str) -> String {
    let mut whole = match (base, path) {
        (base, ".") => base.to_owned(),
        (".", path) => path.to_owned(),
        ("/", path) => format!("/{path}"),
        (base, path) => format!("{base}/{path}"),
    };
    whole.truncate(whole.floor_char_boundary(MOST));
    whole
}
