//! `demo`: the whole product in a minute, on loopback. It builds the tools of this checkout, starts a
//! small outside world and a host, plays an agent over a real MCP connection, and shows what works,
//! what it cost, what was refused, and that the record is whole.

mod agent;
mod build;
mod script;
mod upstream;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::Setting;
use super::ledger::show_report;
use super::look;
use super::start::HostConfig;
use super::table::{bold, green, red};
use agent::Agent;
use toolhost_doors::Listener;
use toolhost_ledger::state::Role;

/// The tokens of the two agents. They are worth nothing outside this demonstration.
const SUPPORT: &str = "demo-support-token";
const INTERN: &str = "demo-intern-token";

pub(super) async fn demo(setting: &Setting) -> anyhow::Result<ExitCode> {
    let checkout = build::checkout()?;
    let components = build::tools(&checkout).await?;
    let upstream = upstream::start().await?;
    let stage = Stage::set(&components, upstream)?;

    tell!("{}", bold("toolhost lock: what the tools are and offer"));
    look::lock(&stage.setting()).await?;

    let config = HostConfig::read(&stage.setting())?;
    let state = config.own(Role::Call).await?;
    let host = config.host(state).await?;
    let listener = Listener::http(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener
        .address()
        .context("the demo's door has no address")?;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(toolhost_doors::serve(
        host.clone(),
        vec![listener],
        config.manifest.host.message,
        stop.clone(),
        Duration::from_secs(5),
    ));
    tell!("serving MCP at http://{address}/mcp; every call below is a tools/call over HTTP\n");

    let (support, intern) = (Agent::new(address, SUPPORT)?, Agent::new(address, INTERN)?);
    let outcome = script::play(
        &support,
        &intern,
        upstream,
        &config.state().join("ledger"),
        setting.json,
    )
    .await;

    stop.cancel();
    serving.await??;
    host.stop().await?;
    let unexpected = outcome?;
    let report = toolhost_ledger::verify(&config.state().join("ledger"))?;
    if !setting.json {
        say!("{}", bold("The record (toolhost ledger verify)"));
        show_report(&report);
    }
    if unexpected > 0 || !report.intact() {
        bail!(
            "{} {unexpected} calls did not end as they should",
            red("failed")
        );
    }
    tell!("{} everything ended as it should", green("ok"));
    Ok(ExitCode::SUCCESS)
}

/// The folder the demonstration plays in; it is removed at the end.
struct Stage {
    folder: PathBuf,
}

impl Stage {
    fn set(components: &[PathBuf], upstream: SocketAddr) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("toolhost-demo-{}", std::process::id()));
        // New, and nobody else's: its name can be guessed.
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let stage = Self { folder };
        for part in ["tools", "notes", "data"] {
            std::fs::create_dir_all(stage.folder.join(part))?;
        }
        for component in components {
            let name = component
                .file_name()
                .context("a component without a name")?;
            std::fs::copy(component, stage.folder.join("tools").join(name))?;
        }
        let hash = |token: &str| hex::encode(Sha256::digest(token.as_bytes()));
        let manifest = include_str!("demo.toml")
            .replace("{upstream}", &upstream.to_string())
            .replace("{support}", &hash(SUPPORT))
            .replace("{intern}", &hash(INTERN));
        stage.write("toolhost.toml", &manifest)?;
        stage.write("github-token", upstream::TOKEN)?;
        stage.write(
            "notes/standup.md",
            "# Standup\n\n- the lamp order is late\n- refund for A-1001 asked\n",
        )?;
        stage.write("data/sales.csv", include_str!("sales.csv"))?;
        let only_mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(stage.folder.join("github-token"), only_mine)?;
        Ok(stage)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn setting(&self) -> Setting {
        Setting {
            manifest: self.path().join("toolhost.toml"),
            json: false,
            progress: true,
        }
    }

    fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
