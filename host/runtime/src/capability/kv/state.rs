//! The buckets of one call: which it may open, and those it holds. Both drafts of `wasi:keyvalue` end
//! here.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{HasData, Resource, ResourceTable, ResourceTableError};

use super::error::KvError;
use super::space::{Name, Quota};
use super::store::Bucket;
use super::tally::Tally;
use crate::capability::context::CallContext;
use crate::capability::seam::Seam;
use crate::grants::KvGrant;
use crate::shares::Account;
use crate::terms::Caller;
use toolhost_outbound::AttemptLog;
use toolhost_store::{Database, JobOwner, OpenError, Store};

/// The name of a bucket that guests open without naming one.
const DEFAULT: &str = "default";

/// The buckets of one function, made ready once for all of its calls.
pub(crate) struct Buckets {
    grants: Vec<KvGrant>,
    /// None where nothing is granted.
    database: Option<Arc<Database>>,
}

impl Buckets {
    /// Opens their file, if there are any; that blocks.
    ///
    /// # Errors
    ///
    /// The file cannot be used.
    pub(in crate::capability) fn new(grants: &[KvGrant], store: &Store) -> Result<Self, OpenError> {
        let database = match grants {
            [] => None,
            _ => Some(store.database()?),
        };
        Ok(Self {
            grants: grants.to_vec(),
            database,
        })
    }
}

/// The buckets of one call.
pub(crate) struct State {
    buckets: Arc<Buckets>,
    caller: Option<Caller>,
    deadline: Instant,
    account: Account,
    attempts: AttemptLog,
    /// Begun with the first bucket that is opened.
    tally: Option<Arc<Tally>>,
}

/// A call's buckets and the table that holds them.
pub(crate) struct View<'a> {
    pub(in crate::capability) seam: &'a Seam,
    pub(in crate::capability) state: &'a mut State,
    pub(in crate::capability) table: &'a mut ResourceTable,
}

/// Names [`View`] to the linker.
pub(super) struct Keyed;

impl HasData for Keyed {
    type Data<'a> = View<'a>;
}

/// How a host function ends that does not give what was asked for.
pub(super) enum Stop {
    /// With an error that the guest can handle.
    Error(KvError),
    /// With the call.
    Trap(wasmtime::Error),
}

impl From<KvError> for Stop {
    fn from(error: KvError) -> Self {
        match error {
            KvError::Full(exceeded) => Self::Trap(exceeded.into()),
            error => Self::Error(error),
        }
    }
}

impl From<ResourceTableError> for Stop {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl State {
    pub(in crate::capability) fn new(buckets: &Arc<Buckets>, context: &CallContext<'_>) -> Self {
        Self {
            buckets: buckets.clone(),
            caller: context.caller.cloned(),
            deadline: context.deadline,
            account: context.account.clone(),
            attempts: context.attempts.clone(),
            tally: None,
        }
    }

    /// The bucket that a guest names, if it is granted.
    pub(super) fn bucket(&mut self, identifier: &str) -> Result<Bucket, KvError> {
        let Buckets { grants, database } = &*self.buckets;
        let tally = self
            .tally
            .get_or_insert_with(|| Arc::new(Tally::new(grants, &self.attempts)));
        let wanted = if identifier.is_empty() {
            DEFAULT
        } else {
            identifier
        };
        let found = grants.iter().position(|grant| *grant.name == *wanted);
        let granted = found.and_then(|at| Some((at, grants.get(at)?, database.as_ref()?)));
        let Some((at, grant, database)) = granted else {
            tally.unknown(wanted);
            return Err(KvError::NoSuchStore);
        };
        Ok(Bucket {
            database: database.clone(),
            name: Arc::new(name(grant, self.caller.as_ref())),
            owner: owner(grant, self.caller.as_ref()),
            quota: quota(grant),
            grant: at,
            deadline: self.deadline,
            account: self.account.clone(),
            tally: tally.clone(),
        })
    }
}

pub(super) fn name(grant: &KvGrant, caller: Option<&Caller>) -> Name {
    let caller = caller.filter(|_| grant.per_caller).map(whose);
    Name {
        owner: (*grant.owner).into(),
        name: (*grant.name).into(),
        caller: caller.unwrap_or_default().into(),
    }
}

/// Whose jobs these are, for taking turns: a tool's flood does not delay another's jobs, nor a caller's
/// another's.
fn owner(grant: &KvGrant, caller: Option<&Caller>) -> JobOwner {
    JobOwner {
        caller: caller.map(whose).unwrap_or_default().into(),
        tool: Arc::clone(&grant.owner),
    }
}

/// A caller as a key. An agent's name has no `/`, so nobody can be taken for another.
fn whose(caller: &Caller) -> String {
    match &caller.user {
        None => caller.agent.to_string(),
        Some(user) => format!("{}/{user}", caller.agent),
    }
}

pub(super) fn quota(grant: &KvGrant) -> Quota {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Quota {
        bytes: signed(grant.bytes),
        keys: signed(grant.keys),
    }
}

impl View<'_> {
    pub(super) fn bucket(&mut self, held: &Resource<Bucket>) -> Result<Bucket, Stop> {
        Ok(self.table.get(held)?.clone())
    }
}
