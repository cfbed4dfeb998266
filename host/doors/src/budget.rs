//! What the doors hold for callers, and how it is shared between them: messages that are not answered
//! yet, answers that are not read yet, sessions, streams of events.
//!
//! One of it for a host, over all its doors and connections; the owner is the caller. It does not
//! know what a message is.

use std::sync::Arc;

use crate::shares::{Lease, Shares, Short};
use crate::terms::Caller;

/// Requests of all callers that are not answered yet, in largest messages, as bytes that they take when
/// they are read: 256 MiB where the largest message is 4 MiB.
const REQUESTS: u64 = 64;

/// The same of one connection of lines. Beyond it the connection is not read: 64 MiB.
const WAITING: u64 = 16;

/// What is read and forgotten of a message that is too large, in largest messages: 64 MiB.
const FORGOTTEN: usize = 16;

/// Answers of all callers that are not read yet, in bytes.
pub(super) const ANSWERS: u64 = 256 << 20;

/// Bytes that a connection holds of each kind without anybody being asked: enough for ordinary
/// messages. With all connections that there can be it is an eighth of a gigabyte.
pub(super) const FREE: u64 = 128 << 10;

/// Sessions of the older era over HTTP.
const SESSIONS: u64 = 256;

/// Streams of events over HTTP.
const STREAMS: u64 = 256;

/// Everything that all callers together may hold.
#[derive(Debug)]
pub(super) struct Budget {
    /// The largest message that is taken, a line or a body, in bytes.
    message: usize,
    requests: Shares<Arc<str>>,
    answers: Shares<Arc<str>>,
    sessions: Shares<Arc<str>>,
    streams: Shares<Arc<str>>,
}

/// What a caller holds of it. Given back when it is dropped.
pub(super) type Held = Lease<Arc<str>>;

/// What one caller may take of it.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    budget: Arc<Budget>,
    agent: Arc<str>,
}

impl Budget {
    /// Nothing is taken yet, where the largest message has so many bytes.
    pub(super) fn new(message: usize) -> Self {
        Self {
            message,
            requests: Shares::new(REQUESTS * length(message)),
            answers: Shares::new(ANSWERS),
            sessions: Shares::new(SESSIONS),
            streams: Shares::new(STREAMS),
        }
    }

    /// The largest message that is taken, in bytes.
    pub(super) fn message(&self) -> usize {
        self.message
    }

    /// What this caller may take.
    pub(super) fn of(self: &Arc<Self>, caller: &Caller) -> Allowance {
        Allowance {
            budget: Arc::clone(self),
            agent: Arc::clone(&caller.agent),
        }
    }
}

impl Allowance {
    /// What operators may take: of a budget of their own, whatever agents hold.
    pub(super) fn of_operators(message: usize) -> Self {
        Self {
            budget: Arc::new(Budget::new(message)),
            // No caller has this name.
            agent: "(operators)".into(),
        }
    }

    /// Whose it is.
    pub(super) fn agent(&self) -> &Arc<str> {
        &self.agent
    }

    /// The largest message that is taken, in bytes.
    pub(super) fn message(&self) -> usize {
        self.budget.message
    }

    /// How much of a message that is too large is read and forgotten, in bytes.
    pub(super) fn forgotten(&self) -> usize {
        self.message().saturating_mul(FORGOTTEN)
    }

    /// Requests that one connection may leave without an answer, in bytes.
    pub(super) fn waiting(&self) -> u64 {
        length(self.message()).saturating_mul(WAITING)
    }

    /// Bytes of requests, at once.
    pub(super) fn request(&self, bytes: u64) -> Result<Held, Short> {
        self.budget.requests.take(&self.agent, bytes)
    }

    /// Bytes of requests, as soon as they are there.
    pub(super) async fn request_in_turn(&self, bytes: u64) -> Result<Held, Short> {
        self.budget.requests.wait(&self.agent, bytes).await
    }

    /// Bytes of answers, at once.
    pub(super) fn answer(&self, bytes: u64) -> Result<Held, Short> {
        self.budget.answers.take(&self.agent, bytes)
    }

    /// Whether bytes of answers could be had at once.
    pub(super) fn has_answer(&self, bytes: u64) -> Result<(), Short> {
        self.budget.answers.has(&self.agent, bytes)
    }

    /// Bytes of answers that this caller has not read yet.
    pub(super) fn unread(&self) -> u64 {
        self.budget.answers.held(&self.agent)
    }

    /// A session.
    pub(super) fn session(&self) -> Result<Held, Short> {
        self.budget.sessions.take(&self.agent, 1)
    }

    /// A stream of events.
    pub(super) fn stream(&self) -> Result<Held, Short> {
        self.budget.streams.take(&self.agent, 1)
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn caller(name: &str) -> Caller {
        Caller {
            agent: name.into(),
            user: None,
        }
    }

    /// Every stock leaves something for whoever comes next, however much the first one takes.
    #[test]
    fn x26_nobody_takes_everything() {
        let budget = Arc::new(Budget::new(4 << 20));
        let (ada, bob) = (budget.of(&caller("ada")), budget.of(&caller("bob")));
        let mut held = Vec::new();
        let piece = 1 << 20;
        type Take = fn(&Allowance, u64) -> Result<Held, Short>;
        let takes: [Take; 4] = [
            Allowance::request,
            Allowance::answer,
            |own, _| own.session(),
            |own, _| own.stream(),
        ];
        for take in takes {
            while let Ok(lease) = take(&ada, piece) {
                held.push(lease);
            }
            take(&bob, piece).expect("something is left");
        }
        assert_eq!(ada.unread(), ANSWERS / 2);
    }

    /// What the doors hold of messages goes by the largest one: it always fits beside others.
    #[test]
    fn x68_a_larger_message_has_larger_accounts() {
        for message in [256 << 10, 4 << 20, 64 << 20] {
            let budget = Arc::new(Budget::new(message));
            let (ada, bob) = (budget.of(&caller("ada")), budget.of(&caller("bob")));
            // While it comes, and what a text of this length takes when it is read.
            let whole = 3 * length(message);
            let held = ada.request(whole).expect("room for one");
            let other = bob.request(whole).expect("and for another's");
            assert_eq!(ada.waiting(), 16 * length(message));
            drop((held, other));
            let all = std::iter::from_fn(|| ada.request(length(message)).ok());
            let all: Vec<Held> = all.collect();
            bob.request(whole).expect("whatever the first one holds");
            drop(all);
        }
    }
}
