//! The ways out that a manifest can name: authorities and certificates of one's own, proxies.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::egress::{ClientFiles, Way};

/// An authority that no system knows.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name, and its key, in PEM.
    fn leaf(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A server of this name, which asks its clients for certificates of this authority or does not.
    fn acceptor(&self, name: &str, asks: bool) -> TlsAcceptor {
        TlsAcceptor::from(Arc::new(self.config(name, asks)))
    }

    /// A server of this name that speaks these protocols.
    pub(super) fn speaking(&self, name: &str, protocols: &[&[u8]]) -> TlsAcceptor {
        let mut config = self.config(name, false);
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    fn config(&self, name: &str, asks: bool) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks {
            let mut roots = RootCertStore::empty();
            roots.add(self.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key);
        config.unwrap()
    }
}

/// A server on a free port of loopback, which ends with the test.
struct Served {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// What a server does once it knows what is asked.
#[derive(Clone, Copy)]
enum Does {
    /// It answers with 200.
    Answer,
    /// It is a proxy: it tunnels to this port, whatever name it is asked for.
    Tunnel(u16),
    /// It refuses.
    Refuse,
}

async fn start(tls: Option<TlsAcceptor>, then: Does) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&heads);
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, seen) = (tls.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, seen, then).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, seen, then).await;
                        }
                    }
                }
            });
        }
    });
    Served { port, heads, task }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    heads: Arc<Mutex<Vec<String>>>,
    then: Does,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    let answer: &[u8] = match then {
        Does::Answer => b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        Does::Tunnel(_) => b"HTTP/1.1 200 OK\r\n\r\n",
        Does::Refuse => b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
    };
    let _ = stream.write_all(answer).await;
    if let Does::Tunnel(port) = then {
        #[allow(clippy::disallowed_methods, reason = "the test's own proxy")]
        let mut other = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
    } else {
        let _ = stream.shutdown().await;
    }
}

pub(super) fn ca() -> TlsFiles {
    TlsFiles {
        ca: Some("ca.pem".into()),
        client: None,
    }
}

pub(super) fn dialer(files: &TlsFiles, tls: Tls) -> (Dialer, Arc<Answers>) {
    let answers = Answers::new(&[&["127.0.0.1"]]);
    let dialer = Dialer::with_resolver(Arc::clone(&answers) as Arc<dyn Resolve>);
    (dialer.with_tls([(files.clone(), tls)].into()), answers)
}

/// A grant for `https://shop.test`, on this port of loopback.
pub(super) fn shop(port: u16, tls: TlsFiles) -> Arc<HttpGrant> {
    let mut grant = grant("shop", &format!("https://shop.test:{port}"), &["GET /**"]);
    grant.private = vec![network("127.0.0.0/8")];
    grant.way.tls = tls;
    Arc::new(grant)
}

pub(super) fn trusting(authority: &Authority) -> Tls {
    Tls::new(Some(authority.pem().as_bytes()), None).unwrap()
}

#[tokio::test]
async fn n43_a_private_authority_is_trusted_where_it_is_named_and_nowhere_else() {
    let authority = Authority::new();
    let served = start(Some(authority.acceptor("shop.test", false)), Does::Answer).await;
    let (dialer, _) = dialer(&ca(), trusting(&authority));
    let named = shop(served.port, ca());
    assert_eq!(dial(&dialer, &named).await, Ok(StatusCode::OK));
    assert!(served.heads()[0].contains(&format!("host: shop.test:{}\r\n", served.port)));

    let not_named = shop(served.port, TlsFiles::default());
    assert_eq!(dial(&dialer, &not_named).await, Err(DialErrorKind::Tls));
    // What a grant names and nobody read is not left out in silence.
    let unread = TlsFiles {
        ca: Some("other.pem".into()),
        client: None,
    };
    assert_eq!(
        dial(&dialer, &shop(served.port, unread)).await,
        Err(DialErrorKind::Tls)
    );
    // Another name's certificate does not hold.
    let other = start(Some(authority.acceptor("evil.test", false)), Does::Answer).await;
    assert_eq!(
        dial(&dialer, &shop(other.port, ca())).await,
        Err(DialErrorKind::Tls)
    );
    assert!(other.heads().is_empty());
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks_for_one() {
    let authority = Authority::new();
    let served = start(Some(authority.acceptor("shop.test", true)), Does::Answer).await;
    let files = TlsFiles {
        client: Some(ClientFiles {
            certificate: "client.pem".into(),
            key: "client.key".into(),
        }),
        ..ca()
    };
    let (certificate, key) = authority.leaf("tools.test");
    let pem = authority.pem();
    let pair = Some((certificate.as_bytes(), key.as_bytes()));
    let tls = Tls::new(Some(pem.as_bytes()), pair).unwrap();
    let (with, _) = dialer(&files, tls);
    assert_eq!(
        dial(&with, &shop(served.port, files)).await,
        Ok(StatusCode::OK)
    );
    let (without, _) = dialer(&ca(), trusting(&authority));
    assert!(dial(&without, &shop(served.port, ca())).await.is_err());
    assert_eq!(served.heads().len(), 1);

    // A key that belongs to another certificate is found out when it is read.
    let (_, other) = authority.leaf("tools.test");
    let pair = Some((certificate.as_bytes(), other.as_bytes()));
    assert_eq!(Tls::new(None, pair).unwrap_err(), TlsError::Identity);
}

/// A grant for a public host through a proxy on loopback.
fn proxied(origin: &str, proxy: &str, tls: TlsFiles) -> Arc<HttpGrant> {
    let mut grant = grant("shop", origin, &["GET /**"]);
    let at = super::grant("proxy", proxy, &[]).origin;
    grant.way = Way {
        proxy: Some(at),
        tls,
    };
    Arc::new(grant)
}

/// The name goes to the proxy as it is; what is looked up here is the proxy's own, which may be
/// private, because the operator named it.
#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_to_the_name() {
    let authority = Authority::new();
    let upstream = start(Some(authority.acceptor("shop.test", false)), Does::Answer).await;
    let proxy = start(None, Does::Tunnel(upstream.port)).await;
    let (dialer, answers) = dialer(&ca(), trusting(&authority));
    let via = format!("http://proxy.test:{}", proxy.port);
    let grant = proxied("https://shop.test", &via, ca());
    let verdict = verdict(&grant, "GET", "/a?b=c");
    let sent = dialer.send_alone(&verdict, Outgoing::default(), None, CAPS);
    let incoming = sent.await.unwrap();
    assert_eq!(incoming.peer.unwrap().port(), proxy.port);
    assert_eq!(incoming.body.collect().await.unwrap(), "hello");
    let tunnel = proxy.heads().pop().unwrap();
    assert!(
        tunnel.starts_with("CONNECT shop.test:443 HTTP/1.1\r\n"),
        "{tunnel}"
    );
    let request = upstream.heads().pop().unwrap();
    assert!(request.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("host: shop.test\r\n"), "{request}");
    assert_eq!(*answers.asked.lock().unwrap(), ["proxy.test."]);
}

