//! `toolhost inspect`: what a file is, what of it is refused, and with which exit code.

use serde_json::{Value, json};

use crate::harness::{Program, Site};

fn inspect(site: Site, file: &str) -> (Value, i32) {
    let ended = Program::bare(site).run(&["inspect", file, "--json"]);
    (ended.json(), ended.code)
}

/// A file of these bytes.
fn of(bytes: &[u8]) -> (Value, i32) {
    let site = Site::empty();
    site.write("it.wasm", bytes);
    inspect(site, "it.wasm")
}

fn refusal(report: &Value) -> &str {
    report["refused"][0].as_str().unwrap_or_default()
}

#[test]
fn a_tool_is_said_whole() {
    let (report, code) = inspect(Site::new(), "everything.wasm");
    assert_eq!(
        (code, &report["kind"], &report["runs"]),
        (0, &json!("tool"), &json!(true))
    );
    assert_eq!(report["exports"], json!(["toolhost:tool/tools@0.1.0"]));
    assert!(
        report["imports"]["kv"][0]
            .as_str()
            .is_some_and(|import| import.starts_with("wasi:keyvalue/"))
    );
    let functions = report["functions"].as_array().expect("functions");
    let add = functions
        .iter()
        .find(|one| one["name"] == "add")
        .expect("add");
    assert_eq!(add["description"], "Adds two whole numbers.");
    assert_eq!(add["input_schema"]["required"], json!(["a", "b"]));
    let people = Program::bare(Site::new()).run(&["inspect", "everything.wasm"]);
    assert_eq!(people.code, 0, "{people:?}");
    for words in [
        "a tool: a component of the world toolhost:tool",
        "add(a: integer, b: integer)",
        "what is granted, else nothing",
    ] {
        assert!(people.out.contains(words), "{words}: {}", people.out);
    }
    assert!(
        !people.out.contains('\u{1b}'),
        "no colour where no terminal is"
    );
}

#[test]
fn every_other_kind_is_named() {
    let wat = |text: &str| wat::parse_str(text).expect("a text");
    let preview1 = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let (report, code) = of(&wat(preview1));
    assert_eq!((code, &report["kind"]), (0, &json!("preview1")));
    assert!(
        report["notes"][0]
            .as_str()
            .is_some_and(|note| note.contains("toolhost add"))
    );

    let (report, code) = of(&wat("(module (import \"env\" \"alloc\" (func)))"));
    assert_eq!((code, &report["kind"]), (1, &json!("core")));
    assert!(refusal(&report).contains("imports `env.alloc`"), "{report}");

    let (report, code) = of(&wat(
        "(component (import \"wasi:nn/tensor@0.2.0\" (instance (export \"f\" (func)))))",
    ));
    assert_eq!(code, 1);
    assert_eq!(
        report["imports"],
        json!({ "unknown": ["wasi:nn/tensor@0.2.0"] })
    );
    assert!(
        refusal(&report).contains("wasi:nn/tensor@0.2.0"),
        "{report}"
    );

    for (bytes, said) in [
        (&b""[..], "empty"),
        (b"PK\x03\x04", "zip archive"),
        (b"\x7fELF", "native code"),
        (b"\0asm\x0d\0\x01\0\x01", "damaged or cut off"),
    ] {
        let (report, code) = of(bytes);
        assert_eq!((code, &report["kind"]), (1, &Value::Null));
        assert!(refusal(&report).contains(said), "{report}");
    }
    let folder = Program::bare(Site::empty()).run(&["inspect", "."]);
    assert!(
        folder.code == 2 && folder.err.contains("is not a file"),
        "{folder:?}"
    );
}

#[test]
fn a_typed_component_has_its_functions_and_what_is_left_out() {
    let text = r#"(component
        (core module $m
            (func (export "double") (param i32) (result i32) local.get 0 i32.const 2 i32.mul))
        (core instance $i (instantiate $m))
        (func (export "double") (param "x" s32) (result s32) (canon lift (core func $i "double"))))"#;
    let (report, code) = of(&wat::parse_str(text).expect("a text"));
    assert_eq!((code, &report["kind"]), (0, &json!("typed")), "{report}");
    assert_eq!(report["functions"][0]["name"], "double");
    assert_eq!(
        report["functions"][0]["input_schema"]["required"],
        json!(["x"])
    );
}

#[test]
fn what_it_asks_for_is_shown_without_what_a_terminal_obeys() {
    let bytes = std::fs::read(crate::harness::guest("hello.wasm")).expect("a guest");
    let asks = "# \u{202e}\u{1b}[2J\n[tool.hello]\ncomponent = \"hello.wasm\"\n";
    let bytes =
        toolhost_runtime::compile::embedded_manifest::embed(&bytes, asks).expect("a component");
    let site = Site::empty();
    site.write("it.wasm", bytes);
    let ended = Program::bare(site).run(&["inspect", "it.wasm"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("[tool.hello]"), "{}", ended.out);
    assert!(!ended.out.contains(['\u{1b}', '\u{202e}']), "{}", ended.out);
}
