//! The dialer against an upstream on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod coded;
mod floods;
mod sent;
mod shared;
mod upstreams;
mod ways;
mod wrong;

use std::cell::RefCell;
use std::process::Command;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, LOCATION};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::egress::testing::{grant, loopback_grant, network};
use crate::egress::{Auth, Class, MAX_HEADER_BYTES, MAX_HEADERS, RawRequest, RawTarget, judge};
use crate::testing::{Answers, Reply, Then, Upstream, chunked, ok, raw};

const CAPS: Caps = Caps {
    response_body: 1000,
    timeout: Duration::from_secs(20),
    silence: IDLE_TIMEOUT,
};

fn verdict(grant: &Arc<HttpGrant>, method: &str, path: &str) -> AllowedRequest {
    let url = format!("{}{path}", grant.origin);
    let ask = RawRequest {
        method,
        target: RawTarget::Url(&url),
    };
    judge(&[Arc::clone(grant)], &ask).unwrap()
}

thread_local! {
    /// What functions would hold. Kept to the end of a test, so an address stands for one grant.
    static KEPT: RefCell<Vec<(Arc<HttpGrant>, Arc<Pool>)>> = const { RefCell::new(Vec::new()) };
}

impl Dialer {
    /// The connections of a grant that is of no tool but its own.
    fn pool_of(&self, grant: &Arc<HttpGrant>) -> Arc<Pool> {
        let pool = self.pool(&format!("{:p}", Arc::as_ptr(grant)), grant, None);
        KEPT.with_borrow_mut(|kept| kept.push((Arc::clone(grant), Arc::clone(&pool))));
        pool
    }

    async fn send_alone(
        &self,
        verdict: &AllowedRequest,
        outgoing: Outgoing,
        secret: Option<&Secret>,
        caps: Caps,
    ) -> Result<Incoming, DialError> {
        let pools = [self.pool_of(verdict.grant())];
        self.send(&pools, verdict, outgoing, secret, caps).await
    }
}

async fn get(
    grant: &Arc<HttpGrant>,
    caps: Caps,
) -> Result<(StatusCode, HeaderMap, Bytes), DialError> {
    let verdict = verdict(grant, "GET", "/a");
    let incoming = Dialer::new()
        .send_alone(&verdict, Outgoing::default(), None, caps)
        .await?;
    Ok((
        incoming.status,
        incoming.headers,
        incoming.body.collect().await?,
    ))
}

/// The kind of error that this reply leads to.
async fn failure(reply: fn() -> Reply, caps: Caps) -> DialErrorKind {
    let upstream = Upstream::start(move |_| reply()).await;
    get(&loopback_grant(upstream.port, None), caps)
        .await
        .unwrap_err()
        .kind
}

#[tokio::test]
async fn a_request_goes_out_as_judged() {
    let upstream = Upstream::start(|_| ok("x-a: 1\r\n", b"hello")).await;
    let grant = loopback_grant(upstream.port, None);
    let verdict = verdict(&grant, "POST", "/orders/%7e1?q=a%20b");
    let headers = HeaderMap::from_iter([(http::header::ACCEPT, "text/plain".parse().unwrap())]);
    let outgoing = Outgoing {
        headers,
        body: Bytes::from_static(b"body"),
        ..Outgoing::default()
    };
    let incoming = Dialer::new()
        .send_alone(&verdict, outgoing, None, CAPS)
        .await
        .unwrap();
    assert_eq!(incoming.status, StatusCode::OK);
    assert_eq!(incoming.headers["x-a"], "1");
    assert_eq!(incoming.peer.unwrap().port(), upstream.port);
    assert_eq!(incoming.body.collect().await.unwrap(), "hello");

    let requests = upstream.requests();
    let [request] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert!(
        request.starts_with("POST /orders/~1?q=a%20b HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\nbody"), "{request}");
    let mut names: Vec<_> = request
        .lines()
        .skip(1)
        .map_while(|line| line.split_once(": "))
        .collect();
    names.sort_unstable();
    let host = format!("127.0.0.1:{}", upstream.port);
    let agent = concat!("toolhost/", env!("CARGO_PKG_VERSION"));
    for expected in [
        ("accept", "text/plain"),
        ("content-length", "4"),
        ("host", &host),
        ("user-agent", agent),
    ] {
        assert!(names.contains(&expected), "{expected:?} in {names:?}");
    }
    assert_eq!(names.len(), 5, "and accept-encoding: {names:?}");
}

