//! TLS: whose certificate does not hold is not spoken to, and a connection serves one name.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::harness::House;
use crate::network::peer::{Peer, Step};
use crate::network::space::case;
use crate::network::tls::{Authority, Leaf};
use crate::network::world::{World, get, open, rogue, wasi};

const CA: &str = "ca = \"ca.pem\"";

/// The rogue with a grant for a URL, which trusts an authority.
fn house_of(world: &World, authority: &Authority, urls: &[(&str, &str)]) -> House {
    let more = format!("{}\n{CA}", open(world, ""));
    let grants: Vec<(&str, &str, &str)> = urls
        .iter()
        .map(|(name, url)| (*name, *url, more.as_str()))
        .collect();
    House::at(
        world.site_trusting(&authority.pem()),
        &rogue("deadline = \"5s\"", &grants),
    )
}

/// An honest server but for its certificate.
async fn server(world: &World, leaf: Leaf) -> Peer {
    Peer::secure(world.listener().await, leaf.acceptor(&["http/1.1"]), |_| {
        vec![Step::ok("arrived")]
    })
}

#[test]
fn n43_a_server_whose_certificate_does_not_hold_is_told_nothing() {
    case(async |world| {
        let (authority, stranger) = (Authority::new(), Authority::new());
        world.names.set("up.test", &[&world.address().to_string()]);
        world
            .names
            .set("other.test", &[&world.address().to_string()]);
        for (what, leaf) in [
            ("expired", authority.expired("up.test")),
            ("not yet valid", authority.premature("up.test")),
            ("self-signed", Leaf::self_signed("up.test")),
            ("a stranger's", stranger.leaf(&["up.test"])),
            ("another name's", authority.leaf(&["other.test"])),
            ("a part's", authority.leaf(&["test", "p.test", "xup.test"])),
            ("a star above", authority.leaf(&["*.up.test"])),
            (
                "an address'",
                authority.leaf(&[&world.address().to_string()]),
            ),
            ("nobody's", authority.leaf(&[])),
        ] {
            let peer = server(&world, leaf).await;
            let url = peer.url_as("up.test", "");
            let house = house_of(&world, &authority, &[("up", &url)]);
            for came in [
                get(&house, &format!("{url}/")).await,
                wasi(&house, &url, json!({})).await,
            ] {
                assert!(
                    matches!(came.code(), "unreachable" | "wasi") && !came.is_refused(),
                    "{what}: {came:?}"
                );
            }
            assert_eq!(house.attempts()[0]["verdict"]["is"], "failed", "{what}");
            assert!(
                peer.requests().is_empty(),
                "{what}: it was told {:?}",
                peer.requests()
            );
        }
        // An address is a name, too.
        let peer = server(&world, authority.leaf(&["up.test"])).await;
        let (by_name, by_address) = (peer.url_as("up.test", ""), peer.url(""));
        let house = house_of(
            &world,
            &authority,
            &[("name", &by_name), ("address", &by_address)],
        );
        assert_eq!(get(&house, &by_name).await.body(), "arrived");
        assert_eq!(get(&house, &by_address).await.code(), "unreachable");
        assert_eq!(peer.requests().len(), 1);
        let peer = server(&world, authority.leaf(&[&world.address().to_string()])).await;
        let url = peer.url("");
        assert_eq!(
            get(&house_of(&world, &authority, &[("up", &url)]), &url)
                .await
                .body(),
            "arrived"
        );
    });
}

#[test]
fn n43_what_answers_a_handshake_with_something_else_is_told_nothing() {
    case(async |world| {
        let authority = Authority::new();
        // An alert says its version, level and reason; a server of TLS 1.0 says so in its hello.
        let hello_of_1_0 = [
            &[0x16, 3, 1, 0, 0x2a, 2, 0, 0, 0x26, 3, 1][..],
            &[7; 32],
            &[0, 0, 0x2f, 0],
        ]
        .concat();
        for (what, bytes) in [
            (
                "plain HTTP",
                b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\narrived".to_vec(),
            ),
            ("protocol version", vec![0x15, 3, 1, 0, 2, 2, 70]),
            ("unrecognized name", vec![0x15, 3, 3, 0, 2, 2, 112]),
            ("TLS 1.0", hello_of_1_0),
            ("zeros", vec![0; 4096]),
            ("nothing", Vec::new()),
        ] {
            let listener = world.listener().await;
            let address = listener.local_addr().expect("an address");
            let heard = Arc::new(Mutex::new(Vec::new()));
            let _answering = answering(listener, bytes, heard.clone());
            let url = format!("https://{address}");
            let house = house_of(&world, &authority, &[("up", &url)]);
            let came = get(&house, &format!("{url}/secret-path")).await;
            assert!(
                matches!(came.code(), "unreachable" | "timeout"),
                "{what}: {came:?}"
            );
            let heard = heard.lock().expect("what was heard").clone();
            assert_eq!(heard.first(), Some(&0x16), "{what}: no handshake");
            assert!(
                !heard.windows(11).any(|part| part == b"secret-path"),
                "{what}"
            );
        }
    });
}

