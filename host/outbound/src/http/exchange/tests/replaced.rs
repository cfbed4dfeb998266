//! Credentials that are replaced while calls run: what a call brings back is searched for all that was
//! sent, whenever it was, and whichever setup sent it.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::shares::Account;

/// An upstream that shows in each answer every credential that it was sent so far.
async fn telling() -> Upstream {
    let seen: Mutex<Vec<String>> = Mutex::default();
    Upstream::start(move |request| {
        let sent = request.lines().find_map(|line| {
            let value = line.strip_prefix("authorization: Bearer ");
            value.map(str::to_owned)
        });
        let mut seen = seen.lock().unwrap();
        seen.extend(sent);
        ok("", seen.join(" ").as_bytes())
    })
    .await
}

fn knowing(secrets: &Arc<Secrets>, upstream: &Upstream, auth: Option<Auth>) -> Call {
    let grants = vec![loopback_grant(upstream.port, auth)];
    Call::knowing(Arc::clone(secrets), grants, Limits::DEFAULT, Dialer::new())
}

async fn body(call: &Call, upstream: &Upstream) -> Bytes {
    let response = exchange(&call.context, get(upstream, "/")).await.unwrap();
    response.body.collect().await.unwrap()
}

#[tokio::test]
async fn n88_what_a_call_has_sent_is_sought_until_its_end_however_often_it_was_replaced() {
    let upstream = telling().await;
    let source = Scripted::new(Duration::ZERO);
    let secrets = Arc::new(source.secrets().await);
    let call = knowing(&secrets, &upstream, bearer());
    assert_eq!(body(&call, &upstream).await, "[redacted]");
    for count in 0..300 {
        source.say(Some(&format!("the-value-number-{count:04}")));
        secrets.current("key").await.unwrap();
    }
    assert_eq!(body(&call, &upstream).await, "[redacted] [redacted]");
}

#[tokio::test]
async fn n89_a_credential_that_is_sent_while_a_body_flows_is_taken_out_of_it() {
    let upstream = Upstream::start(|_| ok("", b"<the-former-value> <the-second-value>")).await;
    let source = Scripted::new(Duration::ZERO);
    let secrets = Arc::new(source.secrets().await);
    let call = knowing(&secrets, &upstream, bearer());
    let response = exchange(&call.context, get(&upstream, "/")).await.unwrap();
    source.say(Some("the-second-value"));
    secrets.current("key").await.unwrap();
    let body = response.body.collect().await.unwrap();
    assert_eq!(body, "<[redacted]> <[redacted]>");
}

#[tokio::test]
async fn n90_a_call_from_before_a_reload_seeks_what_calls_after_it_send_and_they_what_it_sent() {
    let upstream = telling().await;
    let source = Scripted::new(Duration::from_secs(600));
    let old = Arc::new(source.secrets().await);
    let before = knowing(&old, &upstream, bearer());
    assert_eq!(body(&before, &upstream).await, "[redacted]");
    source.say(Some("the-second-value"));
    let renamed = source.named("other", Arc::clone(old.history())).await;
    let auth = Auth::Bearer {
        secret: "other".into(),
    };
    let after = knowing(&Arc::new(renamed), &upstream, Some(auth));
    assert_eq!(body(&after, &upstream).await, "[redacted] [redacted]");
    let both = "[redacted] [redacted] [redacted]";
    assert_eq!(body(&before, &upstream).await, both);
    // The grant has no credential any more.
    let (none, _) = Secrets::load(Vec::new(), Arc::clone(old.history())).await;
    let without = knowing(&Arc::new(none), &upstream, None);
    assert_eq!(body(&without, &upstream).await, both);
    // What else leaves a call is searched for the same: log, progress, answers and records.
    let patterns = before.context.outbound().patterns();
    assert_eq!(patterns.scrub_text("the-second-value"), "[redacted]");
}

#[tokio::test]
async fn what_is_held_back_of_a_response_is_on_the_calls_account() {
    let upstream = telling().await;
    let secrets = Arc::new(secrets(&[("key", SECRET)]));
    let call = knowing(&secrets, &upstream, bearer());
    let sent = async || exchange(&call.context, get(&upstream, "/")).await.unwrap();
    let room = u64::try_from(crate::secret::Scrubber::ROOM).unwrap();
    let account = Account::new(room + 1);
    let mut first = sent().await.body.counted(&account);
    assert_eq!(first.next().await.unwrap().unwrap(), "[redacted]");
    assert_eq!(account.held(), room);
    let refused = sent().await.body.counted(&account).next().await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::LargeResponse);
    drop(first);
    assert!(sent().await.body.counted(&account).next().await.is_ok());
    assert_eq!(account.held(), 0);
    // Of what nothing is held back, nothing is held.
    let plain = knowing(&Arc::new(Secrets::default()), &upstream, None);
    let response = exchange(&plain.context, get(&upstream, "/")).await.unwrap();
    let mut body = response.body.counted(&account);
    assert!(body.next().await.unwrap().is_some());
    assert_eq!(account.held(), 0);
}

/// Neither what the scrubber keeps back nor what a decoder does is silence.
#[tokio::test]
async fn silence_within_a_body_is_measured_where_bytes_arrive() {
    use async_compression::tokio::bufread::GzipEncoder;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut body = Vec::new();
    let text = &b"short, and slow"[..];
    GzipEncoder::new(text).read_to_end(&mut body).await.unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len() + 1
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        for piece in body.chunks(body.len().div_ceil(12)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.write_all(piece).await.unwrap();
        }
        // The last byte never comes.
        let _ = stream.read_u8().await;
    });
    let call = Call::new(vec![loopback_grant(port, bearer())], Limits::DEFAULT);
    let request = OutboundRequest {
        silence: Some(Duration::from_secs(1)),
        ..request("GET", format!("http://127.0.0.1:{port}/"))
    };
    let begun = Instant::now();
    let mut response = exchange(&call.context, request).await.unwrap();
    let error = response.body.next().await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    // It came in slower than that, and one second after its last byte it was given up.
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(2_000), "{took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    drop(response);
    server.await.unwrap();
}
