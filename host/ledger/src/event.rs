//! What the ledger holds: one event a line, the same types for writing and for reading.
//!
//! A new kind of event is a line in [`events!`], its type, and a line wherever a `match` asks for one.
//! It does not know how a line gets into a file.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::text::capped;
use crate::terms::{
    AttemptAnswer, Bill, Caller, Code, Door, Fault, Fingerprint, FunctionId, Outcome, Target,
    ToolErrorCode, Usage, Verdict, is_zero,
};

/// The version of these shapes; the first event of each segment says it. 1 had no numbers of segments
/// and no counted refusals, 2 had the attempts of a call within its end, 3 had segments that several
/// processes wrote at once, and no calls through the operators' socket.
pub(super) const SCHEMA: u32 = 4;

macro_rules! events {
    ($($(#[$doc:meta])* $kind:ident($event:ty),)*) => {
        /// Something that was decided or that happened. Members are written in the order of the types.
        #[derive(Debug, Serialize)]
        #[serde(tag = "kind", rename_all = "lowercase")]
        pub enum Event<'a> {
            $($(#[$doc])* $kind($event),)*
        }

        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Kind {
            $($kind,)*
        }

        impl<'a> Event<'a> {
            /// The event of this kind that a line holds. Members that it does not know are passed over.
            fn of(kind: Kind, line: &'a [u8]) -> serde_json::Result<Self> {
                Ok(match kind {
                    $(Kind::$kind => Self::$kind(serde_json::from_slice(line)?),)*
                })
            }
        }
    };
}

events! {
    /// A segment begins.
    Open(Open<'a>),
    /// The beginning goes on: more ends of other segments.
    Names(Names<'a>),
    /// A call may run.
    Admitted(Admitted<'a>),
    /// A call tries to reach something outside of its sandbox.
    Attempt(AttemptEvent),
    /// What came of an attempt.
    Answer(Answered),
    /// A call ended.
    Closed(Closed<'a>),
    /// A call was turned away, or several were.
    Refused(Refused<'a>),
    /// What the host goes by was loaded anew.
    Reload(Reload<'a>),
    /// The segment ends.
    Seal(Seal),
}

/// An event as it stands in its segment.
#[derive(Debug)]
pub struct Recorded<'a> {
    /// Its number in its segment.
    pub seq: u64,
    /// When it was written: RFC 3339, UTC, milliseconds.
    pub time: Cow<'a, str>,
    /// What it says.
    pub event: Event<'a>,
}

#[derive(Deserialize)]
struct Head<'a> {
    seq: u64,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
    kind: Kind,
}

impl<'a> Recorded<'a> {
    /// Reads a line.
    pub(super) fn read(line: &'a [u8]) -> serde_json::Result<Self> {
        let Head { seq, time, kind } = serde_json::from_slice(line)?;
        let event = Event::of(kind, line)?;
        Ok(Self { seq, time, event })
    }

    /// The number that a line says it has.
    pub(super) fn number(line: &[u8]) -> Option<u64> {
        serde_json::from_slice::<Head<'_>>(line)
            .ok()
            .map(|head| head.seq)
    }
}

/// What the first event of a segment says of the process that writes it, as it begins. What a reload
/// changes of it stands in that reload's event.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// Version of the host.
    pub host_version: &'a str,
    /// How far the record can be trusted.
    pub mode: Mode,
    /// SHA-256 of the manifest's text, in hex.
    pub manifest: &'a str,
}

/// How a segment begins.
#[derive(Debug, Serialize, Deserialize)]
pub struct Open<'a> {
    /// The version of the shapes.
    pub schema: u32,
    /// The file's own name.
    #[serde(borrow)]
    pub segment: Cow<'a, str>,
    /// One more than any segment's before it; 0 of one from before there were numbers.
    #[serde(default)]
    pub number: u64,
    /// Version of the host.
    #[serde(borrow, serialize_with = "short")]
    pub host: Cow<'a, str>,
    /// Its process.
    pub pid: u32,
    /// How far the record can be trusted.
    pub mode: Mode,
    /// SHA-256 of the manifest's text, in hex.
    #[serde(borrow, serialize_with = "short")]
    pub manifest: Cow<'a, str>,
    /// The ends of the segments before it.
    #[serde(default)]
    pub earlier: Cow<'a, [PreviousSegment]>,
}

impl<'a> Open<'a> {
    /// For this process.
    pub(super) fn new(
        header: &Header<'a>,
        segment: &'a str,
        number: u64,
        earlier: &'a [PreviousSegment],
    ) -> Self {
        Self {
            schema: SCHEMA,
            segment: segment.into(),
            number,
            host: header.host_version.into(),
            pid: std::process::id(),
            mode: header.mode,
            manifest: header.manifest.into(),
            earlier: earlier.into(),
        }
    }
}

/// More ends than the first event holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Names<'a> {
    /// The ends.
    pub earlier: Cow<'a, [PreviousSegment]>,
}

/// Where another segment ended when this one began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSegment {
    /// Its file name.
    pub segment: String,
    /// The number of its last event.
    pub seq: u64,
    /// The hash of that.
    pub hash: String,
    /// Its process was still writing: until schema 3, when several could.
    #[serde(default, skip_serializing_if = "is_false")]
    pub running: bool,
}

/// Whether the agents could reach the ledger's files by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Agents may run under the host's own user: they could write these files.
    Dev,
    /// The host runs under a user of its own.
    Serve,
}

/// A call that may run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Admitted<'a> {
    /// Who called.
    #[serde(borrow, serialize_with = "short")]
    pub agent: Cow<'a, str>,
    /// The user behind, where it is known.
    #[serde(
        borrow,
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "short_if"
    )]
    pub user: Option<Cow<'a, str>>,
    /// Through which door.
    pub door: Door,
    /// What was called: `tool.function`.
    #[serde(borrow, serialize_with = "short")]
    pub function: Cow<'a, str>,
    /// SHA-256 of the component, in hex.
    #[serde(borrow, serialize_with = "short")]
    pub component: Cow<'a, str>,
    /// Of the arguments' JSON text.
    pub arguments: Fingerprint,
    /// Under which of the reloads of this process: none is what it began with. A call that was
    /// admitted at the moment of a reload may stand behind it in the record.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub load: u64,
    /// Its grants let it change the outside.
    #[serde(default)]
    pub writes: bool,
}

