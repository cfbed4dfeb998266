//! What a tool asks for, in every spelling: only what a grant names is reached, whatever a parser
//! somewhere might make of the text.

use serde_json::json;

use crate::harness::House;
use crate::network::peer::Peer;
use crate::network::space::case;
use crate::network::world::{Came, World, get, open, rogue, wasi};

/// A house with one grant for a name, an upstream at the grant's own port and others, and nothing
/// that answers there by mistake.
async fn world_of(world: &World, scheme: &str) -> (House, Peer, String) {
    let witness = world.everywhere(&[80, 443, 8080, 21]).await;
    world.names.set("up.test", &[&world.address().to_string()]);
    world
        .names
        .set("evil.test", &[&world.address().to_string()]);
    let port = if world.namespace {
        8080
    } else {
        witness.address.port()
    };
    let url = format!("{scheme}://up.test:{port}");
    let house = world.house(&rogue("", &[("up", &url, &open(world, ""))]));
    (house, witness, url)
}

/// Says that none of these goes out, by either interface.
async fn refused(house: &House, witness: &Peer, urls: &[String]) {
    for url in urls {
        for came in [get(house, url).await, wasi(house, url, json!({})).await] {
            assert!(came.is_refused(), "{url:?}: {came:?}");
        }
        assert_eq!(witness.connections().await, 0, "{url:?} went out");
    }
}

/// Says that the grant is good for what it names, so that a refusal means something.
async fn reached(house: &House, witness: &Peer, urls: &[String]) {
    for url in urls {
        let before = witness.requests().len();
        let came = get(house, url).await;
        assert_eq!(came.body(), "arrived", "{url:?}");
        assert_eq!(witness.requests().len(), before + 1, "{url:?}");
    }
}

#[test]
fn n01_n19_only_the_host_that_is_granted_is_reached() {
    case(async |world| {
        let (house, witness, url) = world_of(&world, "http").await;
        let hosts = [
            "evil.test",
            "evilup.test",
            "up.test.evil.test",
            "x.up.test",
            "a.b.up.test",
            "test",
            "up.tes",
            "p.test",
            "*.test",
            "*.up.test",
            "*",
            "93.184.216.34",
        ];
        for name in hosts {
            world.names.set(name, &[&world.address().to_string()]);
        }
        let urls: Vec<String> = hosts
            .iter()
            .map(|host| url.replace("up.test", host))
            .collect();
        refused(&house, &witness, &urls).await;
        reached(
            &house,
            &witness,
            &[format!("{url}/a"), url.replace("up.test", "UP.Test")],
        )
        .await;
    });
}

#[test]
fn n02_no_other_scheme_is_spoken() {
    case(async |world| {
        for scheme in ["https", "http"] {
            let (house, witness, url) = world_of(&world, scheme).await;
            let (_, rest) = url.split_once("://").expect("a scheme");
            let other = if scheme == "http" { "https" } else { "http" };
            let urls: Vec<String> = [
                other,
                "ftp",
                "file",
                "gopher",
                "data",
                "ws",
                "wss",
                "unix",
                "http+unix",
                "javascript",
                "",
                "h ttp",
            ]
            .iter()
            .map(|scheme| format!("{scheme}://{rest}/"))
            .chain(["file:///etc/passwd".into(), "data:text/plain,a".into()])
            .chain([
                format!("//{rest}/"),
                format!("{rest}/"),
                format!("{scheme}:{rest}/"),
            ])
            .collect();
            // `wasi:http` has a scheme of its own for each of them, so the bare forms are not its.
            for url in &urls {
                let came = get(&house, url).await;
                assert!(came.is_refused(), "{url:?}: {came:?}");
                if url.contains("://") {
                    let came = wasi(&house, url, json!({})).await;
                    assert!(matches!(came, Came::Refused(..)), "{url:?}: {came:?}");
                }
            }
            assert_eq!(witness.connections().await, 0, "something went out");
        }
    });
}

#[test]
fn n03_no_other_port_is_reached() {
    case(async |world| {
        let (house, witness, url) = world_of(&world, "http").await;
        let (host, port) = url.rsplit_once(':').expect("a port");
        let urls: Vec<String> = [
            "80",
            "443",
            "21",
            "0",
            "65536",
            "99999999999",
            "",
            "-1",
            "http",
        ]
        .iter()
        .map(|port| format!("{host}:{port}/"))
        .chain([
            format!("{host}:+{port}/"),
            format!("{host}/"),
            format!("{host}: {port}/"),
        ])
        .chain([format!("{host}:{port}:80/"), format!("{host}:80:{port}/")])
        .collect();
        refused(&house, &witness, &urls).await;
        // The same number in another spelling is the same port.
        reached(&house, &witness, &[format!("{host}:0{port}/a")]).await;
    });
}

