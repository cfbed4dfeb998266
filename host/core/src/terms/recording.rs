//! What a guest was answered in one call, as plain data: enough to run it again without an outside.
//!
//! It does not know who asked for it, how a guest runs, nor where a recording is kept. Nothing in here
//! is a handle: what a guest was given to hold is a number in its own table, and comes anew in the same
//! order when it runs again.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Attempt, AttemptAnswer, Code, Usage};

/// All that one call got from outside, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// What the guest asked, and what it was answered.
    pub entries: Vec<RecordedAnswer>,
    /// What it tried on the outside, and what came of it, in the order in which it was tried.
    pub attempts: Vec<(Attempt, Option<AttemptAnswer>)>,
    /// Denials that the guest heard a code of alone.
    pub denials: Vec<String>,
    /// How often it used its grants.
    pub usage: Vec<Usage>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedAnswer {
    /// What was asked.
    pub asked: HostQuestion,
    /// What was answered.
    pub answer: HostAnswer,
    /// How many of the recording's attempts were begun by then.
    pub attempts: usize,
    /// How many of the recording's denials were noted by then.
    pub denials: usize,
}

/// What a guest asked. Its words are not kept, only what tells others from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostQuestion {
    /// The host function, as `wasi:clocks/wall-clock.now`; without a version.
    pub function: Cow<'static, str>,
    /// Of its arguments, BLAKE3.
    pub digest: [u8; 32],
}

/// What a guest was answered, by the capability that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostAnswer {
    /// The time.
    Clock(ClockAnswer),
    /// Randomness.
    Random(RandomAnswer),
    /// Variables and arguments.
    Env(EnvAnswer),
    /// Configuration.
    Config(ConfigAnswer),
    /// Buckets.
    Kv(KvAnswer),
    /// Directories and files.
    Dir(DirAnswer),
    /// HTTP.
    Http(HttpAnswer),
    /// Streams, of whatever.
    Stream(StreamAnswer),
    /// Which of what a guest waits for is ready.
    Poll(PollAnswer),
    /// It was heard, as progress or for the log.
    Heard,
    /// None: the call ended there.
    Stopped(Stopped),
}

/// Why a host function ended the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// The host would have held more for it than it may, in bytes.
    HostMemory(u64),
    /// It holds as many resources as it may.
    Resources,
    /// It let go of what others of its resources need.
    HasChildren,
    /// It used a resource that it does not hold.
    NotPresent,
    /// It used a resource for another.
    WrongType,
    /// A fault of the host.
    Fault {
        /// Its code.
        code: Code,
        /// What its caller hears.
        say: String,
        /// What its operator hears.
        detail: Option<String>,
    },
    /// Something else, in words for the operator.
    Other(String),
}

/// A clock's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockAnswer {
    /// Of the wall clock: seconds since 1970, and nanoseconds.
    Wall(u64, u32),
    /// Of the monotonic clock, in nanoseconds.
    Monotonic(u64),
}

/// Randomness, of whichever kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RandomAnswer {
    /// Bytes.
    Bytes(Vec<u8>),
    /// 64 bits.
    Number(u64),
    /// 128 bits.
    Seed(u64, u64),
}

/// What a guest finds around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvAnswer {
    /// Its variables.
    Variables(Vec<(String, String)>),
    /// Its command line.
    Arguments(Vec<String>),
    /// Where it starts.
    Directory(Option<String>),
}

/// What a guest is configured with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigAnswer {
    /// One value.
    Value(Option<String>),
    /// All of them, with their names.
    All(Vec<(String, String)>),
}

/// A key with its value.
pub type Pair = (String, Vec<u8>);

