//! One segment while it is written: the appender, the disk behind it, and whether both can be trusted.
//!
//! The first failure of a segment is final: nothing follows a gap. It does not know what comes after
//! it, nor what the records mean.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard};

use super::appender::{Appender, DraftRecord, Health, SegmentFile};
use super::chain::Hash;
use super::error::LedgerError;
use super::event::{Event, Header, Names, Open, PreviousSegment, Seal};
use super::flush::Flusher;
use super::folder::{Folder, Identity};
use super::links;
use crate::terms::{Clock, stamp};

/// One segment of this process.
pub(super) struct Segment {
    pub(super) name: String,
    /// The file itself, where there is one.
    identity: Option<Identity>,
    appender: Mutex<Appender>,
    pub(super) health: Health,
    pub(super) flusher: Flusher,
    pub(super) clock: Clock,
}

impl Segment {
    /// Begins a segment, and names in it the ends of all segments that no other one names, and of
    /// those that this process lost. Its beginning is in the kernel when this is done.
    pub(super) fn begin(
        folder: &Folder,
        header: &Header<'_>,
        lost: &[PreviousSegment],
        clock: Clock,
    ) -> Result<Self, LedgerError> {
        let mut past = links::past(folder)?;
        past.unnamed.extend_from_slice(lost);
        let (name, file) = folder.create(clock.wall())?;
        let begun = Self::write_begin(folder, header, &past, (&name, file), clock);
        if begun.is_err() {
            // Nobody has seen it: a disk that is full is not filled with beginnings.
            folder.remove(&name);
        }
        begun
    }

    fn write_begin(
        folder: &Folder,
        header: &Header<'_>,
        past: &links::Past,
        (name, file): (&str, File),
        clock: Clock,
    ) -> Result<Self, LedgerError> {
        let path = folder.path().join(name);
        let identity = Identity::of(&file).map_err(LedgerError::file("look at", &path))?;
        let sync = syncing(folder, &file).map_err(LedgerError::file("open", &path))?;
        let segment = Self::on(Box::new(file), sync, name.to_owned(), clock)
            .map_err(LedgerError::file("start the thread that syncs", &path))?;
        let (first, more) = past
            .unnamed
            .split_at(past.unnamed.len().min(links::IN_A_LINE));
        let open = Open::new(header, name, past.next, first);
        segment.append(&Event::Open(open))?;
        for earlier in more.chunks(links::IN_A_LINE) {
            let earlier = earlier.into();
            segment.append(&Event::Names(Names { earlier }))?;
        }
        Ok(Self {
            identity: Some(identity),
            ..segment
        })
    }

    /// A segment in any file.
    pub(super) fn on(
        segment_file: Box<dyn SegmentFile>,
        sync: impl FnMut() -> io::Result<()> + Send + 'static,
        name: String,
        clock: Clock,
    ) -> io::Result<Self> {
        let health = Health::default();
        Ok(Self {
            name,
            identity: None,
            appender: Mutex::new(Appender::new(segment_file, clock, health.clone())),
            flusher: Flusher::start(sync, health.clone())?,
            health,
            clock,
        })
    }

    pub(super) fn append(&self, event: &Event<'_>) -> Result<u64, LedgerError> {
        let draft =
            DraftRecord::new(event).map_err(|e| self.health.failed("making a record", &e))?;
        self.appender()?.append(&draft)
    }

    pub(super) fn hold(&self, event: &Event<'_>) -> Result<u64, LedgerError> {
        let draft =
            DraftRecord::new(event).map_err(|e| self.health.failed("making a record", &e))?;
        self.appender()?.hold(&draft)
    }

    pub(super) fn seal(&self) -> Result<(), LedgerError> {
        let mut appender = self.appender()?;
        let records = appender.tally();
        let seal = Event::Seal(Seal { records });
        let draft =
            DraftRecord::new(&seal).map_err(|e| self.health.failed("making a record", &e))?;
        appender.append(&draft).map(drop)
    }

    /// A thread that panicked while it appended may have left half a line.
    pub(super) fn appender(&self) -> Result<MutexGuard<'_, Appender>, LedgerError> {
        self.appender.lock().map_err(|_| {
            let panicked = io::Error::other("a thread panicked while writing");
            self.health.failed("writing a record", &panicked)
        })
    }

    /// Now, as records say it.
    pub(super) fn now(&self) -> String {
        stamp(self.clock.wall())
    }

    /// Whether the file that is written is the one that is found under its name.
    pub(super) fn is_in(&self, folder: &Folder) -> bool {
        let Some(identity) = self.identity else {
            return true;
        };
        folder.identity(&self.name) == Some(identity)
    }

    /// Where it ends, for whoever has to name it.
    pub(super) fn end(&self) -> Option<PreviousSegment> {
        let (seq, hash): (u64, Hash) = self.appender.lock().ok()?.written()?;
        Some(PreviousSegment {
            segment: self.name.clone(),
            seq,
            hash: hash.as_str().to_owned(),
            running: false,
        })
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

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("name", &self.name)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}
