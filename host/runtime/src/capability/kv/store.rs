//! The buckets, as the host functions use them: each request is checked, becomes one transaction on the
//! store's thread, and is counted for the call's record. It does not know which draft the guest speaks.

use std::sync::Arc;
use std::time::Instant;

use super::error::KvError;
use super::jobs::{
    DeleteMany, Get, GetCurrent, GetMany, GetVersion, Increase, ListPage, Read, ReadJob, SetMany,
    Swap, Write, WriteJob,
};
use super::rules::{
    Cursor, MOST_ANSWER, MOST_KEY, MOST_VALUE, PAGE, Range, check_batch, check_key, check_value,
};
use super::space::{Name, Quota, Version};
use super::tally::{Kind, Tally};
use crate::shares::{Account, Holding};
use toolhost_outbound::CurrentCall;
use toolhost_store::{Database, JobOwner};

/// What a key or a value under way costs beyond its bytes, and a job beyond what it carries.
const EACH: usize = 128;

/// What keys cost.
fn texts(keys: &[String]) -> usize {
    keys.iter().map(|key| key.len() + EACH).sum()
}

/// One bucket in the hands of one call.
#[derive(Clone)]
#[allow(unreachable_pub, reason = "the generated bindings name it")]
pub struct Bucket {
    pub(super) database: Arc<Database>,
    pub(super) name: Arc<Name>,
    /// Whose jobs they are before the store's thread.
    pub(super) owner: JobOwner,
    pub(super) quota: Quota,
    /// Which of the function's grants it is.
    pub(super) grant: usize,
    pub(super) deadline: Instant,
    /// For keys and values that are under way.
    pub(super) account: Account,
    pub(super) tally: Arc<Tally>,
}

/// A key as it was seen, to be changed only if it is still so.
#[derive(Clone)]
#[allow(unreachable_pub, reason = "the generated bindings name it")]
pub struct Seen {
    bucket: Bucket,
    key: Arc<str>,
    version: Version,
    /// For the key.
    _held: Arc<Holding>,
}

/// How a swap ended that was not refused.
pub(super) enum Swapped {
    /// The value is written.
    Done,
    /// Somebody else was first; this is the key as it is now.
    Lost(Seen),
}

impl Bucket {
    pub(super) async fn get(&self, key: String) -> Result<Option<Vec<u8>>, KvError> {
        check_key(&key)?;
        let held = self.hold(MOST_VALUE + key.len())?;
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        self.look(1, held, Get(key), size).await
    }

    pub(super) async fn exists(&self, key: String) -> Result<bool, KvError> {
        check_key(&key)?;
        let held = self.hold(key.len())?;
        let version = self.look(1, held, GetVersion(key.into()), |_| 0).await?;
        Ok(version.is_some())
    }

    pub(super) async fn set(&self, key: String, value: Vec<u8>) -> Result<(), KvError> {
        self.set_many(vec![(key, value)]).await
    }

    pub(super) async fn delete(&self, key: String) -> Result<(), KvError> {
        self.delete_many(vec![key]).await
    }

    pub(super) async fn page(
        &self,
        from: Cursor,
    ) -> Result<(Vec<String>, Option<Cursor>), KvError> {
        let size = |(keys, _): &(Vec<String>, _)| keys.iter().map(String::len).sum();
        let held = self.hold(PAGE * MOST_KEY)?;
        self.look(1, held, ListPage(from), size).await
    }

    pub(super) async fn get_many(
        &self,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Vec<u8>>)>, KvError> {
        check_batch(keys.len())?;
        keys.iter().try_for_each(|key| check_key(key))?;
        let count = keys.len();
        let held = self.hold(MOST_ANSWER + texts(&keys))?;
        let size = |pairs: &Vec<(String, Option<Vec<u8>>)>| {
            let sizes = pairs
                .iter()
                .map(|(_, value)| value.as_ref().map_or(0, Vec::len));
            sizes.sum()
        };
        self.look(count, held, GetMany(keys), size).await
    }

