//! Who has a place and who waits for one: pure, so that every order of events can be tried.
//!
//! It knows neither time nor threads, nor how the ones who wait are told.
//!
//! Between two calls of its methods nobody waits who could run. So a call that comes and finds room
//! takes nobody's place, and a place that is given back goes at once to who is next: to the callers
//! in turns, and of one caller's calls to the oldest that can run.
//!
//! How much room there is may change while calls run: what is taken stays taken.

use std::collections::{BTreeMap, BTreeSet};

/// The number of a call that waits. Later ones are larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// Whose call it is, and of which tool: numbers that stay theirs as long as anything of them runs or
/// waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) caller: usize,
    pub(super) tool: usize,
}

/// What a call hears when it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It has a place.
    Go,
    /// It waits.
    Wait(Ticket),
    /// Nobody else may wait, or no more of this caller's calls.
    Busy,
}

/// The whole state.
#[derive(Debug, Clone, Default)]
pub(super) struct Scheduler {
    /// Places over all.
    places: Room,
    tools: Vec<ToolPlaces>,
    callers: Vec<CallerQueue>,
    /// Calls that wait.
    queue: Room,
    /// Whose turn it is when a place is given back.
    turn: usize,
    next: u64,
}

/// How many there may be, and how many there are: more, where a change left less room than was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) most: u32,
    pub(super) taken: u32,
}

/// One tool.
#[derive(Debug, Clone, Copy, Default)]
struct ToolPlaces {
    /// Its places.
    places: Room,
    /// How many of them one caller may have.
    each: u32,
}

/// One caller.
#[derive(Debug, Clone, Default)]
struct CallerQueue {
    /// Its places.
    places: Room,
    /// Its calls that run, by tool.
    runs: Vec<u32>,
    /// Its calls that wait.
    queue: Room,
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

/// How many of a tool's places one caller may have, of so many callers: all but one for each other, and
/// half of them in any case.
pub(super) fn each(places: u32, callers: u32) -> u32 {
    let spared = callers.saturating_sub(1);
    places.saturating_sub(spared).max(places.div_ceil(2))
}

/// How much room there is: over all, for each tool and each caller by their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Bounds {
    pub(super) places: u32,
    pub(super) queue: u32,
    pub(super) tools: Vec<(usize, u32)>,
    pub(super) callers: Vec<(usize, Share)>,
}

impl Room {
    const fn is_free(self) -> bool {
        self.taken < self.most
    }

    const fn take(&mut self) {
        self.taken = self.taken.saturating_add(1);
    }

    const fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }
}

impl CallerQueue {
    /// Whether it may have one more place of this tool.
    fn can_run(&self, at: usize, tool: ToolPlaces) -> bool {
        let own = self.runs.get(at).copied().unwrap_or_default();
        self.places.is_free() && tool.places.is_free() && own < tool.each
    }

    fn run(&mut self, tool: usize) {
        self.places.take();
        if self.runs.len() <= tool {
            self.runs.resize(tool + 1, 0);
        }
        if let Some(runs) = self.runs.get_mut(tool) {
            *runs += 1;
        }
    }

    fn leave(&mut self, tool: usize) {
        self.places.give_back();
        if let Some(runs) = self.runs.get_mut(tool) {
            *runs = runs.saturating_sub(1);
        }
        while self.runs.last() == Some(&0) {
            self.runs.pop();
        }
    }
}

impl Scheduler {
    /// Sets how much room there is, and forgets nobody: whoever has a place keeps it, whoever waits
    /// goes on waiting. What the bounds do not name keeps those it had. Gives the calls that run now.
    pub(super) fn change(&mut self, bounds: &Bounds) -> Vec<Ticket> {
        self.places.most = bounds.places;
        self.queue.most = bounds.queue;
        grow(&mut self.tools, &bounds.tools);
        grow(&mut self.callers, &bounds.callers);
        let callers = u32::try_from(bounds.callers.len()).unwrap_or(u32::MAX);
        for (tool, most) in &bounds.tools {
            if let Some(tool) = self.tools.get_mut(*tool) {
                tool.places.most = *most;
                tool.each = each(*most, callers);
            }
        }
        for (caller, share) in &bounds.callers {
            if let Some(of_caller) = self.callers.get_mut(*caller) {
                of_caller.places.most = share.places;
                of_caller.queue.most = share.queue;
            }
        }
        self.serve()
    }

