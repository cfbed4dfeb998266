//! A file from its making to its damage, and jobs that end in every way.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Barrier;

use std::time::{Duration, Instant};

use super::migrations::Migration;
use super::*;

pub(super) const NOTES: &[Migration] = &[Migration {
    name: "notes",
    sql: "CREATE TABLE note (text TEXT NOT NULL) STRICT;",
}];

pub(super) struct Place {
    _folder: tempfile::TempDir,
    pub(super) path: PathBuf,
}

pub(super) fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.sqlite");
    Place {
        _folder: folder,
        path,
    }
}

pub(super) fn open(path: &Path, steps: &[Migration]) -> Result<Database, OpenError> {
    let connection = file::open(path, steps, Clock::SYSTEM)?;
    Ok(Database::start(connection, Clock::SYSTEM).expect("a thread"))
}

/// Ends a store and waits for its thread: closing puts the log into the file.
pub(super) fn close(database: Database, path: &Path) {
    drop(database);
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    while Path::new(&wal).exists() {
        std::thread::yield_now();
    }
}

/// A job by what it does.
struct Reading<F>(F);
struct Writing<F>(F);

impl<T, F> Job for Reading<F>
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, JobError> + Send + 'static,
{
    type Output = T;
    type Error = JobError;
    const ACCESS: JobAccess = JobAccess::Read;

    fn run(self, tx: &Transaction<'_>) -> Result<T, JobError> {
        (self.0)(tx)
    }
}

impl<T, F> Job for Writing<F>
where
    T: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, JobError> + Send + 'static,
{
    type Output = T;
    type Error = JobError;
    const ACCESS: JobAccess = JobAccess::Write;

    fn run(self, tx: &Transaction<'_>) -> Result<T, JobError> {
        (self.0)(tx)
    }
}