#[tokio::test]
async fn a_proxy_over_tls_is_trusted_by_the_same_authority() {
    let authority = Authority::new();
    let upstream = start(Some(authority.acceptor("shop.test", false)), Does::Answer).await;
    let tls = authority.acceptor("proxy.test", false);
    let proxy = start(Some(tls), Does::Tunnel(upstream.port)).await;
    let via = format!("https://proxy.test:{}", proxy.port);
    let grant = |files| proxied("https://shop.test", &via, files);
    let (dialer, _) = dialer(&ca(), trusting(&authority));
    assert_eq!(dial(&dialer, &grant(ca())).await, Ok(StatusCode::OK));
    assert_eq!(upstream.heads().len(), 1);
    let untrusted = dial(&dialer, &grant(TlsFiles::default())).await;
    assert_eq!(untrusted, Err(DialErrorKind::Tls));
    assert_eq!((proxy.heads().len(), upstream.heads().len()), (1, 1));
}

#[tokio::test]
async fn plain_http_is_forwarded_by_a_proxy() {
    let proxy = start(None, Does::Answer).await;
    let via = format!("http://127.0.0.1:{}", proxy.port);
    let grant = proxied("http://shop.test:8080", &via, TlsFiles::default());
    assert_eq!(dial(&Dialer::new(), &grant).await, Ok(StatusCode::OK));
    let head = proxy.heads().pop().unwrap();
    assert!(
        head.starts_with("GET http://shop.test:8080/ HTTP/1.1\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn what_a_proxy_refuses_is_unreachable_and_it_may_not_be_this_host() {
    let proxy = start(None, Does::Refuse).await;
    let via = format!("http://127.0.0.1:{}", proxy.port);
    let grant = proxied("https://shop.test", &via, ca());
    let (dialer, _) = dialer(&ca(), trusting(&Authority::new()));
    assert_eq!(dial(&dialer, &grant).await, Err(DialErrorKind::Unreachable));
    assert_eq!(proxy.heads().len(), 1);
    dialer.keep_off(SocketAddr::from(([127, 0, 0, 1], proxy.port)));
    let denied = Err(DialErrorKind::Denied(Class::OwnDoor));
    assert_eq!(dial(&dialer, &grant).await, denied);
    assert_eq!(proxy.heads().len(), 1);
}

/// An address that nothing opens is none of a proxy's either.
#[tokio::test]
async fn n12_a_proxy_is_not_a_metadata_service() {
    let answers = Answers::new(&[&["169.254.169.254"]]);
    let dialer = Dialer::with_resolver(answers);
    let grant = proxied(
        "http://shop.test",
        "http://proxy.test:80",
        TlsFiles::default(),
    );
    let denied = Err(DialErrorKind::Denied(Class::Metadata));
    assert_eq!(dial(&dialer, &grant).await, denied);
}

/// A resumed session shows no certificate, so that nobody would look at its end.
#[tokio::test]
async fn n91_each_connection_looks_at_the_certificate_anew() {
    let authority = Authority::new();
    let tls = authority.acceptor("shop.test", false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = tls.accept(stream).await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind().unwrap());
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            let _ = stream.shutdown().await;
        }
        kinds
    });
    let (dialer, _) = dialer(&ca(), trusting(&authority));
    let grant = shop(port, ca());
    for _ in 0..3 {
        assert_eq!(dial(&dialer, &grant).await, Ok(StatusCode::OK));
    }
    let kinds = server.await.unwrap();
    assert!(
        !kinds.contains(&rustls::HandshakeKind::Resumed),
        "{kinds:?}"
    );
}
