//! Credentials: where they go, and that they leave by no other way.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use toolhost_core::terms::{Content, Outcome};

use crate::harness::{End, House, Program, Seen, Site, Upstream, structured, tool_error};

/// A credential that looks different in each encoding.
const SECRET: &str = r#"s3cr3t/"+key&more"#;

/// What every form of it has in common with no other text of these tests.
fn forms() -> Vec<String> {
    let each = |shown: &dyn Fn(u8) -> String| SECRET.bytes().map(shown).collect::<String>();
    let json = Value::from(SECRET).to_string();
    vec![
        SECRET.to_owned(),
        each(&|byte| match byte {
            b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        }),
        each(&|byte| format!("%{byte:02x}")),
        json[1..json.len() - 1].to_owned(),
        each(&|byte| format!("\\u{byte:04x}")),
        STANDARD.encode(format!("a{SECRET}")),
        STANDARD.encode(format!("ab{SECRET}ab")),
        URL_SAFE_NO_PAD.encode(SECRET),
        hex::encode(SECRET),
    ]
}

/// A grant of one function of the rogue.
pub(crate) fn grant(function: &str, up: &Upstream, auth: &str) -> String {
    format!(
        r#"
[tool.rogue.function.{function}.http.up]
url = "http://{}"
allow = ["GET /**", "POST /**"]
private = ["127.0.0.0/8"]
{auth}
"#,
        up.address
    )
}

