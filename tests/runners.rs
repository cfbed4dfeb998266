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
    builds_and_passes("python");
}

#[test]
fn the_javascript_tool_runs_code() {
    require("npm", &["--version"], "nodejs and npm");
    builds_and_passes("javascript");
}

fn builds_and_passes(name: &str) {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("runners")
        .join(name);
    copy(&tools.join(name), &folder);
    toolhost("build", &folder);
    toolhost("test", &folder);
    toolhost("test", &folder.join("granted"));
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
    let output = Command::new(env!("CARGO_BIN_EXE_toolhost"))
        .arg(command)
        .arg(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "toolhost {command} {}: {}\n{}{}",
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