    /// Whether nothing of this tool runs or waits.
    pub(super) fn is_idle_tool(&self, tool: usize) -> bool {
        let runs = self
            .tools
            .get(tool)
            .is_some_and(|tool| tool.places.taken > 0);
        let waits = |of_caller: &CallerQueue| of_caller.waits.contains_key(&tool);
        !runs && !self.callers.iter().any(waits)
    }

    /// Whether nothing of this caller runs or waits.
    pub(super) fn is_idle_caller(&self, caller: usize) -> bool {
        let idle =
            |of_caller: &CallerQueue| of_caller.places.taken == 0 && of_caller.waits.is_empty();
        self.callers.get(caller).is_none_or(idle)
    }

    /// A call comes.
    pub(super) fn ask(&mut self, seat: Seat) -> Admission {
        let Some(of_caller) = self.callers.get_mut(seat.caller) else {
            return Admission::Busy;
        };
        let tool = self.tools.get(seat.tool);
        let can_run = tool.is_some_and(|tool| of_caller.can_run(seat.tool, *tool));
        if self.places.is_free() && can_run {
            self.take(seat);
            return Admission::Go;
        }
        if !self.queue.is_free() || !of_caller.queue.is_free() {
            return Admission::Busy;
        }
        self.queue.take();
        of_caller.queue.take();
        let ticket = Ticket(self.next);
        self.next += 1;
        of_caller.waits.entry(seat.tool).or_default().insert(ticket);
        Admission::Wait(ticket)
    }

    /// A call that ran is over. Gives the calls that run now.
    pub(super) fn leave(&mut self, seat: Seat) -> Vec<Ticket> {
        self.places.give_back();
        if let Some(tool) = self.tools.get_mut(seat.tool) {
            tool.places.give_back();
        }
        if let Some(of_caller) = self.callers.get_mut(seat.caller) {
            of_caller.leave(seat.tool);
        }
        self.serve()
    }

    /// Gives places to those who wait, as long as somebody can have one.
    fn serve(&mut self) -> Vec<Ticket> {
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
        let Some(of_caller) = self.callers.get_mut(seat.caller) else {
            return;
        };
        let Some(line) = of_caller.waits.get_mut(&seat.tool) else {
            return;
        };
        if line.remove(&ticket) {
            self.queue.give_back();
            of_caller.queue.give_back();
        }
        if line.is_empty() {
            of_caller.waits.remove(&seat.tool);
        }
    }

    fn take(&mut self, seat: Seat) {
        self.places.take();
        if let Some(tool) = self.tools.get_mut(seat.tool) {
            tool.places.take();
        }
        if let Some(of_caller) = self.callers.get_mut(seat.caller) {
            of_caller.run(seat.tool);
        }
    }

    /// Of the callers in turns the first that has a call which could run, and its oldest such call.
    fn next_to_run(&self) -> Option<(Ticket, Seat)> {
        if !self.places.is_free() {
            return None;
        }
        let (before, after) = self.callers.split_at_checked(self.turn)?;
        let from = |first: usize| {
            move |(at, of_caller): (usize, &CallerQueue)| self.oldest(first + at, of_caller)
        };
        let later = after.iter().enumerate().find_map(from(self.turn));
        later.or_else(|| before.iter().enumerate().find_map(from(0)))
    }

    fn oldest(&self, caller: usize, of_caller: &CallerQueue) -> Option<(Ticket, Seat)> {
        let can_run = |at: usize| {
            let tool = self.tools.get(at);
            tool.is_some_and(|tool| of_caller.can_run(at, *tool))
        };
        let heads = of_caller
            .waits
            .iter()
            .filter(|(tool, _)| can_run(**tool))
            .filter_map(|(tool, line)| Some((*line.first()?, *tool)));
        let (ticket, tool) = heads.min()?;
        Some((ticket, Seat { caller, tool }))
    }
}

/// Makes a list as long as the numbers need.
fn grow<T: Default, B>(all: &mut Vec<T>, numbered: &[(usize, B)]) {
    let needed = numbered.iter().map(|(number, _)| number + 1).max();
    if needed.is_some_and(|needed| all.len() < needed) {
        all.resize_with(needed.unwrap_or_default(), T::default);
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
pub(super) mod tests;
