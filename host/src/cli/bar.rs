//! How far work that lasts has come, for whoever watches.
//!
//! It does not know what the work is.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::out;
use crate::terms::printable;

/// A progress bar on stderr, where people look at it, for work that lasts.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(what: &'static str, steps: usize) -> Self {
        if !out::is_watched() || steps < 2 {
            return Self::hidden();
        }
        let bar = ProgressBar::new(u64::try_from(steps).unwrap_or(0)).with_prefix(what);
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// For whom nobody watches.
    pub(super) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    pub(super) fn step(&self, done: &str) {
        self.0.set_message(printable(done).into_owned());
        self.0.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
