//! Ranges by their edges, and what no grant opens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn network(text: &str) -> Network {
    let (address, prefix) = text.split_once('/').unwrap();
    Network {
        address: ip(address),
        prefix: prefix.parse().unwrap(),
    }
}

/// Its class, first and last address, and the neighbours that are in no range.
type Range = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
);

/// Every range by its first and last address, and the two neighbours that are outside of it.
#[test]
fn n11_n13_n14_ranges_begin_and_end_where_the_registries_say() {
    let table: &[Range] = &[
        (
            "unspecified",
            "0.0.0.0",
            "0.255.255.255",
            None,
            Some("1.0.0.0"),
        ),
        (
            "private",
            "10.0.0.0",
            "10.255.255.255",
            Some("9.255.255.255"),
            Some("11.0.0.0"),
        ),
        (
            "cgnat",
            "100.64.0.0",
            "100.127.255.255",
            Some("100.63.255.255"),
            Some("100.128.0.0"),
        ),
        (
            "loopback",
            "127.0.0.0",
            "127.255.255.255",
            Some("126.255.255.255"),
            Some("128.0.0.0"),
        ),
        (
            "link-local",
            "169.254.0.0",
            "169.254.255.255",
            Some("169.253.255.255"),
            Some("169.255.0.0"),
        ),
        (
            "private",
            "172.16.0.0",
            "172.31.255.255",
            Some("172.15.255.255"),
            Some("172.32.0.0"),
        ),
        (
            "protocol",
            "192.0.0.0",
            "192.0.0.255",
            Some("191.255.255.255"),
            Some("192.0.1.0"),
        ),
        (
            "documentation",
            "192.0.2.0",
            "192.0.2.255",
            Some("192.0.1.255"),
            Some("192.0.3.0"),
        ),
        (
            "6to4",
            "192.88.99.0",
            "192.88.99.255",
            Some("192.88.98.255"),
            Some("192.88.100.0"),
        ),
        (
            "private",
            "192.168.0.0",
            "192.168.255.255",
            Some("192.167.255.255"),
            Some("192.169.0.0"),
        ),
        (
            "benchmarking",
            "198.18.0.0",
            "198.19.255.255",
            Some("198.17.255.255"),
            Some("198.20.0.0"),
        ),
        (
            "documentation",
            "198.51.100.0",
            "198.51.100.255",
            Some("198.51.99.255"),
            Some("198.51.101.0"),
        ),
        (
            "documentation",
            "203.0.113.0",
            "203.0.113.255",
            Some("203.0.112.255"),
            Some("203.0.114.0"),
        ),
        (
            "multicast",
            "224.0.0.0",
            "239.255.255.255",
            Some("223.255.255.255"),
            None,
        ),
        ("reserved", "240.0.0.0", "255.255.255.254", None, None),
        (
            "broadcast",
            "255.255.255.255",
            "255.255.255.255",
            None,
            None,
        ),
        ("unspecified", "::", "::", None, None),
        ("loopback", "::1", "::1", None, None),
        ("v4-compatible", "::2", "::ffff:ffff", None, Some("::1:0:0")),
        (
            "v4-translated",
            "::ffff:0:0:0",
            "::ffff:0:ffff:ffff",
            Some("::fffe:ffff:ffff:ffff"),
            Some("::ffff:1:0:0"),
        ),
        (
            "nat64",
            "64:ff9b::",
            "64:ff9b::ffff:ffff",
            Some("64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff"),
            Some("64:ff9b::1:0:0"),
        ),
        (
            "nat64",
            "64:ff9b:1::",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            Some("64:ff9b:0:ffff::"),
            Some("64:ff9b:2::"),
        ),
        (
            "discard",
            "100::",
            "100::ffff:ffff:ffff:ffff",
            Some("ff:ffff::"),
            None,
        ),
        (
            "discard",
            "100:0:0:1::",
            "100:0:0:1:ffff:ffff:ffff:ffff",
            None,
            Some("100:0:0:2::"),
        ),
        (
            "teredo",
            "2001::",
            "2001:0:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("2000:ffff::"),
            None,
        ),
        (
            "benchmarking",
            "2001:2::",
            "2001:2:0:ffff:ffff:ffff:ffff:ffff",
            None,
            None,
        ),
        (
            "protocol",
            "2001:20::",
            "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff",
            None,
            None,
        ),
        (
            "protocol",
            "2001:1::",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            None,
            Some("2001:200::"),
        ),
        (
            "documentation",
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("2001:db7:ffff::"),
            Some("2001:db9::"),
        ),
        (
            "6to4",
            "2002::",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("2001:ffff::"),
            Some("2003::"),
        ),
        (
            "documentation",
            "3fff::",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("3ffe:ffff::"),
            Some("3fff:1000::"),
        ),
        (
            "segment-routing",
            "5f00::",
            "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("5eff:ffff::"),
            Some("5f01::"),
        ),
        (
            "private",
            "fc00::",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            Some("fbff:ffff::"),
            None,
        ),
        (
            "link-local",
            "fe80::",
            "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            None,
            None,
        ),
        (
            "private",
            "fec0::",
            "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            None,
            None,
        ),
        (
            "multicast",
            "ff00::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            None,
            None,
        ),
    ];
    for (class, first, last, before, after) in table {
        for inside in [first, last] {
            let found = classify(ip(inside)).map(Class::as_str);
            assert_eq!(found, Some(*class), "{inside}");
            assert!(!is_public(ip(inside)), "{inside}");
        }
        for outside in [before, after].into_iter().flatten() {
            let found = classify(ip(outside)).map(Class::as_str);
            assert_ne!(found, Some(*class), "{outside}");
        }
    }
}

