//! How deep a guest may make a directory. One that is too deep cannot be counted, and where nothing can
//! be counted nothing can be made, by nobody: so a guest makes none that deep.
//!
//! It looks with the books open. What others make deep from outside is theirs.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cap_std::fs::{Dir, ReadDir};
use rustix::fs::{Mode, OFlags, fstat, openat};
use wasmtime_wasi::filesystem as wasi;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use super::account::{Identity, identity};
use super::measure;

/// How many directories a guest makes within each other. A granted directory may lie in another one
/// that is counted with it: what is left of what can be counted is how deep it may lie there.
pub(super) const DEEPEST: usize = 64;
const _: () = assert!(DEEPEST < measure::DEPTH);

/// Refuses to make a directory at a path that is too deep.
pub(super) fn room(root: &File, dir: &wasi::Dir, path: &str) -> Result<(), ErrorCode> {
    match depth(root, dir, path) {
        Some(depth) if depth >= DEEPEST => Err(ErrorCode::NameTooLong),
        // Where there is nothing to be found, the attempt says so.
        Some(_) | None => Ok(()),
    }
}

/// Refuses to move a directory to where what is in it is too deep. One that gets no deeper is not
/// looked into, nor is more than `most` looked at.
pub(super) fn room_for(
    root: &File,
    (old, old_path): (&wasi::Dir, &str),
    (new, new_path): (&wasi::Dir, &str),
    most: u64,
) -> Result<(), ErrorCode> {
    let depths = (depth(root, old, old_path), depth(root, new, new_path));
    let (Some(before), Some(after)) = depths else {
        return Ok(());
    };
    if after <= before {
        return Ok(());
    }
    let moved = Dir::from_std_file(old.dir.try_clone()?).open_dir(old_path)?;
    match DEEPEST.checked_sub(after + 1) {
        Some(left) => is_flat(&moved, left, most),
        None => Err(ErrorCode::NameTooLong),
    }
}

/// In how many folders of the directory a path's last name stands; none where they cannot be opened.
fn depth(root: &File, dir: &wasi::Dir, path: &str) -> Option<usize> {
    let dir = Dir::from_std_file(dir.dir.try_clone().ok()?);
    let folder = Path::new(path).parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    let folder = match folder {
        Some(folder) => dir.open_dir(folder).ok()?,
        None => dir,
    };
    let top = identity(&root.metadata().ok()?);
    let mut at = OwnedFd::from(folder.into_std_file());
    // From within, so that no name is looked up.
    for depth in 0..=measure::DEPTH {
        if at_fd(&at).ok()? == top {
            return Some(depth);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        at = openat(&at, c"..", flags, Mode::empty()).ok()?;
    }
    Some(measure::DEPTH)
}

fn at_fd(directory: impl AsFd) -> io::Result<Identity> {
    let stat = fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Whether there are no more than so many directories within each other.
fn is_flat(dir: &Dir, levels: usize, most: u64) -> Result<(), ErrorCode> {
    let mut seen = 0;
    let mut open: Vec<ReadDir> = vec![dir.entries()?];
    while let Some(level) = open.last_mut() {
        let Some(entry) = level.next() else {
            open.pop();
            continue;
        };
        seen += 1;
        if seen > most {
            return Err(ErrorCode::Quota);
        }
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if open.len() > levels {
            return Err(ErrorCode::NameTooLong);
        }
        // As where it is counted: what the host may not open, no guest fills.
        if let Some(inner) = measure::gone_or_closed(entry.open_dir().and_then(|it| it.entries()))?
        {
            open.push(inner);
        }
    }
    Ok(())
}
