//! The dialer: the only place that opens connections for tools, and the only one that knows
//! `reqwest`.
//!
//! It sends what a [`Verdict`] allows, to addresses it has vetted, and adds the credential at the
//! last moment. It knows no callers and no manifest.

mod body;
mod client;
mod credential;
mod decode;
mod doors;
mod fault;
mod stand_in;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::resolve::{Resolve, SystemResolver};
use crate::capability::http::{HttpGrant, Secret, TlsFiles, Verdict, may_dial, within_bounds};
use crate::shares::Descriptors;

pub use body::IncomingBody;
use body::Places;
use client::{ANYWHERE, Vetting};
pub use client::{Tls, TlsError};
pub(crate) use credential::basic;
use credential::inject;
use decode::{Source, coding};
use doors::Doors;
use fault::Failure;
pub use fault::{DialError, DialErrorKind};
pub use stand_in::{Sent, StandIn};

/// The longest time until a connection stands, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest silence within a response's body, and the longest time for which the other side may
/// take nothing of a request's.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time for an exchange, so that no caller's number overflows the clock.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long an unused connection is kept.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Unused connections kept per grant.
const POOL_SIZE: usize = 4;

/// Requests of one grant that are under way at once; the others wait within their deadline. It
/// bounds the host's sockets, whatever a guest does.
const AT_ONCE: usize = 32;

/// Requests of all grants that are under way at once, at most.
const OF_ALL: usize = 1_024;

/// Sends requests. One for the process; its connections are kept apart by grant.
pub struct Dialer {
    resolver: Arc<dyn Resolve>,
    tls: BTreeMap<TlsFiles, Tls>,
    doors: Doors,
    places: Arc<Semaphore>,
    lines: Mutex<HashMap<usize, Arc<Line>>>,
    stand_in: Option<Arc<dyn StandIn>>,
}

/// The way out for one grant: its own connections, so that nothing of one origin, one credential or
/// one list of networks is reused for another.
struct Line {
    grant: Arc<HttpGrant>,
    client: OnceCell<reqwest::Client>,
    places: Arc<Semaphore>,
}

/// What a guest gives, beyond what was judged.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// Headers that were admitted.
    pub headers: HeaderMap,
    /// The whole body; its framing is the host's.
    pub body: Bytes,
}

/// The bounds of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// The largest response body, decoded, in bytes.
    pub response_body: u64,
    /// From now to the end of the body.
    pub timeout: Duration,
}

/// A response as it came: neither filtered nor scrubbed.
#[derive(Debug)]
pub struct Incoming {
    /// The status.
    pub status: StatusCode,
    /// The headers, `Content-Encoding` and the length it belonged to aside.
    pub headers: HeaderMap,
    /// The body, decoded.
    pub body: IncomingBody,
    /// Who answered: the proxy, where one is between.
    pub peer: Option<SocketAddr>,
}

impl Dialer {
    /// A dialer that asks the system for names.
    #[must_use]
    pub fn new() -> Self {
        Self::with_resolver(Arc::new(SystemResolver::default()))
    }

    /// A dialer with a resolver of one's own. The answers are vetted all the same.
    #[must_use]
    pub fn with_resolver(resolver: Arc<dyn Resolve>) -> Self {
        client::install_provider();
        Self {
            resolver,
            tls: BTreeMap::new(),
            doors: Doors::default(),
            places: Arc::new(Semaphore::new(of_all())),
            lines: Mutex::default(),
            stand_in: None,
        }
    }

    /// A dialer that opens no connection: `stand_in` answers. All that is decided before a request
    /// leaves, and all that is done with a response, is as ever.
    #[must_use]
    pub fn answered_by(stand_in: Arc<dyn StandIn>) -> Self {
        Self {
            stand_in: Some(stand_in),
            ..Self::new()
        }
    }

    /// The same, with what the grants' files hold.
    #[must_use]
    pub fn with_tls(mut self, tls: BTreeMap<TlsFiles, Tls>) -> Self {
        self.tls = tls;
        self
    }