/// Whatever is not known to be public is not: from the edges of what IANA has given out, and beyond.
#[test]
fn n83_space_that_belongs_to_nobody_is_not_public() {
    for nobodys in [
        "::1:0:0",
        "64:ff9b:2::1",
        "64:ff9c::1",
        "100:0:0:2::1",
        "200::1",
        "201:abcd::1",
        "400::1",
        "1::1",
        "1fff:ffff::1",
        "2000::1",
        "2003:4000::1",
        "23ff:ffff::1",
        "2420::1",
        "25ff::1",
        "2610:200::1",
        "2620:200::1",
        "2640::1",
        "2810::1",
        "2a20::1",
        "2c10::1",
        "2d00::1",
        "2e00::1",
        "3000::1",
        "3ffe::1",
        "3fff:1000::1",
        "4000::1",
        "5f01::1",
        "8000::1",
        "e000::1",
        "fbff:ffff::1",
    ] {
        assert_eq!(classify(ip(nobodys)), Some(Class::Reserved), "{nobodys}");
        let covered = may_dial(ip(nobodys), &[network(&format!("{nobodys}/128"))]);
        assert_eq!(covered, Ok(()), "an operator may know better: {nobodys}");
    }
    for given_out in [
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003:3fff:ffff::1",
        "2400::1",
        "241f:ffff::1",
        "2600::1",
        "2610:1ff:ffff::1",
        "2620:1ff:ffff::1",
        "263f:ffff::1",
        "280f:ffff::1",
        "2a1f:ffff::1",
        "2c0f:ffff::1",
    ] {
        assert_eq!(classify(ip(given_out)), None, "{given_out}");
    }
    // All that is v4 is given out or has a class of its own.
    for first in 1..=223_u8 {
        let at = IpAddr::from([first, 1, 1, 1]);
        assert_eq!(is_public(at), !matches!(first, 10 | 127), "{at}");
    }
    for first in 224..=255_u8 {
        assert!(!is_public(IpAddr::from([first, 1, 1, 1])), "{first}");
    }
}

#[test]
fn ordinary_addresses_are_public() {
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "140.82.121.6",
        "100.63.255.255",
        "100.128.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "192.31.196.1",
        "2620:4f:8000::1",
    ] {
        assert!(
            is_public(ip(public)),
            "{public}: {:?}",
            classify(ip(public))
        );
        assert_eq!(may_dial(ip(public), &[]), Ok(()));
    }
}

