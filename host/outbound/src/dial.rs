//! The dialer: the only place that opens connections for tools, and the only one that knows the HTTP
//! client.
//!
//! It sends what a [`AllowedRequest`] allows, to addresses it has vetted, and adds the credential at the
//! last moment. Of callers it knows a name, by which they share its connections; it knows no manifest.

mod body;
mod client;
mod connect;
mod credential;
mod decode;
mod fault;
mod idle;
mod meter;
mod mock_transport;
mod own_listeners;
mod reply;
mod sender;
mod sending;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};

use super::descriptors::Descriptors;
use super::resolve::{Lookups, Resolve, SystemResolver};
use super::secret::{Secret, SecretMark};
use crate::egress::{AllowedRequest, HttpGrant, TlsFiles, may_dial, within_bounds};
use crate::shares::Shares;

pub use body::IncomingBody;
use body::Places;
use client::{AGENT, ANYWHERE};
pub use client::{Tls, TlsError};
use connect::{Connector, Vetting};
pub(crate) use credential::basic;
use credential::inject;
use decode::{Awaited, Patience, Source, Unoffered, coding};
pub use fault::{DialError, DialErrorKind};
use fault::{Failure, Wrong};
use meter::Idle;
pub use mock_transport::{MockTransport, WireRequest};
use own_listeners::Doors;
use reply::Reply;
use sender::SENDER;
pub use sender::Sender;
pub use sending::Sending;
pub use upstream::Pool;
use upstream::{Route, Upstreams};

/// The longest time until a connection stands, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest silence within a response's body, and the longest time for which the other side may
/// take nothing of a request's.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time for an exchange, so that no caller's number overflows the clock.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long an unused connection is kept.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Unused connections kept per grant and caller.
const POOL_SIZE: usize = 4;

/// Unused connections kept in all, where there are descriptors enough.
const IDLE_OF_ALL: usize = 256;

/// Requests of one caller that one grant has under way at once, at most; the others wait within their
/// deadline. It bounds the host's sockets, whatever a guest does.
const AT_ONCE: u64 = 32;

/// The same of all callers: whoever is alone still finds as many as he may have, and whoever comes
/// next always finds some.
const OF_GRANT: u64 = 2 * AT_ONCE;

/// Requests of all grants that are under way at once, at most.
const OF_ALL: u64 = 1_024;

/// Sends requests. One for each load of a manifest; what counts over all of them is the same value in
/// each, and so are the connections of a grant that did not change.
pub struct Dialer {
    resolver: Arc<dyn Resolve>,
    tls: BTreeMap<TlsFiles, Tls>,
    doors: Doors,
    places: Shares<Arc<str>>,
    lookups: Shares<Arc<str>>,
    idle: Idle,
    upstreams: Upstreams,
    stand_in: Option<Arc<dyn MockTransport>>,
}

/// What a guest gives, beyond what was judged.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// Headers that were admitted.
    pub headers: HeaderMap,
    /// The whole body; its framing is the host's.
    pub body: Bytes,
    /// Whose places it takes.
    pub from: Sender,
    /// Says whether anything of it left.
    pub sending: Sending,
}

/// The bounds of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// The largest response body, decoded, in bytes.
    pub response_body: u64,
    /// From now to the end of the body.
    pub timeout: Duration,
    /// The longest silence within the body, measured where bytes arrive. The host's own bound holds as
    /// well.
    pub silence: Duration,
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
    /// Whether it has a body: one to `HEAD` has none, and its `Content-Length` is that of another.
    pub has_body: bool,
    /// Who answered: the proxy, where one is between.
    pub peer: Option<SocketAddr>,
}

impl Dialer {
    /// A dialer that asks the system for names.
    #[must_use]
    pub fn new() -> Self {
        Self::with_resolver(Arc::new(SystemResolver))
    }

    /// A dialer with a resolver of one's own. The answers are vetted all the same.
    #[must_use]
    pub fn with_resolver(resolver: Arc<dyn Resolve>) -> Self {
        Self {
            resolver,
            lookups: Lookups::of_all(),
            tls: BTreeMap::new(),
            doors: Doors::default(),
            places: Shares::new(of_all()),
            idle: Idle::new(idle_of_all()),
            upstreams: Upstreams::default(),
            stand_in: None,
        }
    }

