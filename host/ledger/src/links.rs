//! What segments say of each other: where the ones before a new one end, so that they cannot be cut or
//! taken away unseen, and in which order they were begun.
//!
//! Neither a name nor a clock decides anything here. Each segment says its number, which is one more
//! than any other's when it begins; and it names every segment that no other one has named, however
//! many there are: the one before it, and those that came to the folder in other ways.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::LedgerError;
use super::chain::{self, Hash, LINE_MAX};
use super::event::{Event, PreviousSegment, Recorded};
use super::folder::Folder;
use super::lines::{Found, Lines};

/// So many ends are named in one record; more of them take more records. A file's name has at most 255
/// bytes, so they fit a line.
pub(super) const IN_A_LINE: usize = 128;

/// What a new segment has to say of those before it.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Its own number.
    pub next: u64,
    /// The ends of segments that no segment names yet, or that have grown since they were named.
    pub unnamed: Vec<PreviousSegment>,
}

/// What the beginning of a segment says, as far as it is genuine.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// Its number; 0 of a segment from before there were numbers, none where it does not begin as a
    /// segment does.
    pub number: Option<u64>,
    /// The ends it names.
    pub earlier: Vec<PreviousSegment>,
}

/// Looks at the beginning of every segment, and at the end of each that is not named for good.
pub(super) fn past(folder: &Folder) -> Result<Past, LedgerError> {
    let names = folder.segments()?;
    let mut past = Past {
        next: 1,
        ..Past::default()
    };
    let mut named: BTreeMap<String, u64> = BTreeMap::new();
    // Until schema 3 several processes wrote at once, and a segment could grow after it was named.
    let mut grew = BTreeSet::new();
    for name in &names {
        let begun = beginning(folder, name);
        past.next = past.next.max(begun.number.unwrap_or(0).saturating_add(1));
        for link in begun.earlier {
            let known = named.entry(link.segment.clone()).or_default();
            *known = link.seq.max(*known);
            if link.running {
                grew.insert(link.segment);
            }
        }
    }
    for name in names {
        let known = named.get(&name).copied();
        if known.is_some() && !grew.contains(&name) {
            continue;
        }
        match end(folder, &name) {
            Ok(Some(link)) if known.is_none_or(|known| known < link.seq) => {
                past.unnamed.push(link);
            }
            Ok(_) => {}
            // No reason not to start: verifying will say what is wrong with it.
            Err(error) => {
                tracing::warn!(segment = name, %error, "an earlier segment of the ledger is not named in this one");
            }
        }
    }
    Ok(past)
}

/// The segments in the order in which they were begun.
pub(super) fn in_order(folder: &Folder) -> Result<Vec<String>, LedgerError> {
    let numbered = folder.segments()?.into_iter();
    let mut numbered: Vec<(Option<u64>, String)> = numbered
        .map(|name| (beginning(folder, &name).number, name))
        .collect();
    numbered.sort_unstable();
    Ok(numbered.into_iter().map(|(_, name)| name).collect())
}

/// Where a segment ends, if it has a record.
fn end(folder: &Folder, name: &str) -> Result<Option<PreviousSegment>, LedgerError> {
    let mut file = folder.read(name)?;
    let last = last_line(&mut file).map_err(LedgerError::file("read", folder.path().join(name)))?;
    Ok(last.map(|(seq, hash)| PreviousSegment {
        segment: name.to_owned(),
        seq,
        hash: hash.as_str().to_owned(),
        running: false,
    }))
}

/// Number and hash of the last whole line, if it is a record.
fn last_line(file: &mut File) -> io::Result<Option<(u64, Hash)>> {
    // Half a line may follow it, and the line break before it has to be seen too.
    let window = u64::try_from(2 * (LINE_MAX + 1) + 1).unwrap_or(u64::MAX);
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(window)))?;
    let mut tail = Vec::new();
    file.take(window).read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|&b| b == b'\n') else {
        return Ok(None);
    };
    let whole = tail.get(..end).unwrap_or_default();
    let line = whole.rsplit(|&b| b == b'\n').next().unwrap_or_default();
    Ok(Recorded::number(line).zip(chain::claimed(line)))
}

/// How a segment begins. One that cannot be read says nothing.
pub(super) fn beginning(folder: &Folder, name: &str) -> Beginning {
    let file = folder.read(name);
    let begun = file.map(|file| read_beginning(BufReader::with_capacity(1 << 12, file)));
    begun.unwrap_or_default()
}

/// The first record, and those that follow and name more.
pub(super) fn read_beginning(segment: impl io::BufRead) -> Beginning {
    let mut begun = Beginning::default();
    let mut lines = Lines::new(segment);
    let mut last = Hash::NONE;
    while let Ok(Some((_, Found::Line(line)))) = lines.next() {
        let (Some(hash), Ok(recorded)) = (chain::check(line, last), Recorded::read(line)) else {
            break;
        };
        let earlier = match (recorded.event, begun.number) {
            (Event::Open(open), None) => {
                begun.number = Some(open.number);
                open.earlier
            }
            (Event::Names(names), Some(_)) => names.earlier,
            _ => break,
        };
        begun.earlier.extend(earlier.into_owned());
        last = hash;
    }
    begun
}
