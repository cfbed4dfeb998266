//! What the guest sees of `wasi:filesystem`: [`Dirs`], whose answers pass the seam.

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, ReaddirIterator};

use super::host::{Dirs, Fd};
use super::words::{bits, code_of, flags, kind, kind_of};
use crate::capability::seam::{Behind, Bulk, Fails, Hollow, Told, pass, unfit};
use crate::terms::{DirAnswer, FileStatus, Moment, Stopped};

pub(in crate::capability) type Files<'a> = Behind<'a, Dirs<'a>>;

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

/// Links files, in the place of wasmtime-wasi's own.
///
/// # Errors
///
/// Only when another capability claims them too: a defect.
pub(in crate::capability) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> Files<'_>,
) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    preopens::add_to_linker::<T, HasFiles>(linker, get)?;
    types::add_to_linker::<T, HasFiles>(linker, get)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// A function of the same name, through the seam.
macro_rules! through {
    ($self:ident, $name:expr, $arguments:expr, $live:expr) => {
        pass!(
            $self.seam,
            $self.live.table,
            $name,
            $arguments,
            DirAnswer,
            $live
        )
    };
}

/// A function of a descriptor: what it is called, what it is given beside the descriptor and how that is
/// asked, and what it gives.
macro_rules! descriptor {
    ($name:literal $function:ident($($argument:ident: $type:ty => $asked:expr),*) -> $gives:ty) => {
        async fn $function(&mut self, fd: Fd $(, $argument: $type)*) -> FsResult<$gives> {
            through!(
                self,
                concat!("wasi:filesystem/types.descriptor.", $name),
                (fd.rep(), $($asked),*),
                self.live.$function(fd $(, $argument)*).await
            )
        }
    };
}

/// The same of a function that waits for nothing.
macro_rules! at_once {
    ($name:literal $function:ident($($argument:ident: $type:ty),*) -> $gives:ty) => {
        fn $function(&mut self, fd: Fd $(, $argument: $type)*) -> FsResult<$gives> {
            through!(
                self,
                concat!("wasi:filesystem/types.descriptor.", $name),
                (fd.rep(), $($argument),*),
                self.live.$function(fd $(, $argument)*)
            )
        }
    };
}

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        through!(
            self,
            "wasi:filesystem/preopens.get-directories",
            (),
            preopens::Host::get_directories(&mut self.live)
        )
    }
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        through!(
            self,
            "wasi:filesystem/types.filesystem-error-code",
            error.rep(),
            types::Host::filesystem_error_code(&mut self.live, error)
        )
    }
}

impl HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<ReaddirIterator>,
    ) -> FsResult<Option<DirectoryEntry>> {
        through!(
            self,
            "wasi:filesystem/types.directory-entry-stream.read-directory-entry",
            stream.rep(),
            self.live.read_directory_entry(stream).await
        )
    }

    fn drop(&mut self, stream: Resource<ReaddirIterator>) -> wasmtime::Result<()> {
        if self.seam.is_replaying() {
            self.seam.release(self.live.table, stream)?;
            return Ok(());
        }
        HostDirectoryEntryStream::drop(&mut self.live, stream)
    }
}

