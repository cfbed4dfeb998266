//! Credentials on their way: to their own destination, and back to nobody.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::harness::House;
use crate::network::peer::{Peer, Step};
use crate::network::space::case;
use crate::network::world::{Came, World, came, get, rogue, send, wasi};

/// A credential that looks different in each encoding.
const SECRET: &str = r#"s3cr3t/"+key&more"#;

/// The rogue with a credential for an upstream on the inside, and another grant there without one.
fn house_of(world: &World, peer: &Peer, other: &Peer, auth: &str) -> House {
    let private = world.inside().1;
    let with = format!("{private}\nauth = {auth}");
    let grants = [
        ("with", peer.url(""), with.as_str()),
        ("without", other.url(""), private),
    ];
    let grants: Vec<(&str, &str, &str)> = grants
        .iter()
        .map(|(name, url, more)| (*name, url.as_str(), *more))
        .collect();
    let text = format!("[secret.key]\nenv = \"KEY\"\n{}", rogue("", &grants));
    House::at(world.site().secret("key", SECRET), &text)
}

/// As most encoders write it in a URL.
fn percent() -> String {
    let encoded = SECRET.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// What no text that a guest reads may hold: the middle of the credential, in each of its forms.
fn traces() -> Vec<String> {
    let percent = percent();
    let json = json!(SECRET).to_string();
    let mut traces = vec!["s3cr3t".to_owned(), "+key".to_owned(), percent, json];
    for shift in ["", "a", "ab"] {
        let code = STANDARD.encode(format!("{shift}{SECRET}"));
        traces.push(code[8..code.len() - 8].to_owned());
    }
    traces
}

fn assert_clean(text: &str) {
    for trace in traces() {
        assert!(!text.contains(&trace), "{trace} in {text}");
    }
}

/// Each form. One answer has one of them: a call in which many are taken out is ended.
fn echoes() -> [String; 6] {
    let percent = percent();
    [
        SECRET.to_owned(),
        percent,
        json!(SECRET).to_string(),
        STANDARD.encode(SECRET),
        STANDARD.encode(format!("a{SECRET}")),
        STANDARD.encode(format!("ab{SECRET}")),
    ]
}

/// An answer in chunks of a size.
fn in_chunks(body: &str, size: usize) -> Vec<Step> {
    let mut steps = vec![Step::say(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    )];
    for piece in body.as_bytes().chunks(size) {
        let head = format!("{:x}\r\n", piece.len());
        steps.push(Step::Send([head.as_bytes(), piece, b"\r\n"].concat()));
    }
    steps.push(Step::say("0\r\n\r\n"));
    steps
}

#[test]
fn n60_n71_an_echo_in_pieces_of_any_size_is_scrubbed_before_it_is_read() {
    case(async |world| {
        let peer = world
            .inner(|request| {
                let target = request.target().trim_start_matches('/').to_owned();
                let (size, form) = target.split_once('/').expect("a size and a form");
                let form = form.parse::<usize>().expect("a number");
                let echo = format!("line\n{}\nline", echoes()[form]);
                match size.parse() {
                    Ok(size) => in_chunks(&echo, size),
                    Err(_) => vec![Step::response(
                        "200 OK",
                        &format!("x-echo: {SECRET}\r\n"),
                        echo,
                    )],
                }
            })
            .await;
        let other = world.inner(|_| vec![Step::ok("arrived")]).await;
        let house = house_of(&world, &peer, &other, r#"{ bearer = "key" }"#);
        for size in [1, 2, 3, 5, 7, 11, 16, 31, 64, 1000] {
            for form in 0..echoes().len() {
                let url = peer.url(&format!("/{size}/{form}"));
                for came in [get(&house, &url).await, wasi(&house, &url, json!({})).await] {
                    assert!(came.body().contains("[redacted]"), "{came:?}");
                    assert_clean(came.body());
                }
            }
        }
        let url = peer.url("/whole/1");
        for came in [get(&house, &url).await, wasi(&house, &url, json!({})).await] {
            assert_clean(&came.answer().to_string());
        }
        // What a guest has read it may send on: there is nothing left in it.
        for target in ["/1/0", "/7/3", "/whole/2"] {
            let relay = json!({ "from": peer.url(target), "to": other.url("/a") });
            let end = house.call("rogue_relay", relay).await;
            assert_eq!(came(&end).body(), "arrived");
            let sent = other.requests().pop().expect("a request");
            assert_clean(&sent.head);
            assert_clean(&String::from_utf8_lossy(&sent.body));
        }
        assert!(
            peer.requests()
                .iter()
                .all(|request| request.headers("authorization").len() == 1)
        );
    });
}

#[test]
fn n61_a_credential_goes_to_its_own_place_and_no_other() {
    case(async |world| {
        let peer = world.inner(|_| vec![Step::ok("arrived")]).await;
        let other = world.inner(|_| vec![Step::ok("arrived")]).await;
        for auth in [
            r#"{ bearer = "key" }"#,
            r#"{ basic = { user = "me", secret = "key" } }"#,
            r#"{ header = { name = "x-api-key", secret = "key" } }"#,
            r#"{ query = { name = "api_key", secret = "key" } }"#,
        ] {
            let house = house_of(&world, &peer, &other, auth);
            assert_eq!(get(&house, &peer.url("/a")).await.body(), "arrived");
            assert_eq!(get(&house, &other.url("/a")).await.body(), "arrived");
            let own = peer.requests().pop().expect("a request");
            let foreign = other.requests().pop().expect("a request");
            let carries = |head: &str| {
                let head = head.to_lowercase();
                head.contains("s3cr3t") || head.contains("authorization")
            };
            assert!(carries(&own.head), "{auth}: {own:?}");
            assert!(!carries(&foreign.head), "{auth}: {foreign:?}");
        }
    });
}

#[test]
fn n63_no_error_quotes_what_was_sent() {
    case(async |world| {
        let peer = world
            .inner(|request| match request.target().split('?').next() {
                Some("/garbage") => vec![Step::say(format!("{SECRET}\r\n\r\n")), Step::Close],
                Some("/closed") => vec![Step::Close],
                Some("/long") => vec![Step::say(
                    "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
                )],
                _ => vec![Step::Hold],
            })
            .await;
        let other = world.inner(|_| vec![Step::ok("arrived")]).await;
        let house = house_of(
            &world,
            &peer,
            &other,
            r#"{ query = { name = "api_key", secret = "key" } }"#,
        );
        for target in ["/garbage", "/closed", "/long", "/silent"] {
            let url = peer.url(&format!("{target}?q=private"));
            let came = send(&house, "GET", &url, json!({ "timeout_ms": 300 })).await;
            let Came::Refused(_, say) = &came else {
                panic!("{came:?}")
            };
            let sent = peer.requests().pop().expect("a request");
            assert!(
                sent.target().contains("api_key=s3cr3t"),
                "it was not sent: {sent:?}"
            );
            let written = format!("{say} {:?}", house.attempts());
            assert_clean(&written);
            assert!(
                !written.contains("api_key") && !written.contains("private"),
                "{written}"
            );
        }
        let gone = {
            let listener = tokio::net::TcpListener::bind((world.inside().0, 0)).await;
            listener.expect("a port").local_addr().expect("an address")
        };
        let gone = format!("http://{gone}");
        let auth = format!(
            "{}\nauth = {{ query = {{ name = \"api_key\", secret = \"key\" }} }}",
            world.inside().1
        );
        let text = format!(
            "[secret.key]\nenv = \"KEY\"\n{}",
            rogue("", &[("gone", &gone, &auth)])
        );
        let house = House::at(world.site().secret("key", SECRET), &text);
        let came = get(&house, &format!("{gone}/a?q=private")).await;
        assert_eq!(came.code(), "unreachable");
        let written = format!("{came:?} {:?}", house.attempts());
        assert_clean(&written);
        assert!(!written.contains("private"), "{written}");
    });
}