impl<'a> Admitted<'a> {
    /// A call of `caller`. What it may change is the ledger's to add: [`super::Ledger::admit`].
    #[must_use]
    pub fn new(
        caller: &'a Caller,
        door: Door,
        function: &FunctionId,
        component: &'a str,
        arguments: Fingerprint,
    ) -> Self {
        Self {
            agent: Cow::Borrowed(&caller.agent),
            user: caller.user.as_deref().map(Cow::Borrowed),
            door,
            function: function.dotted().into(),
            component: component.into(),
            arguments,
            load: 0,
            writes: false,
        }
    }
}

/// An attempt, before it is made. Of one that was refused there is no answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct AttemptEvent {
    /// The call that makes it.
    pub call: u64,
    /// What it tries to reach.
    pub to: Target,
    /// Whether it may.
    pub verdict: Verdict,
}

/// What came of an attempt that was allowed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answered {
    /// The call that made it.
    pub call: u64,
    /// The number of the attempt's event.
    pub attempt: u64,
    /// What came of it.
    pub answer: AttemptAnswer,
}

/// How a call ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct Closed<'a> {
    /// The number of its first event.
    pub call: u64,
    /// Well or badly.
    pub outcome: Ended,
    /// Why, unless it went well.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'a, str>>,
    /// Of the answer as the caller gets it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Fingerprint>,
    /// What it used. Nothing is known of a call whose future was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bill: Option<Bill>,
    /// How often it used its grants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<Usage>,
    /// What befell the tool after it had answered.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Cow<'a, str>>,
    /// Its attempts, where they have no events of their own: before schema 3.
    #[serde(borrow, default, skip_serializing)]
    pub(super) attempts: Vec<&'a RawValue>,
    /// And how many were too many to be kept.
    #[serde(default, skip_serializing)]
    pub(super) attempts_dropped: u64,
}

/// Well or badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The tool gave a result.
    Ok,
    /// The tool said why it did not.
    ToolError,
    /// The host ended it.
    Fault,
}

/// The end of a call, for its record.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// Well or badly.
    pub ending: Ending,
    /// Of the answer as the caller gets it, where there is one.
    pub result: Option<Fingerprint>,
    /// What it used.
    pub bill: Bill,
    /// What befell the tool after it had answered.
    pub after: Option<Code>,
}

