//! One exchange from a guest's request to the response it reads: judged, bounded, sent, scrubbed and
//! recorded. Both ways to HTTP end here.
//!
//! It does not know which way the request came in, beyond the manner that is expected of it, nor who
//! called.

mod body;
mod follow;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::attempt::AttemptRecorder;
use super::error::HttpError;
use super::leak;
use crate::attempts::AttemptLog;
use crate::dial::{
    Caps, DialError, DialErrorKind, Dialer, Incoming, Outgoing, Pool, Sender, Sending,
};
use crate::egress::{AllowedRequest, Refusal, RefusalKind, decide, unreadable};
use crate::egress::{Arguments, RequestContent};
use crate::egress::{Auth, HttpGrant};
use crate::egress::{Manner, admit, filter_response};
use crate::egress::{ParsedRequest, RawRequest, RawTarget};
use crate::secret::Secrets;
use crate::secret::{PatternSource, Patterns, PatternsError, Redactions, SecretPatterns};
use crate::terms::Limits;

pub use body::Body;

/// The shortest time a guest can ask to wait; less is a mistake that would only ever fail.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// The way out of one function, made once and shared by its calls.
#[derive(Debug)]
pub struct Outbound {
    grants: Vec<Arc<HttpGrant>>,
    secrets: Arc<Secrets>,
    /// The credentials of these grants.
    watch: Arc<SecretPatterns>,
    dialer: Arc<Dialer>,
    /// The connections of each grant.
    pools: Vec<Arc<Pool>>,
}

/// The way out of one call.
pub struct HttpContext {
    outbound: Arc<Outbound>,
    limits: Limits,
    deadline: Instant,
    attempts: AttemptLog,
    arguments: Arguments,
    caller: Arc<str>,
    /// What it may take of the host's connections and look-ups, once it asks for one.
    sender: OnceLock<Sender>,
    /// How many it made.
    count: AtomicU32,
    redactions: Redactions,
}

/// A request as a guest gives it.
#[derive(Debug, Clone)]
pub struct OutboundRequest {
    /// The method.
    pub method: String,
    /// Where to.
    pub target: RequestTarget,
    /// Names and values in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body; empty where there is none.
    pub body: Bytes,
    /// The longest time until the response is whole. The call's deadline holds as well.
    pub timeout: Option<Duration>,
    /// The longest silence within the response's body. The host's own bound holds as well.
    pub silence: Option<Duration>,
}

/// Where a request should go, as a guest gives it.
#[derive(Debug, Clone)]
pub enum RequestTarget {
    /// `toolhost:tool/http`: one text.
    Url(String),
    /// `wasi:http`: three.
    Parts {
        /// `http`, `https`, or something else.
        scheme: String,
        /// Host and port.
        authority: String,
        /// Empty, or beginning with `/` or `?`.
        path_with_query: String,
    },
}

/// A response as the guest may read it.
#[derive(Debug)]
pub struct OutboundResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, under its cap and its deadline.
    pub body: Body,
}

/// How long an exchange may take.
#[derive(Clone, Copy)]
struct TimeLimits {
    /// When all of it has to be over.
    until: Instant,
    /// The longest silence within the response's body.
    silence: Duration,
}

