//! The outside of one case: its exchanges answer, each once, and what nobody expected is noted. It
//! sees requests that the host would send now; what is refused before that it never sees.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use url::form_urlencoded;

use toolhost_outbound::dial::{DialErrorKind, MockTransport, WireRequest};

use super::file::{Exchange, Failure};
use super::judge;

/// What answers in the network's place.
pub(super) struct List {
    entries: Vec<Entry>,
    notes: Mutex<Notes>,
}

struct Entry {
    exchange: Rules,
    answer: Result<Response<Bytes>, DialErrorKind>,
}

/// What a request has to be for an exchange.
struct Rules {
    request: super::file::Wanted,
    headers: BTreeMap<String, String>,
    body: Option<WantedBody>,
    /// It is meant to be refused: nothing that arrives is for it.
    denied: bool,
}

enum WantedBody {
    Text(String),
    Json(serde_json::Value),
}

#[derive(Default)]
struct Notes {
    used: Vec<bool>,
    /// Those that were asked for in another way than they expect: that is said once.
    missed: Vec<usize>,
    unexpected: Vec<String>,
}

/// What came of the exchanges.
pub(super) struct Outside {
    /// The exchanges that were not asked for, by their place in the case.
    pub(super) unused: Vec<usize>,
    /// The requests that no exchange was for.
    pub(super) unexpected: Vec<String>,
}

impl List {
    pub(super) fn new(exchanges: &[Exchange]) -> anyhow::Result<Self> {
        let entry = |exchange: &Exchange| {
            let place = || format!("the exchange {:?}", exchange.request.text);
            Ok(Entry {
                answer: answer(exchange).with_context(place)?,
                exchange: Rules {
                    request: exchange.request.clone(),
                    headers: exchange.request_headers.clone(),
                    body: wanted_body(exchange),
                    denied: exchange.fails == Some(Failure::Denied),
                },
            })
        };
        let entries = exchanges
            .iter()
            .map(entry)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let used = vec![false; entries.len()];
        let notes = Notes {
            used,
            ..Notes::default()
        };
        Ok(Self {
            entries,
            notes: Mutex::new(notes),
        })
    }

    /// What came of it.
    pub(super) fn outside(&self) -> Outside {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let used = notes.used.iter().enumerate();
        let unused = used.filter(|(at, used)| !**used && !notes.missed.contains(at));
        let unused = unused.map(|(at, _)| at).collect();
        Outside {
            unused,
            unexpected: std::mem::take(&mut notes.unexpected),
        }
    }
}

impl MockTransport for List {
    fn answer(&self, sent: &WireRequest<'_>) -> Result<Response<Bytes>, DialErrorKind> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut near: Option<(usize, String)> = None;
        for (at, entry) in self.entries.iter().enumerate() {
            let used = notes.used.get(at).copied().unwrap_or(true);
            if used || !entry.exchange.is_for(sent) {
                continue;
            }
            match entry.exchange.misses(sent) {
                None => {
                    if let Some(used) = notes.used.get_mut(at) {
                        *used = true;
                    }
                    return entry.answer.clone();
                }
                Some(why) => near = near.or(Some((at, why))),
            }
        }
        let asked = format!("{} {}", sent.verdict.method(), sent.verdict.url());
        let said = match near {
            Some((at, why)) => {
                notes.missed.push(at);
                format!("{asked}: {why}")
            }
            None => asked,
        };
        notes.unexpected.push(said);
        Err(DialErrorKind::Unreachable)
    }
}

impl Rules {
    /// Whether it is about this method and URL.
    fn is_for(&self, sent: &WireRequest<'_>) -> bool {
        let (verdict, asked) = (sent.verdict, &self.request.asked);
        !self.denied
            && *verdict.method() == asked.method
            && verdict.grant().origin == asked.origin
            && *verdict.path() == asked.path
            && pairs(verdict.url().query()) == pairs(asked.query.as_deref())
    }

    /// What of the request is not as it is expected.
    fn misses(&self, sent: &WireRequest<'_>) -> Option<String> {
        for (name, wanted) in &self.headers {
            let got = sent.headers.get(name).map(HeaderValue::as_bytes);
            if got != Some(wanted.as_bytes()) {
                let got = got.map(|got| String::from_utf8_lossy(got).into_owned());
                return Some(match got {
                    Some(got) => format!("its header `{name}` is {got:?}, expected {wanted:?}"),
                    None => format!("it has no header `{name}`, expected {wanted:?}"),
                });
            }
        }
        match self.body.as_ref()? {
            WantedBody::Text(wanted) if wanted.as_bytes() == sent.body => None,
            WantedBody::Text(wanted) => {
                let got = String::from_utf8_lossy(sent.body);
                Some(format!("its body is {got:?}, expected {wanted:?}"))
            }
            WantedBody::Json(wanted) => match serde_json::from_slice(sent.body) {
                Ok(got) => {
                    let found = judge::differences(wanted, &got, judge::Manner::Exact);
                    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
                    (!lines.is_empty()).then(|| format!("its body: {}", lines.join("; ")))
                }
                Err(_) => Some("its body is not JSON".to_owned()),
            },
        }
    }
}

/// A query as what servers read in it.
fn pairs(query: Option<&str>) -> Vec<(String, String)> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut pairs: Vec<_> = pairs.into_owned().collect();
    pairs.sort();
    pairs
}

fn wanted_body(exchange: &Exchange) -> Option<WantedBody> {
    let text = exchange.request_body.clone().map(WantedBody::Text);
    text.or_else(|| Some(WantedBody::Json(exchange.request_json.as_ref()?.0.clone())))
}

fn answer(exchange: &Exchange) -> anyhow::Result<Result<Response<Bytes>, DialErrorKind>> {
    if let Some(failure) = exchange.fails {
        return Ok(Err(match failure {
            Failure::Timeout => DialErrorKind::Timeout,
            Failure::Tls => DialErrorKind::Tls,
            Failure::Protocol => DialErrorKind::Protocol,
            // What is refused never comes here.
            Failure::Unreachable | Failure::Denied => DialErrorKind::Unreachable,
        }));
    }
    let body = match (&exchange.body, &exchange.json) {
        (Some(content), _) => Bytes::copy_from_slice(content.bytes()),
        (None, Some(json)) => Bytes::from(json.0.to_string()),
        (None, None) => Bytes::new(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(exchange.status.unwrap_or(200))?;
    let headers = response.headers_mut();
    if exchange.json.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &exchange.headers {
        let wrong = || format!("the header `{name}` cannot be sent");
        let value = HeaderValue::from_str(value).with_context(wrong)?;
        let name = HeaderName::from_bytes(name.as_bytes()).with_context(wrong)?;
        headers.insert(name, value);
    }
    Ok(Ok(response))
}
