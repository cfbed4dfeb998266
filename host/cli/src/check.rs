//! `check`: what `serve` would refuse to start with, all stages in one run, without serving. What a start
//! goes on without (`start = "degraded"`) is a note.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use super::diagnostics::Diagnostics;
use super::start::{HostConfig, read_lock};
use super::table::{Table, bold, green, table};
use super::{Setting, out};
use crate::call::Credential;
use crate::capability::{self};
use crate::catalog::{self, Catalog, Tool};
use crate::gate::Callers;
use crate::grants::CAPABILITIES;
use crate::manifest::Grants;
use crate::sandbox::Sandbox;
use crate::terms::Clock;

/// Looks at everything that a start needs. Secrets are looked at as far as they are here: where a
/// manifest is checked they often are not, and a program is not run for it. Those are named.
pub(super) async fn check(setting: &Setting) -> anyhow::Result<ExitCode> {
    let config = HostConfig::read(setting).map_err(|error| and_the_lock(setting, error))?;
    let Gathered {
        wrong,
        notes,
        catalog,
    } = gathered(&config).await?;
    if setting.json {
        out::json(&match wrong.is_empty() {
            true => as_json(&config, &catalog, &notes),
            false => json!({ "ok": false, "notes": notes }),
        })?;
        wrong.into_result()?;
        return Ok(ExitCode::SUCCESS);
    }
    for note in &notes {
        tell!("{} {note}", bold("note:"));
    }
    wrong.into_result()?;
    say!("{}", as_table(&catalog));
    tell!(
        "{} manifest, lock and {} tools are sound",
        green("ok"),
        catalog.tools().count()
    );
    Ok(ExitCode::SUCCESS)
}

/// What looking came to.
struct Gathered {
    wrong: Diagnostics,
    /// What a start would say and go on.
    notes: Vec<String>,
    catalog: Catalog,
}

async fn gathered(config: &HostConfig) -> anyhow::Result<Gathered> {
    let (mut wrong, mut lacking) = (config.exposed_files(), Diagnostics::of(config));
    look_at_doors(config, &mut wrong);
    wrong.stage(config.dialer().map(drop));
    config.look_at_certificates(&mut lacking);
    let mut notes = config.look_at_secrets(&mut lacking).await;
    config.look_at_directories(&mut lacking);
    let (former, sandbox, world) = (
        Catalog::default(),
        Sandbox::new(Clock::SYSTEM)?,
        config.bare_world(),
    );
    let catalog = config.tools((&former, &sandbox, &world), &mut wrong, &mut lacking);
    notes.extend(config.weigh(&mut wrong, lacking));
    Ok(Gathered {
        wrong,
        notes,
        catalog,
    })
}

fn as_json(config: &HostConfig, catalog: &Catalog, notes: &[String]) -> Value {
    let tool = |tool: &Arc<Tool>| {
        let shown = json!({
            "imports": tool.imports,
            "granted": granted(&tool.spec.all.grants),
            "imported_not_granted": idle_imports(tool),
        });
        (tool.spec.name.to_string(), shown)
    };
    let tools: BTreeMap<String, Value> = catalog.tools().map(tool).collect();
    json!({
        "ok": true,
        "mode": config.mode(),
        "landlock": capability::dir::landlock_is_here(),
        "tools": tools,
        "notes": notes,
    })
}

fn as_table(catalog: &Catalog) -> Table {
    let mut shown = table(&[
        "tool",
        "functions",
        "granted",
        "imports without a grant (they refuse)",
    ]);
    for tool in catalog.tools() {
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
            or_dash(&idle_imports(tool)),
        ]);
    }
    shown
}

fn or_dash(words: &[String]) -> String {
    if words.is_empty() {
        "-".to_owned()
    } else {
        words.join("\n")
    }
}

/// A lock can be looked at without its manifest.
fn and_the_lock(setting: &Setting, error: anyhow::Error) -> anyhow::Error {
    match read_lock(&catalog::lock_path(&setting.manifest)) {
        Err(lock) if !setting.json => anyhow::anyhow!("{error:#}\n\nerror: {lock:#}"),
        _ => error,
    }
}

/// Whether agents can come at all, and how.
fn look_at_doors(config: &HostConfig, wrong: &mut Diagnostics) {
    let host = &config.manifest.host;
    let socket = config.socket();
    if let Some(socket) = &socket
        && let Err(error) = toolhost_doors::bindable(socket, config.audience())
    {
        wrong.add(host.agents_line, error.to_string());
    }
    if let Err(error) =
        toolhost_doors::bindable(&config.admin_socket(), toolhost_doors::Audience::Own)
    {
        // It names its key: `admin` may not be written.
        wrong.add(None, error.to_string());
    }
    let own = rustix::process::geteuid().as_raw();
    let callers = Callers::new(&config.manifest.callers, own, None);
    if socket.is_none() && host.http.is_none() && callers.identify(Credential::Stdio).is_none() {
        let say = "no agent can come: `agents` opens no door, and no caller has `stdio = true`";
        wrong.add(host.agents_line, say);
    }
    // Where there is none yet, a start makes one.
    if config.token_file().exists() {
        wrong.stage(config.callers().map(drop));
    }
}

/// A tool's powers in words.
fn granted(grants: &Grants) -> Vec<String> {
    grants.each().map(|grant| grant.brief()).collect()
}

/// Capabilities that a component could use and is not granted.
fn idle_imports(tool: &Tool) -> Vec<String> {
    let sections = std::iter::once(&tool.spec.all).chain(tool.spec.functions.values());
    let granted: BTreeSet<&str> = sections
        .flat_map(|section| section.grants.each())
        .map(|grant| grant.capability().name)
        .collect();
    CAPABILITIES
        .iter()
        .filter(|capability| capability.is_usable(&tool.imports))
        .map(|capability| capability.name)
        .filter(|name| !granted.contains(name))
        .map(ToOwned::to_owned)
        .collect()
}
