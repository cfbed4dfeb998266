//! Messages for the operator. The host adds time, tool, function and caller, and keeps what the
//! manifest grants; it does not know here what that is.
//!
//! ```
//! let rows = 7;
//! toolhost_sdk::log::info(format_args!("read {rows} rows"));
//! ```

use std::fmt::Display;

/// How much a message matters, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to read.
    Info,
    /// Something is odd, the call goes on.
    Warn,
    /// The call cannot do what it should.
    Error,
    /// The tool cannot work at all.
    Critical,
}

/// Says something. `context` is a short name of the part that speaks; it may be empty.
///
/// Natively a message is only kept for [`recorded`].
pub fn write(level: Level, context: &str, message: impl Display) {
    let message = message.to_string();
    #[cfg(target_arch = "wasm32")]
    crate::wasm::bindings::wasi::logging::logging::log(level.into(), context, &message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::recorder::log(Message {
        level,
        context: context.to_owned(),
        message,
    });
}

/// Says every step.
pub fn trace(message: impl Display) {
    write(Level::Trace, "", message);
}

/// Says what helps to find a fault.
pub fn debug(message: impl Display) {
    write(Level::Debug, "", message);
}

/// Says what an operator wants to read.
pub fn info(message: impl Display) {
    write(Level::Info, "", message);
}

/// Says that something is odd.
pub fn warn(message: impl Display) {
    write(Level::Warn, "", message);
}

/// Says that the call cannot do what it should.
pub fn error(message: impl Display) {
    write(Level::Error, "", message);
}

#[cfg(target_arch = "wasm32")]
impl From<Level> for crate::wasm::bindings::wasi::logging::logging::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
            Level::Critical => Self::Critical,
        }
    }
}

/// One message, as a native test sees it.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How much it matters.
    pub level: Level,
    /// The part that speaks.
    pub context: String,
    /// The message.
    pub message: String,
}

/// Takes what this thread has logged so far; for native tests.
#[cfg(not(target_arch = "wasm32"))]
#[must_use]
pub fn recorded() -> Vec<Message> {
    crate::recorder::take_log()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_kept_with_their_level() {
        warn(format_args!("{} of {}", 1, 2));
        write(Level::Critical, "store", "gone");
        let said = recorded();
        assert_eq!(said.len(), 2);
        assert_eq!(said[0].message, "1 of 2");
        assert_eq!(
            (said[1].level, said[1].context.as_str()),
            (Level::Critical, "store")
        );
    }
}
