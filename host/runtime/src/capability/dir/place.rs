//! Granted directories, opened: kept open from call to call, and opened anew when something else
//! stands at their path. What is opened is judged before anything in it is reached, the first time and
//! every other. What is granted twice is opened by each, but counted once.
//!
//! It does not know what the operator's own is: whoever does gives it a [`Judge`].

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wasmtime_wasi::filesystem::{self as wasi, Descriptor};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::{FsPerms, OpenMode};

use super::account::{Account, Files, Hold, Identity, files, identity};
use super::tree::Tree;
use super::workers::FileWorkers;
use crate::grants::{DirAccess, DirGrant};
use crate::terms::{Clock, Code, Fault};

/// Says of a directory that was opened at a path why no guest may have it.
pub type Judge = Arc<dyn Fn(&Path, &File) -> io::Result<()> + Send + Sync>;

/// Where relative `host` paths of the grants begin, and what all granted directories share.
#[derive(Clone)]
pub struct Folders {
    base: PathBuf,
    judge: Option<Judge>,
    shared: Arc<Shared>,
}

/// A set of directories, and what may be done in each.
type Reach = Vec<(Identity, DirAccess)>;

struct Shared {
    accounts: Mutex<HashMap<Identity, Weak<Account>>>,
    workers: Mutex<HashMap<Reach, Weak<FileWorkers>>>,
    files: Files,
    clock: Clock,
}

impl Folders {
    /// Grants are relative to this folder. By the clock it is known when a directory was measured last.
    pub fn new(base: impl Into<PathBuf>, clock: Clock) -> Self {
        Self {
            base: base.into(),
            judge: None,
            shared: Arc::new(Shared {
                accounts: Mutex::default(),
                workers: Mutex::default(),
                files: files(),
                clock,
            }),
        }
    }

    /// The same, and what is opened has to pass this judge. What was opened before is not judged again.
    #[must_use]
    pub fn judged(&self, judge: Judge) -> Self {
        Self {
            judge: Some(judge),
            ..self.clone()
        }
    }

    /// The same, and what all granted directories share is that of others.
    pub(in crate::capability) fn sharing(&self, others: &Self) -> Self {
        Self {
            shared: others.shared.clone(),
            ..self.clone()
        }
    }

    /// Whether the directory of a grant can be had now.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn look(&self, grant: &DirGrant) -> Result<(), Unopened> {
        OpenDir::open(grant, self).map(drop)
    }

    /// The folder of a grant.
    #[must_use]
    pub fn resolve(&self, host: &Path) -> PathBuf {
        self.base.join(host)
    }

    fn account(&self, of: Identity) -> Arc<Account> {
        let make = || {
            Ok::<_, std::convert::Infallible>(Account::new(
                self.shared.files.clone(),
                self.shared.clock,
            ))
        };
        let Ok(account) = shared(&self.shared.accounts, of, make);
        account
    }

    fn workers(&self, places: &[Arc<OpenDir>]) -> io::Result<Arc<FileWorkers>> {
        let key = places
            .iter()
            .map(|place| (place.identity, place.grant.access));
        let make = || {
            let rules = places
                .iter()
                .map(|place| (Arc::clone(&place.root.dir), place.grant.access));
            FileWorkers::new(rules.collect())
        };
        shared(&self.shared.workers, key.collect(), make)
    }
}

/// The value that is in use under a key, or a new one.
fn shared<K: Eq + Hash, V, E>(
    all: &Mutex<HashMap<K, Weak<V>>>,
    key: K,
    make: impl FnOnce() -> Result<V, E>,
) -> Result<Arc<V>, E> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(value) = all.get(&key).and_then(Weak::upgrade) {
        return Ok(value);
    }
    let value = Arc::new(make()?);
    all.retain(|_, value| value.strong_count() > 0);
    all.insert(key, Arc::downgrade(&value));
    Ok(value)
}

/// A granted directory, open.
pub(super) struct OpenDir {
    pub(super) grant: DirGrant,
    pub(super) root: wasi::Dir,
    pub(super) account: Arc<Account>,
    identity: Identity,
}

impl OpenDir {
    /// Room for one more open file of this caller's.
    pub(super) fn hold_file(&self, caller: &Arc<str>) -> Result<Hold, ErrorCode> {
        self.account.hold(&self.grant.quota, caller)
    }

    fn open(grant: &DirGrant, folders: &Folders) -> Result<Self, Unopened> {
        let path = folders.resolve(&grant.host);
        let open = || {
            let dir = Dir::open_ambient_dir(&path, ambient_authority())?.into_std_file();
            if let Some(judge) = &folders.judge {
                judge(&path, &dir)?;
            }
            Ok((identity(&dir.metadata()?), dir))
        };
        let (identity, dir) = open().map_err(|error: io::Error| Unopened {
            grant: Arc::clone(&grant.name),
            why: format!("{}: {error}", path.display()),
        })?;
        Ok(Self {
            root: descend(dir, grant.access),
            grant: grant.clone(),
            account: folders.account(identity),
            identity,
        })
    }

