//! How often callers are turned away: the first times in a second each have a record of their own,
//! the others are counted, and a second's count is one record.
//!
//! What is counted and not written yet is lost with a killed process: a number of refusals, never a
//! call that ran. It does not know how a record is written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::event::Refused;
use super::text::capped;

/// So many refusals of one caller have a record of their own in a second.
pub(super) const EACH: u32 = 16;

/// How long refusals are counted before their number is written.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// Kinds of refusals that are counted apart; what is beyond them is counted for all callers together.
const MOST_KINDS: usize = 1_024;

/// What is said of a refusal whose caller is one of too many.
const OTHERS: &str = "(others)";

/// The refusals of one process.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    state: Mutex<State>,
    /// The disk is nearly full: none has a record of its own.
    scarce: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    /// When each caller's second began, and how many records it had in it.
    recent: BTreeMap<String, (Option<Instant>, u32)>,
    /// How many there were of each kind, as an event that begins with the first of them.
    counted: BTreeMap<Kind, Refused<'static>>,
    sealed: bool,
}

/// Refusals of one kind: the agent, the door and the code, as the record writes them.
type Kind = (String, u8, String);

/// What becomes of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It has a record of its own.
    Record,
    /// It is counted.
    Counted,
    /// There are no records any more.
    Sealed,
}

impl Refusals {
    /// Takes a refusal. `now` says when it is, for a record.
    pub(super) fn take(
        &self,
        refused: &Refused<'_>,
        at: Instant,
        now: impl Fn() -> String,
    ) -> Place {
        let mut state = self.state();
        if state.sealed {
            return Place::Sealed;
        }
        if !self.scarce.load(Ordering::Relaxed) && state.has_room(&refused.agent, at) {
            return Place::Record;
        }
        let known = kind(&refused.agent, refused);
        let kind = match state.counted.contains_key(&known) || state.counted.len() < MOST_KINDS {
            true => known,
            false => kind(OTHERS, refused),
        };
        let agent = kind.0.clone();
        let counted = state.counted.entry(kind).or_insert_with(|| Refused {
            agent: agent.into(),
            user: None,
            door: refused.door,
            function: capped(&refused.function).into_owned().into(),
            arguments: None,
            code: refused.code.clone().into_owned().into(),
            calls: Some(0),
            since: Some(now().into()),
        });
        counted.calls = counted.calls.map(|calls| calls.saturating_add(1));
        Place::Counted
    }

    /// What was counted since it was asked last; it is the asker's to write down.
    pub(super) fn counted(&self) -> Vec<Refused<'static>> {
        let counted = std::mem::take(&mut self.state().counted);
        counted.into_values().collect()
    }

    /// Counts on with what could not be written.
    pub(super) fn give_back(&self, mut counted: Refused<'static>) {
        let mut state = self.state();
        let kind = kind(&counted.agent, &counted);
        let newer = state.counted.remove(&kind).map_or(0, |newer| newer.calls());
        counted.calls = Some(counted.calls().saturating_add(newer));
        state.counted.insert(kind, counted);
    }

    /// Says whether the disk has room for records of refusals.
    pub(super) fn disk_is_scarce(&self, scarce: bool) {
        self.scarce.store(scarce, Ordering::Relaxed);
    }

    /// Whether it is, from now on and later.
    pub(super) fn scarce(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.scarce)
    }

    pub(super) fn is_scarce(&self) -> bool {
        self.scarce.load(Ordering::Relaxed)
    }

    /// From here on there are none.
    pub(super) fn seal(&self) {
        self.state().sealed = true;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind(agent: &str, refused: &Refused<'_>) -> Kind {
    let (door, code) = (refused.door as u8, refused.code.clone().into_owned());
    (agent.to_owned(), door, code)
}

impl State {
    /// Whether a caller has a record left in its second; it has one less then.
    fn has_room(&mut self, agent: &str, at: Instant) -> bool {
        if !self.recent.contains_key(agent) {
            if self.recent.len() >= MOST_KINDS {
                let is_over =
                    |began: Option<Instant>| began.is_none_or(|began| at - began >= SECOND);
                self.recent.retain(|_, (began, _)| !is_over(*began));
                if self.recent.len() >= MOST_KINDS {
                    return false;
                }
            }
            self.recent.insert(agent.to_owned(), (None, 0));
        }
        let Some((began, records)) = self.recent.get_mut(agent) else {
            return false;
        };
        if began.is_none_or(|began| at.saturating_duration_since(began) >= SECOND) {
            (*began, *records) = (Some(at), 0);
        }
        *records += 1;
        *records <= EACH
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::terms::{Caller, Code, Door, Fingerprint};

    fn caller(agent: &str) -> Caller {
        Caller {
            agent: agent.into(),
            user: None,
        }
    }

    fn refused(caller: &Caller, code: Code) -> Refused<'_> {
        Refused::new(caller, Door::Unix, "a.b", Fingerprint::of(b"{}"), code)
    }

    fn calls(refusals: &Refusals) -> u64 {
        refusals.counted().iter().map(Refused::calls).sum()
    }

    #[test]
    fn x37_every_refusal_has_a_record_or_is_counted() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let mut records = 0_u64;
        let mut counted = 0;
        for n in 0..10_000_u32 {
            let own = caller(["one", "two"][(n % 2) as usize]);
            let code = [Code::UnknownFunction, Code::Busy][(n / 2 % 2) as usize];
            // Two and a half seconds in all.
            let at = start + Duration::from_micros(250) * n;
            match refusals.take(&refused(&own, code), at, String::new) {
                Place::Record => records += 1,
                Place::Counted => {}
                Place::Sealed => panic!("nobody sealed it"),
            }
            if n % 999 == 0 {
                counted += calls(&refusals);
            }
        }
        assert_eq!(records, 2 * 3 * u64::from(EACH));
        let rest = refusals.counted();
        assert_eq!(rest.len(), 4, "by caller and kind");
        rest.into_iter().for_each(|rest| refusals.give_back(rest));
        assert_eq!(records + counted + calls(&refusals), 10_000);
    }

    #[test]
    fn x37_callers_without_end_take_no_room_without_end() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let mut records = 0;
        for n in 0..100_000 {
            let own = caller(&format!("agent-{n}"));
            let place = refusals.take(&refused(&own, Code::Busy), start, String::new);
            records += u64::from(place == Place::Record);
        }
        let counted = refusals.counted();
        assert!(counted.len() <= MOST_KINDS + 1, "{}", counted.len());
        let counted: u64 = counted.iter().map(Refused::calls).sum();
        assert_eq!(records + counted, 100_000);
    }

    #[test]
    fn x38_where_the_disk_is_scarce_all_are_counted() {
        let refusals = Refusals::default();
        refusals.disk_is_scarce(true);
        let own = caller("one");
        let place = refusals.take(&refused(&own, Code::Busy), Instant::now(), String::new);
        assert_eq!(place, Place::Counted);
        refusals.seal();
        let place = refusals.take(&refused(&own, Code::Busy), Instant::now(), String::new);
        assert_eq!((place, calls(&refusals)), (Place::Sealed, 1));
    }
}
