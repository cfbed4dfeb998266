//! How long requests and responses are, by both ways that a guest has to HTTP and with every method,
//! where a grant has a credential and where it has none.

use serde_json::{Value, json};

use crate::harness::{House, Site, Upstream, structured, text_response};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

fn house(up: &Upstream, auth: &str) -> House {
    let rules = METHODS.map(|method| format!("\"{method} /**\""));
    let grant = |function: &str| {
        format!(
            r#"
[tool.rogue.function.{function}.http.up]
url = "http://{}"
allow = [{}]
private = ["127.0.0.0/8"]
{auth}
"#,
            up.address,
            rules.join(", ")
        )
    };
    let secret = match auth {
        "" => "",
        _ => "[secret.key]\nenv = \"KEY\"\n",
    };
    let text = format!(
        "{secret}[tool.rogue]\ncomponent = \"rogue.wasm\"\n{}{}",
        grant("raw"),
        grant("wasi_http")
    );
    House::at(Site::new().secret("key", "t0ken-of-the-upstream"), &text)
}

fn header<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    let headers = answer["headers"].as_array().expect("headers");
    let found = headers.iter().find(|header| header[0] == name);
    found.and_then(|header| header[1].as_str())
}

/// RFC 9110, 8.6: an empty body is said where a method has a use for one, for many servers answer 411
/// otherwise; and `HEAD` is asked to learn a length.
#[tokio::test]
async fn requests_and_responses_of_every_method_have_their_length_on_both_ways() {
    for auth in ["", "auth = { bearer = \"key\" }"] {
        let up = Upstream::start(|_| Some(text_response(200, "x".repeat(1_234)))).await;
        let house = house(&up, auth);
        for method in METHODS {
            for body in [None, Some("12345")] {
                let raw = json!({ "method": method, "url": up.url("/a"), "body": body });
                let wasi = json!({
                    "method": method, "scheme": "http", "authority": up.address.to_string(),
                    "path": "/a", "body": body,
                });
                for (function, arguments) in [("rogue_raw", raw), ("rogue_wasi_http", wasi)] {
                    let what = format!("{function} {method} {body:?} {auth}");
                    let answer = structured(&house.call(function, arguments).await);
                    let seen = up.next().await;
                    let has_use = ["POST", "PUT", "PATCH"].contains(&method);
                    let expected = match body {
                        None if has_use => Some("0"),
                        None => None,
                        Some(_) => Some("5"),
                    };
                    assert_eq!(seen.header("content-length"), expected, "{what}");
                    assert_eq!(seen.header("transfer-encoding"), None, "{what}");
                    assert_eq!(seen.body, body.unwrap_or_default(), "{what}");
                    let length = header(&answer, "content-length");
                    let came = answer["body"].as_str().map_or(0, str::len);
                    match method {
                        "HEAD" => assert_eq!((length, came), (Some("1234"), 0), "{what}"),
                        _ if auth.is_empty() => {
                            assert_eq!((length, came), (Some("1234"), 1_234), "{what}");
                        }
                        // Taking a credential out would change it.
                        _ => assert_eq!((length, came), (None, 1_234), "{what}"),
                    }
                }
            }
        }
    }
}