/// Answers whatever comes with some bytes.
fn answering(listener: TcpListener, bytes: Vec<u8>, heard: Arc<Mutex<Vec<u8>>>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut first = [0; 4096];
            let Ok(length) = stream.read(&mut first).await else {
                continue;
            };
            heard
                .lock()
                .expect("what was heard")
                .extend(&first[..length]);
            // A client that does not like it closes.
            let _ = stream.write_all(&bytes).await;
        }
    });
    tasks
}

#[test]
fn n42_an_advert_for_another_place_is_ignored() {
    case(async |world| {
        let authority = Authority::new();
        let evil = world.everywhere(&[443]).await;
        world.names.set("up.test", &[&world.address().to_string()]);
        let advert = format!(
            "alt-svc: h2=\"{0}\", h3=\"{0}\", http/1.1=\"{0}\"; ma=9999; persist=1\r\n",
            evil.address
        );
        let leaf = authority.leaf(&["up.test"]);
        let peer = Peer::secure(
            world.listener().await,
            leaf.acceptor(&["http/1.1"]),
            move |_| {
                vec![
                    Step::response(
                        "200 OK",
                        &format!("{advert}connection: close\r\n"),
                        "arrived",
                    ),
                    Step::Close,
                ]
            },
        );
        let url = peer.url_as("up.test", "/");
        let house = house_of(&world, &authority, &[("up", &peer.url_as("up.test", ""))]);
        for _ in 0..3 {
            for came in [get(&house, &url).await, wasi(&house, &url, json!({})).await] {
                assert_eq!((came.body(), came.header("alt-svc")), ("arrived", None));
            }
        }
        assert_eq!(peer.requests().len(), 6);
        assert_eq!(evil.connections().await, 0, "the advert was believed");
    });
}

/// Which connection a request came on, and whom it was for.
type Log = Arc<Mutex<Vec<(usize, String)>>>;

/// A server that speaks HTTP/2.
fn speaking_h2(listener: TcpListener, leaf: Leaf, log: Log) -> JoinSet<()> {
    let (tls, mut tasks) = (leaf.acceptor(&["h2"]), JoinSet::new());
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        for connection in 0.. {
            let Ok((stream, _)) = listener.accept().await else {
                return;
            };
            let (tls, log) = (tls.clone(), log.clone());
            connections.spawn(async move {
                let stream = tls.accept(stream).await.expect("a handshake");
                let service =
                    hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
                        let authority = request.uri().authority().map(ToString::to_string);
                        let entry = (connection, authority.unwrap_or_default());
                        log.lock().expect("a log").push(entry);
                        std::future::ready(Ok::<_, Infallible>(hyper::Response::new(Full::new(
                            Bytes::from("arrived"),
                        ))))
                    });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // It ends when the client goes.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    tasks
}

#[test]
fn n41_a_connection_serves_one_name_although_its_certificate_has_two() {
    case(async |world| {
        let authority = Authority::new();
        for name in ["a.test", "b.test"] {
            world.names.set(name, &[&world.address().to_string()]);
        }
        let listener = world.listener().await;
        let address: SocketAddr = listener.local_addr().expect("an address");
        let log = Log::default();
        let _server = speaking_h2(listener, authority.leaf(&["a.test", "b.test"]), log.clone());
        let urls = ["a.test", "b.test"].map(|name| format!("https://{name}:{}", address.port()));
        let house = house_of(&world, &authority, &[("a", &urls[0]), ("b", &urls[1])]);
        for url in [&urls[0], &urls[1], &urls[0], &urls[1]] {
            assert_eq!(get(&house, &format!("{url}/")).await.body(), "arrived");
        }
        let log = log.lock().expect("a log").clone();
        let on = |connection| -> Vec<&str> {
            let on = log.iter().filter(|(number, _)| *number == connection);
            on.map(|(_, authority)| authority.as_str()).collect()
        };
        let names = urls
            .each_ref()
            .map(|url| url.trim_start_matches("https://"));
        assert_eq!(on(0), [names[0]; 2]);
        assert_eq!(on(1), [names[1]; 2]);
    });
}
