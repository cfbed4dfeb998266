//! A stream on which nobody is waited for without end: a peer that does not take what is written to
//! it loses the connection.
//!
//! It does not know what is written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::mcp::Peer;

/// How long a peer may take for each [`PACE`] bytes, or for all there is, if that is less.
const UNREAD: Duration = Duration::from_secs(30);

/// So many bytes are worth waiting on: whoever takes one byte at a time is not reading.
const PACE: usize = 64 << 10;

/// A stream whose writes fail with `TimedOut` where its peer does not read. It costs nothing while
/// writes do not wait.
#[derive(Debug)]
pub(super) struct Deadlined<S> {
    stream: S,
    time: Duration,
    /// Since a write had to wait.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    until: Pin<Box<Sleep>>,
    taken: usize,
}

impl<S> Deadlined<S> {
    /// The same stream, with a deadline of 30 seconds.
    pub(super) fn new(stream: S) -> Self {
        Self::within(stream, UNREAD)
    }

    fn within(stream: S, time: Duration) -> Self {
        Self {
            stream,
            time,
            waiting: None,
        }
    }

    /// The same end of a write, unless that has waited too long.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        write: Poll<io::Result<usize>>,
        whole: usize,
    ) -> Poll<io::Result<usize>> {
        match write {
            Poll::Ready(Ok(taken)) => {
                if let Some(waiting) = &mut self.waiting {
                    waiting.taken = waiting.taken.saturating_add(taken);
                    if taken == whole || waiting.taken >= PACE {
                        self.waiting = None;
                    }
                }
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                ready!(self.wait(context));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the other side did not read what was written to it",
                )))
            }
        }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let time = self.time;
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            until: Box::pin(tokio::time::sleep(time)),
            taken: 0,
        });
        waiting.until.as_mut().poll(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadlined<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadlined<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, write, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        let whole = pieces.iter().map(|piece| piece.len()).sum();
        self.written(context, write, whole)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.stream).poll_flush(context);
        let flush = flush.map(|end| end.map(|()| 0));
        self.written(context, flush, usize::MAX).map_ok(drop)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.stream).poll_shutdown(context);
        let shutdown = shutdown.map(|end| end.map(|()| 0));
        self.written(context, shutdown, usize::MAX).map_ok(drop)
    }
}

impl<S: Peer> Peer for Deadlined<S> {
    fn is_gone(&self) -> bool {
        self.stream.is_gone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SHORT: Duration = Duration::from_millis(60);

    #[tokio::test]
    async fn x25_a_peer_that_does_not_read_is_not_waited_for() {
        let (near, _far) = tokio::io::duplex(16);
        let mut stream = Deadlined::within(near, SHORT);
        stream.write_all(&[0; 16]).await.unwrap();
        let error = stream.write_all(&[0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    /// One byte at a time is not reading, whoever asks again and again whether it goes on.
    #[tokio::test]
    async fn x25_a_peer_that_takes_a_byte_at_a_time_is_not_waited_for() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut stream = Deadlined::within(near, SHORT);
        let trickle = async {
            loop {
                far.read_u8().await.unwrap();
                tokio::time::sleep(SHORT / 10).await;
            }
        };
        let write = async {
            loop {
                let write = stream.write_all(&[0; 1_000]);
                // Given up and begun anew: the time goes on.
                if let Ok(end) = tokio::time::timeout(SHORT / 4, write).await {
                    return end;
                }
            }
        };
        tokio::select! {
            end = write => assert_eq!(end.unwrap_err().kind(), io::ErrorKind::TimedOut),
            () = trickle => {}
        }
    }

    #[tokio::test]
    async fn a_peer_that_reads_slowly_and_steadily_gets_everything() {
        let (near, mut far) = tokio::io::duplex(PACE);
        let mut stream = Deadlined::within(near, SHORT);
        let whole = 20 * PACE;
        let read = async {
            let (mut got, mut piece) = (0, vec![0; PACE]);
            while got < whole {
                tokio::time::sleep(SHORT / 6).await;
                got += far.read(&mut piece).await.unwrap();
            }
        };
        let bytes = vec![0; whole];
        let (written, ()) = tokio::join!(stream.write_all(&bytes), read);
        written.unwrap();
    }
}