impl Outbound {
    /// Whether one of its credentials has no value, and had none, or one of its certificates was not to
    /// be had.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        if self.grants.iter().any(|grant| self.dialer.lacks(grant)) {
            return true;
        }
        let mut auths = self.grants.iter().filter_map(|grant| grant.auth.as_ref());
        auths.any(|auth| self.secrets.missing().any(|name| name == auth.secret()))
    }

    /// The way out for these grants of a function, `tool.function`.
    ///
    /// # Errors
    /// Their credentials cannot be searched for in responses.
    pub fn new(
        function: &str,
        grants: Vec<Arc<HttpGrant>>,
        secrets: Arc<Secrets>,
        dialer: Arc<Dialer>,
    ) -> Result<Self, PatternsError> {
        let auths = grants.iter().filter_map(|grant| grant.auth.as_ref());
        // Nothing is sent of a secret that nobody has loaded, and so nothing comes back.
        let sought = auths.filter_map(|auth| sought(auth, &secrets)).collect();
        let watch = secrets.history().watch(function, sought)?;
        let tool = function.split_once('.').map_or(function, |(tool, _)| tool);
        let pool = |grant: &Arc<HttpGrant>| {
            let auth = grant.auth.as_ref();
            let mark = auth.and_then(|auth| secrets.mark(auth.secret()));
            dialer.pool(tool, grant, mark)
        };
        Ok(Self {
            pools: grants.iter().map(pool).collect(),
            grants,
            secrets,
            watch,
            dialer,
        })
    }

    /// The grants, in their order.
    #[must_use]
    pub fn grants(&self) -> &[Arc<HttpGrant>] {
        &self.grants
    }

    /// What has to be taken out of everything that leaves a call of this function: the credentials
    /// of its grants as they are now, and as they were, whichever setup a call began with.
    #[must_use]
    pub fn patterns(&self) -> Patterns {
        self.watch.patterns()
    }

    /// The credentials that these are made of.
    pub const fn credentials(&self) -> &Arc<SecretPatterns> {
        &self.watch
    }

    /// The host's secrets.
    pub fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }
}

impl HttpContext {
    /// The way out of one call that has to end by `deadline`. `attempts` gets each attempt, rules may
    /// compare with `arguments`, and what it takes of the host's connections is `caller`'s.
    #[must_use]
    pub fn new(
        outbound: Arc<Outbound>,
        limits: Limits,
        deadline: Instant,
        arguments: Arguments,
        caller: Arc<str>,
        attempts: AttemptLog,
    ) -> Self {
        Self {
            caller,
            sender: OnceLock::new(),
            outbound,
            limits,
            deadline,
            attempts,
            arguments,
            count: AtomicU32::new(0),
            redactions: Redactions::default(),
        }
    }

    /// The same, whose credentials that are taken out of what comes back are counted here.
    #[must_use]
    pub fn counting(self, redactions: &Redactions) -> Self {
        Self {
            redactions: redactions.clone(),
            ..self
        }
    }

    /// What has to be taken out of what comes back, counted for this call.
    pub fn patterns(&self) -> Patterns {
        self.outbound.patterns().counting(&self.redactions)
    }

    /// Notes that a request was refused because it holds a credential: that shows as much of a guess
    /// as a credential that is taken out.
    pub fn leaked(&self) {
        self.redactions.note(1);
    }

    /// The way out that this call shares with others.
    #[must_use]
    pub fn outbound(&self) -> &Arc<Outbound> {
        &self.outbound
    }
}

/// What is looked for in responses, because this sends it.
fn sought(auth: &Auth, secrets: &Secrets) -> Option<PatternSource> {
    let place = secrets.place(auth.secret())?;
    Some(match auth {
        Auth::Basic { user, .. } => PatternSource::basic(place, user.clone()),
        _ => PatternSource::plain(place),
    })
}

impl std::fmt::Debug for HttpContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpContext")
            .field("outlet", &self.outbound)
            .finish_non_exhaustive()
    }
}

impl RequestTarget {
    fn as_target(&self) -> RawTarget<'_> {
        match self {
            Self::Url(url) => RawTarget::Url(url),
            Self::Parts {
                scheme,
                authority,
                path_with_query,
            } => RawTarget::Parts {
                scheme,
                authority,
                path_with_query,
            },
        }
    }

    const fn manner(&self) -> Manner {
        match self {
            Self::Url(_) => Manner::Own,
            Self::Parts { .. } => Manner::Wasi,
        }
    }
}

/// A request that was sent, and the head of what came back.
struct Hop {
    verdict: AllowedRequest,
    incoming: Incoming,
    record: AttemptRecorder,
}

