//! What the guest sees of `wasi:filesystem`'s descriptors: wasmtime-wasi's own operations, done by
//! file workers, within the directory's account.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, HostDescriptor, MetadataHashValue, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult, ReaddirIterator};

use super::host::{Dirs, Fd, Origin, plain};
use super::open::OpenRequest;
use super::stream::Reader;
use super::work::fits;
use super::write::{self, Position};

impl HostDescriptor for Dirs<'_> {
    async fn advise(
        &mut self,
        fd: Fd,
        offset: types::Filesize,
        length: types::Filesize,
        advice: types::Advice,
    ) -> FsResult<()> {
        self.ask(&fd, async move |temp, fd| {
            temp.view().advise(fd, offset, length, advice).await
        })
        .await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.ask(&fd, async |temp, fd| temp.view().sync_data(fd).await)
            .await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<types::DescriptorFlags> {
        self.ask(&fd, async |temp, fd| temp.view().get_flags(fd).await)
            .await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<types::DescriptorType> {
        self.ask(&fd, async |temp, fd| temp.view().get_type(fd).await)
            .await
    }

    async fn set_size(&mut self, fd: Fd, size: types::Filesize) -> FsResult<()> {
        let work = self.resizing(&fd, size)?;
        self.have(&fd, work).await
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        self.ask(&fd, async move |temp, fd| {
            temp.view().set_times(fd, accessed, modified).await
        })
        .await
    }

    async fn read(
        &mut self,
        fd: Fd,
        length: types::Filesize,
        offset: types::Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.ask(&fd, async move |temp, fd| {
            temp.view().read(fd, length, offset).await
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
        let held = self.state.hold(piece.len())?;
        let work = move || write::write(&place, &file, &piece, at);
        self.have_held(&fd, held, work).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<ReaddirIterator>> {
        let work = self.listing(&fd)?;
        let listed = self.have(&fd, work).await?;
        let stream = self.table.push(listed.entries)?;
        self.state.listings.insert(stream.rep(), listed.held);
        Ok(stream)
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.ask(&fd, async |temp, fd| temp.view().sync(fd).await)
            .await
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let work = self.making_directory(&fd, path)?;
        self.have(&fd, work).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<types::DescriptorStat> {
        self.ask(&fd, async |temp, fd| temp.view().stat(fd).await)
            .await
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        fits(&path)?;
        self.ask(&fd, async move |temp, fd| {
            temp.view().stat_at(fd, flags, path).await
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
        let work = self.setting_times(&fd, flags, path, (accessed, modified))?;
        self.have(&fd, work).await
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        old_path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FsResult<()> {
        let work = self.linking((&fd, &new_fd), flags, (old_path, new_path))?;
        self.have(&fd, work).await
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Fd> {
        let asked = OpenRequest::read(path_flags, open_flags, flags)?;
        let (origin, work) = self.opening(&fd, path, asked)?;
        let (descriptor, open) = self.have(&fd, work).await?;
        self.enter(descriptor, Origin { open, ..origin })
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.leave(fd)
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        fits(&path)?;
        self.ask(&fd, async move |temp, fd| {
            temp.view().readlink_at(fd, path).await
        })
        .await
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let work = self.removing_directory(&fd, path)?;
        self.have(&fd, work).await
    }

    async fn rename_at(
        &mut self,
        fd: Fd,
        old_path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FsResult<()> {
        let work = self.renaming((&fd, &new_fd), (old_path, new_path))?;
        self.have(&fd, work).await
    }

    async fn symlink_at(&mut self, fd: Fd, target: String, path: String) -> FsResult<()> {
        let work = self.making_symlink(&fd, target, path)?;
        self.have(&fd, work).await
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let work = self.unlinking(&fd, path)?;
        self.have(&fd, work).await
    }

    fn read_via_stream(
        &mut self,
        fd: Fd,
        offset: types::Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(Reader::new(self.readable(&fd)?, offset));
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
        let work = self.comparing(&a, &b);
        let same = match work {
            Ok(work) => self.have(&a, work).await,
            Err(error) => Err(error),
        };
        same.map_err(plain)
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.ask(&fd, async |temp, fd| temp.view().metadata_hash(fd).await)
            .await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        fits(&path)?;
        self.ask(&fd, async move |temp, fd| {
            temp.view().metadata_hash_at(fd, flags, path).await
        })
        .await
    }
}
