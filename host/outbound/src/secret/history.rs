//! The values that secrets have and had, and which functions use which of them: one history for the
//! whole host, which setups from before and after a reload share.
//!
//! Values are kept by the place that they come from, so that it makes no difference what a manifest
//! calls a secret. A value is kept while anybody holds it (it is in force, or a call that runs has sent
//! it), and for an hour after that. Of a function it is known what its grants use, and used within the
//! hour: that is what is looked for in all that its calls bring back, and nothing else, so that no guest
//! sees a difference by what other functions' grants hold.
//!
//! It does not know names in manifests, requests, or who calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::scrub::{Patterns, PatternsError};
use super::search::MOST_FORMS;
use super::value::{LONG_ENOUGH, Secret};
use super::watch::{PatternSource, SecretPatterns, Seeking};
use crate::dial::basic;
use crate::terms::Clock;

/// How long a value that nobody holds any more is still taken out: as long as the longest call may
/// last.
pub(super) const REMEMBERED: Duration = Duration::from_secs(3600);

/// How many values of a place are remembered: the newest, and all that somebody holds.
pub(super) const MOST_REMEMBERED: usize = 256;

/// How many values are sought at once beyond those that somebody holds. Each has up to 36 forms: its own,
/// those of its core, and those of what is sent of it in basic authentication.
const MOST_SOUGHT: usize = MOST_FORMS / 36;

/// A shorter secret is not looked for in what goes out: it stands in ordinary text, and that a request
/// is refused would tell any tool that it guessed another one's.
const LEAST_GUARDED: usize = LONG_ENOUGH;

/// What secrets were and are, and who uses them.
#[derive(Debug, Default)]
pub struct History {
    clock: Clock,
    /// Grows with every value, and with every use.
    changes: AtomicU64,
    values: RwLock<Values>,
    functions: Mutex<BTreeMap<Arc<str>, Arc<Seeking>>>,
    /// All values that are long enough.
    guarded: Seeking,
}

type Values = BTreeMap<Arc<str>, Vec<Known>>;

#[derive(Debug)]
struct Known {
    value: Secret,
    /// When it was last known to be in force.
    since: Instant,
}

/// A value that is sought, and the user that it is sent with, where there is one.
type Found<'v> = (&'v Known, Option<&'v str>);

impl Known {
    /// Whether anybody but this history holds it.
    fn is_held(&self) -> bool {
        self.value.holders() > 1
    }

    fn counts(&self, now: Instant) -> bool {
        self.is_held() || now.duration_since(self.since) < REMEMBERED
    }
}

