//! Whose job is next: the one of the owner that has had the least of the thread's time. So a job waits
//! for the one that runs and for what others did less than its owner, whoever has how many and how long
//! ones. (Start-time fair queueing, Goyal, Vin and Cheng 1996, with the time measured afterwards.)
//!
//! It knows neither threads nor what a job is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Jobs that wait, by owner.
#[derive(Debug)]
pub(super) struct Turns<J> {
    lines: BTreeMap<Arc<str>, Line<J>>,
    /// What the owner that was served last had had by then: who comes anew begins there, and gets
    /// nothing for the time in which he did not ask.
    now: Duration,
}

#[derive(Debug)]
struct Line<J> {
    used: Duration,
    jobs: VecDeque<J>,
}

impl<J> Default for Turns<J> {
    fn default() -> Self {
        Self {
            lines: BTreeMap::new(),
            now: Duration::ZERO,
        }
    }
}

impl<J> Turns<J> {
    /// A job comes.
    pub(super) fn push(&mut self, owner: &Arc<str>, job: J) {
        let now = self.now;
        let line = self.lines.entry(owner.clone()).or_insert_with(|| Line {
            used: now,
            jobs: VecDeque::new(),
        });
        line.used = line.used.max(now);
        line.jobs.push_back(job);
    }

    /// The next job and whose it is.
    pub(super) fn pop(&mut self) -> Option<(Arc<str>, J)> {
        let waiting = self
            .lines
            .iter_mut()
            .filter(|(_, line)| !line.jobs.is_empty());
        let (owner, line) = waiting.min_by_key(|(_, line)| line.used)?;
        let job = line.jobs.pop_front()?;
        self.now = self.now.max(line.used);
        Some((owner.clone(), job))
    }

    /// A job of this owner has taken so long.
    pub(super) fn took(&mut self, owner: &Arc<str>, time: Duration) {
        if let Some(line) = self.lines.get_mut(owner) {
            line.used = line.used.saturating_add(time);
        }
        // Whoever has nothing before the thread and nothing to make up for is forgotten.
        let now = self.now;
        let idle = self.lines.values().all(|line| line.jobs.is_empty());
        self.lines
            .retain(|_, line| !idle && (!line.jobs.is_empty() || line.used > now));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn serve(turns: &mut Turns<&'static str>, time: Duration) -> Option<&'static str> {
        let (owner, job) = turns.pop()?;
        turns.took(&owner, time);
        Some(job)
    }

    #[test]
    fn a_job_waits_for_the_one_that_runs_and_for_nobodys_second_long_one() {
        let (large, small): (Arc<str>, Arc<str>) = ("large".into(), "small".into());
        let mut turns = Turns::default();
        for _ in 0..3 {
            turns.push(&large, "large");
        }
        assert_eq!(serve(&mut turns, 50 * MS), Some("large"));
        for _ in 0..4 {
            turns.push(&small, "small");
        }
        let order: Vec<_> = (0..6).map_while(|_| serve(&mut turns, MS)).collect();
        assert_eq!(
            order,
            ["small", "small", "small", "small", "large", "large"]
        );
        assert!(turns.lines.is_empty());
    }

    #[test]
    fn who_did_not_ask_saves_nothing_up() {
        let (busy, late): (Arc<str>, Arc<str>) = ("busy".into(), "late".into());
        let mut turns = Turns::default();
        for _ in 0..10 {
            turns.push(&busy, "busy");
        }
        for _ in 0..5 {
            assert_eq!(serve(&mut turns, MS), Some("busy"));
        }
        for _ in 0..5 {
            turns.push(&late, "late");
        }
        let order: Vec<_> = (0..10).map_while(|_| serve(&mut turns, MS)).collect();
        let before = order.iter().position(|job| *job == "busy").unwrap();
        assert!(before <= 2, "{order:?}");
        assert_eq!(serve(&mut turns, MS), None);
    }
}