/// Runs one test of this file in a process with these variables.
fn run_with(environment: &[(&str, &str)], test: &str) {
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &format!("{module}::{test}")]);
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    child.envs(environment.iter().copied());
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

/// N40.
#[test]
fn n40_proxies_of_the_environment_are_ignored() {
    // Port 9 discards, where it is served at all.
    let proxy = |name| (name, "http://127.0.0.1:9");
    let names = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    run_with(&names.map(proxy), "a_request_goes_out_as_judged");
}

/// A machine without CA certificates, a bare container for example: plain HTTP works, TLS does not.
#[test]
fn only_tls_needs_ca_certificates() {
    // An empty file, and no directory, instead of the system's certificates.
    let nowhere = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "")];
    run_with(&nowhere, "a_request_goes_out_as_judged");
    run_with(&nowhere, "without_tls_nothing_is_said");
}

fn gzip(zeros: bool) -> Vec<u8> {
    // 5000 zero bytes, and "hello gzip".
    let text = if zeros { ZEROS } else { HELLO };
    STANDARD.decode(text).unwrap()
}

const HELLO: &str = "H4sIAAAAAAACA8tIzcnJV0ivyiwAABlq0t8KAAAA";
const ZEROS: &str = "H4sIAAAAAAACA+3BMQEAAADCoPVPbQo/oAAAAACAtwGoDuXYiBMAAA==";

#[tokio::test]
async fn encodings_are_undone() {
    let upstream = Upstream::start(|_| ok("content-encoding: gzip\r\n", &gzip(false))).await;
    let (_, headers, body) = get(&loopback_grant(upstream.port, None), CAPS)
        .await
        .unwrap();
    assert_eq!(body, "hello gzip");
    assert!(!headers.contains_key(CONTENT_ENCODING) && !headers.contains_key("content-length"));
    let requests = upstream.requests();
    assert!(
        requests[0].contains("accept-encoding: zstd,gzip,deflate,br\r\n"),
        "{requests:?}"
    );
}

/// N45, N46: the cap counts what comes out of the decoder.
#[tokio::test]
async fn n45_n46_a_body_ends_at_its_cap() {
    let large = || ok("", &[b'x'; 1001]);
    assert_eq!(failure(large, CAPS).await, DialErrorKind::TooLarge);
    let pieces = || chunked("", &[&[b'x'; 600], &[b'x'; 401]]);
    assert_eq!(failure(pieces, CAPS).await, DialErrorKind::TooLarge);
    let bomb = || ok("content-encoding: gzip\r\n", &gzip(true));
    assert_eq!(failure(bomb, CAPS).await, DialErrorKind::TooLarge);

    let upstream = Upstream::start(|_| chunked("", &[&[b'x'; 600], &[b'x'; 400]])).await;
    let (_, _, body) = get(&loopback_grant(upstream.port, None), CAPS)
        .await
        .unwrap();
    assert_eq!(body.len(), 1000);
}

#[tokio::test]
async fn the_length_of_a_body_that_is_not_sent_does_not_count() {
    let upstream =
        Upstream::start(|_| raw("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n")).await;
    let grant = loopback_grant(upstream.port, None);
    let head = verdict(&grant, "HEAD", "/");
    let incoming = Dialer::new()
        .send_alone(&head, Outgoing::default(), None, CAPS)
        .await
        .unwrap();
    assert_eq!(incoming.headers["content-length"], "9999");
    assert_eq!(incoming.body.collect().await.unwrap(), "");
}

/// N47: before the head, and within the body.
#[tokio::test]
async fn n47_silence_is_not_waited_for() {
    let caps = Caps {
        timeout: Duration::from_millis(60),
        ..CAPS
    };
    let silent = || Reply {
        bytes: Vec::new(),
        then: Then::Silence,
    };
    assert_eq!(failure(silent, caps).await, DialErrorKind::Timeout);
    let half = || Reply {
        then: Then::Silence,
        ..raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
    };
    assert_eq!(failure(half, caps).await, DialErrorKind::Timeout);
}

