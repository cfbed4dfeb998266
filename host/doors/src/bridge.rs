//! Standard input and output as a bridge to the host that runs already, over its restarts: whole lines
//! pass, and where the host goes away it is found again, while the agent at this end keeps its session.
//!
//! It knows of a message whether it asks, answers or shakes hands, and nothing else. Standard output
//! carries the protocol and nothing else.

mod talk;

use std::cell::RefCell;
use std::future::pending;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::talk::{Hello, Notice, Talk};
use super::budget::ANSWERS;
use super::deadline::Deadlined;
use super::mcp;
use super::pieces::{Piece, Pieces};
use super::unix::{self, Audience};

/// How long a host that went away is waited for.
const BACK: Duration = Duration::from_secs(30);

/// How long to wait before it is looked for, the first time and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long a host may take to answer a handshake that it is asked again.
const HELLO: Duration = Duration::from_secs(10);

/// Connects standard input and output to the host that answers on `socket`, until the agent ends. False,
/// and nothing read, when no host answers at first. A host that goes away later is waited for. What
/// answers has to be a host of this user or of root, where a host could have bound the socket: the
/// agent's words are for nobody else. A line of the agent's of at most `message` bytes is held whole.
///
/// # Errors
///
/// When the socket is there but may not be used, when the agent does not read, and when the host went
/// away and did not come back.
pub async fn bridge(socket: &Path, audience: Audience, message: usize) -> io::Result<bool> {
    let Some(stream) = find(socket, audience).await? else {
        return Ok(false);
    };
    let (input, output) = mcp::stdio();
    let mut bridge = Bridge {
        input: Pieces::new(input, message),
        output: Deadlined::new(output),
        next: None,
        left: false,
        talk: Talk::default(),
        patience: BACK,
        pause: PAUSES.0,
    };
    let find = async || find(socket, audience).await;
    bridge.keep(Ends::of(stream), find).await.map_err(|error| {
        let say = format!("at the socket {}: {error}", socket.display());
        io::Error::new(error.kind(), say)
    })?;
    Ok(true)
}

/// A connection to the host, if one answers.
async fn find(socket: &Path, audience: Audience) -> io::Result<Option<UnixStream>> {
    if !unix::may_be_a_hosts(socket, audience)? {
        return Ok(None);
    }
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) if unix::is_nobody(error.kind()) => return Ok(None),
        Err(error) => {
            let say = format!("cannot use the socket {}: {error}", socket.display());
            return Err(io::Error::new(error.kind(), say));
        }
    };
    let peer = stream.peer_cred()?.uid();
    if !unix::is_trusted(peer) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "user {peer} answers on the socket {}, who is neither this one nor root. Stop that process and remove the socket, or choose another path.",
                socket.display()
            ),
        ));
    }
    Ok(Some(stream))
}

