//! Upstreams that send without an end what is no body, and connections that nobody waits for any more.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::Full as Whole;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::ways::{Authority, ca, dialer as dialer_trusting, shop, trusting};
use super::*;

/// What one flood may bring: what the host reads, and what lies in the buffers between.
const MOST: usize = 24 << 20;

/// Sends these bytes again and again, and says how many went until the other side closed.
async fn flood(mut stream: impl AsyncWrite + Unpin, bytes: &[u8]) -> usize {
    let mut sent = 0;
    while stream.write_all(bytes).await.is_ok() {
        sent += bytes.len();
        assert!(sent < 1 << 30, "nobody ends it");
    }
    sent
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn n75_interim_responses_without_an_end_end_the_connection() {
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        format!(
            "HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n",
            "x".repeat(3000)
        ),
    ] {
        let (listener, port) = listener().await;
        let flooding = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            flood(stream, interim.repeat(1000).as_bytes()).await
        });
        let asked = dial(&Dialer::new(), &loopback_grant(port, None)).await;
        assert_eq!(asked, Err(DialErrorKind::Protocol));
        let sent = flooding.await.unwrap();
        assert!(sent < MOST, "{sent} bytes");
    }
}

/// A few are no flood.
#[tokio::test]
async fn interim_responses_before_a_response_are_passed_over() {
    let upstream = Upstream::start(|_| {
        let mut reply = ok("", b"hello");
        let interim = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(20);
        reply.bytes = [interim, reply.bytes].concat();
        reply
    })
    .await;
    let grant = loopback_grant(upstream.port, None);
    let (status, _, body) = get(&grant, CAPS).await.unwrap();
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"hello"[..]));
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads the preface and frames until the head of a request came, and gives its stream.
async fn head(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> u32 {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header).await.unwrap();
        let [a, b, c, kind, _, w, x, y, z] = header;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        if kind == 1 {
            return u32::from_be_bytes([w, x, y, z]);
        }
    }
}

#[tokio::test]
async fn n76_frames_that_carry_no_body_end_the_connection() {
    let authority = Authority::new();
    // By HPACK: `:status 103` by a literal that goes into the table, then by its index there; `:status 200`.
    type Frames = (&'static str, fn(u32) -> Vec<u8>, fn(u32) -> Vec<u8>);
    let floods: [Frames; 9] = [
        (
            "early hints",
            |at| frame(1, 4, at, b"\x48\x03103"),
            |at| frame(1, 4, at, b"\xbe"),
        ),
        ("window", |_| Vec::new(), |_| frame(8, 0, 0, &[0, 0, 0, 1])),
        ("priority", |_| Vec::new(), |at| frame(2, 0, at, &[0; 5])),
        ("unknown", |_| Vec::new(), |_| frame(0x55, 0, 0, &[7; 8])),
        (
            "goaway",
            |_| Vec::new(),
            |_| frame(7, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        ),
        ("ping", |_| Vec::new(), |_| frame(6, 0, 0, b"12345678")),
        (
            "settings",
            |_| Vec::new(),
            |_| frame(4, 0, 0, &[0, 3, 0, 0, 16, 0]),
        ),
        (
            "no data",
            |at| frame(1, 4, at, b"\x88"),
            |at| frame(0, 0, at, b""),
        ),
        (
            "padding",
            |at| frame(1, 4, at, b"\x88"),
            |at| frame(0, 8, at, &[&[200][..], &[0; 200]].concat()),
        ),
    ];
    for (name, first, then) in floods {
        let (listener, port) = listener().await;
        let tls = authority.speaking("shop.test", &[b"h2"]);
        let flooding = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = tls.accept(stream).await.unwrap();
            let at = head(&mut stream).await;
            if stream.write_all(&first(at)).await.is_err() {
                return 0;
            }
            let (reading, writing) = tokio::io::split(stream);
            // What the host answers is read, so that it is not this that ends it.
            let reads = tokio::spawn(async move {
                let mut reading = reading;
                let _ = tokio::io::copy(&mut reading, &mut tokio::io::sink()).await;
            });
            let sent = flood(writing, &then(at).repeat(2000)).await;
            reads.abort();
            sent
        });
        let (dialer, _) = dialer_trusting(&ca(), trusting(&authority));
        let asked = verdict(&shop(port, ca()), "GET", "/");
        let sent = dialer
            .send_alone(&asked, Outgoing::default(), None, CAPS)
            .await;
        let ended = match sent {
            Ok(incoming) => incoming.body.collect().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(ended.is_err(), "{name}");
        let sent = flooding.await.unwrap();
        assert!(sent < MOST, "{name}: {sent} bytes");
    }
}

/// More than the window of a response.
const LARGE: usize = 3 << 20;

/// A server over HTTP/2: `/hold` is never answered, `/later` when it is let go, all else at once,
/// `/large` with more than any window admits.
struct Served {
    port: u16,
    later: Arc<Notify>,
    /// How many connections there were, and how many of them are open.
    connections: watch::Receiver<(usize, usize)>,
    holding: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn served(authority: &Authority) -> Served {
    let (listener, port) = listener().await;
    let tls = authority.speaking("shop.test", &[b"h2"]);
    let (count, connections) = watch::channel((0, 0));
    let (later, holding) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (wait, held) = (Arc::clone(&later), Arc::clone(&holding));
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, wait, held) = (tls.clone(), Arc::clone(&wait), Arc::clone(&held));
            let count = count.clone();
            tokio::spawn(async move {
                let stream = TokioIo::new(tls.accept(stream).await.unwrap());
                count.send_modify(|(all, open)| (*all, *open) = (*all + 1, *open + 1));
                let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
                    let (wait, held) = (Arc::clone(&wait), Arc::clone(&held));
                    async move {
                        held.fetch_add(1, Ordering::Relaxed);
                        match request.uri().path() {
                            "/hold" => std::future::pending().await,
                            "/later" => wait.notified().await,
                            _ => {}
                        }
                        let body = match request.uri().path() {
                            "/large" => Bytes::from(vec![b'x'; LARGE]),
                            _ => Bytes::from_static(b"hello"),
                        };
                        Ok::<_, hyper::Error>(http::Response::new(Whole::new(body)))
                    }
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(stream, service).await;
                count.send_modify(|(_, open)| *open -= 1);
            });
        }
    });
    Served {
        port,
        later,
        connections,
        holding,
        task,
    }
}