/// N31: what a redirect names is the guest's to ask for, and then it is judged.
#[tokio::test]
async fn n31_redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let upstream = Upstream::start(move |_| {
            raw(&format!(
                "HTTP/1.1 {status} X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
            ))
        });
        let upstream = upstream.await;
        let grant = loopback_grant(upstream.port, None);
        let (found, headers, _) = get(&grant, CAPS).await.unwrap();
        assert_eq!(
            (found.as_u16(), &headers[LOCATION]),
            (status, &"/elsewhere".parse::<http::HeaderValue>().unwrap())
        );
        assert_eq!(upstream.requests().len(), 1);
    }
}

/// N44, N49, N50, N52.
#[tokio::test]
async fn n44_n49_n50_n52_what_is_not_proper_http_is_an_error() {
    for reply in [
        || raw("garbage\r\n\r\n"),
        || raw(""),
        || raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
        || raw("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
        || raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        || raw("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
        || {
            raw(&format!(
                "HTTP/1.1 200 OK\r\n{}\r\n",
                "x-a: 1\r\n".repeat(MAX_HEADERS + 1)
            ))
        },
        || {
            raw(&format!(
                "HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n",
                "v".repeat(MAX_HEADER_BYTES)
            ))
        },
        || {
            raw(&format!(
                "HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n",
                "v".repeat(1 << 20)
            ))
        },
        || ok("content-encoding: gzip\r\n", b"no gzip"),
    ] as [fn() -> Reply; 10]
    {
        let text = String::from_utf8_lossy(&reply().bytes)
            .chars()
            .take(60)
            .collect::<String>();
        assert_eq!(
            failure(reply, CAPS).await,
            DialErrorKind::Protocol,
            "{text:?}"
        );
    }
}

/// N53.
#[tokio::test]
async fn n53_a_closed_port_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = get(&loopback_grant(port, None), CAPS).await.unwrap_err();
    assert_eq!(error.kind, DialErrorKind::Unreachable);
    assert!(
        error
            .say
            .starts_with(&format!("http://127.0.0.1:{port} cannot be reached")),
        "{}",
        error.say
    );
}

/// Neither an upstream that does not speak TLS nor a machine without CA certificates is spoken to
/// in the clear.
#[tokio::test]
async fn without_tls_nothing_is_said() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let upstream = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let bad = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        stream.write_all(bad).await.unwrap();
        while let Ok(byte) = stream.read_u8().await {
            ear.lock().unwrap().push(byte);
        }
    });
    let mut grant = grant("shop", &format!("https://127.0.0.1:{port}"), &["GET /**"]);
    grant.private = vec![network("127.0.0.0/8")];
    let error = get(&Arc::new(grant), CAPS).await.unwrap_err();
    assert_eq!(error.kind, DialErrorKind::Tls, "{error:?}");
    let heard = heard.lock().unwrap().clone();
    assert!(!heard.windows(4).any(|bytes| bytes == b"GET "), "{heard:?}");
    upstream.abort();
}

fn named(port: u16, private: &[&str]) -> Arc<HttpGrant> {
    let mut grant = grant("shop", &format!("http://shop.test:{port}"), &["GET /**"]);
    grant.private = private.iter().map(|range| network(range)).collect();
    Arc::new(grant)
}

async fn dial(dialer: &Dialer, grant: &Arc<HttpGrant>) -> Result<StatusCode, DialErrorKind> {
    let verdict = verdict(grant, "GET", "/");
    match dialer
        .send_alone(&verdict, Outgoing::default(), None, CAPS)
        .await
    {
        Ok(incoming) => Ok(incoming.status),
        Err(error) => Err(error.kind),
    }
}

