//! The writing half of a connection of lines. Messages queue in the order in which they were
//! said, and whoever writes first writes all that has gathered.
//!
//! It does not know what the messages are.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Memory that a connection keeps between two messages, in bytes.
pub(super) const KEPT: usize = 64 << 10;

/// A queue of bytes before a writer.
#[derive(Debug)]
pub(super) struct Output<W> {
    queue: Mutex<Queue>,
    /// The writer, and what is on its way: a write given up half way goes on with the next.
    writer: tokio::sync::Mutex<(W, BytesMut)>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BytesMut,
    /// Bytes ever queued and ever written: their difference is the backlog.
    queued: u64,
    written: u64,
}

impl<W: AsyncWrite + Unpin> Output<W> {
    /// An empty queue before `writer`.
    pub(super) fn new(writer: W) -> Self {
        Self {
            queue: Mutex::default(),
            writer: tokio::sync::Mutex::new((writer, BytesMut::new())),
        }
    }

    /// Queues a line and says how far to flush for it to be written.
    pub(super) fn push(&self, line: &[u8]) -> u64 {
        let mut queue = self.queue();
        queue.waiting.extend_from_slice(line);
        queue.waiting.extend_from_slice(b"\n");
        queue.queued += length(line.len() + 1);
        queue.queued
    }

    /// Bytes that are not written yet.
    pub(super) fn backlog(&self) -> u64 {
        let queue = self.queue();
        queue.queued - queue.written
    }

    /// Writes at least up to `mark`. May be given up at any point and called again.
    pub(super) async fn flush(&self, mark: u64) -> io::Result<()> {
        let mut guard = self.writer.lock().await;
        let (writer, current) = &mut *guard;
        while self.queue().written < mark {
            if current.is_empty() {
                *current = std::mem::take(&mut self.queue().waiting);
            }
            while current.has_remaining() {
                let count = writer.write_buf(current).await?;
                if count == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.queue().written += length(count);
            }
        }
        writer.flush().await?;
        self.give_back(current);
        Ok(())
    }

    /// Writes everything.
    pub(super) async fn flush_all(&self) -> io::Result<()> {
        let mark = self.queue().queued;
        self.flush(mark).await
    }

    /// Whether the other side is certainly gone. Not known while somebody writes.
    pub(super) fn check(&self, is_gone: impl FnOnce(&W) -> bool) -> bool {
        self.writer.try_lock().is_ok_and(|guard| is_gone(&guard.0))
    }

    /// Keeps the buffer for the next message, unless it is large or another has taken its place.
    fn give_back(&self, spent: &mut BytesMut) {
        let mut spent = std::mem::take(spent);
        let mut queue = self.queue();
        if queue.waiting.capacity() == 0 && spent.try_reclaim(1) && spent.capacity() <= KEPT {
            queue.waiting = spent;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::pin::pin;

    use futures_util::FutureExt as _;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_flush_given_up_half_way_loses_nothing() {
        let (near, mut far) = tokio::io::duplex(4);
        let output = Output::new(near);
        let mark = output.push(b"first line");
        {
            let mut flush = pin!(output.flush(mark));
            assert!(
                flush.as_mut().now_or_never().is_none(),
                "four bytes held eleven"
            );
        }
        let mark = output.push(b"second");
        assert_eq!(output.backlog(), 11 + 7 - 4);
        let mut read = [0; 18];
        let (flushed, got) = tokio::join!(output.flush(mark), far.read_exact(&mut read));
        flushed.unwrap();
        got.unwrap();
        assert_eq!(&read, b"first line\nsecond\n");
        assert_eq!(output.backlog(), 0);
    }

    #[tokio::test]
    async fn a_closed_reader_is_an_error() {
        let (near, far) = tokio::io::duplex(4);
        drop(far);
        let output = Output::new(near);
        let mark = output.push(b"x");
        assert_eq!(
            output.flush(mark).await.unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}
