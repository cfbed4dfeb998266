//! Stdout and stderr of a guest: whole lines to the operator's log, up to a limit, then nothing.
//! Writing never fails and never blocks: a tool that prints a lot is a nuisance, not an error.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::{Level, MESSAGE, emit, visible};
use crate::capability::service::secret::Scrubber;

/// What a guest may write at once. The stream's contract makes the host allocate this much for
/// `write-zeroes`, so it is small.
const AT_ONCE: usize = 64 << 10;

/// Where one of the two streams ends. A guest may open it many times: all its handles share one
/// limit.
#[derive(Clone)]
pub(super) struct Sink(Arc<Mutex<Lines>>);

impl Sink {
    pub(super) fn new(
        name: &'static str,
        speaker: Arc<str>,
        quota: u64,
        scrubber: Scrubber,
    ) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            name,
            speaker,
            left: quota,
            scrubber,
            line: Vec::new(),
        })))
    }
}

struct Lines {
    name: &'static str,
    speaker: Arc<str>,
    left: u64,
    scrubber: Scrubber,
    line: Vec<u8>,
}

impl Lines {
    fn take(&mut self, bytes: Bytes) {
        if self.left > 0 {
            let clean = self.scrubber.push(bytes);
            self.keep(&clean);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.left == 0 {
                self.end_line();
                tracing::warn!(target: "guest", tool = %self.speaker, stream = self.name, "output limit reached; the rest is dropped");
                return;
            }
            self.left -= 1;
            if byte == b'\n' || self.line.len() >= MESSAGE {
                self.end_line();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() {
            emit(
                Level::Info,
                &self.speaker,
                self.name,
                &visible(&String::from_utf8_lossy(&self.line), MESSAGE),
            );
            self.line.clear();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.left > 0 {
            let rest = self.scrubber.finish();
            self.keep(&rest);
        }
        self.end_line();
    }
}

impl IsTerminal for Sink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Sink {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl Sink {
    fn take(&self, bytes: Bytes) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.take(bytes);
    }
}

/// What a guest of WASI 0.3 writes to.
impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let piece = bytes.get(..AT_ONCE).unwrap_or(bytes);
        self.take(Bytes::copy_from_slice(piece));
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
impl Pollable for Sink {
    async fn ready(&mut self) {}
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Sink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(AT_ONCE)
    }
}
