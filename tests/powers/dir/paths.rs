//! Every way out of a directory, tried on the host functions themselves.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{acts, house};
use crate::harness::House;

/// Everything in a folder, with what it holds and when it changed.
fn snapshot(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let meta = path.symlink_metadata().expect("metadata");
            let what = if meta.is_dir() {
                folders.push(path.clone());
                "a folder".to_owned()
            } else if meta.is_symlink() {
                format!("{:?}", path.read_link().expect("a link"))
            } else {
                format!("{:?} {:?}", std::fs::read(&path), meta.modified())
            };
            found.insert(path.display().to_string(), what);
        }
    }
    found
}

/// What is not the guest's to change.
fn outside(house: &House) -> BTreeMap<String, String> {
    let mut all = snapshot(&house.site.path(""));
    let (drafts, ledger) = (house.site.path("drafts"), house.ledger());
    let own = [drafts.display().to_string(), ledger.display().to_string()];
    all.retain(|path, _| !own.iter().any(|own| path.starts_with(own)));
    assert!(all.len() > 5, "the snapshot is empty");
    all
}

/// The directory to work in is descriptor 0, the one to look at 1.
#[tokio::test]
async fn g38_g39_g46_no_host_function_follows_a_path_outside() {
    let house = house();
    let before = outside(&house);
    let (deep, long) = ("../".repeat(5_000), "a".repeat(64 << 10));
    let leave = [
        "../outside.txt",
        "./../outside.txt",
        "inner/../../outside.txt",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/environ",
        "root/etc/passwd",
        "root/proc/self/environ",
        "root/dev/null",
        "root/tmp",
        "up/x",
        "loop/x",
        "..",
        "/",
        "",
        "a\0b",
        &deep,
        &long,
    ];
    for path in leave {
        for dir in ["0", "1"] {
            let tried = [
                &["open", dir, path, "read,follow"][..],
                &["open", dir, path, "read"],
                &["open", dir, path, "directory,follow"],
                &["open", dir, path, "create,write,follow"],
                &["open", dir, path, "create,exclusive,write"],
                &["open", dir, path, "truncate,write,follow"],
                &["stat-at", dir, path, "follow"],
                &["stat-at", dir, path, ""],
                &["hash-at", dir, path, "follow"],
                &["readlink", dir, path],
                &["mkdir", dir, path],
                &["rmdir", dir, path],
                &["unlink", dir, path],
                &["times-at", dir, path, "follow", "1", "0"],
                &["times-at", dir, path, "", "1", "0"],
                &["symlink", dir, "c.txt", path],
                &["rename", dir, path, "0", "got"],
                &["rename", "0", "c.txt", dir, path],
                &["link", dir, path, "0", "got", ""],
                &["link", "0", "c.txt", dir, path, ""],
            ];
            let came = acts(&house, &tried).await;
            for (act, did) in tried.iter().zip(&came) {
                let error = !did.starts_with("ok") && !did.contains(' ') && !did.contains('/');
                assert!(error, "{:.80?}: {did}", act);
            }
        }
    }
    // The links themselves lie inside; what they lead to does not.
    for link in [
        "up", "passwd", "root", "around", "loop", "up/", "root/", "root/.",
    ] {
        for dir in ["0", "1"] {
            let tried = [
                &["open", dir, link, "read,follow"][..],
                &["open", dir, link, "directory,follow"],
                &["open", dir, link, "create,write,follow"],
                &["stat-at", dir, link, "follow"],
                &["hash-at", dir, link, "follow"],
                &["times-at", dir, link, "follow", "1", "0"],
                &["open", dir, link, "read"],
            ];
            for (act, did) in tried.iter().zip(acts(&house, &tried).await) {
                assert!(
                    !did.starts_with("ok") && !did.contains(' '),
                    "{act:?}: {did}"
                );
            }
        }
    }
    let endless = "a/".repeat(1 << 19);
    let came = acts(&house, &[&["open", "0", &endless, "read,follow"]]).await;
    assert_eq!(came, ["name-too-long"]);
    assert_eq!(outside(&house), before, "something outside has changed");
    house
        .still_serves("rogue_read", serde_json::json!({ "path": "/notes/a.txt" }))
        .await;
}

