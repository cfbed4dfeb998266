//! The patterns of some secrets, made anew when one of them changes.
//!
//! It does not know why a secret changed, nor what is searched.

use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use super::scrub::{Patterns, PatternsError};
use super::store::Secrets;
use crate::capability::service::dial::basic;

/// What is looked for: a secret, and the form in which it is sent.
#[derive(Debug, Clone)]
pub struct Sought {
    name: Arc<str>,
    user: Option<String>,
}

/// The patterns of some secrets.
#[derive(Debug)]
pub struct Watch {
    sought: Vec<Sought>,
    least: usize,
    /// With the number of changes that they know of.
    made: RwLock<(u64, Patterns)>,
}

impl Sought {
    /// The secret of this name.
    #[must_use]
    pub const fn plain(name: Arc<str>) -> Self {
        Self { name, user: None }
    }

    /// The secret of this name, and what is sent of it for this user in basic authentication:
    /// `user:secret` in base64, which is sought as a whole, too.
    #[must_use]
    pub const fn basic(name: Arc<str>, user: String) -> Self {
        Self {
            name,
            user: Some(user),
        }
    }

    fn values(&self, secrets: &Secrets, least: usize) -> Vec<Zeroizing<Vec<u8>>> {
        let known = secrets.known(&self.name).into_iter();
        let known = known.filter(|secret| secret.expose().len() >= least);
        known
            .flat_map(|secret| {
                let pair = self.user.as_ref().map(|user| basic(user, &secret));
                pair.into_iter()
                    .chain([Zeroizing::new(secret.expose().to_vec())])
            })
            .collect()
    }
}

impl Watch {
    /// The patterns of these secrets.
    #[must_use]
    pub fn new(sought: Vec<Sought>) -> Self {
        Self::longer_than(0, sought)
    }

    /// The patterns of those of these secrets that have at least so many bytes.
    pub(super) fn longer_than(least: usize, sought: Vec<Sought>) -> Self {
        Self {
            sought,
            least,
            made: RwLock::default(),
        }
    }

    /// Makes them, so that a failure shows at once.
    ///
    /// # Errors
    /// The secrets are too large to be searched for.
    pub fn prepare(&self, secrets: &Secrets) -> Result<Patterns, PatternsError> {
        // Before the values: they may be newer than this says, never older.
        let changes = secrets.changes();
        let values = self.sought.iter();
        let values: Vec<_> = values
            .flat_map(|sought| sought.values(secrets, self.least))
            .collect();
        let patterns = Patterns::new(values.iter().map(|value| value.as_slice()))?;
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        if made.0 < changes {
            *made = (changes, patterns.clone());
        }
        Ok(patterns)
    }

    /// The patterns as the secrets are now. Without secrets to look for they are empty for ever.
    #[must_use]
    pub fn patterns(&self, secrets: &Secrets) -> Patterns {
        if self.sought.is_empty() {
            return Patterns::default();
        }
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let known = made.1.clone();
        if made.0 == secrets.changes() {
            return known;
        }
        drop(made);
        self.prepare(secrets).unwrap_or_else(|error| {
            // The machine for the values of one size was built at the start, and a value has a bound:
            // this takes more secrets than a manifest holds.
            tracing::error!(%error, "the new value of a secret cannot be searched for");
            known
        })
    }
}
