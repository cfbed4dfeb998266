//! How much of a directory a guest may use: bytes, files and handles, whatever way it tries.

use std::os::unix::fs::MetadataExt as _;

use serde_json::json;

use super::acts;
use crate::harness::{House, Site, structured};

const KIB: u64 = 1 << 10;

/// A directory of 64 KiB, ten files and twelve handles, and another one.
fn small_house() -> House {
    let site = Site::new();
    site.write("work/old.txt", "0123456789");
    site.write("other/x.txt", "x");
    House::at(
        site,
        r#"
[tool.rogue]
component = "rogue.wasm"
limits.concurrency = 16
[tool.rogue.dir.a]
host = "work"
guest = "/work"
access = "read-write"
bytes = "64KiB"
files = 10
handles = 12
[tool.rogue.dir.b]
host = "other"
guest = "/other"
access = "read-write"
"#,
    )
}

/// What the files of a directory are long together.
fn bytes(house: &House, name: &str) -> u64 {
    let entries = std::fs::read_dir(house.site.path(name)).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").metadata().expect("metadata"))
        .filter(std::fs::Metadata::is_file)
        .map(|metadata| metadata.size())
        .sum()
}

#[tokio::test]
async fn g44_no_way_of_writing_goes_beyond_the_bytes() {
    let house = small_house();
    let far = (1_u64 << 60).to_string();
    let end = u64::MAX.to_string();
    let came = acts(
        &house,
        &[
            &["open", "0", "f", "create,read,write"],
            // What was there counts: ten bytes.
            &["size", "2", "65526"],
            &["size", "2", "65527"],
            &["write", "2", "65526", "1"],
            &["write", "2", &far, "1"],
            &["write", "2", &end, "8"],
            &["stream", "2", "65526", "1"],
            &["stream", "2", &far, "1"],
            &["append", "2", "1"],
            &["zeroes", "2", "65000", "4096"],
            &["size", "2", &far],
            &["size", "2", &end],
            &["open", "0", "g", "create,write"],
            &["write", "3", "0", "1"],
            // Over what is there nothing grows.
            &["write", "2", "0", "4096"],
            &["stream", "2", "4096", "8192"],
            &["stat", "2"],
        ],
    )
    .await;
    assert_eq!(came[..2], ["ok", "ok"]);
    for (index, did) in came.iter().enumerate().take(14).skip(2) {
        let expected = match index {
            5 => "file-too-large",
            12 => "ok",
            _ => "quota",
        };
        assert_eq!(did, expected, "act {index}");
    }
    assert_eq!(
        came[14..],
        ["ok", "ok", "DescriptorType::RegularFile 65526"]
    );
    assert_eq!(bytes(&house, "work"), 64 * KIB);
    // Another directory has its own account.
    let came = acts(
        &house,
        &[
            &["open", "1", "f", "create,write"],
            &["write", "2", "0", "60000"],
        ],
    );
    assert_eq!(came.await, ["ok", "ok"]);
}

#[tokio::test]
async fn g44_what_is_taken_away_is_given_back_once() {
    let house = small_house();
    for give_back in [
        &[&["unlink", "0", "f"][..]][..],
        &[&["size", "2", "0"], &["unlink", "0", "f"]],
        &[&["open", "0", "f", "truncate,write"], &["unlink", "0", "f"]],
        &[&["rename", "0", "e", "0", "f"], &["unlink", "0", "f"]],
        &[
            &["unlink", "0", "f"],
            &["open", "0", "f", "create,write"],
            &["unlink", "0", "f"],
        ],
    ] {
        let mut tried: Vec<&[&str]> = vec![
            &["open", "0", "f", "create,read,write"],
            &["write", "2", "0", "65526"],
            &["open", "0", "e", "create,write"],
            &["write", "3", "0", "1"],
        ];
        tried.extend(give_back);
        let came = acts(&house, &tried).await;
        assert_eq!(came[..4], ["ok", "ok", "ok", "quota"], "{give_back:?}");
        assert!(
            came[4..].iter().all(|did| did == "ok"),
            "{give_back:?}: {came:?}"
        );
        acts(&house, &[&["unlink", "0", "e"]]).await;
    }
    assert_eq!(bytes(&house, "work"), 10);
}

