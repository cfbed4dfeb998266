//! From files to a host: the manifest and its lock are read, the state folder is made, secrets are
//! fetched, and the rooms are put together.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::bar::Bar;
use super::diagnostics::Diagnostics;
use super::{Setting, egress_setup, written};
use crate::call::{Host, Snapshot};
use crate::capability::{self, SharedServices};
use crate::catalog::{self, Catalog, Damaged, Loading, Lock, MOST_LOCK, Places};
use crate::compile::{Cache, Compiler, bounded};
use crate::gate::Callers;
use crate::manifest::{self, CallerSpec, Manifest, Start};
use crate::quota::Quota;
use crate::sandbox::{Lanes, Sandbox};
use crate::terms::Clock;
use toolhost_ledger::state::StateLock;
use toolhost_ledger::{Header, Ledger, Mode};
use toolhost_outbound::dial::Dialer;
use toolhost_outbound::secret::Secrets;

/// The longest manifest that is read, in bytes.
pub(super) const MOST_MANIFEST: u64 = manifest::LONGEST as u64;

/// How long a command waits for the store.
const STORE: Duration = Duration::from_secs(10);

/// A manifest that was read and is sound in itself.
pub(super) struct HostConfig {
    pub(super) manifest: Manifest,
    /// The manifest's file.
    pub(super) path: PathBuf,
    /// Its folder: relative paths begin here.
    pub(super) base: PathBuf,
    /// SHA-256 of its text, in hex.
    pub(super) digest: String,
    /// Whether it is shown how far loading has come.
    progress: bool,
    dialer: OnceLock<Arc<Dialer>>,
}

impl HostConfig {
    /// Reads and checks a manifest.
    pub(super) fn read(setting: &Setting) -> anyhow::Result<Self> {
        let text = bounded::text(&setting.manifest, MOST_MANIFEST)
            .with_context(|| format!("cannot read the manifest {}", setting.manifest.display()))?;
        Self::of(setting, text)
    }

    /// The same with this text in the file.
    pub(super) fn of(setting: &Setting, text: String) -> anyhow::Result<Self> {
        let path = std::path::absolute(&setting.manifest)?;
        let name = setting.manifest.display().to_string();
        let manifest = manifest::parse(&name, &text)?;
        let base = path.parent().unwrap_or(Path::new("/")).to_owned();
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        Ok(Self {
            manifest,
            path,
            base,
            digest,
            progress: setting.progress,
            dialer: OnceLock::new(),
        })
    }

    /// The folder that keeps ledger, compiled components and tokens.
    pub(super) fn state(&self) -> PathBuf {
        self.base.join(&self.manifest.host.state)
    }

