//! Files of the operator's that commands write: one writer in a folder at a time, and a reader finds
//! the old file or the new one, never a half.
//!
//! It does not know what is in them.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

/// How long another writer is waited for, and how often it is asked whether it is done.
const PATIENCE: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// The right to write manifest and lock in a folder, until it is dropped.
pub(super) struct Turn {
    _folder: File,
}

impl Turn {
    /// Waits for its turn.
    ///
    /// # Errors
    ///
    /// There is no such folder, or another writer does not end.
    pub(super) fn of(folder: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot open the folder {}", folder.display());
        let opened = File::open(folder).with_context(cannot)?;
        let end = Instant::now() + PATIENCE;
        while let Err(error) = flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(error).with_context(|| format!("cannot lock {}", folder.display()));
            }
            if Instant::now() >= end {
                bail!(
                    "another process holds the folder {} for longer than {} s; end it, or try again",
                    folder.display(),
                    PATIENCE.as_secs()
                );
            }
            std::thread::sleep(ASK_EVERY);
        }
        Ok(Self { _folder: opened })
    }
}

/// Puts a text in the place of a file in one step, links to it followed. What others may do with the
/// file stays as it is.
///
/// # Errors
///
/// The folder cannot be written.
pub(super) fn exchange(path: &Path, text: &str) -> io::Result<()> {
    let file: PathBuf = match fs::canonicalize(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = file.parent().unwrap_or(&file);
    let mode = match fs::metadata(&file) {
        Ok(metadata) => metadata.permissions(),
        Err(_) => Permissions::from_mode(0o644),
    };
    let mut beside = tempfile::Builder::new()
        .prefix(".toolhost-")
        .tempfile_in(folder)?;
    beside.write_all(text.as_bytes())?;
    beside.as_file().set_permissions(mode)?;
    beside.as_file().sync_data()?;
    beside.persist(&file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn x56_a_file_is_exchanged_whole_where_its_links_lead_and_stays_as_closed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        fs::write(at("real"), "old").unwrap();
        fs::set_permissions(at("real"), Permissions::from_mode(0o600)).unwrap();
        symlink("real", at("link")).unwrap();
        let reader = File::open(at("real")).unwrap();
        exchange(&at("link"), "new").unwrap();
        assert_eq!(fs::read_to_string(at("real")).unwrap(), "new");
        assert_eq!(io::read_to_string(reader).unwrap(), "old");
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert_eq!(mode("real"), 0o600);
        exchange(&at("made"), "new").unwrap();
        assert_eq!(mode("made"), 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
