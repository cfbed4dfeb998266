//! A secret in a file, read again when the file changes.
//!
//! Files of secrets are often links: Kubernetes mounts each as a link into `..data`, which is a link
//! to a folder that is exchanged as a whole. What counts is the file at the end of the links.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FsWord, OFlags};
use zeroize::Zeroizing;

use super::source::{MOST_READ, Reading, SecretSource, SourceError, without_marks};

/// How often it is asked whether the file is still the same one.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// File systems that live in memory: tmpfs and ramfs, by the numbers of statfs(2).
const IN_MEMORY: [FsWord; 2] = [0x0102_1994, 0x8584_58f6];

/// Where file systems in memory are that everybody on a machine uses.
const SHARED: [&str; 4] = ["/tmp", "/run", "/dev/shm", "/dev"];

/// A file that holds a secret and nothing else.
#[derive(Debug)]
pub struct FileSource(Arc<Place>);

#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// The file that was read last.
    last: Mutex<Option<Stamp>>,
}

/// By what a file is known to be the same as before: device, inode, size, and when its content and
/// its description changed, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    changed: [(i64, i64); 2],
}

/// What decides who else can read or change a file.
#[derive(Debug, Clone, Copy)]
struct Facts {
    owner: u32,
    mode: u32,
    /// It is on a file system in memory that was mounted for it.
    mounted: bool,
}

impl FileSource {
    /// The file at this path, or where its links lead.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(Arc::new(Place {
            path,
            last: Mutex::default(),
        }))
    }
}

impl SecretSource for FileSource {
    fn holds(&self) -> Option<Duration> {
        Some(LOOK_EVERY)
    }

    fn place(&self) -> String {
        format!("file {:?}", self.0.path)
    }

    fn read(&self) -> Reading<'_> {
        let place = Arc::clone(&self.0);
        Box::pin(async move {
            let path = place.path.clone();
            let read = tokio::task::spawn_blocking(move || place.read()).await;
            read.unwrap_or_else(|error| {
                let error = std::io::Error::other(error);
                Err(SourceError::Unreadable { path, error })
            })
        })
    }
}

impl Place {
    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SourceError> {
        let unreadable = |error| SourceError::Unreadable {
            path: self.path.clone(),
            error,
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let meta = std::fs::metadata(&self.path).map_err(unreadable)?;
        if *last == Some(Stamp::of(&meta)) {
            return Ok(None);
        }
        let file = self.open()?;
        let meta = file.metadata().map_err(unreadable)?;
        let value = read(file).map_err(unreadable)?;
        *last = Some(Stamp::of(&meta));
        Ok(Some(value))
    }

    /// Opens it and judges what was opened, so that nothing changes in between.
    fn open(&self) -> Result<File, SourceError> {
        let unreadable = |error| SourceError::Unreadable {
            path: self.path.clone(),
            error,
        };
        // Without it, a named pipe would not be opened before somebody writes to it.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = File::options()
            .read(true)
            .custom_flags(flags)
            .open(&self.path);
        let file = file.map_err(unreadable)?;
        let meta = file.metadata().map_err(unreadable)?;
        if !meta.is_file() {
            return Err(SourceError::NotAFile(self.path.clone()));
        }
        let system = rustix::fs::fstatfs(&file).map_err(|error| unreadable(error.into()))?;
        let shared = |path: &&str| std::fs::metadata(path).is_ok_and(|m| m.dev() == meta.dev());
        let facts = Facts {
            owner: meta.uid(),
            mode: meta.mode(),
            mounted: IN_MEMORY.contains(&system.f_type) && !SHARED.iter().any(shared),
        };
        match exposure(facts, rustix::process::geteuid().as_raw()) {
            None => Ok(file),
            Some(why) => Err(SourceError::Exposed {
                path: self.path.clone(),
                why,
            }),
        }
    }
}

impl Stamp {
    fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            file: (meta.dev(), meta.ino()),
            size: meta.size(),
            changed: [
                (meta.mtime(), meta.mtime_nsec()),
                (meta.ctime(), meta.ctime_nsec()),
            ],
        }
    }
}

