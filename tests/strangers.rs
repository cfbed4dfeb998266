//! Components as authors for other hosts write them: made from WIT by the encoder that every
//! toolchain uses, or a guest with uncommon functions and drafts of WASI. Each runs by its section of
//! the manifest alone, or is refused with what it is and what to do.

use serde_json::{Value, json};
use toolhost_core::terms::{Code, Outcome, ToolErrorCode};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use crate::harness::{End, House, Program, Site, structured, tool_error};

const STRANGER: &str = r#"
[tool.s]
component = "stranger.wasm"
config = { greeting = "hello" }
log = "info"
"#;

/// The core module of a world whose functions do nothing, as it is before it becomes a component.
fn module(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("it.wit", wit).expect("WIT");
    let world = resolve.select_world(&[package], None).expect("a world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("a section");
    module
}

fn component(wit: &str) -> Vec<u8> {
    let encoder = ComponentEncoder::default().module(&module(wit));
    encoder
        .and_then(|mut encoder| encoder.encode())
        .expect("a component")
}

/// What `inspect` says of a file, and whether it can run.
fn inspect(bytes: &[u8]) -> Value {
    let site = Site::empty();
    site.write("it.wasm", bytes);
    let ended = Program::bare(site).run(&["inspect", "it.wasm", "--json"]);
    let report = ended.json();
    assert_eq!(ended.code == 0, report["runs"] == true, "{ended:?}");
    report
}

fn names_of(report: &Value) -> Vec<&str> {
    let functions = report["functions"].as_array().expect("functions");
    functions
        .iter()
        .filter_map(|function| function["name"].as_str())
        .collect()
}

fn refusal(report: &Value) -> &str {
    report["refused"][0].as_str().unwrap_or_default()
}

/// `use` makes a component import the interface that its types are of, though there is nothing in it
/// that anybody could implement.
#[test]
fn types_of_interfaces_that_nobody_implements_are_no_imports() {
    let report = inspect(&component(
        "package local:forecast@0.1.0-draft;
        interface types { record place { city: string } enum unit { celsius } }
        interface api { use types.{place, unit}; get-weather: func(at: place) -> unit; }
        world w { use types.{place}; export api; export name: func(at: place) -> string; }",
    ));
    assert_eq!(report["runs"], true, "{report:#}");
    assert_eq!(names_of(&report), ["get_weather", "name"]);
    assert_eq!(
        report["imports"],
        json!({ "types": ["local:forecast/types@0.1.0-draft", "place"] })
    );
    // A resource somebody has to make, and a function somebody has to be.
    for wit in [
        "package a:b; interface t { resource r; } world w { import t; export go: func(); }",
        "package a:b; interface t { type n = u8; f: func(); } world w { import t; export go: func(); }",
        "package a:b; world w { import f: func(); export go: func(); }",
    ] {
        let report = inspect(&component(wit));
        assert_eq!(report["runs"], false, "{wit}");
        let say = refusal(&report);
        assert!(say.contains("which this host does not provide"), "{say}");
    }
}

#[test]
fn what_is_not_provided_is_named_with_what_there_is_instead() {
    let with = |import: &str| {
        let (package, interface) = import.split_once('/').expect("an interface");
        let (interface, version) = interface.split_once('@').unwrap_or((interface, ""));
        let at = if version.is_empty() { "" } else { "@" };
        let wit = format!(
            "package local:it;
            package {package}{at}{version} {{ interface {interface} {{ no-such: func(); }} }}
            world w {{ import {import}; export go: func(); }}"
        );
        refusal(&inspect(&component(&wit))).to_owned()
    };
    for (import, said) in [
        (
            "wasi:keyvalue/store@0.2.0-draft3",
            "(it is here @0.2.0-draft, @0.2.0-draft2)",
        ),
        (
            "wasi:keyvalue/watcher@0.2.0-draft",
            "(of wasi:keyvalue there is atomics, batch, store)",
        ),
        (
            "wasi:http/outgoing-handler@0.2.0-rc-2023-11-10",
            "(a draft of WASI 0.2.0 from before its release",
        ),
        (
            "wasi:http/client@0.3.0-rc-2026-03-15",
            "rebuild the component with tools of 0.3.0 or later",
        ),
        (
            "wasi:clocks/timezone@0.2.0",
            "(of wasi:clocks there is monotonic-clock",
        ),
        ("wasi:blobstore/blobstore@0.2.0-draft", "compose it"),
        ("wasi:messaging/consumer@0.2.0-draft", "compose it"),
        ("wasi:nn/graph@0.2.0-rc-2024-10-28", "compose it"),
        ("fermyon:spin/key-value@2.0.0", "compose it"),
        ("wasmcloud:bus/lattice@1.0.0", "compose it"),
        ("hyperlight:sandbox/tools", "compose it"),
    ] {
        let say = with(import);
        assert!(say.contains(&format!("it imports `{import}`")), "{say}");
        assert!(say.contains(said), "{import}: {say}");
    }
}

/// Every release of WASI 0.2 is every other.
#[test]
fn releases_of_wasi_are_one() {
    for (package, interface, function) in [
        (
            "wasi:random",
            "insecure",
            "get-insecure-random-u64: func() -> u64;",
        ),
        ("wasi:clocks", "monotonic-clock", "now: func() -> u64;"),
        (
            "wasi:cli",
            "terminal-stdin",
            "resource terminal-input; get-terminal-stdin: func() -> option<own<terminal-input>>;",
        ),
    ] {
        for release in ["0.2.0", "0.2.8", "0.2.12", "0.2.99"] {
            let text = match interface {
                // Its resource is another interface's.
                "terminal-stdin" => format!(
                    "package {package}@{release} {{
                        interface terminal-input {{ resource terminal-input; }}
                        interface {interface} {{ use terminal-input.{{terminal-input}};
                            get-terminal-stdin: func() -> option<terminal-input>; }} }}"
                ),
                _ => format!(
                    "package {package}@{release} {{ interface {interface} {{ {function} }} }}"
                ),
            };
            let report = inspect(&component(&format!(
                "package local:it; {text} world w {{ import {package}/{interface}@{release}; export go: func(); }}"
            )));
            assert_eq!(report["runs"], true, "{package} {release}: {report:#}");
        }
    }
}

