//! The ledger's folder: making and finding segments so that nobody else can slip something in. It does not know what stands in them.

use std::fs::{DirBuilder, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::LedgerError;
use crate::terms::file_stamp;

const SUFFIX: &str = ".jsonl";

/// By what a file is known to be the same: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    /// The identity of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self(meta.dev(), meta.ino()))
    }
}

/// What a disk has, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub free: u64,
    pub total: u64,
}

/// The folder, held open: a segment is reached through it and not by its path.
#[derive(Debug)]
pub(super) struct Folder {
    dir: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Makes the folder where it is missing (0700) and refuses one that others can change.
    pub(super) fn make(path: &Path) -> Result<Self, LedgerError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(LedgerError::file("make the folder", path))?;
        let folder = Self::open(path)?;
        folder.refuse_shared()?;
        Ok(folder)
    }

    /// Opens a folder to read it.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty())
            .map_err(io::Error::from)
            .map_err(LedgerError::file("open the folder", path))?;
        Ok(Self {
            dir,
            path: path.to_owned(),
        })
    }

    fn refuse_shared(&self) -> Result<(), LedgerError> {
        let found = rustix::fs::fstat(&self.dir)
            .map_err(io::Error::from)
            .map_err(LedgerError::file("look at the folder", &self.path))?;
        let why = if found.st_uid != rustix::process::geteuid().as_raw() {
            "it belongs to another user"
        } else if Mode::from_raw_mode(found.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            "other users may write in it"
        } else {
            return Ok(());
        };
        Err(LedgerError::Unsafe {
            path: self.path.clone(),
            why,
        })
    }

    /// Makes a segment that was not there before (0600).
    pub(super) fn create(&self, now: SystemTime) -> Result<(String, File), LedgerError> {
        loop {
            let name = segment_name(now);
            let flags = OFlags::WRONLY
                | OFlags::APPEND
                | OFlags::CREATE
                | OFlags::EXCL
                | OFlags::NOFOLLOW
                | OFlags::CLOEXEC;
            match rustix::fs::openat(&self.dir, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(fd) => return Ok((name, fd.into())),
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => {
                    let path = self.path.join(name);
                    return Err(LedgerError::file("make", path)(error.into()));
                }
            }
        }
    }

    /// Takes a segment away that has no record.
    pub(super) fn remove(&self, name: &str) {
        if let Err(error) = rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            tracing::warn!(segment = name, %error, "an empty segment of the ledger stays");
        }
    }

    /// Which file is found under a name.
    pub(super) fn identity(&self, name: &str) -> Option<Identity> {
        let found = rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(Identity(found.st_dev, found.st_ino))
    }

    /// What the disk has, where it says so.
    pub(super) fn room(&self) -> Option<Room> {
        let disk = rustix::fs::fstatvfs(&self.dir).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(Room {
            free: bytes(disk.f_bavail),
            total: bytes(disk.f_blocks),
        })
    }

    /// The segments' names, in the order of the alphabet.
    pub(super) fn segments(&self) -> Result<Vec<String>, LedgerError> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in rustix::fs::Dir::read_from(&self.dir)? {
                let entry = entry?;
                // A segment's name is ASCII; the hash-chained name in a segment cannot be another one.
                if let Ok(name) = entry.file_name().to_str()
                    && name.ends_with(SUFFIX)
                {
                    names.push(name.to_owned());
                }
            }
            names.sort_unstable();
            Ok(names)
        };
        list().map_err(LedgerError::file("list the folder", &self.path))
    }

    /// Opens a segment to read it. Links and what else is no plain file are refused.
    pub(super) fn read(&self, name: &str) -> Result<File, LedgerError> {
        // A pipe under a segment's name must not make us wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || -> io::Result<File> {
            let file = File::from(rustix::fs::openat(&self.dir, name, flags, Mode::empty())?);
            if file.metadata()?.is_file() {
                Ok(file)
            } else {
                Err(io::Error::other("it is no plain file"))
            }
        };
        open().map_err(LedgerError::file("read", self.path.join(name)))
    }

    /// The folder itself, to sync it: a new file is on the disk only when its name is too.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.dir.try_clone().map(File::from)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Names say when their segments began and by which process, for people. The random part is for a clock
/// that was set back, and for processes of one number in different containers.
fn segment_name(now: SystemTime) -> String {
    let random = RandomState::new().build_hasher().finish();
    format!(
        "{}-{}-{random:016x}{SUFFIX}",
        file_stamp(now),
        std::process::id()
    )
}