/// A file without a name is still on the disk while it is open.
#[tokio::test]
async fn g44_a_file_without_a_name_counts_until_it_is_closed() {
    let house = small_house();
    let came = acts(
        &house,
        &[
            &["open", "0", "f", "create,read,write"],
            &["write", "2", "0", "60000"],
            &["unlink", "0", "f"],
            &["open", "0", "g", "create,write"],
            &["write", "3", "0", "60000"],
            &["write", "2", "60000", "10000"],
            &["close", "2"],
            &["write", "3", "0", "60000"],
            // One that another replaces is nameless too.
            &["open", "0", "h", "create,write"],
            &["rename", "0", "h", "0", "g"],
            &["write", "4", "0", "60000"],
            &["close", "3"],
            &["write", "4", "0", "60000"],
        ],
    )
    .await;
    let expected = [
        "ok", "ok", "ok", "ok", "quota", "quota", "ok", "ok", "ok", "ok", "quota", "ok", "ok",
    ];
    assert_eq!(came, expected);
    assert_eq!(bytes(&house, "work"), 60_010);
}

#[tokio::test]
async fn g44_files_folders_and_links_are_counted_and_given_back() {
    let house = small_house();
    let came = acts(
        &house,
        &[
            &["mkdir", "0", "d"],
            &["mkdir", "0", "d/e"],
            &["open", "0", "d/e/f", "create,write"],
            &["symlink", "0", "d", "s"],
            &["link", "0", "old.txt", "0", "l", ""],
            &["open", "0", "g", "create,exclusive,write"],
            &["mkdir", "0", "h"],
            &["mkdir", "0", "i"],
            &["mkdir", "0", "j"],
            // Ten.
            &["mkdir", "0", "k"],
            &["symlink", "0", "d", "t"],
            &["link", "0", "old.txt", "0", "m", ""],
            &["open", "0", "n", "create,write"],
            &["open", "0", "g", "create,write"],
            // Moving is not making.
            &["rename", "0", "h", "0", "d/h"],
            &["rmdir", "0", "i"],
            &["mkdir", "0", "k"],
            &["mkdir", "0", "o"],
            &["rename", "0", "k", "0", "j"],
            &["mkdir", "0", "o"],
            &["mkdir", "0", "p"],
        ],
    )
    .await;
    assert!(came[..9].iter().all(|did| did == "ok"), "{came:?}");
    assert!(came[9..13].iter().all(|did| did == "quota"), "{came:?}");
    let rest = ["ok", "ok", "ok", "ok", "quota", "ok", "ok", "quota"];
    assert_eq!(came[13..], rest);
}

/// What is counted in one account cannot be moved to another behind its back.
#[tokio::test]
async fn g44_nothing_moves_from_one_account_to_another() {
    let house = small_house();
    let tried = [
        &["rename", "0", "old.txt", "1", "got"][..],
        &["rename", "1", "x.txt", "0", "got"],
        &["link", "0", "old.txt", "1", "got", ""],
    ];
    assert_eq!(acts(&house, &tried).await, ["cross-device"; 3]);
}

/// Calls at once fill the directory to the last byte, and not beyond.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g44_calls_at_once_fill_a_directory_exactly() {
    let house = small_house();
    house.site.write("work/old.txt", "");
    house.site.write("work/all", "");
    let mut tried: Vec<&[&str]> = vec![&["open", "0", "all", "write"]];
    tried.extend([&["append", "2", "1024"][..]; 20]);
    let calls = (0..5).map(|_| acts(&house, &tried));
    let came = futures_util::future::join_all(calls).await.concat();
    let written = came.iter().filter(|did| *did == "ok").count() - 5;
    assert_eq!(written, 64, "{came:?}");
    assert_eq!(bytes(&house, "work"), 64 * KIB);
}

/// An operator who makes room does not have to tell the host.
#[tokio::test]
async fn g44_room_that_others_make_is_found() {
    let house = small_house();
    let fill: [&[&str]; 3] = [
        &["open", "0", "f", "create,write"],
        &["write", "2", "0", "65526"],
        &["write", "2", "65526", "1"],
    ];
    assert_eq!(acts(&house, &fill).await, ["ok", "ok", "quota"]);
    std::fs::remove_file(house.site.path("work/old.txt")).expect("it was there");
    let one_more: [&[&str]; 2] = [&["open", "0", "f", "write"], &["write", "2", "65526", "1"]];
    // It is counted again when the last count has some age.
    while acts(&house, &one_more).await[1] != "ok" {
        tokio::task::yield_now().await;
    }
    house.site.write("work/theirs.txt", vec![0; 1 << 20]);
    assert_eq!(bytes(&house, "work"), 65527 + (1 << 20));
}

