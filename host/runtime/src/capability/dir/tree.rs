//! Whether two directories have something in common, told by what is opened and not by how it is
//! written: by the numbers of the folders they stand in, and by what the mount table shows below them.
//! It does not know what was granted, nor to whom.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};

/// How many folders one may stand in. Linux has no path that is longer.
const DEEPEST: usize = 4_096;

/// Device and inode.
type Identity = (u64, u64);

/// A directory or file as the kernel has it, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Itself, and every folder that it stands in, up to the root.
    up: Vec<Identity>,
    /// Where it is in its filesystem. Nowhere where there is no mount table.
    own: Option<Spot>,
    /// Of other filesystems, or of other places of its own, what is mounted below it.
    below: Vec<Spot>,
}

/// A path within a filesystem, whatever is mounted where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    /// As the mount table writes it: `8:1`.
    device: String,
    path: PathBuf,
}

impl Spot {
    fn holds(&self, other: &Self) -> bool {
        self.device == other.device && other.path.starts_with(&self.path)
    }
}

impl Tree {
    /// What a path leads to, links followed.
    ///
    /// # Errors
    ///
    /// There is nothing, or it cannot be looked at.
    pub fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let opened = openat(CWD, path, flags, Mode::empty())?;
        let real = std::fs::canonicalize(path)?;
        let mut up = vec![identity(opened.as_fd())?];
        if real.is_dir() {
            climb(opened, &mut up)?;
        } else if let Some(folder) = real.parent() {
            let folder = openat(CWD, folder, flags, Mode::empty())?;
            up.push(identity(folder.as_fd())?);
            climb(folder, &mut up)?;
        }
        Ok(Self::new(up, Some(real)))
    }

    /// A directory that is open.
    ///
    /// # Errors
    ///
    /// It cannot be looked at.
    pub fn of(directory: impl AsFd) -> io::Result<Self> {
        let directory = directory.as_fd();
        let mut up = vec![identity(directory)?];
        let real = std::fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        climb(directory.try_clone_to_owned()?, &mut up)?;
        Ok(Self::new(up, real.ok()))
    }

    fn new(up: Vec<Identity>, real: Option<PathBuf>) -> Self {
        let (mut own, mut below) = (None, Vec::new());
        if let Some(real) = real {
            for mount in mounts() {
                if let Ok(rest) = real.strip_prefix(&mount.point) {
                    // Later ones are deeper, or hide those before them.
                    let path = mount.root.path.join(rest);
                    own = Some(Spot { path, ..mount.root });
                } else if mount.point.starts_with(&real) {
                    below.push(mount.root);
                }
            }
        }
        Self { up, own, below }
    }

    /// Whether this is the folder of which somebody looked at the metadata.
    #[must_use]
    pub fn is(&self, folder: &Metadata) -> bool {
        self.up.first() == Some(&(folder.dev(), folder.ino()))
    }

    /// Whether these are its own device and inode, and those of every folder that it stands in, up to
    /// the root.
    #[must_use]
    pub fn stands_in(&self, folders: &[(u64, u64)]) -> bool {
        self.up == folders
    }

    /// Whether this is the same as the other, or lies in it, on whatever way.
    #[must_use]
    pub fn lies_in(&self, other: &Self) -> bool {
        other.up.first().is_some_and(|one| self.up.contains(one)) || self.is_shown_in(other)
    }

    /// Whether this lies in the other, and is not the same.
    #[must_use]
    pub fn lies_below(&self, other: &Self) -> bool {
        self.lies_in(other) && !other.lies_in(self)
    }

    /// Whether something is reached through both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.lies_in(other) || other.lies_in(self) || {
            let shown = |one: &Self, other: &Self| {
                let mut spots = one.below.iter();
                spots.any(|spot| other.spots().any(|around| around.holds(spot)))
            };
            shown(self, other) || shown(other, self)
        }
    }

    fn spots(&self) -> impl Iterator<Item = &Spot> {
        self.own.iter().chain(&self.below)
    }

    fn is_shown_in(&self, other: &Self) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|own| other.spots().any(|spot| spot.holds(own)))
    }
}