    /// All of them or none.
    pub(super) async fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), KvError> {
        check_batch(pairs.len())?;
        for (key, value) in &pairs {
            check_key(key)?;
            check_value(value)?;
        }
        let sizes = pairs.iter().map(|(key, value)| key.len() + value.len());
        let cost = (pairs.len(), sizes.sum());
        let held = self.hold(cost.1 + pairs.len() * EACH)?;
        self.change(cost, held, SetMany(pairs)).await
    }

    /// All of them or none.
    pub(super) async fn delete_many(&self, keys: Vec<String>) -> Result<(), KvError> {
        check_batch(keys.len())?;
        keys.iter().try_for_each(|key| check_key(key))?;
        let cost = (keys.len(), 0);
        let held = self.hold(texts(&keys))?;
        self.change(cost, held, DeleteMany(keys)).await
    }

    pub(super) async fn increase(
        &self,
        key: String,
        delta: i128,
        range: Range,
    ) -> Result<i128, KvError> {
        check_key(&key)?;
        let held = self.hold(key.len())?;
        let increase = Increase { key, delta, range };
        self.change((1, 0), held, increase).await
    }

    /// The key as it is now, for a swap.
    pub(super) async fn seen(&self, key: String) -> Result<Seen, KvError> {
        check_key(&key)?;
        let kept = Arc::new(self.hold(key.len())?);
        let held = self.hold(0)?;
        let key: Arc<str> = key.into();
        let version = self.look(1, held, GetVersion(key.clone()), |_| 0).await?;
        Ok(Seen {
            bucket: self.clone(),
            key,
            version,
            _held: kept,
        })
    }

    /// Room for so many bytes of keys and values under way, until whoever asked has the answer.
    fn hold(&self, bytes: usize) -> Result<Holding, KvError> {
        let bytes = u64::try_from(bytes.saturating_add(EACH)).unwrap_or(u64::MAX);
        Ok(self.account.hold(bytes)?)
    }

    async fn look<R: Read>(
        &self,
        keys: usize,
        held: Holding,
        read: R,
        size: impl FnOnce(&R::Output) -> usize,
    ) -> Result<R::Output, KvError> {
        self.tally.begin(self.grant, Kind::Read, (keys, 0))?;
        let job = ReadJob {
            name: self.name.clone(),
            read,
            held,
            call: CurrentCall::carried(),
        };
        let answer = self.database.run(&self.owner, self.deadline, job).await;
        let answer = answer.map(|(answer, _held)| answer);
        // What does not fit an answer was read all the same.
        let carried = answer.as_ref().map_or(MOST_ANSWER, size);
        self.tally.carried(self.grant, carried);
        answer
    }

    async fn change<W: Write>(
        &self,
        cost: (usize, usize),
        held: Holding,
        write: W,
    ) -> Result<W::Output, KvError> {
        self.tally.begin(self.grant, Kind::Write, cost)?;
        let job = WriteJob {
            name: self.name.clone(),
            quota: self.quota,
            write,
            _held: held,
            call: CurrentCall::carried(),
            tally: self.tally.clone(),
            grant: self.grant,
        };
        self.database.run(&self.owner, self.deadline, job).await
    }
}

impl Seen {
    /// The value, and from here on the swap is for this one.
    pub(super) async fn current(&mut self) -> Result<Option<Vec<u8>>, KvError> {
        let read = GetCurrent(self.key.clone());
        let size = |(_, value): &(Version, Option<Vec<u8>>)| value.as_ref().map_or(0, Vec::len);
        let held = self.bucket.hold(MOST_VALUE)?;
        let (version, value) = self.bucket.look(1, held, read, size).await?;
        self.version = version;
        Ok(value)
    }

    /// Writes the value if the key is still as it was seen.
    pub(super) async fn swap(self, value: Vec<u8>) -> Result<Swapped, KvError> {
        check_value(&value)?;
        let size = self.key.len() + value.len();
        let held = self.bucket.hold(size)?;
        let swap = Swap {
            key: self.key.clone(),
            seen: self.version,
            value,
        };
        Ok(match self.bucket.change((1, size), held, swap).await? {
            Ok(()) => Swapped::Done,
            Err(version) => Swapped::Lost(Self { version, ..self }),
        })
    }
}
