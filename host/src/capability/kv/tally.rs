//! What one call did with its buckets: bounded while it runs, one line for each bucket in its record
//! when it is over. It knows no keys and no values.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::task_tracker::TaskTrackerToken;

use super::error::KvError;
use super::grant::KvGrant;
use crate::capability::frame::Pen;

/// Wishes of one call, each key of a batch counted as one. They cost the guest no fuel, so they have a bound of their own.
pub const MOST_WISHES: u32 = 10_000;

/// What one call may carry to its buckets and from them, in bytes.
pub const MOST_CARRIED: u64 = 64 << 20;

/// What a wish does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// The wishes of one call, written down when the last of them is over, however the call ended.
pub(super) struct Tally {
    grants: Vec<KvGrant>,
    sums: Mutex<Sums>,
    pen: Pen,
    /// The record waits for it.
    _open: TaskTrackerToken,
}

#[derive(Default)]
struct Sums {
    wishes: u32,
    carried: u64,
    /// Of each grant, by its place in the function's list.
    of: BTreeMap<usize, Sum>,
    /// Buckets that were asked for and are not granted.
    unknown: u32,
}

/// What is written down of one bucket.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
struct Sum {
    reads: u32,
    writes: u32,
    refused: u32,
    read: u64,
    written: u64,
}

/// A line of the record.
#[derive(serde::Serialize)]
struct Line<'a> {
    /// The grant's name, and its line in the manifest.
    kv: &'a Arc<str>,
    line: u32,
    #[serde(flatten)]
    sum: Sum,
}

impl Tally {
    pub(super) fn new(grants: &[KvGrant], pen: &Pen) -> Self {
        Self {
            grants: grants.to_vec(),
            sums: Mutex::default(),
            pen: pen.clone(),
            _open: pen.hold(),
        }
    }

    /// Counts a wish for so many keys before it is fulfilled, with what it carries to the bucket.
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
            Kind::Read => sum.reads = sum.reads.saturating_add(keys),
            Kind::Write => {
                sum.writes = sum.writes.saturating_add(keys);
                sum.written = sum.written.saturating_add(size);
            }
        }
        Ok(())
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

    /// Counts a bucket that was asked for and is not granted.
    pub(super) fn unknown(&self) {
        let mut sums = self.sums();
        sums.unknown = sums.unknown.saturating_add(1);
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    fn at(&mut self, grant: usize) -> &mut Sum {
        self.of.entry(grant).or_default()
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let sums = std::mem::take(&mut *self.sums());
        for (grant, sum) in sums.of {
            if let Some(grant) = self.grants.get(grant) {
                let (kv, line) = (&grant.name, grant.line);
                self.pen.attempt(&Line { kv, line, sum }, None);
            }
        }
        if sums.unknown > 0 {
            let line = serde_json::json!({ "kv": null, "refused": sums.unknown });
            self.pen.attempt(&line, None);
        }
    }
}
