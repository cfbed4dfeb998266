//! Components that are not run, and why: each says exactly the text in its fixture, with its line of
//! the manifest.

use toolhost_engine::catalog::Trouble;

use crate::harness::{Site, Words, cache_folder, checkout, component, definition, manifest};

/// One tool.
const ONE: &str = "[tool.one]\ncomponent = \"one.wasm\"\n";

/// Compares what was said with the fixture of this name. `UPDATE_FIXTURES=1` writes it anew; read it
/// then, as its operator would.
fn says<T>(name: &str, site: &Site, said: Result<T, Vec<Trouble>>) {
    let Err(troubles) = said else {
        panic!("{name}: nothing is wrong")
    };
    let folder = site.path("").display().to_string();
    let lines: Vec<String> = troubles.iter().map(ToString::to_string).collect();
    let said = lines.join("\n").replace(&folder, "<folder>/") + "\n";
    let fixture = checkout().join(format!("tests/cases/component/{name}.err"));
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&fixture, &said).expect("the fixture");
    }
    let expected = std::fs::read_to_string(&fixture).unwrap_or_default();
    assert_eq!(said, expected, "{}", fixture.display());
}

/// Locks one tool whose component has these bytes.
fn refused(name: &str, bytes: &[u8]) {
    let site = Site::empty();
    site.write("one.wasm", bytes);
    says(name, &site, site.lock(&manifest(ONE)));
}

/// A sound component with these functions.
fn sound(names: &[&str]) -> Vec<u8> {
    let definitions: Vec<Words> = names.iter().map(|name| definition(name)).collect();
    component(&definitions, "", "(unreachable)")
}

#[test]
fn g29_what_is_no_component_is_named() {
    refused("empty", b"");
    refused(
        "core_module",
        &wat::parse_str("(module)").expect("a module"),
    );
    refused("elf", b"\x7fELF\x02\x01\x01\0");
    refused("zip", b"PK\x03\x04");
    refused("gzip", b"\x1f\x8b\x08\0");
    refused("text", b"(component)");
    refused("other", b"#!/bin/sh\n");
    refused("unknown_version", b"\0asm\x0e\0\x01\0");
    let whole = sound(&["go"]);
    refused("truncated", &whole[..whole.len() / 2]);
    refused("cut_off_at_once", &whole[..6]);
}

#[test]
fn g29_a_compiled_component_is_never_taken_from_elsewhere() {
    let site = Site::empty();
    site.write("one.wasm", sound(&["go"]));
    site.lock(&manifest(ONE)).expect("a lock");
    let mut compiled = std::fs::read_dir(cache_folder()).expect("the cache");
    let compiled = compiled.find_map(|file| {
        let path = file.expect("a file").path();
        (path.extension() == Some("cwasm".as_ref())).then_some(path)
    });
    let bytes = std::fs::read(compiled.expect("a compiled component")).expect("its bytes");
    refused("elf", &bytes);
}

#[test]
fn g27_an_import_that_nobody_knows_is_named_before_anything_is_compiled() {
    let imports = r#"
      (import "evil:nn/tensor@1.0.0" (instance (export "f" (func))))
      (import "wasi:clocks/wall-clock@0.3.0" (instance (export "now" (func))))
    "#;
    // Were it compiled, the body that does not validate would be what is complained of.
    refused(
        "unknown_import",
        &component(&[definition("go")], imports, "(unreachable)"),
    );
}

#[test]
fn g28_a_component_that_is_no_tool_is_refused() {
    refused(
        "missing_export",
        &wat::parse_str("(component)").expect("a component"),
    );
    let other = r#"(component
      (component $c)
      (instance $i (instantiate $c))
      (export "toolhost:tool/tools@0.1.0" (instance $i)))"#;
    refused("empty_export", &wat::parse_str(other).expect("a component"));
}

#[test]
fn g33_what_the_engine_has_switched_off_does_not_compile() {
    for (name, inside) in [
        ("memory64", "(core module (memory i64 1))"),
        ("shared_memory", "(core module (memory 1 1 shared))"),
        (
            "threads",
            "(core module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
        ),
        ("exceptions", "(core module (tag))"),
        ("garbage_collection", "(core module (type (struct)))"),
        (
            "stack_switching",
            "(core module (type $f (func)) (type (cont $f)))",
        ),
    ] {
        let bytes = wat::parse_str(format!("(component {inside})"));
        let site = Site::empty();
        site.write("one.wasm", bytes.expect("a component"));
        let said = site.lock(&manifest(ONE)).map(drop).expect_err(name);
        assert!(
            said[0].message.contains("does not compile"),
            "{name}: {said:?}"
        );
    }
    for (name, inside) in [
        ("async_streams", "(type (stream u8))"),
        ("async_futures", "(type (future u8))"),
    ] {
        let bytes = wat::parse_str(format!("(component {inside})"));
        let site = Site::empty();
        site.write("one.wasm", bytes.expect("a component"));
        let said = site.lock(&manifest(ONE)).map(drop).expect_err(name);
        assert!(
            said[0].message.contains("which are WASI 0.3"),
            "{name}: {said:?}"
        );
    }
    // What joins components to one has two memories, of which it makes none: only that compiles.
    let two = wat::parse_str("(component (core module (memory 1) (memory 1)))");
    let site = Site::empty();
    site.write("one.wasm", two.expect("a component"));
    let said = site.lock(&manifest(ONE)).map(drop).expect_err("two");
    assert!(said[0].message.contains("does not fit"), "{said:?}");
}

