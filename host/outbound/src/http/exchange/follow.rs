//! Redirects that the host follows itself, where a grant says so.
//!
//! The upstream chooses where such a request goes, so it is judged like one that the guest makes,
//! against the same function's grants; it carries no credential, no header that could hold one, no
//! body; and it is an attempt of its own, counted and recorded. Only GET and HEAD are followed: of
//! everything else the guest gets the redirect.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::{AttemptRecorder, Hop, HttpContext, TimeLimits};
use crate::egress::{
    AllowedRequest, ParsedRequest, RawRequest, RawTarget, RequestContent, follow, unreadable,
};
use crate::http::HttpError;

/// What a guest asks for that holds wherever the answer comes from.
const KEPT: [HeaderName; 3] = [ACCEPT, ACCEPT_LANGUAGE, RANGE];

/// How many redirects are followed for a request.
pub(super) fn most(verdict: &AllowedRequest) -> u32 {
    match *verdict.method() {
        Method::GET | Method::HEAD => verdict.grant().redirects,
        _ => 0,
    }
}

/// The headers that go along, where anything is followed at all.
pub(super) fn kept(headers: &HeaderMap, most: u32) -> HeaderMap {
    if most == 0 {
        return HeaderMap::new();
    }
    let mut kept = headers.clone();
    for name in headers.keys().filter(|name| !KEPT.contains(name)) {
        kept.remove(name);
    }
    kept
}

/// Where a response redirects to.
pub(super) struct Place {
    url: String,
    /// It is of the server that says so.
    own: bool,
}

/// Where a response redirects to, if it does and its `Location` has one reading. One that repeats a
/// credential is not followed.
pub(super) fn place(context: &HttpContext, leg: &Hop) -> Option<Place> {
    if !matches!(
        leg.incoming.status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    ) {
        return None;
    }
    let mut locations = leg.incoming.headers.get_all(LOCATION).iter();
    let (location, None) = (locations.next()?, locations.next()) else {
        return None;
    };
    let patterns = context.patterns();
    // As it came, and as it would be sent: what is ASCII is the same in both.
    let is_ascii = location.as_bytes().is_ascii();
    let raw = patterns.scrub_bytes(location.as_bytes());
    let location = escaped(location.as_bytes());
    let is_clean = |text: Cow<'_, [u8]>| matches!(text, Cow::Borrowed(_));
    if !is_clean(raw) || !(is_ascii || is_clean(patterns.scrub_bytes(location.as_bytes()))) {
        return None;
    }
    let from = leg.verdict.url();
    let mut place = from.join(&location).ok()?;
    place.set_fragment(None);
    Some(Place {
        own: place.origin() == from.origin(),
        url: place.into(),
    })
}

/// A `Location` as a URL writes it. Servers put UTF-8 there, or Latin-1: browsers send every byte that
/// is not ASCII back as the escape of that byte, so the server gets what it wrote.
fn escaped(location: &[u8]) -> String {
    let mut text = String::with_capacity(location.len());
    for byte in location {
        match byte {
            0..=0x7f => text.push(char::from(*byte)),
            // Writing into a text does not fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

/// Asks for what the response redirects to.
pub(super) async fn on(
    context: &HttpContext,
    place: &Place,
    headers: HeaderMap,
    time: TimeLimits,
    leg: Hop,
) -> Result<Hop, HttpError> {
    let Hop {
        verdict,
        incoming,
        record: mut redirect,
    } = leg;
    redirect.answered(incoming.status, incoming.peer);
    // Its place among the connections is free before the next one is taken.
    drop((incoming, redirect));

    let ask = RawRequest {
        method: verdict.method().as_str(),
        target: match place.own {
            true => RawTarget::Own(&place.url),
            false => RawTarget::Url(&place.url),
        },
    };
    let asked = ParsedRequest::parse(&ask);
    let mut record = AttemptRecorder::begin(&context.attempts, ask.method, asked.as_ref().ok());
    let sent = RequestContent::nothing(&context.arguments);
    let judged = context.count(&mut record).and_then(|()| {
        let asked = asked.as_ref().map_err(|error| unreadable(*error))?;
        follow(&context.outbound.grants, asked, &sent)
    });
    let verdict = judged.map_err(|refusal| record.refuse(&refusal))?;
    let outgoing = context.outgoing(headers, Bytes::new());
    context.send(verdict, outgoing, time, record).await
}
