//! The secrets of a host by name: asked for at the start, asked for again when they have aged, and
//! the values before kept in mind so that they are still taken out of what calls in flight bring back.
//!
//! It does not know what a value is used for. A value that cannot be had anew stays the old one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::source::{SecretSource, SourceError};
use super::value::{LONG_ENOUGH, Secret};
use super::watch::{Sought, Watch};

/// A source that failed, or whose value an upstream did not take, is not asked more often.
const AGAIN: Duration = Duration::from_secs(10);

/// How long a value that was replaced is still taken out: as long as the longest call may last.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How many replaced values of a secret are remembered.
const MOST_REMEMBERED: usize = 16;

/// A shorter secret is not looked for in what goes out: it stands in ordinary text, and that a request
/// is refused would tell any tool that it guessed another one's.
const LEAST_GUARDED: usize = LONG_ENOUGH;

/// The secrets of a host, by their names in the manifest.
#[derive(Debug)]
pub struct Secrets {
    slots: BTreeMap<Arc<str>, Arc<Slot>>,
    changes: Arc<AtomicU64>,
    pub(super) guarded: Watch,
}

/// A secret that could not be loaded.
#[derive(Debug)]
pub struct Unloaded {
    /// Its name.
    pub name: Arc<str>,
    /// Why.
    pub error: SourceError,
}

#[derive(Debug)]
struct Slot {
    name: Arc<str>,
    /// None for a value that was given once and for all.
    source: Option<Box<dyn SecretSource>>,
    held: RwLock<Held>,
    /// Held by whoever asks the source.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Grows with every change of any secret.
    changes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Held {
    value: Secret,
    before: Vec<(Secret, Instant)>,
    /// When the source was asked last.
    asked: Instant,
    /// When it is worth asking again.
    due: Option<Instant>,
    /// It did not answer last time.
    failing: bool,
}

impl Secrets {
    /// Asks every source for its value.
    ///
    /// # Errors
    /// All secrets that cannot be had.
    pub async fn load(
        sources: Vec<(Arc<str>, Box<dyn SecretSource>)>,
    ) -> Result<Self, Vec<Unloaded>> {
        let changes = Arc::new(AtomicU64::new(1));
        let (mut slots, mut unloaded) = (BTreeMap::new(), Vec::new());
        for (name, source) in sources {
            match first(&*source).await {
                Ok(value) => {
                    let slot = Slot::new(&name, value, Some(source), &changes);
                    slots.insert(name, Arc::new(slot));
                }
                Err(error) => unloaded.push(Unloaded { name, error }),
            }
        }
        if unloaded.is_empty() {
            Ok(Self::of(slots, changes))
        } else {
            Err(unloaded)
        }
    }

    fn of(slots: BTreeMap<Arc<str>, Arc<Slot>>, changes: Arc<AtomicU64>) -> Self {
        let sought = slots.keys().map(|name| Sought::plain(Arc::clone(name)));
        let guarded = Watch::longer_than(LEAST_GUARDED, sought.collect());
        Self {
            slots,
            changes,
            guarded,
        }
    }

    /// The value of this name, asked for anew where it has aged. A source that fails leaves the old
    /// one. Nobody waits for one that failed before.
    pub async fn current(&self, name: &str) -> Option<Secret> {
        let slot = self.slots.get(name)?;
        if let Some(failing) = slot.is_due() {
            slot.ask();
            if !failing {
                // Whoever asks has it until there is an answer.
                drop(slot.turn.lock().await);
            }
        }
        Some(slot.held().value.clone())
    }