/// A bucket's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KvAnswer {
    /// It is open, or seen: the guest holds one thing more.
    Held,
    /// It is done.
    Done,
    /// A value, if there is one.
    Value(Option<Vec<u8>>),
    /// Whether there is one.
    Exists(bool),
    /// A page of keys, and where the next one begins.
    Keys(Vec<String>, Option<String>),
    /// A counter, unsigned in one draft and signed in the other.
    Count(i128),
    /// Values of several keys.
    Pairs(Vec<(String, Option<Vec<u8>>)>),
    /// It has changed since it was seen: the guest holds how it is now.
    Lost,
    /// There is no such bucket.
    NoSuchStore,
    /// It could not be done; the sentence says why.
    Failed(String),
}

/// A point of time: seconds since 1970, and nanoseconds.
pub type Moment = (u64, u32);

/// What a file or directory is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// What it is, as [`DirAnswer::Kind`] has it.
    pub kind: u8,
    /// How many names it has.
    pub links: u64,
    /// In bytes.
    pub size: u64,
    /// When it was read, written, and changed last.
    pub times: [Option<Moment>; 3],
}

/// A directory's or a file's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirAnswer {
    /// The directories that the guest was given, by their paths; it holds each.
    Given(Vec<String>),
    /// It is open: the guest holds one thing more.
    Held,
    /// It is done.
    Done,
    /// How it is open, bit by bit.
    Flags(u8),
    /// What it is: the place of its word in `wasi:filesystem`.
    Kind(u8),
    /// What was read, and whether it is the end.
    Read(Vec<u8>, bool),
    /// How many bytes were written.
    Written(u64),
    /// What it is like.
    Status(FileStatus),
    /// Where a link leads.
    Path(String),
    /// Whether the two are one.
    Same(bool),
    /// What tells it from others.
    Hash(u64, u64),
    /// The next entry of a listing, with what it is.
    Entry(Option<(u8, String)>),
    /// The code of an error that a stream met, if it has one.
    Code(Option<String>),
    /// It could not be done: the word of `wasi:filesystem` for it.
    Failed(String),
}

/// An error of `wasi:http`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCode {
    /// Its word.
    pub is: Cow<'static, str>,
    /// The number that belongs to it, if one does.
    pub number: Option<u64>,
    /// The text that belongs to it, if one does.
    pub text: Option<String>,
}

/// HTTP's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpAnswer {
    /// A whole response, of `toolhost:tool/http`.
    Whole {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<Pair>,
        /// The body.
        body: Vec<u8>,
    },
    /// None, of `toolhost:tool/http`: a code and a sentence.
    Refused(String, String),
    /// It is under way: the guest holds one thing more.
    Held,
    /// It is done.
    Done,
    /// Nothing yet.
    NotYet,
    /// It was given before.
    Taken,
    /// The head of a response; its body comes as a stream.
    Head {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<Pair>,
    },
    /// The trailers of a response, if there are any.
    Trailers(Option<Vec<Pair>>),
    /// The code of an error that a stream met, if it has one.
    Code(Option<HttpCode>),
    /// It could not be done.
    Failed(HttpCode),
}

/// A stream's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamAnswer {
    /// A piece, with the borders that it came in.
    Piece(Vec<u8>),
    /// How many bytes may be written, or were passed over.
    Count(u64),
    /// It is done.
    Done,
    /// An error in words.
    Words(String),
    /// It is at its end.
    Closed,
    /// It failed: the guest holds an error that says so.
    Failed(String),
}

/// What is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PollAnswer {
    /// These, by their places in the list that was asked for, in this order.
    Ready(Vec<u32>),
    /// Whether it is.
    Is(bool),
    /// It is by now.
    Waited,
}

/// A guest that runs again does not ask what it asked when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the guest left its recording at answer {number}: {}, {}",
    .recorded.as_ref().map_or_else(|| "the recording has no more".to_owned(), |it| format!("the recording has {it} there")),
    .asked.as_ref().map_or_else(|| "the guest asked no more".to_owned(), |it| format!("the guest asked {it}"))
)]
pub struct Divergence {
    /// Which answer it would have been, from 1.
    pub number: usize,
    /// What was asked then; none where the recording is at its end.
    pub recorded: Option<String>,
    /// What is asked now; none where the guest has ended.
    pub asked: Option<String>,
}

