//! The agents' front door: each connection finds a place, and its first bytes say what it speaks.
//! `/health` is answered here, on the listeners' thread; everything else is handed to the workers. So
//! whatever they do, and whoever says nothing, somebody answers the door.
//!
//! It does not know the protocol.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use ::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, Interest};
use tokio::time::timeout;

use super::drain::Ends;
use super::frame::{BUSY, Framing, REFUSED, Refusal};
use super::http::{self, PATIENCE};
use super::identify::stranger;
use super::listen::{Service, Stream};
use super::seats::{Owner, Seat};
use super::serve::Acceptor;
use crate::call::Credential;
use crate::terms::Caller;

/// How long a connection waits before it asks again for a place.
const MOMENT: Duration = Duration::from_millis(5);

/// How long `/health` and short refusals may take from the first byte to the last.
const BRIEF: Duration = Duration::from_secs(5);

/// Headers of a question for `/health`, in bytes.
const SMALL_HEAD: usize = 8 << 10;

/// A connection on its way to the workers, in no runtime.
pub(super) enum Handed {
    Unix(std::os::unix::net::UnixStream, u32),
    Tcp(std::net::TcpStream),
}

/// What a connection's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// A question for `/health`.
    Health,
    /// Another message.
    Message(Framing),
}

/// A connection that has a place.
pub(super) struct Arrived {
    stream: Stream,
    seat: Seat,
    /// Whom it is known to be, by its user.
    caller: Option<Caller>,
    /// Its caller has no room for it: it hears so.
    is_full: bool,
}

impl Service for Acceptor {
    type Arrived = Arrived;

    fn ends(&self) -> &Ends {
        &self.ends
    }

    /// On TCP a connection that is too early waits for a moment: among those who have just come may be
    /// honest ones.
    async fn seat(&self, stream: Stream) -> Option<Arrived> {
        let uid = stream.uid();
        let caller = uid.and_then(|uid| self.host.identify(Credential::Uid(uid)));
        let own = caller.as_ref().map(|caller| Arc::clone(&caller.agent));
        let seat = own.and_then(|agent| self.seats.take(Owner::Caller(agent)).ok());
        let is_full = caller.is_some() && seat.is_none();
        let seat = match (seat, uid) {
            (Some(seat), _) => seat,
            (None, Some(uid)) => self.seats.take(Owner::User(uid)).ok()?,
            (None, None) => loop {
                match self.seats.take(Owner::Somebody) {
                    Ok(seat) => break seat,
                    Err(_) => tokio::time::sleep(MOMENT).await,
                }
            },
        };
        Some(Arrived {
            stream,
            seat,
            caller,
            is_full,
        })
    }

    /// Whoever has said nothing when the host stops is not waited for.
    async fn receive(self: Arc<Self>, arrived: Arrived) -> io::Result<()> {
        let stop = self.ends.signals.stop.clone();
        let met = stop.run_until_cancelled(self.meet(arrived));
        met.await.unwrap_or(Ok(()))
    }
}

impl Acceptor {
    /// Hands a connection on as soon as it says something.
    async fn meet(self: Arc<Self>, arrived: Arrived) -> io::Result<()> {
        let Arrived {
            stream,
            seat,
            caller,
            is_full,
        } = arrived;
        let uid = stream.uid();
        // A known user may keep a connection and say nothing; somebody else says at once what he wants.
        let patience = caller.is_none() || is_full;
        let first = async {
            match patience {
                true => timeout(PATIENCE, stream.first()).await?,
                false => stream.first().await,
            }
        };
        let first = tokio::select! {
            biased;
            first = first => first?,
            () = seat.gives_way_once_heard() => return Ok(()),
        };
        match (first, uid) {
            (None, _) => Ok(()),
            (Some(First::Health), _) => self.answer_health(stream, &seat).await,
            (Some(First::Message(Framing::Lines)), Some(_)) if is_full => {
                refuse(stream, Refusal::new(BUSY, http::NO_ROOM)).await
            }
            (Some(First::Message(Framing::Lines)), Some(uid)) if caller.is_none() => {
                refuse(stream, Refusal::new(REFUSED, stranger(uid))).await
            }
            (Some(First::Message(framing)), _) => self.hand_on(stream, framing, seat),
        }
    }

    fn hand_on(self: Arc<Self>, stream: Stream, framing: Framing, seat: Seat) -> io::Result<()> {
        let stream = match stream {
            Stream::Unix(stream, uid) => Handed::Unix(stream.into_std()?, uid),
            Stream::Tcp(stream) => Handed::Tcp(stream.into_std()?),
        };
        seat.is_handed_on();
        let workers = self.workers.clone();
        let connections = self.ends.connections.clone();
        connections.spawn_on(self.serve(stream, framing, Arc::new(seat)), &workers);
        Ok(())
    }

    /// Answers one question, in a few seconds altogether.
    async fn answer_health(&self, stream: Stream, seat: &Seat) -> io::Result<()> {
        let answer = async {
            match stream {
                Stream::Unix(stream, _) => self.speak_health(stream).await,
                Stream::Tcp(stream) => self.speak_health(stream).await,
            }
        };
        tokio::select! {
            biased;
            end = timeout(BRIEF, answer) => end?,
            () = seat.gives_way_once_heard() => Ok(()),
        }
    }

