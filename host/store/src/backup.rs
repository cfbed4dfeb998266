//! Copies of the store from before a migration, beside it: `kv.sqlite.v1-20261130T150000.000Z.backup`. Each
//! has all that was in the store at one moment, and is a store itself: renamed to the store's name it is
//! opened as one.
//!
//! It does not know what a migration does. Nothing here deletes or overwrites a backup.

use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::OpenError;
use crate::terms::{Clock, file_stamp};

const END: &str = ".backup";

/// Backups of one version. There are several only where migrations did not come to their end; one that
/// is tried again and again must not fill the disk.
pub(super) const MOST: usize = 4;

/// Writes a backup of a store of this version, which is on the disk when this returns.
pub(super) fn make(
    connection: &Connection,
    path: &Path,
    version: usize,
    clock: Clock,
) -> Result<PathBuf, OpenError> {
    let failed = |why: String| OpenError::Backup {
        path: path.to_owned(),
        why,
    };
    let same = all(path).filter(|(of, _)| *of == version);
    if same.count() >= MOST {
        return Err(failed(format!(
            "there are {MOST} of version {version} already: a migration did not come to its end that often; find out why and move them away"
        )));
    }
    let draft = beside(path, ".backup-draft");
    let stamp = file_stamp(clock.wall());
    let backup = beside(path, &format!(".v{version}-{stamp}{END}"));
    copy(connection, &draft)
        .and_then(|()| Ok(publish(&draft, &backup)?))
        .map_err(|error| {
            // It may not be there: then there is nothing to remove.
            let _ = std::fs::remove_file(&draft);
            failed(error.to_string())
        })?;
    Ok(backup)
}

/// The newest backup of a version that this program knows.
pub(super) fn newest(path: &Path, known: usize) -> Option<PathBuf> {
    let fitting = all(path).filter(|(version, _)| *version <= known);
    // Of one version the later one has the greater name.
    fitting.max().map(|(_, path)| path)
}

/// All backups of a store, with their versions.
fn all(path: &Path) -> impl Iterator<Item = (usize, PathBuf)> {
    let files = path.parent().and_then(|folder| folder.read_dir().ok());
    let name = path.file_name().unwrap_or_default().to_owned();
    files.into_iter().flatten().filter_map(move |file| {
        let file = file.ok()?.path();
        let own = file.file_name()?.as_bytes();
        let rest = own.strip_prefix(name.as_bytes())?.strip_prefix(b".v")?;
        let rest = std::str::from_utf8(rest).ok()?.strip_suffix(END)?;
        let version = rest.split_once('-')?.0.parse().ok()?;
        Some((version, file))
    })
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    path.with_file_name(name)
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Copies all that is committed into a file that is this user's alone.
fn copy(connection: &Connection, draft: &Path) -> Result<(), CopyError> {
    // What a process that was killed left behind.
    match std::fs::remove_file(draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut options = OpenOptions::new();
    // SQLite takes an empty file for its target, and would make one that others can read.
    drop(
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(draft)?,
    );
    let name = ToSqlOutput::Borrowed(ValueRef::Text(draft.as_os_str().as_bytes()));
    connection.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

/// Gives a complete copy its name, which must be free.
fn publish(draft: &Path, backup: &Path) -> std::io::Result<()> {
    File::open(draft)?.sync_all()?;
    std::fs::hard_link(draft, backup)?;
    std::fs::remove_file(draft)?;
    File::open(backup.parent().unwrap_or(Path::new(".")))?.sync_all()
}
