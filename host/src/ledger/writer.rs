//! The ledger as a call meets it: admit, then close. It does not know what the calls do.
//!
//! A record is appended by the thread that has it, under a lock that is held for one hash and one
//! `write`: some microseconds, less than handing it to another thread and being woken. It is made
//! and serialised before. Only syncs go to another thread. (The kernel may hold up a `write` when it
//! throttles everybody who fills its cache; a thread between would then hold up all calls as well.)

use std::fmt;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

use super::attempts::Attempts;
use super::clock::Clock;
use super::error::LedgerError;
use super::flush::Flusher;
use super::folder::Folder;
use super::links;
use super::pen::{Draft, Health, Paper, Pen};
use super::record::{Admitted, Closed, Header, Record, Refused, Reloaded};
use crate::terms::{Code, Reach};

/// The number of a call's "admitted" record in its segment: it names the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// This process's segment of the ledger. Clones write the same segment.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Shared>);

struct Shared {
    segment: String,
    pen: Mutex<Pen>,
    health: Health,
    flusher: Flusher,
}

impl Ledger {
    /// Begins a segment in a folder, which is made if it is missing, and names the ends of the
    /// segments before it.
    ///
    /// It uses the disk and is for the start of a process, not for an async function.
    ///
    /// # Errors
    /// The folder cannot be made, is not this user's alone, or cannot be written.
    pub fn open(dir: &Path, header: &Header<'_>, clock: Clock) -> Result<Self, LedgerError> {
        let folder = Folder::make(dir)?;
        let earlier = links::ends(&folder)?;
        let (segment, file) = folder.create(clock())?;
        let path = folder.path().join(&segment);
        let sync = syncing(&folder, &file).map_err(LedgerError::file("open", &path))?;
        let ledger = Self::on(Box::new(file), sync, segment, clock)
            .map_err(LedgerError::file("start the thread that syncs", &path))?;
        let open = Record::open(header, ledger.segment(), &earlier);
        ledger.0.append(&open)?;
        Ok(ledger)
    }

    /// A ledger on any paper.
    pub(super) fn on(
        paper: Box<dyn Paper>,
        sync: impl FnMut() -> io::Result<()> + Send + 'static,
        segment: String,
        clock: Clock,
    ) -> io::Result<Self> {
        let health = Health::default();
        Ok(Self(Arc::new(Shared {
            segment,
            pen: Mutex::new(Pen::new(paper, clock, health.clone())),
            flusher: Flusher::start(sync, health.clone())?,
            health,
        })))
    }

    /// Records that a call may run. When this is done the record is in the kernel, so that a killed
    /// process does not lose it; if the call can write it is on the disk, so that a power cut does
    /// not either; if the call can reach nothing at all, it is held back until the call first waits
    /// or ends. Dropping the returned guard, or this future, records the call as cancelled.
    ///
    /// # Errors
    /// The record could not be kept: the call must not run.
    pub async fn admit(&self, call: &Admitted<'_>) -> Result<OpenCall, LedgerError> {
        let record = Record::admitted(call);
        let seq = match call.reach {
            Reach::Nothing => self.0.hold(&record)?,
            Reach::Reads | Reach::Writes => self.0.append(&record)?,
        };
        let open = OpenCall {
            ledger: Arc::clone(&self.0),
            id: CallId(seq),
            attempts: Arc::default(),
            held: call.reach == Reach::Nothing,
            closed: false,
        };
        if call.reach == Reach::Writes {
            self.0.flusher.flushed().await?;
        }
        Ok(open)
    }

    /// Records that a call was turned away. When this is done the record is in the kernel.
    ///
    /// # Errors
    /// The record could not be kept.
    pub fn refuse(&self, call: &Refused<'_>) -> Result<(), LedgerError> {
        self.0.append(&Record::refused(call)).map(drop)
    }

    /// Records that what the host goes by was loaded anew. When this is done the record is on the disk,
    /// and only then may it hold.
    ///
    /// # Errors
    /// The record could not be kept: what was loaded must not be used.
    pub async fn reload(&self, reload: &Reloaded<'_>) -> Result<(), LedgerError> {
        self.0.append(&Record::reloaded(reload))?;
        self.0.flusher.flushed().await
    }

