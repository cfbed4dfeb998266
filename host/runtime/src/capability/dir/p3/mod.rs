//! `wasi:filesystem` 0.3: the same work by the same file workers. A guest waits for it beside others, so
//! nothing here holds the store while a file worker works.

mod convert;
mod stream;

use tokio::sync::oneshot;
use wasmtime::component::{Access, Accessor, FutureReader, Linker, Resource, StreamReader};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::HostDescriptor as _;
use wasmtime_wasi::p3::bindings::filesystem::preopens;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    Filesize, HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};

use self::convert::{
    old_advice, old_flags, old_open, old_path, old_time, told, told_code, told_flags, told_stat,
    told_type,
};
use self::stream::{Listing, Pulling, Pushing};
use super::host::{Dirs, Fd, HasDirs, Origin};
use super::open::OpenRequest;
use super::stream::Source;
use super::temp_table::TempTable;
use super::work::{Work, fits};
use super::workers::CallerWorkers;
use super::write::Position;

/// Links files of WASI 0.3.
///
/// # Errors
///
/// Only when another capability claims them too: a defect.
pub(in crate::capability) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> Dirs<'_>,
) -> wasmtime::Result<()> {
    preopens::add_to_linker::<T, HasDirs>(linker, get)?;
    types::add_to_linker::<T, HasDirs>(linker, get)
}

/// Has a file worker do the work that is found in the guest's directories.
async fn have<T: Send + 'static, R: Send + 'static>(
    store: &Accessor<T, HasDirs>,
    find: impl FnOnce(&mut Dirs<'_>) -> FsResult<(CallerWorkers, Work<R>)>,
) -> FilesystemResult<R> {
    let begin = |dirs: &mut Dirs<'_>| {
        let (crew, work) = find(dirs)?;
        Ok((crew, holding(dirs, work)?))
    };
    let (crew, work) = store
        .with(|mut store| begin(&mut store.get()))
        .map_err(told)?;
    crew.run(work).await.map_err(told)
}

/// Work, and room for it on the call's account until it is done: a guest may have as many under way as
/// it has handles.
fn holding<R: 'static>(
    dirs: &Dirs<'_>,
    work: Work<R>,
) -> FsResult<impl FnOnce() -> FsResult<R> + Send + 'static + use<R>> {
    let held = dirs.state.hold(0)?;
    Ok(move || {
        let _held = held;
        work()
    })
}

/// Has a file worker do one of wasmtime-wasi's operations that change nothing that is counted.
async fn ask<T: Send + 'static, R: Send + 'static>(
    store: &Accessor<T, HasDirs>,
    fd: &Fd,
    operation: impl AsyncFnOnce(&mut TempTable, Fd) -> FsResult<R> + Send + 'static,
) -> FilesystemResult<R> {
    have(store, |dirs| {
        Ok((dirs.crew(fd)?, dirs.asking(fd, operation)?))
    })
    .await
}

type Done = FutureReader<Result<(), ErrorCode>>;

/// Where it is told how a stream ended.
type End = oneshot::Sender<Result<(), ErrorCode>>;

/// What a guest waits for to learn how a stream ended. Whoever drops the sender says how first.
fn done<T: Send + 'static>(store: &mut Access<'_, T, HasDirs>) -> wasmtime::Result<(End, Done)> {
    let (sender, receiver) = oneshot::channel();
    Ok((sender, FutureReader::new(&mut *store, receiver)?))
}

/// Tells the guest why there is no stream, unless that ends its call.
fn refuse(end: End, error: wasmtime_wasi::p2::FsError) -> wasmtime::Result<()> {
    let code = error.downcast()?;
    // Nobody may be waiting.
    let _ = end.send(Err(told_code(code)));
    Ok(())
}

fn push<T: Send + 'static>(
    mut store: Access<'_, T, HasDirs>,
    mut data: StreamReader<u8>,
    target: FsResult<Source>,
    position: Position,
) -> wasmtime::Result<Done> {
    let (end, told) = done(&mut store)?;
    match target {
        Ok(target) => data.pipe(&mut store, Pushing::new(target, position, end))?,
        Err(error) => {
            data.close(&mut store)?;
            refuse(end, error)?;
        }
    }
    Ok(told)
}

