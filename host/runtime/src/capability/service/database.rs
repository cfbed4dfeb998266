//! A SQLite file of this host, and the one thread of this process that works on it. Jobs come one
//! after the other, each is one transaction; a job that nobody waits for any more is not begun. Whoever
//! has many of them waits for his own: others come in between.
//!
//! It knows nothing of what is in the file: whoever opens it brings the layout.

mod file;
mod turns;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use crate::shares::Shares;
use toolhost_outbound::CurrentCall;
pub use turns::Owner;
use turns::Turns;

/// Jobs that may wait for the thread, shared by caller. Beyond it they wait for room, each within its
/// deadline.
const QUEUE: u64 = 256;

/// Jobs of one tool and caller among them: one that runs, and one so that the thread need not wait for
/// the next.
const OWN: u64 = 2;

/// The longest that one job waits for another process's transaction. Those last milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Statements that stay compiled.
const STATEMENTS: usize = 32;

/// What a file is made as, and known by.
pub struct Layout {
    /// Stands in the file's header, so that another program's file is not taken for this one.
    pub application_id: i32,
    /// Grows with every change of the tables.
    pub version: i32,
    /// Makes the tables.
    pub tables: &'static str,
}

/// Why a file cannot be used.
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
        "{} is not what this version of toolhost keeps there ({found}); move it away and start again",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// Its content does not hold together.
    #[error(
        "{} is damaged ({what}); stop every toolhost that uses it, bring it back from a backup or move it and its `-wal` away, and start again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        what: String,
    },
}

/// Why a job did nothing.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It was not its turn before the deadline, or another process held the file for too long.
    #[error("the store is busy")]
    Busy,
    /// SQLite says so.
    #[error("{0}")]
    Sqlite(rusqlite::Error),
    /// The thread is gone, or the job panicked: a defect.
    #[error("the store's thread gave no answer")]
    Gone,
}

impl From<rusqlite::Error> for JobError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Busy
            }
            _ => Self::Sqlite(error),
        }
    }
}

/// What a job does to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It looks.
    Read,
    /// It may write: it waits for every other writer first.
    Write,
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// An open file.
pub struct Database {
    own: Shares<Owner>,
    places: Shares<Arc<str>>,
    queue: Arc<Queue>,
}

/// What waits for the thread.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    turns: Turns<Job>,
    /// Nobody will ask for anything any more.
    closed: bool,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.queue.waiting().closed = true;
        self.queue.more.notify_one();
    }
}

impl Database {
    /// Opens the file, or makes it; checks the whole of it. The folder must be there. This blocks.
    ///
    /// # Errors
    ///
    /// What is wrong with the file and what its operator can do.
    pub fn open(path: &Path, layout: &Layout) -> Result<Self, OpenError> {
        let connection = file::open(path, layout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let queue = Arc::<Queue>::default();
        let own = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("database".to_owned());
        let spawned = thread.spawn(move || work(connection, &own));
        spawned.map_err(|error| OpenError::Unreachable {
            path: path.to_owned(),
            error: error.to_string(),
        })?;
        Ok(Self {
            own: Shares::with_most(u64::MAX, OWN),
            places: Shares::new(QUEUE),
            queue,
        })
    }

    /// Runs one transaction, which is kept if `job` gives `Ok`. Dropping the future gives up a job
    /// that was not begun; one that was is kept or undone as a whole, and holds no lock afterwards.
    /// Jobs of one owner keep their order; of the callers the one that had least of the thread is next,
    /// and of his tools the one that had.
    ///
    /// # Errors
    ///
    /// The job's own, or [`JobError`] where there was no transaction.
    pub async fn run<T, E>(
        &self,
        owner: &Owner,
        access: Access,
        deadline: Instant,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<JobError> + Send + 'static,
    {
        let gone = |_| E::from(JobError::Gone);
        let own = self.own.wait(owner, 1).await.map_err(gone)?;
        let place = self.places.wait(&owner.caller, 1).await;
        let places = (own, place.map_err(gone)?);
        let (answer, answered) = oneshot::channel();
        let current = CurrentCall::carried();
        let job: Job = Box::new(move |connection| {
            // Given back when the job is over, or was not begun.
            let _places = places;
            if !answer.is_closed() {
                // Whoever asked may be gone by now; the transaction stands all the same.
                let done = current.around(|| transact(connection, access, deadline, job));
                let _ = answer.send(done);
            }
        });
        self.queue.waiting().turns.push(owner, job);
        self.queue.more.notify_one();
        answered
            .await
            .unwrap_or_else(|_| Err(E::from(JobError::Gone)))
    }
}

/// The thread: until nobody asks for anything any more, and all that was asked for is done.
fn work(mut connection: Connection, queue: &Queue) {
    let mut waiting = queue.waiting();
    loop {
        let Some((owner, job)) = waiting.turns.pop() else {
            if waiting.closed {
                return;
            }
            let woken = queue.more.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(waiting);
        let start = Instant::now();
        // A panic undoes the job's transaction and drops its answer; the next job has nothing of it.
        if catch_unwind(AssertUnwindSafe(|| job(&mut connection))).is_err() {
            tracing::error!("a job on the store panicked; it was undone");
        }
        waiting = queue.waiting();
        waiting.turns.took(&owner, start.elapsed());
    }
}

fn transact<T, E: From<JobError>>(
    connection: &mut Connection,
    access: Access,
    deadline: Instant,
    job: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(E::from(JobError::Busy));
    }
    let behavior = match access {
        Access::Read => TransactionBehavior::Deferred,
        Access::Write => TransactionBehavior::Immediate,
    };
    let sqlite = |error: rusqlite::Error| E::from(JobError::from(error));
    connection
        .busy_timeout(left.min(LOCK_WAIT))
        .map_err(sqlite)?;
    let transaction = connection
        .transaction_with_behavior(behavior)
        .map_err(sqlite)?;
    let done = job(&transaction)?;
    transaction.commit().map_err(sqlite)?;
    Ok(done)
}

#[cfg(test)]
mod tests;
