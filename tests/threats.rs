//! The threat model's rows and the tests that hold them: every row has a test or says why there is
//! none yet, every test that names a row names one that exists, and `tests/THREATS.md` shows both.
//!
//! A test names its rows at the start of its own name: `g38_g39_no_path_leads_outside`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::harness::checkout;

/// A row of `tests/cases/threats.toml`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What somebody does.
    attack: String,
    /// What happens then.
    promise: String,
    /// Why there is no test yet: the feature that it needs does not exist.
    later: Option<String>,
}

/// The kinds of rows, and how many of each the threat model has.
const KINDS: [(char, &str, usize); 3] = [
    ('G', "Hostile guests", 94),
    ('N', "Hostile networks", 100),
    ('X', "Agents, doors, supply, records, processes", 91),
];

fn rows() -> BTreeMap<String, Row> {
    let file = checkout().join("tests/cases/threats.toml");
    let text = std::fs::read_to_string(file).expect("the rows");
    toml::from_str(&text).unwrap_or_else(|error| panic!("tests/cases/threats.toml: {error}"))
}

/// A test and the rows that it names.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    file: String,
    test: String,
    rows: Vec<String>,
}

/// The rows that a test's name begins with: `g01_g02_rest` names two.
fn ids(test: &str) -> Vec<String> {
    let is_id = |word: &&str| {
        let digits = word.strip_prefix(['g', 'n', 'x']).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let words = test.split('_').take_while(is_id);
    words.map(str::to_uppercase).collect()
}

/// The names of the tests in a source, in its order. A test is a function under an attribute whose
/// path ends in `test`.
pub(crate) fn tests_in(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        let attribute = line.strip_prefix("#[");
        let path = attribute.and_then(|rest| rest.split([']', '(']).next());
        is_test |= path.is_some_and(|path| path.rsplit("::").next() == Some("test"));
        let words: Vec<&str> = line.split([' ', '(', '<']).collect();
        if let Some(at) = words.iter().position(|word| *word == "fn")
            && attribute.is_none()
            && !line.starts_with("//")
        {
            found.extend(
                words
                    .get(at + 1)
                    .filter(|_| is_test)
                    .map(|name| (*name).to_owned()),
            );
            is_test = false;
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension() == Some("rs".as_ref()) {
            found.push(path);
        }
    }
}

/// All tests that name rows, by file and name.
fn named() -> Vec<Named> {
    let mut files = Vec::new();
    sources(&checkout().join("tests"), &mut files);
    sources(&checkout().join("host"), &mut files);
    let mut all = Vec::new();
    for path in files {
        let source = std::fs::read_to_string(&path).expect("a source");
        let file = path.strip_prefix(checkout()).expect("within");
        for test in tests_in(&source) {
            let rows = ids(&test);
            if !rows.is_empty() {
                all.push(Named {
                    file: file.display().to_string(),
                    test,
                    rows,
                });
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_name_tells_its_rows() {
    assert_eq!(ids("g01_a_loop"), ["G01"]);
    assert_eq!(ids("n60_n71_g3_echo"), ["N60", "N71", "G3"]);
    assert_eq!(ids("x999_nothing"), ["X999"]);
    for none in ["a_g01_loop", "grant_01", "g_01", "none"] {
        assert!(ids(none).is_empty(), "{none}");
    }
    let source = "#[test]\nfn g01_a() {}\nfn g02_help() {}\n#[tokio::test(flavor = \"x\")]\n// why\n#[allow(dead_code)]\nasync fn x03_b() {}\n// #[test] fn g04_c() {}\n";
    assert_eq!(tests_in(source), ["g01_a", "x03_b"]);
}

#[test]
fn the_rows_are_those_of_the_threat_model() {
    let rows = rows();
    for (kind, _, count) in KINDS {
        let expected: BTreeSet<String> = (1..=count).map(|n| format!("{kind}{n:02}")).collect();
        let found: BTreeSet<String> = rows
            .keys()
            .filter(|id| id.starts_with(kind))
            .cloned()
            .collect();
        assert_eq!(found, expected);
    }
    assert_eq!(rows.len(), 285);
    for (id, row) in rows {
        for text in [Some(&row.attack), Some(&row.promise), row.later.as_ref()] {
            let text = text.map_or("-", String::as_str);
            assert!(
                !text.trim().is_empty() && !text.contains(['|', '\n']),
                "{id}: {text:?}"
            );
        }
    }
}

#[test]
fn every_row_has_a_test_or_says_why_not_and_every_test_has_its_row() {
    let (rows, named) = (rows(), named());
    let mut wrong = Vec::new();
    let held: BTreeSet<&String> = named.iter().flat_map(|test| &test.rows).collect();
    for test in &named {
        for id in test.rows.iter().filter(|id| !rows.contains_key(*id)) {
            wrong.push(format!(
                "{}: `{}` names {id}, which is no row",
                test.file, test.test
            ));
        }
    }
    for (id, row) in &rows {
        match (held.contains(id), &row.later) {
            (false, None) => wrong.push(format!("{id} has no test: {}", row.attack)),
            (true, Some(why)) => {
                wrong.push(format!("{id} has a test and is later all the same: {why}"))
            }
            (true, None) | (false, Some(_)) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(named.len() > 80, "only {} tests name rows", named.len());
}

/// The table as people read it.
fn table() -> String {
    let (rows, named) = (rows(), named());
    let mut text = String::from(
        "# The threats and their tests\n\nMade from `tests/cases/threats.toml` and the names of the tests: `UPDATE_FIXTURES=1 cargo test\nthreats::` writes it anew. `tests/threats.sh` runs the suite and prints every row with its result.\n",
    );
    for (kind, title, _) in KINDS {
        let _ = write!(
            text,
            "\n## {title}\n\n| id | attack | promise | tests |\n|---|---|---|---|\n"
        );
        for (id, row) in rows.iter().filter(|(id, _)| id.starts_with(kind)) {
            let mut tests: Vec<String> = named
                .iter()
                .filter(|test| test.rows.contains(id))
                .map(|test| format!("`{}` ({})", test.test, test.file))
                .collect();
            tests.extend(row.later.as_ref().map(|why| format!("*later*: {why}")));
            let _ = writeln!(
                text,
                "| {id} | {} | {} | {} |",
                row.attack,
                row.promise,
                tests.join("<br>")
            );
        }
    }
    text
}

#[test]
fn the_table_is_up_to_date() {
    let file = checkout().join("tests/THREATS.md");
    let table = table();
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&file, &table).expect("the table");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = table
        .lines()
        .zip(found.lines())
        .find(|(new, old)| new != old);
    assert!(
        table == found,
        "tests/THREATS.md is not up to date; UPDATE_FIXTURES=1 writes it anew. First difference: {differs:?}"
    );
}
