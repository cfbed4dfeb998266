//! How much of each kind of line is written. A kind has a rate of its own, and a kind and a caller with
//! all of its calls have at most as many of the bytes as they leave for others; what is left out is
//! counted.
//!
//! It knows neither what lines say nor where they go, and no clock: the time is told.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Lines of one kind: so many a second, and so many at once after a rest.
pub(super) const LINES: (u64, u64) = (100, 1_000);
/// Bytes of all kinds in each [`WINDOW`]: 256 KiB a second. A kind, and a caller with all of its calls,
/// may take at most as much as it leaves for others, as in `shares`.
const BYTES: u64 = 1 << 20;
const WINDOW: Duration = Duration::from_secs(4);
/// Kinds that are remembered. What calls say beyond them shares the rate of its place in the code.
pub(super) const MOST: usize = 1_024;

/// The module and the line of a place in the code.
pub(super) type Place = (&'static str, u32);

/// Which lines have a rate of their own: those of one place in the code, and of one caller's calls of
/// one tool where they are of calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) place: Place,
    pub(super) caller: Option<String>,
    pub(super) tool: Option<String>,
}

/// How much was written of late of each kind.
#[derive(Default)]
pub(super) struct Rates {
    bytes: Bytes,
    kinds: HashMap<Kind, Count>,
}

/// How much there was of a kind.
#[derive(Default)]
struct Count {
    lines: Bucket,
    /// Lines and their bytes.
    left_out: (u64, u64),
}

/// What was left out of the lines of one place.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Lines and their bytes.
    pub(super) sum: (u64, u64),
    /// The caller whose calls said most of them, and how many.
    pub(super) most: Option<(String, u64)>,
}

impl Rates {
    /// Begins to count a kind. Where there are too many, a line of a call is one of its place's.
    pub(super) fn remember(&mut self, mut kind: Kind, now: Instant) -> Kind {
        if self.kinds.len() >= MOST && !self.kinds.contains_key(&kind) {
            self.kinds.retain(|_, count| !count.is_over(now));
            if self.kinds.len() >= MOST {
                (kind.caller, kind.tool) = (None, None);
            }
        }
        self.kinds.entry(kind.clone()).or_default();
        kind
    }

    /// Whether a line of so many bytes may be written now. One that may not is counted.
    pub(super) fn admits(&mut self, kind: &Kind, bytes: u64, now: Instant) -> bool {
        let Some(count) = self.kinds.get_mut(kind) else {
            return true;
        };
        if count.lines.has(1, LINES, now) && self.bytes.has(kind, bytes, now) {
            count.lines.used += 1;
            self.bytes.take(kind, bytes);
            return true;
        }
        count.left_out.0 += 1;
        count.left_out.1 += bytes;
        false
    }

    /// What was left out since the last time, by place.
    pub(super) fn take_left_out(&mut self) -> BTreeMap<Place, LeftOut> {
        let mut all: BTreeMap<Place, LeftOut> = BTreeMap::new();
        for (kind, count) in &mut self.kinds {
            let (lines, bytes) = std::mem::take(&mut count.left_out);
            if lines == 0 {
                continue;
            }
            let LeftOut { sum, most } = all.entry(kind.place).or_default();
            (sum.0, sum.1) = (sum.0 + lines, sum.1 + bytes);
            if let Some(caller) = &kind.caller
                && most.as_ref().is_none_or(|(_, most)| lines > *most)
            {
                *most = Some((caller.clone(), lines));
            }
        }
        all
    }
}

impl Count {
    /// Nothing was said of late, and nothing is to be told.
    fn is_over(&mut self, now: Instant) -> bool {
        self.left_out.0 == 0 && self.lines.used(LINES, now) == 0
    }
}

/// What was written in this window, and whose it was.
#[derive(Default)]
struct Bytes {
    since: Option<Instant>,
    all: u64,
    callers: HashMap<String, u64>,
    kinds: HashMap<Kind, u64>,
}

impl Bytes {
    /// Whether a kind may have so many more: with them it has at most as much as is left when its
    /// caller is left as much as it has already.
    fn has(&mut self, kind: &Kind, bytes: u64, now: Instant) -> bool {
        let is_over = |since| now.saturating_duration_since(since) >= WINDOW;
        if self.since.is_none_or(is_over) {
            *self = Self {
                since: Some(now),
                ..Self::default()
            };
        }
        let of_caller = kind.caller.as_ref().and_then(|of| self.callers.get(of));
        let of_kind = self.kinds.get(kind).copied().unwrap_or_default();
        let left = BYTES
            .saturating_sub(self.all)
            .saturating_sub(of_caller.copied().unwrap_or_default());
        of_kind.saturating_add(bytes) <= left
    }

