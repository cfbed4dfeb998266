//! The ledger as a call meets it: admit, then close. It does not know what the calls do.
//!
//! A record is appended by the thread that has it, under a lock that is held for one hash and one
//! `write`: some microseconds, less than handing it to another thread and being woken. It is made
//! and serialised before. Only syncs go to another thread. (The kernel may hold up a `write` when it
//! throttles everybody who fills its cache; a thread between would then hold up all calls as well.)
//!
//! A segment that failed is not gone on with. A new one is begun when that is possible, and names the
//! end of the one before; calls that are in the old one stay without an end in it, and whatever they
//! would try to reach from then on is refused: it could not be recorded.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::attempts::Attempts;
use super::error::LedgerError;
use super::event::{
    Admitted, Closed, Closing, Event, Header, Mode, PreviousSegment, Refused, Reload,
};
use super::folder::Folder;
use super::keeper::{Bell, keep};
use super::refusals::{Place, Refusals};
use super::segment::Segment;
use crate::state::StateLock;
use crate::terms::Clock;
use crate::terms::{Code, Reach};

/// The number of a call's "admitted" record in its segment: it names the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The last record of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// The file name of its segment.
    pub segment: String,
    /// Its number there.
    pub seq: u64,
    /// Its hash, in hex.
    pub hash: String,
}

/// This process's record. Clones write the same segment.
#[derive(Debug, Clone)]
pub struct Ledger(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    current: RwLock<Arc<Segment>>,
    pub(super) refusals: Refusals,
    /// Held while counts are taken and written, so that who ends the segment misses none.
    counting: Mutex<()>,
    /// Segments of this process that were taken away while it wrote them.
    lost: Mutex<Vec<PreviousSegment>>,
    site: Option<Site>,
    bell: Arc<Bell>,
}

/// Where new segments are begun, and what they say of this process.
#[derive(Debug)]
struct Site {
    /// While this is held nobody else writes there.
    state: StateLock,
    folder: Folder,
    clock: Clock,
    host_version: String,
    /// They change with a reload.
    goes_by: Mutex<(Mode, String)>,
}

/// The ledger's folder in a state folder.
const FOLDER: &str = "ledger";

/// What of the disk is not spent on refusals, in bytes, where the disk is large.
const RESERVE: u64 = 64 << 20;

/// A new segment is not begun on a disk with less room than this, in bytes: it would fail at once.
const LEAST: u64 = 256 << 10;

impl Ledger {
    /// Begins a segment in the folder `ledger` of a state folder, which is made if it is missing, and
    /// names the end of the segment before it. The state folder stays owned as long as the ledger is
    /// there: so it has one writer.
    ///
    /// It uses the disk and is for the start of a process, not for an async function.
    ///
    /// # Errors
    /// The folder cannot be made, is not this user's alone, or cannot be written.
    pub fn open(state: StateLock, header: &Header<'_>, clock: Clock) -> Result<Self, LedgerError> {
        let dir = state.folder().join(FOLDER);
        let folder = Folder::make(&dir)?;
        let segment = Segment::begin(&folder, header, &[], clock)?;
        let site = Site {
            state,
            folder,
            clock,
            host_version: header.host_version.to_owned(),
            goes_by: Mutex::new((header.mode, header.manifest.to_owned())),
        };
        let ledger = Self::with(segment, Some(site));
        ledger.0.look_at_the_disk();
        keep(Arc::downgrade(&ledger.0), Arc::clone(&ledger.0.bell), clock)
            .map_err(LedgerError::file("start the thread that looks after", dir))?;
        Ok(ledger)
    }

    /// A ledger in any file, which nobody looks after.
    #[cfg(test)]
    pub(super) fn on(
        segment_file: Box<dyn super::appender::SegmentFile>,
        sync: impl FnMut() -> io::Result<()> + Send + 'static,
        segment: String,
        clock: Clock,
    ) -> io::Result<Self> {
        let segment = Segment::on(segment_file, sync, segment, clock)?;
        Ok(Self::with(segment, None))
    }

