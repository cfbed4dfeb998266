//! The calls as people want to see them: each with its end, the newest last. It does not verify what it reads.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::clock::stamp;
use super::entry::{CallEntry, Kind};
use super::error::LedgerError;
use super::folder::Folder;
use super::lines::{Found, Lines};
use super::links::in_order;
use crate::terms::Bill;

/// Which calls to show. What is `None` or false lets all pass.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The agent's name.
    pub caller: Option<String>,
    /// `tool.function`, or `tool` for all of its functions.
    pub function: Option<String>,
    /// The code it ended or was refused with.
    pub code: Option<String>,
    /// Admitted or refused at this time or later.
    pub since: Option<SystemTime>,
    /// Only calls that were turned away.
    pub refused_only: bool,
    /// How many at most; the newest are kept. It bounds the memory too.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            caller: None,
            function: None,
            code: None,
            since: None,
            refused_only: false,
            limit: 50,
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The calls, newest last.
    pub calls: Vec<Call>,
    /// Times that a host loaded its manifest anew, as far back as was asked for.
    pub reloads: u64,
    /// Lines that are no records: verifying says more.
    pub unreadable: u64,
}

/// One call. Its texts come from agents and guests: pass them through [`crate::terms::printable`] on their
/// way to a terminal.
#[derive(Debug, Serialize)]
pub struct Call {
    /// The segment it is in.
    pub segment: Arc<str>,
    /// The number of its first record there.
    pub seq: u64,
    /// When it was admitted or refused: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// Who called.
    pub agent: String,
    /// The user behind, where it is known.
    pub user: Option<String>,
    /// Through which door.
    pub door: String,
    /// What was called.
    pub function: String,
    /// Its grants let it change the outside.
    pub writes: bool,
    /// How it ended.
    pub end: End,
    /// How many calls this is about: more than one where they were turned away and counted.
    pub calls: u64,
    /// When the first of several calls came.
    pub since: Option<String>,
    /// Why, unless it went well.
    pub code: Option<String>,
    /// What it used, where that is known.
    pub bill: Option<Bill>,
    /// What it tried on the outside, as it was noted.
    pub attempts: Vec<Box<RawValue>>,
    /// Attempts that were too many to be kept.
    pub attempts_dropped: u64,
    /// What befell the tool after it had answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// How many attempts a call made, those that are counted together and those that were not kept too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// All of them.
    pub all: u64,
    /// Those that were refused.
    pub refused: u64,
}

impl std::fmt::Display for Tried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.refused {
            0 => write!(f, "{}", self.all),
            refused => write!(f, "{} ({refused} refused)", self.all),
        }
    }
}

impl Call {
    /// How many attempts it made.
    #[must_use]
    pub fn tried(&self) -> Tried {
        let mut tried = Tried {
            all: self.attempts_dropped,
            refused: 0,
        };
        for attempt in &self.attempts {
            // What was written by another version counts as one.
            let entry = serde_json::from_str::<AttemptEntry<'_>>(attempt.get()).unwrap_or_default();
            let times = entry.times.unwrap_or(1);
            tried.all = tried.all.saturating_add(times);
            if entry.verdict.is_some_and(|verdict| verdict.is == "refused") {
                tried.refused = tried.refused.saturating_add(times);
            }
        }
        tried
    }
}

/// What is counted of an attempt.
#[derive(Debug, Default, Deserialize)]
struct AttemptEntry<'a> {
    times: Option<u64>,
    #[serde(borrow, default)]
    verdict: Option<VerdictEntry<'a>>,
}

#[derive(Debug, Default, Deserialize)]
struct VerdictEntry<'a> {
    #[serde(borrow, default)]
    is: Cow<'a, str>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It has no end: it is running, or its outcome is unknown.
    Open,
    /// The tool gave a result.
    Ok,
    /// The tool said why it did not.
    ToolError,
    /// The host ended it.
    Fault,
    /// It was turned away and never ran.
    Refused,
}

/// The newest calls that pass the filter, each joined with its end.
///
/// Within a segment they are in the order of their records; segments that were written at the same time
/// are interleaved by time, others are in the order in which they were begun.
///
/// # Errors
/// The folder or a segment cannot be read.
pub fn show(dir: &Path, filter: &Filter) -> Result<Shown, LedgerError> {
    let folder = Folder::open(dir)?;
    let since = filter.since.map(stamp);
    let mut newest = Vec::new();
    let (mut reloads, mut unreadable) = (0, 0);
    for (name, end) in in_order(&folder)? {
        let lines = Lines::new(BufReader::with_capacity(1 << 17, folder.read(&name)?));
        let mut reader = Reader::new(&name, filter, since.as_deref());
        reader.end = end.map(Into::into);
        reader
            .read(lines)
            .map_err(LedgerError::file("read", folder.path().join(&name)))?;
        unreadable += reader.unreadable;
        reloads += reader.reloads;
        newest.extend(reader.into_calls());
        // Stable, and within a segment the key never falls: a clock that was set back cannot turn
        // the order of records around.
        newest.sort_by(|(a, _), (b, _)| a.cmp(b));
        newest.drain(..newest.len().saturating_sub(filter.limit));
    }
    Ok(Shown {
        calls: newest.into_iter().map(|(_, call)| call).collect(),
        reloads,
        unreadable,
    })
}

