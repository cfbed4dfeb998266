//! Whose job is next: one of the caller that has had the least of the thread's time, and of his the one
//! of the tool that has. So a job waits for the one that runs and for what others did less than its
//! owner, whoever has how many and how long ones, and of how many tools. (Start-time fair queueing, Goyal, Vin and Cheng 1996, with the time measured afterwards.)
//!
//! It knows neither threads nor what a job is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Whose jobs are one line before the thread.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobOwner {
    /// Who called; nobody where it is the operator himself.
    pub caller: Arc<str>,
    /// The tool that asks.
    pub tool: Arc<str>,
}

/// Jobs that wait.
#[derive(Debug)]
pub(super) struct JobQueue<J> {
    /// One for each job.
    callers: FairQueue<()>,
    tools: BTreeMap<Arc<str>, FairQueue<J>>,
}

impl<J> Default for JobQueue<J> {
    fn default() -> Self {
        Self {
            callers: FairQueue::default(),
            tools: BTreeMap::new(),
        }
    }
}

impl<J> JobQueue<J> {
    /// A job comes.
    pub(super) fn push(&mut self, owner: &JobOwner, job: J) {
        self.callers.push(&owner.caller, ());
        let tools = self.tools.entry(Arc::clone(&owner.caller)).or_default();
        tools.push(&owner.tool, job);
    }

    /// The next job and whose it is.
    pub(super) fn pop(&mut self) -> Option<(JobOwner, J)> {
        let (caller, ()) = self.callers.pop()?;
        let (tool, job) = self.tools.get_mut(&caller)?.pop()?;
        Some((JobOwner { caller, tool }, job))
    }

    /// A job of this owner has taken so long.
    pub(super) fn took(&mut self, owner: &JobOwner, time: Duration) {
        self.callers.took(&owner.caller, time);
        if let Some(tools) = self.tools.get_mut(&owner.caller) {
            tools.took(&owner.tool, time);
            if tools.places.is_empty() {
                self.tools.remove(&owner.caller);
            }
        }
    }
}

/// Jobs that wait, by a name.
#[derive(Debug)]
struct FairQueue<J> {
    places: BTreeMap<Arc<str>, FairShare<J>>,
    /// What the owner that was served last had had by then: who comes anew begins there, and gets
    /// nothing for the time in which he did not ask.
    now: Duration,
}

#[derive(Debug)]
struct FairShare<J> {
    used: Duration,
    jobs: VecDeque<J>,
}

impl<J> Default for FairQueue<J> {
    fn default() -> Self {
        Self {
            places: BTreeMap::new(),
            now: Duration::ZERO,
        }
    }
}

impl<J> FairQueue<J> {
    fn push(&mut self, owner: &Arc<str>, job: J) {
        let now = self.now;
        let place = self
            .places
            .entry(owner.clone())
            .or_insert_with(|| FairShare {
                used: now,
                jobs: VecDeque::new(),
            });
        place.used = place.used.max(now);
        place.jobs.push_back(job);
    }

    fn pop(&mut self) -> Option<(Arc<str>, J)> {
        let waiting = self.places.iter_mut();
        let waiting = waiting.filter(|(_, place)| !place.jobs.is_empty());
        let (owner, place) = waiting.min_by_key(|(_, place)| place.used)?;
        let job = place.jobs.pop_front()?;
        self.now = self.now.max(place.used);
        Some((owner.clone(), job))
    }

    fn took(&mut self, owner: &Arc<str>, time: Duration) {
        if let Some(place) = self.places.get_mut(owner) {
            place.used = place.used.saturating_add(time);
        }
        // Whoever has nothing before the thread and nothing to make up for is forgotten.
        let now = self.now;
        let idle = self.places.values().all(|place| place.jobs.is_empty());
        self.places
            .retain(|_, place| !idle && (!place.jobs.is_empty() || place.used > now));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn owner(caller: &str, tool: &str) -> JobOwner {
        JobOwner {
            caller: caller.into(),
            tool: tool.into(),
        }
    }

    fn serve(turns: &mut JobQueue<&'static str>, time: Duration) -> Option<&'static str> {
        let (owner, job) = turns.pop()?;
        turns.took(&owner, time);
        Some(job)
    }

    #[test]
    fn a_job_waits_for_the_one_that_runs_and_for_nobodys_second_long_one() {
        let (large, small) = (owner("large", "t"), owner("small", "t"));
        let mut turns = JobQueue::default();
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
        assert!(turns.callers.places.is_empty() && turns.tools.is_empty());
    }

    #[test]
    fn who_did_not_ask_saves_nothing_up() {
        let (busy, late) = (owner("busy", "t"), owner("late", "t"));
        let mut turns = JobQueue::default();
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

    #[test]
    fn g82_a_caller_of_many_tools_has_no_more_turns_than_one_of_one() {
        let mut turns = JobQueue::default();
        let tools: Vec<String> = (0..50).map(|number| format!("tool{number}")).collect();
        for tool in tools.iter().chain(&tools) {
            turns.push(&owner("many", tool), "many");
        }
        turns.push(&owner("many", "zebra"), "last");
        for _ in 0..10 {
            turns.push(&owner("one", "tool0"), "one");
        }
        let order: Vec<_> = (0..20).map_while(|_| serve(&mut turns, MS)).collect();
        let of_one = order.iter().filter(|job| **job == "one").count();
        assert_eq!(of_one, 10, "{order:?}");
        // And of one caller's tools each has its turn before another's second.
        let rest: Vec<_> = std::iter::from_fn(|| serve(&mut turns, MS)).collect();
        let last = rest.iter().position(|job| *job == "last").unwrap();
        assert!(last <= 41, "{last}");
        assert!(turns.callers.places.is_empty() && turns.tools.is_empty());
    }
}
