//! What one call did with its buckets: bounded while it runs, on record before a bucket is first written,
//! and summed up in its record when it is over. It knows no keys and no values.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::task_tracker::TaskTrackerToken;

use super::error::KvError;
use crate::grants::KvGrant;
use crate::terms::{Attempt, KvTarget, RuleRef, Target, Usage, Verdict};
use toolhost_outbound::AttemptLog;

/// Wishes of one call, each key of a batch counted as one. They cost the guest no fuel, so they have a bound of their own.
pub const MOST_WISHES: u32 = 10_000;

/// What one call may carry to its buckets and from them, in bytes.
pub const MOST_CARRIED: u64 = 64 << 20;

/// The longest name of a bucket that is recorded, in bytes; no grant has a longer one.
const LONGEST_NAME: usize = 256;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// The wishes of one call, written down when the last of them is over, however the call ended.
pub(super) struct Tally {
    grants: Vec<KvGrant>,
    sums: Mutex<Sums>,
    attempts: AttemptLog,
    /// The record waits for it.
    _open: TaskTrackerToken,
}

#[derive(Default)]
struct Sums {
    wishes: u32,
    carried: u64,
    /// Of each grant, by its place in the function's list.
    of: BTreeMap<usize, Usage>,
    /// Buckets that were asked for and are not granted.
    unknown: u64,
}

impl Tally {
    pub(super) fn new(grants: &[KvGrant], attempts: &AttemptLog) -> Self {
        Self {
            grants: grants.to_vec(),
            sums: Mutex::default(),
            attempts: attempts.clone(),
            _open: attempts.hold(),
        }
    }

    /// Counts a request for so many keys before it is served, with what it carries to the bucket.
    ///
    /// # Errors
    ///
    /// When the call has had its share.
    pub(super) fn begin(
        &self,
        grant: usize,
        kind: Kind,
        (keys, size): (usize, usize),
    ) -> Result<(), KvError> {
        let mut sums = self.sums();
        if sums.wishes >= MOST_WISHES || sums.carried >= MOST_CARRIED {
            sums.at(grant).refused += 1;
            return Err(KvError::Refused(format!(
                "this call has used up its {MOST_WISHES} wishes or {MOST_CARRIED} bytes of storage traffic"
            )));
        }
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        // A batch without keys is a transaction, too.
        let keys = u32::try_from(keys.max(1)).unwrap_or(u32::MAX);
        sums.wishes = sums.wishes.saturating_add(keys);
        sums.carried = sums.carried.saturating_add(size);
        let sum = sums.at(grant);
        match kind {
            Kind::Read => sum.reads = sum.reads.saturating_add(keys.into()),
            Kind::Write => {
                if sum.writes == 0 {
                    self.first_write(grant)?;
                }
                sum.writes = sum.writes.saturating_add(keys.into());
                sum.written = sum.written.saturating_add(size);
            }
        }
        Ok(())
    }

    /// Records that a bucket is about to be written: a host that is killed then has it on record.
    fn first_write(&self, grant: usize) -> Result<(), KvError> {
        let Some(grant) = self.grants.get(grant) else {
            return Ok(());
        };
        let attempt = Attempt {
            to: Target::Kv(KvTarget {
                bucket: grant.name.to_string(),
            }),
            verdict: Verdict::Allowed(RuleRef {
                grant: Arc::clone(&grant.name),
                line: grant.line,
                rule: None,
            }),
        };
        let noted = self.attempts.note(attempt);
        noted.map_err(|unrecorded| KvError::Refused(unrecorded.to_string()))
    }

    /// Counts what a bucket gave.
    pub(super) fn carried(&self, grant: usize, size: usize) {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        let mut sums = self.sums();
        sums.carried = sums.carried.saturating_add(size);
        let sum = sums.at(grant);
        sum.read = sum.read.saturating_add(size);
    }

    /// Counts a write that changed nothing.
    pub(super) fn refused(&self, grant: usize) {
        self.sums().at(grant).refused += 1;
    }

    /// Records a bucket that was asked for and is not granted.
    pub(super) fn unknown(&self, bucket: &str) {
        {
            let mut sums = self.sums();
            sums.unknown = sums.unknown.saturating_add(1);
        }
        let attempt = Attempt {
            to: Target::Kv(KvTarget {
                bucket: match bucket.len() {
                    0..=LONGEST_NAME => bucket.to_owned(),
                    _ => "(a name that is too long)".to_owned(),
                },
            }),
            verdict: Verdict::Refused {
                nearest: None,
                kind: "denied".into(),
                why: "there is no such bucket".to_owned(),
            },
        };
        // It is not opened, recorded or not.
        let _ = self.attempts.note(attempt);
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    fn at(&mut self, grant: usize) -> &mut Usage {
        self.of.entry(grant).or_default()
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let sums = std::mem::take(&mut *self.sums());
        for (grant, sum) in sums.of {
            self.attempts.used(Usage {
                of: "kv".into(),
                grant: self.grants.get(grant).map(|grant| Arc::clone(&grant.name)),
                ..sum
            });
        }
        if sums.unknown > 0 {
            self.attempts.used(Usage {
                of: "kv".into(),
                refused: sums.unknown,
                ..Usage::default()
            });
        }
    }
}
