//! How a request fails on its way: which kind it is, and the sentence for the guest.
//!
//! Causes are told apart by their types, never by their texts. The sentences hold neither query nor
//! credential.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io;

use super::meter::Noise;
use crate::egress::{AllowedRequest, Class, address_denied};
use crate::resolve::Unresolved;

/// Why there is no response, or no whole one.
#[derive(Debug, thiserror::Error)]
#[error("{say}")]
pub struct DialError {
    /// What to branch on.
    pub kind: DialErrorKind,
    /// A sentence without query and credential.
    pub say: String,
    /// The cause in the words of the library, for the operator.
    pub detail: Option<String>,
}

/// Why there is no response, or no whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialErrorKind {
    /// An address of this class may not be dialled.
    Denied(Class),
    /// The grant's credential is missing or does not fit a request.
    Credential,
    /// Not in time.
    Timeout,
    /// The name does not resolve, or nothing answers there.
    Unreachable,
    /// The certificate does not hold, or there is no common way to encrypt.
    Tls,
    /// The body is larger than its cap.
    TooLarge,
    /// What came back is not proper HTTP.
    Protocol,
}

impl DialErrorKind {
    /// What happened, as the end of a sentence that begins with the origin.
    const fn what(self) -> &'static str {
        match self {
            Self::Denied(_) => "was not asked: its address may not be dialled",
            Self::Credential => {
                "was not asked: the host cannot use the credential that belongs to it; its operator has to look"
            }
            Self::Timeout => {
                "did not give a whole response in time; it may have acted on the request"
            }
            Self::Unreachable => {
                "cannot be reached: its name does not resolve, or nothing answers there"
            }
            Self::Tls => "was not asked: no secure connection; its certificate may not hold",
            Self::TooLarge => "gave a response that is too large",
            Self::Protocol => "gave a response that is not proper HTTP",
        }
    }
}

/// What is wrong with a response: each cause has a sentence, for each has another remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It cannot be read.
    Form,
    /// Its head is larger than its bounds.
    Head,
    /// The other side wants to go on in another protocol.
    Switches,
    /// It ended too early.
    BrokenOff,
    /// The connection ended before anything of it was there.
    NoAnswer,
    /// More came beside bodies than a connection may bring.
    Noise,
    /// Its encoding was not asked for.
    OtherCoding(&'static str),
    /// It is encoded more than once.
    Codings,
    /// It is not what its encoding says.
    Coding(&'static str),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str(DialErrorKind::Protocol.what()),
            Self::Head => f.write_str("gave a response with more, or larger, headers than are read"),
            Self::Switches => {
                f.write_str("wants to go on in another protocol (101), which no request of this host asks for")
            }
            Self::BrokenOff => f.write_str(
                "broke its response off: the connection ended before all of it was there; it may have acted on the request",
            ),
            Self::NoAnswer => f.write_str(
                "closed the connection without an answer; it may have acted on the request",
            ),
            Self::Noise => {
                f.write_str("sent too much that belongs to no body: interim responses, or frames without content")
            }
            Self::OtherCoding(name) => write!(
                f,
                "encodes its response as {name}, which was not asked for and is not read"
            ),
            Self::Codings => {
                f.write_str("encodes its response more than once (Content-Encoding), which is not read")
            }
            Self::Coding(name) => write!(
                f,
                "says that its response is encoded as {name}, and it is not, or only a part of it is there"
            ),
        }
    }
}

impl DialError {
    pub(super) fn new(kind: DialErrorKind, target: &impl Display, detail: Option<String>) -> Self {
        Self {
            kind,
            say: format!("{target} {}.", kind.what()),
            detail,
        }
    }

    /// Whether the request had a connection before this happened.
    pub(super) const fn has_sent(&self) -> bool {
        matches!(
            self.kind,
            DialErrorKind::Timeout | DialErrorKind::TooLarge | DialErrorKind::Protocol
        )
    }

    /// A response that is none, and why.
    pub(super) fn broken(wrong: Wrong, target: &impl Display, detail: Option<String>) -> Self {
        Self {
            kind: DialErrorKind::Protocol,
            say: format!("{target} {wrong}."),
            detail,
        }
    }

    pub(super) fn too_large(target: &str, cap: u64) -> Self {
        let say = format!("{target} gave a response larger than {cap} bytes. Ask for less of it.");
        Self {
            kind: DialErrorKind::TooLarge,
            say,
            detail: None,
        }
    }

    pub(super) fn denied(class: Class, verdict: &AllowedRequest) -> Self {
        let say = address_denied(&verdict.grant().origin, class);
        Self {
            kind: DialErrorKind::Denied(class),
            say,
            detail: None,
        }
    }

