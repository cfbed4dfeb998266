//! A bucket's contents as a whole, for who runs the host: put there before a call, looked at after it.
//! Keys, values and quotas are held to what guests are held to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::error::KvError;
use super::rules::{Cursor, check_key, check_value};
use super::space::{Change, Look};
use super::state::{name, quota};
use super::store::Place;
use crate::capability::service::database::{Access, OpenError, Owner};
use crate::grants::KvGrant;
use crate::terms::Caller;

/// Why a bucket's contents cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// The store's file cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The bucket refuses it, or cannot be reached now.
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// The operator's own jobs on what a tool has.
fn operators(tool: &Arc<str>) -> Owner {
    Owner {
        caller: Arc::default(),
        tool: Arc::clone(tool),
    }
}

impl Place {
    /// Puts entries in the bucket that this caller finds under a grant.
    ///
    /// # Errors
    ///
    /// A key or a value that none can be, or more than the grant's quota.
    pub async fn fill(
        &self,
        grant: &KvGrant,
        caller: &Caller,
        entries: BTreeMap<String, Vec<u8>>,
        deadline: Instant,
    ) -> Result<(), ContentsError> {
        for (key, value) in &entries {
            check_key(key)?;
            check_value(value)?;
        }
        let (name, quota) = (name(grant, Some(caller)), quota(grant));
        let job = move |tx: &rusqlite::Transaction<'_>| {
            let mut change = Change::new(tx, &name, quota)?;
            for (key, value) in &entries {
                change.set(key, value)?;
            }
            change.close()
        };
        let database = self.database()?;
        let owner = operators(&grant.owner);
        database.run(&owner, Access::Write, deadline, job).await?;
        Ok(())
    }

    /// All that is in the bucket that this caller finds under a grant.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn contents(
        &self,
        grant: &KvGrant,
        caller: &Caller,
        deadline: Instant,
    ) -> Result<BTreeMap<String, Vec<u8>>, ContentsError> {
        let name = name(grant, Some(caller));
        let job = move |tx: &rusqlite::Transaction<'_>| {
            let look = Look::new(tx, &name)?;
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
            Ok::<_, KvError>(all)
        };
        let database = self.database()?;
        let owner = operators(&grant.owner);
        Ok(database.run(&owner, Access::Read, deadline, job).await?)
    }

    /// What is in all buckets that a tool or its functions have, if there is any: a tool of this name
    /// put it there. Makes no file where there is none.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn left_by(
        &self,
        tool: &str,
        deadline: Instant,
    ) -> Result<Option<LeftBuckets>, ContentsError> {
        if !self.is_there() {
            return Ok(None);
        }
        let own: Arc<str> = tool.into();
        let owner = operators(&own);
        let job = move |tx: &rusqlite::Transaction<'_>| {
            let sums = "SELECT count(*), total(keys), total(bytes) FROM space WHERE keys > 0 \
                        AND (owner = ?1 OR substr(owner, 1, length(?1) + 1) = ?1 || '.')";
            let left = tx.query_row(sums, [&*own], |row| {
                let whole = |at| row.get::<_, f64>(at);
                Ok(LeftBuckets {
                    buckets: row.get(0)?,
                    keys: whole(1)?,
                    bytes: whole(2)?,
                })
            })?;
            Ok::<_, KvError>((left.buckets > 0).then_some(left))
        };
        let database = self.database()?;
        Ok(database.run(&owner, Access::Read, deadline, job).await?)
    }
}

impl fmt::Display for LeftBuckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, keys, buckets) = (self.bytes, self.keys, self.buckets);
        write!(f, "{bytes} bytes under {keys} keys in {buckets} buckets")
    }
}

/// What is in the buckets of a tool, over all callers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeftBuckets {
    /// Those that are not empty.
    pub buckets: i64,
    /// Their keys, a whole number.
    pub keys: f64,
    /// Keys and values, in bytes, a whole number.
    pub bytes: f64,
}