impl HostDescriptor for Files<'_> {
    descriptor!("advise" advise(
        offset: u64 => offset, length: u64 => length, advice: types::Advice => advice
    ) -> ());
    descriptor!("sync-data" sync_data() -> ());
    descriptor!("get-flags" get_flags() -> DescriptorFlags);
    descriptor!("get-type" get_type() -> DescriptorType);
    descriptor!("set-size" set_size(size: u64 => size) -> ());
    descriptor!("set-times" set_times(
        accessed: NewTimestamp => accessed, modified: NewTimestamp => modified
    ) -> ());
    descriptor!("read" read(length: u64 => length, offset: u64 => offset) -> (Vec<u8>, bool));
    descriptor!("write" write(bytes: Vec<u8> => Bulk(&bytes), offset: u64 => offset) -> u64);
    descriptor!("read-directory" read_directory() -> Resource<ReaddirIterator>);
    descriptor!("sync" sync() -> ());
    descriptor!("create-directory-at" create_directory_at(path: String => &path) -> ());
    descriptor!("stat" stat() -> DescriptorStat);
    descriptor!("stat-at" stat_at(
        flags: PathFlags => flags, path: String => &path
    ) -> DescriptorStat);
    descriptor!("set-times-at" set_times_at(
        flags: PathFlags => flags,
        path: String => &path,
        accessed: NewTimestamp => accessed,
        modified: NewTimestamp => modified
    ) -> ());
    descriptor!("link-at" link_at(
        flags: PathFlags => flags, path: String => &path, to: Fd => to.rep(), name: String => &name
    ) -> ());
    descriptor!("open-at" open_at(
        follow: PathFlags => follow,
        path: String => &path,
        how: types::OpenFlags => how,
        flags: DescriptorFlags => flags
    ) -> Fd);
    descriptor!("readlink-at" readlink_at(path: String => &path) -> String);
    descriptor!("remove-directory-at" remove_directory_at(path: String => &path) -> ());
    descriptor!("rename-at" rename_at(
        path: String => &path, to: Fd => to.rep(), name: String => &name
    ) -> ());
    descriptor!("symlink-at" symlink_at(target: String => &target, path: String => &path) -> ());
    descriptor!("unlink-file-at" unlink_file_at(path: String => &path) -> ());
    descriptor!("metadata-hash" metadata_hash() -> MetadataHashValue);
    descriptor!("metadata-hash-at" metadata_hash_at(
        flags: PathFlags => flags, path: String => &path
    ) -> MetadataHashValue);
    at_once!("read-via-stream" read_via_stream(offset: u64) -> Resource<DynInputStream>);
    at_once!("write-via-stream" write_via_stream(offset: u64) -> Resource<DynOutputStream>);
    at_once!("append-via-stream" append_via_stream() -> Resource<DynOutputStream>);

    async fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        through!(
            self,
            "wasi:filesystem/types.descriptor.is-same-object",
            (a.rep(), b.rep()),
            self.live.is_same_object(a, b).await
        )
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        if self.seam.is_replaying() {
            self.seam.release(self.live.table, fd)?;
            return Ok(());
        }
        HostDescriptor::drop(&mut self.live, fd)
    }
}

impl Fails<DirAnswer> for FsError {
    fn tell(self) -> (Result<DirAnswer, Stopped>, Self) {
        match self.downcast() {
            Ok(code) => (Ok(DirAnswer::Failed(code.name().to_owned())), code.into()),
            Err(trap) => {
                let (answer, trap) = trap.tell();
                (answer, Self::trap(trap))
            }
        }
    }

    fn told(answer: DirAnswer) -> Result<Self, DirAnswer> {
        match answer {
            DirAnswer::Failed(word) => match code_of(&word) {
                Some(code) => Ok(code.into()),
                None => Err(DirAnswer::Failed(word)),
            },
            other => Err(other),
        }
    }

    fn stop(error: wasmtime::Error) -> Self {
        Self::trap(error)
    }
}

/// What a function gives, both ways.
macro_rules! told_as {
    ($($type:ty: |$value:ident| $tell:expr, |$table:pat_param| $told:pat => $gives:expr;)*) => {$(
        impl Told<DirAnswer> for $type {
            fn tell(&self) -> DirAnswer {
                let $value = self;
                $tell
            }

            fn told(answer: DirAnswer, $table: &mut ResourceTable) -> wasmtime::Result<Self> {
                match answer {
                    $told => Ok($gives),
                    _ => Err(unfit()),
                }
            }
        }
    )*};
}

