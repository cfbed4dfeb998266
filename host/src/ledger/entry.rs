//! The shapes of the records as they are read: written by another version, or by somebody else. It does not know what they have to be.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::record::{Link, Tally};

/// What every line has, and what the chain is checked by. Members it does not know are passed over.
#[derive(Debug, Deserialize)]
pub(super) struct Entry<'a> {
    pub seq: u64,
    pub kind: Kind,
    /// When it was written.
    #[serde(borrow)]
    pub time: Option<Cow<'a, str>>,
    /// "open": the version of the shapes.
    pub schema: Option<u32>,
    /// "open": the file's own name.
    #[serde(borrow)]
    pub segment: Option<Cow<'a, str>>,
    /// "open": one more than any segment's before it.
    pub number: Option<u64>,
    /// "open", "names": the ends of other segments.
    pub earlier: Option<Vec<Link>>,
    /// "closed": the call it ends.
    pub call: Option<u64>,
    /// "refused": how many calls, where it is not one.
    pub calls: Option<u64>,
    /// "seal": how many there are.
    pub records: Option<Tally>,
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A segment begins.
    Open,
    /// A call may run.
    Admitted,
    /// A call ended.
    Closed,
    /// A call was turned away.
    Refused,
    /// What the host goes by was loaded anew.
    Reload,
    /// The beginning goes on: more ends of other segments.
    Names,
    /// The segment ends.
    Seal,
}

/// What a line says of a call.
#[derive(Debug, Deserialize)]
pub(super) struct CallEntry<'a> {
    pub seq: u64,
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    pub kind: Kind,
    pub agent: Option<String>,
    pub user: Option<String>,
    pub door: Option<String>,
    pub function: Option<String>,
    #[serde(default)]
    pub writes: bool,
    pub call: Option<u64>,
    pub calls: Option<u64>,
    pub since: Option<String>,
    pub outcome: Option<String>,
    pub code: Option<String>,
    pub bill: Option<BillEntry>,
    #[serde(borrow, default)]
    pub attempts: Vec<&'a RawValue>,
    #[serde(default)]
    pub attempts_dropped: u64,
    pub after: Option<String>,
}

/// A bill.
#[derive(Debug, Deserialize)]
pub(super) struct BillEntry {
    pub fuel: u64,
    pub peak_memory: u64,
    pub wall_us: u64,
    pub egress_requests: u32,
    pub egress_bytes: u64,
}
