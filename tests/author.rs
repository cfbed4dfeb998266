//! An author's commands, as they are typed: `new` makes a project that builds, tests and runs;
//! `build` makes a component that the host takes, or says why there is none.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;
use toolhost_runtime::compile::embedded_manifest;

use crate::harness::{Ended, Program, Site, checkout, ended, target, tool};

/// A folder of an author's, whose cargo asks no registry. All projects are built into one folder:
/// the SDK's dependencies are compiled once. What two tests build at once is to be named otherwise.
fn desk() -> Program {
    let site = Site::empty();
    let target = target().join("tests-author");
    site.write(
        ".cargo/config.toml",
        format!("[net]\noffline = true\n[build]\ntarget-dir = {target:?}\n"),
    );
    Program::unlocked(site, "schema = 1\n")
}

fn good(program: &Program, arguments: &[&str]) -> Ended {
    let ended = program.run(arguments);
    assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
    ended
}

/// Runs it where no toolchain is to be found but what `path` has.
fn run_without_toolchains(program: &Program, path: &Path, arguments: &[&str]) -> Ended {
    let mut command = program.command(arguments);
    command
        .env("PATH", path)
        .env_remove("CARGO")
        .env_remove("RUSTC");
    ended(&command.output().expect("a run"))
}

/// Writes a program of two lines.
fn script(site: &Site, name: &str, line: &str) -> PathBuf {
    site.write(name, format!("#!/bin/sh\n{line}\n"));
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(site.path(name), mode).expect("a mode");
    site.path(name)
}

