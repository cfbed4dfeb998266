//! What requests and responses of every method say of their length.

use super::*;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

fn reaching(port: u16, auth: Option<Auth>) -> Arc<HttpGrant> {
    let all = METHODS.map(|method| format!("{method} /**"));
    let all = all.each_ref().map(String::as_str);
    let origin = format!("http://127.0.0.1:{port}");
    let mut grant = grant("shop", &origin, &all);
    grant.private = vec![network("127.0.0.0/8")];
    grant.auth = auth;
    Arc::new(grant)
}

/// The lines of a request that say how long its body is.
fn framing(request: &str) -> Vec<&str> {
    let (head, _) = request.split_once("\r\n\r\n").unwrap();
    let of = |line: &&str| line.starts_with("content-length") || line.starts_with("transfer-");
    head.lines().filter(of).collect()
}

/// RFC 9110, 8.6. Many servers answer 411 to a POST that does not say that it has no body.
#[tokio::test]
async fn a_request_of_every_method_says_how_long_its_body_is() {
    for auth in [None, bearer()] {
        let upstream = Upstream::start(|_| ok("", b"")).await;
        let call = Call::new(vec![reaching(upstream.port, auth)], Limits::DEFAULT);
        for method in METHODS {
            for body in ["", "12345"] {
                let url = format!("http://127.0.0.1:{}/x", upstream.port);
                let mut request = request(method, url);
                request.body = Bytes::from_static(body.as_bytes());
                let (response, _) = call.send(request).await.unwrap();
                drop(response);
                let seen = upstream.requests().pop().unwrap();
                let has_use = ["POST", "PUT", "PATCH"].contains(&method);
                let expected: &[&str] = match body {
                    "" if has_use => &["content-length: 0"],
                    "" => &[],
                    _ => &["content-length: 5"],
                };
                assert_eq!(framing(&seen), expected, "{method} {body:?}");
                assert!(seen.ends_with(&format!("\r\n\r\n{body}")), "{seen}");
            }
        }
    }
}

/// There is no body that a credential could be taken out of, so nothing changes its length.
#[tokio::test]
async fn a_response_without_a_body_keeps_the_length_of_the_one_it_stands_for() {
    for auth in [None, bearer()] {
        for (method, status) in [("HEAD", "200 OK"), ("GET", "304 Not Modified")] {
            let upstream = Upstream::start(move |_| {
                raw(&format!(
                    "HTTP/1.1 {status}\r\ncontent-length: 1234\r\netag: x\r\n\r\n"
                ))
            })
            .await;
            let call = Call::new(vec![reaching(upstream.port, auth.clone())], Limits::DEFAULT);
            let url = format!("http://127.0.0.1:{}/x", upstream.port);
            let (response, _) = call.send(request(method, url)).await.unwrap();
            assert_eq!(response.headers["content-length"], "1234", "{method}");
            assert_eq!(response.body.collect().await.unwrap(), "");
        }
    }
    // One that has a body loses what may no longer be true of it.
    let upstream = Upstream::start(|_| ok("", b"hello")).await;
    let call = Call::new(vec![reaching(upstream.port, bearer())], Limits::DEFAULT);
    let (response, _) = call.send(get(&upstream, "/")).await.unwrap();
    assert!(!response.headers.contains_key("content-length"));
}
