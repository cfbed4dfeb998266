//! Lines that say the same again and again: the first ones are written, the others are counted, and
//! one line says how many they were.
//!
//! It does not know what a line says, only which are alike.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long lines that are alike are counted together.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// So many of them are written.
pub(super) const WRITTEN: u32 = 10;

/// So many that differ are remembered. Of what is beyond them each line is written.
const MOST: usize = 512;

/// What was said of late, with a sample of what was said too often.
pub(super) struct Repeats<S> {
    kinds: HashMap<u64, Kind<S>>,
    /// Counts whose time is over.
    over: Vec<Counted<S>>,
}

struct Kind<S> {
    since: Instant,
    written: u32,
    more: Option<(S, u64)>,
}

/// Lines that were not written.
pub(super) struct Counted<S> {
    /// What they were like.
    pub(super) sample: S,
    /// How many they were.
    pub(super) more: u64,
    /// In how much time, with those that were written.
    pub(super) within: Duration,
}

impl<S> Default for Repeats<S> {
    fn default() -> Self {
        Self {
            kinds: HashMap::new(),
            over: Vec::new(),
        }
    }
}

impl<S> Kind<S> {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }

    fn counted(self, now: Instant) -> Option<Counted<S>> {
        let (sample, more) = self.more?;
        Some(Counted {
            sample,
            more,
            within: now.saturating_duration_since(self.since),
        })
    }
}

impl<S> Repeats<S> {
    /// Whether a line is written; one that is not is counted.
    pub(super) fn admits(
        &mut self,
        likeness: u64,
        now: Instant,
        sample: impl FnOnce() -> S,
    ) -> bool {
        self.close(likeness, now);
        if let Some(kind) = self.kinds.get_mut(&likeness) {
            if kind.written < WRITTEN {
                kind.written += 1;
                return true;
            }
            kind.more.get_or_insert_with(|| (sample(), 0)).1 += 1;
            return false;
        }
        if self.kinds.len() >= MOST {
            // What has a count is told in its turn.
            self.kinds
                .retain(|_, kind| kind.more.is_some() || !kind.is_over(now));
        }
        if self.kinds.len() < MOST {
            let kind = Kind {
                since: now,
                written: 1,
                more: None,
            };
            self.kinds.insert(likeness, kind);
        }
        true
    }

    /// Begins to count this kind anew where its time is over.
    fn close(&mut self, likeness: u64, now: Instant) {
        let is_over = |kind: &Kind<S>| kind.is_over(now);
        if self.kinds.get(&likeness).is_some_and(is_over) {
            let kind = self.kinds.remove(&likeness);
            self.over.extend(kind.and_then(|kind| kind.counted(now)));
        }
    }

    /// Whether something was counted and not told yet.
    pub(super) fn is_untold(&self) -> bool {
        !self.over.is_empty() || self.kinds.values().any(|kind| kind.more.is_some())
    }

    /// The counts whose time is over.
    pub(super) fn over(&mut self, now: Instant) -> Vec<Counted<S>> {
        let over = self.kinds.extract_if(|_, kind| kind.is_over(now));
        let counted = over.filter_map(|(_, kind)| kind.counted(now));
        self.over.extend(counted);
        std::mem::take(&mut self.over)
    }

    /// All counts there are: nothing comes any more.
    pub(super) fn all(&mut self, now: Instant) -> Vec<Counted<S>> {
        let all = self.kinds.drain();
        let counted = all.filter_map(|(_, kind)| kind.counted(now));
        self.over.extend(counted);
        std::mem::take(&mut self.over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x65_what_is_said_again_and_again_is_counted_and_told_once() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut say = |likeness, seconds| repeats.admits(likeness, at(seconds), || likeness);
        let written = (0..51).filter(|_| say(1, 0)).count();
        assert_eq!(written, 10);
        assert!(say(2, 1), "another kind");
        assert!(repeats.is_untold());
        assert!(repeats.over(at(9)).is_empty(), "its time is not over");
        let told = repeats.over(at(10));
        let told: Vec<_> = told.iter().map(|one| (one.sample, one.more)).collect();
        assert_eq!(told, [(1, 41)]);
        assert!(!repeats.is_untold());

        // A new time begins with lines that are written, and what was counted before is not lost.
        let mut say = |likeness, seconds| repeats.admits(likeness, at(seconds), || likeness);
        let written = (0..12).filter(|_| say(1, 20)).count();
        assert_eq!(written, 10);
        assert!(say(1, 31));
        let told = repeats.over(at(31));
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].more, told[0].within), (2, Duration::from_secs(11)));
    }

    #[test]
    fn x65_so_many_kinds_are_remembered_and_no_more() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        for likeness in 0..10_000 {
            assert!(repeats.admits(likeness, now, || ()));
        }
        assert_eq!(repeats.kinds.len(), MOST);
        // They are forgotten when there are others.
        assert!(repeats.admits(10_000, now + WINDOW, || ()));
        assert_eq!(repeats.kinds.len(), 1);
    }
}
