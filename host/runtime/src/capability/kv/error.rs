//! Why a guest was not given what it asked for, as the guest hears it. What the operator has to know beside
//! it goes to the log.

use crate::shares::Exceeded;
use toolhost_store::JobError;

/// Why a guest was not given what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// No grant of the function has this name.
    #[error("no bucket of this name is granted")]
    NoSuchStore,
    /// The guest asked for what no bucket does, or more than this one holds; the sentence says which.
    #[error("{0}")]
    Refused(String),
    /// The host could not do it now.
    #[error("{0}")]
    Unavailable(&'static str),
    /// The host holds as much for the call as it may: that ends the call.
    #[error(transparent)]
    Full(#[from] Exceeded),
}

impl From<JobError> for KvError {
    fn from(error: JobError) -> Self {
        if matches!(error, JobError::Busy) {
            return Self::Unavailable("the store is busy; try again later");
        }
        tracing::error!(%error, "the kv store failed");
        Self::Unavailable("the store cannot be used now; the operator's log has the reason")
    }
}

impl From<rusqlite::Error> for KvError {
    fn from(error: rusqlite::Error) -> Self {
        Self::from(JobError::from(error))
    }
}
