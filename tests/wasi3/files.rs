//! Files by `wasi:filesystem` 0.3: the directories, refusals and quotas of 0.2.

use serde_json::json;

use super::{TOOL, refused, said, site};
use crate::harness::House;

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
    // A name that is no UTF-8 hides no other.
    use std::os::unix::ffi::OsStrExt as _;
    let odd = house.site.path("notes/inner");
    std::fs::write(odd.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "x").expect("a file");
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
