//! A bucket's contents as a whole, for who runs the host: put there before a call, looked at after it.
//! Keys, values and quotas are held to what guests are held to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::error::KvError;
use super::jobs::{Contents, Fill, LeftBy};
use super::rules::{check_key, check_value};
use super::state::{name, quota};
use crate::grants::KvGrant;
use crate::terms::Caller;
use toolhost_store::{JobOwner, OpenError, Store};

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
fn operators(tool: &Arc<str>) -> JobOwner {
    JobOwner {
        caller: Arc::default(),
        tool: Arc::clone(tool),
    }
}

/// Puts entries in the bucket that this caller finds under a grant.
///
/// # Errors
///
/// A key or a value that none can be, or more than the grant's quota.
pub async fn fill(
    store: &Store,
    grant: &KvGrant,
    caller: &Caller,
    entries: BTreeMap<String, Vec<u8>>,
    deadline: Instant,
) -> Result<(), ContentsError> {
    for (key, value) in &entries {
        check_key(key)?;
        check_value(value)?;
    }
    let job = Fill {
        name: name(grant, Some(caller)),
        quota: quota(grant),
        entries,
    };
    let owner = operators(&grant.owner);
    Ok(store.database()?.run(&owner, deadline, job).await?)
}

/// All that is in the bucket that this caller finds under a grant.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn contents(
    store: &Store,
    grant: &KvGrant,
    caller: &Caller,
    deadline: Instant,
) -> Result<BTreeMap<String, Vec<u8>>, ContentsError> {
    let job = Contents(name(grant, Some(caller)));
    let owner = operators(&grant.owner);
    Ok(store.database()?.run(&owner, deadline, job).await?)
}

/// What is in all buckets that a tool or its functions have, if there is any: a tool of this name put it
/// there.
///
/// # Errors
///
/// When the store cannot be read.
pub async fn left_by(
    store: &Store,
    tool: &str,
    deadline: Instant,
) -> Result<Option<LeftBuckets>, ContentsError> {
    let tool: Arc<str> = tool.into();
    let owner = operators(&tool);
    Ok(store
        .database()?
        .run(&owner, deadline, LeftBy(tool))
        .await?)
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