told_as! {
    (): |_done| DirAnswer::Done, |_| DirAnswer::Done => ();
    DescriptorFlags: |held| DirAnswer::Flags(bits(*held)), |_| DirAnswer::Flags(set) => flags(set);
    DescriptorType: |found| DirAnswer::Kind(kind(*found)),
        |_| DirAnswer::Kind(place) => kind_of(place).ok_or_else(unfit)?;
    (Vec<u8>, bool): |read| DirAnswer::Read(read.0.clone(), read.1),
        |_| DirAnswer::Read(bytes, end) => (bytes, end);
    u64: |written| DirAnswer::Written(*written), |_| DirAnswer::Written(count) => count;
    String: |path| DirAnswer::Path(path.clone()), |_| DirAnswer::Path(path) => path;
    bool: |same| DirAnswer::Same(*same), |_| DirAnswer::Same(same) => same;
    MetadataHashValue: |hash| DirAnswer::Hash(hash.lower, hash.upper),
        |_| DirAnswer::Hash(lower, upper) => MetadataHashValue { lower, upper };
    Option<DirectoryEntry>:
        |found| DirAnswer::Entry(found.as_ref().map(|entry| (kind(entry.type_), entry.name.clone()))),
        |_| DirAnswer::Entry(found) => found.map(entry).transpose()?;
    Option<ErrorCode>: |code| DirAnswer::Code(code.map(|code| code.name().to_owned())),
        |_| DirAnswer::Code(word) => match word {
            Some(word) => Some(code_of(&word).ok_or_else(unfit)?),
            None => None,
        };
    DescriptorStat: |status| DirAnswer::Status(file_status(status)),
        |_| DirAnswer::Status(status) => stat(&status)?;
    Fd: |_held| DirAnswer::Held, |table| DirAnswer::Held => Hollow::hold(table)?;
    Resource<ReaddirIterator>: |_held| DirAnswer::Held,
        |table| DirAnswer::Held => Hollow::hold(table)?;
    Resource<DynInputStream>: |_held| DirAnswer::Held,
        |table| DirAnswer::Held => table.push(Box::new(Hollow) as DynInputStream)?;
    Resource<DynOutputStream>: |_held| DirAnswer::Held,
        |table| DirAnswer::Held => table.push(Box::new(Hollow) as DynOutputStream)?;
    Vec<(Fd, String)>: |given| DirAnswer::Given(given.iter().map(|(_, path)| path.clone()).collect()),
        |table| DirAnswer::Given(paths) => {
            let mut given = Vec::new();
            for path in paths {
                given.push((Hollow::hold::<Descriptor>(table)?, path));
            }
            given
        };
}

fn entry((place, name): (u8, String)) -> wasmtime::Result<DirectoryEntry> {
    Ok(DirectoryEntry {
        type_: kind_of(place).ok_or_else(unfit)?,
        name,
    })
}

fn file_status(of: &DescriptorStat) -> FileStatus {
    let moment = |time: &Option<Datetime>| -> Option<Moment> {
        time.as_ref().map(|time| (time.seconds, time.nanoseconds))
    };
    FileStatus {
        kind: kind(of.type_),
        links: of.link_count,
        size: of.size,
        times: [
            moment(&of.data_access_timestamp),
            moment(&of.data_modification_timestamp),
            moment(&of.status_change_timestamp),
        ],
    }
}

fn stat(status: &FileStatus) -> wasmtime::Result<DescriptorStat> {
    let time = |moment: Option<Moment>| {
        moment.map(|(seconds, nanoseconds)| Datetime {
            seconds,
            nanoseconds,
        })
    };
    let [accessed, modified, changed] = status.times;
    Ok(DescriptorStat {
        type_: kind_of(status.kind).ok_or_else(unfit)?,
        link_count: status.links,
        size: status.size,
        data_access_timestamp: time(accessed),
        data_modification_timestamp: time(modified),
        status_change_timestamp: time(changed),
    })
}
