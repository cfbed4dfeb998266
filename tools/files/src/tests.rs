//! The four functions over a directory of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use toolhost_sdk::{Code, Function};

use crate::list::list;
use crate::read::read;
use crate::roots;
use crate::search::{Found, search};
use crate::write::{Mode, write};

/// A directory that goes away with the test.
struct Folder(PathBuf);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Folder {
    fn new() -> Self {
        let name = format!(
            "tool-files-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("sub/deep")).unwrap();
        fs::write(path.join("a.txt"), "one\ntwo\nthree\n").unwrap();
        fs::write(path.join("sub/b.md"), "# Two\nmore two\n").unwrap();
        fs::write(path.join("sub/deep/c.bin"), b"two\0\xff").unwrap();
        Self(path)
    }

    fn path(&self, below: &str) -> String {
        self.0
            .join(below)
            .to_str()
            .unwrap()
            .trim_end_matches('/')
            .to_owned()
    }

    fn granted<R>(&self, f: impl FnOnce() -> R) -> R {
        roots::with(&[&self.path("")], f)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_root_shows_what_is_granted() {
    let folder = Folder::new();
    let listing = folder.granted(|| list(None, false, None)).unwrap();
    assert_eq!(listing.entries.len(), 1);
    assert_eq!(listing.entries[0].path, folder.path(""));
    assert_eq!(
        roots::with(&[], || list(None, false, None))
            .unwrap()
            .entries,
        []
    );
}

#[test]
fn a_directory_is_listed_in_order_and_by_pattern() {
    let folder = Folder::new();
    let paths = |recursive, pattern: Option<&str>| -> Vec<String> {
        let call = || list(Some(folder.path("")), recursive, pattern.map(str::to_owned));
        folder
            .granted(call)
            .unwrap()
            .entries
            .into_iter()
            .map(|entry| entry.path)
            .collect()
    };
    assert_eq!(
        paths(false, None),
        [folder.path("a.txt"), folder.path("sub")]
    );
    assert_eq!(paths(true, None).len(), 5);
    assert_eq!(paths(true, Some("*.md")), [folder.path("sub/b.md")]);
    assert_eq!(
        paths(true, Some("sub/**/*.bin")),
        [folder.path("sub/deep/c.bin")]
    );
}

#[test]
fn too_many_entries_are_cut() {
    let folder = Folder::new();
    for number in 0..501 {
        fs::write(folder.0.join(format!("sub/{number}")), "").unwrap();
    }
    let listing = folder
        .granted(|| list(Some(folder.path("sub")), false, None))
        .unwrap();
    assert_eq!((listing.entries.len(), listing.truncated), (500, true));
}

#[test]
fn a_file_is_read_in_parts() {
    let folder = Folder::new();
    let part = |start, lines| read(folder.path("a.txt"), start, lines);
    let whole = part(None, None).unwrap();
    assert_eq!(
        (whole.text.as_str(), whole.end_line, whole.next_line),
        ("one\ntwo\nthree\n", 3, None)
    );
    let middle = part(Some(2), Some(1)).unwrap();
    assert_eq!((middle.text.as_str(), middle.next_line), ("two\n", Some(3)));
    assert_eq!(
        part(Some(4), None).unwrap_err().code,
        Code::InvalidArguments
    );
}

#[test]
fn long_files_and_long_lines_are_cut() {
    let folder = Folder::new();
    fs::write(folder.0.join("long"), "x\n".repeat(2500)).unwrap();
    assert_eq!(
        read(folder.path("long"), None, None).unwrap().next_line,
        Some(2001)
    );
    fs::write(
        folder.0.join("wide"),
        format!("{}\nend", "x".repeat(300_000)),
    )
    .unwrap();
    let wide = read(folder.path("wide"), None, None).unwrap();
    assert_eq!(
        (wide.text.len(), wide.next_line, wide.altered),
        (100_000, Some(2), true)
    );
    assert_eq!(
        read(folder.path("wide"), Some(2), None).unwrap().text,
        "end"
    );
    fs::write(folder.0.join("empty"), "").unwrap();
    assert_eq!(read(folder.path("empty"), None, None).unwrap().end_line, 0);
}

#[test]
fn what_cannot_be_read_says_why() {
    let folder = Folder::new();
    let code = |path: String| folder.granted(|| read(path, None, None)).unwrap_err().code;
    assert_eq!(code(folder.path("nothing")), Code::NotFound);
    assert_eq!(code(folder.path("sub")), Code::InvalidArguments);
    assert_eq!(code(folder.path("sub/deep/c.bin")), Code::Failed);
    assert_eq!(
        code(format!("{}/../x", folder.path(""))),
        Code::InvalidArguments
    );
    assert_eq!(code("/a\0b".to_owned()), Code::InvalidArguments);
    let error = folder
        .granted(|| read("/elsewhere".to_owned(), None, None))
        .unwrap_err();
    assert_eq!(
        error.message,
        format!(
            "/elsewhere does not exist here; paths begin with {}",
            folder.path("")
        )
    );
}

#[test]
fn a_file_is_written_only_as_the_mode_says() {
    let folder = Folder::new();
    let put = |path: &str, mode| write(folder.path(path), "new".to_owned(), mode, false);
    assert_eq!(put("d.txt", Mode::New).unwrap().size, 3);
    assert_eq!(
        put("d.txt", Mode::New).unwrap_err().code,
        Code::InvalidArguments
    );
    assert_eq!(put("d.txt", Mode::Append).unwrap().size, 6);
    assert_eq!(put("d.txt", Mode::Overwrite).unwrap().size, 3);
    assert_eq!(
        put("sub", Mode::Overwrite).unwrap_err().code,
        Code::InvalidArguments
    );
}

#[test]
fn directories_are_made_only_when_asked() {
    let folder = Folder::new();
    let put = |make| {
        let path = folder.path("x/y/z.txt");
        folder.granted(|| write(path, "new".to_owned(), Mode::New, make))
    };
    assert_eq!(put(false).unwrap_err().code, Code::NotFound);
    assert_eq!(put(true).unwrap().size, 3);
}

#[test]
fn a_search_finds_lines_in_text_files() {
    let folder = Folder::new();
    let find = |query: &str, pattern: Option<&str>, regex, ignore_case, limit| {
        let pattern = pattern.map(str::to_owned);
        folder.granted(|| search(query.to_owned(), None, pattern, regex, ignore_case, limit))
    };
    let places = |found: Found| -> Vec<(String, usize)> {
        found
            .matches
            .into_iter()
            .map(|found| (found.path, found.line))
            .collect()
    };
    let all = find("two", None, false, true, None).unwrap();
    assert_eq!(all.files, 3);
    assert_eq!(
        places(all),
        [
            (folder.path("a.txt"), 2),
            (folder.path("sub/b.md"), 1),
            (folder.path("sub/b.md"), 2)
        ]
    );
    assert_eq!(
        places(find("two", Some("*.txt"), false, false, None).unwrap()).len(),
        1
    );
    assert_eq!(
        places(find("^t", None, true, false, None).unwrap()).len(),
        2
    );
    assert_eq!(
        places(find("^t", None, false, false, None).unwrap()).len(),
        0
    );
    assert!(find("two", None, false, true, Some(2)).unwrap().truncated);
    assert_eq!(
        find("(", None, true, false, None).unwrap_err().code,
        Code::InvalidArguments
    );
    assert_eq!(
        find("two", Some("a["), false, false, None)
            .unwrap_err()
            .code,
        Code::InvalidArguments
    );
}

#[test]
fn links_are_shown_and_never_followed() {
    let folder = Folder::new();
    std::os::unix::fs::symlink(&folder.0, folder.0.join("sub/loop")).unwrap();
    let listing = folder
        .granted(|| list(Some(folder.path("")), true, None))
        .unwrap();
    assert_eq!(listing.entries.len(), 6);
}

#[test]
fn only_writing_is_said_to_destroy() {
    assert_eq!(
        <write as Function>::definition().hints.destructive,
        Some(true)
    );
    for hints in [
        <list as Function>::definition().hints,
        <read as Function>::definition().hints,
        <search as Function>::definition().hints,
    ] {
        assert_eq!((hints.read_only, hints.destructive), (Some(true), None));
    }
}