    /// The same, in the place of another one whose requests may still be under way: the two together
    /// keep to the bound of all connections, and off the same doors.
    #[must_use]
    pub fn after(mut self, former: &Self) -> Self {
        self.places = Arc::clone(&former.places);
        former.doors.add_all(&self.doors);
        self.doors = former.doors.clone();
        self
    }

    /// From here on nothing is sent to this address: it is a door of this very host.
    pub fn keep_off(&self, door: SocketAddr) {
        self.doors.add(door);
    }

    /// Sends a request that was allowed, with the credential of its grant, and waits for the head
    /// of its response.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn send(
        &self,
        verdict: &Verdict,
        outgoing: Outgoing,
        secret: Option<&Secret>,
        caps: Caps,
    ) -> Result<Incoming, DialError> {
        let target = verdict.grant().origin.to_string();
        let deadline = Instant::now() + caps.timeout.min(LONGEST);
        let sent = timeout_at(deadline, self.exchange(verdict, outgoing, secret)).await;
        let (response, places) =
            sent.unwrap_or_else(|_| Err(DialError::new(DialErrorKind::Timeout, &target, None)))?;
        let cap = caps.response_body;
        check_head(verdict, &response, cap)?;
        let (status, peer) = (response.status(), response.remote_addr());
        let mut headers = response.headers().clone();
        let source = source(verdict, response, &mut headers, cap)?;
        Ok(Incoming {
            status,
            headers,
            peer,
            body: IncomingBody::new(source, target, cap, deadline, places),
        })
    }

    async fn exchange(
        &self,
        verdict: &Verdict,
        outgoing: Outgoing,
        secret: Option<&Secret>,
    ) -> Result<(reqwest::Response, Places), DialError> {
        let grant = verdict.grant();
        let own = client::literal(grant).and_then(|at| self.doors.class(at.ip(), at.port()));
        if let Some(class) = own {
            return Err(DialError::denied(class, verdict));
        }
        let line = self.line(grant);
        let closed = |_| DialError::new(DialErrorKind::Unreachable, &grant.origin, None);
        // The grant's place first: who waits for one of those takes none of the others'.
        let own = Arc::clone(&line.places).acquire_owned().await;
        let of_all = Arc::clone(&self.places);
        let places = (
            own.map_err(closed)?,
            of_all.acquire_owned().await.map_err(closed)?,
        );
        let request = build(verdict, outgoing, secret)?;
        if let Some(stand_in) = &self.stand_in {
            return Ok((stand_in::answer(&**stand_in, verdict, &request)?, places));
        }
        let client = line.client.get_or_try_init(|| self.client(grant)).await?;
        let response = client.execute(request).await;
        Ok((
            response.map_err(|e| failed(e, |why| DialError::on_the_way(why, verdict)))?,
            places,
        ))
    }

    /// The line of a grant. Lines of grants that nobody else holds any more are dropped.
    fn line(&self, grant: &Arc<HttpGrant>) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // The line holds its grant, so no other grant can come to live at the same address.
        let key = Arc::as_ptr(grant).addr();
        if let Some(line) = lines.get(&key) {
            return Arc::clone(line);
        }
        lines.retain(|_, line| Arc::strong_count(&line.grant) > 1);
        let line = Arc::new(Line {
            grant: Arc::clone(grant),
            client: OnceCell::new(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        });
        lines.insert(key, Arc::clone(&line));
        line
    }

    async fn client(&self, grant: &Arc<HttpGrant>) -> Result<reqwest::Client, DialError> {
        let files = &grant.way.tls;
        let tls = match self.tls.get(files) {
            Some(tls) => tls.clone(),
            None if *files == TlsFiles::default() => Tls::default(),
            // Without what the operator names there it would trust others, or be somebody else.
            None => return Err(DialError::new(DialErrorKind::Tls, &grant.origin, None)),
        };
        let vetting = Vetting {
            resolver: Arc::clone(&self.resolver),
            grant: Arc::clone(grant),
            doors: self.doors.clone(),
        };
        // Reading the system's certificates takes files and some milliseconds.
        let built = tokio::task::spawn_blocking(move || client::client(vetting, tls)).await;
        match built {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(DialError::no_client(&error)),
            Err(error) => Err(DialError::no_client(&error)),
        }
    }
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialer(..)")
    }
}

