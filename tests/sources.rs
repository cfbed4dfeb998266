//! The shape of the host's sources: which crates name which, and what may be named in one place only is
//! named there only. And of its pages: what they promise names its tests, and their links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::harness::checkout;
use crate::threats::tests_in;

/// The crates of the host, and which of them each may name. The compiler keeps to it; this says that nobody
/// changes it in passing.
const CRATES: [(&str, &[&str]); 8] = [
    ("core", &[]),
    ("ledger", &["core"]),
    ("outbound", &["core"]),
    ("store", &["core"]),
    ("runtime", &["core", "outbound", "store"]),
    ("engine", &["core", "ledger", "outbound", "runtime"]),
    ("doors", &["core", "engine", "ledger", "outbound"]),
    (
        "cli",
        &["core", "doors", "engine", "ledger", "outbound", "runtime"],
    ),
];

/// A source file of the host.
struct Source {
    /// `doors/mcp/lines.rs`: the crate, and where in it.
    name: String,
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
    let mut all = Vec::new();
    for (room, _) in CRATES {
        let root = checkout().join("host").join(room).join("src");
        let mut found = Vec::new();
        files(&root, &mut found);
        all.extend(found.into_iter().map(|path| {
            let within = path.strip_prefix(&root).expect("within");
            let text = std::fs::read_to_string(&path).expect("a source");
            Source {
                name: format!("{room}/{}", within.display()),
                code: code(&text),
                text,
            }
        }));
    }
    all
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

/// The names under `[dependencies]` of a crate of the host.
fn dependencies(room: &str) -> BTreeSet<String> {
    named_under("dependencies", room)
}

fn named_under(heading: &str, room: &str) -> BTreeSet<String> {
    let text = page(&format!("host/{room}/Cargo.toml"));
    let table: toml::Table = text.parse().expect("a manifest");
    let dependencies = table.get(heading).and_then(|found| found.as_table());
    let dependencies = dependencies.into_iter().flat_map(|table| table.keys());
    dependencies.cloned().collect()
}

/// What nobody names is compiled for nothing.
#[test]
fn every_dependency_is_named_by_the_crate_that_has_it() {
    let read = |folder: &str| {
        let mut found = Vec::new();
        files(&checkout().join(folder), &mut found);
        let texts = found.iter().map(std::fs::read_to_string);
        texts
            .map(|text| text.expect("a source"))
            .collect::<String>()
    };
    let beside = read("tests") + &read("host/benches");
    for (room, _) in CRATES {
        let own = read(&format!("host/{room}/src"));
        let is_named = |text: &str, name: &str| {
            let word = name.replace('-', "_");
            let mut uses = text.match_indices(&word);
            let ends = ["::", ";", " as "];
            uses.any(|(at, _)| {
                let rest = &text[at + word.len()..];
                ends.iter().any(|end| rest.starts_with(end))
            })
        };
        for name in dependencies(room) {
            assert!(is_named(&own, &name), "{room} does not name {name}");
        }
        for name in named_under("dev-dependencies", room) {
            let is_tested = room == "cli" && is_named(&beside, &name);
            assert!(
                is_named(&own, &name) || is_tested,
                "{room} does not name {name}"
            );
        }
    }
}

#[test]
fn a_crate_names_only_crates_below_it() {
    let mut below: BTreeSet<&str> = BTreeSet::new();
    for (room, named) in CRATES {
        let own = dependencies(room);
        let own = own.iter().filter_map(|name| name.strip_prefix("toolhost-"));
        assert_eq!(own.collect::<Vec<_>>(), named, "of {room}");
        assert!(named.iter().all(|name| below.contains(name)), "{room}");
        below.insert(room);
    }
}

#[test]
fn what_reaches_the_world_is_linked_in_one_crate() {
    for (library, rooms) in [
        ("wasmtime", &["runtime"][..]),
        ("wasmtime-wasi", &["runtime"]),
        ("wasmtime-wasi-http", &["runtime"]),
        ("rusqlite", &["store", "runtime"]),
        ("hyper-rustls", &["outbound"]),
        ("hickory-resolver", &["outbound"]),
        ("rmcp", &["doors"]),
        ("clap", &["cli"]),
        // The demo plays an agent, and an agent has an HTTP client of its own.
        ("reqwest", &["cli"]),
    ] {
        let linked = CRATES.iter().map(|(room, _)| *room);
        let linked: Vec<&str> = linked
            .filter(|room| dependencies(room).contains(library))
            .collect();
        assert_eq!(linked, rooms, "{library}");
    }
    let core = dependencies("core");
    for worldly in ["tokio", "rustix", "libc", "hyper"] {
        assert!(!core.contains(worldly), "core is pure");
    }
}

/// A type that is seen beyond its own folder has a name that no other such type has, so that a reader knows
/// which one it is.
#[test]
fn a_public_type_has_a_name_of_its_own() {
    /// What one capability keeps of a guest: the same in each of them.
    const ALIKE: [&str; 1] = ["State"];
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for line in source.code.lines() {
            let mut words = line.split_whitespace();
            let is_public = match words.next() {
                Some("pub" | "pub(crate)") => true,
                Some("pub(in") => words.next().is_some(),
                _ => false,
            };
            let is_type = matches!(words.next(), Some("struct" | "enum" | "trait" | "type"));
            if let (true, true, Some(rest)) = (is_public, is_type, words.next()) {
                let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
                let name = rest.split(|letter| !is_part(letter)).next();
                let name = name.unwrap_or_default().to_owned();
                named.entry(name).or_default().push(source.name.clone());
            }
        }
    }
    assert!(named.len() > 200, "it reads them: {}", named.len());
    named.retain(|name, files| files.len() > 1 && !ALIKE.contains(&name.as_str()));
    assert!(named.is_empty(), "{named:#?}");
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
    only_in(&["outbound/"], &["hyper_util::client"]);
    only_in(&["cli/demo/"], &["reqwest::"]);
    only_in(&["store/", "runtime/capability/kv/"], &["rusqlite::"]);
    only_in(&["doors/mcp/"], &["rmcp::"]);
    only_in(
        &["runtime/compile/cache.rs"],
        &["unsafe {", "unsafe fn", "unsafe impl"],
    );
}

