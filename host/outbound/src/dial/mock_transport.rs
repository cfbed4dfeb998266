//! The seam in front of the network: what answers a request in its place, where somebody wants to see
//! what a tool does without one. It decides nothing: the request was judged, and holds its credential.

use bytes::Bytes;
use http::HeaderMap;

use super::fault::{DialError, DialErrorKind};
use super::reply::{Arriving, Reply};
use crate::egress::AllowedRequest;

/// A request that would leave the host now.
#[derive(Debug)]
pub struct WireRequest<'a> {
    /// What allowed it, with its method and its URL. A credential in the query is not in there.
    pub verdict: &'a AllowedRequest,
    /// The headers, with those that the host adds.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// What answers in the network's place.
pub trait MockTransport: Send + Sync {
    /// The response, or how the network fails.
    ///
    /// # Errors
    /// What a dialer would find.
    fn answer(&self, sent: &WireRequest<'_>) -> Result<http::Response<Bytes>, DialErrorKind>;
}

pub(super) fn answer(
    stand_in: &dyn MockTransport,
    verdict: &AllowedRequest,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Reply, DialError> {
    let sent = WireRequest {
        verdict,
        headers,
        body,
    };
    let answered = stand_in.answer(&sent);
    let failed = |kind| DialError::new(kind, &verdict.grant().origin, None);
    let answered = answered.map_err(failed)?;
    Ok(answered.map(|body| Arriving::Whole(Some(body))))
}
