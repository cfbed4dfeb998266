//! What a tool's author hands over beside code: comments of his WIT, the grants he asks for, programs of
//! the older WASI, and cases.

use serde_json::Value;
use toolhost::{asked_section, count_cases};
use toolhost_core::terms::Wasi;
use toolhost_runtime::compile::embedded_manifest::{embed, embedded};
use toolhost_runtime::compile::{Docs, Kind, adapt_here, inspect, look};
use toolhost_runtime::sandbox::FunctionOrigin;

use super::engine::{Target, run};
use crate::harness::{bombs, checkout};

/// How a component begins.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// A component with nothing in it but this custom section.
fn around(name: &str, data: &[u8]) -> Vec<u8> {
    let number = |n: usize| {
        let n = u32::try_from(n).expect("fits");
        [n & 0x7f | 0x80, n >> 7 & 0x7f | 0x80, n >> 14 & 0x7f].map(|byte| byte as u8)
    };
    let mut section = vec![u8::try_from(name.len()).expect("fits")];
    section.extend_from_slice(name.as_bytes());
    section.extend_from_slice(data);
    [HEADER, &[0], &number(section.len()), &section].concat()
}

/// A message without what differs from try to try.
fn kind(say: &str) -> String {
    let outside = say.split(['`', '"']).step_by(2).collect::<String>();
    let letters = outside.chars().filter(char::is_ascii_alphabetic);
    letters.take(60).collect()
}

/// Whether somewhere in JSON this text stands.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(one) => one.trim() == text,
        Value::Array(all) => all.iter().any(|one| holds(one, text)),
        Value::Object(all) => all.values().any(|one| holds(one, text)),
        _ => false,
    }
}

const DOCS: [&str; 22] = [
    "\u{1}",
    "\0",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "\"\"",
    "\" \\n\"",
    "\"worlds\":{",
    "\"w\":{",
    "\"interfaces\":{",
    "\"api\":{",
    "\"funcs\":{",
    "\"func_exports\":{",
    "\"interface_exports\":{",
    "\"get\":{",
    "\"docs\":\"a\"",
    "package-docs",
    "[[[[[[[[[[[[[[[[",
];

/// Comments are the author's text, whole and trimmed, or are not there.
#[test]
fn docs() {
    let origin = |interface: Option<&str>, function: &str| FunctionOrigin {
        interface: interface.map(ToOwned::to_owned),
        function: function.to_owned(),
    };
    let origins = [
        origin(Some("a:b/api@1.0.0"), "get"),
        origin(Some("api"), "add"),
        origin(Some("a:b/"), ""),
        origin(Some("@"), "get"),
        origin(None, "add"),
        origin(None, "get"),
    ];
    let check = |bytes: &[u8]| {
        let section = !bytes.starts_with(b"\0asm");
        let component = match section {
            true => around("package-docs", bytes),
            false => bytes.to_vec(),
        };
        let docs = Docs::of(&component);
        let said = origins.each_ref().map(|origin| docs.function(origin));
        for text in said.into_iter().flatten() {
            assert!(!text.is_empty() && text.trim() == text, "{text:?}");
            assert!(text.len() <= component.len());
            if section {
                let json: Value = serde_json::from_slice(&bytes[1..]).expect("JSON");
                assert!(holds(&json, text), "{text:?} of {json}");
            }
        }
        let json = bytes.get(1..).map(serde_json::from_slice::<Value>);
        let json = json.is_some_and(|json| json.is_ok());
        format!("{section} {json} {:?}", said.map(|text| text.is_some()))
    };
    let nested = br#"{"interfaces":{"api":{"docs":"all","funcs":{"get":{"docs":" Gets it.\n"},"add":{}}}},"worlds":{"w":{"func_exports":{"add":{"docs":"Adds."}},"interface_exports":{"api":{"funcs":{"add":"Goes."}}}}}}"#;
    let older = br#"{"worlds":{"w":{"funcs":{"get":"Gets."}},"v":{}},"interfaces":{"":{"funcs":{"":"x"}}}}"#;
    let first = [&[1][..], nested].concat();
    run(&Target {
        name: "docs",
        seeds: vec![
            around("package-docs", &first),
            first,
            [&[0][..], older].concat(),
        ],
        words: &DOCS,
        check: &check,
    });
}

