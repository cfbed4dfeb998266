//! The manifest's text, and the lock's.

use toolhost_core::grants::Argument;
use toolhost_core::manifest::{UseSpec, parse};
use toolhost_engine::catalog::Lock;

use super::engine::{Target, run};
use crate::harness::checkout;

/// Every manifest of the fixtures, good and bad.
fn fixtures() -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for kind in ["good", "bad"] {
        let folder = checkout().join("tests/cases/manifest").join(kind);
        let files = std::fs::read_dir(folder).expect("the fixtures");
        let mut files: Vec<_> = files.map(|file| file.expect("a fixture").path()).collect();
        files.sort();
        let toml = files
            .iter()
            .filter(|file| file.extension() == Some("toml".as_ref()));
        texts.extend(toml.map(|file| std::fs::read(file).expect("a text")));
    }
    texts
}

/// What stands between quotes is the input's own: without it messages are of one kind.
fn kind(message: &str) -> String {
    let outside = message.split('`').step_by(2);
    outside
        .collect::<String>()
        .replace(|c: char| c.is_ascii_digit(), "")
}

/// What manifests are made of, and what their parser could trip over.
const MANIFEST: &[&str] = &[
    "\n[tool.a]\n",
    "[tool.a.http.b]\n",
    "[tool.a.kv.b]\n",
    "[tool.a.dir.b]\n",
    "[secret.a]\n",
    "[caller.a]\n",
    "[tool.a.function.b]\n",
    "[limits]\n",
    "[host]\n",
    "schema = 1\n",
    "url = ",
    "allow = [",
    "auth = { bearer = \"a\" }\n",
    "bytes = ",
    "keys = ",
    "per_caller = true\n",
    "config = { a = \"b\" }\n",
    "env = { A = \"b\" }\n",
    "host = \"",
    "guest = \"/",
    "access = ",
    "\"read\"",
    "component = \"a.wasm\"\n",
    "may = [\"a.*\"]\n",
    "deadline = \"",
    "GET /",
    "**",
    "https://",
    "127.0.0.1",
    "[::1]",
    "private = [\"",
    "\"\"\"",
    "'''",
    "= ",
    "{",
    "}",
    "[[",
    "]]",
    "inf",
    "nan",
    "0x7f",
    "1979-05-27",
    "\\u0000",
    "\u{202e}",
    "\u{feff}",
    "ghp_0123456789abcdef",
    "\u{1b}[2J",
    "\r\n",
    "# ",
    "18446744073709551616",
    "99999999999999999999s",
    "1e400",
    "[tool.a.command.b]\n",
    "description = \"a\"\n",
    "input.a = { type = \"string\" }\n",
    "optional = [\"a\"]\n",
    "arguments = [",
    "{ when = \"a\", then = [\"{a}\"] }",
    "\"{a}\"",
    "{{",
    "}}",
    "stdin = \"{a}\"\n",
    "stdout = \"json\"\n",
    "output = { type = \"object\" }\n",
    "success = [0, 255]\n",
    "wasi = \"0.3\"\n",
];

/// Every place of a program's command line is for an argument that its schema has.
fn filled(how: &UseSpec) {
    let known = |name: &str| how.input_schema.as_map()["properties"].get(name).is_some();
    let line = how
        .grant
        .arguments
        .iter()
        .flat_map(|argument| match argument {
            Argument::Always(template) => std::slice::from_ref(template),
            Argument::When { name, then } => {
                assert!(known(name), "{name}");
                then
            }
        });
    for template in line.chain(&how.grant.stdin) {
        assert!(template.values().all(|name| known(name)), "{template:?}");
    }
    assert!(!how.grant.success.is_empty());
}

#[test]
fn manifest() {
    let check = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let problems = match parse("toolhost.toml", &text) {
            Ok(manifest) => {
                let uses = manifest.tools.iter().flat_map(|tool| tool.uses.values());
                let uses: Vec<_> = uses.inspect(|how| filled(how)).collect();
                return format!("good {}", uses.len().min(3));
            }
            Err(problems) => problems,
        };
        assert!(problems.iter().count() > 0, "refused for nothing");
        let lines = text.lines().count().max(1);
        for problem in problems.iter() {
            let line = usize::try_from(problem.line()).expect("fits");
            assert!((1..=lines + 1).contains(&line), "line {line} of {lines}");
            assert!(problem.column() >= 1);
        }
        let shown = problems.to_string();
        let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!shown.contains(obeyed), "{shown:?}");
        problems
            .iter()
            .next()
            .map_or_else(String::new, |problem| kind(problem.message()))
    };
    run(&Target {
        name: "manifest",
        seeds: fixtures(),
        words: MANIFEST,
        check: &check,
    });
}

/// What locks are made of.
const LOCK: [&str; 14] = [
    "schema = 1\n",
    "[[tool]]\n",
    "[[tool.function]]\n",
    "name = \"",
    "component = \"sha256:",
    "digest = \"",
    "imports = [",
    "description = '''",
    "input_schema = '",
    "{\"type\":\"object\"}",
    "read_only = true\n",
    "\"\"\"",
    "= ",
    "\\u0000",
];

#[test]
fn lock() {
    let check = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let lock = match Lock::parse(&text) {
            Ok(lock) => lock,
            Err(damaged) => {
                let say = damaged.to_string();
                return kind(&say.lines().last().unwrap_or_default().replace('"', "`"));
            }
        };
        let written = lock.text().expect("a lock that was read can be written");
        assert_eq!(Lock::parse(&written).as_ref(), Ok(&lock), "{written}");
        assert!(lock.changes(&lock).is_empty());
        format!("good {}", lock.tools.len().min(3))
    };
    run(&Target {
        name: "lock",
        seeds: Vec::new(),
        words: &LOCK,
        check: &check,
    });
}
