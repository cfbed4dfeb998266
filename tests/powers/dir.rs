//! Directories: what is granted, and every way out of it.

mod kinds;
mod names;
mod paths;
mod quota;

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::harness::{House, Site, structured, text, tool_error};

/// What a guest's acts came to: host functions called with nothing between.
async fn acts(house: &House, acts: &[&[&str]]) -> Vec<String> {
    let end = house.call("rogue_acts", json!({ "acts": acts })).await;
    let said = structured(&end)["result"].clone();
    serde_json::from_value(said).unwrap_or_else(|error| panic!("{error}: {end:?}"))
}

/// Two directories, one to look at and one to work in, and what is outside of both.
fn house() -> House {
    let site = Site::new();
    site.write("outside.txt", "outside");
    site.write("notes/a.txt", "a note");
    site.write("notes/inner/b.txt", "another");
    site.write("drafts/c.txt", "a draft");
    for (target, link) in [
        ("../outside.txt", "up"),
        ("/etc/passwd", "passwd"),
        ("/", "root"),
        ("loop", "loop"),
        ("inner/../../outside.txt", "around"),
    ] {
        symlink(target, site.path("notes").join(link)).expect("a link");
        symlink(target, site.path("drafts").join(link)).expect("a link");
    }
    House::at(
        site,
        r#"
[tool.rogue]
component = "rogue.wasm"
[tool.rogue.dir.notes]
host = "notes"
guest = "/notes"
access = "read"
[tool.rogue.dir.drafts]
host = "drafts"
guest = "/drafts"
access = "read-write"
[tool.rogue.function.now]
limits.fuel = 1_000_000
"#,
    )
}

#[tokio::test]
async fn what_is_granted_is_read_and_written() {
    let house = house();
    let read = house
        .call("rogue_read", json!({ "path": "/notes/a.txt" }))
        .await;
    assert_eq!(text(&read), "a note");
    let inner = house
        .call(
            "rogue_read",
            json!({ "path": "/notes/inner/../inner/b.txt" }),
        )
        .await;
    assert_eq!(text(&inner), "another");
    let list = house
        .call("rogue_list", json!({ "path": "/notes/inner" }))
        .await;
    assert_eq!(structured(&list)["result"], json!(["b.txt"]));

    for (function, arguments) in [
        (
            "rogue_write",
            json!({ "path": "/drafts/d.txt", "text": "new" }),
        ),
        (
            "rogue_rename",
            json!({ "from": "/drafts/d.txt", "to": "/drafts/e.txt" }),
        ),
        (
            "rogue_write",
            json!({ "path": "/drafts/c.txt", "text": "over" }),
        ),
    ] {
        let end = house.call(function, arguments).await;
        assert!(
            end.is_ok_and(|end| matches!(end, toolhost_core::terms::Outcome::Output(_))),
            "{function}"
        );
    }
    assert_eq!(house.site.read("drafts/e.txt"), "new");
    assert_eq!(house.site.read("drafts/c.txt"), "over");
    let removed = house
        .call("rogue_remove", json!({ "path": "/drafts/e.txt" }))
        .await;
    assert!(removed.is_ok());
    assert!(!house.site.path("drafts/e.txt").exists());
}

/// Each change is on record before it is made; reading is counted.
#[tokio::test]
async fn g86_what_a_call_does_in_its_directories_is_on_record() {
    let house = house();
    for (function, arguments, expected) in [
        (
            "rogue_write",
            json!({ "path": "/drafts/d.txt", "text": "new" }),
            json!({ "operation": "write", "path": "/drafts/d.txt" }),
        ),
        (
            "rogue_rename",
            json!({ "from": "/drafts/d.txt", "to": "/drafts/e.txt" }),
            json!({ "operation": "rename", "path": "/drafts/e.txt", "from": "/drafts/d.txt" }),
        ),
        (
            "rogue_hard_link",
            json!({ "original": "/drafts/e.txt", "link": "/drafts/f.txt" }),
            json!({ "operation": "link", "path": "/drafts/f.txt", "from": "/drafts/e.txt" }),
        ),
        (
            "rogue_remove",
            json!({ "path": "/drafts/f.txt" }),
            json!({ "operation": "remove", "path": "/drafts/f.txt" }),
        ),
    ] {
        let end = house.call(function, arguments).await;
        assert!(end.is_ok(), "{function}: {end:?}");
        let call = house.last();
        let [attempt] = &call.attempts[..] else {
            panic!("{function}: {call:?}")
        };
        let attempt = serde_json::to_value(attempt).expect("JSON");
        assert_eq!(attempt["to"]["dir"], expected);
        let verdict =
            json!({ "is": "allowed", "grant": "drafts", "line": attempt["verdict"]["line"] });
        assert_eq!(attempt["verdict"], verdict, "{function}");
        assert_eq!((call.usage[0].writes, call.usage[0].refused), (1, 0));
    }

    let denied = json!({ "path": "/notes/a.txt", "text": "over" });
    tool_error(&house.call("rogue_write", denied).await);
    let attempts = house.attempts();
    assert_eq!(attempts[0]["verdict"]["is"], "refused", "{attempts:?}");
    assert_eq!(attempts[0]["verdict"]["nearest"], "notes");

    let read = json!({ "path": "/notes/inner/b.txt" });
    assert_eq!(text(&house.call("rogue_read", read).await), "another");
    let call = house.last();
    assert!(call.attempts.is_empty(), "{call:?}");
    assert_eq!((&*call.usage[0].of, call.usage[0].reads), ("dir", 1));
}

