//! Whole exchanges over loopback: what the guest gets, what the ledger gets, what goes out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod given_up;
mod lengths;
mod redirects;
mod replaced;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use futures_util::StreamExt as _;
use serde_json::Value;

use super::*;
use crate::attempts::{AttemptLog, Noted};
use crate::egress::testing::{grant, loopback_grant, network};
use crate::http::ErrorCode;
use crate::http::ahead::{ahead, room};
use crate::http::testing::secrets;
use crate::secret::testing::Scripted;
use crate::testing::{Answers, Reply, Then, Upstream, chunked, ok, raw};

const SECRET: &str = "hunter2/+hunter2";

/// One call, and what is recorded of it.
struct Call {
    context: HttpContext,
    noted: Arc<Noted>,
}

impl Call {
    fn new(grants: Vec<Arc<HttpGrant>>, limits: Limits) -> Self {
        Self::with(grants, limits, Dialer::new())
    }

    fn with(grants: Vec<Arc<HttpGrant>>, limits: Limits, dialer: Dialer) -> Self {
        let secrets = secrets(&[("key", SECRET), ("other", "another-secret")]);
        Self::knowing(Arc::new(secrets), grants, limits, dialer)
    }

    fn knowing(
        secrets: Arc<Secrets>,
        grants: Vec<Arc<HttpGrant>>,
        limits: Limits,
        dialer: Dialer,
    ) -> Self {
        let outbound = Outbound::new("shop.ask", grants, secrets, Arc::new(dialer)).unwrap();
        let noted = Arc::new(Noted::default());
        let attempts = AttemptLog::new(noted.clone(), None);
        let deadline = Instant::now() + Duration::from_secs(20);
        let arguments = Arguments::new(r#"{"to": "a@b.test"}"#.into());
        Self {
            context: HttpContext::new(
                Arc::new(outbound),
                limits,
                deadline,
                arguments,
                "caller".into(),
                attempts,
            ),
            noted,
        }
    }

    async fn send(
        &self,
        request: OutboundRequest,
    ) -> Result<(OutboundResponse, Vec<Value>), HttpError> {
        let response = exchange(&self.context, request).await?;
        Ok((response, self.written()))
    }

    /// The attempts that are over.
    fn written(&self) -> Vec<Value> {
        self.noted.ended()
    }

    /// The only attempt so far, as the ledger keeps it, without what differs from run to run.
    fn record(&self) -> Value {
        let written = self.written();
        let [attempt] = written.as_slice() else {
            panic!("{written:?}")
        };
        let mut record = attempt.clone();
        let fields = record.as_object_mut().unwrap();
        assert!(fields.remove("ms").unwrap().as_u64().unwrap() < 20_000);
        fields.remove("port");
        record
    }
}

fn request(method: &str, url: String) -> OutboundRequest {
    OutboundRequest {
        method: method.to_owned(),
        target: RequestTarget::Url(url),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: None,
        silence: None,
    }
}

fn get(upstream: &Upstream, path: &str) -> OutboundRequest {
    request("GET", format!("http://127.0.0.1:{}{path}", upstream.port))
}

fn bearer() -> Option<Auth> {
    Some(Auth::Bearer {
        secret: "key".into(),
    })
}

#[tokio::test]
async fn an_answered_request_is_recorded_when_its_body_ends() {
    let upstream = Upstream::start(|_| ok("content-type: text/plain\r\n", b"hello")).await;
    let call = Call::new(vec![loopback_grant(upstream.port, None)], Limits::DEFAULT);
    let mut request = request(
        "POST",
        format!("http://127.0.0.1:{}/a/b?token=x", upstream.port),
    );
    request.body = Bytes::from_static(b"body");
    let (mut response, before) = call.send(request).await.unwrap();
    assert!(before.is_empty(), "{before:?}");
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.headers["content-length"], "5");
    assert_eq!(response.body.next().await.unwrap().unwrap(), "hello");
    assert_eq!(response.body.next().await, Ok(None));
    assert_eq!(response.body.next().await, Ok(None));
    drop(response);
    assert_eq!(
        call.record(),
        serde_json::json!({
            "method": "POST", "scheme": "http", "host": "127.0.0.1", "path": "/a/b",
            "status": 200, "peer": "127.0.0.1", "left": true, "sent": 4, "received": 5,
            "verdict": {"is": "allowed", "grant": "shop", "line": 12, "rule": "POST /**"},
        })
    );
    assert_eq!(call.written()[0]["port"], upstream.port);
}