/// Sends a request, if the grants allow it, and gives the head of its response, after as many
/// redirects as its grant lets the host follow. Every attempt is recorded once: a refused one at
/// once, a sent one when its body ends or is dropped.
///
/// # Errors
/// Why there is no response, in words that are safe for the guest.
pub async fn exchange(
    context: &HttpContext,
    request: OutboundRequest,
) -> Result<OutboundResponse, HttpError> {
    let ask = RawRequest {
        method: &request.method,
        target: request.target.as_target(),
    };
    let asked = ParsedRequest::parse(&ask);
    let mut record =
        AttemptRecorder::begin(&context.attempts, &request.method, asked.as_ref().ok());
    let kept = match context.count(&mut record) {
        Ok(()) => leak::check(context, &request, &context.limits, &mut record).await,
        beyond => beyond,
    };
    let planned = kept.and_then(|()| {
        plan(
            context,
            &request,
            asked.as_ref().map_err(|error| unreadable(*error)),
        )
    });
    let (verdict, headers) = planned.map_err(|refusal| record.refuse(&refusal))?;
    let time = context.time(&request);
    let most = follow::most(&verdict);
    let along = follow::kept(&headers, most);
    let outgoing = context.outgoing(headers, request.body);
    let mut leg = context.send(verdict, outgoing, time, record).await?;
    for _ in 0..most {
        let Some(place) = follow::place(context, &leg) else {
            break;
        };
        leg = follow::on(context, &place, along.clone(), time, leg).await?;
    }
    Ok(respond(&context.patterns(), leg))
}

/// Everything that is decided before anything leaves the host.
fn plan(
    context: &HttpContext,
    request: &OutboundRequest,
    asked: Result<&ParsedRequest, Refusal>,
) -> Result<(AllowedRequest, HeaderMap), Refusal> {
    let sent = RequestContent {
        headers: &request.headers,
        body: &request.body,
        arguments: &context.arguments,
    };
    let verdict = decide(&context.outbound.grants, asked?, &sent)?;
    let refuse = |kind, say| Refusal {
        kind,
        say,
        nearest: Some(Arc::clone(&verdict.grant().name)),
    };
    let length = request.body.len();
    let most = context.limits.request_body;
    if u64::try_from(length).unwrap_or(u64::MAX) > most {
        let say = format!("The request was not sent: its body is larger than {most} bytes.");
        return Err(refuse(RefusalKind::LargeBody, say));
    }
    let auth = verdict.auth();
    let headers = admit(&request.headers, auth, request.target.manner(), length)
        .map_err(|e| refuse(e.kind(), format!("The request was not sent: {e}.")))?;
    Ok((verdict, headers))
}

