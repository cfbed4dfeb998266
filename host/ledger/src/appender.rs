//! Appending one line after the other to a segment, which ends for good at the first failure. It does not know what an event means.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use super::LedgerError;
use super::chain::{self, FINISH, Hash, LINE_MAX};
use super::event::{Event, Tally};
use crate::terms::{Clock, stamp};

/// The file of a segment, or what a test has in its place. A write goes to its end.
pub(super) trait SegmentFile: Write + Send {
    /// Takes away what lies behind a length in bytes.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl SegmentFile for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Whether a segment can be trusted to keep what it is given. The first failure stays.
#[derive(Debug, Clone, Default)]
pub(super) struct Health(Arc<OnceLock<Arc<str>>>);

impl Health {
    pub(super) fn failed(&self, doing: &str, error: &io::Error) -> LedgerError {
        let reason = self.0.get_or_init(|| format!("{doing}: {error}").into());
        tracing::error!(%reason, "the ledger failed: no call is admitted until a new segment can be begun");
        LedgerError::Failed(Arc::clone(reason))
    }

    pub(super) fn check(&self) -> Result<(), LedgerError> {
        match self.0.get() {
            None => Ok(()),
            Some(reason) => Err(LedgerError::Failed(Arc::clone(reason))),
        }
    }
}

/// An event ready to be appended: serialised before the appender is locked, to hold that only shortly.
pub(super) struct DraftRecord<'a> {
    members: Vec<u8>,
    event: &'a Event<'a>,
}

impl<'a> DraftRecord<'a> {
    pub(super) fn new(event: &'a Event<'a>) -> io::Result<Self> {
        let mut members = Vec::with_capacity(768);
        serde_json::to_writer(&mut members, event)?;
        // The braces are the line's: what the chain adds stands within them too.
        members.pop();
        Ok(Self { members, event })
    }
}

/// The one place of a process where its segment grows.
pub(super) struct Appender {
    segment_file: Box<dyn SegmentFile>,
    clock: Clock,
    health: Health,
    /// Records that are chained and not in the kernel yet: the newest, and those held back before it.
    lines: Vec<u8>,
    next: u64,
    last: Hash,
    length: u64,
    /// The last record that the kernel has.
    written: Option<(u64, Hash)>,
    tally: Tally,
    sealed: bool,
}

impl Appender {
    pub(super) fn new(segment_file: Box<dyn SegmentFile>, clock: Clock, health: Health) -> Self {
        Self {
            segment_file,
            clock,
            health,
            lines: Vec::with_capacity(4096),
            next: 0,
            last: Hash::NONE,
            length: 0,
            written: None,
            tally: Tally::default(),
            sealed: false,
        }
    }

    /// Appends a record; when this is done, the kernel has all of it, and of those that were held
    /// back. Gives the record's number.
    pub(super) fn append(&mut self, draft: &DraftRecord<'_>) -> Result<u64, LedgerError> {
        let seq = self.hold(draft)?;
        self.write_out()?;
        Ok(seq)
    }

    /// Chains a record and holds it back until [`Self::write_out`] or the next record. Gives its
    /// number.
    pub(super) fn hold(&mut self, draft: &DraftRecord<'_>) -> Result<u64, LedgerError> {
        self.health.check()?;
        if self.sealed {
            return Err(LedgerError::Sealed);
        }
        let hash = self
            .compose(draft)
            .map_err(|error| self.health.failed("making a record", &error))?;
        let seq = self.next;
        self.next += 1;
        self.last = hash;
        self.tally.count(draft.event);
        self.sealed = matches!(draft.event, Event::Seal(_));
        Ok(seq)
    }

    /// Brings into the kernel what is held back.
    pub(super) fn write_out(&mut self) -> Result<(), LedgerError> {
        self.health.check()?;
        if let Err(error) = self.segment_file.write_all(&self.lines) {
            return Err(self.give_up(&error));
        }
        self.length += u64::try_from(self.lines.len()).unwrap_or(u64::MAX);
        self.lines.clear();
        self.written = self.next.checked_sub(1).map(|seq| (seq, self.last));
        Ok(())
    }

    fn compose(&mut self, draft: &DraftRecord<'_>) -> io::Result<Hash> {
        let begin = self.lines.len();
        write!(
            self.lines,
            r#"{{"seq":{},"time":"{}","#,
            self.next,
            stamp(self.clock.wall())
        )?;
        self.lines
            .extend_from_slice(draft.members.get(1..).unwrap_or_default());
        // What is in a record is bounded piece by piece, so a longer one is a defect.
        if self.lines.len() - begin + FINISH > LINE_MAX {
            self.lines.truncate(begin);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(chain::finish(&mut self.lines, begin, self.last))
    }

    /// Half a line may be in the file: it is taken away, so that the segment ends in its last record.
    /// Where that fails too it stays the end, since nothing is appended any more.
    fn give_up(&mut self, error: &io::Error) -> LedgerError {
        if let Err(error) = self.segment_file.cut(self.length) {
            tracing::warn!(%error, "the ledger's last line stays incomplete");
        }
        self.health.failed("writing a record", error)
    }

    /// Number and hash of the last record that the kernel has.
    pub(super) const fn written(&self) -> Option<(u64, Hash)> {
        self.written
    }

    /// How many records of each kind there are.
    pub(super) const fn tally(&self) -> Tally {
        self.tally
    }
}