/// The bridge's ends at a host.
struct Ends {
    from: Pieces<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Ends {
    fn of(stream: UnixStream) -> Self {
        let (from, to) = stream.into_split();
        // No answer is longer than all that a host keeps.
        let longest = usize::try_from(ANSWERS).unwrap_or(usize::MAX);
        Self {
            from: Pieces::new(from, longest),
            to,
        }
    }

    /// Shakes hands for an agent that has done so with the host before.
    async fn greet(mut self, hello: &Hello) -> io::Result<Found> {
        // A host that refuses the connection may have closed it by then. Why is still to be read.
        let said = self.to.write_all(hello.line()).await;
        loop {
            let Some(Piece::Line(line)) = self.from.next().await? else {
                said?;
                return Err(io::Error::other("it answers and closes at once"));
            };
            match (hello.answer(&line), Notice::of(&line)) {
                (Some(answer), _) => {
                    answer.map_err(io::Error::other)?;
                    self.to.write_all(hello.ready()).await?;
                    return Ok(Found::Host(self));
                }
                (None, Some(Notice::Refused(why))) => return Ok(Found::Refusal(why)),
                (None, Some(Notice::Busy(why))) => return Err(io::Error::other(why)),
                (None, None) => {}
            }
        }
    }
}

/// What looking for a host came to.
enum Found {
    Nobody,
    Host(Ends),
    /// A host that does not want this user, and why.
    Refusal(String),
}

/// An agent's end of the bridge, and what is known of its conversation.
struct Bridge<R, W> {
    input: Pieces<R>,
    output: W,
    /// What the agent said while no host was there.
    next: Option<Piece>,
    /// The agent says nothing more.
    left: bool,
    talk: Talk,
    /// How long a host that went away is waited for.
    patience: Duration,
    /// How long to wait before it is looked for. Longer from one time to the next, until it answers.
    pause: Duration,
}

/// How a conversation with one host was.
#[derive(Default)]
struct Passed {
    /// It answered something.
    heard: bool,
    /// It said why it ends the connection.
    refusal: Option<String>,
}

impl<R, W> Bridge<R, W>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    /// Passes lines on until the agent ends, to one host after the other.
    async fn keep(
        &mut self,
        mut ends: Ends,
        find: impl AsyncFn() -> io::Result<Option<UnixStream>>,
    ) -> io::Result<()> {
        let mut until: Option<Instant> = None;
        loop {
            let began = Instant::now();
            let Passed { heard, refusal } = self.pass(ends).await?;
            let lost = self.talk.lost();
            if self.left && lost.is_empty() {
                return Ok(());
            }
            self.tell(&lost).await?;
            if self.left {
                let say = "the host went away before it answered all that it was asked";
                return Err(io::Error::other(say));
            }
            if let Some(why) = refusal {
                return Err(refused(&why));
            }
            self.drop_the_rest().await?;
            // A host that takes connections and says nothing on them is not waited for again and again.
            if heard || began.elapsed() > self.patience {
                until = None;
                self.pause = PAUSES.0;
            }
            let until = *until.get_or_insert_with(|| Instant::now() + self.patience);
            tracing::warn!("the host went away; waiting for it to come back");
            ends = match self.find_again(until, &find).await {
                Ok(Some(ends)) => ends,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let unsaid = self.next.take();
                    let refusal = unsaid.and_then(|piece| talk::unasked(piece.bytes()));
                    self.tell(refusal.as_slice()).await?;
                    return Err(error);
                }
            };
            tracing::info!("the host is back");
            self.tell(self.talk.found().as_slice()).await?;
        }
    }

    /// Passes lines on to one host until it or the agent ends.
    async fn pass(&mut self, ends: Ends) -> io::Result<Passed> {
        let Ends { mut from, mut to } = ends;
        let Self {
            input,
            output,
            next,
            left,
            talk,
            ..
        } = self;
        let opening = talk.opening().map(<[u8]>::to_vec);
        let talk = RefCell::new(talk);
        let ask = async {
            if let Some(line) = opening
                && to.write_all(&line).await.is_err()
            {
                return pending().await;
            }
            loop {
                let piece = match next.take() {
                    Some(piece) => Some(piece),
                    None => input.next().await.unwrap_or_else(|error| {
                        tracing::debug!(%error, "standard input ended badly");
                        None
                    }),
                };
                let Some(piece) = piece else { break };
                match &piece {
                    Piece::Line(line) => talk.borrow_mut().asks(line),
                    Piece::Part(part) => talk.borrow_mut().asks_in_part(part),
                }
                if to.write_all(piece.bytes()).await.is_err() {
                    // What it said before it went away is still to be read.
                    return pending().await;
                }
            }
            *left = true;
            // The host sees the end of the input, answers what it was asked, and closes.
            let _ = to.shutdown().await;
            pending::<()>().await
        };
        let mut passed = Passed::default();
        let answer = async {
            // A line that breaks off with the host is no line, and reading fails where it was killed.
            while let Ok(Some(piece)) = from.next().await {
                let Piece::Line(line) = piece else {
                    continue;
                };
                passed.heard |= talk.borrow_mut().answers(&line);
                if let Some(Notice::Refused(why)) = Notice::of(&line) {
                    passed.refusal = Some(why);
                }
                output.write_all(&line).await?;
                output.flush().await?;
            }
            Ok(())
        };
        tokio::select! {
            end = answer => end.map_err(|error: io::Error| {
                io::Error::new(error.kind(), format!("the agent cannot be written to: {error}"))
            })?,
            () = ask => {}
        }
        Ok(passed)
    }

    /// Drops what comes of a line whose begin went to a host that is gone: to the next one it would be
    /// a line of its own.
    async fn drop_the_rest(&mut self) -> io::Result<()> {
        if !self.talk.is_in_part() {
            return Ok(());
        }
        while self.talk.is_in_part()
            && let Ok(Some(piece)) = self.input.next().await
        {
            self.talk.asks_in_part(piece.bytes());
        }
        let lost = self.talk.lost();
        self.tell(&lost).await
    }

    /// Waits for a host that goes on with this conversation. `None` where the agent ends first.
    async fn find_again(
        &mut self,
        until: Instant,
        find: impl AsyncFn() -> io::Result<Option<UnixStream>>,
    ) -> io::Result<Option<Ends>> {
        let hello = self.talk.hello();
        let (patience, mut pause) = (self.patience, self.pause);
        self.pause = (pause * 2).min(PAUSES.1);
        let search = async {
            let mut why = None;
            loop {
                if Instant::now() >= until {
                    return Err(gone(patience, why.as_ref()));
                }
                // Before each, so that a host which answers and closes keeps nobody busy.
                sleep_until(until.min(Instant::now() + pause)).await;
                pause = (pause * 2).min(PAUSES.1);
                let found = async {
                    let Some(stream) = find().await? else {
                        return Ok(Found::Nobody);
                    };
                    let ends = Ends::of(stream);
                    match hello {
                        Some(hello) => ends.greet(hello).await,
                        None => Ok(Found::Host(ends)),
                    }
                };
                match timeout_at(until.min(Instant::now() + HELLO), found).await {
                    Ok(Ok(Found::Host(ends))) => return Ok(ends),
                    Ok(Ok(Found::Refusal(why))) => return Err(refused(&why)),
                    Ok(Ok(Found::Nobody)) => {}
                    Ok(Err(error)) => why = Some(error),
                    Err(_) => why = why.or_else(|| Some(io::ErrorKind::TimedOut.into())),
                }
            }
        };
        let mut search = std::pin::pin!(search);
        loop {
            tokio::select! {
                found = &mut search => return found.map(Some),
                piece = self.input.next(), if self.next.is_none() => match piece {
                    Ok(Some(piece)) => self.next = Some(piece),
                    _ => {
                        self.left = true;
                        return Ok(None);
                    }
                },
            }
        }
    }

    /// Says something of the bridge's own to the agent.
    async fn tell(&mut self, lines: &[Vec<u8>]) -> io::Result<()> {
        for line in lines {
            self.output.write_all(line).await?;
            self.output.write_all(b"\n").await?;
        }
        self.output.flush().await
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::other(format!("the host ends the connection: {why}"))
}

fn gone(patience: Duration, why: Option<&io::Error>) -> io::Error {
    let why = why.map(|error| format!(" ({error})")).unwrap_or_default();
    io::Error::other(format!(
        "the host went away and did not come back within {}{why}. Start it, and connect the agent again.",
        humantime::format_duration(patience)
    ))
}

#[cfg(test)]
#[path = "bridge/tests.rs"]
mod tests;
