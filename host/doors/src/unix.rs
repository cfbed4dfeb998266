//! The Unix socket: who may be in its folder, and whether somebody is at its other end.
//!
//! It does not know what is said.

use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;

use super::mcp::Peer;

/// The longest path of a Unix socket, in bytes: `sun_path` of Linux, less the final zero.
const MAX_PATH: usize = 107;

/// Who may come to a socket. Who is a caller is asked there all the same, by the uid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The host's own user: nobody else can even connect.
    Own,
    /// Other users too: some of them are callers.
    Others,
}

impl Audience {
    /// Permissions of the socket's folder: others go through, and do not look around.
    const fn folder(self) -> u32 {
        match self {
            Self::Own => 0o700,
            Self::Others => 0o711,
        }
    }

    /// Permissions of the socket.
    const fn socket(self) -> u32 {
        match self {
            Self::Own => 0o600,
            Self::Others => 0o666,
        }
    }

    /// What others may have of the folder under no circumstances.
    const fn closed(self) -> u32 {
        match self {
            Self::Own => 0o077,
            Self::Others => 0o022,
        }
    }
}

/// A bound socket, which goes away with this value.
#[derive(Debug)]
pub(super) struct UnixDoor {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: at the end only our own socket is removed.
    identity: (u64, u64),
}

impl UnixDoor {
    /// Binds `path`.
    pub(super) fn bind(path: &Path, audience: Audience) -> io::Result<Self> {
        let folder = own_folder(folder_of(path)?, audience)?;
        // Two hosts that start at once must not take each other's new socket for a stale one.
        let _lock = lock(&folder, path)?;
        remove_stale(path)?;
        let listener = UnixListener::bind(path)
            .map_err(|error| refuse(path, &format!("cannot be bound: {error}.")))?;
        listener.set_nonblocking(true)?;
        std::fs::set_permissions(path, Permissions::from_mode(audience.socket()))?;
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            identity: identity(&metadata),
        })
    }

    /// Where it is bound.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What connections are taken from, in whatever runtime.
    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for UnixDoor {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| identity(&metadata) == self.identity);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// Whether a socket could be bound at a path, without binding it. A host that answers there is no reason
/// why not: it may be the one that is asked about.
///
/// # Errors
///
/// Why not, and what to do.
pub fn bindable(path: &Path, audience: Audience) -> io::Result<()> {
    let folder = folder_of(path)?;
    match real_folder(folder) {
        Ok(opened) => is_own(folder, &opened, audience)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => can_be_made(folder)?,
        Err(error) => return Err(error),
    }
    is_ours_or_nothing(path).map(drop)
}

/// The folder of a socket, where there can be a socket.
fn folder_of(path: &Path) -> io::Result<&Path> {
    let length = path.as_os_str().len();
    if length > MAX_PATH {
        let why = format!(
            "has {length} bytes, a socket's path at most {MAX_PATH} bytes. Name a shorter one with `agents` of [host], like \"unix:/run/toolhost/agent.sock\", or with `admin` where it is the operators'; `serve --stdio` needs none."
        );
        return Err(refuse(path, &why));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => Ok(folder),
        _ => Err(refuse(
            path,
            "has no folder of its own. Write a path such as \".toolhost/agents/agent.sock\".",
        )),
    }
}

/// Waits until no other host binds here. The lock is a file of this user's alone, in a folder where nobody
/// else can put one: others could lock the folder itself, and hold up every start.
fn lock(folder: &File, path: &Path) -> io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let own = Mode::RUSR | Mode::WUSR;
    let lock =
        rustix::fs::openat(folder, &name, flags | OFlags::NONBLOCK, own).map_err(|error| {
            let why = format!(
                "cannot be locked: {error}. Remove {} beside it.",
                name.display()
            );
            refuse(path, &why)
        })?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    Ok(lock.into())
}