impl History {
    /// An empty one by this clock.
    #[must_use]
    pub fn timed_by(clock: Clock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// By which values and uses age.
    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Notes a value of a place, before anybody can send it, and gives it as this history holds it.
    pub(super) fn note(&self, place: &Arc<str>, value: Secret) -> Secret {
        let now = self.clock.now();
        let mut values = self.values_mut();
        let known = values.entry(Arc::clone(place)).or_default();
        let noted = match known.iter_mut().find(|known| known.value == value) {
            Some(known) => {
                known.since = now;
                known.value.clone()
            }
            None => {
                let noted = value.clone();
                known.push(Known { value, since: now });
                noted
            }
        };
        values.retain(|_, known| {
            sweep(known, now);
            !known.is_empty()
        });
        // While the lock is held: whoever can read the new value sees that it is new.
        self.changed();
        noted
    }

    /// Notes that a value is no longer in force.
    pub(super) fn replaced(&self, place: &str, value: &Secret) {
        let mut values = self.values_mut();
        let known = values.get_mut(place).into_iter().flatten();
        for known in known.filter(|known| known.value == *value) {
            known.since = self.clock.now();
        }
    }

    /// What is looked for in all that a function's calls bring back: what its grants use from now on,
    /// and what those of the same function used, before this or after it.
    ///
    /// # Errors
    /// There are too many secrets to be searched for.
    pub fn watch(
        self: &Arc<Self>,
        function: &str,
        sought: Vec<PatternSource>,
    ) -> Result<Arc<SecretPatterns>, PatternsError> {
        let seeking = {
            let mut functions = self
                .functions
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.now();
            functions.retain(|_, seeking| Arc::strong_count(seeking) > 1 || seeking.is_of_use(now));
            Arc::clone(functions.entry(function.into()).or_default())
        };
        let own = seeking.uses(sought, self.clock.now());
        self.changed();
        let watch = SecretPatterns::new(Arc::clone(self), seeking, own);
        self.prepare(watch.seeking())?;
        Ok(Arc::new(watch))
    }

    /// The patterns of all that is too long to be guessed, whoever uses it.
    pub(super) fn guarded(&self) -> Patterns {
        self.patterns(&self.guarded)
    }

    /// The patterns of what is sought, as values and uses are now.
    pub(super) fn patterns(&self, seeking: &Seeking) -> Patterns {
        let (of, known) = seeking.made();
        if of == Some(self.changes()) {
            return known;
        }
        self.prepare(seeking).unwrap_or_else(|error| {
            // What is not sought is not sent either.
            tracing::error!(%error, "the new value of a secret cannot be searched for");
            known
        })
    }

    fn prepare(&self, seeking: &Seeking) -> Result<Patterns, PatternsError> {
        // Before the values: they may be newer than this says, never older.
        let changes = self.changes();
        let now = self.clock.now();
        let sought = seeking.sought(now);
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        let texts = match std::ptr::eq(seeking, &self.guarded) {
            true => texts(all(&values), LEAST_GUARDED, now),
            false => texts(of(&values, &sought), 0, now),
        };
        drop(values);
        seeking.make(changes, &texts)
    }

    /// Grows whenever a value or a use changes.
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn values_mut(&self) -> RwLockWriteGuard<'_, Values> {
        self.values.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many values of a place are kept.
    #[cfg(test)]
    pub(super) fn count(&self, place: &str) -> usize {
        self.values_mut().get(place).map_or(0, Vec::len)
    }

    /// Lets the time pass after which values are forgotten that nobody holds.
    #[cfg(test)]
    pub(super) fn age(&self) {
        for known in self.values_mut().values_mut().flatten() {
            known.since -= REMEMBERED;
        }
        self.changed();
    }
}

/// The values that these uses have sent, or may.
fn of<'v>(values: &'v Values, sought: &'v [Arc<PatternSource>]) -> Vec<Found<'v>> {
    let each = sought.iter().flat_map(|sought| {
        let known = values.get(sought.place()).into_iter().flatten();
        known.map(|known| (known, sought.user()))
    });
    each.collect()
}

/// All values that are long enough.
fn all(values: &Values) -> Vec<Found<'_>> {
    let long = |known: &&Known| known.value.expose().len() >= LEAST_GUARDED;
    let each = values.values().flatten().filter(long);
    each.map(|known| (known, None)).collect()
}

/// What is searched for: all that somebody holds, and of the rest the newest; with each value its core,
/// where that has as many bytes as `least`. Nothing is cloned before it is chosen: a clone would hold it.
fn texts(found: Vec<Found<'_>>, least: usize, now: Instant) -> Vec<Zeroizing<Vec<u8>>> {
    let counting = found.into_iter().filter(|(known, _)| known.counts(now));
    let mut found: Vec<_> = counting.map(|one| (one.0.is_held(), one)).collect();
    found.sort_by_key(|(is_held, (known, _))| std::cmp::Reverse((*is_held, known.since)));
    let held = found.iter().filter(|(is_held, _)| *is_held).count();
    found.truncate(held.max(MOST_SOUGHT));
    let texts = found.into_iter().flat_map(|(_, (known, user))| {
        let pair = user.map(|user| basic(user, &known.value));
        let (plain, core) = (known.value.expose(), known.value.core());
        let core = (core != plain && core.len() >= least).then_some(core);
        let own = [plain].into_iter().chain(core);
        let own = own.map(|text| Zeroizing::new(text.to_vec()));
        pair.into_iter().chain(own.collect::<Vec<_>>())
    });
    texts.collect()
}

/// Forgets what is too old, and what is too much: the oldest first, and nothing that anybody holds.
fn sweep(known: &mut Vec<Known>, now: Instant) {
    known.retain(|known| known.counts(now));
    while known.len() > MOST_REMEMBERED {
        let free = known
            .iter()
            .enumerate()
            .filter(|(_, known)| !known.is_held());
        let Some((oldest, _)) = free.min_by_key(|(_, known)| known.since) else {
            return;
        };
        known.remove(oldest);
    }
}

#[cfg(test)]
mod tests;
