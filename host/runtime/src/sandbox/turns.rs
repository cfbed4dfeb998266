//! Whose turn it is on the second lane. As many calls go on at once as there are places; of those
//! that wait, the one whose caller has used the least processor time is next, and of one caller's
//! calls each in its turn. A caller with many calls gets no more than one with a
//! single call that always has something to do.
//!
//! This is start-time fair queueing (Goyal, Vin and Cheng 1996): what a caller has used is compared
//! with a virtual clock, so that nobody saves up turns while it has nothing to do, and whoever used
//! much at once pays for it also when its call is over.
//!
//! It knows no time, no threads and no calls: what was used is told, and who is to be woken is the
//! answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The turns of one lane. `W` is what wakes a call.
#[derive(Debug)]
pub(super) struct Turns<W> {
    places: usize,
    taken: usize,
    /// What the caller that was served last had used before it, and never less than before.
    clock: u64,
    /// Callers that have calls here, or have used more than the clock says.
    callers: BTreeMap<Arc<str>, Use<W>>,
    /// Places that were given to calls that do not know it yet.
    given: BTreeSet<Ticket>,
    next: u64,
}

/// A call that waits for its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

#[derive(Debug)]
struct Use<W> {
    /// Processor time, in nanoseconds, beginning where the clock was.
    used: u64,
    calls: usize,
    /// Places its calls hold.
    holds: usize,
    waits: VecDeque<(Ticket, W)>,
}

impl<W> Default for Use<W> {
    fn default() -> Self {
        Self {
            used: 0,
            calls: 0,
            holds: 0,
            waits: VecDeque::new(),
        }
    }
}

impl<W> Turns<W> {
    /// So many calls go on at once.
    pub(super) const fn new(places: usize) -> Self {
        Self {
            places,
            taken: 0,
            clock: 0,
            callers: BTreeMap::new(),
            given: BTreeSet::new(),
            next: 0,
        }
    }

    /// A call of this caller's has come.
    pub(super) fn join(&mut self, caller: &Arc<str>) {
        self.callers.entry(Arc::clone(caller)).or_default().calls += 1;
    }

    /// A call of this caller's has gone. It holds nothing and does not wait.
    pub(super) fn leave(&mut self, caller: &str) {
        if let Some(all) = self.callers.get_mut(caller) {
            all.calls = all.calls.saturating_sub(1);
        }
        let clock = self.clock;
        self.callers
            .retain(|_, all| all.calls > 0 || all.used > clock);
        if self.callers.values().all(|all| all.calls == 0) {
            // Nobody is here that could be served before them.
            self.callers.clear();
        }
    }

    /// Takes a place, where one is free.
    pub(super) fn take(&mut self, caller: &str) -> bool {
        // Where somebody waits no place is free.
        if self.taken >= self.places {
            return false;
        }
        self.activate(caller);
        self.serve(caller);
        self.taken += 1;
        true
    }

