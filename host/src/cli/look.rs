//! `check`, `list` and `lock`: what the tools are, ask for, and get.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde_json::json;

use super::start::{Bar, Opened};
use super::table::{bold, green, table};
use super::written::Turn;
use super::{Setting, out};
use crate::capability;
use crate::catalog::{self, Catalog, Places, Tool};
use crate::gate::Callers;
use crate::manifest::Grants;
use crate::sandbox::Sandbox;
use crate::terms::{Annotations, Listed};

/// What `serve` would refuse to start with, without serving and without the secrets: where a manifest
/// is checked they often are not.
pub(super) async fn check(setting: &Setting) -> anyhow::Result<ExitCode> {
    let opened = Opened::read(setting)?;
    opened.ground()?;
    opened.dialer()?;
    let catalog = opened.tools(&Sandbox::new()?, &opened.bare_world())?;
    let rows: Vec<_> = catalog
        .tools()
        .map(|tool| (tool.clone(), idle_imports(tool)))
        .collect();
    if setting.json {
        let tools: BTreeMap<&str, _> = rows
            .iter()
            .map(|(tool, idle)| {
                let grants = granted(&tool.spec.all.grants);
                (&*tool.spec.name, json!({ "imports": tool.imports, "granted": grants, "imported_not_granted": idle }))
            })
            .collect();
        out::json(&json!({
            "ok": true,
            "mode": opened.mode(),
            "landlock": capability::dir::landlock_is_here(),
            "tools": tools,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut shown = table(&[
        "tool",
        "functions",
        "granted",
        "imports without a grant (they refuse)",
    ]);
    for (tool, idle) in &rows {
        let functions = catalog
            .functions()
            .filter(|function| function.listed.id.tool == tool.spec.name)
            .count();
        let mut grants = granted(&tool.spec.all.grants);
        for (name, section) in &tool.spec.functions {
            let more = granted(&section.grants)
                .into_iter()
                .filter(|grant| !grants.contains(grant))
                .collect::<Vec<_>>();
            grants.extend(more.into_iter().map(|grant| format!("{name}: {grant}")));
        }
        shown.add_row([
            tool.spec.name.to_string(),
            functions.to_string(),
            or_dash(&grants),
            or_dash(idle),
        ]);
    }
    say!("{shown}");
    tell!(
        "{} manifest, lock and {} tools are sound",
        green("ok"),
        rows.len()
    );
    Ok(ExitCode::SUCCESS)
}

fn or_dash(words: &[String]) -> String {
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join("\n")
    }
}

/// A tool's powers in words.
fn granted(grants: &Grants) -> Vec<String> {
    let http = grants
        .http
        .iter()
        .map(|grant| format!("http {} ({} rules)", grant.origin, grant.allow.len()));
    let dir = grants
        .dir
        .iter()
        .map(|grant| format!("dir {} ({})", grant.guest, grant.access));
    let env = grants
        .env
        .iter()
        .map(|variable| format!("env {}", variable.name));
    let kv = grants.kv.iter().map(|bucket| format!("kv {}", bucket.name));
    let config = grants
        .config
        .iter()
        .map(|value| format!("config {}", value.key));
    let log = grants.log.iter().map(|_| "log".to_owned());
    let data = kv.chain(config);
    http.chain(dir).chain(env).chain(data).chain(log).collect()
}

/// Capabilities that a component could use and is not granted.
fn idle_imports(tool: &Tool) -> Vec<String> {
    let every = std::iter::once(&tool.spec.all).chain(tool.spec.functions.values());
    let every: Vec<&Grants> = every.map(|section| &section.grants).collect();
    let has = |kind: &str| {
        every.iter().any(|grants| match kind {
            "http" => !grants.http.is_empty(),
            "dir" => !grants.dir.is_empty(),
            "env" => !grants.env.is_empty(),
            "kv" => !grants.kv.is_empty(),
            "config" => !grants.config.is_empty(),
            _ => grants.log.is_some(),
        })
    };
    ["http", "dir", "env", "kv", "config", "log"]
        .into_iter()
        .filter(|kind| capability::usable(kind, &tool.imports) && !has(kind))
        .map(ToOwned::to_owned)
        .collect()
}

/// The functions agents see.
pub(super) async fn list(setting: &Setting, caller: Option<&str>) -> anyhow::Result<ExitCode> {
    let opened = Opened::read(setting)?;
    let catalog = opened.tools(&Sandbox::new()?, &opened.bare_world())?;
    let listed = listed(&catalog, &opened.callers()?, caller)?;
    if setting.json {
        let rows: Vec<_> = listed
            .iter()
            .map(|one| {
                json!({
                    "function": one.id.to_string(),
                    "agent_name": one.agent_name,
                    "definition": *one.definition,
                    "annotations": one.annotations,
                })
            })
            .collect();
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
        .named(name)
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
    let opened = Opened::read(setting)?;
    opened.ground()?;
    let sandbox = Sandbox::new()?;
    let (cache, world) = (opened.cache()?, opened.bare_world());
    let runtime = tokio::runtime::Handle::current();
    let bar = Bar::new("locking", opened.manifest.tools.len());
    // Compiling takes long and asks guests: not on a thread of the runtime.
    let new = tokio::task::block_in_place(|| {
        let places = Places {
            base: &opened.base,
            cache: &cache,
            world: &world,
        };
        catalog::lock_tools(&sandbox, &opened.manifest, places, &runtime, &|tool| {
            bar.step(tool)
        })
    });
    drop(bar);
    let new = new.map_err(|troubles| opened.tell(&troubles))?;
    let turn = Turn::of(&opened.base)?;
    ensure!(
        Opened::read(setting)?.digest == opened.digest,
        "{} was changed meanwhile; run it again",
        opened.path.display()
    );
    let old = opened.lock()?;
    let changes = old.changes(&new);
    let path = opened.lock_path();
    if old != new || !path.exists() {
        opened.write_lock(&new)?;
    }
    drop(turn);
    for name in new
        .tools
        .keys()
        .filter(|name| !old.tools.contains_key(*name))
    {
        if let Some(left) = opened.left_by(name).await? {
            tell!("{} {left}", bold("new:"));
        }
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
