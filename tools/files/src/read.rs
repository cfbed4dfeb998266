//! The text of a file, in parts. It changes nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};

use toolhost_sdk::{JsonSchema, ToolError, tool};

use crate::path;

/// Lines that are given back at most.
const MOST_LINES: usize = 2_000;

/// Bytes of text that are given back at most.
const MOST_BYTES: usize = 100_000;

/// How far a file is looked at to tell text from bytes.
const LOOKED_AT: u64 = 8_000;

/// A part of a file.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Part {
    /// The file.
    path: String,
    /// Its text from `start_line` on.
    pub(crate) text: String,
    /// The first line of `text`, from 1.
    start_line: usize,
    /// The last line of `text`; one less than `start_line` where there is none.
    pub(crate) end_line: usize,
    /// Where to go on with `start_line`; missing at the end of the file.
    pub(crate) next_line: Option<usize>,
    /// The file's size in bytes.
    size: u64,
    /// Bytes that are no UTF-8 were replaced, or lines were cut.
    pub(crate) altered: bool,
}

/// Reads a text file, or some lines of it. Long files come in parts: go on at `next_line`.
#[tool(read_only, idempotent, title = "Read a file")]
pub(crate) fn read(
    /// The file.
    path: String,
    /// The first line wanted, from 1.
    #[serde(default)]
    #[schemars(range(min = 1))]
    start_line: Option<usize>,
    /// How many lines; at most 2000, which is also what a missing value means.
    #[serde(default)]
    #[schemars(range(min = 1, max = 2_000))]
    lines: Option<usize>,
) -> Result<Part, ToolError> {
    let path = path::normal(&path)?;
    let failed = |error| path::failed(&path, &error);
    let file = File::open(&path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(path::failed(
            &path,
            &std::io::ErrorKind::IsADirectory.into(),
        ));
    }
    refuse_bytes(&path)?;
    let start = start_line.unwrap_or(1).max(1);
    let wanted = lines.unwrap_or(MOST_LINES).clamp(1, MOST_LINES);
    let mut part = Part {
        path: path.clone(),
        text: String::new(),
        start_line: start,
        end_line: start - 1,
        next_line: None,
        size: metadata.len(),
        altered: false,
    };
    fill(&mut part, BufReader::new(file), wanted).map_err(failed)?;
    if part.end_line < start && start > 1 {
        return Err(ToolError::invalid_arguments(format_args!(
            "start_line: {path} has fewer than {start} lines"
        )));
    }
    Ok(part)
}

/// A zero byte at the beginning: this is no text.
fn refuse_bytes(path: &str) -> Result<(), ToolError> {
    let failed = |error| path::failed(path, &error);
    let mut start = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LOOKED_AT)
        .read_to_end(&mut start)
        .map_err(failed)?;
    if start.contains(&0) {
        return Err(ToolError::failed(format_args!(
            "{path} is no text file; only text can be read"
        )));
    }
    Ok(())
}

fn fill(part: &mut Part, mut file: impl BufRead, wanted: usize) -> std::io::Result<()> {
    let mut number = 0;
    loop {
        number += 1;
        let (line, cut) = one_line(&mut file)?;
        if line.is_empty() {
            return Ok(());
        }
        if number < part.start_line {
            continue;
        }
        let full = part.text.len() + line.len() > MOST_BYTES && !part.text.is_empty();
        if number - part.start_line == wanted || full {
            part.next_line = Some(number);
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        part.altered |= cut || text.contains(char::REPLACEMENT_CHARACTER);
        part.text.push_str(&text);
        part.end_line = number;
    }
}

/// One line with its ending, cut where it is longer than a whole answer; and whether it was.
fn one_line(file: &mut impl BufRead) -> std::io::Result<(Vec<u8>, bool)> {
    let mut line = Vec::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    file.by_ref().take(most).read_until(b'\n', &mut line)?;
    if line.len() < MOST_BYTES || line.ends_with(b"\n") {
        return Ok((line, false));
    }
    let rest = file.skip_until(b'\n')?;
    Ok((line, rest > 0))
}
