//! Which characters of a foreign text nobody sees. It does not know where the text goes.

/// Whether a reader does not see this character although it changes what is read: direction marks,
/// zero-width characters, and tags, which are a place to hide orders to a model in.
#[must_use]
pub const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Without control characters but line ends, and without what a reader does not see.
#[must_use]
pub fn seen(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !(c.is_control() || is_hidden(*c)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_not_kept() {
        let evil = "a\u{202e}b\u{200b}c\u{1b}[2J\u{e0041}\u{feff}\u{2066}d\r\ne\0";
        assert_eq!(seen(evil), "abc[2Jd\ne");
        assert_eq!(seen("Grüße, 世界 🌍"), "Grüße, 世界 🌍");
    }
}
