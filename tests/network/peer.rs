//! An upstream that plays a script on each request, byte by byte, and writes down who connected and
//! what was said.
//!
//! It speaks no HTTP of its own beyond finding the end of a request: what it says may be anything.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What an upstream does next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends bytes one by one, with a pause after each.
    Drip(Vec<u8>, Duration),
    /// Sends bytes again and again until nobody listens.
    Endless(Vec<u8>),
    /// Closes its own half.
    Half,
    /// Closes.
    Close,
    /// Resets the connection.
    Reset,
    /// Says nothing until the other side closes.
    Hold,
}

impl Step {
    /// Sends a text.
    pub(super) fn say(text: impl Into<String>) -> Self {
        Self::Send(text.into().into_bytes())
    }

    /// A response with its length.
    pub(super) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::response("200 OK", "", body)
    }

    /// A response with a status line, header lines and its length.
    pub(super) fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n");
        Self::Send([head.as_bytes(), body].concat())
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// The connection it came on, from 0.
    pub(super) connection: usize,
    /// Everything up to the empty line.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Method, target and version.
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The target.
    pub(super) fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// The values of a header.
    pub(super) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1);
        let pairs = lines.filter_map(|line| line.split_once(':'));
        let named = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim()).collect()
    }
}

/// The other side's address and our own.
type Ends = (SocketAddr, SocketAddr);

/// What an upstream has seen.
#[derive(Debug, Default)]
struct Seen {
    count: usize,
    /// Both ends of each connection: one alone may be had again.
    from: Vec<Ends>,
    open: usize,
    most: usize,
    requests: Vec<Request>,
}

/// A server, which ends with this value.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    addresses: Vec<SocketAddr>,
    scheme: &'static str,
    seen: Arc<watch::Sender<Seen>>,
    _tasks: JoinSet<()>,
}

type Script = dyn Fn(&Request) -> Vec<Step> + Send + Sync;

impl Peer {
    /// Plays a script on each request that comes in at one of these places.
    pub(super) fn start(
        listeners: Vec<TcpListener>,
        script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::begin(listeners, None, Arc::new(script))
    }

    /// Does so behind TLS.
    pub(super) fn secure(
        listener: TcpListener,
        tls: TlsAcceptor,
        script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        Self::begin(vec![listener], Some(tls), Arc::new(script))
    }

    fn begin(listeners: Vec<TcpListener>, tls: Option<TlsAcceptor>, script: Arc<Script>) -> Self {
        let seen = Arc::new(watch::Sender::new(Seen::default()));
        let addresses: Vec<SocketAddr> = listeners
            .iter()
            .map(|listener| listener.local_addr().expect("an address"))
            .collect();
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(accept(
                listener,
                tls.clone(),
                Arc::clone(&seen),
                Arc::clone(&script),
            ));
        }
        Self {
            address: addresses[0],
            addresses,
            scheme: if tls.is_some() { "https" } else { "http" },
            seen,
            _tasks: tasks,
        }
    }

    /// A URL there.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// A URL there under a name.
    pub(super) fn url_as(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    /// All requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.seen.borrow().requests.clone()
    }

    /// Waits until all connections are closed.
    pub(super) async fn left(&self) {
        let mut seen = self.seen.subscribe();
        let empty = seen.wait_for(|seen| seen.open == 0).await;
        drop(empty.expect("a server"));
    }

    /// The most connections that were open at once.
    pub(super) fn most(&self) -> usize {
        self.seen.borrow().most
    }

    /// How many have connected so far. It connects itself, at every place: whoever came before is
    /// in the list when that connection is.
    pub(super) async fn connections(&self) -> usize {
        let mut own = Vec::new();
        for address in &self.addresses {
            let knock = TcpStream::connect(address).await.expect("a connection");
            let ends = knock
                .local_addr()
                .and_then(|own| Ok((own, knock.peer_addr()?)));
            own.push(ends.expect("two ends"));
        }
        let mut seen = self.seen.subscribe();
        let known = seen
            .wait_for(|seen| own.iter().all(|ends| seen.from.contains(ends)))
            .await;
        let from = known.expect("a server").from.clone();
        self.seen
            .send_modify(|seen| seen.from.retain(|from| !own.contains(from)));
        from.len() - own.len()
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    seen: Arc<watch::Sender<Seen>>,
    script: Arc<Script>,
) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, from)) = listener.accept().await {
        let own = stream.local_addr().expect("an address");
        let mut connection = 0;
        seen.send_modify(|seen| {
            connection = seen.count;
            seen.count += 1;
            seen.from.push((from, own));
            seen.open += 1;
            seen.most = seen.most.max(seen.open);
        });
        let (tls, seen, script) = (tls.clone(), Arc::clone(&seen), Arc::clone(&script));
        tasks.spawn(async move {
            match tls {
                None => serve(stream, connection, &seen, &*script).await,
                Some(tls) => {
                    // A client that does not believe the certificate ends it here.
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, connection, &seen, &*script).await;
                    }
                }
            }
            seen.send_modify(|seen| seen.open -= 1);
        });
        while tasks.try_join_next().is_some() {}
    }
}

/// A stream that can be reset.
trait Line: AsyncRead + AsyncWrite + Unpin + Send {
    fn socket(&self) -> &TcpStream;
}

impl Line for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Line for tokio_rustls::server::TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

async fn serve(
    mut stream: impl Line,
    connection: usize,
    seen: &watch::Sender<Seen>,
    script: &Script,
) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer, connection).await {
        let steps = script(&request);
        seen.send_modify(|seen| seen.requests.push(request));
        for step in steps {
            if play(&mut stream, step).await.is_none() {
                return;
            }
        }
    }
}

/// Plays one step; `None` is the end of the connection.
async fn play(stream: &mut impl Line, step: Step) -> Option<()> {
    match step {
        Step::Send(bytes) => stream.write_all(&bytes).await.ok()?,
        Step::Drip(bytes, pause) => {
            for byte in bytes {
                stream.write_all(&[byte]).await.ok()?;
                stream.flush().await.ok()?;
                tokio::time::sleep(pause).await;
            }
        }
        Step::Endless(bytes) => loop {
            stream.write_all(&bytes).await.ok()?;
        },
        Step::Half => stream.shutdown().await.ok()?,
        Step::Close => return None,
        Step::Reset => {
            rustix::net::sockopt::set_socket_linger(stream.socket(), Some(Duration::ZERO)).ok()?;
            return None;
        }
        Step::Hold => {
            let mut rest = [0; 4096];
            while stream.read(&mut rest).await.ok()? > 0 {}
            return None;
        }
    }
    stream.flush().await.ok()
}

/// The next request, or `None` at the end. What comes behind it stays in the buffer.
async fn read(stream: &mut impl Line, buffer: &mut Vec<u8>, connection: usize) -> Option<Request> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let mut request = Request {
        connection,
        head: String::from_utf8_lossy(&buffer[..end]).into_owned(),
        body: Vec::new(),
    };
    let length = request.headers("content-length").first().copied();
    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    while buffer.len() < end + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    request.body = buffer[end..end + length].to_vec();
    buffer.drain(..end + length);
    Some(request)
}
