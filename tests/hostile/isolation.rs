//! Nothing of one call is there for another: globals, memories, tables, and what a call left behind
//! when it ended badly.

use serde_json::{Value, json};
use toolhost_core::terms::Code;

use super::rogue;
use crate::harness::{EMPTY, Handmade, House, Site, definition, structured};

#[tokio::test]
async fn g23_after_a_trap_inside_a_host_function_nothing_of_the_instance_is_left() {
    let house = rogue(r#"memory = "16MiB""#);
    let crashing = json!({ "value": "first", "crash": true });
    house
        .ends_with("rogue_stash", crashing, Code::Trapped)
        .await;
    let after = house
        .call("rogue_stash", json!({ "value": "second" }))
        .await;
    assert_eq!(structured(&after), json!({ "previous": null }));
}

#[tokio::test]
async fn g50_what_a_call_writes_into_memory_and_globals_no_later_call_reads() {
    let counts = Handmade {
        module: "(global $seen (mut i32) (i32.const 0))",
        // Traps when any call was here before.
        body: "(if (i32.or (global.get $seen) (i32.load (i32.const 512))) (then (unreachable)))
               (global.set $seen (i32.const 1))
               (i32.store (i32.const 512) (i32.const 1))
               (i32.const 768)",
        ..Handmade::default()
    };
    let house = super::handmade(&counts, "");
    for _ in 0..20 {
        house.still_serves("handmade_go", json!({})).await;
    }
}

/// One tool that fills 12 MiB and a table, and one that traps when it finds anything in its own.
fn neighbours() -> House {
    let leaves = Handmade {
        pages: 200,
        module: "(table $t 5000 5000 funcref) (elem declare func $f) (func $f)",
        body: "(memory.fill (i32.const 65536) (i32.const 0xc5) (i32.const 13000000))
               (table.fill $t (i32.const 0) (ref.func $f) (i32.const 5000))
               (i32.const 768)",
        ..Handmade::default()
    };
    let searches = Handmade {
        pages: 200,
        module: "(table $t 5000 5000 funcref)",
        body: "(local $at i32)
               (drop (memory.grow (i32.const 100)))
               (local.set $at (i32.const 65536))
               (loop $next
                 (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (unreachable)))
                 (local.set $at (i32.add (local.get $at) (i32.const 8)))
                 (br_if $next (i32.lt_u (local.get $at) (i32.const 19000000))))
               (local.set $at (i32.const 0))
               (loop $slot
                 (if (i32.eqz (ref.is_null (table.get $t (local.get $at)))) (then (unreachable)))
                 (local.set $at (i32.add (local.get $at) (i32.const 1)))
                 (br_if $slot (i32.lt_u (local.get $at) (i32.const 5000))))
               (i32.const 768)",
        ..Handmade::default()
    };
    let site = Site::empty();
    site.write("leaves.wasm", leaves.build(&[definition("go")]));
    site.write("searches.wasm", searches.build(&[definition("go")]));
    House::at(
        site,
        "[tool.leaves]\ncomponent = \"leaves.wasm\"\n[tool.searches]\ncomponent = \"searches.wasm\"\n",
    )
}

#[tokio::test]
async fn g51_memory_and_tables_of_the_pool_are_zero_for_the_next_tenant() {
    let house = neighbours();
    for _ in 0..4 {
        // Several at once, so that several slots are used and used again.
        let left = (0..3).map(|_| house.call("leaves_go", json!({})));
        for end in futures_util::future::join_all(left).await {
            assert!(end.is_ok(), "{end:?}");
        }
        let found = (0..3).map(|_| house.call("searches_go", json!({})));
        for end in futures_util::future::join_all(found).await {
            assert!(end.is_ok(), "something was left: {end:?}");
        }
    }
}

/// The search of the test above finds what is there.
#[tokio::test]
async fn g51_the_search_would_find_what_was_left() {
    let finds = Handmade {
        pages: 8,
        body: "(local $at i32)
               (i32.store8 (i32.const 100000) (i32.const 0xc5))
               (local.set $at (i32.const 65536))
               (loop $next
                 (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (unreachable)))
                 (local.set $at (i32.add (local.get $at) (i32.const 8)))
                 (br_if $next (i32.lt_u (local.get $at) (i32.const 131072))))
               (i32.const 768)",
        ..Handmade::default()
    };
    let house = super::handmade(&finds, "");
    house
        .ends_with(
            "handmade_go",
            Value::Object(serde_json::Map::new()),
            Code::Trapped,
        )
        .await;
    assert_eq!(EMPTY, "(i32.const 768)");
}