    /// Waits for a place.
    pub(super) fn wait(&mut self, caller: &str, wake: W) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.activate(caller);
        if let Some(all) = self.callers.get_mut(caller) {
            all.waits.push_back((ticket, wake));
        }
        ticket
    }

    /// Whether the place that was waited for is there, and now taken up.
    pub(super) fn take_up(&mut self, ticket: Ticket) -> bool {
        self.given.remove(&ticket)
    }

    /// Another one is to be woken for this ticket.
    pub(super) fn rewake(&mut self, caller: &str, ticket: Ticket, wake: W) {
        let waits = self.callers.get_mut(caller).map(|all| &mut all.waits);
        let mut waits = waits.into_iter().flatten();
        if let Some(wait) = waits.find(|(waiting, _)| *waiting == ticket) {
            wait.1 = wake;
        }
    }

    /// A call that waits goes away.
    pub(super) fn give_up(&mut self, caller: &str, ticket: Ticket) -> Option<W> {
        if self.given.remove(&ticket) {
            return self.give_back(caller);
        }
        if let Some(all) = self.callers.get_mut(caller) {
            all.waits.retain(|(waiting, _)| *waiting != ticket);
        }
        None
    }

    /// So many nanoseconds of processor time were used for this caller.
    pub(super) fn charge(&mut self, caller: &str, spent: u64) {
        // Work beside the turns begins where the clock is, like everything else.
        self.activate(caller);
        if let Some(all) = self.callers.get_mut(caller) {
            all.used = all.used.saturating_add(spent);
        }
    }

    /// Whether a call of this caller's may go on in its place, because nobody who waits should go
    /// before it: no other caller that has used less, and none of its own. It is served anew then.
    pub(super) fn stays(&mut self, caller: &str) -> bool {
        let Some(own) = self.callers.get(caller) else {
            return true;
        };
        let used = own.used;
        let goes_first = |other: &Use<W>| !other.waits.is_empty() && other.used < used;
        if !own.waits.is_empty() || self.callers.values().any(goes_first) {
            return false;
        }
        self.clock = self.clock.max(used);
        true
    }

    /// Gives a place back; whoever is next has it now, and is to be woken.
    pub(super) fn give_back(&mut self, caller: &str) -> Option<W> {
        self.taken = self.taken.saturating_sub(1);
        if let Some(all) = self.callers.get_mut(caller) {
            all.holds = all.holds.saturating_sub(1);
        }
        let waiting = self.callers.iter().filter(|(_, all)| !all.waits.is_empty());
        let next = waiting.min_by_key(|(_, all)| all.used)?.0.clone();
        let (ticket, wake) = self.callers.get_mut(&next)?.waits.pop_front()?;
        self.serve(&next);
        self.taken += 1;
        self.given.insert(ticket);
        Some(wake)
    }

    /// Whoever begins to want something again has saved up nothing.
    fn activate(&mut self, caller: &str) {
        let clock = self.clock;
        if let Some(all) = self.callers.get_mut(caller)
            && all.holds == 0
            && all.waits.is_empty()
        {
            all.used = all.used.max(clock);
        }
    }

    fn serve(&mut self, caller: &str) {
        if let Some(all) = self.callers.get_mut(caller) {
            all.holds += 1;
            self.clock = self.clock.max(all.used);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    /// A lane as it runs: every call that has a turn uses some time, and wants another one.
    struct Lane {
        turns: Turns<usize>,
        calls: Vec<Call>,
        running: Vec<usize>,
    }

    struct Call {
        caller: Arc<str>,
        /// What one turn takes.
        turn: u64,
        ticket: Option<Ticket>,
    }

    impl Lane {
        fn new(places: usize) -> Self {
            Self {
                turns: Turns::new(places),
                calls: Vec::new(),
                running: Vec::new(),
            }
        }

        fn come(&mut self, caller: &str, turn: u64) -> usize {
            let caller: Arc<str> = caller.into();
            self.turns.join(&caller);
            self.calls.push(Call {
                caller,
                turn,
                ticket: None,
            });
            self.want(self.calls.len() - 1);
            self.calls.len() - 1
        }

        fn want(&mut self, id: usize) {
            let call = &mut self.calls[id];
            if self.turns.take(&call.caller) {
                self.running.push(id);
            } else {
                call.ticket = Some(self.turns.wait(&call.caller, id));
            }
        }

        /// One turn of the call at this place comes to its end; the time that it took.
        fn step(&mut self, place: usize) -> (Arc<str>, u64) {
            let id = self.running.remove(place % self.running.len());
            let (caller, turn) = (self.calls[id].caller.clone(), self.calls[id].turn);
            self.turns.charge(&caller, turn);
            if self.turns.stays(&caller) {
                self.running.push(id);
            } else {
                let ticket = self.turns.wait(&caller, id);
                self.calls[id].ticket = Some(ticket);
                let next = self.turns.give_back(&caller);
                self.woken(next);
            }
            (caller, turn)
        }

        fn woken(&mut self, next: Option<usize>) {
            if let Some(id) = next {
                let ticket = self.calls[id].ticket.take().expect("it waits");
                assert!(self.turns.take_up(ticket), "it was given a place");
                self.running.push(id);
            }
        }

        fn shares(&mut self, steps: u64, mut random: impl FnMut(usize) -> usize) -> Vec<u64> {
            let mut used: BTreeMap<Arc<str>, u64> = BTreeMap::new();
            for _ in 0..steps {
                let place = random(self.running.len());
                let (caller, turn) = self.step(place);
                *used.entry(caller).or_default() += turn;
            }
            used.into_values().collect()
        }
    }

    fn random(mut seed: u64) -> impl FnMut(usize) -> usize {
        move |below| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap_or(0) % below.max(1)
        }
    }

    #[test]
    fn g68_sixty_four_calls_of_one_caller_get_as_much_as_one_of_another() {
        for places in 1..4 {
            let mut lane = Lane::new(places);
            for _ in 0..64 {
                lane.come("many", 50);
            }
            lane.come("one", 50);
            let shares = lane.shares(10_000, random(u64::try_from(places).unwrap()));
            let [many, one] = shares[..] else {
                panic!("{shares:?}")
            };
            let total = many + one;
            let fair = total / u64::try_from(places.max(2)).unwrap();
            // A single call cannot have more than one place.
            assert!(one * 10 >= fair * 9, "{places} places: {one} of {total}");
        }
    }

    #[test]
    fn g68_calls_of_one_caller_take_turns_too() {
        let mut lane = Lane::new(1);
        let calls = [lane.come("one", 10), lane.come("one", 10)];
        let mut turns = [0; 2];
        for _ in 0..100 {
            for (call, turns) in calls.iter().zip(&mut turns) {
                *turns += usize::from(lane.running == [*call]);
            }
            lane.step(0);
        }
        assert_eq!(turns, [50, 50]);
    }

    /// It is time that is shared, not turns.
    #[test]
    fn long_turns_are_paid_for() {
        let mut lane = Lane::new(1);
        lane.come("long", 3_000);
        lane.come("short", 10);
        let shares = lane.shares(50_000, random(7));
        assert!(shares[0].abs_diff(shares[1]) <= 2 * 3_000, "{shares:?}");
    }

    #[test]
    fn whoever_comes_later_has_saved_up_nothing_and_owes_nothing() {
        let mut lane = Lane::new(1);
        lane.come("early", 10);
        for _ in 0..1_000 {
            lane.step(0);
        }
        lane.come("late", 10);
        let shares = lane.shares(1_000, random(3));
        assert!(shares[0].abs_diff(shares[1]) <= 100, "{shares:?}");
    }

    #[test]
    fn what_was_used_at_once_is_owed_after_the_call_too() {
        let (heavy, other): (Arc<str>, Arc<str>) = ("heavy".into(), "other".into());
        let mut turns: Turns<u32> = Turns::new(1);
        turns.join(&other);
        assert!(turns.take(&other));
        // The lane has a past, in which the heavy one has no part.
        turns.charge(&other, 5_000_000);
        assert!(turns.stays(&other));
        turns.join(&heavy);
        turns.charge(&heavy, 1_000_000);
        turns.leave(&heavy);
        turns.join(&heavy);
        turns.wait(&heavy, 1);
        for _ in 0..100 {
            turns.charge(&other, 9_000);
            assert!(turns.stays(&other));
        }
        turns.charge(&other, 200_000);
        assert!(!turns.stays(&other));
    }

    /// Calls that come, work, wait, go away while they wait or work, in thousands of orders: no
    /// place is ever lost or given twice, and none stays free while somebody waits.
    #[test]
    fn no_place_is_lost_in_any_order() {
        for seed in 0..2_000 {
            let mut random = random(seed);
            let places = 1 + random(3);
            let callers: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).into();
            let mut turns: Turns<usize> = Turns::new(places);
            // Each call: its caller, and nothing, a ticket, or a place.
            let mut calls: Vec<(Arc<str>, Option<Ticket>, bool)> = Vec::new();
            let mut told: Vec<usize> = Vec::new();
            for _ in 0..200 {
                match random(6) {
                    0 => {
                        let caller = callers[random(3)].clone();
                        turns.join(&caller);
                        calls.push((caller, None, false));
                    }
                    1 if !calls.is_empty() => {
                        let id = random(calls.len());
                        let (caller, ticket, holds) = calls[id].clone();
                        if ticket.is_none() && !holds {
                            if turns.take(&caller) {
                                calls[id].2 = true;
                            } else {
                                calls[id].1 = Some(turns.wait(&caller, id));
                            }
                        }
                    }
                    2 if !calls.is_empty() => {
                        let id = random(calls.len());
                        if calls[id].2 {
                            calls[id].2 = false;
                            turns.charge(&calls[id].0, 1 + random(99) as u64);
                            told.extend(turns.give_back(&calls[id].0));
                        }
                    }
                    3 if !told.is_empty() => {
                        let id = told.swap_remove(random(told.len()));
                        if let Some(ticket) = calls[id].1 {
                            assert!(turns.take_up(ticket));
                            calls[id].1 = None;
                            calls[id].2 = true;
                        }
                    }
                    4 if !calls.is_empty() => {
                        // Goes away, wherever it is; another one stands in its place in the list.
                        let id = random(calls.len());
                        let (caller, ticket, holds) = calls[id].clone();
                        if let Some(ticket) = ticket {
                            told.extend(turns.give_up(&caller, ticket));
                            told.retain(|told| *told != id);
                        }
                        if holds {
                            told.extend(turns.give_back(&caller));
                        }
                        turns.leave(&caller);
                        turns.join(&caller);
                        calls[id].1 = None;
                        calls[id].2 = false;
                    }
                    _ => {}
                }
                let held = calls.iter().filter(|call| call.2).count() + turns.given.len();
                assert_eq!(held, turns.taken, "seed {seed}");
                assert!(turns.taken <= places);
                let waiting: usize = turns.callers.values().map(|all| all.waits.len()).sum();
                assert!(waiting == 0 || turns.taken == places, "seed {seed}");
            }
            for (caller, ticket, holds) in calls {
                if let Some(ticket) = ticket {
                    turns.give_up(&caller, ticket);
                }
                if holds {
                    turns.give_back(&caller);
                }
                turns.leave(&caller);
            }
            assert_eq!(turns.taken, 0);
            assert!(turns.callers.is_empty(), "{turns:?}");
        }
    }
}