#[tokio::test]
async fn a_body_that_is_not_read_is_recorded_as_such() {
    let upstream = Upstream::start(|_| chunked("", &[b"hello", b"world"])).await;
    let call = Call::new(vec![loopback_grant(upstream.port, None)], Limits::DEFAULT);
    let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
    drop(response.body);
    let record = call.record();
    assert_eq!(
        (&record["status"], &record["received"]),
        (&200.into(), &0.into())
    );
    assert_eq!(record["verdict"]["is"], "allowed");
}

#[tokio::test]
async fn a_refused_request_is_recorded_and_not_sent() {
    let upstream = Upstream::start(|_| ok("", b"hello")).await;
    let here = format!("http://127.0.0.1:{}", upstream.port);
    let large = usize::try_from(Limits::DEFAULT.request_body).unwrap() + 1;
    let refused = |method: &str, path: &str, headers: &[(&str, &str)], body: usize| {
        let mut request = request(method, format!("{here}{path}"));
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        request.headers = headers.iter().map(pair).collect();
        request.body = vec![0; body].into();
        request
    };
    for (request, code, kind, nearest) in [
        (
            refused("PUT", "/a", &[], 0),
            ErrorCode::Denied,
            RefusalKind::Denied,
            Some("shop"),
        ),
        (
            refused("GET", "/a/../b", &[], 0),
            ErrorCode::Invalid,
            RefusalKind::Invalid,
            None,
        ),
        (
            refused("GET", "/?_method=PUT", &[], 0),
            ErrorCode::Invalid,
            RefusalKind::Invalid,
            Some("shop"),
        ),
        (
            refused("GET", "/", &[("host", "evil")], 0),
            ErrorCode::Invalid,
            RefusalKind::Invalid,
            Some("shop"),
        ),
        (
            refused("GET", "/", &[("authorization", "x")], 0),
            ErrorCode::Invalid,
            RefusalKind::Invalid,
            Some("shop"),
        ),
        (
            refused("POST", "/", &[], large),
            ErrorCode::LargeBody,
            RefusalKind::LargeBody,
            Some("shop"),
        ),
    ] {
        let call = Call::new(
            vec![loopback_grant(upstream.port, bearer())],
            Limits::DEFAULT,
        );
        let error = exchange(&call.context, request).await.unwrap_err();
        assert_eq!(error.code, code, "{}", error.say);
        let written = call.written();
        let [attempt] = written.as_slice() else {
            panic!("{written:?}")
        };
        let verdict = &attempt["verdict"];
        assert_eq!(
            (&verdict["is"], &verdict["why"]),
            (&"refused".into(), &error.say.into())
        );
        assert_eq!(verdict["kind"], kind.as_str());
        assert_eq!(verdict["nearest"].as_str(), nearest);
        assert_eq!(
            (&attempt["sent"], &attempt["left"]),
            (&0.into(), &false.into())
        );
    }
    assert_eq!(upstream.requests(), [] as [String; 0]);
}

/// A name that points inside is refused like any other request, though the dialer finds out.
#[tokio::test]
async fn an_address_that_is_denied_is_a_refusal() {
    let grants = vec![Arc::new(grant("api", "http://api.test", &["GET /**"]))];
    let dialer = Dialer::with_resolver(Answers::new(&[&["127.0.0.1"]]));
    let call = Call::with(grants, Limits::DEFAULT, dialer);
    let mut request = request("GET", "http://api.test/".to_owned());
    request.body = Bytes::from_static(b"body");
    let error = exchange(&call.context, request).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied);
    assert!(error.say.contains("(loopback)"), "{}", error.say);
    let record = call.record();
    assert_eq!(record["sent"], 0);
    assert_eq!(record["verdict"]["is"], "refused");
    assert_eq!(record["verdict"]["nearest"], "api");
}

