//! What guests and agents wrote, made fit for a record: short.

use std::borrow::Cow;

/// Bytes that one text may take in a record, counted as JSON escapes them.
pub(super) const TEXT_MAX: usize = 256;

const CUT: &str = "…";

/// The text, cut where it would take more than [`TEXT_MAX`] bytes.
pub(super) fn capped(text: &str) -> Cow<'_, str> {
    // No character is escaped to more than six times its bytes.
    if text.len() <= TEXT_MAX / 6 {
        return Cow::Borrowed(text);
    }
    let mut room = TEXT_MAX;
    let mut keep = 0;
    for (at, c) in text.char_indices() {
        let cost = escaped_len(c);
        if cost > room {
            return Cow::Owned(format!("{}{CUT}", text.get(..keep).unwrap_or_default()));
        }
        room -= cost;
        // A cut has to find room for its mark.
        if room >= CUT.len() {
            keep = at + c.len_utf8();
        }
    }
    Cow::Borrowed(text)
}

fn escaped_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_stays() {
        assert_eq!(capped("github.search_issues"), "github.search_issues");
        let full = "x".repeat(TEXT_MAX);
        assert_eq!(capped(&full), full);
    }

    #[test]
    fn a_long_text_is_cut_by_its_escaped_length() {
        for piece in ["x", "ö", "\u{1b}", "\n", "\"", "🦀", "a\0ü"] {
            let long = piece.repeat(1_000);
            let cut = capped(&long);
            let written = serde_json::to_string(&cut).map(|text| text.len() - 2);
            assert!(
                matches!(written, Ok(n) if n <= TEXT_MAX && n > TEXT_MAX - 16),
                "{piece:?}: {written:?}"
            );
            assert!(cut.ends_with(CUT), "{piece:?}");
        }
    }
}
