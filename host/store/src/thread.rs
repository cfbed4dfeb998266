//! The one thread that works on the file. Jobs come one after the other, each is one transaction; a job
//! that nobody waits for any more is not begun. Whoever has many of them waits for his own: others come in
//! between.
//!
//! It does not know what a job does, nor where the file is.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::turns::{JobOwner, JobQueue};
use super::{Job, JobAccess, JobError};
use crate::shares::Shares;
use crate::terms::Clock;

/// Jobs that may wait for the thread, shared by caller. Beyond it they wait for room, each within its
/// deadline.
const QUEUE: u64 = 256;

/// Jobs of one tool and caller among them: one that runs, and one so that the thread need not wait for
/// the next.
const OWN: u64 = 2;

/// Statements that stay compiled.
const STATEMENTS: usize = 32;

type Task = Box<dyn FnOnce(&mut Connection) + Send>;

/// An open file.
pub struct Database {
    own: Shares<JobOwner>,
    places: Shares<Arc<str>>,
    queue: Arc<Queue>,
    clock: Clock,
    thread: Option<JoinHandle<()>>,
}

/// What waits for the thread.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

#[derive(Default)]
struct Waiting {
    turns: JobQueue<Task>,
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
        // A process that ended before the file is closed would leave its write-ahead log behind.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // It says itself where a job panicked.
            let _ = thread.join();
        }
    }
}

impl Database {
    /// Starts the thread of an open file.
    ///
    /// # Errors
    ///
    /// There can be no more threads.
    pub(super) fn start(connection: Connection, clock: Clock) -> io::Result<Self> {
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let queue = Arc::<Queue>::default();
        let thread = std::thread::Builder::new().name("store".to_owned());
        let own = Arc::clone(&queue);
        let thread = thread.spawn(move || work(connection, &own, clock))?;
        Ok(Self {
            thread: Some(thread),
            own: Shares::with_most(u64::MAX, OWN),
            places: Shares::new(QUEUE),
            queue,
            clock,
        })
    }

    /// Runs one transaction, which is kept if the job gives `Ok`. Dropping the future gives up a job that
    /// was not begun; one that was is kept or undone as a whole, and holds no lock afterwards.
    /// Jobs of one owner keep their order; of the callers the one that had least of the thread is next,
    /// and of his tools the one that had.
    ///
    /// # Errors
    ///
    /// The job's own, or [`JobError`] where there was no transaction.
    pub async fn run<J: Job>(
        &self,
        owner: &JobOwner,
        deadline: Instant,
        job: J,
    ) -> Result<J::Output, J::Error> {
        let gone = |_| J::Error::from(JobError::Gone);
        let own = self.own.wait(owner, 1).await.map_err(gone)?;
        let place = self.places.wait(&owner.caller, 1).await;
        let places = (own, place.map_err(gone)?);
        let (answer, answered) = oneshot::channel();
        let clock = self.clock;
        let task: Task = Box::new(move |connection| {
            // Given back when the job is over, or was not begun.
            let _places = places;
            if answer.is_closed() {
                return;
            }
            let done = match clock.until(deadline).is_zero() {
                true => Err(J::Error::from(JobError::Busy)),
                false => transact(connection, job),
            };
            // Whoever asked may be gone by now; the transaction stands all the same.
            let _ = answer.send(done);
        });
        self.queue.waiting().turns.push(owner, task);
        self.queue.more.notify_one();
        answered
            .await
            .unwrap_or_else(|_| Err(J::Error::from(JobError::Gone)))
    }
}

/// The thread: until nobody asks for anything any more, and all that was asked for is done.
fn work(mut connection: Connection, queue: &Queue, clock: Clock) {
    let mut waiting = queue.waiting();
    loop {
        let Some((owner, task)) = waiting.turns.pop() else {
            if waiting.closed {
                return;
            }
            let woken = queue.more.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(waiting);
        let start = clock.now();
        // A panic undoes the job's transaction and drops its answer; the next job has nothing of it.
        if catch_unwind(AssertUnwindSafe(|| task(&mut connection))).is_err() {
            tracing::error!("a job on the store panicked; it was undone");
        }
        waiting = queue.waiting();
        waiting.turns.took(&owner, clock.since(start));
    }
}

fn transact<J: Job>(connection: &mut Connection, job: J) -> Result<J::Output, J::Error> {
    let behavior = match J::ACCESS {
        JobAccess::Read => TransactionBehavior::Deferred,
        JobAccess::Write => TransactionBehavior::Immediate,
    };
    let sqlite = |error: rusqlite::Error| J::Error::from(JobError::from(error));
    let transaction = connection
        .transaction_with_behavior(behavior)
        .map_err(sqlite)?;
    let done = job.run(&transaction)?;
    // What was written by a job that said it only looks is undone.
    if J::ACCESS == JobAccess::Write {
        transaction.commit().map_err(sqlite)?;
    }
    Ok(done)
}