const WISH: &[&str] = &[
    "[tool.a]\n",
    "[tool.b]\n",
    "[tool.a.http.api]\n",
    "[tool.a.dir.notes]\n",
    "[tool.a.kv.b]\n",
    "[tool.a.function.f]\n",
    "[tool.a.command.f]\n",
    "[secret.s]\n",
    "[caller.c]\n",
    "[host]\n",
    "component = \"x\"\n",
    "url = \"https://api.example.com\"\n",
    "allow = [\"GET /a\"]\n",
    "auth = { bearer = \"s\" }\n",
    "env = \"TOKEN\"\n",
    "host = \"notes\"\nguest = \"/notes\"\naccess = \"read\"\n",
    "host = \"../notes\"\n",
    "host = \"/\"\n",
    "proxy = \"http://127.0.0.1:1\"\n",
    "private = [\"127.0.0.0/8\"]\n",
    "limits = { deadline = \"5s\" }\n",
    "# why\n",
    "tool.a.",
    "tool = { a = {",
    "\"a\"",
    "a",
    ".",
    "= ",
    "{",
    "}",
    "[[",
    "]]",
    "\"\"\"",
    "\r",
    "\r\n",
    "\u{202e}",
    "\u{feff}",
    "\\u0000",
    "toolhost:tool.toml",
    "\0asm\r\0\u{1}\0",
];

/// A section says of one tool what its author asked for; nothing of the operator's is in it.
fn written(text: &str) -> String {
    let section = match asked_section(text, "mine", "tools/mine.wasm") {
        Ok(section) => section,
        Err(error) => return kind(&format!("{error:#}")),
    };
    let whole: toml::Table = section.parse().expect("a section is TOML");
    assert_eq!(whole.keys().collect::<Vec<_>>(), ["tool"], "{section}");
    let tools = whole["tool"].as_table().expect("tools");
    assert_eq!(tools.keys().collect::<Vec<_>>(), ["mine"], "{section}");
    let asked: toml::Table = text
        .replace("\r\n", "\n")
        .parse()
        .expect("the wish is TOML");
    let (_, theirs) = asked["tool"]
        .as_table()
        .and_then(|all| all.iter().next())
        .expect("a tool");
    let mut theirs = theirs.as_table().expect("a section").clone();
    theirs.insert("component".to_owned(), "tools/mine.wasm".into());
    assert_eq!(tools["mine"].as_table(), Some(&theirs), "{section}");
    let hidden = |c: char| c.is_control() && !"\n\t".contains(c) || c == '\u{202e}';
    assert!(!section.contains(hidden), "{section:?}");
    format!("a section of {}", theirs.len())
}

/// What is embedded is read as it was written, whatever else is in a component.
#[test]
fn wishes() {
    let bare = around("other", b"data");
    let check = |bytes: &[u8]| {
        if !bytes.starts_with(HEADER) {
            let text = String::from_utf8_lossy(bytes).into_owned();
            // The engine makes none that is too long to be embedded.
            let carrier = embed(&bare, &text).expect("it fits");
            assert!(carrier.starts_with(&bare));
            assert_eq!(embedded(&carrier).as_ref(), Ok(&Some(text.clone())));
            return written(&text);
        }
        let before = embedded(bytes);
        match embed(bytes, "new") {
            Ok(after) => {
                assert_eq!(embedded(&after), Ok(Some("new".to_owned())));
                assert_eq!(embed(&after, "new").as_ref(), Ok(&after));
                let before = before.map(|text| text.is_some());
                format!("{:?}", before.map_err(|fault| kind(&fault.say)))
            }
            Err(fault) => {
                assert!(before.is_err(), "it can be read, and not replaced");
                kind(&fault.say)
            }
        }
    };
    let mut seeds = vec![around("toolhost:tool.toml", b"[tool.a]\n"), bare.clone()];
    for tool in ["fetch", "files", "github", "orders"] {
        let file = checkout().join("tools").join(tool).join("tool.toml");
        seeds.push(std::fs::read(file).expect("a real wish"));
    }
    run(&Target {
        name: "wishes",
        seeds,
        words: WISH,
        check: &check,
    });
}

