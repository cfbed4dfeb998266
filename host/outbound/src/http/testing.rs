//! Secrets for the tests of this folder.

#![allow(missing_docs, reason = "for tests")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use crate::secret::{Secret, Secrets};

/// Secrets by name.
pub fn secrets(pairs: &[(&str, &str)]) -> Secrets {
    let secret = |value: &str| Secret::new(value.as_bytes().to_vec()).unwrap();
    pairs
        .iter()
        .map(|(name, value)| (Arc::from(*name), secret(value)))
        .collect()
}