/// What others can do with a file that they should not, and what to do about it.
///
/// It has to belong to the host's user or to root, and nobody else may change it. Of the host's own
/// nobody else may read it. Of root's the group may: that is how Kubernetes gives it to an
/// `fsGroup` (0440) and systemd to a unit. On a file system in memory of its own everybody may:
/// Kubernetes mounts secrets as root's, 0644, on a tmpfs that only the container sees. Elsewhere that
/// would be everybody on the machine.
fn exposure(facts: Facts, own: u32) -> Option<String> {
    let Facts {
        owner,
        mode,
        mounted,
    } = facts;
    if owner != own && owner != 0 {
        return Some(format!(
            "belongs to the user {owner}, who can change it; chown it to the host's user or to root"
        ));
    }
    if mode & 0o022 != 0 {
        return Some("can be changed by others on this machine; chmod go-w it".to_owned());
    }
    let may_read = match (owner, mounted) {
        (0, true) => 0o044,
        (0, false) => 0o040,
        _ => 0,
    };
    let others = mode & 0o044 & !may_read;
    (others != 0).then(|| {
        "can be read by others on this machine; chmod 600 it, or 640 where it is root's".to_owned()
    })
}

/// Reads at most a little more than a secret, into memory that is wiped and never moved.
fn read(mut file: File) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut value = Zeroizing::new(vec![0; MOST_READ]);
    let mut filled = 0;
    while let Some(room) = value.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    value.truncate(filled);
    Ok(without_marks(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::*;

    #[test]
    fn who_else_can_read_or_change_it_decides() {
        const HOST: u32 = 1000;
        let judged = |owner, mode: u32, mounted, own| {
            let facts = Facts {
                owner,
                mode: 0o100_000 | mode,
                mounted,
            };
            exposure(facts, own).is_none()
        };
        for (owner, mode, mounted, own, fine) in [
            (HOST, 0o600, false, HOST, true),
            (HOST, 0o400, true, HOST, true),
            (HOST, 0o640, false, HOST, false),
            (HOST, 0o604, true, HOST, false),
            (HOST, 0o620, false, HOST, false),
            (1001, 0o600, false, HOST, false),
            (1001, 0o600, false, 0, false),
            // Kubernetes: as it is, and with an `fsGroup`.
            (0, 0o644, true, HOST, true),
            (0, 0o440, true, HOST, true),
            (0, 0o644, true, 0, true),
            // Docker's and systemd's.
            (0, 0o444, true, HOST, true),
            (0, 0o640, false, HOST, true),
            (0, 0o644, false, HOST, false),
            (0, 0o644, false, 0, false),
            (0, 0o660, true, HOST, false),
            (0, 0o646, true, HOST, false),
        ] {
            assert_eq!(
                judged(owner, mode, mounted, own),
                fine,
                "{owner} {mode:o} {mounted}"
            );
        }
    }

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn value(read: Option<Zeroizing<Vec<u8>>>) -> Option<String> {
        read.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// As Kubernetes does it: `token` leads to `..data/token`, and `..data` to a folder of a version.
    #[tokio::test]
    async fn a_mounted_secret_is_read_again_when_its_folder_is_exchanged() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "first-value\n"), ("..2", "second-value\r\n")] {
            std::fs::create_dir(at(version)).unwrap();
            write(&at(version).join("token"), text, 0o400);
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/token", at("token")).unwrap();
        let source = FileSource::new(at("token"));
        assert_eq!(
            value(source.read().await.unwrap()).as_deref(),
            Some("first-value")
        );
        assert_eq!(source.read().await.unwrap(), None, "nothing changed");
        symlink("..2", at("..new")).unwrap();
        std::fs::rename(at("..new"), at("..data")).unwrap();
        assert_eq!(
            value(source.read().await.unwrap()).as_deref(),
            Some("second-value")
        );
        assert_eq!(source.read().await.unwrap(), None, "nothing changed");
    }

    #[tokio::test]
    async fn what_is_no_private_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("open"), "a-secret", 0o604);
        symlink("open", at("link")).unwrap();
        write(&at("changed"), "a-secret", 0o620);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
        for (name, expected) in [
            ("open", "can be read by others"),
            ("link", "can be read by others"),
            ("changed", "can be changed by others"),
            ("pipe", "is not a file"),
            (".", "is not a file"),
            ("nowhere", "No such file"),
        ] {
            let error = FileSource::new(at(name)).read().await.unwrap_err();
            let said = error.to_string();
            assert!(
                said.contains(expected) && said.contains(name),
                "{name}: {said}"
            );
        }
    }
}
