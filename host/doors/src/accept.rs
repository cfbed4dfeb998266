//! Which form of an answer a client takes: one JSON message, or a stream of events. The protocol wants
//! both named; a client that names one, or none, is served all the same where the answer has that
//! form or can be given it.
//!
//! It does not know what is asked, nor what an answer says.

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};

use super::body::Body;
use super::{breaks, frame};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// What a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accept {
    json: bool,
    events: bool,
    /// It says that it can read events. Who says `*/*` means whatever there is, which is easier to
    /// read as JSON.
    names_events: bool,
}

impl Accept {
    /// What the headers say (RFC 9110, 12.5.1). Nothing means everything.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if says_both(headers) {
            return Self {
                json: true,
                events: true,
                names_events: true,
            };
        }
        let said = headers.get_all(ACCEPT).iter();
        let said = said.filter_map(|value| value.to_str().ok());
        let ranges: Vec<(String, bool)> = said.flat_map(ranges).collect();
        if ranges.is_empty() {
            return Self {
                json: true,
                events: true,
                names_events: false,
            };
        }
        let find = |name: &str| {
            let found = ranges.iter().find(|(range, _)| range == name);
            found.map(|(_, is_taken)| *is_taken)
        };
        // The closest range decides.
        let takes = |name, group| find(name).or(find(group)).or(find("*/*")).unwrap_or(false);
        Self {
            json: takes(JSON, "application/*"),
            events: takes(EVENTS, "text/*"),
            names_events: find(EVENTS) == Some(true),
        }
    }

    /// Whether it takes answers at all.
    pub(super) fn any(self) -> bool {
        self.json || self.events
    }

    /// Whether it takes a stream that has no end of its own.
    pub(super) fn events(self) -> bool {
        self.events
    }

    /// The same answer in a form that it takes; none where a stream ended before the answer was in it.
    pub(super) async fn shape(self, response: Response<Body>) -> Option<Response<Body>> {
        if is(&response, EVENTS) && self.json && !self.names_events {
            return as_json(response).await;
        }
        if is(&response, JSON) && response.status().is_success() && !self.json {
            return Some(as_events(response).await);
        }
        Some(response)
    }
}

/// What most clients say, and the library wants to read.
const BOTH: &str = "application/json, text/event-stream";

fn says_both(headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(ACCEPT).iter();
    said.next().is_some_and(|said| said == BOTH) && said.next().is_none()
}

/// Says both, as the library wants to read it.
pub(super) fn say_both(headers: &mut HeaderMap) {
    if !says_both(headers) {
        headers.insert(ACCEPT, HeaderValue::from_static(BOTH));
    }
}

/// Media ranges, and whether they are taken: not with a weight of zero.
fn ranges(value: &str) -> impl Iterator<Item = (String, bool)> {
    value.split(',').filter_map(|entry| {
        let mut parts = entry.split(';');
        let range = parts.next()?.trim().to_ascii_lowercase();
        let is_refused = parts.any(|parameter| {
            let weight = parameter.trim().to_ascii_lowercase();
            let weight = weight.strip_prefix("q=").map(str::trim);
            weight.is_some_and(|weight| weight.parse() == Ok(0.0_f32))
        });
        (!range.is_empty()).then_some((range, !is_refused))
    })
}

/// Whether an answer has this form.
pub(super) fn is<B>(response: &Response<B>, form: &str) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(form)
}

/// Whether an answer is JSON.
pub(super) fn is_json<B>(response: &Response<B>) -> bool {
    is(response, JSON)
}

