//! Stdout and stderr of a guest: whole lines to the operator's log, up to a limit, then nothing: a
//! tool that prints a lot is a nuisance, not an error.

use std::sync::Arc;

use bytes::Bytes;

use super::{MESSAGE, emit, visible};
use crate::capability::sink::Take;
use crate::grants::Level;
use toolhost_outbound::secret::Scrubber;

/// The lines of one of the two streams.
pub(super) struct Lines {
    name: &'static str,
    speaker: Arc<str>,
    left: u64,
    scrubber: Scrubber,
    line: Vec<u8>,
}

impl Lines {
    pub(super) const fn new(
        name: &'static str,
        speaker: Arc<str>,
        quota: u64,
        scrubber: Scrubber,
    ) -> Self {
        Self {
            name,
            speaker,
            left: quota,
            scrubber,
            line: Vec::new(),
        }
    }
}

impl Take for Lines {
    fn take(&mut self, bytes: Bytes) {
        if self.left > 0 {
            let clean = self.scrubber.push(bytes);
            self.keep(&clean);
        }
    }
}

impl Lines {
    fn keep(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.left == 0 {
                self.end_line();
                tracing::warn!(target: "guest", function = %self.speaker, stream = self.name, "output limit reached; the rest is dropped");
                return;
            }
            self.left -= 1;
            if byte == b'\n' || self.line.len() >= MESSAGE {
                self.end_line();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() {
            emit(
                Level::Info,
                &self.speaker,
                self.name,
                &visible(&String::from_utf8_lossy(&self.line), MESSAGE),
            );
            self.line.clear();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.left > 0 {
            let rest = self.scrubber.finish();
            self.keep(&rest);
        }
        self.end_line();
    }
}
