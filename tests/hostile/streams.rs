//! Streams, pollables and times, used as no honest tool would.

use serde_json::json;
use toolhost_core::terms::Code;

use super::rogue;
use crate::harness::{House, Program, Upstream, structured, text, tool_error};

#[tokio::test]
async fn g04_a_list_of_a_million_pollables_is_not_taken() {
    let house = rogue(r#"memory = "32MiB", fuel = 1_000_000_000"#);
    let end = house.call("rogue_poll_many", json!({ "n": 4_000 })).await;
    assert_eq!(text(&end), "4000 are ready");
    // Each is lent for the call, and counts as a handle.
    for (n, code) in [(5_000, Code::TooManyResources), (1_000_000, Code::Trapped)] {
        house
            .ends_with("rogue_poll_many", json!({ "n": n }), code)
            .await;
    }
}

#[tokio::test]
async fn g05_who_polls_without_end_gives_way_to_others() {
    let house = rogue(r#"fuel = 1_000_000_000_000, deadline = "60s", concurrency = 4"#);
    let busy = (0..4).map(|_| house.call("rogue_poll_busy", json!({})));
    let honest = async {
        for n in 0..20 {
            let end = house
                .call("everything_add", json!({ "a": n, "b": 1 }))
                .await;
            assert_eq!(structured(&end), json!({ "sum": n + 1 }));
        }
    };
    // All on one thread: a poll that did not give it back would let nothing else run.
    tokio::select! {
        biased;
        ended = futures_util::future::join_all(busy) => panic!("a loop ended: {ended:?}"),
        () = honest => {}
    }
}

#[tokio::test]
async fn g05_who_polls_without_end_meets_its_deadline_and_its_fuel() {
    let house = rogue(r#"fuel = 1_000_000_000_000, deadline = "200ms""#);
    house
        .ends_with("rogue_poll_busy", json!({}), Code::DeadlineExceeded)
        .await;
    let house = rogue(r#"fuel = 1_000_000, deadline = "60s""#);
    house
        .ends_with("rogue_poll_busy", json!({}), Code::OutOfFuel)
        .await;
}

#[tokio::test]
async fn g15_zeroes_are_not_made_because_a_guest_says_how_many() {
    // With a log that keeps stdout, and without one.
    let kept = rogue(r#"log = "1KiB""#);
    let dropped = House::new(
        "[tool.rogue]\ncomponent = \"rogue.wasm\"\n[tool.everything]\ncomponent = \"everything.wasm\"\n",
    );
    for house in [kept, dropped] {
        for bytes in [1 << 30, u64::MAX] {
            let zeroes = json!({ "bytes": bytes });
            house.ends_with("rogue_zeroes", zeroes, Code::Trapped).await;
        }
    }
}

#[test]
fn g17_what_a_guest_shrieks_is_shown_and_moves_no_cursor() {
    let program = Program::new(
        r#"
[tool.rogue]
component = "rogue.wasm"
log = "info"
limits = { log = "12MiB", fuel = 50_000_000_000, deadline = "60s" }
"#,
    );
    let ended = program.run_with(
        ("TOOLHOST_LOG", "info"),
        &["call", "rogue.shriek", r#"{"mib":10}"#, "--json"],
    );
    assert_eq!(ended.code, 0, "{:.1000}", ended.err);
    assert_eq!(ended.json()["outcome"], "ok");
    assert!(
        !ended.err.contains(['\u{1b}', '\u{7}', '\0']),
        "{:.1000}",
        ended.err
    );
    let shown = ended.err.lines().find(|line| line.contains("52;c;"));
    let shown = shown.expect("the first line");
    assert!(shown.contains(r"\u{1b}]52;c;cm0gLXJm\u{7}"), "{shown}");
    assert!(
        shown.contains("\u{fffd}"),
        "what is no UTF-8 is marked: {shown}"
    );
    // A line without an end comes in pieces of bounded length.
    let longest = ended.err.lines().map(str::len).max();
    assert!(longest.is_some_and(|bytes| bytes < 8 << 10), "{longest:?}");
}

#[tokio::test]
async fn g37_times_that_make_no_sense_are_clamped() {
    let up = Upstream::echo().await;
    let house = House::new(&format!(
        r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.http.up]
url = "http://{}"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
[tool.everything]
component = "everything.wasm"
"#,
        up.address
    ));
    let ask = async |nanoseconds: u64| {
        let arguments = json!({ "authority": up.address.to_string(), "nanoseconds": nanoseconds });
        let end = house.call("rogue_request_options", arguments).await;
        house
            .still_serves("everything_add", json!({ "a": 1, "b": 1 }))
            .await;
        end
    };
    for forever in [u64::MAX, u64::MAX - 1, 1 << 63] {
        assert_eq!(text(&ask(forever).await), "status 200");
    }
    // No time at all: an answer in no time, or none in time; never a fault.
    for nothing in [0, 1, 999] {
        let end = ask(nothing).await;
        assert!(end.is_ok(), "{end:?}");
    }
    for ms in [0, u64::MAX] {
        let arguments = json!({ "method": "GET", "url": up.url("/"), "timeout_ms": ms });
        let end = house.call("rogue_raw", arguments).await;
        if ms == 0 {
            assert!(end.is_ok(), "{end:?}");
        } else {
            assert_eq!(structured(&end)["status"], 200);
        }
    }
}

#[tokio::test]
async fn g37_timers_for_no_time_and_for_ever_are_timers() {
    let house = rogue("fuel = 100_000_000");
    let end = house.call("rogue_odd_timers", json!({})).await;
    assert_eq!(text(&end), "[false, false, false]");
    house
        .still_serves("everything_add", json!({ "a": 1, "b": 1 }))
        .await;
}

#[tokio::test]
async fn g48_datagrams_and_listeners_are_refused_like_connections() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a socket");
    let address = socket.local_addr().expect("an address");
    let house = rogue("fuel = 100_000_000");
    for listen in [false, true] {
        let arguments = json!({ "addr": address.to_string(), "listen": listen });
        tool_error(&house.call("rogue_udp", arguments).await);
    }
    let mut nothing = [0; 16];
    assert!(socket.try_recv(&mut nothing).is_err(), "a datagram came");
}