/// Well or badly, and why.
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

impl Closed<'_> {
    fn of(call: u64, ending: Ending, usage: Vec<Usage>) -> Self {
        let (outcome, code) = match ending {
            Ending::Ok => (Ended::Ok, None),
            Ending::ToolError(code) => (Ended::ToolError, Some(code.as_str())),
            Ending::Fault(code) => (Ended::Fault, Some(code.as_str())),
        };
        Self {
            call,
            outcome,
            code: code.map(Cow::Borrowed),
            result: None,
            bill: None,
            usage,
            after: None,
            attempts: Vec::new(),
            attempts_dropped: 0,
        }
    }

    /// A call that came to an end.
    pub(super) fn new(call: u64, closing: &Closing, usage: Vec<Usage>) -> Self {
        Self {
            result: closing.result,
            bill: Some(closing.bill),
            after: closing.after.map(|code| Cow::Borrowed(code.as_str())),
            ..Self::of(call, closing.ending, usage)
        }
    }

    /// A call whose future was dropped, and why: what it used is not known.
    pub(super) fn dropped(call: u64, why: Code, usage: Vec<Usage>) -> Self {
        Self::of(call, Ending::Fault(why), usage)
    }
}

/// A call that was turned away before it could run, or several that were, too many to have an event each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Refused<'a> {
    /// Who called.
    #[serde(borrow, serialize_with = "short")]
    pub agent: Cow<'a, str>,
    /// The user behind, where it is known.
    #[serde(
        borrow,
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "short_if"
    )]
    pub user: Option<Cow<'a, str>>,
    /// Through which door.
    pub door: Door,
    /// What was asked for, in the caller's words: it need not exist.
    #[serde(borrow, serialize_with = "short")]
    pub function: Cow<'a, str>,
    /// Of the arguments' JSON text, where it is one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Fingerprint>,
    /// Why.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// Where it is about several calls: how many, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// When the first of them came.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Cow<'a, str>>,
}

impl<'a> Refused<'a> {
    /// One call.
    #[must_use]
    pub fn new(
        caller: &'a Caller,
        door: Door,
        function: &'a str,
        arguments: Fingerprint,
        code: Code,
    ) -> Self {
        Self {
            agent: Cow::Borrowed(&caller.agent),
            user: caller.user.as_deref().map(Cow::Borrowed),
            door,
            function: function.into(),
            arguments: Some(arguments),
            code: code.as_str().into(),
            calls: None,
            since: None,
        }
    }

    /// How many calls it is about.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.unwrap_or(1)
    }
}

/// What the host goes by was loaded anew.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reload<'a> {
    /// SHA-256 of the manifest's text until now, in hex.
    #[serde(borrow, serialize_with = "short")]
    pub before: Cow<'a, str>,
    /// SHA-256 of the manifest's text from now on, in hex.
    #[serde(borrow, serialize_with = "short")]
    pub manifest: Cow<'a, str>,
    /// How far the record can be trusted from now on.
    pub mode: Mode,
    /// How many reloads there were, this one too.
    #[serde(default)]
    pub load: u64,
}

/// The segment ends.
#[derive(Debug, Serialize, Deserialize)]
pub struct Seal {
    /// How many events of each kind it has.
    pub records: Tally,
}

/// How many events of each kind a segment has.
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
    /// Attempts to reach something outside.
    #[serde(default)]
    pub attempts: u64,
}

impl Tally {
    /// Counts an event.
    pub(super) fn count(&mut self, event: &Event<'_>) {
        match event {
            Event::Open(_) | Event::Names(_) | Event::Answer(_) | Event::Seal(_) => {}
            Event::Admitted(_) => self.admitted += 1,
            Event::Attempt(_) => self.attempts += 1,
            Event::Closed(_) => self.closed += 1,
            Event::Refused(refused) => {
                self.refused = self.refused.saturating_add(refused.calls());
            }
            Event::Reload(_) => self.reloads += 1,
        }
    }
}

/// Writes a text with no more bytes than a text may have.
fn short<S: Serializer>(text: &str, json: S) -> Result<S::Ok, S::Error> {
    json.serialize_str(&capped(text))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(value: &bool) -> bool {
    !*value
}

fn short_if<S: Serializer>(text: &Option<Cow<'_, str>>, json: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => short(text, json),
        None => json.serialize_none(),
    }
}
