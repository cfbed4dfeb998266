//! What programs find in a directory that was not made for them: names that are no UTF-8, a quota that
//! is used up, and paths that begin nowhere.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::json;

use super::house;
use crate::harness::{House, Site, structured, text, tool_error};

/// From an archive, or an old share. WASI's paths are Unicode, so no guest could open it either.
#[tokio::test]
async fn a_name_that_is_no_utf_8_hides_no_other() {
    let house = house();
    let inner = house.site.path("notes/inner");
    for name in [&b"a.txt"[..], b"caf\xe9.txt", b"\xff", b"z.txt"] {
        std::fs::write(inner.join(OsStr::from_bytes(name)), "x").expect("a file");
    }
    let list = house
        .call("rogue_list", json!({ "path": "/notes/inner" }))
        .await;
    assert_eq!(
        structured(&list)["result"],
        json!(["a.txt", "b.txt", "z.txt"])
    );
}

const PROGRAM: &str = r#"
[tool.p]
component = "program.wasm"
[tool.p.command.read]
description = "Reads a file."
input.path = { type = "string" }
arguments = ["read", "{path}"]
[tool.p.command.fill]
description = "Writes a file until it cannot."
input.path = { type = "string" }
arguments = ["fill", "{path}"]
"#;

/// Programs name files as their users do: from where they are.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_relative_paths_runs_in_the_directory_that_is_granted() {
    for guest in ["/", "."] {
        let site = Site::new();
        site.write("work/inner/note.txt", "from a file");
        site.write("outside.txt", "outside");
        let text_of = format!(
            "{PROGRAM}[tool.p.dir.work]\nhost = \"work\"\nguest = \"{guest}\"\naccess = \"read\"\n"
        );
        let house = House::at(site, &text_of);
        for path in ["inner/note.txt", "./inner/note.txt", "/inner/note.txt"] {
            let end = house.call("p_read", json!({ "path": path })).await;
            assert_eq!(text(&end), "from a file\n", "{guest} {path}");
        }
        for path in ["../outside.txt", "inner/../../outside.txt", "/etc/passwd"] {
            let end = house.call("p_read", json!({ "path": path })).await;
            assert!(tool_error(&end).message.contains("cannot read"), "{end:?}");
        }
    }
}

/// Libraries of guests take every failure of a stream for a broken disk. The host's words say what it
/// was, and the file is not broken: each write is tried.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_directory_is_said_to_be_full_whatever_the_guest_makes_of_it() {
    let site = Site::new();
    site.write("work/old.txt", "0123456789");
    let text = format!(
        "{PROGRAM}[tool.p.dir.work]\nhost = \"work\"\nguest = \"/work\"\naccess = \"read-write\"\nbytes = \"64KiB\"\n"
    );
    let house = House::at(site, &text);
    let end = house
        .call("p_fill", json!({ "path": "/work/new.txt" }))
        .await;
    let error = tool_error(&end);
    assert!(!error.message.contains("Broken pipe"), "{error:?}");
    let [said] = &error.denied[..] else {
        panic!("{error:?}")
    };
    assert!(
        said.contains("\"/work\"") && said.contains("quota of 64.0 KiB"),
        "{said}"
    );
    // What fits is there.
    assert_eq!(house.site.read("work/new.txt").len(), 7 * (8 << 10));
}
