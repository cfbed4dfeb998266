//! What segments say of each other: where the ones before a new one end, so that they cannot be cut or
//! taken away unseen, and in which order they were begun.
//!
//! Neither a name nor a clock decides anything here. Each segment says its number, which is one more
//! than any other's when it begins; and it names every segment that no other one has named, however
//! many there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::LedgerError;
use super::chain::{self, Hash, LINE_MAX};
use super::event::{Event, Link, Recorded};
use super::folder::{Folder, is_running};
use super::lines::{Found, Lines};

/// So many ends are named in one record; more of them take more records. A file's name has at most 255
/// bytes, so they fit a line.
pub(super) const IN_A_LINE: usize = 128;

/// What a new segment has to say of those before it.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Its own number.
    pub next: u64,
    /// The ends of segments that no segment names yet, and of all that are being written.
    pub unnamed: Vec<Link>,
}

/// What the beginning of a segment says, as far as it is genuine.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// Its number; 0 of a segment from before there were numbers, none where it does not begin as a
    /// segment does.
    pub number: Option<u64>,
    /// When it began, by the clock of then.
    pub time: String,
    /// The ends it names.
    pub earlier: Vec<Link>,
}

/// Looks at the beginning of every segment, and at the end of each that is not named for good.
pub(super) fn past(folder: &Folder) -> Result<Past, LedgerError> {
    let names = folder.segments()?;
    let mut past = Past {
        next: 1,
        ..Past::default()
    };
    let mut named: BTreeMap<String, u64> = BTreeMap::new();
    let mut running = BTreeSet::new();
    for name in &names {
        let begun = beginning(folder, name);
        past.next = past.next.max(begun.number.unwrap_or(0).saturating_add(1));
        for link in begun.earlier {
            let known = named.entry(link.segment.clone()).or_default();
            *known = link.seq.max(*known);
            if link.running {
                running.insert(link.segment);
            }
        }
    }
    for name in names {
        let known = named.get(&name).copied();
        if known.is_some() && !running.contains(&name) {
            continue;
        }
        // What was written when it was named may have grown since.
        match end(folder, &name) {
            Ok(Some(link)) if link.running || known.is_none_or(|known| known < link.seq) => {
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

/// The segments in the order in which they were begun, each with a time before which it ended, where
/// that is known: when one with a higher number began that does not name it as being written. By its own
/// clock it may be later.
pub(super) fn in_order(folder: &Folder) -> Result<Vec<(String, Option<String>)>, LedgerError> {
    let names = folder.segments()?.into_iter();
    let mut begun: Vec<(String, Beginning)> = names
        .map(|name| {
            let begun = beginning(folder, &name);
            (name, begun)
        })
        .collect();
    begun.sort_by(|(a, one), (b, other)| (one.number, a).cmp(&(other.number, b)));
    let mut running_in: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (at, (_, begun)) in begun.iter().enumerate() {
        for link in begun.earlier.iter().filter(|link| link.running) {
            running_in.entry(&link.segment).or_default().insert(at);
        }
    }
    // For each segment, newest first: when it began at the latest, and the first of that and all
    // later ones.
    let mut began: Vec<Option<String>> = vec![None; begun.len()];
    let mut first: Vec<Option<String>> = vec![None; begun.len() + 1];
    let mut ends: Vec<Option<String>> = vec![None; begun.len()];
    for (at, (name, own)) in begun.iter().enumerate().rev() {
        let later = begun.partition_point(|(_, other)| other.number <= own.number);
        ends[at] = match running_in.get(&**name) {
            None => first[later].clone(),
            Some(saw) => {
                let after = (later..begun.len()).filter(|other| !saw.contains(other));
                after.filter_map(|other| began[other].clone()).min()
            }
        };
        // What is no segment says nothing of others.
        let own = own.number.map(|_| &own.time);
        began[at] = own.map(|time| ends[at].as_ref().unwrap_or(time).min(time).clone());
        first[at] = began[at].iter().chain(&first[at + 1]).min().cloned();
    }
    let names = begun.into_iter().map(|(name, _)| name);
    Ok(names.zip(ends).collect())
}

/// Where a segment ends, if it has a record.
fn end(folder: &Folder, name: &str) -> Result<Option<Link>, LedgerError> {
    let mut file = folder.read(name)?;
    let running = is_running(&file);
    let last = last_line(&mut file).map_err(LedgerError::file("read", folder.path().join(name)))?;
    Ok(last.map(|(seq, hash)| Link {
        segment: name.to_owned(),
        seq,
        hash: hash.as_str().to_owned(),
        running,
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
                begun.time = recorded.time.into_owned();
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
