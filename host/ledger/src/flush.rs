//! Bringing what was appended onto the disk, many waiting calls with one sync. It does not know what was appended.
//!
//! A thread of its own does it: a sync takes as long as the disk wants, and neither a thread that
//! runs calls nor the appender may wait for it.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::LedgerError;
use super::appender::Health;

/// Calls that may stand in line for a sync; more of them wait for a place in the line.
const LINE: usize = 256;

type Waiter = oneshot::Sender<()>;

/// The thread that syncs.
#[derive(Debug)]
pub(super) struct Flusher {
    line: Option<mpsc::Sender<Waiter>>,
    thread: Option<JoinHandle<()>>,
    health: Health,
}

impl Flusher {
    /// Starts the thread; `sync` returns when all that was written before it began is on the disk.
    pub(super) fn start(
        sync: impl FnMut() -> io::Result<()> + Send + 'static,
        health: Health,
    ) -> io::Result<Self> {
        let (line, waiters) = mpsc::channel(LINE);
        let shared = health.clone();
        let thread = thread::Builder::new()
            .name("ledger-flush".to_owned())
            .spawn(move || serve(waiters, sync, &shared))?;
        Ok(Self {
            line: Some(line),
            thread: Some(thread),
            health,
        })
    }

    /// Returns when everything that was appended before is on the disk.
    pub(super) async fn flushed(&self) -> Result<(), LedgerError> {
        let (done, wait) = oneshot::channel();
        if let Some(line) = &self.line {
            // Both fail only when the thread has ended; then nobody answers, and the next line says why.
            let _ = line.send(done).await;
        }
        if wait.await.is_ok() {
            return Ok(());
        }
        self.health.check()?;
        Err(self
            .health
            .failed("syncing the ledger", &io::ErrorKind::BrokenPipe.into()))
    }
}

/// Who stands in line when a sync begins has written before, so one sync is for all of them.
fn serve(
    mut waiters: mpsc::Receiver<Waiter>,
    mut sync: impl FnMut() -> io::Result<()>,
    health: &Health,
) {
    let mut group = Vec::with_capacity(LINE);
    while waiters.blocking_recv_many(&mut group, LINE) > 0 {
        if let Err(error) = sync() {
            // The kernel may have dropped the pages it could not write, and says so only once:
            // another sync that succeeds would prove nothing.
            health.failed("syncing the ledger", &error);
            return;
        }
        for waiter in group.drain(..) {
            // A call that was cancelled does not wait any more.
            let _ = waiter.send(());
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.line = None;
        if let Some(thread) = self.thread.take() {
            // It ends with its line; if it panicked there is nobody left to tell.
            let _ = thread.join();
        }
    }
}
