//! `test`: a tool's cases, each one call in the real sandbox with everything around it, against a list
//! of answers instead of the network. The format is `guest-sdk/CASES.md`.

mod content;
mod exchange;
mod file;
mod find;
mod fixture;
mod grants;
mod judge;
mod report;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use super::Setting;
use super::bar::Bar;

/// What was typed behind `test`.
#[derive(clap::Args)]
pub(super) struct Typed {
    /// The tool's folder, or its component.
    #[arg(default_value = ".", value_name = "FOLDER|COMPONENT")]
    tool: PathBuf,
    /// The component, where it is not the one that the folder's build made.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// The folder of cases, where it is not the tool's own.
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
}

/// How many cases a file's text has.
///
/// # Errors
///
/// What is wrong with it.
pub fn count_cases(text: &str) -> anyhow::Result<usize> {
    file::parse(text).map(|cases| cases.len())
}

/// Runs the cases. 0: all pass; 1: one fails.
pub(super) async fn test(setting: &Setting, typed: &Typed) -> anyhow::Result<ExitCode> {
    let found = find::find(
        &typed.tool,
        typed.component.as_deref(),
        typed.cases.as_deref(),
    )?;
    let cases = file::read(&found.cases)?;
    let grants = grants::Source::new(&found)?;
    let runner = run::CaseRunner::new(&found, &grants)?;
    let bar = Bar::new("testing", cases.len());
    let mut done = Vec::with_capacity(cases.len());
    for case in &cases {
        done.push(runner.run(case).await?);
        bar.step(&case.name);
    }
    drop(bar);
    report::report(setting, &found, &grants, &cases, &done)
}
