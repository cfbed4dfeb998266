//! What is sought for one function, and its patterns, made anew when a value or a use changes.
//!
//! It does not know why something changed, nor what is searched.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use zeroize::Zeroizing;

use super::history::{History, REMEMBERED};
use super::scrub::{Patterns, PatternsError};

/// What is looked for: the secret of a place, and the form in which it is sent.
#[derive(Debug, PartialEq, Eq)]
pub struct PatternSource {
    place: Arc<str>,
    user: Option<String>,
}

/// The secrets that a function's grants use, of all setups in which there are calls of it.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    uses: Mutex<Vec<Use>>,
    /// With the number of changes that they know of.
    made: RwLock<(Option<u64>, Patterns)>,
}

#[derive(Debug)]
struct Use {
    sought: Arc<PatternSource>,
    /// When the last grants that do so began or ended.
    since: Instant,
}

/// What is sought for the calls of a function, as long as this is held.
#[derive(Debug)]
pub struct SecretPatterns {
    history: Arc<History>,
    seeking: Arc<Seeking>,
    own: Vec<Arc<PatternSource>>,
}

impl PatternSource {
    /// The secret that comes from this place.
    #[must_use]
    pub const fn plain(place: Arc<str>) -> Self {
        Self { place, user: None }
    }

    /// The secret that comes from this place, and what is sent of it for this user in basic
    /// authentication: `user:secret` in base64, which is sought as a whole, too.
    #[must_use]
    pub const fn basic(place: Arc<str>, user: String) -> Self {
        Self {
            place,
            user: Some(user),
        }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

impl Use {
    fn counts(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.since);
        Arc::strong_count(&self.sought) > 1 || age < REMEMBERED
    }
}

impl Seeking {
    /// Notes that these are used from now on, and gives what the user has to hold.
    pub(super) fn uses(&self, sought: Vec<PatternSource>, now: Instant) -> Vec<Arc<PatternSource>> {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.retain(|known| known.counts(now));
        let each = sought.into_iter().map(|sought| {
            if let Some(known) = uses.iter_mut().find(|known| *known.sought == sought) {
                known.since = now;
                return Arc::clone(&known.sought);
            }
            let sought = Arc::new(sought);
            uses.push(Use {
                sought: Arc::clone(&sought),
                since: now,
            });
            sought
        });
        each.collect()
    }

    /// Notes that whoever held these ends.
    fn ends(&self, own: &[Arc<PatternSource>], now: Instant) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = |known: &&mut Use| own.iter().any(|own| Arc::ptr_eq(own, &known.sought));
        for known in uses.iter_mut().filter(ends) {
            known.since = now;
        }
    }

    /// Whether anything is still to be sought.
    pub(super) fn is_of_use(&self, now: Instant) -> bool {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.iter().any(|known| known.counts(now))
    }

    /// All that is used, or was a while ago.
    pub(super) fn sought(&self, now: Instant) -> Vec<Arc<PatternSource>> {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let each = uses.iter().filter(|known| known.counts(now));
        each.map(|known| Arc::clone(&known.sought)).collect()
    }

    /// The patterns that were made last, and as of how many changes.
    pub(super) fn made(&self) -> (Option<u64>, Patterns) {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        made.clone()
    }

    /// Makes the patterns of these, as of so many changes.
    pub(super) fn make(
        &self,
        changes: u64,
        texts: &[Zeroizing<Vec<u8>>],
    ) -> Result<Patterns, PatternsError> {
        let patterns = Patterns::new(texts.iter().map(|text| text.as_slice()))?;
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if made.0 < Some(changes) {
            *made = (Some(changes), patterns.clone());
        }
        Ok(patterns)
    }
}

impl SecretPatterns {
    pub(super) const fn new(
        history: Arc<History>,
        seeking: Arc<Seeking>,
        own: Vec<Arc<PatternSource>>,
    ) -> Self {
        Self {
            history,
            seeking,
            own,
        }
    }

    pub(super) fn seeking(&self) -> &Seeking {
        &self.seeking
    }

    /// The patterns as values and uses are now. A stream that is begun with them takes in what changes
    /// while it flows.
    #[must_use]
    pub fn patterns(self: &Arc<Self>) -> Patterns {
        self.now().followed_by(self)
    }

    /// The patterns as values and uses are now.
    pub(super) fn now(&self) -> Patterns {
        self.history.patterns(&self.seeking)
    }
}

impl Drop for SecretPatterns {
    fn drop(&mut self) {
        self.seeking.ends(&self.own, self.history.clock().now());
    }
}
