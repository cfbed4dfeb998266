//! Where the segments before a new one end: what it has to name, so that they can not be cut or taken away unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::LedgerError;
use super::chain::{self, Hash, LINE_MAX};
use super::entry::Entry;
use super::folder::{Folder, is_running};
use super::lines::{Found, Lines};
use super::record::Link;

/// How many of the newest segments are looked at. Older ones are too while a newer one says that
/// they are being written: a host runs for months while short-lived processes come and go. It keeps
/// the start of a process cheap, and the first record within its line.
const NEWEST: usize = 64;

/// The ends of earlier segments that no segment names yet, and of all that are being written.
pub(super) fn ends(folder: &Folder) -> Result<Vec<Link>, LedgerError> {
    let mut names = folder.segments()?;
    let newest = names.split_off(names.len().saturating_sub(NEWEST));
    let mut seen = Seen::default();
    for name in &newest {
        seen.look_at(folder, name);
    }
    let older: Vec<String> = seen
        .running
        .iter()
        .filter(|name| names.binary_search(name).is_ok())
        .take(NEWEST)
        .cloned()
        .collect();
    for name in &older {
        seen.look_at(folder, name);
    }
    Ok(seen.unnamed())
}

#[derive(Default)]
struct Seen {
    ends: Vec<Link>,
    named: BTreeMap<String, u64>,
    running: BTreeSet<String>,
}

impl Seen {
    /// A segment that cannot be read is no reason not to start: verifying will say what is wrong with it.
    fn look_at(&mut self, folder: &Folder, name: &str) {
        let looked = folder.read(name).and_then(|mut file| {
            let running = is_running(&file);
            let path = folder.path().join(name);
            let end = last_line(&mut file).map_err(LedgerError::file("read", path.clone()))?;
            let begin = earlier(file).map_err(LedgerError::file("read", path))?;
            Ok((running, end, begin))
        });
        let (running, end, earlier) = match looked {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(segment = name, %error, "an earlier segment of the ledger is not named in this one");
                return;
            }
        };
        for link in earlier {
            let known = self.named.entry(link.segment.clone()).or_default();
            *known = link.seq.max(*known);
            if link.running {
                self.running.insert(link.segment);
            }
        }
        if let Some((seq, hash)) = end {
            self.ends.push(Link {
                segment: name.to_owned(),
                seq,
                hash: hash.as_str().to_owned(),
                running,
            });
        }
    }

    fn unnamed(self) -> Vec<Link> {
        let Self { ends, named, .. } = self;
        ends.into_iter()
            .filter(|end| end.running || named.get(&end.segment).is_none_or(|&seq| seq < end.seq))
            .collect()
    }
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
    let seq = serde_json::from_slice::<Entry<'_>>(line).map(|entry| entry.seq);
    Ok(seq.ok().zip(chain::claimed(line)))
}

/// What a segment's first record names.
fn earlier(mut file: File) -> io::Result<Vec<Link>> {
    file.rewind()?;
    let mut lines = Lines::new(BufReader::new(file));
    Ok(match lines.next()? {
        Some((_, Found::Line(line))) => first_links(line),
        _ => Vec::new(),
    })
}

/// What a first line names, if it is genuine.
pub(super) fn first_links(line: &[u8]) -> Vec<Link> {
    chain::check(line, Hash::NONE)
        .and_then(|_| serde_json::from_slice::<Entry<'_>>(line).ok())
        .and_then(|entry| entry.earlier)
        .unwrap_or_default()
}