fn reading<T>(
    job: impl FnOnce(&Transaction<'_>) -> Result<T, JobError> + Send + 'static,
) -> Reading<impl FnOnce(&Transaction<'_>) -> Result<T, JobError> + Send + 'static> {
    Reading(job)
}

fn writing<T>(
    job: impl FnOnce(&Transaction<'_>) -> Result<T, JobError> + Send + 'static,
) -> Writing<impl FnOnce(&Transaction<'_>) -> Result<T, JobError> + Send + 'static> {
    Writing(job)
}

fn owner(caller: &str) -> JobOwner {
    JobOwner {
        caller: caller.into(),
        tool: "notes".into(),
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

pub(super) async fn write(database: &Database, text: &'static str) -> Result<usize, JobError> {
    let job = writing(move |tx| Ok(tx.execute("INSERT INTO note (text) VALUES (?1)", [text])?));
    database.run(&owner("one"), soon(), job).await
}

pub(super) async fn count(database: &Database) -> i64 {
    let job = reading(|tx| Ok(tx.query_row("SELECT count(*) FROM note", [], |row| row.get(0))?));
    let counted = database.run(&owner("one"), soon(), job).await;
    counted.expect("a count")
}

pub(super) fn refused(path: &Path) -> String {
    match open(path, NOTES) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn what_a_job_writes_that_said_it_only_looks_is_undone() {
    let place = place();
    let database = open(&place.path, NOTES).expect("a database");
    let job = reading(|tx| Ok(tx.execute("INSERT INTO note (text) VALUES ('a')", [])?));
    let written = database.run(&owner("one"), soon(), job).await;
    assert_eq!(written.expect("a row, until the end of the job"), 1);
    assert_eq!(count(&database).await, 0);
}

/// Only where there is none: not where there is one that cannot be seen, nor behind a link that leads
/// nowhere.
#[test]
fn a_file_that_cannot_be_looked_at_is_not_taken_for_an_empty_one() {
    let place = place();
    std::os::unix::fs::symlink("nowhere", &place.path).expect("a link");
    let look = |path: &Path| file::look(path, NOTES);
    assert!(look(&place.path).is_err());
    let behind_a_file = place.path.with_file_name("plain");
    std::fs::write(&behind_a_file, "").expect("a file");
    assert!(look(&behind_a_file.join("kv.sqlite")).is_err());
    std::fs::remove_file(&place.path).expect("gone");
    assert!(look(&place.path).is_ok());
}

#[tokio::test]
async fn a_file_is_this_users_alone_and_keeps_what_is_written() {
    let place = place();
    let database = open(&place.path, NOTES).expect("a database");
    write(&database, "a").await.expect("a row");
    let folder = place.path.parent().expect("a folder");
    for file in std::fs::read_dir(folder).expect("a folder") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.file_name());
    }
    drop(database);
    let again = open(&place.path, NOTES).expect("a database");
    assert_eq!(count(&again).await, 1);
}

#[test]
fn what_cannot_be_used_says_what_to_do() {
    let place = place();
    close(open(&place.path, NOTES).expect("a database"), &place.path);
    std::fs::set_permissions(&place.path, PermissionsExt::from_mode(0o640)).expect("a mode");
    assert!(refused(&place.path).contains("chmod 600"));

    std::fs::write(&place.path, "hello, I am a text file".repeat(100)).expect("a text");
    std::fs::set_permissions(&place.path, PermissionsExt::from_mode(0o600)).expect("a mode");
    assert!(refused(&place.path).contains("is damaged"));
    let nowhere = place.path.with_file_name("nowhere/notes.sqlite");
    assert!(refused(&nowhere).contains("cannot be opened"));

    // Other programs' databases, with a number in their header and without.
    for (number, name) in [(7, "a.sqlite"), (0, "b.sqlite")] {
        let other = place.path.with_file_name(name);
        let made = rusqlite::Connection::open(&other).expect("a database");
        made.execute_batch(&format!(
            "CREATE TABLE a (b); PRAGMA application_id = {number}"
        ))
        .expect("a table");
        drop(made);
        std::fs::set_permissions(&other, PermissionsExt::from_mode(0o600)).expect("a mode");
        let before = std::fs::read(&other).expect("its bytes");
        let error = refused(&other);
        assert!(error.contains("another program's database"), "{error}");
        assert_eq!(std::fs::read(&other).expect("its bytes"), before);
    }
}

#[tokio::test]
async fn a_link_is_not_followed() {
    let place = place();
    drop(open(&place.path, NOTES).expect("a database"));
    let link = place.path.with_file_name("link.sqlite");
    std::os::unix::fs::symlink(&place.path, &link).expect("a link");
    assert!(refused(&link).contains("no regular file"));
}

#[tokio::test]
async fn a_damaged_page_is_found_at_the_start() {
    let place = place();
    let database = open(&place.path, NOTES).expect("a database");
    for _ in 0..200 {
        write(
            &database,
            "a text of some length, so that there are several pages",
        )
        .await
        .expect("a row");
    }
    close(database, &place.path);
    let mut bytes = std::fs::read(&place.path).expect("a file");
    assert!(bytes.len() > 8192, "{} bytes", bytes.len());
    bytes[4096..8192].fill(0xa5);
    std::fs::write(&place.path, &bytes).expect("damage");
    assert!(refused(&place.path).contains("is damaged"));
}

#[tokio::test]
async fn a_job_that_fails_or_panics_leaves_nothing() {
    let place = place();
    let database = open(&place.path, NOTES).expect("a database");
    let failing = writing(|tx| -> Result<(), JobError> {
        tx.execute("INSERT INTO note VALUES ('half')", [])?;
        Err(JobError::Gone)
    });
    let failed = database.run(&owner("one"), soon(), failing).await;
    assert!(matches!(failed, Err(JobError::Gone)), "{failed:?}");
    let panicking = writing(|tx| -> Result<(), JobError> {
        tx.execute("INSERT INTO note VALUES ('half')", [])?;
        panic!("on purpose")
    });
    let gone = database.run(&owner("one"), soon(), panicking).await;
    assert!(matches!(gone, Err(JobError::Gone)), "{gone:?}");
    assert_eq!(count(&database).await, 0);
    write(&database, "whole").await.expect("a row");
}

#[tokio::test]
async fn a_job_past_its_deadline_or_unwaited_for_is_not_begun() {
    let place = place();
    let database = Arc::new(open(&place.path, NOTES).expect("a database"));
    let late = writing(|_| -> Result<(), JobError> { panic!("it ran") });
    let ended = database.run(&owner("one"), Instant::now(), late).await;
    assert!(matches!(ended, Err(JobError::Busy)), "{ended:?}");

    // The thread is held by one job while another is given up.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let running = Arc::new(Barrier::new(2));
    let reached = running.clone();
    let handle = tokio::runtime::Handle::current();
    let holding = {
        let database = database.clone();
        tokio::spawn(async move {
            let job = writing(move |_| {
                handle.block_on(reached.wait());
                held.recv().map_err(|_| JobError::Gone)
            });
            database.run(&owner("one"), soon(), job).await
        })
    };
    running.wait().await;
    {
        tokio::select! {
            biased;
            ended = write(&database, "given up") => panic!("{ended:?}"),
            () = std::future::ready(()) => {}
        }
    }
    hold.send(()).expect("a holder");
    holding.await.expect("a task").expect("a job");
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn g52_who_has_many_jobs_keeps_nobody_waiting_for_all_of_them() {
    let place = place();
    let database = Arc::new(open(&place.path, NOTES).expect("a database"));
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let job = |owner: &'static str, wait: Option<std::sync::mpsc::Receiver<()>>| {
        let (database, order) = (database.clone(), order.clone());
        let own = self::owner(owner);
        tokio::spawn(async move {
            let job = reading(move |_| {
                wait.map_or(Ok(()), |held| held.recv().map_err(|_| JobError::Gone))?;
                order.lock().map_err(|_| JobError::Gone)?.push(owner);
                Ok(())
            });
            database.run(&own, soon(), job).await
        })
    };
    // The thread is held until everybody has asked: on one thread each task runs until it waits.
    let mut jobs = vec![job("first", Some(held))];
    jobs.extend((0..50).map(|_| job("many", None)));
    jobs.push(job("other", None));
    tokio::task::yield_now().await;
    hold.send(()).expect("a holder");
    for job in jobs {
        job.await.expect("a task").expect("a job");
    }
    let order = order.lock().expect("the order");
    assert_eq!(order.len(), 52);
    let other = order.iter().position(|owner| *owner == "other");
    assert!(other.is_some_and(|at| at <= 3), "{order:?}");
}

/// A command beside the owner sees what was committed, changes nothing, and makes nothing.
#[tokio::test]
async fn who_looks_sees_what_there_is_and_makes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(folder.path(), Clock::SYSTEM);
    let buckets =
        || reading(|tx| Ok(tx.query_row("SELECT count(*) FROM space", [], |row| row.get(0))?));
    let count = async |store: &Store| -> i64 {
        let database = store.database().expect("a store");
        let counted = database.run(&owner("one"), soon(), buckets()).await;
        counted.expect("a count")
    };
    assert_eq!(count(&store.looked_at()).await, 0);
    let files = || std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(files(), 0);

    let insert = || {
        writing(|tx| {
            let sql = "INSERT INTO space (owner, name, caller) VALUES ('t', 'b', '')";
            Ok(tx.execute(sql, [])?)
        })
    };
    let owned = store.database().expect("a store");
    let done = owned.run(&owner("one"), soon(), insert()).await;
    assert_eq!(done.expect("a row"), 1);
    let looking = store.looked_at();
    assert_eq!(count(&looking).await, 1);
    let database = looking.database().expect("a store");
    let refused = database.run(&owner("one"), soon(), insert()).await;
    assert!(matches!(refused, Err(JobError::Sqlite(_))), "{refused:?}");
    // Nor is the owner held up by somebody who looks.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let begun = Arc::new(Barrier::new(2));
    let (reached, handle) = (begun.clone(), tokio::runtime::Handle::current());
    let look = tokio::spawn(async move {
        let job = reading(move |tx| {
            let rows: i64 = tx.query_row("SELECT count(*) FROM space", [], |row| row.get(0))?;
            handle.block_on(reached.wait());
            held.recv().map_err(|_| JobError::Gone)?;
            Ok(rows)
        });
        database.run(&owner("one"), soon(), job).await
    });
    begun.wait().await;
    let job = writing(|tx| Ok(tx.execute("DELETE FROM space", [])?));
    let done = owned.run(&owner("one"), soon(), job).await;
    assert_eq!(done.expect("a deletion"), 1);
    hold.send(()).expect("a holder");
    assert_eq!(look.await.expect("a task").expect("a count"), 1);
    assert_eq!(count(&looking).await, 0);
}
