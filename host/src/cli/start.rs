//! From files to a host: the manifest and its lock are read, the state folder is made, secrets are
//! fetched, and the rooms are put together.

use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::ground::{self, Given, Ground, Kept, Owner};
use super::{Setting, out, outside, written};
use crate::call::{Host, Setup};
use crate::capability::service::dial::Dialer;
use crate::capability::service::secret::{
    CommandSource, EnvSource, FileSource, History, SecretSource, Secrets, ShortAccepted,
};
use crate::capability::{World, dir, kv};
use crate::catalog::{
    self, Cache, Catalog, Compiler, Lock, MOST_LOCK, Places, Trouble, bounded, once,
};
use crate::gate::Callers;
use crate::ledger::{Header, Ledger, Mode};
use crate::manifest::{self, CallerSpec, CommandSpec, Manifest, SecretPlace, SecretSpec};
use crate::quota::Quota;
use crate::sandbox::{Lanes, Sandbox};
use crate::terms::printable;
use crate::wire::Audience;

/// The longest manifest that is read, in bytes.
pub(super) const MOST_MANIFEST: u64 = manifest::LONGEST as u64;

/// The largest file of a token, in bytes.
const MOST_TOKEN: u64 = 4 << 10;

/// How long a command waits for the store.
const STORE: Duration = Duration::from_secs(10);

/// A manifest that was read and is sound in itself.
pub(super) struct Opened {
    pub(super) manifest: Manifest,
    /// The manifest's file.
    pub(super) path: PathBuf,
    /// Its folder: relative paths begin here.
    pub(super) base: PathBuf,
    /// SHA-256 of its text, in hex.
    pub(super) digest: String,
    dialer: OnceLock<Arc<Dialer>>,
}

