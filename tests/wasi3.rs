//! Tools of WASI 0.3: what they can do is what tools of 0.2 can, by the same grants and within the
//! same limits, and it is written down the same way.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use toolhost::terms::Code;

use crate::harness::{End, House, Site, Upstream, text, text_response, tool_error, v03_guest};

const TOOL: &str = "[tool.wasi3]\ncomponent = \"wasi3.wasm\"\nwasi = \"0.3\"\n";

fn site() -> Site {
    let site = Site::new();
    site.link(&v03_guest("wasi3.wasm"), "wasi3.wasm");
    site
}

/// The tool, with more in its section and after it, and an honest one of WASI 0.2.
fn house(more: &str) -> House {
    let honest = "[tool.everything]\ncomponent = \"everything.wasm\"\n";
    House::at(site(), &format!("{TOOL}{more}\n{honest}"))
}

async fn said(house: &House, function: &str, arguments: Value) -> String {
    text(&house.call(function, arguments).await)
}

/// What the guest says that it was refused with.
fn refused(end: &End) -> String {
    tool_error(end).message.clone()
}

const SECRET: &str = "t0ken-of-the-upstream";

fn web(up: &Upstream, limits: &str) -> House {
    let text = format!(
        r#"
[secret.key]
env = "KEY"
{TOOL}{limits}
[tool.wasi3.http.up]
url = "http://{}"
allow = ["GET /open/**", "POST /open/**"]
private = ["127.0.0.0/8"]
auth = {{ bearer = "key" }}
[tool.everything]
component = "everything.wasm"
"#,
        up.address
    );
    House::at(site().secret("key", SECRET), &text)
}

