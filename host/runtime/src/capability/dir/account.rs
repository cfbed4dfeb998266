//! What a directory holds: counted once, kept up with every change that a guest makes, and counted
//! again from time to time, because others change it too.
//!
//! Every change is made with the books open, so that two calls cannot both take the last byte. That
//! happens on a file worker's thread only.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use super::measure::{Usage, measure};
use crate::grants::DirQuota;
use crate::shares::{Lease, Shares};
use crate::terms::Clock;
use toolhost_outbound::descriptors::Descriptors;

/// Device and inode.
pub(super) type Identity = (u64, u64);

pub(super) fn identity(metadata: &impl MetadataExt) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// How old a count may be: a minute, and longer where counting takes long.
const FRESH: Duration = Duration::from_secs(60);

/// How old the count must be that a refusal rests on: an operator who made room should not wait.
const FRESH_ENOUGH_TO_REFUSE: Duration = Duration::from_millis(250);

/// The account of one directory, shared by all that is granted it.
#[derive(Debug)]
pub(super) struct Account {
    clock: Clock,
    books: Mutex<Option<Counted>>,
    /// Files that are open. Never locked while the disk is waited for.
    open: Mutex<HashMap<Identity, Open>>,
    /// Bytes of files without a name that are closed since the books were last open.
    freed: AtomicU64,
    /// By caller.
    handles: Mutex<BTreeMap<Arc<str>, u32>>,
    /// Files that guests have open in the whole process.
    everywhere: Files,
}

#[derive(Debug)]
struct Counted {
    usage: Usage,
    at: Instant,
    took: Duration,
}

#[derive(Debug, Default)]
struct Open {
    files: Vec<Weak<File>>,
    /// It has no name any more: its bytes come back when it is closed.
    nameless: bool,
}

/// Files that guests have open in the whole process; whose they are is their caller's name.
pub(super) type Files = Shares<Arc<str>>;

/// The part of the process's descriptors that is the guests' files'.
pub(super) fn files() -> Files {
    Shares::new(u64::try_from(Descriptors::now().files).unwrap_or(u64::MAX))
}

/// One handle of a guest's, given back when it goes.
#[derive(Debug)]
pub(super) struct Hold {
    account: Arc<Account>,
    caller: Arc<str>,
    _everywhere: Lease<Arc<str>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut handles = self.account.handles();
        if let Some(own) = handles.get_mut(&self.caller) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                handles.remove(&self.caller);
            }
        }
    }
}

/// An open file of a guest's. Its bytes are the directory's until it is closed, name or not.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: Arc<File>,
    hold: Hold,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let account = &self.hold.account;
        let Ok(metadata) = self.file.metadata() else {
            return;
        };
        let inode = identity(&metadata);
        let mut open = account.open();
        let Some(entry) = open.get_mut(&inode) else {
            return;
        };
        let own = Arc::as_ptr(&self.file);
        entry.files.retain(|file| file.as_ptr() != own);
        if entry.files.is_empty() {
            if entry.nameless {
                account.freed.fetch_add(metadata.len(), Ordering::Relaxed);
            }
            open.remove(&inode);
        }
    }
}

impl Account {
    pub(super) fn new(everywhere: Files, clock: Clock) -> Self {
        Self {
            clock,
            books: Mutex::new(None),
            open: Mutex::default(),
            freed: AtomicU64::new(0),
            handles: Mutex::default(),
            everywhere,
        }
    }

    /// One more handle of this caller's.
    pub(super) fn hold(
        self: &Arc<Self>,
        quota: &DirQuota,
        caller: &Arc<str>,
    ) -> Result<Hold, ErrorCode> {
        let everywhere = self.everywhere.take(caller, 1);
        let everywhere = everywhere.map_err(|_| ErrorCode::Quota)?;
        let mut handles = self.handles();
        let own = handles.entry(Arc::clone(caller)).or_default();
        if *own >= quota.handles {
            return Err(ErrorCode::Quota);
        }
        *own += 1;
        Ok(Hold {
            account: Arc::clone(self),
            caller: Arc::clone(caller),
            _everywhere: everywhere,
        })
    }

