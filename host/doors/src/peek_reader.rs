//! The reading half of a Unix socket that takes a message off the socket only when it comes back
//! for the next one, which is after its answer was written where the answer is at hand at once.
//!
//! Taking bytes off a Unix socket tells its other end that there is room again, and wakes everybody
//! who sleeps there: a client that waits for its answer in a read, and every client whose runtime
//! asks for room and for data in one word. It wakes for nothing and goes to sleep again, on a quiet
//! machine just before the answer comes. An answered client sleeps no more.
//!
//! It does not know what it reads.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;

use super::mcp::MessageSource;

/// What is looked at before it is taken, in bytes: an ordinary message. More is taken at once.
const WINDOW: usize = 4 << 10;

/// A reader that looks first and takes later.
#[derive(Debug)]
pub(super) struct Peeking {
    half: OwnedReadHalf,
    window: Box<[u8; WINDOW]>,
    /// Bytes that were given out and are still on the socket.
    owed: usize,
}

impl Peeking {
    /// Reads from `half`.
    pub(super) fn new(half: OwnedReadHalf) -> Self {
        Self {
            half,
            window: Box::new([0; WINDOW]),
            owed: 0,
        }
    }

    /// Takes off the socket what was given out.
    fn settle(&mut self) -> io::Result<()> {
        while self.owed > 0 {
            let stream: &UnixStream = self.half.as_ref();
            let owed = self.window.get_mut(..self.owed).unwrap_or_default();
            // They are there, and nobody else reads here.
            match recv(stream, owed, RecvFlags::DONTWAIT)?.1 {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                taken => self.owed = self.owed.saturating_sub(taken),
            }
        }
        Ok(())
    }

    /// Looks at what is there: how many bytes, and whether they may not be all.
    fn look(&mut self, room: usize) -> io::Result<Look> {
        let stream: &UnixStream = self.half.as_ref();
        let window = self.window.get_mut(..room.min(WINDOW)).unwrap_or_default();
        let mut look = Look::Nothing;
        let looked = stream.try_io(Interest::READABLE, || {
            let (_, seen) = recv(stream, &mut *window, RecvFlags::PEEK)?;
            if seen == window.len() {
                look = Look::Full;
                return Ok(());
            }
            look = Look::All(seen);
            // What comes after these bytes makes the socket ready anew.
            Err(io::ErrorKind::WouldBlock.into())
        });
        match looked {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(look),
        }
    }
}

/// What there is to read.
enum Look {
    Nothing,
    /// So many bytes.
    All(usize),
    /// At least as much as there is room for.
    Full,
}

impl AsyncRead for Peeking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.settle()?;
        loop {
            ready!(AsRef::<UnixStream>::as_ref(&this.half).poll_read_ready(context))?;
            match this.look(buffer.remaining())? {
                Look::Nothing => {}
                Look::All(seen) => {
                    buffer.put_slice(this.window.get(..seen).unwrap_or_default());
                    this.owed = seen;
                    return Poll::Ready(Ok(()));
                }
                Look::Full => return Pin::new(&mut this.half).poll_read(context, buffer),
            }
        }
    }
}

impl MessageSource for Peeking {
    fn has_more(&mut self) -> bool {
        // What goes wrong here goes wrong again where it is read.
        let settled = self.settle();
        let stream: &UnixStream = self.half.as_ref();
        settled.is_ok() && rustix::io::ioctl_fionread(stream).is_ok_and(|bytes| bytes > 0)
    }
}

impl Drop for Peeking {
    /// A socket that is closed with bytes on it resets its other end, which may not have read its
    /// last answer yet.
    fn drop(&mut self) {
        let _ = self.settle();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::unix::OwnedWriteHalf;

    use super::*;

    /// A client, and the two halves of the host's end.
    fn pair() -> (UnixStream, Peeking, OwnedWriteHalf) {
        let (client, host) = UnixStream::pair().unwrap();
        let (reader, writer) = host.into_split();
        (client, Peeking::new(reader), writer)
    }

    fn on_the_socket(reader: &Peeking) -> u64 {
        rustix::io::ioctl_fionread(AsRef::<UnixStream>::as_ref(&reader.half)).unwrap()
    }

    #[tokio::test]
    async fn a_message_is_taken_when_the_next_is_asked_for() {
        let (mut client, mut reader, _writer) = pair();
        let mut buffer = [0; 64];
        for message in [&b"one\n"[..], b"two, longer\n"] {
            client.write_all(message).await.unwrap();
            let count = reader.read(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..count], message);
            assert_eq!(on_the_socket(&reader), count as u64);
        }
        let next = tokio::select! {
            biased;
            next = reader.read(&mut buffer) => Some(next),
            () = std::future::ready(()) => None,
        };
        assert!(next.is_none(), "nothing was sent: {next:?}");
        assert_eq!(on_the_socket(&reader), 0);
    }

    #[tokio::test]
    async fn whatever_the_sizes_all_bytes_come_once_and_in_order() {
        for (piece, room) in [
            (1, 4),
            (WINDOW - 1, WINDOW),
            (WINDOW, WINDOW),
            (WINDOW + 1, WINDOW),
            (WINDOW, 7),
            (100_000, 64 << 10),
            (3, 64 << 10),
        ] {
            let (mut client, mut reader, _writer) = pair();
            let sent: Vec<u8> = (0_u32..)
                .map(|n| n as u8 ^ (n >> 8) as u8)
                .take(piece * 5)
                .collect();
            let pieces = sent.clone();
            let write = async move {
                for piece in pieces.chunks(piece) {
                    client.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let read = async {
                let (mut got, mut buffer) = (Vec::new(), vec![0; room]);
                loop {
                    match reader.read(&mut buffer).await.unwrap() {
                        0 => return got,
                        count => got.extend_from_slice(&buffer[..count]),
                    }
                }
            };
            let ((), got) = tokio::join!(write, read);
            assert!(got == sent, "pieces of {piece} read into {room}");
        }
    }

    #[tokio::test]
    async fn closing_does_not_reset_a_client_that_was_answered() {
        let (mut client, mut reader, mut writer) = pair();
        client.write_all(b"question").await.unwrap();
        reader.read_exact(&mut [0; 8]).await.unwrap();
        writer.write_all(b"answer").await.unwrap();
        drop((reader, writer));
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
    }
}
