//! Redirects that a grant lets the host follow: each hop is a request like any other.

use serde_json::json;
use tokio::net::TcpListener;

use crate::harness::House;
use crate::network::peer::{Peer, Step};
use crate::network::space::case;
use crate::network::world::{get, open, rogue, send};

/// A redirect, closed so that each request has a connection of its own.
fn to(status: &str, location: &str) -> Vec<Step> {
    let headers = format!("location: {location}\r\nconnection: close\r\n");
    vec![
        Step::response(&format!("{status} Go"), &headers, "moved"),
        Step::Close,
    ]
}

#[test]
fn n31_n33_a_followed_redirect_is_judged_like_a_request() {
    case(async |world| {
        let inside = world.everywhere(&[80, 8080]).await;
        let place = if world.namespace {
            "127.0.0.1".to_owned()
        } else {
            inside.address.to_string()
        };
        let peer = world
            .peer(move |request| match request.target() {
                "/there" => vec![Step::ok("there")],
                "/loop" => to("302", "/loop"),
                target => {
                    let (status, way) = target
                        .trim_start_matches('/')
                        .split_once('/')
                        .expect("a status");
                    let port = request.headers("host")[0]
                        .rsplit(':')
                        .next()
                        .expect("a port")
                        .to_owned();
                    let location = match way {
                        "inside" => format!("http://{place}/"),
                        "decimal" => "http://2130706433/".to_owned(),
                        "mapped" => "http://[::ffff:127.0.0.1]/".to_owned(),
                        "metadata" => "http://169.254.169.254/latest/".to_owned(),
                        "protocol-relative" => format!("//{place}/"),
                        "scheme" => "file:///etc/passwd".to_owned(),
                        "downgrade" => "ftp://up.test/".to_owned(),
                        "userinfo" => format!("http://a@up.test:{port}/there"),
                        "shut" => "/shut".to_owned(),
                        "dots" => "/there/../shut".to_owned(),
                        "port" => "http://up.test:1/there".to_owned(),
                        _ => "/there".to_owned(),
                    };
                    to(status, &location)
                }
            })
            .await;
        world.names.set("up.test", &[&world.address().to_string()]);
        let url = peer.url_as("up.test", "");
        let allow = "redirects = 3\nallow = [\"GET /there\", \"GET /loop\", \"GET /*/*\"]";
        let house = world.house(&rogue("", &[("up", &url, &open(&world, allow))]));
        for status in [301, 302, 303, 307, 308] {
            for way in [
                "inside",
                "decimal",
                "mapped",
                "metadata",
                "protocol-relative",
                "scheme",
                "downgrade",
                "userinfo",
                "shut",
                "dots",
                "port",
            ] {
                let before = peer.requests().len();
                let came = get(&house, &format!("{url}/{status}/{way}")).await;
                let kept = came.code() == "answer" && came.status() == status;
                assert!(came.is_refused() || kept, "{status} {way}: {came:?}");
                assert_eq!(
                    peer.requests().len(),
                    before + 1,
                    "{status} {way} was followed"
                );
            }
            let came = get(&house, &format!("{url}/{status}/relative")).await;
            assert_eq!(came.body(), "there", "{status}");
            assert_eq!(house.attempts().len(), 2);
        }
        assert_eq!(inside.connections().await, 0, "the inside was reached");
        let before = peer.requests().len();
        let came = get(&house, &format!("{url}/loop")).await;
        assert!(matches!(came.code(), "answer" | "denied"), "{came:?}");
        assert_eq!(peer.requests().len() - before, 4, "three are followed");
    });
}

#[test]
fn n26_n32_a_redirect_takes_no_credential_along_and_each_of_its_connects_is_judged() {
    case(async |world| {
        let (address, private) = world.inside();
        let bind = async || TcpListener::bind((address, 0)).await.expect("a port");
        let other = Peer::start(vec![bind().await], |_| {
            vec![
                Step::response("200 OK", "connection: close\r\n", "other"),
                Step::Close,
            ]
        });
        let elsewhere = other.url_as("other.test", "/there");
        let first = Peer::start(vec![bind().await], move |request| match request.target() {
            "/own" => vec![
                Step::response("200 OK", "connection: close\r\n", "own"),
                Step::Close,
            ],
            "/to-own" => to("302", "/own"),
            _ => to("302", &elsewhere),
        });
        for name in ["first.test", "other.test"] {
            world.names.set(name, &[&address.to_string()]);
        }
        let more = format!("{private}\nredirects = 2\nauth = {{ bearer = \"key\" }}");
        let theirs = format!("{private}\nauth = {{ bearer = \"key\" }}");
        let urls = [
            first.url_as("first.test", ""),
            other.url_as("other.test", ""),
        ];
        let grants = [
            ("first", urls[0].as_str(), more.as_str()),
            ("other", &urls[1], &theirs),
        ];
        let text = format!("[secret.key]\nenv = \"KEY\"\n{}", rogue("", &grants));
        let house = House::at(world.site().secret("key", "k3y-of-the-operator"), &text);
        let headers = json!({ "headers": [["x-mine", "1"], ["accept", "text/plain"]] });
        for (target, body) in [("/to-other", "other"), ("/to-own", "own")] {
            let came = send(
                &house,
                "GET",
                &format!("{}{target}", urls[0]),
                headers.clone(),
            )
            .await;
            assert_eq!(came.body(), body, "{target}: {came:?}");
            let reached = if body == "own" { &first } else { &other };
            let last = reached.requests().pop().expect("a request");
            assert!(
                last.headers("authorization").is_empty() && last.headers("x-mine").is_empty(),
                "{last:?}"
            );
            assert_eq!(last.headers("accept"), ["text/plain"]);
        }
        // A POST is not followed: its body is for whom it was meant for.
        let before = other.requests().len();
        let came = send(
            &house,
            "POST",
            &format!("{}/to-other", urls[0]),
            json!({ "body": "mine" }),
        )
        .await;
        assert_eq!((came.status(), other.requests().len()), (302, before));
        if world.namespace {
            // The name turns while the redirect is on its way: the second connect is judged anew.
            world.names.set("other.test", &["127.0.0.1"]);
            let came = get(&house, &format!("{}/to-other", urls[0])).await;
            assert_eq!(came.code(), "denied", "{came:?}");
            assert_eq!(other.requests().len(), before);
        }
    });
}