    fn handles(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, u32>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a file is open.
    pub(super) fn opened(&self, file: &Arc<File>, hold: Hold) -> io::Result<OpenFile> {
        let inode = identity(&file.metadata()?);
        let mut open = self.open();
        let entry = open.entry(inode).or_default();
        entry.files.push(Arc::downgrade(file));
        Ok(OpenFile {
            file: Arc::clone(file),
            hold,
        })
    }

    /// Makes one change with the books open. `root` is the directory.
    pub(super) fn change<T>(
        &self,
        root: &File,
        quota: &DirQuota,
        make: impl FnOnce(&mut Change<'_>) -> Result<T, FsError>,
    ) -> Result<T, FsError> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let mut change = Change {
            account: self,
            root,
            quota,
            books,
        };
        change.went(self.freed.swap(0, Ordering::Relaxed), 0);
        make(&mut change)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Identity, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of open files without a name: no walk finds them.
    fn nameless(&self) -> u64 {
        let open = self.open();
        let size = |entry: &Open| {
            let file = entry.files.iter().find_map(Weak::upgrade)?;
            file.metadata().ok().map(|metadata| metadata.len())
        };
        let nameless = open.values().filter(|entry| entry.nameless);
        nameless
            .filter_map(size)
            .fold(0, |sum, bytes| sum.saturating_add(bytes))
    }
}

/// A change while the books are open.
pub(super) struct Change<'a> {
    account: &'a Account,
    root: &'a File,
    quota: &'a DirQuota,
    books: MutexGuard<'a, Option<Counted>>,
}

impl Change<'_> {
    /// Whether so much more may come in.
    pub(super) fn need(&mut self, bytes: u64, files: u64) -> Result<(), ErrorCode> {
        if bytes == 0 && files == 0 {
            return Ok(());
        }
        let usage = self.usage(FRESH, 100)?;
        if self.fits(usage, bytes, files) {
            return Ok(());
        }
        let usage = self.usage(FRESH_ENOUGH_TO_REFUSE, 20)?;
        if self.fits(usage, bytes, files) {
            Ok(())
        } else {
            Err(ErrorCode::Quota)
        }
    }

    fn fits(&self, usage: Usage, bytes: u64, files: u64) -> bool {
        let sum = |held: u64, more: u64, most: u64| {
            more == 0 || held.checked_add(more).is_some_and(|sum| sum <= most)
        };
        sum(usage.bytes, bytes, self.quota.bytes) && sum(usage.files, files, self.quota.files)
    }

    /// What the directory holds, by a count that is no older than `age` and than `times` what
    /// counting takes.
    fn usage(&mut self, age: Duration, times: u32) -> Result<Usage, ErrorCode> {
        if let Some(counted) = &*self.books
            && self.account.clock.since(counted.at) <= age.max(counted.took.saturating_mul(times))
        {
            return Ok(counted.usage);
        }
        let clock = self.account.clock;
        let start = clock.now();
        // One beyond the quota is as full as any number beyond it.
        let counted = measure(self.root, self.quota.files.saturating_add(1));
        let mut usage = counted.map_err(|error| {
            tracing::warn!(%error, "a granted directory cannot be measured: nothing is written to it");
            ErrorCode::Quota
        })?;
        usage.bytes = usage.bytes.saturating_add(self.account.nameless());
        *self.books = Some(Counted {
            usage,
            at: clock.now(),
            took: clock.since(start),
        });
        Ok(usage)
    }

    /// So much came in.
    pub(super) fn came(&mut self, bytes: u64, files: u64) {
        if let Some(counted) = &mut *self.books {
            counted.usage.bytes = counted.usage.bytes.saturating_add(bytes);
            counted.usage.files = counted.usage.files.saturating_add(files);
        }
    }

    /// So much went.
    pub(super) fn went(&mut self, bytes: u64, files: u64) {
        if let Some(counted) = &mut *self.books {
            counted.usage.bytes = counted.usage.bytes.saturating_sub(bytes);
            counted.usage.files = counted.usage.files.saturating_sub(files);
        }
    }

    /// A name went, and with the last name what it named, unless that is open.
    pub(super) fn unnamed(&mut self, was: &cap_std::fs::Metadata) {
        use cap_fs_ext::MetadataExt as _;

        let last = was.is_file() && was.nlink() <= 1;
        let kept = last && {
            let mut open = self.account.open();
            let entry = open.get_mut(&(was.dev(), was.ino()));
            entry.map(|entry| entry.nameless = true).is_some()
        };
        self.went(if last && !kept { was.len() } else { 0 }, 1);
    }

    /// A file that was `old` bytes long is `new` bytes long.
    pub(super) fn resized(&mut self, old: u64, new: u64) {
        self.came(new.saturating_sub(old), 0);
        self.went(old.saturating_sub(new), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g45_g73_open_files_are_bounded_for_a_caller_and_in_all() {
        let everywhere = Files::new(6);
        let account = || Arc::new(Account::new(everywhere.clone(), Clock::SYSTEM));
        let (one, other) = (account(), account());
        let [ada, bob]: [Arc<str>; 2] = ["ada".into(), "bob".into()];
        let quota = DirQuota {
            handles: 2,
            ..DirQuota::DEFAULT
        };
        let mut held = vec![
            one.hold(&quota, &ada).unwrap(),
            one.hold(&quota, &ada).unwrap(),
        ];
        assert_eq!(one.hold(&quota, &ada).unwrap_err(), ErrorCode::Quota);
        // Another one's are its own.
        held.push(one.hold(&quota, &bob).unwrap());
        held.push(other.hold(&quota, &ada).unwrap());
        let full = other.hold(&quota, &ada).unwrap_err();
        assert_eq!(full, ErrorCode::Quota);
        held.push(other.hold(&quota, &bob).unwrap());
        drop(held);
        assert!(one.hold(&quota, &ada).is_ok());
        assert_eq!(everywhere.free(), 6);
        assert!(one.handles().is_empty());
    }
}
