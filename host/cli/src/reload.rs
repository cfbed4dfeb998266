//! Loading anew while the host serves: at a hang-up signal, and with `--watch` when a file changes.
//! All or nothing: where anything of it cannot be loaded, everything stays as it was.
//!
//! It does not know how calls run, nor what they hold on to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use tokio::runtime::Handle;
use tokio::signal::unix::Signal;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::start::HostConfig;
use super::watch::Watch;
use super::{Setting, diagnostics};
use crate::call::{Host, Snapshot};
use crate::capability::SharedServices;
use crate::catalog::{Catalog, Function};
use toolhost_doors::{AdminError, Audience, ReloadRequest, Reloaded};
use toolhost_ledger::Reload;

/// The priority of whoever loads, and of the compilers that it starts: calls come first.
const NICE: i32 = 10;

/// How long the manifest may take to be read.
const READ: Duration = Duration::from_secs(30);

/// How long everything else of a load may take: components are compiled in it.
const LOAD: Duration = Duration::from_secs(600);

/// Loads that may still wait for a file system or a command after they were given up.
const MOST_LEFT: usize = 4;

/// A host that runs, and what it was loaded from.
pub(super) struct Reloads {
    pub(super) setting: Setting,
    pub(super) host: Arc<Host>,
    /// What it goes by now.
    pub(super) config: HostConfig,
    /// What it reaches now.
    pub(super) world: SharedServices,
    /// Whether the manifest's HTTP door is open in this process.
    pub(super) http: bool,
    /// The files, where they are watched.
    pub(super) watch: Option<Watch>,
    /// Loads that were given up.
    pub(super) left: Left,
    /// What operators ask for.
    pub(super) asked: mpsc::Receiver<ReloadRequest>,
}

