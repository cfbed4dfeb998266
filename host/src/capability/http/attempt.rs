//! What the ledger keeps of one attempt to reach something.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use super::error::{ErrorCode, HttpError};
use super::judge::{Refusal, RefusalKind, Verdict};
use super::target::Asked;
use crate::capability::service::dial::Sending;
use crate::capability::service::secret::REDACTED;

/// The most bytes of a path that are kept.
const MAX_PATH: usize = 1024;

/// The most bytes of a method that are kept.
const MAX_METHOD: usize = 32;

/// Who takes the attempts down: it is asked when one begins, and gives what writes it when it is over.
pub type Pen = Arc<dyn Fn() -> Line + Send + Sync>;

/// Writes one attempt down; `None` says that it is not to be recorded. It owns whatever makes the
/// record of the call wait, so no order in which a call's parts are dropped can outrun it.
pub type Line = Box<dyn FnOnce(Option<Attempt>) + Send>;

/// One attempt, whatever came of it. It holds neither query nor headers nor bodies.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Attempt {
    /// The method as it was asked, cut at 32 bytes.
    pub method: String,
    /// The scheme, where the request could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<&'static str>,
    /// The host, where the request could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port, where the request could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The canonical path, where the request could be read; cut at 1024 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The status, where there was a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Whether anything of it may have left the host: a connection was given to it. Names that are
    /// looked up and handshakes before that are not the request.
    pub left: bool,
    /// Bytes of the request's body, where it left the host.
    pub sent: u64,
    /// Bytes of the response's body, decoded, as far as they were read.
    pub received: u64,
    /// What was decided and how it ended.
    pub verdict: AttemptVerdict,
    /// From the request to the end of the response's body, in milliseconds.
    pub ms: u64,
}

/// What was decided and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum AttemptVerdict {
    /// It went out, and there was a response; `received` says how much of its body was read.
    Allowed {
        /// The grant that allowed it.
        grant: Arc<str>,
        /// Line of the rule, from 1.
        line: u32,
        /// The rule as written.
        rule: Arc<str>,
    },
    /// It did not go out.
    Refused {
        /// The grant that came nearest.
        #[serde(skip_serializing_if = "Option::is_none")]
        nearest: Option<Arc<str>>,
        /// Denied by the grants, or not a proper request.
        kind: RefusalKind,
        /// The sentence that the guest got.
        why: String,
    },
    /// It was allowed, and there was no whole response.
    Failed {
        /// The grant that allowed it.
        grant: Arc<str>,
        /// Line of the rule, from 1.
        line: u32,
        /// The rule as written.
        rule: Arc<str>,
        /// Why not.
        error: ErrorCode,
        /// The sentence that the guest got.
        why: String,
    },
    /// It was allowed, and the guest went away before there was a response.
    Abandoned {
        /// The grant that allowed it.
        grant: Arc<str>,
        /// Line of the rule, from 1.
        line: u32,
        /// The rule as written.
        rule: Arc<str>,
    },
}

impl Attempt {
    /// Whether anything of it may have been sent: what the bill counts as a request.
    #[must_use]
    pub const fn left_host(&self) -> bool {
        self.left
    }
}

/// An attempt under way. It is written down when it is dropped, exactly once.
pub(super) struct Record {
    line: Option<Line>,
    /// Whether a connection was given to it, as the dialer says; nothing where it never went there.
    sending: Option<Sending>,
    /// Bytes of its body.
    body: u64,
    began: Instant,
    attempt: Attempt,
}

impl Record {
    pub(super) fn begin(pen: &Pen, method: &str, asked: Option<&Asked>) -> Self {
        let attempt = Attempt {
            method: start(method, MAX_METHOD),
            scheme: asked.map(|asked| asked.origin.scheme.as_str()),
            host: asked.map(|asked| asked.origin.host_text()),
            port: asked.map(|asked| asked.origin.port),
            path: asked.map(|asked| start(asked.path.as_str(), MAX_PATH)),
            status: None,
            peer: None,
            left: false,
            sent: 0,
            received: 0,
            // Until it is judged: what goes before that could not be read.
            verdict: AttemptVerdict::Refused {
                nearest: None,
                kind: RefusalKind::Invalid,
                why: String::new(),
            },
            ms: 0,
        };
        Self {
            line: Some(pen()),
            sending: None,
            body: 0,
            began: Instant::now(),
            attempt,
        }
    }

