//! What an operation on a descriptor comes to: work for a file worker. Both generations of
//! `wasi:filesystem` have it done; how a guest asks and waits is theirs to know.

use std::ffi::OsString;
use std::sync::Arc;

use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, ErrorCode, HostDescriptor as _, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult, ReaddirIterator};

use super::depth;
use super::host::{Dirs, Fd, Origin};
use super::open::OpenRequest;
use super::temp_table::{TempTable, at_once};
use super::write::{self, Found};
use crate::shares::Holding;
use crate::terms::DirOperation;

/// What an entry of a listing costs beyond its name, in bytes. A listing is held as a whole.
const ENTRY: u64 = 128;

/// The longest path, in bytes: Linux takes no longer one either.
const LONGEST: usize = 4_096;

/// Refuses what cannot be a path before anything waits with it.
pub(super) fn fits(path: &str) -> FsResult<()> {
    match path.len() {
        0..=LONGEST => Ok(()),
        _ => Err(ErrorCode::NameTooLong.into()),
    }
}

/// Whether an entry of a listing is none for a guest: its name is no UTF-8, or it has gone since the
/// directory was read. The rest of the listing is as good as ever.
pub(super) fn is_passed_over<T>(entry: &FsResult<T>) -> bool {
    let code = entry.as_ref().err().and_then(FsError::downcast_ref);
    matches!(
        code,
        Some(ErrorCode::IllegalByteSequence | ErrorCode::NoEntry)
    )
}

/// A directory's entries, and the room that they take.
pub(super) struct Listed {
    pub(super) entries: ReaddirIterator,
    pub(super) held: Holding,
}

/// work for a file worker.
pub(super) type Work<T> = Box<dyn FnOnce() -> FsResult<T> + Send>;

