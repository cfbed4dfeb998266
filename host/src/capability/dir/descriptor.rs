//! What the guest sees of `wasi:filesystem`'s descriptors: wasmtime-wasi's own operations, done by
//! clerks, within the directory's account.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, ErrorCode, HostDescriptor, MetadataHashValue, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, ReaddirIterator};

use super::desk::{Desk, at_once};
use super::host::{Dirs, Fd, Origin};
use super::open::Wish;
use super::stream::Reader;
use super::write::{self, Position};

/// The most entries of a directory that are listed: a listing is held in memory as a whole.
const LISTED: usize = 50_000;

impl HostDescriptor for Dirs<'_> {
    async fn advise(
        &mut self,
        fd: Fd,
        offset: types::Filesize,
        length: types::Filesize,
        advice: types::Advice,
    ) -> FsResult<()> {
        self.ask(&fd, async move |desk, fd| {
            desk.view().advise(fd, offset, length, advice).await
        })
        .await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.ask(&fd, async |desk, fd| desk.view().sync_data(fd).await)
            .await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<types::DescriptorFlags> {
        self.ask(&fd, async |desk, fd| desk.view().get_flags(fd).await)
            .await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<types::DescriptorType> {
        self.ask(&fd, async |desk, fd| desk.view().get_type(fd).await)
            .await
    }

    async fn set_size(&mut self, fd: Fd, size: types::Filesize) -> FsResult<()> {
        let (file, place) = (self.file(&fd)?, self.place(&fd)?);
        self.have(&fd, move || write::resize(&place, &file, size))
            .await
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.ask(&fd, async move |desk, fd| {
            desk.view().set_times(fd, accessed, modified).await
        })
        .await
    }

    async fn read(
        &mut self,
        fd: Fd,
        length: types::Filesize,
        offset: types::Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.ask(&fd, async move |desk, fd| {
            desk.view().read(fd, length, offset).await
        })
        .await
    }

    async fn write(
        &mut self,
        fd: Fd,
        piece: Vec<u8>,
        offset: types::Filesize,
    ) -> FsResult<types::Filesize> {
        let (file, place) = (self.file(&fd)?, self.place(&fd)?);
        let at = Position::At(offset);
        self.have(&fd, move || write::write(&place, &file, &piece, at))
            .await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<ReaddirIterator>> {
        let dir = self.dir(&fd)?;
        let list = move || {
            let all = cap_std::fs::Dir::from_std_file(dir.dir.try_clone()?);
            if all.entries()?.take(LISTED + 1).count() > LISTED {
                return Err(ErrorCode::InsufficientMemory.into());
            }
            let mut desk = Desk::default();
            let fd = desk.lay(Descriptor::Dir(dir))?;
            let listed = at_once(desk.view().read_directory(fd))?;
            Ok(desk.table.delete(listed)?)
        };
        let listed = self.have(&fd, list).await?;
        Ok(self.table.push(listed)?)
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.ask(&fd, async |desk, fd| desk.view().sync(fd).await)
            .await
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let (place, dir) = (self.place(&fd)?, self.dir(&fd)?);
        let make = move || {
            write::make(&place, dir, async move |desk, dir| {
                desk.view().create_directory_at(dir, path).await
            })
        };
        self.have(&fd, make).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<types::DescriptorStat> {
        self.ask(&fd, async |desk, fd| desk.view().stat(fd).await)
            .await
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        self.ask(&fd, async move |desk, fd| {
            desk.view().stat_at(fd, flags, path).await
        })
        .await
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let (place, dir) = (self.place(&fd)?, self.dir(&fd)?);
        if !place.is_writable() {
            return Err(ErrorCode::NotPermitted.into());
        }
        let set = move || {
            let mut desk = Desk::default();
            if !flags.contains(PathFlags::SYMLINK_FOLLOW) {
                let fd = desk.lay(Descriptor::Dir(dir))?;
                let mut view = desk.view();
                return at_once(view.set_times_at(fd, flags, path, accessed, modified));
            }
            // What wasmtime-wasi opens here could be a pipe, and it would wait.
            let (found, _open) = write::open(&place, &dir, &path, Wish::look(flags))?;
            let fd = desk.lay(found)?;
            at_once(desk.view().set_times(fd, accessed, modified))
        };
        self.have(&fd, set).await
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        old_path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FsResult<()> {
        let (place, dirs) = self.pair(&fd, &new_fd)?;
        let link = move || write::link(&place, dirs, flags, (old_path, new_path));
        self.have(&fd, link).await
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Fd> {
        let (place, dir) = (self.place(&fd)?, self.dir(&fd)?);
        let wish = Wish::read(path_flags, open_flags, flags)?;
        let open = {
            let place = Arc::clone(&place);
            move || write::open(&place, &dir, &path, wish)
        };
        let (descriptor, open) = self.have(&fd, open).await?;
        self.enter(descriptor, Origin { place, open })
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.state.origins.remove(&fd.rep());
        self.table.delete(fd)?;
        Ok(())
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.ask(&fd, async move |desk, fd| {
            desk.view().readlink_at(fd, path).await
        })
        .await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let (place, dir) = (self.place(&fd)?, self.dir(&fd)?);
        let remove = move || {
            write::remove(&place, dir, &path, async |desk, dir| {
                desk.view().remove_directory_at(dir, path.clone()).await
            })
        };
        self.have(&fd, remove).await
    }

    async fn rename_at(
        &mut self,
        fd: Fd,
        old_path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FsResult<()> {
        let (place, dirs) = self.pair(&fd, &new_fd)?;
        let rename = move || write::rename(&place, dirs, (old_path, new_path));
        self.have(&fd, rename).await
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let (place, dir) = (self.place(&fd)?, self.dir(&fd)?);
        let make = move || {
            write::make(&place, dir, async move |desk, dir| {
                desk.view().symlink_at(dir, target, path).await
            })
        };
        self.have(&fd, make).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let (place, dir) = (self.place(&fd)?, self.dir(&fd)?);
        let remove = move || {
            write::remove(&place, dir, &path, async |desk, dir| {
                desk.view().unlink_file_at(dir, path.clone()).await
            })
        };
        self.have(&fd, remove).await
    }

    fn read_via_stream(
        &mut self,
        fd: Fd,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        if let Descriptor::Dir(_) = self.table.get(&fd)? {
            return Err(ErrorCode::IsDirectory.into());
        }
        let stream: DynInputStream = Box::new(Reader::new(self.source(&fd)?, offset));
        Ok(self.table.push(stream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Fd,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.writer(&fd, Position::At(offset))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.writer(&fd, Position::End)
    }

    async fn is_same_object(&mut self, a: Fd, b: Fd) -> wasmtime::Result<bool> {
        let other = self.table.get(&b)?.clone();
        let same = self
            .ask(&a, async move |desk, a| {
                let b = desk.lay(other)?;
                desk.view()
                    .is_same_object(a, b)
                    .await
                    .map_err(FsError::trap)
            })
            .await;
        same.map_err(|error| match error.downcast() {
            Ok(code) => code.into(),
            Err(trap) => trap,
        })
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.ask(&fd, async |desk, fd| desk.view().metadata_hash(fd).await)
            .await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        self.ask(&fd, async move |desk, fd| {
            desk.view().metadata_hash_at(fd, flags, path).await
        })
        .await
    }
}
