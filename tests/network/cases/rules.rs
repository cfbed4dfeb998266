//! Rules about query and body: what they do not list does not go out, however it is written.

use serde_json::{Value, json};

use crate::harness::House;
use crate::network::peer::{Peer, Step};
use crate::network::space::case;
use crate::network::world::{World, get, open, rogue, send, wasi};

const ALLOW: &str = r#"allow = [
    { rule = "GET /search", query.q = { required = true }, query.sort = { one_of = ["new", "old"] } },
    { rule = "POST /email", body.to = { required = true, pattern = '[a-z]+@example\.test' }, body.text = {}, body.urgent = { one_of = [false] }, body."/meta/id" = { one_of = [1] } },
]"#;

async fn house_of(world: &World) -> (House, Peer) {
    let peer = world.peer(|_| vec![Step::ok("arrived")]).await;
    let more = open(world, ALLOW);
    let house = world.house(&rogue("", &[("up", &peer.url(""), &more)]));
    (house, peer)
}

#[test]
fn n66_a_query_says_what_its_rule_lists_in_one_reading() {
    case(async |world| {
        let (house, peer) = house_of(&world).await;
        for query in [
            "",
            "?",
            "?sort=new",
            "?q=a&q=b",
            "?q=a&Q=b",
            "?q=a&%71=b",
            "?q=a;sort=evil",
            "?q=a;b=c",
            "?q=a&b=c",
            "?q=a&",
            "?&q=a",
            "?q=a&&sort=new",
            "?q=a&=b",
            "?q=a&b",
            "?q[]=a",
            "?q=a&q[]=b",
            "?q=a&q%5B%5D=b",
            "?q=a&sort=evil",
            "?q=a&sort=new&sort=old",
            "?q=a&sort[]=new",
            "?q=a&sort=new%00",
            "?q=a&sort=+new",
            "?q=a&sort=NEW",
            "?q=a&s%6frt=evil",
            "?q=a&sort%20=new",
            "?q=a+b",
            "?q=a%26b=c&b=c",
            "?q=%",
            "?q=%zz",
            "?q=%ff",
            "?q=a&_method=DELETE",
            "?q=a#&sort=evil",
        ] {
            let url = peer.url(&format!("/search{query}"));
            let came = get(&house, &url).await;
            assert!(came.is_refused(), "{query}: {came:?}");
            if !query.contains('#') {
                let came = wasi(&house, &url, json!({})).await;
                assert!(came.is_refused(), "{query}: {came:?}");
            }
        }
        // A body where the rule has none.
        let came = wasi(&house, &peer.url("/search?q=a"), json!({ "body": "{}" })).await;
        assert!(came.is_refused(), "{came:?}");
        assert_eq!(peer.connections().await, 0, "something went out");
        for query in ["?q=a", "?q=a%20b&sort=new", "?sort=old&q=%26b%3Dc", "?q="] {
            let target = format!("/search{query}");
            assert_eq!(
                get(&house, &peer.url(&target)).await.body(),
                "arrived",
                "{query}"
            );
            assert_eq!(
                wasi(&house, &peer.url(&target), json!({})).await.body(),
                "arrived",
                "{query}"
            );
            assert_eq!(peer.requests().pop().expect("a request").target(), target);
        }
    });
}

/// Sends a body by both interfaces; it is refused by both, or arrives as it is.
async fn emails(
    house: &House,
    peer: &Peer,
    kind: &str,
    body: &str,
    headers: &[[&str; 2]],
    allowed: bool,
) {
    let mut all = vec![["content-type", kind]];
    all.extend(headers);
    let more = json!({ "method": "POST", "body": body, "headers": all });
    let url = peer.url("/email");
    for came in [
        send(house, "POST", &url, more.clone()).await,
        wasi(house, &url, more).await,
    ] {
        if allowed {
            assert_eq!(came.body(), "arrived", "{kind} {body}: {came:?}");
            let sent = peer.requests().pop().expect("a request");
            assert_eq!(sent.body, body.as_bytes(), "not what was judged");
        } else {
            assert!(came.is_refused(), "{kind} {body}: {came:?}");
        }
    }
}

const HONEST: &str = r#"{"to":"ada@example.test","text":"hello"}"#;

