//! The judgement of a granted directory that was just opened: the very one of a load, but of what is
//! open and not of what stands at its path. Whoever exchanges a directory after a load, or while it is
//! opened, is judged with it.
//!
//! It does not know when directories are opened, nor what guests do in them.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{FsWord, fstatfs, statfs};

use super::{Given, Kept, Owner, Step, Way, between, trail, unseen};
use crate::capability::dir::Tree;

/// File systems in which the kernel shows itself and its processes, by the numbers of statfs(2): proc,
/// sysfs, debugfs, tracefs and securityfs.
const KERNELS_OWN: [FsWord; 5] = [0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163, 0x7363_6673];

const TOLD: &str = "the kernel shows itself and the host's own process there";
const INSTEAD: &str = "grant another directory";

/// What a load found to be whose.
pub(crate) struct FilePermissions {
    pub(crate) kept: Vec<Kept>,
    pub(crate) given: Vec<Given>,
    pub(crate) owner: Owner,
}

impl FilePermissions {
    /// Judges what was opened at the path of a grant.
    ///
    /// # Errors
    ///
    /// Why no tool may have it.
    pub(crate) fn judge(&self, path: &Path, opened: &File) -> io::Result<()> {
        if KERNELS_OWN.contains(&fstatfs(opened)?.f_type) {
            return Err(io::Error::other(format!("{TOLD}: {INSTEAD}")));
        }
        let mut kept = Vec::new();
        for one in &self.kept {
            let way = Way::to(&one.path);
            let cannot = |error| io::Error::other(unseen(&one.what, &one.path, &error));
            kept.push((one, way.map_err(cannot)?));
        }
        let mut wrong = Vec::new();
        let mut given = Vec::new();
        for one in &self.given {
            let way = match one.path == path {
                true => {
                    let way = Way::of(path, opened)?;
                    wrong.extend(self.owner.led(one, &way));
                    Ok(way)
                }
                false => Way::to(&one.path),
            };
            // Of another grant it is said where that one is opened.
            given.extend(way.ok().map(|way| (one, way)));
        }
        wrong.extend(between(&kept, &given, |one| one.path == path));
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(io::Error::other(wrong.join("; "))),
        }
    }
}

impl Way {
    /// The way to something that is open.
    fn of(path: &Path, opened: &File) -> io::Result<Self> {
        let tree = Tree::of(opened)?;
        let (trail, end) = trail(path)?;
        // Every folder on the way has to be one that the open one stands in: otherwise what is judged
        // was exchanged for what was opened.
        if !folders(&trail, &end)?.is_some_and(|folders| tree.stands_in(&folders)) {
            return Err(io::Error::other(
                "another directory came to stand there while it was opened",
            ));
        }
        let tree = Some(tree);
        Ok(Self { trail, tree })
    }
}

/// Device and inode of what a trail ends at and of every folder it stands in, as they were passed.
fn folders(trail: &[Step], end: &Path) -> io::Result<Option<Vec<(u64, u64)>>> {
    let mut folders = Vec::new();
    for path in end.ancestors() {
        let root = match path.parent() {
            None => Some(std::fs::symlink_metadata(path)?),
            Some(_) => None,
        };
        let passed = trail.iter().rev().find(|step| step.path == path);
        let passed = passed.and_then(|step| step.metadata.as_ref());
        let Some(metadata) = root.as_ref().or(passed) else {
            return Ok(None);
        };
        folders.push((metadata.dev(), metadata.ino()));
    }
    Ok(Some(folders))
}

/// Refuses a granted directory that is nobody's, but what the kernel tells. One that is not there is
/// judged when it is opened.
pub(super) fn kernels_own(given: &Given) -> Option<String> {
    let system = statfs(&given.path).ok()?;
    KERNELS_OWN.contains(&system.f_type).then(|| {
        let (what, path) = (&given.what, given.path.display());
        format!("the granted directory {what} ({path}): {TOLD}: {INSTEAD}")
    })
}
