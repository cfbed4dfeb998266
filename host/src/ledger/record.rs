//! The shapes of the records, as they are written. It does not know how a record gets into a file.

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::attempts::Kept;
use super::text::{Capped, capped};
use crate::terms::{Bill, Caller, Code, Door, Fault, FunctionId, Outcome, Reach, ToolErrorCode};

/// The version of these shapes; the first record of each segment says it. 1 had no numbers of segments and no counted refusals.
pub(super) const SCHEMA: u32 = 2;

/// What the first record of a segment says of the process that writes it, as it begins. What a
/// reload changes of it stands in that reload's record.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// Version of the host.
    pub host_version: &'a str,
    /// How far the record can be trusted.
    pub mode: Mode,
    /// SHA-256 of the manifest's text, in hex.
    pub manifest: &'a str,
}

/// Whether the agents could reach the ledger's files by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Agents may run under the host's own user: they could write these files.
    Dev,
    /// The host runs under a user of its own.
    Serve,
}

/// A text that is not in the ledger, known by its digest and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fingerprint {
    /// SHA-256, written in hex.
    #[serde(serialize_with = "hex_text")]
    pub sha256: [u8; 32],
    /// Length in bytes.
    pub bytes: u64,
}

fn hex_text<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    let mut digits = [0; 64];
    hex::encode_to_slice(digest, &mut digits).map_err(S::Error::custom)?;
    serializer.serialize_str(std::str::from_utf8(&digits).map_err(S::Error::custom)?)
}

impl Fingerprint {
    /// Takes the fingerprint of a text.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            sha256: Sha256::digest(bytes).into(),
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }
}

/// A call that may run.
#[derive(Debug, Clone, Copy)]
pub struct Admitted<'a> {
    /// Who called.
    pub caller: &'a Caller,
    /// Through which door.
    pub door: Door,
    /// What was called.
    pub function: &'a FunctionId,
    /// SHA-256 of the component, in hex.
    pub component: &'a str,
    /// Of the arguments' JSON text.
    pub arguments: Fingerprint,
    /// Under which of the reloads of this process: none is what it began with. A call that was
    /// admitted at the moment of a reload may stand behind it in the record.
    pub load: u64,
    /// What the function's grants let it reach. Where it can change the outside, the record is on
    /// the disk before [`super::Ledger::admit`] is done; where it can look outside, in the kernel;
    /// where it can reach nothing, it is chained, and in the kernel before the call waits for
    /// anything (see [`super::OpenCall::drive`]).
    pub reach: Reach,
}

/// A call that was turned away before it could run.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// Who called.
    pub caller: &'a Caller,
    /// Through which door.
    pub door: Door,
    /// What was asked for, in the caller's words: it need not exist.
    pub function: &'a str,
    /// Of the arguments' JSON text.
    pub arguments: Fingerprint,
    /// Why.
    pub code: Code,
}

/// Calls that were turned away, too many to have a record each.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountedRefusals<'a> {
    pub caller: &'a Caller,
    pub door: Door,
    /// What the first of them asked for.
    pub function: &'a str,
    pub code: Code,
    /// When the first of them came.
    pub since: &'a str,
    pub calls: u64,
}

/// What the host goes by was loaded anew.
#[derive(Debug, Clone, Copy)]
pub struct Reloaded<'a> {
    /// SHA-256 of the manifest's text until now, in hex.
    pub before: &'a str,
    /// SHA-256 of the manifest's text from now on, in hex.
    pub manifest: &'a str,
    /// How far the record can be trusted from now on.
    pub mode: Mode,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub struct Closed {
    /// Well or badly.
    pub ending: Ending,
    /// Of the answer as the caller gets it, where there is one.
    pub result: Option<Fingerprint>,
    /// What it used.
    pub bill: Bill,
    /// What befell the tool after it had answered.
    pub after: Option<Code>,
}

/// Well or badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The tool gave a result.
    Ok,
    /// The tool said why it did not.
    ToolError(ToolErrorCode),
    /// The host ended it.
    Fault(Code),
}

impl From<&Result<Outcome, Fault>> for Ending {
    fn from(end: &Result<Outcome, Fault>) -> Self {
        match end {
            Ok(Outcome::Output(_)) => Self::Ok,
            Ok(Outcome::Error(error)) => Self::ToolError(error.code),
            Err(fault) => Self::Fault(fault.code),
        }
    }
}

impl Ending {
    const fn outcome(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError(_) => "tool-error",
            Self::Fault(_) => "fault",
        }
    }

    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Ok => None,
            Self::ToolError(code) => Some(code.as_str()),
            Self::Fault(code) => Some(code.as_str()),
        }
    }
}

/// How many records of each kind a segment has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Calls that could run.
    pub admitted: u64,
    /// Calls that ended.
    pub closed: u64,
    /// Calls that were turned away.
    pub refused: u64,
    /// Times that the manifest was loaded anew.
    #[serde(default)]
    pub reloads: u64,
}