/// However many there are, the record has a bound and the counts are exact.
#[tokio::test]
async fn g86_a_flood_of_changes_is_counted() {
    let house = house();
    let names: Vec<String> = (0..200).map(|n| format!("made{n}")).collect();
    let made: Vec<[&str; 3]> = names.iter().map(|name| ["mkdir", "0", name]).collect();
    let made: Vec<&[&str]> = made.iter().map(|act| &act[..]).collect();
    let said = acts(&house, &made).await;
    assert!(said.iter().all(|said| said == "ok"), "{said:?}");
    let call = house.last();
    assert_eq!(call.attempts.len(), 64);
    assert_eq!(call.usage[0].writes, 200, "{:?}", call.usage);
}

#[tokio::test]
async fn g38_g39_g46_no_path_leads_outside() {
    let house = house();
    let outside = house.site.path("outside.txt");
    let long = format!("/notes/{}", "a/".repeat(5_000));
    for path in [
        "/outside.txt",
        "outside.txt",
        "/etc/passwd",
        "/proc/self/environ",
        "/notes/../outside.txt",
        "/notes/inner/../../outside.txt",
        "/notes/up",
        "/notes/passwd",
        "/notes/root/etc/passwd",
        "/notes/loop",
        "/notes/around",
        "/notes//../outside.txt",
        "/notesoutside.txt",
        "",
        ".",
        "..",
        "/",
        "/notes/\0",
        &long,
        outside.to_str().expect("a path"),
    ] {
        let end = house.call("rogue_read", json!({ "path": path })).await;
        let error = tool_error(&end);
        assert!(!error.message.contains("root:"), "{path}: {error:?}");
    }
    for path in ["/", "/notes/..", "/notes/root", "..", "/etc"] {
        let end = house.call("rogue_list", json!({ "path": path })).await;
        tool_error(&end);
    }
}

#[tokio::test]
async fn g41_a_directory_to_read_is_not_changed_by_any_means() {
    let house = house();
    let at = |path: &str| json!({ "path": path });
    let write = |path: &str| json!({ "path": path, "text": "changed" });
    for (function, arguments) in [
        ("rogue_write", write("/notes/a.txt")),
        ("rogue_write", write("/notes/new.txt")),
        ("rogue_remove", at("/notes/a.txt")),
        (
            "rogue_rename",
            json!({ "from": "/notes/a.txt", "to": "/notes/b.txt" }),
        ),
        (
            "rogue_rename",
            json!({ "from": "/notes/a.txt", "to": "/drafts/b.txt" }),
        ),
        (
            "rogue_rename",
            json!({ "from": "/drafts/c.txt", "to": "/notes/a.txt" }),
        ),
        (
            "rogue_hard_link",
            json!({ "original": "/notes/a.txt", "link": "/drafts/l.txt" }),
        ),
        (
            "rogue_hard_link",
            json!({ "original": "/drafts/c.txt", "link": "/notes/l.txt" }),
        ),
    ] {
        let end = house.call(function, arguments.clone()).await;
        tool_error(&end);
        assert_eq!(
            house.site.read("notes/a.txt"),
            "a note",
            "{function} {arguments}"
        );
    }
    let names = std::fs::read_dir(house.site.path("notes"))
        .expect("a folder")
        .count();
    assert_eq!(names, 7, "something was added or taken away");
    assert!(!house.site.path("drafts/l.txt").exists());
    assert_eq!(house.site.read("drafts/c.txt"), "a draft");
}

#[tokio::test]
async fn g40_a_directory_to_write_is_not_left_by_any_means() {
    let house = house();
    for arguments in [
        json!({ "from": "/drafts/c.txt", "to": "/drafts/../stolen.txt" }),
        json!({ "from": "/drafts/../outside.txt", "to": "/drafts/stolen.txt" }),
        json!({ "from": "/drafts/c.txt", "to": "/stolen.txt" }),
        json!({ "from": "/drafts/c.txt", "to": "/drafts/root/tmp/stolen.txt" }),
    ] {
        tool_error(&house.call("rogue_rename", arguments).await);
    }
    for path in [
        "/drafts/../outside.txt",
        "/drafts/up",
        "/drafts/around",
        "/drafts/root/tmp/x",
    ] {
        let write: Value = json!({ "path": path, "text": "changed" });
        tool_error(&house.call("rogue_write", write).await);
    }
    let link = json!({ "original": "/drafts/../outside.txt", "link": "/drafts/l.txt" });
    tool_error(&house.call("rogue_hard_link", link).await);
    assert_eq!(house.site.read("outside.txt"), "outside");
    assert_eq!(house.site.read("drafts/c.txt"), "a draft");
    assert!(!house.site.path("drafts/l.txt").exists());
}

#[tokio::test]
async fn without_a_grant_there_is_no_file_at_all() {
    let house = House::new("[tool.rogue]\ncomponent = \"rogue.wasm\"");
    for path in ["/", ".", "/notes/a.txt", "/etc/passwd"] {
        tool_error(&house.call("rogue_read", json!({ "path": path })).await);
        tool_error(&house.call("rogue_list", json!({ "path": path })).await);
    }
}

/// Directories stay open from call to call; one that another was put in the place of does not.
#[tokio::test]
async fn a_directory_that_was_replaced_is_found_by_the_next_call() {
    let house = house();
    let read = json!({ "path": "/notes/a.txt" });
    assert_eq!(
        text(&house.call("rogue_read", read.clone()).await),
        "a note"
    );
    std::fs::rename(house.site.path("notes"), house.site.path("old")).expect("a move");
    assert!(house.call("rogue_read", read.clone()).await.is_err());
    house.site.write("notes/a.txt", "a new note");
    assert_eq!(
        text(&house.call("rogue_read", read.clone()).await),
        "a new note"
    );
    house.site.write("old/a.txt", "still there");
    assert_eq!(text(&house.call("rogue_read", read).await), "a new note");
}
