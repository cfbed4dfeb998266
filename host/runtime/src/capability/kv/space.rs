//! What is done in the tables (`store/migrations/1-kv.sql`): each function here is one step of one transaction, and keeps
//! a bucket's sums equal to what is in it. It knows nothing of guests, callers and versions of WASI.

use rusqlite::{OptionalExtension, Transaction, params};

use super::error::KvError;
use super::rules::{Cursor, MOST_ANSWER, PAGE, Range, increased};

/// Which bucket: the columns that name a row of `space`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) owner: Box<str>,
    pub(super) name: Box<str>,
    /// Empty where all callers share it.
    pub(super) caller: Box<str>,
}

/// The most that a bucket may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) bytes: i64,
    pub(super) keys: i64,
}

/// The version of a key's value; none is a key that is not there.
pub(super) type Version = Option<i64>;

/// A bucket in a transaction that only looks: nothing may be there yet.
pub(super) struct Look<'t> {
    tx: &'t Transaction<'t>,
    id: Option<i64>,
}

impl<'t> Look<'t> {
    pub(super) fn new(tx: &'t Transaction<'t>, name: &Name) -> Result<Self, KvError> {
        let id = tx
            .prepare_cached("SELECT id FROM space WHERE owner = ?1 AND name = ?2 AND caller = ?3")?
            .query_row(params![name.owner, name.name, name.caller], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(Self { tx, id })
    }

    /// A key's value.
    pub(super) fn value(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let read = self
            .tx
            .prepare_cached("SELECT value FROM entry WHERE space = ?1 AND key = ?2")?
            .query_row(params![self.id, key], |row| row.get(0));
        Ok(read.optional()?)
    }

    /// A key's version.
    pub(super) fn version(&self, key: &str) -> Result<Version, KvError> {
        let read = self
            .tx
            .prepare_cached("SELECT version FROM entry WHERE space = ?1 AND key = ?2")?
            .query_row(params![self.id, key], |row| row.get(0));
        Ok(read.optional()?)
    }

    /// The values of several keys, as long as they fit an answer.
    pub(super) fn values(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, KvError> {
        let mut room = MOST_ANSWER;
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let value = self.value(key)?;
            let size = value.as_ref().map_or(0, Vec::len);
            room = room.checked_sub(size).ok_or_else(|| {
                KvError::Refused(format!(
                    "these values have more than {MOST_ANSWER} bytes together; ask for fewer keys at once"
                ))
            })?;
            values.push(value);
        }
        Ok(values)
    }

    /// A page of keys in the order in which they were made, and where the next one begins.
    pub(super) fn page(&self, from: Cursor) -> Result<(Vec<String>, Option<Cursor>), KvError> {
        let mut statement = self.tx.prepare_cached(
            "SELECT key, born FROM entry WHERE space = ?1 AND born > ?2 ORDER BY born LIMIT ?3",
        )?;
        let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![self.id, from.born(), limit], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
        let more = rows.len() > PAGE;
        rows.truncate(PAGE);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|(_, born)| Cursor::behind(*born));
        Ok((rows.into_iter().map(|(key, _)| key).collect(), next))
    }
}

/// A bucket in a transaction that writes: its row is there.
pub(super) struct Change<'t> {
    look: Look<'t>,
    quota: Quota,
    bytes: i64,
    keys: i64,
    clock: i64,
}

impl<'t> Change<'t> {
    pub(super) fn new(tx: &'t Transaction<'t>, name: &Name, quota: Quota) -> Result<Self, KvError> {
        let columns = params![name.owner, name.name, name.caller];
        tx.prepare_cached("INSERT OR IGNORE INTO space (owner, name, caller) VALUES (?1, ?2, ?3)")?
            .execute(columns)?;
        let (id, bytes, keys, clock) = tx
            .prepare_cached(
                "SELECT id, bytes, keys, clock FROM space WHERE owner = ?1 AND name = ?2 AND caller = ?3",
            )?
            .query_row(columns, |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
        let look = Look { tx, id: Some(id) };
        Ok(Self {
            look,
            quota,
            bytes,
            keys,
            clock,
        })
    }

    /// Gives a key a value, within the quota.
    pub(super) fn set(&mut self, key: &str, value: &[u8]) -> Result<(), KvError> {
        let before = self.size(key)?;
        let size = length(key.len()) + length(value.len());
        let bytes = self.bytes - before.unwrap_or(0) + size;
        let keys = self.keys + i64::from(before.is_none());
        self.fits(bytes, keys)?;
        self.clock += 1;
        self.look
            .tx
            .prepare_cached(
                "INSERT INTO entry (space, key, value, born, version) VALUES (?1, ?2, ?3, ?4, ?4)
                 ON CONFLICT (space, key) DO UPDATE SET value = ?3, version = ?4",
            )?
            .execute(params![self.look.id, key, value, self.clock])?;
        (self.bytes, self.keys) = (bytes, keys);
        Ok(())
    }

    /// Deletes a key; one that is not there is as good as deleted.
    pub(super) fn delete(&mut self, key: &str) -> Result<(), KvError> {
        let Some(before) = self.size(key)? else {
            return Ok(());
        };
        self.look
            .tx
            .prepare_cached("DELETE FROM entry WHERE space = ?1 AND key = ?2")?
            .execute(params![self.look.id, key])?;
        (self.bytes, self.keys) = (self.bytes - before, self.keys - 1);
        Ok(())
    }

    /// Adds to a key's number and says what it is then.
    pub(super) fn increase(
        &mut self,
        key: &str,
        delta: i128,
        range: Range,
    ) -> Result<i128, KvError> {
        let sum = increased(self.look.value(key)?.as_deref(), delta, range)?;
        self.set(key, sum.to_string().as_bytes())?;
        Ok(sum)
    }

    /// Sets a key whose version is still `seen`; else says which it is.
    pub(super) fn swap(
        &mut self,
        key: &str,
        seen: Version,
        value: &[u8],
    ) -> Result<Result<(), Version>, KvError> {
        let version = self.look.version(key)?;
        if version != seen {
            return Ok(Err(version));
        }
        self.set(key, value).map(Ok)
    }

    /// Writes the bucket's sums: the last step of every change.
    pub(super) fn close(self) -> Result<(), KvError> {
        self.look
            .tx
            .prepare_cached("UPDATE space SET bytes = ?2, keys = ?3, clock = ?4 WHERE id = ?1")?
            .execute(params![self.look.id, self.bytes, self.keys, self.clock])?;
        Ok(())
    }

    /// What a key and its value take.
    fn size(&self, key: &str) -> Result<Option<i64>, KvError> {
        let read = self
            .look
            .tx
            .prepare_cached("SELECT length(value) FROM entry WHERE space = ?1 AND key = ?2")?
            .query_row(params![self.look.id, key], |row| row.get::<_, i64>(0));
        Ok(read.optional()?.map(|value| value + length(key.len())))
    }

    /// A bucket that the manifest has made smaller than what is in it can only shrink.
    fn fits(&self, bytes: i64, keys: i64) -> Result<(), KvError> {
        let (what, most) = if bytes > self.quota.bytes && bytes > self.bytes {
            ("bytes", self.quota.bytes)
        } else if keys > self.quota.keys && keys > self.keys {
            ("keys", self.quota.keys)
        } else {
            return Ok(());
        };
        Err(KvError::Refused(format!(
            "the bucket's quota of {most} {what} is used up; delete what is not needed any more"
        )))
    }
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