    fn with(segment: Segment, site: Option<Site>) -> Self {
        Self(Arc::new(Inner {
            current: RwLock::new(Arc::new(segment)),
            refusals: Refusals::default(),
            counting: Mutex::default(),
            lost: Mutex::default(),
            site,
            bell: Arc::default(),
        }))
    }

    /// Records that a call may run. When this is done the record is in the kernel, so that a killed
    /// process does not lose it; if the call can write it is on the disk, so that a power cut does
    /// not either; if the call can reach nothing at all, it is held back until the call first waits
    /// or ends. Dropping the returned guard, or this future, records the call as cancelled.
    ///
    /// # Errors
    /// The record could not be kept: the call must not run.
    ///
    /// `reach` is what the function's grants let it reach.
    pub async fn admit(
        &self,
        mut call: Admitted<'_>,
        reach: Reach,
    ) -> Result<OpenCall, LedgerError> {
        let segment = self.0.current();
        call.writes = reach == Reach::Writes;
        let admitted = Event::Admitted(call);
        let seq = match reach {
            Reach::Nothing => segment.hold(&admitted)?,
            Reach::Reads | Reach::Writes => segment.append(&admitted)?,
        };
        let open = OpenCall {
            attempts: Arc::new(Attempts::new(
                Arc::clone(&segment),
                seq,
                self.0.refusals.scarce(),
            )),
            segment,
            id: CallId(seq),
            held: reach == Reach::Nothing,
            closed: false,
        };
        if reach == Reach::Writes {
            open.segment.flusher.flushed().await?;
        }
        Ok(open)
    }

    /// Records that a call was turned away. When this is done the record is in the kernel; where the
    /// caller is turned away again and again, or the disk is nearly full, it is counted and the count
    /// is written within a second, or when there is room. Gives the record's number where it has one of
    /// its own.
    ///
    /// # Errors
    /// The record could not be kept.
    pub fn refuse(&self, call: Refused<'_>) -> Result<Option<CallId>, LedgerError> {
        let segment = self.0.current();
        segment.health.check()?;
        match self
            .0
            .refusals
            .take(&call, segment.clock.now(), || segment.now())
        {
            Place::Record => {
                let seq = segment.append(&Event::Refused(call))?;
                Ok(Some(CallId(seq)))
            }
            Place::Counted => Ok(None),
            Place::Sealed => Err(LedgerError::Sealed),
        }
    }

    /// Records that what the host goes by was loaded anew. When this is done the record is on the disk,
    /// and only then may it hold.
    ///
    /// # Errors
    /// The record could not be kept: what was loaded must not be used.
    pub async fn reload(&self, reload: Reload<'_>) -> Result<(), LedgerError> {
        let segment = self.0.current();
        let goes_by = (reload.mode, reload.manifest.clone().into_owned());
        segment.append(&Event::Reload(reload))?;
        segment.flusher.flushed().await?;
        if let Some(site) = &self.0.site {
            *site.goes_by.lock().unwrap_or_else(PoisonError::into_inner) = goes_by;
        }
        Ok(())
    }

    /// False while nothing can be recorded, so that no call is admitted; and for ever once a segment of
    /// this process was taken away or exchanged while it was written.
    #[must_use]
    pub fn healthy(&self) -> bool {
        !self.0.has_failed() && self.0.lost().is_empty()
    }

    /// The proof that this process owns the state folder, where the ledger is in one.
    #[must_use]
    pub fn state(&self) -> Option<&StateLock> {
        self.0.site.as_ref().map(|site| &site.state)
    }

    /// The file name of the segment that is written.
    #[must_use]
    pub fn segment(&self) -> String {
        self.0.current().name.clone()
    }

    /// Its last record that the kernel has: what its files have to show, too.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        let PreviousSegment {
            segment, seq, hash, ..
        } = self.0.current().end()?;
        Some(Head { segment, seq, hash })
    }

    /// Ends the segment with its counts and brings it onto the disk. Calls that are still open after
    /// it stay without an end.
    ///
    /// # Errors
    /// The record could not be kept, or the segment is sealed already.
    pub async fn seal(&self) -> Result<(), LedgerError> {
        self.0.bell.ring();
        self.0.refusals.seal();
        // However little room there is: nothing comes after it.
        self.0.write_counted();
        let segment = self.0.current();
        segment.seal()?;
        segment.flusher.flushed().await
    }
}

