//! Whether a request left is known, also where the connection that was kept for it had ended.

use tokio::io::AsyncRead;
use tokio::net::{TcpListener, TcpStream};

use super::ways::{Authority, ca, dialer as dialer_trusting, trusting};
use super::*;
use crate::egress::testing::grant as granted;

/// Ends a kept connection, and waits until the client can have noticed.
async fn end(stream: TcpStream, is_reset: bool) {
    match is_reset {
        true => reset(stream),
        false => drop(stream),
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A connection that an upstream answered one request on.
async fn warm(listener: &TcpListener, dialer: &Dialer, grant: &Arc<HttpGrant>) -> TcpStream {
    let answer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        read(&mut stream).await;
        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(ok).await.unwrap();
        stream
    };
    let (stream, status) = tokio::join!(answer, dial(dialer, grant));
    assert_eq!(status, Ok(StatusCode::OK));
    // The client keeps it once its own task has come to the end of the response.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    stream
}

/// The head of a request.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// A payment, and what tells whether it left.
async fn pay(dialer: &Dialer, grant: &Arc<HttpGrant>) -> (Result<StatusCode, DialErrorKind>, bool) {
    let sending = Sending::default();
    let outgoing = Outgoing {
        body: Bytes::from_static(b"pay"),
        sending: sending.clone(),
        ..Outgoing::default()
    };
    let verdict = verdict(grant, "POST", "/pay");
    let sent = dialer.send_alone(&verdict, outgoing, None, CAPS).await;
    let came = sent.map(|incoming| incoming.status);
    (came.map_err(|error| error.kind), sending.has_left())
}

fn reset(stream: TcpStream) {
    let stream = stream.into_std().unwrap();
    let now = Some(Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(&stream, now).unwrap();
}

/// Closed or reset before anything of the next request was written: it goes over another connection, and
/// where there is none it has not left.
#[tokio::test]
async fn n58_a_request_that_finds_its_kept_connection_closed_has_left_only_where_another_takes_it()
{
    for is_reset in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grant = loopback_grant(listener.local_addr().unwrap().port(), None);
        let dialer = Dialer::new();
        end(warm(&listener, &dialer, &grant).await, is_reset).await;
        let once = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read(&mut stream).await;
            let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(ok).await.unwrap();
            head
        };
        let (head, paid) = tokio::join!(once, pay(&dialer, &grant));
        assert!(head.starts_with("POST /pay "), "{head}");
        assert_eq!(paid, (Ok(StatusCode::OK), true));

        end(warm(&listener, &dialer, &grant).await, is_reset).await;
        drop(listener);
        let paid = pay(&dialer, &grant).await;
        assert_eq!(paid, (Err(DialErrorKind::Unreachable), false), "{is_reset}");
    }
}

/// Closed once it was written: it left, and nobody sends it again.
#[tokio::test]
async fn n58_a_request_whose_kept_connection_ends_after_it_was_written_has_left_and_is_not_sent_again()
 {
    for is_reset in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grant = loopback_grant(listener.local_addr().unwrap().port(), None);
        let dialer = Dialer::new();
        let mut stream = warm(&listener, &dialer, &grant).await;
        let took = async {
            let head = read(&mut stream).await;
            match is_reset {
                true => reset(stream),
                false => drop(stream),
            }
            head
        };
        let (head, paid) = tokio::join!(took, pay(&dialer, &grant));
        assert!(head.starts_with("POST /pay "), "{head}");
        assert_eq!(paid, (Err(DialErrorKind::Protocol), true));
        let again = tokio::time::timeout(Duration::from_millis(100), listener.accept());
        assert!(again.await.is_err(), "it came again");
    }
}

/// Over TLS it is the bytes below that count, and a handshake is none of a request's.
#[tokio::test]
async fn a_handshake_that_fails_is_nothing_of_a_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut grant = granted("shop", &format!("https://127.0.0.1:{port}"), &["POST /**"]);
    grant.private = vec![network("127.0.0.0/8")];
    let upstream = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 No\r\n\r\n").await.unwrap();
        stream
    };
    let (dialer, grant) = (Dialer::new(), Arc::new(grant));
    let (_stream, paid) = tokio::join!(upstream, pay(&dialer, &grant));
    assert_eq!(paid, (Err(DialErrorKind::Tls), false));
}

/// A record that nobody can read, behind the request: it was asked, whichever layer failed.
#[tokio::test]
async fn n58_a_secure_connection_that_breaks_behind_the_request_has_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let authority = Authority::new();
    let (dialer, _) = dialer_trusting(&ca(), trusting(&authority));
    let mut grant = granted("shop", &format!("https://shop.test:{port}"), &["POST /**"]);
    grant.private = vec![network("127.0.0.0/8")];
    grant.way.tls = ca();
    let tls = authority.speaking("shop.test", &[b"http/1.1"]);
    let upstream = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = tls.accept(stream).await.unwrap();
        let head = read(&mut stream).await;
        let bad = [&b"\x17\x03\x03\x00\x20"[..], &[7; 32]].concat();
        stream.get_mut().0.write_all(&bad).await.unwrap();
        (head, stream)
    };
    let grant = Arc::new(grant);
    let ((head, _stream), paid) = tokio::join!(upstream, pay(&dialer, &grant));
    assert!(head.starts_with("POST /pay "), "{head}");
    assert_eq!(paid, (Err(DialErrorKind::Protocol), true));
}

/// What was given up before a connection took it up never leaves, however late one would.
#[tokio::test]
async fn what_stands_as_never_sent_ends_the_connection_that_would_take_it() {
    let mut upstream = Upstream::start(|_| ok("", b"")).await;
    let (dialer, grant) = (Dialer::new(), loopback_grant(upstream.port, None));
    let sending = Sending::default();
    assert!(!sending.has_left());
    let outgoing = Outgoing {
        sending: sending.clone(),
        ..Outgoing::default()
    };
    let verdict = verdict(&grant, "GET", "/late");
    let sent = dialer.send_alone(&verdict, outgoing, None, CAPS).await;
    assert_eq!(sent.unwrap_err().kind, DialErrorKind::Unreachable);
    assert!(!sending.has_left());
    assert_eq!(dial(&dialer, &grant).await, Ok(StatusCode::OK));
    upstream.got(1).await;
    let requests = upstream.requests();
    assert!(!requests[0].starts_with("GET /late"), "{requests:?}");
}
