//! Compiled components on disk, by digest and engine, in a folder that is the operator's alone.
//! What is loaded from here runs as native code: this is the one place with unsafe code, and the
//! only place a compiled component is ever taken from.
//!
//! A file is loaded if it is this user's, writable by nobody else, and ends with the folder's seal.
//! What does not compile is remembered too, with its reason.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::compiler::{Compiler, NotCompiled, Task};
use super::inspect;
use super::seal::Seal;
use crate::terms::{Code, Fault, Wasi};

/// What the compile process makes of a component, counted: another number for other code from the same
/// bytes. 2 leaves `post-return` out where a trap in it could not be told from one before the answer.
const MADE: u32 = 2;

/// The folder of compiled components, and what fills it.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    seal: Seal,
    compiler: Compiler,
    turns: Arc<Turns>,
}

/// Of several tools with one component only the first compiles it: who comes later waits for its
/// turn and finds it done. Components are told apart by their digest's first byte.
#[derive(Debug)]
struct Turns([Mutex<()>; 64]);

/// What an earlier failure to compile means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// It would fail again: it is not tried.
    Heeded,
    /// It is tried again.
    Forgotten,
}

impl Cache {
    /// Opens the folder, made 0700 if it does not exist.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or belongs to or may be written by somebody else.
    pub fn open(folder: impl Into<PathBuf>, compiler: Compiler) -> io::Result<Self> {
        let folder = folder.into();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        owned(&folder)?;
        let seal = Seal::open(&folder)?;
        Ok(Self {
            folder,
            seal,
            compiler,
            turns: Arc::new(Turns([const { Mutex::new(()) }; 64])),
        })
    }

    /// The component of these bytes for the engine of this generation: from the cache, or inspected,
    /// compiled and put there.
    pub fn component(
        &self,
        (engine, wasi): (&Engine, Wasi),
        bytes: &[u8],
        digest: &[u8; 32],
        past: Past,
    ) -> Result<Component, Fault> {
        let path = self.path(engine, digest);
        if let Some(component) = self.load(engine, &path, past)? {
            return Ok(component);
        }
        let _turn = self.turns.of(digest);
        if let Some(component) = self.load(engine, &path, past)? {
            return Ok(component);
        }
        let failed = path.with_extension("failed");
        if past == Past::Heeded
            && let Some(why) = remembered(&failed)
        {
            let why =
                format!("{why} (so it ended at an earlier start; `toolhost lock` tries again)");
            return Err(does_not_compile(&why));
        }
        // What was said of these bytes when they were locked was said to somebody else.
        inspect(bytes, wasi)?;
        match self.compile(bytes, wasi, &path) {
            Ok(()) => drop(std::fs::remove_file(&failed)),
            Err(not) => {
                if not.lasting {
                    remember(&failed, &not.why);
                }
                return Err(does_not_compile(&not.why));
            }
        }
        let loaded = self.load(engine, &path, Past::Heeded)?;
        loaded.ok_or_else(|| {
            Fault::internal("a component that was just compiled cannot be loaded; the log says why")
        })
    }

    /// Drops what is kept of a component that nobody will load again.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or a file in it cannot be removed.
    pub fn forget(&self, digest: &[u8; 32]) -> io::Result<()> {
        let start = hex::encode(digest);
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&start) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn path(&self, engine: &Engine, digest: &[u8; 32]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        MADE.hash(&mut hasher);
        self.folder.join(format!(
            "{}-{:016x}.cwasm",
            hex::encode(digest),
            hasher.finish()
        ))
    }

    /// What the cache has of this component: nothing that may be loaded, or native code. Code that
    /// is the host's own and yet does not load asks for more than the engine has room for.
    #[allow(
        unsafe_code,
        reason = "wasmtime cannot prove that a file is its own work; the checks below can"
    )]
    fn load(&self, engine: &Engine, path: &Path, past: Past) -> Result<Option<Component>, Fault> {
        match self.sound(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                tracing::warn!(%error, "cached component not used; it is compiled anew");
                return Ok(None);
            }
        }
        // SAFETY: the file lies in a folder that only this user can write, is itself such a file,
        // and ends with the folder's seal over its name and bytes (all checked above). The seal is
        // given in one place, to what the compile process wrote: the work of this engine's version
        // and settings. wasmtime checks its own header besides.
        match unsafe { Component::deserialize_file(engine, path) } {
            Ok(component) => Ok(Some(component)),
            Err(_) if past == Past::Forgotten => Ok(None),
            Err(error) => Err(Fault::new(
                Code::BadComponent,
                format!("the component does not fit the host: {error:#}"),
            )),
        }
    }

    /// Whether a file may be loaded.
    fn sound(&self, path: &Path) -> io::Result<()> {
        owned(path)?;
        owned(&self.folder)?;
        if self.seal.holds(&name(path), path)? {
            return Ok(());
        }
        let path = path.display();
        Err(refused(format!(
            "{path} is not as the host wrote it: changed, cut off, or another's"
        )))
    }

    /// Written beside, sealed and renamed, so that nobody ever sees half a file.
    fn compile(&self, bytes: &[u8], wasi: Wasi, path: &Path) -> Result<(), NotCompiled> {
        // Several processes may share the folder, several threads this process.
        static WRITER: AtomicU64 = AtomicU64::new(0);
        let writer = WRITER.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_extension(format!("{}-{writer}.new", std::process::id()));
        let unwritten = |error: io::Error| NotCompiled {
            why: format!("{} cannot be written: {error}", beside.display()),
            lasting: false,
        };
        let mut file = new_file(&beside).map_err(unwritten)?;
        let into = file.try_clone().map_err(unwritten)?;
        let task = Task::Compile(wasi);
        let done = self.compiler.make(task, bytes, into).and_then(|()| {
            self.seal
                .put(&name(path), &mut file)
                .and_then(|()| std::fs::rename(&beside, path))
                .map_err(unwritten)
        });
        if done.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        done
    }
}

impl Turns {
    fn of(&self, digest: &[u8; 32]) -> Option<std::sync::MutexGuard<'_, ()>> {
        let turn = self.0.get(usize::from(digest[0]) % self.0.len())?;
        Some(turn.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn does_not_compile(why: &str) -> Fault {
    let why = format!("the component does not compile: {why}");
    Fault::new(Code::BadComponent, why)
}

/// The last part of a path. The cache gives it, in ASCII.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn new_file(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// What was remembered of a component that does not compile.
fn remembered(path: &Path) -> Option<String> {
    owned(path).ok()?;
    std::fs::read_to_string(path).ok()
}

fn remember(path: &Path, why: &str) {
    let written = match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => new_file(path).and_then(|mut file| io::Write::write_all(&mut file, why.as_bytes())),
    };
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "that a component does not compile is not remembered");
    }
}

/// Whether a path is this user's and nobody else may write it.
pub(super) fn owned(path: &Path) -> io::Result<()> {
    let meta = std::fs::symlink_metadata(path)?;
    let mine = meta.uid() == rustix::process::geteuid().as_raw();
    if mine && !meta.file_type().is_symlink() && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(refused(format!(
        "{} must be yours and writable by nobody else (chmod go-w)",
        path.display()
    )))
}

fn refused(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