impl Inner {
    pub(super) fn current(&self) -> Arc<Segment> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    fn lost(&self) -> MutexGuard<'_, Vec<PreviousSegment>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.current().health.check().is_err()
    }

    /// Whether there is room on the disk for more than calls that run. The last part is theirs.
    pub(super) fn look_at_the_disk(&self) {
        let Some(room) = self.site.as_ref().and_then(|site| site.folder.room()) else {
            return;
        };
        let scarce = room.free < RESERVE.min(room.total / 4);
        if scarce && !self.refusals.is_scarce() {
            tracing::warn!(
                free = room.free,
                "the disk of the ledger is nearly full: refusals are only counted, the rest is for calls"
            );
        }
        self.refusals.disk_is_scarce(scarce);
    }

    /// A segment that is not found under its name any more cannot be read by anybody: it failed.
    pub(super) fn look_for_the_segment(&self) {
        let Some(site) = &self.site else { return };
        let segment = self.current();
        if segment.health.check().is_err() || segment.is_in(&site.folder) {
            return;
        }
        let gone = io::Error::other("somebody removed or exchanged the segment");
        segment.health.failed("keeping the ledger", &gone);
        self.lost().extend(segment.end());
    }

    /// Begins a new segment; whether there is one.
    pub(super) fn begin_anew(&self) -> bool {
        let Some(site) = &self.site else { return false };
        if site.folder.room().is_some_and(|room| room.free < LEAST) {
            return false;
        }
        let (mode, manifest) = {
            let goes_by = site.goes_by.lock().unwrap_or_else(PoisonError::into_inner);
            goes_by.clone()
        };
        let header = Header {
            host_version: &site.host_version,
            mode,
            manifest: &manifest,
        };
        let lost = self.lost().clone();
        match Segment::begin(&site.folder, &header, &lost, site.clock) {
            Ok(segment) => {
                tracing::warn!(
                    segment = segment.name,
                    "the ledger goes on in a new segment"
                );
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                let old = std::mem::replace(&mut *current, Arc::new(segment));
                drop(current);
                // It may wait for a sync, and nobody waits for that.
                drop(old);
                true
            }
            Err(error) => {
                tracing::debug!(%error, "no new segment of the ledger can be begun yet");
                false
            }
        }
    }

    /// The same, where the disk is not needed for calls.
    pub(super) fn write_counted_if_there_is_room(&self) {
        if !self.refusals.is_scarce() {
            self.write_counted();
        }
    }

    /// Writes down how many refusals were counted. What cannot be written is counted on.
    pub(super) fn write_counted(&self) {
        let _counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        let segment = self.current();
        for counted in self.refusals.counted() {
            let event = Event::Refused(counted.clone());
            if segment.health.check().is_err() || segment.append(&event).is_err() {
                self.refusals.give_back(counted);
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.bell.ring();
        self.write_counted();
    }
}

/// An admitted call that has no end yet. If it is dropped, the call is recorded as cancelled, with
/// what it tried.
#[derive(Debug)]
#[must_use = "dropping it records the call as cancelled"]
pub struct OpenCall {
    segment: Arc<Segment>,
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

    /// Where whatever the call tries on the outside is recorded.
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
                let _ = self
                    .segment
                    .appender()
                    .and_then(|mut appender| appender.write_out());
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
    pub fn close(mut self, closing: &Closing) -> Result<(), LedgerError> {
        self.closed = true;
        let closed = Closed::new(self.id.0, closing, self.attempts.end());
        self.segment.append(&Event::Closed(closed)).map(drop)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        // The host's own mistake is not the caller's wish.
        let why = match std::thread::panicking() {
            true => Code::Internal,
            false => Code::Cancelled,
        };
        let closed = Closed::dropped(self.id.0, why, self.attempts.end());
        if let Err(error) = self.segment.append(&Event::Closed(closed)) {
            tracing::error!(call = %self.id, %error, "a dropped call stays without an end in the ledger");
        }
    }
}
