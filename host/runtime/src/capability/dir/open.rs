//! Opening what a guest names: files and directories, and nothing else. A pipe, a device or a socket
//! is refused without waiting for its other end, also when it takes a file's place at the last
//! moment: it is looked at first, opened in a way that waits for nothing, and looked at again.

use std::fs::File;
use std::io;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt as _, OpenOptionsSyncExt as _};
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt as _};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, OpenFlags, PathFlags,
};

/// How something is to be opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenRequest {
    pub(super) follow: bool,
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
    pub(super) directory: bool,
    pub(super) mode: OpenMode,
}

impl OpenRequest {
    /// To look at a file or directory.
    pub(super) fn look(path: PathFlags) -> Self {
        Self {
            follow: path.contains(PathFlags::SYMLINK_FOLLOW),
            create: false,
            exclusive: false,
            truncate: false,
            directory: false,
            mode: OpenMode::READ,
        }
    }

    /// What the flags of `open-at` mean, as wasmtime-wasi reads them.
    pub(super) fn read(
        path: PathFlags,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Self, ErrorCode> {
        let synchronous = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        if flags.intersects(synchronous) {
            return Err(ErrorCode::Unsupported);
        }
        let making = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        let directory = open.contains(OpenFlags::DIRECTORY);
        if directory && open.intersects(making) {
            return Err(ErrorCode::Invalid);
        }
        let create = open.contains(OpenFlags::CREATE);
        let truncate = open.contains(OpenFlags::TRUNCATE);
        let write = flags.contains(DescriptorFlags::WRITE);
        let mut mode = OpenMode::empty();
        // What is not opened to be written is opened to be read: the system wants one of the two.
        mode.set(
            OpenMode::READ,
            flags.contains(DescriptorFlags::READ) || !write,
        );
        mode.set(OpenMode::WRITE, write || create || truncate);
        Ok(Self {
            create,
            truncate,
            directory,
            mode,
            exclusive: open.contains(OpenFlags::EXCLUSIVE),
            ..Self::look(path)
        })
    }

    pub(super) fn writes(self) -> bool {
        self.mode.contains(OpenMode::WRITE)
    }

    /// What stands there now; none is what may be made.
    pub(super) fn peek(self, dir: &Dir, path: &str) -> Result<Option<Metadata>, ErrorCode> {
        let found = if self.follow {
            dir.metadata(path)
        } else {
            dir.symlink_metadata(path)
        };
        match found {
            // A link itself is not opened: the attempt says so.
            Ok(found) if ordinary(&found) || found.is_symlink() => Ok(Some(found)),
            Ok(_) => Err(ErrorCode::NotPermitted),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.create => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens it. It is not truncated: that changes what the directory holds.
    pub(super) fn open(self, dir: &Dir, path: &str) -> Result<Opened, ErrorCode> {
        let follow = if self.follow {
            FollowSymlinks::Yes
        } else {
            FollowSymlinks::No
        };
        let mut options = OpenOptions::new();
        options
            .read(self.mode.contains(OpenMode::READ))
            .write(self.writes())
            .create(self.create)
            .create_new(self.create && self.exclusive)
            .follow(follow)
            .nonblock(true)
            .custom_flags(no_terminal());
        let file = dir.open_with(path, &options)?;
        let metadata = file.metadata()?;
        if !ordinary(&metadata) {
            return Err(ErrorCode::NotPermitted);
        }
        if self.directory && !metadata.is_dir() {
            return Err(ErrorCode::NotDirectory);
        }
        Ok(Opened {
            file: file.into_std(),
            is_dir: metadata.is_dir(),
            length: metadata.len(),
        })
    }
}

/// A file or directory, open.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) is_dir: bool,
    /// In bytes.
    pub(super) length: u64,
}

fn ordinary(metadata: &Metadata) -> bool {
    metadata.is_file() || metadata.is_dir()
}

/// A terminal that is opened must not become the host's own.
fn no_terminal() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap_or(0)
}