/// The latest time up to a record: what calls of different segments are ordered by.
type Latest = Arc<str>;

/// One segment being read.
struct Reader<'a> {
    segment: Arc<str>,
    filter: &'a Filter,
    since: Option<&'a str>,
    latest: Latest,
    /// It ended before this, whatever its own clock said.
    end: Option<Latest>,
    open: BTreeMap<u64, (Latest, Call)>,
    newest: BTreeMap<u64, (Latest, Call)>,
    reloads: u64,
    unreadable: u64,
}

impl<'a> Reader<'a> {
    fn new(segment: &str, filter: &'a Filter, since: Option<&'a str>) -> Self {
        Self {
            segment: segment.into(),
            filter,
            since,
            latest: Arc::default(),
            end: None,
            open: BTreeMap::new(),
            newest: BTreeMap::new(),
            reloads: 0,
            unreadable: 0,
        }
    }

    fn read(&mut self, mut lines: Lines<impl std::io::BufRead>) -> std::io::Result<()> {
        while let Some((_, found)) = lines.next()? {
            match found {
                Found::Line(line) => match serde_json::from_slice(line) {
                    Ok(entry) => self.entry(entry),
                    Err(_) => self.unreadable += 1,
                },
                // A process that writes, or was killed while writing, leaves this.
                Found::Torn(_) => break,
                Found::TooLong => {
                    self.unreadable += 1;
                    break;
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: CallEntry<'_>) {
        match entry.kind {
            Kind::Open | Kind::Names | Kind::Seal => {}
            Kind::Admitted | Kind::Refused => self.begin(entry),
            Kind::Closed => self.end(entry),
            Kind::Reload if self.since.is_none_or(|since| *entry.time >= *since) => {
                self.reloads += 1;
            }
            Kind::Reload => {}
        }
    }

    fn begin(&mut self, entry: CallEntry<'_>) {
        if *self.latest < *entry.time {
            self.latest = entry.time.as_ref().into();
        }
        if !self.may_pass(&entry) {
            return;
        }
        let refused = entry.kind == Kind::Refused;
        let call = Call {
            segment: Arc::clone(&self.segment),
            seq: entry.seq,
            time: entry.time.into_owned(),
            agent: entry.agent.unwrap_or_default(),
            user: entry.user,
            door: entry.door.unwrap_or_default(),
            function: entry.function.unwrap_or_default(),
            writes: entry.writes,
            calls: entry.calls.unwrap_or(1),
            since: entry.since,
            end: if refused { End::Refused } else { End::Open },
            code: entry.code,
            bill: None,
            attempts: Vec::new(),
            attempts_dropped: 0,
            after: None,
        };
        let ended = self.end.as_ref().filter(|end| **end < self.latest);
        let call = (Arc::clone(ended.unwrap_or(&self.latest)), call);
        if refused {
            self.keep(call);
        } else {
            self.open.insert(entry.seq, call);
        }
    }

    fn end(&mut self, entry: CallEntry<'_>) {
        let Some((latest, mut call)) = entry.call.and_then(|seq| self.open.remove(&seq)) else {
            return;
        };
        call.end = match entry.outcome.as_deref() {
            Some("ok") => End::Ok,
            Some("tool-error") => End::ToolError,
            _ => End::Fault,
        };
        call.code = entry.code;
        call.bill = entry.bill.map(Into::into);
        call.attempts = entry.attempts.into_iter().map(ToOwned::to_owned).collect();
        call.attempts_dropped = entry.attempts_dropped;
        call.after = entry.after;
        self.keep((latest, call));
    }

    /// What the first record of a call tells already, so that no more is kept than is shown.
    fn may_pass(&self, entry: &CallEntry<'_>) -> bool {
        let Filter {
            caller,
            function,
            refused_only,
            ..
        } = self.filter;
        let function_fits = |wanted: &String| {
            let asked = entry.function.as_deref().unwrap_or_default();
            asked == wanted
                || asked
                    .split_once('.')
                    .is_some_and(|(tool, _)| tool == wanted)
        };
        caller
            .as_ref()
            .is_none_or(|wanted| entry.agent.as_ref() == Some(wanted))
            && function.as_ref().is_none_or(function_fits)
            && self.since.is_none_or(|since| *entry.time >= *since)
            && (!refused_only || entry.kind == Kind::Refused)
    }

    fn keep(&mut self, (latest, call): (Latest, Call)) {
        if self.filter.code.is_some() && self.filter.code != call.code {
            return;
        }
        self.newest.insert(call.seq, (latest, call));
        if self.newest.len() > self.filter.limit {
            self.newest.pop_first();
        }
    }

    fn into_calls(mut self) -> impl Iterator<Item = (Latest, Call)> {
        for (_, call) in std::mem::take(&mut self.open) {
            self.keep(call);
        }
        self.newest.into_values()
    }
}

impl From<super::entry::BillEntry> for Bill {
    fn from(read: super::entry::BillEntry) -> Self {
        Self {
            fuel: read.fuel,
            peak_memory: read.peak_memory,
            wall: Duration::from_micros(read.wall_us),
            egress_requests: read.egress_requests,
            egress_bytes: read.egress_bytes,
        }
    }
}
