//! What one call tried on the outside, collected while it runs. Of an attempt it knows that its
//! `verdict` says how it ended: `is` in one word, `why` in a sentence, and its `left` whether anything
//! of it may have left the host.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::text::cap_texts;

/// Bytes that the attempts of one call may take in its record. It leaves a line room for the rest.
pub(super) const ATTEMPTS_MAX: usize = 58 << 10;

/// Of these, what refused attempts may take one by one.
const REFUSED: usize = 8 << 10;

/// Of these, what is kept for attempts that are counted together.
const COUNTED: usize = 8 << 10;

/// Of these, what all others may take one by one: what left the host, and sums.
const REST: usize = ATTEMPTS_MAX - REFUSED - COUNTED;

/// What one call tried on the outside.
///
/// It is kept beside the call and not in its result, so that a call that is cancelled or trapped is
/// recorded with what it did before. Texts in an attempt are cut at 256 bytes. What was refused has
/// room of its own, so that it cannot bury what left the host. Attempts beyond their room are counted
/// together, those that ended in the same way by the same rule in one entry with `times`; the counts
/// are exact.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Open>);

/// The attempts of a call, as they go into its record.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub attempts: Vec<Box<RawValue>>,
    /// Attempts of too many kinds to be counted by them.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Open {
    kept: Kept,
    refused: usize,
    rest: usize,
    /// By kind.
    counted: Vec<(Value, u64)>,
    counted_bytes: usize,
}

impl Attempts {
    /// Adds an attempt: any value that can be written as JSON. It is for values without secrets.
    pub fn keep(&self, attempt: &impl Serialize) {
        let attempt = serde_json::to_value(attempt).map(cap_texts);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that cannot be written is counted all the same.
        open.keep(attempt.unwrap_or_default());
    }

    /// Gives what was kept. Attempts that come later are for no record any more.
    pub(super) fn take(&self) -> Kept {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *open).close()
    }
}

impl Open {
    fn keep(&mut self, attempt: Value) {
        let is = attempt.get("verdict").and_then(|verdict| verdict.get("is"));
        let left = attempt.get("left").is_some_and(|left| left == true);
        let refused = !left && is.is_some_and(|is| is == "refused");
        let (used, room) = match refused {
            true => (&mut self.refused, REFUSED),
            false => (&mut self.rest, REST),
        };
        // From the value, so that it has no line break whatever the attempt is made of.
        match to_raw_value(&attempt) {
            Ok(text) if *used + text.get().len() < room => {
                *used += text.get().len() + 1;
                self.kept.attempts.push(text);
            }
            _ => self.count(attempt),
        }
    }

    fn count(&mut self, attempt: Value) {
        let kind = kind(attempt);
        if let Some((_, times)) = self.counted.iter_mut().find(|(known, _)| *known == kind) {
            *times += 1;
            return;
        }
        // The number and its name take less than this.
        let bytes = kind.to_string().len() + 64;
        if self.counted_bytes + bytes < COUNTED {
            self.counted_bytes += bytes;
            self.counted.push((kind, 1));
        } else {
            self.kept.dropped += 1;
        }
    }

    fn close(mut self) -> Kept {
        for (verdict, times) in self.counted {
            let together = serde_json::json!({ "times": times, "verdict": verdict });
            match to_raw_value(&together) {
                Ok(text) => self.kept.attempts.push(text),
                Err(_) => self.kept.dropped += times,
            }
        }
        self.kept
    }
}

/// What attempts that are counted together have in common: the verdict, without the sentence.
fn kind(mut attempt: Value) -> Value {
    let verdict = attempt.get_mut("verdict").map(Value::take);
    let mut verdict = verdict.unwrap_or_default();
    if let Some(verdict) = verdict.as_object_mut() {
        verdict.remove("why");
    }
    verdict
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;
    use serde_json::json;

    fn attempt(n: usize, verdict: &Value) -> Value {
        json!({ "path": format!("/{n}"), "verdict": verdict })
    }

    /// How many of `is` there are, one by one or together.
    fn times(kept: &Kept, is: &str) -> u64 {
        let attempts = kept.attempts.iter();
        let values = attempts.map(|attempt| serde_json::from_str::<Value>(attempt.get()).unwrap());
        let of = values.filter(|value| value["verdict"]["is"] == is);
        of.map(|value| value["times"].as_u64().unwrap_or(1)).sum()
    }

    #[test]
    fn n74_what_was_refused_does_not_bury_what_left() {
        let attempts = Attempts::default();
        let refused = json!({ "is": "refused", "kind": "denied", "why": "x".repeat(250) });
        for n in 0..10_000 {
            attempts.keep(&attempt(n, &refused));
        }
        for n in 0..100 {
            let rule = "POST /exfil/*";
            attempts.keep(&attempt(
                n,
                &json!({ "is": "allowed", "grant": "api", "line": 7, "rule": rule }),
            ));
        }
        let kept = attempts.take();
        let single = kept
            .attempts
            .iter()
            .filter(|text| text.get().contains("/exfil"));
        assert_eq!(single.count(), 100);
        assert_eq!(
            (times(&kept, "allowed"), times(&kept, "refused")),
            (100, 10_000)
        );
        assert_eq!(kept.dropped, 0);
    }

    #[test]
    fn n74_a_flood_is_counted_exactly_and_by_kind() {
        let attempts = Attempts::default();
        let kinds = ["allowed", "failed", "abandoned", "refused"];
        for n in 0..40_000 {
            let verdict = json!({ "is": kinds[n % 4], "grant": "api", "why": format!("{n}") });
            attempts.keep(&attempt(n, &verdict));
        }
        let kept = attempts.take();
        for is in kinds {
            assert_eq!(times(&kept, is), 10_000, "{is}");
        }
        let bytes: usize = kept.attempts.iter().map(|a| a.get().len() + 1).sum();
        assert!(bytes <= ATTEMPTS_MAX, "{bytes}");
    }

    #[test]
    fn attempts_of_too_many_kinds_are_counted_as_such() {
        let attempts = Attempts::default();
        for n in 0..10_000 {
            let verdict = json!({ "is": "refused", "nearest": format!("{n}").repeat(20) });
            attempts.keep(&attempt(n, &verdict));
        }
        let kept = attempts.take();
        assert_eq!(times(&kept, "refused") + kept.dropped, 10_000);
        let bytes: usize = kept.attempts.iter().map(|a| a.get().len() + 1).sum();
        assert!(bytes <= ATTEMPTS_MAX, "{bytes}");
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
