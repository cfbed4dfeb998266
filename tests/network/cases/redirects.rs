//! Answers that point elsewhere.

use serde_json::json;

use crate::network::peer::Step;
use crate::network::space::case;
use crate::network::world::{get, granted, send, wasi};

#[test]
fn n31_a_redirect_is_given_back_and_leads_nowhere_by_itself() {
    case(async |world| {
        let inside = world.everywhere(&[80, 8080]).await;
        let place = if world.namespace {
            "127.0.0.1".to_owned()
        } else {
            inside.address.to_string()
        };
        let peer = world
            .peer(move |request| {
                let status = request
                    .target()
                    .trim_start_matches('/')
                    .split('?')
                    .next()
                    .unwrap_or_default();
                let location = match request.target().split_once('?') {
                    Some((_, "metadata")) => "http://169.254.169.254/latest/".to_owned(),
                    Some((_, "relative")) => "/elsewhere".to_owned(),
                    Some((_, "protocol-relative")) => format!("//{place}/"),
                    Some((_, "scheme")) => "file:///etc/passwd".to_owned(),
                    _ => format!("http://{place}/"),
                };
                vec![Step::response(
                    &format!("{status} Go"),
                    &format!("location: {location}\r\n"),
                    "moved",
                )]
            })
            .await;
        let house = granted(&world, &peer, "", "");
        for status in [300, 301, 302, 303, 304, 305, 307, 308] {
            for way in [
                "inside",
                "metadata",
                "relative",
                "protocol-relative",
                "scheme",
            ] {
                let url = peer.url(&format!("/{status}?{way}"));
                let before = peer.requests().len();
                for came in [
                    get(&house, &url).await,
                    send(&house, "POST", &url, json!({ "body": "a" })).await,
                    wasi(&house, &url, json!({})).await,
                ] {
                    assert_eq!(came.status(), status, "{url}");
                    let location = came.header("location").expect("a place").to_owned();
                    // The guest may read it, and may ask: then it is judged as any other request.
                    if way == "inside" || way == "metadata" {
                        assert_eq!(get(&house, &location).await.code(), "denied", "{location}");
                    }
                }
                assert_eq!(peer.requests().len(), before + 3, "{url} was followed");
            }
        }
        assert_eq!(inside.connections().await, 0, "the inside was reached");
    });
}
