//! Compiled components on disk, by digest and engine, in a folder that is the operator's alone.
//! What is loaded from here runs as native code: this is the one place with unsafe code, and the
//! only place a compiled component is ever taken from.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

/// The folder of compiled components.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Opens the folder, made 0700 if it does not exist.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or belongs to or may be written by somebody else.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        owned(&folder)?;
        Ok(Self { folder })
    }

    /// The component of these bytes: from the cache, or compiled and put there.
    ///
    /// # Errors
    ///
    /// When the bytes do not compile. A cache that cannot be written is not an error.
    pub fn component(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &[u8; 32],
    ) -> wasmtime::Result<Component> {
        let path = self.path(engine, digest);
        if let Some(component) = self.load(engine, &path) {
            return Ok(component);
        }
        let compiled = engine.precompile_component(bytes)?;
        match self.store(&path, &compiled) {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled component not cached")
            }
        }
        match self.load(engine, &path) {
            Some(component) => Ok(component),
            None => Component::new(engine, bytes),
        }
    }

    fn path(&self, engine: &Engine, digest: &[u8; 32]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.folder.join(format!(
            "{}-{:016x}.cwasm",
            hex::encode(digest),
            hasher.finish()
        ))
    }

    #[allow(
        unsafe_code,
        reason = "wasmtime cannot prove that a file is its own work; the checks below can"
    )]
    fn load(&self, engine: &Engine, path: &Path) -> Option<Component> {
        owned(path).ok()?;
        owned(&self.folder).ok()?;
        // SAFETY: the file lies in a folder that only this user can write (checked above, the folder
        // at `open` too), under a name that only `store` gives, with the bytes that wasmtime made for
        // this engine's version and settings. wasmtime checks its own header besides.
        unsafe { Component::deserialize_file(engine, path) }
            .inspect_err(|error| tracing::warn!(path = %path.display(), error = format!("{error:#}"), "cached component not usable; it is compiled anew"))
            .ok()
    }

    /// Written beside and renamed, so that nobody ever sees half a file.
    fn store(&self, path: &Path, compiled: &[u8]) -> io::Result<()> {
        // Two tools may be the same component: each writer has a file of its own.
        static WRITER: AtomicU64 = AtomicU64::new(0);
        let writer = WRITER.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_extension(format!("{}-{writer}.new", std::process::id()));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(compiled)?;
        drop(file);
        std::fs::rename(&beside, path)
    }
}

/// Whether a path is this user's and nobody else may write it.
fn owned(path: &Path) -> io::Result<()> {
    let meta = std::fs::symlink_metadata(path)?;
    let mine = meta.uid() == rustix::process::geteuid().as_raw();
    if mine && !meta.file_type().is_symlink() && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{} must be yours and writable by nobody else (chmod go-w)",
            path.display()
        ),
    ))
}