#[test]
fn n15_n70_nothing_in_a_url_moves_the_host() {
    case(async |world| {
        let (house, witness, url) = world_of(&world, "http").await;
        let (_, up) = url.split_once("://").expect("a scheme");
        let evil = up.replace("up.test", "evil.test");
        let urls: Vec<String> = [
            format!("{up}@{evil}"),
            format!("up.test@{evil}"),
            format!("up.test:80@{evil}"),
            format!("{evil}@{up}"),
            format!("user:password@{up}"),
            format!("@{up}"),
            format!(":@{up}"),
            format!("{evil}\\@{up}"),
            format!("{up}\\@{evil}"),
            format!("{up}\\{evil}"),
            format!("{up}#@{evil}"),
            format!("{up}#"),
            format!("{evil}#{up}"),
            format!("{evil}?{up}"),
            format!("{evil}/{up}"),
            format!("{up}%2f@{evil}"),
            format!("{up}\t.{evil}"),
            format!("{up}\r\nHost: evil.test"),
            format!("{up}\0"),
            format!(" {up}"),
            format!("{up} "),
            format!("/{up}"),
            format!("\\{up}"),
        ]
        .iter()
        .map(|rest| format!("http://{rest}/"))
        .collect();
        refused(&house, &witness, &urls).await;
        // Behind the host's end these are the path's and the query's own characters.
        for (path, target) in [
            ("?@evil.test", "/?@evil.test"),
            ("/a@evil.test", "/a@evil.test"),
            ("/a:80@evil.test/", "/a:80@evil.test/"),
            ("/a?http://evil.test/", "/a?http://evil.test/"),
        ] {
            let came = get(&house, &format!("{url}{path}")).await;
            assert_eq!(came.body(), "arrived", "{path}");
            let request = witness.requests().pop().expect("a request");
            assert_eq!(
                (request.target(), request.headers("host")),
                (target, vec![up])
            );
        }
    });
}

#[test]
fn n16_n17_n18_a_name_is_judged_in_its_one_form() {
    case(async |world| {
        let (house, witness, url) = world_of(&world, "http").await;
        let like = |host: &str| url.replace("up.test", host) + "/";
        for name in ["xn--p-0vb.test", "xn--up-0ea.test", "xn--u-2tc.test"] {
            world.names.set(name, &[&world.address().to_string()]);
        }
        let urls: Vec<String> = [
            // Cyrillic and Greek twins, by letter and as punycode; names with a joiner in them.
            "u\u{440}.test",
            "\u{3c5}p.test",
            "xn--p-0vb.test",
            "xn--u-2tc.test",
            "u\u{200d}p.test",
            "u\u{200c}p.test",
            "xn--a.test",
            "xn--.test",
            "u\u{fe0f}p.te\u{301}st",
            // Dots where there is nothing between them.
            "up.test..",
            ".up.test",
            "up..test",
            ".",
            "..",
            "up.test.\u{3002}",
            // Escapes of what is no part of a name.
            "up%00.test",
            "up%2ftest",
            "up%25.test",
            "up%0d%0a.test",
        ]
        .iter()
        .map(|host| like(host))
        .collect();
        refused(&house, &witness, &urls).await;
        // Each of these is `up.test` to everybody who can read it, and is sent as that.
        let up = url.trim_start_matches("http://");
        for host in [
            "up.test.",
            "up\u{3002}test",
            "\u{ff55}\u{ff50}.\u{ff54}est",
            "u%70.test",
            "%75p.test",
            "u\u{ad}p.test",
            "\u{24e4}p.test",
            "UP.TEST",
        ] {
            let came = get(&house, &like(host)).await;
            let requests = witness.requests();
            match requests.last() {
                Some(last) if !came.is_refused() => {
                    assert_eq!(came.body(), "arrived", "{host}");
                    assert_eq!(last.headers("host"), [up], "{host}");
                }
                _ => assert!(came.is_refused(), "{host}: {came:?}"),
            }
        }
        reached(&house, &witness, &[like("up.test.")]).await;
    });
}