/// Whether this user may make a folder that is not there.
fn can_be_made(folder: &Path) -> io::Result<()> {
    let around = folder.ancestors().skip(1).find(|around| around.exists());
    let around = around.unwrap_or(Path::new("/"));
    let may = rustix::fs::access(around, Access::WRITE_OK | Access::EXEC_OK);
    may.map_err(|error| {
        let why = format!("cannot be made in {}: {error}.", around.display());
        unfit(folder, &why)
    })
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn refuse(path: &Path, why: &str) -> io::Error {
    io::Error::other(format!("the socket {} {why}", path.display()))
}

/// Opens the folder, made where it is missing, and checks that it is ours, and as closed as it has
/// to be.
fn own_folder(folder: &Path, audience: Audience) -> io::Result<File> {
    DirBuilder::new()
        .recursive(true)
        .mode(audience.folder())
        .create(folder)
        .map_err(|error| unfit(folder, &format!("cannot be made: {error}.")))?;
    let opened = real_folder(folder)?;
    is_own(folder, &opened, audience)?;
    Ok(opened)
}

fn is_own(folder: &Path, opened: &File, audience: Audience) -> io::Result<()> {
    let metadata = opened.metadata()?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let why = "belongs to another user. Choose a folder of your own.";
        return Err(unfit(folder, why));
    }
    closed(folder, &metadata, audience)
}

fn unfit(folder: &Path, why: &str) -> io::Error {
    io::Error::other(format!("the socket's folder {} {why}", folder.display()))
}

/// Opens a folder, which no link leads to.
fn real_folder(folder: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(folder, flags, Mode::empty()).map_err(|error| {
        let why = format!("is a link or cannot be opened: {error}. It has to be a real folder.");
        io::Error::new(error.kind(), unfit(folder, &why))
    });
    Ok(opened?.into())
}

/// Checks that others have no more of the folder than they may.
fn closed(folder: &Path, metadata: &Metadata, audience: Audience) -> io::Result<()> {
    if metadata.mode() & audience.closed() == 0 {
        return Ok(());
    }
    let why = format!(
        "is open to other users (mode {:04o}). Close it: chmod {:o} {}",
        metadata.mode() & 0o7777,
        audience.folder(),
        folder.display()
    );
    Err(unfit(folder, &why))
}

/// Whether a user may be the host's: this one, or root.
pub(super) fn is_trusted(user: u32) -> bool {
    user == 0 || user == rustix::process::geteuid().as_raw()
}

/// Whether this is how connecting fails where nobody listens.
pub(super) fn is_nobody(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Whether there is something at a path that a host may have bound: a socket, and no link to one, in a
/// folder where nobody else could have put it. False where there is nothing, or can be none.
pub(super) fn may_be_a_hosts(path: &Path, audience: Audience) -> io::Result<bool> {
    if path.as_os_str().len() > MAX_PATH {
        return Ok(false);
    }
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let folder = path.parent().unwrap_or(path);
    let opened = match real_folder(folder) {
        Err(error) if gone(&error) => return Ok(false),
        opened => opened?,
    };
    let of_folder = opened.metadata()?;
    if !is_trusted(of_folder.uid()) {
        let why = "belongs to another user, who decides what answers there.";
        return Err(unfit(folder, why));
    }
    closed(folder, &of_folder, audience)?;
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if gone(&error) => return Ok(false),
        metadata => metadata?,
    };
    if metadata.file_type().is_socket() && is_trusted(metadata.uid()) {
        return Ok(true);
    }
    Err(refuse(
        path,
        "is something else, or somebody else's: no host is asked there. Remove it, or choose another path.",
    ))
}

/// Whether there is a socket of this user's at a path; false where there is nothing.
fn is_ours_or_nothing(path: &Path) -> io::Result<bool> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(refuse(
            path,
            "is something else: a file, a folder or a link. Remove it, or choose another path.",
        ));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(refuse(
            path,
            "belongs to another user. Choose another path.",
        ));
    }
    Ok(true)
}

/// Removes a socket that a host left behind, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    if !is_ours_or_nothing(path)? {
        return Ok(());
    }
    match knock(path) {
        // One that is too busy to take another connection is there as well.
        Ok(()) | Err(Errno::AGAIN) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!(
                "another host answers on {}. Stop it, or choose another state folder.",
                path.display()
            ),
        )),
        Err(Errno::CONNREFUSED) => std::fs::remove_file(path),
        Err(error) => Err(refuse(
            path,
            &format!("is in doubt: {error}. Remove it if no host runs."),
        )),
    }
}

/// Connects to a socket, without waiting for whoever listens there.
fn knock(path: &Path) -> rustix::io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)
}

impl Peer for OwnedWriteHalf {
    /// A peer that closed only its sending half still takes an empty message; one that is gone
    /// does not.
    fn is_gone(&self) -> bool {
        let stream: &UnixStream = self.as_ref();
        rustix::net::send(stream, &[], SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
            == Err(rustix::io::Errno::PIPE)
    }
}

#[cfg(test)]
#[path = "unix_tests.rs"]
mod tests;
