//! What a call tries to reach outside of its sandbox, and what came of it, as data: capabilities say it,
//! the record keeps it.
//!
//! It does not know what any of it means, nor where it is written.

use core::net::IpAddr;
use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::is_zero;

/// One attempt to reach something, before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What.
    pub to: Target,
    /// Whether it may.
    pub verdict: Verdict,
}

/// What a call reaches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A place on the network. It holds neither query nor headers nor bodies.
    Http(HttpTarget),
    /// A file or directory that is about to be changed.
    Dir(DirTarget),
    /// A bucket that is about to be written, or one that is not granted. It holds no keys.
    Kv(KvTarget),
}

/// A request as it was asked for. Where it could not be read, only its method is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpTarget {
    /// The method.
    pub method: String,
    /// `http` or `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Cow<'static, str>>,
    /// The host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The canonical path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A change of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirTarget {
    /// What is done.
    pub operation: DirOperation,
    /// The path as the guest names it.
    pub path: String,
    /// What is moved there or gets that name, in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What is done to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DirOperation {
    /// A file is opened to be written; it may be made or emptied.
    Write,
    /// A directory is made.
    Create,
    /// A name for something that is there is made.
    Link,
    /// It is moved here.
    Rename,
    /// It is taken away.
    Remove,
    /// Its times are set.
    Touch,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvTarget {
    /// Its name.
    pub bucket: String,
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Verdict {
    /// A grant allows it.
    Allowed(RuleRef),
    /// It is not made.
    Refused {
        /// The grant that came nearest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nearest: Option<Arc<str>>,
        /// Denied by the grants, or nothing that could be asked for.
        kind: Cow<'static, str>,
        /// The sentence that the guest got.
        why: String,
    },
}

/// What allowed an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    /// The grant's name.
    pub grant: Arc<str>,
    /// The line in the manifest, from 1.
    pub line: u32,
    /// The rule as it is written, where the grant has rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
}

/// What came of an attempt that was allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptAnswer {
    /// How it ended.
    pub end: AnswerEnd,
    /// The status, where there was a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Whether anything of it may have left the host: what the bill counts as a request.
    pub left: bool,
    /// Bytes of the request's body, where it left the host.
    pub sent: u64,
    /// Bytes of the response's body, decoded, as far as they were read.
    pub received: u64,
    /// From the request to the end of the response's body, in milliseconds.
    pub ms: u64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum AnswerEnd {
    /// There was a response; `received` says how much of its body was read.
    Answered,
    /// It was not sent after all: where its name leads to is forbidden.
    Refused {
        /// The sentence that the guest got.
        why: String,
    },
    /// There was no whole response.
    Failed {
        /// Why not, in one word.
        error: Cow<'static, str>,
        /// The sentence that the guest got.
        why: String,
    },
    /// The guest went away before there was a response.
    Abandoned,
}

/// How often a call used one of its grants: what has no record of its own is in here, too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// `http`, `dir` or `kv`.
    pub of: Cow<'static, str>,
    /// The grant's name; none for what no grant came near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Arc<str>>,
    /// Operations that read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reads: u64,
    /// Operations that write.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub writes: u64,
    /// Attempts that were refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Bytes that were read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub read: u64,
    /// Bytes that were written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub written: u64,
}

impl Usage {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, more: &Self) {
        self.reads = self.reads.saturating_add(more.reads);
        self.writes = self.writes.saturating_add(more.writes);
        self.refused = self.refused.saturating_add(more.refused);
        self.read = self.read.saturating_add(more.read);
        self.written = self.written.saturating_add(more.written);
    }
}

/// Where the attempts of one call are recorded.
pub trait AttemptSink: Send + Sync {
    /// Records an attempt before it is made. Gives its number, by which its answer finds it; none where
    /// it is only counted.
    ///
    /// # Errors
    /// It cannot be recorded, so it must not be made.
    fn attempt(&self, attempt: Attempt) -> Result<Option<u64>, Unrecorded>;

    /// Records what came of the attempt with this number.
    fn answer(&self, attempt: u64, answer: AttemptAnswer);

    /// Adds to what the end of the call says of a grant's use.
    fn usage(&self, usage: Usage);
}

/// What is to be tried cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not tried, because the host cannot record it now")]
pub struct Unrecorded;

impl Target {
    /// Its capability, as the manifest names it.
    #[must_use]
    pub const fn of(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Dir(_) => "dir",
            Self::Kv(_) => "kv",
        }
    }
}

impl HttpTarget {
    /// What was asked for, as far as it could be read: `GET https://example.org/a`.
    #[must_use]
    pub fn asked(&self) -> String {
        let scheme = self.scheme.as_deref().unwrap_or_default();
        let host = self.host.as_deref().unwrap_or_default();
        let bracketed = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        let port = match (scheme, self.port) {
            ("http", Some(80)) | ("https", Some(443)) | (_, None) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        let path = self.path.as_deref().unwrap_or_default();
        format!("{} {scheme}://{bracketed}{port}{path}", self.method)
    }
}

impl DirOperation {
    /// As the record names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Create => "create",
            Self::Link => "link",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Touch => "touch",
        }
    }
}

impl Attempt {
    /// Changes every text in it that a guest has a say in.
    pub fn each_text(&mut self, mut change: impl FnMut(&mut String)) {
        match &mut self.to {
            Target::Http(to) => {
                change(&mut to.method);
                to.host.iter_mut().for_each(&mut change);
                to.path.iter_mut().for_each(&mut change);
            }
            Target::Dir(to) => {
                change(&mut to.path);
                to.from.iter_mut().for_each(&mut change);
            }
            Target::Kv(to) => change(&mut to.bucket),
        }
        if let Verdict::Refused { why, .. } = &mut self.verdict {
            change(why);
        }
    }
}

impl AttemptAnswer {
    /// Changes every text in it that a guest has a say in.
    pub fn each_text(&mut self, change: impl FnOnce(&mut String)) {
        match &mut self.end {
            AnswerEnd::Refused { why } | AnswerEnd::Failed { why, .. } => change(why),
            AnswerEnd::Answered | AnswerEnd::Abandoned => {}
        }
    }
}