    async fn speak_health<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<()> {
        let health = &*self.health;
        let service = service_fn(move |request: Request<Incoming>| async move {
            let (head, _) = request.into_parts();
            Ok::<_, Infallible>(http::health_only(health, head).await)
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(BRIEF)
            .max_buf_size(SMALL_HEAD)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
            .await
            .map_err(io::Error::other)
    }
}

/// Says on a line why nothing more will be said.
async fn refuse(stream: Stream, why: Refusal) -> io::Result<()> {
    // Lines are for the Unix socket alone.
    let Stream::Unix(mut stream, _) = stream else {
        return Ok(());
    };
    let mut line = why.to_json();
    line.push(b'\n');
    timeout(BRIEF, stream.write_all(&line)).await??;
    // What came is taken: closing with it unread would reset the connection before the line is read.
    let _ = stream.try_read(&mut [0; SMALL_HEAD]);
    Ok(())
}

impl Stream {
    /// What it says first, without taking it; `None` when it says nothing and ends.
    async fn first(&self) -> io::Result<Option<First>> {
        const INTEREST: Interest = Interest::READABLE;
        loop {
            let (ready, looked) = match self {
                Self::Unix(stream, _) => {
                    let look = || look(stream, Framing::of);
                    (stream.ready(INTEREST).await?, stream.try_io(INTEREST, look))
                }
                Self::Tcp(stream) => {
                    let look = || look(stream, |_| Framing::Http);
                    (stream.ready(INTEREST).await?, stream.try_io(INTEREST, look))
                }
            };
            match looked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // One that is closed stays ready for ever: what has not come by now never comes.
                    if ready.is_read_closed() {
                        return Ok(None);
                    }
                }
                done => return done,
            }
        }
    }
}

/// Looks at the first bytes, as far as is needed to tell.
fn look(stream: impl AsFd, framing: impl Fn(u8) -> Framing) -> io::Result<Option<First>> {
    const HEALTH: &[u8] = b"GET /health";
    let mut head = [0_u8; HEALTH.len()];
    let (_, count) = recv(stream, &mut head[..], RecvFlags::PEEK)?;
    let head = head.get(..count).unwrap_or_default();
    let Some(first) = head.first() else {
        return Ok(None);
    };
    let framing = framing(*first);
    if framing == Framing::Http && HEALTH.starts_with(head) {
        if head.len() < HEALTH.len() {
            // What comes next makes the socket ready anew.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        return Ok(Some(First::Health));
    }
    Ok(Some(First::Message(framing)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn the_first_bytes_are_looked_at_and_left() {
        for (sent, expected) in [
            (&b"POST / HTTP/1.1"[..], First::Message(Framing::Http)),
            (b"{\"a\":1}", First::Message(Framing::Lines)),
            (b"\n{", First::Message(Framing::Lines)),
            (b"GET /mcp", First::Message(Framing::Http)),
            (b"GET /health HTTP/1.1", First::Health),
        ] {
            let (mut near, far) = UnixStream::pair().unwrap();
            near.write_all(sent).await.unwrap();
            let far = Stream::Unix(far, 0);
            assert_eq!(far.first().await.unwrap(), Some(expected));
            let Stream::Unix(far, _) = far else { panic!() };
            let mut read = vec![0; sent.len()];
            assert_eq!(far.try_read(&mut read).unwrap(), sent.len());
            assert_eq!(read, sent);
        }
        let (near, far) = UnixStream::pair().unwrap();
        drop(near);
        assert_eq!(Stream::Unix(far, 0).first().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_head_in_pieces_is_waited_for_and_one_that_stops_short_is_not_health() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let far = Stream::Unix(far, 0);
        near.write_all(b"GET /he").await.unwrap();
        let rest = async {
            tokio::task::yield_now().await;
            near.write_all(b"alth").await.unwrap();
        };
        let (first, ()) = tokio::join!(far.first(), rest);
        assert_eq!(first.unwrap(), Some(First::Health));
    }

    /// Half a question whose sender ends is waited for no longer: on a thread of its own, for a loop
    /// that never waits would never end here.
    #[test]
    fn x59_half_a_question_that_ends_is_no_question_and_holds_up_nobody() {
        let (say, hear) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let (mut near, far) = UnixStream::pair().unwrap();
                near.write_all(b"GET /he").await.unwrap();
                near.shutdown().await.unwrap();
                say.send(Stream::Unix(far, 0).first().await.unwrap())
            })
        });
        let first = hear.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(first.expect("an end"), None);
    }

    #[tokio::test]
    async fn who_is_refused_reads_why() {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(b"{\"jsonrpc\":\"2.0\"}\n").await.unwrap();
        let far = Stream::Unix(far, 0);
        assert!(far.first().await.unwrap().is_some());
        refuse(far, Refusal::new(BUSY, "No.")).await.unwrap();
        let mut read = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut near, &mut read)
            .await
            .unwrap();
        assert!(read.contains("No."), "{read}");
    }
}
