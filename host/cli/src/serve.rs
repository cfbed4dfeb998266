//! `serve`: the doors are opened, and stay open until somebody says stop.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Setting;
use super::reload::{Left, Reloads};
use super::start::Opened;
use super::stop::stop_on_signal;
use super::watch::Watch;
use crate::call::{Credential, Host};
use crate::capability::dir;
use crate::sandbox::Lanes;
use toolhost_doors::{self, Listener};
use toolhost_outbound::descriptors;

/// How long calls that run may go on after a stop. Longer than most deadlines, shorter than what
/// service managers wait before they kill.
const GRACE: Duration = Duration::from_secs(20);

/// How long, beyond that, calls that were cut off have to close their books. It ends before the process
/// is ended.
const BOOKS: Duration = Duration::from_secs(2);

pub(super) async fn serve(setting: &Setting, stdio: bool, watch: bool) -> anyhow::Result<ExitCode> {
    // Before anybody takes a part of them.
    descriptors::raise();
    // From here on a signal waits until it can be followed, and what changes is noticed.
    let hangup = signal(SignalKind::hangup())?;
    let mut watch = watch.then(Watch::new).transpose()?;
    if let Some(watch) = &mut watch {
        watch.keep([std::path::absolute(&setting.manifest)?]);
    }
    let opened = Opened::read(setting)?;
    if let Some(watch) = &mut watch {
        watch.keep(opened.files());
    }
    // Also before a bridge: what answers on the socket has to be the operator's.
    let ground = opened.ground();
    if stdio && ground.is_empty() && bridged(&opened).await? {
        return Ok(ExitCode::SUCCESS);
    }
    let (host, world) = opened.house(ground, Lanes::for_many()?).await?;
    let reloads = Reloads {
        setting: setting.clone(),
        host: host.clone(),
        opened,
        world,
        doors: !stdio,
        watch,
        left: Left::new(),
    };
    if stdio {
        on_stdio(&host, reloads, hangup).await?;
    } else {
        on_doors(&host, reloads, hangup).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn on_stdio(host: &Arc<Host>, reloads: Reloads, hangup: Signal) -> anyhow::Result<()> {
    if host.identify(Credential::Stdio).is_none() {
        bail!(
            "no caller of the manifest may use standard input; add `stdio = true` to one of its [caller.*]"
        );
    }
    let stop = stop_on_signal(GRACE)?;
    let message = reloads.opened.manifest.host.message;
    let reloading = AbortOnDropHandle::new(tokio::spawn(reloads.run(hangup)));
    let asked = asked(&stop);
    let served = toolhost_doors::serve_stdio(host.clone(), message, stop.clone(), GRACE).await;
    drop(reloading);
    host.stop_within(left(&stop, asked).await).await?;
    Ok(served?)
}

async fn on_doors(host: &Arc<Host>, reloads: Reloads, hangup: Signal) -> anyhow::Result<()> {
    let listeners = listeners(&reloads.opened).await?;
    if listeners.is_empty() {
        bail!("the manifest opens no door; give [host] `agents`, or serve with --stdio");
    }
    for listener in &listeners {
        tracing::info!("agents' door: {}", listener.place());
    }
    // Before anybody is told that it runs: a stop must be in order from then on.
    let stop = stop_on_signal(GRACE)?;
    announce(&reloads.opened, host);
    let message = reloads.opened.manifest.host.message;
    let reloading = AbortOnDropHandle::new(tokio::spawn(reloads.run(hangup)));
    let asked = asked(&stop);
    toolhost_doors::serve(host.clone(), listeners, message, stop.clone(), GRACE).await;
    drop(reloading);
    host.stop_within(left(&stop, asked).await).await?;
    tracing::info!("stopped; every call that began is in the ledger");
    Ok(())
}

/// When the host was asked to stop, once it was.
fn asked(stop: &CancellationToken) -> JoinHandle<Instant> {
    let stop = stop.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        Instant::now()
    })
}

/// What is left of the time that a stop may take.
async fn left(stop: &CancellationToken, asked: JoinHandle<Instant>) -> Duration {
    // Where the doors closed by themselves it begins here.
    stop.cancel();
    let since = asked.await.map_or(Duration::ZERO, |at| at.elapsed());
    (GRACE + BOOKS).saturating_sub(since)
}

/// Whether there was a host on this state folder, and this process a bridge to it.
async fn bridged(opened: &Opened) -> anyhow::Result<bool> {
    let Some(socket) = opened.socket() else {
        return Ok(false);
    };
    let message = opened.manifest.host.message;
    toolhost_doors::bridge(&socket, opened.audience(), message)
        .await
        .context("this bridge to a running host ends")
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
        host.snapshot().catalog.functions().count(),
        host.ledger.segment()
    );
    if dir::landlock_is_here() {
        tracing::info!("files: Landlock keeps the threads that open them to what is granted");
    } else {
        tracing::warn!(
            "files: this kernel has no Landlock (Linux 6.2 or later); paths are kept inside by openat2 alone"
        );
    }
    opened.warn_of_agents();
}