#[tokio::test]
async fn g45_open_files_are_capped_and_come_back_with_the_call() {
    let house = small_house();
    for _ in 0..3 {
        let tried: [&[&str]; 40] = [&["open", "0", "old.txt", "read"]; 40];
        let came = acts(&house, &tried).await;
        let open = came.iter().filter(|did| *did == "ok").count();
        assert_eq!(open, 12, "{came:?}");
        assert!(came[12..].iter().all(|did| did == "quota"), "{came:?}");
    }
    let many = json!({ "n": 10_000, "path": "/work/old.txt" });
    let end = house.call("rogue_many_handles", many).await;
    let error = crate::harness::tool_error(&end);
    assert!(error.message.contains("number 12"), "{error:?}");
    let read = house
        .call("rogue_read", json!({ "path": "/work/old.txt" }))
        .await;
    assert_eq!(crate::harness::text(&read), "0123456789");
    let list = house.call("rogue_list", json!({ "path": "/work" })).await;
    assert_eq!(structured(&list)["result"], json!(["old.txt"]));
}

/// What the host holds for a guest is bounded in size, not only in number.
#[tokio::test]
async fn g45_listings_that_are_not_read_share_their_room() {
    let site = Site::new();
    for index in 0..40_000 {
        site.write(&format!("many/{index}"), "");
    }
    let many = r#"
[tool.rogue]
component = "rogue.wasm"
limits.deadline = "60s"
[tool.rogue.dir.many]
host = "many"
guest = "/many"
access = "read"
"#;
    let house = House::at(site, many);
    for _ in 0..2 {
        let begin = ["list-begin", "0"];
        let tried: [&[&str]; 5] = [&begin, &begin, &begin, &["list-end"], &begin];
        let came = acts(&house, &tried).await;
        assert_eq!(came, ["ok", "ok", "insufficient-memory", "ok", "ok"]);
    }
}

/// A directory that is too deep to be counted would be full for everybody: no guest makes one, not by
/// moving either.
#[tokio::test]
async fn g84_no_guest_makes_a_directory_deeper_than_it_is_counted() {
    let site = Site::new();
    site.write("work/old.txt", "0123456789");
    site.write(&format!("work/{}x.txt", "o/".repeat(70)), "from outside");
    let house = House::at(
        site,
        r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.dir.a]
host = "work"
guest = "/work"
access = "read-write"
"#,
    );
    let path = |depth: usize| vec!["d"; depth].join("/");
    let paths: Vec<String> = (1..=65).map(path).collect();
    let deep: Vec<[&str; 3]> = paths.iter().map(|path| ["mkdir", "0", path]).collect();
    let deep: Vec<&[&str]> = deep.iter().map(|act| &act[..]).collect();
    let came = acts(&house, &deep).await;
    assert!(came[..64].iter().all(|did| did == "ok"), "{came:?}");
    assert_eq!(came[64], "name-too-long");

    let (in_62, in_63, in_64) = (
        format!("{}/t", path(62)),
        format!("{}/t", path(63)),
        format!("{}/t", path(64)),
    );
    let came = acts(
        &house,
        &[
            // Through a link and by a handle it is as deep.
            &["symlink", "0", &paths[63], "l"],
            &["mkdir", "0", "l/x"],
            &["open", "0", &paths[63], "directory,read"],
            &["mkdir", "1", "x"],
            &["mkdir", "1", "x/../y"],
            // What is moved is as deep as what is in it.
            &["mkdir", "0", "t"],
            &["mkdir", "0", "t/u"],
            &["rename", "0", "t", "0", &in_64],
            &["rename", "0", "t", "0", &in_63],
            &["rename", "0", "t", "0", &in_62],
            &["rename", "0", &in_62, "0", "t"],
            &["rmdir", "0", "t/u"],
            &["rename", "0", "t", "0", &in_63],
            // A file is none, and what is there from outside is left as it is and may be made flatter.
            &["rename", "0", "old.txt", "1", "old.txt"],
            &["rename", "0", "o/o/o/o/o/o/o/o/o/o", "0", "flatter"],
            &["mkdir", "0", "more"],
        ],
    )
    .await;
    let (ok, long) = ("ok", "name-too-long");
    assert_eq!(came[..5], [ok, long, ok, long, "no-entry"]);
    assert_eq!(came[5..13], [ok, ok, long, long, ok, ok, ok, ok]);
    assert_eq!(came[13..], [ok, ok, ok]);
}
