//! What the guest sees of `wasi:io`: wasmtime-wasi's own, whose answers pass the seam. A stream's pieces
//! have the borders that they were read in, and which of what is waited for is ready is an answer like
//! any other, so neither depends on time when a guest runs again.
//!
//! It does not know what is behind a stream.

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::io::{error, poll, streams};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, InputStream, OutputStream, Pollable, StreamError,
    StreamResult,
};

use super::seam::{Behind, Bulk, Fails, Hollow, pass, told_as};
use crate::terms::{PollAnswer, Stopped, StreamAnswer};

/// As many zeroes are written at once, in bytes: no stream takes more.
const ZEROES: usize = 1 << 20;

pub(super) type Streams<'a> = Behind<'a, &'a mut ResourceTable>;

struct HasStreams;

impl HasData for HasStreams {
    type Data<'a> = Streams<'a>;
}

/// Links streams, in the place of wasmtime-wasi's own.
///
/// # Errors
///
/// Only when another capability claims them too: a defect.
pub(super) fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> Streams<'_>,
) -> wasmtime::Result<()> {
    error::add_to_linker::<T, HasStreams>(linker, get)?;
    poll::add_to_linker::<T, HasStreams>(linker, get)?;
    streams::add_to_linker::<T, HasStreams>(linker, get)
}

/// A function, through the seam.
macro_rules! through {
    ($self:ident, $answer:ty, $name:literal, $arguments:expr, $live:expr) => {
        pass!(
            $self.seam,
            $self.live,
            concat!("wasi:io/", $name),
            $arguments,
            $answer,
            $live
        )
    };
}

impl Streams<'_> {
    /// What a guest writes to its own standard output is a part of its answer, so it is written again
    /// when it runs again. What else it writes to is hollow then.
    ///
    /// `bytes` are few: the recording has said that they were taken.
    fn wrote(&mut self, stream: u32, bytes: impl FnOnce() -> Bytes) {
        if !self.seam.is_replaying() {
            return;
        }
        let stream = Resource::<DynOutputStream>::new_borrow(stream);
        if let Ok(stream) = self.live.get_mut(&stream) {
            // The recording has said what came of it.
            let _ = stream.write(bytes());
        }
    }

    /// A copy for [`Self::wrote`], where there is need of one.
    fn again(&self, bytes: &[u8]) -> Bytes {
        match self.seam.is_replaying() {
            true => Bytes::copy_from_slice(bytes),
            false => Bytes::new(),
        }
    }

    /// Waits until something can be written; how much.
    async fn room(&mut self, stream: &Resource<DynOutputStream>) -> StreamResult<u64> {
        through!(
            self,
            StreamAnswer,
            "streams.output-stream.blocking-check-write",
            stream.rep(),
            async {
                let room = self.live.get_mut(stream)?.write_ready().await?;
                Ok(u64::try_from(room).unwrap_or(u64::MAX))
            }
            .await
        )
    }
}

/// The numbers of resources among a function's arguments.
struct Numbers<'a, T: 'static>(&'a [Resource<T>]);

impl<T> std::fmt::Debug for Numbers<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(Resource::rep))
            .finish()
    }
}

impl poll::Host for Streams<'_> {
    async fn poll(&mut self, all: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        through!(
            self,
            PollAnswer,
            "poll.poll",
            Numbers(&all),
            poll::Host::poll(self.live, all).await
        )
    }
}

impl poll::HostPollable for Streams<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        through!(
            self,
            PollAnswer,
            "poll.pollable.ready",
            pollable.rep(),
            poll::HostPollable::ready(self.live, pollable).await
        )
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        through!(
            self,
            PollAnswer,
            "poll.pollable.block",
            pollable.rep(),
            poll::HostPollable::block(self.live, pollable).await
        )
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.live, pollable)
    }
}

impl error::Host for Streams<'_> {}

impl error::HostError for Streams<'_> {
    fn to_debug_string(&mut self, of: Resource<wasmtime::Error>) -> wasmtime::Result<String> {
        through!(
            self,
            StreamAnswer,
            "error.error.to-debug-string",
            of.rep(),
            error::HostError::to_debug_string(self.live, of)
        )
    }

    fn drop(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<()> {
        error::HostError::drop(self.live, error)
    }
}

impl streams::Host for Streams<'_> {
    fn convert_stream_error(
        &mut self,
        error: StreamError,
    ) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(self.live, error)
    }
}

impl streams::HostInputStream for Streams<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, length: u64) -> StreamResult<Vec<u8>> {
        through!(
            self,
            StreamAnswer,
            "streams.input-stream.read",
            (stream.rep(), length),
            streams::HostInputStream::read(self.live, stream, length)
        )
    }

    async fn blocking_read(
        &mut self,
        stream: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<Vec<u8>> {
        through!(
            self,
            StreamAnswer,
            "streams.input-stream.blocking-read",
            (stream.rep(), length),
            streams::HostInputStream::blocking_read(self.live, stream, length).await
        )
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, length: u64) -> StreamResult<u64> {
        through!(
            self,
            StreamAnswer,
            "streams.input-stream.skip",
            (stream.rep(), length),
            streams::HostInputStream::skip(self.live, stream, length)
        )
    }

    async fn blocking_skip(
        &mut self,
        stream: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        through!(
            self,
            StreamAnswer,
            "streams.input-stream.blocking-skip",
            (stream.rep(), length),
            streams::HostInputStream::blocking_skip(self.live, stream, length).await
        )
    }

    fn subscribe(
        &mut self,
        stream: Resource<DynInputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostInputStream::subscribe(self.live, stream)
    }

    async fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        streams::HostInputStream::drop(self.live, stream).await
    }
}