/// Each capability's answers among all of them.
macro_rules! kinds {
    ($($kind:ident($answer:ty)),* $(,)?) => {$(
        impl From<$answer> for HostAnswer {
            fn from(answer: $answer) -> Self {
                Self::$kind(answer)
            }
        }

        impl TryFrom<HostAnswer> for $answer {
            type Error = HostAnswer;

            fn try_from(answer: HostAnswer) -> Result<Self, HostAnswer> {
                match answer {
                    HostAnswer::$kind(answer) => Ok(answer),
                    other => Err(other),
                }
            }
        }
    )*};
}

kinds! {
    Clock(ClockAnswer),
    Random(RandomAnswer),
    Env(EnvAnswer),
    Config(ConfigAnswer),
    Kv(KvAnswer),
    Dir(DirAnswer),
    Http(HttpAnswer),
    Stream(StreamAnswer),
    Poll(PollAnswer),
}

impl HostAnswer {
    /// About what it takes to keep it beyond a constant, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let texts =
            |all: &[(String, String)]| all.iter().map(|(a, b)| a.len() + b.len() + 48).sum();
        let pairs = |all: &[Pair]| {
            all.iter()
                .map(|(a, b)| a.len() + b.len() + 48)
                .sum::<usize>()
        };
        let names = |all: &[String]| all.iter().map(|name| name.len() + 24).sum();
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Clock(_) | Self::Poll(PollAnswer::Is(_) | PollAnswer::Waited) | Self::Heard => 0,
            Self::Random(RandomAnswer::Bytes(bytes)) => bytes.len(),
            Self::Random(_) => 0,
            Self::Env(EnvAnswer::Variables(all)) | Self::Config(ConfigAnswer::All(all)) => {
                texts(all)
            }
            Self::Env(EnvAnswer::Arguments(all)) => names(all),
            Self::Env(EnvAnswer::Directory(value)) | Self::Config(ConfigAnswer::Value(value)) => {
                text(value)
            }
            Self::Kv(answer) => match answer {
                KvAnswer::Value(value) => value.as_ref().map_or(0, Vec::len),
                KvAnswer::Keys(keys, next) => names(keys) + text(next),
                KvAnswer::Pairs(all) => {
                    let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
                    let each = all.iter().map(|(key, held)| key.len() + value(held) + 56);
                    each.sum()
                }
                KvAnswer::Failed(words) => words.len(),
                _ => 0,
            },
            Self::Dir(answer) => match answer {
                DirAnswer::Given(all) => names(all),
                DirAnswer::Read(bytes, _) => bytes.len(),
                DirAnswer::Path(name)
                | DirAnswer::Entry(Some((_, name)))
                | DirAnswer::Failed(name) => name.len(),
                _ => 0,
            },
            Self::Http(answer) => match answer {
                HttpAnswer::Whole { headers, body, .. } => pairs(headers) + body.len(),
                HttpAnswer::Head { headers, .. } | HttpAnswer::Trailers(Some(headers)) => {
                    pairs(headers)
                }
                HttpAnswer::Refused(code, words) => code.len() + words.len(),
                HttpAnswer::Code(Some(code)) | HttpAnswer::Failed(code) => text(&code.text),
                _ => 0,
            },
            Self::Stream(StreamAnswer::Piece(bytes)) => bytes.len(),
            Self::Stream(StreamAnswer::Words(words) | StreamAnswer::Failed(words)) => words.len(),
            Self::Stream(_) => 0,
            Self::Poll(PollAnswer::Ready(places)) => places.len() * 4,
            Self::Stopped(Stopped::Fault { say, detail, .. }) => say.len() + text(detail),
            Self::Stopped(Stopped::Other(words)) => words.len(),
            Self::Stopped(_) => 0,
        }
    }
}
