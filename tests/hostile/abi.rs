//! The canonical ABI under attack: what a guest hands over is read by the host's own code, pointer
//! by pointer. Every broken rule ends the call and nothing else.

use serde_json::json;
use toolhost_core::terms::Code;

use super::handmade;
use crate::harness::Handmade;

/// `wasi:logging`: an enum and two strings that the host reads.
const LOGGING: &str = r#"
  (import "wasi:logging/logging@0.1.0-draft" (instance $logging
    (type $l (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $l)))
    (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
  (alias export $logging "log" (func $log))"#;

const LOG: &str = r#"(import "host" "log" (func $log (param i32 i32 i32 i32 i32)))"#;

/// Timers: handles that the host gives out.
pub(super) const TIMERS: &str = r#"
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))
    (export "[method]pollable.ready" (func (param "self" (borrow $p)) (result bool)))))
  (alias export $poll "pollable" (type $pollable))
  (alias export $poll "[method]pollable.block" (func $block))
  (alias export $poll "[method]pollable.ready" (func $ready))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $q))
    (export "pollable" (type $p (eq $q)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (alias export $clock "now" (func $now))
  (alias export $clock "subscribe-duration" (func $timer))"#;

/// A component that says one thing to the host's log, strings in this encoding.
async fn says(encoding: &str, before: &str, arguments: &str, expected: Option<Code>) {
    let lowered =
        format!(r#"(core func $log_ (canon lower (func $log) (memory $e "memory") {encoding}))"#);
    let body = format!("{before} (call $log {arguments}) (i32.const 768)");
    let parts = Handmade {
        imports: LOGGING,
        lowered: &lowered,
        from_host: LOG,
        host: r#"(export "log" (func $log_))"#,
        body: &body,
        ..Handmade::default()
    };
    let house = handmade(&parts, "");
    match expected {
        Some(code) => drop(house.ends_with("handmade_go", json!({}), code).await),
        None => house.still_serves("handmade_go", json!({})).await,
    }
}

/// Five core parameters, from level, context and message.
fn log(level: u32, context: (u32, u32), message: (u32, u32)) -> String {
    [level, context.0, context.1, message.0, message.1]
        .map(|number| format!("(i32.const 0x{number:x})"))
        .join(" ")
}

#[tokio::test]
async fn g34_strings_and_cases_that_are_none_end_the_call() {
    let trapped = Some(Code::Trapped);
    let bad_byte = "(i32.store8 (i32.const 512) (i32.const 0xff))";
    let surrogate = "(i32.store16 (i32.const 512) (i32.const 0xd800))";
    let utf8 = "string-encoding=utf8";
    let utf16 = "string-encoding=utf16";
    let latin1 = "string-encoding=latin1+utf16";
    for (encoding, before, arguments, expected) in [
        (utf8, "", log(2, (0, 4), (0, 4)), None),
        (utf8, "", log(9, (0, 4), (0, 4)), trapped),
        (utf8, "", log(u32::MAX, (0, 0), (0, 0)), trapped),
        (utf8, "", log(2, (u32::MAX, 4), (0, 4)), trapped),
        (utf8, "", log(2, (0xffff_fff0, 0x20), (0, 4)), trapped),
        (utf8, "", log(2, (0, u32::MAX), (0, 4)), trapped),
        (utf8, bad_byte, log(2, (0, 4), (512, 1)), trapped),
        (utf8, bad_byte, log(2, (508, 8), (0, 4)), trapped),
        // The same bytes twice are two strings.
        (utf8, "", log(2, (500, 100), (500, 100)), None),
        (utf16, "", log(2, (0, 4), (0, 4)), None),
        (utf16, "", log(2, (0, 4), (513, 4)), trapped),
        (utf16, surrogate, log(2, (0, 4), (512, 1)), trapped),
        (utf16, "", log(2, (0, 0x7fff_ffff), (0, 4)), trapped),
        (utf16, "", log(2, (0, 0xffff_ffff), (0, 4)), trapped),
        // Every byte is a character of Latin-1.
        (latin1, bad_byte, log(2, (0, 4), (512, 1)), None),
        (latin1, "", log(2, (0, 4), (513, 0x8000_0001)), trapped),
        (
            latin1,
            surrogate,
            log(2, (0, 4), (512, 0x8000_0001)),
            trapped,
        ),
        (latin1, "", log(2, (0, 0xffff_ffff), (0, 4)), trapped),
        (latin1, "", log(2, (0, 0x7fff_ffff), (0, 4)), trapped),
    ] {
        says(encoding, before, &arguments, expected).await;
    }
}

#[tokio::test]
async fn g34_answers_that_are_not_laid_out_as_promised_end_the_call() {
    let store = |at: u32, what: u32| format!("(i32.store (i32.const {at}) (i32.const 0x{what:x}))");
    let byte = |at: u32, what: u32| format!("(i32.store8 (i32.const {at}) (i32.const {what}))");
    let answer = "(i32.const 768)";
    // result at 768, option at 772 (text at 776, 780), list at 784 (length at 788).
    for body in [
        "(i32.const 769)".to_owned(),
        "(i32.const -4)".to_owned(),
        byte(768, 2) + answer,
        byte(768, 255) + answer,
        byte(772, 2) + answer,
        byte(772, 1) + &store(776, 0xffff_fff0) + &store(780, 0x20) + answer,
        byte(772, 1) + &store(776, 512) + &store(780, 1) + &byte(512, 0xc3) + answer,
        store(784, 512) + &store(788, 0x1000_0000) + answer,
        store(784, 512) + &store(788, u32::MAX) + answer,
        store(784, 513) + &store(788, 1) + answer,
        // One content of a kind that does not exist.
        store(784, 512) + &store(788, 1) + &byte(512, 3) + answer,
        // A blob whose bytes are nowhere: its type at 516, its data at 524.
        store(784, 512)
            + &store(788, 1)
            + &byte(512, 1)
            + &store(524, 1)
            + &store(528, u32::MAX)
            + answer,
        // A tool's error with a code that is no text.
        byte(768, 1) + &store(772, 512) + &store(776, 1) + &byte(512, 0xff) + answer,
    ] {
        let parts = Handmade {
            body: &body,
            ..Handmade::default()
        };
        let house = handmade(&parts, "");
        house
            .ends_with("handmade_go", json!({}), Code::Trapped)
            .await;
    }
}

#[tokio::test]
async fn g34_the_callers_own_text_in_another_encoding_is_whole() {
    for options in ["string-encoding=utf16", "string-encoding=latin1+utf16"] {
        let parts = Handmade {
            options,
            ..Handmade::default()
        };
        let house = handmade(&parts, "");
        let arguments = json!({ "text": "größer \u{1f30d} 世界 \u{0}" });
        house.still_serves("handmade_go", arguments).await;
    }
}

/// Calls this of a timer and of handles that are none.
fn with_timers(module: &str, body: &str) -> Vec<u8> {
    Handmade {
        imports: TIMERS,
        lowered: r#"
          (core func $timer_ (canon lower (func $timer)))
          (core func $ready_ (canon lower (func $ready)))
          (core func $drop_ (canon resource.drop $pollable))"#,
        from_host: r#"
          (import "host" "timer" (func $timer (param i64) (result i32)))
          (import "host" "ready" (func $ready (param i32) (result i32)))
          (import "host" "drop" (func $drop (param i32)))"#,
        host: r#"
          (export "timer" (func $timer_)) (export "ready" (func $ready_)) (export "drop" (func $drop_))"#,
        module,
        body,
        ..Handmade::default()
    }
    .build(&[crate::harness::definition("go")])
}

#[tokio::test]
async fn g34_handles_that_were_never_given_or_are_gone_end_the_call() {
    for (body, expected) in [
        ("(drop (call $ready (call $timer (i64.const 0))))", None),
        ("(drop (call $ready (i32.const 77)))", Some(Code::Trapped)),
        ("(drop (call $ready (i32.const 0)))", Some(Code::Trapped)),
        ("(drop (call $ready (i32.const -1)))", Some(Code::Trapped)),
        ("(call $drop (i32.const 77))", Some(Code::Trapped)),
        (
            "(local $t i32) (local.set $t (call $timer (i64.const 0)))
             (call $drop (local.get $t)) (call $drop (local.get $t))",
            Some(Code::Trapped),
        ),
        (
            "(local $t i32) (local.set $t (call $timer (i64.const 0)))
             (call $drop (local.get $t)) (drop (call $ready (local.get $t)))",
            Some(Code::Trapped),
        ),
    ] {
        let site = crate::harness::Site::new();
        site.write(
            "handmade.wasm",
            with_timers("", &format!("{body} (i32.const 768)")),
        );
        let house = crate::harness::House::at(
            site,
            "[tool.handmade]\ncomponent = \"handmade.wasm\"\n[tool.everything]\ncomponent = \"everything.wasm\"\n",
        );
        match expected {
            Some(code) => drop(house.ends_with("handmade_go", json!({}), code).await),
            None => house.still_serves("handmade_go", json!({})).await,
        }
    }
}

#[tokio::test]
async fn g12_handles_of_a_guests_own_are_counted_too() {
    let house = handmade(
        &Handmade {
            imports: "(type $mine (resource (rep i32)))",
            lowered: "(core func $new (canon resource.new $mine))
                      (core func $drop (canon resource.drop $mine))",
            from_host: r#"(import "host" "new" (func $new (param i32) (result i32)))
                          (import "host" "drop" (func $drop (param i32)))"#,
            host: r#"(export "new" (func $new)) (export "drop" (func $drop))"#,
            // Those that are given back are not counted: ten times as many come and go first.
            body: "(local $n i32)
                   (loop $pass
                     (call $drop (call $new (i32.const 1)))
                     (local.set $n (i32.add (local.get $n) (i32.const 1)))
                     (br_if $pass (i32.lt_u (local.get $n) (i32.const 10000))))
                   (local.set $n (i32.const 0))
                   (loop $again
                     (drop (call $new (i32.const 1)))
                     (local.set $n (i32.add (local.get $n) (i32.const 1)))
                     (i32.store (i32.const 512) (local.get $n))
                     (br_if $again (i32.lt_u (local.get $n) (i32.const 1000000))))
                   (i32.const 768)",
            ..Handmade::default()
        },
        "handles = 1_000",
    );
    let say = house
        .ends_with("handmade_go", json!({}), Code::TooManyResources)
        .await;
    assert!(say.contains("`handles` of 1000"), "{say}");
    let used = house.calls();
    // A million handles would have cost far more.
    assert!(
        used.iter()
            .any(|call| call.bill.is_some_and(|bill| bill.fuel < 1_000_000)),
        "{used:?}"
    );
}

#[tokio::test]
async fn g13_a_string_larger_than_a_host_call_may_carry_is_not_taken() {
    let lowered = r#"(core func $log_ (canon lower (func $log) (memory $e "memory")))"#;
    let body = format!(
        "(call $log {}) (i32.const 768)",
        log(2, (0, 4), (65_536, 32_000_000))
    );
    let parts = Handmade {
        imports: LOGGING,
        lowered,
        from_host: LOG,
        host: r#"(export "log" (func $log_))"#,
        pages: 500,
        body: &body,
        ..Handmade::default()
    };
    let house = handmade(&parts, "");
    let say = house
        .ends_with("handmade_go", json!({}), Code::Trapped)
        .await;
    assert!(say.contains("too much data"), "{say}");
}

/// `wasi:http`'s list of header fields: a list of pairs, whose every part may be the same megabyte.
#[tokio::test]
async fn g13_a_list_that_names_the_same_megabyte_a_thousand_times_is_not_taken() {
    let house = handmade(
        &Handmade {
            imports: r#"
              (import "wasi:http/types@0.2.0" (instance $http
                (export "fields" (type $fields (sub resource)))
                (type $e (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
                (export "header-error" (type $error (eq $e)))
                (export "[static]fields.from-list" (func
                  (param "entries" (list (tuple string (list u8))))
                  (result (result (own $fields) (error $error)))))))
              (alias export $http "[static]fields.from-list" (func $from))"#,
            lowered: r#"(core func $from_ (canon lower (func $from) (memory $e "memory") (realloc (func $e "realloc"))))"#,
            from_host: r#"(import "host" "from" (func $from (param i32 i32 i32)))"#,
            host: r#"(export "from" (func $from_))"#,
            pages: 40,
            // 1,000 pairs from 65,536 on: an empty name, and the megabyte from 1 MiB on.
            body: "(local $at i32)
                   (local.set $at (i32.const 65536))
                   (loop $next
                     (i32.store offset=8 (local.get $at) (i32.const 1048576))
                     (i32.store offset=12 (local.get $at) (i32.const 1048576))
                     (local.set $at (i32.add (local.get $at) (i32.const 16)))
                     (br_if $next (i32.lt_u (local.get $at) (i32.const 81536))))
                   (call $from (i32.const 65536) (i32.const 1000) (i32.const 512))
                   (i32.const 768)",
            ..Handmade::default()
        },
        "",
    );
    let say = house
        .ends_with("handmade_go", json!({}), Code::Trapped)
        .await;
    assert!(say.contains("too much data"), "{say}");
}

/// A component within the component calls back into it while it waits: the only way in that a guest
/// could make for itself.
#[tokio::test]
async fn g20_a_component_is_not_entered_while_it_is_inside_a_call() {
    let house = handmade(
        &Handmade {
            imports: r#"
              (core module $outer (func (export "back")))
              (core instance $o (instantiate $outer))
              (func $back (canon lift (core func $o "back")))
              (component $inner
                (import "back" (func $back))
                (core func $back_ (canon lower (func $back)))
                (core module $c (import "host" "back" (func $back)) (func (export "go") (call $back)))
                (core instance $i (instantiate $c (with "host" (instance (export "back" (func $back_))))))
                (func (export "go") (canon lift (core func $i "go"))))
              (instance $within (instantiate $inner (with "back" (func $back))))
              (alias export $within "go" (func $inwards))"#,
            lowered: "(core func $inwards_ (canon lower (func $inwards)))",
            from_host: r#"(import "host" "inwards" (func $inwards))"#,
            host: r#"(export "inwards" (func $inwards_))"#,
            body: "(call $inwards) (i32.const 768)",
            ..Handmade::default()
        },
        "",
    );
    house
        .ends_with("handmade_go", json!({}), Code::Trapped)
        .await;
}

#[tokio::test]
async fn g35_a_realloc_that_lies_traps_loops_or_calls_the_host_ends_the_call() {
    let limits = r#"fuel = 20_000_000, memory = "16MiB""#;
    for (realloc, expected) in [
        ("(i32.const -1)", Code::Trapped),
        ("(i32.const 0x7ffffff0)", Code::Trapped),
        ("(i32.const 0xfffffff0)", Code::Trapped),
        ("(unreachable)", Code::Trapped),
        ("(loop $again (br $again)) (unreachable)", Code::OutOfFuel),
        (
            "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
             (unreachable)",
            Code::OutOfMemory,
        ),
    ] {
        let parts = Handmade {
            realloc,
            ..Handmade::default()
        };
        let house = handmade(&parts, limits);
        house.ends_with("handmade_go", json!({}), expected).await;
    }
    let calls_the_host = Handmade {
        imports: TIMERS,
        lowered: "(core func $now_ (canon lower (func $now)))",
        host: r#"(export "now" (func $now_))"#,
        memory_imports: r#"(import "host" "now" (func $now (result i64)))"#,
        realloc: "(drop (call $now)) (i32.const 512)",
        ..Handmade::default()
    };
    let house = handmade(&calls_the_host, limits);
    house
        .ends_with("handmade_go", json!({}), Code::Trapped)
        .await;
}
