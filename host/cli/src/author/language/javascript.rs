//! JavaScript: componentize-qjs (QuickJS), from the project's own packages.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::super::{kit, refused};
use super::run;

pub(super) const TEMPLATE: &str = "guest-sdk/javascript/template";
pub(super) const NATIVE_TEST: &str = "npm test";
pub(super) const SDK: &[&str] = &["wit", "guest-sdk/javascript"];

/// The module that is the component.
const MODULE: &str = "component.js";
const WORLD: &str = "script";
/// Names the packages and, beside it, their exact versions.
const WANTED: &str = "package.json";
const VERSIONS: &str = "package-lock.json";
const COMPILER: &str = "node_modules/.bin/componentize-qjs";
const NO_NPM: &str = "Install Node.js 20 or newer with npm: apt-get install npm";

pub(super) async fn compile(folder: &Path) -> anyhow::Result<PathBuf> {
    if !folder.join(MODULE).is_file() {
        return Err(refused(format!(
            "there is no {MODULE} in {}: it is what the component is made of",
            folder.display()
        )));
    }
    install(folder).await?;
    let own = folder.join(kit::FOLDER);
    let made = own.join("made.wasm");
    let mut build = run::program(folder.join(COMPILER), folder);
    build
        .arg("--wit")
        .arg(own.join(kit::SDK).join("wit"))
        .args(["--world", WORLD, "--js", MODULE, "--module-root", "."])
        .args(["--sync", "--opt-size", "--output"])
        .arg(&made);
    let failed = "componentize-qjs could not build it; what it said is above";
    run::step("componentize-qjs component.js", &mut build, failed, NO_NPM).await?;
    Ok(made)
}

/// Installs the packages, unless they are there as the project asks for them.
async fn install(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(WANTED);
    let stamp = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let stamped = folder.join("node_modules/.written-by-toolhost");
    let there = std::fs::read_to_string(&stamped).is_ok_and(|there| there == stamp);
    if there && folder.join(COMPILER).is_file() {
        return Ok(());
    }
    let how = match folder.join(VERSIONS).is_file() {
        true => "ci",
        false => "install",
    };
    let mut npm = run::program("npm", folder);
    npm.args([how, "--no-audit", "--no-fund", "--loglevel=error"]);
    let what = format!("npm {how} (once; some 40 MB)");
    let failed = "npm could not install what the project needs; what it said is above";
    run::step(&what, &mut npm, failed, NO_NPM).await?;
    if !folder.join(COMPILER).is_file() {
        bail!(
            "{WANTED} does not ask for componentize-qjs: npm install --save-dev --save-exact componentize-qjs@0.4.5"
        );
    }
    std::fs::write(&stamped, stamp).with_context(|| format!("cannot write {}", stamped.display()))
}
