//! What the manifest may grant of the file system. Pure values.

use std::path::PathBuf;
use std::sync::Arc;

use super::capability::{Capability, Grant, Granting};
use crate::terms::Reach;

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
    pub access: DirAccess,
    /// How much of it.
    pub quota: DirQuota,
}

/// As it is listed.
pub(super) static CAPABILITY: Capability = Capability {
    name: "dir",
    imports: &["wasi:filesystem"],
    provides: &[
        ("wasi:filesystem/preopens", "0.2"),
        ("wasi:filesystem/types", "0.2"),
    ],
    provides_v03: &[
        ("wasi:filesystem/preopens", "0.3"),
        ("wasi:filesystem/types", "0.3"),
    ],
    grant: Some(Granting {
        needs: &["wasi:filesystem/preopens"],
        finds: "what is granted, else nothing",
        purpose: "files",
        example: "[tool.{}.dir.data]\nhost = \"./data\"\nguest = \"/data\"\naccess = \"read\"\n",
    }),
};

impl Grant for DirGrant {
    fn capability(&self) -> &'static Capability {
        &CAPABILITY
    }

    fn line(&self) -> u32 {
        self.line
    }

    fn reach(&self) -> Reach {
        match self.access {
            DirAccess::Read => Reach::Reads,
            DirAccess::ReadWrite => Reach::Writes,
        }
    }

    fn path(&self) -> String {
        format!("dir.{}", self.name)
    }

    fn brief(&self) -> String {
        format!("dir {} ({})", self.guest, self.access)
    }

    fn lines(&self) -> Vec<(u32, String)> {
        let host = self.host.display();
        let said = format!(
            "dir {} {host} as {} ({})",
            self.name, self.guest, self.access
        );
        vec![(self.line, said)]
    }

    fn asks(&self) -> String {
        let verb = match self.access {
            DirAccess::Read => "reads",
            DirAccess::ReadWrite => "reads and writes",
        };
        format!("{verb} {} as {}", self.host.display(), self.guest)
    }
}

/// What may be done in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DirAccess {
    /// Look and read.
    Read,
    /// Read, make, change and delete.
    ReadWrite,
}

impl std::fmt::Display for DirAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        })
    }
}

/// What a directory may come to hold by what guests do in it, and how much of it may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirQuota {
    /// The sum of its files' lengths, in bytes; a hole counts as what it pretends to be. Only for
    /// what may be written.
    pub bytes: u64,
    /// Files, directories and links in it, at any depth. Only for what may be written.
    pub files: u64,
    /// Open files and streams, of all calls at once.
    pub handles: u32,
}

impl DirQuota {
    /// What holds where the manifest says nothing.
    pub const DEFAULT: Self = Self {
        bytes: 64 << 20,
        files: 10_000,
        handles: 256,
    };
}
