//! Which requests may go out: what a grant of HTTP says, and what a request is in one reading.
//!
//! `judge` is where it is decided; the other files answer one question each.

mod address;
mod content;
mod grant;
mod headers;
mod judge;
mod key_shapes;
mod parameter;
mod path;
mod percent;
mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use address::{Class, classify, is_localhost, is_metadata_name, is_public, loopback, may_dial};
pub use content::{
    Arguments, BodyRule, ContentMiss, ContentPart, ContentRule, Field, JsonRule, Pattern,
    QueryRule, RequestContent, Scalar, Test,
};
pub use grant::{
    Auth, ClientFiles, HttpGrant, Network, Origin, PathSegment, Rule, Scheme, TlsFiles, Way,
};
pub use headers::{
    HeaderError, MAX_HEADER_BYTES, MAX_HEADERS, Manner, admit, filter_response, is_forbidden,
    within_bounds,
};
pub use judge::{
    AllowedRequest, Explanation, OriginMiss, Refusal, RefusalKind, RuleMiss, RuleName, RuleStep,
    Step, address_denied, decide, explain, follow, judge, unreadable,
};
pub use key_shapes::{KEY_PREFIXES, found as known_key};
pub use parameter::is_host_parameter;
pub use path::{CanonicalPath, PathError, canonical};
pub use target::{MAX_METHOD, MAX_URL, ParsedRequest, RawRequest, RawTarget, TargetError};