#[test]
fn what_is_no_tool_says_what_it_is() {
    let proxy = inspect(&component(
        "package local:it;
        package wasi:http@0.2.3 {
            interface types { resource incoming-request; resource response-outparam; }
            interface incoming-handler {
                use types.{incoming-request, response-outparam};
                handle: func(request: incoming-request, out: response-outparam);
            }
        }
        world w { export wasi:http/incoming-handler@0.2.3; }",
    ));
    assert_eq!(proxy["kind"], "proxy", "{proxy:#}");
    let why = proxy["left_out"][0]["why"].as_str().unwrap_or_default();
    assert!(why.contains("HTTP requests"), "{proxy:#}");

    let mut resolve = Resolve::default();
    let package = resolve
        .push_str("it.wit", "package local:it; interface api { get: func(); }")
        .expect("WIT");
    let package = wit_component::encode(&resolve, package).expect("a package");
    let package = inspect(&package);
    assert_eq!(package["kind"], "package");
    assert!(refusal(&package).contains("without any code"), "{package}");

    let later = inspect(&component(
        "package local:it;
        package toolhost:tool@0.2.0 { interface tools { call: func(arguments: string) -> string; } }
        world w { export toolhost:tool/tools@0.2.0; }",
    ));
    assert_eq!(later["runs"], false, "{later:#}");
    let why = later["left_out"][0]["why"].as_str().unwrap_or_default();
    assert!(why.contains("in a version that"), "{later:#}");

    for (types, said) in [
        ("f: func(x: list<u8, 4>);", "lists of fixed length"),
        ("f: func(x: error-context);", "error contexts"),
    ] {
        let report = inspect(&component(&format!(
            "package local:it; interface i {{ {types} }} world w {{ export i; }}"
        )));
        let say = refusal(&report);
        assert!(
            say.contains(said) && say.contains("build it without"),
            "{say}"
        );
    }
}

