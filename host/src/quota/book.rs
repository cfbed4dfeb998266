//! Who has a place and who waits for one: pure, so that every order of events can be tried.
//!
//! It knows neither time nor threads, nor how the ones who wait are told.
//!
//! Between two calls of its methods nobody waits who could run. So a call that comes and finds room
//! takes nobody's place, and a place that is given back goes at once to who is next: to the callers
//! in turns, and of one caller's calls to the oldest that can run.

use std::collections::{BTreeMap, BTreeSet};

/// The number of a call that waits. Later ones are larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// Whose call it is, and of which tool: indices that are fixed at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) caller: usize,
    pub(super) tool: usize,
}

/// What a call hears when it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It has a place.
    Go,
    /// It waits.
    Wait(Ticket),
    /// Nobody else may wait, or no more of this caller's calls.
    Busy,
}

/// The whole state.
#[derive(Debug, Clone)]
pub(super) struct Book {
    /// Places left over all.
    free: u32,
    /// Places left of each tool.
    tools: Vec<u32>,
    callers: Vec<Party>,
    /// Calls that may still begin to wait.
    queue: u32,
    /// Whose turn it is when a place is given back.
    turn: usize,
    next: u64,
}

/// One caller.
#[derive(Debug, Clone)]
struct Party {
    /// Places it may still take.
    free: u32,
    /// Calls that may still begin to wait.
    queue: u32,
    /// What waits, by tool, in order.
    waits: BTreeMap<usize, BTreeSet<Ticket>>,
}

/// What one caller may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Calls that run at once.
    pub(super) places: u32,
    /// Calls that wait.
    pub(super) queue: u32,
}

impl Book {
    /// An empty book: so many places over all, so many calls that may wait, and the same for each
    /// tool and each caller.
    pub(super) fn new(places: u32, queue: u32, tools: Vec<u32>, callers: &[Share]) -> Self {
        let party = |share: &Share| Party {
            free: share.places,
            queue: share.queue,
            waits: BTreeMap::new(),
        };
        Self {
            free: places,
            tools,
            callers: callers.iter().map(party).collect(),
            queue,
            turn: 0,
            next: 0,
        }
    }

    /// A call comes.
    pub(super) fn ask(&mut self, seat: Seat) -> Heard {
        let of_tool = self.tools.get(seat.tool).copied().unwrap_or(0);
        let Some(party) = self.callers.get_mut(seat.caller) else {
            return Heard::Busy;
        };
        if self.free > 0 && of_tool > 0 && party.free > 0 {
            self.take(seat);
            return Heard::Go;
        }
        if self.queue == 0 || party.queue == 0 {
            return Heard::Busy;
        }
        self.queue -= 1;
        party.queue -= 1;
        let ticket = Ticket(self.next);
        self.next += 1;
        party.waits.entry(seat.tool).or_default().insert(ticket);
        Heard::Wait(ticket)
    }

    /// A call that ran is over. Gives the calls that run now: two at the most, one for the tool's
    /// place and one for the caller's.
    pub(super) fn leave(&mut self, seat: Seat) -> Vec<Ticket> {
        self.free += 1;
        if let Some(free) = self.tools.get_mut(seat.tool) {
            *free += 1;
        }
        if let Some(party) = self.callers.get_mut(seat.caller) {
            party.free += 1;
        }
        let mut served = Vec::new();
        while let Some((ticket, seat)) = self.next_to_run() {
            self.forget(ticket, seat);
            self.take(seat);
            self.turn = seat.caller + 1;
            served.push(ticket);
        }
        served
    }

    /// A call that waits gives up. Nobody runs for it: it held no place.
    pub(super) fn forget(&mut self, ticket: Ticket, seat: Seat) {
        let Some(party) = self.callers.get_mut(seat.caller) else {
            return;
        };
        let Some(line) = party.waits.get_mut(&seat.tool) else {
            return;
        };
        if line.remove(&ticket) {
            self.queue += 1;
            party.queue += 1;
        }
        if line.is_empty() {
            party.waits.remove(&seat.tool);
        }
    }

    fn take(&mut self, seat: Seat) {
        self.free = self.free.saturating_sub(1);
        if let Some(free) = self.tools.get_mut(seat.tool) {
            *free = free.saturating_sub(1);
        }
        if let Some(party) = self.callers.get_mut(seat.caller) {
            party.free = party.free.saturating_sub(1);
        }
    }

    /// Of the callers in turns the first that has a call which could run, and its oldest such call.
    fn next_to_run(&self) -> Option<(Ticket, Seat)> {
        if self.free == 0 {
            return None;
        }
        let (before, after) = self.callers.split_at_checked(self.turn)?;
        let from =
            |first: usize| move |(at, party): (usize, &Party)| self.oldest(first + at, party);
        let later = after.iter().enumerate().find_map(from(self.turn));
        later.or_else(|| before.iter().enumerate().find_map(from(0)))
    }

    fn oldest(&self, caller: usize, party: &Party) -> Option<(Ticket, Seat)> {
        if party.free == 0 {
            return None;
        }
        let can_run = |tool: usize| self.tools.get(tool).is_some_and(|free| *free > 0);
        let heads = party
            .waits
            .iter()
            .filter(|(tool, _)| can_run(**tool))
            .filter_map(|(tool, line)| Some((*line.first()?, *tool)));
        let (ticket, tool) = heads.min()?;
        Some((ticket, Seat { caller, tool }))
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
pub(super) mod tests;
