//! The tools that run code: built as an author does, in a folder of their own, and their cases run by
//! `toolhost test` with and without grants. They need Python with venv and Node with npm, and once a
//! network for the registries. It does not know what the cases say.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const BUILT: [&str; 4] = [
    ".toolhost",
    "node_modules",
    "__pycache__",
    "package-lock.json",
];

#[test]
fn the_python_tool_runs_code() {
    require("python3", &["-m", "venv", "--help"], "python3-venv");
    let folder = builds_and_passes("python");
    passes(Command::new("python3").args(["-m", "unittest"]), &folder);
    let code = "import random, uuid\\n[random.random(), str(uuid.uuid4())]";
    no_two_calls_draw_the_same(&folder, code);
}

#[test]
fn the_javascript_tool_runs_code() {
    require("npm", &["--version"], "nodejs and npm");
    let folder = builds_and_passes("javascript");
    passes(Command::new("npm").args(["test", "--silent"]), &folder);
    let code = "[Math.random(), ...crypto.getRandomValues(new Uint8Array(16))]";
    no_two_calls_draw_the_same(&folder, code);
}

fn builds_and_passes(name: &str) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("runners")
        .join(name);
    copy(&tools.join(name), &folder);
    toolhost("build", &folder);
    toolhost("test", &folder);
    toolhost("test", &folder.join("granted"));
    folder
}

/// Interpreters are in their components with all that they drew while these were built. What a call
/// draws is in the report of a case that expects something else.
fn no_two_calls_draw_the_same(folder: &Path, code: &str) {
    let case = |name| {
        format!(
            "[[case]]\nname = \"{name}\"\nfunction = \"run\"\n\
             arguments = {{ code = \"{code}\" }}\ncontains = {{ result = \"\" }}\n"
        )
    };
    let cases = folder.join("drawn");
    fs::create_dir_all(&cases).unwrap();
    fs::write(cases.join("drawn.toml"), case("one") + &case("two")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolhost"));
    command.arg("test").arg(folder).arg("--cases").arg(&cases);
    let output = command.arg("--json").output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let drawn = |case: usize| {
        let difference = &report["cases"][case]["differences"][0];
        assert_eq!(difference["path"], "result.result", "{report}");
        difference["got"].as_str().unwrap().to_owned()
    };
    let (one, two) = (drawn(0), drawn(1));
    assert!(one.starts_with("[0.") && two.starts_with("[0."), "{report}");
    assert_ne!(one, two);
}

/// Copies sources over those of an earlier run; what that one installed stays, and saves a minute.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if BUILT.iter().any(|built| name == *built) || path.extension().is_some_and(|e| e == "wasm")
        {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn toolhost(command: &str, folder: &Path) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_toolhost"));
    passes(program.arg(command).arg(folder), folder);
}

fn passes(command: &mut Command, folder: &Path) {
    let output = command.current_dir(folder).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} in {}: {}\n{}{}",
        folder.display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

fn require(program: &str, arguments: &[&str], package: &str) {
    let there = Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|o| o.status.success());
    assert!(
        there,
        "this test builds a guest with {program}: install {package}, and run it again"
    );
}
