//! Connections of one grant: to vetted addresses, directly or through its proxy, with TLS where its
//! origin says so, each byte counted.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::USER_AGENT;
use http::uri::Scheme as UriScheme;
use http::{HeaderMap, HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tower_service::Service;

use super::client::{AGENT, ANYWHERE};
use super::meter::{Counted, Idle, Meter};
use super::sender::{SENDER, Sender};
use super::{CONNECT_TIMEOUT, Doors, IDLE_TIMEOUT};
use crate::egress::{Class, HttpGrant, Network, Scheme};
use crate::resolve::{Lookups, Resolve, Unresolved, vetted};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Opens the connections of one grant.
#[derive(Clone)]
pub(super) struct Connector {
    vetting: Vetting,
    /// What TLS goes by, with and without an offer of HTTP/2.
    tls: Arc<ClientConfig>,
    tls_of_proxy: Arc<ClientConfig>,
    /// The proxy between.
    proxy: Option<Uri>,
}

impl Connector {
    pub(super) fn new(vetting: Vetting, mut tls: ClientConfig) -> Result<Self, http::Error> {
        let proxy = vetting.grant.way.proxy.as_ref();
        let proxy = proxy.map(|at| at.to_string().parse()).transpose();
        tls.alpn_protocols = Vec::new();
        let tls_of_proxy = Arc::new(tls.clone());
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            vetting,
            tls: Arc::new(tls),
            tls_of_proxy,
            proxy: proxy?,
        })
    }

    async fn connect(self, to: Uri, sender: Sender) -> Result<Conn, BoxError> {
        let meter = Meter::new(Arc::clone(&sender.caller), self.vetting.idle.clone());
        let tcp = Tcp {
            vetting: self.vetting,
            sender,
            meter: meter.clone(),
        };
        let over_tls = to.scheme() == Some(&UriScheme::HTTPS);
        let conn = match self.proxy {
            None => Conn::new(HttpsConnector::from((tcp, self.tls)).call(to).await?),
            Some(proxy) if over_tls => {
                let to_proxy = HttpsConnector::from((tcp, self.tls_of_proxy));
                let agent = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(AGENT))]);
                let tunnel = Tunnel::new(proxy, to_proxy).with_headers(agent);
                Conn::new(HttpsConnector::from((tunnel, self.tls)).call(to).await?)
            }
            Some(proxy) => {
                let mut to_proxy = HttpsConnector::from((tcp, self.tls_of_proxy));
                Conn {
                    forwarded: true,
                    ..Conn::new(to_proxy.call(proxy).await?)
                }
            }
        };
        if conn.connected().is_negotiated_h2() {
            meter.is_h2();
        }
        meter.stands();
        Ok(conn)
    }
}

impl Service<Uri> for Connector {
    type Response = Conn;
    type Error = BoxError;
    type Future = Connecting<Conn>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        // Now, and not when the connection is opened: that may go on in a task of its own.
        let sender = SENDER.try_with(Sender::clone).unwrap_or_default();
        let connecting = self.clone().connect(to, sender);
        Box::pin(async move {
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
            connected.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        })
    }
}

/// Opens sockets to vetted addresses.
struct Tcp {
    vetting: Vetting,
    sender: Sender,
    meter: Meter,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<Counted>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (vetting, sender) = (self.vetting.clone(), self.sender.clone());
        let meter = self.meter.clone();
        Box::pin(async move {
            let host = to.host().unwrap_or_default();
            let literal = host.trim_start_matches('[').trim_end_matches(']');
            let addresses = match literal.parse::<IpAddr>() {
                // It was judged with the request.
                Ok(ip) => vec![ip],
                Err(_) => vetting.addresses(host, &sender).await?,
            };
            let mut connector = HttpConnector::new_with_resolver(Vetted(addresses));
            connector.enforce_http(false);
            connector.set_nodelay(true);
            connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
            // What is not taken in this time (a server that reads no body) breaks the connection.
            connector.set_tcp_user_timeout(Some(IDLE_TIMEOUT));
            let tcp = connector.call(to).await?.into_inner();
            Ok(TokioIo::new(Counted::new(tcp, meter)))
        })
    }
}

/// A resolver that knows the answer.
#[derive(Clone)]
struct Vetted(Vec<IpAddr>);

impl Service<Name> for Vetted {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        // Port 0 stands for the URL's own.
        let sockets = self.0.iter().map(|ip| SocketAddr::new(*ip, 0));
        std::future::ready(Ok(sockets.collect::<Vec<_>>().into_iter()))
    }
}

/// Finds the addresses that a grant's connections may go to, and where they rest.
#[derive(Clone)]
pub(super) struct Vetting {
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) lookups: Lookups,
    pub(super) grant: Arc<HttpGrant>,
    pub(super) doors: Doors,
    pub(super) idle: Idle,
}

impl Vetting {
    async fn addresses(&self, host: &str, sender: &Sender) -> Result<Vec<IpAddr>, Unresolved> {
        let (_, private) = self.next_hop();
        let place = self.lookups.place(&sender.caller, &sender.lookups);
        let addresses = vetted(&*self.resolver, host, private, place).await?;
        match addresses.iter().find_map(|ip| self.kept_off(*ip)) {
            Some(class) => Err(Unresolved::Denied(class)),
            None => Ok(addresses),
        }
    }

    /// Why this grant's requests may not go to an address that lies in the networks they may go to.
    fn kept_off(&self, ip: IpAddr) -> Option<Class> {
        let (port, _) = self.next_hop();
        let own_door = self.doors.class(ip, port);
        let in_clear = || match self.grant.way.proxy {
            Some(_) => None,
            None => self.grant.may_dial(ip).err(),
        };
        own_door.or_else(in_clear)
    }

    /// Where connections go, and which networks they may go to.
    fn next_hop(&self) -> (u16, &[Network]) {
        match &self.grant.way.proxy {
            Some(proxy) => (proxy.port, &ANYWHERE),
            None => (self.grant.origin.port, &self.grant.private),
        }
    }

    /// Whether requests go over TLS, to the proxy or to the other side.
    pub(super) fn speaks_tls(&self) -> bool {
        let proxy = self.grant.way.proxy.as_ref();
        let to_proxy = proxy.is_some_and(|at| at.scheme == Scheme::Https);
        to_proxy || self.grant.origin.scheme == Scheme::Https
    }
}

trait Stream: Read + Write + Connection + Send + Unpin {}

impl<T: Read + Write + Connection + Send + Unpin> Stream for T {}

/// A connection, whichever layers it has.
pub(super) struct Conn {
    stream: Box<dyn Stream>,
    /// A proxy reads the requests, and has to be told where they go.
    forwarded: bool,
}

impl Conn {
    fn new(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            forwarded: false,
        }
    }
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.forwarded)
    }
}

impl Read for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
