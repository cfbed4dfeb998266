//! `serve`: the doors are opened, and stay open until somebody says stop.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Setting;
use super::owner::{Claim, PATIENCE};
use super::reload::{Left, Reloads};
use super::start::HostConfig;
use super::stop::stop_on_signal;
use super::watch::Watch;
use crate::call::{Credential, Host};
use crate::capability::dir;
use crate::sandbox::Lanes;
use toolhost_doors::{Listener, ReloadRequest};
use toolhost_ledger::state::{Role, StateLock};
use toolhost_outbound::descriptors;

/// How long to wait before a host that did not take this process in is looked for again.
const PAUSE: Duration = Duration::from_millis(50);

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
    let config = HostConfig::read(setting)?;
    if let Some(watch) = &mut watch {
        watch.keep(config.files());
    }
    let state = match stdio {
        false => config.own(Role::Serve).await?,
        true => match owned_or_bridged(&config).await? {
            Some(state) => state,
            None => return Ok(ExitCode::SUCCESS),
        },
    };
    let (host, world) = config
        .build_host(state, config.exposed_files(), Lanes::for_many()?)
        .await?;
    let (asking, asked) = mpsc::channel(1);
    let reloads = Reloads {
        setting: setting.clone(),
        host: host.clone(),
        config,
        world,
        http: !stdio,
        watch,
        left: Left::new(),
        asked,
    };
    on_doors(&host, reloads, asking, hangup).await?;
    Ok(ExitCode::SUCCESS)
}

/// The state folder, where it is nobody's. Else this process is a bridge to the host that has it, until
/// the agent on standard input ends.
async fn owned_or_bridged(config: &HostConfig) -> anyhow::Result<Option<StateLock>> {
    let began = Instant::now();
    loop {
        let owner = match config.claim(Role::Stdio).await? {
            Claim::Mine(state) => return Ok(Some(state)),
            Claim::Theirs(owner) => owner,
        };
        let Some(socket) = config.socket() else {
            bail!(
                "{owner}, and opens no Unix socket, through which this agent could come to it: add \"unix:<path>\" to [host] `agents`"
            );
        };
        let bridged =
            toolhost_doors::bridge(&socket, config.audience(), config.manifest.host.message).await;
        if bridged.context("this bridge to a running host ends")? {
            return Ok(None);
        }
        // It may just be ending, and takes nobody in any more.
        if began.elapsed() > PATIENCE {
            bail!(
                "{owner}, but takes no agents in on {}: its manifest may have named another socket when it started",
                socket.display()
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Opens the doors until somebody says stop. Without HTTP the agent on standard input is served too, and
/// the host stops when that one and all others have left.
async fn on_doors(
    host: &Arc<Host>,
    reloads: Reloads,
    asking: mpsc::Sender<ReloadRequest>,
    hangup: Signal,
) -> anyhow::Result<()> {
    let stdio = !reloads.http;
    if stdio && host.identify(Credential::Stdio).is_none() {
        bail!(
            "no caller of the manifest may use standard input; add `stdio = true` to one of its [caller.*]"
        );
    }
    let Doors { agents, admin } = doors(&reloads.config, stdio).await?;
    for listener in &agents {
        tracing::info!("agents' door: {}", listener.place());
    }
    // Before anybody is told that it runs: a stop must be in order from then on.
    let stop = stop_on_signal(GRACE)?;
    announce(&reloads.config, host, stdio);
    let message = reloads.config.manifest.host.message;
    let reloading = AbortOnDropHandle::new(tokio::spawn(reloads.run(hangup)));
    let asked = asked(&stop);
    let ends = (stop.clone(), GRACE);
    let operators = async {
        let Some(admin) = admin else {
            return Ok(());
        };
        let served =
            toolhost_doors::serve_admin(host.clone(), admin, message, asking, ends.clone());
        let served = served.await;
        // A host that nobody can ask anything stops.
        stop.cancel();
        served
    };
    let left = CancellationToken::new();
    let own = async {
        let served = match stdio {
            true => toolhost_doors::serve_stdio(host.clone(), message, stop.clone(), GRACE).await,
            false => return Ok(()),
        };
        tracing::info!(
            "the agent on standard input has left; the host stays until the others have left"
        );
        left.cancel();
        served
    };
    let left = left.cancelled();
    let others =
        toolhost_doors::serve_while_needed(host.clone(), agents, message, ends.clone(), left);
    let (own, others, operators) = tokio::join!(own, others, operators);
    drop(reloading);
    host.stop_within(left_of(asked).await).await?;
    tracing::info!("stopped; every call that began is in the ledger");
    others
        .and(operators)
        .context("the doors cannot be opened")?;
    Ok(own?)
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
async fn left_of(asked: JoinHandle<Instant>) -> Duration {
    let since = asked.await.map_or(Duration::ZERO, |at| at.elapsed());
    (GRACE + BOOKS).saturating_sub(since)
}

/// The sockets of a host.
struct Doors {
    agents: Vec<Listener>,
    admin: Option<Listener>,
}

/// Binds the sockets. A host that an agent started on its standard input has no HTTP, and serves that
/// agent also where others cannot come to it.
async fn doors(config: &HostConfig, stdio: bool) -> anyhow::Result<Doors> {
    let mut agents = Vec::new();
    let unix = config.socket();
    let unix = unix.map(|path| Listener::unix_for(&path, config.audience()));
    agents.extend(
        unix.and_then(|bound| needed(bound, stdio).transpose())
            .transpose()?,
    );
    if let Some(address) = config.manifest.host.http.filter(|_| !stdio) {
        let listener = Listener::http(address).await?;
        if let Some(address) = listener.address() {
            config.dialer()?.keep_off(address);
        }
        agents.push(listener);
    }
    if agents.is_empty() && !stdio {
        bail!("the manifest opens no door; give [host] `agents`, or serve with --stdio");
    }
    // The last: who finds it finds the others.
    let admin = needed(Listener::unix(&config.admin_socket()), stdio)?;
    Ok(Doors { agents, admin })
}

/// A socket, without which a host that somebody started for himself can be.
fn needed(bound: io::Result<Listener>, stdio: bool) -> io::Result<Option<Listener>> {
    match bound {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if stdio => {
            tracing::warn!("others cannot come to this host: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn announce(config: &HostConfig, host: &Arc<Host>, stdio: bool) {
    if stdio {
        return;
    }
    let token = config.token_file();
    if config.manifest.host.http.is_some() && token.exists() {
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
    config.warn_of_agents();
}
