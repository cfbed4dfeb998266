//! Credentials in memory: held, looked up by name, wiped when dropped, never shown.
//!
//! It does not know where they come from; whoever loads them brings the bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The fewest bytes of a secret. Shorter ones would be found, and taken out, in any answer.
pub const MIN_SECRET: usize = 4;

/// The most bytes of a secret. What is longer does not fit a header.
pub const MAX_SECRET: usize = 8 << 10;

/// One credential. Its memory is wiped when it is dropped; copies inside the HTTP client are not.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why bytes cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Fewer than [`MIN_SECRET`] bytes.
    #[error("a secret needs at least {MIN_SECRET} bytes, or it could not be told from other text")]
    TooShort,
    /// More than [`MAX_SECRET`] bytes.
    #[error("a secret has at most {MAX_SECRET} bytes, or it would not fit a header")]
    TooLong,
    /// A control character: no header and no URL can carry it.
    #[error("a secret holds a control character (a line break?), which no request can carry")]
    Control,
}

impl Secret {
    /// Takes the bytes of a credential.
    ///
    /// # Errors
    /// Why they cannot be one. The bytes are wiped in that case too.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < MIN_SECRET {
            return Err(SecretError::TooShort);
        }
        if bytes.len() > MAX_SECRET {
            return Err(SecretError::TooLong);
        }
        if bytes.iter().any(u8::is_ascii_control) {
            return Err(SecretError::Control);
        }
        Ok(Self(bytes))
    }

    /// The credential itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The credentials of a host, by their names in the manifest.
#[derive(Debug, Clone, Default)]
pub struct Secrets(BTreeMap<Arc<str>, Secret>);

impl Secrets {
    /// The credential of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// Adds a credential, in the place of one that has this name.
    pub fn insert(&mut self, name: Arc<str>, secret: Secret) {
        self.0.insert(name, secret);
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &Secret> {
        self.0.values()
    }
}

impl FromIterator<(Arc<str>, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Secret)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn what_no_request_can_carry_is_no_secret() {
        let longest = "x".repeat(MAX_SECRET);
        let long = "x".repeat(MAX_SECRET + 1);
        for (bytes, expected) in [
            ("", Some(SecretError::TooShort)),
            ("abc", Some(SecretError::TooShort)),
            ("abcd", None),
            ("pass word with spaces", None),
            ("pässword", None),
            ("token\n", Some(SecretError::Control)),
            ("to\0ken", Some(SecretError::Control)),
            ("to\x7fken", Some(SecretError::Control)),
            (&longest, None),
            (&long, Some(SecretError::TooLong)),
        ] {
            let found = Secret::new(bytes.as_bytes().to_vec()).err();
            assert_eq!(found, expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new(b"hunter2 hunter2".to_vec()).unwrap();
        let mut secrets = Secrets::default();
        secrets.insert("name".into(), secret.clone());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert!(!format!("{secrets:?}").contains("hunter2"));
        assert_eq!(secrets.get("name").unwrap().expose(), b"hunter2 hunter2");
        assert!(secrets.get("other").is_none());
    }
}