/// Connections that tools may have open at once: their part of the descriptors.
fn of_all() -> usize {
    Descriptors::now().upstreams.clamp(AT_ONCE, OF_ALL)
}

fn build(
    verdict: &Verdict,
    outgoing: Outgoing,
    secret: Option<&Secret>,
) -> Result<reqwest::Request, DialError> {
    let mut headers = outgoing.headers;
    let mut url = verdict.url().clone();
    if let Some(auth) = verdict.auth() {
        secret
            .and_then(|secret| inject(&mut headers, &mut url, auth, secret))
            .ok_or_else(|| {
                DialError::new(DialErrorKind::Credential, &verdict.grant().origin, None)
            })?;
    }
    // A range of an encoded body is a piece that nobody can decode.
    let offered = match headers.contains_key(RANGE) {
        true => HeaderValue::from_static("identity"),
        false => decode::OFFERED,
    };
    headers.insert(ACCEPT_ENCODING, offered);
    let mut request = reqwest::Request::new(verdict.method().clone(), url);
    *request.headers_mut() = headers;
    if !outgoing.body.is_empty() {
        *request.body_mut() = Some(outgoing.body.into());
    }
    Ok(request)
}

/// Hands a failure of the client on to where it is understood.
fn failed(error: reqwest::Error, understand: impl Fn(&Failure<'_>) -> DialError) -> DialError {
    let (timeout, connect) = (error.is_timeout(), error.is_connect());
    let error = &error.without_url();
    understand(&Failure {
        error,
        timeout,
        connect,
    })
}

/// Judges the head of a response before anybody reads it.
fn check_head(verdict: &Verdict, response: &reqwest::Response, cap: u64) -> Result<(), DialError> {
    let grant = verdict.grant();
    if let Some(peer) = response.remote_addr() {
        // It was vetted before it was dialled; this is the proof after the fact, of a connection
        // from the pool too.
        let judged = match grant.way.proxy {
            Some(_) => may_dial(peer.ip(), &ANYWHERE),
            None => grant.may_dial(peer.ip()),
        };
        judged.map_err(|class| DialError::denied(class, verdict))?;
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || !within_bounds(response.headers()) {
        return Err(DialError::new(DialErrorKind::Protocol, &grant.origin, None));
    }
    if has_body(verdict, response.status())
        && response.content_length().is_some_and(|length| length > cap)
    {
        return Err(DialError::too_large(&grant.origin.to_string(), cap));
    }
    Ok(())
}

/// RFC 9112, 6.3: what has no body, whatever its headers say of one.
fn has_body(verdict: &Verdict, status: StatusCode) -> bool {
    *verdict.method() != Method::HEAD
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
}

/// The body, out of its encoding, and headers that are true of it.
fn source(
    verdict: &Verdict,
    response: reqwest::Response,
    headers: &mut HeaderMap,
    cap: u64,
) -> Result<Source, DialError> {
    if !has_body(verdict, response.status()) {
        return Ok(Source::plain(response));
    }
    let unoffered = |_| {
        let why = "an encoding that was not asked for, or more than one".to_owned();
        DialError::new(DialErrorKind::Protocol, &verdict.grant().origin, Some(why))
    };
    match coding(headers).map_err(unoffered)? {
        None => Ok(Source::plain(response)),
        Some(coding) => {
            decode::forget(headers);
            Ok(Source::coded(response, coding, cap))
        }
    }
}
