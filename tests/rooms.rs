//! The shape of the host's sources: each room names only rooms below it, and what may be named in
//! one place only is named there only.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::harness::checkout;

/// The rooms, top to bottom. Rooms of one storey do not name each other.
const STOREYS: [&[&str]; 10] = [
    &["cli"],
    &["wire"],
    &["call"],
    &["catalog"],
    &["sandbox"],
    &["gate"],
    &["ledger", "quota"],
    &["manifest"],
    &["capability"],
    &["shares", "terms"],
];

/// What a room names beyond its place, and why.
const EXCEPTIONS: [(&str, &str, &str); 0] = [];

/// A source file of the host.
struct Source {
    /// `wire/mcp/lines.rs`.
    name: String,
    /// `wire`.
    room: String,
    text: String,
    /// Without comments, and without tests.
    code: String,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension() == Some("rs".as_ref()) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = checkout().join("host/src");
    let mut found = Vec::new();
    files(&root, &mut found);
    let read = |path: PathBuf| {
        let name = path
            .strip_prefix(&root)
            .expect("within")
            .display()
            .to_string();
        let text = std::fs::read_to_string(&path).expect("a source");
        let room = name
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs");
        Source {
            room: room.to_owned(),
            code: code(&text),
            text,
            name,
        }
    };
    found.into_iter().map(read).collect()
}

/// The lines that are compiled outside of tests. Tests stand at the end of a file.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Whether a file holds tests only: it stands beside what it tests.
fn is_test(name: &str) -> bool {
    ["tests.rs", "testing.rs"]
        .iter()
        .any(|end| name.ends_with(end))
        || name.contains("tests/")
}

fn storey(room: &str) -> Option<usize> {
    STOREYS.iter().position(|rooms| rooms.contains(&room))
}

/// The rooms that a source names through `crate::`.
fn named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        // `use crate::{a, b}` would hide what it names.
        assert!(
            !rest.starts_with('{'),
            "name each room by itself: crate::{}",
            &rest[..40]
        );
        let room: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        rooms.insert(room);
    }
    rooms
}

