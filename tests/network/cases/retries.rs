//! What fails is told to the guest and not tried again behind its back: an upstream sees what the
//! tool asked for, once.

use serde_json::json;

use crate::network::peer::Step;
use crate::network::space::case;
use crate::network::world::{Came, get, granted, send, wasi};

#[test]
fn n56_when_to_come_again_is_handed_on_as_it_is() {
    case(async |world| {
        let values = [
            "5",
            "0",
            "-1",
            "1000000000000",
            "99999999999999999999999999",
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "soon",
            "",
            "5, 6",
        ];
        let peer = world
            .peer(move |request| {
                let number: usize = request
                    .target()
                    .trim_start_matches("/")
                    .split('/')
                    .next_back()
                    .and_then(|n| n.parse().ok())
                    .expect("a number");
                let status = if request.target().starts_with("/429") {
                    "429 Slow"
                } else {
                    "503 Later"
                };
                vec![Step::response(
                    status,
                    &format!("retry-after: {}\r\n", values[number]),
                    "later",
                )]
            })
            .await;
        let house = granted(&world, &peer, "", "");
        for status in [429, 503] {
            for (number, value) in values.iter().enumerate() {
                let url = peer.url(&format!("/{status}/{number}"));
                for came in [get(&house, &url).await, wasi(&house, &url, json!({})).await] {
                    assert_eq!(
                        (came.status(), came.header("retry-after")),
                        (status, Some(*value))
                    );
                }
                let sent = peer
                    .requests()
                    .iter()
                    .filter(|request| url.ends_with(request.target()))
                    .count();
                assert_eq!(sent, 2, "{url} was asked again");
            }
        }
    });
}

#[test]
fn n57_an_upstream_that_comes_and_goes_sees_each_request_once() {
    case(async |world| {
        let peer = world
            .peer(|request| {
                let number: usize = request
                    .target()
                    .trim_start_matches('/')
                    .parse()
                    .expect("a number");
                match number % 4 {
                    0 => vec![Step::response("503 Later", "", "")],
                    1 => vec![Step::Close],
                    2 => vec![Step::response("500 Broken", "", "")],
                    _ => vec![Step::ok("arrived")],
                }
            })
            .await;
        let house = granted(&world, &peer, "", "");
        for number in 0..40 {
            let came = get(&house, &peer.url(&format!("/{number}"))).await;
            let expected = ["answer", "protocol", "answer", "answer"][number % 4];
            assert_eq!(came.code(), expected, "{number}: {came:?}");
            let targets: Vec<String> = peer
                .requests()
                .iter()
                .map(|request| request.target().to_owned())
                .collect();
            let expected: Vec<String> = (0..=number).map(|number| format!("/{number}")).collect();
            assert_eq!(targets, expected);
        }
    });
}

#[test]
fn n58_n59_what_was_sent_is_never_sent_twice() {
    case(async |world| {
        let peer = world
            .peer(|request| match request.target() {
                "/warm" => vec![Step::ok("warm")],
                "/closed" => vec![Step::Close],
                "/reset" => vec![Step::Reset],
                "/cut" => vec![
                    Step::say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
                    Step::Close,
                ],
                "/408" => vec![
                    Step::response("408 Request Timeout", "connection: close\r\n", ""),
                    Step::Close,
                ],
                "/425" => vec![Step::response("425 Too Early", "", "")],
                _ => vec![Step::Hold],
            })
            .await;
        let house = granted(&world, &peer, "", "");
        for (target, code) in [
            ("/closed", "protocol"),
            ("/reset", "protocol"),
            ("/cut", "protocol"),
            ("/408", "answer"),
            ("/425", "answer"),
            ("/silent", "timeout"),
        ] {
            // On a fresh connection, and on one that was kept: the second is where clients retry.
            for warm in [false, true] {
                for method in ["POST", "GET"] {
                    if warm {
                        assert_eq!(get(&house, &peer.url("/warm")).await.body(), "warm");
                    }
                    let before = peer.requests().len();
                    let key = format!("{target}-{method}-{warm}");
                    let more = json!({ "headers": [["idempotency-key", key]], "body": "pay", "timeout_ms": 500 });
                    let came = send(&house, method, &peer.url(target), more).await;
                    assert_eq!(came.code(), code, "{key}: {came:?}");
                    if code == "timeout" {
                        let Came::Refused(_, say) = &came else {
                            panic!("{came:?}")
                        };
                        assert!(say.contains("may have acted"), "{say}");
                    }
                    let sent = peer.requests().split_off(before);
                    assert_eq!(sent.len(), 1, "{key} was sent {} times", sent.len());
                    assert_eq!(sent[0].headers("idempotency-key"), [key]);
                    assert_eq!(house.attempts().len(), 1);
                }
            }
        }
        // A connection that was closed while it was kept: what was not sent yet may take another.
        for method in ["POST", "GET"] {
            assert_eq!(get(&house, &peer.url("/408")).await.status(), 408);
            let more = json!({ "body": "pay" });
            assert_eq!(
                send(&house, method, &peer.url("/warm"), more).await.body(),
                "warm"
            );
        }
    });
}