/// The rogue with a credential for these functions.
fn manifest(up: &Upstream, functions: &[&str]) -> String {
    let grants = functions
        .iter()
        .map(|function| grant(function, up, r#"auth = { bearer = "key" }"#));
    let grants: String = grants.collect();
    format!(
        "[secret.key]\nenv = \"KEY\"\n[tool.rogue]\ncomponent = \"rogue.wasm\"\nlog = \"info\"\n{grants}"
    )
}

fn house(up: &Upstream, functions: &[&str]) -> House {
    House::at(Site::new().secret("key", SECRET), &manifest(up, functions))
}

/// Every text of an answer.
fn texts(end: &End) -> Vec<String> {
    let json = |value: &Option<Value>| value.as_ref().map(strings).unwrap_or_default();
    match end {
        Err(fault) => vec![fault.say.to_string(), format!("{:?}", fault.detail)],
        Ok(Outcome::Error(error)) => [vec![error.message.clone()], json(&error.data)].concat(),
        Ok(Outcome::Output(output)) => {
            let contents = output.contents.iter().flat_map(|content| match content {
                Content::Text(text) => vec![text.clone()],
                Content::Blob(blob) => vec![
                    blob.mime_type.clone(),
                    String::from_utf8_lossy(&blob.data).into_owned(),
                    blob.uri.clone().unwrap_or_default(),
                ],
                Content::Link(link) => vec![
                    link.uri.clone(),
                    link.name.clone(),
                    link.description.clone().unwrap_or_default(),
                    link.mime_type.clone().unwrap_or_default(),
                ],
            });
            contents.chain(json(&output.structured)).collect()
        }
    }
}

/// Every text of a JSON value, keys too.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().flat_map(strings).collect(),
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| [vec![key.clone()], strings(value)].concat())
            .collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

#[tokio::test]
async fn n60_no_part_of_an_answer_holds_the_credential() {
    let up = Upstream::echo().await;
    let house = house(&up, &["tell"]);
    for form in forms() {
        for way in [
            "text",
            "structured",
            "key",
            "blob",
            "resource",
            "link",
            "error",
            "error_data",
        ] {
            let text = format!("<{form}>");
            let end = house
                .call("rogue_tell", json!({ "way": way, "text": text }))
                .await;
            let said = texts(&end);
            // A link says it in four places, which is too often.
            let shown = match way {
                "link" => "3 times a credential",
                _ => "[redacted]",
            };
            assert!(
                said.iter().any(|text| text.contains(shown)),
                "{way}: {said:?}"
            );
            assert!(
                said.iter()
                    .all(|text| !text.contains(&form) && !text.contains("s3cr3t")),
                "{way}: {said:?}"
            );
        }
    }
    // Without a credential nothing is taken out.
    let plain = House::new("[tool.rogue]\ncomponent = \"rogue.wasm\"");
    let end = plain
        .call("rogue_tell", json!({ "way": "text", "text": SECRET }))
        .await;
    assert_eq!(texts(&end), [SECRET]);
}

/// A number is no text that something could be put into: the result stays JSON.
#[tokio::test]
async fn n60_a_credential_of_digits_is_taken_out_of_json() {
    let up = Upstream::echo().await;
    let site = Site::new().secret("key", "4111222233334444");
    let house = House::at(site, &manifest(&up, &["tell"]));
    let end = house
        .call(
            "rogue_tell",
            json!({ "way": "number", "text": "4111222233334444" }),
        )
        .await;
    assert_eq!(structured(&end), json!({ "a": "[redacted]" }));
}

/// What is cut is cut after the credential was taken out of it.
#[tokio::test]
async fn n60_progress_holds_no_credential_not_even_its_beginning() {
    let up = Upstream::echo().await;
    let house = house(&up, &["tell"]);
    for before in [0, 1_000, 1_010, 1_015, 1_020] {
        let text = format!("{}{SECRET}", "x".repeat(before));
        let reports = house
            .progress_of("rogue_tell", json!({ "way": "progress", "text": text }))
            .await;
        let said = reports[0].message.as_deref().expect("a message");
        assert!(!said.contains("s3cr"), "{said}");
        assert!(said.trim_start_matches('x').starts_with('['), "{said}");
    }
}

/// Runs the program with the credential in its environment, and everything logged.
pub(crate) async fn run(program: &Program, arguments: &[&str]) -> (String, String) {
    let mut command = program.command(arguments);
    command.env("KEY", SECRET).env("TOOLHOST_LOG", "trace");
    let output = tokio::process::Command::from(command).output().await;
    let output = output.expect("a run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Everything in the ledger, as it is on the disk.
fn ledger(program: &Program) -> String {
    let folder = std::fs::read_dir(program.site.path(".toolhost/ledger")).expect("a ledger");
    let files = folder.map(|file| std::fs::read(file.expect("a file").path()).unwrap_or_default());
    files
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

#[tokio::test]
async fn n60_no_log_holds_the_credential() {
    let up = Upstream::echo().await;
    let program = Program::new(&manifest(&up, &["tell", "get"]));
    let long = format!("{}{SECRET}", "x".repeat(4_090));
    let wide = format!("{}{SECRET}", "x".repeat(250));
    for (way, text) in [
        ("log", SECRET),
        ("log", &long),
        ("log_context", SECRET),
        ("log_context", &wide),
        ("stdout", SECRET),
        ("stdout", &long),
        ("stderr", SECRET),
        ("crash", SECRET),
    ] {
        let arguments = json!({ "way": way, "text": text }).to_string();
        let (out, err) = run(&program, &["call", "rogue.tell", &arguments]).await;
        // What is too long is cut behind that.
        assert!(err.contains("[red"), "{way}: {err}");
        assert!(
            !err.contains("s3cr") && !out.contains("s3cr"),
            "{way}: {err}"
        );
    }
    // A request that carries it, and an answer that echoes it, with every library's log on.
    let arguments = json!({ "url": up.url("/a") }).to_string();
    let (out, err) = run(&program, &["call", "rogue.get", &arguments]).await;
    assert!(out.contains("[redacted]"), "{out} {err}");
    let seen = up.next().await;
    assert_eq!(
        seen.header("authorization"),
        Some(format!("Bearer {SECRET}").as_str())
    );
    for form in forms() {
        assert!(
            !err.contains(&form) && !out.contains(&form),
            "{form}: {err}"
        );
    }
    assert!(!ledger(&program).contains("s3cr"));
}

#[tokio::test]
async fn n60_n71_a_compressed_echo_is_scrubbed_before_the_guest_reads_it() {
    let up = Upstream::start(|seen: &Seen| {
        use std::io::Write as _;
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let form = seen.uri.path().trim_start_matches('/').parse::<usize>();
        let form = &forms()[form.expect("a number")];
        // In a long line, or there would be little to compress.
        let line = format!("{}{form}", "- ".repeat(500));
        zip.write_all(line.as_bytes()).expect("memory");
        let bytes = zip.finish().expect("memory");
        assert!(bytes.len() < 200, "it is not compressed");
        let mut response = axum::http::Response::new(axum::body::Body::from(bytes));
        let gzip = axum::http::HeaderValue::from_static("gzip");
        response.headers_mut().insert("content-encoding", gzip);
        Some(response)
    })
    .await;
    let house = house(&up, &["get", "wasi_http"]);
    for (at, form) in forms().iter().enumerate() {
        let path = format!("/{at}");
        let url = json!({ "url": up.url(&path) });
        let authority = up.address.to_string();
        let parts = json!({ "scheme": "http", "authority": authority, "path": path });
        for (function, arguments) in [("rogue_get", url), ("rogue_wasi_http", parts)] {
            let answer = structured(&house.call(function, arguments).await);
            let line = answer["body"].as_str().expect("a body");
            let line = line.trim_start_matches("- ");
            // Of base64 the whole characters of its neighbours stay.
            assert!(
                line.contains("[redacted]") && line.len() <= 14,
                "{line} of {form}"
            );
        }
    }
}

/// What an attacker can watch through the real thing: in how many pieces an answer comes, and how long
/// they are. Its upstream sends guesses one by one, right up to their last byte, and others.
#[tokio::test]
async fn n84_a_guest_sees_no_piece_by_which_a_guess_is_nearly_right() {
    fn frames(known: &str) -> Vec<String> {
        let letters = ('a'..='z').chain('0'..='9').chain(['/', '"', '+', '&']);
        letters.map(|c| format!("|{c}|{known}{c}")).collect()
    }
    let up = Upstream::start(|seen: &Seen| {
        let known = hex::decode(seen.uri.path().trim_start_matches('/')).expect("a guess");
        let frames = frames(&String::from_utf8(known).expect("text"));
        let body = futures_util::stream::unfold(frames.into_iter(), |mut frames| async move {
            // Each has the time to leave by itself.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            let frame = frames.next()?;
            Some((Ok::<_, std::io::Error>(frame), frames))
        });
        let body = axum::body::Body::from_stream(body);
        Some(axum::http::Response::new(body))
    })
    .await;
    let house = house(&up, &["wasi_http"]);
    let watch = async |known: &str| {
        let path = format!("/{}", hex::encode(known));
        let authority = up.address.to_string();
        let parts = json!({ "scheme": "http", "authority": authority, "path": path });
        let answer = structured(&house.call("rogue_wasi_http", parts).await);
        assert_eq!(answer["body"], frames(known).concat());
        answer["pieces"].clone()
    };
    // The last letter would make it whole: that is what shows.
    for right in 1..SECRET.len() - 1 {
        let near = &SECRET[..right];
        let far = "z".repeat(right);
        assert_eq!(watch(near).await, watch(&far).await, "{right} are right");
    }
}

/// That a guess is the whole of a secret shows; so a call has few of them.
#[tokio::test]
async fn n87_three_redactions_end_a_call() {
    let up = Upstream::start(|seen: &Seen| {
        let times = seen.uri.path().trim_start_matches('/').parse::<usize>();
        let body = vec![SECRET; times.expect("a number")].join(" and ");
        let mut response = axum::http::Response::new(axum::body::Body::from(body));
        if let Some(query) = seen.uri.query() {
            assert_eq!(query, "header");
            let value = SECRET.parse().expect("a value");
            response.headers_mut().insert("x-echo", value);
        }
        Some(response)
    })
    .await;
    let house = house(&up, &["get", "tell"]);
    let ended = |end: &End| match end {
        Err(fault) => fault.say.contains("3 times a credential"),
        Ok(_) => false,
    };
    for (path, ends) in [
        ("/2", false),
        ("/3", true),
        ("/2?header", true),
        ("/1?header", false),
    ] {
        let end = house
            .call("rogue_get", json!({ "url": up.url(path) }))
            .await;
        assert_eq!(ended(&end), ends, "{path}: {end:?}");
    }
    // What the guest says counts as well, in whatever part it says it.
    for way in ["text", "structured", "blob", "error"] {
        for (times, ends) in [(2, false), (3, true)] {
            let text = vec![SECRET; times].join(" ");
            let end = house
                .call("rogue_tell", json!({ "way": way, "text": text }))
                .await;
            assert_eq!(ended(&end), ends, "{way}: {end:?}");
        }
    }
}

#[tokio::test]
async fn n61_a_credential_goes_to_its_own_destination_only() {
    let (own, other) = (Upstream::echo().await, Upstream::echo().await);
    let text = format!(
        "{}{}",
        manifest(&own, &["get"]),
        grant("get", &other, "").replace("http.up]", "http.other]")
    );
    let house = House::at(Site::new().secret("key", SECRET), &text);
    for (up, expected) in [(&own, Some(format!("Bearer {SECRET}"))), (&other, None)] {
        let end = house
            .call("rogue_get", json!({ "url": up.url("/a") }))
            .await;
        assert_eq!(structured(&end)["status"], 200);
        assert_eq!(up.next().await.header("authorization"), expected.as_deref());
    }
}

#[tokio::test]
async fn n63_an_error_does_not_quote_the_credential_in_the_url() {
    let up = Upstream::start(|_: &Seen| None).await;
    let auth = r#"auth = { query = { name = "k", secret = "key" } }"#;
    let text = format!(
        "[secret.key]\nenv = \"KEY\"\n[tool.rogue]\ncomponent = \"rogue.wasm\"\n{}",
        grant("raw", &up, auth)
    );
    let house = House::at(Site::new().secret("key", SECRET), &text);
    let raw = json!({ "method": "GET", "url": up.url("/a?q=private"), "timeout_ms": 50 });
    let end = house.call("rogue_raw", raw).await;
    assert!(tool_error(&end).message.contains("timeout"), "{end:?}");
    let seen = up.next().await;
    assert!(
        seen.uri.to_string().contains("k=s3cr3t"),
        "it was sent: {}",
        seen.uri
    );
    let written = serde_json::to_string(&house.attempts()).expect("JSON");
    for said in [format!("{end:?}"), written] {
        assert!(
            !said.contains("s3cr3t") && !said.contains("private"),
            "{said}"
        );
    }
}

/// Put together here, so that no scanner takes this file for a leak.
fn keys() -> Vec<String> {
    [
        ("AKIA", "Q3EGXLUVWXYZ2345"),
        ("ghp_", "0123456789abcdefghijABCDEFGHIJ012345"),
        ("github_pat_", "0123456789abcdefghijABCDEFGHIJ012345"),
        ("sk-", "proj-0123456789abcdefghijABCDEFGHIJ"),
        ("xoxb-", "0123456789-abcdefghij"),
        ("AIza", "0123456789abcdefghijABCDEFGHIJ01234"),
        ("glpat-", "0123456789abcdefghij"),
        ("-----BEGIN ", "OPENSSH PRIVATE KEY-----"),
        (SECRET, ""),
    ]
    .map(|(prefix, rest)| format!("{prefix}{rest}"))
    .to_vec()
}

#[tokio::test]
async fn n64_keys_in_what_a_guest_sends_are_blocked_and_recorded() {
    let up = Upstream::echo().await;
    let house = house(&up, &["raw", "wasi_http"]);
    let percent = |key: &str| key.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    for key in keys() {
        let quoted = Value::from(format!("line\n{key}\n")).to_string();
        for (place, path, headers, body) in [
            ("URL", format!("/a/{}/b", percent(&key)), json!([]), ""),
            ("URL", format!("/a?q={}", percent(&key)), json!([]), ""),
            (
                "headers",
                "/a".to_owned(),
                json!([["X-Key", format!("Token {key}")]]),
                "",
            ),
            ("body", "/a".to_owned(), json!([]), key.as_str()),
            ("body", "/a".to_owned(), json!([]), quoted.as_str()),
        ] {
            let raw =
                json!({ "method": "POST", "url": up.url(&path), "headers": headers, "body": body });
            let parts = json!({
                "method": "POST", "scheme": "http", "authority": up.address.to_string(),
                "path": path, "headers": headers, "body": body,
            });
            for (function, arguments) in [("rogue_raw", raw), ("rogue_wasi_http", parts)] {
                let end = house.call(function, arguments).await;
                let error = tool_error(&end);
                if function == "rogue_raw" {
                    assert!(
                        error.message.contains(&format!("its {place} holds")),
                        "{error:?}"
                    );
                }
                let attempts = house.attempts();
                assert_eq!(attempts.len(), 1, "{attempts:?}");
                assert_eq!(attempts[0]["verdict"]["is"], "refused", "{attempts:?}");
                // Of a URL that has two readings nothing is known.
                let host = attempts[0]["host"].as_str();
                assert!(host == Some("127.0.0.1") || (place == "URL" && host.is_none()));
                let why = attempts[0]["verdict"]["why"].as_str().expect("a reason");
                assert!(why.contains(&format!("its {place} holds")), "{why}");
                let said = format!("{error:?} {attempts:?}");
                assert!(
                    !said.contains(&key) && !said.contains(&percent(&key)),
                    "{said}"
                );
            }
        }
    }
    assert!(up.rest().await.is_empty(), "something went out");
    let honest = json!({ "method": "POST", "url": up.url("/a?q=1"), "body": "nothing to see" });
    assert_eq!(
        structured(&house.call("rogue_raw", honest).await)["status"],
        200
    );
}

/// The host's own credential is not the guest's, whatever its shape.
#[tokio::test]
async fn n64_the_hosts_own_credential_is_sent() {
    let up = Upstream::echo().await;
    let token = &keys()[1];
    let site = Site::new().secret("key", token);
    let house = House::at(site, &manifest(&up, &["get"]));
    let end = house
        .call("rogue_get", json!({ "url": up.url("/a") }))
        .await;
    assert_eq!(structured(&end)["status"], 200);
    let bearer = format!("Bearer {token}");
    assert_eq!(
        up.next().await.header("authorization"),
        Some(bearer.as_str())
    );
}

/// A large body is searched too, elsewhere.
#[tokio::test]
async fn n64_a_key_at_the_end_of_a_large_body_is_blocked() {
    let up = Upstream::echo().await;
    let house = house(&up, &["raw"]);
    let body = |end: &str| {
        let body = format!("{} {end}", "x".repeat(400 << 10));
        json!({ "method": "POST", "url": up.url("/a"), "body": body })
    };
    let end = house.call("rogue_raw", body(&keys()[1])).await;
    assert!(
        tool_error(&end)
            .message
            .contains("its body holds a GitHub token")
    );
    assert!(up.rest().await.is_empty(), "something went out");
    // The answer echoes it.
    assert_eq!(
        structured(&house.call("rogue_raw", body("y")).await)["status"],
        200
    );
}

#[tokio::test]
async fn n35_a_guest_does_not_name_itself_beside_the_hosts_credential() {
    let up = Upstream::echo().await;
    for (auth, names) in [
        (r#"auth = { bearer = "key" }"#, ["Authorization", "Cookie"]),
        (
            r#"auth = { basic = { user = "u", secret = "key" } }"#,
            ["authorization", "Cookie"],
        ),
        (
            r#"auth = { header = { name = "X-API-Key", secret = "key" } }"#,
            ["x-api-key", "X_API_Key"],
        ),
    ] {
        let text = format!(
            "[secret.key]\nenv = \"KEY\"\n[tool.rogue]\ncomponent = \"rogue.wasm\"\n{}",
            grant("raw", &up, auth)
        );
        let house = House::at(Site::new().secret("key", SECRET), &text);
        for name in names {
            let raw = json!({ "method": "GET", "url": up.url("/a"), "headers": [[name, "mine"]] });
            let end = house.call("rogue_raw", raw).await;
            assert!(
                tool_error(&end).message.contains("invalid"),
                "{name}: {end:?}"
            );
        }
    }
    assert!(up.rest().await.is_empty(), "something went out");
}
