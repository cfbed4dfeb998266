//! What a guest says in headers, and what it hopes to make of the message with them.

use serde_json::{Value, json};

use crate::harness::House;
use crate::network::peer::{Peer, Request, Step};
use crate::network::space::case;
use crate::network::world::{Came, World, get, granted, rogue, send, wasi};

/// Headers that frame the message, name its target or its sender, or change its meaning.
const HOSTS: [&str; 42] = [
    "Host",
    "Connection",
    "Keep-Alive",
    "Upgrade",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Expect",
    "HTTP2-Settings",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "Proxy-Anything",
    "Cookie",
    "Cookie2",
    "Set-Cookie",
    "Via",
    "Alt-Used",
    "Alt-Svc",
    "Early-Data",
    "Max-Forwards",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Host",
    "X-Original-Method",
    "X-Rewrite-URL",
    "X-Override-URL",
    "X-Host",
    "X-HTTP-Host-Override",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Anything",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Sec-WebSocket-Key",
];

async fn both(house: &House, peer: &Peer, more: &Value) -> [Came; 2] {
    let url = peer.url("/a");
    [
        send(house, "GET", &url, more.clone()).await,
        wasi(house, &url, more.clone()).await,
    ]
}

#[test]
fn n34_n69_what_is_the_hosts_to_say_is_refused_in_every_spelling() {
    case(async |world| {
        let peer = world.peer(|_| vec![Step::ok("arrived")]).await;
        let house = granted(&world, &peer, "", "");
        for name in HOSTS {
            let spellings = [
                name.to_owned(),
                name.to_lowercase(),
                name.to_uppercase(),
                name.replace('-', "_"),
            ];
            for name in spellings {
                let more = json!({ "headers": [[name, "1"]] });
                for came in both(&house, &peer, &more).await {
                    assert!(came.is_refused(), "{name}: {came:?}");
                }
            }
        }
        for name in [
            ":authority",
            ":path",
            ":method",
            ":scheme",
            "host:",
            "Host ",
            " Host",
            "Ho\tst",
        ] {
            let more = json!({ "headers": [[name, "evil.test"]] });
            for came in both(&house, &peer, &more).await {
                assert!(came.is_refused(), "{name:?}: {came:?}");
            }
        }
        // A parameter that frameworks take for the method.
        for query in [
            "?_method=DELETE",
            "?a=b&_method=DELETE",
            "?_METHOD=DELETE",
            "?%5fmethod=DELETE",
            "?a;_method=b",
        ] {
            let came = get(&house, &peer.url(&format!("/a{query}"))).await;
            assert!(came.is_refused(), "{query}: {came:?}");
        }
        assert_eq!(peer.connections().await, 0, "something went out");
        let more = json!({ "headers": [["X-Mine", "1"], ["Accept", "text/plain"]] });
        for came in both(&house, &peer, &more).await {
            assert_eq!(came.body(), "arrived");
        }
        for request in peer.requests() {
            assert_eq!(request.headers("host"), [peer.address.to_string()]);
            assert_eq!(
                (request.headers("x-mine"), request.headers("accept")),
                (vec!["1"], vec!["text/plain"])
            );
        }
    });
}

const KEY: &str = "k3y-of-the-operator";

