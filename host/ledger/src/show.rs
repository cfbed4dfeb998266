//! The calls as people want to see them: each with its end, the newest last. It does not verify what it reads.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde_json::value::RawValue;

use super::error::LedgerError;
use super::event::{Admitted, Answered, AttemptEvent, Closed, Ended, Event, Recorded, Refused};
use super::folder::Folder;
use super::former;
use super::lines::{Found, Lines};
use super::links::in_order;
use crate::terms::stamp;
use crate::terms::{AnswerEnd, AttemptAnswer, Bill, Door, Target, Usage, Verdict, is_zero};

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
    /// How many at most; the newest are kept. It bounds the memory too, with what is kept of a call.
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

/// So many attempts of a call are kept; the others are counted.
const ATTEMPTS_SHOWN: usize = 1_000;

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
    pub door: Door,
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
    /// What it tried on the outside: the first thousand.
    pub attempts: Vec<Attempted>,
    /// Attempts beyond those.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_attempts: u64,
    /// All of them, by capability.
    #[serde(skip)]
    pub(super) counts: BTreeMap<&'static str, Counts>,
    /// How often it used its grants: what has no event of its own is in here, too.
    pub usage: Vec<Usage>,
    /// Attempts as they were written until schema 2.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub former_attempts: Vec<Box<RawValue>>,
    /// And how many of those were too many to be kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub former_attempts_dropped: u64,
    /// What befell the tool after it had answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// One attempt of a call, with what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Attempted {
    /// The number of its event.
    pub seq: u64,
    /// When it was about to be made: RFC 3339, UTC, milliseconds.
    pub time: String,
    /// What it was to reach.
    pub to: Target,
    /// Whether it might.
    pub verdict: Verdict,
    /// What came of it; none where it was refused, has none, or its host was killed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<AttemptAnswer>,
}

impl Attempted {
    /// The capability that it used, as the manifest names it.
    #[must_use]
    pub const fn of(&self) -> &'static str {
        self.to.of()
    }
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
        let mut tried = former::tried(&self.former_attempts);
        tried.add(self.former_attempts_dropped, 0);
        for (capability, counts) in &self.counts {
            // What has no event of its own is in what the end says of each grant.
            let usage = self.usage.iter().filter(|usage| usage.of == *capability);
            let (mut changed, mut turned_away) = (0_u64, 0_u64);
            for usage in usage {
                // A bucket's first write stands for all.
                if *capability == "dir" {
                    changed = changed.saturating_add(usage.writes);
                }
                turned_away = turned_away.saturating_add(usage.refused);
            }
            let refused = counts.refused.max(turned_away);
            let refused = refused.saturating_add(counts.not_sent);
            tried.add(counts.made.max(changed).saturating_add(refused), refused);
        }
        tried
    }
}

/// How many attempts there are in one capability's events.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    made: u64,
    /// By their verdict.
    refused: u64,
    /// Because of where their name leads: known only when they were about to be sent.
    not_sent: u64,
}

impl Tried {
    fn add(&mut self, all: u64, refused: u64) {
        self.all = self.all.saturating_add(all);
        self.refused = self.refused.saturating_add(refused);
    }
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
/// They are in the order of their records, and segments in the order in which they were begun. No clock
/// decides.
///
/// # Errors
/// The folder or a segment cannot be read.
pub fn show(dir: &Path, filter: &Filter) -> Result<Shown, LedgerError> {
    let folder = Folder::open(dir)?;
    let since = filter.since.map(stamp);
    let mut newest = Vec::new();
    let (mut reloads, mut unreadable) = (0, 0);
    for name in in_order(&folder)? {
        let lines = Lines::new(BufReader::with_capacity(1 << 17, folder.read(&name)?));
        let mut reader = Reader::new(&name, filter, since.as_deref());
        reader
            .read(lines)
            .map_err(LedgerError::file("read", folder.path().join(&name)))?;
        unreadable += reader.unreadable;
        reloads += reader.reloads;
        newest.extend(reader.into_calls());
        newest.drain(..newest.len().saturating_sub(filter.limit));
    }
    Ok(Shown {
        calls: newest,
        reloads,
        unreadable,
    })
}

/// One segment being read.
struct Reader<'a> {
    segment: Arc<str>,
    filter: &'a Filter,
    since: Option<&'a str>,
    open: BTreeMap<u64, Call>,
    newest: BTreeMap<u64, Call>,
    reloads: u64,
    unreadable: u64,
}

impl<'a> Reader<'a> {
    fn new(segment: &str, filter: &'a Filter, since: Option<&'a str>) -> Self {
        Self {
            segment: segment.into(),
            filter,
            since,
            open: BTreeMap::new(),
            newest: BTreeMap::new(),
            reloads: 0,
            unreadable: 0,
        }
    }

