//! Which lines of which files have something in them. It changes nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};

use regex_lite::{Regex, RegexBuilder};
use toolhost_sdk::{JsonSchema, ToolError, tool};

use crate::{path, walk};

/// Lines that are given back, where the arguments do not say less.
const MOST_MATCHES: usize = 200;

/// Characters of a line that are given back.
const MOST_LINE: usize = 300;

/// Bytes of a file that are looked through; the rest of a larger one is left out.
const MOST_FILE: u64 = 10 << 20;

/// What was found.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Found {
    /// Lines, by file and number.
    pub(crate) matches: Vec<Match>,
    /// How many files were looked through.
    pub(crate) files: usize,
    /// There is more, which is not here: narrow the search.
    pub(crate) truncated: bool,
}

/// One line.
#[derive(Debug, PartialEq, serde::Serialize, JsonSchema)]
pub(crate) struct Match {
    /// The file.
    pub(crate) path: String,
    /// The line's number, from 1.
    pub(crate) line: usize,
    /// The line, cut where it is long.
    text: String,
}

/// Searches text files for lines that have a text in them, or that a regular expression fits.
#[tool(read_only, idempotent, title = "Search files")]
pub(crate) fn search(
    /// The text, or the regular expression.
    #[schemars(length(min = 1, max = 1_000))]
    query: String,
    /// A directory or a file; everything that is granted where it is missing.
    #[serde(default)]
    path: Option<String>,
    /// Only files that fit, for example `*.rs` or `docs/**/*.md`.
    #[serde(default)]
    pattern: Option<String>,
    /// `query` is a regular expression.
    #[serde(default)]
    regex: bool,
    /// Capitals do not matter.
    #[serde(default)]
    ignore_case: bool,
    /// Lines at most, 200 where it is missing.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
) -> Result<Found, ToolError> {
    let start = path::normal(path.as_deref().unwrap_or("/"))?;
    let wanted = pattern.as_deref().map(walk::pattern).transpose()?;
    let mut search = Search {
        expression: expression(&query, regex, ignore_case)?,
        room: limit.unwrap_or(MOST_MATCHES).clamp(1, MOST_MATCHES),
        found: Found {
            matches: Vec::new(),
            files: 0,
            truncated: false,
        },
    };
    if std::fs::metadata(&start).is_ok_and(|metadata| metadata.is_file()) {
        search.file(&start);
        return Ok(search.found);
    }
    let complete = walk::each(&start, walk::DEEPEST, |entry| {
        let fits = wanted
            .as_ref()
            .is_none_or(|wanted| walk::fits(wanted, entry));
        entry.kind != walk::Kind::File || !fits || search.file(entry.path)
    })?;
    search.found.truncated |= !complete;
    Ok(search.found)
}

fn expression(query: &str, regex: bool, ignore_case: bool) -> Result<Regex, ToolError> {
    if query.is_empty() {
        return Err(ToolError::invalid_arguments(
            "query: say what to search for",
        ));
    }
    let pattern = if regex {
        query.to_owned()
    } else {
        regex_lite::escape(query)
    };
    RegexBuilder::new(&pattern)
        .case_insensitive(ignore_case)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| {
            ToolError::invalid_arguments(format_args!("query is no regular expression: {error}"))
        })
}

struct Search {
    expression: Regex,
    room: usize,
    found: Found,
}

impl Search {
    /// Looks through one file; says whether there is room for more. A file that cannot be read, or
    /// is no text, is passed over.
    fn file(&mut self, path: &str) -> bool {
        let Ok(file) = File::open(path) else {
            return true;
        };
        self.found.files += 1;
        let mut file = BufReader::new(file.take(MOST_FILE));
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            match file.read_until(b'\n', &mut line) {
                Ok(1..) if !line.contains(&0) => {}
                _ => return true,
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']);
            if !self.expression.is_match(text) {
                continue;
            }
            if self.found.matches.len() == self.room {
                self.found.truncated = true;
                return false;
            }
            self.found.matches.push(Match {
                path: path.to_owned(),
                line: number,
                text: text.chars().take(MOST_LINE).collect(),
            });
        }
        true
    }
}