#[tokio::test]
async fn a_request_passes_the_same_policy_dialer_and_scrubbing_and_is_recorded() {
    let up = Upstream::start(|seen| {
        let held = seen.header("authorization").unwrap_or_default().to_owned();
        Some(text_response(200, format!("{} with {held}", seen.uri)))
    })
    .await;
    let house = web(&up, "");
    let (end, bill) = house
        .billed("wasi3_get", json!({ "url": up.url("/open/a?q=1") }))
        .await;
    let said = text(&end);
    assert!(said.starts_with("200 /open/a?q=1 with Bearer "), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    let seen = up.next().await;
    assert_eq!(
        seen.header("authorization"),
        Some(&*format!("Bearer {SECRET}"))
    );
    assert_eq!((bill.egress_requests, house.attempts().len()), (1, 1));
    let attempt = &house.attempts()[0];
    assert_eq!(attempt["verdict"]["is"], "allowed");
    assert_eq!(attempt["verdict"]["rule"], "GET /open/**");
    assert_eq!(
        (&attempt["status"], &attempt["peer"]),
        (&json!(200), &json!("127.0.0.1"))
    );
    assert_eq!(attempt["received"], bill.egress_bytes);
    house.keeps_secrets(&said);
}

#[tokio::test]
async fn a_body_is_sent_whole_and_within_its_limit() {
    let up = Upstream::echo().await;
    let house = web(&up, "limits = { request_body = 64 }\n");
    let arguments = |bytes| json!({ "url": up.url("/open/b"), "body": "x".repeat(bytes) });
    let end = house.call("wasi3_post", arguments(64)).await;
    assert!(text(&end).starts_with("200"), "{end:?}");
    assert_eq!(up.next().await.body.len(), 64);
    let end = house.call("wasi3_post", arguments(65)).await;
    assert!(refused(&end).contains("HttpRequestBodySize"), "{end:?}");
}

#[tokio::test]
async fn what_no_grant_names_is_not_sent_and_the_attempt_is_written_down() {
    let up = Upstream::echo().await;
    let house = web(&up, "");
    let port = up.address.port();
    for url in [
        up.url("/closed"),
        "https://example.com/open/a".to_owned(),
        format!("http://localhost:{port}/open/a"),
    ] {
        let end = house.call("wasi3_get", json!({ "url": url })).await;
        assert!(
            refused(&end).contains("HttpRequestDenied"),
            "{url}: {end:?}"
        );
        let attempts = house.attempts();
        assert_eq!(attempts.len(), 1, "{url}: {attempts:?}");
        assert_ne!(attempts[0]["verdict"]["is"], "allowed", "{url}");
    }
    assert!(up.rest().await.is_empty());
}

#[tokio::test]
async fn many_requests_of_one_call_wait_together_and_are_counted() {
    let up = Upstream::echo().await;
    let house = web(&up, "limits = { requests = 8 }\n");
    let arguments = json!({ "url": up.url("/open/a"), "n": 12 });
    let said = said(&house, "wasi3_crowd", arguments).await;
    assert!(said.starts_with("8 "), "{said}");
    assert!(said.contains("HttpRequestDenied"), "{said}");
    assert_eq!(up.rest().await.len(), 8);
    // Of what is beyond the limit one is written down for all.
    assert_eq!(house.attempts().len(), 9);
}

#[tokio::test]
async fn trailers_that_never_come_hold_nobody_up_beyond_the_deadline() {
    let up = Upstream::echo().await;
    let house = web(&up, "limits = { deadline = \"200ms\" }\n");
    let began = Instant::now();
    let arguments = json!({ "url": up.url("/open/a") });
    house
        .ends_with("wasi3_hold_trailers", arguments, Code::DeadlineExceeded)
        .await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(up.rest().await.is_empty(), "half a request was sent");
}

#[tokio::test]
async fn a_loop_is_out_of_fuel_and_one_with_fuel_to_spare_ends_at_its_deadline() {
    let looping = house("limits = { fuel = 1_000_000 }\n");
    looping
        .ends_with("wasi3_spin", json!({}), Code::OutOfFuel)
        .await;
    let ample = "limits = { fuel = 1_000_000_000_000, deadline = \"200ms\" }\n";
    let began = Instant::now();
    house(ample)
        .ends_with("wasi3_spin", json!({}), Code::DeadlineExceeded)
        .await;
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn who_sleeps_past_the_deadline_or_waits_for_nothing_is_ended() {
    let house = house("limits = { deadline = \"200ms\" }\n");
    assert_eq!(said(&house, "wasi3_sleep", json!({ "ms": 0 })).await, "0");
    house
        .ends_with(
            "wasi3_sleep",
            json!({ "ms": 3_600_000 }),
            Code::DeadlineExceeded,
        )
        .await;
    let say = house
        .ends_with("wasi3_starve", json!({}), Code::Trapped)
        .await;
    assert!(
        say.contains("waits for something that can never happen"),
        "{say}"
    );
}

#[tokio::test]
async fn memory_has_its_bound() {
    house("limits = { memory = \"8MiB\" }\n")
        .ends_with("wasi3_hog", json!({}), Code::OutOfMemory)
        .await;
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_over() {
    let house = house("limits = { concurrency = 1, fuel = 1_000_000_000_000 }\n");
    house.cancel("wasi3_spin", json!({}), "wasi3").await;
    house.assert_recorded(Code::Cancelled);
    house
        .cancel("wasi3_sleep", json!({ "ms": 3_600_000 }), "wasi3")
        .await;
    house.assert_recorded(Code::Cancelled);
}

#[tokio::test]
async fn tasks_and_streams_of_one_call_are_bounded() {
    let roomy = house("");
    let woken = said(&roomy, "wasi3_sleepers", json!({ "n": 1_000, "ms": 1 })).await;
    assert_eq!(woken, "1000");
    let held = said(&roomy, "wasi3_streams", json!({ "n": 1_000 })).await;
    assert_eq!(held, "1000");
    let tight = house("limits = { handles = 100 }\n");
    for (function, arguments) in [
        ("wasi3_sleepers", json!({ "n": 1_000, "ms": 1 })),
        ("wasi3_streams", json!({ "n": 1_000 })),
    ] {
        let say = tight.ends_with(function, arguments, Code::Trapped).await;
        assert!(say.contains("too many handles"), "{say}");
    }
}

#[tokio::test]
async fn clocks_randomness_environment_and_sockets_are_as_in_0_2() {
    let house = house("[tool.wasi3.env]\nMODE = \"test\"\n");
    assert_eq!(said(&house, "wasi3_now", json!({})).await, "0 0");
    let env = said(&house, "wasi3_env", json!({})).await;
    assert_eq!(env, r#"[("MODE", "test")]"#);
    let random = json!({ "n": u64::MAX });
    assert_eq!(said(&house, "wasi3_random", random).await, "65536");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    let end = house.call("wasi3_connect", json!({ "port": port })).await;
    assert!(refused(&end).contains("AccessDenied"), "{end:?}");
    let end = house
        .call("wasi3_resolve", json!({ "name": "localhost" }))
        .await;
    assert!(refused(&end).contains("ResolverFailure"), "{end:?}");
}

/// Two directories, one to look at and one to work in, and what is outside of both.
fn filed(quota: &str) -> House {
    let site = site();
    site.write("outside.txt", "outside");
    site.write("notes/a.txt", "a note");
    site.write("notes/inner/b.txt", "another");
    site.write("work/old.txt", "x".repeat(100_000));
    std::os::unix::fs::symlink("../outside.txt", site.path("notes/up")).expect("a link");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        site.path("work/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    let text = format!(
        r#"
{TOOL}limits = {{ deadline = "5s" }}
[tool.wasi3.dir.notes]
host = "notes"
guest = "/notes"
access = "read"
[tool.wasi3.dir.work]
host = "work"
guest = "/work"
access = "read-write"
{quota}
[tool.everything]
component = "everything.wasm"
"#
    );
    House::at(site, &text)
}

#[tokio::test]
async fn files_are_read_written_and_listed_within_the_granted_directories() {
    let house = filed("");
    let path = |path: &str| json!({ "path": path });
    assert_eq!(
        said(&house, "wasi3_read", path("/notes/a.txt")).await,
        "a note"
    );
    assert_eq!(
        said(&house, "wasi3_list", path("/notes")).await,
        "a.txt inner up"
    );
    assert_eq!(
        said(&house, "wasi3_list", path("/notes/inner")).await,
        "b.txt"
    );
    let large = said(&house, "wasi3_read", path("/work/old.txt")).await;
    assert_eq!(large.len(), 100_000);
    let text = "y".repeat(200_000);
    let write = json!({ "path": "/work/new.txt", "text": text });
    assert_eq!(said(&house, "wasi3_write", write).await, "200000");
    assert_eq!(house.site.read("work/new.txt"), text);
    let pipe = json!({ "path": "/work/old.txt", "to": "/work/new.txt" });
    assert_eq!(said(&house, "wasi3_pipe", pipe).await, "300000");
    assert_eq!(house.site.read("work/new.txt").len(), 300_000);
}

#[tokio::test]
async fn nothing_outside_of_the_granted_directories_and_no_special_file_is_reached() {
    let house = filed("");
    for (path, code) in [
        ("/notes/../outside.txt", "NotPermitted"),
        ("/notes/up", "NotPermitted"),
        ("/notes//etc/passwd", "NoEntry"),
        ("/notes/inner", "IsDirectory"),
        ("/notes/none", "NoEntry"),
        ("/work/pipe", "NotPermitted"),
        ("/elsewhere", "no directory"),
    ] {
        let end = house.call("wasi3_read", json!({ "path": path })).await;
        assert!(refused(&end).contains(code), "{path}: {end:?}");
    }
    for path in [
        "/notes/new.txt",
        "/notes/a.txt",
        "/work/pipe",
        "/work/../new.txt",
    ] {
        let write = json!({ "path": path, "text": "text" });
        let end = house.call("wasi3_write", write).await;
        assert!(refused(&end).contains("NotPermitted"), "{path}: {end:?}");
    }
    assert_eq!(house.site.read("notes/a.txt"), "a note");
    assert!(!house.site.path("new.txt").exists());
}

#[tokio::test]
async fn a_directory_takes_no_more_than_its_quota_however_it_is_written() {
    let house = filed("bytes = \"128KiB\"\nfiles = 3");
    let text = "y".repeat(100_000);
    let write = json!({ "path": "/work/new.txt", "text": text });
    let end = house.call("wasi3_write", write).await;
    assert!(refused(&end).contains("Quota"), "{end:?}");
    // A file into itself, by the host alone: without a quota it would never end.
    let pipe = json!({ "path": "/work/old.txt", "to": "/work/old.txt" });
    let end = house.call("wasi3_pipe", pipe).await;
    assert!(refused(&end).contains("Quota"), "{end:?}");
    let held = std::fs::read_dir(house.site.path("work")).expect("the directory");
    let held: u64 = held
        .map(|file| {
            file.and_then(|file| file.metadata())
                .map_or(0, |of| of.len())
        })
        .sum();
    assert!(held <= 128 << 10, "{held}");
}