    /// A dialer that opens no connection: `stand_in` answers. All that is decided before a request
    /// leaves, and all that is done with a response, is as ever.
    #[must_use]
    pub fn answered_by(stand_in: Arc<dyn MockTransport>) -> Self {
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
    /// keep to the bounds of all connections and look-ups and to those of each grant, and off the same doors.
    #[must_use]
    pub fn after(mut self, former: &Self) -> Self {
        self.places = former.places.clone();
        self.lookups = former.lookups.clone();
        self.idle = former.idle.clone();
        self.upstreams = former.upstreams.clone();
        former.doors.add_all(&self.doors);
        self.doors = former.doors.clone();
        self
    }

    /// Whether what a grant names for TLS was not to be had: then it sends nothing.
    #[must_use]
    pub fn lacks(&self, grant: &HttpGrant) -> bool {
        let files = &grant.way.tls;
        *files != TlsFiles::default() && !self.tls.contains_key(files)
    }

    /// From here on nothing is sent to this address: it is a door of this very host.
    pub fn keep_off(&self, door: SocketAddr) {
        self.doors.add(door);
    }

    /// The connections of a tool's grant, with the places that they share with whatever else the tool has
    /// by that name. `secret` is the one that it sends now.
    #[must_use]
    pub fn pool(
        &self,
        tool: &str,
        grant: &Arc<HttpGrant>,
        secret: Option<SecretMark>,
    ) -> Arc<Pool> {
        let files = &grant.way.tls;
        let without = || (*files == TlsFiles::default()).then(Tls::default);
        let route = Route {
            origin: grant.origin.clone(),
            private: grant.private.clone(),
            proxy: grant.way.proxy.clone(),
            tls: self.tls.get(files).cloned().or_else(without),
            auth: grant.auth.clone(),
            secret,
            name_server: self.resolver.server(),
        };
        self.upstreams.find(tool, &grant.name).pool(grant, route)
    }

    /// Sends a request that was allowed, over one of these connections and with the credential of its
    /// grant, and waits for the head of its response.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn send(
        &self,
        pools: &[Arc<Pool>],
        verdict: &AllowedRequest,
        outgoing: Outgoing,
        secret: Option<&Secret>,
        caps: Caps,
    ) -> Result<Incoming, DialError> {
        let target = verdict.grant().origin.to_string();
        let deadline = Instant::now() + caps.timeout.min(LONGEST);
        let sent = timeout_at(deadline, self.exchange(pools, verdict, outgoing, secret)).await;
        let (response, places) =
            sent.unwrap_or_else(|_| Err(DialError::new(DialErrorKind::Timeout, &target, None)))?;
        let cap = caps.response_body;
        check_head(verdict, &response, cap)?;
        let (status, peer) = (response.status(), reply::peer(&response));
        let (head, arriving) = response.into_parts();
        let mut headers = head.headers;
        let patience = Patience {
            silence: caps.silence.min(IDLE_TIMEOUT),
            deadline,
        };
        let arriving = Awaited::new(arriving, patience);
        let source = source(verdict, status, &mut headers, arriving, cap)?;
        Ok(Incoming {
            status,
            headers,
            peer,
            has_body: has_body(verdict, status),
            body: IncomingBody::new(source, target, cap, places),
        })
    }

    async fn exchange(
        &self,
        pools: &[Arc<Pool>],
        verdict: &AllowedRequest,
        outgoing: Outgoing,
        secret: Option<&Secret>,
    ) -> Result<(Reply, Places), DialError> {
        let grant = verdict.grant();
        let own = client::literal(grant).and_then(|at| self.doors.class(at.ip(), at.port()));
        if let Some(class) = own {
            return Err(DialError::denied(class, verdict));
        }
        let none = || DialError::new(DialErrorKind::Unreachable, &grant.origin, None);
        let pool = pools.iter().find(|pool| pool.is_of(grant));
        let pool = pool.ok_or_else(none)?;
        let (sender, sending) = (outgoing.from.clone(), outgoing.sending.clone());
        let places = self.places(pool, &sender).await;
        let places = places.ok_or_else(none)?;
        let request = build(verdict, outgoing, secret)?;
        if let Some(stand_in) = &self.stand_in {
            let (head, body) = request.into_parts();
            let body = body.into_inner().unwrap_or_default();
            let answer = mock_transport::answer(&**stand_in, verdict, &head.headers, &body);
            if answer.as_ref().map_or_else(DialError::has_sent, |_| true) {
                sending.to_stand_in();
            }
            return Ok((answer?, places));
        }
        let connector = pool.connector.get_or_try_init(|| self.connector(pool));
        let client = pool.client(&sender.caller, connector.await?, Instant::now());
        let asked = SENDER.scope(sender, reply::ask(&client, request, &sending));
        let reply = asked.await.map_err(|error| {
            // Where nothing left, it is as if there were no connection.
            let connect = error.is_connect() || !sending.has_left();
            failed(&error, connect, |why| DialError::on_the_way(why, verdict))
        })?;
        Ok((reply, places))
    }

    /// Waits for a place of the call, then of the grant, then of all: whoever waits for one of those
    /// takes none of the next.
    async fn places(&self, pool: &Pool, sender: &Sender) -> Option<Places> {
        let of_call = Arc::clone(&sender.connections).acquire_owned().await.ok()?;
        let of_grant = pool.upstream.places.wait(&sender.caller, 1).await.ok()?;
        let of_all = self.places.wait(&sender.caller, 1).await.ok()?;
        Some((of_call, of_grant, of_all))
    }

