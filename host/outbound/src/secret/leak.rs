//! Credentials in what a guest sends of its own accord: keys of a well-known shape, and the host's
//! own secrets, which a guest can only have by a detour.
//!
//! It finds them as they are, percent-encoded and JSON-escaped; the host's secrets in base64 and hex,
//! too. It knows nothing of requests.

use super::decode::{has_escape, undone};
use super::scrub::REDACTED;
use super::store::Secrets;
use crate::egress::known_key;

/// What was found, in words that do not hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leak(pub(crate) &'static str);

impl Secrets {
    /// Whether bytes that are complete hold a credential.
    pub(crate) fn leak(&self, bytes: &[u8]) -> Option<Leak> {
        if self.history().guarded().finds(bytes) {
            return Some(Leak("one of the host's own secrets"));
        }
        let found = known_key(bytes).or_else(|| {
            let escaped = has_escape(bytes);
            escaped
                .then(|| undone(bytes))
                .and_then(|text| known_key(&text))
        });
        found.map(Leak)
    }

    /// A text that can be kept: itself, or a word in its place where it holds a credential.
    pub(crate) fn keepable(&self, text: String) -> String {
        if self.leak(text.as_bytes()).is_some() {
            REDACTED.to_owned()
        } else {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn keys_and_the_hosts_own_secrets_are_found_however_they_are_escaped() {
        let secret = |value: &str| Secret::new(value.as_bytes().to_vec()).unwrap();
        let secrets: Secrets = [
            ("long".into(), secret("correct/horse-staple")),
            ("short".into(), secret("battery")),
        ]
        .into_iter()
        .collect();
        let own = Some(Leak("one of the host's own secrets"));
        let token = format!("gh{}_{}", "p", "0123456789abcdefghijABCDEFGHIJ012345");
        let escaped = token.replace('_', "%5f");
        for (text, expected) in [
            ("a correct/horse-staple", own),
            ("correct%2fhorse-staple", own),
            ("correct\\/horse-staple", own),
            (&STANDARD.encode("x:correct/horse-staple"), own),
            // It would be found in ordinary text.
            ("a battery", None),
            (&token, Some(Leak("a GitHub token"))),
            (&escaped, Some(Leak("a GitHub token"))),
            (&format!("line\\n{token}"), Some(Leak("a GitHub token"))),
            ("nothing to see", None),
        ] {
            assert_eq!(secrets.leak(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(
            secrets.keepable("correct/horse-staple".to_owned()),
            REDACTED
        );
        assert_eq!(secrets.keepable("a".to_owned()), "a");
    }
}
