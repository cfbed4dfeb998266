//! What the ledger does by itself, once a second: it writes down how many refusals were counted, looks
//! whether its segment is still there and its disk has room, and begins a new segment where the last
//! one failed.
//!
//! It does not know what a record means. It ends with the ledger.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::refusals::SECOND;
use super::writer::Inner;
use crate::terms::Clock;

/// The longest time between two tries to begin a new segment.
const PATIENCE: Duration = Duration::from_secs(30);

/// After a segment that held as long the next try comes soon again.
const HELD: Duration = Duration::from_secs(60);

/// Says when it is over.
#[derive(Debug, Default)]
pub(super) struct Bell {
    over: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rung.notify_all();
    }

    /// Waits for so long, or until it is over; whether it is.
    fn wait(&self, time: Duration) -> bool {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.rung.wait_timeout_while(over, time, |over| !*over);
        waited.map_or(true, |(over, _)| *over)
    }
}

/// Starts to look after a ledger.
///
/// # Errors
/// There is no thread to be had.
pub(super) fn keep(ledger: Weak<Inner>, bell: Arc<Bell>, clock: Clock) -> std::io::Result<()> {
    let keep = move || {
        let mut pace = Pace::new(clock.now());
        while !bell.wait(SECOND) {
            let Some(ledger) = ledger.upgrade() else {
                return;
            };
            tend(&ledger, &mut pace, clock.now());
        }
    };
    let thread = thread::Builder::new().name("ledger-keep".to_owned());
    thread.spawn(keep).map(drop)
}

/// When to try again.
struct Pace {
    next: Instant,
    wait: Duration,
    began: Instant,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self {
            next: now,
            wait: SECOND,
            began: now,
        }
    }

    /// The segment is whole. One that has held for long was no accident.
    fn holds(&mut self, now: Instant) {
        if now.duration_since(self.began) > HELD {
            self.wait = SECOND;
        }
    }

    /// Whether it is time for a try. Each comes later than the one before, until a segment holds.
    fn is_due(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + self.wait;
        self.wait = (self.wait * 2).min(PATIENCE);
        true
    }
}

fn tend(ledger: &Inner, pace: &mut Pace, now: Instant) {
    ledger.look_at_the_disk();
    ledger.look_for_the_segment();
    if !ledger.has_failed() {
        pace.holds(now);
    } else if pace.is_due(now) && ledger.begin_anew() {
        pace.began = now;
    }
    ledger.write_counted_if_there_is_room();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moments, in seconds after the first failure, at which a new segment is tried for.
    fn tries(pace: &mut Pace, from: Instant) -> Vec<u64> {
        let seconds = (0..200).filter(|second| pace.is_due(from + SECOND * *second));
        seconds.map(u64::from).collect()
    }

    #[test]
    fn tries_come_ever_later_until_a_segment_has_held() {
        let mut pace = Pace::new(Instant::now());
        let began = pace.began;
        let expected = [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181];
        // However long ago the last segment was begun.
        let failed = began + HELD * 10;
        assert_eq!(tries(&mut pace, failed), expected);
        pace.began = failed + SECOND * 200;
        pace.holds(pace.began + SECOND);
        assert!(pace.is_due(pace.next));
        assert_eq!(pace.wait, PATIENCE, "it has not held yet");
        pace.holds(pace.began + HELD * 2);
        let failed = pace.next;
        assert_eq!(tries(&mut pace, failed), expected);
    }
}
