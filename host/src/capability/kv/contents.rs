//! A bucket's contents as a whole, for who runs the host: put there before a call, looked at after it.
//! Keys, values and quotas are held to what guests are held to.

use std::collections::BTreeMap;
use std::time::Instant;

use super::error::KvError;
use super::grant::KvGrant;
use super::rules::{Cursor, check_key, check_value};
use super::space::{Change, Look};
use super::state::{name, quota};
use super::store::Place;
use crate::capability::service::database::{Access, OpenError};
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
        let owner = &grant.owner;
        database.run(owner, Access::Write, deadline, job).await?;
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
        let owner = &grant.owner;
        Ok(database.run(owner, Access::Read, deadline, job).await?)
    }
}
