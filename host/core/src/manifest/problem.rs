//! What is wrong with a manifest, as the operator reads it and as a program does.
//!
//! It knows nothing of keys and values: it only shows places and sentences.

use std::fmt;

/// The most problems of one run: nobody reads on, and a text can have one in every byte.
pub(super) const MOST_PROBLEMS: usize = 1_000;

/// Everything that is wrong with one manifest, in the order of the text. Never empty; a run stops
/// counting at a thousand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    file_name: String,
    list: Vec<Problem>,
}

/// One thing that is wrong, and where.
///
/// Whatever it quotes is escaped: no control character of the text reaches the terminal. What a
/// problem quotes never includes a value that stands where only a secret can have been meant.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    line: u32,
    column: u32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    excerpt: Excerpt,
}

/// The line of the text that a problem is on, ready to print, and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The line, or the part of a long one around the place; escaped.
    pub(super) text: String,
    /// Characters of `text` before the place.
    pub(super) indent: usize,
    /// Characters that are meant, at least one.
    pub(super) width: usize,
}

impl Problem {
    pub(super) fn new(
        (line, column): (u32, u32),
        message: String,
        hint: Option<String>,
        excerpt: Excerpt,
    ) -> Self {
        Self {
            line,
            column,
            message: escaped(&message),
            hint: hint.as_deref().map(escaped),
            excerpt,
        }
    }

    /// Line, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.line
    }

    /// Column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.column
    }

    /// What is wrong, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, in one line.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn render(&self, file_name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = self.line.to_string().len() + 1;
        let Excerpt {
            text,
            indent,
            width,
        } = &self.excerpt;
        writeln!(f, "error: {}", self.message)?;
        writeln!(
            f,
            "{:gutter$}--> {file_name}:{}:{}",
            "", self.line, self.column
        )?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{:>gutter$} | {text}", self.line)?;
        writeln!(f, "{:gutter$} | {:indent$}{:^>width$}", "", "", "")?;
        if let Some(hint) = &self.hint {
            writeln!(f, "{:gutter$} = hint: {hint}", "")?;
        }
        Ok(())
    }
}

impl Problems {
    /// `list` is in the order of the text.
    pub(super) fn new(file_name: &str, list: Vec<Problem>) -> Self {
        Self {
            file_name: escaped(file_name),
            list,
        }
    }

    /// The problems, in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// The manifest's name as it was given, escaped.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            problem.render(&self.file_name, f)?;
            writeln!(f)?;
        }
        let count = self.list.len();
        let noun = match count {
            1 => "problem",
            MOST_PROBLEMS => "problems and perhaps more",
            _ => "problems",
        };
        write!(f, "{count} {noun} in {}", self.file_name)
    }
}

/// `text` without anything that a terminal obeys or that reads differently from how it is stored:
/// control characters, bidirectional marks, invisible characters.
pub(super) fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        push_escaped(&mut out, c);
        out
    })
}

/// Adds `c` as [`escaped`] writes it.
pub(super) fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' | '\'' | '\\' => out.push(c),
        // A tab as four spaces keeps the caret below its place.
        '\t' => out.push_str("    "),
        c => out.extend(c.escape_debug()),
    }
}

/// `text` between backticks, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}...`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}