/// The one message of a stream that answers. Progress before it is for clients that read events.
async fn as_json(response: Response<Body>) -> Option<Response<Body>> {
    let (mut head, mut body) = response.into_parts();
    let mut lines = BytesMut::new();
    loop {
        while let Some(end) = memchr::memchr(b'\n', &lines) {
            let line = lines.split_to(end).freeze();
            lines.advance(1);
            let Some(data) = line.strip_prefix(b"data:") else {
                continue;
            };
            let data = line.slice_ref(data.trim_ascii());
            if frame::is_answer(&data) {
                head.headers.remove(CACHE_CONTROL);
                head.headers.remove("x-accel-buffering");
                let json = HeaderValue::from_static(JSON);
                head.headers.insert(CONTENT_TYPE, json);
                let body = Full::new(data).boxed_unsync();
                return Some(Response::from_parts(head, body));
            }
        }
        let Ok(frame) = body.frame().await?;
        if let Ok(data) = frame.into_data() {
            lines.extend_from_slice(&data);
        }
    }
}

/// A message as the only event of a stream.
async fn as_events(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let body = body.to_bytes();
    let event = [&b"data: "[..], &breaks::escaped(&body), b"\n\n"].concat();
    let (events, fresh) = (
        HeaderValue::from_static(EVENTS),
        HeaderValue::from_static("no-cache"),
    );
    head.headers.insert(CONTENT_TYPE, events);
    head.headers.insert(CACHE_CONTROL, fresh);
    let body = Full::new(Bytes::from(event)).boxed_unsync();
    Response::from_parts(head, body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn accept(values: &[&'static str]) -> (bool, bool, bool) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        let accept = Accept::of(&headers);
        (accept.json, accept.events, accept.names_events)
    }

    #[test]
    fn x70_what_a_client_takes_is_read_as_http_means_it() {
        for (values, expected) in [
            (&[][..], (true, true, false)),
            (&["*/*"], (true, true, false)),
            (&["application/json"], (true, false, false)),
            (&["text/event-stream"], (false, true, true)),
            (&["application/json, text/event-stream"], (true, true, true)),
            (
                &["application/json", "Text/Event-Stream"],
                (true, true, true),
            ),
            (&["text/html, */*;q=0.1"], (true, true, false)),
            (&["text/event-stream;q=0, */*"], (true, false, false)),
            (&["application/*"], (true, false, false)),
            (
                &["application/json; charset=utf-8 ; q=0.5"],
                (true, false, false),
            ),
            (&["application/json;q=0.000,*/*"], (false, true, false)),
            (&["text/html"], (false, false, false)),
            (&["", " , "], (true, true, false)),
        ] {
            assert_eq!(accept(values), expected, "{values:?}");
        }
    }

    fn response(kind: &'static str, body: &'static str) -> Response<Body> {
        let mut response =
            Response::new(Full::new(Bytes::from_static(body.as_bytes())).boxed_unsync());
        let kind = HeaderValue::from_static(kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    async fn text(response: Response<Body>) -> String {
        let Ok(body) = response.into_body().collect().await;
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_streams_answer_is_found_behind_its_reports() {
        let json = Accept {
            json: true,
            events: false,
            names_events: false,
        };
        let stream = ": ping\n\ndata: {\"method\":\"notifications/progress\",\"params\":{}}\n\nid: 1\ndata: {\"id\":1,\"result\":{}}\n\n";
        let shaped = json
            .shape(response("text/event-stream", stream))
            .await
            .unwrap();
        assert!(is_json(&shaped));
        assert_eq!(text(shaped).await, "{\"id\":1,\"result\":{}}");
        let cut = json
            .shape(response("text/event-stream", "data: {\"id\""))
            .await;
        assert!(cut.is_none());

        let events = Accept {
            json: false,
            events: true,
            names_events: true,
        };
        let shaped = events.shape(response(JSON, "{}")).await.unwrap();
        assert!(is(&shaped, EVENTS));
        assert_eq!(text(shaped).await, "data: {}\n\n");
        let shaped = events.shape(response(JSON, "\"a\u{2028}b\"")).await;
        assert_eq!(text(shaped.unwrap()).await, "data: \"a\\u2028b\"\n\n");
    }
}
