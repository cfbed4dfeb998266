//! How far work that lasts has come, for whoever watches.
//!
//! It does not know what the work is.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{out, stderr};
use crate::terms::printable;

/// Characters of a whole bar.
const WIDTH: usize = 20;

/// Characters of what was done last: a line stays one on any terminal.
const NAME: usize = 32;

/// Back to where the line begins, and nothing in it.
const CLEAR: &str = "\r\u{1b}[K";

/// A line on standard error that is written over at each step, where people look at it. It goes the way
/// of the log: nobody waits for a terminal that takes nothing.
pub(super) struct Bar {
    what: &'static str,
    steps: usize,
    done: AtomicUsize,
    is_shown: bool,
}

impl Bar {
    pub(super) fn new(what: &'static str, steps: usize) -> Self {
        Self::shown(what, steps, out::is_watched() && steps > 1)
    }

    /// For whom nobody watches.
    pub(super) fn hidden() -> Self {
        Self::shown("", 0, false)
    }

    fn shown(what: &'static str, steps: usize, is_shown: bool) -> Self {
        Self {
            what,
            steps,
            done: AtomicUsize::new(0),
            is_shown,
        }
    }

    pub(super) fn step(&self, name: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.is_shown {
            stderr::push(line(self.what, (done, self.steps), name));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.is_shown {
            stderr::push(CLEAR.to_owned());
        }
    }
}

fn line(what: &str, (done, steps): (usize, usize), name: &str) -> String {
    let filled = WIDTH * done.min(steps) / steps.max(1);
    let bar = "=".repeat(filled);
    let name: String = printable(name).chars().take(NAME).collect();
    format!("{CLEAR}{what} [{bar:WIDTH$}] {done}/{steps} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_one_line_whatever_is_done() {
        let shown = line("loading", (3, 4), &"a\u{1b}[2J\n".repeat(40));
        let shown = shown.strip_prefix(CLEAR).unwrap_or_default();
        assert!(
            shown.starts_with("loading [===============     ] 3/4 a"),
            "{shown}"
        );
        assert!(
            !shown.contains(crate::terms::acts) && shown.chars().count() < 80,
            "{shown}"
        );
    }
}