impl Served {
    async fn came(&self, count: usize) {
        while self.holding.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
    }

    async fn open(&self, wanted: usize) {
        let mut connections = self.connections.clone();
        let found = connections.wait_for(|(_, open)| *open == wanted);
        let found = tokio::time::timeout(Duration::from_secs(10), found).await;
        drop(found.expect("it is closed").unwrap());
    }
}

/// Giving one response up closes a connection that nobody else uses, and breaks no other response.
#[tokio::test]
async fn n77_a_connection_ends_with_the_last_call_that_waits_on_it() {
    let authority = Authority::new();
    let served = served(&authority).await;
    let (dialer, _) = dialer_trusting(&ca(), trusting(&authority));
    let (dialer, grant) = (Arc::new(dialer), shop(served.port, ca()));
    let ask = |path: &'static str| {
        let (dialer, verdict) = (Arc::clone(&dialer), verdict(&grant, "GET", path));
        tokio::spawn(async move {
            let sent = dialer
                .send_alone(&verdict, Outgoing::default(), None, CAPS)
                .await;
            sent.unwrap().body.collect().await.unwrap()
        })
    };
    assert_eq!(ask("/now").await.unwrap(), "hello");
    let later = ask("/later");
    served.came(2).await;
    let held = ask("/hold");
    served.came(3).await;
    assert_eq!(*served.connections.borrow(), (1, 1));
    held.abort();
    assert!(held.await.unwrap_err().is_cancelled());
    // It takes no new request, and goes on with the old one.
    assert_eq!(ask("/now").await.unwrap(), "hello");
    assert_eq!(*served.connections.borrow(), (2, 2));
    served.later.notify_one();
    assert_eq!(later.await.unwrap(), "hello");
    served.open(1).await;
    // What was read to its end leaves its connection to the next.
    assert_eq!(ask("/now").await.unwrap(), "hello");
    assert_eq!(*served.connections.borrow(), (2, 1));
}

/// What is not read, and what is given up unread, is not the debt of others on the same connection.
#[tokio::test]
async fn n92_responses_that_nobody_reads_neither_hold_up_nor_break_others() {
    let authority = Authority::new();
    let served = served(&authority).await;
    let (dialer, _) = dialer_trusting(&ca(), trusting(&authority));
    let grant = shop(served.port, ca());
    let caps = Caps {
        response_body: 2 * u64::try_from(LARGE).unwrap(),
        ..CAPS
    };
    let ask = async |path| {
        let asked = verdict(&grant, "GET", path);
        let sent = dialer
            .send_alone(&asked, Outgoing::default(), None, caps)
            .await;
        sent.unwrap().body
    };
    let kept = ask("/large").await;
    let mut unread = Vec::new();
    for _ in 0..12 {
        unread.push(ask("/large").await);
        assert_eq!(ask("/now").await.collect().await.unwrap(), "hello");
    }
    drop(unread);
    assert_eq!(kept.collect().await.unwrap().len(), LARGE);
    assert_eq!(served.connections.borrow().0, 1);
}

#[tokio::test]
async fn n92_each_caller_has_connections_of_its_own() {
    let authority = Authority::new();
    let served = served(&authority).await;
    let (dialer, _) = dialer_trusting(&ca(), trusting(&authority));
    let asked = verdict(&shop(served.port, ca()), "GET", "/now");
    for (caller, expected) in [("a", 1), ("b", 2), ("a", 2)] {
        let outgoing = Outgoing {
            from: Sender::new(caller.into()),
            ..Outgoing::default()
        };
        let sent = dialer
            .send_alone(&asked, outgoing, None, CAPS)
            .await
            .unwrap();
        assert_eq!(sent.body.collect().await.unwrap(), "hello");
        assert_eq!(served.connections.borrow().0, expected);
    }
}

#[tokio::test]
async fn n77_a_connection_over_http_1_ends_with_its_call() {
    for reply in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\n\r\nhalf",
    ] {
        let mut upstream = Upstream::start(move |_| Reply {
            then: Then::Keep,
            ..raw(reply)
        })
        .await;
        let dialer = Dialer::new();
        let verdict = verdict(&loopback_grant(upstream.port, None), "GET", "/");
        let sending = dialer.send_alone(&verdict, Outgoing::default(), None, CAPS);
        let mut sending = Box::pin(sending);
        tokio::select! {
            incoming = &mut sending => drop(incoming.unwrap()),
            () = upstream.got(1) => {}
        }
        drop(sending);
        let gone = tokio::time::timeout(Duration::from_secs(10), upstream.gone()).await;
        assert_eq!(gone.expect("it is closed"), 1, "{reply}");
    }
}