    /// Keeps in mind what the secrets of these names were before, as if they had been exchanged: their
    /// old values are still taken out of what comes back.
    pub fn remember(&self, former: &Self) {
        let now = Instant::now();
        for (name, slot) in &self.slots {
            let known = former.known(name);
            let mut held = slot.change();
            let value = held.value.clone();
            let before = known.into_iter().filter(|known| *known != value);
            held.before.extend(before.map(|known| (known, now)));
            held.before.truncate(MOST_REMEMBERED);
        }
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Says that an upstream did not take the value of this name: it is asked for anew when it is
    /// needed next, though not again and again.
    pub fn suspect(&self, name: &str) {
        if let Some(slot) = self.slots.get(name) {
            slot.suspect();
        }
    }

    /// Lets the time pass before which no source is asked again.
    #[cfg(test)]
    pub(crate) fn age(&self) {
        for slot in self.slots.values() {
            slot.change().asked -= AGAIN;
        }
    }

    /// The value of this name and those before it.
    pub(super) fn known(&self, name: &str) -> Vec<Secret> {
        let Some(slot) = self.slots.get(name) else {
            return Vec::new();
        };
        let held = slot.held();
        let before = held.before.iter().map(|(secret, _)| secret.clone());
        std::iter::once(held.value.clone()).chain(before).collect()
    }

    /// Grows whenever a value changes.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::of(BTreeMap::new(), Arc::new(AtomicU64::new(1)))
    }
}

/// Values that are given once and for all.
impl FromIterator<(Arc<str>, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Secret)>>(pairs: I) -> Self {
        let changes = Arc::new(AtomicU64::new(1));
        let slot = |(name, value)| {
            let slot = Slot::new(&name, value, None, &changes);
            (name, Arc::new(slot))
        };
        let slots = pairs.into_iter().map(slot).collect();
        Self::of(slots, Arc::clone(&changes))
    }
}

async fn first(source: &dyn SecretSource) -> Result<Secret, SourceError> {
    let value = source.read().await?.unwrap_or_default();
    Ok(Secret::checked(value, source.accepts_short())?)
}

impl Slot {
    fn new(
        name: &Arc<str>,
        value: Secret,
        source: Option<Box<dyn SecretSource>>,
        changes: &Arc<AtomicU64>,
    ) -> Self {
        let asked = Instant::now();
        let holds = source.as_ref().and_then(|source| source.holds());
        Self {
            name: Arc::clone(name),
            source,
            held: RwLock::new(Held {
                value,
                before: Vec::new(),
                asked,
                due: holds.map(|holds| asked + holds),
                failing: false,
            }),
            turn: Arc::default(),
            changes: Arc::clone(changes),
        }
    }

    fn held(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is worth asking the source; and if so, whether it failed last time.
    fn is_due(&self) -> Option<bool> {
        let held = self.held();
        let due = held.due.is_some_and(|due| due <= Instant::now());
        due.then_some(held.failing)
    }

    fn suspect(&self) {
        let mut held = self.change();
        let again = held.asked + AGAIN;
        held.due = held.due.map(|due| due.min(again));
    }

    /// Asks the source, if nobody does: in a task of its own, which a call that goes away does not
    /// end half way, and of which there is never more than one.
    fn ask(self: &Arc<Self>) {
        if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
            let slot = Arc::clone(self);
            tokio::spawn(async move {
                slot.renew().await;
                drop(turn);
            });
        }
    }

    async fn renew(&self) {
        let Some(source) = &self.source else { return };
        // Somebody may just have done it.
        if self.is_due().is_none() {
            return;
        }
        let read = source.read().await;
        let secret = |value| Secret::checked(value, source.accepts_short());
        let value = read.and_then(|value| Ok(value.map(secret).transpose()?));
        let failed = value.as_ref().err().map(ToString::to_string);
        let changed = self.take(value.unwrap_or_default(), failed.is_some(), source.holds());
        let secret = &*self.name;
        if let Some(error) = failed {
            tracing::warn!(
                secret,
                error,
                "a secret cannot be read anew; its last value stays in use"
            );
        } else if changed {
            tracing::info!(secret, "a secret has a new value");
        }
    }

    /// Notes what the source answered; whether that is another value.
    fn take(&self, value: Option<Secret>, failing: bool, holds: Option<Duration>) -> bool {
        let now = Instant::now();
        let mut held = self.change();
        let wait = holds.map(|holds| if failing { holds.min(AGAIN) } else { holds });
        held.asked = now;
        held.due = wait.map(|wait| now + wait);
        held.failing = failing;
        let before = held.before.len();
        held.before
            .retain(|(_, since)| now.duration_since(*since) < REMEMBERED);
        let forgot = held.before.len() < before;
        let new = value.filter(|value| *value != held.value);
        let changed = new.is_some();
        if let Some(new) = new {
            let old = std::mem::replace(&mut held.value, new);
            held.before.insert(0, (old, now));
            held.before.truncate(MOST_REMEMBERED);
        }
        if changed || forgot {
            // While the lock is held: whoever can read the new value sees that it is new.
            self.changes.fetch_add(1, Ordering::Release);
        }
        changed
    }
}

#[cfg(test)]
mod tests;
