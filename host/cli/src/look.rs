//! `list` and `lock`: what the tools are and offer.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde::Serialize;

use super::bar::Bar;
use super::diagnostics::Diagnostics;
use super::start::HostConfig;
use super::table::{bold, green, table};
use super::written::Turn;
use super::{Setting, out};
use crate::catalog::{self, Catalog, Damaged, Lock, Places};
use crate::gate::Callers;
use crate::sandbox::Sandbox;
use crate::terms::{Annotations, Clock, Definition, Listed};

/// The functions agents see.
pub(super) async fn list(setting: &Setting, caller: Option<&str>) -> anyhow::Result<ExitCode> {
    let config = HostConfig::read(setting)?;
    let catalog = config.catalog()?;
    let listed = listed(&catalog, &config.callers()?, caller)?;
    if setting.json {
        let rows: Vec<Written<'_>> = listed.iter().map(written).collect();
        out::json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut shown = table(&["function", "marks", "what it does"]);
    for one in &listed {
        let first = one
            .definition
            .description
            .lines()
            .next()
            .unwrap_or_default();
        shown.add_row([one.id.to_string(), marks(one.annotations), first.to_owned()]);
    }
    say!("{shown}");
    Ok(ExitCode::SUCCESS)
}

/// A function as programs read it. Its schemas keep their order, which they would lose in a `Value`.
#[derive(Serialize)]
struct Written<'a> {
    function: String,
    agent_name: &'a str,
    definition: &'a Definition,
    annotations: Annotations,
}

fn written(one: &Listed) -> Written<'_> {
    Written {
        function: one.id.to_string(),
        agent_name: &one.agent_name,
        definition: &one.definition,
        annotations: one.annotations,
    }
}

fn listed(
    catalog: &Catalog,
    callers: &Callers,
    caller: Option<&str>,
) -> anyhow::Result<Vec<Listed>> {
    let every = catalog.functions().map(|function| function.listed.clone());
    let Some(name) = caller else {
        return Ok(every.collect());
    };
    let caller = callers
        .all()
        .find(|caller| *caller.agent == *name)
        .with_context(|| format!("the manifest has no [caller.{name}]"))?;
    Ok(every.filter(|one| callers.may(&caller, &one.id)).collect())
}

fn marks(annotations: Annotations) -> String {
    let mut marks = vec![if annotations.read_only {
        "read"
    } else {
        "write"
    }];
    if annotations.destructive {
        marks.push("destructive");
    }
    if annotations.open_world {
        marks.push("open-world");
    }
    marks.join(" ")
}

/// Asks every component what it is and offers, shows what changed, and pins it.
pub(super) async fn lock(setting: &Setting) -> anyhow::Result<ExitCode> {
    let config = HostConfig::read(setting)?;
    config.exposed_files().into_result()?;
    let sandbox = Sandbox::new(Clock::SYSTEM)?;
    let (cache, world) = (config.cache()?, config.bare_world());
    let runtime = tokio::runtime::Handle::current();
    let bar = Bar::new("locking", config.manifest.tools.len());
    // Compiling takes long and asks guests: not on a thread of the runtime.
    let new = tokio::task::block_in_place(|| {
        let places = Places {
            base: &config.base,
            cache: &cache,
            world: &world,
        };
        catalog::lock_tools(&sandbox, &config.manifest, places, &runtime, &|tool| {
            bar.step(tool)
        })
    });
    drop(bar);
    let new = new.map_err(|troubles| Diagnostics::refuse(&config, troubles))?;
    let turn = Turn::of(&config.base)?;
    ensure!(
        HostConfig::read(setting)?.digest == config.digest,
        "{} was changed meanwhile; run it again",
        config.path.display()
    );
    let (old, damage) = whatever_is_left(config.lock())?;
    let changes = old.changes(&new);
    let path = config.lock_path();
    // Two locks whose schemas differ in their order alone are equal, and models read that order.
    if old != new || !changes.is_empty() || damage.is_some() || !path.exists() {
        config.write_lock(&new)?;
    }
    drop(turn);
    for name in new
        .tools
        .keys()
        .filter(|name| !old.tools.contains_key(*name))
    {
        if let Some(left) = config.left_by(name).await? {
            tell!("{} {left}", bold("new:"));
        }
    }
    if let Some(why) = damage {
        tell!("{} {why}; it was written anew", bold("repaired:"));
    }
    if setting.json {
        out::json(&changes)?;
        return Ok(ExitCode::SUCCESS);
    }
    for change in &changes {
        say!("{}", change.to_string().trim_end());
    }
    let shown = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    match changes.len() {
        0 => tell!(
            "{} nothing changed; {} tools are locked",
            green("ok"),
            new.tools.len()
        ),
        count => tell!(
            "{} {count} tools changed; {} is written: look at it before you commit it",
            green("ok"),
            bold(&shown)
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// A lock, or what can be read of a damaged one and what is wrong with it: this is the command that mends
/// it.
fn whatever_is_left(lock: anyhow::Result<Lock>) -> anyhow::Result<(Lock, Option<String>)> {
    match lock {
        Ok(lock) => Ok((lock, None)),
        Err(error) => {
            let damaged = error.downcast::<Damaged>()?;
            let why = damaged.why().to_owned();
            Ok((damaged.rest, Some(why)))
        }
    }
}
