//! The directories of one call: what the guest was given, what it has open, and who does its work.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::filesystem::{self as wasi, Descriptor};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{self, ErrorCode, HostDirectoryEntryStream};
use wasmtime_wasi::p2::{DynOutputStream, FsError, FsResult, ReaddirIterator};

use super::account::{Hold, OpenFile};
use super::changes::{Changes, within};
use super::place::{LazyDirs, OpenDir, OpenDirs, Unopened};
use super::stream::{HELD, Met, Source, Writer};
use super::temp_table::TempTable;
use super::work::is_passed_over;
use super::workers::CallerWorkers;
use super::write::Position;
use crate::capability::context::CallContext;
use crate::shares::{Account, Exceeded, Holding};
use crate::terms::{Caller, DirOperation, DirTarget};
use toolhost_outbound::AttemptLog;

/// The directories of one call.
pub struct State {
    lazy: Arc<LazyDirs>,
    caller: Option<Caller>,
    /// What is open, and who works there for this caller; once the guest has asked for it.
    places: Option<(Arc<OpenDirs>, CallerWorkers)>,
    pub(super) origins: HashMap<u32, Origin>,
    /// Where is noted what a guest may not understand.
    attempts: AttemptLog,
    /// What it does there, for its record.
    pub(super) changes: Changes,
    /// For paths and pieces under way, for listings, and for what streams have read.
    pub(super) account: Account,
    /// What the guest's listings hold of it.
    pub(super) listings: HashMap<u32, Holding>,
}

/// What an operation costs while it waits and while it is done, in bytes: its paths, and the task
/// that waits for it.
const WORK: u64 = 12 << 10;

/// Where a guest's descriptor comes from.
pub(super) struct Origin {
    pub(super) place: Arc<OpenDir>,
    /// Not of what the guest was given at its start.
    pub(super) open: Option<Arc<OpenFile>>,
    /// Its path, as the guest named it.
    pub(super) path: String,
}

impl State {
    /// Opens nothing yet: a call that needs no file is not to miss a directory.
    pub(in crate::capability) fn new(lazy: &Arc<LazyDirs>, context: &CallContext<'_>) -> Self {
        Self {
            lazy: lazy.clone(),
            caller: context.caller.cloned(),
            places: None,
            origins: HashMap::new(),
            attempts: context.attempts.clone(),
            changes: Changes::new(context.attempts),
            account: context.account.clone(),
            listings: HashMap::new(),
        }
    }

    /// Room for an operation that carries so many bytes beside its paths.
    pub(super) fn hold(&self, carried: usize) -> FsResult<Holding> {
        let carried = u64::try_from(carried).unwrap_or(u64::MAX);
        let held = self.account.hold(WORK.saturating_add(carried));
        held.map_err(short)
    }
}

/// The call ends: what it has under way is more than the host holds for it.
fn short(exceeded: Exceeded) -> FsError {
    FsError::trap(exceeded)
}

/// What the host functions work on.
pub struct Dirs<'a> {
    pub(in crate::capability) state: &'a mut State,
    pub(in crate::capability) table: &'a mut ResourceTable,
}

/// [`Dirs`] as the linker knows them.
pub(super) struct HasDirs;

impl HasData for HasDirs {
    type Data<'a> = Dirs<'a>;
}

/// A guest's descriptor.
pub(super) type Fd = Resource<Descriptor>;

