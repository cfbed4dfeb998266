//! Asynchronous functions that the host finds by their types, and what a component's generation of
//! WASI has to do with the manifest.

use serde_json::json;
use toolhost_core::terms::Code;

use super::{refused, site};
use crate::harness::{End, House, Site, component, definition, manifest, structured};

#[tokio::test]
async fn asynchronous_exports_are_functions_like_others() {
    let text = "[tool.later]\ncomponent = \"later.wasm\"\nwasi = \"0.3\"\n\
                [tool.later.function.wait]\nlimits.deadline = \"200ms\"\n\
                [tool.everything]\ncomponent = \"everything.wasm\"\n";
    let house = House::at(site(), text);
    let mut names: Vec<_> = house
        .host
        .snapshot()
        .catalog
        .functions()
        .map(|one| one.listed.agent_name.clone())
        .collect();
    names.retain(|name| name.starts_with("later"));
    assert_eq!(
        names,
        [
            "later_add",
            "later_check",
            "later_leave_behind",
            "later_wait",
            "later_wait_all_the_same"
        ]
    );
    let result = |end: &End| structured(end)["result"].clone();
    let end = house.call("later_add", json!({ "a": 2, "b": 3 })).await;
    assert_eq!(result(&end), 5);
    let end = house.call("later_check", json!({ "number": 3 })).await;
    assert_eq!(result(&end), 3);
    let end = house.call("later_check", json!({ "number": -3 })).await;
    assert_eq!(refused(&end), "-3 is below nothing");
    let end = house.call("later_wait", json!({ "ms": 5 })).await;
    let waited: u64 = result(&end)
        .to_string()
        .trim_matches('"')
        .parse()
        .expect("a number");
    assert!(waited >= 5, "{waited}");
    house
        .ends_with(
            "later_wait",
            json!({ "ms": 60_000 }),
            Code::DeadlineExceeded,
        )
        .await;
    // What a function leaves behind ends with its answer.
    let end = house.call("later_leave_behind", json!({})).await;
    assert_eq!(result(&end), 7);
    let say = house
        .ends_with("later_wait_all_the_same", json!({}), Code::Trapped)
        .await;
    assert!(
        say.contains("in WASI 0.3 such a function is an `async func`"),
        "{say}"
    );
}

/// A component whose function is `async` to its callers, and an ordinary one within.
fn by_type() -> Vec<u8> {
    let text = "(component
      (core module $m (func (export \"f\") (result i32) (i32.const 7)))
      (core instance $i (instantiate $m))
      (func (export \"f\") async (result u32) (canon lift (core func $i \"f\"))))";
    wat::parse_str(text).expect("a component")
}

#[tokio::test]
async fn a_function_that_is_async_by_its_type_alone_can_be_called() {
    let site = site();
    site.write("one.wasm", by_type());
    let house = House::at(
        site,
        "[tool.one]\ncomponent = \"one.wasm\"\nwasi = \"0.3\"\n",
    );
    let end = house.call("one_f", json!({})).await;
    assert_eq!(structured(&end), json!({ "result": 7 }));
}

/// What locking says of one tool.
fn unlocked(site: &Site, section: &str) -> String {
    let said = site.lock(&manifest(section)).map(drop);
    let troubles = said.expect_err("something is wrong");
    troubles.iter().map(ToString::to_string).collect()
}

#[test]
fn what_needs_0_3_says_so_and_nothing_else_does() {
    let site = site();
    site.write(
        "plain.wasm",
        component(&[definition("go")], "", "(unreachable)"),
    );
    let asynchronous = "(component
      (core module $m (func (export \"f\") unreachable))
      (core instance $i (instantiate $m))
      (func (export \"f\") async (canon lift (core func $i \"f\") async)))";
    site.write(
        "async.wasm",
        wat::parse_str(asynchronous).expect("a component"),
    );
    site.write("by_type.wasm", by_type());
    let section = |name: &str, key: &str| format!("[tool.one]\ncomponent = \"{name}.wasm\"\n{key}");
    let new = "wasi = \"0.3\"\n";
    assert_eq!(
        unlocked(&site, &section("later", "")),
        "line 2: tool `one`: not a component this host can run: it imports \
         `wasi:clocks/monotonic-clock@0.3.0`, `wasi:clocks/types@0.3.0`, which is WASI 0.3, for \
         all of its functions; write `wasi = \"0.3\"` into its tool's section"
    );
    assert_eq!(
        unlocked(&site, &section("async", "")),
        "line 2: tool `one`: not a component this host can run: it has async functions, streams \
         or futures, which are WASI 0.3; write `wasi = \"0.3\"` into its tool's section"
    );
    assert_eq!(
        unlocked(&site, &section("plain", new)),
        "line 2: tool `one`: not a component this host can run: it needs nothing of WASI 0.3; \
         delete `wasi = \"0.3\"` from its tool's section"
    );
    // Its functions are async by type alone: the host's engine for 0.2 would not read them.
    assert!(unlocked(&site, &section("by_type", "")).contains("write `wasi = \"0.3\"`"));
    // The key may come or go after the lock was written.
    let lock = site
        .lock(&manifest(&section("later", new)))
        .expect("a lock");
    let loaded = site.load_locked(&manifest(&section("later", "")), &lock);
    let said = loaded.map(drop).expect_err("the key is gone");
    assert!(
        said[0].message.contains("write `wasi = \"0.3\"`"),
        "{said:?}"
    );
    let lock = site
        .lock(&manifest(&section("plain", "wasi = \"0.2\"\n")))
        .expect("a lock");
    let loaded = site.load_locked(&manifest(&section("plain", new)), &lock);
    let said = loaded.map(drop).expect_err("the key came");
    assert!(
        said[0].message.contains("delete `wasi = \"0.3\"`"),
        "{said:?}"
    );
}
