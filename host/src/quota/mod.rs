//! Is there room. Places for calls, over all, per tool and per caller, and a queue that ends: beyond
//! it a call hears "busy" at once instead of waiting for ever.
//!
//! Who is next is decided in `book`, which is pure; here calls wait, are woken, and give up.

mod book;
mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::manifest::Manifest;
use crate::terms::{Code, Fault};
use book::{Book, Heard, Seat, Share, Ticket};
use wait::Turn;

/// When a call that was turned away may come again, in seconds: by then most calls that ran are over.
const AGAIN: u32 = 1;

/// The caller where the manifest names none.
const LOCAL: &str = "local";

/// The places of one host.
pub struct Quota {
    desk: Arc<Desk>,
    tools: BTreeMap<Arc<str>, usize>,
    callers: BTreeMap<Arc<str>, usize>,
}

/// Where places are given and taken back. The lock is held for some bookkeeping, never while
/// anybody waits or is woken.
struct Desk(Mutex<Opened>);

struct Opened {
    book: Book,
    /// Who waits, and how to wake him once he was asked.
    waits: BTreeMap<Ticket, Option<Waker>>,
    /// Who was given a place and has not come for it yet.
    called: BTreeSet<Ticket>,
    closed: bool,
}

/// A held place, given back when it is dropped.
pub struct Reservation {
    desk: Arc<Desk>,
    seat: Seat,
}

impl Quota {
    /// The places that a manifest grants.
    ///
    /// A caller whose section has no `concurrency` may take all places but one for each other
    /// caller: nobody finds every place taken by one of the others. Each caller may fill an equal
    /// part of the queue.
    #[must_use]
    pub fn new(manifest: &Manifest) -> Self {
        let host = &manifest.host;
        let mut declared: Vec<(Arc<str>, Option<u32>)> = manifest
            .callers
            .iter()
            .map(|caller| (caller.name.clone(), caller.concurrency))
            .collect();
        if declared.is_empty() {
            declared.push((LOCAL.into(), None));
        }
        let count = u32::try_from(declared.len()).unwrap_or(u32::MAX);
        let spared = host.concurrency.saturating_sub(count.saturating_sub(1));
        let part = (host.queue / count).max(1);
        let shares = declared.iter().map(|(_, places)| Share {
            places: places.unwrap_or(spared.max(1)),
            queue: part,
        });
        let shares: Vec<Share> = shares.collect();
        let tools = manifest.tools.iter();
        let places = tools.clone().map(|tool| tool.all.limits.concurrency);
        let book = Book::new(host.concurrency, host.queue, places.collect(), &shares);
        Self {
            desk: Arc::new(Desk::open(book)),
            tools: numbered(tools.map(|tool| tool.name.clone())),
            callers: numbered(declared.into_iter().map(|(name, _)| name)),
        }
    }

    /// Takes a place for a call of this caller and tool, waiting for one if there is room to wait.
    /// Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// `busy` when too many wait already, `shutting-down` when the host stops.
    pub async fn reserve(&self, caller: &str, tool: &str) -> Result<Reservation, Fault> {
        let nobody = |what: &str| Fault::internal(format!("no places for {what}"));
        let seat = Seat {
            caller: *self.callers.get(caller).ok_or_else(|| nobody(caller))?,
            tool: *self.tools.get(tool).ok_or_else(|| nobody(tool))?,
        };
        match self.desk.ask(seat)? {
            Heard::Go => Ok(self.desk.reservation(seat)),
            Heard::Wait(ticket) => Turn::new(self.desk.clone(), ticket, seat).await,
            Heard::Busy => Err(Fault::new(
                Code::Busy,
                format!("Too many calls are waiting (tool `{tool}`). Try again in a moment."),
            )
            .retry_after(AGAIN)),
        }
    }

    /// Lets nobody in any more; who waits is told.
    pub fn close(&self) {
        let waits = {
            let mut opened = self.desk.lock();
            opened.closed = true;
            std::mem::take(&mut opened.waits)
        };
        waits.into_values().flatten().for_each(Waker::wake);
    }
}

fn numbered(names: impl Iterator<Item = Arc<str>>) -> BTreeMap<Arc<str>, usize> {
    names.enumerate().map(|(at, name)| (name, at)).collect()
}

impl Desk {
    fn open(book: Book) -> Self {
        Self(Mutex::new(Opened {
            book,
            waits: BTreeMap::new(),
            called: BTreeSet::new(),
            closed: false,
        }))
    }

    /// Nothing panics while it is held; if something did, the book is whole between its methods.
    fn lock(&self) -> MutexGuard<'_, Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, seat: Seat) -> Result<Heard, Fault> {
        let mut opened = self.lock();
        if opened.closed {
            return Err(stopping());
        }
        let heard = opened.book.ask(seat);
        if let Heard::Wait(ticket) = heard {
            opened.waits.insert(ticket, None);
        }
        Ok(heard)
    }

    /// A place that the book has already given.
    fn reservation(self: &Arc<Self>, seat: Seat) -> Reservation {
        Reservation {
            desk: self.clone(),
            seat,
        }
    }

    /// Takes a place back and wakes whoever has it now.
    fn leave(&self, seat: Seat) {
        let mut wakers = Vec::new();
        {
            let mut opened = self.lock();
            for ticket in opened.book.leave(seat) {
                // Nobody is there any more once the desk is closed.
                if let Some(waker) = opened.waits.remove(&ticket) {
                    opened.called.insert(ticket);
                    wakers.extend(waker);
                }
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.desk.leave(self.seat);
    }
}

fn stopping() -> Fault {
    Fault::new(
        Code::ShuttingDown,
        "The host is stopping. Try again when it is back.",
    )
}

#[cfg(test)]
mod tests;