#[test]
fn n67_a_body_says_what_its_rule_lists_in_one_reading() {
    case(async |world| {
        let (house, peer) = house_of(&world).await;
        for body in [
            r#"{"to":"ada@example.test","bcc":"eve@evil.test"}"#,
            r#"{"to":"ada@example.test","to":"eve@evil.test"}"#,
            r#"{"to":"eve@evil.test","to":"ada@example.test"}"#,
            r#"{"to":"ada@example.test","\u0074o":"eve@evil.test"}"#,
            r#"{"\u0074\u006f":"eve@evil.test"}"#,
            r#"{"to":"ada@example.test","To":"eve@evil.test"}"#,
            r#"{"TO":"ada@example.test"}"#,
            r#"{"to":["ada@example.test","eve@evil.test"]}"#,
            r#"{"to":{"address":"ada@example.test"}}"#,
            r#"{"to":"ada@example.test,eve@evil.test"}"#,
            r#"{"to":"ada@example.test\neve@evil.test"}"#,
            r#"{"to":"eve@evil.test ada@example.test"}"#,
            r#"{"to":"ada@example.test\n"}"#,
            r#"{"to":"ada@example.test"} {"to":"eve@evil.test"}"#,
            r#"{"to":"ada@example.test"}x"#,
            r#"{"to":"ada@example.test",}"#,
            r#"{"to":"ada@example.test"/*,*/}"#,
            r#"{to:"ada@example.test"}"#,
            r#"{'to':'ada@example.test'}"#,
            r#"[{"to":"ada@example.test"}]"#,
            r#""ada@example.test""#,
            r#"{"to":"ada@example.test","urgent":"false"}"#,
            r#"{"to":"ada@example.test","urgent":0}"#,
            r#"{"to":"ada@example.test","urgent":null}"#,
            r#"{"to":"ada@example.test","meta":{"id":"1"}}"#,
            r#"{"to":"ada@example.test","meta":{"id":1,"bcc":"eve@evil.test"}}"#,
            r#"{"to":"ada@example.test","meta":{"id":1,"id":1}}"#,
            r#"{"to":"ada@example.test","meta":[1]}"#,
            r#"{"to":"ada@example.test","/meta/id":1}"#,
            r#"{"to":"ada@example.test","__proto__":{"bcc":"eve@evil.test"}}"#,
            r#"{"to":"ada@example.test","text":NaN}"#,
            r#"{"text":"hello"}"#,
            "{}",
            "",
            "null",
            " ",
            "\u{feff}{\"to\":\"ada@example.test\"}",
            "{\"to\":\"ada@example.test\"}\0",
        ] {
            emails(&house, &peer, "application/json", body, &[], false).await;
        }
        let deep = format!(
            r#"{{"to":"ada@example.test","text":{}1{}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        emails(&house, &peer, "application/json", &deep, &[], false).await;
        assert_eq!(peer.connections().await, 0, "something went out");
        for body in [
            HONEST,
            r#" { "text" : [1, {"to": "anybody"}] , "to" : "ada@example.test" } "#,
            r#"{"to":"\u0061da@example.test","urgent":false,"meta":{"id":1}}"#,
        ] {
            emails(&house, &peer, "application/json", body, &[], true).await;
        }
    });
}

#[test]
fn n68_a_body_of_another_kind_is_refused_where_a_rule_reads_json() {
    case(async |world| {
        let (house, peer) = house_of(&world).await;
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=a",
            "application/xml",
            "application/json; charset=utf-16",
            "application/json; charset=utf-7",
            "application/json; charset=latin1",
            "application/json, text/plain",
            "application/jsonx",
            "text/json; charset=utf-16",
            "application/octet-stream",
            "application/json; charset=utf-8; charset=utf-16",
            "",
        ] {
            emails(&house, &peer, kind, HONEST, &[], false).await;
        }
        for header in [
            ["content-encoding", "gzip"],
            ["content-encoding", "deflate"],
            ["content-encoding", "br"],
            ["content-type", "text/plain"],
            ["content-type", "application/json"],
        ] {
            emails(&house, &peer, "application/json", HONEST, &[header], false).await;
        }
        let bare = json!({ "method": "POST", "body": HONEST });
        let came = send(&house, "POST", &peer.url("/email"), bare).await;
        assert!(came.is_refused(), "{came:?}");
        for body in [
            "to=ada@example.test&bcc=eve@evil.test",
            "t\0o\0",
            "--a\r\ncontent-disposition: form-data; name=\"to\"\r\n\r\nada\r\n--a--",
        ] {
            emails(&house, &peer, "application/json", body, &[], false).await;
        }
        assert_eq!(peer.connections().await, 0, "something went out");
        for kind in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
        ] {
            emails(&house, &peer, kind, HONEST, &[], true).await;
        }
        let _: Value = serde_json::from_slice(&peer.requests()[0].body).expect("JSON");
    });
}
