//! What the manifest may grant of the file system. Pure values.

use std::path::PathBuf;
use std::sync::Arc;

/// One named grant: a directory of the host under a name in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirGrant {
    /// Its name in the manifest.
    pub name: Arc<str>,
    /// Line of the grant in the manifest, from 1.
    pub line: u32,
    /// The directory of the host, as written; the command line resolves it against the manifest's folder.
    pub host: PathBuf,
    /// The path the guest sees: absolute, normal, and no other grant's parent.
    pub guest: String,
    /// What may be done in it.
    pub access: Access,
    /// How much of it.
    pub quota: Quota,
}

/// What may be done in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Look and read.
    Read,
    /// Read, make, change and delete.
    ReadWrite,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        })
    }
}

/// What a directory may come to hold by what guests do in it, and how much of it may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The sum of its files' lengths, in bytes; a hole counts as what it pretends to be. Only for
    /// what may be written.
    pub bytes: u64,
    /// Files, directories and links in it, at any depth. Only for what may be written.
    pub files: u64,
    /// Open files and streams, of all calls at once.
    pub handles: u32,
}

impl Quota {
    /// What holds where the manifest says nothing.
    pub const DEFAULT: Self = Self {
        bytes: 64 << 20,
        files: 10_000,
        handles: 256,
    };
}
