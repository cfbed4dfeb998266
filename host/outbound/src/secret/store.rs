//! The secrets of a manifest by name: asked for at the start, and asked for again when they have aged.
//! Every value is noted in the host's history before anybody can send it, so that it is taken out of
//! what calls bring back, now and when it was replaced.
//!
//! It does not know what a value is used for. A value that cannot be had anew stays the old one; one that
//! could not be had at all is asked for until it can.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::history::History;
use super::source::{SecretSource, SourceError};
use super::value::{Secret, SecretMark};

/// A source that failed, or whose value an upstream did not take, is not asked more often.
const AGAIN: Duration = Duration::from_secs(10);

/// The secrets of a host, by their names in the manifest.
#[derive(Debug, Default)]
pub struct Secrets {
    slots: BTreeMap<Arc<str>, Arc<Slot>>,
    history: Arc<History>,
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
    /// Where its value comes from, by which the history knows it.
    place: Arc<str>,
    history: Arc<History>,
    /// None for a value that was given once and for all.
    source: Option<Box<dyn SecretSource>>,
    held: RwLock<Held>,
    /// Held by whoever asks the source.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Held {
    /// None where there never was one.
    value: Option<Secret>,
    /// When the source was asked last.
    asked: Instant,
    /// When it is worth asking again.
    due: Option<Instant>,
    /// It did not answer last time.
    failing: bool,
}

impl Secrets {
    /// Asks every source for its value, and gives all that cannot be had beside the others. What the host
    /// has loaded before, and calls in flight may still send, is in the same history.
    pub async fn load(
        sources: Vec<(Arc<str>, Box<dyn SecretSource>)>,
        history: Arc<History>,
    ) -> (Self, Vec<Unloaded>) {
        let (mut slots, mut unloaded) = (BTreeMap::new(), Vec::new());
        for (name, source) in sources {
            let value = match first(&*source).await {
                Ok(value) => Some(value),
                Err(error) => {
                    let name = Arc::clone(&name);
                    unloaded.push(Unloaded { name, error });
                    None
                }
            };
            let slot = Slot::new(&name, value, Some(source), &history);
            slots.insert(name, Arc::new(slot));
        }
        (Self { slots, history }, unloaded)
    }

    /// The names of those that have no value, and had none.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        let missing = |slot: &&Arc<Slot>| slot.held().value.is_none();
        self.slots.values().filter(missing).map(|slot| &*slot.name)
    }

    /// Does something with each value there is, and its name.
    pub fn each(&self, mut look: impl FnMut(&str, &Secret)) {
        for slot in self.slots.values() {
            if let Some(value) = &slot.held().value {
                look(&slot.name, value);
            }
        }
    }

    /// All that this host's secrets are and were, whatever they are called.
    #[must_use]
    pub const fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Where the secret of this name comes from, by which the history knows its values.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<Arc<str>> {
        self.slots.get(name).map(|slot| Arc::clone(&slot.place))
    }

    /// By what the value of this name is known again, where it has one now.
    #[must_use]
    pub fn mark(&self, name: &str) -> Option<SecretMark> {
        let slot = self.slots.get(name)?;
        slot.held().value.as_ref().map(Secret::mark)
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
        slot.held().value.clone()
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
}

/// Values that are given once and for all.
impl FromIterator<(Arc<str>, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Secret)>>(pairs: I) -> Self {
        let history = Arc::default();
        let slot = |(name, value)| {
            let slot = Slot::new(&name, Some(value), None, &history);
            (name, Arc::new(slot))
        };
        let slots = pairs.into_iter().map(slot).collect();
        Self { slots, history }
    }
}

/// How long it is waited before a source is asked again.
fn wait(holds: Duration, failing: bool) -> Duration {
    match failing {
        true => holds.min(AGAIN),
        false => holds,
    }
}

async fn first(source: &dyn SecretSource) -> Result<Secret, SourceError> {
    let value = source.read().await?.unwrap_or_default();
    Ok(Secret::checked(value, source.accepts_short())?)
}

impl Slot {
    fn new(
        name: &Arc<str>,
        value: Option<Secret>,
        source: Option<Box<dyn SecretSource>>,
        history: &Arc<History>,
    ) -> Self {
        let asked = history.clock().now();
        let place = source.as_ref().map(|source| source.place());
        let place: Arc<str> = place.unwrap_or_else(|| format!("value {name}")).into();
        let holds = source.as_ref().and_then(|source| source.holds());
        Self {
            name: Arc::clone(name),
            source,
            held: RwLock::new(Held {
                asked,
                due: holds.map(|holds| asked + wait(holds, value.is_none())),
                failing: value.is_none(),
                value: value.map(|value| history.note(&place, value)),
            }),
            turn: Arc::default(),
            place,
            history: Arc::clone(history),
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
        let due = held
            .due
            .is_some_and(|due| due <= self.history.clock().now());
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
                "a secret cannot be read anew; its last value stays in use, if it had one"
            );
        } else if changed {
            tracing::info!(secret, "a secret has a new value");
        }
    }

    /// Notes what the source answered; whether that is another value.
    fn take(&self, value: Option<Secret>, failing: bool, holds: Option<Duration>) -> bool {
        let now = self.history.clock().now();
        let mut held = self.change();
        held.asked = now;
        held.due = holds.map(|holds| now + wait(holds, failing));
        held.failing = failing;
        let new = value.filter(|value| held.value.as_ref() != Some(value));
        let changed = new.is_some();
        if let Some(new) = new {
            if let Some(odd) = new.oddity() {
                let secret = &*self.name;
                tracing::warn!(secret, "the new value of a secret {odd}");
            }
            // While the lock is held: whoever can read the new value finds it in the history.
            let new = self.history.note(&self.place, new);
            if let Some(old) = held.value.replace(new) {
                self.history.replaced(&self.place, &old);
            }
        }
        changed
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(value) = &self.held().value {
            self.history.replaced(&self.place, value);
        }
    }
}

#[cfg(test)]
mod tests;
