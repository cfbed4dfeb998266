//! HTTP: `wasi:http` and `toolhost:tool/http`, judged by one policy and sent by one dialer.
//!
//! `exchange` is the whole of it; the other files answer one question each and are pure.

mod address;
mod ahead;
mod attempt;
mod content;
mod error;
mod exchange;
mod grant;
mod headers;
mod held;
mod host;
mod judge;
mod leak;
mod parameter;
mod path;
mod percent;
mod target;
#[cfg(test)]
pub(crate) mod testing;
mod wasi;
mod words;

pub use address::{Class, classify, is_localhost, is_metadata_name, is_public, loopback, may_dial};
pub use content::{
    Arguments, BodyRule, Content, ContentMiss, Field, Part, Pattern, QueryRule, Scalar, Sent,
    Shape, Test,
};
pub use error::{ErrorCode, HttpError};
pub use exchange::{Body, HttpContext, Outlet, Request, RequestTarget, Response, exchange};
pub use grant::{
    Auth, ClientFiles, HttpGrant, Network, Origin, Rule, Scheme, Segment, TlsFiles, Way,
};
pub use headers::{
    HeaderError, MAX_HEADER_BYTES, MAX_HEADERS, Manner, admit, filter_response, is_forbidden,
    within_bounds,
};
pub(in crate::capability) use host::{HasHttp, State, link, link_p3};
pub(crate) use judge::address_denied;
pub use judge::{
    Explanation, OriginMiss, Refusal, RefusalKind, RuleMiss, RuleName, RuleStep, Step, Verdict,
    decide, explain, follow, judge,
};
pub use parameter::is_host_parameter;
pub use path::{CanonicalPath, PathError, canonical};
pub use target::{Ask, Asked, MAX_URL, Target, TargetError};
pub(in crate::capability) use words::CAPABILITY;

pub use super::service::dial::{DialError, DialErrorKind, Dialer};
pub use super::service::secret::{Secret, Secrets};
