//! What is asked of the store, by name: each operation on a bucket is one transaction.
//!
//! It knows neither guests nor what a call may ask for: that was checked before.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Transaction;

use super::contents::LeftBuckets;
use super::error::KvError;
use super::rules::{Cursor, Range};
use super::space::{Change, Look, Name, Quota, Version};
use super::tally::Tally;
use crate::shares::Holding;
use toolhost_outbound::Carried;
use toolhost_store::{Job, JobAccess};

/// Something to look for in a bucket.
pub(super) trait Read: Send + 'static {
    type Output: Send + 'static;

    fn read(self, bucket: &Look<'_>) -> Result<Self::Output, KvError>;
}

/// Something to change in a bucket.
pub(super) trait Write: Send + 'static {
    type Output: Send + 'static;

    fn write(self, bucket: &mut Change<'_>) -> Result<Self::Output, KvError>;
}

/// A call's [`Read`]. The answer comes with the room that is held for it.
pub(super) struct ReadJob<R> {
    pub(super) name: Arc<Name>,
    pub(super) read: R,
    pub(super) held: Holding,
    pub(super) call: Carried,
}

impl<R: Read> Job for ReadJob<R> {
    type Output = (R::Output, Holding);
    type Error = KvError;
    const ACCESS: JobAccess = JobAccess::Read;

    fn run(self, tx: &Transaction<'_>) -> Result<Self::Output, KvError> {
        let answer = self
            .call
            .around(|| self.read.read(&Look::new(tx, &self.name)?))?;
        Ok((answer, self.held))
    }
}

/// A call's [`Write`].
pub(super) struct WriteJob<W> {
    pub(super) name: Arc<Name>,
    pub(super) quota: Quota,
    pub(super) write: W,
    /// Until the transaction is over.
    pub(super) _held: Holding,
    pub(super) call: Carried,
    /// The call's record waits for it.
    pub(super) tally: Arc<Tally>,
    pub(super) grant: usize,
}

impl<W: Write> Job for WriteJob<W> {
    type Output = W::Output;
    type Error = KvError;
    const ACCESS: JobAccess = JobAccess::Write;

    fn run(self, tx: &Transaction<'_>) -> Result<W::Output, KvError> {
        self.call.around(|| {
            let mut change = Change::new(tx, &self.name, self.quota)?;
            let refused = |_: &KvError| self.tally.refused(self.grant);
            let done = self.write.write(&mut change).inspect_err(refused)?;
            change.close()?;
            Ok(done)
        })
    }
}

pub(super) struct Get(pub(super) String);

impl Read for Get {
    type Output = Option<Vec<u8>>;

    fn read(self, bucket: &Look<'_>) -> Result<Self::Output, KvError> {
        bucket.value(&self.0)
    }
}

/// The values of several keys, beside them.
pub(super) struct GetMany(pub(super) Vec<String>);

impl Read for GetMany {
    type Output = Vec<(String, Option<Vec<u8>>)>;

    fn read(self, bucket: &Look<'_>) -> Result<Self::Output, KvError> {
        let values = bucket.values(&self.0)?;
        Ok(self.0.into_iter().zip(values).collect())
    }
}

pub(super) struct GetVersion(pub(super) Arc<str>);

impl Read for GetVersion {
    type Output = Version;

    fn read(self, bucket: &Look<'_>) -> Result<Version, KvError> {
        bucket.version(&self.0)
    }
}

/// A key's value and its version, of one moment.
pub(super) struct GetCurrent(pub(super) Arc<str>);

impl Read for GetCurrent {
    type Output = (Version, Option<Vec<u8>>);

    fn read(self, bucket: &Look<'_>) -> Result<Self::Output, KvError> {
        Ok((bucket.version(&self.0)?, bucket.value(&self.0)?))
    }
}

pub(super) struct ListPage(pub(super) Cursor);

impl Read for ListPage {
    type Output = (Vec<String>, Option<Cursor>);