impl Opened {
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
        let manifest = match manifest::parse(&name, &text) {
            Ok(manifest) => manifest,
            Err(problems) if setting.json => {
                bail!("{}", out::json_text(&problems.iter().collect::<Vec<_>>())?)
            }
            Err(problems) => bail!("{problems}"),
        };
        let base = path.parent().unwrap_or(Path::new("/")).to_owned();
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        Ok(Self {
            manifest,
            path,
            base,
            digest,
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

    /// The token made for the caller `local`.
    pub(super) fn token_file(&self) -> PathBuf {
        self.state().join("agents/token")
    }

    pub(super) fn lock_path(&self) -> PathBuf {
        catalog::lock_path(&self.path)
    }

    /// The lock file; empty where there is none.
    pub(super) fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.lock_path();
        match bounded::text(&path, MOST_LOCK) {
            Ok(text) => {
                Lock::parse(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lock::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// What a tool of this name kept in buckets, in words, if it kept anything.
    pub(super) async fn left_by(&self, name: &str) -> anyhow::Result<Option<String>> {
        let store = self.bare_world().kv;
        let left = store.left_by(name, Instant::now() + STORE).await?;
        Ok(left.map(|left| {
            format!(
                "a tool `{name}` kept {} bytes under {} keys in {} buckets, which this one would find",
                left.bytes, left.keys, left.buckets
            )
        }))
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

    /// Refuses to stand on ground that others can change. Where the state folder is missing it is
    /// made, so that nobody else makes it.
    pub(super) fn ground(&self) -> anyhow::Result<()> {
        private_folder(&self.state())?;
        self.safe_ground()
    }

    /// The same where nothing may be made.
    pub(super) fn safe_ground(&self) -> anyhow::Result<()> {
        let ground = self.whose();
        let mut wrong = ground::inspect(&ground.kept, &ground.given, ground.owner);
        wrong.extend(self.out_of_reach());
        if wrong.is_empty() {
            return Ok(());
        }
        let problems: Vec<String> = wrong.iter().map(|one| format!("error: {one}")).collect();
        bail!("{}", problems.join("\n\n"))
    }

    fn whose(&self) -> Ground {
        let owner = Owner {
            user: rustix::process::geteuid().as_raw(),
            group: (self.mode() == Mode::Dev).then(|| rustix::process::getegid().as_raw()),
        };
        Ground {
            kept: self.kept(),
            given: self.given(),
            owner,
        }
    }

    /// The judge of every granted directory that is opened.
    pub(super) fn judge(&self) -> dir::Judge {
        let ground = self.whose();
        Arc::new(move |path, opened| ground.judge(path, opened))
    }

    /// Who comes to the socket: other users, where some of them are callers.
    pub(super) fn audience(&self) -> Audience {
        match self.foreign_caller() {
            Some(_) => Audience::Others,
            None => Audience::Own,
        }
    }

    /// A caller that is known by another user than the host's.
    pub(super) fn foreign_caller(&self) -> Option<&CallerSpec> {
        let own = rustix::process::geteuid().as_raw();
        let mut callers = self.manifest.callers.iter();
        callers.find(|caller| caller.uid.is_some_and(|uid| uid != own))
    }

    /// Why a caller could not come to the socket.
    fn out_of_reach(&self) -> Option<String> {
        let (caller, socket) = (self.foreign_caller()?, self.socket()?);
        socket.starts_with(self.state()).then(|| {
            format!(
                "[caller.{}] (line {}) is another user, who cannot come to a socket in the state folder. Give it a folder of its own: [host] agents = [\"unix:/run/toolhost/agent.sock\"]",
                caller.name, caller.line
            )
        })
    }

    /// What is the operator's.
    fn kept(&self) -> Vec<Kept> {
        let state = self.state();
        let mut kept = vec![
            Kept::unchanged("the manifest", self.path.clone()),
            Kept::unchanged("the lock", self.lock_path()),
            Kept::private("the ledger", state.join("ledger")),
            Kept::private("the token", self.token_file()),
            Kept::private("the state folder", state),
        ];
        if let Some(folder) = self.socket().as_deref().and_then(Path::parent) {
            kept.push(Kept::unchanged("the socket's folder", folder.to_owned()));
        }
        // Their bytes are pinned by the lock.
        kept.extend(self.manifest.tools.iter().map(|tool| {
            let what = format!("the component of the tool `{}`", tool.name);
            Kept::pinned(what, self.base.join(&tool.component))
        }));
        let keys = outside::keys(&self.manifest);
        for path in outside::paths(&self.manifest) {
            let what = "a certificate or key of `[host.egress]` or of a grant";
            let keep = match keys.contains(path) {
                true => Kept::secret,
                false => Kept::unchanged,
            };
            kept.push(keep(what.to_owned(), self.base.join(path)));
        }
        for (name, spec) in &self.manifest.secrets {
            match &spec.place {
                // Which other users may read it is judged when it is read.
                SecretPlace::File(path) => {
                    let what = format!("the secret `{name}`");
                    kept.push(Kept::secret(what, self.base.join(path)));
                }
                SecretPlace::Command(command) if is_path(&command.program) => {
                    let what = format!("the program that prints the secret `{name}`");
                    kept.push(Kept::unchanged(what, self.base.join(&command.program)));
                }
                SecretPlace::Command(_) | SecretPlace::Env(_) => {}
            }
        }
        kept
    }

    /// What tools are granted.
    fn given(&self) -> Vec<Given> {
        let mut given: Vec<Given> = Vec::new();
        let tools = self.manifest.tools.iter();
        let sections = tools.flat_map(|tool| {
            let sections = std::iter::once(&tool.all).chain(tool.functions.values());
            sections.map(move |section| (tool, section))
        });
        for (number, (tool, section)) in sections.enumerate() {
            for grant in &section.grants.dir {
                let what = format!("`{}` of the tool `{}`", grant.name, tool.name);
                let path = self.base.join(&grant.host);
                let writable = grant.access == dir::Access::ReadWrite;
                let known = given.iter_mut().find(|known| {
                    known.what == what && known.path == path && known.writable == writable
                });
                match known {
                    Some(known) => known.sections.push(number),
                    None => given.push(Given {
                        what,
                        path,
                        writable,
                        sections: vec![number],
                    }),
                }
            }
        }
        given
    }

    /// The way to the outside, made once.
    ///
    /// # Errors
    ///
    /// A file that it needs cannot be used.
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
    /// A file that it needs cannot be used.
    pub(super) fn new_dialer(&self) -> anyhow::Result<Dialer> {
        outside::dialer(&self.manifest, &self.base)
    }

    fn world(&self, dialer: Arc<Dialer>, secrets: Secrets) -> World {
        World {
            dialer,
            secrets: Arc::new(secrets),
            folders: dir::Folders::new(&self.base).judged(self.judge()),
            kv: kv::Place::new(self.state().join("kv.sqlite")),
        }
    }

    /// A world without secrets and certificates: enough to look at components, and to ask them what
    /// they offer.
    pub(super) fn bare_world(&self) -> World {
        self.world(Arc::new(Dialer::new()), Secrets::default())
    }

    /// The secrets of the manifest, with what the host has known before; or everything that is wrong
    /// with them.
    pub(super) async fn secrets(&self, history: Arc<History>) -> anyhow::Result<Secrets> {
        let secrets = &self.manifest.secrets;
        let sources = secrets
            .iter()
            .map(|(name, spec)| (name.clone(), self.source(spec)));
        let loaded = Secrets::load(sources.collect(), history).await;
        loaded.map_err(|unloaded| {
            let said = unloaded.iter().map(|one| {
                let line = secrets.get(&one.name).map_or(0, |spec| spec.line);
                format!("secret `{}` (line {line}): {}", one.name, one.error)
            });
            anyhow::anyhow!("{}", said.collect::<Vec<_>>().join("\n"))
        })
    }

    fn source(&self, spec: &SecretSpec) -> Box<dyn SecretSource> {
        let source: Box<dyn SecretSource> = match &spec.place {
            SecretPlace::Env(variable) => Box::new(EnvSource::new(variable.clone())),
            SecretPlace::File(path) => Box::new(FileSource::new(self.base.join(path))),
            SecretPlace::Command(spec) => Box::new(self.command(spec)),
        };
        match spec.accept_short {
            true => Box::new(ShortAccepted(source)),
            false => source,
        }
    }

    fn command(&self, spec: &CommandSpec) -> CommandSource {
        CommandSource {
            program: if is_path(&spec.program) {
                self.base.join(&spec.program)
            } else {
                spec.program.clone()
            },
            arguments: spec.arguments.clone(),
            folder: self.base.clone(),
            timeout: spec.timeout,
            ttl: spec.ttl,
        }
    }

    /// The token for `local`, made at the first start, where no caller has a token of its own.
    fn local_token(&self) -> anyhow::Result<Option<[u8; 32]>> {
        let callers = &self.manifest.callers;
        let local = callers.is_empty() || callers.iter().any(|caller| &*caller.name == "local");
        if !local || callers.iter().any(|caller| caller.token_sha256.is_some()) {
            return Ok(None);
        }
        let path = self.token_file();
        private_folder(&self.state().join("agents"))?;
        let token = match bounded::text(&path, MOST_TOKEN) {
            Ok(token) => token.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_token(&path)?,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        if token.len() < 32 {
            bail!(
                "{} holds no token; remove it and start again",
                path.display()
            );
        }
        Ok(Some(Sha256::digest(token.as_bytes()).into()))
    }

    /// The tools, checked against the lock: what can be looked at without running.
    pub(super) fn tools(&self, sandbox: &Sandbox, world: &World) -> anyhow::Result<Catalog> {
        self.tools_after(&Catalog::default(), sandbox, world)
    }

    /// The same for a host that runs: components that `former` has are taken from there.
    fn tools_after(
        &self,
        former: &Catalog,
        sandbox: &Sandbox,
        world: &World,
    ) -> anyhow::Result<Catalog> {
        let cache = self.cache()?;
        let lock = self.lock()?;
        // A host that runs waits for no terminal.
        let bar = match former.functions().next() {
            Some(_) => Bar(ProgressBar::hidden()),
            None => Bar::new("loading", self.manifest.tools.len()),
        };
        let places = Places {
            base: &self.base,
            cache: &cache,
            world,
        };
        let done = |tool: &str| bar.step(tool);
        let loaded = catalog::load_after(former, sandbox, &self.manifest, &lock, places, &done);
        loaded.map_err(|troubles| self.tell(&troubles))
    }

    pub(super) fn callers(&self) -> anyhow::Result<Callers> {
        let own_uid = rustix::process::geteuid().as_raw();
        Ok(Callers::new(
            &self.manifest.callers,
            own_uid,
            self.local_token()?,
        ))
    }

    /// Who may ask for what, where `former` is what was loaded before.
    pub(super) fn setup(
        &self,
        former: &Catalog,
        sandbox: &Sandbox,
        world: &World,
    ) -> anyhow::Result<Setup> {
        let catalog = self.tools_after(former, sandbox, world)?;
        Ok(Setup::new(self.callers()?, catalog, self.mode()))
    }

    /// Puts a host together that runs calls on these lanes, and what its tools reach.
    pub(super) async fn house(&self, lanes: Lanes) -> anyhow::Result<(Arc<Host>, World)> {
        self.ground()?;
        let world = self.world(self.dialer()?.clone(), self.secrets(Arc::default()).await?);
        let sandbox = Arc::new(Sandbox::new()?);
        let setup = self.setup(&Catalog::default(), &sandbox, &world)?;
        let quota = Quota::new(&self.manifest);
        let host = Host::new(setup, quota, (sandbox, lanes), self.ledger()?);
        Ok((Arc::new(host), world))
    }

    /// Puts a host together for a command that makes its calls itself.
    pub(super) async fn host(&self) -> anyhow::Result<Arc<Host>> {
        Ok(self.house(Lanes::for_one()?).await?.0)
    }

    fn ledger(&self) -> anyhow::Result<Ledger> {
        let header = Header {
            host_version: env!("CARGO_PKG_VERSION"),
            mode: self.mode(),
            manifest: &self.digest,
        };
        let folder = self.state().join("ledger");
        Ledger::open(&folder, &header, std::time::SystemTime::now)
            .with_context(|| format!("cannot open the ledger in {}", folder.display()))
    }

    /// All that is wrong with the tools, one message.
    pub(super) fn tell(&self, troubles: &[Trouble]) -> anyhow::Error {
        let name = self
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut said: Vec<String> = troubles
            .iter()
            .map(|t| format!("error: {}\n  --> {name}:{}", t.message, t.line))
            .collect();
        said.dedup();
        anyhow::anyhow!("{}", said.join("\n\n"))
    }
}

/// A bare name is looked up in PATH, anything else starts at the manifest's folder.
fn is_path(program: &Path) -> bool {
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

/// Makes the token. Of several processes that start together, one's is the token of all.
fn make_token(path: &Path) -> anyhow::Result<String> {
    let mut random = [0_u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let token = hex::encode(random);
    match once::create(path, format!("{token}\n").as_bytes()) {
        Ok(()) => Ok(token),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let first = bounded::text(path, MOST_TOKEN);
            Ok(first
                .with_context(|| format!("cannot read {}", path.display()))?
                .trim()
                .to_owned())
        }
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}

/// A progress bar on stderr, where people look at it, for work that lasts.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(what: &'static str, steps: usize) -> Self {
        if !out::is_watched() || steps < 2 {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(u64::try_from(steps).unwrap_or(0)).with_prefix(what);
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub(super) fn step(&self, done: &str) {
        self.0.set_message(printable(done).into_owned());
        self.0.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
