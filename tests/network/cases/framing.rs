//! Answers that are not what HTTP says an answer is: each is an error of its own request, and
//! nothing of it is left for the next.

use serde_json::json;

use crate::network::peer::Step;
use crate::network::space::case;
use crate::network::world::{World, get, granted, send, wasi};

/// A head and whatever comes after it.
fn raw(text: &str) -> Vec<Step> {
    vec![Step::say(text), Step::Close]
}

fn malformed(target: &str) -> Vec<Step> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    raw(&match target {
        "/chunk-size" => format!("{chunked}zz\r\nhello\r\n0\r\n\r\n"),
        "/chunk-negative" => format!("{chunked}-5\r\nhello\r\n0\r\n\r\n"),
        "/chunk-huge" => format!("{chunked}fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        "/chunk-end" => format!("{chunked}5\r\nhelloXX0\r\n\r\n"),
        "/chunk-cut" => format!("{chunked}5\r\nhel"),
        "/chunk-endless" => format!("{chunked}5;{}", "a".repeat(1 << 20)),
        "/length-negative" => format!("{ok}Content-Length: -1\r\n\r\nhello"),
        "/length-plus" => format!("{ok}Content-Length: +5\r\n\r\nhello"),
        "/length-hex" => format!("{ok}Content-Length: 0x5\r\n\r\nhello"),
        "/length-huge" => format!("{ok}Content-Length: 99999999999999999999\r\n\r\nhello"),
        "/length-two" => format!("{ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        "/length-list" => format!("{ok}Content-Length: 5, 6\r\n\r\nhello!"),
        "/length-short" => format!("{ok}Content-Length: 10\r\n\r\nhello"),
        "/old" => "hello".to_owned(),
        "/old-html" => "<html>hello</html>\r\n\r\n".to_owned(),
        "/status-word" => "HTTP/1.1 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "/status-long" => "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "/status-zero" => "HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "/version" => "HTTP/3.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "/protocol" => "ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "/garbage" => "\u{1}\u{2}\u{3}\u{4}\r\n\r\n".to_owned(),
        "/name-space" => format!("{ok}Content Length: 5\r\n\r\nhello"),
        "/name-nul" => format!("{ok}X\0: 5\r\n\r\nhello"),
        "/value-nul" => format!("{ok}X-A: a\0b\r\nContent-Length: 5\r\n\r\nhello"),
        "/fold" => format!("{ok}X-A: a\r\n b\r\nContent-Length: 5\r\n\r\nhello"),
        "/nothing" => String::new(),
        "/head-cut" => format!("{ok}Content-Le"),
        "/tls" => "\u{16}\u{3}\u{1}\u{2}".repeat(64),
        "/101" => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello".to_owned(),
        "/101-h2c" => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\nPRI".to_owned(),
        "/101-bare" => "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
        other => panic!("{other}"),
    })
}

/// All of them.
const MALFORMED: [&str; 27] = [
    "/chunk-size",
    "/chunk-negative",
    "/chunk-huge",
    "/chunk-end",
    "/chunk-cut",
    "/chunk-endless",
    "/length-negative",
    "/length-plus",
    "/length-hex",
    "/length-huge",
    "/length-two",
    "/length-list",
    "/length-short",
    "/old",
    "/old-html",
    "/status-word",
    "/status-long",
    "/status-zero",
    "/version",
    "/protocol",
    "/garbage",
    "/name-space",
    "/name-nul",
    "/value-nul",
    "/nothing",
    "/head-cut",
    "/tls",
];

/// Asks for each, and says that it is an error and that the next one is on another connection.
async fn errors(world: &World, targets: &[&str]) {
    let peer = world
        .peer(|request| match request.target() {
            "/honest" => vec![Step::ok("honest")],
            target => malformed(target),
        })
        .await;
    let house = granted(world, &peer, "", "");
    for target in targets {
        for wasi_http in [false, true] {
            let url = peer.url(target);
            let came = if wasi_http {
                wasi(&house, &url, json!({})).await
            } else {
                get(&house, &url).await
            };
            let error = match came.code() {
                "protocol" | "unreachable" | "too-large" => true,
                "wasi" => !came.is_refused(),
                _ => false,
            };
            assert!(error, "{target}: {came:?}");
            let last = peer.requests().pop().expect("a request");
            assert_eq!(last.target(), *target, "it was sent again, or not at all");
            assert_eq!(
                get(&house, &peer.url("/honest")).await.body(),
                "honest",
                "after {target}"
            );
            let next = peer.requests().pop().expect("a request");
            assert_ne!(
                next.connection, last.connection,
                "{target}: the connection was kept"
            );
        }
    }
    // Each was sent once, by each interface.
    for target in targets {
        let sent = peer
            .requests()
            .iter()
            .filter(|request| request.target() == *target)
            .count();
        assert_eq!(sent, 2, "{target}");
    }
}

#[test]
fn n50_what_is_not_proper_http_is_an_error_and_its_connection_is_not_kept() {
    case(async |world| errors(&world, &MALFORMED).await);
}

#[test]
fn n44_no_other_protocol_is_switched_to() {
    case(async |world| errors(&world, &["/101", "/101-h2c", "/101-bare"]).await);
}

/// What has two readings: the length, or the chunks; lines that end in a bare line feed; a line that
/// goes on. One reading is taken or none, and the connection's next answer is its own.
#[test]
fn n50_of_two_readings_one_is_taken_and_nothing_is_left() {
    case(async |world| {
        let peer = world
            .peer(|request| {
                let ok = "HTTP/1.1 200 OK\r\n";
                let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
                match request.target() {
                    "/both" => vec![Step::say(format!(
                        "{ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{smuggled}"
                    ))],
                    "/twice" => vec![Step::say(format!("{ok}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello{smuggled}"))],
                    "/feeds" => vec![Step::say(format!("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello{smuggled}"))],
                    "/fold" => vec![Step::say(format!("{ok}X-A: a\r\n b\r\nContent-Length: 5\r\n\r\nhello{smuggled}"))],
                    "/no-body" => vec![Step::say(format!("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n{smuggled}"))],
                    "/not-modified" => vec![Step::say(format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n{smuggled}"))],
                    _ => vec![Step::ok("honest")],
                }
            })
            .await;
        let house = granted(&world, &peer, "", "");
        for target in [
            "/both",
            "/twice",
            "/feeds",
            "/fold",
            "/no-body",
            "/not-modified",
        ] {
            let came = get(&house, &peer.url(target)).await;
            let taken = match came.code() {
                "answer" => ["hello", ""].contains(&came.body()),
                code => code == "protocol",
            };
            assert!(taken, "{target}: {came:?}");
            let next = get(&house, &peer.url("/honest")).await;
            assert!(
                next.code() == "protocol" || next.body() == "honest",
                "after {target}: {next:?}"
            );
        }
    });
}

#[test]
fn n51_a_second_answer_behind_the_first_is_nobodys() {
    case(async |world| {
        let fake = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake";
        let peer = world
            .peer(move |request| match request.target() {
                "/behind" => vec![Step::say(format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal{fake}"))],
                "/chunks" => vec![Step::say(format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nreal\r\n0\r\n\r\n{fake}{fake}"
                ))],
                _ => vec![Step::ok("honest")],
            })
            .await;
        let house = granted(&world, &peer, "", "");
        for target in ["/behind", "/chunks"] {
            for _ in 0..5 {
                let came = get(&house, &peer.url(target)).await;
                assert_eq!(came.body(), "real", "{target}");
                let next = get(&house, &peer.url("/honest")).await;
                // What comes before it was asked for is not taken for an answer; at worst the
                // connection that it came on is found broken.
                assert!(
                    next.code() == "protocol" || next.body() == "honest",
                    "after {target}: {next:?}"
                );
            }
        }
        assert_eq!(get(&house, &peer.url("/honest")).await.body(), "honest");
    });
}

#[test]
fn n52_a_connection_that_breaks_is_an_error_of_its_kind() {
    case(async |world| {
        let peer = world
            .peer(|request| {
                let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
                match request.target() {
                    "/reset-first" => vec![Step::Reset],
                    "/closed-first" => vec![Step::Close],
                    "/half-first" => vec![Step::Half, Step::Hold],
                    "/reset-head" => vec![Step::say("HTTP/1.1 200 OK\r\nConte"), Step::Reset],
                    "/reset-body" => vec![Step::say(half), Step::Reset],
                    "/closed-body" => vec![Step::say(half), Step::Close],
                    "/half-body" => vec![Step::say(half), Step::Half, Step::Hold],
                    "/until-end" => vec![Step::say("HTTP/1.1 200 OK\r\n\r\nhello"), Step::Close],
                    _ => vec![Step::ok("honest")],
                }
            })
            .await;
        let house = granted(&world, &peer, "", "");
        let broken = [
            "/reset-first",
            "/closed-first",
            "/half-first",
            "/reset-head",
            "/reset-body",
            "/closed-body",
            "/half-body",
        ];
        for target in broken {
            for method in ["GET", "POST"] {
                let came = send(&house, method, &peer.url(target), json!({})).await;
                assert_eq!(came.code(), "protocol", "{method} {target}: {came:?}");
                assert_eq!(house.attempts()[0]["verdict"]["is"], "failed", "{target}");
                // Nothing is sent twice, and the next request does not suffer.
                assert_eq!(get(&house, &peer.url("/honest")).await.body(), "honest");
            }
            let sent = peer
                .requests()
                .iter()
                .filter(|request| request.target() == target)
                .count();
            assert_eq!(sent, 2, "{target}");
        }
        assert_eq!(get(&house, &peer.url("/until-end")).await.body(), "hello");
    });
}