#[test]
fn async_functions_by_their_types_alone_are_of_wasi_0_3() {
    let report = inspect(&component(
        "package local:it;
        interface i { pour: func(x: stream<u8>) -> future<string>; plain: func() -> u8; }
        world w { export i; }",
    ));
    assert_eq!(
        (&report["wasi"], names_of(&report)),
        (&json!("0.3"), vec!["plain"]),
        "{report:#}"
    );
    let why = report["left_out"][0]["why"].as_str().unwrap_or_default();
    assert!(why.contains("stream"), "{report:#}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("wasi = "), "{notes}");
}

/// Types are read by recursion: by the host itself before anything is compiled, and by the encoder that
/// makes components of modules.
#[test]
fn types_nested_without_end_are_refused() {
    let levels = 300_000;
    let mut section = vec![1];
    section.extend([0x42, 1, 1].repeat(levels));
    section.extend([0x42, 0]);
    let nested = sectioned(b"\0asm\x0d\0\x01\0", 7, &section);
    let mut custom = vec![14];
    custom.extend_from_slice(b"component-type");
    custom.extend_from_slice(&nested);
    let module = sectioned(b"\0asm\x01\0\0\0", 0, &custom);
    for bytes in [nested, module] {
        let report = inspect(&bytes);
        let say = refusal(&report);
        assert!(say.contains("levels of types within types"), "{say}");
    }
}

/// A file of this beginning and one section.
fn sectioned(header: &[u8], id: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = header.to_vec();
    bytes.push(id);
    let mut length = data.len();
    for _ in 0..4 {
        bytes.push(u8::try_from(length & 0x7f).expect("a byte") | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).expect("a byte"));
    bytes.extend_from_slice(data);
    bytes
}

/// One function that no model could be shown is not the end of the others.
#[test]
fn a_function_with_too_long_a_schema_is_left_out_alone() {
    let names: Vec<String> = (0..2_000)
        .map(|index| format!("a-name-of-some-length-so-that-it-takes-room-{index}"))
        .collect();
    let report = inspect(&component(&format!(
        "package local:it;
        interface api {{ enum every {{ {} }} name: func(one: every) -> u8; ask: func() -> every; plain: func() -> u8; }}
        world w {{ export api; }}",
        names.join(", ")
    )));
    assert_eq!(names_of(&report), ["plain"], "{report:#}");
    for (left, of) in [(0, "arguments"), (1, "result")] {
        let why = report["left_out"][left]["why"].as_str().unwrap_or_default();
        assert!(
            why.contains(&format!("the schema of its {of} would have")),
            "{why}"
        );
    }
}

/// Functions that give back what they get, of maps.
const MAPS: &str = r#"(component
    (core module $m
        (memory (export "memory") 1)
        (data (i32.const 16) "\60\00\00\00\01\00\00\00\07\00\00\00\60\00\00\00\01\00\00\00\08\00\00\00")
        (data (i32.const 0x60) "a")
        (global $free (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (local.get 3))))
        (func (export "echo") (param i32 i32) (result i32)
            (i32.store (i32.const 0) (local.get 0))
            (i32.store (i32.const 4) (local.get 1))
            (i32.const 0))
        (func (export "twice") (result i32)
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (i32.const 2))
            (i32.const 0)))
    (core instance $i (instantiate $m))
    (type $words (map string u32))
    (type $numbers (map s16 string))
    (func (export "words") (param "all" $words) (result $words)
        (canon lift (core func $i "echo") (memory $i "memory") (realloc (func $i "realloc"))))
    (func (export "numbers") (param "all" $numbers) (result $numbers)
        (canon lift (core func $i "echo") (memory $i "memory") (realloc (func $i "realloc"))))
    (func (export "twice") (result $words)
        (canon lift (core func $i "twice") (memory $i "memory"))))"#;