impl streams::HostOutputStream for Streams<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        through!(
            self,
            StreamAnswer,
            "streams.output-stream.check-write",
            stream.rep(),
            streams::HostOutputStream::check_write(self.live, stream)
        )
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        // Only a guest that runs again needs them twice.
        let (number, again) = (stream.rep(), self.again(&bytes));
        through!(
            self,
            StreamAnswer,
            "streams.output-stream.write",
            (number, Bulk(&bytes)),
            streams::HostOutputStream::write(self.live, stream, bytes)
        )?;
        self.wrote(number, || again);
        Ok(())
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        let (number, again) = (stream.rep(), self.again(&bytes));
        through!(
            self,
            StreamAnswer,
            "streams.output-stream.blocking-write-and-flush",
            (number, Bulk(&bytes)),
            streams::HostOutputStream::blocking_write_and_flush(self.live, stream, bytes).await
        )?;
        self.wrote(number, || again);
        Ok(())
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        through!(
            self,
            StreamAnswer,
            "streams.output-stream.flush",
            stream.rep(),
            streams::HostOutputStream::flush(self.live, stream)
        )
    }

    async fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        through!(
            self,
            StreamAnswer,
            "streams.output-stream.blocking-flush",
            stream.rep(),
            streams::HostOutputStream::blocking_flush(self.live, stream).await
        )
    }

    fn subscribe(
        &mut self,
        stream: Resource<DynOutputStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostOutputStream::subscribe(self.live, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, length: u64) -> StreamResult<()> {
        let number = stream.rep();
        through!(
            self,
            StreamAnswer,
            "streams.output-stream.write-zeroes",
            (number, length),
            streams::HostOutputStream::write_zeroes(self.live, stream, length)
        )?;
        self.wrote(number, || zeroes(length));
        Ok(())
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        length: u64,
    ) -> StreamResult<()> {
        let number = stream.rep();
        through!(
            self,
            StreamAnswer,
            "streams.output-stream.blocking-write-zeroes-and-flush",
            (number, length),
            streams::HostOutputStream::blocking_write_zeroes_and_flush(self.live, stream, length)
                .await
        )?;
        self.wrote(number, || zeroes(length));
        Ok(())
    }

    // Splicing is reading and writing: each passes the seam by itself.

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        let room = streams::HostOutputStream::check_write(self, Resource::new_borrow(to.rep()))?;
        let piece = match length.min(room) {
            0 => return Ok(0),
            length => streams::HostInputStream::read(self, from, length)?,
        };
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if length > 0 {
            streams::HostOutputStream::write(self, to, piece)?;
        }
        Ok(length)
    }

    async fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        length: u64,
    ) -> StreamResult<u64> {
        let room = self.room(&to).await?;
        let piece = match length.min(room) {
            0 => return Ok(0),
            length => streams::HostInputStream::blocking_read(self, from, length).await?,
        };
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if length > 0 {
            streams::HostOutputStream::write(self, Resource::new_borrow(to.rep()), piece)?;
            streams::HostOutputStream::blocking_flush(self, to).await?;
        }
        Ok(length)
    }

    async fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        streams::HostOutputStream::drop(self.live, stream).await
    }
}

fn zeroes(length: u64) -> Bytes {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    Bytes::from(vec![0; length.min(ZEROES)])
}

impl Fails<StreamAnswer> for StreamError {
    fn tell(self) -> (Result<StreamAnswer, Stopped>, Self) {
        match self {
            Self::Closed => (Ok(StreamAnswer::Closed), Self::Closed),
            Self::LastOperationFailed(error) => (
                Ok(StreamAnswer::Failed(error.to_string())),
                Self::LastOperationFailed(error),
            ),
            Self::Trap(error) => {
                let (answer, error) = error.tell();
                (answer, Self::Trap(error))
            }
        }
    }

    fn told(answer: StreamAnswer) -> Result<Self, StreamAnswer> {
        match answer {
            StreamAnswer::Closed => Ok(Self::Closed),
            StreamAnswer::Failed(words) => {
                Ok(Self::LastOperationFailed(wasmtime::Error::msg(words)))
            }
            other => Err(other),
        }
    }

    fn stop(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

told_as! {
    StreamAnswer: nothing = Done, Vec<u8> = Piece, u64 = Count, String = Words
}

told_as! {
    PollAnswer: nothing = Waited, Vec<u32> = Ready, bool = Is
}

#[async_trait]
impl Pollable for Hollow {
    async fn ready(&mut self) {}
}

impl InputStream for Hollow {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

impl OutputStream for Hollow {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(0)
    }
}
