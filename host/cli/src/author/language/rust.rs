//! Rust: cargo, with the target wasm32-wasip2.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::process::Command;

use super::super::{kit, refused};
use super::run;

pub(super) const TEMPLATE: &str = "guest-sdk/template";
pub(super) const NATIVE_TEST: &str = "cargo test";

/// Names that a crate cannot have, or that its own dependencies have.
pub(super) const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "schemars",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "toolhost_sdk",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

const TARGET: &str = "wasm32-wasip2";
/// What is taken from the SDK.
const SDK: &[&str] = &[
    "wit",
    "guest-sdk/Cargo.toml",
    "guest-sdk/src",
    "guest-sdk/macros",
];
/// The versions that the SDK was tested with: cargo leaves out what a project does not use.
const VERSIONS: &str = "Cargo.lock";
const NO_CARGO: &str = "Install Rust: https://rustup.rs";

/// The first lock file of a project.
pub(super) fn versions() -> Option<(PathBuf, String)> {
    Some((VERSIONS.into(), kit::file(VERSIONS)?.to_owned()))
}

/// Writes the SDK into a project that names it by its path.
pub(super) fn bring_sdk(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join("Cargo.toml");
    let manifest = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    if manifest.contains(kit::SDK_PATH) {
        kit::bring_sdk(folder, SDK, &[("Cargo.toml", workspace())])?;
    }
    Ok(())
}

/// The workspace that the SDK's crates are in: what theirs say to be the workspace's.
fn workspace() -> String {
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"guest-sdk\", \"guest-sdk/macros\"]\n\n\
         [workspace.package]\nversion = \"{}\"\nedition = \"2024\"\nrust-version = \"{}\"\n\
         license = \"{}\"\n\n[workspace.lints]\n",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_RUST_VERSION"),
        env!("CARGO_PKG_LICENSE"),
    )
}

pub(super) async fn compile(folder: &Path) -> anyhow::Result<PathBuf> {
    let profile = profile(folder).await?;
    target_is_there(folder).await?;
    let mut build = cargo(folder);
    build
        .args(["build", "--target", TARGET, "--profile", profile])
        .args(["--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped());
    let what = format!("cargo build --target {TARGET} --profile {profile}");
    let failed = "cargo could not build it; what it said is above";
    let said = run::step(&what, &mut build, failed, NO_CARGO).await?;
    let manifest = folder.join("Cargo.toml");
    let said = String::from_utf8_lossy(&said);
    let mut components: Vec<PathBuf> = said
        .lines()
        .filter_map(|line| component(line, &manifest))
        .collect();
    match (components.pop(), components.len()) {
        (Some(component), 0) => Ok(component),
        (None, _) => Err(refused(
            "cargo built no component of it: Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`",
        )),
        _ => Err(refused(
            "cargo built several components of it: a tool's package has one library or one program",
        )),
    }
}

fn cargo(folder: &Path) -> Command {
    let cargo: OsString = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run::program(cargo, folder)
}

/// The profile to build with: `guest`, where the package's workspace has one beside its own
/// `release`; a project of its own says everything in `release`.
async fn profile(folder: &Path) -> anyhow::Result<&'static str> {
    let mut metadata = cargo(folder);
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
    let ended = run::asked(&mut metadata, NO_CARGO).await?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(refused(format!("{}cargo cannot read the project", said)));
    }
    let known: Value =
        serde_json::from_slice(&ended.stdout).context("cargo metadata is no JSON")?;
    let root = known.get("workspace_root").and_then(Value::as_str);
    let root = Path::new(root.context("cargo metadata names no workspace")?);
    let text = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let whole: toml::Table = text.parse().context("the workspace's Cargo.toml")?;
    let profiles = whole.get("profile").and_then(toml::Value::as_table);
    Ok(
        match profiles.is_some_and(|all| all.contains_key("guest")) {
            true => "guest",
            false => "release",
        },
    )
}

async fn target_is_there(folder: &Path) -> anyhow::Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = run::program(rustc, folder);
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let said = run::asked(&mut rustc, NO_CARGO).await?.stdout;
    let folder = PathBuf::from(String::from_utf8_lossy(&said).trim());
    if folder.as_os_str().is_empty() || !folder.is_dir() {
        bail!(
            "Rust's target {TARGET} is not installed, and building needs it: rustup target add {TARGET}"
        );
    }
    Ok(())
}

/// The component that a line of cargo's messages is about, if it is of this package.
fn component(line: &str, manifest: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let of = message.get("manifest_path")?.as_str()?;
    let files = message.get("filenames")?.as_array()?;
    let mut files = files.iter().filter_map(Value::as_str);
    let file = files.find(|file| file.ends_with(".wasm"))?;
    (Path::new(of) == manifest).then(|| file.into())
}
