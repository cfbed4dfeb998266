//! What the host keeps in tables: one SQLite file in the state folder, one thread that works on it, one
//! transaction a job. The process that owns the state folder is the only one that writes; a command
//! beside it can look.
//!
//! A job is a value with a name: whoever keeps something here says in types what it does to its tables.
//! It knows nothing of what is in them.

mod backup;
mod error;
mod file;
mod migrations;
mod thread;
mod turns;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Transaction;

use toolhost_core::{shares, terms};

use crate::terms::Clock;
pub use error::{JobError, OpenError};
use migrations::MIGRATIONS;
pub use thread::Database;
pub use turns::JobOwner;

/// The file's name in the state folder.
const FILE: &str = "kv.sqlite";

/// What a job does to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAccess {
    /// It looks.
    Read,
    /// It may write.
    Write,
}

/// One piece of work on the tables.
pub trait Job: Send + 'static {
    /// What it comes to.
    type Output: Send + 'static;
    /// Why it came to nothing.
    type Error: From<JobError> + Send + 'static;
    /// Whether it may write.
    const ACCESS: JobAccess;

    /// Does it. What it wrote is kept if this gives `Ok`, and undone otherwise.
    ///
    /// # Errors
    ///
    /// The job's own.
    fn run(self, tx: &Transaction<'_>) -> Result<Self::Output, Self::Error>;
}

/// Where the store is. Its file is opened when somebody first needs it, and shared then. Clones share it
/// too.
#[derive(Clone)]
pub struct Store {
    path: PathBuf,
    clock: Clock,
    purpose: Purpose,
    open: Arc<Mutex<Option<Arc<Database>>>>,
}

#[derive(Debug, Clone, Copy)]
enum Purpose {
    Own,
    Look,
}

impl Store {
    /// The store in this state folder, which is there by the time the store is opened, for the process
    /// that owns the folder: the file is made and migrated where that is needed.
    #[must_use]
    pub fn new(folder: &Path, clock: Clock) -> Self {
        Self {
            path: folder.join(FILE),
            clock,
            purpose: Purpose::Own,
            open: Arc::default(),
        }
    }

    /// The same store for a process that only looks, beside the owner or without one. It finds the file
    /// as it is, and an empty store where there is none; it makes and migrates nothing.
    #[must_use]
    pub fn looked_at(&self) -> Self {
        Self {
            path: self.path.clone(),
            clock: self.clock,
            purpose: Purpose::Look,
            open: Arc::default(),
        }
    }

    /// Opens the file, unless it is open. This blocks.
    ///
    /// # Errors
    ///
    /// What is wrong with it and what its operator can do.
    pub fn database(&self) -> Result<Arc<Database>, OpenError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &*open {
            return Ok(database.clone());
        }
        let connection = match self.purpose {
            Purpose::Own => file::open(&self.path, MIGRATIONS, self.clock)?,
            Purpose::Look => file::look(&self.path, MIGRATIONS)?,
        };
        let database = Database::start(connection, self.clock);
        let database = database.map_err(|error| OpenError::Unreachable {
            path: self.path.clone(),
            error: error.to_string(),
        })?;
        let database = Arc::new(database);
        *open = Some(database.clone());
        Ok(database)
    }
}

#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod tests;
