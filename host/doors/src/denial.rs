//! HTTP answers that the protocol never sees: a refusal with its status, and what to do next.
//!
//! It does not know why anything is refused.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};

use super::body::Body;
use super::frame::{BUSY, INTERNAL_ERROR, INVALID_REQUEST, Refusal};
use super::guard::Foreign;

/// A request that the protocol never sees.
#[derive(Debug)]
pub(super) struct Denial {
    pub(super) status: StatusCode,
    pub(super) refusal: Refusal,
}

impl Denial {
    /// A denial with a message for whoever asked.
    pub(super) fn new(status: StatusCode, say: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            refusal: Refusal::new(INVALID_REQUEST, say),
        }
    }

    /// The same as an answer to a request of a session, if it belongs to one. Where a status says that
    /// a request is refused, official clients of the older era (Python, 1.x) end the whole session.
    pub(super) fn told_in(mut self, session: Option<&HeaderValue>) -> Self {
        if session.is_some() && self.refusal.id.is_some() {
            self.status = StatusCode::OK;
        }
        self
    }

    /// There is no room for it now.
    pub(super) fn busy(say: impl Into<Cow<'static, str>>) -> Self {
        Refusal::new(BUSY, say).into()
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            BUSY => StatusCode::SERVICE_UNAVAILABLE,
            INTERNAL_ERROR => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, refusal }
    }
}

impl From<Foreign> for Denial {
    fn from(foreign: Foreign) -> Self {
        let status = match foreign {
            Foreign::BadHost => StatusCode::BAD_REQUEST,
            Foreign::Host | Foreign::Origin => StatusCode::FORBIDDEN,
        };
        Self::new(status, foreign.say())
    }
}

impl From<Denial> for Response<Body> {
    fn from(denial: Denial) -> Self {
        let response = json(denial.status, denial.refusal.to_json());
        match denial.status {
            StatusCode::UNAUTHORIZED => with(response, WWW_AUTHENTICATE, "Bearer"),
            StatusCode::SERVICE_UNAVAILABLE => with(response, RETRY_AFTER, "30"),
            StatusCode::METHOD_NOT_ALLOWED => with(response, ALLOW, "GET"),
            _ => response,
        }
    }
}

/// A response of JSON.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = status;
    with(response, CONTENT_TYPE, "application/json")
}

fn with(mut response: Response<Body>, name: HeaderName, value: &'static str) -> Response<Body> {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    response
}
