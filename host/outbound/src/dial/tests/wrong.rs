//! Responses that are none: each cause has its own sentence, which says what to look at.

use super::*;

/// What a guest hears of this answer.
async fn said(reply: impl Fn() -> Reply + Send + Sync + 'static) -> String {
    let upstream = Upstream::start(move |_| reply()).await;
    let grant = loopback_grant(upstream.port, None);
    let error = get(&grant, CAPS).await.unwrap_err();
    assert_eq!(error.kind, DialErrorKind::Protocol, "{error}");
    let target = format!("http://127.0.0.1:{} ", upstream.port);
    error.say.strip_prefix(&target).unwrap().to_owned()
}

#[tokio::test]
async fn each_cause_of_a_broken_answer_has_its_own_sentence() {
    let many = "x-a: 1\r\n".repeat(MAX_HEADERS + 1);
    let head = format!("HTTP/1.1 200 OK\r\n{many}\r\n");
    let said = [
        said(|| raw("garbage\r\n\r\n")).await,
        said(|| raw("")).await,
        said(|| raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")).await,
        said(|| raw("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")).await,
        said(move || raw(&head)).await,
        said(|| ok("content-encoding: compress\r\n", b"x")).await,
        said(|| ok("content-encoding: gzip, br\r\n", b"x")).await,
        said(|| ok("content-encoding: gzip\r\n", b"no gzip")).await,
    ];
    let expected = [
        "not proper HTTP",
        "without an answer",
        "broke its response off",
        "another protocol",
        "headers",
        "as compress",
        "more than once",
        "encoded as gzip, and it is not",
    ];
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{said}");
    }
    // In chunks, too.
    let broken = self::said(|| raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"));
    assert!(broken.await.contains("broke its response off"));
    let broken = self::said(|| raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"));
    assert!(broken.await.contains("not proper HTTP"));
}
