//! Counting what a directory holds. It does not know what it may hold.

use std::collections::HashSet;
use std::fs::File;
use std::io;

use cap_fs_ext::MetadataExt;
use cap_std::fs::{Dir, DirEntry, Metadata, ReadDir};

use super::account::Identity;

/// How deep a directory is looked into. One that is deeper cannot be counted.
pub(super) const DEPTH: usize = 100;

/// What a directory holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// The lengths of its files, in bytes; a file with two names once.
    pub(super) bytes: u64,
    /// Files, directories and links, at any depth.
    pub(super) files: u64,
}

/// Counts, but not beyond `most` files: where there are so many, what the rest has in bytes is not
/// known, and no number of them is small enough.
pub(super) fn measure(root: &File, most: u64) -> io::Result<Usage> {
    let root = Dir::from_std_file(root.try_clone()?);
    let mut usage = Usage::default();
    let mut seen = HashSet::new();
    let mut levels = vec![root.entries()?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.next() else {
            levels.pop();
            continue;
        };
        if let Some(metadata) = gone_or_closed(entry.and_then(|entry| look(&entry)))? {
            usage.files += 1;
            if usage.files >= most {
                usage.bytes = u64::MAX;
                break;
            }
            let (metadata, inner) = metadata;
            usage.bytes = usage.bytes.saturating_add(bytes(&metadata, &mut seen));
            levels.extend(inner);
        }
        if levels.len() > DEPTH {
            let message = format!("it is more than {DEPTH} directories deep; make it flatter");
            return Err(io::Error::other(message));
        }
    }
    Ok(usage)
}

fn look(entry: &DirEntry) -> io::Result<(Metadata, Option<ReadDir>)> {
    let metadata = entry.metadata()?;
    let inner = if metadata.is_dir() {
        gone_or_closed(entry.open_dir().and_then(|dir| dir.entries()))?
    } else {
        None
    };
    Ok((metadata, inner))
}

/// What went while it was looked at is not there; what the host may not open, no guest fills.
pub(super) fn gone_or_closed<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn bytes(metadata: &Metadata, seen: &mut HashSet<Identity>) -> u64 {
    let counts = metadata.is_file()
        && (metadata.nlink() <= 1 || seen.insert((metadata.dev(), metadata.ino())));
    if counts { metadata.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn everything_in_it_counts_once_and_nothing_else() {
        let site = tempfile::tempdir().unwrap();
        let at = |name: &str| site.path().join(name);
        std::fs::create_dir_all(at("root/inner")).unwrap();
        std::fs::write(at("outside"), [0; 1000]).unwrap();
        std::fs::write(at("root/a"), [0; 10]).unwrap();
        std::fs::hard_link(at("root/a"), at("root/inner/b")).unwrap();
        std::fs::write(at("root/inner/c"), [0; 5]).unwrap();
        symlink("../outside", at("root/link")).unwrap();
        symlink("..", at("root/up")).unwrap();
        let root = File::open(at("root")).unwrap();
        let usage = measure(&root, 100).unwrap();
        assert_eq!(
            usage,
            Usage {
                bytes: 15,
                files: 6
            }
        );
        let full = Usage {
            bytes: u64::MAX,
            files: 3,
        };
        assert_eq!(measure(&root, 3).unwrap(), full);
    }

    #[test]
    fn what_is_too_deep_cannot_be_counted() {
        let site = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(site.path().join("d/".repeat(DEPTH + 1))).unwrap();
        assert!(measure(&File::open(site.path()).unwrap(), 1_000).is_err());
    }
}