    fn read(&mut self, mut lines: Lines<impl std::io::BufRead>) -> std::io::Result<()> {
        while let Some((_, found)) = lines.next()? {
            match found {
                Found::Line(line) => match Recorded::read(line) {
                    Ok(recorded) => self.event(recorded),
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

    fn event(&mut self, recorded: Recorded<'_>) {
        let Recorded { seq, time, event } = recorded;
        match event {
            Event::Open(_) | Event::Names(_) | Event::Seal(_) => {}
            Event::Admitted(admitted) => {
                let may_pass = self.may_pass(&time, &admitted.agent, &admitted.function);
                if may_pass && !self.filter.refused_only {
                    let call = self.admitted(seq, &time, admitted);
                    self.open.insert(seq, call);
                }
            }
            Event::Attempt(attempt) => self.attempt(seq, &time, attempt),
            Event::Answer(answered) => self.answer(answered),
            Event::Closed(closed) => self.end(closed),
            Event::Refused(refused) => {
                if self.may_pass(&time, &refused.agent, &refused.function) {
                    self.keep(self.refused(seq, &time, refused));
                }
            }
            Event::Reload(_) if self.since.is_none_or(|since| *time >= *since) => self.reloads += 1,
            Event::Reload(_) => {}
        }
    }

    /// Whether the first event of a call lets it pass: no more is kept than is shown.
    fn may_pass(&self, time: &str, agent: &str, function: &str) -> bool {
        let Filter {
            caller,
            function: wanted,
            ..
        } = self.filter;
        let fits = |wanted: &String| {
            let tool = function.split_once('.').map(|(tool, _)| tool);
            function == wanted || tool.is_some_and(|tool| tool == wanted)
        };
        caller.as_ref().is_none_or(|wanted| agent == wanted)
            && wanted.as_ref().is_none_or(fits)
            && self.since.is_none_or(|since| time >= since)
    }

    fn admitted(&self, seq: u64, time: &str, admitted: Admitted<'_>) -> Call {
        let user = admitted.user.map(Cow::into_owned);
        let (agent, function) = (admitted.agent.into_owned(), admitted.function.into_owned());
        Call {
            writes: admitted.writes,
            ..self.call((seq, time), (agent, user), admitted.door, function)
        }
    }

    fn refused(&self, seq: u64, time: &str, refused: Refused<'_>) -> Call {
        let calls = refused.calls();
        let user = refused.user.map(Cow::into_owned);
        let (agent, function) = (refused.agent.into_owned(), refused.function.into_owned());
        Call {
            calls,
            since: refused.since.map(Cow::into_owned),
            end: End::Refused,
            code: Some(refused.code.into_owned()),
            ..self.call((seq, time), (agent, user), refused.door, function)
        }
    }

    /// What the first event of a call says of it; nothing is known of its end.
    fn call(
        &self,
        (seq, time): (u64, &str),
        (agent, user): (String, Option<String>),
        door: Door,
        function: String,
    ) -> Call {
        Call {
            segment: Arc::clone(&self.segment),
            seq,
            time: time.to_owned(),
            agent,
            user,
            door,
            function,
            writes: false,
            calls: 1,
            since: None,
            end: End::Open,
            code: None,
            bill: None,
            attempts: Vec::new(),
            more_attempts: 0,
            counts: BTreeMap::new(),
            usage: Vec::new(),
            former_attempts: Vec::new(),
            former_attempts_dropped: 0,
            after: None,
        }
    }

    fn attempt(&mut self, seq: u64, time: &str, attempt: AttemptEvent) {
        let Some(call) = self.open.get_mut(&attempt.call) else {
            return;
        };
        let counts = call.counts.entry(attempt.to.of()).or_default();
        match attempt.verdict {
            Verdict::Allowed(_) => counts.made += 1,
            Verdict::Refused { .. } => counts.refused += 1,
        }
        if call.attempts.len() >= ATTEMPTS_SHOWN {
            call.more_attempts += 1;
            return;
        }
        call.attempts.push(Attempted {
            seq,
            time: time.to_owned(),
            to: attempt.to,
            verdict: attempt.verdict,
            answer: None,
        });
    }

    fn answer(&mut self, answered: Answered) {
        let Some(call) = self.open.get_mut(&answered.call) else {
            return;
        };
        if matches!(answered.answer.end, AnswerEnd::Refused { .. }) {
            // Requests alone have answers.
            let counts = call.counts.entry("http").or_default();
            counts.made = counts.made.saturating_sub(1);
            counts.not_sent += 1;
        }
        let attempts = &mut call.attempts;
        let at = attempts.binary_search_by_key(&answered.attempt, |attempt| attempt.seq);
        if let Some(attempt) = at.ok().and_then(|at| attempts.get_mut(at)) {
            attempt.answer = Some(answered.answer);
        }
    }

    fn end(&mut self, closed: Closed<'_>) {
        let Some(mut call) = self.open.remove(&closed.call) else {
            return;
        };
        call.end = match closed.outcome {
            Ended::Ok => End::Ok,
            Ended::ToolError => End::ToolError,
            Ended::Fault => End::Fault,
        };
        call.code = closed.code.map(Cow::into_owned);
        call.bill = closed.bill;
        call.usage = closed.usage;
        call.former_attempts = closed.attempts.into_iter().map(ToOwned::to_owned).collect();
        call.former_attempts_dropped = closed.attempts_dropped;
        call.after = closed.after.map(Cow::into_owned);
        self.keep(call);
    }

    fn keep(&mut self, call: Call) {
        if self.filter.code.is_some() && self.filter.code != call.code {
            return;
        }
        self.newest.insert(call.seq, call);
        if self.newest.len() > self.filter.limit {
            self.newest.pop_first();
        }
    }

    fn into_calls(mut self) -> impl Iterator<Item = Call> {
        for (_, call) in std::mem::take(&mut self.open) {
            self.keep(call);
        }
        self.newest.into_values()
    }
}