impl types::Host for Dirs<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl types::HostDescriptor for Dirs<'_> {
    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.leave(fd)
    }
}

impl preopens::Host for Dirs<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        self.given()
    }
}

impl<T: Send + 'static> HostDescriptorWithStore<T> for HasDirs {
    fn read_via_stream(
        mut store: Access<'_, T, Self>,
        fd: Fd,
        offset: Filesize,
    ) -> wasmtime::Result<(StreamReader<u8>, Done)> {
        let source = store.get().readable(&fd);
        let (end, told) = done(&mut store)?;
        let data = match source {
            Ok(source) => StreamReader::new(&mut store, Pulling::new(source, offset, end))?,
            Err(error) => {
                refuse(end, error)?;
                StreamReader::new(&mut store, std::iter::empty())?
            }
        };
        Ok((data, told))
    }

    fn write_via_stream(
        mut store: Access<'_, T, Self>,
        fd: Fd,
        data: StreamReader<u8>,
        offset: Filesize,
    ) -> wasmtime::Result<Done> {
        let target = store.get().target(&fd);
        push(store, data, target, Position::At(offset))
    }

    fn append_via_stream(
        mut store: Access<'_, T, Self>,
        fd: Fd,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<Done> {
        let target = store.get().target(&fd);
        push(store, data, target, Position::End)
    }

    async fn advise(
        store: &Accessor<T, Self>,
        fd: Fd,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FilesystemResult<()> {
        let advice = old_advice(advice);
        ask(store, &fd, async move |temp, fd| {
            temp.view().advise(fd, offset, length, advice).await
        })
        .await
    }

    async fn sync_data(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<()> {
        ask(store, &fd, async |temp, fd| temp.view().sync_data(fd).await).await
    }

    async fn get_flags(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<DescriptorFlags> {
        let flags = ask(store, &fd, async |temp, fd| temp.view().get_flags(fd).await);
        flags.await.map(told_flags)
    }

    async fn get_type(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<DescriptorType> {
        let kind = ask(store, &fd, async |temp, fd| temp.view().get_type(fd).await);
        kind.await.map(told_type)
    }

    async fn set_size(store: &Accessor<T, Self>, fd: Fd, size: Filesize) -> FilesystemResult<()> {
        have(store, |dirs| {
            Ok((dirs.crew(&fd)?, dirs.resizing(&fd, size)?))
        })
        .await
    }

    async fn set_times(
        store: &Accessor<T, Self>,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        let (accessed, modified) = (old_time(accessed)?, old_time(modified)?);
        ask(store, &fd, async move |temp, fd| {
            temp.view().set_times(fd, accessed, modified).await
        })
        .await
    }

    fn read_directory(
        mut store: Access<'_, T, Self>,
        fd: Fd,
    ) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Done)> {
        let dirs = store.get();
        let work = dirs
            .listing(&fd)
            .and_then(|work| Ok((dirs.crew(&fd)?, holding(&dirs, work)?)));
        let (end, told) = done(&mut store)?;
        let entries = match work {
            Ok((crew, work)) => StreamReader::new(&mut store, Listing::new(crew, work, end))?,
            Err(error) => {
                refuse(end, error)?;
                StreamReader::new(&mut store, std::iter::empty())?
            }
        };
        Ok((entries, told))
    }

    async fn sync(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<()> {
        ask(store, &fd, async |temp, fd| temp.view().sync(fd).await).await
    }

    async fn create_directory_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path: String,
    ) -> FilesystemResult<()> {
        let find = |dirs: &mut Dirs<'_>| Ok((dirs.crew(&fd)?, dirs.making_directory(&fd, path)?));
        have(store, find).await
    }

    async fn stat(store: &Accessor<T, Self>, fd: Fd) -> FilesystemResult<DescriptorStat> {
        let stat = ask(store, &fd, async |temp, fd| temp.view().stat(fd).await);
        stat.await.map(told_stat)
    }

    async fn stat_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<DescriptorStat> {
        fits(&path).map_err(told)?;
        let stat = ask(store, &fd, async move |temp, fd| {
            temp.view().stat_at(fd, old_path(flags), path).await
        });
        stat.await.map(told_stat)
    }

    async fn set_times_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FilesystemResult<()> {
        let times = (old_time(accessed)?, old_time(modified)?);
        let find = |dirs: &mut Dirs<'_>| {
            let work = dirs.setting_times(&fd, old_path(flags), path, times)?;
            Ok((dirs.crew(&fd)?, work))
        };
        have(store, find).await
    }

    async fn link_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        old: String,
        new_fd: Fd,
        new: String,
    ) -> FilesystemResult<()> {
        let find = |dirs: &mut Dirs<'_>| {
            let work = dirs.linking((&fd, &new_fd), old_path(flags), (old, new))?;
            Ok((dirs.crew(&fd)?, work))
        };
        have(store, find).await
    }

    async fn open_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FilesystemResult<Resource<Descriptor>> {
        let begin = |dirs: &mut Dirs<'_>| {
            let asked =
                OpenRequest::read(old_path(path_flags), old_open(open_flags), old_flags(flags))?;
            let (origin, work) = dirs.opening(&fd, path, asked)?;
            Ok((origin, dirs.crew(&fd)?, holding(dirs, work)?))
        };
        let begun = store.with(|mut store| begin(&mut store.get()));
        let (origin, crew, work) = begun.map_err(told)?;
        let (descriptor, open) = crew.run(work).await.map_err(told)?;
        let enter = |dirs: &mut Dirs<'_>| dirs.enter(descriptor, Origin { open, ..origin });
        store
            .with(|mut store| enter(&mut store.get()))
            .map_err(told)
    }

    async fn readlink_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path: String,
    ) -> FilesystemResult<String> {
        fits(&path).map_err(told)?;
        ask(store, &fd, async move |temp, fd| {
            temp.view().readlink_at(fd, path).await
        })
        .await
    }

    async fn remove_directory_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path: String,
    ) -> FilesystemResult<()> {
        let find = |dirs: &mut Dirs<'_>| Ok((dirs.crew(&fd)?, dirs.removing_directory(&fd, path)?));
        have(store, find).await
    }

    async fn rename_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        old: String,
        new_fd: Fd,
        new: String,
    ) -> FilesystemResult<()> {
        let find =
            |dirs: &mut Dirs<'_>| Ok((dirs.crew(&fd)?, dirs.renaming((&fd, &new_fd), (old, new))?));
        have(store, find).await
    }

    async fn symlink_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        target: String,
        path: String,
    ) -> FilesystemResult<()> {
        let find =
            |dirs: &mut Dirs<'_>| Ok((dirs.crew(&fd)?, dirs.making_symlink(&fd, target, path)?));
        have(store, find).await
    }

    async fn unlink_file_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        path: String,
    ) -> FilesystemResult<()> {
        have(store, |dirs| {
            Ok((dirs.crew(&fd)?, dirs.unlinking(&fd, path)?))
        })
        .await
    }

    async fn is_same_object(store: &Accessor<T, Self>, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        let same = have(store, |dirs| Ok((dirs.crew(&a)?, dirs.comparing(&a, &b)?))).await;
        same.map_err(|error| match error.downcast() {
            Ok(code) => code.into(),
            Err(trap) => trap,
        })
    }

    async fn metadata_hash(
        store: &Accessor<T, Self>,
        fd: Fd,
    ) -> FilesystemResult<MetadataHashValue> {
        let hash = ask(store, &fd, async |temp, fd| {
            temp.view().metadata_hash(fd).await
        });
        let hash = hash.await?;
        Ok(MetadataHashValue {
            lower: hash.lower,
            upper: hash.upper,
        })
    }

    async fn metadata_hash_at(
        store: &Accessor<T, Self>,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        fits(&path).map_err(told)?;
        let hash = ask(store, &fd, async move |temp, fd| {
            temp.view()
                .metadata_hash_at(fd, old_path(flags), path)
                .await
        });
        let hash = hash.await?;
        Ok(MetadataHashValue {
            lower: hash.lower,
            upper: hash.upper,
        })
    }
}
