//! Redirects that the host follows itself, where a grant says so.
//!
//! The upstream chooses where such a request goes, so it is judged like one that the guest makes,
//! against the same function's grants; it carries no credential, no header that could hold one, no
//! body; and it is an attempt of its own, counted and recorded. Only GET and HEAD are followed: of
//! everything else the guest gets the redirect.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::{HttpContext, Leg, Record, Time};
use crate::capability::http::HttpError;
use crate::capability::http::content::Sent;
use crate::capability::http::judge::{self, Verdict, unreadable};
use crate::capability::http::target::{Ask, Asked, Target};

/// What a guest asks for that holds wherever the answer comes from.
const KEPT: [HeaderName; 3] = [ACCEPT, ACCEPT_LANGUAGE, RANGE];

/// How many redirects are followed for a request.
pub(super) fn most(verdict: &Verdict) -> u32 {
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

/// Where a response redirects to, if it does and its `Location` has one reading. One that repeats a
/// credential is not followed.
pub(super) fn place(context: &HttpContext, leg: &Leg) -> Option<String> {
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
    let (location, None) = (locations.next()?.to_str().ok()?, locations.next()) else {
        return None;
    };
    if context.patterns().scrub_text(location) != location {
        return None;
    }
    let mut place = leg.verdict.url().join(location).ok()?;
    place.set_fragment(None);
    Some(place.into())
}

/// Asks for what the response redirects to.
pub(super) async fn on(
    context: &HttpContext,
    place: &str,
    headers: HeaderMap,
    time: Time,
    leg: Leg,
) -> Result<Leg, HttpError> {
    let Leg {
        verdict,
        incoming,
        record: mut redirect,
    } = leg;
    redirect.answered(incoming.status, incoming.peer);
    // Its place among the connections is free before the next one is taken.
    drop((incoming, redirect));

    let ask = Ask {
        method: verdict.method().as_str(),
        target: Target::Url(place),
    };
    let asked = Asked::parse(&ask);
    let mut record = Record::begin(&context.pen, ask.method, asked.as_ref().ok());
    let sent = Sent::nothing(&context.arguments);
    let judged = context.count(&mut record).and_then(|()| {
        let asked = asked.as_ref().map_err(|error| unreadable(*error))?;
        judge::follow(&context.outlet.grants, asked, &sent)
    });
    let verdict = judged.map_err(|refusal| record.refuse(&refusal))?;
    let outgoing = context.outgoing(headers, Bytes::new());
    context.send(verdict, outgoing, time, record).await
}
