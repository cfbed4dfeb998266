//! The dialer: the only place that opens connections for tools, and the only one that knows
//! `reqwest`.
//!
//! It sends what a [`Verdict`] allows, to addresses it has vetted, and adds the credential at the
//! last moment. It knows no callers and no manifest, and it follows nothing: no redirects, no
//! proxies from the environment, no cookies, no retries.

mod credential;
mod fault;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::resolve::{Resolve, SystemResolver, vetted};
use crate::capability::http::{
    HttpGrant, MAX_HEADER_BYTES, MAX_HEADERS, Scheme, Secret, Verdict, may_dial, within_bounds,
};

pub(crate) use credential::basic;
use credential::inject;
use fault::Failure;
pub use fault::{DialError, DialErrorKind};

/// The longest time until a connection stands, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest silence within a response's body.
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

/// Sends requests. One for the process; its connections are kept apart by grant.
pub struct Dialer {
    resolver: Arc<dyn Resolve>,
    lines: Mutex<HashMap<usize, Arc<Line>>>,
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
    /// Who answered.
    pub peer: Option<SocketAddr>,
}

/// A body under way, within its bounds.
#[derive(Debug)]
pub struct IncomingBody {
    response: reqwest::Response,
    target: String,
    cap: u64,
    received: u64,
    deadline: Instant,
    _place: OwnedSemaphorePermit,
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
        // An error says that the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            resolver,
            lines: Mutex::default(),
        }
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
        let (response, place) =
            sent.unwrap_or_else(|_| Err(DialError::new(DialErrorKind::Timeout, &target, None)))?;
        let peer = response.remote_addr();
        check_head(verdict, &response, caps.response_body)?;
        Ok(Incoming {
            status: response.status(),
            headers: response.headers().clone(),
            peer,
            body: IncomingBody {
                response,
                target,
                cap: caps.response_body,
                received: 0,
                deadline,
                _place: place,
            },
        })
    }

    async fn exchange(
        &self,
        verdict: &Verdict,
        outgoing: Outgoing,
        secret: Option<&Secret>,
    ) -> Result<(reqwest::Response, OwnedSemaphorePermit), DialError> {
        let line = self.line(verdict.grant());
        let closed = |_| DialError::new(DialErrorKind::Unreachable, &verdict.grant().origin, None);
        let place = Arc::clone(&line.places)
            .acquire_owned()
            .await
            .map_err(closed)?;
        let client = line
            .client
            .get_or_try_init(|| self.client(verdict.grant()))
            .await?;
        let request = build(verdict, outgoing, secret)?;
        let response = client.execute(request).await;
        Ok((
            response.map_err(|e| failed(e, |why| DialError::on_the_way(why, verdict)))?,
            place,
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
        let resolver = Vetting {
            resolver: Arc::clone(&self.resolver),
            grant: Arc::clone(grant),
        };
        let scheme = grant.origin.scheme;
        // Reading the system's certificates takes files and some milliseconds.
        let built = tokio::task::spawn_blocking(move || client(resolver, scheme)).await;
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

impl IncomingBody {
    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// The body is too large, too slow or broken; nothing comes after that.
    pub async fn next(&mut self) -> Result<Option<Bytes>, DialError> {
        let until = self.deadline.min(Instant::now() + IDLE_TIMEOUT);
        let chunk = match timeout_at(until, self.response.chunk()).await {
            Err(_) => return Err(DialError::new(DialErrorKind::Timeout, &self.target, None)),
            Ok(Err(error)) => {
                return Err(failed(error, |why| DialError::in_body(why, &self.target)));
            }
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(chunk))) => chunk,
        };
        let size = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(size);
        if self.received > self.cap {
            return Err(DialError::too_large(&self.target, self.cap));
        }
        Ok(Some(chunk))
    }

    /// The whole body.
    ///
    /// # Errors
    /// As for [`IncomingBody::next`].
    pub async fn collect(mut self) -> Result<Bytes, DialError> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Bytes that came so far, decoded.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }
}

fn client(resolver: Vetting, scheme: Scheme) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .user_agent(concat!("toolhost/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(resolver)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_SIZE)
        .tcp_nodelay(true)
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .tls_version_min(reqwest::tls::Version::TLS_1_2);
    match scheme {
        Scheme::Https => builder.https_only(true).build(),
        // Without it a machine without CA certificates could not speak plain HTTP either.
        Scheme::Http => builder.tls_certs_only([]).build(),
    }
}

/// Answers `reqwest` with vetted addresses only.
struct Vetting {
    resolver: Arc<dyn Resolve>,
    grant: Arc<HttpGrant>,
}

impl reqwest::dns::Resolve for Vetting {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let resolver = Arc::clone(&self.resolver);
        let grant = Arc::clone(&self.grant);
        Box::pin(async move {
            let addresses = vetted(&*resolver, name.as_str(), &grant.private).await?;
            // Port 0 stands for the URL's own.
            let sockets = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(sockets) as reqwest::dns::Addrs)
        })
    }
}

fn build(
    verdict: &Verdict,
    outgoing: Outgoing,
    secret: Option<&Secret>,
) -> Result<reqwest::Request, DialError> {
    let mut headers = outgoing.headers;
    let mut url = verdict.url().clone();
    if let Some(auth) = &verdict.grant().auth {
        secret
            .and_then(|secret| inject(&mut headers, &mut url, auth, secret))
            .ok_or_else(|| {
                DialError::new(DialErrorKind::Credential, &verdict.grant().origin, None)
            })?;
    }
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
    let origin = &verdict.grant().origin;
    if let Some(peer) = response.remote_addr() {
        // It was vetted before it was dialled; this is the proof after the fact.
        may_dial(peer.ip(), &verdict.grant().private)
            .map_err(|class| DialError::denied(class, verdict))?;
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || !within_bounds(response.headers()) {
        return Err(DialError::new(DialErrorKind::Protocol, origin, None));
    }
    let has_body = *verdict.method() != Method::HEAD;
    if has_body && response.content_length().is_some_and(|length| length > cap) {
        return Err(DialError::too_large(&origin.to_string(), cap));
    }
    Ok(())
}
