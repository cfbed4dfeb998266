//! Names: which are allowed, and which one was meant.

use std::sync::Arc;

use super::diagnostics::{At, Finding, TextDiagnostics};
use super::problem::quoted;

/// What a name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tool,
    Function,
    Secret,
    Caller,
    Grant,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Function => "function",
            Self::Secret => "secret",
            Self::Caller => "caller",
            Self::Grant => "grant",
        }
    }

    /// Agents see `tool_function`, of letters every MCP client takes; the rest is ours to choose.
    fn dashes(self) -> bool {
        matches!(self, Self::Secret | Self::Caller | Self::Grant)
    }

    fn longest(self) -> usize {
        if self == Self::Function { 64 } else { 32 }
    }

    fn rule(self) -> String {
        let dash = if self.dashes() { ", `-`" } else { "" };
        format!(
            "a {} is named by 1 to {} of `a-z`, `0-9`, `_`{dash}, a letter first",
            self.word(),
            self.longest()
        )
    }

    /// Whether a text is a name of this kind.
    pub(super) fn allows(self, text: &str) -> bool {
        let inner = |b: u8| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || self.dashes() && b == b'-'
        };
        text.len() <= self.longest()
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(inner)
    }

    /// The name; one that is not allowed is reported and read on with.
    pub(super) fn read(self, page: &TextDiagnostics<'_>, name: &At<&str>) -> Arc<str> {
        if !self.allows(name.value) {
            let message = format!("{} is no name for a {}", quoted(name.value), self.word());
            page.report(Finding::at(&name.span, message).hint(self.rule()));
        }
        Arc::from(name.value)
    }
}

/// The candidate that `word` was most likely meant to be.
///
/// Close is one slip in three letters (swapping two neighbours is one), at least one, at most
/// three.
#[must_use]
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Distance takes the product of the lengths: a word that long is no slip.
    if word.len() > 64 {
        return None;
    }
    let close = (word.chars().count() / 3).clamp(1, 3);
    let distance = |candidate: &str| {
        strsim::damerau_levenshtein(&word.to_ascii_lowercase(), &candidate.to_ascii_lowercase())
    };
    let all = candidates.into_iter().map(|c| (distance(c), c));
    let (least, candidate) = all.min_by_key(|(distance, _)| *distance)?;
    (least <= close).then_some(candidate)
}

/// `nearest` as a hint.
pub(super) fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let near = |word| nearest(word, ["memory", "fuel", "url", "read-write", "log"]);
        for (word, meant) in [
            ("memry", "memory"),
            ("fule", "fuel"),
            ("ulr", "url"),
            ("FUEL", "fuel"),
            ("readwrite", "read-write"),
        ] {
            assert_eq!(near(word), Some(meant), "{word}");
        }
        for word in [
            "",
            "rate",
            "budget",
            "admin",
            "lumber",
            &"memory".repeat(1_000),
        ] {
            assert_eq!(near(word), None, "{word}");
        }
    }

    #[test]
    fn names_have_their_letters_and_lengths() {
        for (kind, longest) in [(Kind::Tool, 32), (Kind::Function, 64), (Kind::Grant, 32)] {
            assert!(kind.allows(&"a".repeat(longest)));
            assert!(!kind.allows(&"a".repeat(longest + 1)));
            assert!(kind.allows("a1_"));
            for never in ["", "1a", "_a", "-a", "A", "a b", "a.b", "ä"] {
                assert!(!kind.allows(never), "{never}");
            }
        }
        assert!(
            Kind::Grant.allows("a-b") && Kind::Secret.allows("a-b") && Kind::Caller.allows("a-b")
        );
        assert!(!Kind::Tool.allows("a-b") && !Kind::Function.allows("a-b"));
    }
}