/// Links that the guest makes lead no further than those that were there.
#[tokio::test]
async fn g39_a_guests_own_links_lead_nowhere_outside() {
    let house = house();
    let before = outside(&house);
    let came = acts(
        &house,
        &[
            &["symlink", "0", "/etc/passwd", "absolute"],
            &["symlink", "0", "../outside.txt", "relative"],
            &["symlink", "0", "..", "parent"],
            &["symlink", "0", "self", "self"],
            &["link", "0", "relative", "0", "again", ""],
            &["link", "0", "relative", "0", "followed", "follow"],
            &["open", "0", "absolute", "read,follow"],
            &["open", "0", "relative", "read,follow"],
            &["open", "0", "relative", "write,truncate,follow"],
            &["open", "0", "again", "read,follow"],
            &["open", "0", "followed", "read,follow"],
            &["open", "0", "parent/outside.txt", "read,follow"],
            &["open", "0", "parent", "directory,follow"],
            &["open", "0", "self", "read,follow"],
            &["rename", "0", "c.txt", "0", "parent/stolen.txt"],
            &["mkdir", "0", "parent/made"],
            &["stat-at", "0", "parent/outside.txt", "follow"],
        ],
    )
    .await;
    assert_eq!(&came[1..4], ["ok", "ok", "ok"], "honest links are made");
    for (index, did) in came.iter().enumerate().skip(5) {
        assert!(did != "ok" && !did.contains(' '), "act {index}: {did}");
    }
    assert_eq!(came[13], "loop");
    assert_eq!(outside(&house), before, "something outside has changed");
}

/// Every kind of source and target, with and without slashes at the end, under every operation that
/// takes two paths: nothing outside changes, and nothing from outside comes in.
#[tokio::test]
async fn g40_slashes_at_the_end_lead_nowhere_outside() {
    const KINDS: [&str; 7] = [
        "file",
        "folder",
        "to-file",
        "to-folder",
        "out-file",
        "out-folder",
        "missing",
    ];
    let house = house();
    std::fs::create_dir(house.site.path("vault")).expect("a folder");
    house.site.write("vault/gold.txt", "gold");
    let (mut tried, mut cases) = (Vec::new(), 0);
    for verb in ["rename", "link"] {
        for from in KINDS {
            for to in KINDS {
                for slash in ["", "/", "/.", "//"] {
                    for other in ["", "/", "/."] {
                        let case = format!("drafts/{cases}");
                        fixture(&house, &case, "a", from);
                        fixture(&house, &case, "b", to);
                        let (from, to) = (format!("{cases}/a{slash}"), format!("{cases}/b{other}"));
                        let mut act = vec![verb.to_owned(), "0".into(), from, "0".into(), to];
                        act.extend((verb == "link").then(String::new));
                        tried.push(act);
                        cases += 1;
                    }
                }
            }
        }
    }
    let before = outside(&house);
    for some in tried.chunks(200) {
        let some: Vec<Vec<&str>> = some
            .iter()
            .map(|act| act.iter().map(String::as_str).collect())
            .collect();
        let some: Vec<&[&str]> = some.iter().map(Vec::as_slice).collect();
        assert_eq!(acts(&house, &some).await.len(), some.len());
    }
    assert_eq!(outside(&house), before, "something outside has changed");
    let gold = snapshot(&house.site.path("drafts"));
    let gold = gold.values().filter(|held| held.contains("gold.txt\""));
    // Only the links that the host made say its name.
    assert!(gold.count() <= 2 * cases, "something came in");
    let inside = std::fs::read_dir(house.site.path("drafts")).expect("a folder");
    for case in inside.flatten().filter(|case| case.path().is_dir()) {
        for entry in std::fs::read_dir(case.path()).expect("a folder").flatten() {
            let meta = entry.path().symlink_metadata().expect("metadata");
            if meta.is_file() {
                let held = std::fs::read_to_string(entry.path()).expect("a file");
                assert_ne!(held, "gold", "{:?}", entry.path());
            }
        }
    }
}

fn fixture(house: &House, case: &str, name: &str, kind: &str) {
    let folder = house.site.path(case);
    std::fs::create_dir_all(&folder).expect("a folder");
    let link = |target: &str| symlink(target, folder.join(name)).expect("a link");
    match kind {
        "file" => std::fs::write(folder.join(name), "inside").expect("a file"),
        "folder" => std::fs::create_dir(folder.join(name)).expect("a folder"),
        "to-file" => link("../c.txt"),
        "to-folder" => link(".."),
        "out-file" => link("../../vault/gold.txt"),
        "out-folder" => link("../../vault"),
        _ => {}
    }
}

