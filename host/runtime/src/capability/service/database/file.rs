//! Making and opening a database's file: whole or not at all, this user's alone, checked from its
//! first page to its last.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Layout, OpenError};

/// Another process may be opening the file, too.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// The write-ahead log is cut back to this after it was copied into the file, in bytes.
const LOG_KEPT: i64 = 16 << 20;

/// Opens the file, which is made first where there is none.
pub(super) fn open(path: &Path, layout: &Layout) -> Result<Connection, OpenError> {
    let path = whole(path)?;
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
        make(&path, layout)?;
    }
    own(&path)?;
    let connection = connect(&path)?;
    known(&connection, &path, layout)?;
    settings(&connection).map_err(|error| damaged(&path, &error))?;
    sound(&connection, &path)?;
    Ok(connection)
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

/// Makes the file beside its place and gives it its name when it is complete: two processes that
/// start at once, or one that is killed, leave no half of it.
///
/// The file must not be opened by other means than SQLite under its name: closing such a handle
/// would drop SQLite's own locks.
fn make(path: &Path, layout: &Layout) -> Result<(), OpenError> {
    let mut name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
    name.push(format!(
        ".{}-{:?}.new",
        std::process::id(),
        std::thread::current().id()
    ));
    let draft = path.with_file_name(name);
    let made = fill(&draft, layout);
    let linked = match made {
        Ok(()) => std::fs::hard_link(&draft, path).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(unreachable(path, &error)),
        }),
        Err(error) => Err(error),
    };
    // It may not be there: then there is nothing to remove.
    let _ = std::fs::remove_file(&draft);
    linked
}

fn fill(draft: &Path, layout: &Layout) -> Result<(), OpenError> {
    // What a process that was killed left behind.
    let _ = std::fs::remove_file(draft);
    let mut options = OpenOptions::new();
    let created = options.write(true).create_new(true).mode(0o600).open(draft);
    drop(created.map_err(|error| unreachable(draft, &error))?);
    let connection = connect(draft)?;
    let laid_out = connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; BEGIN; {} PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT;",
        layout.tables, layout.application_id, layout.version
    ));
    laid_out.map_err(|error| unreachable(draft, &error))?;
    connection
        .close()
        .map_err(|(_, error)| unreachable(draft, &error))
}

/// Refuses a file that others can use, or that is somebody else's.
fn own(path: &Path) -> Result<(), OpenError> {
    let meta = path
        .symlink_metadata()
        .map_err(|error| unreachable(path, &error))?;
    let own = rustix::process::geteuid().as_raw();
    if meta.permissions().mode() & 0o077 != 0 || meta.uid() != own {
        let path = path.to_owned();
        return Err(OpenError::Exposed { path });
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags);
    let connection = connection.map_err(|error| unreachable(path, &error))?;
    connection
        .busy_timeout(OPEN_WAIT)
        .map_err(|error| unreachable(path, &error))?;
    Ok(connection)
}

fn known(connection: &Connection, path: &Path, layout: &Layout) -> Result<(), OpenError> {
    let number = |pragma: &str| {
        connection
            .pragma_query_value(None, pragma, |row| row.get::<_, i32>(0))
            .map_err(|error| damaged(path, &error))
    };
    let (application, version) = (number("application_id")?, number("user_version")?);
    let found = if application != layout.application_id {
        "another program's database".to_owned()
    } else if version != layout.version {
        format!("version {version}, here it is {}", layout.version)
    } else {
        return Ok(());
    };
    let path = path.to_owned();
    Err(OpenError::Foreign { path, found })
}

/// Commits survive the end of the process, whatever ended it; a power cut may undo the last of them,
/// and never part of one.
fn settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = {LOG_KEPT};
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
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