    /// The agents' Unix socket, where one is wanted.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        self.manifest
            .host
            .unix
            .as_ref()
            .map(|path| self.base.join(path))
    }

    /// The operators' Unix socket.
    pub(super) fn admin_socket(&self) -> PathBuf {
        self.base.join(&self.manifest.host.admin)
    }

    /// The token made for the caller `local`.
    pub(super) fn token_file(&self) -> PathBuf {
        self.state().join("agents/token")
    }

    pub(super) fn lock_path(&self) -> PathBuf {
        catalog::lock_path(&self.path)
    }

    /// The lock file; empty where there is none.
    pub(super) fn lock(&self) -> anyhow::Result<Lock> {
        read_lock(&self.lock_path())
    }

    /// What a tool of this name kept beyond its calls, in words, if it kept anything.
    pub(super) async fn left_by(&self, name: &str) -> anyhow::Result<Option<String>> {
        let world = self.bare_world();
        let left = world.left_by(name, Instant::now() + STORE).await?;
        Ok(left.map(|left| format!("a tool `{name}` kept {left}, which this one would find")))
    }

    /// Writes the lock file. Who does holds the folder ([`written::Turn`]).
    pub(super) fn write_lock(&self, lock: &Lock) -> anyhow::Result<()> {
        let (path, text) = (self.lock_path(), lock.text().map_err(anyhow::Error::msg)?);
        ensure!(
            u64::try_from(text.len()).is_ok_and(|length| length <= MOST_LOCK),
            "the lock would have {} bytes; at most {MOST_LOCK} are read again",
            text.len()
        );
        written::exchange(&path, &text).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn cache(&self) -> anyhow::Result<Cache> {
        private_folder(&self.state())?;
        Cache::open(self.state().join("compiled"), Compiler::this_program())
            .context("cannot open the folder of compiled components")
    }

    /// Whether agents may run under the host's own user: then they can reach its files.
    pub(super) fn mode(&self) -> Mode {
        let own = rustix::process::geteuid().as_raw();
        let same = |caller: &CallerSpec| {
            caller.stdio || caller.uid == Some(own) || &*caller.name == "local"
        };
        let callers = &self.manifest.callers;
        if callers.is_empty() || callers.iter().any(same) {
            Mode::Dev
        } else {
            Mode::Serve
        }
    }

    /// Says so in the log, where agents may run under the host's own user.
    pub(super) fn warn_of_agents(&self) {
        if self.mode() == Mode::Dev {
            tracing::warn!(
                "dev: agents may run under this host's own user and could change its files; for production run it under a user of its own and name its callers"
            );
        }
    }

    /// The way to the outside, made once.
    ///
    /// # Errors
    ///
    /// Its DNS server cannot be used.
    pub(super) fn dialer(&self) -> anyhow::Result<&Arc<Dialer>> {
        if let Some(dialer) = self.dialer.get() {
            return Ok(dialer);
        }
        let dialer = Arc::new(self.new_dialer()?);
        Ok(self.dialer.get_or_init(|| dialer))
    }

    /// A way to the outside of its own.
    ///
    /// # Errors
    ///
    /// Its DNS server cannot be used.
    pub(super) fn new_dialer(&self) -> anyhow::Result<Dialer> {
        egress_setup::dialer(&self.manifest, &self.base)
    }

    fn world(&self, dialer: Arc<Dialer>, secrets: Secrets) -> SharedServices {
        let mut services = SharedServices::new(
            dialer,
            Arc::new(secrets),
            &self.base,
            &self.state(),
            Clock::SYSTEM,
        );
        services.folders = services.folders.judged(self.judge());
        services
    }

    /// A world without secrets and certificates: enough to look at components, and to ask them what
    /// they offer.
    pub(super) fn bare_world(&self) -> SharedServices {
        self.world(Arc::new(Dialer::new()), Secrets::default())
            .looking()
    }

    /// The tools, checked against the lock: what can be looked at without running.
    pub(super) fn catalog(&self) -> anyhow::Result<Catalog> {
        let (mut wrong, mut lacking) = (Diagnostics::of(self), Diagnostics::of(self));
        let sandbox = Sandbox::new(Clock::SYSTEM)?;
        let former = Catalog::default();
        let found = self.tools(
            (&former, &sandbox, &self.bare_world()),
            &mut wrong,
            &mut lacking,
        );
        self.settle(wrong, lacking)?;
        Ok(found)
    }

    /// The tools that can be had; components that `former` has are taken from there. Whatever is wrong is
    /// noted: with the host, or with a tool, which then is not there.
    pub(super) fn tools(
        &self,
        (former, sandbox, world): (&Catalog, &Sandbox, &SharedServices),
        wrong: &mut Diagnostics,
        lacking: &mut Diagnostics,
    ) -> Catalog {
        let (cache, lock) = (wrong.stage(self.cache()), wrong.stage(self.lock()));
        let (Some(cache), Some(lock)) = (cache, lock) else {
            return Catalog::default();
        };
        let bar = match self.progress {
            true => Bar::new("loading", self.manifest.tools.len()),
            false => Bar::hidden(),
        };
        let places = Places {
            base: &self.base,
            cache: &cache,
            world,
        };
        let done = |tool: &str| bar.step(tool);
        let Loading {
            catalog,
            left_out,
            shared,
        } = catalog::load_each(former, sandbox, &self.manifest, &lock, places, &done);
        lacking.extend(left_out);
        wrong.extend(shared);
        catalog
    }

    /// Notes the grants whose certificates or keys cannot be used.
    pub(super) fn look_at_certificates(&self, lacking: &mut Diagnostics) {
        for (line, error) in egress_setup::unusable(&self.manifest, &self.base) {
            lacking.add(line, format!("{error:#}"));
        }
    }

    /// Notes the granted directories that cannot be opened.
    pub(super) fn look_at_directories(&self, lacking: &mut Diagnostics) {
        let folders = capability::dir::Folders::new(&self.base, Clock::SYSTEM);
        for tool in &self.manifest.tools {
            let sections = std::iter::once(&tool.all).chain(tool.functions.values());
            for grant in sections.flat_map(|section| &section.grants.dir) {
                if let Err(error) = folders.look(grant) {
                    let say = format!("tool `{}`: {error}. Make it, or mount it", tool.name);
                    lacking.add(grant.line, say);
                }
            }
        }
    }

    /// What a start does about what cannot be had, as `start` of `[host]` has it: it is wrong, or only
    /// said.
    pub(super) fn weigh(&self, wrong: &mut Diagnostics, lacking: Diagnostics) -> Vec<String> {
        match self.manifest.host.start {
            Start::Strict => {
                wrong.append(lacking);
                Vec::new()
            }
            Start::Degraded => lacking
                .iter()
                .map(|one| format!("degraded: {one}"))
                .collect(),
        }
    }

    fn settle(&self, mut wrong: Diagnostics, lacking: Diagnostics) -> anyhow::Result<()> {
        for said in self.weigh(&mut wrong, lacking) {
            tracing::error!("{said}");
        }
        wrong.into_result()
    }

    pub(super) fn callers(&self) -> anyhow::Result<Callers> {
        let own_uid = rustix::process::geteuid().as_raw();
        Ok(Callers::new(
            &self.manifest.callers,
            own_uid,
            self.local_token()?,
        ))
    }

    /// Everything that a start loads, and all that is wrong with it in one run, the ground included: where
    /// others can change that, no program is run and nothing is made. Of a host that runs, what counts
    /// over all calls goes on counting, and components that did not change are not loaded twice.
    pub(super) async fn load(
        &self,
        exposed: Diagnostics,
        sandbox: &Sandbox,
        former: Option<(&SharedServices, &Catalog)>,
    ) -> anyhow::Result<(SharedServices, Snapshot)> {
        let is_safe = exposed.is_empty();
        let (mut wrong, mut lacking) = (exposed, Diagnostics::of(self));
        let dialer = match former {
            None => self.dialer().cloned(),
            Some((world, _)) => {
                let dialer = self.new_dialer();
                dialer.map(|dialer| Arc::new(dialer.after(&world.dialer)))
            }
        };
        let dialer = wrong.stage(dialer).unwrap_or_default();
        let history = former.map(|(world, _)| Arc::clone(world.secrets.history()));
        let secrets = self
            .secrets(is_safe, history.unwrap_or_default(), &mut lacking)
            .await;
        let mut world = self.world(dialer, secrets);
        if let Some((former, _)) = former {
            world.go_on_from(former);
        }
        self.look_at_certificates(&mut lacking);
        self.look_at_directories(&mut lacking);
        let nothing = Catalog::default();
        let former = former.map_or(&nothing, |(_, catalog)| catalog);
        let catalog = self.tools((former, sandbox, &world), &mut wrong, &mut lacking);
        // Where there is no token yet, one is made.
        let callers = match is_safe || self.token_file().exists() {
            true => wrong.stage(self.callers()),
            false => None,
        };
        self.settle(wrong, lacking)?;
        let callers = callers.context("there are no callers")?;
        Ok((world, Snapshot::new(callers, catalog, self.mode())))
    }

    /// Puts a host together that runs calls on these lanes, and what its tools reach.
    pub(super) async fn build_host(
        &self,
        state: StateLock,
        exposed: Diagnostics,
        lanes: Lanes,
    ) -> anyhow::Result<(Arc<Host>, SharedServices)> {
        let sandbox = Arc::new(Sandbox::new(Clock::SYSTEM)?);
        let (world, snapshot) = self.load(exposed, &sandbox, None).await?;
        let quota = Quota::new(&self.manifest);
        let host = Host::new(snapshot, quota, (sandbox, lanes), self.ledger(state)?);
        Ok((Arc::new(host), world))
    }

    /// Puts a host together for a command that makes its calls itself.
    pub(super) async fn host(&self, state: StateLock) -> anyhow::Result<Arc<Host>> {
        Ok(self
            .build_host(state, self.exposed_files(), Lanes::for_one()?)
            .await?
            .0)
    }

    fn ledger(&self, state: StateLock) -> anyhow::Result<Ledger> {
        let header = Header {
            host_version: env!("CARGO_PKG_VERSION"),
            mode: self.mode(),
            manifest: &self.digest,
        };
        Ledger::open(state, &header, Clock::SYSTEM)
            .with_context(|| format!("cannot open the ledger in {}", self.state().display()))
    }
}

/// The lock file at this path; empty where there is none.
///
/// # Errors
///
/// It cannot be read, or is [`Damaged`].
pub(super) fn read_lock(path: &Path) -> anyhow::Result<Lock> {
    let parsed = match bounded::text(path, MOST_LOCK) {
        Ok(text) => Lock::parse(&text),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => return Ok(Lock::default()),
            io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => {
                Err(Damaged::new(format!("the lock file is damaged: {error}")))
            }
            _ => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        },
    };
    parsed.with_context(|| path.display().to_string())
}

/// A bare name is looked up in PATH, anything else starts at the manifest's folder.
pub(super) fn is_path(program: &Path) -> bool {
    program.components().count() > 1
}

/// Makes a folder that is this user's alone, or checks that it is.
pub(super) fn private_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}
