//! Redirects that the host follows: judged anew, without credentials, counted and recorded.

use super::*;
use crate::egress::{ClientFiles, Scheme};

/// Answers `/to?<where>` with a redirect there, and everything else with its path.
async fn site() -> Upstream {
    Upstream::start(|request| {
        let target = request.split(' ').nth(1).unwrap_or_default();
        match target.split_once("/to?") {
            Some((_, place)) => raw(&format!(
                "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
                place.replace("%23", "#")
            )),
            None => ok("", target.as_bytes()),
        }
    })
    .await
}

fn following(port: u16, most: u32, auth: Option<Auth>) -> Arc<HttpGrant> {
    let mut grant = HttpGrant::clone(&loopback_grant(port, auth));
    grant.redirects = most;
    Arc::new(grant)
}

/// The path of each attempt, and what came of it.
fn trail(call: &Call) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |attempt: Value| (text(&attempt["path"]), text(&attempt["verdict"]["is"]));
    call.written().into_iter().map(of).collect()
}

fn step(path: &str, is: &str) -> (String, String) {
    (path.to_owned(), is.to_owned())
}

#[tokio::test]
async fn n32_a_redirect_is_followed_where_the_grant_says_so_and_without_secrets() {
    let upstream = site().await;
    let call = Call::new(vec![following(upstream.port, 1, bearer())], Limits::DEFAULT);
    let mut request = get(&upstream, "/to?/there%3Fa%23part");
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    request.headers = vec![header("accept", "text/plain"), header("x-mine", "mine")];
    let (response, _) = call.send(request).await.unwrap();
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.body.collect().await.unwrap(), "/there%3Fa");
    let requests = upstream.requests();
    let [first, second] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert!(
        first.contains("authorization: ") && first.contains("x-mine: "),
        "{first}"
    );
    assert!(
        second.starts_with("GET /there%3Fa HTTP/1.1\r\n"),
        "{second}"
    );
    assert!(second.contains("accept: text/plain\r\n"), "{second}");
    assert!(
        !second.contains("authorization") && !second.contains("x-mine"),
        "{second}"
    );
    assert_eq!(
        trail(&call),
        [step("/to", "allowed"), step("/there%3Fa", "allowed")]
    );
    assert_eq!(call.written()[0]["status"], 302);
}

/// The host's certificate is a credential, too.
#[tokio::test]
async fn n32_no_redirect_leads_to_who_is_shown_the_hosts_certificate() {
    let (upstream, inner) = (site().await, site().await);
    let mut shown = HttpGrant::clone(&loopback_grant(inner.port, None));
    shown.origin.scheme = Scheme::Https;
    shown.way.tls.client = Some(ClientFiles {
        certificate: "host.crt".into(),
        key: "host.key".into(),
    });
    let grants = vec![following(upstream.port, 1, None), Arc::new(shown)];
    let call = Call::new(grants, Limits::DEFAULT);
    let place = format!("/to?https://127.0.0.1:{}/inner", inner.port);
    let refused = call.send(get(&upstream, &place)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Denied);
    assert!(refused.say.contains("certificate"), "{}", refused.say);
    assert_eq!(
        trail(&call),
        [step("/to", "allowed"), step("/inner", "refused")]
    );
    assert!(inner.requests().is_empty());
}