/// A credential that may cross the operator's network in clear does not cross the internet, whatever
/// the name points to today.
#[tokio::test]
async fn a_credential_in_clear_goes_to_the_private_network_alone() {
    let upstream = Upstream::start(|_| ok("", b"hello")).await;
    for (answer, auth, expected) in [
        (
            &["93.184.216.34"][..],
            true,
            Err(DialErrorKind::Denied(Class::InClear)),
        ),
        (
            &["127.0.0.1", "93.184.216.34"],
            true,
            Err(DialErrorKind::Denied(Class::InClear)),
        ),
        (&["127.0.0.1"], true, Err(DialErrorKind::Credential)),
        (&["127.0.0.1"], false, Ok(StatusCode::OK)),
    ] {
        let mut grant = grant("shop", "http://shop.test", &["GET /**"]);
        grant.origin.port = upstream.port;
        grant.private = vec![network("127.0.0.0/8")];
        grant.auth = auth.then(|| Auth::Bearer {
            secret: "shop".into(),
        });
        let dialer = Dialer::with_resolver(Answers::new(&[answer]));
        let grant = Arc::new(grant);
        let secret = Secret::new(b"a-secret-of-the-shop".to_vec()).unwrap();
        let verdict = verdict(&grant, "GET", "/");
        let secret = (expected != Err(DialErrorKind::Credential)).then_some(&secret);
        let sent = dialer
            .send_alone(&verdict, Outgoing::default(), secret, CAPS)
            .await;
        let sent = sent
            .map(|incoming| incoming.status)
            .map_err(|error| error.kind);
        assert_eq!(sent, expected, "{answer:?} {auth}");
    }
    assert_eq!(upstream.requests().len(), 1);
    let mut literal = grant("shop", "http://93.184.216.34", &["GET /**"]);
    literal.private = vec![network("10.0.0.0/8")];
    assert_eq!(literal.may_dial("93.184.216.34".parse().unwrap()), Ok(()));
    literal.auth = Some(Auth::Bearer {
        secret: "shop".into(),
    });
    let public = literal.may_dial("93.184.216.34".parse().unwrap());
    assert_eq!(public, Err(Class::InClear));
    assert_eq!(literal.may_dial("10.0.0.1".parse().unwrap()), Ok(()));
}

/// N23, N24: nothing is sent to a name that points inside.
#[tokio::test]
async fn names_are_vetted() {
    let upstream = Upstream::start(|_| ok("", b"hello")).await;
    for (answer, private, expected) in [
        (
            &["127.0.0.1"][..],
            &[][..],
            Err(DialErrorKind::Denied(Class::Loopback)),
        ),
        (
            &["127.0.0.1", "10.0.0.1"],
            &["127.0.0.0/8"],
            Err(DialErrorKind::Denied(Class::Private)),
        ),
        (
            &["127.0.0.1", "169.254.169.254"],
            &["0.0.0.0/0"],
            Err(DialErrorKind::Denied(Class::Metadata)),
        ),
        (&[], &[], Err(DialErrorKind::Unreachable)),
        (&["127.0.0.1"], &["127.0.0.0/8"], Ok(StatusCode::OK)),
    ] {
        let dialer = Dialer::with_resolver(Answers::new(&[answer]));
        let before = upstream.requests().len();
        assert_eq!(
            dial(&dialer, &named(upstream.port, private)).await,
            expected,
            "{answer:?}"
        );
        let sent = upstream.requests().len() - before;
        assert_eq!(sent, usize::from(expected.is_ok()));
    }
    let host = format!("host: shop.test:{}\r\n", upstream.port);
    assert!(upstream.requests()[0].contains(&host));
}

/// N25, N26: every connection is vetted anew, and none outlives what vetted it.
#[tokio::test]
async fn n25_a_name_that_turns_inward_is_denied() {
    let upstream = Upstream::start(|_| Reply {
        then: Then::Close,
        ..ok("connection: close\r\n", b"")
    })
    .await;
    let answers = Answers::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let dialer = Dialer::with_resolver(Arc::clone(&answers) as Arc<dyn Resolve>);
    let grant = named(upstream.port, &["127.0.0.0/8"]);
    assert_eq!(dial(&dialer, &grant).await, Ok(StatusCode::OK));
    let denied = Err(DialErrorKind::Denied(Class::Metadata));
    assert_eq!(dial(&dialer, &grant).await, denied);
    assert_eq!(*answers.asked.lock().unwrap(), ["shop.test.", "shop.test."]);
}

#[tokio::test]
async fn connections_are_kept_apart_by_grant_and_dropped_with_it() {
    let dialer = Dialer::new();
    let one = loopback_grant(1, None);
    let pool = |tool: &str| dialer.pool(tool, &one, None);
    let (first, other) = (pool("shop"), pool("till"));
    assert!(Arc::ptr_eq(&first, &pool("shop")));
    assert!(!Arc::ptr_eq(&first.upstream, &other.upstream));
    assert_eq!(dialer.upstreams.count(), 2);
    drop((first, other));
    let _last = pool("bank");
    assert_eq!(dialer.upstreams.count(), 1, "the dropped ones are gone");
}

