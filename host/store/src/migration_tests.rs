//! A store from an older version to a newer one: what is kept, what is refused, and migrations that fail
//! or are killed half way.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::migrations::Migration;
use super::tests::{NOTES, close, count, open, place, refused, write};
use super::*;
use crate::terms::ManualClock;

const AUTHOR: Migration = Migration {
    name: "authors",
    sql: "ALTER TABLE note ADD COLUMN author TEXT; UPDATE note SET author = 'nobody';",
};

/// A step that comes to no end.
const ENDLESS: Migration = Migration {
    name: "endless",
    sql: "DELETE FROM note;
          INSERT INTO note (text) WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
              SELECT 'never' FROM n WHERE x < 0;",
};

/// A step for which there is not enough room, as on a full disk.
const LARGE: Migration = Migration {
    name: "large",
    sql: "DELETE FROM note;
          PRAGMA max_page_count = 8;
          INSERT INTO note (text) SELECT hex(zeroblob(100000));",
};

fn with(step: Migration) -> Vec<Migration> {
    [NOTES, &[step]].concat()
}

fn backups(path: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(path.parent().expect("a folder")).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let mut found: Vec<_> = files
        .filter(|file| file.to_string_lossy().contains("backup"))
        .collect();
    found.sort();
    found
}

fn version(path: &Path) -> i64 {
    let looking = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let version = looking
        .expect("a file")
        .query_row("PRAGMA user_version", [], |row| row.get(0));
    version.expect("a version")
}

#[tokio::test]
async fn a_migration_keeps_what_there_is_and_leaves_a_backup() {
    let place = place();
    let before = open(&place.path, NOTES).expect("a store");
    write(&before, "kept").await.expect("a row");
    close(before, &place.path);
    let manual = ManualClock::at(UNIX_EPOCH + Duration::from_secs(1_783_760_701));
    let steps = with(AUTHOR);
    let connection = file::open(&place.path, &steps, manual.clock()).expect("a store");
    let read = "SELECT text || ' by ' || author FROM note";
    let note: String = connection
        .query_row(read, [], |row| row.get(0))
        .expect("a note");
    assert_eq!(note, "kept by nobody");
    assert_eq!(version(&place.path), 2);
    drop(connection);

    let backup = place
        .path
        .with_file_name("notes.sqlite.v1-20260711T090501.000Z.backup");
    assert_eq!(backups(&place.path), std::slice::from_ref(&backup));
    let mode = backup.metadata().expect("its mode").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // It is a store of the version that it is a backup of.
    let restored = open(&backup, NOTES).expect("a store");
    write(&restored, "more").await.expect("a row");
    assert_eq!(count(&restored).await, 2);
    close(restored, &backup);

    // Nothing is left to do, so nothing is backed up.
    close(open(&place.path, &steps).expect("a store"), &place.path);
    assert_eq!(version(&place.path), 2);
    let names = backups(&place.path);
    assert!(
        names
            .iter()
            .all(|name| name.to_string_lossy().contains(".v1-20260711")),
        "{names:?}"
    );
}

/// `check` of a newer toolhost, before it takes the place of one that runs.
#[tokio::test]
async fn who_looks_migrates_nothing() {
    let place = place();
    let running = open(&place.path, NOTES).expect("a store");
    write(&running, "kept").await.expect("a row");
    let looking = file::look(&place.path, &with(AUTHOR)).expect("a store");
    let count = "SELECT count(*) FROM note";
    let seen: i64 = looking
        .query_row(count, [], |row| row.get(0))
        .expect("a count");
    assert_eq!((seen, version(&place.path)), (1, 1));
    write(&running, "more").await.expect("a row");
    drop(looking);
    close(running, &place.path);
    close(
        open(&place.path, &with(AUTHOR)).expect("a store"),
        &place.path,
    );
    let newer = file::look(&place.path, NOTES)
        .map(drop)
        .expect_err("an error");
    assert!(matches!(newer, OpenError::Newer { .. }), "{newer}");
}

#[tokio::test]
async fn a_new_file_takes_all_steps_and_has_no_backup() {
    let place = place();
    let steps = with(AUTHOR);
    close(open(&place.path, &steps).expect("a store"), &place.path);
    assert_eq!(version(&place.path), 2);
    assert_eq!(backups(&place.path), [] as [PathBuf; 0]);
    // A making that was killed before its first step.
    let other = place.path.with_file_name("other.sqlite");
    std::fs::write(&other, "").expect("an empty file");
    std::fs::set_permissions(&other, PermissionsExt::from_mode(0o600)).expect("a mode");
    close(open(&other, &steps).expect("a store"), &other);
    assert_eq!(version(&other), 2);
}

