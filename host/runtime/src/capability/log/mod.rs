//! Log messages: `wasi:logging`, stdout and stderr. They go to the operator's log, never to a
//! protocol stream, in bounded number and size, with control characters made visible.

mod stdio;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::WasiCtxBuilder;

use super::bindings::wasi::logging::logging;
use super::context::CallContext;
use super::seam::Behind;
use super::sink::{End, Sink};
use crate::grants::{Level, LogGrant};
use crate::terms::is_hidden;
use toolhost_outbound::secret::{Patterns, Redactions, SecretPatterns};

/// The longest message that is kept, in bytes.
const MESSAGE: usize = 4_096;

/// What a message takes of a call's limit beyond its text, in bytes: a line has a time, a level and a
/// name of its own, also around nothing.
const LINE: usize = 64;

/// The interface's other names in the wild, of the same one function: the draft without a version,
/// and as if it were no draft. Releases of that series would find it, too.
pub const NAMES: [&str; 2] = ["wasi:logging/logging", "wasi:logging/logging@0.1.0"];

/// The log of one call.
pub(crate) struct State {
    credentials: Arc<SecretPatterns>,
    redactions: Redactions,
    level: Option<Level>,
    speaker: Arc<str>,
    /// Bytes that may still be kept.
    left: u64,
    quota: u64,
    /// What a guest said on stderr before it trapped, where the log does not have it.
    last: Sink<End>,
}

impl State {
    pub(super) fn new(grant: Option<LogGrant>, context: &CallContext<'_>) -> Self {
        Self {
            credentials: context.credentials.clone(),
            redactions: context.attempts.redactions().clone(),
            level: grant.map(|grant| grant.level),
            speaker: context.function.clone(),
            left: context.limits.log,
            quota: context.limits.log,
            last: Sink::new(End::default()),
        }
    }

    fn patterns(&self) -> Patterns {
        self.credentials.patterns().counting(&self.redactions)
    }

    /// The guest's last words on stderr that the log does not have, for the operator.
    pub(super) fn last_words(&self) -> String {
        self.clean(self.last.taker().text())
    }

    /// The end of what a guest said, without credentials and on one line.
    pub(super) fn clean(&self, said: String) -> String {
        let mut said = visible(&self.patterns().scrub(said), usize::MAX);
        let more = said.len().saturating_sub(MESSAGE);
        said.drain(..said.ceil_char_boundary(more));
        said
    }

    /// Gives the guest its stdout and stderr: what interpreters print to before they trap. Where the
    /// log takes nothing of it, only the end of stderr is kept.
    pub(super) fn grant_stdio(&self, wasi: &mut WasiCtxBuilder) {
        // Streams have no levels: they count as `info`.
        if self.level.is_some_and(|lowest| lowest <= Level::Info) {
            let sink = |name| {
                let scrubber = self.patterns().line_scrubber();
                let lines = stdio::Lines::new(name, self.speaker.clone(), self.quota, scrubber);
                Sink::new(lines)
            };
            wasi.stdout(sink("stdout"));
            wasi.stderr(sink("stderr"));
        } else {
            wasi.stderr(self.last.clone());
        }
    }

    fn log(&mut self, level: Level, context: &str, message: &str) {
        if self.level.is_none_or(|lowest| level < lowest) || self.left == 0 {
            return;
        }
        let size = u64::try_from(context.len() + message.len() + LINE).unwrap_or(u64::MAX);
        if size > self.left {
            self.left = 0;
            tracing::warn!(target: "guest", function = %self.speaker, "log limit reached; the rest of this call's messages is dropped");
            return;
        }
        self.left -= size;
        // Before it is cut: what is left of a credential would not be known for one.
        let patterns = self.patterns();
        let message = visible(&patterns.scrub_text(message), MESSAGE);
        let context = visible(&patterns.scrub_text(context), 256);
        emit(level, &self.speaker, &context, &message);
    }
}

/// One line of the operator's log.
fn emit(level: Level, function: &str, context: &str, message: &str) {
    match level {
        Level::Trace => tracing::trace!(target: "guest", %function, context, "{message}"),
        Level::Debug => tracing::debug!(target: "guest", %function, context, "{message}"),
        Level::Info => tracing::info!(target: "guest", %function, context, "{message}"),
        Level::Warn => tracing::warn!(target: "guest", %function, context, "{message}"),
        Level::Error | Level::Critical => {
            tracing::error!(target: "guest", %function, context, "{message}")
        }
    }
}

/// A guest's text as it may stand in a log: one line, no escape sequences, at most so many bytes.
fn visible(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= most {
            out.push('…');
            break;
        }
        // Direction marks and zero-width characters can make a line read as another.
        if c.is_control() || is_hidden(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The log of a call, behind the seam.
pub(super) type Messages<'a> = Behind<'a, &'a mut State>;

struct Logging;

impl HasData for Logging {
    type Data<'a> = Messages<'a>;
}

pub(super) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> Messages<'_>,
) -> wasmtime::Result<()> {
    logging::add_to_linker::<T, Logging>(linker, get)?;
    alias(linker, get)
}

fn alias<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> Messages<'_>,
) -> wasmtime::Result<()> {
    for name in NAMES {
        linker.instance(name)?.func_wrap(
            "log",
            move |mut store: wasmtime::StoreContextMut<'_, T>,
                  (level, context, message): (logging::Level, String, String)| {
                logging::Host::log(&mut get(store.data_mut()), level, context, message)
            },
        )?;
    }
    Ok(())
}

impl logging::Host for Messages<'_> {
    fn log(
        &mut self,
        level: logging::Level,
        context: String,
        message: String,
    ) -> wasmtime::Result<()> {
        let level = Level::from(level);
        let asked = (level, &context, &message);
        if self.seam.hear("wasi:logging/logging.log", &asked)? {
            self.live.log(level, &context, &message);
        }
        Ok(())
    }
}

impl From<logging::Level> for Level {
    fn from(level: logging::Level) -> Self {
        match level {
            logging::Level::Trace => Self::Trace,
            logging::Level::Debug => Self::Debug,
            logging::Level::Info => Self::Info,
            logging::Level::Warn => Self::Warn,
            logging::Level::Error => Self::Error,
            logging::Level::Critical => Self::Critical,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_forge_a_line() {
        assert_eq!(
            visible("a\n{\"kind\":\"closed\"}\u{1b}]52;", 100),
            "a\\n{\"kind\":\"closed\"}\\u{1b}]52;"
        );
        assert_eq!(visible("\u{202e}abc", 100), "\\u{202e}abc");
        assert_eq!(visible("abcdef", 3), "abc…");
    }
}
