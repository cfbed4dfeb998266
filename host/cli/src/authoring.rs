//! What an author's commands look at components with, where there is no manifest and no state folder:
//! an engine, a cache of the user's own, and a world with nothing in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;

use super::start::private_folder;
use crate::capability::SharedServices;
use crate::catalog::{self, Lock, Places};
use crate::compile::{Cache, Compiler, bounded};
use crate::manifest::Manifest;
use crate::sandbox::Sandbox;
use crate::terms::Clock;
use toolhost_outbound::dial::Dialer;
use toolhost_outbound::secret::Secrets;

pub(super) struct AuthoringEnv {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) cache: Cache,
    /// No folder and no bucket of it is ever there.
    world: SharedServices,
    folder: PathBuf,
}

impl AuthoringEnv {
    pub(super) fn open() -> anyhow::Result<Self> {
        let folder = cache_folder()?;
        private_folder(&folder)?;
        let cache = Cache::open(folder.join("compiled"), Compiler::this_program());
        Ok(Self {
            sandbox: Arc::new(Sandbox::new(Clock::SYSTEM)?),
            cache: cache.context("cannot open the folder of compiled components")?,
            world: SharedServices::new(
                Arc::new(Dialer::new()),
                Arc::new(Secrets::default()),
                &folder,
                &folder,
                Clock::SYSTEM,
            ),
            folder,
        })
    }

    /// Asks the tools of a manifest what they are and offer. Component paths are absolute.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(super) fn lock(&self, manifest: &Manifest) -> anyhow::Result<Lock> {
        let runtime = tokio::runtime::Handle::current();
        let places = Places {
            base: &self.folder,
            cache: &self.cache,
            world: &self.world,
        };
        // Compiling takes long and asks guests: not on a thread of the runtime.
        let locked = tokio::task::block_in_place(|| {
            catalog::lock_tools(&self.sandbox, manifest, places, &runtime, &|_| {})
        });
        locked.map_err(|troubles| {
            let said: Vec<String> = troubles.into_iter().map(|one| one.message).collect();
            anyhow::anyhow!("{}", said.join("\n"))
        })
    }
}

/// The largest component that is looked into, in bytes: as many as the host runs.
pub(super) const MOST_COMPONENT: u64 = 64 << 20;

/// A file, within its bound.
pub(super) fn bounded(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    bounded::read(path, most).with_context(|| format!("cannot read {}", path.display()))
}

/// A file of a folder that a stranger may have filled, within its bound: no link leads out of the folder.
pub(super) fn beneath(folder: &Path, path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let folder = Dir::open_ambient_dir(folder, ambient_authority())?;
    let mut options = OpenOptions::new();
    // To open a pipe without it is to wait for its other end.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = folder.open_with(path, options.read(true).custom_flags(flags))?;
    bounded::read_open(bounded::regular(file.into_std())?, most)
}

/// Where this user's compiled components are kept, of all that were tried outside of a manifest.
fn cache_folder() -> anyhow::Result<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let caches =
        caches.context("there is no place for compiled components: set HOME or XDG_CACHE_HOME")?;
    Ok(Path::new(&caches).join("toolhost"))
}

/// A tool's name after its file or folder.
pub(super) fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let clean = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '_',
    };
    let name: String = stem.chars().map(clean).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    match name.get(..32).unwrap_or(name) {
        "" => "tool".to_owned(),
        name => name.to_owned(),
    }
}
