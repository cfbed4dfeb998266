//! Where a secret's value comes from: the seam for every kind of place, and the environment.
//!
//! A source fetches bytes. It does not know what they are for, how long anybody keeps them, or who
//! waits.

use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use zeroize::Zeroizing;

use super::value::{MAX_SECRET, SecretError};

/// What a source is asked for: the value, or `None` where it is the one that was read before.
pub type Reading<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Zeroizing<Vec<u8>>>, SourceError>> + Send + 'a>>;

/// A place that a secret's value comes from. A vault would be one more of these.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// How long a value that was read holds before it is worth asking again; `None` for as long as
    /// the process runs.
    fn holds(&self) -> Option<Duration>;

    /// Asks for the value. It may take its time but ends by itself, and it blocks no thread.
    fn read(&self) -> Reading<'_>;

    /// What makes it the same source in another manifest, or under another name there: its values are
    /// one history.
    fn place(&self) -> String;

    /// Whether the operator accepts a value that is short enough to be guessed.
    fn accepts_short(&self) -> bool {
        false
    }
}

/// A place whose value may be short: the operator accepted that it can be guessed.
#[derive(Debug)]
pub struct ShortAccepted(pub Box<dyn SecretSource>);

impl SecretSource for ShortAccepted {
    fn holds(&self) -> Option<Duration> {
        self.0.holds()
    }

    fn read(&self) -> Reading<'_> {
        self.0.read()
    }

    fn place(&self) -> String {
        self.0.place()
    }

    fn accepts_short(&self) -> bool {
        true
    }
}

/// Why there is no value. The texts never hold one.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A variable that the environment does not have.
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    /// Others on this machine can read or change the file.
    #[error("{path} {why}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// What others can do, and what to do about it.
        why: String,
    },
    /// The command does not start, fails, takes too long or says too much.
    #[error("the command {program} {why}")]
    Command {
        /// The program.
        program: String,
        /// What happened.
        why: String,
    },
    /// What was read cannot be a secret.
    #[error("{0}")]
    Unfit(#[from] SecretError),
}

/// A variable of the host's environment, read once: it does not change while the process runs.
#[derive(Debug)]
pub struct EnvSource {
    variable: String,
}

impl EnvSource {
    /// The variable of this name.
    #[must_use]
    pub const fn new(variable: String) -> Self {
        Self { variable }
    }
}

impl SecretSource for EnvSource {
    fn holds(&self) -> Option<Duration> {
        None
    }

    fn read(&self) -> Reading<'_> {
        let value = std::env::var_os(&self.variable)
            .map(|value| Some(Zeroizing::new(value.into_vec())))
            .ok_or_else(|| SourceError::NotSet(self.variable.clone()));
        Box::pin(std::future::ready(value))
    }

    fn place(&self) -> String {
        format!("variable {}", self.variable)
    }
}

/// The most bytes that are read of any source: a secret and its line ending, and one more, by which
/// it is too long.
pub(super) const MOST_READ: usize = MAX_SECRET + 3;

/// Files and commands end in a line break that is not part of the value, and may begin with a byte order
/// mark that is none either.
pub(super) fn without_marks(mut value: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if value.starts_with(b"\xef\xbb\xbf") {
        value.drain(..3);
    }
    while matches!(value.last(), Some(b'\n' | b'\r')) {
        value.pop();
    }
    value
}