#[test]
fn a_mapped_address_is_judged_as_the_one_inside() {
    for (mapped, class) in [
        ("::ffff:127.0.0.1", Class::Loopback),
        ("::ffff:7f00:1", Class::Loopback),
        ("::ffff:10.0.0.1", Class::Private),
        ("::ffff:a9fe:a9fe", Class::Metadata),
        ("::ffff:0.0.0.0", Class::Unspecified),
    ] {
        assert_eq!(classify(ip(mapped)), Some(class), "{mapped}");
    }
    let loopback = [network("127.0.0.0/8")];
    assert_eq!(may_dial(ip("::ffff:127.0.0.1"), &loopback), Ok(()));
}

#[test]
fn n08_n09_n10_addresses_that_carry_another_are_denied_by_their_wrapping() {
    for (wrapped, class) in [
        ("64:ff9b::808:808", Class::Nat64),
        ("64:ff9b::7f00:1", Class::Nat64),
        ("64:ff9b:1::a00:1", Class::Nat64),
        ("2002:808:808::1", Class::SixToFour),
        ("2002:7f00:1::", Class::SixToFour),
        ("2001:0:808:808::1", Class::Teredo),
        ("::127.0.0.1", Class::V4Compatible),
        ("::ffff:0:7f00:1", Class::V4Translated),
        ("2606:4700::5efe:7f00:1", Class::Isatap),
        ("2606:4700::200:5efe:808:808", Class::Isatap),
        ("fe80::5efe:c0a8:1", Class::Isatap),
    ] {
        assert_eq!(classify(ip(wrapped)), Some(class), "{wrapped}");
    }
}

#[test]
fn n12_a_metadata_service_is_out_of_reach_of_every_range() {
    let everything = [network("0.0.0.0/0"), network("::/0")];
    for service in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "169.254.0.23",
        "169.254.42.42",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
        "fe80::a9fe:a9fe",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2002:a9fe:a9fe::1",
        "2001:0:808:808::5601:5601",
        "::a9fe:a9fe",
        "::ffff:0:a9fe:a9fe",
        "2606:4700::5efe:a9fe:a9fe",
    ] {
        let exact = Network {
            address: ip(service),
            prefix: if ip(service).is_ipv4() { 32 } else { 128 },
        };
        assert_eq!(
            may_dial(ip(service), &everything),
            Err(Class::Metadata),
            "{service}"
        );
        assert_eq!(
            may_dial(ip(service), &[exact]),
            Err(Class::Metadata),
            "{service}"
        );
    }
    assert!(is_metadata_name("metadata.google.internal"));
    assert!(!is_metadata_name("metadata.example.com"));
}

#[test]
fn what_has_no_peer_cannot_be_granted() {
    let everything = [network("0.0.0.0/0"), network("::/0")];
    for (address, class) in [
        ("0.0.0.0", Class::Unspecified),
        ("::", Class::Unspecified),
        ("224.0.0.1", Class::Multicast),
        ("ff02::1", Class::Multicast),
        ("255.255.255.255", Class::Broadcast),
    ] {
        assert_eq!(may_dial(ip(address), &everything), Err(class), "{address}");
    }
}

#[test]
fn a_private_range_opens_exactly_itself() {
    let private = [network("10.1.0.0/16"), network("fd12::/16")];
    for (address, expected) in [
        ("10.1.0.0", Ok(())),
        ("10.1.255.255", Ok(())),
        ("10.0.255.255", Err(Class::Private)),
        ("10.2.0.0", Err(Class::Private)),
        ("127.0.0.1", Err(Class::Loopback)),
        ("fd12::1", Ok(())),
        ("fd13::1", Err(Class::Private)),
    ] {
        assert_eq!(may_dial(ip(address), &private), expected, "{address}");
    }
}

#[test]
fn a_range_knows_its_edges() {
    assert!(network("0.0.0.0/0").contains(ip("255.255.255.255")));
    assert!(network("::/0").contains(ip("ffff::")));
    assert!(!network("0.0.0.0/0").contains(ip("::1")));
    assert!(network("192.168.1.7/32").contains(ip("192.168.1.7")));
    assert!(!network("192.168.1.7/32").contains(ip("192.168.1.6")));
    assert!(
        network("192.168.1.7/24").contains(ip("192.168.1.200")),
        "host bits are ignored"
    );
    assert!(
        !network("10.0.0.0/33").contains(ip("10.0.0.0")),
        "no such range"
    );
    assert!(!network("::/129").contains(ip("::")), "no such range");
}
