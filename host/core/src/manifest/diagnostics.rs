//! The text under reading: where things stand in it, and what was found wrong so far.
//!
//! It knows nothing of keys and values.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use super::problem::{Excerpt, MOST_PROBLEMS, Problem, Problems, push_escaped};

/// A place in the text, in bytes.
pub(super) type Span = Range<usize>;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

/// One thing found wrong.
#[derive(Debug)]
pub(super) struct Finding {
    span: Span,
    message: String,
    hint: Option<String>,
    masked: bool,
    remote: bool,
}

impl Finding {
    pub(super) fn at(span: &Span, message: impl Into<String>) -> Self {
        Self {
            span: span.clone(),
            message: message.into(),
            hint: None,
            masked: false,
            remote: false,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn moved(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// What follows on the line may be a secret and is not shown.
    pub(super) fn masked(mut self) -> Self {
        self.masked = true;
        self
    }

    /// It is wrong only if the rest of the text was read rightly: something is missing, unused, or
    /// named and not there.
    pub(super) fn remote(mut self) -> Self {
        self.remote = true;
        self
    }
}

/// The text, and what is wrong in it.
///
/// Readers report here and go on with a stand-in value; nothing they made is used once there is a
/// finding.
#[derive(Debug)]
pub(super) struct TextDiagnostics<'t> {
    text: &'t str,
    /// Where each line begins.
    starts: Vec<usize>,
    found: RefCell<Vec<Finding>>,
}

impl<'t> TextDiagnostics<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(after_breaks).collect(),
            found: RefCell::default(),
        }
    }

    pub(super) fn report(&self, finding: Finding) {
        let mut found = self.found.borrow_mut();
        if found.len() < MOST_PROBLEMS {
            found.push(finding);
        }
    }

    /// The line that a place is on, from 1.
    pub(super) fn line(&self, span: &Span) -> u32 {
        let line = self.starts.partition_point(|start| *start <= span.start);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// The line that a place is on.
    pub(super) fn line_of(&self, span: &Span) -> At<&'t str> {
        let (value, start) = self.content(self.line(span));
        At {
            value,
            span: start..start + value.len(),
        }
    }

    /// The lines with a section's header, from the first.
    pub(super) fn headers(&self) -> Vec<u32> {
        let lines = (1..).zip(self.text.lines());
        let headers = lines.filter(|(_, line)| line.starts_with('['));
        headers.map(|(line, _)| line).collect()
    }

    /// What stands at a place.
    pub(super) fn quote(&self, span: &Span) -> &'t str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Forgets what cannot be known behind a syntax error: the meaning of what follows it, and what
    /// the text as a whole lacks.
    pub(super) fn doubt_from(&self, offset: usize) {
        self.found
            .borrow_mut()
            .retain(|finding| !finding.remote && finding.span.end <= offset);
    }

    /// The value, or everything that was found wrong.
    pub(super) fn close<T>(self, file_name: &str, value: T) -> Result<T, Problems> {
        let mut found = self.found.take();
        if found.is_empty() {
            return Ok(value);
        }
        found.sort_by_key(|finding| (finding.span.start, finding.span.end));
        // What one finding hides, no other one on the line shows.
        let mut masks = BTreeMap::new();
        for finding in found.iter().filter(|finding| finding.masked) {
            let mask = masks.entry(self.line(&finding.span)).or_insert(usize::MAX);
            *mask = finding.span.end.min(*mask);
        }
        let list = found
            .into_iter()
            .map(|finding| self.problem(finding, &masks));
        Err(Problems::new(file_name, list.collect()))
    }

    fn problem(&self, finding: Finding, masks: &BTreeMap<u32, usize>) -> Problem {
        let line = self.line(&finding.span);
        let mask = masks.get(&line).copied();
        let (content, start) = self.content(line);
        let end = start + content.len();
        let column = self
            .quote(&(start..self.floor(finding.span.start)))
            .chars()
            .count()
            + 1;
        let shown = mask.map_or(end, |mask| mask.clamp(start, end));
        let from = self.floor(finding.span.start).clamp(start, shown);
        let upto = self.floor(finding.span.end).clamp(from, shown);
        let after = if mask.is_some() {
            " ..."
        } else {
            self.quote(&(upto..end))
        };
        let excerpt = excerpt(self.quote(&(start..from)), self.quote(&(from..upto)), after);
        let column = u32::try_from(column).unwrap_or(u32::MAX);
        Problem::new((line, column), finding.message, finding.hint, excerpt)
    }

    /// A line without its ending, and where it begins.
    fn content(&self, line: u32) -> (&'t str, usize) {
        let index = usize::try_from(line)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let start = self.starts.get(index).copied().unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        (rest.lines().next().unwrap_or_default(), start)
    }

    /// The nearest place at or before `offset` that is between two characters.
    fn floor(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        (0..=offset)
            .rev()
            .find(|at| self.text.is_char_boundary(*at))
            .unwrap_or(0)
    }
}

/// A line as it is shown: escaped, and of a long one only what is around the place.
fn excerpt(before: &str, meant: &str, after: &str) -> Excerpt {
    const WIDTH: usize = 120;
    const BEFORE: usize = 60;
    const MEANT: usize = 80;
    const AFTER: usize = 20;
    let mut text = String::new();
    let hidden = before.chars().count().saturating_sub(BEFORE);
    if hidden > 0 {
        text.push_str("...");
    }
    before
        .chars()
        .skip(hidden)
        .for_each(|c| push_escaped(&mut text, c));
    let indent = text.chars().count();
    meant
        .chars()
        .take(MEANT)
        .for_each(|c| push_escaped(&mut text, c));
    let width = (text.chars().count() - indent).max(1);
    let cut = meant.chars().nth(MEANT).is_some();
    let room = WIDTH.saturating_sub(indent + width).max(AFTER);
    if !cut {
        after
            .chars()
            .take(room)
            .for_each(|c| push_escaped(&mut text, c));
    }
    if cut || after.chars().nth(room).is_some() {
        text.push_str("...");
    }
    Excerpt {
        text,
        indent,
        width,
    }
}
