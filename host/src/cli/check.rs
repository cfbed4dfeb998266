//! `check`: what `serve` would refuse to start with, all stages in one run, without serving.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::json;

use super::diagnostics::Diagnostics;
use super::start::{Opened, private_folder, read_lock};
use super::table::{bold, green, table};
use super::{Setting, out};
use crate::call::Credential;
use crate::capability;
use crate::catalog::{self, Catalog, Tool};
use crate::gate::Callers;
use crate::manifest::Grants;
use crate::sandbox::Sandbox;
use crate::wire;

/// Looks at everything that a start needs. Secrets are looked at as far as they are here: where a
/// manifest is checked they often are not, and a program is not run for it. Those are named.
pub(super) async fn check(setting: &Setting) -> anyhow::Result<ExitCode> {
    let opened = Opened::read(setting).map_err(|error| and_the_lock(setting, error))?;
    let mut wrong = Diagnostics::of(&opened);
    wrong.stage(private_folder(&opened.state()));
    opened.judge_ground(&mut wrong);
    look_at_doors(&opened, &mut wrong);
    wrong.stage(opened.dialer().map(drop));
    opened.look_at_certificates(&mut wrong);
    let notes = opened.look_at_secrets(&mut wrong).await;
    opened.look_at_directories(&mut wrong);
    let (former, sandbox, world) = (Catalog::default(), Sandbox::new()?, opened.bare_world());
    let mut of_tools = Diagnostics::of(&opened);
    let catalog = opened.tools((&former, &sandbox, &world), &mut wrong, &mut of_tools);
    wrong.append(of_tools);
    if !setting.json {
        for note in &notes {
            tell!("{} {note}", bold("note:"));
        }
    }
    wrong.into_result()?;
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
            "notes": notes,
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

/// A lock can be looked at without its manifest.
fn and_the_lock(setting: &Setting, error: anyhow::Error) -> anyhow::Error {
    match read_lock(&catalog::lock_path(&setting.manifest)) {
        Err(lock) if !setting.json => anyhow::anyhow!("{error:#}\n\nerror: {lock:#}"),
        _ => error,
    }
}

/// Whether agents can come at all, and how.
fn look_at_doors(opened: &Opened, wrong: &mut Diagnostics) {
    let host = &opened.manifest.host;
    let socket = opened.socket();
    if let Some(socket) = &socket
        && let Err(error) = wire::bindable(socket, opened.audience())
    {
        wrong.add(host.agents_line, error.to_string());
    }
    let own = rustix::process::geteuid().as_raw();
    let callers = Callers::new(&opened.manifest.callers, own, None);
    if socket.is_none() && host.http.is_none() && callers.identify(Credential::Stdio).is_none() {
        let say = "no agent can come: `agents` opens no door, and no caller has `stdio = true`";
        wrong.add(host.agents_line, say);
    }
    // Where there is none yet, a start makes one.
    if opened.token_file().exists() {
        wrong.stage(opened.callers().map(drop));
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
