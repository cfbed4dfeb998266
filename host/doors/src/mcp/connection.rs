//! One connection of lines, from its first message to its last: who is at its other end, and what
//! ends it early.
//!
//! It does not know sockets, nor what a line is.

use std::sync::Arc;

use tokio::io::AsyncWrite;
use tokio_util::sync::CancellationToken;

use super::agent::{Agent, CallerSession};
use super::lines::Lines;
use super::output::Output;
use super::spin_wait::MessageSource;
use crate::budget::Allowance;
use crate::call::{Credential, Host};
use crate::deadline::Deadlined;
use crate::frame::{BUSY, Refusal};
use crate::seats::Seat;
use crate::terms::{Caller, Door};

/// The other side of a connection.
pub(crate) trait Peer: AsyncWrite + Send + Unpin + 'static {
    /// Whether it is certainly gone, so that nobody will read an answer.
    fn is_gone(&self) -> bool {
        false
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The caller it is.
    pub(crate) caller: Caller,
    /// By what.
    pub(crate) by: Credential<'static>,
    /// Through which door it came.
    pub(crate) door: Door,
    /// What it may hold.
    pub(crate) allowance: Allowance,
    /// Its place among the connections of the doors, if it is one.
    pub(crate) seat: Option<Arc<Seat>>,
}

/// How a connection is told to end.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    /// No more requests are taken; what runs may end.
    pub(crate) stop: CancellationToken,
    /// Nothing may run any longer.
    pub(crate) cut: CancellationToken,
}

/// Speaks the protocol on a byte stream until either side ends it, the other one is no caller any
/// more, or another connection takes its place: then no more requests are taken, and what runs may end.
pub(crate) async fn speak<R, W>(
    host: Arc<Host>,
    known: Known,
    (reader, writer): (R, W),
    signals: Signals,
) where
    R: MessageSource,
    W: Peer,
{
    let Known {
        caller,
        by,
        door,
        allowance,
        seat,
    } = known;
    let cut = signals.cut.child_token();
    let closing = CancellationToken::new();
    let _ends_with_this_future = cut.clone().drop_guard();
    let stop = signals.stop.child_token();
    let caller_session = CallerSession::new(Arc::clone(&host), caller.clone(), door).known_by(by);
    let agent = Agent::new(caller_session.clone(), closing.clone());
    let output = Arc::new(Output::new(
        Deadlined::new(writer),
        allowance.clone(),
        cut.clone(),
    ));
    let lines = Lines::new(
        (reader, Arc::clone(&output)),
        (Arc::clone(&host), caller_session, allowance),
        seat.clone(),
        (stop.clone(), closing, cut.clone()),
    );
    let ended_early = async {
        let gives_way = async {
            match &seat {
                Some(seat) => seat.gives_way().await,
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            () = host.dismissed(by, &caller) => "it is not this caller's any more",
            () = gives_way => {
                let say = "This connection was silent, and its caller needed its place for another one. It ends here: open a new one.";
                output.push(&Refusal::new(BUSY, say).to_json());
                "another one of the same caller takes its place"
            }
        };
        tracing::info!(agent = %caller.agent, why, "a connection ends");
        stop.cancel();
        std::future::pending().await
    };
    tokio::select! {
        () = converse(agent, lines, cut) => {}
        () = ended_early => {}
    }
}

async fn converse<R, W>(agent: Agent, lines: Lines<R, W>, cut: CancellationToken)
where
    R: MessageSource,
    W: Peer,
{
    match rmcp::service::serve_server_with_ct(agent, lines, cut).await {
        Ok(service) => {
            if let Err(error) = service.waiting().await {
                tracing::error!(%error, "a connection's task failed");
            }
        }
        Err(error) => tracing::debug!(%error, "a connection ended before it began"),
    }
}