    async fn connector(&self, pool: &Pool) -> Result<Connector, DialError> {
        // Without what the operator names there it would trust others, or be somebody else.
        let tls = pool.route.tls.clone();
        let tls = tls.ok_or_else(|| DialError::no_certificates(&pool.route.origin))?;
        let vetting = Vetting {
            resolver: Arc::clone(&self.resolver),
            lookups: Lookups::new(self.lookups.clone()),
            grant: Arc::clone(&pool.grant),
            doors: self.doors.clone(),
            idle: self.idle.clone(),
        };
        // Reading the system's certificates takes files and some milliseconds.
        let built = tokio::task::spawn_blocking(move || client::connector(vetting, &tls)).await;
        match built {
            Ok(Ok(connector)) => Ok(connector),
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

/// Connections that tools may have in use at once: three quarters of their part of the descriptors.
fn of_all() -> u64 {
    let part = Descriptors::now().upstreams;
    let part = u64::try_from(part - part / 4).unwrap_or(OF_ALL);
    part.clamp(OF_GRANT, OF_ALL)
}

/// Connections that are kept for later: the rest of that part.
fn idle_of_all() -> usize {
    (Descriptors::now().upstreams / 4).clamp(POOL_SIZE, IDLE_OF_ALL)
}

fn build(
    verdict: &AllowedRequest,
    outgoing: Outgoing,
    secret: Option<&Secret>,
) -> Result<Request<Full<Bytes>>, DialError> {
    let mut headers = outgoing.headers;
    let mut url = verdict.url().clone();
    let refuse = |kind| DialError::new(kind, &verdict.grant().origin, None);
    if let Some(auth) = verdict.auth() {
        secret
            .and_then(|secret| inject(&mut headers, &mut url, auth, secret))
            .ok_or_else(|| refuse(DialErrorKind::Credential))?;
    }
    // A range of an encoded body is a piece that nobody can decode.
    let offered = match headers.contains_key(RANGE) {
        true => HeaderValue::from_static("identity"),
        false => decode::OFFERED,
    };
    headers.insert(ACCEPT_ENCODING, offered);
    headers
        .entry(USER_AGENT)
        .or_insert(HeaderValue::from_static(AGENT));
    headers
        .entry(ACCEPT)
        .or_insert(HeaderValue::from_static("*/*"));
    if let Some(length) = length(verdict.method(), outgoing.body.len()) {
        headers.insert(CONTENT_LENGTH, length);
    }
    let mut request = Request::new(Full::new(outgoing.body));
    *request.method_mut() = verdict.method().clone();
    let uri = url.as_str().parse();
    *request.uri_mut() = uri.map_err(|_| refuse(DialErrorKind::Protocol))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// How long a request says that its body is. RFC 9110, 8.6: one whose method has a use for a body says
/// so of an empty one too (servers answer 411 where it is missing), any other only of one that is there.
/// The client would say it with HTTP/2 alone.
fn length(method: &Method, body: usize) -> Option<HeaderValue> {
    let has_use = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    (body > 0 || has_use).then(|| HeaderValue::from(body))
}

/// Hands a failure of the client on to where it is understood.
fn failed(
    error: &(dyn std::error::Error + 'static),
    connect: bool,
    understand: impl Fn(&Failure<'_>) -> DialError,
) -> DialError {
    understand(&Failure { error, connect })
}

/// Judges the head of a response before anybody reads it.
fn check_head(verdict: &AllowedRequest, response: &Reply, cap: u64) -> Result<(), DialError> {
    let grant = verdict.grant();
    if let Some(peer) = reply::peer(response) {
        // It was vetted before it was dialled; this is the proof after the fact, of a connection
        // from the pool too.
        let judged = match grant.way.proxy {
            Some(_) => may_dial(peer.ip(), &ANYWHERE),
            None => grant.may_dial(peer.ip()),
        };
        // It was asked already, whatever is wrong here.
        judged.map_err(|class| {
            let detail = Some(format!("its address is {class}"));
            DialError::broken(Wrong::NoAnswer, &grant.origin, detail)
        })?;
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(DialError::broken(Wrong::Switches, &grant.origin, None));
    }
    if !within_bounds(response.headers()) {
        return Err(DialError::broken(Wrong::Head, &grant.origin, None));
    }
    let length = response.body().length();
    if has_body(verdict, response.status()) && length.is_some_and(|length| length > cap) {
        return Err(DialError::too_large(&grant.origin.to_string(), cap));
    }
    Ok(())
}

/// RFC 9112, 6.3: what has no body, whatever its headers say of one.
fn has_body(verdict: &AllowedRequest, status: StatusCode) -> bool {
    *verdict.method() != Method::HEAD
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
}

/// The body, out of its encoding, and headers that are true of it.
fn source(
    verdict: &AllowedRequest,
    status: StatusCode,
    headers: &mut HeaderMap,
    body: Awaited,
    cap: u64,
) -> Result<Source, DialError> {
    if !has_body(verdict, status) {
        return Ok(Source::plain(body));
    }
    let unoffered = |why: Unoffered| {
        let wrong = match why {
            Unoffered::Other(name) => Wrong::OtherCoding(name),
            Unoffered::Several => Wrong::Codings,
        };
        DialError::broken(wrong, &verdict.grant().origin, None)
    };
    match coding(headers).map_err(unoffered)? {
        None => Ok(Source::plain(body)),
        Some(coding) => {
            decode::forget(headers);
            Ok(Source::coded(body, coding, cap))
        }
    }
}
