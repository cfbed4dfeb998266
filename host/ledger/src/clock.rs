//! Points in time as the ledger writes them. Times are for people: records are ordered by their number.

pub use crate::terms::Clock;
pub(super) use crate::terms::{file_stamp, stamp};