#[test]
fn a_rust_project_goes_from_new_to_an_agents_call() {
    let program = desk();
    let site = &program.site;
    let made = good(&program, &["new", "counter", "--json"]).json();
    assert_eq!(made["language"], "rust");
    assert_eq!(made["next"][0], "cd counter");
    let built = good(&program, &["build", "counter", "--json"]).json();
    assert_eq!(
        (&built["tool"], &built["functions"][0]["name"]),
        (&json!("counter"), &json!("count"))
    );
    assert!(built["imports"]["runtime"].is_array(), "{built}");
    let component = std::fs::read(site.path("counter/counter.wasm")).expect("a component");
    assert_eq!(built["bytes"], component.len());
    assert_eq!(
        embedded_manifest::embedded(&component),
        Ok(Some(site.read("counter/tool.toml")))
    );

    let section = "schema = 1\n[tool.counter]\ncomponent = \"counter/counter.wasm\"\n";
    site.write("toolhost.toml", section);
    good(&program, &["lock"]);
    let call = [
        "call",
        "counter.count",
        r#"{"text": "to be or", "phrase": "TO BE"}"#,
    ];
    let expected = json!({ "characters": 8, "words": 3, "lines": 1, "occurrences": 1 });
    assert_eq!(good(&program, &call).json(), expected);

    // What an operator could not use is said to the author, at its line, and nothing is replaced.
    let wishes = site.read("counter/tool.toml");
    let idle = "[tool.counter.http.a]\nurl = \"https://a.example\"\nallow = [\"GET /\"]\n";
    site.write("counter/tool.toml", format!("{wishes}\n{idle}"));
    let line = 2 + wishes.lines().count();
    let ended = program.run(&["build", "counter"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.err.contains("cannot use this http grant")
            && ended.err.contains(&format!("tool.toml:{line}")),
        "{ended:?}"
    );
    site.write("counter/tool.toml", format!("{wishes}[limits]\nfuel = 1\n"));
    let ended = program.run(&["build", "counter"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.err.contains("unknown key `limits`"), "{ended:?}");
    site.write("counter/tool.toml", wishes);

    // The compiler's own words.
    site.write("counter/src/lib.rs", "fn count() -> u8 { \"three\" }\n");
    let ended = program.run(&["build", "counter"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.err.contains("error[E0308]") && ended.err.contains("src/lib.rs:1"),
        "{ended:?}"
    );
    let after = std::fs::read(site.path("counter/counter.wasm")).expect("a component");
    assert!(component == after, "the last good component stays");
    let left = std::fs::read_dir(site.path("counter/.toolhost")).expect("a folder");
    let left = left.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(left.filter(|name| name.starts_with("built-")).count(), 0);
}

#[tokio::test]
async fn what_changes_is_built_anew() {
    let program = desk();
    good(&program, &["new", "watched"]);
    let mut watching = program.start(&["build", "watched", "--watch"]);
    watching.says("built watched.wasm").await;
    watching.says("watching").await;
    let sources = program.site.read("watched/src/lib.rs");
    program.site.write("watched/src/lib.rs", "fn broken(");
    watching.says("not built").await;
    watching.says("watching").await;
    let renamed = sources
        .replace("fn count(", "fn tally(")
        .replace("export!(count)", "export!(tally)");
    program.site.write("watched/src/lib.rs", renamed);
    watching.says("built watched.wasm").await;
    watching.says("watching").await;
    watching.signal(Signal::INT);
    assert_eq!(watching.child.wait().await.expect("an end").code(), Some(0));
}

#[test]
fn the_sdk_is_written_again_where_it_is_missing_or_anothers() {
    let program = desk();
    good(&program, &["new", "stamped"]);
    let site = &program.site;
    let stamp = "stamped/.toolhost/sdk/written-by-toolhost";
    let ours = site.read(stamp);
    // Broken sources: the SDK is brought before anything is compiled.
    site.write("stamped/src/lib.rs", "fn broken(");
    for damage in ["another version", ""] {
        site.write(stamp, damage);
        site.write("stamped/.toolhost/sdk/left_over", "");
        assert_eq!(program.run(&["build", "stamped"]).code, 1);
        assert_eq!(site.read(stamp), ours);
        assert!(!site.path("stamped/.toolhost/sdk/left_over").exists());
    }
    std::fs::remove_dir_all(site.path("stamped/.toolhost")).expect("gone");
    assert_eq!(program.run(&["build", "stamped"]).code, 1);
    assert_eq!(site.read(stamp), ours);
}

#[test]
fn a_name_that_no_tool_may_have_makes_nothing() {
    let program = desk();
    for name in ["Orders", "1a", "a-b", "../a", "a/b", "", &"a".repeat(33)] {
        let ended = program.run(&["new", name]);
        assert_eq!(ended.code, 2, "{name}: {ended:?}");
        assert!(
            ended.err.contains("1 to 32 of `a-z`, `0-9`, `_`"),
            "{ended:?}"
        );
    }
    let ended = program.run(&["new", "match"]);
    assert!(
        ended.code == 2 && ended.err.contains("no name for a project"),
        "{ended:?}"
    );
    let ended = program.run(&["new", "a", "--lang", "cobol"]);
    assert!(
        ended.code == 2 && ended.err.contains("javascript"),
        "{ended:?}"
    );
    let made = std::fs::read_dir(program.site.path("")).expect("a folder");
    let made = made.filter(|entry| {
        entry
            .as_ref()
            .is_ok_and(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
    });
    assert_eq!(made.count(), 1, "only the manifest");
}

#[test]
fn what_is_there_is_never_overwritten() {
    let program = desk();
    program.site.write("mine/precious", "words");
    program.site.write("file", "words");
    std::fs::create_dir(program.site.path("empty")).expect("a folder");
    for name in ["mine", "file", "empty"] {
        let ended = program.run(&["new", name]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("there already"), "{ended:?}");
    }
    assert_eq!(program.site.read("mine/precious"), "words");
    assert_eq!(
        std::fs::read_dir(program.site.path("mine"))
            .expect("it")
            .count(),
        1
    );
}

#[test]
fn a_missing_toolchain_is_named_with_what_installs_it() {
    let program = desk();
    let site = &program.site;
    good(&program, &["new", "bare"]);
    std::fs::create_dir(site.path("bin")).expect("a folder");
    let missing = |words: &[&str]| {
        let ended = run_without_toolchains(&program, &site.path("bin"), &["build", "bare"]);
        assert_eq!(ended.code, 2, "{ended:?}");
        for word in words {
            assert!(ended.err.contains(word), "{word}: {ended:?}");
        }
    };
    missing(&["`cargo` is not installed", "https://rustup.rs"]);
    let root = site.path("bare").display().to_string();
    script(
        site,
        "bin/cargo",
        &format!("echo '{{\"workspace_root\":\"{root}\"}}'"),
    );
    script(site, "bin/rustc", "echo /nowhere/lib");
    missing(&[
        "wasm32-wasip2 is not installed",
        "rustup target add wasm32-wasip2",
    ]);
}

#[test]
fn what_python_and_javascript_need_is_named_and_their_tools_are_heard() {
    let program = desk();
    let site = &program.site;
    std::fs::create_dir(site.path("bin")).expect("a folder");
    for (language, words) in [
        ("python", ["`python3` is not installed", "python3-venv"]),
        ("javascript", ["`npm` is not installed", "Node.js 20"]),
    ] {
        good(&program, &["new", language, "--lang", language]);
        let ended = run_without_toolchains(&program, &site.path("bin"), &["build", language]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(
            words.iter().all(|word| ended.err.contains(word)),
            "{ended:?}"
        );
    }
    script(site, "bin/python3", "echo no ensurepip here; exit 1");
    script(site, "bin/npm", "echo the registry is away >&2; exit 1");
    for (language, words) in [
        (
            "python",
            ["no ensurepip here", "apt-get install python3-venv"],
        ),
        (
            "javascript",
            ["the registry is away", "npm could not install"],
        ),
    ] {
        let ended = run_without_toolchains(&program, &site.path("bin"), &["build", language]);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(
            words.iter().all(|word| ended.err.contains(word)),
            "{ended:?}"
        );
        assert_eq!(ended.out, "", "{ended:?}");
    }
}

#[test]
fn a_folder_that_is_no_project_is_said() {
    let program = desk();
    let site = &program.site;
    std::fs::create_dir(site.path("empty")).expect("a folder");
    site.write("both/Cargo.toml", "");
    site.write("both/package.json", "{}");
    site.write("broken/Cargo.toml", "[package]\nname = ");
    for (folder, code, words) in [
        (
            "empty",
            2,
            "toolhost new <name> --lang rust|python|javascript",
        ),
        ("nowhere", 2, "cannot open the folder nowhere"),
        ("toolhost.toml", 2, "is no folder"),
        ("both", 2, "in Rust and in JavaScript"),
        ("broken", 1, "cargo cannot read the project"),
    ] {
        let ended = program.run(&["build", folder]);
        assert_eq!(ended.code, code, "{folder}: {ended:?}");
        assert!(ended.err.contains(words), "{ended:?}");
        assert_eq!(ended.out, "", "{ended:?}");
    }
}

/// The tools of this checkout build with the same command, in its workspace.
#[test]
fn a_tool_of_the_checkout_builds_in_its_workspace() {
    let tools = checkout().join("tools/jq");
    // The component that the other tests use is built already; this takes it over.
    tool("jq.wasm");
    let mut build = Command::new(env!("CARGO_BIN_EXE_toolhost"));
    build
        .args(["build", "--json"])
        .arg(&tools)
        .env("CARGO_TARGET_DIR", target());
    let built = ended(&build.output().expect("a run"));
    assert_eq!(built.code, 0, "{built:?}");
    assert_eq!(built.json()["tool"], "jq");
    let component = std::fs::read(tools.join("jq.wasm")).expect("a component");
    let wishes = std::fs::read_to_string(tools.join("tool.toml")).expect("its wishes");
    assert_eq!(embedded_manifest::embedded(&component), Ok(Some(wishes)));
    assert!(
        !tools.join(".toolhost/sdk").exists(),
        "it has the checkout's own SDK"
    );
}