/// The host's side swaps a folder and a link that leads outside while the guest opens. The long form
/// (`TOOLHOST_LONG_TESTS` is set) tries a hundred thousand times.
#[tokio::test]
async fn g42_a_folder_that_becomes_a_link_meanwhile_leads_nowhere_outside() {
    let rounds = if std::env::var_os("TOOLHOST_LONG_TESTS").is_some() {
        500
    } else {
        10
    };
    let house = house();
    house.site.write("vault/f.txt", "OUTSIDE");
    house.site.write("drafts/swap/f.txt", "inside");
    symlink("../vault", house.site.path("drafts/link")).expect("a link");
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (stop, drafts) = (Arc::clone(&stop), house.site.path("drafts"));
        std::thread::spawn(move || {
            let folder = std::fs::File::open(drafts).expect("a folder");
            let mut swaps = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&folder, "swap", &folder, "link", exchange)
                    .expect("a swap");
                swaps += 1;
            }
            swaps
        })
    };
    let mut tried: Vec<Vec<String>> = Vec::new();
    for number in 0..200 {
        let fd = (number + 2).to_string();
        tried.push(
            ["open", "0", "swap/f.txt", "read,follow"]
                .map(String::from)
                .into(),
        );
        tried.push(["read", &fd, "0", "100"].map(String::from).into());
        tried.push(["close", &fd].map(String::from).into());
        tried.push(
            ["stat-at", "0", "swap/../swap/f.txt", "follow"]
                .map(String::from)
                .into(),
        );
    }
    let tried: Vec<Vec<&str>> = tried
        .iter()
        .map(|act| act.iter().map(String::as_str).collect())
        .collect();
    let tried: Vec<&[&str]> = tried.iter().map(Vec::as_slice).collect();
    let mut inside = 0;
    for _ in 0..rounds {
        for did in acts(&house, &tried).await {
            assert_ne!(did, "OUTSIDE");
            assert_ne!(
                did, "DescriptorType::RegularFile 7",
                "it saw the file outside"
            );
            inside += u32::from(did == "inside");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = swapping.join().expect("a thread");
    assert!(swaps > 10, "only {swaps} swaps: nothing was raced");
    assert!(inside > 0, "nothing was ever opened");
    assert_eq!(house.site.read("vault/f.txt"), "OUTSIDE");
}

#[tokio::test]
async fn g41_no_flag_and_no_function_changes_what_is_to_be_read() {
    let house = house();
    let before = snapshot(&house.site.path("notes"));
    let tried = [
        &["open", "1", "a.txt", "write"][..],
        &["open", "1", "a.txt", "read,write"],
        &["open", "1", "a.txt", "truncate"],
        &["open", "1", "a.txt", "read,truncate"],
        &["open", "1", "a.txt", "create"],
        &["open", "1", "new.txt", "create,exclusive"],
        &["mkdir", "1", "new"],
        &["rmdir", "1", "inner"],
        &["unlink", "1", "a.txt"],
        &["symlink", "1", "a.txt", "new"],
        &["rename", "1", "a.txt", "1", "b.txt"],
        &["rename", "1", "a.txt", "0", "b.txt"],
        &["rename", "0", "c.txt", "1", "a.txt"],
        &["link", "1", "a.txt", "1", "b.txt", ""],
        &["link", "1", "a.txt", "0", "b.txt", ""],
        &["link", "0", "c.txt", "1", "b.txt", ""],
        &["times-at", "1", "a.txt", "follow", "1", "0"],
        &["times-at", "1", "a.txt", "", "1", "0"],
        &["times", "1", "1", "0"],
    ];
    for (act, did) in tried.iter().zip(acts(&house, &tried).await) {
        assert_eq!(did, "not-permitted", "{act:?}");
    }
    // A file and a folder opened to be read are no way to write either.
    let came = acts(
        &house,
        &[
            &["open", "1", "a.txt", "read"],
            &["write", "2", "0", "3"],
            &["stream", "2", "0", "3"],
            &["append", "2", "3"],
            &["size", "2", "0"],
            &["times", "2", "1", "0"],
            &["open", "1", "inner", "directory,mutate"],
            &["unlink", "3", "b.txt"],
            &["open", "3", "b.txt", "write"],
        ],
    )
    .await;
    assert_eq!(came[0], "ok");
    for did in came[1..6].iter().chain(&came[7..]) {
        assert_eq!(did, "not-permitted", "{came:?}");
    }
    assert_eq!(snapshot(&house.site.path("notes")), before);
}

#[tokio::test]
async fn g36_times_beyond_all_reason_are_errors_or_kept_within_reason() {
    let house = house();
    let most = u64::MAX.to_string();
    let edge = i64::MAX.to_string();
    let nanos = u32::MAX.to_string();
    for (seconds, nanoseconds) in [
        (most.as_str(), "0"),
        (most.as_str(), nanos.as_str()),
        (edge.as_str(), "999999999"),
        (edge.as_str(), "1000000000"),
        ("9223372036854775808", "0"),
        ("1", "1000000000"),
        ("0", nanos.as_str()),
        ("0", "0"),
    ] {
        let came = acts(
            &house,
            &[
                &["open", "0", "c.txt", "read,write"],
                &["times", "2", seconds, nanoseconds],
                &["times-at", "0", "c.txt", "follow", seconds, nanoseconds],
                &["times-at", "0", "c.txt", "", seconds, nanoseconds],
                &["times", "0", seconds, nanoseconds],
                &["stat", "2"],
            ],
        )
        .await;
        for did in &came[1..5] {
            // What was given at the start is no handle that times can be set on.
            let known = ["ok", "overflow", "invalid", "bad-descriptor"].contains(&did.as_str());
            assert!(known, "{seconds} {nanoseconds}: {came:?}");
        }
        assert_eq!(came[5], "DescriptorType::RegularFile 7", "{came:?}");
    }
    house
        .still_serves("rogue_read", serde_json::json!({ "path": "/notes/a.txt" }))
        .await;
}