impl HttpContext {
    /// Counts attempts, refused ones too: a loop of those would fill the ledger. Past the bound one
    /// is recorded, the rest are not.
    fn count(&self, record: &mut AttemptRecorder) -> Result<(), Refusal> {
        let most = self.limits.requests;
        let before = self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                Some(n.saturating_add(1))
            })
            .unwrap_or(u32::MAX);
        if before < most {
            return Ok(());
        }
        if before > most {
            record.discard();
        }
        Err(Refusal {
            kind: RefusalKind::Denied,
            say: format!("The request was not sent: one call may try {most} requests, and has."),
            nearest: None,
        })
    }

    /// What is left of the call's time.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn outgoing(&self, headers: HeaderMap, body: Bytes) -> Outgoing {
        let sender = || Sender::new(Arc::clone(&self.caller));
        Outgoing {
            headers,
            body,
            from: self.sender.get_or_init(sender).clone(),
            sending: Sending::default(),
        }
    }

    /// How long the exchange may take.
    fn time(&self, request: &OutboundRequest) -> TimeLimits {
        let now = Instant::now();
        let left = self.deadline.saturating_duration_since(now);
        let all = request.timeout.unwrap_or(left);
        TimeLimits {
            until: now + all.max(MIN_TIMEOUT).min(left),
            silence: request.silence.unwrap_or(left).max(MIN_TIMEOUT),
        }
    }

    async fn send(
        &self,
        verdict: AllowedRequest,
        mut outgoing: Outgoing,
        time: TimeLimits,
        mut record: AttemptRecorder,
    ) -> Result<Hop, HttpError> {
        outgoing.sending = record.allow(&verdict, outgoing.body.len())?;
        let caps = Caps {
            response_body: self.limits.response_body,
            timeout: time.until.saturating_duration_since(Instant::now()),
            silence: time.silence,
        };
        match self.dial(&verdict, outgoing, caps).await {
            Ok(incoming) => Ok(Hop {
                verdict,
                incoming,
                record,
            }),
            Err(error) => Err(record.fail(&error)),
        }
    }

    async fn dial(
        &self,
        verdict: &AllowedRequest,
        outgoing: Outgoing,
        caps: Caps,
    ) -> Result<Incoming, DialError> {
        let Outbound {
            secrets,
            dialer,
            pools,
            ..
        } = &*self.outbound;
        let auth = verdict.auth();
        let secret = match auth {
            Some(auth) => secrets.current(auth.secret()).await,
            None => None,
        };
        // What would not be taken out of what comes back is not sent: the grant is shut.
        let secret = secret.filter(|secret| self.patterns().finds(secret.expose()));
        if let Some(secret) = &secret {
            self.redactions.keep(secret);
        }
        let sent = dialer.send(pools, verdict, outgoing, secret.as_ref(), caps);
        let sent = sent.await;
        if let (Some(auth), Ok(incoming)) = (auth, &sent)
            && incoming.status == StatusCode::UNAUTHORIZED
        {
            secrets.suspect(auth.secret());
        }
        sent
    }
}

fn respond(patterns: &Patterns, leg: Hop) -> OutboundResponse {
    let Hop {
        verdict,
        incoming,
        mut record,
    } = leg;
    let Incoming {
        status,
        mut headers,
        body,
        has_body,
        peer,
    } = incoming;
    filter_response(&mut headers, verdict.grant().auth.as_ref());
    patterns.scrub_headers(&mut headers);
    if has_body && !patterns.is_empty() {
        // Taking a credential out changes the length. Where nothing comes there is nothing to take out,
        // and the length is what `HEAD` was sent for.
        headers.remove(http::header::CONTENT_LENGTH);
    }
    record.answered(status, peer);
    let scrubber = match is_lines(&headers) {
        true => patterns.line_scrubber(),
        false => patterns.scrubber(),
    };
    OutboundResponse {
        status,
        headers,
        body: Body::new(body, scrubber, record),
    }
}

/// What is read line by line as it comes, and so cannot wait for its end.
const OF_LINES: [&str; 5] = [
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json-seq",
];

fn is_lines(headers: &HeaderMap) -> bool {
    let value = headers.get(http::header::CONTENT_TYPE);
    let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = text.split(';').next().unwrap_or("").trim();
    OF_LINES.iter().any(|of| of.eq_ignore_ascii_case(essence))
}

impl DialError {
    /// Whether this was decided before anything was sent.
    const fn is_refusal(&self) -> bool {
        matches!(
            self.kind,
            DialErrorKind::Denied(_) | DialErrorKind::Credential
        )
    }
}

impl AttemptRecorder {
    /// Notes a failure of the dialer, and gives the guest's error.
    fn fail(&mut self, error: &DialError) -> HttpError {
        let told = HttpError::from(error);
        if error.is_refusal() {
            self.unsent(&told);
        } else {
            self.failed(&told);
        }
        if let Some(detail) = &error.detail {
            tracing::debug!(
                code = told.code.as_str(),
                detail,
                "an outgoing request failed"
            );
        }
        told
    }
}

#[cfg(test)]
mod tests;