/// N54.
#[tokio::test]
async fn n54_one_grant_has_a_bound_on_its_connections() {
    let mut upstream = Upstream::start(|_| Reply {
        bytes: Vec::new(),
        then: Then::Silence,
    })
    .await;
    let dialer = Arc::new(Dialer::new());
    let grant = loopback_grant(upstream.port, None);
    let senders: Vec<_> = (0..AT_ONCE + 8)
        .map(|_| {
            let (dialer, grant) = (Arc::clone(&dialer), Arc::clone(&grant));
            tokio::spawn(async move { dial(&dialer, &grant).await })
        })
        .collect();
    let at_once = usize::try_from(AT_ONCE).unwrap();
    upstream.got(at_once).await;
    assert_eq!(
        dialer.pool_of(&grant).upstream.places.free(),
        OF_GRANT - AT_ONCE
    );
    assert_eq!(upstream.requests().len(), at_once);
    senders.iter().for_each(tokio::task::JoinHandle::abort);
    for sender in senders {
        assert!(sender.await.unwrap_err().is_cancelled());
    }
    assert_eq!(dialer.pool_of(&grant).upstream.places.free(), OF_GRANT);
}

#[tokio::test]
async fn credentials_go_where_the_grant_says() {
    let upstream = Upstream::start(|_| ok("", b"")).await;
    let secret = Secret::new(b"hunter2/+ ?".to_vec()).unwrap();
    let name = || Arc::from("s");
    for (auth, expected) in [
        (
            Auth::Bearer { secret: name() },
            "\r\nauthorization: Bearer hunter2/+ ?\r\n".to_owned(),
        ),
        (
            Auth::Basic {
                user: "me".to_owned(),
                secret: name(),
            },
            format!(
                "\r\nauthorization: Basic {}\r\n",
                STANDARD.encode("me:hunter2/+ ?")
            ),
        ),
        (
            Auth::Header {
                name: http::HeaderName::from_static("x-api-key"),
                secret: name(),
            },
            "\r\nx-api-key: hunter2/+ ?\r\n".to_owned(),
        ),
        (
            Auth::Query {
                name: "api key".to_owned(),
                secret: name(),
            },
            "GET /a?q=1&api%20key=hunter2%2F%2B%20%3F HTTP/1.1\r\n".to_owned(),
        ),
    ] {
        let grant = loopback_grant(upstream.port, Some(auth));
        let verdict = verdict(&grant, "GET", "/a?q=1");
        let dialer = Dialer::new();
        let sent = dialer
            .send_alone(&verdict, Outgoing::default(), Some(&secret), CAPS)
            .await;
        assert!(sent.is_ok());
        let request = upstream.requests().pop().unwrap();
        assert!(request.contains(&expected), "{expected:?} in {request:?}");

        // Without its credential a grant sends nothing.
        let before = upstream.requests().len();
        let error = dialer
            .send_alone(&verdict, Outgoing::default(), None, CAPS)
            .await
            .unwrap_err();
        assert_eq!(error.kind, DialErrorKind::Credential);
        assert_eq!(upstream.requests().len(), before);
    }
}

#[test]
fn an_injected_header_is_marked() {
    let secret = Secret::new(b"hunter2".to_vec()).unwrap();
    let (mut headers, mut url) = (HeaderMap::new(), "http://a.test/".parse().unwrap());
    inject(
        &mut headers,
        &mut url,
        &Auth::Bearer { secret: "s".into() },
        &secret,
    )
    .unwrap();
    assert!(headers[AUTHORIZATION].is_sensitive());
    assert!(!format!("{headers:?}").contains("hunter2"));
}

/// N63.
#[tokio::test]
async fn n63_errors_name_neither_query_nor_credential() {
    let upstream = Upstream::start(|_| raw("garbage")).await;
    let auth = Auth::Query {
        name: "key".to_owned(),
        secret: "s".into(),
    };
    let verdict = verdict(
        &loopback_grant(upstream.port, Some(auth)),
        "GET",
        "/a?q=private",
    );
    let secret = Secret::new(b"hunter2".to_vec()).unwrap();
    let error = Dialer::new()
        .send_alone(&verdict, Outgoing::default(), Some(&secret), CAPS)
        .await
        .unwrap_err();
    let text = format!("{error:?}");
    assert!(
        !text.contains("hunter2") && !text.contains("private"),
        "{text}"
    );
    assert!(error.detail.is_some());
}
