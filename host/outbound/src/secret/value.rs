//! One credential in memory: held, wiped when the last holder drops it, never shown.
//!
//! It does not know where it comes from; whoever loads it brings the bytes.

use std::fmt;
use std::sync::{Arc, Weak};

use zeroize::Zeroizing;

use super::core;

/// The fewest bytes of a secret. Shorter ones would be found, and taken out, in any answer.
pub const MIN_SECRET: usize = 4;

/// The fewest bytes of a secret that nobody has to accept: a guess that is right shows, so what can be
/// guessed in a few calls is no secret.
pub const LONG_ENOUGH: usize = 16;

/// The most bytes of a secret. What is longer does not fit a header.
pub const MAX_SECRET: usize = 8 << 10;

/// One credential. Its memory is wiped when its last holder is dropped; the copies inside the HTTP
/// client are not.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

/// Which secret it was, and nothing of it: it keeps no value. A host holds equal values of one place
/// once, so their marks are equal.
#[derive(Debug, Clone)]
pub struct SecretMark(Weak<Zeroizing<Vec<u8>>>);

impl PartialEq for SecretMark {
    fn eq(&self, other: &Self) -> bool {
        // No other secret comes to live at the address while this is held.
        self.0.ptr_eq(&other.0)
    }
}

impl Eq for SecretMark {}

/// Why bytes cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No byte at all.
    #[error("it is empty")]
    Empty,
    /// Fewer than [`MIN_SECRET`] bytes.
    #[error("a secret needs at least {MIN_SECRET} bytes, or it could not be told from other text")]
    TooShort,
    /// Fewer than [`LONG_ENOUGH`] bytes, and nobody accepted that.
    #[error(
        "it has fewer than {LONG_ENOUGH} bytes (blanks at its ends and the name of a scheme do not \
         count), and a tool can find out by trying what is so short; use a longer one, or write \
         `accept_short = true` in its section"
    )]
    Guessable,
    /// More than [`MAX_SECRET`] bytes.
    #[error("a secret has at most {MAX_SECRET} bytes, or it would not fit a header")]
    TooLong,
    /// A control character: no header and no URL can carry it.
    #[error("a secret holds a control character (a line break?), which no request can carry")]
    Control,
    /// A text in two bytes a character: no request carries it.
    #[error("it is UTF-16, as its first two bytes say; save it as UTF-8")]
    Wide,
}

impl Secret {
    /// Takes the bytes of a credential.
    ///
    /// # Errors
    /// Why they cannot be one. The bytes are wiped in that case too.
    pub fn new(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Result<Self, SecretError> {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Err(SecretError::Empty);
        }
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(SecretError::Wide);
        }
        if core::core(&bytes).len() < MIN_SECRET {
            return Err(SecretError::TooShort);
        }
        if bytes.len() > MAX_SECRET {
            return Err(SecretError::TooLong);
        }
        if bytes.iter().any(u8::is_ascii_control) {
            return Err(SecretError::Control);
        }
        Ok(Self(Arc::new(bytes)))
    }

    /// The same, which has to be long enough where nobody accepted a short one.
    ///
    /// # Errors
    /// It is none, or too short.
    pub(super) fn checked(
        bytes: impl Into<Zeroizing<Vec<u8>>>,
        accepts_short: bool,
    ) -> Result<Self, SecretError> {
        let secret = Self::new(bytes)?;
        if secret.core().len() < LONG_ENOUGH && !accepts_short {
            return Err(SecretError::Guessable);
        }
        Ok(secret)
    }

    /// The credential itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// What is left of it when others took off what they may: a part of it that is as secret.
    pub(super) fn core(&self) -> &[u8] {
        core::core(self.expose())
    }

    /// What is odd about it, in words that tell nothing of it.
    #[must_use]
    pub fn oddity(&self) -> Option<&'static str> {
        core::oddity(self.expose())
    }

    /// Whether it begins with the name of this scheme, in whatever case.
    #[must_use]
    pub fn has_scheme(&self, name: &str) -> bool {
        let found = core::scheme(self.expose());
        found.is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// What it is known by again.
    #[must_use]
    pub fn mark(&self) -> SecretMark {
        SecretMark(Arc::downgrade(&self.0))
    }

    /// How many hold it: this one, and its clones.
    pub(super) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
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
            ("", Some(SecretError::Empty)),
            ("abc", Some(SecretError::TooShort)),
            ("abcd", None),
            ("pass word with spaces", None),
            ("pässword", None),
            ("token\n", Some(SecretError::Control)),
            ("to\0ken", Some(SecretError::Control)),
            ("to\x7fken", Some(SecretError::Control)),
            ("   a  ", Some(SecretError::TooShort)),
            ("Bearer abc", Some(SecretError::TooShort)),
            (&longest, None),
            (&long, Some(SecretError::TooLong)),
        ] {
            let found = Secret::new(bytes.as_bytes().to_vec()).err();
            assert_eq!(found, expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_text_in_two_bytes_a_character_is_named_for_what_it_is() {
        for bytes in [b"\xff\xfet\0o\0k\0".as_slice(), b"\xfe\xff\0t\0o\0k"] {
            assert_eq!(Secret::new(bytes.to_vec()).err(), Some(SecretError::Wide));
        }
    }

    #[test]
    fn n85_what_others_take_off_makes_no_secret_longer() {
        let padded = format!("Bearer {}{}", "x".repeat(LONG_ENOUGH - 1), " ".repeat(9));
        let found = Secret::checked(padded.into_bytes(), false).err();
        assert_eq!(found, Some(SecretError::Guessable));
    }

    #[test]
    fn n85_a_secret_that_can_be_guessed_is_accepted_by_name_only() {
        for (length, accepted, expected) in [
            (LONG_ENOUGH, false, None),
            (LONG_ENOUGH - 1, false, Some(SecretError::Guessable)),
            (LONG_ENOUGH - 1, true, None),
            (MIN_SECRET, true, None),
            (MIN_SECRET - 1, true, Some(SecretError::TooShort)),
        ] {
            let found = Secret::checked(vec![b'x'; length], accepted).err();
            assert_eq!(found, expected, "{length} {accepted}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new(b"hunter2 hunter2".to_vec()).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), b"hunter2 hunter2");
    }
}
