//! Building the tools of this checkout with cargo, which shows its own progress.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;

use super::super::table::bold;

/// The tools that the demonstration calls, and the one that means harm.
const TOOLS: [&str; 7] = ["fetch", "files", "table", "jq", "github", "orders", "rogue"];
const TARGET: &str = "wasm32-wasip2";

/// The checkout this command stands in.
pub(super) fn checkout() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir()?;
    here.ancestors()
        .find(|folder| folder.join("tools/fetch/Cargo.toml").exists() && folder.join("Cargo.toml").exists())
        .map(Path::to_path_buf)
        .context("`demo` builds the tools of toolhost's own checkout; run it in one: git clone, then `cargo run --release -- demo`")
}

/// Builds the tools; gives the components' paths.
pub(super) async fn tools(checkout: &Path) -> anyhow::Result<Vec<PathBuf>> {
    tell!(
        "{}",
        bold("building the tools (the first time takes a minute or two)")
    );
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(checkout).args([
        "build",
        "--profile",
        "guest",
        "--target",
        TARGET,
        "--message-format",
        "json-render-diagnostics",
    ]);
    for tool in TOOLS {
        let package = if tool == "rogue" {
            "guest-rogue".to_owned()
        } else {
            format!("tool-{tool}")
        };
        cargo.args(["--package", &package]);
    }
    let built = cargo
        .stderr(std::process::Stdio::inherit())
        .output()
        .await
        .context("cannot run cargo")?;
    if !built.status.success() {
        bail!("cargo could not build the tools; is the target there? rustup target add {TARGET}");
    }
    let said = String::from_utf8_lossy(&built.stdout);
    let mut components: Vec<PathBuf> = said.lines().filter_map(component).collect();
    components.sort();
    components.dedup();
    if components.len() != TOOLS.len() {
        bail!(
            "cargo built {} components where {} were asked for",
            components.len(),
            TOOLS.len()
        );
    }
    Ok(components)
}

/// The component that a line of cargo's messages is about.
fn component(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let files = message.get("filenames")?.as_array()?;
    let file = files
        .iter()
        .filter_map(|file| file.as_str())
        .find(|file| file.ends_with(".wasm"))?;
    let path = PathBuf::from(file);
    let name = path.file_stem()?.to_str()?.to_owned();
    TOOLS.contains(&name.as_str()).then_some(path)
}
