//! Addresses that are not the public internet's: however they are written or found, nothing is sent
//! there that the manifest does not open.

use std::net::{IpAddr, SocketAddr};

use serde_json::json;
use tokio::net::TcpStream;
use toolhost_core::egress::{Network, may_dial};

use crate::network::names::Say;
use crate::network::names::ips;
use crate::network::peer::Peer;
use crate::network::space::case;
use crate::network::world::{Came, World, get, open, rogue, wasi};

/// Says that a listener is there to be reached, where the kernel can dial this address at all: what
/// does not arrive later was not sent.
async fn can_be_reached(world: &World, witness: &Peer, ip: IpAddr) -> bool {
    if !world.namespace || (ip.is_ipv6() && !world.v6) {
        return false;
    }
    let before = witness.connections().await;
    if TcpStream::connect(SocketAddr::new(ip, 80)).await.is_err() {
        return false;
    }
    assert_eq!(witness.connections().await, before + 1, "{ip}");
    true
}

/// Every way to write an address that some parser takes.
const LOOPBACK: [&str; 22] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.0x1",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0.0.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "127.0.0.1.",
    "127.255.255.254",
    "127.000.000.001",
    "\u{2460}\u{2461}\u{2466}.\u{24ea}.\u{24ea}.\u{2460}",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "\u{ff11}27.0.0.1",
    "%31%32%37.0.0.1",
    "12\u{ad}7.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
];

/// Others that nobody outside has.
const OTHERS: [&str; 27] = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "0",
    "0.0.0.0",
    "00.0.0.0",
    "[::]",
    "255.255.255.255",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[2606:2800::5efe:7f00:1]",
    "[fe80::5efe:7f00:1]",
    "[::ffff:a9fe:a9fe]",
    "10.0.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "[fd00:ec2::254]",
    "metadata.google.internal",
    "metadata.goog",
];

#[test]
fn n04_n05_n06_n07_n08_n09_n10_n12_no_notation_reaches_what_is_not_granted() {
    case(async |world| {
        let witness = world.everywhere(&[80]).await;
        world.names.set("up.test", &[&world.address().to_string()]);
        let house = world.house(&rogue("", &[("up", "http://up.test", &open(&world, ""))]));
        let mut control = 0;
        for ip in ips(&[
            "127.0.0.1",
            "::1",
            "169.254.169.254",
            "10.0.0.1",
            "64:ff9b::7f00:1",
            "::127.0.0.1",
        ]) {
            control += usize::from(can_be_reached(&world, &witness, ip).await);
        }
        assert!(control >= 3 || !world.namespace, "{control} addresses");
        for host in LOOPBACK.iter().chain(&OTHERS) {
            let url = format!("http://{host}/");
            for came in [get(&house, &url).await, wasi(&house, &url, json!({})).await] {
                assert!(came.is_refused(), "{host}: {came:?}");
            }
        }
        assert_eq!(witness.connections().await, control, "something went out");
        assert_eq!(world.names.asked(), Vec::<String>::new());
    });
}

/// The other way round: where the manifest opens an address, every notation of it is that address.
#[test]
fn n05_n07_every_notation_of_a_granted_address_is_that_address() {
    case(async |world| {
        let witness = world.everywhere(&[80]).await;
        let port = witness.address.port();
        let urls = [
            format!("http://127.0.0.1:{port}"),
            format!("http://[::1]:{port}"),
        ];
        let v4 = ("v4", urls[0].as_str(), r#"private = ["127.0.0.0/8"]"#);
        let v6 = ("v6", urls[1].as_str(), r#"private = ["::1/128"]"#);
        let house = world.house(&rogue("", &[v4, v6]));
        let own = urls[0]
            .trim_start_matches("http://")
            .trim_end_matches(":80");
        for host in LOOPBACK {
            let came = get(&house, &format!("http://{host}:{port}/")).await;
            match host {
                "127.255.255.254" => assert_eq!(came.code(), "denied"),
                // A mapped address is another text, and nobody granted it.
                "[::ffff:127.0.0.1]" => assert!(came.is_refused(), "{came:?}"),
                "[::1]" | "[0:0:0:0:0:0:0:1]" if !world.v6 => {}
                _ => assert!(
                    came.is_refused() || came.body() == "arrived",
                    "{host}: {came:?}"
                ),
            }
        }
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "017700000001",
            "127.0.0.1.",
        ] {
            assert_eq!(
                get(&house, &format!("http://{host}:{port}/")).await.body(),
                "arrived",
                "{host}"
            );
            let request = witness.requests().pop().expect("a request");
            assert_eq!(request.headers("host"), [own], "{host}");
        }
    });
}

/// Special ranges, each by some of its addresses.
const SPECIAL: [&str; 62] = [
    "127.0.0.1",
    "127.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "255.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "169.254.0.1",
    "169.254.255.255",
    "192.0.0.1",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.254",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "::10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::5db8:d822",
    "64:ff9b:1::a00:1",
    "2002:7f00:1::",
    "2002:5db8:d822::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001::1",
    "2606:2800:0:0:0:5efe:7f00:1",
    "2606:2800:0:0:200:5efe:5db8:d822",
    "fc00::1",
    "fdff:ffff::1",
    "fd00::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "feff::1",
    "100::1",
    "100:0:0:1::1",
    "2001:db8::1",
    "3fff::1",
    "2001:2::1",
    "2001:20::1",
    "2001:10::1",
    "5f00::1",
    "ff02::1",
    "ff0e::1",
    "fe00::1",
];

const METADATA: [&str; 14] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "169.254.0.23",
    "169.254.42.42",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
];