#[tokio::test(flavor = "multi_thread")]
async fn maps_are_objects_or_pairs() {
    let site = Site::empty();
    site.write("maps.wasm", wat::parse_str(MAPS).expect("a component"));
    let house = House::at(site, "[tool.m]\ncomponent = \"maps.wasm\"\n");
    for (function, all) in [
        ("m_words", json!({})),
        (
            "m_words",
            json!({ "": 0, "b": 4_294_967_295_u32, "\u{df}": 7 }),
        ),
        ("m_numbers", json!([])),
        (
            "m_numbers",
            json!([[-32_768, "least"], [0, ""], [7, "seven"]]),
        ),
    ] {
        let end = house.call(function, json!({ "all": all })).await;
        assert_eq!(structured(&end), json!({ "result": all }), "{function}");
    }
    for (function, all, place) in [
        ("m_words", json!({ "b": -1 }), "/all/b"),
        ("m_words", json!([["b", 1]]), "/all"),
        ("m_numbers", json!([[0, ""], [1]]), "/all/1"),
        ("m_numbers", json!([[0, "", 2]]), "/all/0"),
        ("m_numbers", json!({ "0": "" }), "/all"),
    ] {
        match house.call(function, json!({ "all": all })).await {
            Err(fault) => {
                assert_eq!(fault.code, Code::InvalidArguments, "{all}: {fault:?}");
                assert!(fault.say.contains(place), "{all}: {fault:?}");
            }
            other => panic!("{all}: {other:?}"),
        }
    }
    match house.call("m_twice", json!({})).await {
        Err(fault) => {
            assert_eq!(fault.code, Code::InvalidOutput, "{fault:?}");
            assert!(fault.say.contains("a map has a key twice"), "{fault:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// A module that a compiler left one step before a component becomes one.
#[test]
fn a_module_with_a_world_is_added_as_a_component() {
    let wit =
        "package local:it; interface api { get: func(n: u32) -> u32; } world w { export api; }";
    let site = Site::empty();
    site.write("it.wasm", module(wit));
    let program = Program::bare(site);
    let report = program.run(&["inspect", "it.wasm", "--json"]).json();
    assert_eq!(
        (&report["kind"], &report["runs"]),
        (&json!("world"), &json!(true)),
        "{report:#}"
    );
    let added = program.run(&["add", "it.wasm"]);
    assert_eq!(added.code, 0, "{added:?}");
    assert!(added.out.contains("+ functions get"), "{added:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_answer_by_all_their_names() {
    let house = House::new(STRANGER);
    let end = house.call("s_settings", json!({ "key": "greeting" })).await;
    assert_eq!(
        structured(&end),
        json!({ "result": ["hello", "hello", "hello", "hello"] })
    );
    let end = house.call("s_settings", json!({ "key": "none" })).await;
    assert_eq!(
        structured(&end),
        json!({ "result": [null, null, null, null] })
    );
    let end = house
        .call("s_complain", json!({ "words": "too cold" }))
        .await;
    assert!(matches!(end, Ok(Outcome::Output(_))), "{end:?}");
    let lucky = structured(&house.call("s_luck", json!({})).await);
    let again = structured(&house.call("s_luck", json!({})).await);
    assert_ne!(lucky, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_an_interface_are_functions_apart() {
    let house = House::new(STRANGER);
    let end = house
        .call(
            "s_stranger_forecast_api_0_1_0_get_weather",
            json!({ "city": "Rome" }),
        )
        .await;
    assert_eq!(structured(&end), json!({ "result": "fair in Rome" }));
    let end = house
        .call(
            "s_stranger_forecast_api_0_2_0_draft_get_weather",
            json!({ "city": "Rome", "days": 2 }),
        )
        .await;
    assert_eq!(
        structured(&end),
        json!({ "result": "fair in Rome for 2 days" })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn uncommon_functions_take_and_give_what_their_types_say() {
    let house = House::new(STRANGER);
    let place = json!({ "city": "Rome", "country": null });
    let twenty = json!({
        "a": 255, "b": -32768, "c": "c", "d": "18446744073709551615", "e": true, "f": "ß", "g": 0.5,
        "h": 1e300, "j": "AAEC", "k": 1, "l": 2, "m": 3, "n": 4, "o": 5, "p": 6, "q": 7,
        "r": place, "s": "kelvin", "t": "",
    });
    let end = house.call("s_twenty", twenty).await;
    assert_eq!(
        structured(&end)["result"],
        json!([
            255,
            -32768,
            "c",
            "18446744073709551615",
            true,
            "ß",
            0.5,
            1e300,
            null,
            "AAEC",
            28,
            place,
            "kelvin",
            ""
        ])
    );
    for value in [
        json!(null),
        json!({ "some": null }),
        json!({ "some": { "some": null } }),
        json!({ "some": { "some": 7 } }),
    ] {
        let end = house.call("s_nested", json!({ "value": value })).await;
        assert_eq!(structured(&end), json!({ "result": value }), "{value}");
    }
    let every: Vec<String> = (0..32).map(|flag| format!("f{flag}")).collect();
    for flags in [json!([]), json!(["f0", "f31"]), json!(every)] {
        let end = house.call("s_flagged", json!({ "value": flags })).await;
        assert_eq!(structured(&end), json!({ "result": flags }));
    }
    for (function, arguments, back) in [
        (
            "s_one",
            json!({ "value": ["x"] }),
            json!({ "result": ["x"] }),
        ),
        ("s_whereabouts", json!({ "at": place }), place.clone()),
        ("s_other_half", json!({ "fail": false }), place.clone()),
        (
            "s_a_name_that_is_far_longer_than_what_any_agent_can_be_sh_83b7ab4f",
            json!({}),
            json!({ "result": true }),
        ),
    ] {
        let end = house.call(function, arguments).await;
        assert_eq!(structured(&end), back, "{function}");
    }
    let end = house
        .call("s_nested", json!({ "value": { "some": { "some": 256 } } }))
        .await;
    assert!(
        matches!(&end, Err(fault) if fault.code == Code::InvalidArguments),
        "{end:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn results_without_a_value_are_an_answer_or_an_error() {
    let house = House::new(STRANGER);
    for name in ["s_plain", "s_half"] {
        let end = house.call(name, json!({ "fail": false })).await;
        assert!(
            matches!(&end, Ok(Outcome::Output(output)) if output.structured.is_none()),
            "{end:?}"
        );
    }
    let failed = async |name: &str| -> End { house.call(name, json!({ "fail": true })).await };
    for (name, data) in [
        ("s_plain", None),
        ("s_half", Some(json!("kelvin"))),
        ("s_other_half", None),
    ] {
        let end = failed(name).await;
        let error = tool_error(&end);
        assert_eq!((error.code, &error.data), (ToolErrorCode::Failed, &data));
    }
}

/// A program of preview 1 as C compilers make it, that complains where it should not.
#[test]
fn a_program_that_complains_on_stdout_is_heard() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "no such figure\n")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (i32.const 15))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $exit (i32.const 3))))"#;
    let site = Site::empty();
    site.write("figures.wasm", wat::parse_str(text).expect("a module"));
    let program = Program::bare(site);
    let added = program.run(&["add", "figures.wasm"]);
    assert_eq!(added.code, 0, "{added:?}");
    let mut section = program.site.read("toolhost.toml");
    section.push_str("[tool.figures.command.draw]\ndescription = \"Draws.\"\n");
    program.site.write("toolhost.toml", section);
    let locked = program.run(&["lock"]);
    assert_eq!(locked.code, 0, "{locked:?}");
    let called = program.run(&["call", "figures.draw", "{}"]);
    assert!(
        called
            .err
            .contains("ended with exit code 3 and printed: no such figure"),
        "{called:?}"
    );
}

/// Drafts have changed without a change of their name: the component's types say which one it means.
#[tokio::test(flavor = "multi_thread")]
async fn both_forms_of_get_many_are_answered() {
    let house = House::new(&format!(
        "{STRANGER}\n[tool.s.kv.words]\nbytes = \"1KiB\"\nkeys = 3\n"
    ));
    let keys = json!(["a", "b", "a"]);
    let end = house
        .call("s_recall", json!({ "word": "one", "keys": keys }))
        .await;
    let all = json!([["a", "one"], ["b", null], ["a", "one"]]);
    assert_eq!(structured(&end), json!({ "result": all }));
    // A bad key is an error of the store, not the end of the call.
    let end = house
        .call("s_recall", json!({ "word": "one", "keys": [""] }))
        .await;
    let error = tool_error(&end);
    assert!(error.message.contains("a key is not empty"), "{error:?}");
    // The other form is the rogue's, in `powers::kv`; either links.
    for form in [
        "option<tuple<string, list<u8>>>",
        "tuple<string, option<list<u8>>>",
    ] {
        let report = inspect(&component(&format!(
            "package local:it;
            package wasi:keyvalue@0.2.0-draft2 {{
                interface store {{
                    variant error {{ no-such-store, access-denied, other(string) }}
                    resource bucket {{}}
                }}
                interface batch {{
                    use store.{{bucket, error}};
                    get-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<list<{form}>, error>;
                }}
            }}
            world w {{ import wasi:keyvalue/batch@0.2.0-draft2; export go: func(); }}"
        )));
        assert_eq!(report["runs"], true, "{form}: {report:#}");
    }
}

/// Tools that keep a snapshot of a runtime export what they began with.
#[test]
fn what_a_runtime_has_left_is_no_function_of_the_tool() {
    let report = inspect(&component(
        "package local:it;
        interface api { init: func() -> u8; }
        world w {
            export init: func(app: string);
            export wizer-initialize: func();
            export api;
            export go: func();
        }",
    ));
    assert_eq!(names_of(&report), ["go", "init"], "{report:#}");
    let left = report["left_out"].as_array().expect("what is left out");
    let why = |one: &Value| one["why"].as_str().unwrap_or_default().to_owned();
    assert_eq!(left.len(), 2, "{report:#}");
    for one in left {
        assert!(why(one).contains("a language runtime added it"), "{one}");
    }
}

/// What somebody has in hand and takes for a tool is named by what it has.
#[test]
fn a_core_module_is_named_with_what_it_exports() {
    let module = wat::parse_str(
        "(module (memory (export \"memory\") 1) (func (export \"__wasm_call_ctors\"))
            (func (export \"add\") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
            (func (export \"mul\") (param i32 i32) (result i32) (i32.mul (local.get 0) (local.get 1))))",
    )
    .expect("a module");
    let report = inspect(&module);
    let say = refusal(&report);
    assert!(
        say.contains("it exports `add`, `mul`, without types"),
        "{say}"
    );
    let site = Site::empty();
    site.write("it.wasm", &module);
    site.write(
        "toolhost.toml",
        "schema = 1\n[tool.it]\ncomponent = \"it.wasm\"\n",
    );
    let ended = Program::bare(site).run(&["lock"]);
    assert!(
        ended
            .err
            .contains("whose exports (`add`, `mul`) have no types"),
        "{ended:?}"
    );
}
