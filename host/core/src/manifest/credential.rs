//! What a credential looks like where it does not belong: so that it is refused, or at least not
//! repeated to a terminal or a build's log.

use crate::egress::KEY_PREFIXES;

/// What most signed tokens begin with: in a manifest they are keys, whatever they are in a request.
const SIGNED: &str = "eyJhbGciOi";

/// Words in the keys that people give credentials.
const WORDS: [&str; 6] = [
    "token",
    "secret",
    "passw",
    "credential",
    "api_key",
    "apikey",
];

/// Whether a value has the shape of a well-known kind of key.
pub(super) fn is_like(value: &str) -> bool {
    let rest_of = |prefix| value.strip_prefix(prefix);
    KEY_PREFIXES
        .into_iter()
        .chain([SIGNED])
        .filter_map(rest_of)
        .any(|rest| rest.len() >= 16)
        || (value.contains("-----BEGIN ") && value.contains("PRIVATE KEY-----"))
}

/// Whether a key says that its value is a credential.
pub(super) fn is_meant_by(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    matches!(key.as_str(), "value" | "auth" | "bearer")
        || WORDS.into_iter().any(|word| key.contains(word))
}
