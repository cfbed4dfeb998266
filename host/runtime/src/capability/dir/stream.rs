//! Reading and writing a file as a stream. One piece at a time is on its way; what is written
//! passes the directory's account.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::{FsError, InputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};

use super::account::{Hold, OpenFile};
use super::place::OpenDir;
use super::workers::CallerWorkers;
use super::write::{Position, write};
use crate::shares::Holding;
use toolhost_outbound::AttemptLog;

/// The most that one piece holds, in bytes: as much as wasmtime-wasi's own streams.
pub(super) const PIECE: usize = 64 << 10;

/// What a stream holds: the piece that is on its way or not read yet, and itself.
pub(super) const HELD: u64 = (64 << 10) + (2 << 10);

/// What an operation on a stream met: kept as the code that the guest can ask for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Met(pub(super) ErrorCode);

/// An open file, and what its stream needs. The file stays open as long as the stream.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) file: Arc<File>,
    pub(super) place: Arc<OpenDir>,
    pub(super) crew: CallerWorkers,
    pub(super) attempts: AttemptLog,
    /// The file's handle, the stream's own, and room for its piece.
    pub(super) _holds: Arc<(Arc<OpenFile>, Hold, Holding)>,
}

impl Source {
    /// The next piece from a position on, at most so large; nothing at the end.
    pub(super) fn read(
        &self,
        position: u64,
        size: usize,
    ) -> impl Future<Output = Result<Bytes, FsError>> + Send + use<> {
        let source = self.clone();
        async move {
            let file = Arc::clone(&source.file);
            let read = move || Ok(read(&file, position, size.min(PIECE))?);
            source.crew.run(read).await
        }
    }

    /// Notes that the directory is full: the libraries of some guests take every failure of a stream
    /// for a broken disk.
    fn note(&self, error: &FsError) {
        if error.downcast_ref() == Some(&ErrorCode::Quota) {
            let grant = &self.place.grant;
            let most = bytesize::ByteSize(grant.quota.bytes).display().iec();
            self.attempts.denied(&format!(
                "Nothing more was written to the directory {:?}: it holds as much as its quota of \
                 {most} allows. Delete something there first.",
                grant.guest
            ));
        }
    }

    /// Writes a piece; how many bytes it was.
    pub(super) fn write(
        &self,
        piece: Bytes,
        position: Position,
    ) -> impl Future<Output = Result<u64, FsError>> + Send + use<> {
        let source = self.clone();
        async move {
            let (file, place) = (Arc::clone(&source.file), Arc::clone(&source.place));
            let write = move || write(&place, &file, &piece, position);
            source.crew.run(write).await
        }
    }
}

/// What a guest reads through.
pub(super) struct Reader {
    source: Source,
    position: u64,
    state: Reading,
}

enum Reading {
    Idle,
    Waiting(AbortOnDropJoinHandle<Reading>),
    Data(Bytes),
    Failed(FsError),
    Over,
}

impl Reader {
    pub(super) fn new(source: Source, position: u64) -> Self {
        Self {
            source,
            position,
            state: Reading::Idle,
        }
    }

    fn fetch(&self, size: usize) -> impl Future<Output = Reading> + Send + use<> {
        let piece = self.source.read(self.position, size);
        async move {
            match piece.await {
                Ok(data) if data.is_empty() => Reading::Over,
                Ok(data) => Reading::Data(data),
                Err(error) => Reading::Failed(error),
            }
        }
    }

    fn begin(&mut self, size: usize) {
        if matches!(self.state, Reading::Idle) {
            self.state = Reading::Waiting(spawn(self.fetch(size)));
        }
    }

    async fn arrive(&mut self) {
        if let Reading::Waiting(task) = &mut self.state {
            self.state = task.await;
        }
    }
}

fn read(file: &File, position: u64, size: usize) -> io::Result<Bytes> {
    let mut buffer = BytesMut::zeroed(size);
    loop {
        match file.read_at(&mut buffer, position) {
            Ok(count) => {
                buffer.truncate(count);
                return Ok(buffer.freeze());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A failure as a stream tells it: the guest asks for its code later.
fn failed(error: FsError) -> StreamError {
    match error.downcast() {
        Ok(code) => StreamError::LastOperationFailed(Met(code).into()),
        Err(trap) => StreamError::Trap(trap),
    }
}

#[async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        match std::mem::replace(&mut self.state, Reading::Over) {
            Reading::Idle => {
                self.state = Reading::Idle;
                if size > 0 {
                    self.begin(size);
                }
                Ok(Bytes::new())
            }
            Reading::Data(mut data) => {
                let piece = data.split_to(data.len().min(size));
                let read = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                self.position = self.position.saturating_add(read);
                self.state = if data.is_empty() {
                    Reading::Idle
                } else {
                    Reading::Data(data)
                };
                Ok(piece)
            }
            waiting @ Reading::Waiting(_) => {
                self.state = waiting;
                Ok(Bytes::new())
            }
            Reading::Failed(error) => Err(failed(error)),
            Reading::Over => Err(StreamError::Closed),
        }
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.arrive().await;
        if matches!(self.state, Reading::Idle) && size > 0 {
            self.state = self.fetch(size).await;
        }
        self.read(size)
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        self.begin(4096);
        self.arrive().await;
    }
}

/// What a guest writes through.
pub(super) struct Writer {
    source: Source,
    position: Position,
    state: Writing,
}

enum Writing {
    Idle,
    Waiting(AbortOnDropJoinHandle<Result<u64, FsError>>),
    Failed(FsError),
}

impl Writer {
    pub(super) fn new(source: Source, position: Position) -> Self {
        Self {
            source,
            position,
            state: Writing::Idle,
        }
    }

    fn put(&self, piece: Bytes) -> impl Future<Output = Result<u64, FsError>> + Send + use<> {
        self.source.write(piece, self.position)
    }

    fn done(&mut self, done: Result<u64, FsError>) {
        self.state = match done {
            Ok(written) => {
                self.position = self.position.after(written);
                Writing::Idle
            }
            Err(error) => {
                self.source.note(&error);
                Writing::Failed(error)
            }
        };
    }

    /// Says what went wrong, once. The next write is tried like any other: programs keep one stream for
    /// a file, and what was too much once, or too much at that place, need not be so again.
    fn complain(&mut self) -> StreamResult<()> {
        match std::mem::replace(&mut self.state, Writing::Idle) {
            Writing::Failed(error) => Err(failed(error)),
            going @ (Writing::Idle | Writing::Waiting(_)) => {
                self.state = going;
                Ok(())
            }
        }
    }
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, piece: Bytes) -> StreamResult<()> {
        match self.state {
            Writing::Idle if piece.len() <= PIECE => {
                self.state = Writing::Waiting(spawn(self.put(piece)));
                Ok(())
            }
            Writing::Idle | Writing::Waiting(_) | Writing::Failed(_) => Err(StreamError::trap(
                "more was written than check-write allowed",
            )),
        }
    }

    async fn blocking_write_and_flush(&mut self, piece: Bytes) -> StreamResult<()> {
        self.ready().await;
        self.complain()?;
        let done = self.put(piece).await;
        self.done(done);
        self.complain()
    }

    fn flush(&mut self) -> StreamResult<()> {
        // Nothing is kept back: what was written is on its way.
        self.complain()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.complain()?;
        Ok(match self.state {
            Writing::Idle => PIECE,
            _ => 0,
        })
    }

    /// What was written is written, also when the guest does not wait for it.
    async fn cancel(&mut self) {
        self.ready().await;
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        if let Writing::Waiting(task) = &mut self.state {
            let done = task.await;
            self.done(done);
        }
    }
}