/// Grants with a credential of each kind.
fn credentials(world: &World, peer: &Peer) -> House {
    let url = peer.url("");
    let kinds = [
        ("bearer", r#"{ bearer = "key" }"#),
        ("basic", r#"{ basic = { user = "me", secret = "key" } }"#),
        (
            "header",
            r#"{ header = { name = "X-API-Key", secret = "key" } }"#,
        ),
        (
            "query",
            r#"{ query = { name = "api_key", secret = "key" } }"#,
        ),
    ];
    let mores: Vec<String> = kinds
        .iter()
        .map(|(name, auth)| {
            let private = world.inside().1;
            format!("allow = [\"GET /{name}/**\"]\nauth = {auth}\n{private}")
        })
        .collect();
    let grants: Vec<(&str, &str, &str)> = kinds
        .iter()
        .zip(&mores)
        .map(|((name, _), more)| (*name, url.as_str(), more.as_str()))
        .collect();
    let text = format!("[secret.key]\nenv = \"KEY\"\n{}", rogue("", &grants));
    House::at(world.site().secret("key", KEY), &text)
}

#[test]
fn n35_beside_the_hosts_credential_there_is_no_other() {
    case(async |world| {
        let peer = world.inner(|_| vec![Step::ok("arrived")]).await;
        let house = credentials(&world, &peer);
        for (kind, given) in [
            ("bearer", "Authorization"),
            ("bearer", "authorization"),
            ("bearer", "AUTHORIZATION"),
            ("bearer", "Cookie"),
            ("basic", "Authorization"),
            ("basic", "Cookie"),
            ("header", "X-API-Key"),
            ("header", "x-api-key"),
            ("header", "X_API_Key"),
            ("header", "Authorization"),
            ("query", "Authorization"),
            ("query", "Cookie"),
        ] {
            for values in [&["mine"][..], &[""], &["mine", "yours"]] {
                let headers: Vec<[&str; 2]> = values.iter().map(|value| [given, value]).collect();
                let url = peer.url(&format!("/{kind}/a"));
                let more = json!({ "headers": headers });
                for came in [
                    send(&house, "GET", &url, more.clone()).await,
                    wasi(&house, &url, more).await,
                ] {
                    assert!(came.is_refused(), "{kind} {given}: {came:?}");
                }
            }
        }
        for query in [
            "?api_key=mine",
            "?a=b&API_KEY=mine",
            "?api%5Fkey=mine",
            "?api_key[]=mine",
            "?a;api_key=b",
        ] {
            let came = get(&house, &peer.url(&format!("/query/a{query}"))).await;
            assert!(came.is_refused(), "{query}: {came:?}");
        }
        assert_eq!(peer.connections().await, 0, "something went out");
        for kind in ["bearer", "basic", "header", "query"] {
            assert_eq!(
                get(&house, &peer.url(&format!("/{kind}/a"))).await.body(),
                "arrived"
            );
        }
        let sent: Vec<Request> = peer.requests();
        assert_eq!(sent[0].headers("authorization"), [format!("Bearer {KEY}")]);
        assert_eq!(sent[1].headers("authorization").len(), 1);
        assert_eq!(
            (
                sent[2].headers("x-api-key"),
                sent[2].headers("authorization").len()
            ),
            (vec![KEY], 0)
        );
        assert_eq!(
            (sent[3].target(), sent[3].headers("authorization").len()),
            (format!("/query/a?api_key={KEY}").as_str(), 0)
        );
    });
}

#[test]
fn n36_nothing_that_would_split_a_message_is_sent() {
    case(async |world| {
        let peer = world.peer(|_| vec![Step::ok("arrived")]).await;
        let house = granted(&world, &peer, "", "");
        for value in [
            "a\r\nX-B: b",
            "a\nX-B: b",
            "a\rb",
            "\r\n\r\nGET /b HTTP/1.1",
            "a\0b",
            "a\u{7f}",
            "\u{e9}",
            "a\u{b}",
            "\n a",
        ] {
            let more = json!({ "headers": [["X-A", value]] });
            for came in both(&house, &peer, &more).await {
                assert!(came.is_refused(), "{value:?}: {came:?}");
            }
        }
        for name in [
            "", "X A", "X:A", "X\r\nB", "X\0", "X-\u{e9}", "X(A)", "\"X\"", "X\tA", " X", "X ",
        ] {
            let more = json!({ "headers": [[name, "1"]] });
            for came in both(&house, &peer, &more).await {
                assert!(came.is_refused(), "{name:?}: {came:?}");
            }
        }
        for path in [
            "/a b",
            "/a\tb",
            "/a\r\nX: b",
            "/a\nb",
            "/a\0b",
            "/a?b c",
            "/a?b\r\nX: c",
            "/a?\0",
            "/a?\u{e9}",
            "/a\u{7f}",
        ] {
            let url = peer.url(path);
            for came in [get(&house, &url).await, wasi(&house, &url, json!({})).await] {
                assert!(came.is_refused(), "{path:?}: {came:?}");
            }
        }
        assert_eq!(peer.connections().await, 0, "something went out");
        let many: Vec<[String; 2]> = (0..101)
            .map(|n| [format!("x-{n}"), "1".to_owned()])
            .collect();
        let long = json!([["x-long", "a".repeat(65 << 10)]]);
        for headers in [json!(many), long] {
            for came in both(&house, &peer, &json!({ "headers": headers })).await {
                assert!(
                    matches!(came.code(), "too-large" | "wasi" | "header" | "trapped"),
                    "{came:?}"
                );
            }
        }
        assert_eq!(peer.connections().await, 0, "something went out");
        for came in both(
            &house,
            &peer,
            &json!({ "headers": [["X-A", "a\tb c~"], ["X-A", ""]] }),
        )
        .await
        {
            assert_eq!(came.body(), "arrived");
        }
        for request in peer.requests() {
            assert_eq!(request.headers("x-a"), ["a\tb c~", ""]);
        }
    });
}

#[test]
fn n37_a_length_is_the_hosts_or_the_truth() {
    case(async |world| {
        let peer = world.peer(|_| vec![Step::ok("arrived")]).await;
        let house = granted(&world, &peer, "", "");
        for lengths in [
            &["0"][..],
            &["3"],
            &["5"],
            &["4", "4"],
            &["4", "5"],
            &["4, 4"],
            &["+4"],
            &["-4"],
            &["0x4"],
            &["4 "],
            &[" 4"],
            &[""],
            &["four"],
            &["18446744073709551620"],
            &["4", "4", "4"],
        ] {
            let headers: Vec<[&str; 2]> = lengths
                .iter()
                .map(|length| ["Content-Length", length])
                .collect();
            let more = json!({ "method": "POST", "body": "four", "headers": headers });
            let came = wasi(&house, &peer.url("/a"), more).await;
            // A guest that says less than it writes is stopped while it writes.
            assert!(matches!(came, Came::Refused(..)), "{lengths:?}: {came:?}");
            let more = json!({ "body": "four", "headers": headers });
            let came = send(&house, "POST", &peer.url("/a"), more).await;
            assert!(came.is_refused(), "{lengths:?}: {came:?}");
        }
        let came = wasi(
            &house,
            &peer.url("/a"),
            json!({ "headers": [["Content-Length", "1"]] }),
        )
        .await;
        assert!(matches!(came, Came::Refused(..)), "{came:?}");
        assert_eq!(peer.connections().await, 0, "something went out");
        let more =
            json!({ "method": "POST", "body": "four", "headers": [["Content-Length", "4"]] });
        assert_eq!(wasi(&house, &peer.url("/a"), more).await.body(), "arrived");
        assert_eq!(
            send(&house, "POST", &peer.url("/a"), json!({ "body": "four" }))
                .await
                .body(),
            "arrived"
        );
        for request in peer.requests() {
            assert_eq!(
                (request.headers("content-length"), request.body.as_slice()),
                (vec!["4"], &b"four"[..])
            );
            assert!(request.headers("transfer-encoding").is_empty());
        }
    });
}

#[test]
fn n38_trailers_are_dropped_in_both_directions() {
    case(async |world| {
        let peer = world
            .peer(|request| match request.target() {
                "/trailing" => vec![Step::say(
                    "HTTP/1.1 200 OK\r\ntrailer: set-cookie, x-late\r\ntransfer-encoding: chunked\r\n\r\n\
                     5\r\nhello\r\n0\r\nset-cookie: a=b\r\nx-late: 1\r\nhost: evil.test\r\n\r\n",
                )],
                _ => vec![Step::ok("arrived")],
            })
            .await;
        let house = granted(&world, &peer, "", "");
        for trailers in [
            json!([["x-late", "1"]]),
            json!([["content-length", "0"]]),
            json!([["host", "evil.test"]]),
            json!([["transfer-encoding", "chunked"]]),
            json!([["authorization", "mine"]]),
        ] {
            let more = json!({ "method": "POST", "body": "four", "trailers": trailers });
            let came = wasi(&house, &peer.url("/a"), more).await;
            assert!(came.is_refused() || came.body() == "arrived", "{came:?}");
        }
        // Whatever came first, the next request begins where the last one ends.
        assert_eq!(get(&house, &peer.url("/b")).await.body(), "arrived");
        let requests = peer.requests();
        assert_eq!(requests.last().map(Request::target), Some("/b"));
        for request in &requests {
            let head = request.head.to_lowercase();
            assert!(
                !head.contains("x-late") && !head.contains("evil") && !head.contains("mine"),
                "{head}"
            );
            assert!(request.line().ends_with(" HTTP/1.1"), "{request:?}");
        }
        for came in both(&house, &peer, &json!({})).await {
            assert_eq!(came.body(), "arrived");
        }
        let url = peer.url("/trailing");
        for came in [get(&house, &url).await, wasi(&house, &url, json!({})).await] {
            assert_eq!(came.body(), "hello");
            for name in [
                "trailer",
                "set-cookie",
                "x-late",
                "host",
                "transfer-encoding",
            ] {
                assert_eq!(came.header(name), None, "{name}");
            }
        }
    });
}

#[test]
fn n62_cookies_are_neither_shown_nor_kept() {
    case(async |world| {
        let peer = world
            .peer(|_| {
                vec![Step::response(
                    "200 OK",
                    "Set-Cookie: a=b\r\nset-cookie2: c=d\r\nx-a: 1\r\n",
                    "arrived",
                )]
            })
            .await;
        let house = granted(&world, &peer, "", "");
        for came in both(&house, &peer, &json!({})).await {
            assert_eq!(came.header("x-a"), Some("1"));
            assert!(
                !came.answer().to_string().to_lowercase().contains("cookie"),
                "{came:?}"
            );
        }
        assert!(
            peer.requests()
                .iter()
                .all(|request| request.headers("cookie").is_empty())
        );
    });
}
