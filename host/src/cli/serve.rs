//! `serve`: the doors are opened, and stay open until somebody says stop.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Setting;
use super::start::Opened;
use crate::call::{Credential, Host};
use crate::capability::dir;
use crate::ledger::Mode;
use crate::wire::{self, Listener};

/// How long calls that run may go on after a stop. Longer than most deadlines, shorter than what
/// service managers wait before they kill.
const GRACE: Duration = Duration::from_secs(20);

pub(super) async fn serve(setting: &Setting, stdio: bool) -> anyhow::Result<ExitCode> {
    let opened = Opened::read(setting)?;
    // Also before a bridge: what answers on the socket has to be the operator's.
    opened.ground()?;
    if stdio {
        on_stdio(&opened).await?
    } else {
        on_doors(&opened).await?
    }
    Ok(ExitCode::SUCCESS)
}

/// A bridge to the host that runs on this state folder; a host of its own where there is none.
async fn on_stdio(opened: &Opened) -> anyhow::Result<()> {
    if let Some(socket) = opened.socket()
        && wire::bridge(&socket)
            .await
            .with_context(|| format!("the bridge to {} broke", socket.display()))?
    {
        return Ok(());
    }
    let host = opened.host().await?;
    if host.identify(Credential::Stdio).is_none() {
        bail!(
            "no caller of the manifest may use standard input; add `stdio = true` to one of its [caller.*]"
        );
    }
    let served = wire::serve_stdio(host.clone(), stop_on_signal()?, GRACE).await;
    host.stop().await?;
    Ok(served?)
}

async fn on_doors(opened: &Opened) -> anyhow::Result<()> {
    let host = opened.host().await?;
    let listeners = listeners(opened).await?;
    if listeners.is_empty() {
        bail!("the manifest opens no door; give [host] `agents`, or serve with --stdio");
    }
    for listener in &listeners {
        tracing::info!("agents' door: {}", listener.place());
    }
    // Before anybody is told that it runs: a stop must be in order from then on.
    let stop = stop_on_signal()?;
    announce(opened, &host);
    wire::serve(host.clone(), listeners, stop, GRACE).await;
    host.stop().await?;
    tracing::info!("stopped; every call that began is in the ledger");
    Ok(())
}

async fn listeners(opened: &Opened) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    if let Some(path) = opened.socket() {
        listeners.push(Listener::unix_for(&path, opened.audience())?);
    }
    if let Some(address) = opened.manifest.host.http {
        let listener = Listener::http(address).await?;
        if let Some(address) = listener.address() {
            opened.dialer()?.keep_off(address);
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

fn announce(opened: &Opened, host: &Arc<Host>) {
    let token = opened.token_file();
    if opened.manifest.host.http.is_some() && token.exists() {
        tracing::info!("the bearer token for HTTP is in {}", token.display());
    }
    tracing::info!(
        "{} functions, ledger segment {}",
        host.catalog.functions().count(),
        host.ledger.segment()
    );
    if dir::landlock_is_here() {
        tracing::info!("files: Landlock keeps the threads that open them to what is granted");
    } else {
        tracing::warn!(
            "files: this kernel has no Landlock (Linux 6.2 or later); paths are kept inside by openat2 alone"
        );
    }
    if opened.mode() == Mode::Dev {
        tracing::warn!(
            "dev: agents may run under this host's own user and could change its files; for production run it under a user of its own and name its callers"
        );
    }
}

/// Trips on the first SIGINT or SIGTERM; the second one ends the process at once.
fn stop_on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let tripped = stop.clone();
    tokio::spawn(async move {
        for round in 0.. {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if round > 0 {
                std::process::exit(130);
            }
            tracing::info!("stopping: calls that run may finish; a second signal ends them");
            tripped.cancel();
        }
    });
    Ok(stop)
}
