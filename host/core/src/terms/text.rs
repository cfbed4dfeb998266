//! Which characters of a foreign text nobody sees, and how such a text is shown. It does not know
//! where the text goes.

use std::borrow::Cow;

/// Whether a reader does not see this character although it changes what is read: direction marks,
/// zero-width characters, separators of lines that are none to a parser, and tags, which are a place
/// to hide orders to a model in.
#[must_use]
pub const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Without control characters but line ends, and without what a reader does not see.
#[must_use]
pub fn seen(text: &str) -> String {
    let line_end = |c| match c {
        '\u{2028}' | '\u{2029}' => '\n',
        c => c,
    };
    text.chars()
        .map(line_end)
        .filter(|c| *c == '\n' || !(c.is_control() || is_hidden(*c)))
        .collect()
}

/// A text in which no line is what a merge leaves as a mark: where one would be, a blank goes before it.
/// In a file under version control such a line could stand for a side that nobody has chosen.
#[must_use]
pub fn unmarked(text: &str) -> String {
    let shown = |line: &str| match is_mark(line) {
        true => format!(" {line}"),
        false => line.to_owned(),
    };
    let lines: Vec<String> = text.split('\n').map(shown).collect();
    lines.join("\n")
}

/// Whether a line is a mark of a merge.
#[must_use]
pub fn is_mark(line: &str) -> bool {
    let marks = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];
    let rest = marks.iter().find_map(|mark| line.strip_prefix(mark));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// A foreign text as one line of a terminal: what could move the cursor, colour, end the line or
/// reorder text is shown escaped, as Rust writes it.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, acts)
}

/// The same for a text of several lines: line ends and tabs stay.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| acts(c) && !matches!(c, '\n' | '\t'))
}

/// Whether a character does something to a terminal or to how a line reads, instead of being seen.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control() || is_hidden(c)
}

fn escaped(text: &str, escape: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&escape) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if escape(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g77_no_line_is_a_mark_of_a_merge() {
        let text = "a\n<<<<<<< b\n=======\n>>>>>>> c\n|||||||\n========\n <<<<<<<";
        let shown = unmarked(text);
        assert!(!shown.lines().any(is_mark), "{shown}");
        let expected = "a\n <<<<<<< b\n =======\n >>>>>>> c\n |||||||\n========\n <<<<<<<";
        assert_eq!(shown, expected);
        assert_eq!(unmarked(&shown), shown);
    }

    #[test]
    fn what_is_not_seen_is_not_kept() {
        let evil = "a\u{202e}b\u{200b}c\u{1b}[2J\u{e0041}\u{feff}\u{2066}d\r\ne\0";
        assert_eq!(seen(evil), "abc[2Jd\ne");
        assert_eq!(seen("one\u{2028}two\u{ad}"), "one\ntwo");
        assert_eq!(seen("Grüße, 世界 🌍"), "Grüße, 世界 🌍");
    }

    #[test]
    fn nothing_acts_on_a_terminal() {
        assert_eq!(printable("Größe 🦀"), "Größe 🦀");
        assert_eq!(
            printable("a\u{1b}[2Jb\nc\u{202e}d\u{9b}\u{e0041}"),
            "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}\\u{e0041}"
        );
        assert_eq!(
            printable_lines("a\tb\nc\r\u{2028}\u{7f}"),
            "a\tb\nc\\r\\u{2028}\\u{7f}"
        );
    }
}
