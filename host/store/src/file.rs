//! The store's file: made and opened as this user's alone, known by its header, checked from its first
//! page to its last. It does not know what is in the tables.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrations::{Migration, migrate};
use super::{OpenError, backup};
use crate::terms::Clock;

/// Stands in the file's header, so that another program's file is not taken for this one: "thkv".
pub(super) const APPLICATION_ID: i32 = 0x7468_6b76;

/// A command that looks at the file holds it for a moment while it opens it.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// The write-ahead log is cut back to this after it was copied into the file, in bytes.
const LOG_KEPT: i64 = 16 << 20;

/// Opens the file to work on it, made and migrated where that is needed. A making that was interrupted
/// is a file without steps, and goes on with the first.
pub(super) fn open(
    path: &Path,
    steps: &[Migration],
    clock: Clock,
) -> Result<Connection, OpenError> {
    let path = whole(path)?;
    create(&path)?;
    own(&path)?;
    let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // SQLite writes the log into the file when it closes it: not where it is refused.
    writes_its_log(&connection, false).map_err(|error| unreachable(&path, &error))?;
    let version = known(&connection, &path, steps.len())?;
    harden(&connection).map_err(|error| damaged(&path, &error))?;
    journal(&connection).map_err(|error| damaged(&path, &error))?;
    sound(&connection, &path)?;
    writes_its_log(&connection, true).map_err(|error| unreachable(&path, &error))?;
    migrate(&mut connection, &path, version, steps, clock)?;
    Ok(connection)
}

/// Opens the file to look at it, as it is; where there is none, an empty store that is nowhere.
pub(super) fn look(path: &Path, steps: &[Migration]) -> Result<Connection, OpenError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return nothing(path, steps),
        Err(error) => return Err(unreachable(path, &error)),
        Ok(_) => {}
    }
    let path = whole(path)?;
    own(&path)?;
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    if known(&connection, &path, steps.len())? == 0 {
        return nothing(&path, steps);
    }
    harden(&connection).map_err(|error| damaged(&path, &error))?;
    sound(&connection, &path)?;
    Ok(connection)
}

/// A store with nothing in it, in memory.
fn nothing(path: &Path, steps: &[Migration]) -> Result<Connection, OpenError> {
    let memory = Connection::open_in_memory();
    let mut memory = memory.map_err(|error| unreachable(path, &error))?;
    migrate(&mut memory, path, 0, steps, Clock::SYSTEM)?;
    Ok(memory)
}

/// The path with a folder that is no link: SQLite is told to follow none.
fn whole(path: &Path) -> Result<PathBuf, OpenError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = folder
        .canonicalize()
        .map_err(|error| unreachable(path, &error))?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    Ok(folder.join(name))
}

/// Makes an empty file where there is none: SQLite would make one that others can read.
///
/// A file that SQLite has open must not be opened by other means: closing such a handle would drop
/// SQLite's own locks.
fn create(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(unreachable(path, &error)),
        _ => Ok(()),
    }
}

/// Refuses a file that others can use, or that is somebody else's.
fn own(path: &Path) -> Result<(), OpenError> {
    let meta = path
        .symlink_metadata()
        .map_err(|error| unreachable(path, &error))?;
    if !meta.is_file() {
        return Err(foreign(path, "no regular file"));
    }
    let own = rustix::process::geteuid().as_raw();
    if meta.permissions().mode() & 0o077 != 0 || meta.uid() != own {
        let path = path.to_owned();
        return Err(OpenError::Exposed { path });
    }
    Ok(())
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, OpenError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags);
    let connection = connection.map_err(|error| unreachable(path, &error))?;
    connection
        .busy_timeout(OPEN_WAIT)
        .map_err(|error| unreachable(path, &error))?;
    Ok(connection)
}

/// Whether the write-ahead log is copied into the file when it is closed, and removed.
fn writes_its_log(connection: &Connection, writes: bool) -> rusqlite::Result<bool> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !writes)
}

/// How many steps the file has, which is none for a new one. Nothing is written to a file that is
/// refused.
fn known(connection: &Connection, path: &Path, most: usize) -> Result<usize, OpenError> {
    let number = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|error| damaged(path, &error))
    };
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let is_new =
        application == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0;
    if application != i64::from(APPLICATION_ID) && !is_new {
        return Err(foreign(path, "another program's database"));
    }
    match usize::try_from(version) {
        Ok(version) if version <= most => Ok(version),
        _ => Err(OpenError::Newer {
            path: path.to_owned(),
            version,
            known: most,
            backup: backup::newest(path, most),
        }),
    }
}

/// What is in the file is data, whoever wrote it.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;",
    )
}

/// Commits survive the end of the process, whatever ended it; a power cut may undo the last of them,
/// and never part of one.
fn journal(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = {LOG_KEPT};"
    ))
}

fn sound(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let checked = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match checked {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(what) => Err(OpenError::Damaged {
            path: path.to_owned(),
            what: what.lines().collect::<Vec<_>>().join("; "),
        }),
        Err(error) => Err(damaged(path, &error)),
    }
}

fn unreachable(path: &Path, error: &dyn std::fmt::Display) -> OpenError {
    OpenError::Unreachable {
        path: path.to_owned(),
        error: error.to_string(),
    }
}

fn foreign(path: &Path, found: &'static str) -> OpenError {
    let path = path.to_owned();
    OpenError::Foreign { path, found }
}

/// What SQLite says while it reads: the file is at fault, or something on the way to it.
fn damaged(path: &Path, error: &rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => OpenError::Damaged {
            path: path.to_owned(),
            what: error.to_string(),
        },
        _ => unreachable(path, error),
    }
}