    /// Whether its path still leads to it.
    fn stands(&self, folders: &Folders) -> bool {
        std::fs::metadata(folders.resolve(&self.grant.host))
            .is_ok_and(|metadata| identity(&metadata) == self.identity)
    }

    /// Whether it may be written.
    pub(super) fn is_writable(&self) -> bool {
        self.grant.access == DirAccess::ReadWrite
    }
}

/// Refuses directories of one function that are one tree to the kernel, but are granted to be read
/// and to be written: a start judged that, and another may stand at a path by now.
fn apart(all: &[Arc<OpenDir>]) -> Result<(), Unopened> {
    let meet = |one: &OpenDir, other: &OpenDir| {
        Ok::<_, io::Error>(Tree::of(&*one.root.dir)?.meets(&Tree::of(&*other.root.dir)?))
    };
    for (at, one) in all.iter().enumerate() {
        let others = all.iter().skip(at + 1);
        for other in others.filter(|other| other.grant.access != one.grant.access) {
            let why = match meet(one, other) {
                Ok(false) => continue,
                Ok(true) => format!(
                    "it and `{}` are one tree with two kinds of access",
                    other.grant.name
                ),
                Err(error) => error.to_string(),
            };
            return Err(Unopened {
                grant: Arc::clone(&one.grant.name),
                why,
            });
        }
    }
    Ok(())
}

/// A granted directory that cannot be had now.
#[derive(Debug, thiserror::Error)]
#[error("the granted directory `{grant}` cannot be had: {why}")]
pub struct Unopened {
    grant: Arc<str>,
    why: String,
}

impl Unopened {
    /// What it is for a call. Where the directory is on the host is the operator's to know.
    pub(super) fn fault(self) -> Fault {
        let say = format!(
            "The directory `{}`, which this function is granted, cannot be had now. Your arguments did not cause it; the host's operator has to look. Functions that need no directory go on.",
            self.grant
        );
        Fault::new(Code::MissingResource, say).detail(self)
    }
}

/// A directory as wasmtime-wasi has it. Its operations run on the thread that asks: a file worker's.
pub(super) fn descend(dir: File, access: DirAccess) -> wasi::Dir {
    let (permissions, mode) = rights(access);
    wasi::Dir::new(dir, permissions, mode, true)
}

/// What a grant's access is called by wasmtime-wasi.
pub(super) fn rights(access: DirAccess) -> (FsPerms, OpenMode) {
    match access {
        DirAccess::Read => (FsPerms::ReadOnly, OpenMode::READ),
        DirAccess::ReadWrite => (FsPerms::ReadWrite, OpenMode::READ | OpenMode::WRITE),
    }
}

/// The directories of one function, open, and the threads that reach them.
pub(super) struct OpenDirs {
    pub(super) all: Vec<Arc<OpenDir>>,
    pub(super) workers: Arc<FileWorkers>,
}

impl OpenDirs {
    /// What the guest is given at its start.
    pub(super) fn preopened(&self) -> impl Iterator<Item = (Descriptor, &Arc<OpenDir>)> {
        self.all
            .iter()
            .map(|place| (Descriptor::Dir(place.root.clone()), place))
    }
}

/// The directories of one function, opened when a call first needs them.
pub struct LazyDirs {
    grants: Vec<DirGrant>,
    folders: Folders,
    open: Mutex<Option<Arc<OpenDirs>>>,
    /// Whether one was not there when somebody looked last.
    lacking: AtomicBool,
}

impl LazyDirs {
    /// Opens nothing yet.
    pub(in crate::capability) fn new(grants: &[DirGrant], folders: &Folders) -> Self {
        let lacking = |grant: &DirGrant| !folders.resolve(&grant.host).is_dir();
        Self {
            lacking: grants.iter().any(lacking).into(),
            grants: grants.to_vec(),
            folders: folders.clone(),
            open: Mutex::default(),
        }
    }

    /// Whether a directory could not be had when one was looked for last.
    pub(in crate::capability) fn is_lacking(&self) -> bool {
        self.lacking.load(Ordering::Relaxed)
    }

    /// The directories as they are now; none where none is granted.
    pub(super) fn open(&self) -> Result<Option<Arc<OpenDirs>>, Unopened> {
        let open = self.open_all();
        self.lacking.store(open.is_err(), Ordering::Relaxed);
        open
    }

    fn open_all(&self) -> Result<Option<Arc<OpenDirs>>, Unopened> {
        let Some(first) = self.grants.first() else {
            return Ok(None);
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = &*open
            && places.all.iter().all(|place| place.stands(&self.folders))
        {
            return Ok(Some(Arc::clone(places)));
        }
        let all = self.grants.iter();
        let all: Vec<_> = all
            .map(|grant| OpenDir::open(grant, &self.folders).map(Arc::new))
            .collect::<Result<_, _>>()?;
        apart(&all)?;
        let workers = self.folders.workers(&all).map_err(|error| Unopened {
            grant: Arc::clone(&first.name),
            why: error.to_string(),
        })?;
        let places = Arc::new(OpenDirs { all, workers });
        *open = Some(Arc::clone(&places));
        Ok(Some(places))
    }
}
