//! One owner at a time, whatever stands in the lock's place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, kill_process};

use super::*;

/// The folder that a child owns; where it is set, a test plays the child.
const FOLDER: &str = "TOOLHOST_TEST_STATE";

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Owns a folder until it is killed.
fn play_the_owner() -> bool {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return false;
    };
    let _lock = StateLock::take(Path::new(&folder), Role::Serve).unwrap();
    eprintln!("owned");
    // Until its input ends, which is when the test is over.
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    true
}

/// Another process, which owns the folder.
struct Other(Child);

impl Other {
    fn owning(test: &str, folder: &Path) -> Self {
        let path = module_path!().split_once("::").unwrap().1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{path}::{test}"), "--nocapture"])
            .env(FOLDER, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let owned = said
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "owned");
        assert!(owned, "it never came so far");
        Self(child)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn held(folder: &Path) -> Held {
    match StateLock::take(folder, Role::Call) {
        Err(LockError::Held(held)) => held,
        other => panic!("{other:?}"),
    }
}

fn unfit(folder: &Path) -> String {
    match StateLock::take(folder, Role::Serve) {
        Err(error @ LockError::Unfit { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_has_one_owner_who_says_who_it_is() {
    let scratch = scratch();
    let folder = scratch.path().join("made/here");
    assert!(owner(&folder).unwrap().is_none(), "there is nothing yet");
    let lock = StateLock::take(&folder, Role::Stdio).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(NAME)), 0o600);

    let found = [held(&folder), owner(&folder).unwrap().unwrap()];
    for held in found {
        let said = held.to_string();
        let owner = held.owner.unwrap();
        assert_eq!((owner.pid, owner.role), (std::process::id(), Role::Stdio));
        assert!(said.contains("toolhost serve --stdio, since 20"), "{said}");
    }
    drop(lock);
    assert!(owner(&folder).unwrap().is_none());
    // The file stays: it is the one that everybody locks.
    assert_eq!(std::fs::read(folder.join(NAME)).unwrap(), b"");
    drop(StateLock::take(&folder, Role::Call).unwrap());
}

#[test]
fn x77_a_killed_owner_is_followed_at_once_and_its_words_mean_nothing() {
    if play_the_owner() {
        return;
    }
    let test = "x77_a_killed_owner_is_followed_at_once_and_its_words_mean_nothing";
    let scratch = scratch();
    let mut other = Other::owning(test, scratch.path());
    let pid = u32::try_from(other.pid().as_raw_nonzero().get()).unwrap();
    assert_eq!(held(scratch.path()).owner.unwrap().pid, pid);
    other.0.kill().unwrap();
    other.0.wait().unwrap();
    let left = std::fs::read_to_string(scratch.path().join(NAME)).unwrap();
    assert!(left.contains(&pid.to_string()), "{left}");
    assert!(owner(scratch.path()).unwrap().is_none());
    let _lock = StateLock::take(scratch.path(), Role::Call).unwrap();
    let own = held(scratch.path()).owner.unwrap();
    assert_eq!((own.pid, own.role), (std::process::id(), Role::Call));
}

#[test]
fn x80_a_stopped_owner_is_named_and_not_waited_for() {
    if play_the_owner() {
        return;
    }
    let test = "x80_a_stopped_owner_is_named_and_not_waited_for";
    let scratch = scratch();
    let other = Other::owning(test, scratch.path());
    kill_process(other.pid(), Signal::STOP).unwrap();
    let began = Instant::now();
    let said = held(scratch.path()).to_string();
    assert!(began.elapsed() < Duration::from_secs(5));
    let pid = format!("process {}", other.pid().as_raw_nonzero());
    assert!(said.contains(&pid), "{said}");
}

/// People remove a lock that they take for a stale one.
#[test]
fn x89_a_lock_that_is_removed_makes_nobody_else_the_owner() {
    let scratch = scratch();
    let lock = StateLock::take(scratch.path(), Role::Serve).unwrap();
    std::fs::remove_file(scratch.path().join(NAME)).unwrap();
    assert!(owner(scratch.path()).unwrap().is_some());
    assert!(held(scratch.path()).owner.is_none());
    // That one left a file of its own there, which changes nothing.
    assert!(owner(scratch.path()).unwrap().is_some());
    drop(lock);
    assert!(owner(scratch.path()).unwrap().is_none());
    drop(StateLock::take(scratch.path(), Role::Serve).unwrap());
}

#[test]
fn x79_what_is_no_file_of_this_users_is_no_lock() {
    let scratch = scratch();
    let aside = scratch.path().join("aside");
    std::fs::write(&aside, "theirs").unwrap();
    let folder = scratch.path().join("state");
    std::fs::create_dir(&folder).unwrap();
    let lock = folder.join(NAME);

    symlink(&aside, &lock).unwrap();
    assert!(unfit(&folder).contains("cannot be opened"));
    assert!(owner(&folder).is_err());
    assert_eq!(std::fs::read(&aside).unwrap(), b"theirs");
    std::fs::remove_file(&lock).unwrap();

    rustix::fs::mkfifoat(rustix::fs::CWD, &lock, Mode::RUSR | Mode::WUSR).unwrap();
    assert!(unfit(&folder).contains("no plain file"));
    std::fs::remove_file(&lock).unwrap();

    std::fs::create_dir(&lock).unwrap();
    assert!(unfit(&folder).contains("cannot be opened"));
    std::fs::remove_dir(&lock).unwrap();

    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&folder, open).unwrap();
    assert!(unfit(&folder).contains("chmod go-w"));
}

#[test]
fn words_that_are_none_are_none() {
    let scratch = scratch();
    let lock = StateLock::take(scratch.path(), Role::Serve).unwrap();
    for words in [&b""[..], b"nonsense", &[b'{'; 4 << 10], &[0xff; 64]] {
        lock.file.set_len(0).unwrap();
        lock.file.write_all_at(words, 0).unwrap();
        let said = held(scratch.path());
        assert!(said.owner.is_none());
        assert!(said.to_string().contains("has not said who it is"));
    }
}

#[test]
fn a_disk_that_cannot_be_written_or_locked_is_said_in_a_sentence() {
    let folder = Path::new("/state");
    let read_only = LockError::io(folder, NOT_OPENED, io::ErrorKind::ReadOnlyFilesystem.into());
    assert!(
        read_only.to_string().contains("on another disk"),
        "{read_only}"
    );
    let none = no_locks(folder, Errno::NOLCK);
    assert!(none.to_string().contains("gives no locks"), "{none}");
    for said in [&read_only, &none] {
        let said = said.to_string();
        assert!(
            said.starts_with("/state cannot be the state folder: it"),
            "{said}"
        );
    }
}