/// The sources that ask the system what time it is, and why they are not handed a clock.
const TIMED: [(&str, &str); 7] = [
    ("core/terms/clock.rs", "it is the clock"),
    (
        "runtime/sandbox/lanes.rs",
        "it measures the processor's time",
    ),
    (
        "runtime/sandbox/seat.rs",
        "it measures the processor's time",
    ),
    ("runtime/compile/compiler.rs", "it waits for a process"),
    ("ledger/state.rs", "it waits for a process"),
    (
        "cli/",
        "not yet: the log's rates, and how long commands wait",
    ),
    ("doors/", "not yet: the doors' rates and timeouts"),
];

/// Everybody else is handed a `Clock`, which tests can set, or uses the runtime's own time for timers,
/// which tests can pause.
#[test]
fn only_the_clock_asks_the_system_what_time_it_is() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources().iter().filter(|source| !is_test(&source.name)) {
        let is_import = |line: &str| line.starts_with("use tokio::time::");
        let mut imports = source.code.lines().filter(|line| is_import(line));
        let instant = match imports.any(|line| line.contains("Instant")) {
            true => "std::time::Instant",
            false => "Instant::now",
        };
        let code = source.code.replace("tokio::time::Instant::now", "");
        if !code.contains(instant) && !code.contains("SystemTime::now") {
            continue;
        }
        let mut known = TIMED.iter().map(|(place, _)| *place);
        match known.find(|place| source.name.starts_with(place)) {
            Some(place) => drop(used.insert(place)),
            None => wrong.push(source.name.clone()),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(used.len(), TIMED.len(), "not all need it: {used:?}");
}

/// Agents and operators come through doors of their own, and no door makes one of the other.
#[test]
fn callers_and_operators_are_made_in_one_place_each() {
    // A case plays one before there is a host.
    only_in(
        &[
            "core/gate/callers.rs",
            "core/terms/mod.rs",
            "cli/cases/run.rs",
        ],
        &[" Caller {\n", "(Caller {\n"],
    );
    only_in(&["doors/admin/"], &["Operator::at_socket", "Door::Admin"]);
    only_in(&["cli/one_call.rs", "cli/cases/run.rs"], &["Operator::of"]);
    only_in(
        &[
            "doors/identify.rs",
            "doors/serve.rs",
            "doors/front.rs",
            "doors/stdio.rs",
            "core/gate/callers.rs",
            "cli/serve.rs",
            "cli/check.rs",
        ],
        &["Credential::"],
    );
    only_in(&["ledger/state.rs"], &["StateOwner for"]);
    // What writes in a state folder begins with owning it.
    only_in(&["cli/owner.rs", "cli/cases/run.rs"], &["StateLock::take"]);
}

/// The sources that name a capability by its module, beside its own folder and the list, and why. A
/// capability that is not here is named nowhere else.
const NAMED: [(&str, &[&str], &str); 2] = [
    (
        "kv",
        &["cli/cases/run.rs"],
        "a case has entries in buckets before and after",
    ),
    (
        "dir",
        &[
            "cli/check.rs",
            "cli/file_permissions.rs",
            "cli/file_permissions/",
            "cli/serve.rs",
            "cli/start.rs",
        ],
        "no guest may have the host's own files; what Landlock can do here",
    ),
];

/// The first names of a path, or of each path in `{...}`.
fn heads(rest: &str) -> Vec<String> {
    let word = |path: &str| {
        let path = path.trim_start().chars();
        path.take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(list) = rest.strip_prefix('{') else {
        return vec![word(rest)];
    };
    let (mut depth, mut start, mut heads) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                heads.push(word(&list[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    heads
}

/// The modules of the room `capability` that a source names.
fn capability_modules(source: &Source) -> BTreeSet<String> {
    let parts: Vec<&str> = source.name.split('/').collect();
    let above = match parts[..] {
        ["runtime", "capability", _] | ["runtime", "capability", _, "mod.rs"] => Some("super::"),
        ["runtime", "capability", _, _] => Some("super::super::"),
        _ => None,
    };
    let prefixes = ["capability::"].into_iter().chain(above);
    let rests = prefixes.flat_map(|prefix| source.code.split(prefix).skip(1));
    rests.flat_map(heads).collect()
}

/// A capability is a folder, and its lines in the list: nobody else has to know which there are.
#[test]
fn a_capability_is_named_in_the_list_and_where_it_is_said_why() {
    let sources = sources();
    let mut capabilities = BTreeSet::new();
    for source in &sources {
        if let ["runtime", "capability", folder, _] = source.name.split('/').collect::<Vec<_>>()[..]
        {
            capabilities.insert(folder);
        }
    }
    assert!(capabilities.len() > 8, "{capabilities:?}");
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources.iter().filter(|source| !is_test(&source.name)) {
        for named in capability_modules(source) {
            let own = format!("runtime/capability/{named}/");
            let list = "runtime/capability/registry.rs";
            if !capabilities.contains(&*named)
                || source.name.starts_with(&own)
                || source.name == list
            {
                continue;
            }
            let known = NAMED.iter().filter(|(capability, ..)| *capability == named);
            let mut places = known.flat_map(|(_, places, _)| *places);
            match places.find(|place| source.name.starts_with(**place)) {
                Some(place) => drop(used.insert((named, *place))),
                None => wrong.push(format!("{} names {named}", source.name)),
            }
        }
        let folder = source.name.strip_prefix("runtime/capability/");
        let folder = folder.and_then(|rest| rest.split('/').next());
        if folder.is_some_and(|folder| capabilities.contains(folder)) {
            let is_list_named = capability_modules(source).contains("registry");
            assert!(!is_list_named, "{} names the list", source.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let places: usize = NAMED.iter().map(|(_, places, _)| places.len()).sum();
    assert_eq!(
        used.len(),
        places,
        "places that need not be listed: {used:?}"
    );
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
            "runtime/compile/child.rs" => &streams[..],
            // MCP on standard input and output: JSON, for a program.
            name if name.starts_with("doors/") => &["io::stdout", "stdout()"],
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
fn core_touches_nothing() {
    let worldly = [
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
    ];
    let mut seen = 0;
    for source in sources() {
        if !source.name.starts_with("core/") || is_test(&source.name) {
            continue;
        }
        seen += 1;
        for word in worldly {
            assert!(!source.code.contains(word), "{} names {word}", source.name);
        }
    }
    assert!(seen > 60, "only {seen} sources");
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
        .filter(|path| !path.ends_with("tests/sources.rs"));
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

/// All tests, by the file that has them: `tests/powers/kv.rs`.
fn tests() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    files(&checkout().join("tests"), &mut found);
    for (room, _) in CRATES {
        files(&checkout().join("host").join(room).join("src"), &mut found);
    }
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(checkout()).expect("within");
        let text = std::fs::read_to_string(path).expect("a source");
        (name.display().to_string(), tests_in(&text))
    };
    found.iter().map(read).collect()
}

/// Whether the file or the folder of this module has a test of this name; any file, where no module is
/// named.
fn has_test(tests: &[(String, Vec<String>)], module: &str, test: &str) -> bool {
    let (room, within) = module.split_once("::").unwrap_or((module, ""));
    let path = module.replace("::", "/");
    let in_crate = format!("host/{room}/src/{}", within.replace("::", "/"));
    let places = [format!("tests/{path}"), in_crate];
    let is_there = |name: &str| {
        let mut places = places.iter().map(|place| place.trim_end_matches('/'));
        places.any(|place| name == format!("{place}.rs") || name.starts_with(&format!("{place}/")))
    };
    tests.iter().any(|(name, tests)| {
        (module.is_empty() || is_there(name)) && tests.iter().any(|other| other == test)
    })
}

fn page(name: &str) -> String {
    std::fs::read_to_string(checkout().join(name)).expect("the page")
}

/// The words of code in a column.
fn coded(column: &str) -> impl Iterator<Item = &str> {
    column.split('`').skip(1).step_by(2)
}

/// What stands under a heading of the second level.
fn chapter<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text
        .split_once(&format!("\n## {heading}\n"))
        .expect("the chapter");
    rest.split("\n## ").next().unwrap_or_default()
}

/// The rows of all tables in a text, in columns.
fn rows(text: &str) -> Vec<Vec<String>> {
    let nexts = text.lines().skip(1).chain([""]);
    // The line above `|---|` names the columns.
    let rows = text.lines().zip(nexts);
    let rows = rows.filter(|(line, next)| line.starts_with("| ") && !next.starts_with("|--"));
    let columns = |(row, _): (&str, &str)| {
        let columns = row.trim_matches('|').split(" | ");
        columns.map(|column| column.trim().to_owned()).collect()
    };
    rows.map(columns).collect()
}

/// Every promise, on the page of all and in the README, names at least one test, each by its whole name
/// in the module where it is.
#[test]
fn every_promise_names_a_test_that_exists() {
    let all = rows(&page("tests/PROMISES.md"));
    let readme = rows(chapter(&page("README.md"), "Promises"));
    assert!(all.len() > 70, "only {} promises", all.len());
    assert_eq!(readme.len(), 10, "the README's promises");
    let tests = tests();
    let is_whole = |name: &str| {
        let parts = name.rsplit_once("::");
        parts.is_some_and(|(module, test)| has_test(&tests, module, test))
    };
    for row in all.iter().chain(&readme) {
        let column = row.last().expect("a column");
        assert!(coded(column).next().is_some(), "no test: {row:?}");
        for name in coded(column) {
            assert!(is_whole(name), "{name} is no test: {row:?}");
        }
    }
    let known: Vec<&str> = all.iter().flatten().flat_map(|text| coded(text)).collect();
    for name in readme
        .iter()
        .filter_map(|row| row.last())
        .flat_map(|text| coded(text))
    {
        assert!(known.contains(&name), "{name} is in the README alone");
    }
}

/// Every rule in `host/SECURITY.md` names sources that exist and tests that exist, whole.
#[test]
fn every_rule_names_sources_and_tests_that_exist() {
    let rows = rows(chapter(&page("host/SECURITY.md"), "Rules"));
    let all = tests();
    let (mut sources, mut tests) = (0, 0);
    for row in &rows {
        let [_, kept] = &row[..] else {
            panic!("two columns: {row:?}");
        };
        for word in coded(kept) {
            if word.ends_with(".rs") {
                sources += 1;
                let source = checkout().join("host").join(word);
                assert!(source.exists(), "{word} is no source: {row:?}");
            } else if word.contains('…') || word.matches('_').count() > 1 {
                tests += 1;
                assert!(has_test(&all, "", word), "{word} is no test: {row:?}");
            }
        }
    }
    assert!(sources > 3 && tests > 5, "{sources} sources, {tests} tests");
}

/// Every bound in `host/SECURITY.md` names a source that exists and tests that exist, whole.
#[test]
fn every_bound_names_its_source_and_its_test() {
    let rows = rows(chapter(&page("host/SECURITY.md"), "Bounds"));
    let all = tests();
    assert!(rows.len() > 30, "only {} bounds", rows.len());
    for row in &rows {
        let [_, _, _, places, tests] = &row[..] else {
            panic!("five columns: {row:?}");
        };
        for place in places.split(", ") {
            let source = checkout().join("host").join(place);
            assert!(source.exists(), "{place} is no source: {row:?}");
        }
        assert!(coded(tests).next().is_some(), "no test: {row:?}");
        for test in coded(tests) {
            assert!(has_test(&all, "", test), "{test} is no test: {row:?}");
        }
    }
}

/// The pages in a folder and below it, but for what tools make.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        let is_made = name.starts_with('.') || ["target", "node_modules"].contains(&name);
        if path.is_dir() && !is_made {
            pages(&path, found);
        } else if path.extension() == Some("md".as_ref()) {
            found.push(path);
        }
    }
}

/// The lines of a page that are no code.
fn prose(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let is_prose = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    text.lines().filter(is_prose).collect()
}

/// What a heading is called in a link, as GitHub calls it.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.replace(' ', "-");
    kept.chars()
        .filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c))
        .collect()
}

/// Every link from a page to a file of the checkout, or to a heading of a page, leads somewhere.
#[test]
fn every_link_on_a_page_leads_somewhere() {
    let mut found = Vec::new();
    pages(checkout(), &mut found);
    let mut wrong = Vec::new();
    let mut links = 0;
    for path in &found {
        let text = std::fs::read_to_string(path).expect("a page");
        let lines = prose(&text);
        let targets = lines.iter().flat_map(|line| line.split("](").skip(1));
        let targets = targets.filter_map(|rest| rest.split_once(')'));
        for (target, _) in targets.filter(|(target, _)| !target.contains("://")) {
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => path.clone(),
                file => path.parent().expect("a folder").join(file),
            };
            let has_heading = || {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                let lines = prose(&text);
                let mut headings = lines.iter().filter(|line| line.starts_with('#'));
                headings.any(|line| anchor(line) == heading)
            };
            let leads = file.exists() && (heading.is_empty() || has_heading());
            if !leads {
                wrong.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(links > 40, "only {links} links: they are not read right");
}

/// What a newcomer reads is short; what is longer has a page of its own.
#[test]
fn the_readme_is_short() {
    let bytes = page("README.md").len();
    assert!(bytes <= 9 << 10, "the README has {bytes} bytes");
}
