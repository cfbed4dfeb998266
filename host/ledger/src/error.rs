//! How the ledger fails. It does not know what a failed ledger means for a call.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the ledger cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The folder or a segment in it cannot be used.
    #[error("cannot {doing} {path}: {source}; the ledger needs a folder that this user can write")]
    File {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The folder or segment.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Others than this user could change the folder.
    #[error(
        "{path} is no safe place for the ledger: {why}; make it a folder of this user with mode 0700"
    )]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An earlier write failed. Nothing more is written in this segment, so that a record cannot follow
    /// a gap; the host tries to begin another one.
    #[error(
        "the ledger cannot be written: {0}; free or repair the disk, the host goes on when it can"
    )]
    Failed(Arc<str>),
    /// The segment has its last record.
    #[error("the ledger is sealed: the host is stopping; call again when it is back")]
    Sealed,
}

impl LedgerError {
    /// For `map_err` at a place where a file is used.
    pub(super) fn file(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File {
            doing,
            path: path.into(),
            source,
        }
    }
}