impl Dirs<'_> {
    /// One of wasmtime-wasi's operations that change nothing that is counted.
    pub(super) fn asking<T: Send + 'static>(
        &self,
        fd: &Fd,
        operation: impl AsyncFnOnce(&mut TempTable, Fd) -> FsResult<T> + Send + 'static,
    ) -> FsResult<Work<T>> {
        let descriptor = self.table.get(fd)?.clone();
        Ok(Box::new(move || {
            let mut temp = TempTable::default();
            let fd = temp.lay(descriptor)?;
            at_once(operation(&mut temp, fd))
        }))
    }

    pub(super) fn comparing(&self, a: &Fd, b: &Fd) -> FsResult<Work<bool>> {
        let other = self.table.get(b)?.clone();
        self.asking(a, async move |temp, a| {
            let b = temp.lay(other)?;
            let same = temp.view().is_same_object(a, b).await;
            same.map_err(FsError::trap)
        })
    }

    pub(super) fn resizing(&self, fd: &Fd, size: types::Filesize) -> FsResult<Work<()>> {
        let (file, place) = (self.file(fd)?, self.place(fd)?);
        Ok(Box::new(move || write::resize(&place, &file, size)))
    }

    pub(super) fn listing(&self, fd: &Fd) -> FsResult<Work<Listed>> {
        let (dir, place) = (self.dir(fd)?, self.place(fd)?);
        let mut held = self.state.account.nothing();
        Ok(Box::new(move || {
            let all = cap_std::fs::Dir::from_std_file(dir.dir.try_clone()?);
            let mut unsayable = 0_u64;
            for entry in all.entries()? {
                let name = entry.map_or_else(|_| OsString::new(), |entry| entry.file_name());
                unsayable += u64::from(name.to_str().is_none());
                let cost = ENTRY.saturating_add(u64::try_from(name.len()).unwrap_or(u64::MAX));
                held.grow(cost).map_err(|_| ErrorCode::InsufficientMemory)?;
            }
            if unsayable > 0 {
                tracing::warn!(
                    directory = &*place.grant.name,
                    names = unsayable,
                    "names that are no UTF-8 are left out of a listing: no guest could say them"
                );
            }
            let mut temp = TempTable::default();
            let fd = temp.lay(Descriptor::Dir(dir))?;
            let listed = at_once(temp.view().read_directory(fd))?;
            let entries = temp.table.delete(listed)?;
            Ok(Listed { entries, held })
        }))
    }

    pub(super) fn making_directory(&self, fd: &Fd, path: String) -> FsResult<Work<()>> {
        fits(&path)?;
        let (place, dir) = (self.place(fd)?, self.dir(fd)?);
        self.changing(fd, DirOperation::Create, &path)?;
        Ok(Box::new(move || {
            let (root, from) = (Arc::clone(&place.root.dir), dir.clone());
            write::make(&place, dir, async move |temp, dir| {
                depth::room(&root, &from, &path)?;
                temp.view().create_directory_at(dir, path).await
            })
        }))
    }

    pub(super) fn setting_times(
        &self,
        fd: &Fd,
        flags: PathFlags,
        path: String,
        (accessed, modified): (NewTimestamp, NewTimestamp),
    ) -> FsResult<Work<()>> {
        fits(&path)?;
        let (place, dir) = (self.place(fd)?, self.dir(fd)?);
        self.changing(fd, DirOperation::Touch, &path)?;
        let hold = self.hold_file(fd)?;
        Ok(Box::new(move || {
            let mut temp = TempTable::default();
            if !flags.contains(PathFlags::SYMLINK_FOLLOW) {
                let fd = temp.lay(Descriptor::Dir(dir))?;
                let mut view = temp.view();
                return at_once(view.set_times_at(fd, flags, path, accessed, modified));
            }
            // What wasmtime-wasi opens here could be a pipe, and it would wait.
            let (found, _open) = write::open(&place, &dir, &path, OpenRequest::look(flags), hold)?;
            let fd = temp.lay(found)?;
            at_once(temp.view().set_times(fd, accessed, modified))
        }))
    }

    pub(super) fn linking(
        &self,
        (old, new): (&Fd, &Fd),
        flags: PathFlags,
        paths: (String, String),
    ) -> FsResult<Work<()>> {
        fits(&paths.0)?;
        fits(&paths.1)?;
        let (from, to) = (&*paths.0, &*paths.1);
        let (place, dirs) = self.pair((old, new), DirOperation::Link, (from, to))?;
        Ok(Box::new(move || write::link(&place, dirs, flags, paths)))
    }

    /// What is found is entered as coming from there.
    pub(super) fn opening(
        &self,
        fd: &Fd,
        path: String,
        asked: OpenRequest,
    ) -> FsResult<(Origin, Work<Found>)> {
        fits(&path)?;
        let (place, dir) = (self.place(fd)?, self.dir(fd)?);
        match asked.writes() {
            true => self.changing(fd, DirOperation::Write, &path)?,
            false => self.state.changes.read(&place.grant),
        }
        let origin = Origin {
            place: Arc::clone(&place),
            open: None,
            path: self.path(fd, &path)?,
        };
        let hold = self.hold_file(fd)?;
        let work = move || write::open(&place, &dir, &path, asked, hold);
        Ok((origin, Box::new(work)))
    }

    pub(super) fn removing_directory(&self, fd: &Fd, path: String) -> FsResult<Work<()>> {
        fits(&path)?;
        let (place, dir) = (self.place(fd)?, self.dir(fd)?);
        self.changing(fd, DirOperation::Remove, &path)?;
        Ok(Box::new(move || {
            write::remove(&place, dir, &path, async |temp, dir| {
                temp.view().remove_directory_at(dir, path.clone()).await
            })
        }))
    }

    pub(super) fn renaming(
        &self,
        (old, new): (&Fd, &Fd),
        paths: (String, String),
    ) -> FsResult<Work<()>> {
        fits(&paths.0)?;
        fits(&paths.1)?;
        let (from, to) = (&*paths.0, &*paths.1);
        let (place, dirs) = self.pair((old, new), DirOperation::Rename, (from, to))?;
        Ok(Box::new(move || write::rename(&place, dirs, paths)))
    }

    pub(super) fn making_symlink(
        &self,
        fd: &Fd,
        target: String,
        path: String,
    ) -> FsResult<Work<()>> {
        fits(&target)?;
        fits(&path)?;
        let (place, dir) = (self.place(fd)?, self.dir(fd)?);
        self.changing(fd, DirOperation::Link, &path)?;
        Ok(Box::new(move || {
            write::make(&place, dir, async move |temp, dir| {
                temp.view().symlink_at(dir, target, path).await
            })
        }))
    }

    pub(super) fn unlinking(&self, fd: &Fd, path: String) -> FsResult<Work<()>> {
        fits(&path)?;
        let (place, dir) = (self.place(fd)?, self.dir(fd)?);
        self.changing(fd, DirOperation::Remove, &path)?;
        Ok(Box::new(move || {
            write::remove(&place, dir, &path, async |temp, dir| {
                temp.view().unlink_file_at(dir, path.clone()).await
            })
        }))
    }
}
