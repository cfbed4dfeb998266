//! What happened: an append-only, hash-chained record of every call and every reload, in JSON lines.
//!
//! The owner of the state folder writes it, one segment at a time; a segment is chained in itself and
//! named in the one that begins after it. A record is in the kernel before the call it is about goes on, so
//! a killed process loses nothing it has acknowledged; where a call can change the outside, its
//! record is on the disk before the guest runs. An attempt to reach the outside is in the kernel before
//! it is made; what came of it is there with the next record, and may be lost with a killed process.
//! Of callers who are turned away again and again a number is kept instead of records, and a killed
//! process may lose a second of that.
//!
//! What the chain shows by itself: damage anywhere, and a record changed, removed, added or moved in a
//! segment that a later one names, by somebody who does not change the later ones too. What it cannot
//! show: that the end of a segment was cut off which no other one names yet, or that somebody who owns
//! the folder wrote all of it anew. For that a hash has to be kept elsewhere, and given to
//! [`verify_expecting`]: what stands before it is then as it was.
//!
//! This room does not know what an attempt at the outside means, who may do what, or any protocol.

use toolhost_core::terms;

mod appender;
mod attempts;
mod chain;
mod error;
mod event;
mod flush;
mod folder;
mod former;
mod keeper;
mod lines;
mod links;
mod refusals;
mod segment;
mod show;
pub mod state;
mod text;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use attempts::Attempts;
pub use error::LedgerError;
pub use event::{
    Admitted, Answered, AttemptEvent, Closed, Closing, Ended, Ending, Event, Header, Mode, Names,
    Open, PreviousSegment, Recorded, Refused, Reload, Seal, Tally,
};
pub use show::{Attempted, Call, End, Filter, Shown, Tried, show};
pub use verify::{
    Expected, Flaw, LedgerProblem, LedgerReport, SegmentEnd, SegmentReport, verify,
    verify_expecting,
};
pub use writer::{CallId, Head, Ledger, OpenCall};