/// The adapter's encoder is given what asks for preview 1 and nothing else; what it makes can be run
/// here, or it is an error.
#[test]
fn programs() {
    let parsed = |text: &str| wat::parse_str(text).expect("a module");
    let program = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 8) "hello\n")
        (func (export "_start") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))"#;
    let reactor = r#"(module
        (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (memory (export "memory") 1)
        (func (export "_initialize"))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))"#;
    // One whose memory is moved, with all that has to do with it.
    let moved = r#"(module
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1 9)
        (table funcref (elem $read))
        (data (i32.const 65000) "active")
        (data $later "passive")
        (func (export "_start")
            (drop (call $args (i32.const 8) (memory.size)))
            (memory.init $later (i32.const 16) (i32.const 0) (i32.const 7))
            (memory.copy (i32.const 32) (i32.const 16) (memory.grow (i32.const 1)))
            (memory.fill (i32.const 64) (i32.const 1) (i32.load offset=4294967295 align=1 (i32.const 0)))
            (drop (call_indirect (param i32 i32 i32 i32) (result i32)
                (i32.const 0) (i32.const 64) (i32.const 2) (i32.const 4) (i32.const 0)))))"#;
    // One with a world of its own, as a language's tools leave it in a module.
    let world = r#"(component
        (type (component
          (type (component
            (type $bytes (list u8))
            (type $go (func (param "a" string) (result $bytes)))
            (export "go" (func (type $go)))))
          (export "a:b/w" (component (type 0)))))
        (export "w" (type 0))
        (@custom "wit-component-encoding" "\04\00"))"#;
    let typed = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
        (func (export "go") (param i32 i32) (result i32) (i32.const 0)))"#;
    let typed = bombs::with_world(&parsed(typed), &parsed(world));
    let looked = adapt_here(&typed).and_then(|component| look(&component));
    assert_eq!(looked.map(|looked| looked.kind), Ok(Kind::Typed));
    let check = |bytes: &[u8]| match adapt_here(bytes) {
        Ok(component) => {
            let looked = look(&component).expect("it can be looked at");
            assert!(matches!(
                looked.kind,
                Kind::Command | Kind::Typed | Kind::Tool | Kind::Proxy
            ));
            let imports = match inspect(&component, Wasi::V02) {
                Ok(inspected) => inspected.imports.len().to_string(),
                Err(fault) => kind(&fault.say),
            };
            format!("{:?} {imports}", looked.kind)
        }
        Err(fault) => {
            assert!(
                fault.say.len() < 10_000,
                "{} bytes are said",
                fault.say.len()
            );
            kind(&fault.say)
        }
    };
    run(&Target {
        name: "programs",
        seeds: vec![
            parsed(program),
            parsed(reactor),
            parsed(moved),
            typed,
            parsed("(module)"),
        ],
        words: &[
            "\0asm\u{1}\0\0\0",
            "wasi_snapshot_preview1",
            "\u{7}fd_read",
            "\u{6}_start",
            "\u{6}memory",
            "cabi_realloc",
            "cm32p2",
            "component-type:world",
            "wit-component-encoding\u{4}\0",
            "A\u{1}\u{1}",
            "B\u{1}\u{1}",
            "@\0\u{1}\0",
            "p\u{7d}",
            "producers",
            "\u{60}\u{4}\u{7f}\u{7f}\u{7f}\u{7f}\u{1}\u{7f}",
            "\u{1}",
            "\u{2}",
            "\u{a}",
            "\u{b}",
            "\0",
            "\u{7f}",
        ],
        check: &check,
    });
}

const CASE: &[&str] = &[
    "[[case]]\n",
    "name = \"a\"\n",
    "function = \"f\"\n",
    "arguments = ",
    "'{\"a\": 1}'\n",
    "result = ",
    "contains = ",
    "text = \"a\"\n",
    "text_contains = [\"a\"]\n",
    "error = { code = \"failed\" }\n",
    "fault = \"out-of-fuel\"\n",
    "[[case.http]]\n",
    "request = \"GET https://example.org/\"\n",
    "status = ",
    "json = ",
    "body = ",
    "fails = \"timeout\"\n",
    "[case.dir.\"/a\"]\n",
    "access = \"read-write\"\n",
    "files = { \"a\" = \"b\" }\n",
    "after = { \"../a\" = { base64 = \"YQ==\" } }\n",
    "gone = [\"a\"]\n",
    "{ file = \"a\" }\n",
    "[case.kv.b]\n",
    "entries = { a = \"b\" }\n",
    "{",
    "}",
    "[[[[[[[[",
    "nan",
    "1979-05-27",
    "9223372036854775808",
    "\"\"\"",
    "\\u0000",
    "= ",
];

/// A file of cases is read to its end, or what is wrong with it is said.
#[test]
fn cases() {
    let check = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        match count_cases(&text) {
            Ok(count) => {
                let whole: toml::Table = text.parse().expect("what is taken is TOML");
                let listed = whole.get("case").and_then(toml::Value::as_array);
                assert_eq!(listed.map_or(0, Vec::len), count);
                format!("{} cases", count.min(9))
            }
            Err(error) => kind(format!("{error:#}").lines().last().unwrap_or_default()),
        }
    };
    let page = include_str!("../../guest-sdk/CASES.md");
    let (_, rest) = page.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    run(&Target {
        name: "cases",
        seeds: vec![example.as_bytes().to_vec()],
        words: CASE,
        check: &check,
    });
}