#[test]
fn g30_files_that_cannot_be_read_are_named() {
    let site = Site::empty();
    says("missing", &site, site.lock(&manifest(ONE)));

    std::fs::create_dir(site.path("one.wasm")).expect("a folder");
    says("folder", &site, site.lock(&manifest(ONE)));

    let site = Site::empty();
    let file = std::fs::File::create(site.path("one.wasm")).expect("a file");
    file.set_len((64 << 20) + 1).expect("a file with a hole");
    says("oversize", &site, site.lock(&manifest(ONE)));
}

#[test]
fn g55_definitions_that_are_not_sound_are_named() {
    let with = |change: fn(&mut Words)| {
        let mut words = definition("go");
        change(&mut words);
        component(&[words], "", "(unreachable)")
    };
    refused("no_functions", &sound(&[]));
    refused("function_twice", &sound(&["go", "go"]));
    refused(
        "bad_name",
        &with(|words| words.name = "Go\u{1b}[2J!".to_owned()),
    );
    refused("long_name", &with(|words| words.name = "g".repeat(65)));
    refused(
        "no_description",
        &with(|words| words.description = " \u{200b}\n".to_owned()),
    );
    refused(
        "long_description",
        &with(|words| words.description = "d".repeat(4097)),
    );
    refused(
        "schema_not_json",
        &with(|words| words.input = "{".to_owned()),
    );
    refused(
        "schema_no_object",
        &with(|words| words.input = "[]".to_owned()),
    );
    refused(
        "schema_twice",
        &with(|words| words.input = r#"{"type":"object","title":"a","title":"b"}"#.to_owned()),
    );
    refused(
        "schema_other_root",
        &with(|words| words.input = r#"{"type":"array"}"#.to_owned()),
    );
    refused(
        "schema_not_sound",
        &with(|words| {
            words.input = r#"{"type":"object","properties":{"a":{"type":"nothing"}}}"#.to_owned();
        }),
    );
    refused(
        "schema_from_network",
        &with(|words| {
            words.input = r#"{"type":"object","$ref":"http://127.0.0.1:9/schema"}"#.to_owned();
        }),
    );
    refused(
        "schema_from_file",
        &with(|words| {
            words.input = r#"{"type":"object","$ref":"file:///etc/passwd"}"#.to_owned();
        }),
    );
    refused(
        "output_schema_not_sound",
        &with(|words| {
            words.output = Some(r#"{"type":7}"#.to_owned());
        }),
    );
    refused(
        "schema_too_large",
        &with(|words| {
            words.input = format!(r#"{{"type":"object","title":"{}"}}"#, "t".repeat(64 << 10));
        }),
    );
}

#[test]
fn a_tool_that_is_not_what_the_lock_says_is_refused() {
    let site = Site::empty();
    site.write("one.wasm", sound(&["go"]));
    let lock = site.lock(&manifest(ONE)).expect("a lock");
    assert!(site.load_locked(&manifest(ONE), &lock).is_ok());

    site.write("one.wasm", sound(&["go", "stay"]));
    says("changed", &site, site.load_locked(&manifest(ONE), &lock));
    let two = ONE.replace("one]", "two]");
    says(
        "not_locked",
        &site,
        site.load_locked(&manifest(&two), &lock),
    );
}

#[test]
fn what_the_manifest_says_in_vain_is_refused() {
    let site = Site::empty();
    site.write("one.wasm", sound(&["go"]));
    site.write("notes/a", "");
    let refused = |name: &str, text: &str| says(name, &site, site.load(&manifest(text)).map(drop));
    refused(
        "idle_grants",
        r#"
[tool.one]
component = "one.wasm"
env = { A = "b" }
config = { a = "b" }
log = "info"
[tool.one.kv.seen]
bytes = "1MiB"
keys = 10
[tool.one.http.api]
url = "https://api.example.com"
allow = ["GET /"]
[tool.one.function.go.dir.notes]
host = "notes"
guest = "/notes"
access = "read"
"#,
    );
    refused(
        "idle_section",
        &format!("{ONE}[tool.one.function.come]\nlimits.fuel = 1000\n"),
    );
    refused(
        "idle_right",
        &format!("{ONE}[caller.a]\nstdio = true\nmay = [\"one.go\", \"one.come\"]\n"),
    );
}

#[test]
fn two_functions_of_one_name_for_agents_are_refused() {
    let site = Site::empty();
    site.write("long.wasm", sound(&["c"]));
    site.write("short.wasm", sound(&["b_c"]));
    let text = "[tool.a_b]\ncomponent = \"long.wasm\"\n[tool.a]\ncomponent = \"short.wasm\"\n";
    says("same_name", &site, site.load(&manifest(text)).map(drop));
}

#[test]
fn everything_that_is_wrong_is_said_in_one_run() {
    let site = Site::empty();
    site.write("zip.wasm", b"PK\x03\x04");
    site.write("empty.wasm", b"");
    site.write("good.wasm", sound(&["go"]));
    let text = ["zip", "empty", "good", "missing"]
        .map(|name| format!("[tool.{name}]\ncomponent = \"{name}.wasm\"\n"))
        .concat();
    says("many", &site, site.lock(&manifest(&text)));
}

#[test]
fn every_fixture_belongs_to_a_case() {
    let source = include_str!("components.rs");
    let folder = checkout().join("tests/cases/component");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).expect("the fixtures") {
        let path = file.expect("a fixture").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        assert!(
            source.contains(&format!("\"{name}\"")),
            "nobody asks for {name}.err"
        );
        seen += 1;
    }
    assert!(seen >= 25, "only {seen} fixtures");
}
