//! Directories: `wasi:filesystem`. wasmtime-wasi keeps a guest inside its preopened directories;
//! which those are is decided here.

mod grant;

pub use grant::{Access, DirGrant};

use std::io;
use std::path::{Path, PathBuf};

use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// Where relative `host` paths of the grants begin: the manifest's folder.
#[derive(Debug, Clone)]
pub struct Folders {
    base: PathBuf,
}

impl Folders {
    /// Grants are relative to this folder.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into() }
    }

    /// The folder of a grant.
    #[must_use]
    pub fn resolve(&self, host: &Path) -> PathBuf {
        self.base.join(host)
    }
}

/// Opens the granted directories for one guest.
pub(super) fn grant(
    wasi: &mut WasiCtxBuilder,
    grants: &[DirGrant],
    folders: &Folders,
) -> io::Result<()> {
    for grant in grants {
        let access = match grant.access {
            Access::Read => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        let host = folders.resolve(&grant.host);
        wasi.preopened_dir(&host, &grant.guest, access)
            .map_err(|error| {
                io::Error::other(format!(
                    "granted directory `{}` ({}): {error}",
                    grant.name,
                    host.display()
                ))
            })?;
    }
    Ok(())
}
