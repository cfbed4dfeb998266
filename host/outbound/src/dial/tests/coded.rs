//! Encoded bodies: undone, counted on both sides, and stopped.

use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use tokio::io::AsyncReadExt as _;

use super::*;

const ROOMY: Caps = Caps {
    response_body: 64 << 20,
    ..CAPS
};

async fn encoded(coding: &str, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let done = match coding {
        "gzip" => GzipEncoder::new(text).read_to_end(&mut out).await,
        "deflate" => ZlibEncoder::new(text).read_to_end(&mut out).await,
        "br" => BrotliEncoder::new(text).read_to_end(&mut out).await,
        "zstd" => ZstdEncoder::new(text).read_to_end(&mut out).await,
        other => panic!("{other}"),
    };
    done.unwrap();
    out
}

/// What a guest gets of this body, and how much came out of it.
async fn received(coding: &str, body: Vec<u8>, caps: Caps) -> (u64, Option<DialErrorKind>) {
    let headers = format!("content-encoding: {coding}\r\n");
    let upstream = Upstream::start(move |_| ok(&headers, &body)).await;
    let verdict = verdict(&loopback_grant(upstream.port, None), "GET", "/");
    let dialer = Dialer::new();
    let sent = dialer.send_alone(&verdict, Outgoing::default(), None, caps);
    let mut body = match sent.await {
        Ok(incoming) => incoming.body,
        Err(error) => return (0, Some(error.kind)),
    };
    loop {
        match body.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return (body.received(), None),
            Err(error) => return (body.received(), Some(error.kind)),
        }
    }
}

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

#[tokio::test]
async fn every_offered_encoding_is_undone() {
    // Numbers are not worth a bomb: some three to one.
    let text: String = (0..100_000).map(|n| format!("{n} ")).collect();
    let size = u64::try_from(text.len()).unwrap();
    for coding in CODINGS {
        let body = encoded(coding, text.as_bytes()).await;
        assert_eq!(
            received(coding, body, ROOMY).await,
            (size, None),
            "{coding}"
        );
        // Nothing, encoded or not, is nothing.
        assert_eq!(
            received(coding, Vec::new(), ROOMY).await,
            (0, None),
            "{coding}"
        );
        let broken = received(coding, b"no such thing".to_vec(), ROOMY).await;
        assert_eq!(broken.1, Some(DialErrorKind::Protocol), "{coding}");
    }
}

#[tokio::test]
async fn n45_what_unpacks_to_a_hundred_times_its_size_is_stopped() {
    const ZEROS: usize = 32 << 20;
    for coding in CODINGS {
        let body = encoded(coding, &vec![0; ZEROS]).await;
        let most = u64::try_from(body.len()).unwrap() * 100 + (1 << 20);
        let (came, error) = received(coding, body, ROOMY).await;
        assert_eq!(error, Some(DialErrorKind::TooLarge), "{coding}");
        assert!(came <= most, "{coding}: {came} of at most {most}");
    }
    // What is small may be of one letter.
    let small = encoded("gzip", &vec![0; 60 << 10]).await;
    assert_eq!(received("gzip", small, ROOMY).await, (60 << 10, None));
}

#[tokio::test]
async fn n45_an_encoding_within_another_or_unasked_for_is_refused() {
    let once = encoded("gzip", b"hello").await;
    let twice = encoded("gzip", &once).await;
    for coding in ["gzip, gzip", "br, gzip", "compress", "aws-chunked,xz"] {
        let found = received(coding, twice.clone(), ROOMY).await;
        assert_eq!(found, (0, Some(DialErrorKind::Protocol)), "{coding}");
    }
    // Said once, it is undone once.
    let size = u64::try_from(once.len()).unwrap();
    for coding in ["gzip", "aws-chunked,gzip"] {
        let found = received(coding, twice.clone(), ROOMY).await;
        assert_eq!(found, (size, None), "{coding}");
    }
}

/// What names no encoding says nothing of the body, and stays for whoever wants to read it.
#[tokio::test]
async fn a_content_encoding_that_names_none_is_passed_as_it_is() {
    for value in [
        "utf-8",
        "none",
        "aws-chunked",
        "identity",
        "UTF-8, none",
        "text/plain; x=gzip",
    ] {
        let headers = format!("content-encoding: {value}\r\n");
        let upstream = Upstream::start(move |_| ok(&headers, b"plain")).await;
        let grant = loopback_grant(upstream.port, None);
        let (_, headers, body) = get(&grant, ROOMY).await.unwrap();
        assert_eq!(body, "plain", "{value}");
        assert_eq!(headers["content-encoding"], value);
        assert_eq!(headers["content-length"], "5");
    }
}

/// A frame of zstd may ask for a window of gigabytes; HTTP allows 8 MiB (RFC 9659).
#[tokio::test]
async fn n45_a_window_is_not_larger_than_http_allows() {
    // Magic number, no flags, the window (10 + exponent), one raw block that is the last, of "x".
    let frame = |exponent: u8| {
        let head = [0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3];
        [&head[..], &[0x09, 0x00, 0x00], b"x"].concat()
    };
    assert_eq!(received("zstd", frame(13), ROOMY).await, (1, None));
    let found = received("zstd", frame(14), ROOMY).await;
    assert_eq!(found, (0, Some(DialErrorKind::Protocol)));
}

/// N46: bytes that never become any are counted as they come.
#[tokio::test]
async fn n46_an_encoding_that_never_says_anything_is_stopped() {
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let empty = [0, 0, 0, 0xff, 0xff].repeat(40_000);
    let (came, error) = received("gzip", [&head[..], &empty].concat(), CAPS).await;
    assert_eq!((came, error), (0, Some(DialErrorKind::TooLarge)));
}

/// A piece of an encoded body could not be decoded.
#[tokio::test]
async fn a_range_is_asked_for_as_it_is() {
    let upstream = Upstream::start(|_| ok("", b"hello")).await;
    let verdict = verdict(&loopback_grant(upstream.port, None), "GET", "/");
    let outgoing = Outgoing {
        headers: HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-4"))]),
        ..Outgoing::default()
    };
    let dialer = Dialer::new();
    dialer
        .send_alone(&verdict, outgoing, None, CAPS)
        .await
        .unwrap();
    let request = upstream.requests().pop().unwrap();
    assert!(
        request.contains("accept-encoding: identity\r\n"),
        "{request}"
    );
}
