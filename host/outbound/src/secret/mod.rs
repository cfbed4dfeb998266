//! Secrets: where they come from, how they are held, and how they are kept from going anywhere but
//! where a grant sends them.
//!
//! `value` holds one, `store` those of a manifest by name, `history` all that they are and were;
//! `source` and what lies beside it fetch them.
//! `scrub` takes them out of what comes back, `leak` finds them in what goes out. Nothing here knows
//! grants, requests or callers.

mod command;
mod core;
mod decode;
mod file;
mod forms;
mod history;
mod leak;
mod redactions;
mod scrub;
mod search;
mod source;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod value;
mod watch;

pub use command::CommandSource;
pub use file::FileSource;
pub(crate) use forms::percent;
pub use history::History;
pub(crate) use leak::Leak;
pub use redactions::{MOST_REDACTIONS, Redactions};
pub use scrub::{LAG, Patterns, PatternsError, REDACTED, Scrubber};
pub use source::{EnvSource, Reading, SecretSource, ShortAccepted, SourceError};
pub use store::{Secrets, Unloaded};
pub use value::{LONG_ENOUGH, MAX_SECRET, MIN_SECRET, Secret, SecretError, SecretMark};
pub use watch::{PatternSource, SecretPatterns};