    fn read(self, bucket: &Look<'_>) -> Result<Self::Output, KvError> {
        bucket.page(self.0)
    }
}

/// All of them or none.
pub(super) struct SetMany(pub(super) Vec<(String, Vec<u8>)>);

impl Write for SetMany {
    type Output = ();

    fn write(self, bucket: &mut Change<'_>) -> Result<(), KvError> {
        let mut pairs = self.0.iter();
        pairs.try_for_each(|(key, value)| bucket.set(key, value))
    }
}

/// All of them or none.
pub(super) struct DeleteMany(pub(super) Vec<String>);

impl Write for DeleteMany {
    type Output = ();

    fn write(self, bucket: &mut Change<'_>) -> Result<(), KvError> {
        self.0.iter().try_for_each(|key| bucket.delete(key))
    }
}

pub(super) struct Increase {
    pub(super) key: String,
    pub(super) delta: i128,
    pub(super) range: Range,
}

impl Write for Increase {
    type Output = i128;

    fn write(self, bucket: &mut Change<'_>) -> Result<i128, KvError> {
        bucket.increase(&self.key, self.delta, self.range)
    }
}

/// Sets a key whose version is still `seen`; else says which it is.
pub(super) struct Swap {
    pub(super) key: Arc<str>,
    pub(super) seen: Version,
    pub(super) value: Vec<u8>,
}

impl Write for Swap {
    type Output = Result<(), Version>;

    fn write(self, bucket: &mut Change<'_>) -> Result<Self::Output, KvError> {
        bucket.swap(&self.key, self.seen, &self.value)
    }
}

/// The operator's: puts entries in a bucket.
pub(super) struct Fill {
    pub(super) name: Name,
    pub(super) quota: Quota,
    pub(super) entries: BTreeMap<String, Vec<u8>>,
}

impl Job for Fill {
    type Output = ();
    type Error = KvError;
    const ACCESS: JobAccess = JobAccess::Write;

    fn run(self, tx: &Transaction<'_>) -> Result<(), KvError> {
        let mut change = Change::new(tx, &self.name, self.quota)?;
        for (key, value) in &self.entries {
            change.set(key, value)?;
        }
        change.close()
    }
}

/// The operator's: all that is in a bucket.
pub(super) struct Contents(pub(super) Name);

impl Job for Contents {
    type Output = BTreeMap<String, Vec<u8>>;
    type Error = KvError;
    const ACCESS: JobAccess = JobAccess::Read;

    fn run(self, tx: &Transaction<'_>) -> Result<Self::Output, KvError> {
        let look = Look::new(tx, &self.0)?;
        let mut all = BTreeMap::new();
        let mut next = Some(Cursor::default());
        while let Some(from) = next {
            let (keys, behind) = look.page(from)?;
            for key in keys {
                let value = look.value(&key)?.unwrap_or_default();
                all.insert(key, value);
            }
            next = behind;
        }
        Ok(all)
    }
}

/// The operator's: what is in all buckets that a tool or its functions have.
pub(super) struct LeftBy(pub(super) Arc<str>);

impl Job for LeftBy {
    type Output = Option<LeftBuckets>;
    type Error = KvError;
    const ACCESS: JobAccess = JobAccess::Read;

    fn run(self, tx: &Transaction<'_>) -> Result<Self::Output, KvError> {
        let sums = "SELECT count(*), total(keys), total(bytes) FROM space WHERE keys > 0 \
                    AND (owner = ?1 OR substr(owner, 1, length(?1) + 1) = ?1 || '.')";
        let left = tx.query_row(sums, [&*self.0], |row| {
            let whole = |at| row.get::<_, f64>(at);
            Ok(LeftBuckets {
                buckets: row.get(0)?,
                keys: whole(1)?,
                bytes: whole(2)?,
            })
        })?;
        Ok((left.buckets > 0).then_some(left))
    }
}
