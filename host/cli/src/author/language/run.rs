//! Running a language's own tools: each step is said, what the tool prints is shown as it comes.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, bail};
use tokio::process::Command;

use super::super::refused;
use crate::out;
use crate::table::bold;

/// A program, to be run in a folder.
pub(super) fn program(name: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(name);
    // Standard output is for data: what a tool prints there is shown on standard error.
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(out::shown_with_ours())
        // Who stops waiting stops it.
        .kill_on_drop(true);
    command
}

/// Runs a step to its end. What the tool prints is shown as it comes; standard output is given back
/// instead where it is piped. Where it fails the answer is no, and `failed` says what that means.
/// `missing` is how its program is installed.
pub(super) async fn step(
    what: &str,
    command: &mut Command,
    failed: &str,
    missing: &str,
) -> anyhow::Result<Vec<u8>> {
    tell!("{} {what}", bold("build"));
    let ended = ended(command, missing).await?;
    if ended.status.success() {
        return Ok(ended.stdout);
    }
    Err(refused(format!("{failed} ({})", ended.status)))
}

/// Asks a program something, and gives what it said.
pub(super) async fn asked(command: &mut Command, missing: &str) -> anyhow::Result<Output> {
    ended(
        command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        missing,
    )
    .await
}

async fn ended(command: &mut Command, missing: &str) -> anyhow::Result<Output> {
    let name = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    match command.spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("`{name}` is not installed, and building needs it. {missing}")
        }
        child => {
            let child = child.with_context(|| format!("cannot run {name}"))?;
            Ok(child.wait_with_output().await?)
        }
    }
}
