//! What happened: an append-only, hash-chained record of every call and every reload, in JSON lines.
//!
//! Each process writes one segment of its own; a segment is chained in itself and named in the
//! segments that begin after it. A record is in the kernel before the call it is about goes on, so
//! a killed process loses nothing it has acknowledged; where a call can change the outside, its
//! record is on the disk before the guest runs.
//!
//! What the chain shows: a record changed, removed, added or moved in a segment that is sealed or
//! named by a later one, and damage anywhere. What it cannot show by itself: that the newest end of
//! the newest segment was cut off, or that somebody who owns the folder wrote all of it anew. For
//! that the last hash has to be known elsewhere.
//!
//! This room does not know what an attempt at the outside means, who may do what, or any protocol.

mod attempts;
mod chain;
mod clock;
mod entry;
mod error;
mod flush;
mod folder;
mod lines;
mod links;
mod pen;
mod record;
mod show;
mod text;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use attempts::Attempts;
pub use clock::Clock;
pub use error::LedgerError;
pub use record::{Admitted, Closed, Ending, Fingerprint, Header, Mode, Refused, Reloaded, Tally};
pub use show::{Call, End, Filter, Shown, show};
pub use verify::{Flaw, Problem, Report, Segment, State, verify};
pub use writer::{CallId, Ledger, OpenCall};