    /// What the grant names for TLS was not to be had.
    pub(super) fn no_certificates(target: &impl Display) -> Self {
        Self {
            kind: DialErrorKind::Tls,
            say: format!(
                "{target} was not asked: the host could not read the certificates that it needs for it. Its operator has to look."
            ),
            detail: None,
        }
    }

    pub(super) fn no_client(cause: &dyn StdError) -> Self {
        Self {
            kind: DialErrorKind::Tls,
            say: "The host cannot open secure connections: it found no CA certificates. Its \
                  operator has to install them (package ca-certificates) or name them in \
                  SSL_CERT_FILE."
                .to_owned(),
            detail: Some(chain(cause)),
        }
    }

    /// A failure before there was a response, by its causes.
    pub(super) fn on_the_way(error: &Failure, verdict: &AllowedRequest) -> Self {
        let kind = match cause(error.error) {
            Some(Cause::Name(Unresolved::Denied(class))) => return Self::denied(*class, verdict),
            Some(Cause::Name(Unresolved::Timeout)) => DialErrorKind::Timeout,
            Some(Cause::Name(Unresolved::Unknown)) => DialErrorKind::Unreachable,
            Some(Cause::Tls) if error.connect => DialErrorKind::Tls,
            // Behind the handshake the request may have been read already.
            Some(Cause::Tls) => {
                let detail = Some(chain(error.error));
                return Self::broken(Wrong::NoAnswer, &verdict.grant().origin, detail);
            }
            Some(Cause::Silence) => DialErrorKind::Timeout,
            Some(Cause::Wrong(_)) | None if error.connect => DialErrorKind::Unreachable,
            Some(Cause::Wrong(wrong)) => {
                // Nothing of a body was awaited yet.
                let wrong = match wrong {
                    Wrong::BrokenOff => Wrong::NoAnswer,
                    other => other,
                };
                let detail = Some(chain(error.error));
                return Self::broken(wrong, &verdict.grant().origin, detail);
            }
            None => DialErrorKind::Protocol,
        };
        let grant = verdict.grant();
        let mut failure = Self::new(kind, &grant.origin, Some(chain(error.error)));
        if kind == DialErrorKind::Unreachable && grant.way.proxy.is_some() {
            failure.say = format!(
                "{} cannot be reached: the proxy between does not answer, or does not let it \
                 through.",
                grant.origin
            );
        }
        failure
    }

    /// A failure within a response's body.
    pub(super) fn in_body(error: &Failure, target: &str) -> Self {
        let detail = Some(chain(error.error));
        match cause(error.error) {
            Some(Cause::Silence) => Self::new(DialErrorKind::Timeout, &target, detail),
            Some(Cause::Wrong(wrong)) => Self::broken(wrong, &target, detail),
            _ => Self::new(DialErrorKind::Protocol, &target, detail),
        }
    }
}

/// What the HTTP client says of a failure, beside its causes.
pub(super) struct Failure<'e> {
    /// The failure. Its texts name no URL.
    pub(super) error: &'e (dyn StdError + 'static),
    /// No connection came to stand.
    pub(super) connect: bool,
}

/// A cause that this file knows by its type.
enum Cause<'e> {
    Name(&'e Unresolved),
    Tls,
    /// The other side took too long.
    Silence,
    /// What came is no response.
    Wrong(Wrong),
}

fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<Cause<'e>> {
    let mut next = Some(error);
    // What the client makes of it counts only where nothing deeper says more.
    let mut wrong = None;
    while let Some(error) = next {
        if let Some(name) = error.downcast_ref::<Unresolved>() {
            return Some(Cause::Name(name));
        }
        if error.is::<rustls::Error>() {
            return Some(Cause::Tls);
        }
        if error.is::<Noise>() {
            return Some(Cause::Wrong(Wrong::Noise));
        }
        let is_io = error.downcast_ref::<io::Error>();
        if is_io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return Some(Cause::Silence);
        }
        wrong = is_io
            .and_then(of_connection)
            .or_else(|| error.downcast_ref::<hyper::Error>().and_then(of_client))
            .or(wrong);
        next = match is_io {
            // `source` of an `io::Error` skips the error it wraps.
            Some(error) => error
                .get_ref()
                .map(|wrapped| wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    wrong.map(Cause::Wrong)
}

fn of_connection(error: &io::Error) -> Option<Wrong> {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let ended = [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        UnexpectedEof,
    ];
    ended.contains(&error.kind()).then_some(Wrong::BrokenOff)
}

fn of_client(error: &hyper::Error) -> Option<Wrong> {
    if error.is_parse_too_large() {
        Some(Wrong::Head)
    } else if error.is_parse() {
        Some(Wrong::Form)
    } else if error.is_incomplete_message() || error.is_closed() {
        Some(Wrong::BrokenOff)
    } else {
        None
    }
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
