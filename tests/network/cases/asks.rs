//! What a tool asks of a place that it may reach: methods and paths, by its own function's rules.

use serde_json::json;

use crate::network::peer::Step;
use crate::network::space::case;
use crate::network::world::{came, get, open, rogue, send, wasi};

#[test]
fn n39_a_method_is_one_that_a_rule_lists() {
    case(async |world| {
        let peer = world.peer(|_| vec![Step::ok("arrived")]).await;
        let more = open(&world, r#"allow = ["GET /**", "REPORT /**"]"#);
        let house = world.house(&rogue("", &[("up", &peer.url(""), &more)]));
        let url = peer.url("/a");
        let long = "A".repeat(1 << 10);
        for method in [
            "CONNECT",
            "TRACE",
            "POST",
            "HEAD",
            "PATCH",
            "PROPFIND",
            "get",
            "Get",
            "",
            " ",
            "GET ",
            " GET",
            "G\tET",
            "GET\r\nX: 1",
            "GET\0",
            "GET /b HTTP/1.1\r\n",
            "M-SEARCH",
            "PRI",
            "GE\u{301}T",
            "*",
            &long,
        ] {
            let came = send(&house, method, &url, json!({})).await;
            assert!(came.is_refused(), "{method:?}: {came:?}");
            // To `wasi:http`, the guest's `GET` is a constant.
            if method != "GET" {
                let came = wasi(&house, &url, json!({ "method": method })).await;
                assert!(came.is_refused(), "{method:?}: {came:?}");
            }
        }
        assert_eq!(peer.connections().await, 0, "something went out");
        for method in ["GET", "REPORT"] {
            assert_eq!(
                send(&house, method, &url, json!({})).await.body(),
                "arrived"
            );
            let came = wasi(&house, &url, json!({ "method": method })).await;
            assert_eq!(came.body(), "arrived");
            let request = peer.requests().pop().expect("a request");
            assert_eq!(request.line(), format!("{method} /a HTTP/1.1"));
        }
    });
}

#[test]
fn n65_n70_n72_a_path_has_one_reading_and_a_function_its_own_rules() {
    case(async |world| {
        let peer = world.peer(|_| vec![Step::ok("arrived")]).await;
        let more = open(&world, r#"allow = ["GET /open/**", "GET /exact"]"#);
        let mut text = rogue("", &[("up", &peer.url(""), &more)]);
        text.push_str("[tool.rogue.function.post]\nhttp.up.allow = [\"POST /shut/**\"]\n");
        let house = world.house(&text);
        for path in [
            "/open/%2e%2e/shut",
            "/open/../shut",
            "/open/.%2e/shut",
            "/open/%2E%2E/shut",
            "/open/..;/shut",
            "/open/..;a=b/shut",
            "/open;a/b",
            "/open//b",
            "//open/b",
            "/./open/b",
            "/open/./b",
            "/open%2fb",
            "/open%2Fb",
            "/open%5cb",
            "/open\\b",
            "/open/%252e%252e/shut",
            "/open/%c0%ae%c0%ae/shut",
            "/open/%00",
            "/open/a%0d%0ab",
            "/Open/b",
            "/OPEN/b",
            "/openb",
            "/exact/",
            "/exact/b",
            "/exact;a",
            "/exact%20",
            "/exact.",
            "/shut",
            "/shut/b",
            "/",
            "",
            "/..",
            "/%2e",
            "/open/%u002e%u002e/shut",
            "/open/%",
            "/open/%2",
            "/open/%zz",
        ] {
            let url = peer.url(path);
            let came = get(&house, &url).await;
            assert!(came.is_refused(), "{path:?}: {came:?}");
            let came = wasi(&house, &url, json!({})).await;
            assert!(came.is_refused(), "{path:?}: {came:?}");
        }
        // Another function may do it: not this one, and by no name of its own for itself.
        for more in [
            json!({ "body": "a" }),
            json!({ "headers": [["x-function", "post"]] }),
        ] {
            let came = send(&house, "POST", &peer.url("/shut/a"), more).await;
            assert_eq!(came.code(), "denied");
        }
        assert_eq!(peer.connections().await, 0, "something went out");
        let post = json!({ "url": peer.url("/shut/a"), "body": "b" });
        let end = house.call("rogue_post", post).await;
        assert_eq!(came(&end).body(), "arrived");
        for (path, target) in [
            ("/open/b", "/open/b"),
            ("/open/", "/open/"),
            ("/exact", "/exact"),
            ("/exact?a=/shut", "/exact?a=/shut"),
            ("/open/%7Eb", "/open/~b"),
        ] {
            assert_eq!(
                get(&house, &peer.url(path)).await.body(),
                "arrived",
                "{path}"
            );
            let request = peer.requests().pop().expect("a request");
            assert_eq!(request.target(), target);
        }
    });
}
