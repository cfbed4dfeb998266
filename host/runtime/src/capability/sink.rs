//! Where a guest's stdout or stderr ends, in both generations of WASI. Writing never fails and never
//! blocks. It does not know what becomes of the bytes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// What a guest may write at once. The stream's contract makes the host allocate this much for
/// `write-zeroes`, so it is small.
const AT_ONCE: usize = 64 << 10;

/// What takes the bytes.
pub(super) trait Take: Send + 'static {
    fn take(&mut self, bytes: Bytes);
}

/// What is kept of a stream's end, in bytes. The reason of a failure is said last.
const KEPT: usize = 4 << 10;

/// The end of a stream.
#[derive(Default)]
pub(super) struct End(Vec<u8>);

impl End {
    /// The end of what was written at once, as text.
    pub(super) fn of(bytes: &[u8]) -> String {
        Self(last(bytes).to_vec()).text()
    }

    /// As text, without space around it.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim().to_owned()
    }
}

impl Take for End {
    fn take(&mut self, bytes: Bytes) {
        self.0.extend_from_slice(last(&bytes));
        let more = self.0.len().saturating_sub(KEPT);
        self.0.drain(..more);
    }
}

/// As much of the end as is kept.
fn last(bytes: &[u8]) -> &[u8] {
    bytes
        .get(bytes.len().saturating_sub(KEPT)..)
        .unwrap_or(bytes)
}

/// One of the two streams. A guest may open it many times: all its handles share what takes them.
pub(super) struct Sink<T>(Arc<Mutex<T>>);

impl<T: Take> Sink<T> {
    pub(super) fn new(taker: T) -> Self {
        Self(Arc::new(Mutex::new(taker)))
    }

    /// What has taken the bytes so far.
    pub(super) fn taker(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Sink<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> IsTerminal for Sink<T> {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl<T: Take> StdoutStream for Sink<T> {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

/// What a guest of WASI 0.3 writes to.
impl<T: Take> AsyncWrite for Sink<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let piece = bytes.get(..AT_ONCE).unwrap_or(bytes);
        self.taker().take(Bytes::copy_from_slice(piece));
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl<T: Take> Pollable for Sink<T> {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl<T: Take> OutputStream for Sink<T> {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.taker().take(bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(AT_ONCE)
    }
}