#[test]
fn a_room_names_only_rooms_below_it() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut needed = BTreeSet::new();
    for source in sources() {
        if is_test(&source.name) || ["lib", "main"].contains(&source.room.as_str()) {
            continue;
        }
        let own = storey(&source.room);
        let own = own.unwrap_or_else(|| panic!("{} is in no known room", source.name));
        seen.insert(source.room.clone());
        for room in named(&source.code) {
            let Some(other) = storey(&room) else { continue };
            if other > own || room == source.room {
                continue;
            }
            let known = EXCEPTIONS
                .iter()
                .find(|(from, to, _)| *from == source.room && *to == room);
            match known {
                Some(exception) => drop(needed.insert(*exception)),
                None => wrong.push(format!("{} names {room}", source.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        needed.len(),
        EXCEPTIONS.len(),
        "an exception that nobody needs"
    );
    let all: BTreeSet<String> = STOREYS.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(seen, all, "rooms that were not seen");
}

/// Says that only files whose names begin so name one of these words.
fn only_in(places: &[&str], words: &[&str]) {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for source in sources() {
        let names = words
            .iter()
            .filter(|word| source.code.contains(**word))
            .count();
        seen += names;
        let allowed = places.iter().any(|place| source.name.starts_with(place));
        if names > 0 && !allowed && !is_test(&source.name) {
            wrong.push(source.name);
        }
    }
    assert!(wrong.is_empty(), "{words:?} in {wrong:?}");
    assert!(seen > 0, "nobody names {words:?}");
}

#[test]
fn what_reaches_the_world_is_named_in_one_place() {
    only_in(
        &["capability/service/"],
        &["hyper_util::client", "hyper_rustls", "hickory_resolver"],
    );
    // The demo plays an agent, and an agent has an HTTP client of its own.
    only_in(&["cli/demo/"], &["reqwest::"]);
    only_in(
        &["capability/service/database", "capability/kv/"],
        &["rusqlite::"],
    );
    only_in(&["wire/mcp/"], &["rmcp::"]);
    only_in(
        &["sandbox/", "capability/", "catalog/"],
        &["wasmtime::", "wasmtime_wasi"],
    );
    only_in(
        &["catalog/cache.rs"],
        &["unsafe {", "unsafe fn", "unsafe impl"],
    );
    only_in(&["cli/"], &["clap::"]);
}

/// Foreign text reaches a person through the printer, which escapes it, or the log, whose lines pass
/// through the printer's hands.
#[test]
fn x44_only_the_printer_prints() {
    let macros = ["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!("];
    let streams = ["stdout()", "stderr()", "io::stdout", "io::stderr"];
    let mut wrong = Vec::new();
    for source in sources() {
        let allowed = match source.name.as_str() {
            "cli/out.rs" | "cli/stderr.rs" => continue,
            // The program as its own child: it writes to the host, which shows what it wants of it.
            "catalog/child.rs" => &streams[..],
            // MCP on standard input and output: JSON, for a program.
            name if name.starts_with("wire/") => &["io::stdout", "stdout()"],
            _ => &[],
        };
        let words = macros.iter().chain(&streams);
        let named = words.filter(|word| source.code.contains(**word) && !allowed.contains(word));
        let named: Vec<_> = named.collect();
        if !named.is_empty() && !is_test(&source.name) {
            wrong.push(format!("{}: {named:?}", source.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_rooms_touch_nothing() {
    let worldly = [
        "tokio",
        "wasmtime",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "hyper",
        "rmcp",
    ];
    let mut seen = 0;
    for source in sources() {
        let pure = match source.room.as_str() {
            "gate" | "terms" => &worldly[..],
            "manifest" => &["tokio", "wasmtime", "std::fs", "hyper", "rmcp"],
            _ => continue,
        };
        seen += 1;
        for word in pure {
            assert!(
                is_test(&source.name) || !source.code.contains(word),
                "{} names {word}",
                source.name
            );
        }
    }
    assert!(seen > 15, "only {seen} sources");
}

#[test]
fn every_source_says_what_it_is_for() {
    let sources = sources();
    assert!(sources.len() > 80, "only {} sources", sources.len());
    for source in sources {
        assert!(
            source.text.starts_with("//!"),
            "{} says nothing",
            source.name
        );
    }
}

#[test]
fn every_guest_is_used_by_a_test_or_a_benchmark() {
    let mut tests = Vec::new();
    files(&checkout().join("host/benches"), &mut tests);
    for entry in std::fs::read_dir(checkout().join("tests")).expect("the tests") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && !["guests", "cases", "clients", "harness"].contains(&name) {
            files(&path, &mut tests);
        } else if path.extension() == Some("rs".as_ref()) {
            tests.push(path);
        }
    }
    let tests = tests
        .iter()
        .filter(|path| !path.ends_with("tests/rooms.rs"));
    let texts: Vec<String> = tests
        .map(|path| std::fs::read_to_string(path).expect("a test"))
        .collect();
    let mut guests = 0;
    for entry in std::fs::read_dir(checkout().join("tests/guests")).expect("the guests") {
        let name = entry.expect("a guest").file_name();
        let file = format!("{}.wasm", name.to_string_lossy());
        assert!(
            texts.iter().any(|text| text.contains(&file)),
            "nothing uses {file}"
        );
        guests += 1;
    }
    assert!(guests >= 4, "only {guests} guests");
}

/// All tests and sources, by where they are: `tests/powers/kv.rs`.
fn texts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["tests", "host/src"] {
        files(&checkout().join(folder), &mut found);
    }
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(checkout()).expect("within");
        let text = std::fs::read_to_string(path).expect("a source");
        (name.display().to_string(), text)
    };
    found.iter().map(read).collect()
}

/// Whether a module, a file or a folder of this path has a test that is named so, or that begins so.
fn has_test(texts: &[(String, String)], module: &str, test: &str) -> bool {
    let declared = match test.strip_suffix('…') {
        Some(start) => format!("fn {start}"),
        None => format!("fn {test}("),
    };
    let path = module.replace("::", "/");
    let is_there = |name: &str| {
        ["tests", "host/src"].iter().any(|folder| {
            let place = format!("{folder}/{path}");
            name == format!("{place}.rs") || name.starts_with(&format!("{place}/"))
        })
    };
    texts
        .iter()
        .any(|(name, text)| (module.is_empty() || is_there(name)) && text.contains(&declared))
}

/// The words of code in a column.
fn coded(column: &str) -> impl Iterator<Item = &str> {
    column.split('`').skip(1).step_by(2)
}

/// The README's promises name tests that exist, in the module where they are: a test by its whole name,
/// or all of a row of the threats (`x04_…`) or of a module (`…`).
#[test]
fn every_promise_names_a_test_that_exists() {
    let readme = std::fs::read_to_string(checkout().join("README.md")).expect("the README");
    let (_, promises) = readme.split_once("## Promises").expect("promises");
    let (table, _) = promises
        .split_once("What is **not** promised")
        .expect("an end");
    let texts = texts();
    let mut named = 0;
    let mut wrong = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let row = row.trim_end_matches(" |");
        let tests = row.rsplit(" | ").next().expect("a column");
        for word in coded(tests).filter(|word| word.contains("::") || word.contains('_')) {
            let (module, test) = word.rsplit_once("::").unwrap_or(("", word));
            // `gate::scrub` (unit tests): a module by itself.
            let is_module = !module.is_empty() && !test.contains(['_', '…']);
            let stands = match is_module {
                true => has_test(&texts, word, "…"),
                false => has_test(&texts, module, test),
            };
            let is_id = |part: &str| part.len() == 3 && part[1..].parse::<u8>().is_ok();
            let start = test
                .strip_suffix('…')
                .map(|start| start.trim_end_matches('_'));
            let is_whole =
                start.is_none_or(|start| start.is_empty() || start.split('_').all(is_id));
            if !stands || !is_whole {
                wrong.push(word);
            }
            named += 1;
        }
    }
    assert!(wrong.is_empty(), "no tests, or not whole: {wrong:#?}");
    assert!(
        named > 40,
        "only {named} tests are named: the table is not read right"
    );
}

/// The rows of a table of `host/SECURITY.md`, in columns.
fn rows(text: &str, chapter: &str) -> Vec<Vec<String>> {
    let (_, rest) = text.split_once(chapter).expect("the chapter");
    let table = rest.split("\n## ").next().unwrap_or_default();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let columns = |row: &str| {
        let columns = row.trim_matches('|').split(" | ");
        columns.map(|column| column.trim().to_owned()).collect()
    };
    // The first one says what they are.
    rows.skip(1).map(columns).collect()
}

/// Every rule in `host/SECURITY.md` names sources that exist and tests that exist, whole.
#[test]
fn every_rule_names_sources_and_tests_that_exist() {
    let text = std::fs::read_to_string(checkout().join("host/SECURITY.md")).expect("the page");
    let (rows, texts) = (rows(&text, "\n## Rules\n"), texts());
    let (mut sources, mut tests) = (0, 0);
    for row in &rows {
        let [_, kept] = &row[..] else {
            panic!("two columns: {row:?}");
        };
        for word in coded(kept) {
            if word.ends_with(".rs") {
                sources += 1;
                let source = checkout().join("host/src").join(word);
                assert!(source.exists(), "{word} is no source: {row:?}");
            } else if word.contains('…') || word.matches('_').count() > 1 {
                tests += 1;
                assert!(
                    has_test(&texts, "", word) && !word.contains('…'),
                    "{word} is no test: {row:?}"
                );
            }
        }
    }
    assert!(sources > 3 && tests > 5, "{sources} sources, {tests} tests");
}

/// Every bound in `host/SECURITY.md` names a source that exists and tests that exist, whole.
#[test]
fn every_bound_names_its_source_and_its_test() {
    let text = std::fs::read_to_string(checkout().join("host/SECURITY.md")).expect("the page");
    let (rows, texts) = (rows(&text, "\n## Bounds\n"), texts());
    assert!(rows.len() > 30, "only {} bounds", rows.len());
    for row in &rows {
        let [_, _, _, places, tests] = &row[..] else {
            panic!("five columns: {row:?}");
        };
        for place in places.split(", ") {
            let source = checkout().join("host/src").join(place);
            assert!(source.exists(), "{place} is no source: {row:?}");
        }
        assert!(coded(tests).next().is_some(), "no test: {row:?}");
        for test in coded(tests) {
            let found = has_test(&texts, "", test) && !test.contains('…');
            assert!(found, "{test} is no test: {row:?}");
        }
    }
}
