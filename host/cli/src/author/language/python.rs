//! Python: componentize-py, in a virtual environment of the project's own.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::super::{kit, refused};
use super::run;

pub(super) const TEMPLATE: &str = "guest-sdk/python/template";
pub(super) const NATIVE_TEST: &str = "python3 -m unittest";
pub(super) const SDK: &[&str] = &["wit", "guest-sdk/python"];

/// What the SDK was tested with. Its wheel carries CPython.
const COMPILER: &str = "componentize-py==0.25.1";
/// Packages that a project asks for.
const WANTED: &str = "requirements.txt";
/// The module whose class `Tools` is the component.
const MODULE: &str = "tool";
const WORLD: &str = "toolhost:tool/script";
const NO_PYTHON: &str =
    "Install Python 3.11 or newer with its module venv: apt-get install python3-venv";

pub(super) fn is_project(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    let module = format!("{MODULE}.py");
    (has(WANTED) || has("pyproject.toml")) && has(&module)
}

pub(super) async fn compile(folder: &Path) -> anyhow::Result<PathBuf> {
    let own = folder.join(kit::FOLDER);
    let venv = own.join("venv");
    install(folder, &venv).await?;
    let made = own.join("made.wasm");
    let sdk = own.join(kit::SDK);
    let mut build = run::program(venv.join("bin/componentize-py"), folder);
    build
        .env("VIRTUAL_ENV", &venv)
        .arg("--wit-path")
        .arg(sdk.join("wit"))
        .args(["--world", WORLD, "componentize", "--python-path", "."])
        .arg("--python-path")
        .arg(sdk.join("guest-sdk/python"))
        .args([MODULE, "--output"])
        .arg(&made);
    let failed = "componentize-py could not build it; what it said is above";
    run::step("componentize-py componentize tool", &mut build, failed, "").await?;
    Ok(made)
}

/// Makes the environment, unless it has just what the project asks for.
async fn install(folder: &Path, venv: &Path) -> anyhow::Result<()> {
    let wanted = folder.join(WANTED);
    let listed = std::fs::read_to_string(&wanted).unwrap_or_default();
    let stamp = format!("{COMPILER}\n{listed}");
    let stamped = venv.join("written-by-toolhost");
    if std::fs::read_to_string(&stamped).is_ok_and(|there| there == stamp) {
        return Ok(());
    }
    let failed = format!(
        "python3 could not make {}. Where its module ensurepip is missing: apt-get install python3-venv",
        venv.display()
    );
    let mut make = run::program("python3", folder);
    make.args(["-m", "venv", "--clear"]).arg(venv);
    run::step(
        "python3 -m venv .toolhost/venv",
        &mut make,
        &failed,
        NO_PYTHON,
    )
    .await?;
    let mut pip = run::program(venv.join("bin/pip"), folder);
    pip.args([
        "--disable-pip-version-check",
        "install",
        "--quiet",
        COMPILER,
    ]);
    if wanted.is_file() {
        pip.args(["--requirement", WANTED]);
    }
    let what = format!("pip install {COMPILER} (once; some 30 MB)");
    let failed = "pip could not install what the project needs; what it said is above";
    run::step(&what, &mut pip, failed, NO_PYTHON).await?;
    if !venv.join("bin/componentize-py").is_file() {
        return Err(refused("componentize-py is not where pip puts programs"));
    }
    std::fs::write(&stamped, stamp).with_context(|| format!("cannot write {}", stamped.display()))
}
