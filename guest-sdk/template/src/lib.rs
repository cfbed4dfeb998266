//! Counts what a model cannot count by looking: characters, words and lines of a text.

use toolhost_sdk::{JsonSchema, ToolError, tool};

/// What was counted.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
struct Counts {
    /// Characters: Unicode scalar values, line breaks included.
    characters: usize,
    /// Words: what stands between white space.
    words: usize,
    /// Lines; a line break at the end begins no new one.
    lines: usize,
    /// How often the phrase occurs, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrences: Option<usize>,
}

/// Counts the characters, words and lines of a text, and how often a phrase occurs in it. Use it
/// instead of counting yourself.
#[tool(read_only, idempotent, title = "Count text")]
fn count(
    /// The text.
    text: String,
    /// A phrase to find in it, in whichever case. Occurrences do not overlap.
    phrase: Option<String>,
) -> Result<Counts, ToolError> {
    let occurrences = phrase.as_deref().map(|phrase| find(&text, phrase));
    Ok(Counts {
        characters: text.chars().count(),
        words: text.split_whitespace().count(),
        lines: text.lines().count(),
        occurrences: occurrences.transpose()?,
    })
}

fn find(text: &str, phrase: &str) -> Result<usize, ToolError> {
    if phrase.trim().is_empty() {
        return Err(ToolError::invalid_arguments(
            "phrase: give at least one character that is no space, or leave it out",
        ));
    }
    Ok(text
        .to_lowercase()
        .matches(&phrase.to_lowercase())
        .count())
}

toolhost_sdk::export!(count);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_counted() {
        let counts = count("To be, or\nnot to be\n".to_owned(), Some("to be".to_owned()));
        let expected = Counts {
            characters: 20,
            words: 6,
            lines: 2,
            occurrences: Some(2),
        };
        assert_eq!(counts, Ok(expected));
    }

    #[test]
    fn an_empty_phrase_is_refused() {
        let error = count("text".to_owned(), Some(" ".to_owned()));
        assert!(error.is_err_and(|error| error.message.starts_with("phrase:")));
    }
}
