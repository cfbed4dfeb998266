//! What a name means, when its server is hostile, wrong, slow or gone.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpListener;

use crate::harness::House;
use crate::network::names::{Say, ips};
use crate::network::peer::{Peer, Step};
use crate::network::space::both_ways;
use crate::network::world::{World, get, open, rogue};

const PUBLIC: &str = "93.184.216.34";

/// An address that no grant here opens.
const INSIDE: &str = "10.0.0.1";

/// A house with a grant for each of these names.
fn house_of(world: &World, names: &[&str], port: u16) -> House {
    let urls: Vec<(String, String)> = names
        .iter()
        .map(|name| (name.replace('.', "_"), format!("http://{name}:{port}")))
        .collect();
    let open = open(world, "");
    let grants: Vec<(&str, &str, &str)> = urls
        .iter()
        .map(|(name, url)| (name.as_str(), url.as_str(), open.as_str()))
        .collect();
    world.house(&rogue("deadline = \"30s\"", &grants))
}

#[test]
fn n23_n24_n30_one_forbidden_address_spoils_the_answer() {
    both_ways(async |world| {
        let witness = world.everywhere(&[80]).await;
        let house = world.house(&rogue("", &[("up", "http://turn.test", "")]));
        for answer in [
            &["127.0.0.1"][..],
            &["10.0.0.1"],
            &["169.254.169.254"],
            &["::1"],
            &["fd00::1"],
            &[PUBLIC, "127.0.0.1"],
            &["127.0.0.1", PUBLIC],
            &[PUBLIC, "10.0.0.1"],
            &["192.168.1.1", PUBLIC],
            &[PUBLIC, "8.8.8.8", "1.1.1.1", "100.100.100.200"],
            &[PUBLIC, "0.0.0.0"],
            &[PUBLIC, "fd00::1"],
            &[PUBLIC, "::1"],
            &[PUBLIC, "fe80::1"],
            &["2606:2800::1", "10.0.0.1"],
            &[PUBLIC, "::ffff:10.0.0.1"],
            &[PUBLIC, "64:ff9b::7f00:1"],
        ] {
            world.names.set("turn.test", answer);
            let came = get(&house, "http://turn.test/").await;
            assert_eq!(came.code(), "denied", "{answer:?}: {came:?}");
            assert_eq!(
                house.attempts()[0]["verdict"]["is"],
                "refused",
                "{answer:?}"
            );
        }
        assert_eq!(witness.connections().await, 0, "something went out");
        if world.namespace {
            world.names.set("turn.test", &[PUBLIC, "8.8.8.8"]);
            assert_eq!(get(&house, "http://turn.test/").await.body(), "arrived");
        }
    });
}

/// Somebody on the inside, where there is an inside to be.
async fn inside(world: &World, port: u16) -> Option<Peer> {
    if !world.namespace {
        return None;
    }
    let listener = TcpListener::bind((INSIDE, port)).await.expect("a port");
    Some(Peer::start(vec![listener], |_| vec![Step::ok("inside")]))
}

async fn assert_not_reached(inside: Option<Peer>) {
    if let Some(inside) = inside {
        assert_eq!(inside.connections().await, 0, "the inside was reached");
    }
}

#[test]
fn n25_what_was_judged_is_what_is_dialled() {
    both_ways(async |world| {
        let honest = world
            .peer(|_| {
                vec![
                    Step::response("200 OK", "connection: close\r\n", "honest"),
                    Step::Close,
                ]
            })
            .await;
        let (port, own) = (honest.address.port(), world.address().to_string());
        let inside = inside(&world, port).await;
        // Each connection has one lookup: the second answer is never between check and use.
        let turns = |first: &str, second: &str| {
            vec![
                Say::Addresses(ips(&[first])),
                Say::Addresses(ips(&[second])),
            ]
        };
        world.names.script("turn.test", turns(&own, INSIDE));
        let house = house_of(&world, &["turn.test"], port);
        let url = format!("http://turn.test:{port}/");
        let came = get(&house, &url).await;
        assert_eq!(
            (came.body(), world.names.lookups("turn.test")),
            ("honest", 1)
        );
        assert_eq!(house.attempts()[0]["peer"], own);
        assert_eq!(get(&house, &url).await.code(), "denied");
        assert_eq!(world.names.lookups("turn.test"), 2);
        // And the other way round: what was inside once is judged anew when it is not.
        world.names.script("turn.test", turns(INSIDE, &own));
        assert_eq!(get(&house, &url).await.code(), "denied");
        assert_eq!(get(&house, &url).await.body(), "honest");
        assert_not_reached(inside).await;
    });
}

