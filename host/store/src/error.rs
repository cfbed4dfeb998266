//! Why the store cannot be opened, in words for its operator, and why a job on it did nothing.

use std::path::{Path, PathBuf};

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file cannot be reached.
    #[error("{} cannot be opened: {error}", path.display())]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// Other users could read or change it.
    #[error("{} can be used by other users of this machine; chmod 600 it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// It is something else.
    #[error(
        "{} is not what toolhost keeps there ({found}); move it away and start again",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: &'static str,
    },
    /// A newer toolhost has worked on it.
    #[error(
        "{} has version {version}, and this toolhost knows versions up to {known}: use the newer toolhost, or {}",
        path.display(),
        instead(path, backup.as_deref())
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
        /// The newest version that this program knows.
        known: usize,
        /// The newest backup that this program could open.
        backup: Option<PathBuf>,
    },
    /// It has to be migrated and cannot be backed up. Nothing was changed.
    #[error("{} has to be backed up before it is migrated, which failed: {why}", path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// Why there is no backup.
        why: String,
    },
    /// A migration failed. The file is as it was before this step.
    #[error(
        "{} could not be brought to version {version} (`{name}`): {error}; it is as it was before this step, so put that right and start again",
        path.display()
    )]
    Migration {
        /// The file.
        path: PathBuf,
        /// The version that it did not come to.
        version: i32,
        /// What the step is for.
        name: &'static str,
        /// Why.
        error: String,
    },
    /// Its content does not hold together.
    #[error(
        "{} is damaged ({what}); stop the toolhost that uses it, move it away together with its `-wal` and `-shm`, copy a backup to its place if there is one, and start again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        what: String,
    },
}

/// What an operator can do who has no newer toolhost.
fn instead(path: &Path, backup: Option<&Path>) -> String {
    let name = path.file_name().unwrap_or_default().display();
    match backup {
        Some(backup) => format!(
            "move it away together with its `-wal` and `-shm` and copy {} to {name}, which loses what was written since",
            backup.display()
        ),
        None => "move it away together with its `-wal` and `-shm` to begin with an empty one (it has no backup that this toolhost knows)".to_owned(),
    }
}

/// Why a job did nothing.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It was not its turn before the deadline.
    #[error("the store is busy")]
    Busy,
    /// SQLite says so.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The thread is gone, or the job panicked: a defect.
    #[error("the store's thread gave no answer")]
    Gone,
}
