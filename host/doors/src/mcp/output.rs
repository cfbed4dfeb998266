//! The writing half of a connection of lines. Messages queue in the order in which they were
//! said, and whoever writes first writes all that has gathered. What waits counts as its caller's.
//!
//! It does not know what the messages are.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf as _, BytesMut};
use rmcp::model::RequestId;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::body::unread;
use crate::breaks;
use crate::budget::{Allowance, FREE, Held};
use crate::frame::{BUSY, Refusal};

/// Memory that a connection keeps between two messages, in bytes.
pub(super) const KEPT: usize = 64 << 10;

/// A connection on which so much waits is given no more large answers, in bytes. One may be larger.
const MAX_UNREAD: u64 = 32 << 20;

/// Messages up to here are always taken, in bytes: there are no more of them than requests.
const SHORT: usize = 4 << 10;

/// A queue of bytes before a writer.
#[derive(Debug)]
pub(super) struct Output<W> {
    queue: Mutex<Queue>,
    /// The writer, and what is on its way: a write given up half way goes on with the next.
    writer: tokio::sync::Mutex<(W, BytesMut)>,
    allowance: Allowance,
    /// Fires when something cannot be written: the connection is of no use any more.
    cut: CancellationToken,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BytesMut,
    /// Bytes ever queued and ever written: their difference is the backlog.
    queued: u64,
    written: u64,
    /// What is held for the backlog beyond what is free.
    held: Option<Held>,
}

impl<W: AsyncWrite + Unpin> Output<W> {
    /// An empty queue before `writer`, for whom this is allowed. What cannot be written trips `cut`.
    pub(super) fn new(writer: W, allowance: Allowance, cut: CancellationToken) -> Self {
        Self {
            queue: Mutex::default(),
            writer: tokio::sync::Mutex::new((writer, BytesMut::new())),
            allowance,
            cut,
        }
    }

    /// Queues a line of the host's own and says how far to flush for it to be written.
    pub(super) fn push(&self, line: &[u8]) -> u64 {
        self.queue().push(&breaks::escaped(line))
    }

    /// Queues the answer to a request, or the refusal to keep it where too much is unread already.
    pub(super) fn answer(&self, line: &[u8], id: Option<&RequestId>) -> u64 {
        let line = &*breaks::escaped(line);
        let mut queue = self.queue();
        let then = queue.backlog() + length(line.len() + 1);
        if then <= FREE || self.keep(&mut queue, then) || line.len() <= SHORT {
            return queue.push(line);
        }
        let others = self.allowance.unread().max(queue.backlog());
        let refusal = Refusal {
            code: BUSY,
            id: id.and_then(|id| serde_json::to_value(id).ok()),
            say: unread(length(line.len()), others).into(),
        };
        queue.push(&breaks::escaped(&refusal.to_json()))
    }

    /// Holds what a backlog of so many bytes takes.
    fn keep(&self, queue: &mut Queue, backlog: u64) -> bool {
        if queue.backlog() > MAX_UNREAD {
            return false;
        }
        let wanted = backlog - FREE;
        match &mut queue.held {
            Some(held) => held.grow(wanted.saturating_sub(held.amount())).is_ok(),
            none => match self.allowance.answer(wanted) {
                Ok(held) => {
                    *none = Some(held);
                    true
                }
                Err(_) => false,
            },
        }
    }

    /// Bytes that are not written yet.
    pub(super) fn backlog(&self) -> u64 {
        self.queue().backlog()
    }

    /// Writes at least up to `mark`. May be given up at any point and called again.
    pub(super) async fn flush(&self, mark: u64) -> io::Result<()> {
        let end = self.write(mark).await;
        if end.is_err() {
            self.cut.cancel();
        }
        end
    }

    async fn write(&self, mark: u64) -> io::Result<()> {
        let mut guard = self.writer.lock().await;
        let (writer, current) = &mut *guard;
        loop {
            // What is on its way goes first, whoever's it is.
            while current.has_remaining() {
                let count = writer.write_buf(current).await?;
                if count == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.queue().wrote(length(count));
            }
            let mut queue = self.queue();
            if queue.written >= mark {
                break;
            }
            if queue.waiting.is_empty() {
                return Err(io::Error::other("bytes that were queued are not there"));
            }
            std::mem::swap(current, &mut queue.waiting);
        }
        self.give_back(current);
        writer.flush().await
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

    /// Keeps a buffer that is empty for the next message, unless it is large or another has taken its
    /// place.
    fn give_back(&self, spent: &mut BytesMut) {
        let mut spent = std::mem::take(spent);
        let mut queue = self.queue();
        let is_wanted = spent.is_empty() && queue.waiting.capacity() == 0;
        if is_wanted && spent.try_reclaim(1) && spent.capacity() <= KEPT {
            queue.waiting = spent;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Takes what is one line to every reader.
    fn push(&mut self, line: &[u8]) -> u64 {
        self.waiting.extend_from_slice(line);
        self.waiting.extend_from_slice(b"\n");
        self.queued += length(line.len() + 1);
        self.queued
    }

    const fn backlog(&self) -> u64 {
        self.queued - self.written
    }

    fn wrote(&mut self, bytes: u64) {
        self.written += bytes;
        let Some(held) = &mut self.held else {
            return;
        };
        let wanted = (self.queued - self.written).saturating_sub(FREE);
        held.shrink(held.amount().saturating_sub(wanted));
        if wanted == 0 {
            self.held = None;
        }
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