/// A name that means one address after the other.
async fn turned(world: &World, addresses: &[&str], private: &str) -> Vec<(IpAddr, Came, bool)> {
    let witness = world.everywhere(&[80]).await;
    let house = world.house(&rogue("", &[("turn", "http://turn.test", private)]));
    let mut all = Vec::new();
    for ip in ips(addresses) {
        let there = can_be_reached(world, &witness, ip).await;
        let before = witness.connections().await;
        world.names.set("turn.test", &[&ip.to_string()]);
        let came = get(&house, "http://turn.test/").await;
        let arrived = witness.connections().await > before;
        if there && !came.is_refused() {
            assert!(arrived, "{ip}: {came:?}");
        }
        let attempts = house.attempts();
        assert_eq!(attempts.len(), 1, "{ip}");
        if came.is_refused() {
            assert_eq!(attempts[0]["verdict"]["is"], "refused", "{ip}");
        }
        all.push((ip, came, arrived));
    }
    all
}

#[test]
fn n08_n09_n10_n11_n13_a_name_that_means_a_special_address_is_denied() {
    case(async |world| {
        for (ip, came, arrived) in turned(&world, &SPECIAL, "").await {
            assert_eq!(came.code(), "denied", "{ip}: {came:?}");
            assert!(!arrived, "{ip} was reached");
        }
    });
}

/// All that a manifest can open.
const OPENED: &str = r#"private = [
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "192.0.0.0/24",
    "fc00::/7", "fe80::/10", "fec0::/10", "64:ff9b::/96", "2002::/16",
]"#;

/// The networks of [`OPENED`].
fn opened() -> Vec<Network> {
    let quoted = OPENED.split('"').skip(1).step_by(2);
    let network = |text: &str| {
        let (address, prefix) = text.split_once('/').expect("a prefix");
        Network {
            address: address.parse().expect("an address"),
            prefix: prefix.parse().expect("a length"),
        }
    };
    quoted.map(network).collect()
}

/// Without a namespace nobody may really be asked: this is what the dialer would ask.
fn only_judged(addresses: &[IpAddr], private: &[Network]) {
    for ip in addresses {
        assert_eq!(may_dial(*ip, private), Ok(()), "{ip}");
    }
}

#[test]
fn n11_the_manifest_opens_a_range_and_nothing_beside_it() {
    case(async |world| {
        let inside = [
            "10.0.0.1",
            "172.31.255.255",
            "192.168.7.7",
            "100.64.0.1",
            "169.254.1.1",
            "fd00::1",
            "fec0::1",
        ];
        if !world.namespace {
            return only_judged(&ips(&inside), &opened());
        }
        for (ip, came, arrived) in turned(&world, &inside, OPENED).await {
            if ip.is_ipv4() || world.v6 {
                assert_eq!(came.body(), "arrived", "{ip}");
                assert!(arrived, "{ip} was not reached");
            }
        }
    });
}

#[test]
fn n11_a_range_that_is_not_opened_stays_shut_beside_one_that_is() {
    case(async |world| {
        let outside = [
            "127.0.0.1",
            "198.18.0.1",
            "240.0.0.1",
            "::1",
            "2001:db8::1",
            "64:ff9b:1::a00:1",
        ];
        for (ip, came, arrived) in turned(&world, &outside, OPENED).await {
            assert_eq!(came.code(), "denied", "{ip}: {came:?}");
            assert!(!arrived, "{ip} was reached");
        }
    });
}

#[test]
fn n12_a_metadata_service_is_out_of_reach_whatever_is_opened() {
    case(async |world| {
        for (ip, came, arrived) in turned(&world, &METADATA, OPENED).await {
            assert_eq!(came.code(), "denied", "{ip}: {came:?}");
            assert!(!arrived, "{ip} was reached");
        }
        // Nor by another name for it.
        let metadata = Say::Chain(
            vec!["metadata.google.internal".to_owned()],
            ips(&["169.254.169.254"]),
        );
        world.names.script("alias.test", vec![metadata]);
        let house = world.house(&rogue("", &[("up", "http://alias.test", OPENED)]));
        assert_eq!(get(&house, "http://alias.test/").await.code(), "denied");
    });
}

/// Just outside the ranges, and ordinary ones.
const EDGES: [&str; 24] = [
    "100.63.255.255",
    "100.128.0.1",
    "198.20.0.1",
    "198.17.255.255",
    "223.255.255.255",
    "9.255.255.255",
    "11.0.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "1.0.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "2400::1",
    "2001:200::1",
    "2003::1",
    "2606:2800:220:1::1",
    "2a00:1450::1",
];

#[test]
fn n14_just_outside_the_ranges_is_the_public_internet() {
    case(async |world| {
        if !world.namespace {
            return only_judged(&ips(&EDGES), &[]);
        }
        for (ip, came, arrived) in turned(&world, &EDGES, "").await {
            if ip.is_ipv4() || world.v6 {
                assert_eq!(came.body(), "arrived", "{ip}");
                assert!(arrived, "{ip} was not reached");
            }
        }
    });
}
