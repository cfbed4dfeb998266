//! The reading half of a connection of lines: what is read, how much of it may be held, and where
//! lines end.
//!
//! It does not know what a line says, but the id of one that is too long to be kept.

use std::io;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::intake::LARGE;
use super::output::KEPT;
use super::spin_wait::{Awake, MessageSource};
use crate::budget::{Allowance, Held};
use crate::skim::Skim;

/// How long a line may take from the moment when it is no small one any more.
pub(super) const LINE_TIME: Duration = Duration::from_secs(30);

/// Room for one read, in bytes: an ordinary message comes in one.
const READ: usize = 4 << 10;

/// Bytes on their way to be lines.
pub(super) struct Input<R> {
    reader: R,
    bytes: BytesMut,
    /// Bytes that hold no end of line.
    scanned: usize,
    /// What is held for the bytes where they are more than a small line has: as much as the longest may
    /// have, all at once. Lines that held a part and waited for the rest could wait for each other.
    coming: Option<Held>,
    /// When the line that is coming has to be there.
    due: Option<Instant>,
    /// A line that is too long: what is seen of it, and how much has gone by.
    large: Option<(Skim, usize)>,
    awake: Awake,
    allowance: Allowance,
}

/// What is at the front of the input.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// A line of this length, without its end.
    Line(usize),
    /// The end of a line that was longer than lines may be, and its id.
    Large(Option<Value>),
    /// A line so long that it is not waited for to end.
    Endless,
}

impl<R: MessageSource> Input<R> {
    /// Nothing is read yet, for whom this is allowed.
    pub(super) fn new(reader: R, allowance: Allowance) -> Self {
        Self {
            reader,
            bytes: BytesMut::new(),
            scanned: 0,
            coming: None,
            due: None,
            large: None,
            awake: Awake::default(),
            allowance,
        }
    }

    /// Looks whether there is a whole line.
    pub(super) fn look(&mut self) -> Option<Found> {
        if self.large.is_some() {
            return self.pass_large();
        }
        let fresh = self.bytes.get(self.scanned..).unwrap_or_default();
        let end = memchr::memchr(b'\n', fresh).map(|end| self.scanned + end);
        let length = end.unwrap_or(self.bytes.len());
        if length > self.allowance.message() {
            self.large = Some((Skim::default(), 0));
            return self.pass_large();
        }
        if end.is_some() {
            (self.scanned, self.due) = (0, None);
            return Some(Found::Line(length));
        }
        self.scanned = length;
        if self.scanned > LARGE {
            self.due.get_or_insert_with(|| Instant::now() + LINE_TIME);
        }
        None
    }

    /// Lets what is there of a line go by that is too long.
    fn pass_large(&mut self) -> Option<Found> {
        let (mut skim, passed) = self.large.take()?;
        let end = memchr::memchr(b'\n', &self.bytes);
        let length = end.unwrap_or(self.bytes.len());
        skim.feed(self.bytes.get(..length).unwrap_or_default());
        self.scanned = 0;
        if end.is_some() {
            self.due = None;
            self.pass(length);
            return Some(Found::Large(skim.id()));
        }
        self.pass(length);
        let passed = passed.saturating_add(length);
        if passed >= self.allowance.forgotten() {
            return Some(Found::Endless);
        }
        self.due.get_or_insert_with(|| Instant::now() + LINE_TIME);
        self.large = Some((skim, passed));
        None
    }

    /// When the line that is coming has to be there.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// As if the time for the line that is coming were over.
    #[cfg(test)]
    pub(super) fn is_due_now(&mut self) {
        self.due = self.due.map(|_| Instant::now());
    }

    /// Makes room for the next read; false where that has to be held first.
    pub(super) fn has_room(&mut self) -> bool {
        let is_small = self.bytes.len() + READ <= KEPT;
        let whole = self.allowance.message() + READ;
        self.bytes.reserve(match is_small {
            true => READ,
            // Not touched before it is held.
            false => whole.saturating_sub(self.bytes.len()).max(READ),
        });
        self.coming.is_some() || self.bytes.capacity() <= KEPT
    }

    /// Holds what the next read may fill. False where it cannot be had.
    pub(super) async fn hold(&mut self) -> bool {
        let whole = u64::try_from(self.allowance.message()).unwrap_or(u64::MAX);
        self.coming = self.allowance.request_in_turn(whole).await.ok();
        self.coming.is_some()
    }

    /// Waits for a moment without going to sleep, where that has paid lately.
    pub(super) fn wait_awake(&mut self) {
        self.awake.wait(&mut self.reader);
    }

    /// Reads more. May be given up.
    pub(super) async fn more(&mut self) -> io::Result<usize> {
        let asked = Instant::now();
        let count = self.reader.read_buf(&mut self.bytes).await;
        self.awake.note(asked.elapsed());
        count
    }

    /// The line at the front, and whether no other whole one is there.
    pub(super) fn line(&self, length: usize) -> (&[u8], bool) {
        let (line, rest) = self.bytes.split_at_checked(length).unwrap_or_default();
        let alone = memchr::memchr(b'\n', rest.get(1..).unwrap_or_default()).is_none();
        (line, alone)
    }

    /// Takes the line at the front, and what was held for it.
    pub(super) fn take_large(&mut self, length: usize) -> (BytesMut, Option<Held>) {
        let line = self.bytes.split_to(length);
        (line, self.pass(0))
    }

    /// Lets so many bytes and the end of the line go. Gives what was held for them.
    pub(super) fn pass(&mut self, length: usize) -> Option<Held> {
        self.bytes.advance((length + 1).min(self.bytes.len()));
        if self.bytes.capacity() <= KEPT {
            return None;
        }
        // What has come of the next line stays, and not the room of the one before.
        if self.bytes.len() <= KEPT {
            self.bytes = BytesMut::from(&*self.bytes);
            return self.coming.take();
        }
        None
    }

    /// Reads a line that does not end to its end, so that a client still sending it gets to read why
    /// it was refused: closing with unread bytes would reset the connection.
    pub(super) async fn skip_line(&mut self) {
        while !self.bytes.contains(&b'\n') {
            self.bytes.clear();
            if !matches!(self.reader.read_buf(&mut self.bytes).await, Ok(1..)) {
                return;
            }
        }
    }
}