#[tokio::test]
async fn n31_n33_where_a_redirect_leads_is_judged_anew() {
    let upstream = site().await;
    let other = site().await;
    for place in [
        "http://169.254.169.254/latest".to_owned(),
        "http://[::ffff:127.0.0.1]:80/".to_owned(),
        format!("http://127.0.0.1:{}/", other.port),
        format!("//127.0.0.1:{}/", other.port),
        format!("https://127.0.0.1:{}/", upstream.port),
        format!("http://me@127.0.0.1:{}/", upstream.port),
        "ftp://127.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/a%2Fb".to_owned(),
        "/a?_method=DELETE".to_owned(),
    ] {
        let call = Call::new(vec![following(upstream.port, 3, None)], Limits::DEFAULT);
        let sent = call.send(get(&upstream, &format!("/to?{place}"))).await;
        let error = sent.unwrap_err();
        assert!(
            matches!(error.code, ErrorCode::Denied | ErrorCode::Invalid),
            "{place}: {error}"
        );
        let trail = trail(&call);
        assert_eq!(trail[0], step("/to", "allowed"), "{place}");
        assert_eq!(
            (trail.len(), trail[1].1.as_str()),
            (2, "refused"),
            "{place}"
        );
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn n33_a_loop_ends_and_its_last_redirect_is_the_answer() {
    let upstream =
        Upstream::start(|_| raw("HTTP/1.1 307 X\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n"))
            .await;
    for most in 0..=3 {
        let call = Call::new(vec![following(upstream.port, most, None)], Limits::DEFAULT);
        let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
        assert_eq!(response.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(response.headers["location"], "/again");
        drop(response);
        assert_eq!(u32::try_from(call.written().len()).unwrap(), most + 1);
    }
    // They count like any other attempt.
    let limits = Limits {
        requests: 2,
        ..Limits::DEFAULT
    };
    let call = Call::new(vec![following(upstream.port, 3, None)], limits);
    let error = call.send(get(&upstream, "/")).await.unwrap_err();
    assert!(error.say.contains("may try 2 requests"), "{error}");
}

#[tokio::test]
async fn n32_what_is_not_read_or_repeats_a_credential_is_given_back() {
    let upstream = Upstream::start(|request| {
        let head = if request.starts_with("POST") {
            "location: /a\r\n".to_owned()
        } else if request.contains("/echo") {
            format!("location: /a?key={SECRET}\r\n")
        } else if request.contains("/twice") {
            "location: /a\r\nlocation: /b\r\n".to_owned()
        } else {
            String::new()
        };
        raw(&format!(
            "HTTP/1.1 302 X\r\n{head}content-length: 0\r\n\r\n"
        ))
    })
    .await;
    for path in ["/echo", "/twice", "/none"] {
        let call = Call::new(vec![following(upstream.port, 3, bearer())], Limits::DEFAULT);
        let (response, _) = call.send(get(&upstream, path)).await.unwrap();
        assert_eq!(response.status, StatusCode::FOUND, "{path}");
        drop(response);
        assert_eq!(call.written().len(), 1, "{path}");
    }
    // Only GET and HEAD are followed: nothing is done twice.
    let call = Call::new(vec![following(upstream.port, 3, None)], Limits::DEFAULT);
    let url = format!("http://127.0.0.1:{}/x", upstream.port);
    let (response, _) = call.send(request("POST", url)).await.unwrap();
    assert_eq!(response.status, StatusCode::FOUND);
}

/// N26, N31: a name that a redirect leads to is vetted like any other.
#[tokio::test]
async fn n26_n31_a_redirect_to_a_name_that_points_inside_is_denied() {
    let upstream = site().await;
    let inside = Arc::new(grant("in", "http://inside.test", &["GET /**"]));
    let dialer = Dialer::with_resolver(Answers::new(&[&["10.0.0.1"]]));
    let grants = vec![following(upstream.port, 1, None), inside];
    let call = Call::with(grants, Limits::DEFAULT, dialer);
    let sent = call.send(get(&upstream, "/to?http://inside.test/a")).await;
    assert!(sent.unwrap_err().say.contains("(private)"));
    assert_eq!(
        trail(&call),
        [step("/to", "allowed"), step("/a", "refused")]
    );
}

/// What a closed rule judged is what goes out, byte for byte, and what it refuses does not.
#[tokio::test]
async fn n66_n67_n68_a_closed_rule_holds_in_an_exchange() {
    use crate::egress::{BodyRule, ContentRule, Field, JsonRule, QueryRule, Test};

    let upstream = site().await;
    let mut grant = HttpGrant::clone(&loopback_grant(upstream.port, None));
    let to = JsonRule::Value(Field {
        required: true,
        test: Test::Equals("to".into()),
    });
    grant.allow[1].content = Some(Arc::new(ContentRule {
        query: QueryRule::Only([].into()),
        body: BodyRule::Json(JsonRule::Object([("to".to_owned(), to)].into())),
    }));
    let grant = Arc::new(grant);
    let send = async |query: &str, kind: &str, body: &'static str| {
        let call = Call::new(vec![Arc::clone(&grant)], Limits::DEFAULT);
        let url = format!("http://127.0.0.1:{}/email{query}", upstream.port);
        let mut request = request("POST", url);
        request.body = Bytes::from_static(body.as_bytes());
        request.headers = vec![("Content-Type".to_owned(), kind.as_bytes().to_vec())];
        call.send(request)
            .await
            .map(|(response, _)| response.status)
    };
    let json = "application/json";
    let good = "{ \"t\\u006f\" :\"a@b.test\" }\n";
    assert_eq!(send("", json, good).await, Ok(StatusCode::OK));
    assert!(upstream.requests()[0].ends_with(&format!("\r\n\r\n{good}")));
    for (query, kind, body) in [
        ("", json, r#"{"to": "evil@b.test"}"#),
        ("", json, r#"{"to": "a@b.test", "bcc": "evil@b.test"}"#),
        ("", json, r#"{"to": "a@b.test", "to": "evil@b.test"}"#),
        ("", "application/x-www-form-urlencoded", "to=evil@b.test"),
        ("?to=evil@b.test", json, good),
    ] {
        let error = send(query, kind, body).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Denied, "{error}");
        assert!(!error.say.contains("evil"), "{error}");
    }
    assert_eq!(upstream.requests().len(), 1);
}

/// As browsers do: what is not ASCII goes back as the escape of the byte that came.
#[tokio::test]
async fn n93_a_redirect_in_utf_8_or_latin_1_is_followed() {
    for (location, asked) in [
        ("/caf\u{e9}".as_bytes(), "/caf%C3%A9"),
        (b"/caf\xe9", "/caf%E9"),
        (b"/\xe4\xf6\xfc?q=\xe9", "/%E4%F6%FC?q=%E9"),
        ("/a b".as_bytes(), "/a%20b"),
    ] {
        let upstream = Upstream::start(move |request| {
            if request.starts_with("GET /go ") {
                let head = [
                    b"HTTP/1.1 302 X\r\nlocation: ",
                    location,
                    b"\r\ncontent-length: 0\r\n\r\n",
                ];
                Reply {
                    bytes: head.concat(),
                    ..raw("")
                }
            } else {
                ok("", request.split(' ').nth(1).unwrap_or_default().as_bytes())
            }
        })
        .await;
        let call = Call::new(vec![following(upstream.port, 1, bearer())], Limits::DEFAULT);
        let (response, _) = call.send(get(&upstream, "/go")).await.unwrap();
        assert_eq!(response.body.collect().await.unwrap(), asked);
    }
}

/// Another server's name has to be one that everybody reads in the same way.
#[tokio::test]
async fn n93_a_redirect_to_another_server_is_in_utf_8() {
    let other = site().await;
    let place = format!("http://127.0.0.1:{}/", other.port);
    for (name, allowed) in [("%C3%A9", true), ("%E9", false)] {
        let to = format!("{place}{name}");
        let upstream = Upstream::start(move |_| {
            raw(&format!(
                "HTTP/1.1 302 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"
            ))
        })
        .await;
        let grants = vec![
            following(upstream.port, 1, None),
            loopback_grant(other.port, None),
        ];
        let call = Call::new(grants, Limits::DEFAULT);
        let sent = call.send(get(&upstream, "/")).await;
        assert_eq!(sent.is_ok(), allowed, "{name}");
    }
}

/// A credential is looked for in a `Location` as it came and as it would be sent.
#[tokio::test]
async fn n93_a_redirect_that_repeats_a_credential_beside_umlauts_is_given_back() {
    let upstream = Upstream::start(|_| {
        raw(&format!(
            "HTTP/1.1 302 X\r\nlocation: /\u{e9}?k={SECRET}\r\ncontent-length: 0\r\n\r\n"
        ))
    })
    .await;
    let call = Call::new(vec![following(upstream.port, 1, bearer())], Limits::DEFAULT);
    let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
    assert_eq!(response.status, StatusCode::FOUND);
    assert!(
        !response.headers["location"]
            .as_bytes()
            .windows(SECRET.len())
            .any(|part| part == SECRET.as_bytes())
    );
}
