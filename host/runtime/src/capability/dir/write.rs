//! Changes to a directory that is granted to be written, each with its account open. They run on a
//! file worker's thread.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use cap_std::fs::{Dir, Metadata};
use rustix::io::{ReadWriteFlags, pwritev2};
use wasmtime_wasi::filesystem::{self as wasi, Descriptor};
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::types::{ErrorCode, HostDescriptor as _, PathFlags};

use super::account::{Change, Hold, OpenFile};
use super::depth;
use super::open::{OpenRequest, Opened};
use super::place::{OpenDir, descend, rights};
use super::temp_table::{TempTable, at_once};

/// Where a piece is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Position {
    At(u64),
    End,
}

impl Position {
    /// Where the next piece is written.
    pub(super) fn after(self, written: u64) -> Self {
        match self {
            Self::At(offset) => Self::At(offset.saturating_add(written)),
            Self::End => Self::End,
        }
    }
}

impl OpenDir {
    fn change<T>(
        &self,
        make: impl FnOnce(&mut Change<'_>) -> Result<T, FsError>,
    ) -> Result<T, FsError> {
        if !self.is_writable() {
            return Err(ErrorCode::NotPermitted.into());
        }
        self.account.change(&self.root.dir, &self.grant.quota, make)
    }
}

/// Writes a piece whole or not at all, as far as the account goes; how many bytes it was.
pub(super) fn write(
    place: &OpenDir,
    file: &File,
    piece: &[u8],
    position: Position,
) -> Result<u64, FsError> {
    place.change(|change| {
        let old = file.metadata()?.len();
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let start = match position {
            Position::At(offset) => offset,
            Position::End => old,
        };
        let end = start.checked_add(length).ok_or(ErrorCode::FileTooLarge)?;
        if length > 0 {
            change.need(end.saturating_sub(old), 0)?;
        }
        let written = put(file, piece, position);
        // Also when it broke off in the middle.
        change.resized(old, file.metadata()?.len());
        written?;
        Ok(length)
    })
}

fn put(file: &File, mut piece: &[u8], mut position: Position) -> io::Result<()> {
    while !piece.is_empty() {
        let written = match position {
            Position::At(offset) => file.write_at(piece, offset),
            // Whatever else appends to it meanwhile, nothing is overwritten.
            Position::End => {
                let pieces = [io::IoSlice::new(piece)];
                pwritev2(file, &pieces, 0, ReadWriteFlags::APPEND).map_err(io::Error::from)
            }
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                piece = piece.get(count..).unwrap_or_default();
                position = position.after(u64::try_from(count).unwrap_or(u64::MAX));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes a file longer or shorter.
pub(super) fn resize(place: &OpenDir, file: &File, size: u64) -> Result<(), FsError> {
    place.change(|change| {
        let old = file.metadata()?.len();
        change.need(size.saturating_sub(old), 0)?;
        file.set_len(size)?;
        change.resized(old, size);
        Ok(())
    })
}

/// A file or directory that a guest opened; a file with its handle.
pub(super) type Found = (Descriptor, Option<Arc<OpenFile>>);

/// Opens a file or directory, and makes or empties it where that is wished. `hold` was taken before.
pub(super) fn open(
    place: &OpenDir,
    dir: &wasi::Dir,
    path: &str,
    asked: OpenRequest,
    hold: Hold,
) -> Result<Found, FsError> {
    let dir = Dir::from_std_file(dir.dir.try_clone()?);
    let writable = place.is_writable();
    if asked.writes() && !writable {
        return Err(ErrorCode::NotPermitted.into());
    }
    if !writable {
        asked.peek(&dir, path)?;
        let opened = asked.open(&dir, path)?;
        return describe(place, opened, hold, asked);
    }
    // Also what is only read: a file must not be unlinked between its opening and its handle.
    place.change(|change| {
        let new = asked.peek(&dir, path)?.is_none();
        change.need(0, u64::from(new))?;
        let opened = asked.open(&dir, path)?;
        change.came(0, u64::from(new));
        if asked.truncate && !opened.is_dir {
            opened.file.set_len(0)?;
            change.resized(opened.length, 0);
        }
        describe(place, opened, hold, asked)
    })
}

fn describe(
    place: &OpenDir,
    opened: Opened,
    hold: Hold,
    asked: OpenRequest,
) -> Result<Found, FsError> {
    if opened.is_dir {
        let mut dir = descend(opened.file, place.grant.access);
        dir.open_mode = asked.mode;
        let held = place.account.opened(&dir.dir, hold)?;
        return Ok((Descriptor::Dir(dir), Some(Arc::new(held))));
    }
    let (permissions, _) = rights(place.grant.access);
    let file = wasi::File::new(opened.file, permissions, asked.mode, true);
    let held = place.account.opened(&file.file, hold)?;
    Ok((Descriptor::File(file), Some(Arc::new(held))))
}

/// What stands at a path, itself and not what it leads to.
fn stands(dir: &wasi::Dir, path: &str) -> Option<Metadata> {
    let dir = Dir::from_std_file(dir.dir.try_clone().ok()?);
    dir.symlink_metadata(path).ok()
}

/// Makes something that takes a name.
pub(super) fn make(
    place: &OpenDir,
    dir: wasi::Dir,
    how: impl AsyncFnOnce(
        &mut TempTable,
        wasmtime::component::Resource<Descriptor>,
    ) -> Result<(), FsError>,
) -> Result<(), FsError> {
    place.change(|change| {
        change.need(0, 1)?;
        let mut temp = TempTable::default();
        let dir = temp.lay(Descriptor::Dir(dir))?;
        at_once(how(&mut temp, dir))?;
        change.came(0, 1);
        Ok(())
    })
}

/// Gives a file a second name in the same directory tree.
pub(super) fn link(
    place: &OpenDir,
    (old, new): (wasi::Dir, wasi::Dir),
    flags: PathFlags,
    (old_path, new_path): (String, String),
) -> Result<(), FsError> {
    make(place, old, async move |temp, old| {
        let new = temp.lay(Descriptor::Dir(new))?;
        temp.view()
            .link_at(old, flags, old_path, new, new_path)
            .await
    })
}

/// Takes a name away.
pub(super) fn remove(
    place: &OpenDir,
    dir: wasi::Dir,
    path: &str,
    how: impl AsyncFnOnce(
        &mut TempTable,
        wasmtime::component::Resource<Descriptor>,
    ) -> Result<(), FsError>,
) -> Result<(), FsError> {
    place.change(|change| {
        let was = stands(&dir, path);
        let mut temp = TempTable::default();
        let dir = temp.lay(Descriptor::Dir(dir))?;
        at_once(how(&mut temp, dir))?;
        if let Some(was) = was {
            change.unnamed(&was);
        }
        Ok(())
    })
}

/// Moves something within the directory tree, over what was there.
pub(super) fn rename(
    place: &OpenDir,
    (old, new): (wasi::Dir, wasi::Dir),
    (old_path, new_path): (String, String),
) -> Result<(), FsError> {
    use cap_fs_ext::MetadataExt as _;

    let inode = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    place.change(|change| {
        let (what, over) = (stands(&old, &old_path), stands(&new, &new_path));
        if what.as_ref().is_some_and(Metadata::is_dir) {
            let (from, to) = ((&old, &*old_path), (&new, &*new_path));
            let most = place.grant.quota.files;
            depth::room_for(&place.root.dir, from, to, most)?;
        }
        let mut temp = TempTable::default();
        let old = temp.lay(Descriptor::Dir(old))?;
        let new = temp.lay(Descriptor::Dir(new))?;
        at_once(temp.view().rename_at(old, old_path, new, new_path))?;
        // Two names of one file stay what they are.
        if let Some(over) = over
            && what.is_none_or(|what| inode(&what) != inode(&over))
        {
            change.unnamed(&over);
        }
        Ok(())
    })
}