#[tokio::test]
async fn a_failure_is_recorded_with_its_rule() {
    let upstream = Upstream::start(|_| raw("garbage")).await;
    let call = Call::new(vec![loopback_grant(upstream.port, None)], Limits::DEFAULT);
    let error = exchange(&call.context, get(&upstream, "/"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Protocol);
    let verdict = &call.record()["verdict"];
    assert_eq!(
        (&verdict["is"], &verdict["line"], &verdict["error"]),
        (&"failed".into(), &11.into(), &"protocol".into())
    );
    assert_eq!(call.written()[0]["left"], true);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure_and_the_end_of_the_stream() {
    let upstream =
        Upstream::start(|_| raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")).await;
    let call = Call::new(vec![loopback_grant(upstream.port, None)], Limits::DEFAULT);
    let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
    let items: Vec<_> = ahead(response.body, room()).collect().await;
    assert_eq!(items.len(), 2, "{items:?}");
    assert_eq!(items[0].as_deref(), Ok(&b"half"[..]));
    assert_eq!(items[1].as_ref().unwrap_err().code, ErrorCode::Protocol);
    let record = call.record();
    assert_eq!(
        (&record["status"], &record["received"]),
        (&200.into(), &4.into())
    );
    assert_eq!(record["verdict"]["error"], "protocol");
}

/// A grant has 32 places.
#[tokio::test]
async fn n54_short_responses_give_their_places_back_before_anybody_reads_them() {
    let upstream = Upstream::start(|_| chunked("", &[b"hello", b"world"])).await;
    let limits = Limits {
        requests: 100,
        ..Limits::DEFAULT
    };
    let call = Call::new(vec![loopback_grant(upstream.port, None)], limits);
    let room = room();
    let mut unread = Vec::new();
    for _ in 0..100 {
        let asked = exchange(&call.context, get(&upstream, "/"));
        let asked = tokio::time::timeout(Duration::from_secs(30), asked).await;
        let response = asked.expect("it waits for its own call").unwrap();
        unread.push(Box::pin(ahead(response.body, Arc::clone(&room))));
    }
    for body in unread {
        let pieces: Vec<_> = body.map(Result::unwrap).collect().await;
        assert_eq!(pieces.concat(), b"helloworld");
    }
}

#[tokio::test]
async fn what_is_read_ahead_is_bounded_and_given_back() {
    let piece: &[u8] = &[b'x'; 64 << 10];
    let upstream = Upstream::start(move |_| chunked("", &[piece; 48])).await;
    let call = Call::new(vec![loopback_grant(upstream.port, None)], Limits::DEFAULT);
    let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
    let room = room();
    let whole = room.available_permits();
    let body = ahead(response.body, Arc::clone(&room));
    while room.available_permits() >= 64 << 10 {
        tokio::task::yield_now().await;
    }
    drop(body);
    while room.available_permits() < whole || call.written().is_empty() {
        tokio::task::yield_now().await;
    }
    let received = call.record()["received"].as_u64().unwrap();
    let whole = u64::try_from(whole).unwrap();
    assert!(
        (whole / 2..whole + (256 << 10)).contains(&received),
        "{received} of 3 MiB were read"
    );
}

#[tokio::test]
async fn a_response_over_its_limit_is_too_large() {
    let upstream = Upstream::start(|_| chunked("", &[b"hello", b"world"])).await;
    let limits = Limits {
        response_body: 9,
        ..Limits::DEFAULT
    };
    let call = Call::new(vec![loopback_grant(upstream.port, None)], limits);
    let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
    assert_eq!(
        response.body.collect().await.unwrap_err().code,
        ErrorCode::LargeResponse
    );
    assert_eq!(call.record()["verdict"]["error"], "too-large");
}

#[tokio::test]
async fn a_call_that_goes_away_is_recorded() {
    let mut upstream = Upstream::start(|_| Reply {
        bytes: Vec::new(),
        then: Then::Silence,
    })
    .await;
    let call = Call::new(vec![loopback_grant(upstream.port, None)], Limits::DEFAULT);
    let request = get(&upstream, "/slow");
    tokio::select! {
        _ = exchange(&call.context, request) => panic!("there is no answer"),
        () = upstream.got(1) => {}
    }
    let record = call.record();
    assert_eq!(
        (&record["path"], &record["verdict"]["is"]),
        (&"/slow".into(), &"abandoned".into())
    );
}

/// The guest's own timeout holds, and zero or more than the deadline does no harm.
#[tokio::test]
async fn time_is_bounded_by_guest_and_call() {
    let upstream = Upstream::start(|_| Reply {
        bytes: Vec::new(),
        then: Then::Silence,
    })
    .await;
    let mut call = Call::new(vec![loopback_grant(upstream.port, None)], Limits::DEFAULT);
    for timeout in [
        Some(Duration::ZERO),
        Some(Duration::from_millis(20)),
        Some(Duration::MAX),
        None,
    ] {
        if timeout.is_none_or(|t| t == Duration::MAX) {
            call.context.deadline = Instant::now() + Duration::from_millis(20);
        }
        let request = OutboundRequest {
            timeout,
            ..get(&upstream, "/")
        };
        let error = exchange(&call.context, request).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout, "{timeout:?}");
    }
}

#[tokio::test]
async fn attempts_have_a_bound_and_so_do_their_records() {
    let upstream = Upstream::start(|_| ok("", b"")).await;
    let limits = Limits {
        requests: 2,
        ..Limits::DEFAULT
    };
    let call = Call::new(vec![loopback_grant(upstream.port, None)], limits);
    let mut codes = Vec::new();
    for path in ["/a/../b", "/a", "/b", "/c"] {
        codes.push(
            exchange(&call.context, get(&upstream, path))
                .await
                .err()
                .map(|e| e.code),
        );
    }
    let denied = Some(ErrorCode::Denied);
    assert_eq!(codes, [Some(ErrorCode::Invalid), None, denied, denied]);
    let paths: Vec<_> = call
        .written()
        .into_iter()
        .map(|attempt| attempt["path"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(paths, [None, Some("/a".to_owned()), Some("/b".to_owned())]);
    assert_eq!(upstream.requests().len(), 1);
}

/// N60, N71: an upstream that echoes the credential in every way it can.
#[tokio::test]
async fn n60_n71_an_echoed_credential_is_not_read() {
    let basic = STANDARD.encode(format!("me:{SECRET}"));
    let forms = [
        SECRET.to_owned(),
        "hunter2%2F%2Bhunter2".to_owned(),
        "hunter2\\/+hunter2".to_owned(),
        STANDARD_NO_PAD.encode(SECRET),
        basic.clone(),
    ];
    let echo = forms.join(" | ");
    let bytes = echo.clone().into_bytes();
    let upstream = Upstream::start(move |request| {
        let sent = request
            .lines()
            .find_map(|line| line.strip_prefix("authorization: "))
            .unwrap_or_default();
        let location =
            format!("x-echo: {sent}\r\nlocation: /?k={SECRET}\r\nauthorization: {sent}\r\n");
        // One byte per chunk: no form is whole in any of them.
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        chunked(&location, &pieces)
    })
    .await;
    for auth in [
        bearer().unwrap(),
        Auth::Basic {
            user: "me".to_owned(),
            secret: "key".into(),
        },
    ] {
        let call = Call::new(
            vec![loopback_grant(upstream.port, Some(auth))],
            Limits::DEFAULT,
        );
        let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
        let headers = format!("{:?}", response.headers);
        assert!(
            !headers.contains("hunter2") && !headers.contains(&basic),
            "{headers}"
        );
        assert_eq!(response.headers["location"], "/?k=[redacted]");
        assert!(
            response.headers["x-echo"]
                .to_str()
                .unwrap()
                .ends_with(" [redacted]")
        );
        assert!(!response.headers.contains_key("authorization"));
        let body = response.body.collect().await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            body.starts_with("[redacted] | [redacted] | [redacted] | "),
            "{body}"
        );
        assert!(forms.iter().all(|form| !body.contains(form)), "{body}");
        assert_eq!(call.record()["received"], echo.len());
    }
}

/// The length no longer holds once something was taken out.
#[tokio::test]
async fn a_scrubbed_body_has_no_length_of_before() {
    let body = format!("<{SECRET}>");
    let upstream = Upstream::start(move |_| ok("", body.as_bytes())).await;
    let call = Call::new(
        vec![loopback_grant(upstream.port, bearer())],
        Limits::DEFAULT,
    );
    let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
    assert!(!response.headers.contains_key("content-length"));
    assert_eq!(response.body.collect().await.unwrap(), "<[redacted]>");
}

/// N61.
#[tokio::test]
async fn n61_a_credential_goes_to_its_own_grant_only() {
    let with = Upstream::start(|_| ok("", b"")).await;
    let without = Upstream::start(|_| ok("", b"")).await;
    let grants = vec![
        loopback_grant(with.port, bearer()),
        loopback_grant(without.port, None),
    ];
    let call = Call::new(grants, Limits::DEFAULT);
    for upstream in [&with, &without] {
        exchange(&call.context, get(upstream, "/")).await.unwrap();
    }
    assert!(with.requests()[0].contains(SECRET));
    assert!(!without.requests()[0].contains("authorization"));
}

/// A credential that its destination refuses is asked for anew, and the one before is still taken
/// out of what a call in flight brings back.
#[tokio::test]
async fn a_credential_that_is_refused_is_asked_for_anew() {
    let upstream = Upstream::start(|request| {
        if request.contains("the-second-value") {
            ok("", b"the-former-value, the-second-value")
        } else {
            raw("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n")
        }
    })
    .await;
    let source = Scripted::new(Duration::from_secs(600));
    let secrets = Arc::new(source.secrets().await);
    let call = Call::knowing(
        Arc::clone(&secrets),
        vec![loopback_grant(upstream.port, bearer())],
        Limits::DEFAULT,
        Dialer::new(),
    );
    source.say(Some("the-second-value"));
    secrets.age();
    let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
    assert_eq!(response.status, StatusCode::OK);
    let body = response.body.collect().await.unwrap();
    assert_eq!(body, "[redacted], [redacted]");
}

/// A grant whose secret nobody loaded sends nothing, not even without it.
#[tokio::test]
async fn without_its_secret_a_grant_is_shut() {
    let upstream = Upstream::start(|_| ok("", b"")).await;
    let auth = Auth::Bearer {
        secret: "unknown".into(),
    };
    let call = Call::new(
        vec![loopback_grant(upstream.port, Some(auth))],
        Limits::DEFAULT,
    );
    let error = exchange(&call.context, get(&upstream, "/"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied);
    assert!(upstream.requests().is_empty());
}

/// Both ways to HTTP are judged and sent alike.
#[tokio::test]
async fn a_wasi_request_is_the_same_request() {
    let upstream = Upstream::start(|_| ok("", b"hello")).await;
    let mut grant = grant(
        "shop",
        &format!("http://127.0.0.1:{}", upstream.port),
        &["POST /a"],
    );
    grant.private = vec![network("127.0.0.0/8")];
    let call = Call::new(vec![Arc::new(grant)], Limits::DEFAULT);
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let request = OutboundRequest {
        method: "POST".to_owned(),
        target: RequestTarget::Parts {
            scheme: "HTTP".to_owned(),
            authority: format!("127.1:{}", upstream.port),
            path_with_query: "/%61?q".to_owned(),
        },
        headers: vec![
            header("content-length", "4"),
            header("accept-encoding", "identity"),
            header("x-a", "1"),
        ],
        body: Bytes::from_static(b"body"),
        timeout: None,
        silence: None,
    };
    let response = exchange(&call.context, request).await.unwrap();
    assert_eq!(response.body.collect().await.unwrap(), "hello");
    let request = upstream.requests().pop().unwrap();
    assert!(
        request.starts_with("POST /a?q HTTP/1.1\r\nx-a: 1\r\n"),
        "{request}"
    );
    assert_eq!(request.matches("content-length: 4\r\n").count(), 1);
    assert!(!request.contains("identity"), "{request}");
}

#[test]
fn futures_and_bodies_can_be_sent() {
    fn sent<T: Send>(_: &T) {}
    fn given(context: &HttpContext, request: OutboundRequest) {
        sent(&exchange(context, request));
    }
    let _: fn(&HttpContext, OutboundRequest) = given;
    let _: fn(&Body) = sent::<Body>;
}