    /// Says that this attempt is not to be recorded.
    pub(super) fn discard(&mut self) {
        if let Some(line) = self.line.take() {
            line(None);
        }
    }

    /// Says that what was asked holds a credential: nothing of it is kept but where it should have
    /// gone, as far as `keepable` lets that pass.
    pub(super) fn conceal(&mut self, keepable: impl Fn(String) -> String) {
        let attempt = &mut self.attempt;
        attempt.method = keepable(std::mem::take(&mut attempt.method));
        attempt.host = attempt.host.take().map(keepable);
        attempt.path = Some(REDACTED.to_owned());
    }

    /// Notes that it does not go out, and gives the guest's error.
    pub(super) fn refuse(&mut self, refusal: &Refusal) -> HttpError {
        self.attempt.verdict = AttemptVerdict::Refused {
            nearest: refusal.nearest.clone(),
            kind: refusal.kind,
            why: refusal.say.clone(),
        };
        HttpError::from(refusal)
    }

    /// Notes that it goes out, and gives what the dialer tells when it does. Until there is an answer
    /// it counts as abandoned.
    pub(super) fn allow(&mut self, verdict: &Verdict, body: usize) -> Sending {
        let (grant, rule) = (Arc::clone(&verdict.grant().name), verdict.rule());
        self.body = u64::try_from(body).unwrap_or(u64::MAX);
        self.attempt.verdict = AttemptVerdict::Abandoned {
            grant,
            line: rule.line,
            rule: Arc::clone(&rule.text),
        };
        self.sending.insert(Sending::default()).clone()
    }

    /// Notes the head of the response.
    pub(super) fn answered(&mut self, status: StatusCode, peer: Option<SocketAddr>) {
        self.attempt.status = Some(status.as_u16());
        self.attempt.peer = peer.map(|peer| peer.ip());
        if let Some((grant, line, rule)) = self.rule() {
            self.attempt.verdict = AttemptVerdict::Allowed { grant, line, rule };
        }
    }

    /// Notes how much of the body came so far.
    pub(super) fn received(&mut self, bytes: u64) {
        self.attempt.received = bytes;
    }

    /// Notes that there is no whole response.
    pub(super) fn failed(&mut self, error: &HttpError) {
        if let Some((grant, line, rule)) = self.rule() {
            let (error, why) = (error.code, error.say.clone());
            self.attempt.verdict = AttemptVerdict::Failed {
                grant,
                line,
                rule,
                error,
                why,
            };
        }
    }

    /// Notes that the dialer did not send it.
    pub(super) fn unsent(&mut self, error: &HttpError) {
        self.attempt.verdict = AttemptVerdict::Refused {
            nearest: self.rule().map(|(grant, _, _)| grant),
            kind: RefusalKind::Denied,
            why: error.say.clone(),
        };
    }

    fn rule(&self) -> Option<(Arc<str>, u32, Arc<str>)> {
        match &self.attempt.verdict {
            AttemptVerdict::Refused { .. } => None,
            AttemptVerdict::Allowed { grant, line, rule }
            | AttemptVerdict::Failed {
                grant, line, rule, ..
            }
            | AttemptVerdict::Abandoned { grant, line, rule } => {
                Some((Arc::clone(grant), *line, Arc::clone(rule)))
            }
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.attempt.ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.attempt.left = self.sending.as_ref().is_some_and(Sending::began);
        if self.attempt.left {
            self.attempt.sent = self.body;
        }
        if let Some(line) = self.line.take() {
            line(Some(self.attempt.clone()));
        }
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.attempt.fmt(f)
    }
}

/// The first characters of a text, within so many bytes.
fn start(text: &str, most: usize) -> String {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