impl Reloads {
    /// Loads anew whenever somebody says so, as long as it is awaited.
    pub(super) async fn run(mut self, mut hangup: Signal) {
        loop {
            let changed = async {
                match &self.watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            let asked = tokio::select! {
                _ = hangup.recv() => None,
                () = changed => None,
                Some(asked) = self.asked.recv() => Some(asked),
            };
            let reloaded = self.reload().await;
            if let Some(asked) = asked {
                asked.answer(reloaded);
            }
        }
    }

    async fn reload(&mut self) -> Result<Reloaded, AdminError> {
        let before = self.host.snapshot();
        match self.load().await {
            Ok(()) => {
                let reloaded = changes(&before.catalog, &self.host.snapshot().catalog);
                tracing::info!(
                    "reloaded: {} functions; calls that run finish on what they began with",
                    reloaded.functions
                );
                Ok(reloaded)
            }
            Err(error) => {
                self.host.not_reloaded(SystemTime::now());
                tracing::error!("not reloaded, everything stays as it was:");
                // A line has a bound: each thing that is wrong has one of its own.
                for why in diagnostics::each(&error) {
                    tracing::error!("cannot be loaded: {why}");
                }
                Err(AdminError {
                    error: format!("not reloaded, everything stays as it was:\n\n{error:#}"),
                    problems: diagnostics::for_programs(&error),
                })
            }
        }
    }

    async fn load(&mut self) -> anyhow::Result<()> {
        let setting = self.setting.clone();
        if let Some(watch) = &mut self.watch {
            // Where the names lead now. Whether or not what is there can be read: it may be repaired.
            watch.keep(self.config.files());
        }
        let reading = self.left.aside(READ, move || HostConfig::read(&setting));
        let config = reading.await??;
        if let Some(watch) = &mut self.watch {
            // Before they are read. The old ones stay until the new ones are good.
            watch.keep(self.config.files().chain(config.files()));
        }
        self.refuse_fixed(&config)?;
        let (runtime, host, former) = (Handle::current(), self.host.clone(), self.world.clone());
        let load = move || load_all(config, &former, &host, &runtime);
        let loading = self.left.aside(LOAD, load);
        let (config, world, snapshot) = loading.await??;
        let reload = Reload {
            before: self.config.digest.as_str().into(),
            manifest: config.digest.as_str().into(),
            mode: snapshot.mode,
            load: 0,
        };
        self.host
            .reload(snapshot, &config.manifest, reload)
            .await
            .context("the ledger cannot be written")?;
        if self.config.mode() != config.mode() {
            config.warn_of_agents();
        }
        (self.config, self.world) = (config, world);
        if let Some(watch) = &mut self.watch {
            watch.keep(self.config.files());
        }
        Ok(())
    }

    /// What was taken hold of at the start cannot become another thing.
    fn refuse_fixed(&self, new: &HostConfig) -> anyhow::Result<()> {
        let old = &self.config;
        let mut fixed = Vec::new();
        if old.state() != new.state() {
            fixed.push("`state` of `[host]`: ledger and buckets are open there".to_owned());
        } else {
            if old.socket() != new.socket() {
                fixed.push("`agents` of `[host]`: another Unix socket is listened on".to_owned());
            }
            if old.admin_socket() != new.admin_socket() {
                fixed.push("`admin` of `[host]`: another socket is listened on".to_owned());
            }
            if self.http && old.manifest.host.http != new.manifest.host.http {
                fixed.push("`agents` of `[host]`: another HTTP address is listened on".to_owned());
            }
            if let Some(caller) = new.foreign_caller()
                && old.audience() == Audience::Own
                && new.socket().is_some()
            {
                fixed.push(format!(
                    "`uid` of `[caller.{}]` (line {}): the socket was opened for the host's own user alone",
                    caller.name, caller.line
                ));
            }
        }
        if old.manifest.host.message != new.manifest.host.message {
            fixed.push("`message` of `[host]`: what is held for callers goes by it".to_owned());
        }
        if fixed.is_empty() {
            return Ok(());
        }
        let said: Vec<String> = fixed.iter().map(|one| format!("error: {one}")).collect();
        bail!(
            "{}\n\nThis cannot change while the host runs: restart it, or take the change back.",
            said.join("\n")
        )
    }
}

/// What another catalog has that this one has not, and the other way round.
fn changes(before: &Catalog, after: &Catalog) -> Reloaded {
    let name = |function: &Function| function.listed.id.dotted();
    let same = |one: &Function, other: &Function| {
        one.listed == other.listed
            && one.tool.digest == other.tool.digest
            && one.ready.policy().spec() == other.ready.policy().spec()
    };
    let mut reloaded = Reloaded::default();
    for now in after.functions() {
        reloaded.functions += 1;
        match before.find(&now.listed.id.agent_name()) {
            None => reloaded.added.push(name(now)),
            Some(old) if !same(old, now) => reloaded.changed.push(name(now)),
            Some(_) => {}
        }
    }
    let is_gone =
        |old: &&std::sync::Arc<Function>| after.find(&old.listed.id.agent_name()).is_none();
    let gone = before.functions().filter(is_gone);
    reloaded.removed = gone.map(|old| name(old)).collect();
    reloaded
}

/// Everything that a start loads, for a host that runs.
fn load_all(
    config: HostConfig,
    former: &SharedServices,
    host: &Host,
    runtime: &Handle,
) -> anyhow::Result<(HostConfig, SharedServices, Snapshot)> {
    // What is made here may belong to the runtime.
    let _inside = runtime.enter();
    let exposed = config.exposed_files();
    let before = host.snapshot();
    let former = (former, &before.catalog);
    let (world, snapshot) = runtime.block_on(config.load(exposed, &host.sandbox, Some(former)))?;
    Ok((config, world, snapshot))
}

/// Work that goes on after nobody waits for it any more: nothing ends a thread that a file system holds.
pub(super) struct Left(Arc<Semaphore>);

impl Left {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST_LEFT)))
    }

    /// Does work on a thread of its own, at a low priority: it reads files, and waits for commands and
    /// compilers. What it comes to after `within` is nobody's.
    async fn aside<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let Ok(place) = self.0.clone().try_acquire_owned() else {
            bail!(
                "{MOST_LEFT} loads that were given up still wait, for a file system or a command: restart the host, or end what they wait for"
            );
        };
        let (sender, done) = oneshot::channel();
        let thread = std::thread::Builder::new().name("reload".to_owned());
        let spawned = thread.spawn(move || {
            // On Linux this is per thread, and inherited. Where it fails it is done at normal priority.
            let _ = rustix::process::setpriority_process(None, NICE);
            let done = work();
            // Before anybody hears of it: the next load finds the place.
            drop(place);
            // Nobody waits for it when the host stops.
            let _ = sender.send(done);
        });
        spawned.context("no thread can be started")?;
        match timeout(within, done).await {
            Ok(done) => done.context("loading panicked"),
            Err(_) => bail!(
                "it took longer than {} s and was given up: a file system or a command does not answer",
                within.as_secs()
            ),
        }
    }
}

impl HostConfig {
    /// Every file that a start reads, but for secrets: those are looked at while they are used.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let components = self
            .manifest
            .tools
            .iter()
            .map(|tool| tool.component.as_path());
        let named: Vec<PathBuf> = components
            .chain(super::egress_setup::paths(&self.manifest))
            .map(|path| self.base.join(path))
            .collect();
        [self.path.clone(), self.lock_path()]
            .into_iter()
            .chain(named)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn x51_a_load_that_nobody_answers_is_given_up_and_only_so_many_are_left_waiting() {
        let left = Left::new();
        let soon = Duration::from_millis(1);
        let mut held = Vec::new();
        for _ in 0..MOST_LEFT {
            let (answer, waits) = mpsc::channel::<()>();
            held.push(answer);
            let stuck = left.aside(soon, move || waits.recv().is_err()).await;
            assert!(stuck.unwrap_err().to_string().contains("was given up"));
        }
        let refused = left.aside(READ, || ()).await.unwrap_err();
        assert!(refused.to_string().contains("still wait"), "{refused}");
        // What they waited for ends: the next load finds a place, as soon as their threads are over.
        held.clear();
        let all = u32::try_from(MOST_LEFT).unwrap();
        drop(left.0.acquire_many(all).await.unwrap());
        assert_eq!(left.aside(READ, || 7).await.unwrap(), 7);
    }
}
