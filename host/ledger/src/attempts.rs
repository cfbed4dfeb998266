//! What one call tries on the outside, on record before it is made. It does not know what an attempt
//! means, but whether it was refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::LedgerError;
use super::event::{Answered, AttemptEvent, Event};
use super::segment::Segment;
use super::text::capped;
use crate::terms::{Attempt, AttemptAnswer, AttemptSink, Target, Unrecorded, Usage, Verdict};

/// So many refused attempts of one call have an event of their own, in each capability; the others are
/// counted.
pub(super) const REFUSED: u64 = 32;

/// So many changes of files of one call have an event of their own; the others are counted.
pub(super) const CHANGES: u64 = 64;

/// Grants whose use is told apart at the end of a call; what is beyond them is told together.
const GRANTS: usize = 128;

/// The attempts of one call. It is kept beside the call and not in its result, so that a call that is
/// cancelled or trapped is recorded with what it did before.
#[derive(Debug)]
pub struct Attempts {
    segment: Arc<Segment>,
    call: u64,
    /// The disk is nearly full: what is refused is only counted.
    scarce: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Its record has an end: what comes later is for no record any more.
    is_over: bool,
    /// By capability.
    refused: BTreeMap<&'static str, u64>,
    changes: u64,
    /// Whether a refused request has no event.
    hides_requests: bool,
    usage: Vec<Usage>,
}

impl Attempts {
    pub(super) fn new(segment: Arc<Segment>, call: u64, scarce: Arc<AtomicBool>) -> Self {
        Self {
            segment,
            call,
            scarce,
            state: Mutex::default(),
        }
    }

    /// Ends it, and gives how often each grant was used.
    pub(super) fn end(&self) -> Vec<Usage> {
        let mut state = self.state();
        state.is_over = true;
        let mut usage = std::mem::take(&mut state.usage);
        if !state.hides_requests {
            // Each has an event.
            usage.retain(|usage| usage.of != "http");
        }
        usage
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AttemptSink for Attempts {
    fn attempt(&self, mut attempt: Attempt) -> Result<Option<u64>, Unrecorded> {
        shorten_all(&mut attempt);
        // Held until it is written: the record does not end in between.
        let mut state = self.state();
        if state.is_over {
            return Err(Unrecorded);
        }
        if !state.has_room(&attempt, self.scarce.load(Ordering::Relaxed)) {
            return Ok(None);
        }
        let Attempt { to, verdict } = attempt;
        let event = Event::Attempt(AttemptEvent {
            call: self.call,
            to,
            verdict,
        });
        let recorded = self.segment.append(&event);
        recorded.map(Some).map_err(unrecorded)
    }

    fn answer(&self, attempt: u64, mut answer: AttemptAnswer) {
        answer.each_text(shorten);
        let state = self.state();
        if state.is_over {
            return;
        }
        let event = Event::Answer(Answered {
            call: self.call,
            attempt,
            answer,
        });
        // It is in the kernel with the next event. A failure stays: the call's end cannot be recorded
        // either, and says so.
        let _ = self.segment.hold(&event);
    }

    fn usage(&self, usage: Usage) {
        self.state().add(usage);
    }
}

impl State {
    /// Whether an attempt has an event of its own. One that has none is counted.
    fn has_room(&mut self, attempt: &Attempt, is_scarce: bool) -> bool {
        let of = attempt.to.of();
        match (&attempt.verdict, &attempt.to) {
            (Verdict::Refused { nearest, .. }, to) => {
                let refused = self.refused.entry(of).or_default();
                *refused += 1;
                let has_room = *refused <= REFUSED && !is_scarce;
                // Buckets and directories count their own.
                if matches!(to, Target::Http(_)) {
                    self.hides_requests |= !has_room;
                    self.add(Usage {
                        of: of.into(),
                        grant: nearest.clone(),
                        refused: 1,
                        ..Usage::default()
                    });
                }
                has_room
            }
            (Verdict::Allowed(_), Target::Dir(_)) => {
                self.changes += 1;
                self.changes <= CHANGES
            }
            // As many as the limits of the call and its grants are.
            (Verdict::Allowed(_), Target::Http(_) | Target::Kv(_)) => true,
        }
    }

    fn add(&mut self, more: Usage) {
        let known = self.usage.iter_mut();
        let mut known = known.filter(|usage| usage.of == more.of);
        if let Some(usage) = known.find(|usage| usage.grant == more.grant) {
            return usage.add(&more);
        }
        if self.usage.len() < GRANTS {
            return self.usage.push(more);
        }
        let others = Usage {
            grant: Some("(others)".into()),
            ..more
        };
        let mut known = self.usage.iter_mut();
        match known.find(|usage| usage.of == others.of && usage.grant == others.grant) {
            Some(usage) => usage.add(&others),
            // One for each capability.
            None => self.usage.push(others),
        }
    }
}

fn shorten_all(attempt: &mut Attempt) {
    attempt.each_text(shorten);
    if let Verdict::Allowed(rule) = &mut attempt.verdict
        && let Some(text) = &mut rule.rule
        && let Cow::Owned(short) = capped(text)
    {
        *text = short.into();
    }
}

fn shorten(text: &mut String) {
    if let Cow::Owned(short) = capped(text) {
        *text = short;
    }
}

fn unrecorded(error: LedgerError) -> Unrecorded {
    tracing::debug!(%error, "an attempt cannot be recorded, so it is not made");
    Unrecorded
}