    fn take(&mut self, kind: &Kind, bytes: u64) {
        self.all += bytes;
        if let Some(caller) = &kind.caller {
            *self.callers.entry(caller.clone()).or_default() += bytes;
        }
        *self.kinds.entry(kind.clone()).or_default() += bytes;
    }
}

/// What may be taken at a rate. At the start it is full.
#[derive(Default)]
struct Bucket {
    used: u64,
    since: Option<Instant>,
}

impl Bucket {
    /// What is used of it by now; what came back since the last look is back.
    fn used(&mut self, (rate, most): (u64, u64), now: Instant) -> u64 {
        let since = *self.since.get_or_insert(now);
        let micros = now.saturating_duration_since(since).as_micros();
        let back = micros.saturating_mul(u128::from(rate)) / 1_000_000;
        let back = u64::try_from(back).unwrap_or(u64::MAX);
        if back > 0 {
            self.used = self.used.saturating_sub(back).min(most);
            self.since = Some(now);
        }
        self.used
    }

    fn has(&mut self, amount: u64, bound: (u64, u64), now: Instant) -> bool {
        self.used(bound, now).saturating_add(amount) <= bound.1
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn kind(place: &'static str, caller: Option<&str>, tool: Option<String>) -> Kind {
        Kind {
            place: (place, 1),
            caller: caller.map(str::to_owned),
            tool,
        }
    }

    /// How many of so many lines of this size are written at this moment.
    fn written(rates: &mut Rates, kind: &Kind, lines: usize, bytes: u64, now: Instant) -> usize {
        let kind = rates.remember(kind.clone(), now);
        (0..lines)
            .filter(|_| rates.admits(&kind, bytes, now))
            .count()
    }

    #[test]
    fn x47_a_kind_of_line_has_a_rate_and_what_is_left_out_is_counted() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        let (one, other) = (kind("one", None, None), kind("other", None, None));
        let most = usize::try_from(LINES.1).unwrap();
        assert_eq!(written(&mut rates, &one, 2 * most, 1, now), most);
        assert_eq!(written(&mut rates, &other, 10, 1, now), 10);
        let later = now + Duration::from_secs(1);
        assert_eq!(written(&mut rates, &one, 2 * most, 1, later), 100);
        let left_out = rates.take_left_out();
        let sum = (2 * LINES.1 + LINES.1 - 100, 2 * LINES.1 + LINES.1 - 100);
        assert_eq!(left_out[&("one", 1)].sum, sum);
        assert!(!left_out.contains_key(&("other", 1)));
        assert!(rates.take_left_out().is_empty());
    }

    #[test]
    fn x47_bytes_have_a_rate_of_which_a_kind_takes_half() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        let (one, other) = (kind("one", None, None), kind("other", None, None));
        let mut taken = |kind, now| written(&mut rates, kind, 100, BYTES / 8, now);
        assert_eq!(taken(&one, now), 4);
        assert_eq!(taken(&other, now), 2);
        // It comes back with the next window, and no more than it was.
        assert_eq!(taken(&one, now + WINDOW / 2), 0);
        assert_eq!(taken(&one, now + WINDOW), 4);
        assert_eq!(taken(&one, now + Duration::from_secs(3_600)), 4);
        let left_out = rates.take_left_out();
        let counted: u64 = left_out.values().map(|place| place.sum.0).sum();
        assert_eq!(counted, 500 - 14);
    }

    /// Whatever others say and from however many places and tools, a caller's lines are written.
    #[test]
    fn x76_what_a_flood_takes_is_no_more_than_it_leaves() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        let line = 4 << 10;
        let mut flood = 0;
        for tool in 0..100 {
            for place in ["one", "other"] {
                let kind = kind(place, Some("mallory"), Some(format!("tool{tool}")));
                flood += written(&mut rates, &kind, 1_000, line, now);
            }
        }
        let all = usize::try_from(BYTES / line).unwrap();
        assert!(flood <= all / 2, "{flood} of {all}");
        for caller in ["alice", "bob"] {
            let kind = kind("one", Some(caller), None);
            assert_eq!(written(&mut rates, &kind, 20, line, now), 20);
        }
        let left_out = rates.take_left_out();
        let (caller, _) = left_out[&("one", 1)].most.as_ref().unwrap();
        assert_eq!(caller, "mallory");
    }

    #[test]
    fn x76_so_many_kinds_are_remembered_and_the_others_are_their_places() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        for number in 0..MOST + 500 {
            let kind = kind("one", Some(&format!("caller{number}")), None);
            let known = rates.remember(kind.clone(), now);
            assert!(rates.admits(&known, 1, now));
            assert_eq!(known == kind, number < MOST);
        }
        assert!(rates.kinds.len() <= MOST + 1);
        // What is long over makes room.
        let later = now + Duration::from_secs(60);
        let late = kind("one", Some("late"), None);
        assert_eq!(rates.remember(late.clone(), later), late);
    }
}
