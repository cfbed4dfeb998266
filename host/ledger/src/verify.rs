//! Is the ledger what was written? It reads every byte, believes none, and does not know what a call means.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Serialize;

use super::chain::{self, Hash};
use super::error::LedgerError;
use super::event::{Event, Open, Recorded, SCHEMA, Tally};
use super::folder::Folder;
use super::lines::{Found, Lines};
use super::links::{Beginning, beginning};
use crate::state;
use crate::terms::{Target, Verdict};

/// Calls without an end that a report names one by one, in each segment.
const DANGLING_NAMED: usize = 1_000;

/// What verifying found.
#[derive(Debug, Serialize)]
pub struct LedgerReport {
    /// Every segment, oldest first.
    pub segments: Vec<SegmentReport>,
    /// What is wrong: at most the first problem of each segment, and what is missing.
    pub problems: Vec<LedgerProblem>,
    /// The last hash of the newest segment that has a record. Kept elsewhere, it shows later whether what
    /// is here now is still there, unchanged: all of that segment, and of what it and those before it
    /// name.
    pub head: Option<String>,
    /// The hashes that were asked for.
    pub expected: Vec<Expected>,
}

/// A hash that a record has to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// The hash, in hex.
    pub hash: String,
    /// The segment and the number of the record that has it, if there is one.
    pub found: Option<String>,
}

impl LedgerReport {
    /// Nothing is wrong. A process that was killed, and half a line at the end that this can leave,
    /// are not wrong: the segment's state says so.
    #[must_use]
    pub fn intact(&self) -> bool {
        self.problems.is_empty() && self.expected.iter().all(|hash| hash.found.is_some())
    }

    /// The newest segment has no end because it is being written.
    fn newest_is_running(&mut self) {
        let numbered = self.segments.iter_mut().filter(|one| one.number > 0);
        if let Some(newest) = numbered.max_by_key(|one| one.number)
            && matches!(newest.state, SegmentEnd::Unsealed | SegmentEnd::Torn { .. })
        {
            newest.state = SegmentEnd::Running;
        }
    }
}

/// One segment, as far as it is genuine.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SegmentReport {
    /// Its file name.
    pub name: String,
    /// Records up to the end or to the first problem.
    pub records: u64,
    /// What they are.
    pub tally: Tally,
    /// The number that it says it has: segments that began later have higher ones. 0 of a segment from
    /// before there were numbers.
    pub number: u64,
    /// The last of these records' hash. Empty if there is none.
    pub hash: String,
    /// How it ends.
    pub state: SegmentEnd,
    /// Calls without an end: they are running, or their outcome is unknown. The first thousand.
    pub dangling: Vec<u64>,
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentEnd {
    /// With its last record, in order.
    Sealed,
    /// It does not: it is the newest, and the owner of the state folder is writing it.
    Running,
    /// Without a last record: its process was killed, or its end was cut off.
    Unsealed,
    /// In half a line: its process was killed while writing, or its end was cut off.
    Torn {
        /// Where the half line begins, in bytes.
        offset: u64,
        /// How long it is, in bytes.
        bytes: u64,
    },
    /// It has a problem, and behind it nothing was read.
    Broken,
}

/// Something that is not as it was written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct LedgerProblem {
    /// The segment's file name.
    pub segment: String,
    /// The number of the first record that is not genuine.
    pub seq: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// What is wrong.
    #[serde(serialize_with = "in_words")]
    pub flaw: Flaw,
}

impl std::fmt::Display for LedgerProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            segment,
            seq,
            offset,
            flaw,
        } = self;
        write!(f, "{segment}, record {seq}, byte {offset}: {flaw}")
    }
}

fn in_words<S: serde::Serializer>(flaw: &Flaw, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(flaw)
}

/// What can be wrong with a record or a segment.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The bytes are not one of the ledger's records.
    #[error("this is no record of the ledger: {0}")]
    NotARecord(String),
    /// No record is this long.
    #[error("the line is longer than any record")]
    TooLong,
    /// Records are missing, added or moved.
    #[error("record {0} stands where another is expected: records were removed, added or moved")]
    OutOfOrder(u64),
    /// The hash is not the one of these bytes after those before.
    #[error("the hash does not fit: this record was changed, or others before it")]
    Changed,
    /// The first record is another's.
    #[error(
        "a segment has to begin with one \"open\" record that names its own file, in schema 1 to {SCHEMA}"
    )]
    WrongBegin,
    /// A record follows the last one.
    #[error("a record follows the seal")]
    AfterSeal,
    /// An end without a beginning.
    #[error("it ends call {0}, which is not open")]
    NotOpen(u64),
    /// An attempt of nobody.
    #[error("it is an attempt of call {0}, which is not open")]
    OfNoCall(u64),
    /// An answer without an attempt.
    #[error("it is the answer to attempt {0}, which is not open")]
    NoAttempt(u64),
    /// The seal counts otherwise.
    #[error("the seal does not count the records that stand before it")]
    WrongCount,
    /// The segment is shorter than a later one says.
    #[error("the segment ends here, but {0} has seen more of it: its end was cut off")]
    CutOff(String),
    /// The segment is another than a later one says.
    #[error("this is not the record that {0} has seen: the segment was written anew")]
    Replaced(String),
    /// A segment that a later one names is not there.
    #[error("the segment is missing; {0} has seen it")]
    Missing(String),
    /// The segment cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