fn identity(opened: BorrowedFd<'_>) -> io::Result<Identity> {
    let stat = fstat(opened)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Every folder that an open one stands in, from within: no name is looked up.
fn climb(mut at: OwnedFd, up: &mut Vec<Identity>) -> io::Result<()> {
    while up.len() < DEEPEST {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        at = openat(&at, "..", flags, Mode::empty())?;
        let next = identity(at.as_fd())?;
        // The root stands in itself.
        if up.last() == Some(&next) {
            return Ok(());
        }
        up.push(next);
    }
    Err(io::Error::other("it stands in too many folders"))
}

/// One line of the mount table.
struct Mount {
    /// What of its filesystem it shows.
    root: Spot,
    /// Where.
    point: PathBuf,
}

/// What is mounted, in the order in which it was; nothing where the kernel shows no table.
fn mounts() -> Vec<Mount> {
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let lines = table.split(|byte| *byte == b'\n');
    lines.filter_map(mount).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let device = String::from_utf8_lossy(fields.next()?).into_owned();
    let path = unescaped(fields.next()?);
    let point = unescaped(fields.next()?);
    Some(Mount {
        root: Spot { device, path },
        point,
    })
}

/// A path of the table: a space, a tab, a line's end and a backslash are written in octal.
fn unescaped(mut text: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(text.len());
    while let Some((byte, rest)) = text.split_first() {
        let digits = rest.get(..3).filter(|_| *byte == b'\\');
        let octal = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(escaped) => {
                path.push(escaped);
                text = rest.get(3..).unwrap_or_default();
            }
            None => {
                path.push(*byte);
                text = rest;
            }
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{File, create_dir_all, write};
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_opened_counts_and_not_how_it_is_written() {
        let yard = tempfile::tempdir().unwrap();
        let path = |name: &str| yard.path().join(name);
        create_dir_all(path("a/b/c")).unwrap();
        create_dir_all(path("ab")).unwrap();
        write(path("a/b/file"), "").unwrap();
        symlink("a/b", path("alias")).unwrap();
        let tree = |name: &str| Tree::at(&path(name)).unwrap();
        for name in ["alias", "a/../a/b", "alias/c/..", "a/b/."] {
            assert!(tree(name).lies_in(&tree("a/b")) && tree("a/b").lies_in(&tree(name)));
            assert!(!tree(name).lies_below(&tree("a/b")), "{name}");
            assert!(tree(name).lies_below(&tree("a")), "{name}");
            assert_eq!(
                Tree::of(File::open(path(name)).unwrap()).unwrap(),
                tree("a/b")
            );
        }
        assert!(tree("alias/file").lies_below(&tree("a")) && tree("alias/c").meets(&tree("a")));
        assert!(!tree("a").meets(&tree("ab")) && !tree("ab").meets(&tree("alias")));
        assert!(Tree::at(&path("missing")).is_err());
    }

    /// What a mount table shows, without mounting: that takes rights.
    #[test]
    fn what_is_mounted_elsewhere_is_the_same() {
        let spot = |device: &str, path: &str| Spot {
            device: device.to_owned(),
            path: path.into(),
        };
        let tree = |inode, own: Spot, below: &[Spot]| Tree {
            up: vec![(1, inode), (1, 1)],
            own: Some(own),
            below: below.to_vec(),
        };
        let whole = tree(2, spot("8:1", "/data"), &[]);
        // `mount --bind /data/part /elsewhere`: the folders that it stands in are others.
        let part = tree(3, spot("8:1", "/data/part"), &[]);
        assert!(part.lies_below(&whole) && whole.meets(&part) && part.meets(&whole));
        // `mount --bind /data/part /other/part`: what is around it shows a part of both.
        let around = tree(4, spot("8:1", "/other"), &[spot("8:1", "/data/part")]);
        assert!(around.meets(&whole) && whole.meets(&around) && part.lies_in(&around));
        let apart = tree(5, spot("8:2", "/data/part"), &[]);
        assert!(!apart.meets(&whole) && !apart.meets(&around));
        assert!(!tree(6, spot("8:1", "/database"), &[]).meets(&whole));
    }

    #[test]
    fn the_mount_table_is_read_as_it_is_written() {
        let line = b"36 35 98:0 /mnt\\0401 /mnt\\134x\\0 rw,noatime master:1 - ext3 /dev/root rw";
        let read = mount(line).unwrap();
        assert_eq!(read.root.device, "98:0");
        assert_eq!(read.root.path.as_os_str().as_bytes(), b"/mnt 1");
        assert_eq!(read.point.as_os_str().as_bytes(), b"/mnt\\x\\0");
        assert!(mount(b"").is_none());
        assert!(mounts().iter().any(|mount| mount.point == Path::new("/")));
    }
}