/// Where another segment ended when this one began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    pub segment: String,
    pub seq: u64,
    pub hash: String,
    /// Its process was still writing.
    pub running: bool,
}

/// One record without what the chain adds (number, time, hash). Members are written in this order.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Record<'a> {
    Open(OpenRecord<'a>),
    Admitted(AdmittedRecord<'a>),
    Closed(ClosedRecord<'a>),
    Refused(RefusedRecord<'a>),
    Reload(ReloadRecord<'a>),
    /// More ends than the first record holds.
    Names {
        earlier: &'a [Link],
    },
    Seal {
        records: Tally,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct OpenRecord<'a> {
    schema: u32,
    segment: &'a str,
    number: u64,
    host: Capped<'a>,
    pid: u32,
    mode: Mode,
    manifest: Capped<'a>,
    earlier: &'a [Link],
}

#[derive(Debug, Serialize)]
pub(super) struct AdmittedRecord<'a> {
    agent: Capped<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Capped<'a>>,
    door: Door,
    function: String,
    component: Capped<'a>,
    arguments: Fingerprint,
    #[serde(skip_serializing_if = "is_zero")]
    load: u64,
    writes: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct RefusedRecord<'a> {
    agent: Capped<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Capped<'a>>,
    door: Door,
    function: Capped<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<Fingerprint>,
    code: Code,
    /// Where it is about several calls: how many, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct ReloadRecord<'a> {
    before: Capped<'a>,
    manifest: Capped<'a>,
    mode: Mode,
    load: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct ClosedRecord<'a> {
    call: u64,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bill: Option<Bill>,
    attempts: &'a [Box<RawValue>],
    #[serde(skip_serializing_if = "is_zero")]
    attempts_dropped: u64,
    /// What befell the tool after it had answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'static str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl<'a> Record<'a> {
    pub(super) fn open(
        header: &Header<'a>,
        segment: &'a str,
        number: u64,
        earlier: &'a [Link],
    ) -> Self {
        Self::Open(OpenRecord {
            schema: SCHEMA,
            segment,
            number,
            host: Capped(header.host_version),
            pid: std::process::id(),
            mode: header.mode,
            manifest: Capped(header.manifest),
            earlier,
        })
    }

    pub(super) fn admitted(call: &Admitted<'a>) -> Self {
        Self::Admitted(AdmittedRecord {
            agent: Capped(&call.caller.agent),
            user: call.caller.user.as_deref().map(Capped),
            door: call.door,
            function: capped(&call.function.to_string()).into_owned(),
            component: Capped(call.component),
            arguments: call.arguments,
            load: call.load,
            writes: call.reach == Reach::Writes,
        })
    }

    pub(super) fn refused(call: &Refused<'a>) -> Self {
        Self::Refused(RefusedRecord {
            agent: Capped(&call.caller.agent),
            user: call.caller.user.as_deref().map(Capped),
            door: call.door,
            function: Capped(call.function),
            arguments: Some(call.arguments),
            code: call.code,
            calls: None,
            since: None,
        })
    }

    pub(super) fn counted(refused: &CountedRefusals<'a>) -> Self {
        Self::Refused(RefusedRecord {
            agent: Capped(&refused.caller.agent),
            user: None,
            door: refused.door,
            function: Capped(refused.function),
            arguments: None,
            code: refused.code,
            calls: Some(refused.calls),
            since: Some(refused.since),
        })
    }

    pub(super) const fn reloaded(reload: &Reloaded<'a>, load: u64) -> Self {
        Self::Reload(ReloadRecord {
            before: Capped(reload.before),
            manifest: Capped(reload.manifest),
            mode: reload.mode,
            load,
        })
    }

    pub(super) fn closed(call: u64, closed: &Closed, kept: &'a Kept) -> Self {
        let after = closed.after.map(Code::as_str);
        Self::Closed(ClosedRecord {
            after,
            ..ClosedRecord::of(call, closed.ending, closed.result, Some(closed.bill), kept)
        })
    }

    /// A call whose future was dropped, and why: what it used is not known.
    pub(super) fn dropped(call: u64, why: Code, kept: &'a Kept) -> Self {
        Self::Closed(ClosedRecord::of(call, Ending::Fault(why), None, None, kept))
    }
}

impl<'a> ClosedRecord<'a> {
    fn of(
        call: u64,
        ending: Ending,
        result: Option<Fingerprint>,
        bill: Option<Bill>,
        kept: &'a Kept,
    ) -> Self {
        Self {
            call,
            outcome: ending.outcome(),
            code: ending.code(),
            result,
            bill,
            attempts: &kept.attempts,
            attempts_dropped: kept.dropped,
            after: None,
        }
    }
}