/// Checks every segment of a folder: each line, the chain, what follows on what, and what segments
/// say of each other.
///
/// It reads all of them, whatever their size, in bounded memory (calls without an end apart), and
/// changes nothing. The segment that is being written is checked as far as it is.
///
/// # Errors
/// The folder cannot be read. A segment that cannot be is a problem in the report.
pub fn verify(dir: &Path) -> Result<LedgerReport, LedgerError> {
    verify_expecting(dir, &[])
}

/// As [`verify`], and each of these hashes has to be a genuine record's: hashes that were kept elsewhere.
///
/// # Errors
/// As for [`verify`].
pub fn verify_expecting(dir: &Path, hashes: &[String]) -> Result<LedgerReport, LedgerError> {
    let folder = Folder::open(dir)?;
    let was_owned = is_owned(dir);
    let mut beginnings = BTreeMap::new();
    for name in folder.segments()? {
        let begun = beginning(&folder, &name);
        beginnings.insert(name, begun);
    }
    let mut seen = sightings(&beginnings);
    // Listed anew: what a segment names was there before it, but a listing during which both appear
    // may have the later one only.
    let mut names: Vec<(u64, String)> = Vec::new();
    for name in folder.segments()? {
        let begun = beginnings.remove(&name);
        let begun = begun.unwrap_or_else(|| beginning(&folder, &name));
        // What does not begin as a segment has no place among them.
        names.push((begun.number.unwrap_or(u64::MAX), name));
    }
    names.sort_unstable();
    let expected = hashes.iter().map(|hash| Expected {
        hash: hash.trim().to_ascii_lowercase(),
        found: None,
    });
    let mut report = LedgerReport {
        segments: Vec::with_capacity(names.len()),
        problems: Vec::new(),
        head: None,
        expected: expected.collect(),
    };
    for (number, name) in names {
        let sightings = seen.remove(&name).unwrap_or_default();
        let mut check = Check::new(&name, &sightings);
        check.expected = std::mem::take(&mut report.expected);
        let (mut segment, problem) = examine(&folder, &mut check);
        report.expected = check.expected;
        if number != u64::MAX {
            segment.number = number;
            if !segment.hash.is_empty() {
                report.head = Some(segment.hash.clone());
            }
        }
        report.segments.push(segment);
        report.problems.extend(problem);
    }
    report.problems.extend(seen.into_iter().filter_map(missing));
    // Whether before or after it was read: an owner may have come or gone meanwhile.
    if was_owned || is_owned(dir) {
        report.newest_is_running();
    }
    Ok(report)
}

/// Whether somebody owns the state folder that a ledger is in, and so writes its newest segment.
fn is_owned(ledger: &Path) -> bool {
    let owner = ledger.parent().map(state::owner);
    matches!(owner, Some(Ok(Some(_))))
}

/// What other segments say of one: by the record's number, which hashes, and who says so. Somebody
/// who changed it and who names it makes them contradict each other.
type Sightings = BTreeMap<u64, BTreeMap<String, String>>;

fn sightings(beginnings: &BTreeMap<String, Beginning>) -> BTreeMap<String, Sightings> {
    let mut seen: BTreeMap<String, Sightings> = BTreeMap::new();
    for (by, begun) in beginnings {
        for link in &begun.earlier {
            let of = seen.entry(link.segment.clone()).or_default();
            let at = of.entry(link.seq).or_default();
            at.entry(link.hash.clone()).or_insert_with(|| by.clone());
        }
    }
    seen
}

fn missing((segment, sightings): (String, Sightings)) -> Option<LedgerProblem> {
    let (seq, hashes) = sightings.into_iter().next()?;
    let by = hashes.into_values().next()?;
    Some(LedgerProblem {
        segment,
        seq,
        offset: 0,
        flaw: Flaw::Missing(by),
    })
}

fn examine(folder: &Folder, check: &mut Check<'_>) -> (SegmentReport, Option<LedgerProblem>) {
    let end = folder
        .read(check.name)
        .map_err(|error| Flaw::Unreadable(error.to_string()))
        .and_then(|file| check.run(BufReader::with_capacity(1 << 17, file)));
    let (state, flaw) = match end {
        Ok(state) => (state, None),
        Err(flaw) => (SegmentEnd::Broken, Some(flaw)),
    };
    let (seq, offset) = (check.next, check.offset);
    let segment = SegmentReport {
        records: check.next,
        tally: check.tally,
        hash: if check.next == 0 {
            String::new()
        } else {
            check.last.as_str().to_owned()
        },
        state,
        dangling: check.open.keys().take(DANGLING_NAMED).copied().collect(),
        name: check.name.to_owned(),
        number: 0,
    };
    let problem = flaw.map(|flaw| LedgerProblem {
        segment: segment.name.clone(),
        seq,
        offset,
        flaw,
    });
    (segment, problem)
}