#[test]
fn n20_n21_what_is_no_host_or_too_long_is_refused() {
    case(async |world| {
        let (house, witness, url) = world_of(&world, "http").await;
        let like = |host: &str| url.replace("up.test", host) + "/";
        let long = |label: usize, times: usize| vec!["a".repeat(label); times].join(".");
        let urls = [
            like(""),
            like("_"),
            like("_up.test"),
            like("u_p.test"),
            like(&long(63, 4)),
            like(&format!("{}.test", "a".repeat(64))),
            like(&format!("{}.test", "a".repeat(1000))),
            like("[::1"),
            like("::1"),
            like("[]"),
            like("[up.test]"),
            like("[127.0.0.1]"),
            like("[fe80::1%25lo]"),
            like("[fe80::1%lo]"),
            format!("{url}/{}", "a".repeat(9 << 10)),
            format!("{url}/?{}", "a".repeat(9 << 10)),
        ];
        refused(&house, &witness, &urls).await;
        for url in [
            format!("{url}/{}", "a".repeat(1 << 20)),
            format!("{url}/?{}", "a=1&".repeat(1 << 18)),
            like(&"a.".repeat(1 << 19)),
            format!("http://{}@up.test/", "a".repeat(1 << 20)),
        ] {
            let came = get(&house, &url).await;
            assert_eq!(came.code(), "too-large");
        }
        assert_eq!(witness.connections().await, 0, "something went out");
        reached(
            &house,
            &witness,
            &[format!("{url}/{}", "a".repeat(7 << 10))],
        )
        .await;
    });
}

#[test]
fn n22_a_path_with_query_names_no_other_host() {
    case(async |world| {
        let (house, witness, url) = world_of(&world, "http").await;
        let authority = url.trim_start_matches("http://");
        let evil = authority.replace("up.test", "evil.test");
        for path in [
            format!("http://{evil}/"),
            format!("//{evil}/"),
            format!("@{evil}/"),
            "*".into(),
            "x".into(),
            format!("\\\\{evil}/"),
            format!(":80@{evil}/"),
            ".evil.test/".into(),
            "#/".into(),
            "/a b".into(),
            "/a\r\nHost: evil.test".into(),
            "/a HTTP/1.1\r\n".into(),
            "/\0".into(),
        ] {
            let parts = json!({ "path": path });
            let came = wasi(&house, &url, parts).await;
            assert!(came.is_refused(), "{path:?}: {came:?}");
        }
        for authority in [
            format!("{authority}@{evil}"),
            format!("{evil}/?{authority}"),
            format!("{authority}/"),
            "up.test".into(),
            String::new(),
            format!("{authority}:"),
            format!("{evil}#{authority}"),
        ] {
            let parts = json!({ "authority": authority, "path": "/" });
            let came = wasi(&house, &url, parts).await;
            assert!(came.is_refused(), "{authority:?}: {came:?}");
        }
        assert_eq!(witness.connections().await, 0, "something went out");
        // The type itself cuts a fragment off, so nobody judges and nobody sends it.
        for (path, target) in [("/a?b", "/a?b"), ("/a#/../b", "/a"), ("/a?b#c", "/a?b")] {
            let came = wasi(&house, &url, json!({ "path": path })).await;
            assert_eq!(came.body(), "arrived");
            assert_eq!(
                witness
                    .requests()
                    .pop()
                    .map(|last| last.target().to_owned())
                    .as_deref(),
                Some(target)
            );
        }
        for path in ["/a#b", "/#", "#"] {
            assert_eq!(get(&house, &format!("{url}{path}")).await.code(), "invalid");
        }
    });
}

/// What some server on the other side decodes a second time, or folds into something else.
#[test]
fn n80_n81_what_another_server_could_read_as_something_else_is_refused() {
    case(async |world| {
        let (house, witness, url) = world_of(&world, "http").await;
        let asks = [
            "/repos/acme/%25%32%65%25%32%65",
            "/repos/acme/%252e%252e",
            "/repos/acme/x%25%32%66..%25%32%66secret",
            "/repos/acme/%25%35%63",
            "/repos/acme/%25%33%62",
            "/repos/acme/..%20",
            "/repos/acme/.%20.",
            "/repos/acme/%ef%bc%8e%ef%bc%8e",
            "/repos/acme/..%ef%bc%8fx",
            "/q?.method=DELETE",
            "/q?%255fmethod=DELETE",
            "/q?a=%00",
        ]
        .map(|ask| format!("{url}{ask}"));
        refused(&house, &witness, &asks).await;
        let good = ["/repos/acme/100%25", "/repos/acme/...", "/q?method=a&b=%25"];
        reached(&house, &witness, &good.map(|ask| format!("{url}{ask}"))).await;
    });
}