#[test]
fn n26_each_connect_is_judged_anew_and_a_kept_one_stays_where_it_is() {
    both_ways(async |world| {
        let honest = world
            .peer(|request| match request.target() {
                "/last" => vec![Step::ok("honest"), Step::Close],
                _ => vec![Step::ok("honest")],
            })
            .await;
        let port = honest.address.port();
        let inside = inside(&world, port).await;
        world
            .names
            .set("turn.test", &[&world.address().to_string()]);
        let house = house_of(&world, &["turn.test"], port);
        let url = |path: &str| format!("http://turn.test:{port}{path}");
        assert_eq!(get(&house, &url("/first")).await.body(), "honest");
        world.names.set("turn.test", &[INSIDE]);
        // The connection that was judged is kept, and goes where it went.
        assert_eq!(get(&house, &url("/last")).await.body(), "honest");
        let last = honest.requests().pop().expect("a request");
        assert_eq!(last.connection, 0);
        honest.left().await;
        assert_eq!(get(&house, &url("/again")).await.code(), "denied");
        assert_not_reached(inside).await;
    });
}

#[test]
fn n27_a_chain_of_names_is_judged_by_its_end_and_has_one() {
    both_ways(async |world| {
        let witness = world.everywhere(&[80]).await;
        let chain = |length: usize| {
            (0..length)
                .map(|n| format!("c{n}.test"))
                .collect::<Vec<_>>()
        };
        let around = vec![
            "b.test".to_owned(),
            "loop.test".to_owned(),
            "b.test".to_owned(),
            "loop.test".to_owned(),
        ];
        world.names.script(
            "inside.test",
            vec![Say::Chain(chain(3), ips(&["10.0.0.1"]))],
        );
        world.names.script(
            "deep.test",
            vec![Say::Chain(chain(50), ips(&["127.0.0.1"]))],
        );
        world
            .names
            .script("loop.test", vec![Say::Chain(around, Vec::new())]);
        world.names.script(
            "open.test",
            vec![Say::Chain(vec!["nowhere.test".to_owned()], Vec::new())],
        );
        let names = ["inside.test", "deep.test", "loop.test", "open.test"];
        let house = house_of(&world, &names, 80);
        for (name, codes) in [
            ("inside.test", &["denied"][..]),
            ("deep.test", &["denied", "unreachable"]),
            ("loop.test", &["unreachable", "timeout"]),
            ("open.test", &["unreachable", "timeout"]),
        ] {
            let began = Instant::now();
            let came = get(&house, &format!("http://{name}/")).await;
            assert!(codes.contains(&came.code()), "{name}: {came:?}");
            assert!(
                began.elapsed() < Duration::from_secs(8),
                "{name} took {:?}",
                began.elapsed()
            );
        }
        assert_eq!(witness.connections().await, 0, "something went out");
    });
}

#[test]
fn n28_a_name_server_that_is_silent_slow_or_wrong_is_an_error_in_time() {
    both_ways(async |world| {
        let witness = world.everywhere(&[80]).await;
        let says = [
            ("silent.test", Say::Silence),
            ("slow.test", Say::Slow),
            ("cut.test", Say::CutOff),
            ("wrong.test", Say::WrongId(ips(&[PUBLIC]))),
            ("huge.test", Say::Huge),
            ("garbage.test", Say::Garbage),
            ("failing.test", Say::Failing),
            ("unknown.test", Say::Unknown),
            ("empty.test", Say::Addresses(Vec::new())),
        ];
        let mut names = vec!["whole.test"];
        for (name, say) in &says {
            names.push(name);
            world.names.script(name, vec![say.clone()]);
        }
        world.names.script(
            "whole.test",
            vec![Say::Truncated(ips(&[&world.address().to_string()]))],
        );
        let house = house_of(&world, &names, witness.address.port());
        let tried = says.iter().map(async |(name, _)| {
            let began = Instant::now();
            let came = get(
                &house,
                &format!("http://{name}:{}/", witness.address.port()),
            )
            .await;
            (name, came, began.elapsed())
        });
        for (name, came, time) in join_all(tried).await {
            assert!(
                ["unreachable", "timeout"].contains(&came.code()),
                "{name}: {came:?}"
            );
            assert!(time < Duration::from_secs(9), "{name} took {time:?}");
        }
        assert_eq!(witness.connections().await, 0, "something went out");
        // What was only too long for a datagram is asked for again, and an honest name is found
        // although the others have kept the server waiting.
        let whole = get(
            &house,
            &format!("http://whole.test:{}/", witness.address.port()),
        )
        .await;
        assert_eq!(whole.body(), "arrived");
    });
}

#[test]
fn n29_no_search_domain_completes_a_name() {
    both_ways(async |world| {
        let witness = world.everywhere(&[80]).await;
        for name in ["shop.corp.test", "shop.internal.test", "api.test.corp.test"] {
            world.names.set(name, &[PUBLIC]);
        }
        let house = house_of(&world, &["shop", "api.test"], 80);
        for host in ["shop", "api.test", "shop.", "api.test."] {
            let came = get(&house, &format!("http://{host}/")).await;
            assert_eq!(came.code(), "unreachable", "{host}: {came:?}");
        }
        let asked = world.names.asked();
        assert!(
            !asked.is_empty()
                && asked
                    .iter()
                    .all(|name| name == "shop" || name == "api.test"),
            "{asked:?}"
        );
        assert_eq!(witness.connections().await, 0, "something went out");
    });
}
