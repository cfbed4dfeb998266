//! A part of a long text. It does not know pages.

use toolhost_sdk::ToolError;

/// A part, and what to say behind it.
pub(crate) struct Part<'a> {
    pub(crate) text: &'a str,
    pub(crate) note: Option<String>,
}

/// At most `most` characters from `start` on, up to the end of a line where one is near.
pub(crate) fn cut(text: &str, start: usize, most: usize) -> Result<Part<'_>, ToolError> {
    let total = text.chars().count();
    if start > 0 && start >= total {
        return Err(ToolError::invalid_arguments(format_args!(
            "start: the page has {total} characters"
        )));
    }
    let rest = text.get(offset(text, start)..).unwrap_or_default();
    if total - start <= most {
        return Ok(Part {
            text: rest,
            note: None,
        });
    }
    let whole = rest.get(..offset(rest, most)).unwrap_or(rest);
    // A line's end in the last fifth is better than the middle of a word.
    let part = match whole.rfind('\n') {
        Some(end) if end >= whole.len() / 5 * 4 => whole.get(..=end).unwrap_or(whole),
        _ => whole,
    };
    let next = start + part.chars().count();
    Ok(Part {
        text: part.trim_end_matches('\n'),
        note: Some(format!(
            "[Truncated: characters {start} to {next} of {total}. Continue with start={next}.]"
        )),
    })
}

/// The byte at which the character `index` begins.
fn offset(text: &str, index: usize) -> usize {
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn parts_join_to_the_whole() {
        let text = "äöü line\n".repeat(100);
        let mut start = 0;
        let mut joined = String::new();
        loop {
            let part = cut(&text, start, 100).unwrap();
            joined.push_str(part.text);
            let Some(note) = part.note else { break };
            joined.push('\n');
            start = note.split(['=', '.']).nth_back(1).unwrap().parse().unwrap();
        }
        assert_eq!(joined, text);
    }

    #[test]
    fn a_start_behind_the_end_is_refused() {
        assert!(cut("abc", 3, 100).is_err());
        assert!(cut("", 0, 100).is_ok());
    }
}