impl Dirs<'_> {
    fn origin(&self, fd: &Fd) -> FsResult<(&Origin, &CallerWorkers)> {
        let origin = self.state.origins.get(&fd.rep());
        let unknown = || FsError::trap(wasmtime::Error::msg("a descriptor from nowhere"));
        let crew = self.state.places.as_ref().map(|(_, crew)| crew);
        origin.zip(crew).ok_or_else(unknown)
    }

    /// Room for one more open file, where this descriptor is.
    pub(super) fn hold_file(&self, fd: &Fd) -> FsResult<Hold> {
        let (origin, crew) = self.origin(fd)?;
        Ok(origin.place.hold_file(crew.caller())?)
    }

    pub(super) fn place(&self, fd: &Fd) -> FsResult<Arc<OpenDir>> {
        self.origin(fd).map(|(origin, _)| Arc::clone(&origin.place))
    }

    pub(super) fn dir(&self, fd: &Fd) -> FsResult<wasi::Dir> {
        match self.table.get(fd)? {
            Descriptor::Dir(dir) => Ok(dir.clone()),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    pub(super) fn file(&self, fd: &Fd) -> FsResult<Arc<File>> {
        match self.table.get(fd)? {
            Descriptor::File(file) => Ok(Arc::clone(&file.file)),
            Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    /// Has a file worker do something with what is behind a descriptor.
    pub(super) async fn have<T: Send + 'static>(
        &mut self,
        fd: &Fd,
        work: impl FnOnce() -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        let held = self.state.hold(0)?;
        self.have_held(fd, held, work).await
    }

    /// The same with what the operation carries, held already.
    pub(super) async fn have_held<T: Send + 'static>(
        &mut self,
        fd: &Fd,
        held: Holding,
        work: impl FnOnce() -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        let crew = self.crew(fd)?;
        let work = move || {
            // Until it is done, also when nobody waits for it any more.
            let _held = held;
            work()
        };
        crew.run(work).await
    }

    /// The threads that reach what is behind a descriptor.
    pub(super) fn crew(&self, fd: &Fd) -> FsResult<CallerWorkers> {
        Ok(self.origin(fd)?.1.clone())
    }

    /// Has a file worker do one of wasmtime-wasi's operations that change nothing that is counted.
    pub(super) async fn ask<T: Send + 'static>(
        &mut self,
        fd: &Fd,
        operation: impl AsyncFnOnce(&mut TempTable, Fd) -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        let work = self.asking(fd, operation)?;
        self.have(fd, work).await
    }

    /// Of one directory tree: what is counted in one account cannot move to another.
    pub(super) fn pair(
        &self,
        (old, new): (&Fd, &Fd),
        operation: DirOperation,
        (old_path, new_path): (&str, &str),
    ) -> FsResult<(Arc<OpenDir>, (wasi::Dir, wasi::Dir))> {
        let dirs = (self.dir(old)?, self.dir(new)?);
        let (from, to) = (self.place(old)?, self.place(new)?);
        let may = from.is_writable() && to.is_writable();
        if may && !Arc::ptr_eq(&from.account, &to.account) {
            return Err(ErrorCode::CrossDevice.into());
        }
        let change = DirTarget {
            operation,
            path: self.path(new, new_path)?,
            from: Some(self.path(old, old_path)?),
        };
        // What is moved has to be let go where it was, too.
        let guarded = if from.is_writable() { &to } else { &from };
        self.state.changes.change(&guarded.grant, change)?;
        Ok((to, dirs))
    }

    /// A path that the guest names from a descriptor, as it would name it from its root.
    pub(super) fn path(&self, fd: &Fd, path: &str) -> FsResult<String> {
        let clean = |path| self.state.attempts.scrub(path);
        Ok(within(&self.origin(fd)?.0.path, path, clean))
    }

    /// Records a change before it is made.
    pub(super) fn changing(&self, fd: &Fd, operation: DirOperation, path: &str) -> FsResult<()> {
        let change = DirTarget {
            operation,
            path: self.path(fd, path)?,
            from: None,
        };
        Ok(self.state.changes.change(&self.place(fd)?.grant, change)?)
    }

    pub(super) fn enter(&mut self, descriptor: Descriptor, origin: Origin) -> FsResult<Fd> {
        let fd = self.table.push(descriptor)?;
        self.state.origins.insert(fd.rep(), origin);
        Ok(fd)
    }

    /// Forgets a descriptor that the guest gave up.
    pub(super) fn leave(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.state.origins.remove(&fd.rep());
        self.table.delete(fd)?;
        Ok(())
    }

    /// What the guest is given: each directory as it is now, and what it is called. Where one cannot be
    /// had the call ends, with a fault that names it.
    pub(super) fn given(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let places = match &self.state.places {
            Some((places, _)) => Arc::clone(places),
            None => {
                let open = self.state.lazy.open();
                let Some(places) = open.map_err(Unopened::fault)? else {
                    return Ok(Vec::new());
                };
                let crew = CallerWorkers::new(&places.workers, self.state.caller.as_ref());
                self.state.places = Some((Arc::clone(&places), crew));
                places
            }
        };
        let mut given = Vec::new();
        for (descriptor, place) in places.preopened() {
            let origin = Origin {
                place: Arc::clone(place),
                open: None,
                path: place.grant.guest.clone(),
            };
            let fd = self.table.push(descriptor)?;
            self.state.origins.insert(fd.rep(), origin);
            given.push((fd, place.grant.guest.clone()));
        }
        Ok(given)
    }

    /// A file that is read or written as a stream.
    pub(super) fn source(&self, fd: &Fd) -> FsResult<Source> {
        let (origin, crew) = self.origin(fd)?;
        let Some(open) = &origin.open else {
            return Err(ErrorCode::IsDirectory.into());
        };
        let own = origin.place.hold_file(crew.caller())?;
        let held = self.state.account.hold(HELD).map_err(short)?;
        Ok(Source {
            file: self.file(fd)?,
            place: Arc::clone(&origin.place),
            crew: crew.clone(),
            attempts: self.state.attempts.clone(),
            _holds: Arc::new((Arc::clone(open), own, held)),
        })
    }

    /// A file that may be read.
    pub(super) fn readable(&self, fd: &Fd) -> FsResult<Source> {
        match self.table.get(fd)? {
            Descriptor::File(_) => self.source(fd),
            Descriptor::Dir(_) => Err(ErrorCode::IsDirectory.into()),
        }
    }

    /// A file that may be written.
    pub(super) fn target(&self, fd: &Fd) -> FsResult<Source> {
        self.file(fd)?;
        if !self.place(fd)?.is_writable() {
            return Err(ErrorCode::NotPermitted.into());
        }
        self.source(fd)
    }

    pub(super) fn writer(
        &mut self,
        fd: &Fd,
        position: Position,
    ) -> FsResult<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(Writer::new(self.target(fd)?, position));
        Ok(self.table.push(stream)?)
    }
}

/// Where no code of an error can be told, it ends the call.
pub(super) fn plain(error: FsError) -> wasmtime::Error {
    match error.downcast() {
        Ok(code) => code.into(),
        Err(trap) => trap,
    }
}

impl preopens::Host for Dirs<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        self.given()
    }
}

impl types::Host for Dirs<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let met = self.table.get(&error)?.downcast_ref::<Met>();
        Ok(met.map(|met| met.0))
    }
}

impl HostDirectoryEntryStream for Dirs<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<ReaddirIterator>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        // Everything was read when the directory was: this touches no file.
        let mut view = wasi::WasiFilesystemCtxView {
            ctx: &mut wasi::WasiFilesystemCtx::default(),
            table: self.table,
        };
        loop {
            let stream = Resource::new_borrow(stream.rep());
            let entry = view.read_directory_entry(stream).await;
            // As many as the directory had.
            if !is_passed_over(&entry) {
                return entry;
            }
        }
    }

    fn drop(&mut self, stream: Resource<ReaddirIterator>) -> wasmtime::Result<()> {
        self.state.listings.remove(&stream.rep());
        self.table.delete(stream)?;
        Ok(())
    }
}