    /// False from the first failure on: no call is admitted any more.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.0.health.check().is_ok()
    }

    /// The segment's file name.
    #[must_use]
    pub fn segment(&self) -> &str {
        &self.0.segment
    }

    /// Ends the segment with its counts and brings it onto the disk. Calls that are still open after
    /// it stay without an end.
    ///
    /// # Errors
    /// The record could not be kept, or the segment is sealed already.
    pub async fn seal(&self) -> Result<(), LedgerError> {
        self.0.seal()?;
        self.0.flusher.flushed().await
    }
}

/// What brings a new segment onto the disk: its name in the folder once, then its data.
fn syncing(folder: &Folder, segment: &File) -> io::Result<impl FnMut() -> io::Result<()> + use<>> {
    let (folder, segment) = (folder.handle()?, segment.try_clone()?);
    let mut named = false;
    Ok(move || {
        if !named {
            folder.sync_all()?;
            named = true;
        }
        segment.sync_data()
    })
}

impl Shared {
    fn append(&self, record: &Record<'_>) -> Result<u64, LedgerError> {
        let draft = Draft::new(record).map_err(|e| self.health.failed("making a record", &e))?;
        self.pen()?.append(&draft)
    }

    fn hold(&self, record: &Record<'_>) -> Result<u64, LedgerError> {
        let draft = Draft::new(record).map_err(|e| self.health.failed("making a record", &e))?;
        self.pen()?.hold(&draft)
    }

    fn seal(&self) -> Result<(), LedgerError> {
        let mut pen = self.pen()?;
        let records = pen.tally();
        let draft = Draft::new(&Record::Seal { records })
            .map_err(|e| self.health.failed("making a record", &e))?;
        pen.append(&draft).map(drop)
    }

    /// A thread that panicked with the pen in hand may have left half a line.
    fn pen(&self) -> Result<MutexGuard<'_, Pen>, LedgerError> {
        self.pen.lock().map_err(|_| {
            let panicked = io::Error::other("a thread panicked while writing");
            self.health.failed("writing a record", &panicked)
        })
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("segment", &self.segment)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

/// An admitted call that has no end yet. If it is dropped, the call is recorded as cancelled, with
/// what it tried.
#[derive(Debug)]
#[must_use = "dropping it records the call as cancelled"]
pub struct OpenCall {
    ledger: Arc<Shared>,
    id: CallId,
    attempts: Arc<Attempts>,
    /// Its first record may be held back.
    held: bool,
    closed: bool,
}

impl OpenCall {
    /// The call's name in its segment.
    #[must_use]
    pub const fn id(&self) -> CallId {
        self.id
    }

    /// Where whatever the call tries on the outside is noted.
    #[must_use]
    pub const fn attempts(&self) -> &Arc<Attempts> {
        &self.attempts
    }

    /// Drives the call. If it is not over when it is first polled, so that somebody could see it run,
    /// its record goes into the kernel. A short call that reaches nothing writes once, at its end.
    pub async fn drive<F: Future>(&mut self, call: F) -> F::Output {
        let mut call = pin!(call);
        poll_fn(|context| {
            let polled = call.as_mut().poll(context);
            if polled.is_pending() && std::mem::take(&mut self.held) {
                // A failure stays: the call's end cannot be recorded either, and says so.
                let _ = self.ledger.pen().and_then(|mut pen| pen.write_out());
            }
            polled
        })
        .await
    }

    /// Records how the call ended. When this is done the record is in the kernel: only then may the
    /// answer leave. It takes microseconds and does not wait for the disk.
    ///
    /// # Errors
    /// The record could not be kept: the answer must not leave as if it had been.
    pub fn close(mut self, closed: &Closed) -> Result<(), LedgerError> {
        self.closed = true;
        let kept = self.attempts.take();
        let record = Record::closed(self.id.0, closed, &kept);
        self.ledger.append(&record).map(drop)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let kept = self.attempts.take();
        // The host's own mistake is not the caller's wish.
        let why = match std::thread::panicking() {
            true => Code::Internal,
            false => Code::Cancelled,
        };
        let record = Record::dropped(self.id.0, why, &kept);
        if let Err(error) = self.ledger.append(&record) {
            tracing::error!(call = %self.id, %error, "a dropped call stays without an end in the ledger");
        }
    }
}
