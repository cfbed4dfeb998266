//! What one call tried on the outside, collected while it runs. It does not know what an attempt means.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::text::cap_texts;

/// Bytes that the attempts of one call may take in its record. It leaves a line room for the rest.
pub(super) const ATTEMPTS_MAX: usize = 48 << 10;

/// What one call tried on the outside.
///
/// It is kept beside the call and not in its result, so that a call that is cancelled or trapped is
/// recorded with what it did before. Texts in an attempt are cut at 256 bytes; attempts beyond 48 KiB
/// in all are counted and not kept.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Kept>);

/// The attempts of a call, as they go into its record.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub attempts: Vec<Box<RawValue>>,
    pub dropped: u64,
    bytes: usize,
}

impl Attempts {
    /// Adds an attempt: any value that can be written as JSON. It is for values without secrets.
    pub fn keep(&self, attempt: &impl Serialize) {
        // Serialised anew from a value, so that it has no line break whatever the attempt is made of.
        let text = serde_json::to_value(attempt).and_then(|value| to_raw_value(&cap_texts(value)));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match text {
            Ok(text) if kept.bytes + text.get().len() < ATTEMPTS_MAX => {
                kept.bytes += text.get().len() + 1;
                kept.attempts.push(text);
            }
            _ => kept.dropped += 1,
        }
    }

    /// Gives what was kept. Attempts that come later are for no record any more.
    pub(super) fn take(&self) -> Kept {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_flood_is_counted() {
        let attempts = Attempts::default();
        for n in 0..10_000 {
            attempts.keep(&json!({ "path": format!("/{n}") }));
        }
        let kept = attempts.take();
        let bytes: usize = kept.attempts.iter().map(|a| a.get().len() + 1).sum();
        assert!(
            bytes <= ATTEMPTS_MAX && bytes > ATTEMPTS_MAX - 64,
            "{bytes}"
        );
        assert_eq!(kept.attempts.len() as u64 + kept.dropped, 10_000);
    }

    #[test]
    fn no_attempt_breaks_a_line_or_hides_by_its_length() {
        let attempts = Attempts::default();
        attempts.keep(&RawValue::from_string("{\n \"path\": \"/a\"\n}".to_owned()).ok());
        attempts.keep(&json!({ "path": "/".repeat(1 << 20) }));
        let kept = attempts.take();
        assert_eq!(kept.dropped, 0);
        assert!(kept.attempts.iter().all(|a| !a.get().contains('\n')));
        assert!(kept.attempts[1].get().len() < 300);
    }
}
