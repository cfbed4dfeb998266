//! A file from its making to its damage, and jobs that end in every way.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Barrier;

use super::*;

const LAYOUT: Layout = Layout {
    application_id: 7,
    version: 1,
    tables: "CREATE TABLE note (text TEXT NOT NULL) STRICT;",
};

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.sqlite");
    Place {
        _folder: folder,
        path,
    }
}

fn owner(caller: &str) -> Owner {
    Owner {
        caller: caller.into(),
        tool: "notes".into(),
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn write(database: &Database, text: &'static str) -> Result<usize, JobError> {
    let job = move |tx: &Transaction<'_>| {
        let written = tx.execute("INSERT INTO note VALUES (?1)", [text]);
        written.map_err(JobError::from)
    };
    database
        .run(&owner("one"), Access::Write, soon(), job)
        .await
}

async fn count(database: &Database) -> i64 {
    let job = |tx: &Transaction<'_>| {
        let count = tx.query_row("SELECT count(*) FROM note", [], |row| row.get(0));
        count.map_err(JobError::from)
    };
    database
        .run(&owner("one"), Access::Read, soon(), job)
        .await
        .expect("a count")
}

fn refused(path: &Path) -> String {
    match Database::open(path, &LAYOUT) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_file_is_this_users_alone_and_keeps_what_is_written() {
    let place = place();
    let database = Database::open(&place.path, &LAYOUT).expect("a database");
    write(&database, "a").await.expect("a row");
    let folder = place.path.parent().expect("a folder");
    for file in std::fs::read_dir(folder).expect("a folder") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.file_name());
    }
    drop(database);
    let again = Database::open(&place.path, &LAYOUT).expect("a database");
    assert_eq!(count(&again).await, 1);
}

#[test]
fn what_cannot_be_used_says_what_to_do() {
    let place = place();
    drop(Database::open(&place.path, &LAYOUT).expect("a database"));
    let other = Layout {
        version: 2,
        ..LAYOUT
    };
    let error = Database::open(&place.path, &other).err().expect("an error");
    assert!(
        error.to_string().contains("version 1, here it is 2"),
        "{error}"
    );

    std::fs::set_permissions(&place.path, PermissionsExt::from_mode(0o640)).expect("a mode");
    assert!(refused(&place.path).contains("chmod 600"));

    std::fs::write(&place.path, "hello, I am a text file".repeat(100)).expect("a text");
    std::fs::set_permissions(&place.path, PermissionsExt::from_mode(0o600)).expect("a mode");
    assert!(refused(&place.path).contains("is damaged"));
    let nowhere = place.path.with_file_name("nowhere/notes.sqlite");
    assert!(refused(&nowhere).contains("cannot be opened"));
}

#[tokio::test]
async fn a_link_is_not_followed() {
    let place = place();
    drop(Database::open(&place.path, &LAYOUT).expect("a database"));
    let link = place.path.with_file_name("link.sqlite");
    std::os::unix::fs::symlink(&place.path, &link).expect("a link");
    refused(&link);
}

#[tokio::test]
async fn a_damaged_page_is_found_at_the_start() {
    let place = place();
    let database = Database::open(&place.path, &LAYOUT).expect("a database");
    for _ in 0..200 {
        write(
            &database,
            "a text of some length, so that there are several pages",
        )
        .await
        .expect("a row");
    }
    let job = |tx: &Transaction<'_>| {
        let done = tx.query_row("SELECT 1", [], |row| row.get::<_, i64>(0));
        done.map_err(JobError::from)
    };
    assert_eq!(
        database
            .run(&owner("one"), Access::Read, soon(), job)
            .await
            .expect("1"),
        1
    );
    // The thread ends after its last sender, and closing puts the log into the file.
    drop(database);
    let wal = place.path.with_file_name("notes.sqlite-wal");
    while wal.exists() {
        std::thread::yield_now();
    }
    let mut bytes = std::fs::read(&place.path).expect("a file");
    assert!(bytes.len() > 8192, "{} bytes", bytes.len());
    bytes[4096..8192].fill(0xa5);
    std::fs::write(&place.path, &bytes).expect("damage");
    assert!(refused(&place.path).contains("is damaged"));
}

#[tokio::test]
async fn a_job_that_fails_or_panics_leaves_nothing() {
    let place = place();
    let database = Database::open(&place.path, &LAYOUT).expect("a database");
    let failing = |tx: &Transaction<'_>| -> Result<(), JobError> {
        tx.execute("INSERT INTO note VALUES ('half')", [])?;
        Err(JobError::Gone)
    };
    assert!(
        database
            .run(&owner("one"), Access::Write, soon(), failing)
            .await
            .is_err()
    );
    let panicking = |tx: &Transaction<'_>| -> Result<(), JobError> {
        tx.execute("INSERT INTO note VALUES ('half')", [])?;
        panic!("on purpose")
    };
    let gone = database
        .run(&owner("one"), Access::Write, soon(), panicking)
        .await;
    assert!(matches!(gone, Err(JobError::Gone)), "{gone:?}");
    assert_eq!(count(&database).await, 0);
    write(&database, "whole").await.expect("a row");
}

#[tokio::test]
async fn a_job_past_its_deadline_or_unwaited_for_is_not_begun() {
    let place = place();
    let database = Arc::new(Database::open(&place.path, &LAYOUT).expect("a database"));
    let late = |_: &Transaction<'_>| -> Result<(), JobError> { panic!("it ran") };
    let ended = database
        .run(&owner("one"), Access::Write, Instant::now(), late)
        .await;
    assert!(matches!(ended, Err(JobError::Busy)), "{ended:?}");

    // The thread is held by one job while another is given up.
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let running = Arc::new(Barrier::new(2));
    let reached = running.clone();
    let handle = tokio::runtime::Handle::current();
    let holding = {
        let database = database.clone();
        tokio::spawn(async move {
            let job = move |_: &Transaction<'_>| -> Result<(), JobError> {
                handle.block_on(reached.wait());
                held.recv().map_err(|_| JobError::Gone)
            };
            database
                .run(&owner("one"), Access::Write, soon(), job)
                .await
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
    let database = Arc::new(Database::open(&place.path, &LAYOUT).expect("a database"));
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let job = |owner: &'static str, wait: Option<std::sync::mpsc::Receiver<()>>| {
        let (database, order) = (database.clone(), order.clone());
        let own = self::owner(owner);
        tokio::spawn(async move {
            let job = move |_: &Transaction<'_>| -> Result<(), JobError> {
                wait.map_or(Ok(()), |held| held.recv().map_err(|_| JobError::Gone))?;
                order.lock().map_err(|_| JobError::Gone)?.push(owner);
                Ok(())
            };
            database.run(&own, Access::Read, soon(), job).await
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

#[test]
fn several_may_make_it_at_once() {
    let place = place();
    std::thread::scope(|scope| {
        let opening: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Database::open(&place.path, &LAYOUT).map(drop)))
            .collect();
        for one in opening {
            one.join().expect("a thread").expect("a database");
        }
    });
    let folder = place.path.parent().expect("a folder");
    let left = std::fs::read_dir(folder).expect("a folder");
    let drafts = left.filter(|file| {
        let name = file.as_ref().expect("a file").file_name();
        name.to_string_lossy().contains(".new")
    });
    assert_eq!(drafts.count(), 0);
}
