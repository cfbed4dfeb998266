//! Is the ledger what was written? It reads every byte, believes none, and does not know what a call means.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Serialize;

use super::chain::{self, Hash};
use super::entry::{Entry, Kind};
use super::error::LedgerError;
use super::folder::{Folder, is_running};
use super::lines::{Found, Lines};
use super::links::first_links;
use super::record::{SCHEMA, Tally};

/// Calls without an end that a report names one by one, in each segment.
const DANGLING_NAMED: usize = 1_000;

/// What verifying found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Every segment, oldest first.
    pub segments: Vec<Segment>,
    /// What is wrong: at most the first problem of each segment, and what is missing.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Nothing is wrong. A process that was killed, and half a line at the end that this can leave,
    /// are not wrong: the segment's state says so.
    #[must_use]
    pub const fn intact(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One segment, as far as it is genuine.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Its file name.
    pub name: String,
    /// Records up to the end or to the first problem.
    pub records: u64,
    /// What they are.
    pub tally: Tally,
    /// The last of these records' hash: keep it elsewhere, and nobody can change what is before it
    /// unseen. Empty if there is none.
    pub hash: String,
    /// How it ends.
    pub state: State,
    /// Calls without an end: they are running, or their outcome is unknown. The first thousand.
    pub dangling: Vec<u64>,
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// With its last record, in order.
    Sealed,
    /// It does not: its process is writing.
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
pub struct Problem {
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

impl std::fmt::Display for Problem {
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
        "a segment has to begin with one \"open\" record that names its own file, in schema {SCHEMA}"
    )]
    WrongBegin,
    /// A record follows the last one.
    #[error("a record follows the seal")]
    AfterSeal,
    /// An end without a beginning.
    #[error("it ends call {0}, which is not open")]
    NotOpen(u64),
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
/// changes nothing. Segments that are being written are checked as far as they are.
///
/// # Errors
/// The folder cannot be read. A segment that cannot be is a problem in the report.
pub fn verify(dir: &Path) -> Result<Report, LedgerError> {
    let folder = Folder::open(dir)?;
    let mut seen = sightings(&folder, &folder.segments()?);
    // Listed anew: what a segment names was there before it, but a listing during which both appear
    // may have the later one only.
    let names = folder.segments()?;
    let mut report = Report {
        segments: Vec::with_capacity(names.len()),
        problems: Vec::new(),
    };
    for name in names {
        let sightings = seen.remove(&name).unwrap_or_default();
        let (segment, problem) = examine(&folder, name, &sightings);
        report.segments.push(segment);
        report.problems.extend(problem);
    }
    report.problems.extend(seen.into_iter().filter_map(missing));
    Ok(report)
}

/// What other segments say of one: by the record's number, which hashes, and who says so. Somebody
/// who changed it and who names it makes them contradict each other.
type Sightings = BTreeMap<u64, BTreeMap<String, String>>;

fn sightings(folder: &Folder, names: &[String]) -> BTreeMap<String, Sightings> {
    let mut seen: BTreeMap<String, Sightings> = BTreeMap::new();
    for by in names {
        let first = first_line(folder, by).unwrap_or_default();
        for link in first_links(&first) {
            let of = seen.entry(link.segment).or_default();
            let at = of.entry(link.seq).or_default();
            at.entry(link.hash).or_insert_with(|| by.clone());
        }
    }
    seen
}

fn missing((segment, sightings): (String, Sightings)) -> Option<Problem> {
    let (seq, hashes) = sightings.into_iter().next()?;
    let by = hashes.into_values().next()?;
    Some(Problem {
        segment,
        seq,
        offset: 0,
        flaw: Flaw::Missing(by),
    })
}

fn first_line(folder: &Folder, name: &str) -> Option<Vec<u8>> {
    let mut lines = Lines::new(BufReader::new(folder.read(name).ok()?));
    match lines.next().ok()?? {
        (_, Found::Line(line)) => Some(line.to_owned()),
        _ => None,
    }
}

fn examine(folder: &Folder, name: String, seen: &Sightings) -> (Segment, Option<Problem>) {
    let mut check = Check::new(&name, seen);
    let mut running = false;
    let end = folder
        .read(&name)
        .map_err(|error| Flaw::Unreadable(error.to_string()))
        .and_then(|file| {
            running = is_running(&file);
            check.run(BufReader::with_capacity(1 << 17, file))
        });
    let (state, flaw) = match end {
        Ok(State::Unsealed | State::Torn { .. }) if running => (State::Running, None),
        Ok(state) => (state, None),
        Err(flaw) => (State::Broken, Some(flaw)),
    };
    let (seq, offset) = (check.next, check.offset);
    let segment = Segment {
        records: check.next,
        tally: check.tally,
        hash: if check.next == 0 {
            String::new()
        } else {
            check.last.as_str().to_owned()
        },
        state,
        dangling: check.open.iter().take(DANGLING_NAMED).copied().collect(),
        name,
    };
    let problem = flaw.map(|flaw| Problem {
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
    open: BTreeSet<u64>,
    tally: Tally,
    sealed: bool,
}

impl<'a> Check<'a> {
    const fn new(name: &'a str, seen: &'a Sightings) -> Self {
        Self {
            name,
            seen,
            next: 0,
            offset: 0,
            last: Hash::NONE,
            open: BTreeSet::new(),
            tally: Tally {
                admitted: 0,
                closed: 0,
                refused: 0,
                reloads: 0,
            },
            sealed: false,
        }
    }

    fn run(&mut self, segment: impl BufRead) -> Result<State, Flaw> {
        let unreadable = |error: io::Error| Flaw::Unreadable(error.to_string());
        let mut lines = Lines::new(segment);
        let mut end = State::Unsealed;
        while let Some((offset, found)) = lines.next().map_err(unreadable)? {
            self.offset = offset;
            match found {
                Found::Line(line) => self.line(line)?,
                Found::TooLong => return Err(Flaw::TooLong),
                Found::Torn(_) if self.sealed => return Err(Flaw::AfterSeal),
                Found::Torn(bytes) => {
                    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                    end = State::Torn { offset, bytes };
                }
            }
        }
        let later = self.seen.range(self.next..).next();
        if let Some(by) = later.and_then(|(_, hashes)| hashes.values().next()) {
            return Err(Flaw::CutOff(by.clone()));
        }
        Ok(if self.sealed { State::Sealed } else { end })
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Flaw> {
        let entry: Entry<'_> =
            serde_json::from_slice(line).map_err(|error| Flaw::NotARecord(error.to_string()))?;
        if entry.seq != self.next {
            return Err(Flaw::OutOfOrder(entry.seq));
        }
        let hash = chain::check(line, self.last).ok_or(Flaw::Changed)?;
        if self.sealed {
            return Err(Flaw::AfterSeal);
        }
        let tally = self.follows(&entry)?;
        let mut seen = self.seen.get(&self.next).into_iter().flatten();
        if let Some((_, by)) = seen.find(|(other, _)| *other != hash.as_str()) {
            return Err(Flaw::Replaced(by.clone()));
        }
        self.tally = tally;
        self.offset += u64::try_from(line.len() + 1).unwrap_or(u64::MAX);
        self.last = hash;
        self.next += 1;
        Ok(())
    }

    /// Whether this record may stand here, and the counts with it.
    fn follows(&mut self, entry: &Entry<'_>) -> Result<Tally, Flaw> {
        let mut tally = self.tally;
        if (entry.kind == Kind::Open) != (self.next == 0) {
            return Err(Flaw::WrongBegin);
        }
        match entry.kind {
            Kind::Open if !self.is_own(entry) => return Err(Flaw::WrongBegin),
            Kind::Open => {}
            Kind::Admitted => {
                self.open.insert(entry.seq);
                tally.admitted += 1;
            }
            Kind::Closed => {
                let call = entry
                    .call
                    .ok_or_else(|| Flaw::NotARecord("no call".to_owned()))?;
                if !self.open.remove(&call) {
                    return Err(Flaw::NotOpen(call));
                }
                tally.closed += 1;
            }
            Kind::Refused => tally.refused += 1,
            Kind::Reload => tally.reloads += 1,
            Kind::Seal if entry.records != Some(tally) => return Err(Flaw::WrongCount),
            Kind::Seal => self.sealed = true,
        }
        Ok(tally)
    }

    fn is_own(&self, open: &Entry<'_>) -> bool {
        open.schema == Some(SCHEMA) && open.segment.as_deref() == Some(self.name)
    }
}

#[cfg(test)]
mod tests;
