//! Why there is no response: the codes of `toolhost:tool/http`, and how every inner reason maps to
//! one of them.

use crate::dial::{DialError, DialErrorKind};
use crate::egress::{Refusal, RefusalKind};
use crate::terms::Unrecorded;

/// The codes of `toolhost:tool/http`, which has one for all that is too large; `wasi:http` has more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// No grant allows it, or the grant's limits do not.
    Denied,
    /// It is malformed, or says what only the host may say.
    Invalid,
    /// The request's URL is larger than its limit.
    #[serde(rename = "too-large")]
    LongUrl,
    /// The request's headers are.
    #[serde(rename = "too-large")]
    LargeHeaders,
    /// The request's body is.
    #[serde(rename = "too-large")]
    LargeBody,
    /// The response is.
    #[serde(rename = "too-large")]
    LargeResponse,
    /// No whole response in time.
    Timeout,
    /// The name does not resolve, nothing answers there, or its certificate does not hold.
    Unreachable,
    /// What came back is not HTTP.
    Protocol,
}

impl ErrorCode {
    /// The code as guests and the ledger read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::LongUrl | Self::LargeHeaders | Self::LargeBody | Self::LargeResponse => {
                "too-large"
            }
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Protocol => "protocol",
        }
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{say}")]
pub struct HttpError {
    /// What to branch on.
    pub code: ErrorCode,
    /// What happened, in a sentence that is safe for the guest.
    pub say: String,
}

impl From<Unrecorded> for HttpError {
    fn from(unrecorded: Unrecorded) -> Self {
        Self {
            code: ErrorCode::Unreachable,
            say: format!("The request was not sent: {unrecorded}."),
        }
    }
}

impl From<&Refusal> for HttpError {
    fn from(refusal: &Refusal) -> Self {
        let code = match refusal.kind {
            RefusalKind::Denied => ErrorCode::Denied,
            RefusalKind::Invalid => ErrorCode::Invalid,
            RefusalKind::LongUrl => ErrorCode::LongUrl,
            RefusalKind::LargeHeaders => ErrorCode::LargeHeaders,
            RefusalKind::LargeBody => ErrorCode::LargeBody,
        };
        Self {
            code,
            say: refusal.say.clone(),
        }
    }
}

impl From<&DialError> for HttpError {
    fn from(error: &DialError) -> Self {
        let code = match error.kind {
            DialErrorKind::Denied(_) | DialErrorKind::Credential => ErrorCode::Denied,
            DialErrorKind::Timeout => ErrorCode::Timeout,
            DialErrorKind::Unreachable | DialErrorKind::Tls => ErrorCode::Unreachable,
            DialErrorKind::TooLarge => ErrorCode::LargeResponse,
            DialErrorKind::Protocol => ErrorCode::Protocol,
        };
        Self {
            code,
            say: error.say.clone(),
        }
    }
}
