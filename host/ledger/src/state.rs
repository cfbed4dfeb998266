//! Whose a state folder is: one process owns it, by a lock that it holds for life. Whatever writes in
//! the folder takes the lock as proof that it may.
//!
//! Only the lock counts. What stands in its file is said to people and to other commands; once nobody
//! holds the lock it means nothing. The folder is locked beside the file: people remove a lock that they
//! take for a stale one, and whoever comes then would lock another file. The file is locked too, since
//! other users may be able to open the folder, and hold its lock, but not the file.
//!
//! It does not know what is kept in the folder.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::terms::stamp;

/// The lock's file in the state folder.
const NAME: &str = "owner.lock";

const NOT_OPENED: &str = "its owner.lock cannot be opened";

/// The longest text that is read of it, in bytes.
const LONGEST: usize = 1 << 10;

/// How long a lock that is held is tried again: somebody may only have looked whether it is, or was
/// just about to say who he is.
const MOMENT: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(5);

/// What an owner does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It serves until it is stopped.
    Serve,
    /// It serves the agent that started it, and others as long as they are there.
    Stdio,
    /// It makes calls of its own and ends.
    Call,
}

impl Role {
    /// The command, as it is typed.
    const fn command(self) -> &'static str {
        match self {
            Self::Serve => "toolhost serve",
            Self::Stdio => "toolhost serve --stdio",
            Self::Call => "a command that makes its own calls",
        }
    }
}

/// The process that owns a state folder, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// Its process, by the number that it has for itself: in a container it may be another outside.
    pub pid: u32,
    /// Since when: RFC 3339, UTC.
    pub since: String,
    /// What it does.
    pub role: Role,
}

/// A state folder that another process owns.
#[derive(Debug)]
pub struct Held {
    folder: PathBuf,
    /// Who it is, where it has said so.
    pub owner: Option<LockHolder>,
}

impl Held {
    /// Whether the owner ends by itself soon.
    #[must_use]
    pub fn is_brief(&self) -> bool {
        let role = self.owner.as_ref().map(|owner| owner.role);
        role == Some(Role::Call)
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        match &self.owner {
            Some(LockHolder { pid, since, role }) => write!(
                f,
                "the state folder {folder} is in use by process {pid} ({}, since {since})",
                role.command()
            ),
            None => write!(
                f,
                "the state folder {folder} is in use by a process that has not said who it is"
            ),
        }
    }
}

/// Why a state folder is not this process's.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process owns it.
    #[error("{0}; stop it, or choose another folder with `state` of [host]")]
    Held(Held),
    /// It is no folder that a host could own.
    #[error("{path} cannot be the state folder: {why}")]
    Unfit {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
}

impl LockError {
    fn unfit(path: &Path, why: impl Into<String>) -> Self {
        Self::Unfit {
            path: path.to_owned(),
            why: why.into(),
        }
    }

    fn io(folder: &Path, what: &str, error: io::Error) -> Self {
        let next = match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => {
                "the host writes there: name a folder on another disk with `state` of [host]"
            }
            _ => "the host needs a folder of its own that it can write",
        };
        Self::unfit(folder, format!("{what}: {error}; {next}"))
    }
}

/// Proof that this process owns a state folder. Given back when it is dropped, and with the process
/// however that ends.
#[derive(Debug)]
pub struct StateLock {
    /// The folder, which is locked as well: its file can be removed while it is.
    around: File,
    file: File,
    folder: PathBuf,
}

impl toolhost_core::gate::StateOwner for StateLock {}

impl StateLock {
    /// Takes a state folder, which is made (0700) where it is missing.
    ///
    /// It waits a fifth of a second at most, and is for the start of a process.
    ///
    /// # Errors
    ///
    /// Another process owns it; others may write in it; it, or its disk, can have no lock.
    pub fn take(folder: &Path, role: Role) -> Result<Self, LockError> {
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(|error| LockError::io(folder, "it cannot be made", error))?;
        let around = open_folder(folder)
            .map_err(|error| LockError::io(folder, "it cannot be opened", error))?;
        let file = open(&around, OFlags::RDWR | OFlags::CREATE)
            .map_err(|error| LockError::io(folder, NOT_OPENED, error))?;
        is_own(folder, &file)?;
        for part in [&file, &around] {
            let how = FlockOperation::NonBlockingLockExclusive;
            if let Some(held) = lock(part, how, &file, folder)? {
                return Err(LockError::Held(held));
            }
        }
        let lock = Self {
            around,
            file,
            folder: folder.to_owned(),
        };
        let said = lock.say(role);
        said.map_err(|error| LockError::io(folder, "its owner.lock cannot be written", error))?;
        Ok(lock)
    }