#[tokio::test]
async fn x85_a_store_of_a_newer_toolhost_is_refused_untouched_and_its_backup_named() {
    let place = place();
    let older = open(&place.path, NOTES).expect("a store");
    write(&older, "old").await.expect("a row");
    close(older, &place.path);
    let steps = with(AUTHOR);
    close(open(&place.path, &steps).expect("a store"), &place.path);
    let [backup] = &backups(&place.path)[..] else {
        panic!("{:?}", backups(&place.path))
    };
    let bytes = std::fs::read(&place.path).expect("its bytes");
    let path = place.path.canonicalize().expect("a path");
    let error = refused(&place.path);
    let expected = format!(
        "{} has version 2, and this toolhost knows versions up to 1: use the newer toolhost, or move it away together with its `-wal` and `-shm` and copy {} to notes.sqlite, which loses what was written since",
        path.display(),
        path.with_file_name(backup.file_name().expect("a name"))
            .display()
    );
    assert_eq!(error, expected);
    assert_eq!(std::fs::read(&place.path).expect("its bytes"), bytes);

    // One whose process was killed has a log that nobody else may take: it is left as it is.
    let log = place.path.with_file_name("notes.sqlite-wal");
    let killed = Connection::open(&place.path).expect("a file");
    let none = killed.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    none.expect("a setting");
    let written = killed.execute_batch("INSERT INTO note (text) VALUES ('newer')");
    written.expect("a row");
    drop(killed);
    let logged = std::fs::read(&log).expect("a log");
    assert!(!logged.is_empty());
    assert_eq!(refused(&place.path), expected);
    assert_eq!(std::fs::read(&place.path).expect("its bytes"), bytes);
    assert_eq!(std::fs::read(&log).expect("a log"), logged);
    for part in [&log, &place.path.with_file_name("notes.sqlite-shm")] {
        std::fs::rename(part, part.with_extension("aside")).expect("a move");
    }

    // What it says to do works.
    std::fs::rename(&place.path, place.path.with_file_name("aside")).expect("a move");
    std::fs::rename(backup, &place.path).expect("a move");
    let restored = open(&place.path, NOTES).expect("a store");
    assert_eq!(count(&restored).await, 1);
    close(restored, &place.path);

    // Without a backup, and with numbers that no toolhost writes.
    for number in [7, -1, i32::MAX] {
        let connection = Connection::open(&place.path).expect("a file");
        connection
            .pragma_update(None, "user_version", number)
            .expect("a number");
        drop(connection);
        let error = refused(&place.path);
        assert!(
            error.contains(&format!("has version {number}, and"))
                && error.contains("it has no backup"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn x86_a_step_that_fails_changes_nothing_and_can_be_tried_again() {
    let wrong = Migration {
        name: "wrong",
        sql: "DELETE FROM note; INSERT INTO nowhere VALUES (1);",
    };
    for (step, why) in [(wrong, "no such table"), (LARGE, "full")] {
        let place = place();
        let store = open(&place.path, NOTES).expect("a store");
        write(&store, "kept").await.expect("a row");
        close(store, &place.path);
        let manual = ManualClock::at(UNIX_EPOCH);
        for _ in 0..2 {
            manual.advance(Duration::from_secs(1));
            let failed = file::open(&place.path, &with(step), manual.clock());
            let failed = failed.map(drop).expect_err("an error");
            let said = failed.to_string();
            assert!(matches!(failed, OpenError::Migration { .. }), "{said}");
            assert!(said.contains(why) && said.contains(step.name), "{said}");
            assert_eq!(version(&place.path), 1);
        }
        assert_eq!(backups(&place.path).len(), 2, "none is overwritten");
        let before = open(&place.path, NOTES).expect("a store");
        assert_eq!(count(&before).await, 1);
        close(before, &place.path);
        let done = open(&place.path, &with(AUTHOR)).expect("a store");
        assert_eq!(count(&done).await, 1);
    }
}

/// A host that fails to migrate is started again by whoever watches over it, all day.
#[tokio::test]
async fn x87_a_migration_that_is_tried_for_ever_does_not_fill_the_disk_with_backups() {
    let place = place();
    close(open(&place.path, NOTES).expect("a store"), &place.path);
    let manual = ManualClock::at(UNIX_EPOCH);
    for _ in 0..10 {
        manual.advance(Duration::from_secs(1));
        let failed = file::open(&place.path, &with(LARGE), manual.clock());
        failed.map(drop).expect_err("an error");
    }
    assert_eq!(backups(&place.path).len(), backup::MOST);
    let last = open(&place.path, &with(AUTHOR))
        .map(drop)
        .expect_err("an error");
    assert!(matches!(last, OpenError::Backup { .. }), "{last}");
    assert!(last.to_string().contains("move them away"), "{last}");
    assert_eq!(version(&place.path), 1);
}

/// The file that a child migrates; where it is set, a test plays the child.
const FILE_OF_CHILD: &str = "TOOLHOST_TEST_STORE";

fn child(path: &Path) -> Child {
    let module = module_path!().split_once("::").expect("a module").1;
    let test = "x88_a_migration_that_is_killed_leaves_a_store_that_opens";
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("{module}::{test}"), "--nocapture"])
        .env(FILE_OF_CHILD, path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child")
}

#[tokio::test]
async fn x88_a_migration_that_is_killed_leaves_a_store_that_opens() {
    let endless = [NOTES, &[AUTHOR, ENDLESS]].concat();
    if let Some(path) = std::env::var_os(FILE_OF_CHILD) {
        drop(open(Path::new(&path), &endless));
        return;
    }
    let place = place();
    let store = open(&place.path, NOTES).expect("a store");
    write(&store, "kept").await.expect("a row");
    close(store, &place.path);
    // After the second step, and in the third one.
    let mut child = child(&place.path);
    while version(&place.path) < 2 {
        assert!(child.try_wait().expect("its state").is_none(), "it ended");
        std::thread::yield_now();
    }
    child.kill().expect("an end");
    child.wait().expect("an end");
    assert_eq!(version(&place.path), 2);
    assert_eq!(backups(&place.path).len(), 1);
    let last = Migration {
        name: "dates",
        sql: "ALTER TABLE note ADD COLUMN at INTEGER;",
    };
    let steps = [NOTES, &[AUTHOR, last]].concat();
    let done = open(&place.path, &steps).expect("a store");
    assert_eq!(count(&done).await, 1);
    assert_eq!(version(&place.path), 3);
    assert_eq!(backups(&place.path).len(), 2, "one of each version");

    // Killed while it was copied: what is left of that is no backup, and in nobody's way.
    let draft = place.path.with_file_name("notes.sqlite.backup-draft");
    std::fs::write(&draft, "half").expect("a draft");
    let more = [
        &steps[..],
        &[Migration {
            name: "none",
            sql: "",
        }],
    ]
    .concat();
    close(done, &place.path);
    close(open(&place.path, &more).expect("a store"), &place.path);
    assert!(!draft.exists());
    assert_eq!(backups(&place.path).len(), 3);
}

/// `tests/cases/store/v1.sqlite` was made by toolhost as it was before there were migrations.
#[tokio::test]
async fn a_file_of_the_first_release_opens_unchanged() {
    let place = place();
    let first = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/cases/store/v1.sqlite"
    );
    std::fs::copy(first, &place.path).expect("a copy");
    let rows = |connection: &Connection| {
        let sql = "SELECT owner, name, caller, bytes, keys, clock, born, version, key, value
                   FROM space JOIN entry ON entry.space = space.id ORDER BY entry.id";
        let mut statement = connection.prepare(sql).expect("a statement");
        let row = |row: &rusqlite::Row<'_>| {
            let texts: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
            let numbers: [i64; 5] = [
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
            ];
            let (key, value): (String, Vec<u8>) = (row.get(8)?, row.get(9)?);
            let value = String::from_utf8_lossy(&value).into_owned();
            Ok(format!("{texts:?} {numbers:?} {key}={value}"))
        };
        let rows = statement.query_map([], row).expect("rows");
        rows.collect::<Result<Vec<_>, _>>().expect("rows")
    };
    let expected = [
        r#"["test", "greeted", ""] [4, 1, 2, 1, 2] Ada=2"#,
        r#"["rogue", "shared", ""] [13, 2, 2, 1, 1] a=first"#,
        r#"["rogue", "shared", ""] [13, 2, 2, 2, 2] b=second"#,
        r#"["rogue", "own", "local"] [5, 1, 1, 1, 1] k=mine"#,
    ];
    // As it came, the others of its folder could read it.
    let exposed = file::open(&place.path, MIGRATIONS, Clock::SYSTEM);
    assert!(matches!(exposed, Err(OpenError::Exposed { .. })));
    std::fs::set_permissions(&place.path, PermissionsExt::from_mode(0o600)).expect("a mode");
    assert_eq!(version(&place.path), 1);
    let connection = file::open(&place.path, MIGRATIONS, Clock::SYSTEM).expect("a store");
    assert_eq!(rows(&connection), expected);
    let behind = MIGRATIONS.len() - 1;
    assert_eq!(backups(&place.path).len(), behind.min(1));
    // The first step makes exactly the tables that it had.
    let fresh = place.path.with_file_name("fresh.sqlite");
    let fresh = file::open(&fresh, &MIGRATIONS[..1], Clock::SYSTEM).expect("a store");
    let old = place.path.with_file_name("old.sqlite");
    std::fs::copy(first, &old).expect("a copy");
    let old = Connection::open(old).expect("the first file");
    let tables = |connection: &Connection| {
        let sql = "SELECT name || coalesce(replace(replace(sql, ' ', ''), char(10), ''), '') FROM sqlite_schema ORDER BY name";
        let mut statement = connection.prepare(sql).expect("a statement");
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))
            .expect("rows");
        rows.collect::<Result<Vec<_>, _>>().expect("rows")
    };
    assert_eq!(tables(&fresh), tables(&old));
}
