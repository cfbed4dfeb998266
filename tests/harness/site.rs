//! A folder of one test's own: a manifest's place, with the components it may name, gone with the
//! test.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tempfile::TempDir;
use toolhost_core::manifest::{self, Manifest};
use toolhost_core::terms::Clock;
use toolhost_engine::catalog::{self, Catalog, Lock, Places, Trouble};
use toolhost_outbound::dial::Dialer;
use toolhost_outbound::secret::{Secret, Secrets};
use toolhost_runtime::capability::SharedServices;

use super::{cache, guest, sandbox, tool};

/// A folder for one host.
pub(crate) struct Site {
    folder: TempDir,
    secrets: Vec<(String, String)>,
    dialer: Option<Arc<Dialer>>,
}

impl Site {
    /// An empty folder but for the hostile and exemplary guests.
    pub(crate) fn new() -> Self {
        let site = Self::empty();
        for name in [
            "everything.wasm",
            "hello.wasm",
            "imports.wasm",
            "json.wasm",
            "program.wasm",
            "rogue.wasm",
            "stranger.wasm",
            "types.wasm",
        ] {
            site.link(&guest(name), name);
        }
        site
    }

    /// A folder with the real tools, too.
    pub(crate) fn with_tools() -> Self {
        let site = Self::new();
        for name in ["fetch", "files", "github", "jq", "orders", "table"] {
            let name = format!("{name}.wasm");
            site.link(&tool(&name), &name);
        }
        site
    }

    /// A folder with nothing in it.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("th-").tempdir();
        Self {
            folder: folder.expect("a folder"),
            secrets: Vec::new(),
            dialer: None,
        }
    }

    /// Knows the value of one of the manifest's secrets.
    pub(crate) fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The values of the secrets, which must not be in anything that leaves the host.
    pub(crate) fn secret_values(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(|(_, value)| value.as_str())
    }

    /// Reaches the world in a way of its own.
    pub(crate) fn dialer(mut self, dialer: Arc<Dialer>) -> Self {
        self.dialer = Some(dialer);
        self
    }

    /// A path within.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders it is in.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file")
    }

    /// Names what is elsewhere.
    pub(crate) fn link(&self, target: &Path, name: &str) {
        symlink(target, self.path(name)).expect("a link");
    }

    /// Locks and loads the tools of a manifest, which begins with its second line.
    pub(crate) fn load(&self, manifest: &Manifest) -> Result<Catalog, Vec<Trouble>> {
        self.load_locked(manifest, &self.lock(manifest)?)
    }

    /// Asks the tools of a manifest what they are.
    pub(crate) fn lock(&self, manifest: &Manifest) -> Result<Lock, Vec<Trouble>> {
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        let runtime =
            RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().expect("a runtime for guests"));
        self.with_places(|places| {
            catalog::lock_tools(&sandbox(), manifest, places, runtime.handle(), &|_| ())
        })
    }

    /// Loads the tools of a manifest as a lock has them.
    pub(crate) fn load_locked(
        &self,
        manifest: &Manifest,
        lock: &Lock,
    ) -> Result<Catalog, Vec<Trouble>> {
        self.with_places(|places| catalog::load(&sandbox(), manifest, lock, places, &|_| ()))
    }

    /// Two tests that compile the same component at once would write the same file.
    fn with_places<T>(&self, work: impl FnOnce(Places<'_>) -> T) -> T {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (cache, world) = (cache(), self.world());
        work(Places {
            base: self.folder.path(),
            cache: &cache,
            world: &world,
        })
    }

    /// What a host in this folder reaches.
    pub(crate) fn world(&self) -> SharedServices {
        let secrets: Secrets = self
            .secrets
            .iter()
            .map(|(name, value)| {
                let secret = Secret::new(value.clone().into_bytes()).expect("a secret");
                (Arc::from(name.as_str()), secret)
            })
            .collect();
        let dialer = self.dialer.clone().unwrap_or_default();
        let folder = self.folder.path();
        SharedServices::new(dialer, Arc::new(secrets), folder, folder, Clock::SYSTEM)
    }
}

/// Reads a manifest that has to be sound. Its first line, the schema, is added.
pub(crate) fn manifest(text: &str) -> Manifest {
    match manifest::parse("toolhost.toml", &format!("schema = 1\n{text}")) {
        Ok(manifest) => manifest,
        Err(problems) => panic!("{problems}"),
    }
}