    /// The folder that is owned.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn say(&self, role: Role) -> io::Result<()> {
        let owner = LockHolder {
            pid: std::process::id(),
            since: stamp(SystemTime::now()),
            role,
        };
        let mut words = serde_json::to_vec(&owner)?;
        words.push(b'\n');
        self.file.set_len(0)?;
        self.file.write_all_at(&words, 0)
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // What cannot be done here the system does when the process ends.
        let _ = self.file.set_len(0);
        // By name: a process that was just started may have a copy of the descriptor for a moment.
        for part in [&self.around, &self.file] {
            let _ = flock(part, FlockOperation::Unlock);
        }
    }
}

/// The process that owns a folder now, if one does. None where there is no folder, or no lock in it.
///
/// It waits a fifth of a second at most.
///
/// # Errors
///
/// What stands in the lock's place is none, or cannot be read.
pub fn owner(folder: &Path) -> Result<Option<Held>, LockError> {
    let around = match open_folder(folder) {
        Ok(around) => around,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LockError::io(folder, "it cannot be opened", error)),
    };
    let file = match open(&around, OFlags::RDONLY) {
        Ok(file) => {
            is_own(folder, &file)?;
            Some(file)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(LockError::io(folder, NOT_OPENED, error)),
    };
    let words = file.as_ref().unwrap_or(&around);
    for part in [words, &around] {
        let held = lock(part, FlockOperation::NonBlockingLockShared, words, folder)?;
        if held.is_some() {
            return Ok(held);
        }
        // At once: whoever wants to own the folder meanwhile tries again for a moment only.
        let _ = flock(part, FlockOperation::Unlock);
    }
    Ok(None)
}

/// Locks the file or the folder, or says who has it: tried again for a moment.
fn lock(
    part: &File,
    how: FlockOperation,
    file: &File,
    folder: &Path,
) -> Result<Option<Held>, LockError> {
    let until = Instant::now() + MOMENT;
    loop {
        match flock(part, how) {
            Ok(()) => return Ok(None),
            Err(Errno::WOULDBLOCK) => {}
            Err(error) => return Err(no_locks(folder, error)),
        }
        let owner = words(file);
        if owner.as_ref().is_some_and(is_alive) || Instant::now() >= until {
            let folder = folder.to_owned();
            return Ok(Some(Held { folder, owner }));
        }
        thread::sleep(STEP);
    }
}

fn open_folder(folder: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::empty())?.into())
}

/// Opens the lock's file. A link is not followed, and a pipe's other end is not waited for.
fn open(around: &File, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(around, NAME, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(file.into())
}

/// Checks that nobody else can have put the lock where it is, and that it is a file.
fn is_own(folder: &Path, file: &File) -> Result<(), LockError> {
    let own = geteuid().as_raw();
    let around = std::fs::metadata(folder);
    let around = around.map_err(|error| LockError::io(folder, "it cannot be looked at", error))?;
    if around.uid() != own {
        let why = "it belongs to another user: run this as that user, or choose another folder with `state` of [host]";
        return Err(LockError::unfit(folder, why));
    }
    if around.mode() & 0o022 != 0 {
        let why = format!(
            "other users may write in it: close it with chmod go-w {}",
            folder.display()
        );
        return Err(LockError::unfit(folder, why));
    }
    let metadata = file.metadata();
    let metadata = metadata.map_err(|error| LockError::io(folder, NOT_OPENED, error))?;
    if !metadata.is_file() || metadata.uid() != own {
        let why = "its owner.lock is no plain file of this user: remove that";
        return Err(LockError::unfit(folder, why));
    }
    Ok(())
}

fn no_locks(folder: &Path, error: Errno) -> LockError {
    let why = format!(
        "its file system gives no locks ({error}), and without one two hosts could write there at once: name a folder on a local disk with `state` of [host]"
    );
    LockError::unfit(folder, why)
}

/// What stands in the file.
fn words(file: &File) -> Option<LockHolder> {
    let mut text = [0; LONGEST];
    let length = file.read_at(&mut text, 0).ok()?;
    serde_json::from_slice(text.get(..length)?).ok()
}

/// Whether there is such a process, and another one than this. The words may be those of one that was
/// killed, whose successor has not said yet who it is.
fn is_alive(owner: &LockHolder) -> bool {
    if owner.pid == std::process::id() {
        return false;
    }
    let pid = i32::try_from(owner.pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