/// One segment being checked.
struct Check<'a> {
    name: &'a str,
    seen: &'a Sightings,
    /// The number the next record has to have, and where it begins.
    next: u64,
    offset: u64,
    last: Hash,
    /// Calls without an end, each with its attempts that are not answered.
    open: BTreeMap<u64, BTreeSet<u64>>,
    tally: Tally,
    /// A record came that is not of the segment's beginning.
    begun: bool,
    sealed: bool,
    expected: Vec<Expected>,
}

impl<'a> Check<'a> {
    const fn new(name: &'a str, seen: &'a Sightings) -> Self {
        Self {
            name,
            seen,
            next: 0,
            offset: 0,
            last: Hash::NONE,
            open: BTreeMap::new(),
            tally: Tally {
                admitted: 0,
                closed: 0,
                refused: 0,
                reloads: 0,
                attempts: 0,
            },
            begun: false,
            sealed: false,
            expected: Vec::new(),
        }
    }

    fn run(&mut self, segment: impl BufRead) -> Result<SegmentEnd, Flaw> {
        let unreadable = |error: io::Error| Flaw::Unreadable(error.to_string());
        let mut lines = Lines::new(segment);
        let mut end = SegmentEnd::Unsealed;
        while let Some((offset, found)) = lines.next().map_err(unreadable)? {
            self.offset = offset;
            match found {
                Found::Line(line) => self.line(line)?,
                Found::TooLong => return Err(Flaw::TooLong),
                Found::Torn(_) if self.sealed => return Err(Flaw::AfterSeal),
                Found::Torn(bytes) => {
                    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                    end = SegmentEnd::Torn { offset, bytes };
                }
            }
        }
        let later = self.seen.range(self.next..).next();
        if let Some(by) = later.and_then(|(_, hashes)| hashes.values().next()) {
            return Err(Flaw::CutOff(by.clone()));
        }
        Ok(if self.sealed { SegmentEnd::Sealed } else { end })
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Flaw> {
        let recorded = Recorded::read(line).map_err(|error| Flaw::NotARecord(error.to_string()))?;
        if recorded.seq != self.next {
            return Err(Flaw::OutOfOrder(recorded.seq));
        }
        let hash = chain::check(line, self.last).ok_or(Flaw::Changed)?;
        if self.sealed {
            return Err(Flaw::AfterSeal);
        }
        let tally = self.follows(&recorded)?;
        let mut seen = self.seen.get(&self.next).into_iter().flatten();
        if let Some((_, by)) = seen.find(|(other, _)| *other != hash.as_str()) {
            return Err(Flaw::Replaced(by.clone()));
        }
        for expected in &mut self.expected {
            if expected.hash == hash.as_str() {
                expected.found = Some(format!("record {} of {}", self.next, self.name));
            }
        }
        self.tally = tally;
        self.offset += u64::try_from(line.len() + 1).unwrap_or(u64::MAX);
        self.last = hash;
        self.next += 1;
        Ok(())
    }

    /// Whether this record may stand here, and the counts with it.
    fn follows(&mut self, recorded: &Recorded<'_>) -> Result<Tally, Flaw> {
        let event = &recorded.event;
        if matches!(event, Event::Open(_)) != (self.next == 0) {
            return Err(Flaw::WrongBegin);
        }
        if matches!(event, Event::Names(_)) && self.begun {
            return Err(Flaw::NotARecord("names behind the beginning".to_owned()));
        }
        self.begun = !matches!(event, Event::Open(_) | Event::Names(_));
        match event {
            Event::Open(open) if !self.is_own(open) => return Err(Flaw::WrongBegin),
            Event::Open(_) | Event::Names(_) | Event::Refused(_) | Event::Reload(_) => {}
            Event::Admitted(_) => drop(self.open.insert(recorded.seq, BTreeSet::new())),
            Event::Attempt(attempt) => {
                let open = self.of(attempt.call)?;
                // Others have no answer.
                let has_answer = matches!(attempt.verdict, Verdict::Allowed(_));
                if has_answer && matches!(attempt.to, Target::Http(_)) {
                    open.insert(recorded.seq);
                }
            }
            Event::Answer(answer) => {
                if !self.of(answer.call)?.remove(&answer.attempt) {
                    return Err(Flaw::NoAttempt(answer.attempt));
                }
            }
            Event::Closed(closed) => {
                let open = self.open.remove(&closed.call);
                open.ok_or(Flaw::NotOpen(closed.call))?;
            }
            Event::Seal(seal) if seal.records != self.tally => return Err(Flaw::WrongCount),
            Event::Seal(_) => self.sealed = true,
        }
        let mut tally = self.tally;
        tally.count(event);
        Ok(tally)
    }

    /// What is open of a call.
    fn of(&mut self, call: u64) -> Result<&mut BTreeSet<u64>, Flaw> {
        self.open.get_mut(&call).ok_or(Flaw::OfNoCall(call))
    }

    fn is_own(&self, open: &Open<'_>) -> bool {
        (1..=SCHEMA).contains(&open.schema) && open.segment == self.name
    }
}

#[cfg(test)]
mod tests;
